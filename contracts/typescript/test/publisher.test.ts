import assert from "node:assert/strict";
import { after, beforeEach, test } from "node:test";

import type { Redis } from "ioredis";

import { Publisher, STREAMS, jobRequested, responseRecorded, type Claims } from "../src/index.js";
import { emptyRedis, eventsIn } from "./redis.js";

const UUID = /^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$/;
const TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const claims: Claims = {
  sub: "schüler-42",
  iss: "https://school.example/auth/v1",
  aud: "authenticated",
  iat: 1_795_000_000,
  exp: 1_795_003_600,
  tenant_id: "schule-7",
};
const answer = {
  response_id: "0193da5e-65d8-7c3e-9b1a-5f0e4d3c2b10",
  student_id: "schüler-42",
  item_id: "q-101",
  concept_ids: ["fractions.add"],
  correct: true,
  answered_at: "2026-11-21T09:29:58.400Z",
};

let redis: Redis;
beforeEach(async () => {
  redis?.disconnect();
  redis = await emptyRedis();
});
after(() => redis.disconnect());

test("an answer becomes one entry with the one field event, whole", async () => {
  const context = { source: "/express/practice", correlationid: "req-7f3a", traceparent: TRACE };
  const event = responseRecorded(answer, { claims, token: "eyJ" }, context);
  const { stream, entryId } = await new Publisher(redis).publish(event);

  assert.equal(stream, "practice.responses.v1");
  assert.match(entryId, /^\d+-\d+$/);
  assert.match(event.id, UUID);
  assert.ok(Math.abs(Date.parse(event.time ?? "") - Date.now()) < 60_000);
  assert.deepEqual(await eventsIn(redis, stream), [
    {
      specversion: "1.0",
      id: event.id,
      source: "/express/practice",
      type: "practice.response.recorded.v1",
      subject: "schüler-42",
      time: event.time,
      datacontenttype: "application/json",
      correlationid: "req-7f3a",
      traceparent: TRACE,
      data: { claims, token: "eyJ", response: answer },
    },
  ]);
});

test("an event that is published again is the same event", async () => {
  const event = responseRecorded(answer, { claims }, { source: "/express/practice" });
  const publisher = new Publisher(redis);
  await publisher.publish(event);
  await publisher.publish(event);

  const [first, second] = await eventsIn(redis, STREAMS.responses);
  assert.deepEqual(first, second);
});

test("an id of the caller's own is kept, and each event has another one", () => {
  const id = "0193da5e-6c0b-7a10-8f4e-2b6d9c1e7a01";
  const source = "/express/practice";
  assert.equal(responseRecorded(answer, { claims }, { source, id }).id, id);
  const [one, other] = [1, 2].map(() => responseRecorded(answer, { claims }, { source }).id);
  assert.notEqual(one, other);
});

test("headers that the engine would refuse are left out, and the answer goes on", () => {
  for (const [correlationid, traceparent] of [
    ["", "nonsense"],
    ["x".repeat(129), TRACE.toUpperCase()],
    ["line\nbreak", `${TRACE}-more`],
    [undefined, undefined],
  ]) {
    const context = { source: "/express/practice", correlationid, traceparent };
    const event = responseRecorded(answer, { claims }, context);
    assert.ok(!("correlationid" in event), correlationid);
    assert.ok(!("traceparent" in event), traceparent);
  }
});

test("with shards an answer goes to its learner's, and a job to the one stream of jobs", async () => {
  const publisher = new Publisher(redis, { shards: 5, tenantClaim: "school.id" });
  const at = { ...claims, school: { id: "école" } };
  const source = "/express/admin";
  await publisher.publish(responseRecorded(answer, { claims: at }, { source }));
  const job = { job_id: answer.response_id, kind: "verify" as const, parameters: {} };
  await publisher.publish(jobRequested(job, { claims, token: "eyJ" }, { source }));

  // zlib.crc32("école/schüler-42".encode()) % 5 in Python.
  assert.deepEqual((await redis.keys("*")).sort(), [STREAMS.jobs, "practice.responses.v1.{3}"].sort());
  const [asked] = await eventsIn(redis, STREAMS.jobs);
  assert.deepEqual((asked as { data: unknown }).data, { ...job, claims, token: "eyJ" });
});

test("a number of shards that is none is refused", () => {
  for (const shards of [-1, 1.5, Number.NaN]) {
    assert.throws(() => new Publisher(redis, { shards }), /STREAM_SHARDS/);
  }
});

test("a client that prefixes keys is refused, for nobody would read there", () => {
  const prefixing = redis.duplicate({ keyPrefix: "app:", lazyConnect: true });
  assert.throws(() => new Publisher(prefixing), /keyPrefix/);
});

test("what Redis refuses is thrown", async () => {
  await redis.set(STREAMS.responses, "no stream");
  const event = responseRecorded(answer, { claims }, { source: "/express/practice" });
  await assert.rejects(new Publisher(redis).publish(event), /WRONGTYPE/);
});
