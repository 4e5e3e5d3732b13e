/** Follows a stream without a group: each process gets every event that is published from now on. */

import type { Cluster, Redis } from "ioredis";

import { dedicated, disturbed } from "./connection.js";
import type { Handler } from "./delivery.js";
import type { EventOfStream } from "./events.js";
import { namesOn, TYPES, type Subscribed } from "./subscriber.js";
import { Tail } from "./tail.js";

/** What to follow, and what to do. */
export interface FollowOptions<S extends Subscribed> {
  stream: S;
  /** The engine's `STREAM_SHARDS`; 0 unless set. */
  shards?: number | undefined;
  /** Ends it. */
  signal: AbortSignal;
  /** Handles an event, one after the other of each connection. If it throws, the following ends. */
  handle: Handler<EventOfStream[S]>;
  /** Called once, when all that is published from then on will be handled. */
  onStarted?: (() => void) | undefined;
  /** Told when Redis is away or an entry is no event; unless set it is logged. */
  onDisturbance?: ((error: unknown, stream: string) => void) | undefined;
  /** How many events are read at once. */
  batchSize?: number | undefined;
}

/**
 * Handles the events of a stream, all its shards, that are published from now on.
 *
 * For live pages and for those who wait: nothing is acknowledged, and what is published while the
 * process is down is not read. Use `subscribe` where nothing may be lost. It needs the rights of the
 * user `subscriber` alone, and opens a connection like that of `redis`, one for each shard in a
 * cluster.
 *
 * @throws Error if Redis refuses what no waiting will change, such as a right that is missing, or
 * `handle` throws.
 */
export async function follow<S extends Subscribed>(
  redis: Redis | Cluster,
  options: FollowOptions<S>,
): Promise<void> {
  const streams = namesOn(redis, options.stream, options.shards ?? 0);
  const failed = new AbortController();
  const signal = AbortSignal.any([options.signal, failed.signal]);
  if (signal.aborted) return;
  // The shards of a cluster are on different servers, and one XREAD asks one of them.
  const groups = redis.isCluster ? streams.map((stream) => [stream]) : [streams];
  let unstarted = groups.length;
  const tailing = {
    type: TYPES[options.stream],
    handle: options.handle,
    onStarted: () => {
      unstarted -= 1;
      if (unstarted === 0) options.onStarted?.();
    },
    onDisturbance: options.onDisturbance ?? disturbed,
    batchSize: options.batchSize ?? 100,
  };
  const ended = await Promise.allSettled(
    groups.map(async (names) => {
      try {
        await new Tail(dedicated(redis), names, tailing, signal).run();
      } catch (error) {
        failed.abort();
        throw error;
      }
    }),
  );
  for (const end of ended) if (end.status === "rejected") throw end.reason;
}
