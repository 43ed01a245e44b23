// The wall: further pages are added below while the visitor scrolls, and a click on a work opens
// its shots in the viewer. Without this module every link leads to a page.

import { byId, closest, find, findAll, get, isModified } from "./dom.js";
import { openTile, prepare } from "./opening.js";
import { fetchPage } from "./page.js";
import { watch } from "./pictures.js";
import { say, t } from "./words.js";

const AUTOMATIC_PAGES = 3;

const walls = byId("walls");

// --- The address follows the page in view ---

function follow(/** @type {HTMLElement} */ wall) {
  const { url = "", title = "" } = wall.dataset;
  if (url !== location.pathname + location.search) history.replaceState(history.state, "", url);
  document.title = title;
}

const places = new IntersectionObserver(
  (entries) => {
    // They are in the order in which they happened.
    const seen = entries.findLast((entry) => entry.isIntersecting)?.target;
    if (seen && !history.state?.viewer) follow(/** @type {HTMLElement} */ (seen));
  },
  { rootMargin: "-40% 0px -60% 0px" },
);

// When the visitor comes back and the browser has kept nothing of the page, it restores the scroll
// position of a longer page than this one. So the work in view is stored, and scrolled to. Changes
// of the history while a page is left may get lost, so the entry has only a key, set beforehand.

/** @type {string} */
const key = history.state?.wall ?? `wall ${Date.now()} ${Math.random()}`;
history.scrollRestoration = "manual";
history.replaceState({ ...history.state, wall: key }, "");

addEventListener("pagehide", () => {
  const all = findAll(walls, ".wall");
  const wall =
    all.findLast((one) => one.getBoundingClientRect().top <= innerHeight * 0.4) ?? all[0];
  const tiles = findAll(wall, ".tile");
  const seen = tiles.find((tile) => tile.getBoundingClientRect().bottom > 0) ?? tiles.at(-1);
  const { pathname, search } = new URL(wall.dataset.url ?? "", location.href);
  if (seen) store({ url: pathname + search, id: seen.id, top: seen.getBoundingClientRect().top });
});

/** @param {{ url?: string, id: string, top: number }} place */
function store(place) {
  try {
    sessionStorage.setItem(key, JSON.stringify(place));
  } catch {
    // The browser keeps nothing for this site.
  }
}

function restorePlace() {
  let place;
  try {
    place = JSON.parse(sessionStorage.getItem(key) ?? "null");
  } catch {
    return;
  }
  if (!place) return;
  if (place.url && place.url !== location.pathname + location.search) {
    // The address did not follow the last scrolling any more. Load the page that was in view, once.
    store({ id: place.id, top: place.top });
    history.replaceState(history.state, "", place.url);
    location.reload();
    return;
  }
  const kept = document.getElementById(place.id);
  if (kept && scrollY < 1) scrollBy(0, kept.getBoundingClientRect().top - place.top);
}

restorePlace();

const firstWall = get(walls, ".wall");
firstWall.dataset.title = document.title;
places.observe(firstWall);

// --- Further pages ---

const link = find(document, "a.more", HTMLAnchorElement);
if (link) extend(link);

/** Add the pages behind a link: a few by themselves, then one for each click. */
function extend(/** @type {HTMLAnchorElement} */ more) {
  let automaticLeft = AUTOMATIC_PAGES;
  let coming = /** @type {?Promise<HTMLElement>} */ (null);

  const nearTheEnd = new IntersectionObserver(
    async (entries) => {
      if (!entries.at(-1)?.isIntersecting || coming || automaticLeft <= 0) return;
      // A link that has the focus must not move away from whoever reached it by keyboard.
      if (document.activeElement === more) return;
      automaticLeft -= 1;
      try {
        await addNext();
      } catch {
        automaticLeft = 0;
      }
      // From here on the visitor decides, so that the end of the page can be reached.
      if (automaticLeft <= 0 && more.firstChild) more.firstChild.textContent = `${t("show_more")} `;
    },
    { rootMargin: "0px 0px 1200px" },
  );

  /** Observe the link anew, so that it is reported even if it has not moved. */
  function observe() {
    nearTheEnd.unobserve(more);
    if (more.isConnected && automaticLeft > 0) nearTheEnd.observe(more);
  }

  /** Add the next page's works; return the link of its first tile. */
  function addNext() {
    coming ??= add().finally(() => {
      coming = null;
      observe();
    });
    return coming;
  }

  async function add() {
    const { page, css } = await fetchPage(more.href);
    const wall = get(page, ".wall");
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(css);
    document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
    // Works that have moved down since the previous page was made are here already.
    for (const tile of findAll(wall, ".tile")) {
      if (document.getElementById(tile.id)) tile.remove();
    }
    wall.dataset.title = page.title;
    for (const img of findAll(wall, "img", HTMLImageElement)) {
      img.removeAttribute("fetchpriority");
      img.loading = "lazy";
    }
    const count = wall.children.length;
    walls.append(document.adoptNode(wall));
    watch(wall);
    places.observe(wall);
    say(t("added", { count }));
    const first = find(wall, ".tile a") ?? findAll(walls, ".tile a").slice(-1)[0];
    const next = find(page, "a.more");
    if (next) {
      more.href = next.getAttribute("href") ?? "";
    } else {
      // A focus that goes with its element would start at the top of the page again.
      if (document.activeElement === more) first.focus({ preventScroll: true });
      more.remove();
    }
    return first;
  }

  observe();
  more.addEventListener("blur", observe);
  more.addEventListener("click", async (event) => {
    if (isModified(event)) return;
    event.preventDefault();
    try {
      const first = await addNext();
      // The focus stays where the visitor has moved it meanwhile.
      const { activeElement } = document;
      if (activeElement === more || activeElement === document.body) {
        first.focus({ preventScroll: true });
      }
    } catch {
      location.assign(more.href);
    }
  });
}

// --- The viewer ---

/** @param {Event} event */
const findTileLink = ({ target }) => closest(target, "a[data-open]", HTMLAnchorElement);

walls.addEventListener("pointerdown", (event) => {
  const tile = findTileLink(event);
  // A finger that comes down may only want to scroll.
  if (tile && event.pointerType === "mouse") prepare(tile.href);
});
walls.addEventListener("click", (event) => {
  const tile = findTileLink(event);
  if (!tile || isModified(event)) return;
  event.preventDefault();
  openTile(tile);
});
