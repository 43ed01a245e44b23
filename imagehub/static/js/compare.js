// Two shots side by side. Zooming and moving one, by wheel, drag, pinch or key, moves both: the
// same part of each picture stays in view.

import { icon, make } from "./dom.js";
import { t } from "./words.js";

const MAX_ZOOM = 12;
const KEY_STEP = 0.08;

/** Show two shots until the visitor or the signal closes the dialog.
 * @param {Shot[]} shots @param {number} first index of the shot in view
 * @param {(shot: Shot) => string} describe @param {AbortSignal} signal */
export async function compareShots(shots, first, describe, signal) {
  if (signal.aborted) return;
  const dialog = make("dialog", { className: "compare", ariaLabel: t("compare") });
  // x and y shift the picture by parts of its pane.
  const view = { zoom: 1, x: 0, y: 0 };
  const panes = [makePane(first, t("left")), makePane((first + 1) % shots.length, t("right"))];

  function makePane(/** @type {number} */ index, /** @type {string} */ label) {
    const img = make("img", { draggable: false });
    const frame = make("div", { className: "compare-frame" }, img);
    const select = make("select", { ariaLabel: label });
    shots.forEach((shot, i) => {
      select.append(new Option(describe(shot), String(i), i === index, i === index));
    });
    const put = () => {
      const shot = shots[Number(select.value)];
      img.onerror = () => {
        img.onerror = null;
        img.src = shot.lasting;
      };
      img.src = shot.src;
      img.alt = shot.alt;
    };
    select.addEventListener("change", put);
    put();
    return { figure: make("figure", {}, frame, select), frame, img };
  }

  function paint() {
    const most = (view.zoom - 1) / 2 + (view.zoom > 1 ? 0.25 : 0);
    view.x = Math.min(most, Math.max(-most, view.x));
    view.y = Math.min(most, Math.max(-most, view.y));
    for (const { img } of panes) {
      img.style.transform = `translate(${view.x * 100}%, ${view.y * 100}%) scale(${view.zoom})`;
    }
  }

  /** Zoom around a point: in parts of the pane, from its middle. @param {number} zoom */
  function zoomTo(zoom, px = 0, py = 0) {
    const next = Math.min(MAX_ZOOM, Math.max(1, zoom));
    const ratio = next / view.zoom;
    view.x = px - (px - view.x) * ratio;
    view.y = py - (py - view.y) * ratio;
    view.zoom = next;
    paint();
  }

  function moveBy(/** @type {number} */ x, /** @type {number} */ y) {
    view.x += x;
    view.y += y;
    paint();
  }

  /** @param {MouseEvent} event @param {HTMLElement} frame @returns {[number, number]} */
  function locate(event, frame) {
    const box = frame.getBoundingClientRect();
    const { clientX, clientY } = event;
    return [(clientX - box.left) / box.width - 0.5, (clientY - box.top) / box.height - 0.5];
  }

  for (const { frame } of panes) {
    const fingers = /** @type {Map<number, PointerEvent>} */ (new Map());
    let spread = 0;
    const getSpread = () => {
      const [one, other] = [...fingers.values()];
      return Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY);
    };
    frame.addEventListener(
      "wheel",
      (event) => {
        event.preventDefault();
        zoomTo(view.zoom * Math.exp(-event.deltaY / 400), ...locate(event, frame));
      },
      { passive: false },
    );
    frame.addEventListener("dblclick", (event) => {
      if (view.zoom > 1.01) zoomTo(1);
      else zoomTo(3, ...locate(event, frame));
    });
    frame.addEventListener("pointerdown", (event) => {
      frame.setPointerCapture(event.pointerId);
      fingers.set(event.pointerId, event);
      if (fingers.size === 2) spread = getSpread();
    });
    frame.addEventListener("pointermove", (event) => {
      const before = fingers.get(event.pointerId);
      if (!before) return;
      fingers.set(event.pointerId, event);
      if (fingers.size === 2) {
        const now = getSpread();
        zoomTo((view.zoom * now) / (spread || now), ...locate(event, frame));
        spread = now;
      } else {
        const [x, y] = [event.clientX - before.clientX, event.clientY - before.clientY];
        moveBy(x / frame.clientWidth, y / frame.clientHeight);
      }
    });
    frame.onpointerup = frame.onpointercancel = (event) => fingers.delete(event.pointerId);
  }

  /** @type {Record<string, () => void>} */
  const moves = {
    "+": () => zoomTo(view.zoom * 1.4),
    "=": () => zoomTo(view.zoom * 1.4),
    "-": () => zoomTo(view.zoom / 1.4),
    0: () => zoomTo(1),
    ArrowLeft: () => moveBy(KEY_STEP, 0),
    ArrowRight: () => moveBy(-KEY_STEP, 0),
    ArrowUp: () => moveBy(0, KEY_STEP),
    ArrowDown: () => moveBy(0, -KEY_STEP),
  };
  dialog.addEventListener("keydown", (event) => {
    if (event.target instanceof HTMLSelectElement && event.key.startsWith("Arrow")) return;
    const move = moves[event.key];
    if (!move) return;
    event.preventDefault();
    move();
  });

  const title = t("compare_end");
  const close = make("button", { type: "button", className: "compare-close" }, icon("x"));
  const onclick = () => dialog.close();
  Object.assign(close, { title, ariaLabel: title, autofocus: true, onclick });
  signal.addEventListener("abort", () => dialog.close(), { once: true });
  dialog.append(...panes.map(({ figure }) => figure), close);
  document.body.append(dialog);
  dialog.showModal();
  paint();
  await new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      // The key that closed this must not close the viewer too.
      setTimeout(resolve);
    });
  });
}
