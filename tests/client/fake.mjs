// A site that client.js talks to in tests: a database of one list, its observer and its resource socket.

/** Let everything happen that waits for nothing but its turn. */
export async function turns(count = 20) {
  for (let turn = 0; turn < count; turn++) await new Promise((done) => setImmediate(done));
}

export class FakeSite {
  sockets = [];
  requests = [];
  history = [];
  seq = 0;
  items = [];
  observer = "observer-1";
  isUp = true;
  answers = true;
  answersGets = true;
  /** What GETs of the list and actions are answered with, where it is not the usual. */
  onGet = null;
  onAction = null;
  /** The code and the reason that every socket is closed with, once it is open. */
  closesWith = null;
  closesBecause = "";

  constructor(items = []) {
    this.items = items;
    const site = this;
    this.WebSocket = class extends FakeSocket {
      constructor(url) {
        super(site, url);
      }
    };
    this.fetch = (url, init) => this.#fetch(new URL(url), init);
  }

  get options() {
    return { WebSocket: this.WebSocket, fetch: this.fetch, timeout: 5000 };
  }

  get open() {
    return this.sockets.filter((socket) => socket.readyState === 1);
  }

  /** The open observer socket, or the resource socket. */
  socket(kind) {
    return this.open.filter(({ path }) => (kind === "observers" ? path !== "/ws/" : path === "/ws/")).at(-1);
  }

  /** Change the list, and tell it unless the messages get lost. */
  change(items, messages, { lost = false } = {}) {
    this.items = items;
    this.seq += 1;
    const full = messages.map((message, place) => ({
      observer: this.observer,
      primary_key: "id",
      seq: this.seq,
      last: place === messages.length - 1,
      ...message,
    }));
    this.history.push(...full);
    if (!lost) for (const message of full) this.tell(message);
  }

  tell(message) {
    this.socket("observers")?.receive({ observer: this.observer, ...message });
  }

  /** Stop answering as a killed server does: every socket closes, nothing connects. */
  stop(code = 1006) {
    this.isUp = false;
    for (const socket of this.open) socket.end(code);
  }

  start() {
    this.isUp = true;
  }

  async #fetch(url, init) {
    const request = { method: init.method, path: url.pathname, query: url.searchParams, init };
    this.requests.push(request);
    if (!this.isUp) throw new TypeError("connection refused");
    const aborted = new Promise((_, fail) => init.signal.addEventListener("abort", () => fail(new Error("aborted"))));
    if (!this.answers || !this.answersGets) return aborted;
    const answer = (await Promise.race([this.onGet?.(request), aborted])) ?? this.#answer(request);
    const { status = 200, body = answer, headers = {} } = answer.status ? answer : {};
    return new Response(JSON.stringify(body), { status, headers });
  }

  #answer({ query }) {
    const common = { observer: this.observer, primary_key: "id", seq: this.seq };
    if (!query.has("since")) return { ...common, items: this.items };
    return { ...common, messages: this.history.filter(({ seq }) => seq > Number(query.get("since"))) };
  }
}

class FakeSocket {
  readyState = 0;
  sent = [];
  #site;

  constructor(site, url) {
    this.#site = site;
    this.path = new URL(url).pathname;
    this.url = url;
    site.sockets.push(this);
    setImmediate(() => {
      if (this.readyState !== 0) return;
      if (!site.isUp) return this.end(1006);
      this.readyState = 1;
      this.onopen?.({});
      if (site.closesWith) this.end(site.closesWith, site.closesBecause);
    });
  }

  send(text) {
    const message = JSON.parse(text);
    this.sent.push(message);
    if (!this.#site.answers) return;
    if ("ping" in message) setImmediate(() => this.receive({ pong: message.ping }));
    else {
      const { stream, payload } = message;
      const done = { response_status: 200, data: { echo: payload.data ?? payload.pk } };
      const reply = this.#site.onAction?.(message) ?? done;
      if (reply === "silence") return;
      setImmediate(() => this.receive({ stream, payload: { errors: [], ...payload, ...reply } }));
    }
  }

  receive(message) {
    if (this.readyState === 1) this.onmessage?.({ data: JSON.stringify(message) });
  }

  end(code, reason = "") {
    if (this.readyState === 3) return;
    this.readyState = 3;
    this.onclose?.({ code, reason });
  }

  close() {
    this.readyState = 3;
  }
}
