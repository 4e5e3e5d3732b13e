/** What every route shares: the request's id, tokens, and how a refusal looks. */

import { randomUUID } from "node:crypto";

import type { ErrorRequestHandler, RequestHandler, Response } from "express";
import { errors, jwtVerify, type JWTVerifyGetKey } from "jose";

import type { Claims } from "../src/index.js";

/** A request that is refused, and why. */
export class Refused extends Error {
  readonly status: number;
  readonly code: string;

  constructor(status: number, code: string, message: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/** Takes the request's id, or makes one; the response and the events carry it. */
export const requestId: RequestHandler = (request, response, next) => {
  const given = request.get("x-request-id");
  const id = given !== undefined && /^[\x21-\x7e]{1,128}$/.test(given) ? given : randomUUID();
  response.locals["requestId"] = id;
  response.set("x-request-id", id);
  next();
};

export function requestIdOf(response: Response): string {
  return String(response.locals["requestId"]);
}

/** How tokens are verified. */
export interface TokenOptions {
  /** `createRemoteJWKSet(new URL(JWT_JWKS_URL))`, or `() => secret` for HS256. */
  keys: JWTVerifyGetKey | (() => Promise<Uint8Array>);
  /** Unless set: EdDSA, ES256 and RS256. Never allow HS256 beside them. */
  algorithms?: string[] | undefined;
  /** Not compared unless set. */
  issuer?: string | undefined;
  audience: string;
}

/** A token that was verified, and its claims. */
export interface Authenticated {
  token: string;
  claims: Claims;
}

/** @throws Refused if the token does not count, or can't be verified now. */
export async function verified(token: string, options: TokenOptions): Promise<Authenticated> {
  try {
    const { payload } = await jwtVerify<Claims>(token, options.keys, {
      ...(options.issuer !== undefined && { issuer: options.issuer }),
      audience: options.audience,
      algorithms: options.algorithms ?? ["EdDSA", "ES256", "RS256"],
      requiredClaims: ["sub", "iss", "aud", "exp", "iat"],
    });
    return { token, claims: payload };
  } catch (error) {
    if (isOfToken(error)) throw new Refused(401, "unauthenticated", "the token does not count");
    throw new Refused(503, "unavailable", "the token can't be verified now");
  }
}

/** @throws Refused as `verified`, or if there is no token. */
export async function authenticated(
  header: string | undefined,
  options: TokenOptions,
): Promise<Authenticated> {
  const token = /^Bearer ([\w.-]+)$/i.exec(header ?? "")?.[1];
  if (token === undefined) throw new Refused(401, "unauthenticated", "a Bearer token is required");
  return verified(token, options);
}

/** Whether it is the token that is wrong, and not the issuer that is away. */
function isOfToken(error: unknown): boolean {
  return (
    error instanceof errors.JOSEError &&
    error.code !== errors.JWKSTimeout.code &&
    error.code !== errors.JOSEError.code
  );
}

// Express knows it for a handler of errors by its four parameters.
export const failed: ErrorRequestHandler = (error: unknown, _request, response, _next) => {
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
