/** Publishes events with one XADD each. */

import type { Cluster, Redis } from "ioredis";

import { Confirmer, type Confirmation } from "./confirmation.js";
import { STREAMS, type JobRequested, type ResponseRecorded } from "./events.js";
import { checkedShards, shardOf, streamName, tenantOf } from "./streams.js";

/** How the engine is set. */
export interface PublisherOptions {
  /** Its `STREAM_SHARDS`; 0 unless set. */
  shards?: number | undefined;
  /** Its `JWT_TENANT_CLAIM`; `tenant_id` unless set. */
  tenantClaim?: string | undefined;
  /**
   * What must have an event before it counts as published; the server that takes it unless set.
   * It takes a connection of its own for each server, and the right to WAIT (or WAITAOF).
   */
  confirmation?: Confirmation | undefined;
}

/** Where an event is. */
export interface Published {
  stream: string;
  entryId: string;
}

/** Publishes answers and requests for jobs. It needs the right to XADD and no other. */
export class Publisher {
  readonly #redis: Pick<Redis | Cluster, "xadd">;
  readonly #shards: number;
  readonly #tenantClaim: string;
  readonly #confirmer: Confirmer | undefined;

  /**
   * @throws RangeError if `shards` is no whole number from 0 on, or 0 on a Redis Cluster.
   * @throws TypeError if the client puts a prefix before each key: no engine would read there.
   */
  constructor(redis: Pick<Redis | Cluster, "xadd">, options?: PublisherOptions & { confirmation?: undefined });
  constructor(redis: Redis | Cluster, options: PublisherOptions);
  constructor(redis: Pick<Redis | Cluster, "xadd">, options: PublisherOptions = {}) {
    if (prefixOf(redis)) throw new TypeError("the client has a keyPrefix: give one without");
    this.#redis = redis;
    const cluster = (redis as Partial<Redis>).isCluster === true;
    this.#shards = checkedShards(options.shards ?? 0, cluster);
    this.#tenantClaim = options.tenantClaim ?? "tenant_id";
    this.#confirmer =
      options.confirmation && new Confirmer(redis as Redis | Cluster, options.confirmation);
  }

  /**
   * Adds an event to its stream.
   *
   * @returns Where it is, once Redis has it.
   * @throws NotConfirmedError if too few replicas have it: publish the same event again.
   * @throws Error where it is not known whether Redis has it: publish the same event again.
   */
  async publish(event: ResponseRecorded | JobRequested): Promise<Published> {
    const stream = this.streamOf(event);
    const text = JSON.stringify(event);
    if (this.#confirmer) return { stream, entryId: await this.#confirmer.add(stream, text) };
    const entryId = await this.#redis.xadd(stream, "*", "event", text);
    // Null is the answer to NOMKSTREAM alone, which is not asked for.
    return { stream, entryId: entryId ?? "" };
  }

  /** Closes the connections that a confirmation took; the client stays open. */
  close(): void {
    this.#confirmer?.close();
  }

  /**
   * The stream that an event belongs to.
   *
   * @throws TypeError if the claim of the tenant is no text.
   */
  streamOf(event: ResponseRecorded | JobRequested): string {
    if (!("response" in event.data)) return STREAMS.jobs;
    const tenant = tenantOf(event.data.claims, this.#tenantClaim);
    const shard = shardOf(tenant, event.data.response.student_id, this.#shards);
    return streamName("responses", shard, this.#shards);
  }
}

function prefixOf(redis: object): string | undefined {
  return (redis as { options?: { keyPrefix?: string } }).options?.keyPrefix;
}
