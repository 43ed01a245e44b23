// Pictures fade in over their placeholders. One that fails, because its signed address has expired
// or the storage was down, is requested once more at its permanent address, which redirects to a
// fresh one; and again when the visitor returns to the tab or the network does. A request from
// before that moment that fails after it counts as failed, and is repeated.

import { findAll } from "./dom.js";
import { makeLastingUrl } from "./renditions.js";

// Grows whenever it makes sense to request every missing picture again.
let round = 1;

function requestAgain(/** @type {HTMLImageElement} */ img) {
  img.dataset.round = String(round);
  const src = img.getAttribute("src") ?? "";
  const url = makeLastingUrl(src, img.clientWidth * devicePixelRatio);
  for (const source of findAll(img.parentElement ?? img, "source")) source.remove();
  img.removeAttribute("srcset");
  img.removeAttribute("sizes");
  img.src = url;
}

function settle(/** @type {HTMLImageElement} */ img, /** @type {boolean} */ isLoaded) {
  img.classList.remove("is-coming");
  img.closest(".frame")?.classList.toggle("is-missing", !isLoaded);
}

function fail(/** @type {HTMLImageElement} */ img) {
  if (Number(img.dataset.round) === round) settle(img, false);
  else requestAgain(img);
}

/** Look after the pictures below `root` that are not loaded yet. @param {ParentNode} root */
export function watch(root) {
  for (const img of findAll(root, ".frame img", HTMLImageElement)) {
    if (!img.complete) {
      if (img.loading === "lazy") img.classList.add("is-coming");
    } else if (img.naturalWidth === 0) {
      fail(img);
    }
  }
}

/** Let pictures below `root` wait no longer for those of the first screen.
 * @param {ParentNode} root */
export function release(root) {
  for (const frame of findAll(root, ".is-later")) frame.classList.remove("is-later");
}

function retryMissing() {
  if (document.visibilityState !== "visible") return;
  round += 1;
  findAll(document, ".frame.is-missing img", HTMLImageElement).forEach(requestAgain);
}

function note(/** @type {Event} */ { type, target }) {
  if (!(target instanceof HTMLImageElement) || !target.closest(".frame")) return;
  if (type === "load") settle(target, true);
  else fail(target);
}

/** Load what is out of view too: paper shows all of it. */
function loadAll() {
  for (const img of findAll(document, ".frame img", HTMLImageElement)) img.loading = "eager";
}

// Neither event bubbles, but both can be captured.
for (const kind of ["load", "error"]) document.addEventListener(kind, note, true);
document.addEventListener("visibilitychange", retryMissing);
addEventListener("online", retryMissing);
addEventListener("beforeprint", loadAll);
addEventListener("scroll", () => release(document), { once: true, passive: true });
watch(document);
