import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { test } from "node:test";
import { promisify } from "node:util";

import { Redis } from "ioredis";

import {
  Publisher,
  follow,
  jobRequested,
  newestOnly,
  responseRecorded,
  subscribe,
  type MasteryData,
} from "../src/index.js";
import { until } from "./redis.js";

const COUNT = 12;
const STUDENTS = ["schüler-1", "学生-2", "student-3", "élève-4"] as const;
const {
  REDIS_URL = "",
  PUBLISHER_REDIS_URL = REDIS_URL,
  SUBSCRIBER_REDIS_URL = REDIS_URL,
  FOLLOWER_REDIS_URL = REDIS_URL,
  STREAM_SHARDS = "0",
  WORKER = "",
} = process.env;

// The acceptance tests of the engine say which worker; without one there is nothing to try.
test("answers of the publisher come back as mastery, through a worker", { skip: !WORKER }, async () => {
  const shards = Number(STREAM_SHARDS);
  const stop = new AbortController();
  const following = new Redis(FOLLOWER_REDIS_URL, { enableReadyCheck: false });
  const followed = new Set<string>();
  let started = false;
  const followedAll = follow(following, {
    stream: "mastery",
    shards,
    signal: stop.signal,
    onStarted: () => void (started = true),
    handle: ({ causationid }) => void followed.add(causationid ?? ""),
  });
  await Promise.race([followedAll, until("the follower has started", () => started)]);
  const publishing = new Redis(PUBLISHER_REDIS_URL, { enableReadyCheck: false });
  const publisher = new Publisher(publishing, { shards });
  const now = Math.floor(Date.now() / 1_000);
  const claimsOf = (sub: string) => ({
    sub,
    iss: "https://school.example/auth/v1",
    aud: ["authenticated"],
    iat: now,
    exp: now + 3_600,
    tenant_id: "schule-7",
  });
  const sent = new Map<string, string>();
  for (let n = 0; n < COUNT; n += 1) {
    const student_id = STUDENTS[n % STUDENTS.length] ?? "";
    const event = responseRecorded(
      {
        response_id: randomUUID(),
        student_id,
        item_id: `q-${n}`,
        concept_ids: ["fractions.add"],
        ...(n % 4 === 3 ? { score: 0.25 } : { correct: true }),
        answered_at: new Date(Date.now() - (COUNT - n) * 1_000).toISOString(),
      },
      {
        claims: claimsOf(student_id),
      },
      { source: "/express/practice", correlationid: `req-${n}` },
    );
    await publisher.publish(event);
    // As a publisher does that is not sure.
    if (n % 5 === 0) await publisher.publish(event);
    sent.set(event.id, `req-${n}`);
  }
  const job = { job_id: randomUUID(), kind: "verify", parameters: { student_id: null } } as const;
  const admin = { claims: claimsOf("admin-server"), token: "eyJ" };
  await publisher.publish(jobRequested(job, admin, { source: "/express/admin" }));
  publishing.disconnect();

  await promisify(execFile)(WORKER, ["worker", "--burst", "--role", "engine"]);

  const subscribing = new Redis(SUBSCRIBER_REDIS_URL, { enableReadyCheck: false });
  const told = new Map<string, string>();
  const newest = new Map<string, MasteryData>();
  const remember = newestOnly(({ data }) => void newest.set(data.student_id, data));
  const ended = subscribe(subscribing, {
    stream: "mastery",
    group: "reports",
    consumer: "reports-0",
    startAt: "0",
    shards,
    signal: stop.signal,
    handle: async (event, delivery) => {
      told.set(event.causationid ?? "", event.correlationid ?? "");
      await remember(event, delivery);
    },
  });
  const all = () => told.size === COUNT && followed.size === COUNT;
  await Promise.race([ended, followedAll, until("all are told", all)]);
  stop.abort();
  await Promise.all([ended, followedAll]);
  subscribing.disconnect();
  following.disconnect();

  assert.deepEqual(new Map([...told].sort()), new Map([...sent].sort()));
  assert.deepEqual([...newest.keys()].sort(), [...STUDENTS].sort());
  for (const data of newest.values()) {
    assert.equal(data.tenant_id, "schule-7");
    assert.equal(data.attempts, COUNT / STUDENTS.length);
    assert.ok(data.mastery > 0 && data.mastery < 1);
  }
});
