// What the library saves by itself, and the line that shows how far that is. Fields are saved one
// after the other, and so are moves in an order. What the server refuses, and what somebody else
// changed meanwhile, is shown at the field; nothing that was typed is lost.

import { byId, find, findAll, get, icon, make } from "../dom.js";
import { t } from "../words.js";
import { confirmDialog } from "./dialog.js";
import { CallError, fetchJson, getMessage } from "./http.js";
import { isFinished } from "./tag-field.js";

const PAUSE_MS = 900;
const RETRY_MS = 5000;
// A call with one of these is refused again when it is repeated.
const PERMANENT = new Set([404, 409, 413, 422]);
// Browsers take 64 KiB for all calls together that go on when the page is left.
const MAX_KEEPALIVE_BYTES = 30_000;

/** @typedef {HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement} Control */
/** @typedef {Record<string, string>} Values by the names of their fields */

const line = find(document, "#save-state");
let version = Number(find(document, "[data-version]")?.dataset.version ?? 0);

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

// --- The state of the page ---

/** @param {string} text @param {"" | "is-good" | "is-fault"} [kind] */
function showState(text, kind = "") {
  isPlanned = false;
  if (!line) return;
  line.textContent = text;
  for (const name of ["is-fault", "is-good"]) line.classList.toggle(name, kind === name);
}

function showPlanned() {
  showState(t("not_saved_yet"));
  isPlanned = true;
}

/** Show what is true of everything that the page saves, whichever of it has just ended. */
function showWhole() {
  const refused = savers.map((saver) => saver.refused).find(Boolean);
  if (refused) showState(t("not_saved", { reason: refused.label }), "is-fault");
  else if (unsaved.size) showPlanned();
  else if (moveCount) showState(t("saving"));
  else showState(t("saved"), "is-good");
}

/** Return whether the page has not shown any state yet. */
export const hasNoState = () => Boolean(line) && !line?.textContent;

/** Save a move when the moves before are through; return the fault, or null.
 * @param {() => Promise<unknown>} call
 * @param {() => void} settle is called as soon as the move is saved or refused */
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
  while (isCalling()) await Promise.all([fields, moves]);
  await fields;
}

export const countMoves = () => moveCount;

/** Return whether calls are on their way. */
export const isCalling = () => fieldCount + moveCount > 0;

// --- Fields ---

/** One field, with what the server last had of it. */
class Field {
  /** @type {string | undefined} what was sent last */
  sent;
  /** @type {string | undefined} what was refused last */
  refused;
  /** Of a field of tags with the focus: the text when no tag was half typed. */
  #settled = "";

  /** @param {Control} control
   * @param {?Control} before hidden field that sends the stored value along with the form */
  constructor(control, before) {
    this.control = control;
    this.before = before;
    this.base = (before ?? control).value;
    this.hasTags = "tags" in control.dataset;
    this.#settled = control.value;
  }

  get value() {
    return this.control.value;
  }

  /** What may be saved: a half-typed tag would be one for a moment. */
  get settled() {
    const isTyping = this.hasTags && document.activeElement === this.control;
    return isTyping ? this.#settled : this.value;
  }

  /** Accept what is typed as it is, unless a tag of it is half typed; `isWhole`: that too.
   * @param {boolean} [isWhole] @returns {boolean} whether it was accepted */
  settle(isWhole = false) {
    const { control, value } = this;
    const caret = (control instanceof HTMLInputElement && control.selectionStart) || 0;
    if (this.hasTags && !isWhole && !isFinished(value, caret, this.#settled)) return false;
    this.#settled = value;
    return true;
  }

  /** @param {string} text */
  #differs(text) {
    const tidy = this.#tidy(text);
    return ![this.base, this.sent].some((one) => one !== undefined && this.#tidy(one) === tidy);
  }

  /** Leave out the separator after the last tag. @param {string} text */
  #tidy(text) {
    return this.hasTags ? text.replace(/[\s,;]+$/, "") : text;
  }

  get isChanged() {
    return this.#differs(this.value);
  }

  get isToSend() {
    return this.#differs(this.settled) && this.settled !== this.refused;
  }

  get isRefused() {
    return this.isChanged && this.value === this.refused;
  }

  get label() {
    return this.control.labels?.[0]?.textContent.trim() ?? "";
  }

  setBase(/** @type {string} */ value) {
    this.base = value;
    if (this.before) this.before.value = value;
  }

  /** Return a value as a person reads it: the label of an option, say. @param {string} value */
  describe(value) {
    const options = this.control instanceof HTMLSelectElement ? [...this.control.options] : [];
    return options.find((option) => option.value === value)?.text || value || t("empty_value");
  }

  /** Show at the field why it was not saved; "" removes that. @param {string} fault */
  setFault(fault) {
    const { control } = this;
    const id = `fault-${control.name}`;
    document.getElementById(id)?.remove();
    control.ariaInvalid = fault ? "true" : null;
    control.removeAttribute("aria-describedby");
    if (!fault) return;
    control.after(make("span", { className: "fault", id }, icon("circle-alert"), ` ${fault}`));
    control.setAttribute("aria-describedby", id);
  }
}

/** The fields of a form or a shot, which are saved together. */
class Saver {
  #fields = /** @type {Map<string, Field>} */ (new Map());
  /** @type {Values} what is on its way, and arrives though the page is left */
  #arriving = {};
  #timer = 0;

  constructor(/** @type {HTMLElement} */ box) {
    this.box = box;
    for (const found of findAll(box, "[name]:not([type=hidden], [hidden])")) {
      const control = /** @type {Control} */ (found);
      const before = /** @type {?Control} */ (find(box, `[name="was-${control.name}"]`));
      const field = new Field(control, before);
      this.#fields.set(control.dataset.field ?? control.name, field);
      control.addEventListener("input", () => {
        if (control.hasAttribute("aria-invalid")) field.setFault("");
        // A tag is saved as soon as it is finished, before the next one is typed.
        const isNow = field.settle() && field.hasTags;
        this.plan(isNow ? 0 : PAUSE_MS);
      });
      control.addEventListener("change", () => this.save());
      control.addEventListener("blur", () => (this.#timer || this.hasChanges) && this.save());
    }
    box.addEventListener("submit", (event) => {
      event.preventDefault();
      this.save();
    });
  }

  /** The first field with a value that the server refused. */
  get refused() {
    return [...this.#fields.values()].find((field) => field.isRefused);
  }

  get hasChanges() {
    return [...this.#fields.values()].some((field) => field.isChanged && !field.isRefused);
  }

  /** Whether words would be lost with the page. */
  get wouldLose() {
    return [...this.#fields].some(
      ([name, field]) => field.isChanged && field.value !== this.#arriving[name],
    );
  }

  /** Save after a pause. */
  plan(pause = PAUSE_MS) {
    clearTimeout(this.#timer);
    if (this.hasChanges) {
      unsaved.add(this);
      showPlanned();
    } else {
      this.#rest();
    }
    this.#timer = setTimeout(() => this.#queue(), pause);
  }

  /** Save when the calls before are through, also a tag that is half typed. */
  save() {
    for (const field of this.#fields.values()) field.settle(true);
    this.#queue();
  }

  #queue() {
    clearTimeout(this.#timer);
    this.#timer = 0;
    if (this.hasChanges) unsaved.add(this);
    fields = fields.then(() => this.#send());
  }

  /** @returns {Values} without what was refused, which does not keep the rest from being saved */
  #getChanges() {
    const changed = [...this.#fields].filter(([, field]) => field.isToSend);
    return Object.fromEntries(changed.map(([name, { settled }]) => [name, settled]));
  }

  #get(/** @type {string} */ name) {
    return /** @type {Field} */ (this.#fields.get(name));
  }

  #rest() {
    if (!this.refused) unsaved.delete(this);
  }

  async #send() {
    const changes = this.#getChanges();
    const names = Object.keys(changes);
    if (!names.length) {
      if (this.hasChanges) return;
      this.#rest();
      // A change was typed and taken back before it was sent.
      if (isPlanned) showWhole();
      return;
    }
    const base = Object.fromEntries(names.map((name) => [name, this.#get(name).base]));
    const json = { version, changes, base };
    const keepalive = new Blob([JSON.stringify(json)]).size < MAX_KEEPALIVE_BYTES;
    this.#arriving = keepalive ? changes : {};
    showState(t("saving"));
    fieldCount += 1;
    try {
      this.#accept(await fetchJson(this.box.dataset.save ?? "", { json, keepalive }), changes);
      showWhole();
    } catch (error) {
      const { status = 0, detail = null } = error instanceof CallError ? error : {};
      const reason = getMessage(error);
      const refused = Object.keys(detail?.fields ?? {}).filter((name) => name in changes);
      if (status === 409 && detail?.current) await this.#resolve(detail);
      else if (status === 422 && refused.length) this.#refuse(refused, changes, reason);
      else {
        showState(t("not_saved", { reason }), "is-fault");
        // Somebody who was signed out may sign in again in another tab.
        if (!PERMANENT.has(status)) this.#timer = setTimeout(() => this.#queue(), RETRY_MS);
      }
    } finally {
      fieldCount -= 1;
    }
    this.#arriving = {};
  }

  /** @param {{ version: number, fields: Values, is_shown?: boolean }} answer
   * @param {Values} changes */
  #accept(answer, changes) {
    version = answer.version;
    if (answer.is_shown !== undefined) byId("view-group").hidden = !answer.is_shown;
    for (const [name, sent] of Object.entries(changes)) {
      const field = this.#get(name);
      const saved = answer.fields[name];
      // The server tidies spaces; what was typed since then stays as it is.
      const hasFocus = document.activeElement === field.control;
      if (field.value === sent && !hasFocus) field.control.value = saved;
      if (field.value === saved) field.settle(true);
      field.setBase(saved);
      field.sent = sent;
      if (name === "title") byId("group-title").textContent = saved || t("untitled");
    }
    get(document, "#record [name=version]", HTMLInputElement).value = String(version);
    if (this.hasChanges) this.plan();
    else this.#rest();
  }

  /** Show a fault at its fields, and save the others without them.
   * @param {string[]} names @param {Values} changes @param {string} reason */
  #refuse(names, changes, reason) {
    for (const name of names) {
      const field = this.#get(name);
      field.refused = changes[name];
      if (field.value === field.refused) field.setFault(reason);
    }
    const { label } = this.#get(names[0]);
    showState(t("not_saved_field", { field: label, reason }), "is-fault");
    if (this.hasChanges) this.#queue();
  }

  /** Let the person choose between both versions.
   * @param {{ version: number, current: Values, yours: Values }} conflict */
  async #resolve({ version: theirVersion, current, yours }) {
    const list = make("dl", { className: "versions" });
    const names = Object.keys(current);
    for (const name of names) {
      const field = this.#get(name);
      const shown = { their_version: current[name], your_version: yours[name] };
      for (const [whose, value] of Object.entries(shown)) {
        const text = make("dd", { dir: "auto" }, field.describe(value));
        list.append(make("dt", {}, t(whose, { field: field.label })), text);
      }
    }
    showState(t("not_saved", { reason: t("changed_by_other") }), "is-fault");
    const typed = names.map((name) => this.#get(name).value);
    const isMine = await confirmDialog({
      title: t("changed_while_editing"),
      body: list,
      confirm: t("keep_mine"),
      cancel: t("use_theirs"),
      isUnexpected: true,
    });
    if (isMine === null) {
      // Closed without an answer: both stay as they are, and the next change asks again.
      names.forEach((name, i) => (this.#get(name).refused = typed[i]));
      if (this.hasChanges) this.#queue();
      return;
    }
    version = theirVersion;
    for (const name of names) {
      const field = this.#get(name);
      field.setBase(current[name]);
      field.sent = undefined;
      if (!isMine) field.control.value = current[name];
    }
    // Fields that nobody else changed went with the same call, and were refused with it.
    if (this.hasChanges) {
      this.plan(0);
    } else {
      this.#rest();
      showState(t("theirs_used"));
    }
  }
}

savers.push(...findAll(document, "[data-save]").map((box) => new Saver(box)));
