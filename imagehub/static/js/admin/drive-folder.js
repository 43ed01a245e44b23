// The open folder: reads it from the server page by page, arranges and draws it, and opens others
// without loading a page. Changes of its items come by keep() and drop().

import { byId, closest, find, findAll, get, isModified, make } from "../dom.js";
import { t } from "../words.js";
import { arrange, sortByName } from "./drive-items.js";
import { DriveList } from "./drive-list.js";
import { fetchJson, getMessage, sleep } from "./http.js";
import { toast, toastError } from "./toast.js";

const YEAR_SECONDS = 365 * 86_400;
const LOOK_MS = 50;

const controls = {
  words: byId("drive-words", HTMLInputElement),
  show: byId("drive-show", HTMLSelectElement),
  order: byId("drive-sort", HTMLSelectElement),
};

const getAddress = () => location.pathname + location.search;

/** Events: "open" when another folder, or the same read again, is in the page; "arrange" when its
 * items are in another order; "draw" whenever anything was drawn. */
export class OpenFolder extends EventTarget {
  /** @type {FolderFacts} */
  facts;
  items = /** @type {Map<string, Item>} */ (new Map());
  list = new DriveList();

  #urls;
  // Answers come in any order. Each listing that is requested has a number, and none is shown after
  // a later one; what is read besides belongs to the listing that was shown when it was requested.
  #requestCount = 0;
  #shown = 0;
  #going = 0;
  #address = getAddress();
  // Grows with every change of items: a listing from before does not know of it.
  #changeCount = 0;
  #gone = /** @type {Set<string>} */ (new Set());
  #isLoading = false;
  // The rest of the folder could not be read, until the person asks for it again.
  #hasFailed = false;
  #isLong = false;
  #page = "";
  #byName = /** @type {?Item[]} */ (null);

  /** @param {DriveUrls} urls @param {FolderFacts} facts */
  constructor(urls, facts) {
    super();
    this.#urls = urls;
    this.facts = { ...facts };
    // Not from inside of a drawing.
    this.list.onNearEnd = () => {
      if (!this.isWhole && !this.#hasFailed) setTimeout(() => this.#loadMore());
    };
    addEventListener("popstate", (event) => {
      // A step inside the page, such as "Skip to content", leads to no other folder.
      if (this.#address === getAddress()) return;
      this.#address = getAddress();
      const url = event.state?.id ? this.makeUrl(event.state.id) : location.href;
      this.goTo(url, { isBack: true });
    });
    byId("crumbs").addEventListener("click", (event) => {
      const link = closest(event.target, "a", HTMLAnchorElement);
      if (!link || isModified(event)) return;
      event.preventDefault();
      this.goTo(link.href, { focus: this.id });
    });
    const rearrange = () => {
      this.dispatchEvent(new Event("arrange"));
      this.draw();
      if (this.#needsAll) this.loadAll();
    };
    controls.words.addEventListener("input", rearrange);
    controls.show.addEventListener("change", rearrange);
    controls.order.addEventListener("change", rearrange);
    byId("arrange").addEventListener("submit", (event) => event.preventDefault());
    find(byId("drive-unread"), "button")?.addEventListener("click", () => {
      if (this.#needsAll) this.loadAll();
      else this.#loadMore();
    });
    for (const link of findAll(document, "[data-view]")) {
      link.addEventListener("click", (event) => {
        event.preventDefault();
        this.setView(link.dataset.view ?? "");
      });
    }
  }

  get id() {
    return this.facts.id;
  }

  get name() {
    return this.facts.crumbs.at(-1)?.name ?? "";
  }

  /** The folder as uploads name it: the name of the root is no title for a group. */
  get target() {
    return { id: this.id, name: this.facts.crumbs.length === 1 ? "" : this.name };
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

  /** @param {string} id */
  makeUrl(id) {
    return `${this.#urls.root}/${encodeURIComponent(id)}`;
  }

  // --- Reading ---

  /** @param {FolderFacts} facts */
  take(facts, number = ++this.#requestCount) {
    this.#shown = number;
    this.facts = facts;
    this.#isLong = Boolean(facts.next_page);
    this.#page = "";
    this.#gone.clear();
    // An unchanged item stays the same object, so that its row stays, with the focus in it.
    this.items = new Map(
      facts.items.map((item) => {
        const before = this.items.get(item.id);
        const isSame = before && JSON.stringify(before) === JSON.stringify(item);
        return [item.id, isSame ? before : item];
      }),
    );
    this.#byName = null;
    this.#isLoading = this.#hasFailed = false;
    this.list.selected.clear();
    this.dispatchEvent(new Event("open"));
    this.#drawHead();
    this.draw();
    if (this.#needsAll) this.loadAll();
  }

  /** Open another folder.
   * @param {string} url
   * @param {{ isBack?: boolean, focus?: string, keepsFilter?: boolean }} [options] `isBack`: it has
   *   an entry in the history already; `focus`: id of the item that gets the focus */
  async goTo(url, { isBack = false, focus = "", keepsFilter = false } = {}) {
    const number = ++this.#requestCount;
    this.#going = number;
    const changes = this.#changeCount;
    byId("entries").setAttribute("aria-busy", "true");
    try {
      const facts = /** @type {FolderFacts} */ (await fetchJson(url));
      if (number !== this.#going) return;
      if (!keepsFilter) controls.words.value = "";
      this.take(facts, number);
      if (!isBack) {
        const address = facts.is_root ? this.#urls.root : this.makeUrl(facts.id);
        history.pushState({ id: facts.id }, "", address);
        this.#address = getAddress();
      }
      scrollTo({ top: 0 });
      this.focusNear(this.list.findPlace(focus));
      if (changes !== this.#changeCount) this.refreshQuietly();
    } catch (error) {
      if (number === this.#going) toastError(error);
    } finally {
      if (number === this.#going) byId("entries").removeAttribute("aria-busy");
    }
  }

  /** Focus the row at a place or, where there are not so many, the last. @param {number} place */
  focusNear(place) {
    const { length } = this.list.rows;
    if (length) this.list.focus(Math.min(Math.max(0, place), length - 1));
    else byId("drive-title").focus();
  }

  /** Read the same folder again, and keep the place and the selection. */
  async refresh() {
    const { id } = this;
    let number, changes, facts;
    do {
      number = ++this.#requestCount;
      changes = this.#changeCount;
      facts = await fetchJson(this.makeUrl(id));
      if (this.id !== id || number < this.#shown) return;
    } while (changes !== this.#changeCount);
    const { isWhole: wasWhole, items: before, list } = this;
    const selected = [...list.selected];
    this.take(facts, number);
    for (const one of selected) {
      if (this.items.has(one) || before.has(one)) list.selected.add(one);
    }
    if (wasWhole && !this.isWhole) this.loadAll();
    list.redrawSelected();
    this.dispatchEvent(new Event("draw"));
  }

  /** Refresh without a word if that fails: the next time may do better. */
  refreshQuietly() {
    this.refresh().catch(() => {});
  }

  /** Read one more page of a thousand; from the beginning, as the first page was a small one. */
  async #loadMore() {
    if (this.#isLoading || this.isWhole) return;
    this.#isLoading = true;
    const shown = this.#shown;
    try {
      const query = this.#page ? `?next_page=${encodeURIComponent(this.#page)}` : "";
      /** @type {FolderFacts} */
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
      // A mark is not valid for ever, so the next try but one starts at the beginning.
      if (this.#hasFailed) this.#page = "";
      this.#hasFailed = true;
      toast(t("rest_failed", { reason: getMessage(error) }), { isFault: true });
    } finally {
      if (shown === this.#shown) {
        this.#isLoading = false;
        this.draw();
      }
    }
  }

  /** Read all of the folder; return false where that fails or another folder is opened. */
  async loadAll() {
    const { id } = this;
    for (let isFirst = true; this.id === id && !this.isWhole; isFirst = false) {
      if (this.#isLoading) await sleep(LOOK_MS);
      else if (this.#hasFailed && !isFirst) return false;
      else await this.#loadMore();
    }
    return this.id === id;
  }

  // --- Changes of items ---

  /** Take an item of a folder: it is shown with the next drawing, if that folder is still open.
   * @param {Item} item @param {string} folder */
  keep(item, folder) {
    this.#changeCount += 1;
    if (folder !== this.id) return;
    this.items.set(item.id, item);
    this.#gone.delete(item.id);
    this.#byName = null;
  }

  /** @param {string} id */
  drop(id) {
    this.#changeCount += 1;
    this.#gone.add(id);
    this.items.delete(id);
    this.list.selected.delete(id);
    this.#byName = null;
  }

  // --- Drawing ---

  draw() {
    const keepsOrder = this.#isLong && controls.order.value === "name";
    // Comparing names costs most, so it is done once for each state of the folder.
    if (!keepsOrder) this.#byName ??= sortByName(this.items.values());
    const rows = arrange(keepsOrder ? [...this.items.values()] : (this.#byName ?? []), {
      order: keepsOrder ? "" : controls.order.value,
      show: controls.show.value,
      words: controls.words.value,
    });
    const before = this.list.rows;
    const place = this.list.findFocused();
    this.list.setRows(rows);
    if (place >= 0 && document.activeElement === document.body) {
      // A focus that went with its row would start at the top of the page again.
      const near = [...before.slice(place + 1), ...before.slice(0, place).reverse()];
      const next = near.find(({ id }) => this.list.findPlace(id) >= 0);
      this.focusNear(next ? this.list.findPlace(next.id) : 0);
    }
    this.showState(this.items.size ? this.#describe(rows.length) : "");
    byId("drive-unread").hidden = !this.#hasFailed;
    this.#drawEmpty(rows.length > 0 || !this.isWhole);
    this.dispatchEvent(new Event("draw"));
  }

  /** Show a sentence above the list, until the next drawing. @param {string} text */
  showState(text) {
    byId("drive-state").textContent = text;
  }

  /** @param {boolean} isHidden */
  #drawEmpty(isHidden) {
    const empty = byId("drive-empty");
    empty.hidden = isHidden;
    if (isHidden) return;
    get(empty, "h2").textContent = t(this.isFiltered ? "no_match" : "empty_folder");
    get(empty, "p").textContent = t(this.isFiltered ? "no_match_hint" : "empty_folder_hint");
  }

  /** @param {number} shownCount */
  #describe(shownCount) {
    const read = this.items.size;
    const all = this.facts.count;
    const parts = [];
    if (this.isFiltered) {
      const items = t("items", { count: read });
      parts.push(t("shown_of", { shown: shownCount, items }));
    }
    if (this.#hasFailed) parts.push(t("read_of", { read, all }));
    else if (!this.isWhole && this.#needsAll) parts.push(t("reading_of", { read, all }));
    else if (!this.isFiltered) {
      parts.push(t("items", { count: Math.max(this.isWhole ? 0 : all, read) }));
    }
    return parts.join(" · ");
  }

  #drawHead() {
    const { crumbs, quota } = this.facts;
    byId("drive-title").textContent = this.name;
    document.title = document.title.replace(/^.*?(?= · )/, () => this.name);
    const steps = crumbs
      .slice(0, -1)
      .map(({ name, url }) => make("li", {}, make("a", { href: url, dir: "auto" }, name)));
    byId("crumbs").replaceChildren(...(steps.length ? [make("ol", {}, ...steps)] : []));
    const space = byId("quota");
    space.hidden = !quota.words;
    const bar = get(space, "progress", HTMLProgressElement);
    Object.assign(bar, { max: quota.total, value: quota.used, ariaLabel: quota.words });
    get(space, "span").textContent = quota.words;
    for (const field of findAll(document, 'input[name="folder"]', HTMLInputElement)) {
      field.value = this.id;
    }
    byId("arrange", HTMLFormElement).action = this.makeUrl(this.id);
  }

  /** @param {string} view "grid" or "list" */
  setView(view) {
    this.list.setView(view);
    document.cookie = `drive-view=${view}; path=/; max-age=${YEAR_SECONDS}; samesite=lax`;
    for (const link of findAll(document, "[data-view]")) {
      link.ariaCurrent = link.dataset.view === view ? "true" : null;
    }
  }
}
