/**
 * The browser's side of live queries, of the resource socket and of the batch. One module, nothing to build:
 *
 *     import { connect } from "/static/core/client.js";
 *     const live = connect();
 *     await live.query("/api/questions/?ordering=-id", (questions) => show(questions));
 *
 * From top to bottom: the words of the protocol; decisions as plain functions; a socket that comes back by itself;
 * live queries; streams of resources; and `Live`, which holds them together. Types are in `client.d.ts`.
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
const BEAT = 15_000;
const PONG_TIMEOUT = 8_000;
const QUICK_PONG_TIMEOUT = 3_000;
/** A socket that lived this long was well: the next pause is the first again. */
const STEADY = 10_000;

const REFUSED = "The server refuses the socket: is the feature switched on?";
const SAFE_METHODS = new Set(["GET", "HEAD", "OPTIONS", "TRACE"]);
/** What may be asked twice without harm, when nobody knows whether the first time arrived. */
const REPEATABLE = new Set([Action.RETRIEVE, Action.LIST, Action.SUBSCRIBE, Action.UNSUBSCRIBE]);

// --- Decisions ----------------------------------------------------------------------------------------------------

/** A request that failed. `status` is 0 where no answer came; `code` then says why. */
export class LiveError extends Error {
  constructor(message, { status = 0, code = "refused", errors = null, retryAfter = 0, cause } = {}) {
    super(message, { cause });
    this.name = "LiveError";
    this.status = status;
    this.code = code;
    this.errors = errors;
    this.retryAfter = retryAfter;
  }

  /** Whether the same request may well succeed a little later. */
  get passing() {
    return this.status === 0 || this.status === 408 || this.status === 429 || this.status >= 500;
  }
}

/** Apply the messages of one `seq` and return the new list; `items` stays as it is. */
export function applyMessages(items, key, messages) {
  const touched = new Map(messages.map((message) => [message.item[key], message]));
  const untouched = items.filter((item) => !touched.has(item[key]));
  const placed = [...touched.values()].filter(({ msg }) => msg !== Message.REMOVED).sort((a, b) => a.order - b.order);
  const result = [];
  let next = 0;
  for (const { order, item } of placed) {
    while (result.length < order && next < untouched.length) result.push(untouched[next++]);
    result.push(item);
  }
  return result.concat(untouched.slice(next));
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
  reset({ observer, primary_key: key, seq, items }) {
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
export function backoff(attempt, random = Math.random) {
  return Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** attempt) * (0.5 + random() / 2);
}

/** Return a subscriber id: 128 random bits in hex. Whoever knows it may listen, so that it has to be unguessable. */
export function randomId(random = (bytes) => globalThis.crypto.getRandomValues(bytes)) {
  return Array.from(random(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Stand for a part of another item's answer in a batch: `ref("question", "$.id")`. */
export function ref(name, path = "$") {
  return `{result=${name}:${path}}`;
}

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
  const parts = Object.entries(errors).map(([field, value]) => [field, sentence(value, "")]);
  const said = parts.filter(([, text]) => text);
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

  /** Call `handler` at each event of that name. Returns a function that ends it. */
  on(name, handler) {
    const handlers = this.#handlers.get(name) ?? new Set();
    this.#handlers.set(name, handlers.add(handler));
    return () => handlers.delete(handler);
  }

  emit(name, ...values) {
    for (const handler of [...(this.#handlers.get(name) ?? [])]) guarded(() => handler(...values));
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
 * an accepted handshake followed by a close, so that being open proves nothing.
 */
class Wire {
  /** `idle`, `connecting`, `live`, `offline` (tried and failed, trying again) or `refused` (not trying again). */
  state = "idle";
  #socket = null;
  #timers = new Set();
  #attempt = 0;
  #refusals = 0;
  #heard = 0;
  #since = 0;
  #dial;
  #tell;

  /** `dial` opens a WebSocket; `tell` has `up()`, `down(code)`, `message(object)` and `settle()`. */
  constructor(dial, tell) {
    this.#dial = dial;
    this.#tell = tell;
  }

  open() {
    if (this.state === "idle") this.#connect();
  }

  close() {
    this.#hangUp();
    this.state = "idle";
    this.#attempt = 0;
    this.#refusals = 0;
  }

  send(message) {
    this.#socket.send(JSON.stringify(message));
  }

  /** The network or the reader is back: see at once whether the socket lives. */
  nudge() {
    if (this.state === "live") this.#probe(QUICK_PONG_TIMEOUT);
    else if (this.#socket === null && (this.state === "connecting" || this.state === "offline")) {
      this.#attempt = 0;
      this.#connect();
    }
  }

  #connect() {
    this.#hangUp();
    if (this.state !== "offline") this.state = "connecting";
    const socket = this.#dial();
    this.#socket = socket;
    this.#later(TIMEOUT, () => this.#lost(0));
    socket.onopen = () => socket.send(JSON.stringify({ ping: 0 }));
    socket.onclose = ({ code }) => this.#lost(code);
    socket.onmessage = ({ data }) => this.#hear(readJson(data));
    this.#tell.settle();
  }

  #hear(message) {
    this.#heard = Date.now();
    if (message === null || typeof message !== "object") return;
    if (!("pong" in message)) this.#tell.message(message);
    else if (this.state !== "live") this.#rise();
  }

  #rise() {
    this.#clearTimers();
    this.state = "live";
    this.#since = Date.now();
    this.#refusals = 0;
    this.#beat();
    this.#tell.up();
    this.#tell.settle();
  }

  #beat() {
    this.#later(BEAT, () => {
      if (Date.now() - this.#heard >= BEAT) this.#probe(PONG_TIMEOUT);
      this.#beat();
    });
  }

  #probe(patience) {
    const asked = Date.now();
    this.send({ ping: asked });
    this.#later(patience, () => {
      if (this.#heard < asked) this.#lost(0);
    });
  }

  #lost(code) {
    const wasLive = this.state === "live";
    this.#hangUp();
    if (code === CloseCode.FORBIDDEN) this.#refusals += 1;
    const refused = code === CloseCode.NOT_FOUND || this.#refusals > 1;
    if (wasLive && Date.now() - this.#since >= STEADY) this.#attempt = 0;
    if (code === CloseCode.FLOODING) this.#attempt = Math.max(this.#attempt, 4);
    this.state = refused ? "refused" : wasLive ? "connecting" : "offline";
    if (!refused) this.#later(backoff(this.#attempt++), () => this.#connect());
    this.#tell.down(code, wasLive);
    this.#tell.settle();
  }

  #hangUp() {
    this.#clearTimers();
    const socket = this.#socket;
    this.#socket = null;
    if (socket === null) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
  }

  #later(milliseconds, call) {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      call();
    }, milliseconds);
    this.#timers.add(timer);
  }

  #clearTimers() {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
  }
}

// --- Live queries -------------------------------------------------------------------------------------------------

/** A list that follows the database. Made by `Live.query`. */
class Query {
  /** Whether the list is as new as can be known, or will never be again. */
  settled = false;
  closed = false;
  #live;
  #url;
  #render;
  #snapshot = new Snapshot();
  #abort = new AbortController();
  #held = [];
  #loading = false;
  #again = false;
  #whole = true;
  #rendered = false;
  #attempt = 0;
  #timer;
  #arrive;
  #fail;

  constructor(live, url, render) {
    this.#live = live;
    this.#url = url;
    this.#render = render;
    /** Resolves with the first items; rejects if the query is refused. */
    this.ready = new Promise((arrive, fail) => {
      this.#arrive = arrive;
      this.#fail = fail;
    });
  }

  /** The items now. */
  get items() {
    return this.#snapshot.items;
  }

  get observer() {
    return this.#snapshot.observer;
  }

  /** Ask for everything anew. */
  refresh() {
    this.#whole = true;
    this.load();
  }

  /** End it, and tell the server. */
  close(reason = new LiveError("The live query was closed.", { code: "closed" })) {
    if (this.closed) return;
    this.closed = true;
    clearTimeout(this.#timer);
    this.#abort.abort();
    this.#fail(reason);
    this.#live.leave(this);
  }

  /** Take up where it was. One request at a time, so that no answer overtakes another. */
  load() {
    clearTimeout(this.#timer);
    this.settled = false;
    if (this.#loading) this.#again = true;
    else this.#run();
  }

  /** The socket was lost: what was not finished will come again. `whole`: nothing of what is here counts any more. */
  interrupt({ whole }) {
    clearTimeout(this.#timer);
    this.settled = false;
    this.#whole ||= whole;
    this.#held = [];
    this.#snapshot.interrupt();
  }

  /** Take a message of the socket; while a request is under way it waits for the answer. */
  hear(message) {
    if (this.#loading) this.#held.push(message);
    else if (message.observer === this.observer) this.#take(message);
  }

  /** It is refused for good: drop everything, for the caller may not see it, or not any more. */
  refuse(error) {
    if (!this.#rendered) {
      this.close(error);
      return;
    }
    const before = this.items;
    this.#snapshot = new Snapshot();
    this.#whole = true;
    this.settled = true;
    if (before.length) this.#show("revoked", before);
  }

  async #run() {
    const since = this.#whole || this.observer === null ? null : this.#snapshot.seq;
    this.#loading = true;
    this.#again = this.#whole = false;
    let pause = 0;
    try {
      const answer = await this.#live.observe(this.#url, since, this.#abort.signal);
      // Somebody else asked, it seems, if everything is to be asked for anew meanwhile.
      if (!this.closed && !this.#whole) this.#accept(answer);
    } catch (error) {
      this.#whole ||= since === null;
      if (error.passing) this.#again = true;
      else if (!this.closed) this.refuse(error);
      pause = error.retryAfter * 1000;
    }
    for (const message of this.#held.splice(0)) if (message.observer === this.observer) this.#take(message);
    this.#loading = false;
    if (this.closed) return;
    if (this.#again) this.#loadLater(pause);
    else this.#attempt = 0;
    this.#live.settle();
  }

  /** Asked for again in vain, it waits longer each time. */
  #loadLater(pause) {
    const patience = this.#attempt === 0 && pause === 0 ? 0 : Math.max(pause, backoff(this.#attempt));
    this.#attempt += 1;
    this.settled = false;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#live.isUp() && this.load(), patience);
  }

  #accept(answer) {
    const { observer, items, messages } = answer ?? {};
    if (typeof observer !== "string") throw new LiveError(`${this.#url} answers no live queries.`, { status: 404 });
    const before = this.items;
    if (items) this.#snapshot.reset(answer);
    else if (observer !== this.observer || !this.#catchUp(messages, answer.seq)) {
      this.#again = this.#whole = true;
      return;
    }
    this.settled = !this.#again;
    this.#show("loaded", before);
  }

  /** Take what was missed. Returns whether it leads to where the server is. */
  #catchUp(messages, seq) {
    for (const message of messages) this.#snapshot.take(message);
    return this.#snapshot.seq === seq;
  }

  #take(message) {
    const before = this.items;
    if (message.msg === Message.RELOAD) this.refresh();
    else if (message.msg === Message.REVOKED) this.refuse();
    else if (message.msg === Message.SUSPENDED) this.#show("suspended", before, message.detail);
    else {
      const outcome = this.#snapshot.take(message);
      if (outcome === "applied") this.#show("changed", before);
      else if (outcome === "gap") this.#missed();
    }
  }

  #missed() {
    if (this.#again) return;
    this.#again = true;
    if (!this.#loading) this.#loadLater(0);
  }

  #show(reason, before, detail = null) {
    const { key } = this.#snapshot;
    const changes = difference(before, this.items, key);
    const nothing = Object.values(changes).every((each) => each.length === 0) && sameOrder(before, this.items, key);
    if (this.#rendered && reason === "loaded" && nothing) return;
    this.#rendered = true;
    guarded(() => this.#render(this.items, { reason, detail, ...changes }));
    this.#arrive();
  }
}

function sameOrder(before, after, key) {
  return before.length === after.length && before.every((item, place) => item[key] === after[place][key]);
}

// --- Streams of resources -----------------------------------------------------------------------------------------

/** One stream of the resource socket: a promise for each action, and the events of what is subscribed to. */
class Stream extends Emitter {
  #name;
  #ask;

  constructor(name, ask) {
    super();
    this.#name = name;
    this.#ask = ask;
  }

  create(data) {
    return this.action(Action.CREATE, { data });
  }

  retrieve(pk) {
    return this.action(Action.RETRIEVE, { pk });
  }

  list(data = {}) {
    return this.action(Action.LIST, { data });
  }

  update(pk, data) {
    return this.action(Action.UPDATE, { pk, data });
  }

  patch(pk, data) {
    return this.action(Action.PATCH, { pk, data });
  }

  delete(pk) {
    return this.action(Action.DELETE, { pk });
  }

  /** Hear of creations, updates or deletions: by `on(action, …)`, and again after every loss of the connection. */
  subscribe(action, { pk, filter } = {}) {
    return this.action(Action.SUBSCRIBE, { data: { action, pk, filter } });
  }

  unsubscribe(action, { pk, filter } = {}) {
    return this.action(Action.UNSUBSCRIBE, { data: { action, pk, filter } });
  }

  /** Ask for any action by its name. Resolves with the data of the reply. */
  action(action, { pk, data } = {}) {
    return this.#ask(this.#name, action, pk, data);
  }
}

/** The requests under way on the resource socket, and the subscriptions to be renewed. */
class Requests {
  #count = 0;
  #waiting = new Map();
  #subscriptions = new Map();
  #send;
  #timeout;

  constructor(send, timeout) {
    this.#send = send;
    this.#timeout = timeout;
  }

  /** Send now, or as soon as the socket is up. */
  ask(stream, action, pk, data, isUp) {
    return new Promise((resolve, reject) => {
      const request_id = String(++this.#count);
      const message = { stream, payload: { action, pk, data, request_id } };
      const timer = setTimeout(() => {
        this.#waiting.delete(request_id);
        reject(new LiveError(`${stream}: ${action} was not answered in time.`, { code: "timeout" }));
      }, this.#timeout);
      this.#waiting.set(request_id, { message, resolve, reject, timer, sent: isUp });
      if (isUp) this.#send(message);
    });
  }

  /** Take a reply, also one that comes too late for anybody. Returns false for a message that is no reply. */
  hear({ stream, payload }) {
    const waiting = this.#waiting.get(payload.request_id);
    if (waiting === undefined) return "request_id" in payload;
    this.#waiting.delete(payload.request_id);
    clearTimeout(waiting.timer);
    if (payload.response_status < 400) {
      this.#remember(waiting.message);
      waiting.resolve(payload.data);
    } else {
      const { response_status: status, errors } = payload;
      const said = sentence(errors, `${stream}: ${payload.action} was answered with ${status}.`);
      waiting.reject(new LiveError(said, { status, errors }));
    }
    return true;
  }

  #remember({ stream, payload: { action, data } }) {
    const name = JSON.stringify([stream, data]);
    if (action === Action.SUBSCRIBE) this.#subscriptions.set(name, { stream, data });
    if (action === Action.UNSUBSCRIBE) this.#subscriptions.delete(name);
  }

  /** The socket was lost. What may have been done and must not be done twice fails; the rest waits. */
  interrupt() {
    for (const [id, waiting] of this.#waiting) {
      const { action } = waiting.message.payload;
      if (waiting.sent && !REPEATABLE.has(action)) {
        const said = `The connection was lost before ${action} was answered: it may have been done, or not.`;
        this.#reject(id, new LiveError(said, { code: "lost" }));
      }
      waiting.sent = false;
    }
  }

  /** The socket is up. Returns the streams whose subscriptions are renewed. */
  resume(renew) {
    for (const waiting of this.#waiting.values()) {
      waiting.sent = true;
      this.#send(waiting.message);
    }
    const subscriptions = [...this.#subscriptions.values()];
    const renewed = subscriptions.map(({ stream, data }) =>
      renew(stream, data).catch((error) => this.#forget(stream, data, error)),
    );
    return Promise.all(renewed).then(() => new Set(subscriptions.map(({ stream }) => stream)));
  }

  #forget(stream, data, { passing }) {
    if (!passing) this.#subscriptions.delete(JSON.stringify([stream, data]));
  }

  fail(error) {
    for (const id of [...this.#waiting.keys()]) this.#reject(id, error);
  }

  #reject(id, error) {
    const { reject, timer } = this.#waiting.get(id);
    this.#waiting.delete(id);
    clearTimeout(timer);
    reject(error);
  }
}

// --- One object for everything ------------------------------------------------------------------------------------

/**
 * A connection to one site. Events, by `on(name, handler)`: `"state"` (`connecting`, `live` or `offline`) and
 * `"message"` (every message that passes, with its direction).
 */
export class Live extends Emitter {
  state = "connecting";
  #base;
  #options;
  #subscriber = randomId();
  #observers;
  #resources;
  #queries = new Set();
  #streams = new Map();
  #requests;
  #renewing = false;
  #closed = false;
  #listeners = [];

  constructor(url, options = {}) {
    super();
    this.#base = new URL(url ?? "/", globalThis.location?.href);
    this.#options = { timeout: TIMEOUT, csrfCookie: "csrftoken", csrfHeader: "X-CSRFToken", ...options };
    const settle = () => this.settle();
    this.#observers = new Wire(() => this.#dial(`ws/${this.#subscriber}`), {
      settle,
      message: (message) => this.#hearObserver(message),
      up: () => this.#queries.forEach((query) => query.load()),
      down: (code) => this.#observersDown(code),
    });
    this.#resources = new Wire(() => this.#dial("ws/"), {
      settle,
      message: (message) => this.#hearResource(message),
      up: () => this.#renew(),
      down: (code) => this.#resourcesDown(code),
    });
    this.#requests = new Requests((message) => this.#say(message), this.#options.timeout);
    const nudge = () => [this.#observers, this.#resources].forEach((wire) => wire.nudge());
    this.#listen(globalThis, "online", nudge);
    this.#listen(globalThis, "offline", nudge);
    this.#listen(globalThis, "pageshow", nudge);
    this.#listen(globalThis.document, "visibilitychange", () => globalThis.document.hidden || nudge());
  }

  /**
   * Follow a list: `render(items, change)` is called with the items, in order, now and at every change. Resolves with
   * the query once the first items are there; rejects with a `LiveError` if the list is refused.
   */
  async query(url, render, { signal } = {}) {
    if (this.#closed || signal?.aborted) throw new LiveError("The connection was closed.", { code: "closed" });
    const query = new Query(this, url, render);
    signal?.addEventListener("abort", () => query.close(), { once: true });
    this.#queries.add(query);
    if (this.#observers.state === "refused") query.close(new LiveError(REFUSED, { status: 404 }));
    if (this.#observers.state === "live") query.load();
    this.#observers.open();
    this.settle();
    await query.ready;
    return query;
  }

  /** A stream of the resource socket, by the name that the server gave it. */
  stream(name) {
    if (!this.#streams.has(name)) this.#streams.set(name, new Stream(name, (...request) => this.#ask(...request)));
    return this.#streams.get(name);
  }

  /**
   * Send many requests in one. Items may be written as for the server; `ref` refers from one to another. Resolves with
   * one result for each, whether it succeeded or not.
   */
  async batch(items, { atomic = false, ordered = true } = {}) {
    const { data } = await this.request("POST", "api/batch/", { batch: items, atomic, ordered });
    return data.map(readResult);
  }

  /**
   * Send one request, with CSRF token and a limit of time. Resolves with `{status, headers, data}`; rejects with a
   * `LiveError` for a status of 400 and above, and where no answer came.
   */
  async request(method, url, data, { headers = {}, signal, timeout = this.#options.timeout } = {}) {
    const target = new URL(url, this.#base);
    const init = { method, headers: { Accept: "application/json", ...headers }, cache: "no-store" };
    if (data !== undefined) {
      init.body = JSON.stringify(data);
      init.headers["Content-Type"] = "application/json";
    }
    const token = SAFE_METHODS.has(method.toUpperCase()) || target.origin !== this.#base.origin ? null : this.#csrf();
    if (token) init.headers[this.#options.csrfHeader] = token;
    const response = await this.#fetch(target, init, signal, timeout);
    if (response.status < 400) return response;
    const said = sentence(response.data, `${method} ${target.pathname} was answered with ${response.status}.`);
    const retryAfter = Number(response.headers.get("Retry-After")) || 0;
    throw new LiveError(said, { status: response.status, errors: response.data, retryAfter });
  }

  /** Join everything anew as whoever the caller is now. For pages that log in or out without being left. */
  reconnect() {
    this.#subscriber = randomId();
    for (const query of this.#queries) query.interrupt({ whole: true });
    this.#requests.interrupt();
    for (const wire of [this.#observers, this.#resources]) {
      if (wire.state === "idle") continue;
      wire.close();
      wire.open();
    }
  }

  /** End it: queries, streams and sockets. */
  close() {
    if (this.#closed) return;
    this.#closed = true;
    for (const query of [...this.#queries]) query.close();
    this.#requests.fail(new LiveError("The connection was closed.", { code: "closed" }));
    this.#observers.close();
    this.#resources.close();
    for (const [target, name, handler] of this.#listeners) target.removeEventListener(name, handler);
    this.#enter("offline");
  }

  // What queries ask of it; no part of the public surface.

  isUp() {
    return this.#observers.state === "live";
  }

  async observe(url, since, signal) {
    const target = new URL(url, this.#base);
    target.searchParams.set("observe", this.#subscriber);
    if (since !== null) target.searchParams.set("since", String(since));
    return (await this.request("GET", target, undefined, { signal })).data;
  }

  leave(query) {
    this.#queries.delete(query);
    const { observer } = query;
    const shared = [...this.#queries].some((other) => other.observer === observer);
    if (observer !== null && !shared && this.isUp()) {
      const search = new URLSearchParams({ observer, subscriber: this.#subscriber });
      this.request("POST", `api/queryobserver/unsubscribe/?${search}`).catch(() => {}); // a closed socket says the same
    }
    if (!this.#queries.size && !this.#closed) this.#observers.close();
    this.settle();
  }

  settle() {
    if (this.#closed) return;
    const wires = [this.#observers, this.#resources].filter(({ state }) => state !== "idle");
    const joined = [...this.#queries].every(({ settled }) => settled) && !this.#renewing;
    if (wires.some(({ state }) => state === "offline" || state === "refused")) this.#enter("offline");
    else if (wires.length && joined && wires.every(({ state }) => state === "live")) this.#enter("live");
    else this.#enter("connecting");
  }

  #enter(state) {
    if (this.state === state) return;
    this.state = state;
    this.emit("state", state);
  }

  #listen(target, name, handler) {
    if (!target?.addEventListener) return;
    target.addEventListener(name, handler);
    this.#listeners.push([target, name, handler]);
  }

  #dial(path) {
    const url = new URL(path, this.#base);
    url.protocol = url.protocol.replace("http", "ws");
    return new (this.#options.WebSocket ?? globalThis.WebSocket)(url.href);
  }

  async #fetch(target, init, signal, timeout) {
    const abort = new AbortController();
    const onAbort = () => abort.abort();
    signal?.addEventListener("abort", onAbort);
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      abort.abort();
    }, timeout);
    try {
      const send = this.#options.fetch ?? globalThis.fetch;
      return await readAnswer(await send(target.href, { ...init, signal: abort.signal }));
    } catch (cause) {
      if (late) throw new LiveError(`${target.pathname} did not answer in time.`, { code: "timeout" });
      const code = signal?.aborted ? "closed" : "network";
      throw new LiveError(`${target.pathname} was not reached.`, { code, cause });
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
    }
  }

  #csrf() {
    const { document } = globalThis;
    return (
      cookie(this.#options.csrfCookie, document?.cookie ?? "") ??
      document?.querySelector("input[name=csrfmiddlewaretoken]")?.value ??
      null
    );
  }

  #say(message) {
    this.#resources.send(message);
    this.emit("message", { socket: "resources", direction: "out", message });
  }

  #ask(stream, action, pk, data) {
    if (this.#closed) return Promise.reject(new LiveError("The connection was closed.", { code: "closed" }));
    if (this.#resources.state === "refused") return Promise.reject(new LiveError(REFUSED, { status: 404 }));
    this.#resources.open();
    return this.#requests.ask(stream, action, pk, data, this.#resources.state === "live");
  }

  async #renew() {
    this.#renewing = true;
    const streams = await this.#requests.resume((stream, data) => this.#ask(stream, Action.SUBSCRIBE, undefined, data));
    this.#renewing = false;
    // Events of the meantime are lost: whoever keeps a list by them lists again.
    for (const name of streams) this.#streams.get(name)?.emit("resumed");
    this.settle();
  }

  #hearObserver(message) {
    this.emit("message", { socket: "observers", direction: "in", message });
    for (const query of [...this.#queries]) query.hear(message);
  }

  #hearResource(message) {
    this.emit("message", { socket: "resources", direction: "in", message });
    const { stream, payload } = message;
    if (!payload || this.#requests.hear(message)) return;
    this.#streams.get(stream)?.emit(payload.action, payload);
  }

  #observersDown(code) {
    // Whoever is somebody else now, or no longer anybody, begins anew.
    const stranger = code === CloseCode.NOT_AUTHENTICATED || code === CloseCode.FORBIDDEN;
    if (stranger) this.#subscriber = randomId();
    for (const query of this.#queries) query.interrupt({ whole: stranger });
    if (this.#observers.state !== "refused") return;
    for (const query of [...this.#queries]) query.refuse(new LiveError(REFUSED, { status: code - 4000 }));
  }

  #resourcesDown(code) {
    this.#requests.interrupt();
    if (this.#resources.state !== "refused") return;
    this.#requests.fail(new LiveError(REFUSED, { status: code - 4000 }));
  }
}

async function readAnswer(response) {
  const text = await response.text();
  return { status: response.status, headers: response.headers, data: text ? (readJson(text) ?? text) : null };
}

/** Connect to the site at `url`, by default the page's own. Nothing is sent before something is asked for. */
export function connect(url, options) {
  return new Live(url, options);
}
