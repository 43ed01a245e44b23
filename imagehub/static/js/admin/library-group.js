// One group: its shots are selected, moved and described; its record saves itself.

import { byId, closest, find, findAll, get } from "../dom.js";
import { t } from "../words.js";
import { onKey } from "./keys.js";
import { setLeaving } from "./library.js";
import { STEPS, makeSortable } from "./ordering.js";
import { isCalling, saveAll, unsaved } from "./saver.js";
import { watchSelection } from "./selection.js";

const STEP_BUTTONS = ".shot-acts [data-step]";
const form = document.querySelector("[data-shots]");
onKey("j", () => find(document, ".group-way [rel=next]")?.click());
onKey("k", () => find(document, ".group-way [rel=prev]")?.click());
if (form instanceof HTMLFormElement) setUp(form, get(form, ".shots"));

function setUp(/** @type {HTMLFormElement} */ shots, /** @type {HTMLElement} */ list) {
  const label = get(shots, "[data-chosen]");
  label.hidden = false;
  watchSelection(shots, "shot", label, t("select_shots"));

  const moveBy = makeSortable(list, {
    selector: ".shot",
    handle: ".shot-picture",
    url: shots.dataset.order ?? "",
    describe: (shot, before) => ({
      shot: shot.dataset.shot ?? "",
      before: before?.dataset.shot ?? "",
    }),
  });
  /** @param {HTMLElement} shot @param {number} step */
  const getButton = (shot, step) => get(shot, `.shot-acts [data-step="${step}"]`);
  const drawButtons = () => {
    const all = findAll(list, ".shot");
    for (const shot of all) {
      getButton(shot, -1).hidden = shot === all[0];
      getButton(shot, 1).hidden = shot === all.at(-1);
    }
  };
  new MutationObserver(drawButtons).observe(list, { childList: true });
  list.addEventListener("click", (event) => {
    const button = closest(event.target, STEP_BUTTONS, HTMLButtonElement);
    const shot = closest(button, ".shot");
    if (!button || !shot) return;
    event.preventDefault();
    const step = Number(button.dataset.step);
    moveBy(shot, step);
    drawButtons();
    const shown = button.hidden ? getButton(shot, -step) : button;
    shown.focus({ preventScroll: true });
  });
  list.addEventListener("keydown", (event) => {
    const shot = closest(event.target, ".shot");
    const step = STEPS[event.key];
    if (!shot || !step || !event.altKey) return;
    event.preventDefault();
    moveBy(shot, step);
    /** @type {HTMLElement} */ (event.target).focus();
  });

  // What is saved already is left out: a thousand alt texts would be more than a form may hold.
  shots.addEventListener("formdata", ({ formData }) => {
    for (const name of [...formData.keys()]) {
      const before = `was-${name}`;
      if (!formData.has(before) || formData.get(name) !== formData.get(before)) continue;
      formData.delete(name);
      formData.delete(before);
    }
  });
  // Enter in this field does what the button beside it does.
  byId("shots-to").addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.isComposing) return;
    event.preventDefault();
    get(shots, "[data-act=move]").click();
  });
  // What is on its way arrives first: sent along once more, it would look like somebody else's
  // change. What could not be saved of the shots goes with the form; about the record, which the
  // form does not contain, the browser asks.
  let isSaved = false;
  shots.addEventListener("submit", async (event) => {
    if (!isSaved && (unsaved.size || isCalling())) {
      event.preventDefault();
      await saveAll();
      isSaved = true;
      shots.requestSubmit(event.submitter);
      isSaved = false;
      return;
    }
    setLeaving([...unsaved].every(({ box }) => shots.contains(box)));
  });
}
