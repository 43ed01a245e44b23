// Opens the viewer from a wall, and keeps the address, Back and the focus in step with it.
//
// A work's shots are read from its own page, so that there is one description of them. Opening from
// a wall adds one entry to the history; turning to another shot replaces it.

import { fetchPage } from "./page.js";
import { makeLastingUrl } from "./renditions.js";

const works = new Map();
let viewer = null; // The module, once it is needed.
let shown = null; // The open viewer: { leave() }.
let wish = 0; // Counts what the visitor wants; only the newest is still opened when it has come.
let leaving = null; // Resolves when the entry of a closed viewer has been left.
let hasLeft = null; // Resolves that, once.

/** Fetches the viewer and a work's page, before the click is finished. */
export function prepare(url) {
  loadViewer().catch(() => {});
  fetchWork(url).catch(() => {});
}

function loadViewer() {
  viewer ??= import("./viewer.js").catch((error) => {
    viewer = null;
    throw error;
  });
  return viewer;
}

function fetchWork(url) {
  if (!works.has(url)) {
    const coming = fetchPage(url).then(({ page }) => readWork(page, false));
    coming.catch(() => works.delete(url));
    works.set(url, coming);
  }
  return works.get(url);
}

/**
 * Reads a work and its shots, in order, from its page.
 * @param {boolean} isHere whether the page is the one in front of the visitor.
 */
export function readWork(page, isHere) {
  const article = page.querySelector("article.work");
  const shots = [...article.querySelectorAll("a[data-shot]")].map((link) => {
    const img = link.querySelector("img");
    const lasting = img?.getAttribute("src") ?? "";
    const [width, height, fullWidth, fullHeight] = link.dataset.size.split(" ").map(Number);
    return {
      number: Number(link.dataset.shot),
      position: Number(link.dataset.position),
      url: link.getAttribute("href"),
      src: link.dataset.src,
      lasting,
      // A picture that failed before has lost its signed addresses.
      small: img?.getAttribute("srcset")?.split(" ", 1)[0] ?? makeLastingUrl(lasting, 480),
      alt: img?.alt ?? "",
      width,
      height,
      fullWidth,
      fullHeight,
      zoom: link.dataset.zoom,
      full: link.dataset.full,
      link: isHere ? link : null,
    };
  });
  shots.sort((one, other) => one.position - other.position);
  const { group, title, url } = article.dataset;
  return { group, title, url, shots };
}

/** Opens a tile's work at its cover; where that fails, its page. */
export async function openTile(link) {
  const mine = ++wish;
  try {
    const [{ open }, work] = await Promise.all([loadViewer(), fetchWork(link.href), leaving]);
    if (mine === wish) show(open, work, Number(link.dataset.open), link, "new");
  } catch {
    if (mine === wish) location.assign(link.href);
  }
}

/** Opens a shot of the work on this page; where that fails, the shot's own page. */
export async function openShot(work, number, entry) {
  const mine = ++wish;
  const shot = work.shots.find((one) => one.number === number);
  try {
    const [{ open }] = await Promise.all([loadViewer(), leaving]);
    if (mine === wish) show(open, work, number, shot.link, entry);
  } catch {
    if (mine === wish && entry === "new") location.assign(shot.url);
  }
}

/** Opens the viewer whose entry in the history, made by this document, was gone to again. */
async function openAgain({ url, number }) {
  const mine = ++wish;
  try {
    const [{ open }, work] = await Promise.all([loadViewer(), fetchWork(url)]);
    const link = document.querySelector(`a[href="${CSS.escape(url)}"]`);
    if (mine === wish) show(open, work, number, link, "again");
  } catch {
    if (mine === wish) location.reload();
  }
}

// `entry` is the viewer's place in the history: "new" makes one, "again" came forward into one, and
// "here" is the entry of a page that was opened at a shot's address.
function show(open, work, number, trigger, entry) {
  if (shown) return;
  const title = document.title;
  const state = (shot) => ({ viewer: { url: work.url, number: shot.number } });
  const start = work.shots.find((shot) => shot.number === number) ?? work.shots[0];
  // Once Back has been pressed the entry is another's, even while the viewer is still going.
  let isLeft = false;
  if (entry === "new") history.pushState(state(start), "", start.url);
  const handle = open({
    work,
    index: work.shots.indexOf(start),
    trigger,
    onTurn(shot) {
      if (isLeft) return;
      history.replaceState(state(shot), "", shot.url);
      document.title = `${work.title} · ${shot.position}/${work.shots.length}`;
    },
    onClose() {
      shown = null;
      document.title = title;
      if (isLeft) {
        // It may have been gone to again while the viewer was closing.
        if (history.state?.viewer) openAgain(history.state.viewer);
        return;
      }
      isLeft = true;
      // Opened by its own address there is nothing to go back to: the work's page is this one.
      if (entry === "here") history.replaceState(null, "", work.url);
      else goBack();
    },
    onGone() {
      const here = work.shots.find((shot) => shot.number === handle.number)?.link;
      (here ?? trigger)?.focus({ preventScroll: !here || here === trigger });
    },
  });
  shown = {
    leave() {
      isLeft = true;
      handle.close();
    },
  };
}

// The browser goes back some time later. What is opened before then would be gone back from.
function goBack() {
  leaving = new Promise((resolve) => {
    hasLeft = resolve;
  });
  history.back();
}

addEventListener("popstate", (event) => {
  if (hasLeft) {
    hasLeft();
    hasLeft = null;
    return;
  }
  wish += 1;
  const wanted = event.state?.viewer;
  if (shown && !wanted) shown.leave();
  else if (!shown && wanted) openAgain(wanted);
});

// A page that is left may be shown again from the browser's memory, with all it was waiting for.
addEventListener("pagehide", () => {
  wish += 1;
  hasLeft?.();
  hasLeft = null;
});
