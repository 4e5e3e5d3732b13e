/** A transactional outbox: an answer is safe in your own database before Redis has it. */

import { setTimeout as sleep } from "node:timers/promises";

import type { Pool } from "pg";

import type { Publisher, Reported, ResponseRecorded } from "../src/index.js";
import { publishAll } from "./batches.js";

/** The table, in your own database. */
export const OUTBOX_TABLE = `
create table if not exists practice_outbox (
  id bigint generated always as identity primary key,
  event json not null,
  added_at timestamptz not null default now()
)`;

const IDLE_MS = 1_000;
const LONGEST_PAUSE_MS = 30_000;
/** Longer than a batch takes to be published. */
const MARGIN_S = 60;

/** A pool, or the connection of a transaction of yours. */
export type Database = Pick<Pool, "query">;

export interface OutboxOptions {
  pool: Pool;
  publisher: Pick<Publisher, "publish">;
  /** How many events are published at once. */
  batchSize?: number | undefined;
  /**
   * Gives new claims and a new token to an event that waited until its token expired: the engine
   * refuses it otherwise, since it judges the expiry when the event enters the stream.
   */
  renew?: ((event: ResponseRecorded) => Promise<Reported>) | undefined;
  /** Told why events could not be published; they are tried again. */
  onDisturbance?: ((error: unknown) => void) | undefined;
}

/** Keeps events in the table, and moves them to Redis in their order. */
export class Outbox {
  readonly #options: OutboxOptions;
  readonly #stop = new AbortController();
  #wake = new AbortController();
  #running: Promise<void> | undefined;

  constructor(options: OutboxOptions) {
    this.#options = options;
  }

  /** Keeps an event: from here on it can't be lost. */
  async publish(event: ResponseRecorded): Promise<undefined> {
    await this.add(this.#options.pool, event);
    this.wake();
  }

  /** Keeps an event in a transaction of yours; call `wake` after its commit. */
  async add(database: Database, event: ResponseRecorded): Promise<void> {
    const text = JSON.stringify(event);
    await database.query("insert into practice_outbox (event) values ($1)", [text]);
  }

  /** Moves what is there at once. */
  wake(): void {
    this.#wake.abort();
  }

  /** Moves events until `stop`; any number of processes may do so. */
  start(): void {
    this.#running ??= this.#run();
  }

  /** Ends after the batch at hand; what is left is moved after the next start. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  /**
   * Moves one batch.
   *
   * @returns How many events were moved.
   * @throws Error if the database is away, or Redis did not take all of them.
   */
  async relay(): Promise<number> {
    const { pool, publisher, batchSize = 200 } = this.#options;
    const client = await pool.connect();
    try {
      await client.query("begin");
      // Locked rows are another process's batch.
      const { rows } = await client.query<{ id: string; event: ResponseRecorded }>(
        "select id, event from practice_outbox order by id limit $1 for update skip locked",
        [batchSize],
      );
      const events = await Promise.all(rows.map(({ event }) => this.#current(event)));
      const ended = await publishAll(publisher, events);
      const sent = rows.filter((_, n) => ended[n]?.status === "fulfilled").map(({ id }) => id);
      await client.query("delete from practice_outbox where id = any($1::bigint[])", [sent]);
      // A crash before the commit publishes them again: the same events, which count once.
      await client.query("commit");
      const failure = ended.find((end) => end.status === "rejected");
      if (failure !== undefined) throw failure.reason;
      client.release();
      return sent.length;
    } catch (error) {
      // Whatever state it is in: a closed connection rolls its transaction back.
      client.release(true);
      throw error;
    }
  }

  async #run(): Promise<void> {
    let pauseMs = IDLE_MS;
    while (!this.#stop.signal.aborted) {
      this.#wake = new AbortController();
      let wakes = [this.#stop.signal, this.#wake.signal];
      try {
        const moved = await this.relay();
        pauseMs = IDLE_MS;
        if (moved > 0) continue;
      } catch (error) {
        (this.#options.onDisturbance ?? logged)(error);
        pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS);
        // New answers are no reason to try more often.
        wakes = [this.#stop.signal];
      }
      await sleep(pauseMs, undefined, { signal: AbortSignal.any(wakes) }).catch(() => undefined);
    }
  }

  async #current(event: ResponseRecorded): Promise<ResponseRecorded> {
    const { renew } = this.#options;
    if (renew === undefined || event.data.claims.exp > Date.now() / 1_000 + MARGIN_S) return event;
    const { claims, token = null } = await renew(event);
    return { ...event, data: { ...event.data, claims, token } };
  }
}

function logged(error: unknown): void {
  console.error("outbox:", error instanceof Error ? error.message : error);
}
