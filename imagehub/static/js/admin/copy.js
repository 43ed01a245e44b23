// Copies secrets and addresses that are shown once: <button data-copy="id of their element">.

import { byId, findAll } from "../dom.js";
import { t } from "../words.js";
import { toast } from "./toast.js";

for (const button of findAll(document, "[data-copy]")) {
  const source = byId(button.dataset.copy ?? "");
  const field = source instanceof HTMLInputElement ? source : null;
  field?.addEventListener("focus", () => field.select());
  if (field?.autofocus) field.select();
  button.hidden = !navigator.clipboard;
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(field?.value ?? source.textContent.trim());
      toast(t("copied"));
    } catch {
      field?.select();
      toast(t("copy_by_hand"), { isFault: true });
    }
  });
}
