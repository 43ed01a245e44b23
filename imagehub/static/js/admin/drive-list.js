// The list or grid of a folder. Of thousands of items only those near the window are in the page.

import { describeCount, describeSize } from "./words.js";

const ALL_AT_ONCE = 150;
const MORE_PX = 1200;
// What of a row can hold the focus.
const PARTS = [".item-check input", ".item-rename", ".item-name"];

const dayFormat = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });

// From items in the order of their names.
const ORDERS = {
  newest: (one, other) => compareTimes(other, one),
  oldest: (one, other) => compareTimes(one, other),
  largest: (one, other) => other.size - one.size,
  smallest: (one, other) => one.size - other.size,
};
const SHOWS = {
  all: () => true,
  pictures: (item) => item.is_folder || item.is_picture,
  outside: (item) => item.is_folder || (item.is_picture && !item.marks.length),
  inside: (item) => item.is_folder || item.marks.length > 0,
  changed: (item) => item.state === "changed",
};

// Some systems write a letter and its accent as two characters.
const fold = (text) => text.normalize("NFC").toLowerCase();

function compareTimes(one, other) {
  if (one.modified === other.modified) return 0;
  return one.modified < other.modified ? -1 : 1;
}

// In the order that the page without a script has too: the hub makes the key of it from the name.
export function sortByName(items) {
  return [...items].sort((one, other) => (one.name_key < other.name_key ? -1 : 1));
}

// Those of `items` that are asked for, folders first. They come by name and can be told to go by
// something else; "" leaves them as they are, because more are to come and would stand in between.
export function arrange(items, { order, show, words }) {
  const needle = fold(words.trim());
  const found = items.filter(
    (item) => SHOWS[show](item) && (!needle || fold(item.name).includes(needle)),
  );
  if (!order) return found;
  if (order === "name-down") found.reverse();
  else if (order in ORDERS) found.sort(ORDERS[order]);
  const isFolder = (item) => item.is_folder;
  return [...found.filter(isFolder), ...found.filter((item) => !isFolder(item))];
}

export class DriveList {
  rows = [];
  chosen = new Set();
  onNearEnd = () => {};

  #list;
  #template;
  #drawn = new Map();
  #rowPx = 0;
  #columns = 1;
  #frame = 0;
  // What the server drew stays until it is known what is to be shown.
  #isKnown = false;

  constructor(list, template) {
    this.#list = list;
    this.#template = template;
    const soon = () => {
      cancelAnimationFrame(this.#frame);
      this.#frame = requestAnimationFrame(() => this.#draw());
    };
    addEventListener("scroll", soon, { passive: true });
    new ResizeObserver(() => {
      this.#rowPx = 0;
      soon();
    }).observe(list.parentElement);
  }

  get isGrid() {
    return this.#list.classList.contains("is-grid");
  }

  get columns() {
    return this.#columns;
  }

  setView(view) {
    this.#list.classList.toggle("is-grid", view === "grid");
    this.#list.classList.toggle("is-list", view !== "grid");
    this.#rowPx = 0;
    this.#draw();
  }

  // Shows these items; what was drawn of an item is drawn anew only if the item is another object.
  setRows(rows) {
    this.rows = rows;
    this.#isKnown = true;
    this.#draw();
  }

  setChosen(id, isChosen) {
    if (isChosen) this.chosen.add(id);
    else this.chosen.delete(id);
    const box = this.#drawn.get(id)?.element.querySelector("input");
    if (box) box.checked = isChosen;
  }

  redrawChosen() {
    for (const [id, { element }] of this.#drawn) {
      element.querySelector("input").checked = this.chosen.has(id);
    }
  }

  // The place of an item among the rows; -1 where it is not among them.
  findPlace(id) {
    return this.rows.findIndex((row) => row.id === id);
  }

  getElement(id) {
    return this.#drawn.get(id)?.element ?? null;
  }

  // Brings a row into the window and the focus to it.
  focus(place) {
    const row = this.rows[place];
    if (!row) return;
    if (!this.#drawn.has(row.id)) {
      const top = this.#list.getBoundingClientRect().top + scrollY;
      scrollTo({ top: top + Math.floor(place / this.#columns) * this.#rowPx - innerHeight / 2 });
      this.#draw();
    }
    const element = this.getElement(row.id);
    element?.querySelector(".item-name")?.focus({ preventScroll: true });
    element?.scrollIntoView({ block: "nearest" });
  }

  // The place of the row that holds the focus; -1 where none does.
  findFocused() {
    const id = document.activeElement?.closest?.(".item")?.dataset.id;
    return id ? this.findPlace(id) : -1;
  }

  #measure() {
    const first = this.#list.querySelector(".item");
    if (!first) return false;
    const style = getComputedStyle(this.#list);
    this.#columns = this.isGrid ? style.gridTemplateColumns.split(" ").length : 1;
    this.#rowPx = first.getBoundingClientRect().height + (Number.parseFloat(style.rowGap) || 0);
    return this.#rowPx > 0;
  }

  #draw() {
    const count = this.rows.length;
    if (!this.#isKnown) return;
    if (!count) {
      this.#drawn.clear();
      this.#list.replaceChildren();
      this.#pad(0, 0);
      return;
    }
    if (!this.#list.querySelector(".item")) this.#place(0, Math.min(count, 1));
    if (!this.#rowPx && !this.#measure()) return;
    let first = 0;
    let last = count;
    if (count > ALL_AT_ONCE) {
      const top = -this.#list.getBoundingClientRect().top;
      first = Math.floor((top - MORE_PX) / this.#rowPx) * this.#columns;
      last = Math.ceil((top + innerHeight + MORE_PX) / this.#rowPx) * this.#columns;
      first = Math.min(Math.max(0, first), Math.max(0, count - this.#columns));
      last = Math.min(count, Math.max(last, first + this.#columns));
    }
    this.#place(first, last);
    const rowsBelow = Math.ceil((count - last) / this.#columns);
    this.#pad((first / this.#columns) * this.#rowPx, rowsBelow * this.#rowPx);
    if (last >= count) this.onNearEnd();
  }

  #pad(above, below) {
    this.#list.style.paddingBlockStart = above ? `${above}px` : "";
    this.#list.style.paddingBlockEnd = below ? `${below}px` : "";
  }

  #place(first, last) {
    const wanted = this.rows.slice(first, last);
    const focus = document.activeElement;
    const focused = this.#list.contains(focus) ? focus.closest(".item") : null;
    const near = new Map(wanted.map((item) => [item.id, item]));
    for (const [id, { element, item }] of this.#drawn) {
      const row = near.get(id);
      if (row === item) continue;
      if (row && element.contains(document.activeElement) && element.querySelector(".item-edit")) {
        continue; // Somebody is writing a name in it.
      }
      element.remove();
      this.#drawn.delete(id);
    }
    // What the server drew goes; the same comes in its place.
    for (const element of [...this.#list.children]) {
      if (this.#drawn.get(element.dataset.id)?.element !== element) element.remove();
    }
    let before = null;
    for (const [offset, item] of wanted.entries()) {
      const drawn = this.#drawn.get(item.id) ?? this.#make(item);
      const { element } = drawn;
      setAttribute(element, "aria-setsize", this.rows.length);
      setAttribute(element, "aria-posinset", first + offset + 1);
      let place = before ? before.nextSibling : this.#list.firstChild;
      // A row that moves loses the focus, so that the others move around the one that has it.
      while (element === focused && place !== element) {
        const other = place;
        place = place.nextSibling;
        this.#list.append(other);
      }
      if (place !== element) this.#list.insertBefore(element, place);
      before = element;
    }
    if (!focused || focused.isConnected) return;
    const part = PARTS.find((one) => focus.matches(one)) ?? ".item-name";
    this.getElement(focused.dataset.id)?.querySelector(part)?.focus({ preventScroll: true });
  }

  #make(item) {
    const element = this.#template.content.firstElementChild.cloneNode(true);
    const find = (name) => element.querySelector(name);
    element.dataset.id = item.id;
    element.draggable = true;
    element.classList.toggle("is-folder", item.is_folder);
    const box = find("input");
    box.value = item.id;
    box.checked = this.chosen.has(item.id);
    box.setAttribute("aria-label", `Choose ${item.name}`);
    const name = find(".item-name");
    name.textContent = item.name;
    name.href = item.url || (item.thumb ? `${item.thumb}&size=large` : item.web) || "#";
    const rename = find(".item-rename");
    rename.hidden = false;
    rename.setAttribute("aria-label", `Rename ${item.name}`);
    this.#fillPicture(find(".item-picture"), item);
    const facts = find(".item-facts");
    facts.textContent = item.is_folder ? describeCount(item.count, "item") : describeSize(item.size);
    const day = describeDay(item.modified);
    if (day) {
      const time = document.createElement("time");
      time.dateTime = item.modified;
      time.textContent = day;
      facts.append(" · ", time);
    }
    find(".item-hub").replaceChildren(...describeHub(item));
    const drawn = { element, item };
    this.#drawn.set(item.id, drawn);
    return drawn;
  }

  #fillPicture(frame, item) {
    const use = frame.querySelector("use");
    const sprite = use.getAttribute("href").split("#")[0];
    use.setAttribute("href", `${sprite}#${item.is_folder ? "folder" : "file-image"}`);
    if (!item.thumb) return;
    const picture = document.createElement("img");
    picture.alt = "";
    picture.loading = "lazy";
    picture.decoding = "async";
    picture.sizes = "(min-width: 700px) 176px, 45vw";
    picture.addEventListener("error", () => picture.remove());
    if (this.isGrid) picture.srcset = `${item.thumb} 176w, ${item.thumb}&size=large 800w`;
    picture.src = item.thumb;
    frame.prepend(picture);
  }
}

// Setting what is set already would cost the browser a look at all styles.
function setAttribute(element, name, value) {
  if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
}

export function describeDay(time) {
  const moment = new Date(time);
  return Number.isNaN(moment.getTime()) ? "" : dayFormat.format(moment);
}

export function describeHub(item) {
  if (!item.marks.length) return [];
  const isChanged = item.state === "changed";
  const mark = document.createElement("span");
  mark.className = `mark is-${item.state}`;
  const svg = document.querySelector(isChanged ? "#mark-changed svg" : "#mark-inside svg");
  if (svg) mark.append(svg.cloneNode(true), " ");
  mark.append(isChanged ? "Changed since" : "In the hub");
  const parts = [mark];
  for (const { title, url } of item.marks.slice(0, 2)) {
    const name = document.createElement(url ? "a" : "span");
    if (url) name.href = url;
    name.dir = "auto";
    name.textContent = title;
    parts.push(" ", name);
  }
  if (item.marks.length > 2) parts.push(` and ${item.marks.length - 2} more`);
  return parts;
}
