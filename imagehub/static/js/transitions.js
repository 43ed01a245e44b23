// Transitions between pages may be skipped, such as when the visitor leaves again before the next
// page is shown. That is no error, and browsers shall not log it as one.

const PARTS = /** @type {const} */ (["ready", "updateCallbackDone", "finished"]);

/** @param {Event & { viewTransition?: ?ViewTransition }} event */
function accept({ viewTransition }) {
  for (const part of PARTS) viewTransition?.[part].catch(() => {});
}

addEventListener("pageswap", accept);
addEventListener("pagereveal", accept);
// Chromium does not hand out a transition that it gives up before the page is shown.
addEventListener("unhandledrejection", (event) => {
  const { reason } = event;
  if (reason instanceof DOMException && /^Transition was /.test(reason.message)) {
    event.preventDefault();
  }
});
