import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { STREAMS, shardOf, streamName, tenantOf } from "../src/index.js";

interface Case {
  tenant_id: string;
  student_id: string;
  shards: number;
  shard: number;
}

// The engine's own tests compare the same file with the engine's own function.
const cases = JSON.parse(readFileSync("test/shards.json", "utf8")) as Case[];

test("a learner's shard is the one that the engine says", () => {
  assert.ok(cases.length > 20);
  for (const { tenant_id, student_id, shards, shard } of cases) {
    assert.equal(shardOf(tenant_id, student_id, shards), shard, `${tenant_id}/${student_id}`);
  }
});

test("a shard's name has braces, and without shards there is the plain name", () => {
  assert.equal(streamName("mastery", 3, 8), "practice.mastery.v1.{3}");
  assert.equal(streamName("responses", 0, 1), "practice.responses.v1.{0}");
  assert.equal(streamName("unlocked", 0, 0), STREAMS.unlocked);
});

test("the tenant is where the engine looks for it", () => {
  assert.equal(tenantOf({ tenant_id: "school-7" }), "school-7");
  assert.equal(tenantOf({ app_metadata: { tenant_id: "school-8" } }), "school-8");
  assert.equal(tenantOf({ tenant_id: null, app_metadata: { tenant_id: "school-8" } }), "school-8");
  assert.equal(tenantOf({ org: { unit: "school-9" }, tenant_id: "no" }, "org.unit"), "school-9");
  assert.equal(tenantOf({ org: "flat" }, "org.unit"), "default");
  assert.equal(tenantOf({}, "constructor.name"), "default");
  assert.throws(() => tenantOf({ tenant_id: 7 }), /tenant_id is no string/);
});
