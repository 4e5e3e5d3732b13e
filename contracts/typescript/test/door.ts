/** A way to a server on this machine that can be shut and opened again. */

import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";

export class Door {
  port = 0;
  readonly #to: number;
  readonly #sockets = new Set<Socket>();
  #server: Server | undefined;

  private constructor(to: number) {
    this.#to = to;
  }

  static async opened(to: number): Promise<Door> {
    const door = new Door(to);
    await door.open();
    return door;
  }

  /** Lets connections through, at the same port as before. */
  async open(): Promise<void> {
    this.#server = createServer((inner) => {
      const outer = connect(this.#to, "127.0.0.1");
      for (const [one, other] of [
        [inner, outer],
        [outer, inner],
      ] as const) {
        this.#sockets.add(one);
        one.pipe(other);
        one.on("error", () => other.destroy());
        one.on("close", () => this.#sockets.delete(one));
      }
    }).listen(this.port, "127.0.0.1");
    await once(this.#server, "listening");
    this.port = (this.#server.address() as AddressInfo).port;
  }

  /** Cuts all connections, and lets none through. */
  async close(): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    this.#server = undefined;
    const closed = once(server, "close");
    server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }
}
