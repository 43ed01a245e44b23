// Uploads into the open folder: files are picked, pasted or dropped, and shown when they arrive.

import { byId, closest, find } from "../dom.js";
import { t } from "../words.js";
import * as folder from "./drive-folder.js";
import { fetchJson } from "./http.js";
import { toast } from "./toast.js";
import { whenMissing } from "./upload-panel.js";
import { pickFiles, readInput, readPaste } from "./upload-sources.js";
import * as uploads from "./upload.js";

const SHOW_ARRIVED_MS = 2500;
// A longer folder is not read again for what arrives: each item is asked for.
const LONG_FOLDER = 90;
const MAX_ASKED = 20;
const MAX_NAMES = 3;
const FAULT_SECONDS = 12;

const files = byId("pick-files", HTMLInputElement);
// Whether the dialog is open for files that are missing.
let isForMissing = false;
let timer = 0;
/** @type {Entry[]} what arrived since the last look */
let arrived = [];
let replaced = /** @type {Entry[]} */ ([]);

export async function upload(/** @type {Source[]} */ sources, /** @type {UploadFolder} */ target) {
  tellUnreadable(sources.filter(({ isUnreadable }) => isUnreadable));
  const readable = sources.filter(({ isUnreadable }) => !isUnreadable);
  const fresh = uploads.takeAgain(readable, target.id);
  if (!fresh.length) return;
  const count = await uploads.add(fresh, target);
  if (!count) toast(t("nothing_to_upload"));
}

byId("upload-files").addEventListener("click", async () => {
  const target = folder.getTarget();
  const sources = await pickFiles();
  if (sources === null) pick(false);
  else if (sources.length) upload(sources, target);
});
const folders = byId("pick-folder", HTMLInputElement);
byId("upload-folder").addEventListener("click", () => folders.click());
for (const input of [files, folders]) {
  input.addEventListener("change", () => {
    const sources = readInput(input);
    input.value = "";
    if (input === files && isForMissing) takeMissing(sources);
    else upload(sources, folder.getTarget());
  });
}
document.addEventListener("paste", (event) => {
  const { clipboardData: data, target } = event;
  if (closest(target, "input, textarea") || !data?.files.length) return;
  event.preventDefault();
  upload(readPaste(data), folder.getTarget());
});

function pick(/** @type {boolean} */ isMissing) {
  isForMissing = isMissing;
  files.click();
}

function takeMissing(/** @type {Source[]} */ sources) {
  isForMissing = false;
  const rest = uploads.takeAgain(sources, folder.facts.id, { isAsked: true });
  if (!rest.length) return;
  const words = t("files_do_not_match", { count: rest.length });
  toast(words, { isFault: true, seconds: FAULT_SECONDS });
}

whenMissing(() => {
  // Long after a click the browser opens no dialog, and does not say so.
  if (navigator.userActivation?.isActive ?? true) pick(true);
  else toast(t("select_again_press"));
});

uploads.events.addEventListener("arrived", (event) => {
  const { detail } = /** @type {CustomEvent<Entry>} */ (event);
  arrived.push(detail);
  if (detail.conflict === "replace") replaced.push(detail);
  lookSoon();
});

// Many files at once cost one look.
function lookSoon() {
  timer ||= setTimeout(look, SHOW_ARRIVED_MS);
}

function look() {
  timer = 0;
  // The server is told about replaced files: their images need not wait for its next check.
  const json = { items: replaced.map(({ itemId }) => itemId) };
  if (replaced.length) fetchJson(folder.urls.replaced, { json }).catch(() => {});
  replaced = [];
  // Somebody is writing a name: what arrived is shown afterwards.
  if (find(document, ".item-edit")) {
    lookSoon();
    return;
  }
  const entries = arrived;
  arrived = [];
  // It is there in any case, and the next look shows it.
  show(entries).catch(() => {});
}

async function show(/** @type {Entry[]} */ entries) {
  const { id } = folder.facts;
  if (folder.items.size < LONG_FOLDER && folder.isWhole()) {
    await folder.refresh();
    return;
  }
  const shown = /** @type {Map<string, Entry>} */ (new Map());
  for (const entry of entries) {
    const isHere = entry.target === id && !entry.isFolder;
    // For a file in a folder below, the folder inside this one is shown.
    const top = entry.folder === id ? uploads.findTopFolder(entry) : undefined;
    const item = isHere ? entry.itemId : top;
    if (item) shown.set(item, entry);
  }
  const rest = [...shown];
  for (const [item] of rest.splice(0, MAX_ASKED)) {
    const answer = await fetchJson(folder.urls.item, { json: { id: item, name: "", folder: id } });
    folder.keep(answer.item, id);
  }
  if (shown.size) folder.draw();
  if (!rest.length) return;
  arrived.push(...rest.map(([, entry]) => entry));
  lookSoon();
}

uploads.begin();

function tellUnreadable(/** @type {Source[]} */ sources) {
  if (!sources.length) return;
  const names = sources.slice(0, MAX_NAMES).map(({ path }) => t("quoted", { name: path.join(" / ") }));
  if (sources.length > names.length) names.push("…");
  const words = t("files_unreadable", { count: sources.length, names: names.join(", ") });
  toast(words, { isFault: true, seconds: FAULT_SECONDS });
}
