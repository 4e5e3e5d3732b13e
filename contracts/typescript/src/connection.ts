/** Connections of readers. */

import type { Cluster, Redis } from "ioredis";

/** A connection that may block, and waits for a server that is away as long as it takes. */
export function dedicated(redis: Redis | Cluster): Redis | Cluster {
  const patient = {
    maxRetriesPerRequest: null,
    commandTimeout: undefined,
    keepAlive: 10_000,
    // The engine's streams have the names that they have.
    keyPrefix: "",
    // After a failover the old server is only a replica.
    reconnectOnError: (error: Error) => error.message.startsWith("READONLY"),
  };
  // Not by instanceof: there may be two copies of ioredis.
  return redis.isCluster
    ? (redis as Cluster).duplicate([], { keyPrefix: "", redisOptions: patient })
    : (redis as Redis).duplicate(patient);
}

/** Logs what disturbs a reader and mends by itself. */
export function disturbed(error: unknown, stream: string): void {
  // Once for each try: a line, not a stack.
  console.error(`subscription to ${stream} is disturbed:`, error instanceof Error ? error.message : error);
}
