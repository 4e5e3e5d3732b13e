import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Cluster, Redis } from "ioredis";

import { NotConfirmedError, Publisher, responseRecorded, subscribe } from "../src/index.js";
import { JOBS_REJECTED, streamNames } from "../src/streams.js";
import { slotOf } from "../src/slots.js";
import { until } from "./redis.js";

const nodes = (process.env["TEST_REDIS_CLUSTER"] ?? "").split(",");
const claims = { sub: "s", iss: "i", aud: "a", iat: 1_795_000_000, exp: 1_795_003_600 };

function eventOf(student: string) {
  const answer = {
    response_id: "0193da5e-65d8-7c3e-9b1a-5f0e4d3c2b10",
    student_id: student,
    item_id: "q-101",
    concept_ids: ["fractions.add"],
    correct: true,
    answered_at: "2026-11-21T09:29:58.400Z",
  };
  return responseRecorded(answer, { claims }, { source: "/test" });
}

let cluster: Cluster;
before(() => {
  cluster = new Cluster(nodes);
});
after(() => cluster.disconnect());

test("slots are those of Redis", () => {
  // CLUSTER KEYSLOT of each.
  assert.equal(slotOf("123456789"), 0x31c3);
  assert.equal(slotOf("practice.responses.v1.{0}"), slotOf("0"));
  assert.equal(slotOf(JOBS_REJECTED), slotOf("practice.jobs.v1"));
  assert.equal(slotOf("a{}b"), slotOf("a{}b"));
  assert.notEqual(slotOf("a{}b"), slotOf(""));
});

test("on a cluster the plain names are refused", async () => {
  assert.throws(() => new Publisher(cluster), /share no slot/);
  assert.throws(() => new Publisher(cluster, { shards: 1, confirmation: { replicas: 0 } }), /replicas/);
  const { signal } = new AbortController();
  const options = { stream: "mastery", group: "g", consumer: "c", startAt: "0", signal } as const;
  await assert.rejects(subscribe(cluster, { ...options, handle: () => undefined }), /share no slot/);
});

test("events of all shards are confirmed by the replicas of their nodes", async () => {
  const publisher = new Publisher(cluster, { shards: 3, confirmation: { timeoutMs: 5_000 } });
  const students = Array.from({ length: 60 }, (_, k) => `s-${k}`);
  const published = await Promise.all(students.map((s) => publisher.publish(eventOf(s))));
  publisher.close();
  const streams = streamNames("responses", 3);
  assert.deepEqual([...new Set(published.map(({ stream }) => stream))].sort(), streams);
  for (const stream of streams) {
    const ids = new Set((await cluster.xrange(stream, "-", "+")).map(([id]) => id));
    assert.ok(published.every((p) => p.stream !== stream || ids.has(p.entryId)));
  }
});

test("while slots move, each confirmed event is in its stream", async () => {
  const publisher = new Publisher(cluster, { shards: 1, confirmation: { timeoutMs: 5_000 } });
  const [stream] = streamNames("responses", 1) as [string];
  const slot = slotOf(stream);
  for (let k = 0; k < 20; k += 1) await cluster.set(`{0}:${k}`, "x");
  const first = await publisher.publish(eventOf("s"));
  const masters = cluster.nodes("master");
  const ids = new Map<Redis, string>();
  for (const node of masters) ids.set(node, String(await node.call("cluster", "myid")));
  const source = masters.find((n) => `${n.options.host}:${n.options.port}` === cluster.slots[slot]?.[0]);
  const target = masters.find((n) => n !== source);
  assert.ok(source && target);
  const move = async (from: Redis, to: Redis) => {
    await to.call("cluster", "setslot", slot, "importing", String(ids.get(from)));
    await from.call("cluster", "setslot", slot, "migrating", String(ids.get(to)));
    for (;;) {
      const keys = (await from.call("cluster", "getkeysinslot", slot, 100)) as string[];
      if (keys.length === 0) break;
      const { host, port } = to.options;
      for (const key of keys) {
        await from.call("migrate", String(host), Number(port), key, 0, 5000);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
    for (const node of [to, from]) await node.call("cluster", "setslot", slot, "node", String(ids.get(to)));
  };
  let moving = true;
  const moved = move(source, target).finally(() => (moving = false));
  const added = [first];
  while (moving) {
    added.push(...(await Promise.all([1, 2].map(() => publisher.publish(eventOf("s"))))));
  }
  await moved;
  const there = new Set((await cluster.xrange(stream, "-", "+")).map(([id]) => id));
  assert.ok(added.length > 1);
  assert.deepEqual(added.filter(({ entryId }) => !there.has(entryId)), []);
  await move(target, source);
  publisher.close();
});

test("where no replica answers, nothing is confirmed", async () => {
  const redis = new Redis(process.env["TEST_REDIS_URL"] ?? "");
  const publisher = new Publisher(redis, { confirmation: { timeoutMs: 50 } });
  await assert.rejects(publisher.publish(eventOf("s")), NotConfirmedError);
  publisher.close();
  redis.disconnect();
});

test("rejected jobs are subscribed to as well", async () => {
  const stop = new AbortController();
  const seen: string[] = [];
  await cluster.xadd(JOBS_REJECTED, "*", "event", "no JSON");
  const running = subscribe(cluster, {
    stream: "rejections", group: "g", consumer: "c", startAt: "0", shards: 2, signal: stop.signal,
    handle: () => undefined,
    onFailure: ({ stream }) => {
      seen.push(stream);
      return "drop";
    },
  });
  await until("the rejection of a job is seen", () => seen.includes(JOBS_REJECTED));
  stop.abort();
  await running;
});
