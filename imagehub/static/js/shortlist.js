// The shortlist of a share link: works are marked, and notes saved, without leaving the page.

import { closest, find, findAll, get } from "./dom.js";
import { say, t } from "./words.js";

const SAVE_AFTER_MS = 800;

/** Send a form's fields; ``content`` is the JSON of the answer.
 * @param {string} url @param {FormData} fields @returns {Promise<{ isOk: boolean, content?: any }>} */
async function send(url, fields) {
  try {
    const body = new URLSearchParams(/** @type {any} */ (fields));
    const headers = { Accept: "application/json" };
    const answer = await fetch(url, { method: "POST", body, headers });
    return { isOk: answer.ok, content: await answer.json() };
  } catch {
    return { isOk: false };
  }
}

// --- Marks ---

// One after the other, so that the count is that of the last one.
let queue = Promise.resolve();

for (const form of findAll(document, "form[data-mark]", HTMLFormElement)) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const button = get(form, "button", HTMLButtonElement);
    const isMarked = button.value !== "";
    show(button, isMarked);
    const fields = new FormData(form);
    fields.set("marked", isMarked ? "yes" : "");
    queue = queue.then(async () => {
      const { isOk, content } = await send(form.action, fields);
      if (isOk) return tell(content.words, content.count === 0);
      show(button, !isMarked);
      return tell(typeof content?.detail === "string" ? content.detail : "", false);
    });
  });
}

/** @param {HTMLButtonElement} button @param {boolean} isMarked */
function show(button, isMarked) {
  button.setAttribute("aria-pressed", String(isMarked));
  button.value = isMarked ? "" : "yes";
}

/** Say how many works are on the list, or what went wrong; "" for the usual words about that.
 * @param {string} sentence @param {boolean} isEmpty */
function tell(sentence, isEmpty) {
  const bar = find(document, "[data-list-bar]");
  if (!bar) return;
  const words = sentence || (bar.dataset.failed ?? "");
  get(bar, "[data-list-words]").textContent = words;
  bar.hidden = isEmpty;
  say(words);
}

// --- Notes ---

const list = find(document, "form[data-lines]", HTMLFormElement);
if (list) {
  const saved = find(list, "[data-saved]");
  let timer = 0;
  const save = async () => {
    clearTimeout(timer);
    const { isOk } = await send(list.dataset.lines ?? "", new FormData(list));
    if (saved) saved.textContent = isOk ? t("saved") : t("not_saved");
  };
  list.addEventListener("input", (event) => {
    if (!closest(event.target, "input[name^=line-]", HTMLInputElement)) return;
    if (saved) saved.textContent = "";
    clearTimeout(timer);
    timer = setTimeout(save, SAVE_AFTER_MS);
  });
}
