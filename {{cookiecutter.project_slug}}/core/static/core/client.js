/**
 * The browser's side of live queries, of the resource socket and of the batch. One module, nothing to build:
 *
 *     import { connect } from "/static/core/client.js";
 *     await connect().query("/api/questions/?ordering=-id", (questions) => show(questions));
 *
 * Types, and what each member of the public surface is for, are in `client.d.ts`.
 */

// --- The words of the protocol ------------------------------------------------------------------------------------

/** What the observer socket says about a live query. */
export const Message = Object.freeze({
  ADDED: "added",
  CHANGED: "changed",
  REMOVED: "removed",
  REVOKED: "revoked",
  SUSPENDED: "suspended",
  RELOAD: "reload",
});

/** What a stream of the resource socket can be asked. */
export const Action = Object.freeze({
  CREATE: "create",
  RETRIEVE: "retrieve",
  LIST: "list",
  UPDATE: "update",
  PATCH: "patch",
  DELETE: "delete",
  SUBSCRIBE: "subscribe",
  UNSUBSCRIBE: "unsubscribe",
});

/** Why the server closed a socket. */
export const CloseCode = Object.freeze({
  SHUTTING_DOWN: 4012,
  NOT_AUTHENTICATED: 4401,
  FORBIDDEN: 4403,
  NOT_FOUND: 4404,
  TOO_SLOW: 4408,
  FLOODING: 4429,
});

/** Milliseconds. */
const TIMEOUT = 15_000;
const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 15_000;
/** However long a server asks to be left alone. A timer of more than 24 days would end at once. */
const LONGEST_PATIENCE = 3_600_000;
const BEAT = 15_000;
const PONG_TIMEOUT = 5_000;
/** A socket that lived this long was well: the next pause is the first again. */
const STEADY = 10_000;

const SAFE_METHODS = new Set(["GET", "HEAD", "OPTIONS", "TRACE"]);
/** What may be asked twice without harm, when nobody knows whether the first time arrived. */
const REPEATABLE = new Set([Action.RETRIEVE, Action.LIST, Action.SUBSCRIBE, Action.UNSUBSCRIBE]);

// --- Decisions ----------------------------------------------------------------------------------------------------

/** A request that failed. `status` is 0 where no answer came; `code` then says why. */
export class LiveError extends Error {
  constructor(message, { status = 0, code = "refused", errors = null, retryAfter = 0, cause } = {}) {
    super(message, { cause });
    Object.assign(this, { name: "LiveError", status, code, errors, retryAfter });
  }

  get passing() {
    return this.status === 0 || this.status === 408 || this.status === 429 || this.status >= 500;
  }
}

const ended = () => new LiveError("The connection was closed.", { code: "closed" });

/** Apply the messages of one `seq` and return the new list; `items` stays as it is. */
export function applyMessages(items, key, messages) {
  const touched = new Map(messages.map((message) => [message.item[key], message]));
  const result = items.filter((item) => !touched.has(item[key]));
  const placed = [...touched.values()].filter(({ msg }) => msg !== Message.REMOVED).sort((a, b) => a.order - b.order);
  for (const { order, item } of placed) result.splice(order, 0, item);
  return result;
}

/** Tell what has come, changed and gone between two lists. A mere change of place is none. */
export function difference(before, after, key) {
  const old = new Map(before.map((item) => [item[key], item]));
  const now = new Set(after.map((item) => item[key]));
  const differs = (item) => old.get(item[key]) !== item && JSON.stringify(old.get(item[key])) !== JSON.stringify(item);
  return {
    added: after.filter((item) => !old.has(item[key])),
    changed: after.filter((item) => old.has(item[key]) && differs(item)),
    removed: before.filter((item) => !now.has(item[key])),
  };
}

/** The state of one live query: what the messages so far add up to. */
export class Snapshot {
  observer = null;
  key = "id";
  seq = 0;
  items = [];
  #unfinished = [];

  /** Begin anew with a whole answer. */
  reset({ observer = null, primary_key: key = "id", seq = 0, items = [] }) {
    Object.assign(this, { observer, key, seq, items });
    this.#unfinished = [];
  }

  /**
   * Take one message. `"old"`: known already; `"partial"`: kept until the last of its `seq` is there; `"applied"`:
   * `items` is a new list; `"gap"`: something was missed, ask again.
   */
  take(message) {
    if (message.seq <= this.seq) return "old";
    if (message.seq > this.seq + 1) return "gap";
    this.#unfinished.push(message);
    if (!message.last) return "partial";
    this.items = applyMessages(this.items, this.key, this.#unfinished);
    this.seq = message.seq;
    this.#unfinished = [];
    return "applied";
  }

  /** Forget a `seq` that was not finished: it will be sent again from its beginning. */
  interrupt() {
    this.#unfinished = [];
  }
}

/** Return the milliseconds to wait before attempt number `attempt`, counted from 0: twice as long each time. */
export const backoff = (attempt, random = Math.random) =>
  Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** attempt) * (0.5 + random() / 2);

/** Return a subscriber id: 128 random bits in hex. Whoever knows it may listen, so that it has to be unguessable. */
export const randomId = (random = (bytes) => globalThis.crypto.getRandomValues(bytes)) =>
  Array.from(random(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");

/** Stand for a part of another item's answer in a batch: `ref("question", "$.id")`. */
export const ref = (name, path = "$") => `{result=${name}:${path}}`;

/** Return the value of a cookie, or null. */
export function cookie(name, cookies) {
  const found = cookies.split("; ").find((each) => each.startsWith(`${name}=`));
  return found === undefined ? null : decodeURIComponent(found.slice(name.length + 1));
}

/** Put what a server says about an error into a sentence. */
export function sentence(errors, fallback) {
  if (typeof errors === "string" && errors) return errors;
  if (Array.isArray(errors)) return errors.map((each) => sentence(each, "")).filter(Boolean).join(" ") || fallback;
  if (errors === null || typeof errors !== "object") return fallback;
  if (typeof errors.detail === "string") return errors.detail;
  const said = Object.entries(errors).map(([field, value]) => [field, sentence(value, "")]).filter(([, text]) => text);
  return said.map(([field, text]) => (field === "non_field_errors" ? text : `${field}: ${text}`)).join(" ") || fallback;
}

function readJson(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Give one result of a batch the shape of an answer: `ok`, headers as an object, JSON read. */
export function readResult({ name, code, headers, body, encoding }) {
  const read = Object.fromEntries(headers.map(({ key, value }) => [key.toLowerCase(), value]));
  const isJson = body !== null && !encoding && /\bjson\b/.test(read["content-type"] ?? "");
  const data = isJson ? (readJson(body) ?? body) : body;
  return { name, code, ok: code < 400, headers: read, data, encoding: encoding ?? null };
}

class Emitter {
  #handlers = new Map();

  on(name, handler) {
    const handlers = this.#handlers.get(name) ?? new Set();
    this.#handlers.set(name, handlers.add(handler));
    return () => handlers.delete(handler);
  }

  emit(name, value) {
    for (const handler of [...(this.#handlers.get(name) ?? [])]) guarded(() => handler(value));
  }
}

/** Run code of the page's; its mistakes are shown like any other of the page, and do not stop what goes on here. */
function guarded(call) {
  try {
    call();
  } catch (error) {
    (globalThis.reportError ?? console.error)(error);
  }
}

// --- A socket that comes back by itself ---------------------------------------------------------------------------

/**
 * One WebSocket, opened again whenever it is lost. It counts as up once the server has answered a ping: a refusal is
 * an accepted handshake followed by a close, so that being open proves nothing. Whoever extends it has `name`, `path`,
 * `toggle` (the setting that switches the socket on), `isSettled`, `hear(message)`, `up()` and `down(loss)`.
 */
class Wire {
  /** `idle`, `connecting`, `live`, `offline` (it tries again) or `refused` (it does not, for the reason `refusal`). */
  state = "idle";
  refusal = null;
  #socket = null;
  /** There is one thing to wait for at a time: the first pong, silence, the next pong, or the end of a pause. */
  #timer;
  #attempt = 0;
  #isForbidden = false;
  #since = 0;

  constructor(live) {
    this.live = live;
  }

  open() {
    if (this.state === "idle") this.#connect();
  }

  close() {
    this.#hangUp();
    this.state = "idle";
    this.#attempt = 0;
    this.#isForbidden = false;
  }

  /** Give it up: what is asked, or has been, is refused. */
  refuse(error) {
    this.close();
    this.state = "refused";
    this.refusal = error;
    this.down({ error });
  }

  /** Begin anew, as whoever the caller is now. */
  restart() {
    const { state } = this;
    this.close();
    this.down({ wasLive: state === "live", isStranger: true });
    if (state !== "idle") this.open();
  }

  send(message) {
    this.#socket.send(JSON.stringify(message));
    if (!("ping" in message)) this.live.emit("message", { socket: this.name, direction: "out", message });
  }

  /** The network or the reader is back: see at once whether the socket lives. */
  nudge() {
    if (this.state === "live") this.#probe();
    else if (this.#socket === null && this.state !== "idle" && this.state !== "refused") {
      this.#attempt = 0;
      this.#connect();
    }
  }

  #connect() {
    if (this.state !== "offline") this.state = "connecting";
    const url = new URL(this.path, this.live.base);
    url.protocol = url.protocol.replace("http", "ws");
    const { WebSocket = globalThis.WebSocket } = this.live.options;
    this.#socket = new WebSocket(url.href);
    this.#socket.onopen = () => this.send({ ping: 0 });
    this.#socket.onclose = (close) => this.#lose(close);
    this.#socket.onmessage = ({ data }) => this.#receive(readJson(data));
    this.#after(TIMEOUT, () => this.#lose());
    this.live.settle();
  }

  #receive(message) {
    const isPong = message?.pong !== undefined;
    if (isPong && this.state !== "live") {
      this.state = "live";
      this.#since = Date.now();
      this.#isForbidden = false;
      this.up();
      this.live.settle();
    }
    if (this.state === "live") this.#after(BEAT, () => this.#probe());
    if (isPong || !message) return;
    this.live.emit("message", { socket: this.name, direction: "in", message });
    this.hear(message);
  }

  #probe() {
    this.send({ ping: 0 });
    this.#after(PONG_TIMEOUT, () => this.#lose());
  }

  #lose({ code = 0, reason = "" } = {}) {
    const wasLive = this.state === "live";
    this.#hangUp();
    const isStranger = code === CloseCode.NOT_AUTHENTICATED || code === CloseCode.FORBIDDEN;
    // Who is refused as a stranger comes back under another id, once.
    if (code === CloseCode.NOT_FOUND || (code === CloseCode.FORBIDDEN && this.#isForbidden)) {
      const question = code === CloseCode.NOT_FOUND ? ` Is ${this.toggle} on?` : "";
      this.refuse(new LiveError(`${reason || "The server refuses the socket."}${question}`, { status: code - 4000 }));
    } else {
      this.#isForbidden ||= code === CloseCode.FORBIDDEN;
      if (wasLive && Date.now() - this.#since >= STEADY) this.#attempt = 0;
      if (code === CloseCode.FLOODING) this.#attempt = Math.max(this.#attempt, 4);
      this.state = wasLive ? "connecting" : "offline";
      this.#after(backoff(this.#attempt++), () => this.#connect());
      this.down({ wasLive, isStranger });
    }
    this.live.settle();
  }

  #hangUp() {
    clearTimeout(this.#timer);
    if (this.#socket === null) return;
    this.#socket.onopen = this.#socket.onmessage = this.#socket.onclose = null;
    this.#socket.close();
    this.#socket = null;
  }

  #after(milliseconds, call) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(call, milliseconds);
  }
}

// --- Live queries -------------------------------------------------------------------------------------------------

/** The observer socket, and the live queries that listen to it. */
class Observers extends Wire {
  name = "observers";
  toggle = "CORE_REACTIVE_ENABLED";
  subscriber = randomId();
  #queries = new Set();
  /** Lists that were left, and that the server may take to be followed. */
  #left = new Set();

  get path() {
    return `ws/${this.subscriber}`;
  }

  get isSettled() {
    return [...this.#queries].every(({ settled }) => settled);
  }

  /** Begin a live query. Resolves with it once the first items are there. */
  follow(url, render, signal) {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) throw ended();
      if (this.state === "refused") throw this.refusal;
      const query = new Query({ observers: this, url: new URL(url, this.live.base), render, signal, resolve, reject });
      this.#queries.add(query);
      if (this.state === "live") query.load();
      this.open();
      this.live.settle();
    });
  }

  /** Let a query go. */
  leave(query) {
    this.#queries.delete(query);
    this.release(query.observer);
    if (this.#queries.size === 0 && this.state !== "refused") this.close();
    this.live.settle();
  }

  /** Tell the server which lists nobody follows any more, as soon as no query waits to be told which is its own. */
  release(list) {
    if (typeof list === "string") this.#left.add(list);
    const queries = [...this.#queries];
    if (this.state !== "live" || queries.some(({ request }) => request)) return;
    for (const observer of this.#left) {
      if (queries.some((query) => query.observer === observer)) continue;
      const search = new URLSearchParams({ observer, subscriber: this.subscriber });
      this.live.request("POST", `api/queryobserver/unsubscribe/?${search}`).catch(() => {}); // so does a closed socket
    }
    this.#left.clear();
  }

  hear(message) {
    for (const query of this.#queries) query.hear(message);
  }

  up() {
    for (const query of this.#queries) query.load();
  }

  /** Whoever is somebody else now, or no longer anybody, begins anew. */
  down({ isStranger, error }) {
    if (isStranger) this.subscriber = randomId();
    for (const query of this.#queries) {
      if (error) query.refuse(error);
      else query.interrupt({ isStranger });
    }
  }
}

/** A list that follows the database. */
class Query extends Snapshot {
  /** Whether the list is as new as can be known, or will never be again. */
  settled = false;
  closed = false;
  /** What it is made of: `observers`, `url`, `render`, `signal`, and `resolve` and `reject` of the promise of its first items. */
  #parts;
  /** Nothing of what is here counts any more: ask for everything. */
  #isWhole = true;
  /** The request under way: an `AbortController`. What comes from the socket meanwhile waits for its answer. */
  request = null;
  #held = [];
  #rendered = false;
  /** Under which id it was last answered: who has logged in elsewhere meanwhile is refused it, and needs a new one. */
  #subscriber = null;
  #attempt = 0;
  #timer = null;
  #abort = () => this.close();

  constructor(parts) {
    super();
    this.#parts = parts;
    parts.signal?.addEventListener("abort", this.#abort);
  }

  refresh() {
    this.#isWhole = true;
    this.load();
  }

  /** End it, and tell the server. A request under way goes on: its answer says which list the server will follow. */
  close(reason = ended()) {
    if (this.closed) return;
    this.request = null;
    this.interrupt();
    this.closed = true;
    this.#parts.signal?.removeEventListener("abort", this.#abort);
    this.#parts.reject(reason);
    this.#parts.observers.leave(this);
  }

  /** Stop what is under way: it will come again. */
  interrupt({ isStranger = false } = {}) {
    this.settled = false;
    this.#isWhole ||= isStranger;
    this.request?.abort();
    this.request = null;
    this.#held = [];
    super.interrupt();
    clearTimeout(this.#timer);
    this.#timer = null;
  }

  /** Take up where it was. Of two requests only the answer to the latter counts: no answer overtakes another. */
  async load() {
    if (this.closed) return;
    this.interrupt();
    const { url, observers } = this.#parts;
    const { live, subscriber } = observers;
    const request = (this.request = new AbortController());
    url.searchParams.set("observe", subscriber);
    if (this.#isWhole) url.searchParams.delete("since");
    else url.searchParams.set("since", this.seq);
    const answer = await live.request("GET", url, undefined, { signal: request.signal }).catch((error) => error);
    if (this.closed) observers.release(answer.data?.observer);
    if (this.request !== request) return;
    this.request = null;
    if (!(answer instanceof LiveError)) this.#accept(answer.data);
    else if (answer.passing) this.#retry(answer.retryAfter * 1000);
    else if (answer.status === 403 && this.#subscriber === subscriber) return observers.restart();
    else this.refuse(answer);
    for (const message of this.#held.splice(0)) this.hear(message);
    if (this.#timer === null) this.#attempt = 0;
    observers.release();
    live.settle();
  }

  /** Take a message of the socket. */
  hear(message) {
    if (this.request !== null) this.#held.push(message);
    if (this.request !== null || message.observer !== this.observer) return;
    const before = this.items;
    if (message.msg === Message.RELOAD) this.refresh();
    else if (message.msg === Message.REVOKED) this.refuse();
    else if (message.msg === Message.SUSPENDED) this.#show("suspended", before, message.detail);
    else {
      const outcome = this.take(message);
      if (outcome === "applied") this.#show("changed", before);
      else if (outcome === "gap") this.#retry();
    }
  }

  /** It is refused for good: drop everything, for the caller may not see it, or not any more. */
  refuse(error) {
    const before = this.items;
    this.interrupt({ isStranger: true });
    if (!this.#rendered || error?.code === "closed") return this.close(error);
    this.reset({});
    this.settled = true;
    if (before.length) this.#show("revoked", before);
  }

  #accept(answer) {
    const { observer, seq, items, messages } = answer ?? {};
    const said = `${this.#parts.url.pathname} answers no live queries.`;
    if (typeof observer !== "string") return this.refuse(new LiveError(said, { status: 404 }));
    const before = this.items;
    if (items) this.reset(answer);
    else if (observer === this.observer) for (const message of messages) this.take(message);
    // The server speaks of another list, or what it says does not lead to where it is.
    this.#isWhole = observer !== this.observer || seq !== this.seq;
    if (this.#isWhole) return this.#retry();
    this.#subscriber = this.#parts.url.searchParams.get("observe");
    this.settled = true;
    this.#show("loaded", before);
  }

  /** Load again: at once, and later each time if that was in vain. Not before `pause` milliseconds. */
  #retry(pause = 0) {
    this.settled = false;
    if (this.#timer !== null) return;
    const patience = this.#attempt || pause ? Math.max(pause, backoff(this.#attempt)) : 0;
    this.#attempt += 1;
    this.#timer = setTimeout(() => this.load(), Math.min(patience, LONGEST_PATIENCE));
  }

  #show(reason, before, detail = null) {
    if (this.#rendered && reason === "loaded" && JSON.stringify(before) === JSON.stringify(this.items)) return;
    this.#rendered = true;
    guarded(() => this.#parts.render(this.items, { reason, detail, ...difference(before, this.items, this.key) }));
    this.#parts.resolve(this);
  }
}

// --- Streams of resources -----------------------------------------------------------------------------------------

/** The resource socket: its requests under way, its streams, and the subscriptions that are renewed after a loss. */
class Resources extends Wire {
  name = "resources";
  path = "ws/";
  toggle = "CORE_BINDINGS_ENABLED";
  #streams = new Map();
  #waiting = new Map();
  #subscriptions = new Map();
  #count = 0;
  #renewing = 0;

  get isSettled() {
    return this.#renewing === 0;
  }

  stream(name) {
    if (!this.#streams.has(name)) this.#streams.set(name, new Stream((...request) => this.#ask(name, ...request)));
    return this.#streams.get(name);
  }

  /** Send now, or as soon as the socket is up. Resolves with the data of the reply. */
  async #ask(stream, action, { pk, data } = {}) {
    const name = JSON.stringify({ stream, data });
    if (action === Action.UNSUBSCRIBE) this.#subscriptions.delete(name);
    if (this.state === "refused") throw this.refusal;
    const request_id = String(++this.#count);
    const message = { stream, payload: { action, pk, data, request_id } };
    const late = () => new LiveError(`${stream}: ${action} was not answered in time.`, { code: "timeout" });
    let timer;
    const reply = new Promise((resolve, reject) => {
      timer = setTimeout(() => reject(late()), this.live.options.timeout);
      this.#waiting.set(request_id, { message, resolve, reject, ends: action === Action.UNSUBSCRIBE ? name : null });
    });
    if (this.state === "live") this.send(message);
    else this.open();
    try {
      const { response_status: status, errors, data: answer } = await reply;
      const said = sentence(errors, `${stream}: ${action} was answered with ${status}.`);
      if (status >= 400) throw new LiveError(said, { status, errors });
      const isEndedSince = [...this.#waiting].some(([id, { ends }]) => ends === name && Number(id) > Number(request_id));
      if (action === Action.SUBSCRIBE && !isEndedSince) this.#subscriptions.set(name, { stream, data });
      return answer;
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(request_id);
    }
  }

  hear({ stream, payload = {} }) {
    // What has an id and is not waited for is a reply that comes too late.
    if ("request_id" in payload) this.#waiting.get(payload.request_id)?.resolve(payload);
    else this.#streams.get(stream)?.emit(payload.action, payload);
  }

  /** Send what waits, and subscribe again; a subscription that is refused now is given up. */
  async up() {
    for (const { message } of this.#waiting.values()) this.send(message);
    const subscriptions = [...this.#subscriptions];
    const renew = ([name, { stream, data }]) =>
      this.#ask(stream, Action.SUBSCRIBE, { data }).catch(({ passing }) => passing || this.#subscriptions.delete(name));
    this.#renewing += 1;
    await Promise.all(subscriptions.map(renew));
    this.#renewing -= 1;
    // Events of the meantime are lost: whoever keeps a list by them lists again.
    for (const name of new Set(subscriptions.map(([, { stream }]) => stream))) this.stream(name).emit("resumed");
    this.live.settle();
  }

  /** What may have been done and must not be done twice fails; the rest waits. */
  down({ wasLive, error }) {
    for (const { message, reject } of this.#waiting.values()) {
      const { action } = message.payload;
      const said = `The connection was lost before ${action} was answered: it may have been done, or not.`;
      if (error) reject(error);
      else if (wasLive && !REPEATABLE.has(action)) reject(new LiveError(said, { code: "lost" }));
    }
  }
}

/** One stream of the resource socket: a promise for each action, and the events of what is subscribed to. */
class Stream extends Emitter {
  constructor(ask) {
    super();
    this.action = ask;
  }

  create = (data) => this.action(Action.CREATE, { data });
  retrieve = (pk) => this.action(Action.RETRIEVE, { pk });
  list = (data = {}) => this.action(Action.LIST, { data });
  update = (pk, data) => this.action(Action.UPDATE, { pk, data });
  patch = (pk, data) => this.action(Action.PATCH, { pk, data });
  delete = (pk) => this.action(Action.DELETE, { pk });
  subscribe = (action, { pk, filter } = {}) => this.action(Action.SUBSCRIBE, { data: { action, pk, filter } });
  unsubscribe = (action, { pk, filter } = {}) => this.action(Action.UNSUBSCRIBE, { data: { action, pk, filter } });
}

// --- One object for everything ------------------------------------------------------------------------------------

/** A connection to one site: the page's state, requests over HTTP, and the two sockets. */
export class Live extends Emitter {
  state = "connecting";
  #observers = new Observers(this);
  #resources = new Resources(this);
  #wires = [this.#observers, this.#resources];
  #closing = new AbortController();

  constructor(url, options = {}) {
    super();
    // `base`, `options` and `settle` are for the sockets, and no part of the public surface.
    this.base = new URL(url ?? "/", globalThis.location?.href);
    this.options = { timeout: TIMEOUT, csrfCookie: "csrftoken", csrfHeader: "X-CSRFToken", ...options };
    const { signal } = this.#closing;
    const nudge = () => this.#wires.forEach((wire) => wire.nudge());
    for (const name of ["online", "offline", "pageshow"]) globalThis.addEventListener?.(name, nudge, { signal });
    globalThis.document?.addEventListener("visibilitychange", nudge, { signal });
  }

  query = (url, render, { signal } = {}) => this.#observers.follow(url, render, signal);
  stream = (name) => this.#resources.stream(name);

  async batch(items, options = {}) {
    const { data } = await this.request("POST", "api/batch/", { ...options, batch: items });
    return data.map(readResult);
  }

  async request(method, url, data, { headers = {}, signal } = {}) {
    const target = new URL(url, this.base);
    const init = { method, headers: { Accept: "application/json", ...headers }, cache: "no-store" };
    if (data !== undefined) {
      init.body = JSON.stringify(data);
      init.headers["Content-Type"] = "application/json";
    }
    const isForeign = target.origin !== this.base.origin;
    const token = SAFE_METHODS.has(method.toUpperCase()) || isForeign ? null : this.#csrf();
    if (token) init.headers[this.options.csrfHeader] = token;
    const answer = await this.#fetch(target, init, signal);
    if (answer.status < 400) return answer;
    // A page, such as that of a 404 outside the API, is no sentence to show.
    const errors = answer.headers.get("Content-Type")?.includes("html") ? null : answer.data;
    const said = sentence(errors, `${method} ${target.pathname} was answered with ${answer.status}.`);
    const retryAfter = Number(answer.headers.get("Retry-After")) || 0;
    throw new LiveError(said, { status: answer.status, errors, retryAfter });
  }

  reconnect() {
    if (!this.#closing.signal.aborted) for (const wire of this.#wires) wire.restart();
  }

  close() {
    this.#closing.abort();
    for (const wire of this.#wires) wire.refuse(ended());
    this.settle();
  }

  /** Tell the page the state of the whole, if it is another. */
  settle() {
    const wires = this.#wires.filter(({ state }) => state !== "idle");
    let now = "connecting";
    if (wires.some(({ state }) => state === "offline" || state === "refused")) now = "offline";
    else if (wires.length && wires.every(({ state, isSettled }) => state === "live" && isSettled)) now = "live";
    if (this.state === now) return;
    this.state = now;
    this.emit("state", now);
  }

  async #fetch(target, init, signal) {
    const { fetch = globalThis.fetch, timeout } = this.options;
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(), timeout);
    try {
      const either = AbortSignal.any(signal ? [signal, late.signal] : [late.signal]);
      const response = await fetch(target.href, { ...init, signal: either });
      const text = await response.text();
      return { status: response.status, headers: response.headers, data: text ? (readJson(text) ?? text) : null };
    } catch (cause) {
      const code = late.signal.aborted ? "timeout" : signal?.aborted ? "closed" : "network";
      const said = code === "timeout" ? "did not answer in time" : "was not reached";
      throw new LiveError(`${target.pathname} ${said}.`, { code, cause });
    } finally {
      clearTimeout(timer);
    }
  }

  #csrf() {
    const field = globalThis.document?.querySelector("input[name=csrfmiddlewaretoken]");
    return cookie(this.options.csrfCookie, globalThis.document?.cookie ?? "") ?? field?.value;
  }
}

/** Connect to the site at `url`, by default the page's own. Nothing is sent before something is asked for. */
export function connect(url, options) {
  return new Live(url, options);
}
