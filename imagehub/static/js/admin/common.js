// On every admin page: toasts, keys, and forms that ask, suggest or are sent twice.

import { showTheme } from "../cookies.js";
import { findAll } from "../dom.js";
import "../transitions.js";
import { confirmDialog } from "./dialog.js";
import { fetchJson } from "./http.js";
import { setUpHelp } from "./keys.js";
import { adoptToasts } from "./toast.js";

const SUGGEST_MS = 200;
const DOUBLE_CLICK_MS = 1000;

adoptToasts();
setUpHelp();

// <form data-ask="Delete it?" data-ask-words="…" data-ask-yes="Delete">: asked before it is sent.
addEventListener("submit", async (event) => {
  const form = /** @type {HTMLFormElement} */ (event.target);
  const { submitter } = event;
  const { ask, askWords, askYes } = submitter?.dataset.ask ? submitter.dataset : form.dataset;
  if (!ask || form.dataset.agreed) return;
  event.preventDefault();
  const question = { title: ask, message: askWords, confirm: askYes, isDanger: true };
  if (!(await confirmDialog(question))) return;
  form.dataset.agreed = "yes";
  form.requestSubmit(submitter);
  // It asks again the next time, even on a page that comes back from the browser's memory.
  delete form.dataset.agreed;
});

// A double click sends a form once.
/** @type {{ form: ?EventTarget, at: number }} */
let sent = { form: null, at: 0 };
addEventListener("submit", (event) => {
  const form = /** @type {HTMLFormElement} */ (event.target);
  if (event.defaultPrevented || form.dataset.agreed) return;
  if (form.getAttribute("method") !== "post") return;
  if (sent.form === form && event.timeStamp - sent.at < DOUBLE_CLICK_MS) event.preventDefault();
  else sent = { form, at: event.timeStamp };
});

// <input list="…" data-choices="/…">: its list follows what is typed.
for (const field of findAll(document, "input[data-choices]", HTMLInputElement)) {
  const { list } = field;
  let timer = 0;
  field.addEventListener("input", () => {
    clearTimeout(timer);
    const query = field.value;
    const isChosen = [...(list?.options ?? [])].some(({ value }) => value === query);
    if (isChosen || !query.trim()) return;
    timer = setTimeout(async () => {
      const url = `${field.dataset.choices}?q=${encodeURIComponent(query)}`;
      const answer = await fetchJson(url).catch(() => null);
      if (!answer || field.value !== query) return;
      const choices = /** @type {string[]} */ (answer.choices);
      list?.replaceChildren(...choices.map((value) => new Option("", value)));
    }, SUGGEST_MS);
  });
}

// A page from the browser's memory may be older than the theme that was chosen in the gallery.
addEventListener("pageshow", (event) => event.persisted && showTheme());

document.documentElement.classList.add("has-script");
