// The files behind the entries, as far as the browser can read them: in memory, by a handle that
// outlives the page, or as a copy where there is no handle and the file is small.

import * as store from "./upload-store.js";

const MAX_COPY_BYTES = 64 * 2 ** 20;
const MAX_COPIES_BYTES = 512 * 2 ** 20;

export class UploadFiles {
  #files = /** @type {Map<string, File>} */ (new Map());
  #copiedBytes = 0;

  take(/** @type {Entry} */ entry, /** @type {File} */ file) {
    this.#files.set(entry.id, file);
  }

  /** Copy a file that could not be opened again after a reload. @param {Entry} entry */
  copy(entry) {
    const file = this.#files.get(entry.id);
    if (!file || entry.handle || file.size > MAX_COPY_BYTES) return;
    if (this.#copiedBytes + file.size > MAX_COPIES_BYTES) return;
    this.#copiedBytes += file.size;
    store.put("files", { id: entry.id, file });
  }

  /** Return the file if the browser can read it without asking; else null. @param {Entry} entry */
  async reach(entry) {
    const file = this.#files.get(entry.id) ?? (await this.#read(entry).catch(() => null));
    if (file) this.#files.set(entry.id, file);
    return file;
  }

  /** @param {Entry} entry @returns {Promise<?File>} */
  async #read({ id, handle }) {
    if (!handle) return (await store.get("files", id))?.file ?? null;
    const answer = await handle.queryPermission?.({ mode: "read" });
    return (answer ?? "granted") === "granted" ? handle.getFile() : null;
  }

  /** Forget a file that cannot be read; the next reach looks for it again. @param {Entry} entry */
  lose(entry) {
    this.#files.delete(entry.id);
  }

  /** Forget a file that is no longer needed, and its copy. @param {Entry} entry */
  drop(entry) {
    const file = this.#files.get(entry.id);
    if (file && !entry.handle) this.#copiedBytes = Math.max(0, this.#copiedBytes - file.size);
    this.#files.delete(entry.id);
    store.remove("files", entry.id);
  }
}
