// The list of series and their parts: ordered by drag, by keys and by buttons.

import { closest, findAll } from "../dom.js";
import { t } from "../words.js";
import { STEPS, makeSortable } from "./ordering.js";
import { toast } from "./toast.js";

let closeToast = () => {};

for (const list of findAll(document, "[data-series-order]")) {
  // Series and parts are in lists of their own, one within the other.
  const selector = list.closest(".series-entry") ? ".series-part" : ".series-entry";
  const moveBy = makeSortable(list, {
    selector,
    url: list.dataset.seriesOrder ?? "",
    describe: (item, before) => ({
      series: item.dataset.series ?? "",
      before: before?.dataset.series ?? "",
    }),
    onMoved: (item, undo) => {
      closeToast();
      closeToast = toast(t("moved", { name: item.dataset.name ?? "" }), { undo });
    },
  });
  /** @param {Event} event @param {number} step */
  const moveOf = (event, step) => {
    const item = closest(event.target, ".series-entry, .series-part");
    if (!item?.matches(selector) || !moveBy(item, step)) return;
    event.preventDefault();
    const focused = closest(event.target, "a, button");
    focused?.focus({ preventScroll: true });
  };
  list.addEventListener("click", (event) => {
    const button = closest(event.target, "[data-step]", HTMLButtonElement);
    if (button) moveOf(event, Number(button.dataset.step));
  });
  list.addEventListener("keydown", (event) => {
    if (event.altKey && STEPS[event.key]) moveOf(event, STEPS[event.key]);
  });
}
