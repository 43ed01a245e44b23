// The menus of the gallery: their entries are ordered by drag, by keys and by buttons.

import { closest, find, findAll, get } from "../dom.js";
import { STEPS, makeSortable } from "./ordering.js";

for (const list of findAll(document, "[data-menu]")) {
  const moveBy = makeSortable(list, {
    selector: ".menu-entry",
    handle: ".menu-title",
    url: list.dataset.menu ?? "",
    describe: (item, before) => ({
      entry: item.dataset.entry ?? "",
      before: before?.dataset.entry ?? "",
    }),
  });
  /** @param {HTMLElement} item @param {number} step */
  const getButton = (item, step) => get(item, `[data-step="${step}"]`, HTMLButtonElement);
  const drawButtons = () => {
    const all = findAll(list, ".menu-entry");
    for (const item of all) {
      getButton(item, -1).hidden = item === all[0];
      getButton(item, 1).hidden = item === all.at(-1);
    }
  };
  new MutationObserver(drawButtons).observe(list, { childList: true });
  for (const grip of findAll(list, ".menu-grip")) grip.hidden = false;
  list.addEventListener("click", (event) => {
    const button = closest(event.target, "[data-step]", HTMLButtonElement);
    const item = closest(button, ".menu-entry");
    if (!button || !item) return;
    event.preventDefault();
    const step = Number(button.dataset.step);
    moveBy(item, step);
    drawButtons();
    (button.hidden ? getButton(item, -step) : button).focus({ preventScroll: true });
  });
  list.addEventListener("keydown", (event) => {
    const item = closest(event.target, ".menu-entry");
    const step = STEPS[event.key];
    if (!item || !step || !event.altKey) return;
    event.preventDefault();
    moveBy(item, step);
    (find(item, "a") ?? item).focus();
  });
}
