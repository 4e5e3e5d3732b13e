/** Changes of mastery, as the engine tells them. */

import { randomUUID } from "node:crypto";

import type { Redis } from "ioredis";

import type { MasteryChanged, MasteryData } from "../src/index.js";

export function change(data: Partial<MasteryData> = {}): MasteryChanged {
  return {
    specversion: "1.0",
    id: randomUUID(),
    source: "/mastery-engine",
    type: "practice.mastery.changed.v1",
    data: {
      tenant_id: "school-7",
      student_id: "student-42",
      concept_id: "fractions.add",
      mastery: 0.925,
      previous_mastery: 0.71,
      mastered: false,
      transition: "none",
      attempts: 7,
      version: 1,
      probability_correct: 0.697,
      ability: { scale: "math", theta: 0.42, standard_error: 0.31, previous_theta: 0.33 },
      response_id: randomUUID(),
      item_id: "q-101",
      correct: true,
      score: 1,
      answered_at: "2026-11-21T09:29:58.400Z",
      last_answered_at: "2026-11-21T09:29:58.400Z",
      parameters_version: 1,
      ...data,
    },
  };
}

/** Adds changes with these versions to a stream; returns the ids of the entries. */
export async function tell(redis: Redis, stream: string, versions: number[]): Promise<string[]> {
  const ids = [];
  for (const version of versions) {
    ids.push((await redis.xadd(stream, "*", "event", JSON.stringify(change({ version })))) ?? "");
  }
  return ids;
}
