/**
 * The page at `/`, alive. The server has rendered it already and it works without this script; from here on the list
 * of questions follows the database, and votes and questions are sent without a reload.
 */

import { connect, ref } from "../core/client.js";

const find = (selector, inside = document) => inside.querySelector(selector);
const { user, staff, mayChange, mayDelete, features, pageSize } = document.body.dataset;
const isOn = (feature) => features.split(" ").includes(feature);
const calm = matchMedia("(prefers-reduced-motion: reduce)");

const list = find("#questions");
const live = connect();

// --- The questions ------------------------------------------------------------------------------------------------

const dates = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "long", year: "numeric" });
const blank = find("#question").content;
const blankChoice = find("li", blank);
const cards = new Map();
for (const card of list.querySelectorAll("article")) cards.set(keyOf(card), card);

function keyOf(card) {
  return card.id.replace("question-", "");
}

const shown = new Map();

function show(questions, change) {
  const keys = new Set(questions.map(({ id }) => `${id}`));
  const gone = [...cards.keys()].filter((key) => !keys.has(key));
  // Measuring costs a layout: only where something comes, goes or moves.
  const order = [...list.querySelectorAll("article")].map(keyOf);
  const stays = order.length === keys.size && [...keys].every((key, place) => key === order[place]);
  const places = new Map(stays ? [] : [...cards.values()].map((card) => [card, card.getBoundingClientRect()]));
  for (const key of gone) {
    cards.get(key).remove();
    cards.delete(key);
    shown.delete(key);
  }
  arrange(list, questions.map(fill), find(".empty"));
  find(".empty").hidden = questions.length > 0;
  if (change.removed.length && questions.length === Number(pageSize)) {
    find(".how-many").textContent = "Older questions";
    find(".older").hidden = false;
  }
  if (places.size) glide(places);
  announce(change);
}

/** Put elements in this order before `end`, moving no more of them than needed: what moves loses focus and motion. */
function arrange(parent, elements, end = null) {
  const { activeElement } = document;
  elements.forEach((element, place) => {
    if (parent.children[place] !== element) parent.insertBefore(element, parent.children[place] ?? end);
  });
  if (end === null) while (parent.children.length > elements.length) parent.lastElementChild.remove();
  if (activeElement !== document.activeElement) activeElement.focus({ preventScroll: true });
}

/** Write a question into its card, which is made if need be. */
function fill(question) {
  const { id, question_text, published, owner, created_at, choices } = question;
  const key = `${id}`;
  if (shown.get(key) === question) return cards.get(key);
  shown.set(key, question);
  const isNew = !cards.has(key);
  const card = cards.get(key) ?? blank.cloneNode(true).firstElementChild;
  if (isNew) {
    cards.set(key, card);
    card.id = `question-${key}`;
    card.setAttribute("aria-labelledby", `title-${key}`);
    find("h2", card).id = `title-${key}`;
    find("ul", card).replaceChildren();
    find("time", card).dateTime = created_at;
    write(find("time", card), dates.format(new Date(created_at)));
  }
  write(find("h2", card), question_text);
  card.classList.toggle("hidden-question", !published);
  find(".badge", card).hidden = published;
  const total = choices.reduce((sum, { votes }) => sum + votes, 0);
  const most = Math.max(...choices.map(({ votes }) => votes));
  const rows = choices.map((choice) => fillChoice(card, choice, total, most));
  arrange(find("ul", card), rows.length ? rows : [noChoices()]);
  write(find(".total", card), `${total} vote${total === 1 ? "" : "s"}`);
  equip(card, { owner, published });
  return card;
}

function fillChoice(card, { id, choice_text, votes }, total, most) {
  let row = find(`button[value="${id}"]`, card)?.closest("li");
  const isNew = !row;
  if (isNew) {
    row = blankChoice.cloneNode(true);
    find("button", row).value = id;
    find("rect", row).setAttribute("width", "0%");
    find(".votes", row).textContent = votes;
  }
  const percent = total ? Math.round((100 * votes) / total) : 0;
  write(find(".text", row), choice_text);
  if (write(find(".votes", row), votes)) flash(find(".votes", row));
  write(find(".percent", row), `${percent}%`);
  find("button", row).classList.toggle("leads", votes > 0 && votes === most);
  const draw = () => find("rect", row).setAttribute("width", `${percent}%`);
  // A bar that is new grows from nothing, which it can once it has been seen so.
  if (isNew) requestAnimationFrame(() => requestAnimationFrame(draw));
  else draw();
  return row;
}

function noChoices() {
  return Object.assign(document.createElement("li"), { className: "note", textContent: "No choices yet." });
}

/** Set the text of an element. Returns whether it was another. */
function write(element, text) {
  if (element.textContent === `${text}`) return false;
  element.textContent = text;
  return true;
}

// --- Motion -------------------------------------------------------------------------------------------------------

function animate(element, frames, duration) {
  return calm.matches || document.hidden ? null : element.animate(frames, { duration, easing: "ease-out" });
}

/** Let each card glide from where it was; those that are new fade in. */
function glide(places) {
  for (const card of cards.values()) {
    const before = places.get(card);
    const after = card.getBoundingClientRect();
    if (!before) animate(card, { opacity: [0, 1], transform: ["scale(0.96)", "none"] }, 300);
    else if (before.left !== after.left || before.top !== after.top) {
      const way = `translate(${before.left - after.left}px, ${before.top - after.top}px)`;
      animate(card, { transform: [way, "none"] }, 300);
    }
  }
}

function flash(element) {
  animate(element, { color: ["var(--accent)", "inherit"], transform: ["scale(1.35)", "none"] }, 500);
}

// --- What is said -------------------------------------------------------------------------------------------------

function say(text) {
  find("#said").textContent = text;
}

function announce({ reason, added, removed, detail }) {
  if (reason === "suspended") complain(`The list is no longer followed. ${detail ?? ""}`);
  if (reason !== "changed") return;
  if (added.length === 1) say(`New question: ${added[0].question_text}`);
  else if (removed.length === 1 && removed[0].question_text) say(`Question gone: ${removed[0].question_text}`);
}

let quiet;
function complain(text) {
  const trouble = find("#trouble");
  trouble.textContent = text;
  trouble.hidden = false;
  clearTimeout(quiet);
  quiet = setTimeout(() => (trouble.hidden = true), 8000);
}

const WORDS = { connecting: "Connecting", live: "Live", offline: "Offline, trying again" };

function showState(state) {
  const element = find(".state");
  element.dataset.state = state;
  element.hidden = false;
  write(find(".word", element), WORDS[state]);
}

// --- Voting, asking, and what owners can do -----------------------------------------------------------------------

async function vote(button) {
  try {
    const { data } = await live.request("POST", `/api/choices/${button.value}/vote/`);
    say(`You voted for ${data.choice_text}.`);
  } catch (error) {
    complain(`Your vote was not counted. ${error.message}`);
  }
}

/** A question with its choices in one request: all of it or nothing. */
async function ask(form) {
  const texts = new FormData(form).getAll("choice_text").filter((text) => text.trim());
  const results = await live.batch(
    [
      {
        method: "POST",
        relative_url: "/api/questions/",
        name: "question",
        body: { question_text: form.elements.question_text.value },
      },
      ...texts.map((choice_text) => ({
        method: "POST",
        relative_url: "/api/choices/",
        body: { question: ref("question", "$.id"), choice_text },
      })),
    ],
    { atomic: true },
  );
  const culprit = results.find(({ code }) => code >= 400 && code !== 424);
  if (culprit) throw new Error(Object.values(culprit.data).flat().join(" "));
}

async function onAsk(event) {
  event.preventDefault();
  const form = event.target;
  const error = find("#ask-error");
  const button = find("button", form);
  button.disabled = true;
  try {
    await ask(form);
    error.hidden = true;
    form.reset();
    form.elements.question_text.focus();
  } catch (refusal) {
    error.textContent = refusal.message;
    error.hidden = false;
  }
  button.disabled = false;
}

/** Give owners what they can do with a question, by way of the resource socket where it is there. */
function equip(card, { owner, published }) {
  const tools = find(".tools", card);
  const mine = user !== "" && (`${owner}` === user || staff === "true");
  tools.hidden = !mine || (mayChange !== "true" && mayDelete !== "true");
  if (tools.hidden) return;
  if (!tools.firstChild) {
    if (mayChange === "true") tools.append(tool("publish", card, publish));
    if (mayDelete === "true") tools.append(tool("delete", card, remove));
  }
  const button = find("[data-tool=publish]", tools);
  if (button) write(button, published ? "Hide" : "Publish");
}

function tool(name, card, act) {
  const button = Object.assign(document.createElement("button"), { className: "link", type: "button" });
  button.dataset.tool = name;
  button.textContent = name === "delete" ? "Delete" : "";
  button.setAttribute("aria-describedby", `title-${keyOf(card)}`);
  button.addEventListener("click", () => act(keyOf(card), button)?.catch((error) => complain(error.message)));
  return button;
}

function publish(pk, button) {
  const data = { published: button.textContent === "Publish" };
  if (isOn("bindings")) return live.stream("questions").patch(pk, data);
  return live.request("PATCH", `/api/questions/${pk}/`, data);
}

/** The first click asks, the second does it. */
function remove(pk, button) {
  if (button.dataset.sure) {
    if (isOn("bindings")) return live.stream("questions").delete(pk);
    return live.request("DELETE", `/api/questions/${pk}/`);
  }
  button.dataset.sure = "yes";
  button.textContent = "Really delete?";
  setTimeout(() => {
    delete button.dataset.sure;
    button.textContent = "Delete";
  }, 4000);
  return null;
}

// --- The messages as they pass ------------------------------------------------------------------------------------

const MESSAGES_KEPT = 50;
const times = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" });
let passed = 0;

function record({ direction, message }) {
  passed += 1;
  find("#messages .count").textContent = passed;
  const row = document.createElement("li");
  const kind = message.msg ?? message.payload?.action ?? "?";
  const parts = { time: times.format(), way: direction === "in" ? "↓" : "↑", kind, text: JSON.stringify(message) };
  for (const [name, text] of Object.entries(parts)) {
    row.append(Object.assign(document.createElement("span"), { className: name, textContent: text }));
  }
  const rows = find("#messages ol");
  rows.prepend(row);
  while (rows.children.length > MESSAGES_KEPT) rows.lastChild.remove();
}

// --- Come alive ---------------------------------------------------------------------------------------------------

if (isOn("reactive")) {
  live.on("state", showState);
  live.on("message", record);
  find("#messages").hidden = false;
  showState(live.state);
  live
    .query(`/api/questions/?ordering=-id&limit=${pageSize}`, show)
    .then(comeAlive)
    .catch(stayStill);
}

/** There are no live queries here: the page is what the server has rendered, until it is loaded again. */
function stayStill() {
  live.close();
  for (const element of [find(".state"), find("#messages")]) element.hidden = true;
}

/** From now on what is done shows by itself: no reload is needed. */
function comeAlive() {
  list.addEventListener("submit", (event) => {
    if (event.submitter?.name !== "choice") return;
    event.preventDefault();
    vote(event.submitter);
  });
  if (isOn("batch")) find("#ask")?.addEventListener("submit", onAsk);
}
