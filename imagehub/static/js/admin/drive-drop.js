// What comes into the drive: files that are picked, pasted or dropped are uploaded, items that are
// dragged onto a folder are moved there.

import { toast } from "./common.js";
import { fetchJson } from "./http.js";
import { UploadPanel } from "./upload-panel.js";
import { pickFiles, readDrop, readInput, readPaste } from "./upload-sources.js";
import { Uploads } from "./upload.js";
import { describeCount } from "./words.js";

const ITEMS_TYPE = "application/x-hub-items";
const SHOW_ARRIVED_MS = 2500;
const LONG_FOLDER = 90;
const MOST_ASKED = 20;
// The event comes every 350 ms at least (HTML, "drag-and-drop processing model").
const DRAG_OVER_MS = 800;

const $ = (id) => document.getElementById(id);

// --- Upload ---------------------------------------------------------------------------------------

// The root folder's name is no title for a work.
const describe = ({ id, name, isRoot }) => ({ id, name: isRoot ? "" : name });

// Answers a function that uploads sources into a folder: { id, name }.
function listenToUploads(folder, urls, owner) {
  const uploads = new Uploads(urls, owner);
  // Whether the dialog is open for files that are missing.
  let isAgain = false;
  const pick = (isForMissing) => {
    isAgain = isForMissing;
    $("pick-files").click();
  };
  new UploadPanel($("uploads"), uploads, () => {
    // The browser opens no dialog long after a click, and says nothing of that.
    if (navigator.userActivation?.isActive ?? true) pick(true);
    else toast("Please press “Choose again” once more.");
  });

  async function upload(sources, target) {
    const readable = sources.filter(({ isUnreadable }) => !isUnreadable);
    tellUnreadable(sources.filter(({ isUnreadable }) => isUnreadable));
    const fresh = uploads.takeAgain(readable, target.id);
    if (!fresh.length) return;
    const count = await uploads.add(fresh, target);
    if (!count) toast("There was nothing to upload in that.");
  }

  $("upload-files").addEventListener("click", async () => {
    const target = describe(folder);
    const sources = await pickFiles();
    if (sources === null) pick(false);
    else if (sources.length) upload(sources, target);
  });
  $("upload-folder").addEventListener("click", () => $("pick-folder").click());
  for (const id of ["pick-files", "pick-folder"]) {
    $(id).addEventListener("change", () => {
      const sources = readInput($(id));
      $(id).value = "";
      if (id === "pick-files" && isAgain) takeMissing(sources);
      else upload(sources, describe(folder));
    });
  }

  function tellUnreadable(sources) {
    if (!sources.length) return;
    const names = sources.slice(0, 3).map(({ path }) => `“${path.join(" / ")}”`);
    if (sources.length > names.length) names.push("…");
    const words = `The browser could not read ${describeCount(sources.length, "file")}: ${names.join(", ")}`;
    toast(words, { isFault: true, seconds: 12 });
  }

  function takeMissing(sources) {
    isAgain = false;
    const rest = uploads.takeAgain(sources, folder.id, { isAgain: true });
    if (!rest.length) return;
    const words =
      `${describeCount(rest.length, "file fits", "files fit")} none of those that are missing, or ` +
      "more than one. Drop the folder in which it is onto this page instead.";
    toast(words, { isFault: true, seconds: 12 });
  }

  document.addEventListener("paste", (event) => {
    if (event.target.closest?.("input, textarea") || !event.clipboardData?.files.length) return;
    event.preventDefault();
    upload(readPaste(event.clipboardData), describe(folder));
  });

  // What arrives is shown when the folder has a moment; many at once cost one look. A folder of
  // thousands is not read anew for that: what arrived in it is asked for by itself.
  let refreshTimer = 0;
  let arrived = [];
  let replaced = [];
  uploads.addEventListener("arrived", ({ detail }) => {
    arrived.push(detail);
    replaced.push(detail);
    refreshTimer ||= setTimeout(takeArrived, SHOW_ARRIVED_MS);
  });

  // Images that come from a file that was replaced need not wait for the next regular look.
  async function noteReplaced(entries) {
    const items = entries.filter(({ conflict }) => conflict === "replace").map(({ itemId }) => itemId);
    if (!items.length) return;
    try {
      await fetchJson(urls.replaced, { json: { items } });
    } catch {
      // The next regular look finds them.
    }
  }

  function takeArrived() {
    refreshTimer = 0;
    noteReplaced(replaced);
    replaced = [];
    // Who writes a name is not disturbed; what arrived is shown afterwards.
    if (document.querySelector(".item-edit")) {
      refreshTimer = setTimeout(takeArrived, SHOW_ARRIVED_MS);
      return;
    }
    const entries = arrived;
    arrived = [];
    showArrived(entries);
  }

  async function showArrived(entries) {
    const { id } = folder;
    try {
      if (folder.items.size < LONG_FOLDER && folder.isWhole) {
        await folder.refresh();
        return;
      }
      const shown = new Map();
      for (const entry of entries) {
        const isHere = entry.target === id && !entry.isFolder;
        // Of what came into folders below, the folder in this one is shown.
        const top = entry.folder === id ? uploads.findTopFolder(entry) : undefined;
        const one = isHere ? entry.itemId : top;
        if (one) shown.set(one, entry);
      }
      const asked = [...shown];
      for (const [one] of asked.splice(0, MOST_ASKED)) {
        const { item } = await fetchJson(urls.item, { json: { id: one, name: "", folder: id } });
        folder.keep(item, id);
      }
      if (shown.size) folder.draw();
      if (asked.length) {
        arrived.push(...asked.map(([, entry]) => entry));
        refreshTimer ||= setTimeout(takeArrived, SHOW_ARRIVED_MS);
      }
    } catch {
      // It is there all the same, and the next look shows it.
    }
  }

  uploads.start();
  return upload;
}

// --- Dropping -------------------------------------------------------------------------------------

const isFiles = (event) => event.dataTransfer?.types.includes("Files");
const isItems = (event) => event.dataTransfer?.types.includes(ITEMS_TYPE);

function markDrop(element) {
  for (const other of document.querySelectorAll(".is-target")) other.classList.remove("is-target");
  element?.classList.add("is-target");
}

function showDrop(isOver, name = "") {
  $("drop-here").hidden = !isOver;
  if (isOver) $("drop-here").querySelector("strong").textContent = name;
}

export function takeWhatComes(folder, urls, owner, moveTo) {
  const upload = listenToUploads(folder, urls, owner);
  let endTimer = 0;

  const endDrag = () => {
    clearTimeout(endTimer);
    showDrop(false);
    markDrop(null);
  };

  function findDropFolder(event) {
    const element = event.target.closest?.(".item.is-folder");
    const row = element ? folder.items.get(element.dataset.id) : null;
    return row && !(isItems(event) && folder.list.chosen.has(row.id)) ? { row, element } : null;
  }

  document.addEventListener("dragenter", (event) => {
    if (isFiles(event)) event.preventDefault();
  });
  document.addEventListener("dragover", (event) => {
    const found = findDropFolder(event);
    if (isFiles(event)) {
      event.preventDefault();
      event.dataTransfer.dropEffect = "copy";
      markDrop(found?.element);
      showDrop(true, found?.row.name ?? folder.name);
      // Leaving is not told of an element that went from under the pointer; that it is over
      // nothing any more shows in that this event, which comes all the time, stays away.
      clearTimeout(endTimer);
      endTimer = setTimeout(endDrag, DRAG_OVER_MS);
    } else if (isItems(event) && found) {
      event.preventDefault();
      event.dataTransfer.dropEffect = "move";
      markDrop(found.element);
    } else {
      markDrop(null);
    }
  });
  document.addEventListener("drop", async (event) => {
    endDrag();
    const found = findDropFolder(event);
    if (isFiles(event)) {
      event.preventDefault();
      // Reading a large folder takes a while, and the person may go to another meanwhile.
      const target = found ? { id: found.row.id, name: found.row.name } : describe(folder);
      try {
        await upload(await readDrop(event.dataTransfer), target);
      } catch {
        toast("The browser could not read what was dropped.", { isFault: true });
      }
    } else if (isItems(event) && found) {
      event.preventDefault();
      const ids = JSON.parse(event.dataTransfer.getData(ITEMS_TYPE));
      const subjects = ids.map((id) => folder.items.get(id));
      moveTo(subjects.filter((one) => one && one !== found.row), found.row.id, found.row.name);
    }
  });
  $("entries").addEventListener("dragstart", (event) => {
    const id = event.target.closest?.(".item")?.dataset.id;
    if (!id) return;
    const { chosen } = folder.list;
    event.dataTransfer.setData(ITEMS_TYPE, JSON.stringify(chosen.has(id) ? [...chosen] : [id]));
    event.dataTransfer.effectAllowed = "move";
  });
}
