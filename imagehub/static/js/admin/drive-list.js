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

export class DriveList {
  rows = /** @type {Item[]} */ ([]);
  /** @type {Set<string>} ids */
  selected = new Set();
  columns = 1;
  onNearEnd = () => {};

  #drawn = /** @type {Map<string, { element: HTMLElement, item: Item }>} */ (new Map());
  #rowPx = 0;
  #frame = 0;
  // What the server drew stays until it is known what is to be shown.
  #isKnown = false;

  constructor() {
    const drawSoon = () => {
      cancelAnimationFrame(this.#frame);
      this.#frame = requestAnimationFrame(() => this.#draw());
    };
    addEventListener("scroll", drawSoon, { passive: true });
    new ResizeObserver(() => {
      this.#rowPx = 0;
      drawSoon();
    }).observe(list.parentElement ?? list);
  }

  get isGrid() {
    return list.classList.contains("is-grid");
  }

  /** @param {string} view "grid" or "list" */
  setView(view) {
    list.classList.toggle("is-grid", view === "grid");
    list.classList.toggle("is-list", view !== "grid");
    this.#rowPx = 0;
    this.#draw();
  }

  /** Show items; a row is drawn again only if its item is another object. @param {Item[]} rows */
  setRows(rows) {
    this.rows = rows;
    this.#isKnown = true;
    this.#draw();
  }

  /** @param {string} id @param {boolean} isSelected */
  select(id, isSelected) {
    if (isSelected) this.selected.add(id);
    else this.selected.delete(id);
    const drawn = this.#drawn.get(id);
    if (drawn) getBox(drawn.element).checked = isSelected;
  }

  redrawSelected() {
    for (const [id, { element }] of this.#drawn) getBox(element).checked = this.selected.has(id);
  }

  /** Return the place of an item among the rows, or -1. @param {string} id */
  findPlace(id) {
    return this.rows.findIndex((row) => row.id === id);
  }

  /** @param {string} id */
  getElement(id) {
    return this.#drawn.get(id)?.element ?? null;
  }

  /** Scroll to a row, and give it the focus. @param {number} place */
  focus(place) {
    const row = this.rows[place];
    if (!row) return;
    if (!this.#drawn.has(row.id)) {
      const top = list.getBoundingClientRect().top + scrollY;
      scrollTo({ top: top + Math.floor(place / this.columns) * this.#rowPx - innerHeight / 2 });
      this.#draw();
    }
    const element = this.getElement(row.id);
    if (!element) return;
    find(element, ".item-name")?.focus({ preventScroll: true });
    element.scrollIntoView({ block: "nearest" });
  }

  /** Return the place of the row that has the focus, or -1. */
  findFocused() {
    return this.findPlace(closest(document.activeElement, ".item")?.dataset.id ?? "");
  }

  #measure() {
    const style = getComputedStyle(list);
    this.columns = this.isGrid ? style.gridTemplateColumns.split(" ").length : 1;
    const { height } = get(list, ".item").getBoundingClientRect();
    this.#rowPx = height + (Number.parseFloat(style.rowGap) || 0);
  }

  #draw() {
    const count = this.rows.length;
    if (!this.#isKnown) return;
    if (!count) {
      this.#place(0, 0);
      this.#pad(0, 0);
      return;
    }
    if (!find(list, ".item")) this.#place(0, 1);
    if (!this.#rowPx) this.#measure();
    if (!this.#rowPx) return;
    let first = 0;
    let last = count;
    if (count > MAX_WHOLE) {
      const top = -list.getBoundingClientRect().top;
      first = Math.floor((top - MARGIN_PX) / this.#rowPx) * this.columns;
      last = Math.ceil((top + innerHeight + MARGIN_PX) / this.#rowPx) * this.columns;
      first = Math.min(Math.max(0, first), Math.max(0, count - this.columns));
      last = Math.min(count, Math.max(last, first + this.columns));
    }
    this.#place(first, last);
    const rowsBelow = Math.ceil((count - last) / this.columns);
    this.#pad((first / this.columns) * this.#rowPx, rowsBelow * this.#rowPx);
    if (last >= count) this.onNearEnd();
  }

  /** @param {number} above pixels @param {number} below */
  #pad(above, below) {
    list.style.paddingBlockStart = above ? `${above}px` : "";
    list.style.paddingBlockEnd = below ? `${below}px` : "";
  }

  /** Put the rows of these places into the page, and no others.
   * @param {number} first @param {number} last place behind the last row */
  #place(first, last) {
    const wanted = this.rows.slice(first, last);
    const focused = getFocused();
    const focusedRow = list.contains(focused) ? closest(focused, ".item") : null;
    this.#removeOthers(new Map(wanted.map((item) => [item.id, item])));
    let before = /** @type {?ChildNode} */ (null);
    for (const [offset, item] of wanted.entries()) {
      const { element } = this.#drawn.get(item.id) ?? this.#make(item);
      setAttribute(element, "aria-setsize", this.rows.length);
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
    const row = this.getElement(focusedRow.dataset.id ?? "");
    if (row) find(row, part)?.focus({ preventScroll: true });
  }

  /** @param {Map<string, Item>} wanted */
  #removeOthers(wanted) {
    for (const [id, { element, item }] of this.#drawn) {
      const row = wanted.get(id);
      if (row === item) continue;
      // Somebody is writing a name in it.
      const isEdited = element.contains(document.activeElement) && find(element, ".item-edit");
      if (row && isEdited) continue;
      element.remove();
      this.#drawn.delete(id);
    }
    // What the server drew is replaced by the same.
    for (const element of findAll(list, ":scope > *")) {
      if (this.#drawn.get(element.dataset.id ?? "")?.element !== element) element.remove();
    }
  }

  /** @param {Item} item */
  #make(item) {
    const element = get(document.importNode(template.content, true), ".item");
    element.dataset.id = item.id;
    element.draggable = true;
    element.classList.toggle("is-folder", item.is_folder);
    const box = getBox(element);
    box.value = item.id;
    box.checked = this.selected.has(item.id);
    box.setAttribute("aria-label", t("select_item", { name: item.name }));
    const name = get(element, ".item-name", HTMLAnchorElement);
    name.textContent = item.name;
    name.href = item.url || (item.thumb ? `${item.thumb}&size=large` : item.web) || "#";
    const rename = get(element, ".item-rename");
    rename.hidden = false;
    rename.setAttribute("aria-label", t("rename_item", { name: item.name }));
    this.#fillPicture(get(element, ".item-picture"), item);
    const facts = get(element, ".item-facts");
    const { is_folder: isFolder, count, size, modified } = item;
    facts.textContent = isFolder ? t("items", { count }) : formatSize(size);
    const day = formatDay(modified);
    if (day) facts.append(" · ", make("time", { dateTime: modified }, day));
    get(element, ".item-hub").replaceChildren(...describeImport(item));
    const drawn = { element, item };
    this.#drawn.set(item.id, drawn);
    return drawn;
  }

  /** @param {HTMLElement} frame @param {Item} item */
  #fillPicture(frame, { thumb, is_folder: isFolder }) {
    frame.replaceChildren(icon(isFolder ? "folder" : "file-image"));
    if (!thumb) return;
    const picture = make("img", { alt: "", loading: "lazy", decoding: "async" });
    picture.sizes = "(min-width: 700px) 176px, 45vw";
    picture.addEventListener("error", () => picture.remove());
    if (this.isGrid) picture.srcset = `${thumb} 176w, ${thumb}&size=large 800w`;
    picture.src = thumb;
    frame.prepend(picture);
  }
}

/** @param {HTMLElement} element */
const getBox = (element) => get(element, "input", HTMLInputElement);

/** Set an attribute where it differs: setting it always would make the browser compute all styles.
 * @param {Element} element @param {string} name @param {number} value */
function setAttribute(element, name, value) {
  if (element.getAttribute(name) !== String(value)) element.setAttribute(name, String(value));
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
