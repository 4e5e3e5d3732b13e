import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { Agent, createServer, get, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import express from "express";
import { SignJWT } from "jose";

import { closeGracefully } from "../examples/stopping.js";
import { STREAMS } from "../src/index.js";
import { emptyRedis, eventsIn, redisUrl, until } from "./redis.js";

const SECRET = "a secret of the tests that is long enough";

test("a stop answers the request under way, though its browser keeps connections", async () => {
  let answer = () => {};
  const app = express().get("/", (_request, response) => {
    answer = () => response.send("done");
  });
  const server = createServer(app).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const asked = get({ port, host: "127.0.0.1", agent: new Agent({ keepAlive: true }) });
  const arrived = once(asked, "response") as Promise<[IncomingMessage]>;
  await once(server, "request");
  const began = Date.now();
  const closed = closeGracefully(server);
  await sleep(100);
  answer();
  const [response] = await arrived;
  response.resume();
  await closed;

  assert.equal(response.statusCode, 200);
  // An idle connection is not waited for: Node keeps one for five seconds.
  assert.ok(Date.now() - began < 4_000);
});

test("a request that never ends is cut after the time given", async () => {
  const server = createServer(() => {}).listen(0, "127.0.0.1");
  await once(server, "listening");
  const asked = get({ port: (server.address() as AddressInfo).port, host: "127.0.0.1" });
  const failed = once(asked, "error");
  await once(server, "request");
  await closeGracefully(server, 100);
  await failed;
});

test("the example publishes with HS256, and ends with 0 at SIGTERM", async () => {
  const redis = await emptyRedis();
  const started = spawn(process.execPath, ["build/examples/server.js"], {
    env: { PATH: process.env["PATH"], REDIS_URL: redisUrl(), JWT_SECRET: SECRET, PRACTICE_PAGE: "true", PORT: "0" },
    stdio: ["ignore", "pipe", "inherit"],
  });
  try {
    let said = "";
    started.stdout.on("data", (text) => (said += text));
    await until("it is ready", () => said.includes("\n"));
    const origin = /http:\/\/[\d.:]+/.exec(said)?.[0] ?? "";
    const token = await new SignJWT({ iss: "i", sub: "me", aud: "authenticated" })
      .setProtectedHeader({ alg: "HS256" })
      .setIssuedAt()
      .setExpirationTime("1h")
      .sign(new TextEncoder().encode(SECRET));
    const response = await fetch(`${origin}/answers`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      body: JSON.stringify({
        response_id: "0193da5e-65d8-7c3e-9b1a-5f0e4d3c2b10",
        item_id: "fractions.add/01",
        answer: "0",
        answered_at: new Date().toISOString(),
      }),
    });
    // There is no worker: the mastery is not known yet.
    assert.equal(response.status, 202);
    const page = { method: "POST", body: JSON.stringify({ student_id: "student-001" }) };
    assert.equal((await fetch(`${origin}/dev/token`, page)).status, 200);
    assert.equal((await eventsIn(redis, STREAMS.responses)).length, 1);
    started.kill("SIGTERM");
    assert.deepEqual(await once(started, "exit"), [0, null]);
  } finally {
    started.kill("SIGKILL");
    redis.disconnect();
  }
});
