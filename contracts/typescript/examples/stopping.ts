/** A graceful stop: no answer that a student has given is lost by a deployment. */

import { once } from "node:events";
import type { Server } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";

const SWEEP_MS = 50;
const REPEATED_MS = 1_000;

/**
 * Takes no new connection, and waits until all requests under way are answered.
 *
 * @param patienceMs - After this time what is still open is cut. Stay below what your platform gives:
 * Kubernetes kills after 30 s unless told otherwise.
 */
export async function closeGracefully(server: Server, patienceMs = 10_000): Promise<void> {
  if (!server.listening) return;
  const closed = once(server, "close");
  server.close();
  // A browser keeps its connection for more requests; without one on its way it is closed.
  const sweep = setInterval(() => server.closeIdleConnections(), SWEEP_MS);
  const late = new AbortController();
  try {
    await Promise.race([closed, sleep(patienceMs, undefined, { signal: late.signal })]);
    server.closeAllConnections();
    await closed;
  } finally {
    clearInterval(sweep);
    late.abort();
  }
}

/** Calls `stop` once, at the first SIGTERM (of a platform) or SIGINT (Ctrl-C). */
export function stopOnSignals(stop: () => Promise<void>): void {
  const signals = ["SIGTERM", "SIGINT"] as const;
  let began: number | undefined;
  const begin = () => {
    if (began !== undefined) {
      // A second Ctrl-C ends the process at once. npm passes on what the terminal has sent already.
      if (Date.now() - began > REPEATED_MS) process.exit(1);
      return;
    }
    began = Date.now();
    stop().then(
      () => process.exit(0),
      (error: unknown) => {
        console.error(error);
        process.exit(1);
      },
    );
  };
  for (const signal of signals) process.on(signal, begin);
}
