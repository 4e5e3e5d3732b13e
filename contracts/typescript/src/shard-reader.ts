/** Reads one stream for one consumer, until it is told to stop. */

import { setTimeout as sleep } from "node:timers/promises";

import { readEvent, type Failure, type Handler, type Verdict } from "./delivery.js";
import { groupIsGone, passes, type Entry, type GroupConsumer } from "./group.js";

const LONGEST_WAIT_MS = 5_000;
const FIRST_PAUSE_MS = 100;

/** How to read. */
export interface Reading<Event> {
  type: string;
  startAt: string;
  handle: Handler<Event>;
  onFailure: (failure: Failure<Event>) => Promise<Verdict> | Verdict;
  onDisturbance: (error: unknown, stream: string) => void;
  claimAfterMs: number;
  batchSize: number;
}

/**
 * Reads a stream: first what this consumer left of an earlier life, then what is new, and now and
 * then what others have left.
 */
export class ShardReader<Event> {
  readonly #consumer: GroupConsumer;
  readonly #reading: Reading<Event>;
  readonly #signal: AbortSignal;
  /** Where to begin a group that has yet to be made. */
  #startAt: string | undefined;
  /** After which id to read on among its own entries; undefined when there are none left. */
  #ownAfter: string | undefined = "0";
  #nextClaim = 0;
  #claimFrom = "0-0";
  /** Ends the wait for the command on its way; whether a stop does so at once. */
  #giveUp: ((reason: Error) => void) | undefined;
  #interruptible = false;

  constructor(consumer: GroupConsumer, reading: Reading<Event>, signal: AbortSignal) {
    this.#consumer = consumer;
    this.#reading = reading;
    this.#signal = signal;
    this.#startAt = reading.startAt;
  }

  /**
   * Reads until the signal; the event being handled then is handled to its end.
   *
   * @throws Error if Redis refuses what no waiting will change, or `onFailure` throws.
   */
  async run(): Promise<void> {
    const { connection, stream } = this.#consumer;
    // ioredis leaves commands open that wait for a connection when it is told to make none.
    const interrupt = () => {
      // An acknowledgement on its way is waited for, a server that is away is not.
      if (this.#interruptible || connection.status !== "ready") this.#giveUp?.(new Stopped());
    };
    const closed = () => this.#signal.aborted && this.#giveUp?.(new Stopped());
    this.#signal.addEventListener("abort", interrupt);
    connection.on("error", (error) => this.#reading.onDisturbance(error, stream));
    connection.on("close", closed);
    try {
      await this.#turns();
    } finally {
      this.#signal.removeEventListener("abort", interrupt);
      connection.off("close", closed);
      connection.disconnect();
    }
  }

  async #turns(): Promise<void> {
    let pauseMs = FIRST_PAUSE_MS;
    while (!this.#signal.aborted) {
      try {
        await this.#turn();
        pauseMs = FIRST_PAUSE_MS;
      } catch (error) {
        if (error instanceof Thrown) throw error.cause;
        if (this.#signal.aborted) return;
        if (groupIsGone(error)) {
          // What was read and not acknowledged is forgotten with it: rather twice than never.
          this.#startAt = this.#reading.startAt === "$" ? "0" : this.#reading.startAt;
        } else if (!passes(error)) {
          throw error;
        }
        this.#reading.onDisturbance(error, this.#consumer.stream);
        await sleep(pauseMs, undefined, { signal: this.#signal }).catch(() => undefined);
        pauseMs = Math.min(2 * pauseMs, LONGEST_WAIT_MS);
      }
    }
  }

  async #turn(): Promise<void> {
    const { batchSize, claimAfterMs } = this.#reading;
    if (this.#startAt !== undefined) {
      await this.#asked(this.#consumer.create(this.#startAt));
      this.#startAt = undefined;
      this.#ownAfter = "0";
    }
    if (this.#ownAfter !== undefined) {
      const found = await this.#asked(this.#consumer.own(this.#ownAfter, batchSize));
      this.#ownAfter = found.at(-1)?.id;
      return this.#handleAll(found);
    }
    if (Date.now() >= this.#nextClaim) {
      const claimed = this.#consumer.claim(claimAfterMs, this.#claimFrom, batchSize);
      const [next, found] = await this.#asked(claimed);
      this.#claimFrom = next;
      if (next === "0-0") this.#nextClaim = Date.now() + claimAfterMs / 2;
      return this.#handleAll(found);
    }
    const waitMs = Math.min(LONGEST_WAIT_MS, this.#nextClaim - Date.now());
    return this.#handleAll(await this.#asked(this.#consumer.unread(batchSize, waitMs)));
  }

  /** Waits for what Redis answers, unless a stop makes an end of it. */
  #asked<T>(command: Promise<T>, interruptible = true): Promise<T> {
    return new Promise((resolve, reject) => {
      command.then(resolve, reject);
      this.#giveUp = reject;
      this.#interruptible = interruptible;
      if (this.#signal.aborted && this.#consumer.connection.status !== "ready") reject(new Stopped());
    });
  }

  #acknowledged(id: string): Promise<void> {
    return this.#asked(this.#consumer.acknowledge(id), false);
  }

  async #handleAll(found: Entry[]): Promise<void> {
    const began = Date.now();
    let last: string | undefined;
    for (const entry of found) {
      if (this.#signal.aborted) return;
      if (last !== undefined && Date.now() - began > this.#reading.claimAfterMs / 2) {
        // The rest may soon be another's: read again what is still this consumer's.
        this.#ownAfter = last;
        return;
      }
      await this.#handle(entry);
      last = entry.id;
    }
  }

  async #handle({ id, text }: Entry): Promise<void> {
    const { handle, type } = this.#reading;
    // It was trimmed before it was acknowledged: the number of entries kept has a bound.
    if (text === null) return this.#acknowledged(id);
    let event: Event | undefined;
    try {
      event = readEvent<Event>(text, type);
      await handle(event, { stream: this.#consumer.stream, entryId: id });
    } catch (error) {
      if ((await this.#judged(id, event, error)) === "retry") return;
    }
    await this.#acknowledged(id);
  }

  async #judged(id: string, event: Event | undefined, error: unknown): Promise<Verdict> {
    const { stream } = this.#consumer;
    const deliveries = await this.#asked(this.#consumer.deliveries(id), false);
    try {
      return await this.#reading.onFailure({ stream, entryId: id, error, event, deliveries });
    } catch (thrown) {
      throw new Thrown(thrown);
    }
  }
}

/** What `onFailure` threw: a wish of the program, no trouble of Redis. */
class Thrown extends Error {
  constructor(cause: unknown) {
    super("onFailure threw", { cause });
  }
}

/** A command was given up, since the signal said so. */
class Stopped extends Error {}
