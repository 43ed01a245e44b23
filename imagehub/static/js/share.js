// Sharing the address of a work.

import { getFocused, make } from "./dom.js";

/** Open the device's own sharing, or copy the link; return whether it was copied. */
export async function share(/** @type {string} */ title, /** @type {string} */ url) {
  // Visitors cannot open the preview of a look.
  const { preview, real = "" } = document.documentElement.dataset;
  const address = new URL(url, location.href);
  if (preview) address.pathname = address.pathname.replace(`${preview}/`, `${real}/`);
  const absolute = address.href;
  if (navigator.share) {
    try {
      await navigator.share({ title, url: absolute });
      return false;
    } catch (error) {
      if (error instanceof DOMException && error.name === "AbortError") return false;
    }
  }
  return copy(absolute);
}

/** Copy a text; return whether that was possible. */
export async function copy(/** @type {string} */ text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyFromField(text);
  }
}

/** Copy by a selected field: without https there is no clipboard. @param {string} text */
function copyFromField(text) {
  const focused = getFocused();
  const field = make("textarea", { value: text, className: "unseen" });
  (document.querySelector(".pswp") ?? document.body).append(field);
  field.select();
  const isCopied = document.execCommand("copy");
  field.remove();
  focused.focus({ preventScroll: true });
  return isCopied;
}
