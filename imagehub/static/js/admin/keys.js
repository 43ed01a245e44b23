// Single keys outside of fields, and the dialog that lists them.

import { byId, closest, find, findAll, get } from "../dom.js";
import { makeName } from "../kept.js";

const KEPT = makeName("keys");
const SEQUENCE_MS = 1200;
const FIELDS = "input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable]";

const keys = /** @type {Map<string, (event: KeyboardEvent) => unknown>} */ (new Map());
let prefixAt = -Infinity;

/** Call `act` when a key is pressed outside of fields. List it in the block "shortcuts" too.
 * @param {string} key @param {(event: KeyboardEvent) => unknown} act */
export function onKey(key, act) {
  keys.set(key, act);
}

const areKeysOn = () => localStorage.getItem(KEPT) !== "off";

addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
  if (!areKeysOn() || closest(event.target, FIELDS) || find(document, "dialog[open]")) return;
  const isSecond = event.timeStamp - prefixAt < SEQUENCE_MS;
  prefixAt = -Infinity;
  const row = isSecond && find(document, `[data-go][data-key="${CSS.escape(event.key)}"]`);
  if (row) {
    event.preventDefault();
    location.assign(row.dataset.go ?? "");
    return;
  }
  if (event.key === "g") prefixAt = event.timeStamp;
  const act = keys.get(event.key);
  if (!act) return;
  event.preventDefault();
  // A key that is held down moves along a list, and does nothing else twice.
  if (!event.repeat || event.key.startsWith("Arrow")) act(event);
});

/** Give the help dialog its buttons, its key and its checkbox. */
export function setUpHelp() {
  const help = byId("help", HTMLDialogElement);
  const menu = byId("rail-more");
  const show = () => {
    if (menu.matches(":popover-open")) menu.hidePopover();
    help.showModal();
  };
  onKey("?", show);
  onKey("/", () => find(document, "main input[type=search], main [data-search]")?.focus());
  for (const button of findAll(document, "[data-help]")) {
    const row = closest(button, "li");
    if (row) row.hidden = false;
    button.addEventListener("click", show);
  }
  const box = get(help, "#keys-on", HTMLInputElement);
  box.checked = areKeysOn();
  box.addEventListener("change", () => localStorage.setItem(KEPT, box.checked ? "on" : "off"));
}
