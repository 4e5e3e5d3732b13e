// The live socket of a student, which connects again when it closes.

const EXPIRED = 4401;
const REFUSED_OFTEN = 5;

export class LiveSocket {
  // `token()` gives a fresh token, `message(data)` takes what arrives, `state(text)` tells people.
  constructor(path, { token, message, state }) {
    this.url = new URL(path, document.baseURI);
    this.url.protocol = this.url.protocol.replace("http", "ws");
    this.handlers = { token, message, state };
    this.ended = false;
    this.failures = 0;
    this.connect();
  }

  async connect() {
    const { token, message, state } = this.handlers;
    let bearer;
    try {
      bearer = await token();
    } catch (error) {
      this.again(error.message);
      return;
    }
    if (this.ended) return;
    // Browsers can't set headers of a socket: the token is its second subprotocol.
    this.socket = new WebSocket(this.url, ["bearer", bearer]);
    this.socket.onopen = () => {
      this.failures = 0;
      state("Live.");
    };
    this.socket.onmessage = ({ data }) => !this.ended && message(JSON.parse(data));
    this.socket.onclose = ({ code, reason }) => this.again(code === EXPIRED ? "" : reason, code === EXPIRED);
  }

  again(reason, atOnce = false) {
    if (this.ended) return;
    this.failures += 1;
    const wait = atOnce ? 0 : Math.min(this.failures, REFUSED_OFTEN) * 1000 * (0.5 + Math.random());
    this.handlers.state(`Not connected${reason ? `: ${reason}` : ""}. Trying again.`);
    this.timer = setTimeout(() => this.connect(), wait);
  }

  close() {
    this.ended = true;
    clearTimeout(this.timer);
    this.socket?.close();
  }
}
