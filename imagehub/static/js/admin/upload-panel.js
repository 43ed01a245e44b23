// Shows the uploads above the folder: how far all of it is, what needs an answer, and each file.

import { byId, find, findAll, getFocused, make } from "../dom.js";
import { makeName } from "../kept.js";
import { t } from "../words.js";
import { isPressed } from "./busy.js";
import { confirmDialog } from "./dialog.js";
import { formatDuration, formatSize } from "./format.js";
import { toast } from "./toast.js";
import { isOpen } from "./upload-entry.js";
import { drawRows, list, makeButton, makeChoices } from "./upload-rows.js";
import * as uploads from "./upload.js";

const DRAW_MS = 100;
const IMPORT_KEY = makeName("hub-import-when-uploaded");
const GROUPING_KEY = makeName("hub-import-grouping");

/** @param {HTMLElement} button */
const getLabel = (button) => button.getAttribute("aria-label") ?? button.textContent;

let pickAgain = () => {};
/** Call `act` when files must be selected again. @param {() => void} act */
export const whenMissing = (act) => (pickAgain = act);

const section = byId("uploads");
let timer = 0;
let wasActive = false;
let imported = /** @type {?{ words: string, url: string }} */ (null);

const head = make("h2");
const progress = make("p", { className: "uploads-words quiet-words small" });
const bar = make("progress", { ariaLabel: t("all_uploads") });
const said = make("p", { className: "unseen", role: "status" });
const trouble = make("p", { className: "fault", role: "alert" });
const questions = make("div", { className: "notes" });
const rest = make("p", { className: "quiet-words small" });
const pause = makeButton(t("pause"), () => {
  if (uploads.isPaused) uploads.resumeAll();
  else uploads.pauseAll();
});
const cancel = makeButton(t("cancel"), cancelAll);
const clear = makeButton(t("close"), () => uploads.clear());
const buttons = make("p", { className: "actions" }, pause, cancel, clear);
section.append(
  make("div", { className: "uploads-head" }, make("div", {}, head, progress), buttons),
  bar,
  trouble,
  makeImportOptions(),
  questions,
  list,
  rest,
  said,
);

function makeImportOptions() {
  const kept = localStorage.getItem(IMPORT_KEY) ?? "";
  const keptGrouping = localStorage.getItem(GROUPING_KEY) ?? kept;
  const box = make("input", { type: "checkbox", id: "import-when-uploaded" });
  box.checked = kept !== "";
  const label = make("label", { className: "check" }, box, ` ${t("import_when_uploaded")}`);
  const grouping = make("select", { ariaLabel: t("group_by") });
  for (const value of ["one", "folder", "each"]) {
    grouping.append(new Option(t(`group_${value}`), value, false, value === keptGrouping));
  }
  const set = () => uploads.imports.set(box.checked, grouping.value);
  // The grouping can be set first: where all is uploaded already, the tick starts the import.
  set();
  box.onchange = grouping.onchange = () => {
    localStorage.setItem(IMPORT_KEY, box.checked ? grouping.value : "");
    localStorage.setItem(GROUPING_KEY, grouping.value);
    set();
    draw();
  };
  return make("div", { className: "uploads-import" }, label, grouping);
}

async function cancelAll() {
  const agreed = await confirmDialog({
    title: t("cancel_uploads_ask"),
    message: t("cancel_uploads_loss", { count: uploads.listAll().filter(isOpen).length }),
    confirm: t("cancel_uploads"),
    cancel: t("resume_uploads"),
    isDanger: true,
  });
  if (agreed) uploads.cancelAll();
}

uploads.events.addEventListener("change", () => {
  // The end is shown at once, what comes before it every now and then.
  if (wasActive && !uploads.listAll().some(isOpen)) draw();
  else timer ||= setTimeout(draw, DRAW_MS);
});
uploads.events.addEventListener("imported", (event) => {
  const { detail } = /** @type {CustomEvent<ImportOutcome>} */ (event);
  const { count, known, refused, url } = detail;
  const parts = [];
  if (count) parts.push(t("being_imported", { count }));
  if (known) parts.push(t("already_imported", { count: known }));
  for (const one of refused) parts.push(t("not_imported", one));
  const words = parts.join(" ");
  toast(words, { isFault: !count && refused.length > 0, seconds: 10 });
  imported = { words, url };
  draw();
});

// --- Drawing ---

function draw() {
  clearTimeout(timer);
  // A button that is replaced under the pointer would not get the click.
  timer = isPressed() ? setTimeout(draw, DRAW_MS) : 0;
  if (timer) return;
  const focused = section.contains(document.activeElement) ? getFocused() : null;
  const row = focused?.closest(".upload");
  const place = row ? [...list.children].indexOf(row) : -1;
  drawAll();
  if (focused) keepFocus(focused, place);
}

/** Move the focus if its button is gone: to one that does the same, to one of the row that is
 * there now, or to one above.
 * @param {HTMLElement} before @param {number} place of its row */
function keepFocus(before, place) {
  const now = getFocused();
  if (section.contains(now) && now.checkVisibility()) return;
  const shown = findAll(section, "button").filter((button) => button.checkVisibility());
  const { children } = list;
  const row = place < 0 ? null : children[Math.min(place, children.length - 1)];
  const next =
    shown.find((button) => getLabel(button) === getLabel(before)) ??
    (row && find(row, "button")) ??
    shown[0] ??
    document.getElementById("upload-files");
  next?.focus({ preventScroll: true });
}

function drawAll() {
  const all = uploads.listAll();
  section.hidden = !all.length;
  if (!all.length) {
    imported = null;
    return;
  }
  const facts = uploads.describe();
  const openCount = all.filter(isOpen).length;
  drawHead(facts, openCount);
  drawQuestions(facts.counts);
  const hiddenCount = drawRows(all);
  rest.hidden = !hiddenCount;
  rest.textContent = t("more_files", { count: hiddenCount });
  if (wasActive && !openCount) {
    said.textContent = t("files_uploaded", { count: facts.doneCount });
    toast(said.textContent);
  }
  wasActive = openCount > 0;
}

/** @param {ReturnType<typeof uploads.describe>} facts @param {number} openCount */
function drawHead(facts, openCount) {
  const { doneCount: done, fileCount: all, sentBytes, totalBytes, speed, secondsLeft } = facts;
  const { isPaused } = uploads;
  if (!openCount) head.textContent = t("head_uploaded", { count: done });
  else if (isPaused) head.textContent = t("head_paused", { done, all });
  else if (facts.isOffline) head.textContent = t("head_offline");
  else head.textContent = t("head_uploading", { done, all });
  const parts = [t("size_of", { sent: formatSize(sentBytes), size: formatSize(totalBytes) })];
  if (openCount && facts.isActive && speed > 0) {
    parts.push(t("speed", { size: formatSize(speed) }));
    parts.push(t("time_left", { time: formatDuration(secondsLeft) }));
  }
  progress.textContent = parts.join(" · ");
  bar.max = Math.max(1, totalBytes);
  bar.value = totalBytes ? sentBytes : 1;
  bar.setAttribute("aria-valuetext", progress.textContent);
  pause.textContent = t(isPaused ? "resume" : "pause");
  pause.hidden = cancel.hidden = !openCount;
  clear.hidden = openCount > 0;
  trouble.textContent = uploads.trouble;
  trouble.hidden = !uploads.trouble;
}

function drawQuestions(/** @type {Partial<Record<UploadState, number>>} */ counts) {
  const { imports } = uploads;
  const { taken, name, lost, failed, paused } = counts;
  // What is due waits for a person only while nothing goes on by itself.
  const isBusy = Boolean(counts.running || counts.waiting);
  const dueCount = isBusy ? 0 : imports.dueCount;
  // What is not imported by itself is offered at the end.
  const isOver = !isBusy && !(taken || name || lost || paused);
  const offeredCount = isOver ? imports.offeredCount : 0;
  const shown = [taken, name, lost, failed, paused, imports.fault, dueCount, imported, offeredCount];
  const drawn = JSON.stringify(shown);
  if (questions.dataset.drawn === drawn) return;
  questions.dataset.drawn = drawn;
  const notes = /** @type {HTMLElement[]} */ ([]);
  if (taken) {
    const choices = makeChoices((choice) => {
      for (const entry of uploads.listAll()) uploads.settle(entry, choice);
    });
    notes.push(makeNote(t("names_taken", { count: taken }), choices));
  }
  if (name) {
    const correct = makeButton(t("correct_names"), () => {
      for (const entry of uploads.listAll()) uploads.repair(entry);
    });
    notes.push(makeNote(t("names_refused", { count: name }), [correct]));
  }
  if (lost) {
    const select = makeButton(t("select_again"), async () => {
      const { isMissing, mayAskOn } = await uploads.reachAgain();
      if (isMissing && !mayAskOn) pickAgain();
    });
    notes.push(makeNote(t("files_lost", { count: lost }), [select]));
  }
  if (failed) {
    const retry = makeButton(t("retry"), () => {
      for (const entry of uploads.listAll()) if (entry.state === "failed") uploads.resume(entry);
    });
    notes.push(makeNote(t("files_failed", { count: failed }), [retry], true));
  }
  const importNow = () => imports.check({ isNow: true });
  if (imports.fault) {
    const again = () => imports.check({ isNow: true, isAsked: offeredCount > 0 });
    const retry = makeButton(t("retry"), again);
    notes.push(makeNote(t("import_failed", { reason: imports.fault }), [retry], true));
  } else if (dueCount && (taken || name || lost || failed || paused)) {
    const now = makeButton(t("import_now"), importNow);
    notes.push(makeNote(t("import_waits", { count: dueCount }), [now]));
  }
  if (offeredCount && !imports.fault) {
    const offer = makeButton(t("import_these", { count: offeredCount }), () =>
      imports.check({ isAsked: true }),
    );
    offer.classList.remove("quiet");
    notes.push(makeNote(t("import_offered", { count: offeredCount }), [offer]));
  }
  if (imported) {
    const { words, url } = imported;
    const link = make("a", { className: "button quiet small", href: url }, t("open_import"));
    notes.push(makeNote(words, url ? [link] : []));
  }
  questions.replaceChildren(...notes);
}

/** @param {string} words @param {HTMLElement[]} controls */
function makeNote(words, controls, isFault = false) {
  const actions = make("p", { className: "actions" }, ...controls);
  const note = make("div", {}, make("div", {}, make("p", {}, words)), actions);
  note.className = isFault ? "note is-fault" : "note";
  return note;
}
