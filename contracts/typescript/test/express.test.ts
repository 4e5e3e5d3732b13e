import assert from "node:assert/strict";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { after, before, test } from "node:test";

import type { Redis } from "ioredis";
import { SignJWT, createLocalJWKSet } from "jose";

import { createApp, type AppOptions } from "../examples/express.js";
import { OutcomeWaiter, Publisher, STREAMS, type ResponseRecorded } from "../src/index.js";
import { change } from "./changes.js";
import { emptyRedis, eventsIn } from "./redis.js";
import { ISSUER, issuer } from "./tokens.js";

const items = new Map([
  ["q-101", { solution: "5/6", concept_ids: ["fractions.add"], scale: "math" }],
]);
const answer = {
  response_id: "0193da5e-65d8-7c3e-9b1a-5f0e4d3c2b10",
  item_id: "q-101",
  answer: "5/6",
  answered_at: "2026-11-21T09:29:58.400Z",
};

let redis: Redis;
let options: AppOptions;
let sign: (audience?: string, expires?: string) => Promise<string>;
before(async () => {
  redis = await emptyRedis();
  const school = await issuer();
  options = {
    publisher: new Publisher(redis),
    items,
    keys: school.keys,
    issuer: ISSUER,
    audience: "authenticated",
  };
  sign = (audience, expires) => school.sign(undefined, audience, expires);
});
after(() => redis.disconnect());

/** What the app says to a POST /answers. */
async function post(body: unknown, headers: Record<string, string>, changed = {}) {
  const server = createApp({ ...options, ...changed }).listen(0, "127.0.0.1");
  try {
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const response = await fetch(`http://127.0.0.1:${port}/answers`, {
      method: "POST",
      headers: { "content-type": "application/json", connection: "close", ...headers },
      body: typeof body === "string" ? body : JSON.stringify(body),
    });
    const said = (await response.json()) as Record<string, unknown>;
    return { status: response.status, said, requestId: response.headers.get("x-request-id") };
  } finally {
    server.close();
  }
}

const bearer = async (token: string | Promise<string>) => ({ authorization: `Bearer ${await token}` });

test("an answer with a good token is published with its claims and the request's id", async () => {
  const token = await sign();
  const headers = { ...(await bearer(token)), "x-request-id": "req-7f3a" };
  const { status, said, requestId } = await post(answer, headers);

  assert.equal(status, 202);
  assert.equal(requestId, "req-7f3a");
  const [event] = (await eventsIn(redis, STREAMS.responses)) as [ResponseRecorded];
  assert.deepEqual(said, { response_id: answer.response_id, event_id: event.id });
  assert.equal(event.correlationid, "req-7f3a");
  assert.equal(event.data.token, token);
  assert.equal(event.data.claims["tenant_id"], "school-7");
  assert.deepEqual(event.data.response, {
    response_id: answer.response_id,
    student_id: "schüler-42",
    session_id: null,
    item_id: "q-101",
    concept_ids: ["fractions.add"],
    scale: "math",
    correct: true,
    answered_at: answer.answered_at,
  });
});

test("a token that is missing, forged, expired or another's is refused", async () => {
  const forged = `${(await sign()).slice(0, -8)}AAAAAAAA`;
  const before = await redis.xlen(STREAMS.responses);
  const none = createLocalJWKSet({ keys: [] });
  for (const [headers, changed] of [
    [{}, {}],
    [{ authorization: "Basic eyJ" }, {}],
    [await bearer(forged), {}],
    [await bearer(sign("somebody-else")), {}],
    [await bearer(sign("authenticated", "1m ago")), {}],
    [await bearer(sign()), { issuer: "https://other.example" }],
    [await bearer(sign()), { keys: none }],
  ] as const) {
    const { status, said } = await post(answer, headers, changed);
    assert.equal(status, 401);
    assert.equal((said["error"] as { code: string }).code, "unauthenticated");
  }
  assert.equal(await redis.xlen(STREAMS.responses), before);
});

test("an answer that is none is refused, and says why", async () => {
  const headers = await bearer(sign());
  const later = new Date(Date.now() + 3_600_000).toISOString();
  for (const [body, status, message] of [
    ["{", 400, /JSON/],
    [{ ...answer, response_id: "1" }, 422, /response_id/],
    [{ ...answer, answered_at: later }, 422, /future/],
    [{ ...answer, answered_at: "2026-11-21" }, 422, /answered_at/],
    [{ ...answer, item_id: "q-102" }, 404, /q-102/],
  ] as const) {
    const found = await post(body, headers);
    const error = found.said["error"] as { message: string; request_id: string };
    assert.equal(found.status, status, error.message);
    assert.match(error.message, message);
    assert.equal(error.request_id, found.requestId);
  }
});

test("an issuer or a Redis that is away is no fault of the student's: 503", async () => {
  const headers = await bearer(sign());
  const away = () => Promise.reject(new TypeError("fetch failed"));
  assert.equal((await post(answer, headers, { keys: away })).status, 503);
  const publisher = { publish: () => Promise.reject(new Error("Command timed out")) };
  assert.equal((await post(answer, headers, { publisher })).status, 503);
});

test("a token of HS256 counts where its secret is the key, and nowhere else", async () => {
  const key = new TextEncoder().encode("a secret of the tests that is long enough");
  const token = await new SignJWT({ sub: "student-42", iss: ISSUER, aud: "authenticated" })
    .setProtectedHeader({ alg: "HS256" })
    .setIssuedAt()
    .setExpirationTime("1h")
    .sign(key);
  const keys = async () => key;
  assert.equal((await post(answer, await bearer(token), { keys, algorithms: ["HS256"] })).status, 202);
  assert.equal((await post(answer, await bearer(token), { keys })).status, 401);
});

test("an answer is answered with its mastery, or with 202 where it comes later", async () => {
  const outcomes = new OutcomeWaiter(redis, { timeoutMs: 500 });
  const { publisher } = options;
  const engine = {
    publish: async (event: ResponseRecorded) => {
      const { response_id, student_id } = event.data.response;
      const told = change({ response_id, student_id, mastery: 0.64 });
      await redis.xadd(STREAMS.mastery, "*", "event", JSON.stringify(told));
      return publisher.publish(event);
    },
  };
  try {
    const known = await post(answer, await bearer(sign()), { outcomes, publisher: engine });
    assert.equal(known.status, 200);
    const [shown] = known.said["mastery"] as [Record<string, unknown>];
    assert.deepEqual([shown["concept_id"], shown["mastery"]], ["fractions.add", 0.64]);
    assert.equal((await post(answer, await bearer(sign()), { outcomes })).status, 202);
  } finally {
    await outcomes.close();
  }
});
