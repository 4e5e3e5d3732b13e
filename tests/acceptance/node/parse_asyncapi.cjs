// Prints what @asyncapi/parser makes of a document and ajv of JSON Schemas, as JSON.
// Usage: node parse_asyncapi.cjs NODE_MODULES FILE.yaml [SCHEMA.json …]
"use strict";
const fs = require("node:fs");
const path = require("node:path");

const [modules, file, ...schemas] = process.argv.slice(2);
const from = (name) => require(path.join(modules, name));
const { Parser } = from("@asyncapi/parser");
const Ajv = from("ajv/dist/2020").default;
const addFormats = from("ajv-formats");

function validated(name) {
  const ajv = addFormats(new Ajv({ strict: true, allErrors: true, allowUnionTypes: true }));
  const schema = JSON.parse(fs.readFileSync(name, "utf8"));
  const validate = ajv.compile(schema);
  const of = (event) => (validate(event) ? [] : validate.errors.map((e) => `${e.instancePath} ${e.message}`));
  return {
    id: schema.$id,
    examples: schema.examples.map(of),
    // So that a schema which takes everything is noticed.
    withoutData: of({ ...schema.examples[0], data: undefined }),
    ofAnotherType: of({ ...schema.examples[0], type: "another.type.v1" }),
  };
}

async function main() {
  const { document, diagnostics } = await new Parser().parse(fs.readFileSync(file, "utf8"));
  const operations = document?.operations().all() ?? [];
  console.log(
    JSON.stringify({
      diagnostics: diagnostics.map((d) => `${d.severity} ${d.code} ${d.path.join(".")}: ${d.message}`),
      operations: operations.flatMap((operation) =>
        operation.messages().all().map((message) => ({
          action: operation.action(),
          address: operation.channels().all()[0].address(),
          message: message.name(),
          contentType: message.contentType(),
          payload: message.payload().type(),
          deprecated: message.payload().deprecated(),
        })),
      ),
      schemas: schemas.map(validated),
    }),
  );
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
