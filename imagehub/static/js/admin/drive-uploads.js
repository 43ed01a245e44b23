// Uploads into the open folder: files are picked, pasted or dropped, and shown when they arrive.

import { byId, closest, find } from "../dom.js";
import { t } from "../words.js";
import { fetchJson } from "./http.js";
import { toast } from "./toast.js";
import { UploadPanel } from "./upload-panel.js";
import { pickFiles, readInput, readPaste } from "./upload-sources.js";
import { Uploads } from "./upload.js";

/** @import { OpenFolder } from "./drive-folder.js" */
const SHOW_ARRIVED_MS = 2500;
// A longer folder is not read again for what arrives: each item is asked for.
const LONG_FOLDER = 90;
const MAX_ASKED = 20;
const MAX_NAMES = 3;
const FAULT_SECONDS = 12;

export class DriveUploads {
  #folder;
  #urls;
  #uploads;
  // Whether the dialog is open for files that are missing.
  #isForMissing = false;
  #timer = 0;
  /** @type {Entry[]} what arrived since the last look */
  #arrived = [];
  /** @type {Entry[]} */
  #replaced = [];

  /** @param {OpenFolder} folder @param {DriveUrls} urls @param {string} owner see Uploads */
  constructor(folder, urls, owner) {
    this.#folder = folder;
    this.#urls = urls;
    this.#uploads = new Uploads(urls, owner);
    new UploadPanel(byId("uploads"), this.#uploads, () => this.#pickMissing());
    this.#listen();
    this.#uploads.addEventListener("arrived", (event) => {
      const { detail } = /** @type {CustomEvent<Entry>} */ (event);
      this.#arrived.push(detail);
      this.#replaced.push(detail);
      this.#lookSoon();
    });
    this.#uploads.start();
  }

  /** The open folder, as uploads name it: the name of the root is no title for a group. */
  get target() {
    const { id, name, isRoot } = this.#folder;
    return { id, name: isRoot ? "" : name };
  }

  /** Upload sources into a folder. @param {Source[]} sources @param {UploadFolder} target */
  async upload(sources, target) {
    tellUnreadable(sources.filter(({ isUnreadable }) => isUnreadable));
    const readable = sources.filter(({ isUnreadable }) => !isUnreadable);
    const fresh = this.#uploads.takeAgain(readable, target.id);
    if (!fresh.length) return;
    const count = await this.#uploads.add(fresh, target);
    if (!count) toast(t("nothing_to_upload"));
  }

  #listen() {
    const files = byId("pick-files", HTMLInputElement);
    const folder = byId("pick-folder", HTMLInputElement);
    byId("upload-files").addEventListener("click", async () => {
      const { target } = this;
      const sources = await pickFiles();
      if (sources === null) this.#pick(false);
      else if (sources.length) this.upload(sources, target);
    });
    byId("upload-folder").addEventListener("click", () => folder.click());
    for (const input of [files, folder]) {
      input.addEventListener("change", () => {
        const sources = readInput(input);
        input.value = "";
        if (input === files && this.#isForMissing) this.#takeMissing(sources);
        else this.upload(sources, this.target);
      });
    }
    document.addEventListener("paste", (event) => {
      const { clipboardData: data, target } = event;
      if (closest(target, "input, textarea") || !data?.files.length) return;
      event.preventDefault();
      this.upload(readPaste(data), this.target);
    });
  }

  // --- Missing files ---

  /** @param {boolean} isForMissing */
  #pick(isForMissing) {
    this.#isForMissing = isForMissing;
    byId("pick-files").click();
  }

  #pickMissing() {
    // Long after a click the browser opens no dialog, and does not say so.
    if (navigator.userActivation?.isActive ?? true) this.#pick(true);
    else toast(t("select_again_press"));
  }

  /** @param {Source[]} sources */
  #takeMissing(sources) {
    this.#isForMissing = false;
    const rest = this.#uploads.takeAgain(sources, this.#folder.id, { isAsked: true });
    if (!rest.length) return;
    const words = t("files_do_not_match", { count: rest.length });
    toast(words, { isFault: true, seconds: FAULT_SECONDS });
  }

  // --- What arrives ---

  // Many files at once cost one look.
  #lookSoon() {
    if (!this.#timer) this.#timer = setTimeout(() => this.#look(), SHOW_ARRIVED_MS);
  }

  #look() {
    this.#timer = 0;
    this.#tellReplaced(this.#replaced);
    this.#replaced = [];
    // Somebody is writing a name: what arrived is shown afterwards.
    if (find(document, ".item-edit")) {
      this.#lookSoon();
      return;
    }
    const entries = this.#arrived;
    this.#arrived = [];
    // It is there in any case, and the next look shows it.
    this.#show(entries).catch(() => {});
  }

  // Tell the server about replaced files, so that their images need not wait for its next check.
  /** @param {Entry[]} entries */
  async #tellReplaced(entries) {
    const replaced = entries.filter(({ conflict }) => conflict === "replace");
    const items = replaced.map(({ itemId }) => itemId);
    if (items.length) await fetchJson(this.#urls.replaced, { json: { items } }).catch(() => {});
  }

  /** @param {Entry[]} entries */
  async #show(entries) {
    const folder = this.#folder;
    const { id } = folder;
    if (folder.items.size < LONG_FOLDER && folder.isWhole) {
      await folder.refresh();
      return;
    }
    /** @type {Map<string, Entry>} */
    const shown = new Map();
    for (const entry of entries) {
      const isHere = entry.target === id && !entry.isFolder;
      // For a file in a folder below, the folder inside this one is shown.
      const top = entry.folder === id ? this.#uploads.findTopFolder(entry) : undefined;
      const item = isHere ? entry.itemId : top;
      if (item) shown.set(item, entry);
    }
    const rest = [...shown];
    for (const [item] of rest.splice(0, MAX_ASKED)) {
      const answer = await fetchJson(this.#urls.item, { json: { id: item, name: "", folder: id } });
      folder.keep(answer.item, id);
    }
    if (shown.size) folder.draw();
    if (!rest.length) return;
    this.#arrived.push(...rest.map(([, entry]) => entry));
    this.#lookSoon();
  }
}

/** @param {Source[]} sources */
function tellUnreadable(sources) {
  if (!sources.length) return;
  const names = sources.slice(0, MAX_NAMES).map(({ path }) => `“${path.join(" / ")}”`);
  if (sources.length > names.length) names.push("…");
  const words = t("files_unreadable", { count: sources.length, names: names.join(", ") });
  toast(words, { isFault: true, seconds: FAULT_SECONDS });
}
