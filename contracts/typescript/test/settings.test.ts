import assert from "node:assert/strict";
import { createServer } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { test } from "node:test";

import { readSettings } from "../examples/settings.js";
import { authenticated, verified } from "../examples/requests.js";
import { responseRecorded } from "../src/index.js";

const own = { REDIS_URL: "redis://redis.example", JWT_SECRET: "a secret that is long enough for HS256" };

test("what is missing is named", async () => {
  for (const [environment, message] of [
    [{ REDIS_URL: "redis://redis.example" }, /JWT_JWKS_URL and JWT_ISSUER, or JWT_SECRET/],
    [{ REDIS_URL: "redis://redis.example", JWT_JWKS_URL: "https://a.example" }, /JWT_ISSUER is not set/],
    [{ ...own, PRACTICE_PAGE: "true", NODE_ENV: "production" }, /production/],
  ] as const) {
    await assert.rejects(readSettings(environment), message);
  }
});

test("demo students have tokens on request alone, never with another's keys", async () => {
  const keySet = { REDIS_URL: "redis://a", JWT_JWKS_URL: "https://a.example", JWT_ISSUER: "https://a.example" };
  assert.equal((await readSettings(own)).tokenOf, undefined);
  assert.equal((await readSettings({ ...keySet, PRACTICE_PAGE: "true" })).tokenOf, undefined);
  const { tokenOf, tokens } = await readSettings({ ...own, PRACTICE_PAGE: "true" });
  const { claims } = await authenticated(`Bearer ${await tokenOf?.("student-001")}`, tokens);
  assert.equal(claims.sub, "student-001");
});

test("claims are renewed for a delegated role, and keep their tenant", async () => {
  const { renew, tokens } = await readSettings({ ...own, JWT_ISSUER: "https://school.example" });
  const claims = { sub: "me", iss: "https://school.example", aud: "authenticated", iat: 1, exp: 2 };
  const event = responseRecorded(
    { response_id: "r", student_id: "me", item_id: "q", concept_ids: ["c"], correct: true, answered_at: "" },
    { claims: { ...claims, school: { id: "7" } } },
    { source: "/express" },
  );
  const renewed = await renew?.(event);
  const found = await verified(renewed?.token ?? "", tokens);
  assert.deepEqual(found.claims, renewed?.claims);
  const { sub, role, school } = found.claims as Record<string, unknown>;
  assert.deepEqual([sub, role, school], ["express", "service_role", { id: "7" }]);
});

test("without REDIS_URL a server that is no `mastery dev` is named", async () => {
  const other = createServer((_request, response) => response.writeHead(404).end()).listen(0, "127.0.0.1");
  await once(other, "listening");
  const MASTERY_URL = `http://127.0.0.1:${(other.address() as AddressInfo).port}/`;
  await assert.rejects(readSettings({ MASTERY_URL }), /uv run mastery dev/);
  other.close();
});
