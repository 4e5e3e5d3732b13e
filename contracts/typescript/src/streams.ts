/** Which stream a learner's events are in. */

import { crc32 } from "node:zlib";

import { STREAMS } from "./events.js";

/** A short name of a stream. */
export type StreamKey = keyof typeof STREAMS;

/** A short name of a stream that `STREAM_SHARDS` divides. */
export type ShardedStream = Exclude<StreamKey, "jobs">;

/** The stream of rejected jobs on a Redis Cluster, in the slot of the jobs. */
export const JOBS_REJECTED = `${STREAMS.rejections}.{${STREAMS.jobs}}`;

const DEFAULT_TENANT = "default";
const SUPABASE_TENANT = "app_metadata.tenant_id";

/**
 * The shard of a learner: CRC-32 of `tenant/student` modulo the number of shards.
 *
 * @param shards - The engine's `STREAM_SHARDS`; with 0 there is one shard, number 0.
 */
export function shardOf(tenantId: string, studentId: string, shards: number): number {
  return shards === 0 ? 0 : crc32(`${tenantId}/${studentId}`) % shards;
}

/**
 * The name of a stream, or of one shard of it.
 *
 * The braces let all streams of a shard share a slot of a Redis Cluster.
 */
export function streamName(stream: ShardedStream, shard: number, shards: number): string {
  return shards === 0 ? STREAMS[stream] : `${STREAMS[stream]}.{${shard}}`;
}

/**
 * All shards of a stream, in their order.
 *
 * @param cluster - Whether they are on a Redis Cluster, where rejected jobs have a stream of their own.
 */
export function streamNames(stream: ShardedStream, shards: number, cluster = false): string[] {
  const names = Array.from({ length: Math.max(shards, 1) }, (_, k) => streamName(stream, k, shards));
  return cluster && stream === "rejections" ? [...names, JOBS_REJECTED] : names;
}

/**
 * Returns the number of shards, if it is one.
 *
 * @param cluster - Whether they are on a Redis Cluster.
 * @throws RangeError if it is no whole number from 0 on, or 0 on a Redis Cluster: events would go
 * where nobody reads.
 */
export function checkedShards(shards: number, cluster = false): number {
  if (cluster && shards === 0) {
    throw new RangeError(
      "shards is 0: on a Redis Cluster give the engine's STREAM_SHARDS, 1 or more, since streams " +
        "under the plain names share no slot",
    );
  }
  if (!Number.isSafeInteger(shards) || shards < 0) {
    throw new RangeError(`shards is ${shards}: give the engine's STREAM_SHARDS, 0 or more`);
  }
  return shards;
}

/**
 * The tenant of claims, found as the engine finds it.
 *
 * @param claims - The verified claims of a JWT.
 * @param tenantClaim - The engine's `JWT_TENANT_CLAIM`, a dotted path.
 * @throws TypeError if the claim is there and no text: the engine would refuse the event.
 */
export function tenantOf(
  claims: Readonly<Record<string, unknown>>,
  tenantClaim = "tenant_id",
): string {
  for (const path of [tenantClaim, SUPABASE_TENANT]) {
    const value = at(claims, path);
    if (value === undefined || value === null) continue;
    if (typeof value !== "string") throw new TypeError(`the claim ${path} is no string`);
    return value;
  }
  return DEFAULT_TENANT;
}

function at(claims: Readonly<Record<string, unknown>>, path: string): unknown {
  let value: unknown = claims;
  for (const name of path.split(".")) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, name)) {
      return undefined;
    }
    value = (value as Record<string, unknown>)[name];
  }
  return value;
}
