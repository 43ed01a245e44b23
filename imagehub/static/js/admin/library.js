// On every page of the library: leaving waits for what is being saved.

import { closest, find, isModified } from "../dom.js";
import { setUpTagFields } from "./tag-field.js";
import { countMoves, hasNoState, isCalling, saveAll, savers } from "./saver.js";

// "Keep my version" is saved in a second round.
const MAX_ROUNDS = 3;

let isLeaving = false;
let awaited = /** @type {?HTMLAnchorElement} */ (null);

/** Tell whether a form on its way leaves the page with nothing to lose. @param {boolean} isSafe */
export const setLeaving = (isSafe) => (isLeaving = isSafe);

setUpTagFields();

const isSaving = () => isCalling() || savers.some((saver) => saver.hasChanges);

addEventListener("beforeunload", (event) => {
  // The first of several moves is on its way, those behind it are not.
  if (!isLeaving && (savers.some((saver) => saver.wouldLose) || countMoves() > 1)) {
    event.preventDefault();
  }
});

// A link waits for what is being saved, so that a refusal or a conflict finds its author here;
// pressed again it opens at once.
addEventListener("click", async (event) => {
  const link = closest(event.target, "a[href]", HTMLAnchorElement);
  if (!link || event.defaultPrevented || isModified(event)) return;
  const isElsewhere = link.target || link.hasAttribute("download") || link.hash;
  if (isElsewhere || awaited === link || !isSaving()) return;
  event.preventDefault();
  awaited = link;
  for (let round = 0; round < MAX_ROUNDS && isSaving(); round += 1) await saveAll();
  const isStillWanted = awaited === link;
  awaited = null;
  if (isStillWanted && !savers.some((saver) => saver.refused)) location.assign(link.href);
});

addEventListener("pageshow", () => {
  isLeaving = false;
  // Back restores half-typed words in their fields without an `input` event. A form that the server
  // has refused says so, and waits until its author has looked at it.
  if (!hasNoState()) return;
  for (const saver of savers) if (saver.hasChanges) saver.plan();
});

// A job that is done in steps continues by itself.
find(document, "form[data-goes-on]", HTMLFormElement)?.requestSubmit();
