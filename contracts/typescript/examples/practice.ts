/**
 * The practice page of `mastery dev`, served by Express: the same files, and the same small routes.
 *
 * It hands out tokens of demo students to whoever asks, so it serves this machine alone.
 */

import { readFileSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { randomUUID } from "node:crypto";
import { join, resolve } from "node:path";

import express, { Router } from "express";
import { z } from "zod";

import { responseRecorded } from "../src/index.js";
import type { Item, Publishing } from "./express.js";
import { Refused, requestIdOf, verified, type TokenOptions } from "./requests.js";

export const DEMO_STUDENTS = [
  { student_id: "student-001", name: "Ada" },
  { student_id: "student-002", name: "Bruno" },
  { student_id: "student-003", name: "Chen" },
  { student_id: "student-004", name: "Dilara" },
  { student_id: "student-005", name: "Emeka" },
  { student_id: "student-006", name: "Frida" },
] as const;

/** Concepts and questions, as `GET /dev/curriculum` gives them. */
export interface Curriculum {
  scale: string;
  concepts: { id: string; name: string; prerequisites: string[] }[];
  items: {
    id: string;
    concept_ids: string[];
    scale: string;
    question: string;
    choices: string[];
    answer: string;
  }[];
}

export interface PracticeOptions {
  /** `workers/web` of the repository, which has the page and what it loads. */
  web: string;
  curriculum: Curriculum;
  /** Gives a token of a demo student. */
  tokenOf: (studentId: string) => Promise<string>;
  tokens: TokenOptions;
  publisher: Publishing;
  /** The worker's HTTP, for the links of the page and what is current. */
  masteryUrl: string;
}

/** The page's policy: only our own files, and nothing inline. */
const POLICY = [
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'",
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
].join("; ");

const OfStudent = z.object({ student_id: z.enum(DEMO_STUDENTS.map((one) => one.student_id)) });

/** `data.response` of the event; the rest of it is judged by the engine. */
const Response = z.looseObject({
  ...OfStudent.shape,
  response_id: z.uuid().default(() => randomUUID()),
  answered_at: z.string().default(() => new Date().toISOString()),
  item_id: z.string(),
  concept_ids: z.array(z.string()),
  correct: z.boolean(),
});

export function readCurriculum(file: string): Curriculum {
  return JSON.parse(readFileSync(file, "utf8")) as Curriculum;
}

export function itemsOf({ items }: Curriculum): Map<string, Item> {
  return new Map(
    items.map(({ id, answer, concept_ids, scale }) => [id, { solution: answer, concept_ids, scale }]),
  );
}

export function practice(options: PracticeOptions): Router {
  const { web, curriculum, tokenOf, tokens, publisher, masteryUrl } = options;
  const router = Router();
  const json = express.json({ limit: "16kb", type: () => true });

  router.use((request, _response, next) => {
    const refusal = foreign(request);
    if (refusal !== undefined) throw new Refused(403, "forbidden", refusal);
    next();
  });
  router.get("/", (_request, response) => {
    response.set({ "Content-Security-Policy": POLICY, "Referrer-Policy": "no-referrer" });
    response.sendFile(resolve(web, "pages", "practice.html"), { cacheControl: false });
  });
  router.use("/static", express.static(join(web, "static", "pages")));
  router.get(["/docs", "/status", "/metrics", "/health"], (request, response) => {
    response.redirect(masteryUrl + request.path);
  });

  router.get("/dev/students", (_request, response) => {
    response.json({ students: DEMO_STUDENTS });
  });
  router.get("/dev/curriculum", (_request, response) => {
    response.json(curriculum);
  });
  router.post("/dev/token", json, async (request, response) => {
    const { student_id } = read(OfStudent, request.body);
    response.set("cache-control", "no-store").json({ token: await tokenOf(student_id) });
  });
  router.post("/dev/responses", json, async (request, response) => {
    const answer = read(Response, request.body);
    const { token, claims } = await verified(await tokenOf(answer.student_id), tokens);
    const event = responseRecorded(
      answer,
      { claims, token },
      { source: "/express/practice", correlationid: requestIdOf(response) },
    );
    const sent = await publisher.publish(event).catch((error: Error) => {
      throw new Refused(503, "unavailable", `the answer was not published: ${error.message}`);
    });
    response
      .status(202)
      .set("cache-control", "no-store")
      .json({ entry_id: sent?.entryId ?? "in the outbox", event });
  });
  // What is current is the worker's to say; it judges the token.
  router.get("/v1/students/:student/mastery", async (request, response) => {
    const answer = await fetch(masteryUrl + request.originalUrl, {
      headers: { authorization: request.get("authorization") ?? "" },
      signal: AbortSignal.timeout(10_000),
    }).catch(() => {
      throw new Refused(503, "unavailable", `the worker at ${masteryUrl} does not answer`);
    });
    const text = await answer.text();
    response.status(answer.status).set("cache-control", "no-store").type("json").send(text);
  });
  return router;
}

function read<T>(schema: z.ZodType<T>, body: unknown): T {
  const found = schema.safeParse(body);
  if (!found.success) throw new Refused(422, "invalid", z.prettifyError(found.error));
  return found.data;
}

/**
 * Why a request is none of a page of this machine; undefined if it is one.
 *
 * A foreign name that resolves to 127.0.0.1 (DNS rebinding) shows in `Host`, a foreign page in
 * `Origin`.
 */
export function foreign({ headers, socket }: IncomingMessage): string | undefined {
  const hosts = ["127.0.0.1", "localhost"].map((name) => `${name}:${socket.localPort}`);
  if (!hosts.includes(headers.host ?? "")) return "this is reached as 127.0.0.1 or localhost alone";
  const { origin } = headers;
  if (origin !== undefined && !hosts.some((host) => origin === `http://${host}`)) {
    return "pages of other origins may not call this";
  }
  return undefined;
}
