/** Types of `client.js`; kept by hand. */

/** What the observer socket says about a live query. */
export declare const Message: Readonly<{
  ADDED: "added";
  CHANGED: "changed";
  REMOVED: "removed";
  REVOKED: "revoked";
  SUSPENDED: "suspended";
  RELOAD: "reload";
}>;

/** What a stream of the resource socket can be asked. */
export declare const Action: Readonly<{
  CREATE: "create";
  RETRIEVE: "retrieve";
  LIST: "list";
  UPDATE: "update";
  PATCH: "patch";
  DELETE: "delete";
  SUBSCRIBE: "subscribe";
  UNSUBSCRIBE: "unsubscribe";
}>;

/** Why the server closed a socket. */
export declare const CloseCode: Readonly<{
  SHUTTING_DOWN: 4012;
  NOT_AUTHENTICATED: 4401;
  FORBIDDEN: 4403;
  NOT_FOUND: 4404;
  TOO_SLOW: 4408;
  FLOODING: 4429;
}>;

/** Any object with a key; what your serializer gives. */
export type Row = Record<string, unknown>;
export type Key = string | number;

/** `connecting`: joining, or just lost. `live`: all is up to date. `offline`: tried and failed, trying again. */
export type State = "connecting" | "live" | "offline";

/** A request that failed. */
export declare class LiveError extends Error {
  constructor(message: string, options?: Partial<Pick<LiveError, "status" | "code" | "errors" | "retryAfter" | "cause">>);
  name: "LiveError";
  /** The status of the answer; 0 where none came. */
  status: number;
  /** `lost`: the connection broke, and a write may have been done or not. */
  code: "refused" | "timeout" | "network" | "lost" | "closed";
  /** What the server said: of HTTP the body, of the resource socket its `errors`. */
  errors: unknown;
  /** Seconds that the server asks to wait. */
  retryAfter: number;
  /** Whether the same request may well succeed a little later. */
  readonly passing: boolean;
}

/** What became different since `render` was called last. */
export interface Change<T> {
  /** `loaded`: by asking; `changed`: by messages; `revoked`: may no longer be seen; `suspended`: no longer followed. */
  reason: "loaded" | "changed" | "revoked" | "suspended";
  detail: string | null;
  added: T[];
  changed: T[];
  removed: T[];
}

export type Render<T> = (items: T[], change: Change<T>) => void;

/** A list that follows the database. */
export interface Query<T> {
  /** The items now, in order. A new array at each change. */
  readonly items: T[];
  /** Whether the list is as new as can be known. */
  readonly settled: boolean;
  readonly closed: boolean;
  /** Ask for everything anew. */
  refresh(): void;
  close(): void;
}

/** Narrows a subscription: one row, or the rows that a filter of the binding keeps. */
export interface Scope {
  pk?: Key;
  filter?: Record<string, unknown>;
}

/** The reply to a subscription. */
export interface Subscription extends Scope {
  action: "create" | "update" | "delete";
  /** Whether deletions of rows that leave the filter can be told from others. */
  tracked: boolean;
}

/** What happened to a row. Of one that was deleted, or went out of sight, `data` is empty. */
export interface StreamEvent<T> {
  action: "create" | "update" | "delete";
  pk: Key;
  model: string;
  data: Partial<T>;
}

/** One stream of the resource socket. Every promise rejects with a `LiveError`. */
export interface Stream<T> {
  create(data: Partial<T>): Promise<T>;
  retrieve(pk: Key): Promise<T>;
  list(data?: { page?: number } & Record<string, unknown>): Promise<T[]>;
  update(pk: Key, data: Partial<T>): Promise<T>;
  patch(pk: Key, data: Partial<T>): Promise<T>;
  delete(pk: Key): Promise<Record<string, never>>;
  /** Ask for any action by its name. */
  action<R = unknown>(action: string, request?: { pk?: Key; data?: unknown }): Promise<R>;
  subscribe(action: StreamEvent<T>["action"], scope?: Scope): Promise<Subscription>;
  unsubscribe(action: StreamEvent<T>["action"], scope?: Scope): Promise<unknown>;
  /** Returns a function that ends it. */
  on(action: StreamEvent<T>["action"], handler: (event: StreamEvent<T>) => void): () => void;
  /** The subscriptions stand again after a loss; events of the meantime are missing, so list again. */
  on(event: "resumed", handler: () => void): () => void;
}

/** An item of a batch, as the server takes it. */
export interface BatchItem {
  method: string;
  relative_url: string;
  name?: string;
  headers?: Record<string, string>;
  body?: unknown;
  depends_on?: string | string[];
  omit_response_on_success?: boolean;
}

export interface BatchResult {
  name: string | null;
  code: number;
  /** Whether `code` is below 400. */
  ok: boolean;
  /** By name, in lower case. */
  headers: Record<string, string>;
  /** JSON is read; anything else is text, or base64 where `encoding` says so. */
  data: any;
  encoding: "base64" | null;
}

export interface Answer<T = any> {
  status: number;
  headers: Headers;
  data: T;
}

/** Every message that passes on a socket. */
export interface Passing {
  socket: "observers" | "resources";
  direction: "in" | "out";
  message: any;
}

export interface Options {
  /** Milliseconds after which a request is given up; 15,000 by default. */
  timeout?: number;
  /** Names of the cookie and of the header that hold the CSRF token. */
  csrfCookie?: string;
  csrfHeader?: string;
  /** Instead of the browser's own. */
  WebSocket?: new (url: string) => any;
  fetch?: (url: string, init: any) => Promise<any>;
}

/** A connection to one site. */
export declare class Live {
  constructor(url?: string | URL, options?: Options);
  readonly state: State;
  /** Follow a list. Resolves once the first items are there; rejects with a `LiveError` if it is refused. */
  query<T = any>(url: string, render: Render<T>, options?: { signal?: AbortSignal }): Promise<Query<T>>;
  /** A stream of the resource socket, by its name. */
  stream<T = any>(name: string): Stream<T>;
  /** Send many requests in one. Resolves with a result for each, whether it succeeded or not. */
  batch(items: BatchItem[], options?: { atomic?: boolean; ordered?: boolean }): Promise<BatchResult[]>;
  /** Send one request, with CSRF token and a limit of time. */
  request<T = any>(
    method: string,
    url: string | URL,
    data?: unknown,
    options?: { headers?: Record<string, string>; signal?: AbortSignal },
  ): Promise<Answer<T>>;
  /** Join everything anew, for a page that has logged in or out without being left. */
  reconnect(): void;
  /** End it: queries, streams and sockets. */
  close(): void;
  on(event: "state", handler: (state: State) => void): () => void;
  on(event: "message", handler: (passing: Passing) => void): () => void;
}

/** Connect to the site at `url`, by default the page's own. Nothing is sent before something is asked for. */
export declare function connect(url?: string | URL, options?: Options): Live;

/** Stand for a part of another item's answer in a batch: `ref("question", "$.id")`. */
export declare function ref(name: string, path?: string): string;

// What follows is what the module decides by: pure, and of use in tests.

export interface ObserverMessage<T = any> {
  msg: "added" | "changed" | "removed";
  order: number;
  item: T;
  seq: number;
  last: boolean;
}

export declare function applyMessages<T>(items: T[], key: string, messages: ObserverMessage<T>[]): T[];
export declare function difference<T>(
  before: T[],
  after: T[],
  key: string,
): Pick<Change<T>, "added" | "changed" | "removed">;

export declare class Snapshot<T = any> {
  observer: string | null;
  key: string;
  seq: number;
  items: T[];
  reset(answer: { observer: string; primary_key: string; seq: number; items: T[] }): void;
  take(message: ObserverMessage<T>): "old" | "partial" | "applied" | "gap";
  interrupt(): void;
}

export declare function backoff(attempt: number, random?: () => number): number;
export declare function randomId(random?: (bytes: Uint8Array) => Uint8Array): string;
export declare function cookie(name: string, cookies: string): string | null;
export declare function sentence(errors: unknown, fallback: string): string;
export declare function readResult(result: {
  name: string | null;
  code: number;
  headers: { key: string; value: string }[];
  body: string | null;
  encoding?: "base64";
}): BatchResult;
