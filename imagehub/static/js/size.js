// A work at its true size: the companion and the wall change without a new page, and the room can be
// moved and zoomed. The server draws the rooms.

import { find, findAll, get } from "./dom.js";
import { fetchPage } from "./page.js";
import { setUpScreen } from "./size-screen.js";
import { say } from "./words.js";

const MOST_ZOOM = 12;
const STEP = 0.12;

const place = get(document, "[data-room-place]");
const form = get(document, "[data-choice]", HTMLFormElement);
get(form, "[data-submit]").hidden = true;
get(document, "[data-zoom]").hidden = false;
setUpScreen(get(document, "[data-screen]"));

// --- Another room ---

let wish = 0;

form.addEventListener("change", async () => {
  const mine = ++wish;
  const url = new URL(form.action);
  for (const [name, value] of new FormData(form)) url.searchParams.set(name, String(value));
  try {
    const { page } = await fetchPage(url.href);
    if (mine !== wish) return;
    place.replaceChildren(get(page, "[data-room]", SVGSVGElement));
    const words = get(page, "figcaption");
    get(document, "figcaption").replaceWith(words);
    say(words.textContent ?? "");
    history.replaceState(history.state, "", url.href);
    setUpRoom();
  } catch {
    if (mine === wish) location.assign(url.href);
  }
});

// --- Zooming and moving ---

/** @typedef {{ x: number, y: number, width: number, height: number }} View */

/** @type {View} all of the room */
let whole;
/** @type {View} what is shown of it */
let view;
/** @type {SVGSVGElement} */
let room;

function setUpRoom() {
  room = get(place, "[data-room]", SVGSVGElement);
  const { x, y, width, height } = room.viewBox.baseVal;
  whole = { x, y, width, height };
  view = { ...whole };
  room.setAttribute("tabindex", "0");
  draw();
}

function draw() {
  view.width = Math.min(whole.width, Math.max(whole.width / MOST_ZOOM, view.width));
  view.height = (view.width / whole.width) * whole.height;
  view.x = Math.min(whole.width - view.width, Math.max(0, view.x));
  view.y = Math.min(whole.height - view.height, Math.max(0, view.y));
  room.setAttribute("viewBox", `${view.x} ${view.y} ${view.width} ${view.height}`);
  const isZoomed = view.width < whole.width * 0.999;
  room.classList.toggle("can-move", isZoomed);
  for (const button of findAll(document, "[data-by]", HTMLButtonElement)) {
    const isIn = Number(button.dataset.by) > 1;
    button.disabled = isIn ? view.width <= (whole.width / MOST_ZOOM) * 1.01 : !isZoomed;
  }
}

/** Zoom around a point of the view, by default the work's middle. @type {(by: number, at?: { x: number, y: number }) => void} */
function zoom(by, at = findMiddle()) {
  const width = Math.min(whole.width, Math.max(whole.width / MOST_ZOOM, view.width / by));
  const share = width / view.width;
  view = { ...view, width, x: at.x - (at.x - view.x) * share, y: at.y - (at.y - view.y) * share };
  draw();
}

function findMiddle() {
  const { x, y, width, height } = get(room, "image", SVGImageElement).getBBox();
  return { x: x + width / 2, y: y + height / 2 };
}

/** Find the point of the room under a pointer. */
function locate(/** @type {{ clientX: number, clientY: number }} */ { clientX, clientY }) {
  const matrix = room.getScreenCTM();
  return new DOMPoint(clientX, clientY).matrixTransform(matrix?.inverse());
}

get(document, "[data-zoom]").addEventListener("click", ({ target }) => {
  const button = target instanceof Element ? target.closest("[data-by]") : null;
  if (button instanceof HTMLElement) zoom(Number(button.dataset.by));
});

place.addEventListener(
  "wheel",
  (event) => {
    // The page scrolls unless the visitor zooms: a pinch on a touchpad comes with Control.
    if (!event.ctrlKey) return;
    event.preventDefault();
    zoom(Math.exp(-event.deltaY / 100), locate(event));
  },
  { passive: false },
);

place.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const step = { x: view.width * STEP, y: view.height * STEP };
  /** @type {Record<string, () => void>} */
  const acts = { "+": () => zoom(1.4), "=": () => zoom(1.4), "-": () => zoom(1 / 1.4) };
  if (view.width < whole.width * 0.999) {
    acts.ArrowLeft = () => move(-step.x, 0);
    acts.ArrowRight = () => move(step.x, 0);
    acts.ArrowUp = () => move(0, -step.y);
    acts.ArrowDown = () => move(0, step.y);
  }
  if (!acts[event.key]) return;
  event.preventDefault();
  acts[event.key]();
});

/** @param {number} x @param {number} y */
function move(x, y) {
  view.x += x;
  view.y += y;
  draw();
}

/** The fingers on the room. @type {Map<number, PointerEvent>} */
const pointers = new Map();

place.addEventListener("pointerdown", (event) => {
  pointers.set(event.pointerId, event);
  if (pointers.size > 1) place.setPointerCapture(event.pointerId);
});
place.addEventListener("pointermove", (event) => {
  const before = pointers.get(event.pointerId);
  if (!before || !room.classList.contains("can-move")) return;
  if (pointers.size === 1) {
    const [from, to] = [locate(before), locate(event)];
    move(from.x - to.x, from.y - to.y);
  } else {
    const other = [...pointers.values()].find((one) => one.pointerId !== event.pointerId);
    if (other) zoom(measure(event, other) / Math.max(1, measure(before, other)), locate(other));
  }
  pointers.set(event.pointerId, event);
});
for (const name of /** @type {const} */ (["pointerup", "pointercancel", "pointerleave"])) {
  place.addEventListener(name, (event) => pointers.delete(event.pointerId));
}

const measure = (/** @type {PointerEvent} */ one, /** @type {PointerEvent} */ other) =>
  Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY);

setUpRoom();
// After a reload browsers restore the choice, but not the room.
if (find(form, "input:checked:not([checked])")) form.dispatchEvent(new Event("change"));
