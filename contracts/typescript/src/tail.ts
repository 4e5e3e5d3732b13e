/** Reads streams from their present ends on, without a group. */

import { setTimeout as sleep } from "node:timers/promises";

import type { Cluster, Redis } from "ioredis";

import { UnreadableEventError, readEvent, type Handler } from "./delivery.js";
import { entries, passes, readReply, type Entry } from "./group.js";

const LONGEST_WAIT_MS = 5_000;
const FIRST_PAUSE_MS = 100;

/** How to read. */
export interface Tailing<Event> {
  type: string;
  handle: Handler<Event>;
  /** Called once the ends are known: what is published from now on is handled. */
  onStarted: () => void;
  onDisturbance: (error: unknown, stream: string) => void;
  batchSize: number;
}

/** Reads some streams over one connection until the signal. */
export class Tail<Event> {
  readonly #connection: Redis | Cluster;
  readonly #streams: readonly string[];
  readonly #tailing: Tailing<Event>;
  readonly #signal: AbortSignal;
  /** By stream, the last entry that was read; undefined until the ends are known. */
  #after: Map<string, string> | undefined;
  #giveUp: ((reason: Error) => void) | undefined;

  constructor(
    connection: Redis | Cluster,
    streams: readonly string[],
    tailing: Tailing<Event>,
    signal: AbortSignal,
  ) {
    this.#connection = connection;
    this.#streams = streams;
    this.#tailing = tailing;
    this.#signal = signal;
  }

  /** @throws Error if Redis refuses what no waiting will change, or `handle` throws. */
  async run(): Promise<void> {
    const name = this.#streams.join(", ");
    const stop = () => this.#giveUp?.(new Stopped());
    this.#signal.addEventListener("abort", stop);
    this.#connection.on("error", (error) => this.#tailing.onDisturbance(error, name));
    let pauseMs = FIRST_PAUSE_MS;
    try {
      while (!this.#signal.aborted) {
        let found: Map<string, Entry[]>;
        try {
          found = await this.#asked(this.#read());
          pauseMs = FIRST_PAUSE_MS;
        } catch (error) {
          if (error instanceof Stopped) return;
          if (!passes(error)) throw error;
          this.#tailing.onDisturbance(error, name);
          await sleep(pauseMs, undefined, { signal: this.#signal }).catch(() => undefined);
          pauseMs = Math.min(2 * pauseMs, LONGEST_WAIT_MS);
          continue;
        }
        for (const [stream, read] of found) await this.#handleAll(stream, read);
      }
    } finally {
      this.#signal.removeEventListener("abort", stop);
      this.#connection.disconnect();
    }
  }

  async #read(): Promise<Map<string, Entry[]>> {
    if (this.#after === undefined) {
      this.#after = await this.#ends();
      this.#tailing.onStarted();
    }
    return readReply(
      await this.#connection.call(
        ...(["xread", "count", `${this.#tailing.batchSize}`] as const),
        ...["block", `${LONGEST_WAIT_MS}`, "streams", ...this.#after.keys(), ...this.#after.values()],
      ),
    );
  }

  async #ends(): Promise<Map<string, string>> {
    const ends = new Map<string, string>();
    for (const stream of this.#streams) {
      // Not `$` for each read: what is published between two reads would be lost.
      const newest = await this.#connection.call("xrevrange", stream, "+", "-", "count", "1");
      ends.set(stream, entries(newest)[0]?.id ?? "0-0");
    }
    return ends;
  }

  async #handleAll(stream: string, found: Entry[]): Promise<void> {
    for (const { id, text } of found) {
      if (this.#signal.aborted) return;
      this.#after?.set(stream, id);
      let event: Event;
      try {
        event = readEvent<Event>(text ?? undefined, this.#tailing.type);
      } catch (error) {
        if (!(error instanceof UnreadableEventError)) throw error;
        this.#tailing.onDisturbance(error, stream);
        continue;
      }
      await this.#tailing.handle(event, { stream, entryId: id });
    }
  }

  /** Waits for what Redis answers, unless the signal ends the wait. */
  #asked<T>(command: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      command.then(resolve, reject);
      this.#giveUp = reject;
    });
  }
}

/** The wait was given up because the signal said so. */
class Stopped extends Error {}
