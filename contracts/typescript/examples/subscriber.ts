/** Keeps the current mastery of each student and concept. */

import { Redis } from "ioredis";

// In your app: from "@mastery-engine/contracts".
import { newestOnly, subscribe } from "../src/index.js";

// The ready check asks for INFO, which a subscriber's user may not.
const redis = new Redis(process.env["REDIS_URL"] ?? "redis://localhost", { enableReadyCheck: false });
const stop = new AbortController();
process.once("SIGTERM", () => stop.abort());

await subscribe(redis, {
  stream: "mastery",
  group: "reports",
  consumer: process.env["HOSTNAME"] ?? "reports-0",
  startAt: "0",
  shards: Number(process.env["STREAM_SHARDS"] ?? 0),
  signal: stop.signal,
  handle: newestOnly(({ data }) => {
    // Here: insert … on conflict … do update … where mastery.version < excluded.version.
    console.log(data.student_id, data.concept_id, data.mastery, data.version);
  }),
});
redis.disconnect();
