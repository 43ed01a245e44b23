// The code that embeds a work or a series: a click selects it, a button copies it.

import { find, findAll, get } from "./dom.js";
import { copy } from "./share.js";
import { say, t } from "./words.js";

const COPIED_MS = 3000;

for (const details of findAll(document, ".embed-code")) {
  const field = get(details, "textarea", HTMLTextAreaElement);
  const button = find(details, "[data-copy-code]");
  field.addEventListener("focus", () => field.select());
  if (!button) continue;
  const label = get(button, "span");
  const name = label.textContent;
  let timer = 0;
  button.hidden = false;
  button.addEventListener("click", async () => {
    if (!(await copy(field.value))) {
      field.focus();
      return;
    }
    label.textContent = t("code_copied");
    say(t("code_copied"));
    clearTimeout(timer);
    timer = setTimeout(() => (label.textContent = name), COPIED_MS);
  });
}
