// The files behind the entries, as far as the browser can read them: in its hands, by a handle that
// outlives the page, or as a copy where there is no handle and the file is small.

const MOST_COPY_BYTES = 64 * 2 ** 20;
const MOST_COPIES_BYTES = 512 * 2 ** 20;

export class UploadFiles {
  #store;
  #files = new Map();
  #copiedBytes = 0;

  // `store`: an UploadStore.
  constructor(store) {
    this.#store = store;
  }

  take(entry, file) {
    this.#files.set(entry.id, file);
  }

  // Keeps a copy of a file that could not be reached again after a reload.
  copy(entry) {
    const file = this.#files.get(entry.id);
    if (!file || entry.handle || file.size > MOST_COPY_BYTES) return;
    if (this.#copiedBytes + file.size > MOST_COPIES_BYTES) return;
    this.#copiedBytes += file.size;
    this.#store.put("files", { id: entry.id, file });
  }

  // The file, if the browser can read it without asking; true for a folder, which needs none.
  async reach(entry) {
    if (entry.isFolder) return true;
    if (this.#files.has(entry.id)) return this.#files.get(entry.id);
    let file = null;
    if (entry.handle) {
      try {
        const answer = await entry.handle.queryPermission?.({ mode: "read" });
        if ((answer ?? "granted") === "granted") file = await entry.handle.getFile();
      } catch {
        file = null;
      }
    } else {
      file = (await this.#store.get("files", entry.id))?.file ?? null;
    }
    if (file) this.#files.set(entry.id, file);
    return file;
  }

  // What is in the hands cannot be read any more; the next reach looks for it anew.
  lose(entry) {
    this.#files.delete(entry.id);
  }

  // Nobody needs it any more, and its copy neither.
  drop(entry) {
    const file = this.#files.get(entry.id);
    if (file && !entry.handle) this.#copiedBytes = Math.max(0, this.#copiedBytes - file.size);
    this.#files.delete(entry.id);
    this.#store.delete("files", entry.id);
  }
}
