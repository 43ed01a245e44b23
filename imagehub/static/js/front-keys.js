// On a front page with one work on each screen, the arrow keys lead from one work to the next.
// Without this module the browser's own keys scroll, and the style stops them at the works.

import { closest, find, findAll, isModified } from "./dom.js";

const STEPS = /** @type {Map<string, number>} */ (
  new Map([
    ["ArrowDown", 1],
    ["PageDown", 1],
    ["ArrowUp", -1],
    ["PageUp", -1],
  ])
);
/** @type {?Element} the work that the page scrolls to */
let goal = null;

/** Return the place of each work in the window, measured at its middle. */
function measure() {
  return findAll(document, "#found .tile").map((tile) => {
    const { top, height } = tile.getBoundingClientRect();
    return { tile, off: Math.round(top + height / 2 - innerHeight / 2) };
  });
}

/** Move to the next work in a direction. @param {number} step
 * @returns {boolean} whether there is one */
function move(step) {
  const places = measure();
  const from = places.findIndex(({ tile }) => tile === goal);
  const inView =
    step > 0 ? places.find(({ off }) => off > 8) : places.findLast(({ off }) => off < -8);
  const next = from < 0 ? inView : places[from + step];
  if (!next) return false;
  const isStill = matchMedia("(prefers-reduced-motion: reduce)").matches;
  goal = next.tile;
  find(next.tile, "a")?.focus({ preventScroll: true });
  next.tile.scrollIntoView({ block: "center", behavior: isStill ? "instant" : "smooth" });
  return true;
}

for (const kind of ["wheel", "touchmove", "pointerdown"]) {
  addEventListener(kind, () => (goal = null), { passive: true });
}
// Chromium also reports the end of a scroll that a further key has replaced by a longer one.
addEventListener("scrollend", () => {
  const { scrollHeight } = document.documentElement;
  const isAtEdge = scrollY <= 1 || scrollY + innerHeight >= scrollHeight - 1;
  const off = measure().find(({ tile }) => tile === goal)?.off ?? 0;
  if (isAtEdge || Math.abs(off) <= 8) goal = null;
});
addEventListener("keydown", (event) => {
  const step = STEPS.get(event.key);
  if (!step) goal = null;
  if (!step || isModified(event) || event.defaultPrevented) return;
  // Fields, lists and dialogs, such as the viewer, have the same keys for themselves.
  if (closest(event.target, "input, select, textarea, summary, [role=listbox]")) return;
  if (find(document, "dialog[open], .pswp")) return;
  if (move(step)) event.preventDefault();
});
