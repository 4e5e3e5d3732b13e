import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { createServer, request, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";

import type { Redis } from "ioredis";
import { WebSocket } from "ws";

import { createApp } from "../examples/express.js";
import { LiveSockets } from "../examples/live-sockets.js";
import { foreign, itemsOf, practice, readCurriculum } from "../examples/practice.js";
import { Publisher, STREAMS, type MasteryData, type ResponseRecorded } from "../src/index.js";
import { change } from "./changes.js";
import { emptyRedis, eventsIn, until } from "./redis.js";
import { ISSUER, issuer, type Issuer } from "./tokens.js";

/** The engine's worker, which tells what it was asked. */
const worker = createServer(({ url, headers: { authorization } }, response) => {
  response.writeHead(403).end(JSON.stringify({ url, authorization }));
});
const curriculum = readCurriculum("examples/curriculum.json");
const [item] = curriculum.items as [(typeof curriculum.items)[0]];
const answer = {
  student_id: "student-001",
  item_id: item.id,
  concept_ids: item.concept_ids,
  scale: item.scale,
  correct: true,
  response_time_ms: 900,
};

let redis: Redis;
let school: Issuer;
let server: Server;
let sockets: LiveSockets;
let origin: string;
let masteryUrl: string;
before(async () => {
  masteryUrl = await listening(worker);
  redis = await emptyRedis();
  school = await issuer();
  const tokens = { keys: school.keys, issuer: ISSUER, audience: "authenticated" };
  const publisher = new Publisher(redis);
  const web = mkdtempSync(join(tmpdir(), "practice-"));
  mkdirSync(join(web, "pages"));
  mkdirSync(join(web, "static", "pages"), { recursive: true });
  writeFileSync(join(web, "pages", "practice.html"), "<!doctype html><title>Practice</title>");
  writeFileSync(join(web, "static", "pages", "practice.js"), "export {};");
  const tokenOf = school.sign;
  const more = practice({ web, curriculum, tokenOf, tokens, publisher, masteryUrl });
  server = createServer(createApp({ ...tokens, publisher, items: itemsOf(curriculum), more }));
  sockets = new LiveSockets(server, { redis, shards: 0, tokens, refusal: foreign });
  origin = await listening(server);
});
after(async () => {
  await sockets.close();
  for (const each of [server, worker]) {
    each.close();
    each.closeAllConnections();
  }
  redis.disconnect();
});

async function listening(http: Server): Promise<string> {
  http.listen(0, "127.0.0.1");
  await once(http, "listening");
  return `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
}

async function post(path: string, body: object) {
  const response = await fetch(origin + path, { method: "POST", body: JSON.stringify(body) });
  return [response.status, await response.json()] as [number, Record<string, any>];
}

/** A socket, what it was sent, and how it was closed. */
function opened(student: string, token: string, headers: Record<string, string> = {}) {
  const url = `${origin.replace("http", "ws")}/v1/ws/students/${encodeURIComponent(student)}/mastery`;
  const socket = new WebSocket(url, ["bearer", token], { headers });
  const seen: MasteryData[] = [];
  socket.on("message", (text) => seen.push(JSON.parse(String(text))));
  const closed = new Promise<[number, string]>((resolve) => {
    socket.on("close", (code, reason) => resolve([code, String(reason)]));
    socket.on("error", (error) => resolve([0, error.message]));
  });
  return { socket, seen, closed };
}

test("the page, its files and the links of its worker are served", async () => {
  const page = await fetch(origin);
  assert.match(await page.text(), /Practice/);
  assert.match(page.headers.get("content-security-policy") ?? "", /default-src 'none'.*frame-ancestors/);
  assert.match((await fetch(`${origin}/static/practice.js`)).headers.get("content-type") ?? "", /javascript/);
  const link = await fetch(`${origin}/docs`, { redirect: "manual" });
  assert.deepEqual([link.status, link.headers.get("location")], [302, `${masteryUrl}/docs`]);
  const { students } = (await (await fetch(`${origin}/dev/students`)).json()) as Record<string, any>;
  assert.equal(students.length, 6);
  assert.deepEqual(await (await fetch(`${origin}/dev/curriculum`)).json(), curriculum);
});

test("what is current is asked of the worker, which judges the token", async () => {
  const url = "/v1/students/student-001/mastery?limit=200";
  const response = await fetch(origin + url, { headers: { authorization: "Bearer a.b.c" } });
  assert.equal(response.status, 403);
  assert.deepEqual(await response.json(), { url, authorization: "Bearer a.b.c" });
});

test("an answer of a demo student is published with the student's token", async () => {
  const [status, said] = await post("/dev/responses", answer);
  assert.equal(status, 202);
  const [event] = (await eventsIn(redis, STREAMS.responses)) as [ResponseRecorded];
  assert.deepEqual(said["event"], event);
  assert.match(said["entry_id"], /^\d+-\d+$/);
  assert.equal(event.data.claims.sub, "student-001");
  const { response_id, answered_at, ...rest } = event.data.response;
  assert.deepEqual(rest, answer);
});

test("others get no token, and no answer is published for them", async () => {
  const before = await redis.xlen(STREAMS.responses);
  assert.equal((await post("/dev/token", { student_id: "somebody" }))[0], 422);
  assert.equal((await post("/dev/responses", { ...answer, student_id: "somebody" }))[0], 422);
  assert.equal(await redis.xlen(STREAMS.responses), before);
});

test("a foreign page gets nothing, whatever name it gives this machine", async () => {
  const { port } = new URL(origin);
  for (const headers of [
    { host: "evil.example" },
    { host: `evil.example:${port}` },
    { host: `127.0.0.1:${port}`, origin: "http://evil.example" },
    { host: `127.0.0.1:${port}`, origin: "null" },
  ]) {
    const asked = request({ port, host: "127.0.0.1", path: "/dev/students", headers }).end();
    const [response] = await once(asked, "response");
    response.resume();
    assert.equal(response.statusCode, 403, JSON.stringify(headers));
  }
  const socket = opened("student-001", await school.sign("student-001"), { origin: "http://evil.example" });
  assert.match((await socket.closed)[1], /403/);
});

test("a socket gets the changes of its own student and tenant", async () => {
  const own = opened("student-001", await school.sign("student-001"), { origin });
  await once(own.socket, "open");
  await until("it is registered", async () => {
    for (const data of [{ student_id: "student-002" }, { student_id: "student-001", tenant_id: "other" }]) {
      await redis.xadd(STREAMS.mastery, "*", "event", JSON.stringify(change(data)));
    }
    const event = change({ student_id: "student-001" });
    await redis.xadd(STREAMS.mastery, "*", "event", JSON.stringify(event));
    return own.seen.length > 0;
  });
  assert.ok(own.seen.every((data) => data.student_id === "student-001" && data.tenant_id === "school-7"));
  own.socket.close();
});

test("a socket without a token of that student is closed, and says why", async () => {
  const expired = await school.sign("student-001", "authenticated", "1m ago");
  for (const [token, code] of [
    ["forged", 4401],
    [expired, 4401],
    [await school.sign("student-002"), 4403],
  ] as const) {
    assert.equal((await opened("student-001", token).closed)[0], code);
  }
  const brief = await school.sign("student-001", "authenticated", "2s");
  assert.deepEqual(await opened("student-001", brief).closed, [4401, "the token has expired"]);
});
