// The open folder: reads it from the hub page by page, arranges it, draws it, goes to others without
// a new page. What is done with items tells it by keep() and drop().

import { toast } from "./common.js";
import { sleep } from "./async.js";
import { fetchJson } from "./http.js";
import { DriveList, arrange, sortByName } from "./drive-list.js";
import { describeCount } from "./words.js";

const YEAR_SECONDS = 365 * 86_400;

const $ = (id) => document.getElementById(id);
const controls = { words: $("drive-words"), show: $("drive-show"), order: $("drive-sort") };

const getAddress = () => location.pathname + location.search;

export function isPlainClick(event) {
  return !(event.ctrlKey || event.metaKey || event.shiftKey || event.altKey || event.button);
}

// Events: "open" when another folder, or the same anew, is in the page; "arrange" when its items
// stand in another order; "draw" whenever anything was drawn.
export class OpenFolder extends EventTarget {
  facts;
  items = new Map();
  list = new DriveList($("entries"), $("entry"));

  #urls;
  // Answers come in any order. Each listing that is asked for has a number, and none is shown after
  // a later one; what is read besides belongs to the listing that was shown when it was asked for.
  #askedCount = 0;
  #shown = 0;
  #going = 0;
  #address = getAddress();
  // Rises with all that is done to items: a listing from before does not know of it.
  #changeCount = 0;
  #gone = new Set();
  #isLoading = false;
  // The rest of the folder could not be read, and waits for a word of the person.
  #hasFailed = false;
  #isLong = false;
  #page = "";
  #byName = null;

  constructor(urls, data) {
    super();
    this.#urls = urls;
    this.facts = { ...data };
    // Not from inside of a drawing.
    this.list.onNearEnd = () => {
      if (!this.isWhole && !this.#hasFailed) setTimeout(() => this.#loadMore());
    };
    this.#listen();
  }

  get id() {
    return this.facts.id;
  }

  get isRoot() {
    return this.facts.crumbs.length === 1;
  }

  get name() {
    return this.facts.crumbs.at(-1).name;
  }

  get isWhole() {
    return !this.facts.next_page;
  }

  get isFiltered() {
    return Boolean(controls.words.value.trim()) || controls.show.value !== "all";
  }

  get #needsAll() {
    return this.isFiltered || controls.order.value !== "name";
  }

  makeUrl(id) {
    return `${this.#urls.root}/${encodeURIComponent(id)}`;
  }

  // --- Reading ---

  take(answer, number = ++this.#askedCount) {
    this.#shown = number;
    this.facts = answer;
    this.#isLong = Boolean(answer.next_page);
    this.#page = "";
    this.#gone.clear();
    // What is as it was stays the same object, so that its row stays, with the focus in it.
    this.items = new Map(
      answer.items.map((item) => {
        const before = this.items.get(item.id);
        return [item.id, JSON.stringify(before) === JSON.stringify(item) ? before : item];
      }),
    );
    this.#byName = null;
    this.#isLoading = this.#hasFailed = false;
    this.list.chosen.clear();
    this.dispatchEvent(new Event("open"));
    this.#drawHead();
    this.draw();
    if (this.#needsAll) this.loadAll();
  }

  async goTo(url, { isBack = false, focus = "" } = {}) {
    const number = ++this.#askedCount;
    this.#going = number;
    const changes = this.#changeCount;
    $("entries").setAttribute("aria-busy", "true");
    try {
      const answer = await fetchJson(url);
      if (number !== this.#going) return;
      controls.words.value = "";
      this.take(answer, number);
      if (!isBack) {
        const address = answer.is_root ? this.#urls.root : this.makeUrl(answer.id);
        history.pushState({ id: answer.id }, "", address);
        this.#address = getAddress();
      }
      scrollTo({ top: 0 });
      this.focusNear(this.list.findPlace(focus));
      if (changes !== this.#changeCount) this.refresh().catch(() => {});
    } catch (error) {
      if (number === this.#going) toast(error.message, { isFault: true });
    } finally {
      if (number === this.#going) $("entries").removeAttribute("aria-busy");
    }
  }

  // The focus to the row at this place or, where there are not so many, to the last.
  focusNear(place) {
    const { length } = this.list.rows;
    if (length) this.list.focus(Math.min(Math.max(0, place), length - 1));
    else $("drive-title").focus();
  }

  // The same folder anew, with the place and the choice kept.
  async refresh() {
    const { id } = this;
    let number, changes, answer;
    do {
      number = ++this.#askedCount;
      changes = this.#changeCount;
      answer = await fetchJson(this.makeUrl(id));
      if (this.id !== id || number < this.#shown) return;
    } while (changes !== this.#changeCount);
    const chosen = new Set(this.list.chosen);
    const wasWhole = this.isWhole;
    const before = this.items;
    this.take(answer, number);
    for (const one of chosen) {
      if (this.items.has(one) || before.has(one)) this.list.chosen.add(one);
    }
    if (wasWhole && !this.isWhole) this.loadAll();
    this.list.redrawChosen();
    this.dispatchEvent(new Event("draw"));
  }

  // More of the folder: pages of a thousand, from the beginning, as the first page was a small one.
  async #loadMore() {
    if (this.#isLoading || this.isWhole) return;
    this.#isLoading = true;
    const shown = this.#shown;
    try {
      const query = this.#page ? `?next_page=${encodeURIComponent(this.#page)}` : "";
      const answer = await fetchJson(`${this.makeUrl(this.id)}/items${query}`);
      if (shown !== this.#shown) return;
      for (const item of answer.items) {
        if (!this.items.has(item.id) && !this.#gone.has(item.id)) this.items.set(item.id, item);
      }
      this.#byName = null;
      this.#page = this.facts.next_page = answer.next_page;
      this.#hasFailed = false;
    } catch (error) {
      if (shown !== this.#shown) return;
      // A mark does not lead on for ever, so the next but one try begins anew.
      if (this.#hasFailed) this.#page = "";
      this.#hasFailed = true;
      toast(`The rest of this folder could not be fetched: ${error.message}`, { isFault: true });
    } finally {
      if (shown === this.#shown) {
        this.#isLoading = false;
        this.draw();
      }
    }
  }

  // Reads all of the folder; answers whether that is read now, and still the one that is open.
  async loadAll() {
    const { id } = this;
    for (let isFirst = true; this.id === id && !this.isWhole; isFirst = false) {
      if (this.#isLoading) await sleep(50);
      else if (this.#hasFailed && !isFirst) return false;
      else await this.#loadMore();
    }
    return this.id === id;
  }

  // --- What was done to items ---

  // An answer about an item in a folder: shown with the next drawing, if that is still open.
  keep(item, folder) {
    this.#changeCount += 1;
    if (folder !== this.id) return;
    this.items.set(item.id, item);
    this.#gone.delete(item.id);
    this.#byName = null;
  }

  drop(id) {
    this.#changeCount += 1;
    this.#gone.add(id);
    this.items.delete(id);
    this.list.chosen.delete(id);
    this.#byName = null;
  }

  // --- Drawing ---

  draw() {
    const keepsOrder = this.#isLong && controls.order.value === "name";
    // Comparing names is what costs most, so it is done once for each state of the folder.
    if (!keepsOrder) this.#byName ??= sortByName(this.items.values());
    const rows = arrange(keepsOrder ? [...this.items.values()] : this.#byName, {
      order: keepsOrder ? "" : controls.order.value,
      show: controls.show.value,
      words: controls.words.value,
    });
    const before = this.list.rows;
    const place = this.list.findFocused();
    this.list.setRows(rows);
    if (place >= 0 && document.activeElement === document.body) {
      // A focus that went with its row would begin at the top of the page again.
      const near = [...before.slice(place + 1), ...before.slice(0, place).reverse()];
      const next = near.find(({ id }) => this.list.findPlace(id) >= 0);
      this.focusNear(next ? this.list.findPlace(next.id) : 0);
    }
    $("drive-state").textContent = this.items.size ? this.#describe(rows.length) : "";
    $("drive-unread").hidden = !this.#hasFailed;
    $("drive-empty").hidden = rows.length > 0 || !this.isWhole;
    if (!rows.length) {
      const [head, words] = this.isFiltered
        ? ["Nothing fits", "No name in this folder fits what you look for."]
        : [
            "This folder is empty",
            "Drag pictures or whole folders here from your computer, or choose them with Upload.",
          ];
      $("drive-empty").querySelector("h2").textContent = head;
      $("drive-empty").querySelector("p").textContent = words;
    }
    this.dispatchEvent(new Event("draw"));
  }

  #describe(shownCount) {
    const { size } = this.items;
    const parts = [];
    if (this.isFiltered) {
      parts.push(`${describeCount(shownCount, "item")} of ${describeCount(size, "item")}`);
    }
    const [read, all] = [size, this.facts.count].map((count) => count.toLocaleString("en"));
    if (this.#hasFailed) {
      parts.push(`${read} of ${all} read`);
    } else if (!this.isWhole && this.#needsAll) {
      parts.push(`reading the folder: ${read} of ${all}`);
    } else if (!this.isFiltered) {
      parts.push(describeCount(Math.max(this.isWhole ? 0 : this.facts.count, size), "item"));
    }
    return parts.join(" · ");
  }

  #drawHead() {
    const { crumbs, quota } = this.facts;
    $("drive-title").textContent = this.name;
    document.title = document.title.replace(/^.*?(?= · )/, () => this.name);
    const nav = $("crumbs");
    nav.replaceChildren();
    if (crumbs.length > 1) {
      const steps = document.createElement("ol");
      for (const { name, url } of crumbs.slice(0, -1)) {
        const step = document.createElement("li");
        const link = document.createElement("a");
        link.href = url;
        link.textContent = name;
        link.dir = "auto";
        step.append(link);
        steps.append(step);
      }
      nav.append(steps);
    }
    $("quota").hidden = !quota.words;
    if (quota.words) {
      const bar = $("quota").querySelector("progress");
      bar.max = quota.total;
      bar.value = quota.used;
      bar.setAttribute("aria-label", quota.words);
      $("quota").querySelector("span").textContent = quota.words;
    }
    for (const field of document.querySelectorAll('input[name="folder"]')) field.value = this.id;
    $("arrange").action = this.makeUrl(this.id);
  }

  setView(view) {
    this.list.setView(view);
    document.cookie = `drive-view=${view}; path=/; max-age=${YEAR_SECONDS}; samesite=lax`;
    for (const link of document.querySelectorAll("[data-view]")) {
      if (link.dataset.view === view) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
  }

  // --- Going and arranging ---

  #listen() {
    addEventListener("popstate", (event) => {
      // A step within the page, as by "Skip to the content", leads to no other folder.
      if (this.#address === getAddress()) return;
      this.#address = getAddress();
      const url = event.state?.id ? this.makeUrl(event.state.id) : location.href;
      this.goTo(url, { isBack: true });
    });
    $("crumbs").addEventListener("click", (event) => {
      const link = event.target.closest("a");
      if (link && isPlainClick(event)) {
        event.preventDefault();
        this.goTo(link.href, { focus: this.id });
      }
    });
    const rearrange = () => {
      this.dispatchEvent(new Event("arrange"));
      this.draw();
      if (this.#needsAll) this.loadAll();
    };
    controls.words.addEventListener("input", rearrange);
    controls.show.addEventListener("change", rearrange);
    controls.order.addEventListener("change", rearrange);
    $("arrange").addEventListener("submit", (event) => event.preventDefault());
    $("drive-unread").querySelector("button").addEventListener("click", () => {
      if (this.#needsAll) this.loadAll();
      else this.#loadMore();
    });
    for (const link of document.querySelectorAll("[data-view]")) {
      link.addEventListener("click", (event) => {
        event.preventDefault();
        this.setView(link.dataset.view);
      });
    }
  }
}
