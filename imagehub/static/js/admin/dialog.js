// Questions that are asked before something is done.

import { getFocused, make } from "../dom.js";
import { t } from "../words.js";

/**
 * @typedef {object} Question
 * @property {string} title
 * @property {string} [message]
 * @property {HTMLElement} [body]
 * @property {string} [confirm] label of the button that agrees
 * @property {string} [cancel] label of the other
 * @property {boolean} [isDanger]
 * @property {boolean} [isUnexpected] it opens by itself, maybe while somebody is typing, so that no
 *   key on its way may answer it
 */

/**
 * Ask a question; return whether the person agreed, null where it was closed without an answer.
 * @param {Question} question
 * @returns {Promise<?boolean>}
 */
export function confirmDialog({ title, message, body, confirm, cancel, isDanger, isUnexpected }) {
  const head = make("h2", { id: "question-head" }, title);
  const no = make("button", { className: "button quiet", value: "no" }, cancel ?? t("cancel"));
  const yes = make("button", { value: "yes" }, confirm ?? t("yes"));
  yes.className = isDanger ? "button danger" : "button";
  const form = make("form", { method: "dialog" }, head);
  if (message) form.append(make("p", {}, message));
  if (body) form.append(body);
  form.append(make("p", { className: "actions" }, no, yes));
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
