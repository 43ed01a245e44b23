// Copies a secret that is shown once.

import { toast } from "./common.js";

for (const button of document.querySelectorAll("[data-copy]")) {
  if (!navigator.clipboard) continue;
  button.hidden = false;
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent.trim());
      toast("Copied.");
    } catch {
      toast("The browser did not let it be copied. Please mark it and copy it by hand.", { isFault: true });
    }
  });
}
