// What the library saves by itself: its queue, and the line that shows how far it is. Fields are
// saved one after the other, and so are moves in an order.

import { find } from "../dom.js";
import { t } from "../words.js";

/** @import { Saver } from "./saver.js" */

const line = find(document, "#save-state");

/** @type {Saver[]} every form or shot that saves itself */
export const savers = [];
/** @type {Set<Saver>} those with changes that are not saved */
export const unsaved = new Set();

let isPlanned = false;
let fieldCount = 0;
let moveCount = 0;
/** @type {Promise<unknown>} */
let fields = Promise.resolve();
/** @type {Promise<unknown>} */
let moves = Promise.resolve();

/**
 * @param {string} text
 * @param {"" | "is-good" | "is-fault"} [kind]
 */
export function showState(text, kind = "") {
  isPlanned = false;
  if (!line) return;
  line.textContent = text;
  line.classList.toggle("is-fault", kind === "is-fault");
  line.classList.toggle("is-good", kind === "is-good");
}

export function showPlanned() {
  showState(t("not_saved_yet"));
  isPlanned = true;
}

/** Show what is true of everything that the page saves, whichever of it has just ended. */
export function showWhole() {
  const refused = savers.map((saver) => saver.refused).find(Boolean);
  if (refused) showState(t("not_saved", { reason: refused.label }), "is-fault");
  else if (unsaved.size) showPlanned();
  else if (moveCount) showState(t("saving"));
  else showState(t("saved"), "is-good");
}

/** Correct the line after a change was typed and taken back before it was sent. */
export function showTakenBack() {
  if (isPlanned) showWhole();
}

/** Return whether the page has not shown any state yet. */
export const hasNoState = () => Boolean(line) && !line?.textContent;

/**
 * Save fields when the calls before are through.
 * @param {() => Promise<void>} save
 */
export function queueFields(save) {
  fields = fields.then(save);
  return fields;
}

/**
 * Count a call that saves fields as long as it runs.
 * @param {() => Promise<void>} call
 */
export async function countFields(call) {
  showState(t("saving"));
  fieldCount += 1;
  try {
    await call();
  } finally {
    fieldCount -= 1;
  }
}

/**
 * Save a move when the moves before are through; return the fault, or null.
 * @param {() => Promise<unknown>} call
 * @param {() => void} settle is called as soon as the move is saved or refused
 */
export async function queueMove(call, settle) {
  showState(t("saving"));
  moveCount += 1;
  const moved = moves.then(call);
  moves = moved.catch(() => {});
  const fault = await moved.then(
    () => null,
    (error) => error,
  );
  moveCount -= 1;
  settle();
  showWhole();
  return fault;
}

/** Save everything now, and wait until nothing is on its way. */
export async function saveAll() {
  for (const saver of savers) saver.save();
  while (fieldCount || moveCount) await Promise.all([fields, moves]);
  await fields;
}

export const countMoves = () => moveCount;

/** Return whether calls are on their way. */
export const isCalling = () => fieldCount + moveCount > 0;
