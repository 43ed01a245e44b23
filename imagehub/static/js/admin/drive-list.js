// The list or grid of a folder. Of thousands of items only those near the window are in the page.

import { byId, closest, find, findAll, get, getFocused, icon, make } from "../dom.js";
import { t } from "../words.js";
import { formatDay, formatSize } from "./format.js";

// Shorter lists are in the page as a whole.
const MAX_WHOLE = 150;
const MARGIN_PX = 1200;
const MAX_MARKS = 2;
// The parts of a row that can hold the focus.
const PARTS = [".item-check input", ".item-rename", ".item-name"];

const list = byId("entries");
const template = byId("entry", HTMLTemplateElement);

export let rows = /** @type {Item[]} */ ([]);
/** @type {Set<string>} ids */
export const selected = new Set();
export let columns = 1;

const drawn = /** @type {Map<string, { element: HTMLElement, item: Item }>} */ (new Map());
let rowPx = 0;
let request = 0;
// What the server drew stays until it is known what is to be shown.
let isKnown = false;
let onNearEnd = () => {};

/** Call `act` when the end of the list is near the window. @param {() => void} act */
export const whenNearEnd = (act) => (onNearEnd = act);

function drawSoon() {
  cancelAnimationFrame(request);
  request = requestAnimationFrame(draw);
}

addEventListener("scroll", drawSoon, { passive: true });
new ResizeObserver(() => {
  rowPx = 0;
  drawSoon();
}).observe(list.parentElement ?? list);

export const isGrid = () => list.classList.contains("is-grid");

/** @param {string} view "grid" or "list" */
export function setView(view) {
  list.classList.toggle("is-grid", view === "grid");
  list.classList.toggle("is-list", view !== "grid");
  rowPx = 0;
  draw();
}

/** Show items; a row is drawn again only if its item is another object. @param {Item[]} items */
export function setRows(items) {
  rows = items;
  isKnown = true;
  draw();
}

export function select(/** @type {string} */ id, /** @type {boolean} */ isSelected) {
  if (isSelected) selected.add(id);
  else selected.delete(id);
  const element = getElement(id);
  if (element) getBox(element).checked = isSelected;
}

export function redrawSelected() {
  for (const [id, { element }] of drawn) getBox(element).checked = selected.has(id);
}

/** Return the place of an item among the rows, or -1. @param {string} id */
export const findPlace = (id) => rows.findIndex((row) => row.id === id);

export const getElement = (/** @type {string} */ id) => drawn.get(id)?.element ?? null;

/** Scroll to a row, and give it the focus. @param {number} place */
export function focus(place) {
  const row = rows[place];
  if (!row) return;
  if (!drawn.has(row.id)) {
    const top = list.getBoundingClientRect().top + scrollY;
    scrollTo({ top: top + Math.floor(place / columns) * rowPx - innerHeight / 2 });
    draw();
  }
  const element = getElement(row.id);
  if (!element) return;
  find(element, ".item-name")?.focus({ preventScroll: true });
  element.scrollIntoView({ block: "nearest" });
}

/** Return the place of the row that has the focus, or -1. */
export const findFocused = () =>
  findPlace(closest(document.activeElement, ".item")?.dataset.id ?? "");

function measure() {
  const style = getComputedStyle(list);
  columns = isGrid() ? style.gridTemplateColumns.split(" ").length : 1;
  const { height } = get(list, ".item").getBoundingClientRect();
  rowPx = height + (Number.parseFloat(style.rowGap) || 0);
}

function draw() {
  const count = rows.length;
  if (!isKnown) return;
  if (!count) {
    placeRows(0, 0);
    pad(0, 0);
    return;
  }
  if (!find(list, ".item")) placeRows(0, 1);
  if (!rowPx) measure();
  if (!rowPx) return;
  let first = 0;
  let last = count;
  if (count > MAX_WHOLE) {
    const top = -list.getBoundingClientRect().top;
    first = Math.floor((top - MARGIN_PX) / rowPx) * columns;
    last = Math.ceil((top + innerHeight + MARGIN_PX) / rowPx) * columns;
    first = Math.min(Math.max(0, first), Math.max(0, count - columns));
    last = Math.min(count, Math.max(last, first + columns));
  }
  placeRows(first, last);
  const rowsBelow = Math.ceil((count - last) / columns);
  pad((first / columns) * rowPx, rowsBelow * rowPx);
  if (last >= count) onNearEnd();
}

/** @param {number} above pixels @param {number} below */
function pad(above, below) {
  list.style.paddingBlockStart = above ? `${above}px` : "";
  list.style.paddingBlockEnd = below ? `${below}px` : "";
}

/** Put the rows of these places into the page, and no others.
 * @param {number} first @param {number} last place behind the last row */
function placeRows(first, last) {
  const wanted = rows.slice(first, last);
  const focused = getFocused();
  const focusedRow = list.contains(focused) ? closest(focused, ".item") : null;
  removeOthers(new Map(wanted.map((item) => [item.id, item])));
  let before = /** @type {?ChildNode} */ (null);
  for (const [offset, item] of wanted.entries()) {
    const { element } = drawn.get(item.id) ?? makeRow(item);
    setAttribute(element, "aria-setsize", rows.length);
    setAttribute(element, "aria-posinset", first + offset + 1);
    /** @type {?ChildNode} */
    let place = before ? before.nextSibling : list.firstChild;
    // A row that moves loses the focus, so the others move around the one that has it.
    while (place && element === focusedRow && place !== element) {
      const other = place;
      place = place.nextSibling;
      list.append(other);
    }
    if (place !== element) list.insertBefore(element, place);
    before = element;
  }
  if (!focusedRow || focusedRow.isConnected) return;
  const part = PARTS.find((one) => focused.matches(one)) ?? ".item-name";
  const row = getElement(focusedRow.dataset.id ?? "");
  if (row) find(row, part)?.focus({ preventScroll: true });
}

function removeOthers(/** @type {Map<string, Item>} */ wanted) {
  for (const [id, { element, item }] of drawn) {
    const row = wanted.get(id);
    if (row === item) continue;
    // Somebody is writing a name in it.
    const isEdited = element.contains(document.activeElement) && find(element, ".item-edit");
    if (row && isEdited) continue;
    element.remove();
    drawn.delete(id);
  }
  // What the server drew is replaced by the same.
  for (const element of findAll(list, ":scope > *")) {
    if (drawn.get(element.dataset.id ?? "")?.element !== element) element.remove();
  }
}

function makeRow(/** @type {Item} */ item) {
  const element = get(document.importNode(template.content, true), ".item");
  element.dataset.id = item.id;
  element.draggable = true;
  element.classList.toggle("is-folder", item.is_folder);
  const box = getBox(element);
  box.value = item.id;
  box.checked = selected.has(item.id);
  box.setAttribute("aria-label", t("select_item", { name: item.name }));
  const name = get(element, ".item-name", HTMLAnchorElement);
  name.textContent = item.name;
  name.href = item.url || (item.thumb ? `${item.thumb}&size=large` : item.web) || "#";
  const rename = get(element, ".item-rename");
  rename.hidden = false;
  rename.setAttribute("aria-label", t("rename_item", { name: item.name }));
  fillPicture(get(element, ".item-picture"), item);
  const facts = get(element, ".item-facts");
  const { is_folder: isFolder, count, size, modified } = item;
  facts.textContent = isFolder ? t("items", { count }) : formatSize(size);
  const day = formatDay(modified);
  if (day) facts.append(" · ", make("time", { dateTime: modified }, day));
  get(element, ".item-hub").replaceChildren(...describeImport(item), ...offerFile(item));
  const row = { element, item };
  drawn.set(item.id, row);
  return row;
}

/** @param {HTMLElement} frame @param {Item} item */
function fillPicture(frame, { thumb, is_folder: isFolder }) {
  frame.replaceChildren(icon(isFolder ? "folder" : "file-image"));
  if (!thumb) return;
  const picture = make("img", { alt: "", loading: "lazy", decoding: "async" });
  picture.sizes = "(min-width: 700px) 176px, 45vw";
  picture.addEventListener("error", () => picture.remove());
  if (isGrid()) picture.srcset = `${thumb} 176w, ${thumb}&size=large 800w`;
  picture.src = thumb;
  frame.prepend(picture);
}

const getBox = (/** @type {HTMLElement} */ element) => get(element, "input", HTMLInputElement);

/** Set an attribute where it differs: setting it always would make the browser compute all styles.
 * @param {Element} element @param {string} name @param {number} value */
function setAttribute(element, name, value) {
  if (element.getAttribute(name) !== String(value)) element.setAttribute(name, String(value));
}

/** Offer a file that is in the place of a missing original. @param {Item} item */
function offerFile({ id, offers }) {
  if (!offers.length) return [];
  const use = make("button", { className: "plain small", name: "use", value: id });
  use.textContent = t("use_file");
  use.title = t("use_file_hint");
  use.setAttribute("formaction", list.dataset.useFile ?? "");
  use.dataset.act = "use-file";
  const [{ title, url, number }] = offers;
  return [" ", use, " ", make("a", { href: `${url}#shot-${number}`, dir: "auto" }, title)];
}

/** Show whether an item is imported, and into which groups. @param {Item} item */
export function describeImport({ state, marks }) {
  if (!marks.length) return [];
  const isChanged = state === "changed";
  const symbol = icon(isChanged ? "refresh-cw" : "circle-check");
  const words = ` ${t(isChanged ? "changed_since_import" : "imported")}`;
  /** @type {(Node | string)[]} */
  const parts = [make("span", { className: `mark is-${state}` }, symbol, words)];
  for (const { title, url } of marks.slice(0, MAX_MARKS)) {
    const properties = { dir: "auto", textContent: title };
    parts.push(" ", url ? make("a", { href: url, ...properties }) : make("span", properties));
  }
  const count = marks.length - MAX_MARKS;
  if (count > 0) parts.push(` ${t("and_more", { count })}`);
  return parts;
}
