// Pictures fade in over their placeholders. One that fails, because its signed address has run out
// or the storage was away, is asked for once more at its lasting address, which redirects to a
// fresh one; and again when the visitor comes back to the tab or the network does. What was asked
// for before that moment and fails after it counts as asked for in vain, and is asked for again.

import { makeLastingUrl } from "./renditions.js";

// Grows when there is new hope for every picture.
let round = 1;

const isFramed = (element) => element instanceof HTMLImageElement && element.closest(".frame");

function askAgain(img) {
  img.dataset.asked = round;
  const url = makeLastingUrl(img.getAttribute("src"), img.clientWidth * devicePixelRatio);
  for (const source of img.parentElement.querySelectorAll("source")) source.remove();
  img.removeAttribute("srcset");
  img.removeAttribute("sizes");
  img.src = url;
}

function settle(img, isHere) {
  img.classList.remove("is-coming");
  img.closest(".frame").classList.toggle("is-missing", !isHere);
}

function fail(img) {
  if (Number(img.dataset.asked) === round) settle(img, false);
  else askAgain(img);
}

/** Takes care of the pictures below `root` that have not come yet. */
export function watch(root) {
  for (const img of root.querySelectorAll(".frame img")) {
    if (!img.complete) {
      if (img.loading === "lazy") img.classList.add("is-coming");
    } else if (img.naturalWidth === 0) {
      fail(img);
    }
  }
}

function retryMissing() {
  if (document.visibilityState !== "visible") return;
  round += 1;
  document.querySelectorAll(".frame.is-missing img").forEach(askAgain);
}

// Neither event bubbles, but both can be caught on their way down.
document.addEventListener("load", ({ target }) => isFramed(target) && settle(target, true), true);
document.addEventListener("error", ({ target }) => isFramed(target) && fail(target), true);
document.addEventListener("visibilitychange", retryMissing);
addEventListener("online", retryMissing);
watch(document);
