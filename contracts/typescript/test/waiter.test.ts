import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, afterEach, beforeEach, test } from "node:test";

import { Redis } from "ioredis";

import {
  OutcomeWaiter,
  STREAMS,
  follow,
  responseRecorded,
  streamName,
  type MasteryData,
  type Outcome,
  type ResponseRecorded,
  type WaiterOptions,
} from "../src/index.js";
import { change } from "./changes.js";
import { Door } from "./door.js";
import { emptyRedis, redisUrl, until } from "./redis.js";

const claims = { sub: "student-42", iss: "i", aud: "a", iat: 1, exp: 2, tenant_id: "school-7" };

let redis: Redis;
let open: { close(): unknown }[] = [];
beforeEach(async () => {
  redis?.disconnect();
  redis = await emptyRedis();
});
afterEach(async () => {
  for (const one of open.splice(0)) await one.close();
});
after(() => redis.disconnect());

function waiter(options: WaiterOptions = {}, client: Redis = redis): OutcomeWaiter {
  const made = new OutcomeWaiter(client, { timeoutMs: 30_000, onDisturbance: () => {}, ...options });
  open.push(made);
  return made;
}

function answer(concept_ids = ["fractions.add"]): ResponseRecorded {
  return responseRecorded(
    {
      response_id: randomUUID(),
      student_id: "student-42",
      item_id: "q-101",
      concept_ids,
      correct: true,
      answered_at: "2026-11-21T09:29:58.400Z",
    },
    { claims },
    { source: "/express/practice" },
  );
}

/** Adds the event of an answer, as the engine does. */
function told(event: ResponseRecorded, data: Partial<MasteryData> = {}, stream: string = STREAMS.mastery) {
  const { response_id, concept_ids } = event.data.response;
  const changed = change({ response_id, concept_id: concept_ids[0] ?? "", ...data });
  return redis.xadd(stream, "*", "event", JSON.stringify(changed));
}

const concepts = (outcome: Outcome) => outcome.events.map(({ data }) => data.concept_id);
const nothing = () => Promise.resolve();

test("an answer with two concepts waits for the events of both", async () => {
  const event = answer(["fractions.add", "fractions.multiply"]);
  const outcome = await waiter().wait(event, async () => {
    await told(answer());
    await told(event);
    await told(event, { concept_id: "fractions.multiply" });
  });

  assert.equal(outcome.status, "changed");
  assert.deepEqual(concepts(outcome), ["fractions.add", "fractions.multiply"]);
});

test("an event of another student or tenant with the same response_id does not count", async () => {
  const event = answer();
  const waiting = waiter({ timeoutMs: 300 }).wait(event, async () => {
    await told(event, { student_id: "student-43" });
    await told(event, { tenant_id: "school-8" });
  });

  assert.deepEqual(await waiting, { status: "unknown", reason: "timeout", events: [] });
});

test("what was told before the waiter was made does not count", async () => {
  const event = answer();
  await told(event);
  assert.equal((await waiter({ timeoutMs: 300 }).wait(event, nothing)).status, "unknown");
});

test("many wait over one connection, two for the same answer among them", async () => {
  const shards = 3;
  const own = waiter({ shards });
  const events = Array.from({ length: 50 }, () => answer());
  const same = events[0] as ResponseRecorded;
  const waits = [...events, same].map((event) => own.wait(event, nothing));
  await until("all wait", async () => own.waiting === 51 && (await readers()) === 1);
  for (const [n, event] of events.entries()) {
    await told(event, {}, streamName("mastery", n % shards, shards));
  }

  assert.ok((await Promise.all(waits)).every(({ status }) => status === "changed"));
  assert.equal(own.waiting, 0);
});

test("beyond the limit an answer is published and not waited for", async () => {
  const own = waiter({ maxWaiting: 1 });
  const first = answer();
  let published = false;
  const waiting = own.wait(first, async () => void (published = true));
  await until("the first is published", () => published);
  published = false;
  const second = await own.wait(answer(), async () => {
    published = true;
  });
  await told(first);

  assert.ok(published);
  assert.deepEqual(second, { status: "unknown", reason: "too_many_waiting", events: [] });
  assert.equal((await waiting).status, "changed");
});

test("after the time the outcome is unknown, with what has come", async () => {
  const event = answer(["fractions.add", "fractions.multiply"]);
  const own = waiter({ timeoutMs: 300 });
  const outcome = await own.wait(event, () => told(event));

  assert.ok(outcome.status === "unknown" && outcome.reason === "timeout");
  assert.deepEqual(concepts(outcome), ["fractions.add"]);
  assert.equal(own.waiting, 0);
});

test("what publish throws is thrown, and nobody waits any more", async () => {
  const own = waiter();
  const away = () => Promise.reject(new Error("Redis is away"));
  await assert.rejects(own.wait(answer(), away), /Redis is away/);
  assert.equal(own.waiting, 0);
});

test("a browser that goes, and a stop, end the wait and not the publishing", async () => {
  const own = waiter();
  const gone = new AbortController();
  let published = 0;
  const publish = async () => void (published += 1);
  const first = own.wait(answer(), publish, { signal: gone.signal });
  const second = own.wait(answer(), publish);
  await until("both are published", () => published === 2);
  gone.abort();
  assert.deepEqual(await first, { status: "unknown", reason: "aborted", events: [] });
  await own.close();
  assert.deepEqual(await second, { status: "unknown", reason: "stopped", events: [] });
  const third = await own.wait(answer(), publish);
  assert.deepEqual([third, published], [{ status: "unknown", reason: "stopped", events: [] }, 3]);
});

test("a connection that breaks is made again, and nothing told meanwhile is missed", async () => {
  const door = await Door.opened(Number(new URL(redisUrl()).port));
  open.push(door);
  const url = new URL(redisUrl());
  url.port = `${door.port}`;
  const client = new Redis(url.href);
  client.on("error", () => {});
  open.push({ close: () => client.disconnect() });
  const disturbances: unknown[] = [];
  const own = waiter({ onDisturbance: (error) => disturbances.push(error) }, client);
  const [first, second] = [answer(), answer()];
  assert.equal((await own.wait(first, () => told(first))).status, "changed");
  const outcome = await own.wait(second, async () => {
    await door.close();
    await told(second);
    await until("it is noticed", () => disturbances.length > 0);
    await door.open();
  });

  assert.equal(outcome.status, "changed");
});

test("without the right to read, answers are published and not waited for", async () => {
  await redis.set(STREAMS.mastery, "no stream");
  const disturbances: unknown[] = [];
  const own = waiter({ onDisturbance: (error) => disturbances.push(error) });
  let published = false;
  const outcome = await own.wait(answer(), async () => {
    published = true;
  });

  assert.ok(published);
  assert.ok(outcome.status === "unknown" && outcome.reason === "stopped");
  assert.match(String(disturbances), /WRONGTYPE/);
});

test("each follower gets every event from its start on, and skips what is none", async () => {
  const stop = new AbortController();
  open.push({ close: () => stop.abort() });
  const seen: string[][] = [[], []];
  const disturbances: unknown[] = [];
  let started = 0;
  await told(answer(["before"]));
  const ended = seen.map((own) =>
    follow(redis, {
      stream: "mastery",
      signal: stop.signal,
      batchSize: 1,
      onStarted: () => void (started += 1),
      onDisturbance: (error) => disturbances.push(error),
      handle: ({ data }) => void own.push(data.concept_id),
    }),
  );
  await until("both have started", () => started === 2);
  await told(answer(["first"]));
  await redis.xadd(STREAMS.mastery, "*", "event", "{");
  await told(answer(["second"]));
  await until("both have all", () => seen.every((own) => own.length === 2));
  stop.abort();
  await Promise.all(ended);

  assert.deepEqual(seen, [["first", "second"], ["first", "second"]]);
  assert.match(String(disturbances[0]), /no JSON/);
});

/** How many connections to the database of the tests wait in an XREAD. */
async function readers(): Promise<number> {
  const all = (await redis.client("LIST")) as string;
  const own = new RegExp(` db=${redis.options.db} .* cmd=xread `);
  return all.split("\n").filter((line) => own.test(line)).length;
}
