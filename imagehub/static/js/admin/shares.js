// A new link's address: chosen at once, and copied by a button.

import { toast } from "./common.js";

for (const button of document.querySelectorAll("[data-copy]")) {
  const field = document.getElementById(button.dataset.copy);
  button.hidden = !navigator.clipboard;
  field.addEventListener("focus", () => field.select());
  field.focus();
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(field.value);
      toast("The address is copied.");
    } catch {
      field.select();
      toast("Please copy the marked address with the keyboard.");
    }
  });
}
