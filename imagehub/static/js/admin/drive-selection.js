// What of the open folder is selected: by ticks, by ranges, by keys; and where the focus goes.

import { byId, closest, findAll, getFocused, isModified, make } from "../dom.js";
import { t } from "../words.js";
import { remove, rename } from "./drive-acts.js";
import * as folder from "./drive-folder.js";
import * as list from "./drive-list.js";
import { showPreview } from "./drive-preview.js";
import { onKey } from "./keys.js";

const PAGE_ROWS = 10;

const all = byId("choose-all", HTMLInputElement);

/** Id of the item that a range begins with. */
let anchor = "";
let wishCount = 0;
/** @type {?string} the folder that is to be selected as a whole, while it is still being read */
let wishedIn = null;

for (const kind of ["open", "arrange"]) folder.events.addEventListener(kind, () => (anchor = ""));
folder.events.addEventListener("draw", draw);
all.addEventListener("change", () => selectAll(all.checked));
onKey("ArrowDown", () => list.focus(Math.max(0, list.findFocused())));
onKey("x", () => {
  const place = list.findFocused();
  if (place >= 0) toggle(place, false);
});
const isPart = () => list.selected.size < list.rows.length || !folder.isWhole();
onKey("a", () => selectAll(isPart()));
onKey("Escape", () => selectAll(false));

function open(/** @type {Item} */ row) {
  if (row.is_folder) folder.goTo(row.url);
  else if (row.thumb) showPreview(row);
  else if (row.web) window.open(row.web, "_blank", "noopener");
}

/** Select items that were ticked before this script ran, or before the person came back. */
export function takeTicks(/** @type {string[]} */ ids) {
  const { selected } = list;
  const fresh = ids.filter((id) => folder.items.has(id) && !selected.has(id));
  for (const id of fresh) list.select(id, true);
  if (fresh.length) draw();
}

/** Return what a command acts on: the selection, else the item with the focus. */
export function getSubjects() {
  const { rows, selected } = list;
  const found = selected.size
    ? [...selected].map((id) => folder.items.get(id))
    : [rows[list.findFocused()]];
  return found.filter((item) => item !== undefined);
}

async function selectAll(/** @type {boolean} */ isSelected) {
  const number = ++wishCount;
  wishedIn = isSelected ? folder.facts.id : null;
  const isRead = !isSelected || (await folder.loadAll());
  if (number !== wishCount) return;
  wishedIn = null;
  if (isRead) {
    list.selected.clear();
    if (isSelected) for (const { id } of list.rows) list.selected.add(id);
    list.redrawSelected();
  }
  draw();
}

/** Add the selection to a form: the list has boxes only for the rows near the window. */
export function carryInto(/** @type {HTMLFormElement} */ form) {
  for (const field of findAll(form, "[data-carried]")) field.remove();
  const { rows, selected } = list;
  // The folder says the same as thousands of ids.
  const isAll = folder.isWhole() && !folder.isFiltered() && selected.size === rows.length;
  const values = isAll ? ["yes"] : [...selected].filter((id) => !list.getElement(id));
  for (const value of values) {
    const field = make("input", { type: "hidden", name: isAll ? "all" : "item", value });
    field.dataset.carried = "yes";
    form.append(field);
  }
}

function draw() {
  const { rows, selected } = list;
  const count = selected.size;
  const isWhole = count > 0 && rows.every(({ id }) => selected.has(id));
  all.checked = isWhole || wishedIn === folder.facts.id;
  all.indeterminate = count > 0 && !all.checked;
  byId("chosen-words").textContent = count ? t("selected", { count }) : t("select_all");
  document.body.classList.toggle("has-chosen", count > 0);
  const bar = byId("chosen");
  bar.hidden = !folder.items.size;
  for (const button of findAll(bar, "[data-act]")) {
    button.hidden = !count || (button.dataset.act === "rename" && count !== 1);
  }
}

function toggle(/** @type {number} */ place, /** @type {boolean} */ isRange) {
  select(place, !list.selected.has(list.rows[place].id), isRange);
}

/** @param {number} place @param {boolean} isSelected @param {boolean} isRange */
function select(place, isSelected, isRange) {
  const { rows } = list;
  const begin = list.findPlace(anchor);
  const start = isRange && begin >= 0 ? begin : place;
  const [from, to] = [start, place].sort((one, other) => one - other);
  for (const { id } of rows.slice(from, to + 1)) list.select(id, isSelected);
  anchor = rows[place].id;
  draw();
}

byId("entries").addEventListener("click", (event) => {
  const { target } = event;
  const place = list.findPlace(closest(target, ".item")?.dataset.id ?? "");
  const row = list.rows[place];
  if (!row) return;
  if (target instanceof HTMLInputElement && target.matches(".item-check input")) {
    select(place, target.checked, event.shiftKey);
  } else if (closest(target, ".item-rename")) {
    rename(row);
  } else if (closest(target, ".item-name, .item-picture") && !closest(target, ".item-edit")) {
    if (isModified(event)) return;
    event.preventDefault();
    open(row);
  }
});
byId("entries").addEventListener("keydown", (event) => {
  const { key, target, altKey, ctrlKey, metaKey } = event;
  const place = list.findFocused();
  if (closest(target, ".item-edit") || altKey || ctrlKey || metaKey || place < 0) return;
  const { rows } = list;
  const goal = findGoal(key, place);
  if (goal !== null) moveTo(goal, place, event.shiftKey);
  else if (key === "End") moveToEnd();
  else if (key === " " && closest(target, ".item-name")) toggle(place, event.shiftKey);
  else if (key === "F2") rename(rows[place]);
  else if (key === "Delete") remove(getSubjects());
  else return;
  event.preventDefault();
});

/** Return the place that a key leads to; null where it leads to none yet. */
function findGoal(/** @type {string} */ key, /** @type {number} */ place) {
  const { columns, rows } = list;
  const last = rows.length - 1;
  if (key === "Home") return 0;
  if (key === "End") return folder.isWhole() ? last : null;
  /** @type {Record<string, number>} */
  const steps = {
    ArrowDown: columns,
    ArrowUp: -columns,
    PageDown: PAGE_ROWS * columns,
    PageUp: -PAGE_ROWS * columns,
    ...(list.isGrid() ? { ArrowRight: 1, ArrowLeft: -1 } : {}),
  };
  return key in steps ? Math.min(Math.max(place + steps[key], 0), last) : null;
}

/** @param {number} goal @param {number} place @param {boolean} isRange */
function moveTo(goal, place, isRange) {
  if (isRange) {
    if (list.findPlace(anchor) < 0) anchor = list.rows[place].id;
    const begin = anchor;
    select(goal, true, true);
    anchor = begin;
  }
  list.focus(goal);
}

/** Read the rest of the folder, and move to its last item if the focus is still here then. */
async function moveToEnd() {
  const before = getFocused();
  const isRead = await folder.loadAll();
  const isHere = [before, document.body].includes(getFocused());
  if (isRead && isHere) list.focus(list.rows.length - 1);
}
