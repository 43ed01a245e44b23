// The wall: further pages are added below while the visitor scrolls, and a click on a work opens
// its shots in the viewer. Without this module every link leads to a page.

import { byId, closest, find, findAll, get, isModified } from "./dom.js";
import { observe, observeEnding, restorePlace } from "./front-place.js";
import { openTile, prepare } from "./opening.js";
import { fetchPage } from "./page.js";
import { release, watch } from "./pictures.js";
import { say, t } from "./words.js";

const AUTOMATIC_PAGES = 3;

const walls = byId("walls");
const findShown = () => findAll(document, "#found[data-url], #walls > .wall[data-url]");

// --- Further pages ---

/** Add the page behind a link, after or before the others, and let the link lead to the next one.
 * @param {HTMLAnchorElement} link
 * @param {() => void} [beforeAdding] called when the page has come
 * @returns {Promise<HTMLElement>} the added wall, without the works that are on this page already */
async function add(link, beforeAdding) {
  const isAbove = link.rel === "prev";
  const { page, css } = await fetchPage(link.href);
  const wall = get(page, ".wall");
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(css);
  document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
  // Works that have moved since the page in front of the visitor was made are here already.
  for (const tile of findAll(wall, ".tile")) {
    if (document.getElementById(tile.id)) tile.remove();
  }
  wall.dataset.title = page.title;
  for (const img of findAll(wall, "img", HTMLImageElement)) {
    img.removeAttribute("fetchpriority");
    img.loading = "lazy";
  }
  release(wall);
  beforeAdding?.();
  document.adoptNode(wall);
  if (isAbove) walls.prepend(wall);
  else walls.append(wall);
  watch(wall);
  observe(wall);
  const next = find(page, isAbove ? "a.earlier" : "a.more");
  if (next) {
    link.href = next.getAttribute("href") ?? "";
  } else {
    // A focus that goes with its element would start at the top of the page again.
    if (document.activeElement === link) {
      (find(wall, ".tile a") ?? findAll(walls, ".tile a").at(-1))?.focus({ preventScroll: true });
    }
    (isAbove ? link.parentElement : link)?.remove();
  }
  return wall;
}

/** Let a click on a link add its page, and move the focus there.
 * @param {HTMLAnchorElement} link @param {() => Promise<HTMLElement>} addPage */
function addOnClick(link, addPage) {
  link.addEventListener("click", async (event) => {
    if (isModified(event)) return;
    event.preventDefault();
    try {
      const wall = await addPage();
      // The focus stays where the visitor has moved it meanwhile.
      const { activeElement } = document;
      if (activeElement === link || activeElement === document.body) {
        const first = find(wall, ".tile a") ?? findAll(walls, ".tile a").at(-1);
        first?.focus({ preventScroll: true });
      }
    } catch {
      location.assign(link.href);
    }
  });
}

/** Make a function whose calls share one result while it is on its way.
 * @template T @template {unknown[]} A
 * @param {(...values: A) => Promise<T>} act @param {() => void} [end] called after each
 * @returns {(...values: A) => Promise<T>} */
function once(act, end) {
  let coming = /** @type {?Promise<T>} */ (null);
  return (...values) => {
    coming ??= act(...values).finally(() => {
      coming = null;
      end?.();
    });
    return coming;
  };
}

/** Take up the list that is on the page.
 * @returns {?((beforeAdding?: () => void) => Promise<HTMLElement>)} adds the page above, if any */
export function begin() {
  const wall = find(walls, ".wall");
  if (wall) {
    wall.dataset.title = document.title;
    observe(wall);
  }
  observeEnding();
  const nextLink = find(document, "a.more", HTMLAnchorElement);
  if (nextLink) extend(nextLink);
  const previousLink = find(document, "a.earlier", HTMLAnchorElement);
  return previousLink && extendAbove(previousLink);
}

restorePlace(begin());

/** Add the page behind the link above for each click. @param {HTMLAnchorElement} earlier
 * @returns {(beforeAdding?: () => void) => Promise<HTMLElement>} does so without a click */
function extendAbove(earlier) {
  const addPrevious = once((/** @type {[(() => void)?]} */ ...[before]) => add(earlier, before));
  addOnClick(earlier, async () => {
    const wall = await addPrevious();
    say(t("added", { count: wall.children.length }));
    return wall;
  });
  return addPrevious;
}

/** Add the pages behind the link at the end: a few by themselves, then one for each click. */
function extend(/** @type {HTMLAnchorElement} */ more) {
  let automaticLeft = AUTOMATIC_PAGES;
  let isAdding = false;

  const nearTheEnd = new IntersectionObserver(
    async (entries) => {
      if (!entries.at(-1)?.isIntersecting || isAdding || automaticLeft <= 0) return;
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
  function observeEnd() {
    nearTheEnd.unobserve(more);
    if (more.isConnected && automaticLeft > 0) nearTheEnd.observe(more);
  }

  const addNext = once(
    async () => {
      isAdding = true;
      const wall = await add(more);
      say(t("added", { count: wall.children.length }));
      return wall;
    },
    () => {
      isAdding = false;
      observeEnd();
    },
  );

  observeEnd();
  more.addEventListener("blur", observeEnd);
  addOnClick(more, addNext);
}

// --- Filters ---

const loadFilters = () => import("./filters.js");
const panel = find(document, "#filters");
if (panel) {
  // Whoever opens the filters will choose one.
  panel.addEventListener("toggle", loadFilters, { capture: true, once: true });
}
document.addEventListener("click", async (event) => {
  const link = closest(event.target, "a[data-filter]", HTMLAnchorElement);
  if (!link || isModified(event)) return;
  event.preventDefault();
  (await loadFilters()).show(link.href, link.id);
});
addEventListener("popstate", async () => {
  const here = location.pathname + location.search;
  if (history.state?.viewer || findShown().some(({ dataset }) => dataset.url === here)) return;
  (await loadFilters()).restore();
});

// --- The viewer ---

/** @param {Event} event */
const findTileLink = ({ target }) => closest(target, "a[data-open]", HTMLAnchorElement);

document.addEventListener("pointerdown", (event) => {
  const tile = findTileLink(event);
  // A finger that comes down may only want to scroll.
  if (tile && event.pointerType === "mouse") prepare(tile.href);
});
document.addEventListener("click", (event) => {
  const tile = findTileLink(event);
  if (!tile || isModified(event)) return;
  event.preventDefault();
  openTile(tile);
});
