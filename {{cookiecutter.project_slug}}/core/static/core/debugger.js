// The socket debugger: sends what the form says, and shows what comes in two columns.

const KEPT = 200; // entries of a column
const CLOSES = {
  1000: "closed",
  1006: "connection lost",
  4012: "the server shut down",
  4401: "not logged in any more",
  4403: "refused: not a page of this site",
  4404: "no socket is served here",
  4408: "too slow to read, or too many rows to remember",
  4429: "too many messages",
};

const element = (id) => document.getElementById(id);
const streams = JSON.parse(element("streams").textContent);
const url = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws/`;
const sent = new Map(); // requests without a reply, by their id

let socket = null;
let number = 0;

// --- The form ---

function stream() {
  return streams.find((each) => each.name === element("stream").value);
}

function action() {
  return stream()?.actions.find((each) => each.name === element("action").value);
}

function fill(select, names) {
  const before = select.value;
  select.replaceChildren(...names.map((name) => new Option(name)));
  if (names.includes(before)) select.value = before;
}

function showActions() {
  const names = stream()?.actions.map((each) => each.name) ?? [];
  fill(element("action"), names);
  if (!element("action").dataset.chosen && names.includes("list")) element("action").value = "list";
  showExample();
}

function showExample() {
  const chosen = action();
  if (!chosen) return;
  element("data").value = JSON.stringify(chosen.data, null, 2);
  element("pk").disabled = !chosen.pk;
  if (chosen.pk && !element("pk").value) element("pk").value = "1";
  showMessage();
}

function request(id) {
  const text = element("data").value.trim();
  const chosen = action();
  const payload = { action: element("action").value };
  if (chosen?.pk) payload.pk = /^\d+$/.test(element("pk").value) ? Number(element("pk").value) : element("pk").value;
  if (text) payload.data = JSON.parse(text);
  payload.request_id = id;
  return { stream: element("stream").value, payload };
}

function showMessage() {
  const problem = element("problem");
  try {
    element("message").textContent = JSON.stringify(request(`debugger-${number + 1}`), null, 2);
    problem.hidden = true;
  } catch (error) {
    problem.textContent = `The data are not JSON: ${error.message}`;
    problem.hidden = false;
  }
  element("data").setAttribute("aria-invalid", String(!problem.hidden));
  element("send").disabled = !problem.hidden || !streams.length;
  for (const id of ["copy-javascript", "copy-python"]) element(id).disabled = element("send").disabled;
}

// --- The socket ---

function say(state, word) {
  element("state").dataset.state = state;
  element("state").querySelector(".word").textContent = word;
  element("connect").textContent = state === "offline" ? "Connect" : "Disconnect";
}

function connect() {
  say("connecting", "connecting");
  const opening = new WebSocket(url);
  socket = opening;
  opening.onopen = () => say("live", "connected");
  opening.onmessage = (message) => take(message.data);
  opening.onclose = (close) => {
    if (socket !== opening) return;
    socket = null;
    const reason = close.reason || (CLOSES[close.code] ?? "closed");
    say("offline", close.code === 1000 ? "not connected" : `${reason} (${close.code})`);
    for (const entry of sent.values()) finish(entry, "bad", "no reply");
    sent.clear();
  };
  return opening;
}

function whenOpen(work) {
  const current = socket ?? connect();
  if (current.readyState === WebSocket.OPEN) work(current);
  else current.addEventListener("open", () => work(current), { once: true });
}

function send() {
  if (element("send").disabled) return;
  number += 1;
  const id = `debugger-${number}`;
  const message = request(id);
  const entry = addEntry("replies", { tag: "…", kind: "wait", what: what(message) });
  addJson(entry.item, "sent", message, false);
  sent.set(id, entry);
  whenOpen((open) => {
    entry.began = performance.now();
    open.send(JSON.stringify(message));
  });
  showMessage();
}

function take(text) {
  const message = JSON.parse(text);
  const payload = message.payload ?? message;
  if (payload.response_status === undefined) {
    const kind = { create: "good", delete: "bad" }[payload.action];
    const entry = addEntry("events", { tag: payload.action, kind, what: `${message.stream} ${key(payload.pk)}` });
    addJson(entry.item, payload.model, payload.action === "delete" ? payload : payload.data, true);
    return;
  }
  let entry = sent.get(payload.request_id);
  sent.delete(payload.request_id);
  entry ??= addEntry("replies", { what: "a message that could not be read" });
  finish(entry, payload.response_status < 400 ? "good" : "bad", String(payload.response_status));
  addJson(entry.item, "reply", payload.errors?.length ? { errors: payload.errors } : payload.data, true);
}

// --- The columns ---

function what(message) {
  const pk = message.payload.pk;
  return `${message.stream} ${message.payload.action}${pk === undefined ? "" : ` ${key(pk)}`}`;
}

function key(pk) {
  return typeof pk === "object" ? JSON.stringify(pk) : String(pk);
}

function span(className, text) {
  const made = document.createElement("span");
  made.className = className;
  made.textContent = text;
  return made;
}

function addEntry(column, { tag = "", kind = "", what: title }) {
  const item = document.createElement("li");
  const line = document.createElement("div");
  line.className = "line";
  const mark = span("tag", tag);
  mark.dataset.kind = kind;
  const time = document.createElement("time");
  const now = new Date();
  time.dateTime = now.toISOString();
  time.textContent = `${now.toLocaleTimeString([], { hour12: false })}.${String(now.getMilliseconds()).padStart(3, "0")}`;
  line.append(mark, span("what", title), time);
  item.append(line);
  const list = element(column);
  list.prepend(item);
  while (list.children.length > KEPT) list.lastElementChild.remove();
  count(column);
  return { item, mark, time };
}

function finish(entry, kind, tag) {
  entry.mark.textContent = tag;
  entry.mark.dataset.kind = kind;
  if (entry.began) entry.time.textContent += ` · ${(performance.now() - entry.began).toFixed(1)} ms`;
}

function addJson(item, title, value, open) {
  const details = document.createElement("details");
  details.open = open;
  const summary = document.createElement("summary");
  summary.textContent = title;
  const text = document.createElement("pre");
  text.textContent = JSON.stringify(value, null, 2);
  details.append(summary, text);
  item.append(details);
}

function count(column) {
  element(`${column}-count`).textContent = element(column).children.length;
}

// --- Copies ---

function asJavaScript(message) {
  return `const ws = new WebSocket(${JSON.stringify(url)});

ws.onmessage = (message) => console.log(JSON.parse(message.data));
ws.onopen = () => ws.send(JSON.stringify(${JSON.stringify(message, null, 2)}));
`;
}

function asPython(message) {
  return `import asyncio
import json

import websockets

MESSAGE = json.loads(${JSON.stringify(JSON.stringify(message))})


async def main():
    # Add additional_headers={"Authorization": "Token <key>"} to log in.
    async with websockets.connect(${JSON.stringify(url)}) as ws:
        await ws.send(json.dumps(MESSAGE))
        async for message in ws:
            print(json.loads(message))


asyncio.run(main())
`;
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    notify("Copied.");
  } catch {
    // Pages without TLS have no clipboard, except on this machine.
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    notify(document.execCommand("copy") ? "Copied." : "The browser does not let this page copy.");
    area.remove();
  }
}

let hiding;

function notify(text) {
  const notice = element("notice");
  notice.textContent = text;
  notice.hidden = false;
  clearTimeout(hiding);
  hiding = setTimeout(() => {
    notice.hidden = true;
  }, 2000);
}

// --- Beginning ---

element("address").textContent = url;
fill(element("stream"), streams.map((each) => each.name));
showActions();
element("stream").addEventListener("change", showActions);
element("action").addEventListener("change", (event) => {
  event.target.dataset.chosen = "yes";
  showExample();
});
element("example").addEventListener("click", showExample);
for (const id of ["data", "pk"]) element(id).addEventListener("input", showMessage);
element("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  send();
});
element("composer").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    send();
  }
});
element("connect").addEventListener("click", () => {
  if (socket) socket.close(1000);
  else connect();
});
element("copy-javascript").addEventListener("click", () => copy(asJavaScript(request("some-guid"))));
element("copy-python").addEventListener("click", () => copy(asPython(request("some-guid"))));
for (const button of document.querySelectorAll("[data-clears]")) {
  button.addEventListener("click", () => {
    element(button.dataset.clears).replaceChildren();
    count(button.dataset.clears);
  });
}
if (streams.length) connect();
else {
  element("problem").textContent = "There is no stream yet: write a binding that names one in an application's bindings.py.";
  element("problem").hidden = false;
}
