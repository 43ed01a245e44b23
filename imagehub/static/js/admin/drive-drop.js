// Dropping: files from the computer are uploaded, items of the drive are moved to a folder.

import { byId, closest, findAll, get } from "../dom.js";
import { t } from "../words.js";
import { moveTo } from "./drive-acts.js";
import * as folder from "./drive-folder.js";
import { selected } from "./drive-list.js";
import { upload } from "./drive-uploads.js";
import { toast } from "./toast.js";
import { readDrop } from "./upload-sources.js";

const ITEMS_TYPE = "application/x-hub-items";
// The event comes every 350 ms at least (HTML, "drag-and-drop processing model").
const DRAG_OVER_MS = 800;

/** @param {DragEvent} event @param {string} type */
const has = ({ dataTransfer }, type) => Boolean(dataTransfer?.types.includes(type));

/** @param {HTMLElement} [element] */
function markTarget(element) {
  for (const other of findAll(document, ".is-target")) other.classList.remove("is-target");
  element?.classList.add("is-target");
}

/** Show the folder into which files will be uploaded; "" hides it. @param {string} name */
function showTarget(name) {
  const box = byId("drop-here");
  box.hidden = !name;
  get(box, "strong").textContent = name;
}

let endTimer = 0;

function end() {
  clearTimeout(endTimer);
  showTarget("");
  markTarget();
}

function findFolder(/** @type {DragEvent} */ event) {
  const element = closest(event.target, ".item.is-folder");
  const row = folder.items.get(element?.dataset.id ?? "");
  if (!element || !row) return null;
  return has(event, ITEMS_TYPE) && selected.has(row.id) ? null : { row, element };
}

document.addEventListener("dragenter", (event) => {
  if (has(event, "Files")) event.preventDefault();
});
document.addEventListener("dragover", (event) => {
  const { dataTransfer } = event;
  const found = findFolder(event);
  if (dataTransfer && has(event, "Files")) {
    event.preventDefault();
    dataTransfer.dropEffect = "copy";
    markTarget(found?.element);
    showTarget(found?.row.name ?? folder.getName());
    // No `dragleave` comes from an element that went from under the pointer. That the drag is
    // over shows in this event, which comes all the time, staying away.
    clearTimeout(endTimer);
    endTimer = setTimeout(end, DRAG_OVER_MS);
  } else if (dataTransfer && has(event, ITEMS_TYPE) && found) {
    event.preventDefault();
    dataTransfer.dropEffect = "move";
    markTarget(found.element);
  } else {
    markTarget();
  }
});
document.addEventListener("drop", async (event) => {
  end();
  const { dataTransfer } = event;
  const row = findFolder(event)?.row;
  if (dataTransfer && has(event, "Files")) {
    event.preventDefault();
    // Reading a large folder takes a while, and the person may open another one meanwhile.
    const target = row ? { id: row.id, name: row.name } : folder.getTarget();
    try {
      await upload(await readDrop(dataTransfer), target);
    } catch {
      toast(t("drop_unreadable"), { isFault: true });
    }
  } else if (dataTransfer && has(event, ITEMS_TYPE) && row) {
    event.preventDefault();
    const ids = /** @type {string[]} */ (JSON.parse(dataTransfer.getData(ITEMS_TYPE)));
    const subjects = ids.map((id) => folder.items.get(id)).filter((item) => item !== undefined);
    moveTo(subjects.filter((item) => item !== row), row.id, row.name);
  }
});
byId("entries").addEventListener("dragstart", (event) => {
  const id = closest(event.target, ".item")?.dataset.id;
  if (!id || !event.dataTransfer) return;
  const ids = selected.has(id) ? [...selected] : [id];
  event.dataTransfer.setData(ITEMS_TYPE, JSON.stringify(ids));
  event.dataTransfer.effectAllowed = "move";
});
