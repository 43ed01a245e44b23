// The import plan's board (drag, keyboard, titles that save themselves), and live progress.

import { sleep } from "./async.js";
import { confirmDialog, onKey, reloadPage, toast, whenLetGo } from "./common.js";
import { fetchJson } from "./http.js";

const said = document.getElementById("said");
const say = (words) => {
  if (said) said.textContent = words;
};

// --- Reading OneDrive ---

const reading = document.querySelector("[data-reading]");

// Signed out, forgotten, of another OneDrive, too much: asking again would change nothing.
const LASTING = [401, 404, 409, 422];

async function readOn() {
  const words = document.getElementById("reading-words");
  const fault = document.getElementById("reading-fault");
  let pause = 0;
  for (;;) {
    let answer;
    try {
      answer = await fetchJson(reading.dataset.reading, { method: "POST" });
      words.textContent = answer.words;
    } catch (error) {
      answer = { fault: error.message, isOver: LASTING.includes(error.status) };
    }
    if (answer.is_read && reloadPage()) return;
    fault.hidden = !answer.fault;
    const goesOn = answer.isOver ? "" : " It is tried again by itself.";
    fault.textContent = answer.fault ? answer.fault + goesOn : "";
    if (answer.isOver) {
      reading.querySelector(".bar").hidden = true;
      return;
    }
    if (answer.is_read) pause = 500;
    else pause = answer.fault ? Math.min(30_000, pause * 2 || 2000) : 0;
    await sleep(pause);
  }
}

if (reading) readOn();

// --- Progress ---

const progress = document.getElementById("progress");

// What holds the focus keeps it while the import runs, and its place at the end.
async function showProgress({ html, state }) {
  await whenLetGo();
  const focus = progress.contains(document.activeElement) ? document.activeElement : null;
  const held = state === "running" && focus?.closest("[data-part]");
  if (held) {
    showAround(held, html);
    return;
  }
  const { tagName, value, href, textContent } = focus ?? {};
  progress.innerHTML = html;
  if (!focus) return;
  const same = [...progress.querySelectorAll(tagName)].find(
    (one) => one.value === value && one.href === href && one.textContent === textContent,
  );
  progress.tabIndex = -1;
  (same ?? progress).focus({ preventScroll: true });
}

// Shows all parts anew but the one that somebody is in: moved or made anew it would lose the focus.
function showAround(held, html) {
  const fresh = document.createElement("template");
  fresh.innerHTML = html;
  for (const old of [...progress.childNodes]) if (old !== held) old.remove();
  let isBehind = false;
  for (const part of [...fresh.content.children]) {
    if (part.dataset.part === held.dataset.part) isBehind = true;
    else if (isBehind) progress.append(part);
    else held.before(part);
  }
}

async function watch() {
  let pause = 1000;
  let told = 0;
  while (progress.dataset.state === "running") {
    await sleep(pause);
    if (document.hidden) continue;
    try {
      const answer = await fetchJson(progress.dataset.progress);
      progress.dataset.state = answer.state;
      await showProgress(answer);
      const tenth = Math.floor((10 * (answer.done_count + answer.failed_count)) / answer.item_count);
      if (tenth > told || answer.state !== "running") {
        told = tenth;
        const fresh = document.createElement("template");
        fresh.innerHTML = answer.html;
        say(fresh.content.querySelector(".bar span, .note")?.textContent.trim() ?? "");
      }
      pause = 1000;
    } catch (error) {
      if (error.status === 401) {
        toast(error.message, { isFault: true, seconds: 60 });
        return;
      }
      pause = Math.min(15_000, pause * 2);
    }
  }
}

if (progress) watch();

// --- The board ---

const board = document.querySelector("[data-board]");
const parts = document.getElementById("board-parts");
let last = Promise.resolve();
let openCount = 0;
let isUnderWay = false;
let hasFailed = false;
let isShowing = false;

const getBins = () => [...parts.querySelectorAll(".bin:not(.bin-new)")];
const getCards = (inside = parts) => [...inside.querySelectorAll(".card")];
const getChosen = () => getCards().filter((card) => card.querySelector("input").checked);
const getBox = (card) => card.querySelector("input");
const findCard = (file) => parts.querySelector(`.card[data-file="${file}"]`);
const listTitles = () => [...parts.querySelectorAll("input.bin-title")];
// The board that came last has the titles that are kept.
const isUnkept = (title) => title.value !== title.defaultValue;

const getState = () => parts.querySelector("[name=state]:checked").value;
const isStateUnkept = () => getState() !== parts.querySelector("[name=was_state]").value;

// A request that outlives its page may be 64 KiB long, all of them together.
const MAX_LASTING_CHARS = 50_000;

// What takes each change back, the latest last.
const undos = [];

// One change after the other, so that none is made on an older board than the person sees. `make`
// is called when its turn comes: it answers the fields to send, which card shall have the focus and
// what is said then, or null where there is nothing to do any more.
function change(make) {
  const origin = describePlace(document.activeElement);
  openCount += 1;
  last = last.then(() => send(make, origin)).finally(() => {
    openCount -= 1;
  });
  return last;
}

// Of a field that was left, or of all. Another one may be half written by the time.
const rename = (name = "") => change(() => {
  const titles = listTitles().filter((title) => !name || title.name === name);
  return titles.some(isUnkept) ? { fields: { act: "rename" }, done: "Title saved" } : null;
});

// What was chosen for the new groups.
const keepState = () =>
  change(() => (isStateUnkept() ? { fields: { act: "rename" }, done: "Kept", isStep: false } : null));

async function send(make, origin) {
  const { fields, focus, done, isStep = true } = make() ?? {};
  if (!fields) return;
  // Only what is not kept yet: the rest may have been changed in another window since.
  const form = new URLSearchParams();
  for (const name of ["csrf_token", "after", "whole", "from", "version"]) {
    form.append(name, board.elements[name].value);
  }
  // A title that is half written is no business of another choice, and none of a step back.
  const takesTitles = isStep && fields.act !== "undo";
  const titles = new Map(
    listTitles().map(({ name, value, defaultValue }) => [name, takesTitles ? value : defaultValue]),
  );
  if (takesTitles) for (const { name, value } of listTitles().filter(isUnkept)) form.append(name, value);
  const state = getState();
  if (isStateUnkept()) form.append("state", state);
  for (const [name, value] of Object.entries(fields)) {
    for (const one of Array.isArray(value) ? value : [value]) form.append(name, one);
  }
  const ticks = new Set(fields.act === "rename" ? [] : getChosen().map((card) => card.dataset.file));
  isUnderWay = true;
  try {
    const keepalive = fields.act !== "undo" && form.toString().length < MAX_LASTING_CHARS;
    const answer = await fetchJson(board.action, { form, keepalive });
    isUnderWay = false;
    // Steps of before somebody else's are not taken back: that would take back theirs, too.
    if (!answer.undo || String(answer.seen) !== form.get("version")) undos.length = 0;
    if (answer.undo && fields.act !== "undo" && isStep) undos.push(answer.undo);
    await whenLetGo();
    const goal = fields.act === "move" ? "" : parts.querySelector("#board-to-title")?.value;
    showBoard(answer.html, { titles, ticks, state, origin, focus, goal });
    if (done) say(done);
  } catch (error) {
    hasFailed = true;
    const { html, url } = error.detail ?? {};
    if (fields.act === "undo" && !error.status) undos.push(fields.undo);
    toast(error.message, { isFault: true });
    if (url) location.assign(url);
    if (!html) return;
    // The board is not what it was here: somebody changed it in another window.
    undos.length = 0;
    await whenLetGo();
    showBoard(html, { titles, ticks, state, origin, focus });
  } finally {
    isUnderWay = false;
  }
}

// Where the focus is on the board, in a way that finds it on the next one too.
function describePlace(element) {
  if (!parts.contains(element)) return "";
  const file = element.closest(".card")?.dataset.file;
  if (file) return `.card[data-file="${file}"] input`;
  if (element.id) return `#${CSS.escape(element.id)}`;
  if (element.matches("[data-undo]")) return "[data-undo]";
  if (element.matches("[name=state]")) return `[name=state][value="${element.value}"]`;
  return element.value ? `button[value="${CSS.escape(element.value)}"]` : "";
}

// Puts the new board into the place of the old one. What the person has done on the old one since
// `titles` and `ticks` went to the hub stays; so does the focus, unless it is where it was at the
// `origin` of the change, which then gives it to the card `focus`.
function showBoard(html, { titles, ticks, state, origin, focus, goal = "" }) {
  const active = document.activeElement;
  const wasHere = parts.contains(active);
  const place = describePlace(active);
  const hasMoved = wasHere && place !== origin;
  const caret = active.matches("input.bin-title") && [active.selectionStart, active.selectionEnd];
  const typed = listTitles().filter(({ name, value }) => titles.get(name) !== value);
  const ticked = getChosen().filter((card) => !ticks.has(card.dataset.file));
  const chosen = getState();
  const to = parts.querySelector("#board-to")?.value;
  const isUnfolded = parts.querySelector("details")?.open;
  isShowing = true;
  parts.innerHTML = html;
  isShowing = false;
  for (const { name, value } of typed) {
    const title = document.getElementById(name);
    if (title) title.value = value;
  }
  for (const { dataset } of ticked) {
    const card = findCard(dataset.file);
    if (card) getBox(card).checked = true;
  }
  if (chosen !== state) parts.querySelector(`[name=state][value=${chosen}]`).checked = true;
  const list = parts.querySelector("#board-to");
  if (list && [...list.options].some(({ value }) => value === to)) list.value = to;
  const field = parts.querySelector("#board-to-title");
  if (field) field.value = goal;
  if (isUnfolded) parts.querySelector("details")?.setAttribute("open", "");
  prepare();
  const card = focus && findCard(focus);
  if (card && !hasMoved && (wasHere || active === document.body)) {
    focusCard(card);
    return;
  }
  if (!wasHere) return;
  const same = place ? parts.querySelector(place) : null;
  if (same?.closest(".card")) focusCard(same.closest(".card"));
  else same?.focus();
  if (same && caret) same.setSelectionRange(...caret);
  // What has the focus may be gone, or have nothing to act on any more.
  if (!parts.contains(document.activeElement)) {
    parts.querySelector(".card input")?.focus({ preventScroll: true });
  }
}

function prepare() {
  const cards = getCards();
  for (const [index, card] of cards.entries()) {
    card.draggable = true;
    getBox(card).tabIndex = index ? -1 : 0;
  }
  for (const bin of parts.querySelectorAll(".bin-new")) bin.hidden = false;
  parts.querySelector("[data-undo]")?.toggleAttribute("hidden", !undos.length);
  showChosen();
}

function takeBack() {
  change(() => {
    if (undos.length) return { fields: { act: "undo", undo: undos.pop() }, done: "Undone" };
    say("There is nothing to undo");
    return null;
  });
}

function showChosen() {
  const count = getChosen().length;
  const words = parts.querySelector("[data-chosen]");
  if (!words) return;
  words.hidden = false;
  words.textContent = count ? `${count} chosen` : "Choose pictures";
  for (const button of parts.querySelectorAll(".board-tools button[value]:not([data-no-script])")) {
    button.disabled = !count;
  }
}

function focusCard(card) {
  for (const other of getCards()) getBox(other).tabIndex = -1;
  getBox(card).tabIndex = 0;
  getBox(card).focus();
  card.scrollIntoView({ block: "nearest" });
}

// What a key or a drag is about: everything chosen if this card is among it, else this card alone.
const getMoved = (card) => {
  const chosen = getChosen();
  return (chosen.includes(card) ? chosen : [card]).map((one) => one.dataset.file);
};

const findTitle = (bin) => {
  const title = bin.querySelector(".bin-title");
  return (title.value ?? title.textContent).trim() || "Untitled";
};

function nearest(card, dx, dy) {
  const from = card.getBoundingClientRect();
  let best = null;
  let least = Infinity;
  for (const other of getCards()) {
    if (other === card) continue;
    const to = other.getBoundingClientRect();
    const x = to.left - from.left;
    const y = to.top - from.top;
    const ahead = dx ? (Math.abs(y) < from.height / 2 ? x * dx : -1) : y * dy;
    if (ahead <= 4) continue;
    const far = dx ? ahead : ahead * 3 + Math.abs(x);
    if (far < least) [best, least] = [other, far];
  }
  return best;
}

function moveInside(file, step) {
  change(() => {
    const card = findCard(file);
    const bin = card?.closest(".bin");
    const cards = bin ? getCards(bin) : [];
    const to = cards.indexOf(card) + step;
    if (to < 0 || to >= cards.length) return null;
    const before = step < 0 ? cards[to] : cards[to + 1];
    return {
      fields: {
        act: "move",
        file,
        to: bin.dataset.bin,
        ...(before ? { before: before.dataset.file } : {}),
      },
      focus: file,
      done: `Picture ${Number(bin.dataset.first) + to + 1} of ${bin.dataset.count}`,
    };
  });
}

function moveToBin(file, files, step) {
  change(() => {
    const bins = getBins();
    const at = bins.indexOf(findCard(file)?.closest(".bin")) + step;
    if (at < 0) return null;
    const bin = bins[at];
    return {
      fields: { act: "move", file: files, to: bin ? bin.dataset.bin : "new" },
      focus: file,
      done: bin ? `Moved to ${findTitle(bin)}` : "Moved to a new group",
    };
  });
}

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

function pressKey(event) {
  if (event.key === "Enter" && event.target.id === "board-to-title" && !event.isComposing) {
    event.preventDefault();
    parts.querySelector('button[value="move"]').click();
    return;
  }
  const card = event.target.closest?.(".card");
  const arrow = ARROWS[event.key];
  if (!card || !arrow || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  const [dx, dy] = arrow;
  if (event.altKey) {
    const { file } = card.dataset;
    if (dx) moveInside(file, getComputedStyle(card).direction === "rtl" ? -dx : dx);
    else moveToBin(file, getMoved(card), dy);
    return;
  }
  const other = nearest(card, dx, dy);
  if (other) focusCard(other);
}

// The import shall be of the board that the person sees, and so shall all that leaves it.
let isLeaving = false;

async function leaveWhenKept({ id, value }) {
  hasFailed = false;
  while (openCount) await last;
  const button = id
    ? document.getElementById(id)
    : parts.querySelector(`button[value="${CSS.escape(value)}"]`);
  if (!hasFailed && button && !button.disabled) board.requestSubmit(button);
}

const getFocused = () => document.activeElement?.closest?.(".card");

// `choose` answers the act, by the card that it is about.
function actOn(choose, done) {
  const card = getFocused() ?? getChosen()[0];
  if (!card) return;
  const [{ file }, files] = [card.dataset, getMoved(card)];
  change(() => {
    const act = findCard(file) && choose(findCard(file));
    return act ? { fields: { act, file: files }, focus: file, done } : null;
  });
}

// --- Drag ---

let dragged = null;

function mark(target) {
  for (const one of parts.querySelectorAll(".is-over, .is-before")) {
    one.classList.remove("is-over", "is-before");
  }
  target?.bin.classList.add("is-over");
  target?.before?.classList.add("is-before");
}

function findTarget(event) {
  const bin = event.target.closest?.(".bin");
  if (!bin) return null;
  const card = event.target.closest(".card");
  if (!card) return { bin, before: null };
  const box = card.getBoundingClientRect();
  const isLate = event.clientX > box.left + box.width / 2;
  const next = card.nextElementSibling;
  return { bin, before: isLate ? (next?.classList.contains("card") ? next : null) : card };
}

function startDrag(event) {
  const card = event.target.closest?.(".card");
  if (!card) return;
  dragged = getMoved(card);
  event.dataTransfer.effectAllowed = "move";
  event.dataTransfer.setData("text/plain", card.querySelector(".card-name").textContent);
  for (const one of getCards()) one.classList.toggle("is-dragged", dragged.includes(one.dataset.file));
}

function endDrag() {
  dragged = null;
  mark(null);
  for (const one of getCards()) one.classList.remove("is-dragged");
}

function drop(event) {
  const target = dragged && findTarget(event);
  if (!target) return;
  event.preventDefault();
  const files = dragged;
  endDrag();
  const before = target.before && !files.includes(target.before.dataset.file) ? target.before : null;
  const fields = {
    act: "move",
    file: files,
    to: target.bin.dataset.bin,
    ...(before ? { before: before.dataset.file } : {}),
  };
  change(() => ({ fields, focus: files[0], done: "Moved" }));
}

if (board) {
  document.body.classList.add("has-script");
  prepare();
  // A file without a small picture in OneDrive keeps its icon.
  board.addEventListener("error", (event) => event.target.matches("img") && event.target.remove(), true);
  board.addEventListener("keydown", pressKey);
  board.addEventListener("dragstart", startDrag);
  board.addEventListener("dragover", (event) => {
    const target = dragged && findTarget(event);
    if (!target) return;
    event.preventDefault();
    mark(target);
  });
  board.addEventListener("drop", drop);
  board.addEventListener("dragend", endDrag);
  board.addEventListener("change", (event) => {
    // A field that goes with the old board, half written, tells of a change, too.
    if (isShowing) return;
    if (event.target.name === "file") showChosen();
    else if (event.target.name === "state") keepState();
    else if (event.target.matches("input.bin-title")) rename(event.target.name);
  });
  // What was typed before a new board came is no change to the field that it stands in now.
  board.addEventListener("focusout", ({ target }) => {
    if (!isShowing && target.matches("input.bin-title") && isUnkept(target)) rename(target.name);
  });
  // A checkbox that the arrows have reached is not in view by itself.
  board.addEventListener("focusin", (event) => {
    const card = event.target.closest?.(".card");
    if (card && event.target.tabIndex < 0) focusCard(card);
  });
  board.addEventListener("submit", (event) => {
    const button = event.submitter;
    if (button?.matches("[data-leaves]")) {
      const isAsked = button.id === "arrange" && askToArrange(button);
      if (openCount || isAsked) event.preventDefault();
      if (isAsked) return;
      if (openCount) leaveWhenKept(button);
      else isLeaving = true;
      return;
    }
    if (!button?.value) return;
    event.preventDefault();
    if (button.value === "rename") {
      rename();
      return;
    }
    const files = getChosen().map((card) => card.dataset.file);
    const to = parts.querySelector("[name=to]")?.value ?? "new";
    const title = parts.querySelector("[name=to-title]")?.value ?? "";
    const fields = { act: button.value, file: files, to, "to-title": title };
    const done = `${button.textContent.trim()}: done`;
    // A button of a group is gone with it, maybe by the first of two clicks.
    const isGroups = button.value.includes(":");
    const isThere = () => parts.querySelector(`button[value="${CSS.escape(button.value)}"]`);
    change(() => (isGroups && !isThere() ? null : { fields, focus: files[0], done }));
  });
  addEventListener("beforeunload", (event) => {
    if (isLeaving) return;
    // What is on its way arrives; what waits for it, or was refused, would be lost.
    const isWaiting = openCount > Number(isUnderWay);
    if (isWaiting || (!openCount && listTitles().some(isUnkept))) event.preventDefault();
  });
  addEventListener("pageshow", () => {
    isLeaving = false;
  });
  board.addEventListener("click", (event) => event.target.closest("[data-undo]") && takeBack());
  onKey("z", takeBack);
  onKey("s", () => actOn(() => "split", "Split off"));
  onKey("x", () => actOn((card) => (card.classList.contains("is-out") ? "take" : "leave"), "Done"));
  onKey("j", () =>
    getFocused() && actOn((card) => card.closest(".bin").querySelector("[data-join]")?.value, "Joined"));

  const way = document.getElementById("way");
  const group = document.getElementById("way-group");
  const showGroup = () => {
    group.closest("[data-for-existing]").hidden = way.value !== "existing";
  };
  way.addEventListener("change", showGroup);
  showGroup();
  group.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.isComposing) return;
    event.preventDefault();
    document.getElementById("arrange").click();
  });
}

// Whether another way is asked about first, since the groups of the board are given up with it.
function askToArrange(button) {
  const way = document.getElementById("way");
  // The browser may have brought back another choice.
  const before = [...way.options].find(({ defaultSelected }) => defaultSelected)?.value;
  if (way.value === before || way.value === button.dataset.agreed || getBins().length < 2) return false;
  confirmDialog({
    title: "Arrange anew?",
    message: "The groups as they are on the board now are given up.",
    confirm: "Arrange anew",
  }).then((agreed) => {
    if (!agreed) return;
    button.dataset.agreed = way.value;
    board.requestSubmit(button);
  });
  return true;
}
