// The decisions of client.js, without a network. Runs in Node and, with stand-ins for these two modules, in a browser.
import assert from "node:assert/strict";
import test from "node:test";

import {
  applyMessages,
  backoff,
  cookie,
  difference,
  randomId,
  readResult,
  ref,
  sentence,
  Snapshot,
} from "#client";

const rows = (...ids) => ids.map((id) => ({ id, text: `row ${id}` }));
const message = (msg, order, item, seq = 1, last = true) => ({ msg, order, item, seq, last });

/** Numbers that look random and are the same in every run. */
function numbers(seed) {
  return (limit) => {
    seed = (seed * 1103515245 + 12345) % 2 ** 31;
    return Math.floor((seed / 2 ** 31) * limit);
  };
}

/** What a server would say about the way from one list to another, in an order of its own. */
function messagesBetween(before, after, seq, pick) {
  const places = new Map(before.map((item, place) => [item.id, place]));
  const found = [];
  before.forEach((item, order) => {
    if (!after.some((other) => other.id === item.id)) found.push({ msg: "removed", order, item: { id: item.id } });
  });
  after.forEach((item, order) => {
    if (!places.has(item.id)) found.push({ msg: "added", order, item });
    else if (before[places.get(item.id)].text !== item.text || places.get(item.id) !== order) {
      found.push({ msg: "changed", order, item });
    }
  });
  for (let place = found.length - 1; place > 0; place--) {
    const other = pick(place + 1);
    [found[place], found[other]] = [found[other], found[place]];
  }
  return found.map((each, place) => ({ ...each, seq, last: place === found.length - 1 }));
}

function someList(pick) {
  const ids = [0, 1, 2, 3, 4, 5, 6, 7].filter(() => pick(2));
  return ids.map((id) => ({ id, text: `${pick(3)}` })).sort(() => pick(3) - 1);
}

test("a row that is added stands at its place", () => {
  const after = applyMessages(rows(1, 2), "id", [message("added", 1, rows(9)[0])]);
  assert.deepEqual(after, rows(1, 9, 2));
});

test("rows that move, change, come and go at once end where the server has them", () => {
  const messages = [
    message("changed", 0, { id: 3, text: "now first" }),
    message("removed", 1, { id: 2 }),
    message("added", 2, rows(4)[0]),
  ];
  assert.deepEqual(applyMessages(rows(1, 2, 3), "id", messages), [{ id: 3, text: "now first" }, ...rows(1, 4)]);
});

test("applying messages leaves the list they are applied to as it was", () => {
  const before = rows(1, 2);
  applyMessages(before, "id", [message("removed", 0, { id: 1 })]);
  assert.deepEqual(before, rows(1, 2));
});

test("a primary key may have any name", () => {
  const after = applyMessages([{ code: "a" }, { code: "b" }], "code", [message("removed", 0, { code: "a" })]);
  assert.deepEqual(after, [{ code: "b" }]);
});

test("whatever happens, the messages lead from one list to the next", () => {
  const pick = numbers(20261);
  for (let round = 0; round < 2000; round++) {
    const before = someList(pick);
    const after = someList(pick);
    assert.deepEqual(applyMessages(before, "id", messagesBetween(before, after, 1, pick)), after);
  }
});

test("messages lost, repeated and cut short never show a list that the server did not have", () => {
  const pick = numbers(777);
  for (let round = 0; round < 300; round++) {
    const history = [someList(pick)];
    const sent = [];
    for (let seq = 1; seq <= 6; seq++) {
      const after = someList(pick);
      const messages = messagesBetween(history.at(-1), after, seq, pick);
      if (messages.length === 0) messages.push({ msg: "removed", order: 0, item: { id: -1 }, seq, last: true });
      history.push(after);
      sent.push(...messages);
    }
    const snapshot = new Snapshot();
    snapshot.reset({ observer: "o", primary_key: "id", seq: 0, items: history[0] });
    for (const each of sent) {
      const cut = pick(12) === 0; // the connection is lost behind this message, and the client asks again
      const lost = pick(12) === 0 && each.last;
      const outcome = lost ? "lost" : snapshot.take(each);
      if (pick(6) === 0) snapshot.take(each);
      if (outcome === "gap" || cut) {
        snapshot.interrupt();
        for (const again of sent.filter(({ seq }) => seq > snapshot.seq && seq <= each.seq)) snapshot.take(again);
      }
      assert.deepEqual(snapshot.items, history[snapshot.seq]);
    }
  }
});

test("all messages of one seq take effect together", () => {
  const snapshot = new Snapshot();
  snapshot.reset({ observer: "o", primary_key: "id", seq: 4, items: rows(1, 2) });
  assert.equal(snapshot.take(message("removed", 0, { id: 1 }, 5, false)), "partial");
  assert.deepEqual(snapshot.items, rows(1, 2));
  assert.equal(snapshot.take(message("added", 1, rows(3)[0], 5, true)), "applied");
  assert.deepEqual(snapshot.items, rows(2, 3));
  assert.equal(snapshot.seq, 5);
});

test("what is known already is ignored, and what was missed is noticed", () => {
  const snapshot = new Snapshot();
  snapshot.reset({ observer: "o", primary_key: "id", seq: 4, items: rows(1) });
  assert.equal(snapshot.take(message("removed", 0, { id: 1 }, 4)), "old");
  assert.equal(snapshot.take(message("removed", 0, { id: 1 }, 6)), "gap");
  assert.deepEqual(snapshot.items, rows(1));
});

test("a seq that was cut short is taken from its beginning", () => {
  const snapshot = new Snapshot();
  snapshot.reset({ observer: "o", primary_key: "id", seq: 0, items: rows(1, 2, 3) });
  snapshot.take(message("removed", 0, { id: 1 }, 1, false));
  snapshot.interrupt();
  snapshot.take(message("removed", 1, { id: 2 }, 1, true));
  assert.deepEqual(snapshot.items, rows(1, 3));
});

test("a difference names what came, changed and went", () => {
  const before = rows(1, 2, 3);
  const after = [{ id: 2, text: "other" }, before[2], ...rows(4)];
  const { added, changed, removed } = difference(before, after, "id");
  assert.deepEqual([added, changed, removed], [rows(4), [{ id: 2, text: "other" }], rows(1)]);
});

test("pauses double, have a limit and are never the same for all", () => {
  assert.equal(backoff(0, () => 1), 500);
  assert.equal(backoff(1, () => 1), 1000);
  assert.equal(backoff(40, () => 1), 15000);
  assert.equal(backoff(0, () => 0), 250);
  const pauses = new Set(Array.from({ length: 50 }, () => backoff(3)));
  assert.ok(pauses.size > 40);
});

test("a subscriber id is 128 random bits in hex", () => {
  assert.match(randomId(), /^[0-9a-f]{32}$/);
  assert.notEqual(randomId(), randomId());
  assert.equal(randomId((bytes) => bytes.fill(7)), "07".repeat(16));
});

test("a reference is written as the batch reads it", () => {
  assert.equal(ref("question", "$.id"), "{result=question:$.id}");
  assert.equal(ref("question"), "{result=question:$}");
});

test("a cookie is found by its whole name", () => {
  assert.equal(cookie("csrftoken", "xcsrftoken=no; csrftoken=a%20b; sessionid=s"), "a b");
  assert.equal(cookie("csrftoken", ""), null);
});

test("what a server says about an error becomes a sentence", () => {
  assert.equal(sentence({ detail: "Not found." }, "-"), "Not found.");
  assert.equal(sentence({ question_text: ["Too long."], owner: ["No."] }, "-"), "question_text: Too long. owner: No.");
  assert.equal(sentence({ non_field_errors: ["Taken."] }, "-"), "Taken.");
  assert.equal(sentence([{}, { name: ["Empty."] }], "-"), "name: Empty.");
  assert.equal(sentence(null, "-"), "-");
});

test("the result of a batch's item has its JSON read", () => {
  const headers = [{ key: "Content-Type", value: "application/json" }];
  const result = readResult({ name: "a", code: 201, headers, body: '{"id": 1}' });
  assert.deepEqual(result.data, { id: 1 });
  assert.ok(result.ok);
  assert.equal(result.headers["content-type"], "application/json");
  assert.equal(readResult({ name: null, code: 404, headers, body: null }).ok, false);
  const bytes = readResult({ name: null, code: 200, headers, body: "AAA=", encoding: "base64" });
  assert.equal(bytes.data, "AAA=");
});
