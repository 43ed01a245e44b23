// One picture of the folder, large; the arrow keys lead to its neighbours.

import { icon, make } from "../dom.js";
import { t } from "../words.js";
import * as list from "./drive-list.js";
import { formatDay, formatSize } from "./format.js";

/** @type {Record<string, number>} */
const STEPS = { ArrowRight: 1, ArrowLeft: -1 };

export function showPreview(/** @type {Item} */ first) {
  let row = first;
  const picture = make("img");
  const head = make("h2", { id: "preview-head", dir: "auto" });
  const facts = make("p", { className: "quiet-words small" });
  const groups = make("p");
  const properties = { className: "button quiet", target: "_blank", rel: "noopener" };
  const outside = make("a", properties, icon("external-link"), ` ${t("open_in_onedrive")}`);
  const close = make("button", { className: "button quiet" }, t("close"));
  const actions = make("form", { method: "dialog", className: "actions" }, outside, close);
  const dialog = make("dialog", { className: "preview" }, picture, head, facts, groups, actions);
  dialog.setAttribute("aria-labelledby", head.id);
  const fill = () => {
    picture.src = `${row.thumb}&size=large`;
    picture.alt = row.name;
    head.textContent = row.name;
    facts.textContent = `${formatSize(row.size)} · ${formatDay(row.modified)}`;
    groups.replaceChildren(...list.describeImport(row));
    outside.hidden = !row.web;
    outside.href = row.web;
  };
  fill();
  dialog.addEventListener("keydown", ({ key }) => {
    const step = STEPS[key];
    if (!step) return;
    const pictures = list.rows.filter((one) => one.thumb);
    // The folder may have been read again meanwhile.
    const place = pictures.findIndex(({ id }) => id === row.id);
    if (place < 0) return;
    row = pictures[place + step] ?? row;
    fill();
  });
  dialog.addEventListener("click", ({ target }) => target === dialog && dialog.close());
  const end = new AbortController();
  dialog.addEventListener("close", () => {
    end.abort();
    dialog.remove();
    list.focus(list.findPlace(row.id));
  });
  // Back leads to another folder, where this picture is not.
  addEventListener("popstate", () => dialog.close(), { signal: end.signal });
  document.body.append(dialog);
  dialog.showModal();
  close.focus();
}
