/** Waits for what the engine makes of an answer: one reader for all that wait. */

import type { Cluster, Redis } from "ioredis";

import { disturbed } from "./connection.js";
import type { MasteryChanged, ResponseRecorded } from "./events.js";
import { follow } from "./follow.js";
import { checkedShards, tenantOf } from "./streams.js";

/** How to wait. */
export interface WaiterOptions {
  /** The engine's `STREAM_SHARDS`; 0 unless set. */
  shards?: number | undefined;
  /** The engine's `JWT_TENANT_CLAIM`; `tenant_id` unless set. */
  tenantClaim?: string | undefined;
  /** How many may wait at once; 1,000 unless set. Whoever comes then is published and not waited for. */
  maxWaiting?: number | undefined;
  /** How long to wait after the answer was published, milliseconds; 2,000 unless set. */
  timeoutMs?: number | undefined;
  /** Told when Redis is away, or refuses to be read for good; unless set it is logged. */
  onDisturbance?: ((error: unknown, stream: string) => void) | undefined;
}

/** What became of an answer that was published. */
export type Outcome =
  /** Each of its concepts has an event. */
  | { status: "changed"; events: MasteryChanged[] }
  /**
   * Not known yet. The answer is published, and counts in any case unless the engine refuses it;
   * `events` has those of its concepts that came.
   */
  | {
      status: "unknown";
      reason: "timeout" | "too_many_waiting" | "stopped" | "aborted";
      events: MasteryChanged[];
    };

/** Why a wait ended without the events. */
type Reason = Extract<Outcome, { status: "unknown" }>["reason"];

/**
 * Waits for the events of answers.
 *
 * It reads the mastery streams from its making on, over a connection like that of `redis`, which
 * needs the rights of the user `subscriber` alone.
 */
export class OutcomeWaiter {
  readonly #tenantClaim: string;
  readonly #maxWaiting: number;
  readonly #timeoutMs: number;
  readonly #stop = new AbortController();
  readonly #ended: Promise<void>;
  readonly #waiting = new Map<string, Set<Wait>>();
  #count = 0;
  /** While the ends of the streams are asked for, an event could still be missed. */
  #starting = true;
  #held: (() => void)[] = [];

  /** @throws RangeError if `shards` is no whole number from 0 on. */
  constructor(redis: Redis | Cluster, options: WaiterOptions = {}) {
    this.#tenantClaim = options.tenantClaim ?? "tenant_id";
    this.#maxWaiting = options.maxWaiting ?? 1_000;
    this.#timeoutMs = options.timeoutMs ?? 2_000;
    const onDisturbance = (error: unknown, stream: string) => {
      // An answer does not wait for a reader that is in trouble.
      this.#release();
      (options.onDisturbance ?? disturbed)(error, stream);
    };
    this.#ended = follow(redis, {
      stream: "mastery",
      shards: checkedShards(options.shards ?? 0, redis.isCluster),
      signal: this.#stop.signal,
      handle: (event) => this.#deliver(event),
      onStarted: () => this.#release(),
      onDisturbance,
    }).catch((error: unknown) => {
      this.#stop.abort();
      onDisturbance(error, "the mastery streams");
    });
    void this.#ended.then(() => this.#end());
  }

  /** How many wait now. */
  get waiting(): number {
    return this.#count;
  }

  /**
   * Publishes an answer, and waits for the events of all its concepts.
   *
   * A repeat of an answer that the engine knows has no events: its outcome stays unknown.
   *
   * @param event - The event of the answer. Tenant, student and `response_id` decide which events are
   * its own, since another student may have given an answer the same `response_id`.
   * @param publish - Publishes it; called in any case, and once.
   * @param signal - Ends the wait, not the publishing: such as when the browser has gone.
   * @throws what `publish` throws, and nothing else; a wait that fails is an outcome.
   */
  async wait(
    event: ResponseRecorded,
    publish: () => Promise<unknown>,
    { signal }: { signal?: AbortSignal | undefined } = {},
  ): Promise<Outcome> {
    if (this.#count >= this.#maxWaiting) {
      await publish();
      return unknown("too_many_waiting");
    }
    const { claims, response } = event.data;
    const tenant = tenantOf(claims, this.#tenantClaim);
    const key = keyOf(tenant, response.student_id, response.response_id);
    const wait = new Wait(response.concept_ids);
    this.#add(key, wait);
    const abort = () => wait.end("aborted");
    let timer: NodeJS.Timeout | undefined;
    try {
      if (this.#starting) await new Promise<void>((resolve) => this.#held.push(resolve));
      await publish();
      if (this.#stop.signal.aborted) wait.end("stopped");
      if (signal?.aborted) abort();
      signal?.addEventListener("abort", abort);
      timer = setTimeout(() => wait.end("timeout"), this.#timeoutMs);
      return await wait.outcome;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
      this.#remove(key, wait);
    }
  }

  /** Ends all waits, and closes the connection. */
  async close(): Promise<void> {
    this.#stop.abort();
    this.#end();
    await this.#ended;
  }

  #end(): void {
    this.#release();
    for (const waits of this.#waiting.values()) for (const wait of waits) wait.end("stopped");
  }

  #release(): void {
    this.#starting = false;
    for (const resolve of this.#held.splice(0)) resolve();
  }

  #deliver(event: MasteryChanged): void {
    const { tenant_id, student_id, response_id } = event.data;
    const waits = this.#waiting.get(keyOf(tenant_id, student_id, response_id));
    for (const wait of waits ?? []) wait.take(event);
  }

  #add(key: string, wait: Wait): void {
    const waits = this.#waiting.get(key) ?? new Set();
    this.#waiting.set(key, waits.add(wait));
    this.#count += 1;
  }

  #remove(key: string, wait: Wait): void {
    const waits = this.#waiting.get(key);
    waits?.delete(wait);
    if (waits?.size === 0) this.#waiting.delete(key);
    this.#count -= 1;
  }
}

/** One who waits. */
class Wait {
  readonly outcome: Promise<Outcome>;
  readonly #missing: Set<string>;
  readonly #events: MasteryChanged[] = [];
  readonly #resolve: (outcome: Outcome) => void;

  constructor(conceptIds: readonly string[]) {
    this.#missing = new Set(conceptIds);
    let resolve: ((outcome: Outcome) => void) | undefined;
    this.outcome = new Promise((given) => (resolve = given));
    this.#resolve = resolve as unknown as (outcome: Outcome) => void;
  }

  take(event: MasteryChanged): void {
    this.#events.push(event);
    this.#missing.delete(event.data.concept_id);
    if (this.#missing.size === 0) this.#resolve({ status: "changed", events: this.#events });
  }

  end(reason: Reason): void {
    this.#resolve(unknown(reason, this.#events));
  }
}

function unknown(reason: Reason, events: MasteryChanged[] = []): Outcome {
  return { status: "unknown", reason, events };
}

function keyOf(tenantId: string, studentId: string, responseId: string): string {
  // No id contains a control character. UUIDs are compared without their case.
  return [tenantId, studentId, responseId.toLowerCase()].join("\0");
}
