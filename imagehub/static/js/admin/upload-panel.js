// Shows the uploads above the folder: how far all of it is, what needs an answer, and each file.

import { find, findAll, getFocused, make } from "../dom.js";
import { t } from "../words.js";
import { isPressed } from "./busy.js";
import { confirmDialog } from "./dialog.js";
import { formatDuration, formatSize } from "./format.js";
import { toast } from "./toast.js";
import { isOpen } from "./upload-entry.js";
import { UploadRows, makeButton, makeChoices } from "./upload-rows.js";

/** @import { Uploads } from "./upload.js" */

const DRAW_MS = 100;
const IMPORT_KEY = "hub-import-when-uploaded";
const GROUPING_KEY = "hub-import-grouping";

/** @param {HTMLElement} button */
const getLabel = (button) => button.getAttribute("aria-label") ?? button.textContent;

export class UploadPanel {
  #uploads;
  #section;
  #pickAgain;
  #rows;
  #timer = 0;
  #wasActive = false;
  /** @type {?{ words: string, url: string }} */
  #imported = null;

  #head = make("h2");
  #words = make("p", { className: "uploads-words quiet-words small" });
  #bar = make("progress", { ariaLabel: t("all_uploads") });
  #said = make("p", { className: "unseen", role: "status" });
  #trouble = make("p", { className: "fault", role: "alert" });
  #questions = make("div", { className: "notes" });
  #rest = make("p", { className: "quiet-words small" });
  #pause;
  #cancel;
  #clear;

  /**
   * @param {HTMLElement} section @param {Uploads} uploads
   * @param {() => void} pickAgain opens the dialog for files that must be selected again
   */
  constructor(section, uploads, pickAgain) {
    this.#uploads = uploads;
    this.#section = section;
    this.#pickAgain = pickAgain;
    this.#rows = new UploadRows(uploads);
    this.#pause = makeButton(t("pause"), () => {
      if (uploads.isPaused) uploads.resumeAll();
      else uploads.pauseAll();
    });
    this.#cancel = makeButton(t("cancel"), () => this.#cancelAll());
    this.#clear = makeButton(t("close"), () => uploads.clear());
    const actions = make("p", { className: "actions" }, this.#pause, this.#cancel, this.#clear);
    section.append(
      make("div", { className: "uploads-head" }, make("div", {}, this.#head, this.#words), actions),
      this.#bar,
      this.#trouble,
      this.#makeImportOptions(),
      this.#questions,
      this.#rows.element,
      this.#rest,
      this.#said,
    );
    uploads.addEventListener("change", () => {
      // The end is shown at once, what comes before it every now and then.
      if (this.#wasActive && !this.#all.some(isOpen)) this.#draw();
      else this.#timer ||= setTimeout(() => this.#draw(), DRAW_MS);
    });
    uploads.addEventListener("imported", (event) => {
      this.#tellImport(/** @type {CustomEvent<ImportOutcome>} */ (event).detail);
    });
  }

  get #all() {
    return [...this.#uploads.entries.values()];
  }

  #makeImportOptions() {
    const kept = localStorage.getItem(IMPORT_KEY) ?? "";
    const keptGrouping = localStorage.getItem(GROUPING_KEY) ?? kept;
    const box = make("input", { type: "checkbox", id: "import-when-uploaded" });
    box.checked = kept !== "";
    const label = make("label", { className: "check" }, box, ` ${t("import_when_uploaded")}`);
    const grouping = make("select", { ariaLabel: t("group_by") });
    for (const value of ["one", "folder", "each"]) {
      grouping.append(new Option(t(`group_${value}`), value, false, value === keptGrouping));
    }
    const set = () => this.#uploads.imports.set(box.checked, grouping.value);
    const change = () => {
      localStorage.setItem(IMPORT_KEY, box.checked ? grouping.value : "");
      localStorage.setItem(GROUPING_KEY, grouping.value);
      set();
      this.#draw();
    };
    // The grouping can be set first: where all is uploaded already, the tick starts the import.
    set();
    box.addEventListener("change", change);
    grouping.addEventListener("change", change);
    return make("div", { className: "uploads-import" }, label, grouping);
  }

  async #cancelAll() {
    const agreed = await confirmDialog({
      title: t("cancel_uploads_ask"),
      message: t("cancel_uploads_loss", { count: this.#all.filter(isOpen).length }),
      confirm: t("cancel_uploads"),
      cancel: t("resume_uploads"),
      isDanger: true,
    });
    if (agreed) this.#uploads.cancelAll();
  }

  /** @param {ImportOutcome} outcome */
  #tellImport({ count, known, refused, url }) {
    const parts = [];
    if (count) parts.push(t("being_imported", { count }));
    if (known) parts.push(t("already_imported", { count: known }));
    for (const one of refused) parts.push(t("not_imported", one));
    const words = parts.join(" ");
    toast(words, { isFault: !count && refused.length > 0, seconds: 10 });
    this.#imported = { words, url };
    this.#draw();
  }

  // --- Drawing ---

  #draw() {
    clearTimeout(this.#timer);
    this.#timer = 0;
    if (isPressed()) {
      // A button that is replaced under the pointer would not get the click.
      this.#timer = setTimeout(() => this.#draw(), DRAW_MS);
      return;
    }
    const focused = this.#section.contains(document.activeElement) ? getFocused() : null;
    const row = focused?.closest(".upload");
    const place = row ? [...this.#rows.element.children].indexOf(row) : -1;
    this.#drawAll();
    if (focused) this.#keepFocus(focused, place);
  }

  // Move the focus if its button is gone: to one that does the same, to one of the row that is
  // there now, or to one above.
  /** @param {HTMLElement} before @param {number} place of its row */
  #keepFocus(before, place) {
    const now = getFocused();
    if (this.#section.contains(now) && now.checkVisibility()) return;
    const shown = findAll(this.#section, "button").filter((button) => button.checkVisibility());
    const { children } = this.#rows.element;
    const row = place < 0 ? null : children[Math.min(place, children.length - 1)];
    const next =
      shown.find((button) => getLabel(button) === getLabel(before)) ??
      (row && find(row, "button")) ??
      shown[0] ??
      document.getElementById("upload-files");
    next?.focus({ preventScroll: true });
  }

  #drawAll() {
    const all = this.#all;
    this.#section.hidden = !all.length;
    if (!all.length) {
      this.#imported = null;
      return;
    }
    const facts = this.#uploads.describe();
    const openCount = all.filter(isOpen).length;
    this.#drawHead(facts, openCount);
    this.#drawQuestions(facts.counts);
    const hiddenCount = this.#rows.draw(all);
    this.#rest.hidden = !hiddenCount;
    this.#rest.textContent = t("more_files", { count: hiddenCount });
    if (this.#wasActive && !openCount) {
      const words = t("files_uploaded", { count: facts.doneCount });
      this.#said.textContent = words;
      toast(words);
    }
    this.#wasActive = openCount > 0;
  }

  /** @param {ReturnType<Uploads["describe"]>} facts @param {number} openCount */
  #drawHead(facts, openCount) {
    const { doneCount: done, fileCount: all, sentBytes, totalBytes, speed, secondsLeft } = facts;
    const { isPaused, trouble } = this.#uploads;
    if (!openCount) this.#head.textContent = t("head_uploaded", { count: done });
    else if (isPaused) this.#head.textContent = t("head_paused", { done, all });
    else if (facts.isOffline) this.#head.textContent = t("head_offline");
    else this.#head.textContent = t("head_uploading", { done, all });
    const parts = [t("size_of", { sent: formatSize(sentBytes), size: formatSize(totalBytes) })];
    if (openCount && facts.isActive && speed > 0) {
      parts.push(t("speed", { size: formatSize(speed) }));
      parts.push(t("time_left", { time: formatDuration(secondsLeft) }));
    }
    this.#words.textContent = parts.join(" · ");
    this.#bar.max = Math.max(1, totalBytes);
    this.#bar.value = totalBytes ? sentBytes : 1;
    this.#bar.setAttribute("aria-valuetext", this.#words.textContent);
    this.#pause.textContent = t(isPaused ? "resume" : "pause");
    this.#pause.hidden = this.#cancel.hidden = !openCount;
    this.#clear.hidden = openCount > 0;
    this.#trouble.textContent = trouble;
    this.#trouble.hidden = !trouble;
  }

  /** @param {Partial<Record<UploadState, number>>} counts */
  #drawQuestions(counts) {
    const uploads = this.#uploads;
    const { fault } = uploads.imports;
    const { taken, name, lost, failed, paused } = counts;
    // What is due waits for a person only while nothing goes on by itself.
    const dueCount = counts.running || counts.waiting ? 0 : uploads.imports.dueCount;
    const shown = [taken, name, lost, failed, paused, fault, dueCount, this.#imported];
    const drawn = JSON.stringify(shown);
    if (this.#questions.dataset.drawn === drawn) return;
    this.#questions.dataset.drawn = drawn;
    /** @type {HTMLElement[]} */
    const notes = [];
    if (taken) {
      const choices = makeChoices((choice) => {
        for (const entry of this.#all) uploads.settle(entry, choice);
      });
      notes.push(makeNote(t("names_taken", { count: taken }), choices));
    }
    if (name) {
      const repair = () => this.#all.forEach((entry) => uploads.repair(entry));
      const correct = makeButton(t("correct_names"), repair);
      notes.push(makeNote(t("names_refused", { count: name }), [correct]));
    }
    if (lost) {
      const select = makeButton(t("select_again"), async () => {
        const { isMissing, mayAskOn } = await uploads.reachAgain();
        if (isMissing && !mayAskOn) this.#pickAgain();
      });
      notes.push(makeNote(t("files_lost", { count: lost }), [select]));
    }
    if (failed) {
      const retry = makeButton(t("retry"), () => {
        for (const entry of this.#all) if (entry.state === "failed") uploads.resume(entry);
      });
      notes.push(makeNote(t("files_failed", { count: failed }), [retry], true));
    }
    const importNow = () => uploads.imports.check({ isNow: true });
    if (fault) {
      const retry = makeButton(t("retry"), importNow);
      notes.push(makeNote(t("import_failed", { reason: fault }), [retry], true));
    } else if (dueCount && (taken || name || lost || failed || paused)) {
      const now = makeButton(t("import_now"), importNow);
      notes.push(makeNote(t("import_waits", { count: dueCount }), [now]));
    }
    if (this.#imported) {
      const { words, url } = this.#imported;
      const link = make("a", { className: "button quiet small", href: url }, t("open_import"));
      notes.push(makeNote(words, url ? [link] : []));
    }
    this.#questions.replaceChildren(...notes);
  }
}

/** @param {string} words @param {HTMLElement[]} controls */
function makeNote(words, controls, isFault = false) {
  const actions = make("p", { className: "actions" }, ...controls);
  const note = make("div", {}, make("div", {}, make("p", {}, words)), actions);
  note.className = isFault ? "note is-fault" : "note";
  return note;
}
