// The dialog that finds an image of the library for a text in Markdown.
//
// The images are radio buttons: the arrow keys move between them, and Enter inserts the chosen one.

import { closest, findAll, getFocused, icon, make } from "../dom.js";
import { t } from "../words.js";
import { fetchJson, getMessage } from "./http.js";

const WAIT_MS = 200;

/** @typedef {{ image: number, title: string, alt: string, picture: string, more_url: string,
 *   shots: number }} Choice as `choose_picture` of the server lists it */

/** Return the Markdown of an image, with its caption. @param {number} image @param {string} caption */
export const writePicture = (image, caption) =>
  `![${caption.replace(/[[\]\s]+/g, " ").trim()}](image:${image})`;

/** Put a line of its own into a text, at the cursor.
 * @param {HTMLTextAreaElement} field @param {string} line */
export function insertLine(field, line) {
  const { selectionStart: start, selectionEnd: end, value } = field;
  const before = value.slice(0, start).replace(/[^\S\n]+$/, "");
  const after = value.slice(end);
  const lead = !before ? "" : before.endsWith("\n\n") ? "" : before.endsWith("\n") ? "\n" : "\n\n";
  const tail = !after ? "" : after.startsWith("\n\n") ? "" : after.startsWith("\n") ? "\n" : "\n\n";
  field.setRangeText(lead + line + tail, before.length, end, "end");
  field.focus();
  field.dispatchEvent(new Event("input", { bubbles: true }));
}

/** Ask for an image, and insert it into a text.
 * @param {HTMLTextAreaElement} field @param {string} url answers `?q=` with images as JSON */
export function choosePicture(field, url) {
  const head = make("h2", { id: "picture-head" }, t("insert_image"));
  const query = make("input", { type: "search", id: "picture-query", dir: "auto" });
  query.autocomplete = "off";
  const label = make("label", { htmlFor: query.id }, t("search_images"));
  const search = make("p", { className: "field" }, label, query);
  const back = make("button", { type: "button", className: "plain small" });
  back.append(icon("arrow-left"), ` ${t("all_works")}`);
  const list = make("div", { className: "picture-options", role: "radiogroup" });
  list.ariaLabel = t("images");
  const more = make("button", { type: "button", className: "plain small" }, t("more_images"));
  const status = make("p", { className: "small quiet-words", role: "status" });
  const caption = make("input", { id: "picture-caption", dir: "auto", autocomplete: "off" });
  const hint = make("span", { className: "hint", id: "picture-hint" }, t("caption_hint"));
  caption.setAttribute("aria-describedby", hint.id);
  const alt = make("span", { className: "hint", dir: "auto" });
  const captionLabel = make("label", { htmlFor: caption.id }, t("caption"));
  const captionField = make("p", { className: "field" }, captionLabel, caption, hint, alt);
  const no = make("button", { type: "button", className: "button quiet" }, t("cancel"));
  const yes = make("button", { className: "button", value: "yes" }, t("insert"));
  const actions = make("p", { className: "actions" }, no, yes);
  const form = make("form", { method: "dialog" });
  form.append(head, search, back, list, more, status, captionField, actions);
  const dialog = make("dialog", { className: "picture-dialog" }, form);
  dialog.setAttribute("aria-labelledby", head.id);

  const choices = /** @type {Map<string, Choice>} */ (new Map());
  let chosen = /** @type {?Choice} */ (null);
  let nextUrl = "";
  let timer = 0;
  let request = new AbortController();

  /** @param {?Choice} choice */
  function choose(choice) {
    // A caption that somebody has typed stays.
    if (!caption.value || caption.value === chosen?.title) caption.value = choice?.title ?? "";
    chosen = choice;
    captionField.hidden = !choice;
    yes.disabled = !choice;
    if (choice) alt.textContent = choice.alt ? t("alt_text", { text: choice.alt }) : t("no_alt_text");
  }

  /** @param {Choice} choice */
  function makeOption(choice) {
    const value = String(choice.image);
    choices.set(value, choice);
    const radio = make("input", { type: "radio", name: "picture", value });
    const picture = make("img", { src: choice.picture, alt: "", loading: "lazy" });
    const title = make("span", { dir: "auto" }, choice.title);
    const option = make("label", { className: "picture-option" }, radio, picture, title);
    if (!choice.more_url) return option;
    const words = t("shots_of_work", { count: choice.shots });
    const shots = make("button", { type: "button", className: "plain small" }, words);
    shots.ariaLabel = t("shots_of", { name: choice.title });
    shots.addEventListener("click", () => load(choice.more_url, true));
    return make("div", {}, option, shots);
  }

  /** Show the images of an address, or add them to those that are shown.
   * @param {string} address @param {boolean} [isWork] @param {boolean} [isAdded] */
  async function load(address, isWork = false, isAdded = false) {
    clearTimeout(timer);
    request.abort();
    request = new AbortController();
    const { signal } = request;
    list.ariaBusy = "true";
    try {
      const found = await fetchJson(address, { signal });
      if (signal.aborted) return;
      const options = found.pictures.map(makeOption);
      if (!isAdded) {
        choose(null);
        list.replaceChildren();
      }
      list.append(...options);
      nextUrl = found.next_url;
      more.hidden = !nextUrl;
      back.hidden = !isWork;
      const count = findAll(list, "[type=radio]").length;
      status.textContent = count ? t("images_found", { count }) : t("no_images_found");
      if (found.note) status.textContent += `. ${found.note}`;
      // The button that was pressed may be gone.
      if (isWork || isAdded) options[0]?.querySelector("input")?.focus();
    } catch (error) {
      if (!signal.aborted) status.textContent = getMessage(error);
    } finally {
      if (!signal.aborted) list.ariaBusy = null;
    }
  }

  function find() {
    const address = new URL(url, location.href);
    if (query.value.trim()) address.searchParams.set("q", query.value.trim());
    return load(address.href);
  }

  query.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(find, WAIT_MS);
  });
  query.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.isComposing) return;
    event.preventDefault();
    find();
  });
  back.addEventListener("click", async () => {
    await find();
    query.focus();
  });
  more.addEventListener("click", () => load(nextUrl, !back.hidden, true));
  list.addEventListener("change", ({ target }) => {
    if (target instanceof HTMLInputElement) choose(choices.get(target.value) ?? null);
  });
  list.addEventListener("dblclick", ({ target }) => {
    if (closest(target, ".picture-option")) yes.click();
  });
  no.addEventListener("click", () => dialog.close());
  const before = getFocused();
  dialog.addEventListener("close", () => {
    request.abort();
    clearTimeout(timer);
    dialog.remove();
    if (dialog.returnValue === "yes" && chosen) {
      insertLine(field, writePicture(chosen.image, caption.value));
    } else {
      before.focus();
    }
  });
  back.hidden = more.hidden = true;
  choose(null);
  document.body.append(dialog);
  dialog.showModal();
  query.focus();
  find();
}
