/** What a subscriber is given, and what becomes of it. */

/** Where an event came from. */
export interface Delivery {
  stream: string;
  entryId: string;
}

/** Handles one event; when it has returned, the event is acknowledged and does not come again. */
export type Handler<Event> = (event: Event, delivery: Delivery) => Promise<void> | void;

/** An event that was not handled. */
export interface Failure<Event> extends Delivery {
  /** What the handler threw, or an {@link UnreadableEventError}. */
  error: unknown;
  /** The event; undefined where it can't be read. */
  event: Event | undefined;
  /** How often it was delivered so far, this time included. */
  deliveries: number;
}

/** `retry`: it comes again, to this consumer or another. `drop`: it is acknowledged unhandled. */
export type Verdict = "retry" | "drop";

/** An entry has no event, or not one of the stream's type. */
export class UnreadableEventError extends Error {
  override readonly name = "UnreadableEventError";
  /** The text of the entry's field `event`, where it has one. */
  readonly text: string | undefined;

  constructor(message: string, text: string | undefined, options?: ErrorOptions) {
    super(message, options);
    this.text = text;
  }
}

/**
 * The event of an entry.
 *
 * @throws UnreadableEventError if it is none of that type.
 */
export function readEvent<Event>(text: string | undefined, type: string): Event {
  if (text === undefined) throw new UnreadableEventError("there is no field `event`", text);
  let found: unknown;
  try {
    found = JSON.parse(text);
  } catch (error) {
    throw new UnreadableEventError("the event is no JSON", text, { cause: error });
  }
  const named = typeof found === "object" && found !== null && "type" in found && found.type;
  if (named !== type) throw new UnreadableEventError(`the event is no ${type}`, text);
  return found as Event;
}

/** Logs a failure; what can't be read is dropped, since it will be the same next time. */
export function logged(failure: Failure<unknown>): Verdict {
  const verdict = failure.error instanceof UnreadableEventError ? "drop" : "retry";
  const { stream, entryId, deliveries } = failure;
  console.error(
    `event ${entryId} of ${stream} failed (delivery ${deliveries}), ${verdict}:`,
    failure.error,
  );
  return verdict;
}
