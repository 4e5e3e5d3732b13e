/** Confirms that replicas have an event, which then outlives the loss of its server. */

import type { Cluster, Redis } from "ioredis";

import { Lane } from "./lane.js";
import { slotOf } from "./slots.js";

/** Which servers must have an event before it counts as published. */
export interface Confirmation {
  /**
   * How many replicas; 1 unless set. A failover promotes any of them, so only all replicas of a
   * master make sure that none is promoted without the event.
   */
  replicas?: number | undefined;
  /** How long to wait for them, milliseconds; 1000 unless set. */
  timeoutMs?: number | undefined;
  /**
   * Whether the server and these replicas must have it on disk (WAITAOF, Redis 7.2, with
   * `appendonly yes`); in memory (WAIT) unless set.
   */
  onDisk?: boolean | undefined;
}

/** Redis has the event, but too few replicas said so in time: publish it again. */
export class NotConfirmedError extends Error {
  override readonly name = "NotConfirmedError";
  /** How many replicas have it. */
  readonly replicas: number;

  constructor(wanted: number, replicas: number) {
    super(`${replicas} of ${wanted} replicas have the event: publish it again`);
    this.replicas = replicas;
  }
}

const REDIRECTIONS = 8;

/** Adds entries, and has each confirmed by the connection that added it. */
export class Confirmer {
  readonly #redis: Redis | Cluster;
  readonly #replicas: number;
  readonly #command: readonly (string | number)[];
  readonly #onDisk: boolean;
  readonly #lanes = new Map<string, Lane>();

  /** @throws RangeError if a number is out of range. */
  constructor(redis: Redis | Cluster, confirmation: Confirmation) {
    const { replicas = 1, timeoutMs = 1000, onDisk = false } = confirmation;
    if (!Number.isSafeInteger(replicas) || replicas < (onDisk ? 0 : 1)) {
      throw new RangeError(`replicas is ${replicas}: ask for 1 or more`);
    }
    // Redis would wait for ever.
    if (!(timeoutMs >= 1)) throw new RangeError(`timeoutMs is ${timeoutMs}: give 1 or more`);
    this.#redis = redis;
    this.#replicas = replicas;
    this.#onDisk = onDisk;
    const limit = Math.ceil(timeoutMs);
    this.#command = onDisk ? ["waitaof", 1, replicas, limit] : ["wait", replicas, limit];
  }

  /**
   * Adds an entry with the field `event`, and returns its id once it is confirmed.
   *
   * @throws NotConfirmedError if it is added and not confirmed.
   * @throws Error where it is not known whether it is added.
   */
  async add(stream: string, event: string): Promise<string> {
    let asked: string | undefined;
    for (let times = 0; times < REDIRECTIONS; times += 1) {
      const node = asked ?? (await this.#nodeOf(stream));
      const lane = this.#laneTo(node);
      try {
        const added = await lane.add({ stream, event, asking: asked !== undefined });
        this.#check(added.confirmed);
        return added.entryId;
      } catch (error) {
        const redirection = /^(MOVED|ASK) \d+ (\S+)$/.exec(messageOf(error));
        if (redirection === null) {
          if (!(error instanceof NotConfirmedError) && lane.ended) this.#forget(node);
          throw error;
        }
        asked = redirection[1] === "ASK" ? redirection[2] : undefined;
        if (redirection[1] === "MOVED") await this.#lookAgain();
      }
    }
    throw new Error(`${stream} was redirected ${REDIRECTIONS} times: publish it again`);
  }

  /** Closes the connections of its own. */
  close(): void {
    for (const lane of this.#lanes.values()) lane.close();
    this.#lanes.clear();
  }

  #check(answer: unknown): void {
    const [here, replicas] = this.#onDisk ? (answer as number[]) : [1, answer as number];
    if ((here ?? 0) < 1 || (replicas ?? 0) < this.#replicas) {
      throw new NotConfirmedError(this.#replicas, replicas ?? 0);
    }
  }

  /** The address of the node that serves a stream; empty for the only server. */
  async #nodeOf(stream: string): Promise<string> {
    if (!this.#redis.isCluster) return "";
    const cluster = this.#redis as Cluster;
    if (cluster.slots.length === 0) await this.#lookAgain();
    const node = cluster.slots[slotOf(stream)]?.[0];
    if (node === undefined) throw new Error(`no node serves ${stream}: publish it again`);
    return node;
  }

  #laneTo(node: string): Lane {
    const known = this.#lanes.get(node);
    if (known !== undefined && !known.ended) return known;
    const lane = new Lane(connectionTo(this.#redis, node), this.#command);
    this.#lanes.set(node, lane);
    return lane;
  }

  #forget(node: string): void {
    this.#lanes.get(node)?.close();
    this.#lanes.delete(node);
    // The next event may find another node in its place.
    if (this.#redis.isCluster) void this.#lookAgain().catch(() => undefined);
  }

  async #lookAgain(): Promise<void> {
    const cluster = this.#redis as Cluster;
    if (cluster.status === "wait") await cluster.connect();
    await new Promise<void>((resolve, reject) => {
      cluster.refreshSlotsCache((error) => (error ? reject(error) : resolve()));
    });
  }
}

function connectionTo(redis: Redis | Cluster, node: string): Redis {
  // A confirmation that is sent again over a new connection would confirm nothing.
  const options = { autoResendUnfulfilledCommands: false, keyPrefix: "", readOnly: false };
  if (!redis.isCluster) return (redis as Redis).duplicate(options);
  const [any] = (redis as Cluster).nodes("all");
  if (any === undefined) throw new Error("the cluster has no node: publish it again");
  const colon = node.lastIndexOf(":");
  const [host, port] = [node.slice(0, colon), Number(node.slice(colon + 1))];
  return any.duplicate({ ...options, host, port, retryStrategy: () => null });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : "";
}
