/** Many events at once: a class's worksheet, an import, a full outbox. */

import type { JobRequested, Published, Publisher, ResponseRecorded } from "../src/index.js";

/**
 * Publishes events, some hundred at a time.
 *
 * ioredis sends commands that nobody awaits in between without waiting for their answers, so a batch
 * costs one round trip. Each event is an entry of its own: one that fails takes no other with it.
 *
 * @returns For each event, in order, where it is or why it is not known to be there. Publish those
 * again; what arrived all the same counts once.
 */
export async function publishAll(
  publisher: Pick<Publisher, "publish">,
  events: readonly (ResponseRecorded | JobRequested)[],
  atOnce = 500,
): Promise<PromiseSettledResult<Published>[]> {
  const ended = [];
  for (let from = 0; from < events.length; from += atOnce) {
    const batch = events.slice(from, from + atOnce);
    ended.push(...(await Promise.allSettled(batch.map((event) => publisher.publish(event)))));
  }
  return ended;
}
