// Prints what Spectral's recommended rules for AsyncAPI find in a document, as JSON.
// Usage: node lint_asyncapi.cjs NODE_MODULES FILE.yaml
"use strict";
const fs = require("node:fs");
const path = require("node:path");

const [modules, file] = process.argv.slice(2);
const from = (name) => require(path.join(modules, name));
const { Spectral, Document } = from("@stoplight/spectral-core");
const { asyncapi } = from("@stoplight/spectral-rulesets");
const { Yaml } = from("@stoplight/spectral-parsers");

async function main() {
  const spectral = new Spectral();
  spectral.setRuleset({ extends: [[asyncapi, "recommended"]] });
  const findings = await spectral.run(new Document(fs.readFileSync(file, "utf8"), Yaml, file));
  console.log(JSON.stringify(findings.map((f) => `${f.severity} ${f.code} ${f.path.join(".")}: ${f.message}`)));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
