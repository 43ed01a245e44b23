// Order by drag and by steps, saved by itself.

import { closest, find, findAll } from "../dom.js";
import { say, t } from "../words.js";
import { fetchJson } from "./http.js";
import { queueMove } from "./saver.js";
import { toastError } from "./toast.js";

/** @typedef {{ item: Element, before: ?Element }} Move `before` is null at the end */

/** @type {Record<string, number>} what keys move by */
export const STEPS = { ArrowUp: -1, ArrowDown: 1 };

/** Return an order after a move. @param {Element[]} order @param {Move} move */
function applyMove(order, { item, before }) {
  const rest = order.filter((one) => one !== item);
  rest.splice(before ? rest.indexOf(before) : rest.length, 0, item);
  return rest;
}

/** Make the items of a list movable; return a function that moves an item by one step, and returns
 * false where there is no step left. `handle` selects the part of an item that is dragged, and
 * `describe` returns the form that saves a move at `url`. `isAcross`: items are beside each other.
 * `onMoved` is called after a move was saved, with a function that takes it back.
 * @param {HTMLElement} list
 * @param {{ selector: string, handle?: string, url: string, isAcross?: boolean,
 *   describe: (item: HTMLElement, before: ?HTMLElement) => Record<string, string>,
 *   onMoved?: (item: HTMLElement, undo: () => Promise<void>) => void }} options */
export function makeSortable(list, options) {
  const { selector, handle, url, isAcross = false, describe, onMoved } = options;
  const listItems = () => findAll(list, selector);
  // The order that is saved, and the moves on their way.
  /** @type {Element[]} */
  let saved = listItems();
  const moves = /** @type {Move[]} */ ([]);
  let dragged = /** @type {?HTMLElement} */ (null);
  let target = /** @type {?HTMLElement} */ (null);

  /** @param {string[]} classes */
  function clear(...classes) {
    for (const item of listItems()) item.classList.remove(...classes);
  }

  /** @param {HTMLElement} item @param {?HTMLElement} before @param {boolean} [isUndo] */
  async function move(item, before, isUndo = false) {
    const following = /** @type {?HTMLElement} */ (item.nextElementSibling);
    if (before === item || before === following) return;
    list.insertBefore(item, before);
    const items = listItems();
    say(t("position", { position: items.indexOf(item) + 1, count: items.length }));
    const form = describe(item, before);
    const step = { item, before };
    moves.push(step);
    const call = async () => {
      await fetchJson(url, { form, keepalive: true });
      saved = applyMove(saved, step);
    };
    const fault = await queueMove(call, () => moves.splice(moves.indexOf(step), 1));
    if (!fault) {
      if (!isUndo) onMoved?.(item, () => move(item, following, true));
      return;
    }
    // Later moves do not depend on this one: each names the item that it goes before.
    const focused = document.activeElement;
    list.append(...moves.reduce(applyMove, saved));
    if (focused instanceof HTMLElement && list.contains(focused)) {
      focused.focus({ preventScroll: true });
    }
    toastError(fault);
  }

  for (const item of listItems()) {
    const part = handle ? find(item, handle) : item;
    if (part) part.draggable = true;
  }
  list.addEventListener("dragstart", (event) => {
    dragged = closest(event.target, selector);
    if (!dragged || !event.dataTransfer) return;
    // The list may be within another one.
    event.stopPropagation();
    event.dataTransfer.effectAllowed = "move";
    event.dataTransfer.setData("text/plain", "");
    dragged.classList.add("is-dragged");
  });
  list.addEventListener("dragover", (event) => {
    const over = dragged && closest(event.target, selector);
    if (!over) return;
    event.preventDefault();
    const box = over.getBoundingClientRect();
    const isLeftHalf = event.clientX < box.left + box.width / 2;
    const isAfter = isLeftHalf === (getComputedStyle(list).direction === "rtl");
    const isBelow = isAcross ? isAfter : event.clientY > box.top + box.height / 2;
    clear("is-above", "is-below");
    over.classList.add(isBelow ? "is-below" : "is-above");
    target = isBelow ? /** @type {?HTMLElement} */ (over.nextElementSibling) : over;
  });
  list.addEventListener("drop", (event) => {
    if (!dragged) return;
    event.preventDefault();
    const item = dragged;
    clear("is-above", "is-below", "is-dragged");
    dragged = null;
    move(item, target);
  });
  list.addEventListener("dragend", () => {
    dragged = null;
    clear("is-above", "is-below", "is-dragged");
  });

  /** @param {HTMLElement} item @param {number} step -1 or 1 */
  return (item, step) => {
    const items = listItems();
    const at = items.indexOf(item) + step;
    if (at < 0 || at >= items.length) return false;
    const after = /** @type {?HTMLElement} */ (items[at].nextElementSibling);
    move(item, step < 0 ? items[at] : after);
    item.scrollIntoView({ block: "nearest" });
    return true;
  };
}
