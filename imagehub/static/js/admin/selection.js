// Selecting entries of a list by checkboxes, and the buttons that act on them.

import { find, findAll } from "../dom.js";
import { t } from "../words.js";

// These act on all pages as well.
const FOR_ALL = new Set(["publish", "unpublish", "edit"]);

/**
 * Keep the label and the buttons of a list in step with its checkboxes; return a function that does
 * so after a change by a script. The label shows `prompt` while nothing is selected.
 * @param {HTMLFormElement} form @param {string} name of the checkboxes
 * @param {HTMLElement} label @param {string} prompt
 * @param {(count: number, isEverything: boolean) => unknown} [tell] is called after each change
 */
export function watchSelection(form, name, label, prompt, tell) {
  const buttons = findAll(form, ".board-tools button[data-act]", HTMLButtonElement);
  const listBoxes = () => findAll(form, `input[name=${name}]`, HTMLInputElement);
  const all = find(document, "#choose-all", HTMLInputElement);
  // Everything on all pages, of which this page shows a part.
  const everything = find(form, "input[name=all]", HTMLInputElement);

  function update() {
    const boxes = listBoxes();
    const isEverything = Boolean(everything?.checked);
    if (isEverything) for (const box of boxes) box.checked = true;
    const count = boxes.filter((box) => box.checked).length;
    if (all) {
      all.checked = count > 0 && count === boxes.length;
      all.indeterminate = count > 0 && !all.checked;
    }
    if (isEverything) label.textContent = t("all_selected");
    else label.textContent = count ? t(`${name}s_selected`, { count }) : prompt;
    for (const button of buttons) {
      button.disabled = isEverything ? !FOR_ALL.has(button.dataset.act ?? "") : !count;
    }
    tell?.(count, isEverything);
  }

  form.addEventListener("change", ({ target }) => {
    if (!(target instanceof HTMLInputElement)) return;
    const isWhole = target === all || target === everything;
    if (!isWhole && target.name !== name) return;
    // Clearing one entry means that no longer everything is selected.
    if (everything && !target.checked) everything.checked = false;
    if (isWhole) for (const box of listBoxes()) box.checked = target.checked;
    update();
  });
  addEventListener("pageshow", update);
  update();
  return update;
}
