// Opens the viewer from a wall, and keeps the address, Back and the focus in step with it.
//
// A work's shots are read from its own page, so that there is one description of them. Opening from
// a wall adds one entry to the history; turning to another shot replaces it.

import { find, findAll, get } from "./dom.js";
import { fetchPage } from "./page.js";
import { makeLastingUrl } from "./renditions.js";
import { t } from "./words.js";

/** The place of the viewer in the history: "new" adds an entry, "again" came forward to one, and
 * "here" is the entry of a page that was opened at a shot's address.
 * @typedef {"new" | "again" | "here"} HistoryEntry */

const works = /** @type {Map<string, Promise<Work>>} */ (new Map());
let viewer = /** @type {?Promise<typeof import("./viewer.js")>} */ (null);
/** @type {?{ leave(): void }} the open viewer */
let shown = null;
// Counts what the visitor wants; only the newest wish is opened when it has loaded.
let wish = 0;
/** @type {?Promise<void>} settles when the entry of a closed viewer has been left */
let leaving = null;
/** @type {?(() => void)} settles it, once */
let hasLeft = null;

/** Load the viewer and a work's page, before the click is finished. @param {string} url */
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

/** @param {string} url @returns {Promise<Work>} */
function fetchWork(url) {
  let coming = works.get(url);
  if (!coming) {
    coming = fetchPage(url).then(({ page }) => readWork(get(page, "[data-work]"), false));
    coming.catch(() => works.delete(url));
    works.set(url, coming);
  }
  return coming;
}

/** Read a work and its shots, in order.
 * @param {HTMLElement} article
 * @param {boolean} isHere whether it is on the page in front of the visitor
 * @returns {Work} */
export function readWork(article, isHere) {
  const shots = findAll(article, "a[data-shot]").map((link) => {
    const { shot, position, size = "", src = "", full = "", fullLabel = "" } = link.dataset;
    const { zoom = "", tiles = "", video = "", videoType = "", videoLength = "", loop } = link.dataset;
    const img = find(link, "img", HTMLImageElement);
    // A video on the page itself has no picture in the link to the viewer.
    const lasting = img?.getAttribute("src") ?? link.dataset.still ?? "";
    const [width, height, fullWidth, fullHeight] = size.split(" ").map(Number);
    return {
      number: Number(shot),
      position: Number(position),
      url: link.getAttribute("href") ?? "",
      src,
      lasting,
      // A picture that failed before has lost its signed addresses.
      small: img?.getAttribute("srcset")?.split(" ", 1)[0] ?? makeLastingUrl(lasting, 480),
      alt: link.dataset.alt ?? img?.alt ?? "",
      width,
      height,
      fullWidth,
      fullHeight,
      zoom,
      tiles,
      full,
      fullLabel,
      video,
      videoType,
      length: videoLength,
      isLoop: loop !== undefined,
      link: isHere ? link : null,
    };
  });
  shots.sort((one, other) => one.position - other.position);
  const { title = "", url = "" } = article.dataset;
  // A copy, as the viewer shows it while the page keeps its own.
  const label = findAll(article, ".record, .text, [data-label-link]").map((part) =>
    part.cloneNode(true),
  );
  return { title, url, shots, label };
}

/** Open a tile's work at its cover; where that fails, its page. @param {HTMLAnchorElement} link */
export async function openTile(link) {
  const mine = ++wish;
  try {
    const [{ open }, work] = await Promise.all([loadViewer(), fetchWork(link.href), leaving]);
    if (mine === wish) show(open, work, Number(link.dataset.open), link, "new");
  } catch {
    if (mine === wish) location.assign(link.href);
  }
}

/** Open a shot of the work on this page; where that fails, the shot's own page.
 * @param {Work} work @param {number} number @param {HistoryEntry} entry */
export async function openShot(work, number, entry) {
  const mine = ++wish;
  const shot = work.shots.find((one) => one.number === number);
  try {
    const [{ open }] = await Promise.all([loadViewer(), leaving]);
    if (mine === wish) show(open, work, number, shot?.link ?? null, entry);
  } catch {
    if (mine === wish && entry === "new" && shot) location.assign(shot.url);
  }
}

/** Open the viewer for an entry of the history that this document made before. */
async function openAgain(/** @type {{ url: string, number: number }} */ { url, number }) {
  const mine = ++wish;
  try {
    const [{ open }, work] = await Promise.all([loadViewer(), fetchWork(url)]);
    const link = find(document, `a[href="${CSS.escape(url)}"]`);
    if (mine === wish) show(open, work, number, link, "again");
  } catch {
    if (mine === wish) location.reload();
  }
}

/** @param {typeof import("./viewer.js").open} open @param {Work} work
 * @param {number} number of the shot to begin with
 * @param {?HTMLElement} trigger the link that was used
 * @param {HistoryEntry} entry */
function show(open, work, number, trigger, entry) {
  if (shown) return;
  // On the page of a shot, closing leads to the page of the work.
  const titleBehind = entry === "here" ? nameTab(work) : document.title;
  /** @param {Shot} shot */
  const makeState = (shot) => ({ viewer: { url: work.url, number: shot.number } });
  const start = work.shots.find((shot) => shot.number === number) ?? work.shots[0];
  // After Back the entry belongs to another page, even while the viewer is still closing.
  let isLeft = false;
  if (entry === "new") history.pushState(makeState(start), "", start.url);
  const handle = open({
    work,
    index: work.shots.indexOf(start),
    trigger,
    onTurn(shot) {
      if (isLeft) return;
      history.replaceState(makeState(shot), "", shot.url);
      document.title = nameTab(work, shot);
    },
    onClose() {
      shown = null;
      document.title = titleBehind;
      if (isLeft) {
        // The visitor may have come forward again while the viewer was closing.
        if (history.state?.viewer) openAgain(history.state.viewer);
        return;
      }
      isLeft = true;
      // Opened by its own address there is nothing to go back to: this is the work's page.
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

/** Name the tab like the page of a work, or of one of its shots.
 * @param {Work} work @param {Shot} [shot] */
function nameTab({ title, shots }, shot) {
  const name =
    shot && shots.length > 1 ? t("shot_title", { title, number: String(shot.position) }) : title;
  return `${name} · ${t("site")}`;
}

/** Go back; the browser does so a little later, and nothing may be opened before then. */
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

// A page that is left may be shown again from the browser's memory, with everything it waited for.
addEventListener("pagehide", () => {
  wish += 1;
  hasLeft?.();
  hasLeft = null;
});
