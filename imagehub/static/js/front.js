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

/** Hangs the next page's works below; resolves to the link of its first tile. */
function hangNext() {
  coming ??= hang().finally(() => {
    coming = null;
    lookAgain();
  });
  return coming;
}

// Watched anew, the link is looked at even if it has not moved.
function lookAgain() {
  nearTheEnd.unobserve(more);
  if (more.isConnected && automaticLeft > 0) nearTheEnd.observe(more);
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
  const first = wall.querySelector(".tile a") ?? [...walls.querySelectorAll(".tile a")].at(-1);
  const next = page.querySelector("a.more");
  if (next) {
    more.href = next.getAttribute("href");
  } else {
    // A focus that goes with its element would begin at the top of the page again.
    if (document.activeElement === more) first.focus({ preventScroll: true });
    more.remove();
  }
  return first;
}

const nearTheEnd = new IntersectionObserver(
  async (entries) => {
    if (!entries.at(-1).isIntersecting || coming || automaticLeft <= 0) return;
    // Whoever came to the link by key decides alone: it must not go from under their fingers.
    if (document.activeElement === more) return;
    automaticLeft -= 1;
    try {
      await hangNext();
    } catch {
      automaticLeft = 0;
    }
    if (automaticLeft <= 0) nameMore();
  },
  { rootMargin: "0px 0px 1200px" },
);

// From here on the visitor decides, so that the end of the page can be reached.
function nameMore() {
  more.firstChild.textContent = `${words.show_more} `;
}

if (more) {
  nearTheEnd.observe(more);
  more.addEventListener("blur", lookAgain);
  more.addEventListener("click", async (event) => {
    if (isModified(event)) return;
    event.preventDefault();
    try {
      const first = await hangNext();
      // Whoever has gone elsewhere while the page came stays there.
      if ([more, document.body].includes(document.activeElement)) {
        first.focus({ preventScroll: true });
      }
    } catch {
      location.assign(more.href);
    }
  });
}

// --- The address follows the page in view ---

function follow(wall) {
  if (wall.dataset.url !== location.pathname + location.search) {
    history.replaceState(history.state, "", wall.dataset.url);
  }
  document.title = wall.dataset.title;
}

const places = new IntersectionObserver(
  (entries) => {
    // They are in the order in which they happened.
    const seen = entries.findLast((entry) => entry.isIntersecting)?.target;
    if (seen && !history.state?.viewer) follow(seen);
  },
  { rootMargin: "-40% 0px -60% 0px" },
);

// Coming back to a page of which the browser has kept nothing, it knows how far down the visitor was
// in a longer page than this one. So the work that was in view is kept, and looked for. It must hang
// on the page that the address names, which may not have followed the last scrolling yet.
addEventListener("pagehide", () => {
  const all = [...walls.querySelectorAll(".wall")];
  const wall =
    all.findLast((one) => one.getBoundingClientRect().top <= innerHeight * 0.4) ?? all[0];
  if (!history.state?.viewer) follow(wall);
  const seen = [...wall.querySelectorAll(".tile")].find(
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
