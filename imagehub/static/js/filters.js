// The filters above a wall: the pages that they link to are shown without a reload.

import { byId, closest, find, findAll } from "./dom.js";
import { changeEntry } from "./front-place.js";
import { begin } from "./front.js";
import { fetchPage } from "./page.js";
import { release, watch } from "./pictures.js";

const found = byId("found");
const walls = byId("walls");
const sheet = new CSSStyleSheet();
let latest = 0;

/** Show another list in place of this one.
 * @param {string} url
 * @param {string} [focusId] of the link that was followed: the focus goes to what has taken its place */
export async function show(url, focusId) {
  latest += 1;
  const turn = latest;
  found.ariaBusy = "true";
  try {
    const { page, css } = await fetchPage(url);
    // A visitor who has chosen something else meanwhile gets only that.
    if (turn !== latest) return;
    const shown = find(page, "#found");
    if (!shown) throw new Error(`no list at ${url}`);
    if (focusId !== undefined) changeEntry(url);
    replace(shown, css);
    document.title = page.title;
    if (focusId !== undefined) focusOn(focusId);
    begin();
  } catch {
    location.assign(url);
  } finally {
    if (turn === latest) found.ariaBusy = null;
  }
}

/** Show the list of the address that the visitor has gone back to. */
export async function restore() {
  changeEntry();
  await show(location.href);
}

/** @param {HTMLElement} shown @param {string} css */
function replace(shown, css) {
  const panel = find(found, ".find-panel", HTMLDetailsElement);
  const isOpen = panel?.open;
  const place = find(found, ".panel")?.scrollTop ?? 0;
  sheet.replaceSync(css);
  document.adoptedStyleSheets = [sheet];
  const newWalls = find(shown, "#walls");
  if (newWalls) {
    release(newWalls);
    walls.replaceChildren(...newWalls.childNodes);
    newWalls.replaceWith(walls);
  }
  document.adoptNode(shown);
  found.replaceChildren(...shown.childNodes);
  found.dataset.url = shown.dataset.url;
  watch(walls);
  const fresh = find(found, ".find-panel", HTMLDetailsElement);
  if (fresh && isOpen) fresh.open = true;
  prepare();
  const scrolled = find(found, ".panel");
  if (scrolled) scrolled.scrollTop = place;
}

/** @param {string} id */
function focusOn(id) {
  const target = document.getElementById(id) ?? find(found, "#f-summary") ?? find(found, ".tile a");
  target?.focus({ preventScroll: true });
}

// --- The panel, which is a sheet on phones ---

/** @param {boolean} [isRefocused] */
function close(isRefocused = true) {
  const panel = find(found, ".find-panel", HTMLDetailsElement);
  if (!panel?.open) return;
  panel.open = false;
  if (isRefocused) find(panel, "summary")?.focus({ preventScroll: true });
}

/** Make the panel ready for a script. */
function prepare() {
  find(found, ".find")?.classList.add("has-script");
  for (const button of findAll(found, "[data-close-filters]")) button.hidden = false;
  for (const form of findAll(found, "[data-filter-form]", HTMLFormElement)) {
    const list = find(form, "select", HTMLSelectElement);
    list?.addEventListener("change", () => {
      if (!list.value) return;
      const fields = [...new FormData(form)].map(([name, value]) => [name, String(value)]);
      show(`${form.getAttribute("action")}?${new URLSearchParams(fields)}`, list.id);
    });
  }
}

document.addEventListener("keydown", (event) => {
  const isInside = closest(event.target, ".find-panel", HTMLElement);
  if (event.key === "Escape" && isInside) close();
});
document.addEventListener("click", ({ target }) => {
  if (closest(target, "[data-close-filters]", HTMLElement)) close();
  // Beside the sheet, which covers the page on phones only.
  else if (matchMedia("(max-width: 699px)").matches && !closest(target, "#filters", HTMLElement)) {
    close(false);
  }
});
prepare();
