"""TypeScript types of the contracts, from their JSON Schemas; no Node is needed for it.

`json-schema-to-typescript` and quicktype, which Python packages call, are programs of Node; there
is no well-kept generator in Python. What our models produce is a small subset of JSON Schema, and
nothing else is taken.
"""
