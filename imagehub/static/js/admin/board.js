// The board of an import plan: files are arranged into groups by drag, keys and buttons; titles
// save themselves.

import { byId, closest, find, findAll, get } from "../dom.js";
import { t } from "../words.js";
import { makeChanges } from "./board-changes.js";
import { BoardView, getBinId, getFile, getTitle, isUnsaved } from "./board-view.js";
import { confirmDialog } from "./dialog.js";
import { onKey } from "./keys.js";

/** @type {Record<string, [number, number]>} */
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

const form = find(document, "[data-board]", HTMLFormElement);
if (form) setUp(form);

function setUp(/** @type {HTMLFormElement} */ board) {
  const view = new BoardView(byId("board-parts"));
  const changes = makeChanges(board, view);
  let isLeaving = false;
  view.prepare(false);
  makeDraggable(board, view, changes);

  // --- Acts ---

  /** Move a file by a step inside its group. @param {string} file @param {number} step -1 or 1 */
  function moveInside(file, step) {
    changes.add(() => {
      const card = view.findCard(file);
      const bin = closest(card, ".bin");
      if (!card || !bin) return null;
      const cards = view.listCards(bin);
      const to = cards.indexOf(card) + step;
      if (to < 0 || to >= cards.length) return null;
      const before = step < 0 ? cards[to] : cards[to + 1];
      /** @type {Record<string, string>} */
      const fields = { file, to: getBinId(bin) };
      if (before) fields.before = getFile(before);
      const position = Number(bin.dataset.first) + to + 1;
      const done = t("file_position", { position, count: Number(bin.dataset.count) });
      return { act: "move", fields, focus: file, done };
    });
  }

  /** Move files to the group before or behind that of `file`, at the end to a new one.
   * @param {string} file @param {string[]} files @param {number} step -1 or 1 */
  function moveToBin(file, files, step) {
    changes.add(() => {
      const bins = view.listBins();
      const bin = closest(view.findCard(file), ".bin");
      const at = (bin ? bins.indexOf(bin) : -1) + step;
      if (at < 0) return null;
      const goal = bins[at] ?? null;
      return {
        act: "move",
        fields: { file: files, to: getBinId(goal) },
        focus: file,
        done: goal ? t("moved_to", { title: getTitle(goal) }) : t("moved_to_new"),
      };
    });
  }

  /** Act on the card with the focus or the selection.
   * @param {(card: HTMLElement) => ?[string, string]} choose returns the act, and what is said then
   */
  function actOn(choose) {
    const first = view.findFocusedCard() ?? view.listSelected()[0];
    if (!first) return;
    const file = getFile(first);
    const files = view.listMoved(first);
    changes.add(() => {
      const card = view.findCard(file);
      const chosen = card && choose(card);
      return chosen && { act: chosen[0], fields: { file: files }, focus: file, done: chosen[1] };
    });
  }

  onKey("z", () => changes.undo());
  onKey("s", () => actOn(() => ["split", t("split")]));
  onKey("x", () =>
    actOn((card) =>
      card.classList.contains("is-out") ? ["include", t("included")] : ["exclude", t("excluded")],
    ),
  );
  onKey("j", () => {
    if (!view.findFocusedCard()) return;
    actOn((card) => {
      const bin = closest(card, ".bin");
      const button = bin && find(bin, "[data-join]", HTMLButtonElement);
      return button && [button.value, t("joined")];
    });
  });

  board.addEventListener("keydown", (event) => {
    const target = /** @type {HTMLElement} */ (event.target);
    if (event.key === "Enter" && target.id === "board-to-title" && !event.isComposing) {
      event.preventDefault();
      view.findButton("move")?.click();
      return;
    }
    const card = closest(target, ".card");
    const arrow = ARROWS[event.key];
    if (!card || !arrow || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    const [dx, dy] = arrow;
    if (event.altKey && dx) {
      moveInside(getFile(card), getComputedStyle(card).direction === "rtl" ? -dx : dx);
    } else if (event.altKey) {
      moveToBin(getFile(card), view.listMoved(card), dy);
    } else {
      const other = view.findNearest(card, dx, dy);
      if (other) view.focusCard(other);
    }
  });

  // --- Fields ---

  // A file without a thumbnail in OneDrive keeps its icon.
  board.addEventListener(
    "error",
    ({ target }) => target instanceof HTMLImageElement && target.remove(),
    true,
  );
  board.addEventListener("change", ({ target }) => {
    // A half-written field that goes away with the old board tells of a change, too.
    if (view.isShowing || !(target instanceof HTMLInputElement)) return;
    if (target.name === "file") view.showSelected();
    else if (target.name === "state") changes.saveState();
    else if (target.matches(".bin-title")) changes.saveTitles(target.name);
  });
  // What was typed before a new board came is no change of the field that contains it now.
  board.addEventListener("focusout", ({ target }) => {
    if (view.isShowing || !(target instanceof HTMLInputElement)) return;
    if (target.matches(".bin-title") && isUnsaved(target)) changes.saveTitles(target.name);
  });
  // A checkbox that the arrows have reached does not scroll into view by itself.
  board.addEventListener("focusin", ({ target }) => {
    const card = closest(target, ".card");
    if (card && target instanceof HTMLElement && target.tabIndex < 0) view.focusCard(card);
  });
  board.addEventListener("click", ({ target }) => {
    if (closest(target, "[data-undo]")) changes.undo();
  });

  // --- Buttons ---

  board.addEventListener("submit", (event) => {
    const button = event.submitter;
    if (!(button instanceof HTMLButtonElement)) return;
    if (button.matches("[data-leaves]")) {
      const isAsked = button.id === "arrange" && askToRegroup(button);
      if (changes.isOpen() || isAsked) event.preventDefault();
      if (isAsked) return;
      if (changes.isOpen()) leaveWhenSaved(button);
      else isLeaving = true;
      return;
    }
    if (!button.value) return;
    event.preventDefault();
    if (button.value === "rename") changes.saveTitles();
    else press(button);
  });

  function press(/** @type {HTMLButtonElement} */ { value, textContent }) {
    const file = view.listSelected().map(getFile);
    const to = find(board, "[name=to]", HTMLSelectElement)?.value ?? "new";
    const title = find(board, "[name=to-title]", HTMLInputElement)?.value ?? "";
    const fields = { file, to, "to-title": title };
    const done = t("act_done", { act: textContent.trim() });
    // The button of a group goes away with it, maybe by the first of two clicks.
    const isOfGroup = value.includes("/");
    changes.add(() =>
      isOfGroup && !view.findButton(value) ? null : { act: value, fields, focus: file[0], done },
    );
  }

  /** Press a button when every change is saved: the import is of the board that the person sees. */
  async function leaveWhenSaved(/** @type {HTMLButtonElement} */ { id, value }) {
    const isSaved = await changes.settle();
    const button = id
      ? find(board, `#${CSS.escape(id)}`, HTMLButtonElement)
      : view.findButton(value);
    if (isSaved && button && !button.disabled) board.requestSubmit(button);
  }

  addEventListener("beforeunload", (event) => {
    if (!isLeaving && changes.wouldLose()) event.preventDefault();
  });
  addEventListener("pageshow", () => (isLeaving = false));

  // --- Regrouping ---

  const way = get(board, "#way", HTMLSelectElement);
  const group = get(board, "#way-group", HTMLInputElement);
  const showGroup = () => {
    const field = closest(group, "[data-for-existing]");
    if (field) field.hidden = way.value !== "existing";
  };
  way.addEventListener("change", showGroup);
  showGroup();
  group.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.isComposing) return;
    event.preventDefault();
    get(board, "#arrange").click();
  });

  /** Ask before another way of grouping discards the groups; return whether it is asked. */
  function askToRegroup(/** @type {HTMLButtonElement} */ button) {
    // The browser may have restored another choice than the one of the page.
    const before = [...way.options].find(({ defaultSelected }) => defaultSelected)?.value;
    if (way.value === before || way.value === button.dataset.agreed) return false;
    if (view.listBins().length < 2) return false;
    const question = { title: t("regroup_ask"), message: t("regroup_loss"), confirm: t("regroup") };
    confirmDialog(question).then((agreed) => {
      if (!agreed) return;
      button.dataset.agreed = way.value;
      board.requestSubmit(button);
    });
    return true;
  }
}

// --- Dragging ---

/** @import { BoardChanges } from "./board-changes.js" */
/** @typedef {{ bin: HTMLElement, before: ?HTMLElement }} Target `before` is null at the end */

/** Let cards be dragged into other groups, or to another place of theirs.
 * @param {HTMLFormElement} board @param {BoardView} view @param {BoardChanges} changes */
function makeDraggable(board, view, changes) {
  let dragged = /** @type {?string[]} */ (null);

  function mark(/** @type {?Target} */ target) {
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

/** @param {DragEvent} event @returns {?Target} */
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
