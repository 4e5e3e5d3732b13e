/** Starts the app of `express.ts` with what the environment says. */

import { Redis } from "ioredis";
import { createRemoteJWKSet } from "jose";

import { Publisher } from "../src/index.js";
import { createApp } from "./express.js";

function setting(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set`);
  return value;
}

const redis = new Redis(setting("REDIS_URL"), {
  // The user `express` may XADD and nothing else; ready checks ask for INFO.
  enableReadyCheck: false,
  // A student who waits is told soon that Redis is away.
  maxRetriesPerRequest: 1,
  commandTimeout: 2_000,
});
redis.on("error", (error) => console.error("redis:", error.message));

const app = createApp({
  publisher: new Publisher(redis, {
    shards: Number(process.env["STREAM_SHARDS"] ?? 0),
    tenantClaim: process.env["JWT_TENANT_CLAIM"],
  }),
  items: new Map([["q-101", { solution: "5/6", concept_ids: ["fractions.add"], scale: "math" }]]),
  keys: createRemoteJWKSet(new URL(setting("JWT_JWKS_URL"))),
  issuer: setting("JWT_ISSUER"),
  audience: process.env["JWT_AUDIENCE"] ?? "authenticated",
});

const server = app.listen(Number(process.env["PORT"] ?? 3000), (error) => {
  if (error) throw error;
});
process.once("SIGTERM", () => {
  server.close(() => redis.disconnect());
  server.closeIdleConnections();
});
