// The list of groups: selecting, moving, keys.

import { byId, closest, find, findAll, get } from "../dom.js";
import { say, t } from "../words.js";
import { onKey } from "./keys.js";
import "./library.js";
import { STEPS, makeSortable } from "./ordering.js";
import { countMoves, saveAll } from "./saver.js";
import { watchSelection } from "./selection.js";

const MAX_NAMED = 5;
/** @type {Record<string, number>} what keys move by in a grid, too */
const ACROSS = { ArrowLeft: -1, ArrowRight: 1 };

const form = find(document, "#library", HTMLFormElement);
if (form) setUp(form, byId("rows"));

function setUp(/** @type {HTMLFormElement} */ library, /** @type {HTMLElement} */ rows) {
  const label = byId("chosen-words");
  const whole = closest(label, "label");
  if (whole) whole.hidden = false;
  /** @param {HTMLElement} row */
  const getBox = (row) => get(row, "input[name=group]", HTMLInputElement);
  const getTitle = (/** @type {HTMLElement} */ row) => get(row, ".row-title");
  const listRows = () => findAll(rows, ".row");
  const update = watchSelection(library, "group", label, t("select_all"), tellEdited);

  /** Say what the fields for many groups are about. @param {number} count */
  function tellEdited(count, /** @type {boolean} */ isEverything) {
    const what = byId("bulk-what");
    const chosen = listRows().filter((row) => getBox(row).checked);
    const titles = chosen.slice(0, MAX_NAMED).map((row) => getTitle(row).textContent);
    const names = titles.map((name) => t("quoted", { name }));
    if (chosen.length > names.length) names.push("…");
    if (isEverything) what.textContent = t("edit_all");
    else what.textContent = count ? t("edit_some", { count, names: names.join(", ") }) : t("edit_none");
    what.hidden = false;
    what.classList.toggle("is-missing", !count && !isEverything);
    for (const field of findAll(library, ".bulk-fields :is(input, select)")) {
      /** @type {HTMLInputElement} */ (field).disabled = !count && !isEverything;
    }
  }

  const isGrid = rows.classList.contains("is-grid");
  let last = /** @type {?HTMLElement} */ (null);
  rows.addEventListener("click", (event) => {
    const row = closest(event.target, ".row");
    if (!row || event.target !== getBox(row)) return;
    if (event.shiftKey && last) {
      const all = listRows();
      const [from, to] = [all.indexOf(last), all.indexOf(row)].sort((a, b) => a - b);
      for (const one of all.slice(from, to + 1)) getBox(one).checked = getBox(row).checked;
      update();
    }
    last = row;
  });

  const { order } = library.dataset;
  const moveBy = order
    ? makeSortable(rows, {
        selector: ".row",
        url: order,
        isAcross: isGrid,
        describe(row, before) {
          const previous = /** @type {HTMLElement} */ (row.previousElementSibling);
          const near = (before ?? previous).dataset.group ?? "";
          return { group: row.dataset.group ?? "", [before ? "before" : "after"]: near };
        },
      })
    : null;
  if (moveBy) {
    library.addEventListener("submit", async (event) => {
      if (!countMoves()) return;
      event.preventDefault();
      await saveAll();
      library.requestSubmit(event.submitter);
    });
    rows.addEventListener("click", (event) => {
      const button = closest(event.target, ".row-order [data-step]", HTMLButtonElement);
      const row = closest(button, ".row");
      // At the edge of the page the form itself moves the group over it.
      if (!button || !row || !moveBy(row, Number(button.dataset.step))) return;
      event.preventDefault();
      button.focus();
    });
  }

  function moveOverEdge(/** @type {HTMLElement} */ row, /** @type {number} */ step) {
    if (!find(document, step < 0 ? "[rel=prev]" : "[rel=next]")) {
      say(t(step < 0 ? "already_first" : "already_last"));
      return;
    }
    get(row, `.row-order [data-step="${step}"]`).click();
  }

  rows.addEventListener("keydown", (event) => {
    const row = closest(event.target, ".row");
    if (!row || event.ctrlKey || event.metaKey) return;
    const focused = /** @type {HTMLElement} */ (event.target);
    const step = STEPS[event.key] ?? (isGrid ? ACROSS[event.key] : 0);
    if (step && event.altKey && moveBy) {
      event.preventDefault();
      if (moveBy(row, step)) focused.focus();
      else moveOverEdge(row, step);
    } else if (step && !event.altKey) {
      event.preventDefault();
      const other = listRows()[listRows().indexOf(row) + step];
      (other ? getTitle(other) : focused).focus();
    } else if (event.key === "Enter" && focused === getBox(row)) {
      event.preventDefault();
      getTitle(row).click();
    } else if (event.key === " " && focused === getTitle(row)) {
      event.preventDefault();
      getBox(row).click();
    }
  });
  // Enter on a checkbox sends no form.
  library.addEventListener("keydown", (event) => {
    const { target } = event;
    const isBox = target instanceof HTMLInputElement && target.type === "checkbox";
    if (event.key === "Enter" && isBox) event.preventDefault();
  });
  // Whoever moved a group over the edge of a page can go on moving it. Until the page is shown, the
  // browser moves the focus to where the address leads.
  addEventListener("pageshow", ({ persisted }) => {
    if (persisted || !/^#group-[0-9]+$/.test(location.hash)) return;
    find(rows, `${location.hash} .row-title`)?.focus();
  });
  onKey("a", () => byId("choose-all").click());
  onKey("Delete", () => find(library, "[data-act=delete]:not(:disabled)")?.click());
  onKey("ArrowDown", () => find(rows, ".row-title")?.focus());
  const sort = find(document, "select[data-submits]", HTMLSelectElement);
  sort?.addEventListener("change", () => sort.form?.requestSubmit());
}
