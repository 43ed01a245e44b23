// Changes of the board, sent one after the other, so that none is made on an older board than the
// person sees.

import { find } from "../dom.js";
import { say, t } from "../words.js";
import { waitForRelease } from "./busy.js";
import { CallError, fetchJson, getMessage } from "./http.js";
import { getFile, isUnsaved } from "./board-view.js";
import { toast } from "./toast.js";

/** @import { BoardView } from "./board-view.js" */

/** @typedef {Record<string, string | string[]>} Fields */
/**
 * `act`: its address on the board, as `move` or `groups/12/join`. `focus`: the file whose card gets
 * the focus. `done`: what is said then. `isStep`: whether it can be undone.
 * @typedef {{ act: string, fields?: Fields, focus?: string, done?: string,
 *   isStep?: boolean }} Change
 */

// All requests together that outlive their page may have 64 KiB.
const MAX_KEEPALIVE_CHARS = 50_000;

/** @typedef {ReturnType<typeof makeChanges>} BoardChanges */

export function makeChanges(/** @type {HTMLFormElement} */ board, /** @type {BoardView} */ view) {
  let hasFailed = false;
  /** @type {Promise<void>} */
  let last = Promise.resolve();
  let openCount = 0;
  let isCalling = false;
  /** @type {string[]} what undoes each change, the latest last */
  const undos = [];

  const isOpen = () => openCount > 0;

  /** Return whether something would be lost with the page: a running call arrives in any case. */
  function wouldLose() {
    const isWaiting = openCount > Number(isCalling);
    return isWaiting || (!isOpen() && view.listTitles().some(isUnsaved));
  }

  /** Send a change. `make` is called when its turn comes, and returns null if there is nothing left
   * to do then. */
  function add(/** @type {() => ?Change} */ make) {
    const origin = view.describeFocus();
    openCount += 1;
    last = last.then(() => send(make(), origin)).finally(() => (openCount -= 1));
  }

  /** Wait until every change is saved; return whether none has failed meanwhile. */
  async function settle() {
    hasFailed = false;
    while (isOpen()) await last;
    return !hasFailed;
  }

  /** Save a title that was left, or all of them. @param {string} [field] name */
  function saveTitles(field = "") {
    add(() => {
      const titles = view.listTitles().filter(({ name }) => !field || name === field);
      return titles.some(isUnsaved) ? { act: "rename", done: t("title_saved") } : null;
    });
  }

  /** Save whether new groups are published. */
  function saveState() {
    const change = { act: "rename", done: t("saved"), isStep: false };
    add(() => (view.isStateUnsaved() ? change : null));
  }

  function undo() {
    add(() => {
      const mark = undos.pop();
      if (mark) return { act: "undo", fields: { undo: mark }, done: t("undone") };
      say(t("nothing_to_undo"));
      return null;
    });
  }

  async function send(/** @type {?Change} */ change, /** @type {string} */ origin) {
    if (!change) return;
    const { act, fields = {}, focus, done, isStep = true } = change;
    const isUndo = act === "undo";
    // A half-written title does not go with another choice, nor with undoing a step.
    const takesTitles = isStep && !isUndo;
    const form = makeForm(fields, takesTitles);
    const titles = view.listTitles().map((title) => [
      title.name,
      takesTitles ? title.value : title.defaultValue,
    ]);
    const sent = {
      titles: Object.fromEntries(titles),
      ticks: new Set(act === "rename" ? [] : view.listSelected().map(getFile)),
      state: view.getState(),
      origin,
      focus,
    };
    isCalling = true;
    try {
      const keepalive = !isUndo && form.toString().length < MAX_KEEPALIVE_CHARS;
      const answer = await fetchJson(`${board.dataset.board}/${act}`, { form, keepalive });
      isCalling = false;
      // Undoing steps from before somebody else's change would undo that, too.
      if (!answer.undo || String(answer.seen) !== form.get("version")) undos.length = 0;
      if (answer.undo && takesTitles) undos.push(answer.undo);
      await waitForRelease();
      const field = find(view.parts, "#board-to-title", HTMLInputElement);
      const goal = act === "move" ? "" : field?.value;
      view.replace(answer.html, { ...sent, goal }, undos.length > 0);
      if (done) say(done);
    } catch (error) {
      hasFailed = true;
      const { status = 0, detail = null } = error instanceof CallError ? error : {};
      if (isUndo && !status) undos.push(String(fields.undo));
      toast(getMessage(error), { isFault: true });
      if (detail?.url) location.assign(detail.url);
      if (!detail?.html) return;
      // Somebody changed the board in another window.
      undos.length = 0;
      await waitForRelease();
      view.replace(detail.html, sent, false);
    } finally {
      isCalling = false;
    }
  }

  // Return the form of a change, with only what is not saved yet: the rest may have been changed in
  /** another window since. @param {Fields} fields @param {boolean} takesTitles */
  function makeForm(fields, takesTitles) {
    const form = new URLSearchParams();
    for (const name of ["csrf_token", "after", "whole", "from", "version"]) {
      const field = board.elements.namedItem(name);
      form.append(name, /** @type {HTMLInputElement} */ (field).value);
    }
    if (takesTitles) {
      for (const { name, value } of view.listTitles().filter(isUnsaved)) form.append(name, value);
    }
    if (view.isStateUnsaved()) form.append("state", view.getState());
    for (const [name, value] of Object.entries(fields)) {
      for (const one of [value].flat()) form.append(name, one);
    }
    return form;
  }

  return { add, isOpen, saveState, saveTitles, settle, undo, wouldLose };
}
