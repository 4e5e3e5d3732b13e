/** An Express app that publishes each answer of a student; `server.ts` starts it. */

import { randomUUID } from "node:crypto";

import express, { type ErrorRequestHandler, type Express, type Response } from "express";
import { errors, jwtVerify, type JWTVerifyGetKey } from "jose";
import { z } from "zod";

// In your app: from "@mastery-engine/contracts".
import { responseRecorded, type Claims, type Publisher } from "../src/index.js";

/** A question, as your own database knows it. */
export interface Item {
  solution: string;
  concept_ids: readonly string[];
  scale: string;
}

export interface AppOptions {
  publisher: Pick<Publisher, "publish">;
  items: ReadonlyMap<string, Item>;
  /** Finds the key of a token: `createRemoteJWKSet(new URL(JWT_JWKS_URL))`. */
  keys: JWTVerifyGetKey;
  issuer: string;
  audience: string;
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

class Refused extends Error {
  readonly status: number;
  readonly code: string;

  constructor(status: number, code: string, message: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

export function createApp({ publisher, items, keys, issuer, audience }: AppOptions): Express {
  const app = express();
  app.disable("x-powered-by");

  app.use((request, response, next) => {
    const given = request.get("x-request-id");
    const requestId = given !== undefined && /^[\x21-\x7e]{1,128}$/.test(given) ? given : randomUUID();
    response.locals["requestId"] = requestId;
    response.set("x-request-id", requestId);
    next();
  });

  app.post("/answers", express.json({ limit: "16kb" }), async (request, response) => {
    const { token, claims } = await authenticated(request.get("authorization"));
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
    try {
      await publisher.publish(event);
    } catch {
      // It may have arrived all the same; sent again it counts once.
      response.set("retry-after", "5");
      throw new Refused(503, "unavailable", "the answer may not be stored: send it again, as it is");
    }
    response.status(202).json({ response_id: given.response_id, event_id: event.id });
  });

  async function authenticated(header: string | undefined): Promise<{ token: string; claims: Claims }> {
    const token = /^Bearer ([\w.-]+)$/i.exec(header ?? "")?.[1];
    if (token === undefined) throw new Refused(401, "unauthenticated", "a Bearer token is required");
    try {
      const { payload } = await jwtVerify<Claims>(token, keys, {
        issuer,
        audience,
        algorithms: ["EdDSA", "ES256", "RS256"],
        requiredClaims: ["sub", "iss", "aud", "exp", "iat"],
      });
      return { token, claims: payload };
    } catch (error) {
      if (isOfToken(error)) throw new Refused(401, "unauthenticated", "the token does not count");
      throw new Refused(503, "unavailable", "the token can't be verified now");
    }
  }

  app.use(failed);
  return app;
}

/** Whether it is the token that is wrong, and not the issuer that is away. */
function isOfToken(error: unknown): boolean {
  return (
    error instanceof errors.JOSEError &&
    error.code !== errors.JWKSTimeout.code &&
    error.code !== errors.JOSEError.code
  );
}

function requestIdOf(response: Response): string {
  return String(response.locals["requestId"]);
}

// Express knows it for a handler of errors by its four parameters.
const failed: ErrorRequestHandler = (error: unknown, _request, response, _next) => {
  const refused = error instanceof Refused ? error : ofExpress(error);
  if (refused.status === 500) console.error(requestIdOf(response), error);
  const { status, code, message } = refused;
  response.status(status).json({
    error: { code, status, message, request_id: requestIdOf(response) },
  });
};

/** What Express refused itself: a body that is no JSON or too large. */
function ofExpress(error: unknown): Refused {
  const status = error instanceof Error && "status" in error ? Number(error.status) : 500;
  if (status >= 400 && status < 500) return new Refused(status, "invalid", (error as Error).message);
  return new Refused(500, "internal_server_error", "the log has the details under the request's id");
}
