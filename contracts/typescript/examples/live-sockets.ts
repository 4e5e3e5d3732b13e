/** Live sockets: each change of a student's mastery, as it is published. */

import type { IncomingMessage, Server } from "node:http";

import type { Cluster, Redis } from "ioredis";
import { WebSocketServer, type WebSocket } from "ws";

import { follow, tenantOf, type Claims } from "../src/index.js";
import { Refused, verified, type TokenOptions } from "./requests.js";

const PATH = /^\/v1\/ws\/students\/([^/?]+)\/mastery(?:\?|$)/;
const GOING_AWAY = 1001;
const UNAVAILABLE = 1013;
const UNAUTHENTICATED = 4401;
const FORBIDDEN = 4403;
/** A browser that takes nothing is not kept in memory. */
const MOST_BUFFERED = 1_000_000;
const LONGEST_TIMER_MS = 2 ** 31 - 1;

export interface LiveSocketOptions {
  /** Its connection is copied: reading blocks. */
  redis: Redis | Cluster;
  shards: number;
  tenantClaim?: string | undefined;
  tokens: TokenOptions;
  /** Why a request is refused; undefined if it is not. */
  refusal: (request: IncomingMessage) => string | undefined;
}

/** Serves `/v1/ws/students/{student_id}/mastery`, one reader of the streams for all sockets. */
export class LiveSockets {
  readonly #options: LiveSocketOptions;
  readonly #server = new WebSocketServer({
    noServer: true,
    maxPayload: 1_024,
    // The other protocol that the browser offers is its token.
    handleProtocols: () => "bearer",
  });
  readonly #sockets = new Map<string, Set<WebSocket>>();
  readonly #stop = new AbortController();
  readonly #ended: Promise<void>;

  constructor(http: Server, options: LiveSocketOptions) {
    this.#options = options;
    http.on("upgrade", (request, socket, head) => {
      socket.on("error", () => socket.destroy());
      if (!PATH.test(request.url ?? "") || options.refusal(request) !== undefined) {
        socket.end("HTTP/1.1 403 Forbidden\r\nConnection: close\r\n\r\n");
        return;
      }
      this.#server.handleUpgrade(request, socket, head, (opened) => void this.#open(opened, request));
    });
    this.#ended = follow(options.redis, {
      stream: "mastery",
      shards: options.shards,
      signal: this.#stop.signal,
      handle: ({ data }) => this.#send(key(data.tenant_id, data.student_id), JSON.stringify(data)),
    }).catch((error: unknown) => {
      console.error("live sockets have ended:", error);
      this.#closeAll(UNAVAILABLE, "mastery can't be read");
    });
  }

  /** Closes all sockets, and the connection to Redis. */
  async close(): Promise<void> {
    this.#stop.abort();
    this.#closeAll(GOING_AWAY, "the server stops");
    await this.#ended;
  }

  async #open(socket: WebSocket, request: IncomingMessage): Promise<void> {
    // `ws` has an error for what a browser sends wrong, and closes the socket itself.
    socket.on("error", () => undefined);
    const student = decoded(PATH.exec(request.url ?? "")?.[1] ?? "");
    const [, token = ""] = (request.headers["sec-websocket-protocol"] ?? "").split(/ *, */);
    let claims: Claims;
    let tenant: string;
    try {
      ({ claims } = await verified(token, this.#options.tokens));
      tenant = tenantOf(claims, this.#options.tenantClaim);
    } catch (error) {
      const away = error instanceof Refused && error.status === 503;
      return socket.close(away ? UNAVAILABLE : UNAUTHENTICATED, (error as Error).message);
    }
    if (claims.sub !== student) return socket.close(FORBIDDEN, "this is another student's");
    const own = key(tenant, student);
    this.#sockets.set(own, (this.#sockets.get(own) ?? new Set()).add(socket));
    const left = claims.exp * 1_000 - Date.now();
    const expired = setTimeout(
      () => socket.close(UNAUTHENTICATED, "the token has expired"),
      Math.min(left, LONGEST_TIMER_MS),
    );
    socket.once("close", () => {
      clearTimeout(expired);
      const others = this.#sockets.get(own);
      others?.delete(socket);
      if (others?.size === 0) this.#sockets.delete(own);
    });
  }

  #send(to: string, text: string): void {
    for (const socket of this.#sockets.get(to) ?? []) {
      if (socket.bufferedAmount > MOST_BUFFERED) socket.terminate();
      else socket.send(text);
    }
  }

  #closeAll(code: number, reason: string): void {
    for (const socket of this.#server.clients) socket.close(code, reason);
  }
}

function key(tenantId: string, studentId: string): string {
  return `${tenantId}\0${studentId}`;
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
