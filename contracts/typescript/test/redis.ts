/** A real Redis for the tests, and what they see in it. */

import { setTimeout as sleep } from "node:timers/promises";

import { Redis } from "ioredis";

const PATIENCE_MS = 60_000;

/** A client of the Redis of `TEST_REDIS_URL`, whose database is emptied. */
export async function emptyRedis(): Promise<Redis> {
  const redis = new Redis(redisUrl());
  await redis.flushdb();
  return redis;
}

export function redisUrl(): string {
  const url = process.env["TEST_REDIS_URL"];
  if (!url) throw new Error("TEST_REDIS_URL is not set: the tests want a Redis that they may empty");
  return url;
}

/** The events of a stream; each entry has the one field `event`. */
export async function eventsIn(redis: Redis, stream: string): Promise<unknown[]> {
  const entries = await redis.xrange(stream, "-", "+");
  return entries.map(([, fields]) => {
    if (fields.length !== 2 || fields[0] !== "event") throw new Error(`fields: ${fields}`);
    return JSON.parse(fields[1] ?? "");
  });
}

/** How many entries of a group are not acknowledged. */
export async function pendingIn(redis: Redis, stream: string, group: string): Promise<number> {
  const [count] = await redis.xpending(stream, group);
  return Number(count);
}

/** Waits until it holds, however slow the machine is. */
export async function until(what: string, holds: () => Promise<boolean> | boolean): Promise<void> {
  const end = Date.now() + PATIENCE_MS;
  while (!(await holds())) {
    if (Date.now() > end) throw new Error(`it did not happen: ${what}`);
    await sleep(10);
  }
}
