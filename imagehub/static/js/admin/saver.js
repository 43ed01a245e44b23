// Fields that save themselves. What the server refuses, and what somebody else changed meanwhile,
// is shown at the field; nothing that was typed is lost.

import { byId, find, findAll, get, icon, make } from "../dom.js";
import { t } from "../words.js";
import { confirmDialog } from "./dialog.js";
import { CallError, fetchJson, getMessage } from "./http.js";
import {
  countFields,
  queueFields,
  savers,
  showPlanned,
  showState,
  showTakenBack,
  showWhole,
  unsaved,
} from "./saving.js";

const PAUSE_MS = 900;
const RETRY_MS = 5000;
// A call with one of these is refused again when it is repeated.
const PERMANENT = new Set([404, 409, 413, 422]);
// Browsers take 64 KiB for all calls together that go on when the page is left.
const MAX_KEEPALIVE_BYTES = 30_000;

/** @typedef {HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement} Control */
/** @typedef {Record<string, string>} Values */
/** @typedef {{ version: number, current: Values, yours: Values }} Conflict */

let version = Number(find(document, "[data-version]")?.dataset.version ?? 0);

/** One field, with what the server last had of it. */
class Field {
  /** @type {string | undefined} what was sent last */
  sent;
  /** @type {string | undefined} what was refused last */
  refused;

  /**
   * @param {Control} control
   * @param {?Control} before hidden field that sends the stored value along with the form
   */
  constructor(control, before) {
    this.control = control;
    this.before = before;
    this.base = (before ?? control).value;
  }

  get value() {
    return this.control.value;
  }

  get isChanged() {
    return this.value !== this.base && this.value !== this.sent;
  }

  get isRefused() {
    return this.isChanged && this.value === this.refused;
  }

  get label() {
    return this.control.labels?.[0]?.textContent.trim() ?? "";
  }

  /** @param {string} value */
  setBase(value) {
    this.base = value;
    if (this.before) this.before.value = value;
  }

  /**
   * Return a value as a person reads it: the label of an option, for example.
   * @param {string} value
   */
  describe(value) {
    const options = this.control instanceof HTMLSelectElement ? [...this.control.options] : [];
    return options.find((option) => option.value === value)?.text || value || t("empty_value");
  }

  /**
   * Show at the field why it was not saved; "" removes that.
   * @param {string} fault
   */
  setFault(fault) {
    const { control } = this;
    const id = `fault-${control.name}`;
    document.getElementById(id)?.remove();
    if (fault) {
      control.after(make("span", { className: "fault", id }, icon("circle-alert"), ` ${fault}`));
      control.setAttribute("aria-invalid", "true");
      control.setAttribute("aria-describedby", id);
    } else {
      control.removeAttribute("aria-invalid");
      control.removeAttribute("aria-describedby");
    }
  }
}

/** The fields of a form or a shot, which are saved together. */
export class Saver {
  /** @type {Map<string, Field>} */
  #fields = new Map();
  /** @type {Values} what is on its way, and arrives though the page is left */
  #arriving = {};
  #timer = 0;

  /** @param {HTMLElement} box */
  constructor(box) {
    this.box = box;
    for (const found of findAll(box, "[name]:not([type=hidden], [hidden])")) {
      const control = /** @type {Control} */ (found);
      const before = /** @type {?Control} */ (find(box, `[name="was-${control.name}"]`));
      const field = new Field(control, before);
      this.#fields.set(control.dataset.field ?? control.name, field);
      control.addEventListener("input", () => {
        if (control.hasAttribute("aria-invalid")) field.setFault("");
        this.plan();
      });
      control.addEventListener("change", () => this.save());
      control.addEventListener("blur", () => this.#timer && this.save());
    }
    box.addEventListener("submit", (event) => {
      event.preventDefault();
      this.save();
    });
  }

  /** @returns {Field | undefined} the first field with a value that the server refused */
  get refused() {
    return [...this.#fields.values()].find((field) => field.isRefused);
  }

  get hasChanges() {
    return Object.keys(this.#getChanges()).length > 0;
  }

  /** Return whether words would be lost with the page. */
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
    this.#timer = setTimeout(() => this.save(), pause);
  }

  save() {
    clearTimeout(this.#timer);
    this.#timer = 0;
    if (this.hasChanges) unsaved.add(this);
    return queueFields(() => this.#send());
  }

  /** @returns {Values} without what was refused, which does not keep the rest from being saved */
  #getChanges() {
    const changed = [...this.#fields].filter(([, field]) => field.isChanged && !field.isRefused);
    return Object.fromEntries(changed.map(([name, { value }]) => [name, value]));
  }

  /** @param {string} name */
  #get(name) {
    return /** @type {Field} */ (this.#fields.get(name));
  }

  #rest() {
    if (!this.refused) unsaved.delete(this);
  }

  async #send() {
    const changes = this.#getChanges();
    const names = Object.keys(changes);
    if (!names.length) {
      this.#rest();
      showTakenBack();
      return;
    }
    const base = Object.fromEntries(names.map((name) => [name, this.#get(name).base]));
    const json = { version, changes, base };
    const keepalive = new Blob([JSON.stringify(json)]).size < MAX_KEEPALIVE_BYTES;
    this.#arriving = keepalive ? changes : {};
    await countFields(async () => {
      try {
        this.#accept(await fetchJson(this.box.dataset.save ?? "", { json, keepalive }), changes);
        showWhole();
      } catch (error) {
        const { status = 0, detail = null } = error instanceof CallError ? error : {};
        const reason = getMessage(error);
        const refused = Object.keys(detail?.fields ?? {}).filter((name) => name in changes);
        if (status === 409 && detail?.current) await this.#resolve(detail);
        else if (status === 422 && refused.length) this.#refuse(refused, changes, reason);
        else this.#fail(status, reason);
      }
    });
    this.#arriving = {};
  }

  /**
   * @param {{ version: number, fields: Values }} answer
   * @param {Values} changes
   */
  #accept(answer, changes) {
    version = answer.version;
    for (const [name, sent] of Object.entries(changes)) {
      const field = this.#get(name);
      const saved = answer.fields[name];
      // The server tidies spaces; what was typed since then stays as it is.
      const hasFocus = document.activeElement === field.control;
      if (field.value === sent && !hasFocus) field.control.value = saved;
      field.setBase(saved);
      field.sent = sent;
      if (name === "title") byId("group-title").textContent = saved || t("untitled");
    }
    get(document, "#record [name=version]", HTMLInputElement).value = String(version);
    if (this.hasChanges) this.plan();
    else this.#rest();
  }

  /**
   * Show a fault at its fields, and save the others without them.
   * @param {string[]} names
   * @param {Values} changes
   * @param {string} reason
   */
  #refuse(names, changes, reason) {
    for (const name of names) {
      const field = this.#get(name);
      field.refused = changes[name];
      if (field.value === field.refused) field.setFault(reason);
    }
    const { label } = this.#get(names[0]);
    showState(t("not_saved_field", { field: label, reason }), "is-fault");
    if (this.hasChanges) this.save();
  }

  /**
   * @param {number} status
   * @param {string} reason
   */
  #fail(status, reason) {
    showState(t("not_saved", { reason }), "is-fault");
    // Somebody who was signed out may sign in again in another tab.
    if (!PERMANENT.has(status)) this.#timer = setTimeout(() => this.save(), RETRY_MS);
  }

  /**
   * Let the person choose between both versions.
   * @param {Conflict} conflict
   */
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
      if (this.hasChanges) this.save();
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
