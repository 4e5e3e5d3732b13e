/** Keeps what is current of mastery, whatever came twice or late. */

import type { Handler } from "./delivery.js";
import type { MasteryChanged } from "./events.js";

/**
 * A handler that is called only with events newer than all that it has handled of the same student
 * and concept.
 *
 * It knows what this process has handled, of the last `size` pairs. Where handlers run in several
 * processes, or write to a table, let the table decide as well:
 * `… on conflict (…) do update set … where mastery.version < excluded.version`.
 *
 * @param handle - Called with what is newer; an event counts as handled once it returns.
 * @param size - How many pairs of student and concept are remembered.
 */
export function newestOnly(
  handle: Handler<MasteryChanged>,
  { size = 100_000 }: { size?: number } = {},
): Handler<MasteryChanged> {
  const versions = new Map<string, number>();
  return async (event, delivery) => {
    const { tenant_id, student_id, concept_id, version } = event.data;
    // No id contains a control character.
    const pair = [tenant_id, student_id, concept_id].join("\0");
    if (version <= (versions.get(pair) ?? 0)) return;
    await handle(event, delivery);
    // Anew at the end: the map is in the order of use, and its first is the one to forget.
    const highest = Math.max(version, versions.get(pair) ?? 0);
    versions.delete(pair);
    versions.set(pair, highest);
    const [oldest] = versions.keys();
    if (versions.size > size && oldest !== undefined) versions.delete(oldest);
  };
}
