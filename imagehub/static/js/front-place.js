// The visitor's place on the wall: the page in view gives the address, the tab's title and the words
// at the end; a visitor who comes back or reloads finds the same work at the same height.

import { byId, find, findAll } from "./dom.js";
import { t } from "./words.js";

// Further pages above the restored one stay behind their link.
const MAX_PAGES_ABOVE = 8;

const walls = byId("walls");
const findEnding = () => find(document, "[data-page-label]");

/** Return the wall in view; undefined if there is none. The end of the page belongs to the last one,
 * however short it is. */
function findWall() {
  const all = findAll(walls, ".wall");
  const ending = findEnding();
  const isAtEnd = scrollY > 0 && ending && ending.getBoundingClientRect().top < innerHeight;
  const isInView = (/** @type {Element} */ wall) =>
    wall.getBoundingClientRect().top <= innerHeight * 0.4;
  return (isAtEnd ? all.at(-1) : all.findLast(isInView)) ?? all[0];
}

// --- The page in view ---

function follow() {
  // The address and the title are the viewer's, until it closes.
  if (history.state?.viewer) return;
  const wall = findWall();
  if (!wall) return;
  const { url = "", title = "", page = "", pages = "" } = wall.dataset;
  const ending = findEnding();
  if (url !== location.pathname + location.search) history.replaceState(history.state, "", url);
  document.title = title;
  if (ending) ending.textContent = t("page", { number: page, count: pages });
}

const places = new IntersectionObserver(follow, { rootMargin: "-40% 0px -60% 0px" });
const ends = new IntersectionObserver(follow);

/** Follow the visitor to a wall. @param {Element} wall */
export const observe = (wall) => places.observe(wall);

/** Follow the visitor to the end of the page. */
export function observeEnding() {
  const ending = findEnding();
  if (ending) ends.observe(ending);
}

// --- Coming back ---

// When the browser has kept nothing of the page, it restores the scroll position of a longer page
// than this one. So the work in view is stored, and scrolled to, and the pages above it are added.
// Changes of the history while a page is left may get lost, so the entry has only a key, set
// beforehand.

/** The work in view: the page it is on, the first page above it, its distance from the top.
 * @typedef {{ url?: string, first?: number, id: string, top: number }} Place */

const makeKey = () => `wall ${Date.now()} ${Math.random()}`;
/** @type {string} */
let key = history.state?.wall ?? makeKey();
history.scrollRestoration = "manual";
history.replaceState({ ...history.state, wall: key }, "");

/** Go on with the history's entry for another list; make one if it has an address.
 * @param {string} [url] */
export function changeEntry(url) {
  key = (!url && history.state?.wall) || makeKey();
  if (url) history.pushState({ wall: key }, "", url);
  else history.replaceState({ ...history.state, wall: key }, "");
}

addEventListener("pagehide", () => {
  const wall = findWall();
  if (!wall) return;
  const tiles = findAll(wall, ".tile");
  const seen = tiles.find((tile) => tile.getBoundingClientRect().bottom > 0) ?? tiles.at(-1);
  if (!seen) return;
  const { pathname, search } = new URL(wall.dataset.url ?? "", location.href);
  const first = Number(find(walls, ".wall")?.dataset.page);
  store({ url: pathname + search, first, id: seen.id, top: seen.getBoundingClientRect().top });
});

function store(/** @type {Place} */ place) {
  try {
    sessionStorage.setItem(key, JSON.stringify(place));
  } catch {
    // The browser keeps nothing for this site.
  }
}

/** @returns {?Place} */
function read() {
  try {
    return JSON.parse(sessionStorage.getItem(key) ?? "null");
  } catch {
    return null;
  }
}

/** Show the work that was in view, where it was.
 * @param {?((beforeAdding: () => void) => Promise<unknown>)} addPrevious adds the page above the
 *   first one; null if there is none */
export async function restorePlace(addPrevious) {
  const place = read();
  if (!place) return;
  const { url, ...rest } = place;
  if (url && url !== location.pathname + location.search) {
    // The address did not follow the last scrolling any more. Load the page that was in view, once.
    store(rest);
    history.replaceState(history.state, "", url);
    location.reload();
    return;
  }
  const kept = document.getElementById(place.id);
  if (!kept || scrollY >= 1) return;
  const getTop = () => kept.getBoundingClientRect().top;
  const moveTo = (/** @type {number} */ top) => scrollBy({ top: getTop() - top, behavior: "instant" });
  moveTo(place.top);

  // Until the visitor moves on, it belongs where it was; then it just must not jump.
  const input = new AbortController();
  for (const kind of ["wheel", "touchstart", "pointerdown", "keydown"]) {
    addEventListener(kind, () => input.abort(), { passive: true, signal: input.signal });
  }
  const root = document.documentElement;
  root.style.overflowAnchor = "none";
  try {
    for (let left = MAX_PAGES_ABOVE; addPrevious && left > 0; left -= 1) {
      if (!(Number(find(walls, ".wall")?.dataset.page) > (place.first ?? Infinity))) break;
      let top = getTop();
      await addPrevious(() => {
        top = input.signal.aborted ? getTop() : place.top;
      });
      moveTo(top);
    }
  } catch {
    // The link to the pages above remains.
  }
  root.style.overflowAnchor = "";
  input.abort();
}
