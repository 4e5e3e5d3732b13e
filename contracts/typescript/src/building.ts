/** Events to publish, as CloudEvents. */

import { randomUUID } from "node:crypto";

import type { Claims, JobData, JobRequested, PracticeResponse, ResponseRecorded } from "./events.js";

const CORRELATION_ID = /^[^\x00-\x1f\x7f-\x9f]{1,128}$/u;
const TRACE_PARENT = /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/;

/** What an event says of itself. */
export interface Context {
  /** Who publishes it, a URI reference such as `/express/practice`. */
  source: string;
  /** A UUID; made anew if you give none. An event that is published again keeps it. */
  id?: string | undefined;
  /** The `X-Request-ID` of the request that it comes from, carried into all that follows. */
  correlationid?: string | undefined;
  /** The W3C trace context of that request. */
  traceparent?: string | undefined;
}

/** Who reports, or asks. */
export interface Reported {
  /** The claims of the JWT, which you have verified. */
  claims: Claims;
  /** The JWT itself; required where the engine has `JWT_MODE=verify`. */
  token?: string | undefined;
}

/** A response that says whether it is right: by `correct`, by `score`, or by both alike. */
export type Answer = PracticeResponse & ({ correct: boolean } | { score: number });

/** A job to ask for. */
export type Job = Omit<JobData, "claims" | "token">;

/**
 * The event of an answer. Keep it until it is published: publishing it twice counts once.
 *
 * A correlation id or trace context that the engine would not take is left out, for they are
 * headers of strangers, and no answer may be lost for them.
 */
export function responseRecorded(
  answer: Answer,
  reported: Reported,
  context: Context,
): ResponseRecorded {
  return {
    ...envelope(context),
    type: "practice.response.recorded.v1",
    subject: answer.student_id,
    data: { ...who(reported), response: answer },
  };
}

/** The event that asks for a job; `job_id` makes it count once, however often it is published. */
export function jobRequested(job: Job, reported: Reported, context: Context): JobRequested {
  return {
    ...envelope(context),
    type: "practice.job.requested.v1",
    data: { ...job, ...who(reported) },
  };
}

function who({ claims, token }: Reported): { claims: Claims; token?: string } {
  return token === undefined ? { claims } : { claims, token };
}

function envelope(context: Context) {
  const { source, id, correlationid, traceparent } = context;
  return {
    specversion: "1.0" as const,
    id: id ?? randomUUID(),
    source,
    time: new Date().toISOString(),
    datacontenttype: "application/json" as const,
    ...(correlationid !== undefined && CORRELATION_ID.test(correlationid) && { correlationid }),
    ...(traceparent !== undefined && TRACE_PARENT.test(traceparent) && { traceparent }),
  };
}
