/** An Express app that publishes each answer of a student; `server.ts` starts it. */

import express, { type Express, type Router } from "express";
import { z } from "zod";

// In your app: from "@mastery-engine/contracts".
import {
  responseRecorded,
  type MasteryChanged,
  type OutcomeWaiter,
  type Published,
  type ResponseRecorded,
} from "../src/index.js";
import {
  Refused,
  authenticated,
  failed,
  requestId,
  requestIdOf,
  type TokenOptions,
} from "./requests.js";

/** A question, as your own database knows it. */
export interface Item {
  solution: string;
  concept_ids: readonly string[];
  scale: string;
}

/** Publishes to Redis at once (`Publisher`), or first keeps the event in a table (`Outbox`). */
export interface Publishing {
  publish(event: ResponseRecorded): Promise<Published | undefined>;
}

export interface AppOptions extends TokenOptions {
  publisher: Publishing;
  items: ReadonlyMap<string, Item>;
  /** Waits for the mastery of an answer; unless given, no answer is waited for. */
  outcomes?: Pick<OutcomeWaiter, "wait"> | undefined;
  /** More routes, such as the practice page. */
  more?: Router | undefined;
}

const id = z.string().regex(/^[^\x00-\x1f\x7f-\x9f]{1,128}$/u);

/** What the browser sends. It makes both `response_id` and `answered_at` once per answer. */
const AnswerBody = z.object({
  // The idempotency key: an answer that is sent again keeps it, and counts once.
  response_id: z.uuid(),
  item_id: id,
  answer: z.string().max(1_000),
  // With another time the same response_id would be a conflict.
  answered_at: z.iso
    .datetime({ offset: true })
    .refine((at) => Date.parse(at) < Date.now() + 60_000, "must not lie in the future"),
  session_id: id.optional(),
});

export function createApp({ publisher, items, outcomes, more, ...tokens }: AppOptions): Express {
  const app = express();
  app.disable("x-powered-by");
  app.use(requestId);

  app.post("/answers", express.json({ limit: "16kb" }), async (request, response) => {
    const { token, claims } = await authenticated(request.get("authorization"), tokens);
    const body = AnswerBody.safeParse(request.body);
    if (!body.success) throw new Refused(422, "invalid", z.prettifyError(body.error));
    const { answer, ...given } = body.data;
    const item = items.get(given.item_id);
    if (item === undefined) throw new Refused(404, "not_found", `there is no item ${given.item_id}`);

    const event = responseRecorded(
      {
        response_id: given.response_id,
        student_id: claims.sub,
        session_id: given.session_id ?? null,
        item_id: given.item_id,
        concept_ids: item.concept_ids,
        scale: item.scale,
        // The server knows the solution; a browser that is asked says that all is right.
        correct: answer.trim() === item.solution,
        answered_at: given.answered_at,
      },
      { claims, token },
      {
        source: "/express/practice",
        correlationid: requestIdOf(response),
        traceparent: request.get("traceparent"),
      },
    );
    const known = { response_id: given.response_id, event_id: event.id };
    const gone = new AbortController();
    response.once("close", () => gone.abort());
    const outcome = await published(event, gone.signal).catch(() => {
      // It may have arrived all the same; sent again it counts once.
      response.set("retry-after", "5");
      throw new Refused(503, "unavailable", "the answer may not be stored: send it again, as it is");
    });
    if (outcome?.status !== "changed") return void response.status(202).json(known);
    response.json({ ...known, mastery: outcome.events.map(shown) });
  });

  /** Publishes, and waits for the mastery if somebody can. */
  async function published(event: ResponseRecorded, signal: AbortSignal) {
    if (outcomes !== undefined) {
      return outcomes.wait(event, () => publisher.publish(event), { signal });
    }
    await publisher.publish(event);
    return undefined;
  }

  if (more !== undefined) app.use(more);
  app.use(failed);
  return app;
}

/** What a student is shown of an event. */
function shown({ data }: MasteryChanged) {
  const { concept_id, mastery, previous_mastery, mastered, transition, attempts } = data;
  return { concept_id, mastery, previous_mastery, mastered, transition, attempts };
}
