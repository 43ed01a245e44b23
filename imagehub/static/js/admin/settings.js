// Shows a colour's value beside it, and ticks its checkbox once a colour is picked.

import { find, findAll, get } from "../dom.js";

for (const input of findAll(document, "input[type=color]", HTMLInputElement)) {
  input.addEventListener("input", () => {
    get(document, `output[for="${input.id}"]`, HTMLOutputElement).value = input.value;
    const box = find(document, `input[name="has_${input.id}"]`, HTMLInputElement);
    if (box) box.checked = true;
  });
}

// The watermark on a work, as it stands in the form.
const preview = find(document, "[data-mark-preview]", HTMLImageElement);
const part = find(document, "#watermark");
if (preview && part) {
  let timer = 0;
  part.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      const query = new URLSearchParams();
      const form = get(document, "form[action$=settings]", HTMLFormElement);
      for (const [name, value] of new FormData(form)) {
        if (/^watermark(?!_file)/.test(name)) query.set(name, String(value));
      }
      preview.src = `${preview.dataset.markPreview}?${query}`;
    }, 400);
  });
}
