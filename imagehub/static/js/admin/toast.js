// Messages that come and go at the edge of the page.

import { byId, find, findAll, icon, make } from "../dom.js";
import { t } from "../words.js";
import { getMessage } from "./http.js";

/** @typedef {?{ url: string, words: string }} ToastLink to a page of another site */

/** Show a sentence for a while; it stays while it is pointed at or holds the focus.
 * @param {string} message
 * @param {{ undo?: ?(() => unknown), link?: ToastLink, isFault?: boolean,
 *   seconds?: number }} [options] `undo`: what the button Undo does
 * @returns {() => void} closes it */
export function toast(message, { undo, link, isFault = false, seconds = undo ? 12 : 6 } = {}) {
  const words = make("p", {}, message);
  const box = make("div", { className: isFault ? "toast is-fault" : "toast" }, words);
  if (link) {
    const properties = { href: link.url, className: "toast-link" };
    const outside = { ...properties, target: "_blank", rel: "noopener" };
    words.append(" ", make("a", outside, icon("external-link"), ` ${link.words}`));
  }
  if (undo) box.append(makeUndo(undo, () => end()));
  byId("toasts").append(box);
  const end = makeClosable(box, seconds);
  return end;
}

/** @param {unknown} error */
export const toastError = (error) => toast(getMessage(error), { isFault: true });

function makeUndo(/** @type {() => unknown} */ undo, /** @type {() => void} */ end) {
  const button = make("button", { type: "button", className: "plain" }, icon("undo-2"));
  button.append(` ${t("undo")}`);
  button.addEventListener("click", async () => {
    // Disabling the button would take the focus away.
    if (button.ariaDisabled) return;
    button.ariaDisabled = "true";
    try {
      await undo();
      end();
    } catch (error) {
      end();
      toastError(error);
    }
  });
  return button;
}

/** Add a close button to a toast; return a function that closes it. The focus goes back to where it
 * came from.
 * @param {HTMLElement} box @param {number} seconds after which it closes by itself; 0: never */
function makeClosable(box, seconds) {
  const close = make("button", { type: "button", className: "plain toast-close" }, icon("x"));
  close.ariaLabel = t("close");
  box.append(close);
  let timer = 0;
  let before = /** @type {?HTMLElement} */ (null);
  const end = () => {
    clearTimeout(timer);
    const hasFocus = box.contains(document.activeElement);
    box.remove();
    if (!hasFocus) return;
    (before?.isConnected ? before : byId("main")).focus({ preventScroll: true });
  };
  const start = () => {
    clearTimeout(timer);
    if (seconds) timer = setTimeout(look, seconds * 1000);
  };
  const look = () => (box.matches(":hover, :focus-within") ? start() : end());
  close.addEventListener("click", end);
  box.addEventListener("focusin", ({ relatedTarget }) => {
    if (!(relatedTarget instanceof HTMLElement) || box.contains(relatedTarget)) return;
    before = relatedTarget;
  });
  box.addEventListener("pointerleave", start);
  box.addEventListener("focusout", start);
  start();
  return end;
}

/** Make the toasts closable that came with the page. */
export function adoptToasts() {
  for (const box of findAll(document, ".toast")) {
    // A fault of the page before is shown nowhere else, so it stays until it is closed.
    const isFault = box.classList.contains("is-fault");
    makeClosable(box, isFault ? 0 : find(box, "form") ? 12 : 6);
  }
}
