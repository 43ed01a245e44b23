// Dragging cards of the board into other groups, or to another place of theirs.

import { closest, findAll, get } from "../dom.js";
import { t } from "../words.js";
import { getBinId, getFile } from "./board-view.js";

/** @import { BoardChanges } from "./board-changes.js" */
/** @import { BoardView } from "./board-view.js" */

/** @typedef {{ bin: HTMLElement, before: ?HTMLElement }} Target `before` is null at the end */

/**
 * @param {HTMLFormElement} board
 * @param {BoardView} view
 * @param {BoardChanges} changes
 */
export function makeDraggable(board, view, changes) {
  /** @type {?string[]} */
  let dragged = null;

  /** @param {?Target} target */
  function mark(target) {
    for (const one of findAll(view.parts, ".is-over, .is-before")) {
      one.classList.remove("is-over", "is-before");
    }
    target?.bin.classList.add("is-over");
    target?.before?.classList.add("is-before");
  }

  function end() {
    dragged = null;
    mark(null);
    for (const card of view.listCards()) card.classList.remove("is-dragged");
  }

  board.addEventListener("dragstart", (event) => {
    const card = closest(event.target, ".card");
    if (!card || !event.dataTransfer) return;
    const files = view.listMoved(card);
    dragged = files;
    event.dataTransfer.effectAllowed = "move";
    event.dataTransfer.setData("text/plain", get(card, ".card-name").textContent);
    for (const one of view.listCards()) {
      one.classList.toggle("is-dragged", files.includes(getFile(one)));
    }
  });
  board.addEventListener("dragover", (event) => {
    const target = dragged && findTarget(event);
    if (!target) return;
    event.preventDefault();
    mark(target);
  });
  board.addEventListener("drop", (event) => {
    const files = dragged;
    const target = files && findTarget(event);
    if (!target) return;
    event.preventDefault();
    end();
    const before = target.before && getFile(target.before);
    /** @type {Record<string, string | string[]>} */
    const fields = { file: files, to: getBinId(target.bin) };
    if (before && !files.includes(before)) fields.before = before;
    changes.add(() => ({ act: "move", fields, focus: files[0], done: t("moved") }));
  });
  board.addEventListener("dragend", end);
}

/**
 * @param {DragEvent} event
 * @returns {?Target}
 */
function findTarget(event) {
  const bin = closest(event.target, ".bin");
  if (!bin) return null;
  const card = closest(event.target, ".card");
  if (!card) return { bin, before: null };
  const box = card.getBoundingClientRect();
  if (event.clientX <= box.left + box.width / 2) return { bin, before: card };
  const next = card.nextElementSibling;
  const isCard = next instanceof HTMLElement && next.classList.contains("card");
  return { bin, before: isCard ? next : null };
}
