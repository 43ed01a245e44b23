// The open folder: reads it from the server page by page, arranges and draws it, and opens others
// without loading a page. Changes of its items come by keep() and drop().

import { writeCookie } from "../cookies.js";
import { byId, closest, find, findAll, get, isModified, make } from "../dom.js";
import { t } from "../words.js";
import { arrange, sortByName } from "./drive-items.js";
import * as list from "./drive-list.js";
import { fetchJson, getMessage, sleep } from "./http.js";
import { toast, toastError } from "./toast.js";

const LOOK_MS = 50;

const controls = {
  words: byId("drive-words", HTMLInputElement),
  show: byId("drive-show", HTMLSelectElement),
  order: byId("drive-sort", HTMLSelectElement),
};

const getAddress = () => location.pathname + location.search;

/** What came with the page.
 * @type {{ data: FolderFacts, isWhole: boolean, owner: string, urls: DriveUrls }} */
export const start = JSON.parse(byId("drive-data").textContent);
export const { urls } = start;

/** "open" when another folder, or the same read again, is in the page; "arrange" when its items are
 * in another order; "draw" whenever anything was drawn. */
export const events = new EventTarget();

export let facts = { ...start.data };
export let items = /** @type {Map<string, Item>} */ (new Map());

// Answers come in any order. Each listing that is requested has a number, and none is shown after
// a later one; what is read besides belongs to the listing that was shown when it was requested.
let requestCount = 0;
let shown = 0;
let going = 0;
let address = getAddress();
// Grows with every change of items: a listing from before does not know of it.
let changeCount = 0;
const gone = /** @type {Set<string>} */ (new Set());
let isLoading = false;
// The rest of the folder could not be read, until the person asks for it again.
let hasFailed = false;
let isLong = false;
let page = "";
let byName = /** @type {?Item[]} */ (null);

export const getName = () => facts.crumbs.at(-1)?.name ?? "";
export const isWhole = () => !facts.next_page;
export const isFiltered = () => controls.words.value.trim() !== "" || controls.show.value !== "all";
const needsAll = () => isFiltered() || controls.order.value !== "name";

/** Return the folder as uploads name it: the name of the root is no title for a group. */
export const getTarget = () => ({ id: facts.id, name: facts.crumbs.at(-2) ? getName() : "" });

export const makeUrl = (/** @type {string} */ id) => `${urls.root}/${encodeURIComponent(id)}`;

// --- Reading ---

export function take(/** @type {FolderFacts} */ fresh, number = ++requestCount) {
  shown = number;
  facts = fresh;
  isLong = Boolean(facts.next_page);
  page = "";
  gone.clear();
  // An unchanged item stays the same object, so that its row stays, with the focus in it.
  items = new Map(
    facts.items.map((item) => {
      const before = items.get(item.id);
      const isSame = before && JSON.stringify(before) === JSON.stringify(item);
      return [item.id, isSame ? before : item];
    }),
  );
  byName = null;
  isLoading = hasFailed = false;
  list.selected.clear();
  events.dispatchEvent(new Event("open"));
  drawHead();
  draw();
  if (needsAll()) loadAll();
}

/** Open another folder.
 * @param {string} url
 * @param {{ isBack?: boolean, focus?: string, keepsFilter?: boolean }} [options] `isBack`: it has
 *   an entry in the history already; `focus`: id of the item that gets the focus */
export async function goTo(url, { isBack = false, focus = "", keepsFilter = false } = {}) {
  const number = ++requestCount;
  going = number;
  const changes = changeCount;
  byId("entries").setAttribute("aria-busy", "true");
  try {
    const fresh = /** @type {FolderFacts} */ (await fetchJson(url));
    if (number !== going) return;
    if (!keepsFilter) controls.words.value = "";
    take(fresh, number);
    if (!isBack) {
      history.pushState({ id: facts.id }, "", facts.is_root ? urls.root : makeUrl(facts.id));
      address = getAddress();
    }
    scrollTo({ top: 0 });
    focusNear(list.findPlace(focus));
    if (changes !== changeCount) refreshQuietly();
  } catch (error) {
    if (number === going) toastError(error);
  } finally {
    if (number === going) byId("entries").removeAttribute("aria-busy");
  }
}

/** Focus the row at a place or, where there are not so many, the last. @param {number} place */
export function focusNear(place) {
  const { length } = list.rows;
  if (length) list.focus(Math.min(Math.max(0, place), length - 1));
  else byId("drive-title").focus();
}

/** Read the same folder again, and keep the place and the selection. */
export async function refresh() {
  const { id } = facts;
  let number, changes, fresh;
  do {
    number = ++requestCount;
    changes = changeCount;
    fresh = await fetchJson(makeUrl(id));
    if (facts.id !== id || number < shown) return;
  } while (changes !== changeCount);
  const selected = [...list.selected];
  const wasWhole = isWhole();
  const before = items;
  take(fresh, number);
  for (const one of selected) if (items.has(one) || before.has(one)) list.selected.add(one);
  if (wasWhole && !isWhole()) loadAll();
  list.redrawSelected();
  events.dispatchEvent(new Event("draw"));
}

/** Refresh without a word if that fails: the next time may do better. */
export const refreshQuietly = () => refresh().catch(() => {});

/** Read one more page of a thousand; from the beginning, as the first page was a small one. */
async function loadMore() {
  if (isLoading || isWhole()) return;
  isLoading = true;
  const listing = shown;
  try {
    const query = page ? `?next_page=${encodeURIComponent(page)}` : "";
    const url = `${makeUrl(facts.id)}/items${query}`;
    const answer = /** @type {FolderFacts} */ (await fetchJson(url));
    if (listing !== shown) return;
    for (const item of answer.items) {
      if (!items.has(item.id) && !gone.has(item.id)) items.set(item.id, item);
    }
    byName = null;
    page = facts.next_page = answer.next_page;
    hasFailed = false;
  } catch (error) {
    if (listing !== shown) return;
    // A mark is not valid for ever, so the next try but one starts at the beginning.
    if (hasFailed) page = "";
    hasFailed = true;
    toast(t("rest_failed", { reason: getMessage(error) }), { isFault: true });
  } finally {
    if (listing === shown) {
      isLoading = false;
      draw();
    }
  }
}

/** Read all of the folder; return false where that fails or another folder is opened. */
export async function loadAll() {
  const { id } = facts;
  for (let isFirst = true; facts.id === id && !isWhole(); isFirst = false) {
    if (isLoading) await sleep(LOOK_MS);
    else if (hasFailed && !isFirst) return false;
    else await loadMore();
  }
  return facts.id === id;
}

// --- Changes of items ---

/** Take an item of a folder: it is shown with the next drawing, if that folder is still open. */
export function keep(/** @type {Item} */ item, /** @type {string} */ folder) {
  changeCount += 1;
  if (folder !== facts.id) return;
  items.set(item.id, item);
  gone.delete(item.id);
  byName = null;
}

export function drop(/** @type {string} */ id) {
  changeCount += 1;
  gone.add(id);
  items.delete(id);
  list.selected.delete(id);
  byName = null;
}

// --- Drawing ---

export function draw() {
  const keepsOrder = isLong && controls.order.value === "name";
  // Comparing names costs most, so it is done once for each state of the folder.
  if (!keepsOrder) byName ??= sortByName(items.values());
  const rows = arrange(keepsOrder ? [...items.values()] : (byName ?? []), {
    order: keepsOrder ? "" : controls.order.value,
    show: controls.show.value,
    words: controls.words.value,
  });
  const before = list.rows;
  const place = list.findFocused();
  list.setRows(rows);
  if (place >= 0 && document.activeElement === document.body) {
    // A focus that went with its row would start at the top of the page again.
    const near = [...before.slice(place + 1), ...before.slice(0, place).reverse()];
    const next = near.find(({ id }) => list.findPlace(id) >= 0);
    focusNear(next ? list.findPlace(next.id) : 0);
  }
  showState(items.size ? describe(rows.length) : "");
  byId("drive-unread").hidden = !hasFailed;
  drawEmpty(rows.length > 0 || !isWhole());
  events.dispatchEvent(new Event("draw"));
}

/** Show a sentence above the list, until the next drawing. @param {string} text */
export const showState = (text) => (byId("drive-state").textContent = text);

function drawEmpty(/** @type {boolean} */ isHidden) {
  const empty = byId("drive-empty");
  empty.hidden = isHidden;
  if (isHidden) return;
  get(empty, "h2").textContent = t(isFiltered() ? "no_match" : "empty_folder");
  get(empty, "p").textContent = t(isFiltered() ? "no_match_hint" : "empty_folder_hint");
}

function describe(/** @type {number} */ shownCount) {
  const read = items.size;
  const all = facts.count;
  const parts = [];
  if (isFiltered()) {
    parts.push(t("shown_of", { shown: shownCount, items: t("items", { count: read }) }));
  }
  if (hasFailed) parts.push(t("read_of", { read, all }));
  else if (!isWhole() && needsAll()) parts.push(t("reading_of", { read, all }));
  else if (!isFiltered()) parts.push(t("items", { count: isWhole() ? read : Math.max(all, read) }));
  return parts.join(" · ");
}

function drawHead() {
  const { crumbs, quota } = facts;
  byId("drive-title").textContent = getName();
  document.title = document.title.replace(/^.*?(?= · )/, getName);
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
    field.value = facts.id;
  }
  byId("arrange", HTMLFormElement).action = makeUrl(facts.id);
  const { watch } = facts;
  const watched = byId("watched");
  watched.hidden = !watch;
  get(watched, "[name=watch]", HTMLInputElement).value = watch ? String(watch.id) : "";
  get(watched, "[data-watch-words]").textContent = watch ? watch.words : "";
  byId("watch").hidden = Boolean(watch);
}

/** @param {string} view "grid" or "list" */
export function setView(view) {
  list.setView(view);
  writeCookie("drive-view", view);
  for (const link of findAll(document, "[data-view]")) {
    link.ariaCurrent = link.dataset.view === view ? "true" : null;
  }
}

// --- Events of the page ---

// Not from inside of a drawing.
list.whenNearEnd(() => {
  if (!isWhole() && !hasFailed) setTimeout(loadMore);
});
addEventListener("popstate", (event) => {
  // A step inside the page, such as "Skip to content", leads to no other folder.
  if (address === getAddress()) return;
  address = getAddress();
  const url = event.state?.id ? makeUrl(event.state.id) : location.href;
  goTo(url, { isBack: true });
});
byId("crumbs").addEventListener("click", (event) => {
  const link = closest(event.target, "a", HTMLAnchorElement);
  if (!link || isModified(event)) return;
  event.preventDefault();
  goTo(link.href, { focus: facts.id });
});
const rearrange = () => {
  events.dispatchEvent(new Event("arrange"));
  draw();
  if (needsAll()) loadAll();
};
controls.words.addEventListener("input", rearrange);
controls.show.addEventListener("change", rearrange);
controls.order.addEventListener("change", rearrange);
byId("arrange").addEventListener("submit", (event) => event.preventDefault());
find(byId("drive-unread"), "button")?.addEventListener("click", () => {
  if (needsAll()) loadAll();
  else loadMore();
});
for (const link of findAll(document, "[data-view]")) {
  link.addEventListener("click", (event) => {
    event.preventDefault();
    setView(link.dataset.view ?? "");
  });
}
