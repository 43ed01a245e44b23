// The works of a series: ordered by drag, by keys and by buttons.

import { closest, findAll } from "../dom.js";
import { STEPS, makeSortable } from "./ordering.js";

for (const list of findAll(document, "[data-order]")) {
  const moveBy = makeSortable(list, {
    selector: ".row",
    url: list.dataset.order ?? "",
    describe: (item, before) => ({
      group: item.dataset.group ?? "",
      before: before?.dataset.group ?? list.dataset.following ?? "",
    }),
  });
  // The buttons for one step move the work here, as long as it stays on this page.
  list.addEventListener("click", (event) => {
    const button = closest(event.target, "[data-step]", HTMLButtonElement);
    const item = closest(button, ".row");
    if (!button || !item || !moveBy(item, Number(button.dataset.step))) return;
    event.preventDefault();
    button.focus({ preventScroll: true });
  });
  list.addEventListener("keydown", (event) => {
    const item = closest(event.target, ".row");
    const step = STEPS[event.key];
    if (!item || !step || !event.altKey) return;
    event.preventDefault();
    const focused = /** @type {HTMLElement} */ (event.target);
    moveBy(item, step);
    focused.focus({ preventScroll: true });
  });
}
