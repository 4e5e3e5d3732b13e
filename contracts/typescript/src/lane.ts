/** One connection over which entries are added, many at once, and confirmed together. */

import type { Redis } from "ioredis";

/** An entry to add. */
export interface Addition {
  stream: string;
  event: string;
  /** Whether the node is asked for a slot that is moving to it. */
  asking: boolean;
}

/** An entry that was added, and the answer about its confirmation. */
export interface Added {
  entryId: string;
  confirmed: unknown;
}

interface Waiting extends Addition {
  resolve: (added: Added) => void;
  reject: (error: unknown) => void;
}

const AT_ONCE = 500;

/**
 * Adds entries over one connection.
 *
 * A confirmation is about what its connection has written, and a connection that waits for one
 * takes nothing else. What comes meanwhile goes together after it.
 */
export class Lane {
  readonly #connection: Redis;
  readonly #confirm: readonly (string | number)[];
  #waiting: Waiting[] = [];
  #busy = false;

  /** @param confirm - The command that asks for the confirmation. */
  constructor(connection: Redis, confirm: readonly (string | number)[]) {
    this.#connection = connection;
    this.#confirm = confirm;
    // Each command reports it as well.
    connection.on("error", () => undefined);
  }

  /** Whether its connection will never come back. */
  get ended(): boolean {
    return this.#connection.status === "end";
  }

  /** Adds an entry; returns when the question for its confirmation is answered. */
  add(addition: Addition): Promise<Added> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ ...addition, resolve, reject });
      if (!this.#busy) void this.#work();
    });
  }

  close(): void {
    this.#connection.disconnect();
  }

  async #work(): Promise<void> {
    this.#busy = true;
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, AT_ONCE);
      try {
        await this.#send(batch);
      } catch (error) {
        for (const entry of batch) entry.reject(error);
      }
    }
    this.#busy = false;
  }

  async #send(batch: readonly Waiting[]): Promise<void> {
    const pipeline = this.#connection.pipeline();
    for (const { stream, event, asking } of batch) {
      if (asking) pipeline.call("asking");
      pipeline.call("xadd", stream, "*", "event", event);
    }
    const [name, ...words] = this.#confirm;
    pipeline.call(String(name), ...words);
    const answers = (await pipeline.exec()) ?? [];
    const [failed, confirmed] = answers[answers.length - 1] ?? [new Error("no answer"), undefined];
    let place = 0;
    for (const entry of batch) {
      if (entry.asking) place += 1;
      const [error, entryId] = answers[place] ?? [new Error("no answer"), undefined];
      place += 1;
      if (error ?? failed) entry.reject(error ?? failed);
      else entry.resolve({ entryId: String(entryId), confirmed });
    }
  }
}
