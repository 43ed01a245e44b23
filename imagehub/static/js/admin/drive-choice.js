// What of the open folder is chosen: by ticks, by ranges, by keys; and where the focus goes.

import { onKey } from "./common.js";
import { isPlainClick } from "./drive-folder.js";

const $ = (id) => document.getElementById(id);

export class Choice {
  #folder;
  #list;
  // The id of the item that a range begins with.
  #anchor = "";
  #wishCount = 0;
  // The folder in which all is wished for, while the rest of it is still being read.
  #wishedIn = null;

  // `acts`: open(row), rename(row), remove(rows).
  constructor(folder, acts) {
    this.#folder = folder;
    this.#list = folder.list;
    for (const kind of ["open", "arrange"]) {
      folder.addEventListener(kind, () => {
        this.#anchor = "";
      });
    }
    folder.addEventListener("draw", () => this.#draw());
    $("choose-all").addEventListener("change", (event) => this.chooseAll(event.target.checked));
    $("entries").addEventListener("click", (event) => this.#click(event, acts));
    $("entries").addEventListener("keydown", (event) => this.#press(event, acts));
    onKey("ArrowDown", () => {
      if (this.#list.rows.length) this.#list.focus(Math.max(0, this.#list.findFocused()));
    });
    onKey("x", () => {
      const place = this.#list.findFocused();
      if (place >= 0) this.#toggle(place);
    });
    onKey("a", () =>
      this.chooseAll(this.#list.chosen.size < this.#list.rows.length || !folder.isWhole));
    onKey("Escape", () => this.chooseAll(false));
  }

  // Ticks of before the script was there, or before the person came back, hold.
  takeTicks(ids) {
    let hasNew = false;
    for (const id of ids) {
      if (!this.#folder.items.has(id) || this.#list.chosen.has(id)) continue;
      this.#list.setChosen(id, true);
      hasNew = true;
    }
    if (hasNew) this.#draw();
  }

  // What a command is about: what is chosen, else the item with the focus.
  getSubjects() {
    if (this.#list.chosen.size) {
      return [...this.#list.chosen].map((id) => this.#folder.items.get(id)).filter(Boolean);
    }
    const row = this.#list.rows[this.#list.findFocused()];
    return row ? [row] : [];
  }

  async chooseAll(isChosen) {
    const number = ++this.#wishCount;
    this.#wishedIn = isChosen ? this.#folder.id : null;
    const isThere = !isChosen || (await this.#folder.loadAll());
    if (number !== this.#wishCount) return;
    this.#wishedIn = null;
    if (isThere) {
      this.#list.chosen.clear();
      if (isChosen) for (const { id } of this.#list.rows) this.#list.chosen.add(id);
      this.#list.redrawChosen();
    }
    this.#draw();
  }

  // The list holds boxes only for what is near the window; a form that is sent needs them all.
  carryInto(form) {
    for (const field of form.querySelectorAll("[data-carried]")) field.remove();
    const carry = (name, value) => {
      const field = document.createElement("input");
      Object.assign(field, { type: "hidden", name, value });
      field.dataset.carried = "yes";
      form.append(field);
    };
    const { isWhole, isFiltered } = this.#folder;
    // The folder says the same as thousands of ids.
    if (isWhole && !isFiltered && this.#list.chosen.size === this.#list.rows.length) {
      carry("all", "yes");
      return;
    }
    for (const id of this.#list.chosen) if (!this.#list.getElement(id)) carry("item", id);
  }

  #draw() {
    const count = this.#list.chosen.size;
    const all = $("choose-all");
    all.checked =
      this.#wishedIn === this.#folder.id ||
      (count > 0 && this.#list.rows.every(({ id }) => this.#list.chosen.has(id)));
    all.indeterminate = count > 0 && !all.checked;
    $("chosen-words").textContent = count ? `${count.toLocaleString("en")} chosen` : "Choose all";
    document.body.classList.toggle("has-chosen", count > 0);
    $("chosen").hidden = !this.#folder.items.size;
    for (const button of $("chosen").querySelectorAll("[data-act]")) {
      button.hidden = !count || (button.dataset.act === "rename" && count !== 1);
    }
  }

  #toggle(place, isRange = false) {
    this.#choose(place, !this.#list.chosen.has(this.#list.rows[place].id), isRange);
  }

  #choose(place, isChosen, isRange) {
    const anchor = this.#list.findPlace(this.#anchor);
    if (isRange && anchor >= 0) {
      const [from, to] = [anchor, place].sort((one, other) => one - other);
      for (const { id } of this.#list.rows.slice(from, to + 1)) this.#list.setChosen(id, isChosen);
    } else {
      this.#list.setChosen(this.#list.rows[place].id, isChosen);
    }
    this.#anchor = this.#list.rows[place].id;
    this.#draw();
  }

  #click(event, acts) {
    const element = event.target.closest(".item");
    if (!element) return;
    const place = this.#list.findPlace(element.dataset.id);
    const row = this.#list.rows[place];
    if (!row) return;
    if (event.target.matches(".item-check input")) {
      this.#choose(place, event.target.checked, event.shiftKey);
      return;
    }
    if (event.target.closest(".item-rename")) {
      acts.rename(row);
      return;
    }
    const onName = event.target.closest(".item-name") || event.target.closest(".item-picture");
    if (!onName || !isPlainClick(event) || event.target.closest(".item-edit")) return;
    event.preventDefault();
    acts.open(row);
  }

  #press(event, acts) {
    if (event.target.closest(".item-edit") || event.altKey || event.ctrlKey || event.metaKey) return;
    const place = this.#list.findFocused();
    if (place < 0) return;
    const { columns, isGrid, rows } = this.#list;
    const steps = {
      ArrowDown: columns,
      ArrowUp: -columns,
      ...(isGrid ? { ArrowRight: 1, ArrowLeft: -1 } : {}),
      PageDown: 10 * columns,
      PageUp: -10 * columns,
    };
    let target;
    if (event.key in steps) {
      target = Math.min(Math.max(place + steps[event.key], 0), rows.length - 1);
    } else if (event.key === "Home") {
      target = 0;
    } else if (event.key === "End" && !this.#folder.isWhole) {
      event.preventDefault();
      const before = document.activeElement;
      this.#folder.loadAll().then((isOpen) => {
        const isHere = document.activeElement === before || document.activeElement === document.body;
        if (isOpen && isHere) this.#list.focus(this.#list.rows.length - 1);
      });
    } else if (event.key === "End") {
      target = rows.length - 1;
    }
    if (target !== undefined) {
      event.preventDefault();
      if (event.shiftKey) {
        if (this.#list.findPlace(this.#anchor) < 0) this.#anchor = rows[place].id;
        const start = this.#anchor;
        this.#choose(target, true, true);
        this.#anchor = start;
      }
      this.#list.focus(target);
    } else if (event.key === " " && event.target.matches(".item-name")) {
      event.preventDefault();
      this.#toggle(place, event.shiftKey);
    } else if (event.key === "F2") {
      event.preventDefault();
      acts.rename(rows[place]);
    } else if (event.key === "Delete") {
      event.preventDefault();
      acts.remove(this.getSubjects());
    }
  }
}
