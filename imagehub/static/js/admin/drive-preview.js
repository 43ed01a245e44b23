// One picture of the drive, large, with its neighbours a key away.

import { icon } from "./common.js";
import { describeDay, describeHub } from "./drive-list.js";
import { describeSize } from "./words.js";

export function showPreview(list, first) {
  let row = first;
  const dialog = document.createElement("dialog");
  dialog.className = "preview";
  const picture = document.createElement("img");
  const head = document.createElement("h2");
  head.id = "preview-head";
  head.dir = "auto";
  const facts = document.createElement("p");
  facts.className = "quiet-words small";
  const hub = document.createElement("p");
  const actions = document.createElement("form");
  actions.method = "dialog";
  actions.className = "actions";
  const outside = document.createElement("a");
  outside.className = "button quiet";
  outside.target = "_blank";
  outside.rel = "noopener";
  outside.append(icon("external-link"), " Open in OneDrive");
  const close = document.createElement("button");
  close.className = "button quiet";
  close.textContent = "Close";
  actions.append(outside, close);
  dialog.setAttribute("aria-labelledby", head.id);
  dialog.append(picture, head, facts, hub, actions);
  const fill = () => {
    picture.src = `${row.thumb}&size=large`;
    picture.alt = row.name;
    head.textContent = row.name;
    facts.textContent = `${describeSize(row.size)} · ${describeDay(row.modified)}`;
    hub.replaceChildren(...describeHub(row));
    outside.hidden = !row.web;
    outside.href = row.web;
  };
  fill();
  dialog.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const pictures = list.rows.filter((one) => one.thumb);
    // The folder may have been read anew meanwhile.
    const place = pictures.findIndex(({ id }) => id === row.id);
    if (place < 0) return;
    row = pictures[place + step] ?? row;
    fill();
  });
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
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
