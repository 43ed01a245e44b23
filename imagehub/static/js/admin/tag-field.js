// Suggestions of tags while somebody types, in fields that hold several: "sea, winter".

import { makeCombobox } from "../combobox.js";
import { findAll } from "../dom.js";
import { fetchJson } from "./http.js";

const SEPARATORS = /[,;]/;

/** @typedef {{ text: string, at: number, end: number }} Part `at` and `end` without spaces */

/** Find the part of a list that the caret is in. @param {string} text @param {number} caret */
export function findPart(text, caret) {
  let start = caret;
  let end = caret;
  while (start > 0 && !SEPARATORS.test(text[start - 1])) start -= 1;
  while (end < text.length && !SEPARATORS.test(text[end])) end += 1;
  return { start, end, text: text.slice(start, end).trim() };
}

/** Put a tag in the place of the part that the caret is in; return the text and the new caret.
 * @param {string} text @param {number} caret @param {string} tag */
export function putTag(text, caret, tag) {
  const { start, end } = findPart(text, caret);
  const before = text.slice(0, start).trimEnd();
  const after = text.slice(end);
  const head = `${before}${before ? " " : ""}${tag}`;
  // At the end the next tag can be typed at once.
  return after ? { text: head + after, caret: head.length } : { text: `${head}, `, caret: head.length + 2 };
}

/** List the tags of a text, as they are compared. @param {string} text */
const listTags = (text) => text.split(SEPARATORS).map((tag) => tag.trim().toLowerCase());

/** Return whether no tag is half typed: the caret is in none, or in one of the tags before.
 * @param {string} text @param {number} caret @param {string} before another text of tags */
export function isFinished(text, caret, before) {
  const part = findPart(text, caret).text;
  return !part || listTags(before).includes(part.toLowerCase());
}

/** Give the fields with `data-tags` below an element their suggestions.
 * @param {ParentNode} [root] */
export function setUpTagFields(root = document) {
  for (const input of findAll(root, "input[data-tags]", HTMLInputElement)) {
    const getCaret = () => input.selectionStart ?? input.value.length;
    makeCombobox(input, {
      id: `${input.id}-tags`,
      find(signal) {
        const { text } = findPart(input.value, getCaret());
        return text ? fetchTags(input, text, signal) : null;
      },
      choose(tag) {
        const chosen = putTag(input.value, getCaret(), tag);
        input.value = chosen.text;
        input.setSelectionRange(chosen.caret, chosen.caret);
        input.dispatchEvent(new Event("input", { bubbles: true }));
        input.dispatchEvent(new Event("change", { bubbles: true }));
      },
    });
  }
}

/** @param {HTMLInputElement} input @param {string} text @param {AbortSignal} signal */
async function fetchTags(input, text, signal) {
  const url = `${input.dataset.tags}?q=${encodeURIComponent(text)}`;
  const { tags } = await fetchJson(url, { signal });
  const present = new Set(listTags(input.value));
  return /** @type {string[]} */ (tags)
    .filter((tag) => !present.has(tag.toLowerCase()))
    .map((tag) => ({ title: tag, value: tag, icon: "tag" }));
}
