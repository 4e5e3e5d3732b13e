/** One consumer of one stream's group: the commands of Redis, and what they answer. */

import type { Cluster, Redis } from "ioredis";

/** An entry of a stream. */
export interface Entry {
  id: string;
  /** Its field `event`; undefined without one, null where the entry itself is gone. */
  text: string | undefined | null;
}

/** Error codes of a server that will answer soon. */
const PASSING =
  /^(LOADING|READONLY|BUSY|TRYAGAIN|CLUSTERDOWN|MASTERDOWN|MISCONF|OOM|NOREPLICAS)\b/;

/** Whether waiting helps: the server is away, or busy with itself. */
export function passes(error: unknown): boolean {
  return !(error instanceof Error) || error.name !== "ReplyError" || PASSING.test(error.message);
}

/** Whether somebody has removed the group, or the stream with it. */
export function groupIsGone(error: unknown): boolean {
  return error instanceof Error && /^(NOGROUP|UNBLOCKED)\b/.test(error.message);
}

/** A consumer, on a connection of its own. */
export class GroupConsumer {
  readonly connection: Redis | Cluster;
  readonly stream: string;
  readonly #group: string;
  readonly #consumer: string;

  constructor(connection: Redis | Cluster, stream: string, group: string, consumer: string) {
    this.connection = connection;
    this.stream = stream;
    this.#group = group;
    this.#consumer = consumer;
  }

  /** Makes the group, and the stream, where there is none. */
  async create(startAt: string): Promise<void> {
    try {
      await this.connection.call("xgroup", "create", this.stream, this.#group, startAt, "mkstream");
    } catch (error) {
      if (!(error instanceof Error) || !error.message.startsWith("BUSYGROUP")) throw error;
    }
  }

  /** Entries that were delivered to this consumer, are not acknowledged, and come after an id. */
  own(after: string, count: number): Promise<Entry[]> {
    return this.#read(["count", `${count}`], after);
  }

  /** Entries that nobody has read yet; none if none comes in time. */
  unread(count: number, waitMs: number): Promise<Entry[]> {
    return this.#read(["count", `${count}`, "block", `${Math.max(1, Math.ceil(waitMs))}`], ">");
  }

  /**
   * Takes over entries that nobody has acknowledged for so long.
   *
   * @returns The entries, and where to go on: `0-0` at the end.
   */
  async claim(idleMs: number, from: string, count: number): Promise<[string, Entry[]]> {
    const reply = (await this.connection.call(
      ...["xautoclaim", this.stream, this.#group, this.#consumer],
      ...[`${idleMs}`, from, "count", `${count}`],
    )) as [string, unknown];
    return [reply[0], entries(reply[1])];
  }

  async acknowledge(id: string): Promise<void> {
    await this.connection.call("xack", this.stream, this.#group, id);
  }

  /** How often an entry was delivered. */
  async deliveries(id: string): Promise<number> {
    const reply = await this.connection.call("xpending", this.stream, this.#group, id, id, "1");
    const [pending] = reply as [[string, string, number, number]?];
    return Number(pending?.[3] ?? 1);
  }

  async #read(how: string[], from: string): Promise<Entry[]> {
    const reply = await this.connection.call(
      ...(["xreadgroup", "group", this.#group, this.#consumer] as const),
      ...[...how, "streams", this.stream, from],
    );
    return [...readReply(reply).values()][0] ?? [];
  }
}

/** The entries of each stream in what XREAD or XREADGROUP answered. */
export function readReply(reply: unknown): Map<string, Entry[]> {
  if (reply === null) return new Map();
  // A client that is set to show maps as RESP3 has them gives an object.
  const found = Array.isArray(reply) ? (reply as [string, unknown][]) : Object.entries(reply as object);
  return new Map(found.map(([stream, read]) => [stream, entries(read ?? [])]));
}

/** The entries in what Redis answered. */
export function entries(reply: unknown): Entry[] {
  const found = reply as ([string, string[] | null] | null)[];
  // Redis 6.2 claims entries that are gone as nothing, without their id.
  return found.filter((one) => one !== null).map(([id, fields]) => ({ id, text: eventOf(fields) }));
}

function eventOf(fields: string[] | null): string | undefined | null {
  if (fields === null) return null;
  const at = fields.findIndex((name, index) => index % 2 === 0 && name === "event");
  return at < 0 ? undefined : fields[at + 1];
}
