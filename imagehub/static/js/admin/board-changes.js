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
 * @typedef {{ act: string, fields?: Fields, focus?: string, done?: string, isStep?: boolean }} Change
 */

// All requests together that outlive their page may have 64 KiB.
const MAX_KEEPALIVE_CHARS = 50_000;

export class BoardChanges {
  hasFailed = false;

  #form;
  #view;
  /** @type {Promise<void>} */
  #last = Promise.resolve();
  #openCount = 0;
  #isCalling = false;
  /** @type {string[]} what undoes each change, the latest last */
  #undos = [];

  /** @param {HTMLFormElement} form @param {BoardView} view */
  constructor(form, view) {
    this.#form = form;
    this.#view = view;
  }

  get isOpen() {
    return this.#openCount > 0;
  }

  /** Return whether something would be lost with the page: a running call arrives in any case. */
  get wouldLose() {
    const isWaiting = this.#openCount > Number(this.#isCalling);
    return isWaiting || (!this.isOpen && this.#view.listTitles().some(isUnsaved));
  }

  /**
   * Send a change. `make` is called when its turn comes, and returns null if there is nothing left
   * to do then.
   * @param {() => ?Change} make
   */
  add(make) {
    const origin = this.#view.describeFocus();
    this.#openCount += 1;
    this.#last = this.#last
      .then(() => this.#send(make(), origin))
      .finally(() => (this.#openCount -= 1));
  }

  /** Wait until every change is saved; return whether none has failed meanwhile. */
  async settle() {
    this.hasFailed = false;
    while (this.isOpen) await this.#last;
    return !this.hasFailed;
  }

  /** Save a title that was left, or all of them. @param {string} [field] name */
  saveTitles(field = "") {
    this.add(() => {
      const titles = this.#view.listTitles().filter(({ name }) => !field || name === field);
      return titles.some(isUnsaved) ? { act: "rename", done: t("title_saved") } : null;
    });
  }

  /** Save whether new groups are published. */
  saveState() {
    const change = { act: "rename", done: t("saved"), isStep: false };
    this.add(() => (this.#view.isStateUnsaved() ? change : null));
  }

  undo() {
    this.add(() => {
      const undo = this.#undos.pop();
      if (undo) return { act: "undo", fields: { undo }, done: t("undone") };
      say(t("nothing_to_undo"));
      return null;
    });
  }

  /** @param {?Change} change @param {string} origin */
  async #send(change, origin) {
    if (!change) return;
    const { act, fields = {}, focus, done, isStep = true } = change;
    const isUndo = act === "undo";
    const view = this.#view;
    // A half-written title does not go with another choice, nor with undoing a step.
    const takesTitles = isStep && !isUndo;
    const form = this.#makeForm(fields, takesTitles);
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
    this.#isCalling = true;
    try {
      const keepalive = !isUndo && form.toString().length < MAX_KEEPALIVE_CHARS;
      const answer = await fetchJson(`${this.#form.dataset.board}/${act}`, { form, keepalive });
      this.#isCalling = false;
      // Undoing steps from before somebody else's change would undo that, too.
      if (!answer.undo || String(answer.seen) !== form.get("version")) this.#undos.length = 0;
      if (answer.undo && takesTitles) this.#undos.push(answer.undo);
      await waitForRelease();
      const field = find(view.parts, "#board-to-title", HTMLInputElement);
      const goal = act === "move" ? "" : field?.value;
      view.replace(answer.html, { ...sent, goal }, this.#undos.length > 0);
      if (done) say(done);
    } catch (error) {
      this.hasFailed = true;
      const { status = 0, detail = null } = error instanceof CallError ? error : {};
      if (isUndo && !status) this.#undos.push(String(fields.undo));
      toast(getMessage(error), { isFault: true });
      if (detail?.url) location.assign(detail.url);
      if (!detail?.html) return;
      // Somebody changed the board in another window.
      this.#undos.length = 0;
      await waitForRelease();
      view.replace(detail.html, sent, false);
    } finally {
      this.#isCalling = false;
    }
  }

  // Return the form of a change, with only what is not saved yet: the rest may have been changed in
  // another window since.
  /** @param {Fields} fields @param {boolean} takesTitles */
  #makeForm(fields, takesTitles) {
    const view = this.#view;
    const form = new URLSearchParams();
    for (const name of ["csrf_token", "after", "whole", "from", "version"]) {
      const field = this.#form.elements.namedItem(name);
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
}
