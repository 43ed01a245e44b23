// On every admin page: toasts, questions, keys.

import { fetchJson } from "./http.js";

export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `${document.getElementById("icons").dataset.url}#${name}`);
  svg.append(use);
  return svg;
}

// Shows a sentence for a while. `undo` is a function; with it the toast offers Undo. `link`: { url,
// words }, a page outside that it leads to. Answers a function that closes it. It stays while it is
// pointed at or holds the focus.
export function toast(message, { undo, link, isFault = false, seconds = undo ? 12 : 6 } = {}) {
  const box = document.createElement("div");
  box.className = isFault ? "toast is-fault" : "toast";
  const words = document.createElement("p");
  words.textContent = message;
  box.append(words);
  if (link) {
    const outside = document.createElement("a");
    Object.assign(outside, { href: link.url, target: "_blank", rel: "noopener" });
    outside.className = "toast-link";
    outside.append(icon("external-link"), ` ${link.words}`);
    words.append(" ", outside);
  }
  if (undo) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "plain";
    button.append(icon("undo-2"), " Undo");
    let isAsked = false;
    button.addEventListener("click", async () => {
      // Not disabled, which would take the focus away.
      if (isAsked) return;
      isAsked = true;
      button.setAttribute("aria-disabled", "true");
      try {
        await undo();
        end();
      } catch (error) {
        end();
        toast(error.message, { isFault: true });
      }
    });
    box.append(button);
  }
  document.getElementById("toasts").append(box);
  const end = dress(box, seconds);
  return end;
}

// Adds what closes it, and closes it after `seconds`; without them it stays until it is closed. The
// focus goes back to where it came from. Answers a function that closes it.
function dress(box, seconds) {
  const close = document.createElement("button");
  close.type = "button";
  close.className = "plain toast-close";
  close.setAttribute("aria-label", "Close");
  close.append(icon("x"));
  box.append(close);
  let timer;
  let before = null;
  const end = () => {
    clearTimeout(timer);
    const hasFocus = box.contains(document.activeElement);
    box.remove();
    if (!hasFocus) return;
    const back = before?.isConnected ? before : document.getElementById("main");
    back.focus({ preventScroll: true });
  };
  const start = () => {
    clearTimeout(timer);
    if (seconds) timer = setTimeout(look, seconds * 1000);
  };
  // Either may keep it when the other goes.
  const look = () => (box.matches(":hover, :focus-within") ? start() : end());
  close.addEventListener("click", end);
  box.addEventListener("focusin", ({ relatedTarget }) => {
    if (!box.contains(relatedTarget)) before = relatedTarget;
  });
  box.addEventListener("pointerleave", start);
  box.addEventListener("focusout", start);
  start();
  return end;
}

// Asks before something is done; answers whether the person agreed, null where the question was
// put away without an answer. `body` may be an element. `isUncalled`: it comes by itself, maybe in
// the middle of a word, so that no key that is on its way may answer it.
export function confirmDialog(question) {
  const {
    title,
    message = "",
    body,
    confirm = "Yes",
    cancel = "Cancel",
    isDanger = false,
    isUncalled = false,
  } = typeof question === "string" ? { title: question } : question;
  const dialog = document.createElement("dialog");
  dialog.className = "question";
  const form = document.createElement("form");
  form.method = "dialog";
  const head = document.createElement("h2");
  head.id = "question-head";
  head.textContent = title;
  dialog.setAttribute("aria-labelledby", head.id);
  form.append(head);
  if (message) {
    const words = document.createElement("p");
    words.textContent = message;
    form.append(words);
  }
  if (body) form.append(body);
  const actions = document.createElement("p");
  actions.className = "actions";
  const no = document.createElement("button");
  no.className = "button quiet";
  no.value = "no";
  no.textContent = cancel;
  const yes = document.createElement("button");
  yes.className = isDanger ? "button danger" : "button";
  yes.value = "yes";
  yes.textContent = confirm;
  actions.append(no, yes);
  form.append(actions);
  dialog.append(form);
  document.body.append(dialog);
  const before = document.activeElement;
  dialog.showModal();
  if (isUncalled) head.tabIndex = -1;
  (isUncalled ? head : isDanger ? no : yes).focus();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      // The browser has given the focus back; this event comes a little later.
      if (document.activeElement === document.body) before?.focus?.();
      resolve({ yes: true, no: false }[dialog.returnValue] ?? null);
    });
  });
}

// --- What a person is about to do ---

let isHeld = false;
let isDragging = false;
let letGoTimer = 0;
let leftAt = -Infinity;
const GOING_MS = 60_000;
const waiting = new Set();

function hold() {
  clearTimeout(letGoTimer);
  isHeld = true;
}

function letGo() {
  clearTimeout(letGoTimer);
  // The click comes after the pointer is up.
  letGoTimer = setTimeout(() => {
    isHeld = isDragging = false;
    for (const go of waiting) go();
    waiting.clear();
  });
}

addEventListener("pointerdown", hold, true);
addEventListener("pointerup", letGo, true);
addEventListener("pointercancel", () => !isDragging && letGo(), true);
addEventListener("dragstart", () => {
  hold();
  isDragging = true;
}, true);
addEventListener("dragend", letGo, true);
// The end of a drag is not told where what was dragged is gone.
addEventListener("pointermove", ({ buttons }) => isHeld && !buttons && letGo(), true);

// Waits until nothing is pressed or dragged: the click on an element that is replaced meanwhile would
// be lost.
export async function whenLetGo() {
  while (isHeld) {
    await new Promise((resolve) => {
      waiting.add(resolve);
    });
  }
}

export const isPressed = () => isHeld;

addEventListener("beforeunload", () => {
  leftAt = Date.now();
});
addEventListener("pageshow", () => {
  leftAt = -Infinity;
});

// Loads the page anew, and answers whether it does: not where somebody is on the way to another
// page, which would be given up, presses something or is asked something.
export function reloadPage() {
  if (isHeld || Date.now() - leftAt < GOING_MS || document.querySelector("dialog[open]")) return false;
  location.reload();
  return true;
}

// --- Keys ---

const keys = new Map();
const MAX_PAUSE_MS = 1200;
let leader = 0;

// Calls `act` when a single key is pressed outside of fields. Say it in the block "shortcuts" too.
export function onKey(key, act) {
  keys.set(key, act);
}

const areKeysOn = () => localStorage.getItem("keys") !== "off";

function isTyping(target) {
  return target.closest?.("input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable]");
}

addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
  if (!areKeysOn() || isTyping(event.target) || document.querySelector("dialog[open]")) return;
  if (leader && Date.now() - leader < MAX_PAUSE_MS) {
    leader = 0;
    const row = document.querySelector(`[data-go][data-key="${CSS.escape(event.key)}"]`);
    if (row) {
      event.preventDefault();
      location.assign(row.dataset.go);
      return;
    }
  }
  leader = event.key === "g" ? Date.now() : 0;
  const act = keys.get(event.key);
  if (act) {
    event.preventDefault();
    // A key that is held down goes on along a list, and does nothing else twice.
    if (!event.repeat || event.key.startsWith("Arrow")) act(event);
  }
});

const help = document.getElementById("help");
const showHelp = () => {
  const menu = document.getElementById("rail-more");
  if (menu.matches(":popover-open")) menu.hidePopover();
  help.showModal();
};
onKey("?", showHelp);
onKey("/", () => document.querySelector("main input[type=search], main [data-search]")?.focus());
for (const button of document.querySelectorAll("[data-help]")) {
  button.closest("li").hidden = false;
  button.addEventListener("click", showHelp);
}
const keysOn = document.getElementById("keys-on");
keysOn.checked = areKeysOn();
keysOn.addEventListener("change", () =>
  localStorage.setItem("keys", keysOn.checked ? "on" : "off"));

// --- What the page says and asks ---

for (const box of document.querySelectorAll(".toast")) {
  // What went wrong with the page before is told nowhere else, so that there is time to read it.
  const isFault = box.classList.contains("is-fault");
  dress(box, isFault ? 0 : box.querySelector("form") ? 12 : 6);
}

// <form data-ask="Delete it?" data-ask-words="…" data-ask-yes="Delete">: asked before it is sent.
addEventListener("submit", async (event) => {
  const form = event.target;
  const { ask, askWords, askYes } = event.submitter?.dataset.ask ? event.submitter.dataset : form.dataset;
  if (!ask || form.dataset.agreed) return;
  event.preventDefault();
  const agreed = await confirmDialog({ title: ask, message: askWords, confirm: askYes ?? "Yes", isDanger: true });
  if (!agreed) return;
  form.dataset.agreed = "yes";
  form.requestSubmit(event.submitter ?? undefined);
  // The next time is asked anew, also on a page that somebody comes back to.
  delete form.dataset.agreed;
});

// A double click sends a form once: two tokens, say, would be made, and one be shown.
const DOUBLE_MS = 1000;
let sent = { form: null, at: 0 };
addEventListener("submit", (event) => {
  const form = event.target;
  if (event.defaultPrevented || form.dataset.agreed || form.getAttribute("method") !== "post") return;
  if (sent.form === form && event.timeStamp - sent.at < DOUBLE_MS) event.preventDefault();
  else sent = { form, at: event.timeStamp };
});

// <input list="…" data-choices="/…">: its list follows what is typed.
for (const field of document.querySelectorAll("input[data-choices]")) {
  let timer = 0;
  field.addEventListener("input", () => {
    clearTimeout(timer);
    const words = field.value;
    const isChosen = [...field.list.options].some((option) => option.value === words);
    if (isChosen || !words.trim()) return;
    timer = setTimeout(async () => {
      const url = `${field.dataset.choices}?q=${encodeURIComponent(words)}`;
      const answer = await fetchJson(url).catch(() => null);
      if (!answer || field.value !== words) return;
      field.list.replaceChildren(...answer.choices.map((value) => new Option("", value)));
    }, 200);
  });
}

// The theme that was chosen in the gallery may be younger than this page.
addEventListener("pageshow", (event) => {
  if (!event.persisted) return;
  const theme = /(?:^|; )theme=(light|dark)/.exec(document.cookie)?.[1] ?? "auto";
  document.documentElement.dataset.theme = theme;
});

document.documentElement.classList.add("has-script");
