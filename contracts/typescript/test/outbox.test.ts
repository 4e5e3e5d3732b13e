import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, afterEach, before, beforeEach, test } from "node:test";

import { Redis } from "ioredis";
import { Pool } from "pg";

import { publishAll } from "../examples/batches.js";
import { OUTBOX_TABLE, Outbox, type OutboxOptions } from "../examples/outbox.js";
import { Publisher, STREAMS, responseRecorded, type ResponseRecorded } from "../src/index.js";
import { Door } from "./door.js";
import { emptyRedis, eventsIn, redisUrl, until } from "./redis.js";

const now = Math.floor(Date.now() / 1_000);
const claims = { sub: "student-42", iss: "i", aud: "a", iat: now, exp: now + 3_600, tenant_id: "school-7" };

let redis: Redis;
let pool: Pool;
let open: { (): unknown }[] = [];
before(async () => {
  const connectionString = process.env["TEST_DATABASE_URL"];
  if (!connectionString) throw new Error("TEST_DATABASE_URL is not set: the outbox is a table");
  pool = new Pool({ connectionString });
  await pool.query(OUTBOX_TABLE);
});
beforeEach(async () => {
  redis?.disconnect();
  redis = await emptyRedis();
  await pool.query("truncate practice_outbox");
});
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});
after(async () => {
  redis.disconnect();
  await pool.end();
});

function outbox(options: Partial<OutboxOptions> = {}): Outbox {
  const made = new Outbox({ pool, publisher: new Publisher(redis), onDisturbance: () => {}, ...options });
  open.push(() => made.stop());
  return made;
}

function answers(count: number, exp = claims.exp): ResponseRecorded[] {
  return Array.from({ length: count }, (_, n) =>
    responseRecorded(
      {
        response_id: randomUUID(),
        student_id: "student-42",
        item_id: `q-${n}`,
        concept_ids: ["fractions.add"],
        correct: true,
        answered_at: "2026-11-21T09:29:58.400Z",
      },
      { claims: { ...claims, exp }, token: "eyJ" },
      { source: "/express/practice" },
    ),
  );
}

async function kept(): Promise<number> {
  const { rows } = await pool.query<{ count: string }>("select count(*) from practice_outbox");
  return Number(rows[0]?.count);
}

test("a batch is published in order, one round trip for some hundred events", async () => {
  const events = answers(1_200);
  const ended = await publishAll(new Publisher(redis), events, 500);
  assert.ok(ended.every(({ status }) => status === "fulfilled"));
  assert.deepEqual(await eventsIn(redis, STREAMS.responses), events);
});

test("an event of a batch that fails takes no other with it", async () => {
  const events = answers(3);
  const publisher = new Publisher(redis);
  const failing = {
    publish: (event: Parameters<Publisher["publish"]>[0]) =>
      event === events[1] ? Promise.reject(new Error("too long")) : publisher.publish(event),
  };
  const ended = await publishAll(failing, events);
  assert.deepEqual(ended.map(({ status }) => status), ["fulfilled", "rejected", "fulfilled"]);
});

test("while Redis is away answers are kept, and afterwards published in order", async () => {
  const door = await Door.opened(Number(new URL(redisUrl()).port));
  open.push(() => door.close());
  const url = new URL(redisUrl());
  url.port = `${door.port}`;
  const away = new Redis(url.href, { maxRetriesPerRequest: 1, commandTimeout: 500, retryStrategy: () => 50 });
  away.on("error", () => {});
  open.push(() => away.disconnect());
  await door.close();
  const failures: unknown[] = [];
  const box = outbox({ publisher: new Publisher(away), onDisturbance: (error) => failures.push(error) });
  box.start();
  const events = answers(5);
  for (const event of events) await box.publish(event);
  await until("it has tried", () => failures.length > 0);
  assert.equal(await kept(), 5);
  await door.open();
  await until("all are published", async () => (await kept()) === 0);

  const seen = (await eventsIn(redis, STREAMS.responses)) as ResponseRecorded[];
  // What a broken connection had already passed on comes twice, and counts once.
  assert.deepEqual([...new Map(seen.map((event) => [event.id, event])).values()], events);
});

test("an answer is kept with your own rows, or not at all", async () => {
  const box = outbox();
  const [event] = answers(1) as [ResponseRecorded];
  const client = await pool.connect();
  try {
    for (const end of ["rollback", "commit"]) {
      await client.query("begin");
      await box.add(client, event);
      await client.query(end);
      assert.equal(await box.relay(), end === "commit" ? 1 : 0);
    }
  } finally {
    client.release();
  }
});

test("two processes move different events, and each event once", async () => {
  const boxes = [outbox({ batchSize: 7 }), outbox({ batchSize: 7 })];
  const events = answers(60);
  for (const event of events) await boxes[0]?.add(pool, event);
  for (const box of boxes) box.start();
  await until("all are published", async () => (await kept()) === 0);

  const seen = (await eventsIn(redis, STREAMS.responses)) as ResponseRecorded[];
  assert.deepEqual(seen.map(({ id }) => id).sort(), events.map(({ id }) => id).sort());
});

test("a stop ends after the batch at hand, and the rest stays for the next start", async () => {
  let finish = () => {};
  const finished = new Promise<void>((resolve) => (finish = resolve));
  const publisher = new Publisher(redis);
  let began = false;
  const slow = {
    publish: async (event: Parameters<Publisher["publish"]>[0]) => {
      began = true;
      await finished;
      return publisher.publish(event);
    },
  };
  const box = outbox({ publisher: slow, batchSize: 2 });
  for (const event of answers(5)) await box.add(pool, event);
  box.start();
  await until("the first batch is at hand", () => began);
  const stopped = box.stop();
  finish();
  await stopped;

  assert.deepEqual([await redis.xlen(STREAMS.responses), await kept()], [2, 3]);
});

test("an event whose token expired in the outbox gets new claims", async () => {
  const renewed = { claims: { ...claims, sub: "express", role: "service_role" }, token: "new" };
  const box = outbox({ renew: async () => renewed });
  const [old, young] = [...answers(1, now - 10), ...answers(1)] as [ResponseRecorded, ResponseRecorded];
  for (const event of [old, young]) await box.add(pool, event);
  await box.relay();

  const seen = await eventsIn(redis, STREAMS.responses);
  assert.deepEqual(seen, [{ ...old, data: { ...old.data, ...renewed } }, young]);
});
