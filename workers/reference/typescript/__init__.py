"""TypeScript types of the contracts, made from their JSON Schemas without Node.

`json-schema-to-typescript` and quicktype need Node, and Python has no well-kept generator. Our
models produce a small subset of JSON Schema; anything outside this subset is refused.
"""
