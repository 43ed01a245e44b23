// The wall: further pages are hung below while the visitor scrolls, and a click on a work opens
// its shots in the viewer. Without this module every link leads to a page.

import { openTile, prepare } from "./opening.js";
import { fetchPage } from "./page.js";
import { watch } from "./pictures.js";
import { say, words } from "./words.js";

const AUTOMATIC_PAGES = 3;

const walls = document.getElementById("walls");
const more = document.querySelector("a.more");
let automaticLeft = AUTOMATIC_PAGES;
let coming = null;

// --- Further pages ---

/** Hangs the next page's works below; resolves to its first tile, or null at the end. */
function hangNext() {
  coming ??= hang().finally(() => {
    coming = null;
  });
  return coming;
}

async function hang() {
  const { page, css } = await fetchPage(more.href);
  const wall = page.querySelector(".wall");
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(css);
  document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
  // Works that moved down since the page before was made are there already.
  for (const tile of wall.querySelectorAll(".tile")) {
    if (document.getElementById(tile.id)) tile.remove();
  }
  wall.dataset.title = page.title;
  for (const img of wall.querySelectorAll("img")) {
    img.removeAttribute("fetchpriority");
    img.loading = "lazy";
  }
  const count = wall.children.length;
  walls.append(document.adoptNode(wall));
  watch(wall);
  places.observe(wall);
  say(words.added.replace("{count}", count));
  const first = wall.querySelector(".tile a");
  const next = page.querySelector("a.more");
  if (next) {
    more.href = next.getAttribute("href");
  } else {
    // A focus that goes with its element would begin at the top of the page again.
    if (document.activeElement === more) first?.focus({ preventScroll: true });
    more.remove();
  }
  return first;
}

const nearTheEnd = new IntersectionObserver(
  async ([entry]) => {
    // Whoever came to the link by key decides alone: it must not go from under their fingers.
    if (!entry.isIntersecting || automaticLeft <= 0 || document.activeElement === more) return;
    automaticLeft -= 1;
    nearTheEnd.unobserve(more);
    try {
      await hangNext();
    } catch {
      automaticLeft = 0;
    }
    if (!more.isConnected) return;
    if (automaticLeft > 0) nearTheEnd.observe(more);
    else nameMore();
  },
  { rootMargin: "0px 0px 1200px" },
);

// From here on the visitor decides, so that the end of the page can be reached.
function nameMore() {
  more.firstChild.textContent = `${words.show_more} `;
}

if (more) {
  nearTheEnd.observe(more);
  more.addEventListener("blur", () => {
    if (!more.isConnected || automaticLeft <= 0) return;
    // Watched anew, the link is looked at even if it has not moved.
    nearTheEnd.unobserve(more);
    nearTheEnd.observe(more);
  });
  more.addEventListener("click", async (event) => {
    if (isModified(event)) return;
    event.preventDefault();
    try {
      const first = await hangNext();
      first?.focus({ preventScroll: true });
    } catch {
      location.assign(more.href);
    }
  });
}

// --- The address follows the page in view ---

const places = new IntersectionObserver(
  (entries) => {
    const seen = entries.find((entry) => entry.isIntersecting)?.target;
    if (!seen || history.state?.viewer) return;
    if (seen.dataset.url !== location.pathname + location.search) {
      history.replaceState(history.state, "", seen.dataset.url);
    }
    document.title = seen.dataset.title;
  },
  { rootMargin: "-40% 0px -60% 0px" },
);

// Coming back to a page of which the browser has kept nothing, it knows how far down the visitor was
// in a longer page than this one. So the work that was in view is kept, and looked for.
addEventListener("pagehide", () => {
  const seen = [...walls.querySelectorAll(".tile")].find(
    (tile) => tile.getBoundingClientRect().bottom > 0,
  );
  if (!seen) return;
  const place = { id: seen.id, top: seen.getBoundingClientRect().top };
  history.scrollRestoration = "manual";
  history.replaceState({ ...history.state, place }, "");
});

const place = history.state?.place;
const kept = place && document.getElementById(place.id);
if (kept && scrollY < 1) scrollBy(0, kept.getBoundingClientRect().top - place.top);

const firstWall = walls.querySelector(".wall");
firstWall.dataset.title = document.title;
places.observe(firstWall);

// --- The viewer ---

const isModified = (event) =>
  event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey;

walls.addEventListener("pointerdown", (event) => {
  const link = event.target.closest("a[data-open]");
  // A finger that comes down may only want to scroll.
  if (link && event.pointerType === "mouse") prepare(link.href);
});
walls.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-open]");
  if (!link || isModified(event)) return;
  event.preventDefault();
  openTile(link);
});
