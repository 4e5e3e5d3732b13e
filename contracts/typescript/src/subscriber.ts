/** Subscribes to what the engine tells, with a consumer group. */

import type { Cluster, Redis } from "ioredis";

import { dedicated, disturbed } from "./connection.js";
import { logged, type Failure, type Handler, type Verdict } from "./delivery.js";
import type { EventOfStream } from "./events.js";
import { GroupConsumer } from "./group.js";
import { ShardReader } from "./shard-reader.js";
import { checkedShards, streamNames } from "./streams.js";

/** The type of the events of each stream. */
export const TYPES = {
  mastery: "practice.mastery.changed.v1",
  unlocked: "practice.concept.unlocked.v1",
  rejections: "practice.response.rejected.v1",
} as const satisfies Partial<{ [K in keyof EventOfStream]: EventOfStream[K]["type"] }>;

/** A short name of a stream that can be subscribed to. */
export type Subscribed = keyof typeof TYPES;

/** Where a new group begins. */
export type StartAt = "0" | "$" | Readonly<Record<string, string>>;

/** What to subscribe to, as whom, and what to do. */
export interface SubscribeOptions<S extends Subscribed> {
  stream: S;
  /** The group: each event is handled by one of its consumers. */
  group: string;
  /**
   * The name of this process in the group: no other's, and the same after a restart, so that it
   * takes up at once what it left. Such as the name of a pod of a StatefulSet.
   */
  consumer: string;
  /**
   * Where a group begins that is made now: `0` with all that is kept, `$` with what comes, or the
   * `positions` of a snapshot, by stream.
   */
  startAt: StartAt;
  /** The engine's `STREAM_SHARDS`; 0 unless set. */
  shards?: number | undefined;
  /** Stops it: the event being handled is handled to its end, the rest is left for later. */
  signal: AbortSignal;
  /**
   * Handles an event, of each shard one after the other. An event may come again: after a crash,
   * and when it took longer than `claimAfterMs`.
   */
  handle: Handler<EventOfStream[S]>;
  /** What becomes of an event that failed; unless set it is logged, and comes again. */
  onFailure?: ((failure: Failure<EventOfStream[S]>) => Promise<Verdict> | Verdict) | undefined;
  /** Told when Redis is away or the group was gone, both of which mend; unless set it is logged. */
  onDisturbance?: ((error: unknown, stream: string) => void) | undefined;
  /** After how long an event that is not acknowledged comes again, to whoever asks first. */
  claimAfterMs?: number | undefined;
  /** How many events are read at once. */
  batchSize?: number | undefined;
}

/**
 * Handles the events of a stream, all its shards, until the signal.
 *
 * Nothing is lost: an event is acknowledged after it was handled. For each shard it opens a
 * connection like that of `redis`, which it does not use itself.
 *
 * @throws Error if Redis refuses what no waiting will change, such as a right that is missing, or
 * `onFailure` throws.
 * @throws RangeError if `startAt` has positions, but not of each stream.
 */
export async function subscribe<S extends Subscribed>(
  redis: Redis | Cluster,
  options: SubscribeOptions<S>,
): Promise<void> {
  const streams = namesOn(redis, options.stream, options.shards ?? 0);
  const starts = new Map(streams.map((stream) => [stream, startOf(stream, options.startAt)]));
  const failed = new AbortController();
  const signal = AbortSignal.any([options.signal, failed.signal]);
  if (signal.aborted) return;
  const reading = {
    type: TYPES[options.stream],
    handle: options.handle,
    onFailure: options.onFailure ?? logged,
    onDisturbance: options.onDisturbance ?? disturbed,
    claimAfterMs: options.claimAfterMs ?? 60_000,
    batchSize: options.batchSize ?? 32,
  };
  const ended = await Promise.allSettled(
    streams.map(async (stream) => {
      const { group, consumer } = options;
      const own = new GroupConsumer(dedicated(redis), stream, group, consumer);
      try {
        const startAt = starts.get(stream) ?? "0";
        await new ShardReader(own, { ...reading, startAt }, signal).run();
      } catch (error) {
        failed.abort();
        throw error;
      }
    }),
  );
  for (const end of ended) if (end.status === "rejected") throw end.reason;
}

/**
 * The present ends of the streams, by stream. Read them before a snapshot: what the snapshot lacks
 * is published after them.
 *
 * @param shards - The engine's `STREAM_SHARDS`.
 */
export async function positions(
  redis: Redis | Cluster,
  stream: Subscribed,
  shards = 0,
): Promise<Record<string, string>> {
  const ends: Record<string, string> = {};
  for (const name of namesOn(redis, stream, shards)) ends[name] = await end(redis, name);
  return ends;
}

/** The names of the streams as they are on that Redis. */
export function namesOn(redis: Redis | Cluster, stream: Subscribed, shards: number): string[] {
  return streamNames(stream, checkedShards(shards, redis.isCluster), redis.isCluster);
}

async function end(redis: Redis | Cluster, stream: string): Promise<string> {
  try {
    const told = (await redis.call("xinfo", "stream", stream)) as unknown;
    // A client that is set to show maps as RESP3 has them gives an object.
    if (!Array.isArray(told)) return String((told as Record<string, unknown>)["last-generated-id"]);
    return String(told[told.indexOf("last-generated-id") + 1]);
  } catch (error) {
    if (error instanceof Error && error.message.includes("no such key")) return "0-0";
    throw error;
  }
}

function startOf(stream: string, startAt: StartAt): string {
  const start = typeof startAt === "string" ? startAt : startAt[stream];
  if (start === undefined) {
    throw new RangeError(
      `startAt lacks ${stream}: give the positions of a snapshot taken under this number of shards`,
    );
  }
  return start;
}
