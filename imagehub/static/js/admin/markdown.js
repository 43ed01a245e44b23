// Texts in Markdown: the preview is shown below the field, and images are chosen in a dialog.

import { byId, findAll, get, isModified } from "../dom.js";
import { fetchJson, getMessage } from "./http.js";

for (const part of findAll(document, "[data-markdown]")) {
  const field = byId(part.dataset.markdown ?? "", HTMLTextAreaElement);
  const button = get(part, "button", HTMLButtonElement);
  const shown = get(part, "[data-markdown-shown]");
  /** The latest of several requests. */
  let latest = 0;
  button.setAttribute("aria-expanded", "false");
  const draw = async () => {
    latest += 1;
    const turn = latest;
    try {
      const { html } = await fetchJson(button.formAction, { form: { text: field.value } });
      if (turn !== latest) return;
      // Sanitised by the server, as for visitors.
      shown.innerHTML = html;
    } catch (error) {
      shown.textContent = getMessage(error);
    }
  };
  button.addEventListener("click", (event) => {
    event.preventDefault();
    shown.hidden = !shown.hidden;
    button.setAttribute("aria-expanded", String(!shown.hidden));
    if (!shown.hidden) draw();
  });
  get(part, "[data-insert-picture]", HTMLAnchorElement).addEventListener("click", async (event) => {
    if (isModified(event)) return;
    event.preventDefault();
    const { href } = /** @type {HTMLAnchorElement} */ (event.currentTarget);
    const { choosePicture } = await import("./picture-dialog.js");
    choosePicture(field, href);
  });
  let timer = 0;
  field.addEventListener("input", () => {
    clearTimeout(timer);
    if (!shown.hidden) timer = setTimeout(draw, 500);
  });
}
