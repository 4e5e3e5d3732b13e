// Runs the code of docs/supabase.md: node supabase_page.cjs NODE_MODULES CODE, prints its results.
"use strict";

const { readFileSync } = require("node:fs");
const { join } = require("node:path");

const [modules, file] = process.argv.slice(2);
// supabase-js wants one for Realtime, which the page does not use; Node has its own from 22 on.
globalThis.WebSocket ??= class {};
const { createClient } = require(join(modules, "@supabase/supabase-js"));
const { SUPABASE_URL, SUPABASE_PUBLISHABLE_KEY, TOKEN } = process.env;

const AsyncFunction = (async () => {}).constructor;
const code = `${readFileSync(file, "utf8")}\nreturn { mastery, ability, weakest, rows };`;
new AsyncFunction("createClient", "SUPABASE_URL", "SUPABASE_PUBLISHABLE_KEY", "token", code)(
  ...[createClient, SUPABASE_URL, SUPABASE_PUBLISHABLE_KEY, TOKEN],
).then(
  (found) => console.log(JSON.stringify(found)),
  (error) => {
    console.error(error);
    process.exitCode = 1;
  },
);
