// Shows a colour's value beside it, and ticks its checkbox once a colour is picked.

import { find, findAll, get } from "../dom.js";

for (const input of findAll(document, "input[type=color]", HTMLInputElement)) {
  input.addEventListener("input", () => {
    get(document, `output[for="${input.id}"]`, HTMLOutputElement).value = input.value;
    const box = find(document, `input[name="has_${input.id}"]`, HTMLInputElement);
    if (box) box.checked = true;
  });
}
