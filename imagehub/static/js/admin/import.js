// The import plan's board (drag, keyboard, titles that save themselves), and live progress.

import { confirmDialog, fetchJson, onKey, toast } from "./common.js";

const said = document.getElementById("said");
const say = (words) => {
  if (said) said.textContent = words;
};

// --- Reading OneDrive ---

const reading = document.querySelector("[data-reading]");

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
      answer = { fault: error.message };
    }
    if (answer.is_read) {
      location.reload();
      return;
    }
    fault.hidden = !answer.fault;
    fault.textContent = answer.fault ? `${answer.fault} It is tried again by itself.` : "";
    pause = answer.fault ? Math.min(30_000, pause * 2 || 2000) : 0;
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}

if (reading) readOn();

// --- Progress ---

const progress = document.getElementById("progress");

async function watch() {
  let pause = 1000;
  let told = 0;
  while (progress.dataset.state === "running") {
    await new Promise((resolve) => setTimeout(resolve, pause));
    if (document.hidden) continue;
    try {
      const answer = await fetchJson(progress.dataset.progress);
      progress.dataset.state = answer.state;
      if (!progress.contains(document.activeElement)) progress.innerHTML = answer.html;
      const tenth = Math.floor((10 * (answer.done_count + answer.failed_count)) / answer.item_count);
      if (tenth > told || answer.state !== "running") {
        told = tenth;
        say(progress.querySelector(".bar span, .note")?.textContent.trim() ?? "");
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

const getBins = () => [...parts.querySelectorAll(".bin:not(.bin-new)")];
const getCards = (inside = parts) => [...inside.querySelectorAll(".card")];
const getChosen = () => getCards().filter((card) => card.querySelector("input").checked);
const getBox = (card) => card.querySelector("input");

// What takes each change back, the latest last, and the board's version that it led to.
const undos = [];
let version = 0;

// One change after the other, so that none is made on an older board than the person sees.
function change(fields, { focus, done } = {}) {
  last = last.then(() => send(fields, focus, done));
  return last;
}

async function send(fields, focus, done) {
  const form = new FormData(board);
  for (const name of ["act", "file", "to", "before", "proposal"]) form.delete(name);
  for (const [name, value] of Object.entries(fields)) {
    for (const one of Array.isArray(value) ? value : [value]) form.append(name, one);
  }
  const here = focus ?? document.activeElement?.closest?.(".card")?.dataset.file;
  const field = document.activeElement?.id;
  const state = board.querySelector("[name=state]:checked")?.value;
  try {
    const answer = await fetchJson(board.action, { form });
    if (!answer.undo) undos.length = 0;
    else if (fields.act !== "undo") undos.push(answer.undo);
    version = answer.version;
    parts.innerHTML = answer.html;
    if (state) parts.querySelector(`[name=state][value=${state}]`).checked = true;
    prepare();
    const card = here && parts.querySelector(`.card[data-file="${here}"]`);
    if (card) focusCard(card);
    else if (field) document.getElementById(field)?.focus();
    if (done) say(done);
  } catch (error) {
    toast(error.message, { isFault: true });
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
  last = last.then(() => {
    if (!undos.length) return say("There is nothing to undo");
    return send({ act: "undo", undo: undos.pop(), version }, undefined, "Undone");
  });
  return last;
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

function moveInside(card, step) {
  const cards = getCards(card.closest(".bin"));
  const at = cards.indexOf(card);
  const to = at + step;
  if (to < 0 || to >= cards.length) return;
  const before = step < 0 ? cards[to] : cards[to + 1];
  change(
    { act: "move", file: card.dataset.file, to: card.closest(".bin").dataset.bin,
      ...(before ? { before: before.dataset.file } : {}) },
    { focus: card.dataset.file, done: `Picture ${to + 1} of ${cards.length}` },
  );
}

function moveToBin(card, step) {
  const bins = getBins();
  const at = bins.indexOf(card.closest(".bin")) + step;
  if (at < 0) return;
  const bin = bins[at];
  change(
    { act: "move", file: getMoved(card), to: bin ? bin.dataset.bin : "new" },
    { focus: card.dataset.file, done: bin ? `Moved to ${findTitle(bin)}` : "Moved to a new group" },
  );
}

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

function pressKey(event) {
  const card = event.target.closest?.(".card");
  const arrow = ARROWS[event.key];
  if (!card || !arrow || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  const [dx, dy] = arrow;
  if (event.altKey) {
    if (dx) moveInside(card, getComputedStyle(card).direction === "rtl" ? -dx : dx);
    else moveToBin(card, dy);
    return;
  }
  const other = nearest(card, dx, dy);
  if (other) focusCard(other);
}

const getFocused = () => document.activeElement?.closest?.(".card");

function actOn(act, words) {
  const card = getFocused() ?? getChosen()[0];
  if (card) change({ act, file: getMoved(card) }, { focus: card.dataset.file, done: words });
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
  change(
    { act: "move", file: files, to: target.bin.dataset.bin,
      ...(before ? { before: before.dataset.file } : {}) },
    { focus: files[0], done: "Moved" },
  );
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
    if (event.target.name === "file") showChosen();
    else if (event.target.name?.startsWith("title-")) change({ act: "rename" }, { done: "Title saved" });
  });
  // A checkbox that the arrows have reached is not in view by itself.
  board.addEventListener("focusin", (event) => {
    const card = event.target.closest?.(".card");
    if (card && event.target.tabIndex < 0) focusCard(card);
  });
  board.addEventListener("submit", (event) => {
    const button = event.submitter;
    if (!button?.value || button.id === "start") return;
    event.preventDefault();
    const files = getChosen().map((card) => card.dataset.file);
    const to = parts.querySelector("[name=to]")?.value ?? "new";
    change({ act: button.value, file: files, to }, { done: `${button.textContent.trim()}: done` });
  });
  board.addEventListener("click", (event) => event.target.closest("[data-undo]") && takeBack());
  onKey("z", takeBack);
  onKey("s", () => actOn("split", "Split off"));
  onKey("x", () => {
    const card = getFocused() ?? getChosen()[0];
    if (card) actOn(card.classList.contains("is-out") ? "take" : "leave", "Done");
  });
  onKey("j", () => {
    const card = getFocused();
    const button = card?.closest(".bin").querySelector("[data-join]");
    if (button) change({ act: button.value }, { focus: card.dataset.file, done: "Joined" });
  });

  const ways = document.getElementById("ways");
  const way = document.getElementById("way");
  const showGroup = () => {
    ways.querySelector("[data-for-existing]").hidden = way.value !== "existing";
  };
  const before = way.value;
  way.addEventListener("change", showGroup);
  showGroup();
  ways.addEventListener("submit", async (event) => {
    if (ways.dataset.agreed || way.value === before || getBins().length < 2) return;
    event.preventDefault();
    const agreed = await confirmDialog({
      title: "Arrange anew?",
      message: "The groups as they are on the board now are given up.",
      confirm: "Arrange anew",
    });
    if (!agreed) return;
    ways.dataset.agreed = "yes";
    ways.requestSubmit();
  });
}
