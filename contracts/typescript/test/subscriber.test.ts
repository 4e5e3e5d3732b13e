import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { after, afterEach, beforeEach, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

import type { Redis } from "ioredis";

import {
  STREAMS,
  UnreadableEventError,
  newestOnly,
  positions,
  subscribe,
  type Failure,
  type MasteryChanged,
  type SubscribeOptions,
} from "../src/index.js";
import { change, tell } from "./changes.js";
import { Door } from "./door.js";
import { emptyRedis, pendingIn, until } from "./redis.js";

type Options = Partial<SubscribeOptions<"mastery">>;

let redis: Redis;
beforeEach(async () => {
  redis?.disconnect();
  redis = await emptyRedis();
});
// What a test that failed left running would keep the process alive.
let running: AbortController[] = [];
afterEach(() => {
  for (const stop of running) stop.abort();
  running = [];
});
after(() => redis.disconnect());

/** A running subscription that keeps the versions of what it handled. */
function subscribed(options: Options = {}, client: Redis = redis) {
  const stop = new AbortController();
  running.push(stop);
  const versions: number[] = [];
  const disturbances: unknown[] = [];
  const ended = subscribe(client, {
    stream: "mastery",
    group: "reports",
    consumer: "reports-0",
    startAt: "0",
    signal: stop.signal,
    onDisturbance: (error) => disturbances.push(error),
    ...options,
    handle: async (event, delivery) => {
      await options.handle?.(event, delivery);
      versions.push(event.data.version);
    },
  });
  return {
    versions,
    disturbances,
    ended,
    stop: async () => {
      stop.abort();
      await ended;
    },
  };
}

async function groupExists(stream: string = STREAMS.mastery): Promise<boolean> {
  const groups = await redis.xinfo("GROUPS", stream).catch(() => []);
  return (groups as unknown[]).length > 0;
}

test("a group that starts at 0 gets what was told before, one that starts at $ what comes", async () => {
  await tell(redis, STREAMS.mastery, [1, 2]);
  const all = subscribed({ group: "all" });
  const later = subscribed({ group: "later", startAt: "$" });
  await until("both groups", async () => {
    const groups = (await redis.xinfo("GROUPS", STREAMS.mastery)) as unknown[];
    return groups.length === 2;
  });
  await tell(redis, STREAMS.mastery, [3]);
  await until("all are told", () => all.versions.length === 3 && later.versions.length === 1);
  await Promise.all([all.stop(), later.stop()]);

  assert.deepEqual(all.versions, [1, 2, 3]);
  assert.deepEqual(later.versions, [3]);
});

test("an event is acknowledged after it was handled, and not before", async () => {
  const pending: number[] = [];
  await tell(redis, STREAMS.mastery, [1]);
  const run = subscribed({
    handle: async () => void pending.push(await pendingIn(redis, STREAMS.mastery, "reports")),
  });
  await until("it is handled", () => run.versions.length === 1);
  await run.stop();

  assert.deepEqual(pending, [1]);
  assert.equal(await pendingIn(redis, STREAMS.mastery, "reports"), 0);
});

test("an event whose handler fails comes again, and others are not held up", async () => {
  const failures: Failure<MasteryChanged>[] = [];
  await tell(redis, STREAMS.mastery, [1, 2]);
  const run = subscribed({
    claimAfterMs: 200,
    handle: (event) => {
      if (event.data.version === 1 && failures.length < 2) throw new Error("the table is locked");
    },
    onFailure: (failure) => {
      failures.push(failure);
      return "retry";
    },
  });
  await until("both are handled", () => run.versions.length === 2);
  await run.stop();

  assert.deepEqual(run.versions, [2, 1]);
  assert.deepEqual(failures.map((one) => one.deliveries), [1, 2]);
  assert.equal(failures[0]?.event?.data.version, 1);
  assert.equal(await pendingIn(redis, STREAMS.mastery, "reports"), 0);
});

test("what is dropped does not come again, what onFailure throws ends the subscription", async () => {
  await tell(redis, STREAMS.mastery, [1, 2]);
  const handle = (event: MasteryChanged) => {
    throw new Error(`no ${event.data.version}`);
  };
  const run = subscribed({
    handle,
    onFailure: ({ event, error }) => {
      if (event?.data.version === 2) throw error;
      return "drop";
    },
  });

  await assert.rejects(run.ended, /no 2/);
  assert.equal(await pendingIn(redis, STREAMS.mastery, "reports"), 1);
});

test("what a killed subscriber was given is claimed by another", async (t) => {
  const ids = await tell(redis, STREAMS.mastery, [1, 2]);
  const script = fileURLToPath(new URL("./dying-subscriber.js", import.meta.url));
  const dying = spawn(process.execPath, [script], { stdio: ["ignore", "pipe", "inherit"] });
  t.after(() => dying.kill("SIGKILL"));
  const [said] = (await once(dying.stdout, "data")) as [Buffer];
  assert.equal(said.toString(), `${ids[0]}\n`);
  dying.kill("SIGKILL");
  await once(dying, "exit");
  assert.equal(await pendingIn(redis, STREAMS.mastery, "reports"), 2);

  const run = subscribed({ claimAfterMs: 200 });
  await until("both are handled", () => run.versions.length === 2);
  await run.stop();

  assert.deepEqual(run.versions, [1, 2]);
  assert.equal(await pendingIn(redis, STREAMS.mastery, "reports"), 0);
});

test("a stop ends the event at hand and leaves the rest to the same name", async () => {
  await tell(redis, STREAMS.mastery, [1, 2, 3]);
  let began = false;
  let finish: () => void = () => undefined;
  const finished = new Promise<void>((resolve) => {
    finish = resolve;
  });
  const first = subscribed({
    handle: async () => {
      began = true;
      await finished;
    },
  });
  await until("the first is at hand", () => began);
  const stopped = first.stop();
  finish();
  await stopped;
  assert.deepEqual(first.versions, [1]);
  assert.equal(await pendingIn(redis, STREAMS.mastery, "reports"), 2);

  const second = subscribed();
  await until("the rest is handled", () => second.versions.length === 2);
  await second.stop();
  assert.deepEqual(second.versions, [2, 3]);
});

test("a stop does not wait for events, and one before the start does nothing", async () => {
  const run = subscribed();
  await until("it waits", () => groupExists());
  const stopped = run.stop().then(() => "stopped");
  // A read that is not interrupted takes 5 s.
  assert.equal(await Promise.race([stopped, sleep(4_000, "waited", { ref: false })]), "stopped");
  await subscribe(redis, {
    stream: "unlocked",
    group: "reports",
    consumer: "reports-0",
    startAt: "0",
    signal: AbortSignal.abort(),
    handle: () => assert.fail("nobody asked"),
  });
  assert.equal(await groupExists(STREAMS.unlocked), false);
});

test("all shards are read, each in its order, whatever prefix the client has", async () => {
  const told = [0, 1, 2].map((k) => `${STREAMS.mastery}.{${k}}`);
  for (const [k, stream] of told.entries()) await tell(redis, stream, [10 * k + 1, 10 * k + 2]);
  const of = new Map<string, number[]>();
  const prefixing = redis.duplicate({ keyPrefix: "app:", lazyConnect: true });
  const run = subscribed(
    {
      shards: 3,
      handle: ({ data }, { stream }) => void of.set(stream, [...(of.get(stream) ?? []), data.version]),
    },
    prefixing,
  );
  await until("all are handled", () => run.versions.length === 6);
  await run.stop();

  assert.deepEqual(new Map([...of].sort()), new Map(told.map((s, k) => [s, [10 * k + 1, 10 * k + 2]])));
});

test("of each student and concept only newer versions are handled", async () => {
  for (const [student_id, version] of [
    ["a", 5],
    ["a", 5],
    ["b", 1],
    ["a", 4],
    ["a", 7],
  ] as const) {
    const event = JSON.stringify(change({ student_id, version }));
    await redis.xadd(STREAMS.mastery, "*", "event", event);
  }
  const handled: [string, number][] = [];
  let failed = false;
  const run = subscribed({
    claimAfterMs: 200,
    onFailure: () => "retry",
    handle: newestOnly(({ data }) => {
      // What failed has not been handled, and is not too old when it comes again.
      if (data.student_id === "b" && !failed) {
        failed = true;
        throw new Error("again, please");
      }
      handled.push([data.student_id, data.version]);
    }),
  });
  await until("all are acknowledged", () => run.versions.length === 5);
  await run.stop();

  assert.deepEqual(handled, [
    ["a", 5],
    ["a", 7],
    ["b", 1],
  ]);
});

test("the filter forgets the pair that was used longest ago", async () => {
  const handled: number[] = [];
  const handle = newestOnly(({ data }) => void handled.push(data.version), { size: 1 });
  const delivery = { stream: STREAMS.mastery, entryId: "1-1" };
  await handle(change({ concept_id: "a", version: 1 }), delivery);
  await handle(change({ concept_id: "b", version: 2 }), delivery);
  await handle(change({ concept_id: "b", version: 2 }), delivery);
  await handle(change({ concept_id: "a", version: 1 }), delivery);

  assert.deepEqual(handled, [1, 2, 1]);
});

test("a group that was destroyed is made again, and nothing is left out", async () => {
  await tell(redis, STREAMS.mastery, [1]);
  const run = subscribed();
  await until("the first", () => run.versions.length === 1);
  await redis.xgroup("DESTROY", STREAMS.mastery, "reports");
  await tell(redis, STREAMS.mastery, [2]);
  await until("the second", () => run.versions.includes(2));
  await run.stop();

  assert.deepEqual(run.versions, [1, 1, 2]);
  assert.match(String(run.disturbances[0]), /NOGROUP|UNBLOCKED/);
});

test("a connection that is cut is made again", async () => {
  const run = subscribed();
  const mine = new RegExp(`^id=(\\d+) .* db=${redis.options.db} .* cmd=xreadgroup `, "m");
  let id: string | undefined;
  await until("it waits", async () => {
    id = mine.exec(String(await redis.call("client", "list")))?.[1];
    return id !== undefined;
  });
  await redis.call("client", "kill", "id", id ?? "");
  await tell(redis, STREAMS.mastery, [1]);
  await until("it is handled", () => run.versions.length === 1);
  await run.stop();
});

test("a Redis that is away is waited for, but not by a stop", async (t) => {
  const door = await Door.opened(redis.options.port ?? 6379);
  const client = redis.duplicate({ host: "127.0.0.1", port: door.port, lazyConnect: true });
  t.after(() => door.close());
  const run = subscribed({}, client);
  await until("it waits", () => groupExists());
  await door.close();
  await until("it has noticed", () => run.disturbances.length > 0);
  await tell(redis, STREAMS.mastery, [1]);
  await door.open();
  await until("it is handled", () => run.versions.length === 1);

  // At hand while Redis goes away: handled, and not to be acknowledged any more.
  await tell(redis, STREAMS.mastery, [2]);
  await run.stop();
  let finish: () => void = () => undefined;
  let began = false;
  const finished = new Promise<void>((resolve) => {
    finish = resolve;
  });
  const other = subscribed(
    {
      group: "other",
      handle: async () => {
        began = true;
        await finished;
      },
    },
    client,
  );
  const idle = subscribed({ group: "idle" }, client);
  await until("it is at hand", () => began && idle.versions.length === 2);
  await door.close();
  await until("both have noticed", () =>
    [other, idle].every(({ disturbances }) => disturbances.length > 0),
  );
  const stopped = Promise.all([other.stop(), idle.stop()]);
  finish();
  await stopped;

  assert.deepEqual(other.versions, [1]);
});

test("what is no event of the stream is reported with its text, and not kept", async () => {
  const failures: Failure<MasteryChanged>[] = [];
  await redis.xadd(STREAMS.mastery, "*", "event", "{");
  await redis.xadd(STREAMS.mastery, "*", "event", '{"type": "practice.concept.unlocked.v1"}');
  await redis.xadd(STREAMS.mastery, "*", "other", "field");
  await tell(redis, STREAMS.mastery, [1]);
  const run = subscribed({
    onFailure: (failure) => {
      failures.push(failure);
      return "drop";
    },
  });
  await until("the good one", () => run.versions.length === 1);
  await run.stop();

  const errors = failures.map(({ error }) => error as UnreadableEventError);
  assert.ok(errors.every((error) => error instanceof UnreadableEventError));
  assert.deepEqual(
    errors.map(({ message, text }) => [message, text]),
    [
      ["the event is no JSON", "{"],
      ["the event is no practice.mastery.changed.v1", '{"type": "practice.concept.unlocked.v1"}'],
      ["there is no field `event`", undefined],
    ],
  );
  assert.equal(await pendingIn(redis, STREAMS.mastery, "reports"), 0);
});

test("an entry that was trimmed before it was acknowledged is let go", async () => {
  await tell(redis, STREAMS.mastery, [1, 2]);
  await redis.xgroup("CREATE", STREAMS.mastery, "reports", "0");
  await redis.xreadgroup("GROUP", "reports", "reports-0", "COUNT", 1, "STREAMS", STREAMS.mastery, ">");
  await redis.xtrim(STREAMS.mastery, "MAXLEN", 1);
  const run = subscribed({ onFailure: ({ error }) => Promise.reject(error) });
  await until("the second", () => run.versions.length === 1);
  await run.stop();

  assert.deepEqual(run.versions, [2]);
  assert.equal(await pendingIn(redis, STREAMS.mastery, "reports"), 0);
});

test("after a long time the rest of a batch is read again, for it may be another's", async () => {
  const [, ...rest] = await tell(redis, STREAMS.mastery, [1, 2, 3]);
  const run = subscribed({
    claimAfterMs: 400,
    handle: async ({ data }) => {
      if (data.version !== 1) return;
      const end = Date.now() + 300;
      await until("more than half of the time has gone", () => Date.now() > end);
      // What another does who took over the rest.
      await redis.xack(STREAMS.mastery, "reports", ...rest);
      await tell(redis, STREAMS.mastery, [4]);
    },
  });
  await until("the last is handled", () => run.versions.includes(4));
  await run.stop();

  assert.deepEqual(run.versions, [1, 4]);
});

test("what no waiting will change is thrown, and ends all shards", async () => {
  await redis.set(`${STREAMS.mastery}.{1}`, "no stream");
  await assert.rejects(subscribed({ shards: 2 }).ended, /WRONGTYPE/);
  await assert.rejects(subscribed({ shards: -1 }).ended, /STREAM_SHARDS/);
});

test("a new group begins after the positions of a snapshot, and again if it is destroyed", async () => {
  assert.deepEqual(await positions(redis, "mastery", 2), {
    [`${STREAMS.mastery}.{0}`]: "0-0",
    [`${STREAMS.mastery}.{1}`]: "0-0",
  });
  await tell(redis, STREAMS.mastery, [1, 2]);
  const startAt = await positions(redis, "mastery");
  await tell(redis, STREAMS.mastery, [3]);
  const run = subscribed({ startAt });
  await until("the first", () => run.versions.length === 1);
  await redis.xgroup("DESTROY", STREAMS.mastery, "reports");
  await tell(redis, STREAMS.mastery, [4]);
  await until("the second", () => run.versions.includes(4));
  await run.stop();

  assert.deepEqual(run.versions, [3, 3, 4]);
  await assert.rejects(subscribed({ startAt, shards: 2 }).ended, /startAt lacks/);
});
