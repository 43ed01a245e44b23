// The page's words for scripts, in its language, and its voice for screen readers.

export const words = JSON.parse(document.getElementById("words").textContent);

const status = document.getElementById("status");

/** Says something to screen readers without moving the focus. */
export function say(text) {
  if (status) status.textContent = text;
}
