// What a person is in the middle of, so that the page is not replaced under their hands.

const LEAVING_MS = 60_000;

let isHeld = false;
let isDragging = false;
let releaseTimer = 0;
let leftAt = -Infinity;
const waiting = /** @type {Set<(value?: undefined) => void>} */ (new Set());

function hold() {
  clearTimeout(releaseTimer);
  isHeld = true;
}

function release() {
  clearTimeout(releaseTimer);
  // The click comes after the pointer is up.
  releaseTimer = setTimeout(() => {
    isHeld = isDragging = false;
    for (const go of waiting) go();
    waiting.clear();
  });
}

function startDrag() {
  hold();
  isDragging = true;
}

addEventListener("pointerdown", hold, true);
addEventListener("pointerup", release, true);
addEventListener("pointercancel", () => !isDragging && release(), true);
addEventListener("dragstart", startDrag, true);
addEventListener("dragend", release, true);
// No `dragend` comes where the dragged element is gone.
addEventListener("pointermove", ({ buttons }) => isHeld && !buttons && release(), true);
addEventListener("beforeunload", () => (leftAt = Date.now()));
addEventListener("pageshow", () => (leftAt = -Infinity));

/** Return whether a pointer is down or something is dragged. */
export const isPressed = () => isHeld;

/** Wait until nothing is pressed or dragged: a click on a replaced element would be lost. */
export async function waitForRelease() {
  while (isHeld) {
    await new Promise((resolve) => {
      waiting.add(resolve);
    });
  }
}

/** Load the page again, unless the person is leaving it, presses something or is asked something.
 * @returns {boolean} whether it is loaded again */
export function reloadPage() {
  const isLeaving = Date.now() - leftAt < LEAVING_MS;
  if (isHeld || isLeaving || document.querySelector("dialog[open]")) return false;
  location.reload();
  return true;
}
