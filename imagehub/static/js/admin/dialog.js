// Questions that are asked before something is done.

import { getFocused, make } from "../dom.js";
import { t } from "../words.js";

/** Ask a question; return whether the person agreed, null where it was closed without an answer.
 * `confirm` and `cancel` are on the buttons. `isUnexpected`: it opens by itself, maybe while
 * somebody is typing, so that no key on its way may answer it.
 * @param {{ title: string, message?: string, body?: HTMLElement, confirm?: string, cancel?: string,
 *   isDanger?: boolean, isUnexpected?: boolean }} question
 * @returns {Promise<?boolean>} */
export function confirmDialog({ title, message, body, confirm, cancel, isDanger, isUnexpected }) {
  const head = make("h2", { id: "question-head" }, title);
  const no = make("button", { className: "button quiet", value: "no" }, cancel ?? t("cancel"));
  const className = isDanger ? "button danger" : "button";
  const yes = make("button", { className, value: "yes" }, confirm ?? t("yes"));
  const content = message ? make("p", {}, message) : "";
  const actions = make("p", { className: "actions" }, no, yes);
  const form = make("form", { method: "dialog" }, head, content, body ?? "", actions);
  const dialog = make("dialog", { className: "question" }, form);
  dialog.setAttribute("aria-labelledby", head.id);
  document.body.append(dialog);
  const before = getFocused();
  dialog.showModal();
  if (isUnexpected) head.tabIndex = -1;
  (isUnexpected ? head : isDanger ? no : yes).focus();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      // The browser has returned the focus before this event, unless its element is gone.
      if (document.activeElement === document.body) before.focus();
      resolve(dialog.returnValue ? dialog.returnValue === "yes" : null);
    });
  });
}
