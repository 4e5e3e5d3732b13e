/** A subscriber that says which entry it was given, and never finishes with it. */

import { Redis } from "ioredis";

import { subscribe } from "../src/index.js";
import { redisUrl } from "./redis.js";

await subscribe(new Redis(redisUrl()), {
  stream: "mastery",
  group: "reports",
  consumer: "dying",
  startAt: "0",
  signal: new AbortController().signal,
  handle: async (_, { entryId }) => {
    process.stdout.write(`${entryId}\n`);
    await new Promise(() => undefined);
  },
});
