/** Reads what the environment says, and finds `mastery dev` where it names no Redis. */

import { setTimeout as sleep } from "node:timers/promises";

import { SignJWT, createRemoteJWKSet } from "jose";

import type { Claims, Reported, ResponseRecorded } from "../src/index.js";
import type { TokenOptions } from "./requests.js";

const FIND_MS = 120_000;
const LIFETIME = "12h";

export interface Settings {
  redisUrl: string;
  /** For a Redis user that may read mastery. */
  subscriberRedisUrl: string;
  shards: number;
  tenantClaim: string | undefined;
  tokens: TokenOptions;
  masteryUrl: string;
  /** Gives tokens of demo students; undefined without a practice page. */
  tokenOf: ((studentId: string) => Promise<string>) | undefined;
  /** Your own database, for the outbox; without one, events go to Redis at once. */
  databaseUrl: string | undefined;
  /** See `OutboxOptions`. */
  renew: ((event: ResponseRecorded) => Promise<Reported>) | undefined;
  host: string;
  port: number;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** @throws Error that says what is missing. */
export async function readSettings(environment: Environment): Promise<Settings> {
  const masteryUrl = (environment["MASTERY_URL"] ?? "http://127.0.0.1:8000").replace(/\/+$/, "");
  const common = {
    masteryUrl,
    shards: Number(environment["STREAM_SHARDS"] || 0),
    tenantClaim: environment["JWT_TENANT_CLAIM"] || undefined,
    databaseUrl: environment["OUTBOX_DATABASE_URL"] || undefined,
    host: environment["HOST"] || "127.0.0.1",
    port: Number(environment["PORT"] || 3000),
  };
  const redisUrl = environment["REDIS_URL"];
  if (!redisUrl) return { ...common, ...(await ofDevelopment(masteryUrl)) };
  const subscriberRedisUrl = environment["SUBSCRIBER_REDIS_URL"] || redisUrl;
  return { ...common, redisUrl, subscriberRedisUrl, ...ofIssuer(environment) };
}

type OfTokens = Pick<Settings, "tokens" | "tokenOf" | "renew">;

/** The keys of an issuer (Supabase, Keycloak, any OIDC), or one HS256 secret, as the engine has. */
function ofIssuer(environment: Environment): OfTokens {
  const issuer = environment["JWT_ISSUER"] || undefined;
  const audience = environment["JWT_AUDIENCE"] || "authenticated";
  const [keySet, secret] = [environment["JWT_JWKS_URL"], environment["JWT_SECRET"]];
  if (keySet) {
    if (!issuer) throw new Error("JWT_ISSUER is not set: name the issuer of the keys of JWT_JWKS_URL");
    const keys = createRemoteJWKSet(new URL(keySet));
    return { tokens: { keys, issuer, audience }, tokenOf: undefined, renew: undefined };
  }
  if (!secret) throw new Error("set JWT_JWKS_URL and JWT_ISSUER, or JWT_SECRET, as the engine has them");
  const key = new TextEncoder().encode(secret);
  const sign = (claims: Record<string, unknown>) =>
    new SignJWT({ iss: issuer ?? "express-example", aud: audience, ...claims })
      .setProtectedHeader({ alg: "HS256" })
      .setIssuedAt()
      .setExpirationTime(LIFETIME)
      .sign(key);
  return {
    tokens: { keys: async () => key, algorithms: ["HS256"], issuer, audience },
    // Whoever reaches the page is any demo student: only on request, and never in production.
    tokenOf: wantsPage(environment) ? (sub) => sign({ sub, role: "authenticated" }) : undefined,
    renew: async ({ data }) => {
      // A delegated role may report for the student; the tenant's claim stays as it was.
      const { exp: _, iat: __, ...kept } = data.claims;
      const token = await sign({ ...kept, sub: "express", role: "service_role" });
      return { token, claims: claimsIn(token) };
    },
  };
}

function wantsPage(environment: Environment): boolean {
  if (environment["PRACTICE_PAGE"] !== "true") return false;
  if (environment["NODE_ENV"] === "production") {
    throw new Error("PRACTICE_PAGE gives tokens to anybody: not where NODE_ENV is production");
  }
  return true;
}

/** The claims of a token of our own making. */
function claimsIn(token: string): Claims {
  return JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString()) as Claims;
}

interface Development {
  redis_url: string;
  jwks_url: string;
  issuer: string;
  audience: string;
}

/** Asks `mastery dev` for its servers, and waits for it if it is about to start. */
async function ofDevelopment(
  masteryUrl: string,
): Promise<OfTokens & Pick<Settings, "redisUrl" | "subscriberRedisUrl">> {
  const found = await development(masteryUrl);
  const { redis_url: redisUrl, jwks_url, issuer, audience } = found;
  return {
    redisUrl,
    subscriberRedisUrl: redisUrl,
    tokens: { keys: createRemoteJWKSet(new URL(jwks_url)), issuer, audience },
    tokenOf: async (student_id) => {
      const { token } = await asked<{ token: string }>(`${masteryUrl}/dev/token`, { student_id });
      return token;
    },
    renew: undefined,
  };
}

async function development(masteryUrl: string): Promise<Development> {
  const end = Date.now() + FIND_MS;
  for (let tries = 0; ; tries += 1) {
    try {
      return await asked<Development>(`${masteryUrl}/dev`);
    } catch (error) {
      // A server that answers, but has no such route, is not `mastery dev`.
      const other = error instanceof Answered;
      if (other || Date.now() > end) {
        throw new Error(
          `REDIS_URL is not set, and no \`mastery dev\` at ${masteryUrl}: start \`uv run mastery dev\` ` +
            "in another terminal (MASTERY_URL names its address), or set REDIS_URL",
          { cause: error },
        );
      }
      if (tries === 0) console.log(`Waiting for \`mastery dev\` at ${masteryUrl}.`);
      await sleep(500);
    }
  }
}

/** A server answered, but not with what was asked for. */
class Answered extends Error {}

async function asked<T>(url: string, body?: object): Promise<T> {
  const response = await fetch(url, {
    signal: AbortSignal.timeout(10_000),
    ...(body && { method: "POST", body: JSON.stringify(body) }),
  });
  if (!response.ok) throw new Answered(`${url} answered ${response.status}: ${await response.text()}`);
  return (await response.json()) as T;
}
