// client.js against a site that loses, repeats, delays and refuses things at the worst moment.
import assert from "node:assert/strict";
import test, { mock } from "node:test";

import { connect } from "#client";
import { FakeSite, turns } from "./fake.mjs";

const row = (id, text = `row ${id}`) => ({ id, text });

test.beforeEach(() => mock.timers.enable({ apis: ["setTimeout", "Date"], now: 1_000_000 }));
test.afterEach(() => mock.timers.reset());

async function pass(milliseconds) {
  for (let left = milliseconds; left > 0; left -= 250) {
    mock.timers.tick(Math.min(250, left));
    await turns(8);
  }
}

async function follow(site, { url = "/api/rows/" } = {}) {
  const live = connect("http://site/", site.options);
  const shown = [];
  const states = [];
  live.on("state", (state) => states.push(state));
  const query = live.query(url, (items, change) => shown.push({ items, change }));
  query.catch(() => {});
  await turns();
  return { live, shown, states, query, latest: () => shown.at(-1)?.items };
}

test("a live query shows the list, and then every change of it", async () => {
  const site = new FakeSite([row(1)]);
  const { live, shown, states, latest, query } = await follow(site);
  assert.deepEqual(latest(), [row(1)]);
  assert.equal(shown[0].change.reason, "loaded");
  assert.deepEqual(states, ["live"]);
  site.change([row(2), row(1)], [{ msg: "added", order: 0, item: row(2) }]);
  assert.deepEqual(latest(), [row(2), row(1)]);
  assert.deepEqual(shown[1].change.added, [row(2)]);
  assert.deepEqual((await query).items, [row(2), row(1)]);
  const { query: asked } = site.requests[0];
  assert.match(asked.get("observe"), /^[0-9a-f]{32}$/);
  assert.equal(site.sockets[0].path, `/ws/${asked.get("observe")}`);
  live.close();
});

test("a query is not asked for before the socket is known to be up", async () => {
  const site = new FakeSite();
  site.answers = false;
  const { live } = await follow(site);
  assert.equal(site.sockets.length, 1);
  assert.equal(site.requests.length, 0);
  live.close();
});

test("the parts of one evaluation are shown at once", async () => {
  const site = new FakeSite([row(1), row(2)]);
  const { live, shown, latest } = await follow(site);
  site.change([row(2), row(3)], [
    { msg: "removed", order: 0, item: { id: 1 } },
    { msg: "added", order: 1, item: row(3) },
  ]);
  assert.equal(shown.length, 2);
  assert.deepEqual(latest(), [row(2), row(3)]);
  live.close();
});

test("a message that comes before the answer waits for it", async () => {
  const site = new FakeSite([row(1)]);
  let answer;
  site.onGet = () => new Promise((done) => (answer = done));
  const { live, shown, latest } = await follow(site);
  const old = { observer: site.observer, primary_key: "id", seq: 0, items: [row(1)] };
  site.change([row(1), row(2)], [{ msg: "added", order: 1, item: row(2) }]);
  site.tell({ observer: "somebody else's", msg: "added", order: 0, item: row(7), seq: 1, last: true });
  assert.equal(shown.length, 0);
  answer(old);
  await turns();
  assert.deepEqual(latest(), [row(1), row(2)]);
  live.close();
});

test("a gap is noticed and what was missed is asked for", async () => {
  const site = new FakeSite([row(1)]);
  const { live, latest } = await follow(site);
  site.change([row(1), row(2)], [{ msg: "added", order: 1, item: row(2) }], { lost: true });
  site.change([row(1), row(2), row(3)], [{ msg: "added", order: 2, item: row(3) }]);
  assert.deepEqual(latest(), [row(1)]);
  await pass(250);
  assert.equal(site.requests.at(-1).query.get("since"), "0");
  assert.deepEqual(latest(), [row(1), row(2), row(3)]);
  live.close();
});

test("many gaps at once are one reason to ask", async () => {
  const site = new FakeSite([row(1)]);
  const { live, latest } = await follow(site);
  site.change([row(1), row(2)], [{ msg: "added", order: 1, item: row(2) }], { lost: true });
  for (const id of [3, 4, 5]) site.change([...site.items, row(id)], [{ msg: "added", order: id - 1, item: row(id) }]);
  await pass(5000);
  assert.deepEqual(latest(), [1, 2, 3, 4, 5].map((id) => row(id)));
  assert.equal(site.requests.length, 2);
  live.close();
});

test("what was cut short by a loss is forgotten", async () => {
  const site = new FakeSite([row(1)]);
  const { live, latest } = await follow(site);
  site.tell({ msg: "removed", order: 0, item: { id: 1 }, seq: 1, last: false });
  site.stop();
  site.change([row(1), row(2)], [{ msg: "added", order: 1, item: row(2) }], { lost: true });
  site.start();
  await pass(2000);
  assert.deepEqual(latest(), [row(1), row(2)]);
  live.close();
});

// uvicorn closes its sockets itself as it stops, by the code of the protocol; others let the application say it.
for (const code of [4012, 1012]) {
  test(`after a restart of the server, told by ${code}, everything is joined again and takes up where it was`, async () => {
    const site = new FakeSite([row(1)]);
    const { live, states, latest, shown } = await follow(site);
    site.stop(code);
    await pass(4000);
    assert.equal(live.state, "offline");
    site.change([row(1), row(2)], [{ msg: "added", order: 1, item: row(2) }], { lost: true });
    site.start();
    await pass(16000);
    assert.deepEqual(latest(), [row(1), row(2)]);
    assert.equal(site.requests.at(-1).query.get("since"), "0");
    assert.equal(shown.length, 2);
    assert.deepEqual(states, ["live", "connecting", "offline", "connecting", "live"]);
    live.close();
  });
}

test("a server that has forgotten the query gives the whole list again", async () => {
  const site = new FakeSite([row(1)]);
  const { live, latest } = await follow(site);
  site.change([row(1), row(2)], [{ msg: "added", order: 1, item: row(2) }]);
  site.stop();
  site.onGet = () => ({ observer: "observer-2", primary_key: "id", seq: 0, items: [row(9)] });
  site.start();
  await pass(2000);
  assert.deepEqual(latest(), [row(9)]);
  site.observer = "observer-2";
  site.seq = 0;
  site.change([], [{ msg: "removed", order: 0, item: { id: 9 } }]);
  assert.deepEqual(latest(), []);
  live.close();
});

test("a client that knows more than the server, as after a restored backup, begins anew", async () => {
  const site = new FakeSite([row(1)]);
  const { live, latest } = await follow(site);
  site.change([row(1), row(2)], [{ msg: "added", order: 1, item: row(2) }]);
  Object.assign(site, { items: [row(3)], seq: 0, history: [] });
  site.stop();
  site.start();
  await pass(2000);
  assert.deepEqual(latest(), [row(3)]);
  live.close();
});

test("messages for another query than the known one are not taken for an answer", async () => {
  const site = new FakeSite([row(1)]);
  const { live, latest } = await follow(site);
  site.stop();
  site.start();
  const common = { observer: "observer-2", primary_key: "id", seq: 1 };
  const messages = [{ msg: "removed", order: 0, item: row(1), seq: 1, last: true }];
  site.onGet = ({ query }) => ({ ...common, ...(query.has("since") ? { messages } : { items: [row(5)] }) });
  await pass(2000);
  assert.deepEqual(latest(), [row(5)]);
  live.close();
});

test("a dead connection is noticed, and replaced", async () => {
  const site = new FakeSite([row(1)]);
  const { live } = await follow(site);
  const [first] = site.open;
  first.onmessage = null; // the other end is gone, and nothing says so
  await pass(15_000 + 8_000 + 1000);
  assert.equal(first.readyState, 3);
  assert.equal(live.state, "live");
  assert.equal(site.open.length, 1);
  live.close();
});

test("a quiet connection that answers is left alone", async () => {
  const site = new FakeSite([row(1)]);
  const { live } = await follow(site);
  await pass(120_000);
  assert.equal(site.sockets.length, 1);
  assert.equal(site.requests.length, 1);
  assert.ok(site.sockets[0].sent.length >= 5);
  live.close();
});

test("attempts come less and less often while the server is down", async () => {
  const site = new FakeSite([row(1)]);
  const { live } = await follow(site);
  site.stop();
  await pass(10_000);
  const early = site.sockets.length;
  await pass(60_000);
  const late = site.sockets.length - early;
  assert.ok(early >= 4 && early <= 9, `${early} in the first ten seconds`);
  assert.ok(late >= 4 && late <= 9, `${late} in the next minute`);
  live.close();
});

test("a server that closes what it has just opened is not asked again at once", async () => {
  const site = new FakeSite([row(1)]);
  const { live } = await follow(site);
  for (let round = 0; round < 8; round++) {
    site.socket("observers")?.end(1011);
    await pass(500);
  }
  assert.ok(site.sockets.length < 7, `${site.sockets.length} sockets`);
  live.close();
});

test("a server that says it is flooded is left alone for a while", async () => {
  const site = new FakeSite([row(1)]);
  const { live } = await follow(site);
  await pass(20_000);
  site.socket("observers").end(4429);
  await pass(3500);
  assert.equal(site.sockets.length, 1);
  live.close();
});

test("a request that is not answered is given up and tried again", async () => {
  const site = new FakeSite([row(1)]);
  site.answersGets = false;
  const { live, latest } = await follow(site);
  await pass(4000);
  assert.equal(site.requests.length, 1);
  assert.equal(live.state, "connecting");
  site.answersGets = true;
  await pass(3000);
  assert.deepEqual(latest(), [row(1)]);
  live.close();
});

test("an answer that comes after the time is up is never shown", async () => {
  const site = new FakeSite([row(1, "new")]);
  let late;
  site.onGet = () => {
    site.onGet = null;
    const old = { observer: site.observer, primary_key: "id", seq: 0, items: [row(1, "old")] };
    return new Promise((done) => (late = () => done(old)));
  };
  const { live, latest, shown } = await follow(site);
  await pass(7000);
  assert.deepEqual(latest(), [row(1, "new")]);
  late();
  await turns();
  assert.equal(shown.length, 1);
  live.close();
});

test("errors of the server pass: the list stays and is asked for again", async () => {
  const site = new FakeSite([row(1)]);
  const { live, latest, shown } = await follow(site);
  site.stop();
  site.start();
  let failures = 0;
  site.onGet = () => (++failures < 4 ? { status: 503, body: { detail: "down" } } : null);
  await pass(1000);
  assert.notEqual(live.state, "live");
  assert.deepEqual(latest(), [row(1)]);
  await pass(20_000);
  assert.equal(failures, 4);
  assert.equal(live.state, "live");
  assert.equal(shown.length, 1);
  live.close();
});

test("a list that asks for patience gets it", async () => {
  const site = new FakeSite([row(1)]);
  let asked = 0;
  site.onGet = () => (++asked === 1 ? { status: 429, body: {}, headers: { "Retry-After": "30" } } : null);
  const { live, latest } = await follow(site);
  await pass(29_000);
  assert.equal(asked, 1);
  await pass(2000);
  assert.deepEqual(latest(), [row(1)]);
  live.close();
});

test("no request for patience is longer than an hour, or taken for none", async () => {
  const site = new FakeSite([row(1)]);
  let asked = 0;
  site.onGet = () => (++asked === 1 ? { status: 503, body: {}, headers: { "Retry-After": "9999999" } } : null);
  const waits = mock.method(globalThis, "setTimeout");
  const { live, latest } = await follow(site);
  assert.equal(Math.max(...waits.mock.calls.map(({ arguments: [, wait] }) => wait)), 3_600_000);
  assert.equal(asked, 1);
  waits.mock.restore();
  mock.timers.tick(3_600_000);
  await pass(2000);
  assert.deepEqual(latest(), [row(1)]);
  live.close();
});

test("a list that is refused rejects, with what the server says", async () => {
  const site = new FakeSite();
  site.onGet = () => ({ status: 403, body: { detail: "Not yours." } });
  const { live, query } = await follow(site);
  await assert.rejects(query, { name: "LiveError", status: 403, message: "Not yours." });
  live.close();
});

test("a list that knows nothing of live queries rejects with a sentence", async () => {
  const site = new FakeSite();
  site.onGet = () => ({ count: 0, results: [] });
  const { live, query } = await follow(site);
  await assert.rejects(query, /answers no live queries/);
  live.close();
});

test("a site without the socket rejects, and is not asked again and again", async () => {
  const site = new FakeSite();
  site.closesWith = 4404;
  const { live, query } = await follow(site);
  await assert.rejects(query, (error) => error.status === 404);
  await pass(60_000);
  assert.equal(site.sockets.length, 1);
  live.close();
});

test("a refusal names the setting that switches the socket on", async () => {
  const site = new FakeSite();
  site.closesWith = 4404;
  const live = connect("http://site/", site.options);
  const query = live.query("/api/rows/", () => {});
  const asked = live.stream("rows").list();
  await Promise.all([
    assert.rejects(query, { status: 404, message: "The server refuses the socket. Is CORE_REACTIVE_ENABLED on?" }),
    assert.rejects(asked, { status: 404, message: "The server refuses the socket. Is CORE_BINDINGS_ENABLED on?" }),
    turns(),
  ]);
  live.close();
});

test("a refusal that gives its reason is told with it, and one of a stranger is tried once more", async () => {
  const site = new FakeSite();
  site.closesWith = 4403;
  site.closesBecause = "This page is another site's.";
  const { live, query } = await follow(site);
  await Promise.all([assert.rejects(query, { status: 403, message: site.closesBecause }), pass(2000)]);
  await pass(60_000);
  assert.equal(site.sockets.length, 2);
  assert.notEqual(site.sockets[0].path, site.sockets[1].path);
  live.close();
});

test("a page whose user logged in elsewhere asks again under another id, and is refused once", async () => {
  const site = new FakeSite([{ id: 1 }]);
  const { live, latest } = await follow(site);
  const [first] = site.requests;
  site.onGet = ({ query }) => {
    const isForeign = query.get("observe") === first.query.get("observe");
    return isForeign ? { status: 403, body: { detail: "This subscriber id belongs to another caller." } } : null;
  };
  site.tell({ msg: "reload" });
  await turns();
  await pass(1000);
  assert.equal(site.requests.at(-1).query.get("observe").length, 32);
  assert.notEqual(site.requests.at(-1).query.get("observe"), first.query.get("observe"));
  assert.equal(site.socket("observers").path, `/ws/${site.requests.at(-1).query.get("observe")}`);
  assert.deepEqual(latest(), [{ id: 1 }]);
  // A right that is really lost is refused under the new id, too.
  const count = site.requests.length;
  site.onGet = () => ({ status: 403, body: { detail: "Not yours." } });
  site.tell({ msg: "reload" });
  await turns();
  await pass(1000);
  assert.deepEqual(latest(), []);
  assert.equal(site.requests.length, count + 2);
  live.close();
});

test("of two requests only the answer to the latter counts", async () => {
  const site = new FakeSite([row(1, "new")]);
  const answers = [];
  const { live, query, shown, latest } = await follow(site);
  site.onGet = () => new Promise((done) => answers.push(done));
  const whole = (text, seq) => ({ observer: site.observer, primary_key: "id", seq, items: [row(1, text)] });
  (await query).refresh();
  (await query).refresh();
  await turns();
  answers[1](whole("newest", 2));
  await turns();
  answers[0](whole("old", 1));
  await turns();
  assert.deepEqual(latest(), [row(1, "newest")]);
  assert.equal(shown.length, 2);
  await pass(5000);
  assert.equal(site.requests.length, 3);
  live.close();
});

test("a query that was closed asks for nothing any more", async () => {
  const site = new FakeSite([row(1)]);
  const { live, query } = await follow(site);
  const closed = await query;
  closed.close();
  const { length } = site.requests;
  closed.refresh();
  await pass(20_000);
  assert.equal(site.requests.length, length);
  live.close();
});

test("whoever loses access sees nothing any more", async () => {
  const site = new FakeSite([row(1)]);
  const { live, latest, shown } = await follow(site);
  site.tell({ msg: "revoked" });
  assert.deepEqual(latest(), []);
  assert.equal(shown.at(-1).change.reason, "revoked");
  assert.deepEqual(shown.at(-1).change.removed, [row(1)]);
  site.change([row(2)], [{ msg: "added", order: 0, item: row(2) }]);
  assert.deepEqual(latest(), []);
  live.close();
});

test("a list that is refused when it is joined again is dropped", async () => {
  const site = new FakeSite([row(1)]);
  const { live, latest } = await follow(site);
  site.onGet = () => ({ status: 401, body: { detail: "Log in." } });
  site.stop();
  site.start();
  await pass(2000);
  assert.deepEqual(latest(), []);
  live.close();
});

test("whoever is no longer logged in begins anew, under another id", async () => {
  const site = new FakeSite([row(1)]);
  const { live, latest } = await follow(site);
  site.items = [row(8)];
  site.socket("observers").end(4401);
  await pass(1000);
  assert.deepEqual(latest(), [row(8)]);
  assert.notEqual(site.sockets[0].path, site.sockets[1].path);
  assert.ok(!site.requests.at(-1).query.has("since"));
  live.close();
});

test("joining anew after a login asks as somebody else, for everything", async () => {
  const site = new FakeSite([row(1)]);
  const { live, latest } = await follow(site);
  site.items = [row(1), row(2)];
  live.reconnect();
  await turns();
  assert.deepEqual(latest(), [row(1), row(2)]);
  assert.notEqual(site.sockets[0].path, site.sockets[1].path);
  assert.equal(site.open.length, 1);
  live.close();
});

test("a query that is too slow for the server says so and keeps its items", async () => {
  const site = new FakeSite([row(1)]);
  const { live, shown } = await follow(site);
  site.tell({ msg: "suspended", detail: "It took 21 s." });
  assert.equal(shown.at(-1).change.reason, "suspended");
  assert.equal(shown.at(-1).change.detail, "It took 21 s.");
  assert.deepEqual(shown.at(-1).items, [row(1)]);
  live.close();
});

test("asked to reload, it asks for the whole list", async () => {
  const site = new FakeSite([row(1)]);
  const { live, latest } = await follow(site);
  site.items = [row(4)];
  site.tell({ msg: "reload" });
  await turns();
  assert.ok(!site.requests.at(-1).query.has("since"));
  assert.deepEqual(latest(), [row(4)]);
  live.close();
});

test("messages that always have a gap do not make it ask without end", async () => {
  const site = new FakeSite([row(1)]);
  const { live } = await follow(site);
  site.onGet = () => {
    site.tell({ msg: "added", order: 0, item: row(2), seq: 99, last: true });
    return { observer: site.observer, primary_key: "id", seq: 3, items: [row(1)] };
  };
  site.tell({ msg: "added", order: 0, item: row(2), seq: 99, last: true });
  await pass(10_000);
  assert.ok(site.requests.length < 10, `${site.requests.length} requests`);
  live.close();
});

test("a mistake in the page's own code stops nothing", async (context) => {
  context.mock.method(console, "error", () => {});
  const site = new FakeSite([row(1)]);
  const live = connect("http://site/", site.options);
  const seen = [];
  await Promise.all([
    live.query("/api/rows/", (items) => {
      seen.push(items.length);
      throw new Error("of the page");
    }),
    pass(500),
  ]);
  site.change([row(1), row(2)], [{ msg: "added", order: 1, item: row(2) }]);
  assert.deepEqual(seen, [1, 2]);
  assert.equal(console.error.mock.callCount(), 2);
  live.close();
});

test("two queries share a socket, and the last to leave tells the server", async () => {
  const site = new FakeSite([row(1)]);
  const { live, query } = await follow(site);
  const other = live.query("/api/rows/", () => {});
  await turns();
  assert.equal(site.sockets.length, 1);
  (await query).close();
  assert.equal(site.requests.filter(({ method }) => method === "POST").length, 0);
  (await other).close();
  await turns();
  const [left] = site.requests.filter(({ method }) => method === "POST");
  assert.equal(left.path, "/api/queryobserver/unsubscribe/");
  assert.equal(left.query.get("observer"), site.observer);
  assert.equal(site.open.length, 0);
  live.close();
});

test("queries that are aborted before their first answer are unsubscribed once it has come", async () => {
  const site = new FakeSite([row(1)]);
  const { live, latest } = await follow(site);
  const answers = [];
  site.onGet = ({ method }) => (method === "POST" ? { status: 200 } : new Promise((done) => answers.push(done)));
  const aborts = [1, 2, 3, 4, 5].map((number) => {
    const abort = new AbortController();
    live.query(`/api/rows/?search=${number}`, assert.fail, { signal: abort.signal }).catch(() => {});
    return abort;
  });
  await turns();
  for (const abort of aborts) abort.abort();
  assert.equal(live.state, "live");
  answers.forEach((answer, place) => answer({ observer: `search-${place}`, primary_key: "id", seq: 0, items: [] }));
  await turns();
  const left = site.requests.filter(({ method }) => method === "POST").map(({ query }) => query.get("observer"));
  assert.deepEqual(left.sort(), ["search-0", "search-1", "search-2", "search-3", "search-4"]);
  site.change([row(1), row(2)], [{ msg: "added", order: 1, item: row(2) }]);
  assert.deepEqual(latest(), [row(1), row(2)]);
  live.close();
});

test("a list that was left and is asked for again is not unsubscribed under whoever asks", async () => {
  const site = new FakeSite([row(1)]);
  const { live, latest } = await follow(site, { url: "/api/others/" });
  const answers = [];
  site.onGet = ({ method }) => (method === "POST" ? { status: 200 } : new Promise((done) => answers.push(done)));
  const abort = new AbortController();
  live.query("/api/rows/", assert.fail, { signal: abort.signal }).catch(() => {});
  await turns();
  abort.abort();
  const shown = [];
  const again = live.query("/api/rows/", (items) => shown.push(items));
  await turns();
  const list = { observer: "shared", primary_key: "id", seq: 0, items: [row(7)] };
  for (const answer of answers) {
    answer(list);
    await turns();
  }
  const left = () => site.requests.filter(({ method }) => method === "POST").map(({ query }) => query.get("observer"));
  assert.deepEqual([shown, left()], [[[row(7)]], []]);
  (await again).close();
  await turns();
  assert.deepEqual(left(), ["shared"]);
  assert.deepEqual(latest(), [row(1)]);
  live.close();
});

test("what is closed listens to its signal no longer", async () => {
  const site = new FakeSite([row(1)]);
  const live = connect("http://site/", site.options);
  const { signal } = new AbortController();
  const listening = new Set();
  mock.method(signal, "addEventListener", (name, listener) => listening.add(listener));
  mock.method(signal, "removeEventListener", (name, listener) => listening.delete(listener));
  const query = live.query("/api/rows/", () => {}, { signal });
  await turns();
  assert.equal(listening.size, 1);
  (await query).close();
  assert.equal(listening.size, 0);
  live.close();
});

test("an aborted query ends", async () => {
  const site = new FakeSite([row(1)]);
  const live = connect("http://site/", site.options);
  const abort = new AbortController();
  const query = live.query("/api/rows/", () => {}, { signal: abort.signal });
  await turns();
  abort.abort();
  assert.ok((await query).closed);
  const pending = live.query("/api/rows/", () => {}, { signal: abort.signal });
  await assert.rejects(pending, (error) => error.code === "closed");
  live.close();
});

test("closing ends everything, and nothing is sent afterwards", async () => {
  const site = new FakeSite([row(1)]);
  const { live } = await follow(site);
  const asked = live.stream("rows").list();
  live.close();
  await assert.rejects(asked, (error) => error.code === "closed");
  const { length } = site.sockets;
  await pass(60_000);
  assert.equal(site.sockets.length, length);
  assert.equal(site.open.length, 0);
  assert.equal(live.state, "offline");
  await assert.rejects(live.stream("rows").list(), (error) => error.code === "closed");
  await assert.rejects(live.query("/api/rows/", () => {}), (error) => error.code === "closed");
});

// --- Streams ------------------------------------------------------------------------------------------------------

test("each action is a message of its own, and its reply is what the promise gives", async () => {
  const site = new FakeSite();
  const live = connect("http://site/", site.options);
  const stream = live.stream("rows");
  assert.equal(stream, live.stream("rows"));
  const replies = Promise.all([
    stream.create({ text: "a" }),
    stream.retrieve(1),
    stream.list({ page: 2 }),
    stream.update(1, { text: "b" }),
    stream.patch(1, { text: "c" }),
    stream.delete(1),
    stream.action("vote", { pk: 1 }),
  ]);
  await turns();
  assert.deepEqual((await replies)[2], { echo: { page: 2 } });
  const sent = site.socket("resources").sent.slice(1);
  const actions = sent.map(({ payload }) => payload.action);
  assert.deepEqual(actions, ["create", "retrieve", "list", "update", "patch", "delete", "vote"]);
  assert.equal(new Set(sent.map(({ payload }) => payload.request_id)).size, 7);
  assert.equal(site.sockets.length, 1);
  live.close();
});

test("a refused action rejects with status and errors", async () => {
  const site = new FakeSite();
  site.onAction = () => ({ response_status: 400, errors: [{ text: ["Too long."] }], data: {} });
  const live = connect("http://site/", site.options);
  const asked = live.stream("rows").create({});
  await Promise.all([
    assert.rejects(asked, (error) => error.status === 400 && error.message === "text: Too long."),
    turns(),
  ]);
  live.close();
});

test("an action that is not answered is given up", async () => {
  const site = new FakeSite();
  site.onAction = () => "silence";
  const live = connect("http://site/", site.options);
  const asked = live.stream("rows").list();
  await Promise.all([assert.rejects(asked, (error) => error.code === "timeout"), pass(6000)]);
  live.close();
});

test("when the connection is lost, reading is repeated and writing is reported", async () => {
  const site = new FakeSite();
  site.onAction = () => "silence";
  const live = connect("http://site/", site.options);
  const reading = live.stream("rows").retrieve(1);
  const writing = live.stream("rows").create({ text: "a" });
  writing.catch(() => {});
  await turns();
  site.onAction = null;
  site.stop();
  await assert.rejects(writing, (error) => error.code === "lost" && /may have been done/.test(error.message));
  const waiting = live.stream("rows").create({ text: "b" });
  site.start();
  await pass(2000);
  assert.deepEqual(await reading, { echo: 1 });
  assert.deepEqual(await waiting, { echo: { text: "b" } });
  live.close();
});

test("events reach those who listen, and subscriptions outlive a restart", async () => {
  const site = new FakeSite();
  const live = connect("http://site/", site.options);
  const stream = live.stream("rows");
  const events = [];
  const resumed = [];
  const end = stream.on("update", ({ pk }) => events.push(pk));
  stream.on("resumed", () => resumed.push(true));
  const subscribed = stream.subscribe("update", { filter: { votes__gte: 3 } });
  await turns();
  await subscribed;
  const event = { stream: "rows", payload: { action: "update", pk: 5, model: "app.row", data: row(5) } };
  site.socket("resources").receive(event);
  site.stop();
  site.start();
  await pass(2000);
  const [, renewed] = site.socket("resources").sent;
  assert.deepEqual(renewed.payload.data, { action: "update", filter: { votes__gte: 3 } });
  assert.equal(resumed.length, 1);
  site.socket("resources").receive(event);
  end();
  site.socket("resources").receive(event);
  assert.deepEqual(events, [5, 5]);
  const left = stream.unsubscribe("update", { filter: { votes__gte: 3 } });
  await turns();
  await left;
  site.stop();
  site.start();
  await pass(20_000);
  assert.equal(site.socket("resources").sent.filter(({ payload }) => payload).length, 0);
  live.close();
});

test("a subscription that is ended while the site is away stays ended", async () => {
  const site = new FakeSite();
  const live = connect("http://site/", site.options);
  const subscribed = live.stream("rows").subscribe("update");
  await turns();
  await subscribed;
  site.stop();
  const ended = live.stream("rows").unsubscribe("update");
  site.start();
  await pass(2000);
  await ended;
  const asked = () => site.socket("resources").sent.flatMap(({ payload }) => payload?.action ?? []);
  assert.deepEqual(asked(), ["unsubscribe"]);
  site.stop();
  site.start();
  await pass(20_000);
  assert.deepEqual(asked(), []);
  live.close();
});

test("a subscription is renewed unless what was asked last is that it ends", async () => {
  const site = new FakeSite();
  const live = connect("http://site/", site.options);
  const stream = live.stream("rows");
  site.onAction = ({ payload }) => (payload.action === "unsubscribe" ? "silence" : null);
  const subscribed = stream.subscribe("update");
  const ended = stream.unsubscribe("update");
  await turns();
  await subscribed;
  site.stop();
  site.start();
  await pass(2000);
  const asked = () => site.socket("resources").sent.flatMap(({ payload }) => payload?.action ?? []);
  assert.deepEqual(asked(), ["unsubscribe"]);
  const again = stream.subscribe("update");
  await turns();
  await again;
  site.onAction = null;
  site.stop();
  site.start();
  await pass(2000);
  await ended;
  assert.deepEqual(asked(), ["unsubscribe", "subscribe"]);
  live.close();
});

test("a subscription that is refused when it is renewed is given up", async () => {
  const site = new FakeSite();
  const live = connect("http://site/", site.options);
  const subscribed = live.stream("rows").subscribe("update", { pk: 1 });
  await turns();
  await subscribed;
  site.onAction = () => ({ response_status: 404, errors: ["Not found."], data: {} });
  site.stop();
  site.start();
  await pass(2000);
  site.stop();
  site.start();
  await pass(20_000);
  assert.equal(site.socket("resources").sent.filter(({ payload }) => payload).length, 0);
  assert.equal(live.state, "live");
  live.close();
});

// --- Requests -----------------------------------------------------------------------------------------------------

test("writes carry the CSRF token, and only to the site itself", async (context) => {
  globalThis.document = Object.assign(new EventTarget(), { cookie: "csrftoken=secret", querySelector: () => null });
  context.after(() => delete globalThis.document);
  const site = new FakeSite();
  site.onGet = () => ({ done: true });
  const live = connect("http://site/", site.options);
  await live.request("POST", "/api/rows/", { text: "a" });
  await live.request("GET", "/api/rows/");
  await live.request("POST", "http://elsewhere/", {});
  const tokens = site.requests.map(({ init }) => init.headers["X-CSRFToken"]);
  assert.deepEqual(tokens, ["secret", undefined, undefined]);
  assert.equal(site.requests[0].init.body, '{"text":"a"}');
  live.close();
});

test("a request that fails tells how", async () => {
  const site = new FakeSite();
  const live = connect("http://site/", site.options);
  site.onGet = () => ({ status: 400, body: { text: ["Too long."] } });
  const refusal = { status: 400, message: "text: Too long.", errors: { text: ["Too long."] } };
  await assert.rejects(live.request("POST", "/x/", {}), refusal);
  site.onGet = () => ({ status: 404, body: "<html>", headers: { "Content-Type": "text/html; charset=utf-8" } });
  const page = { status: 404, message: "GET /x/ was answered with 404.", errors: null };
  await assert.rejects(live.request("GET", "/x/"), page);
  site.onGet = null;
  site.isUp = false;
  await assert.rejects(live.request("GET", "/x/"), (error) => error.code === "network" && error.passing);
  site.isUp = true;
  site.answers = false;
  await Promise.all([assert.rejects(live.request("GET", "/x/"), (error) => error.code === "timeout"), pass(6000)]);
  live.close();
});

test("a batch is one request, and its results are read", async () => {
  const site = new FakeSite();
  const headers = [{ key: "Content-Type", value: "application/json" }];
  site.onGet = () => [{ name: "q", code: 201, code_text: "Created", headers, body: '{"id":3}' }];
  const live = connect("http://site/", site.options);
  const items = [{ method: "POST", relative_url: "/api/rows/", name: "q", body: { text: "a" } }];
  const [made] = await live.batch(items, { atomic: true });
  assert.deepEqual(made.data, { id: 3 });
  assert.ok(made.ok);
  assert.deepEqual(JSON.parse(site.requests[0].init.body), { batch: items, atomic: true });
  await live.batch(items, { atomc: true });
  assert.equal(JSON.parse(site.requests[1].init.body).atomc, true, "the server refuses what it does not know");
  live.close();
});
