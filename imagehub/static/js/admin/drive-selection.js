// What of the open folder is selected: by ticks, by ranges, by keys; and where the focus goes.

import { byId, closest, findAll, getFocused, isModified, make } from "../dom.js";
import { t } from "../words.js";
import { onKey } from "./keys.js";

/** @import { Acts } from "./drive-acts.js" */
/** @import { OpenFolder } from "./drive-folder.js" */

const PAGE_ROWS = 10;

const all = byId("choose-all", HTMLInputElement);

export class Selection {
  #folder;
  #list;
  #acts;
  #open;
  /** Id of the item that a range begins with. */
  #anchor = "";
  #wishCount = 0;
  /** @type {?string} the folder that is to be selected as a whole, while it is still being read */
  #wishedIn = null;

  /** @param {OpenFolder} folder @param {Acts} acts @param {(row: Item) => void} open */
  constructor(folder, acts, open) {
    this.#folder = folder;
    this.#list = folder.list;
    this.#acts = acts;
    this.#open = open;
    for (const kind of ["open", "arrange"]) {
      folder.addEventListener(kind, () => (this.#anchor = ""));
    }
    folder.addEventListener("draw", () => this.#draw());
    all.addEventListener("change", () => this.selectAll(all.checked));
    byId("entries").addEventListener("click", (event) => this.#click(event));
    byId("entries").addEventListener("keydown", (event) => this.#press(event));
    onKey("ArrowDown", () => this.#list.focus(Math.max(0, this.#list.findFocused())));
    onKey("x", () => {
      const place = this.#list.findFocused();
      if (place >= 0) this.#toggle(place, false);
    });
    const isPart = () => this.#list.selected.size < this.#list.rows.length || !folder.isWhole;
    onKey("a", () => this.selectAll(isPart()));
    onKey("Escape", () => this.selectAll(false));
  }

  /**
   * Select items that were ticked before this script ran, or before the person came back.
   * @param {string[]} ids
   */
  takeTicks(ids) {
    const { selected } = this.#list;
    const fresh = ids.filter((id) => this.#folder.items.has(id) && !selected.has(id));
    for (const id of fresh) this.#list.select(id, true);
    if (fresh.length) this.#draw();
  }

  /** Return what a command acts on: the selection, else the item with the focus. */
  getSubjects() {
    const { rows, selected } = this.#list;
    const found = selected.size
      ? [...selected].map((id) => this.#folder.items.get(id))
      : [rows[this.#list.findFocused()]];
    return found.filter((item) => item !== undefined);
  }

  /** @param {boolean} isSelected */
  async selectAll(isSelected) {
    const number = ++this.#wishCount;
    this.#wishedIn = isSelected ? this.#folder.id : null;
    const isRead = !isSelected || (await this.#folder.loadAll());
    if (number !== this.#wishCount) return;
    this.#wishedIn = null;
    if (isRead) {
      this.#list.selected.clear();
      if (isSelected) for (const { id } of this.#list.rows) this.#list.selected.add(id);
      this.#list.redrawSelected();
    }
    this.#draw();
  }

  /**
   * Add the selection to a form: the list has boxes only for the rows near the window.
   * @param {HTMLFormElement} form
   */
  carryInto(form) {
    for (const field of findAll(form, "[data-carried]")) field.remove();
    const { isWhole, isFiltered } = this.#folder;
    const { rows, selected } = this.#list;
    // The folder says the same as thousands of ids.
    const isAll = isWhole && !isFiltered && selected.size === rows.length;
    const values = isAll ? ["yes"] : [...selected].filter((id) => !this.#list.getElement(id));
    for (const value of values) {
      const field = make("input", { type: "hidden", name: isAll ? "all" : "item", value });
      field.dataset.carried = "yes";
      form.append(field);
    }
  }

  #draw() {
    const { rows, selected } = this.#list;
    const count = selected.size;
    const isWhole = count > 0 && rows.every(({ id }) => selected.has(id));
    all.checked = isWhole || this.#wishedIn === this.#folder.id;
    all.indeterminate = count > 0 && !all.checked;
    byId("chosen-words").textContent = count ? t("selected", { count }) : t("select_all");
    document.body.classList.toggle("has-chosen", count > 0);
    const bar = byId("chosen");
    bar.hidden = !this.#folder.items.size;
    for (const button of findAll(bar, "[data-act]")) {
      button.hidden = !count || (button.dataset.act === "rename" && count !== 1);
    }
  }

  /** @param {number} place @param {boolean} isRange */
  #toggle(place, isRange) {
    this.#select(place, !this.#list.selected.has(this.#list.rows[place].id), isRange);
  }

  /** @param {number} place @param {boolean} isSelected @param {boolean} isRange */
  #select(place, isSelected, isRange) {
    const { rows } = this.#list;
    const anchor = this.#list.findPlace(this.#anchor);
    const start = isRange && anchor >= 0 ? anchor : place;
    const [from, to] = [start, place].sort((one, other) => one - other);
    for (const { id } of rows.slice(from, to + 1)) this.#list.select(id, isSelected);
    this.#anchor = rows[place].id;
    this.#draw();
  }

  /** @param {MouseEvent} event */
  #click(event) {
    const { target } = event;
    const place = this.#list.findPlace(closest(target, ".item")?.dataset.id ?? "");
    const row = this.#list.rows[place];
    if (!row) return;
    if (target instanceof HTMLInputElement && target.matches(".item-check input")) {
      this.#select(place, target.checked, event.shiftKey);
    } else if (closest(target, ".item-rename")) {
      this.#acts.rename(row);
    } else if (closest(target, ".item-name, .item-picture") && !closest(target, ".item-edit")) {
      if (isModified(event)) return;
      event.preventDefault();
      this.#open(row);
    }
  }

  /** @param {KeyboardEvent} event */
  #press(event) {
    const { key, target, altKey, ctrlKey, metaKey } = event;
    const place = this.#list.findFocused();
    if (closest(target, ".item-edit") || altKey || ctrlKey || metaKey || place < 0) return;
    const { rows } = this.#list;
    const goal = this.#findGoal(key, place);
    if (goal !== null) this.#moveTo(goal, place, event.shiftKey);
    else if (key === "End") this.#moveToEnd();
    else if (key === " " && closest(target, ".item-name")) this.#toggle(place, event.shiftKey);
    else if (key === "F2") this.#acts.rename(rows[place]);
    else if (key === "Delete") this.#acts.remove(this.getSubjects());
    else return;
    event.preventDefault();
  }

  // Return the place that a key leads to; null where it leads to none yet.
  /** @param {string} key @param {number} place */
  #findGoal(key, place) {
    const { columns, isGrid, rows } = this.#list;
    const last = rows.length - 1;
    if (key === "Home") return 0;
    if (key === "End") return this.#folder.isWhole ? last : null;
    /** @type {Record<string, number>} */
    const steps = {
      ArrowDown: columns,
      ArrowUp: -columns,
      PageDown: PAGE_ROWS * columns,
      PageUp: -PAGE_ROWS * columns,
      ...(isGrid ? { ArrowRight: 1, ArrowLeft: -1 } : {}),
    };
    return key in steps ? Math.min(Math.max(place + steps[key], 0), last) : null;
  }

  /** @param {number} goal @param {number} place @param {boolean} isRange */
  #moveTo(goal, place, isRange) {
    if (isRange) {
      if (this.#list.findPlace(this.#anchor) < 0) this.#anchor = this.#list.rows[place].id;
      const anchor = this.#anchor;
      this.#select(goal, true, true);
      this.#anchor = anchor;
    }
    this.#list.focus(goal);
  }

  /** Read the rest of the folder, and move to its last item if the focus is still here then. */
  async #moveToEnd() {
    const before = getFocused();
    const isRead = await this.#folder.loadAll();
    const isHere = [before, document.body].includes(getFocused());
    if (isRead && isHere) this.#list.focus(this.#list.rows.length - 1);
  }
}
