// Where in OneDrive the entries go: the folders on the way, created where they are missing, and the
// names that two files may not have at once.

import { getName } from "./upload-entry.js";

/** @import { Patience } from "./upload-patience.js" */

/** @typedef {Pick<Entry, "folder" | "path" | "isFolder">} Place */

const NEVER = new AbortController().signal;

const fold = (/** @type {string} */ name) => name.normalize("NFC").toLowerCase();

/** @param {string} parent @param {string[]} path */
const makeKey = (parent, path) => JSON.stringify([parent, ...path]);

export class UploadPlaces {
  #url;
  #patience;
  #folders = /** @type {Map<string, Promise<string>>} */ (new Map());
  #folderIds = /** @type {Map<string, string>} */ (new Map());
  #arrivedAt = /** @type {Map<string, number>} */ (new Map());

  /** @param {string} url that creates a folder @param {Patience} patience */
  constructor(url, patience) {
    this.#url = url;
    this.#patience = patience;
  }

  /** Return the id of the folder at a path below `parent`. Many files wait for one folder, so it is
   * created even if one of them is cancelled.
   * @param {string} parent @param {string[]} path @returns {Promise<string>} */
  ensureFolder(parent, path) {
    if (!path.length) return Promise.resolve(parent);
    const key = makeKey(parent, path);
    let folder = this.#folders.get(key);
    if (!folder) {
      folder = this.#createFolder(parent, path, key);
      folder.catch(() => this.#folders.delete(key));
      this.#folders.set(key, folder);
    }
    return folder;
  }

  /** @param {string} parent @param {string[]} path @param {string} key */
  async #createFolder(parent, path, key) {
    const folder = await this.ensureFolder(parent, path.slice(0, -1));
    const { id } = await this.#patience.call(this.#url, { folder, path: path.slice(-1) }, NEVER);
    this.#folderIds.set(key, id);
    return id;
  }

  /** Return the id of a folder that is known. @param {string} parent @param {string[]} path */
  findFolder(parent, path) {
    return this.#folderIds.get(makeKey(parent, path));
  }

  /** Forget folders that may have been deleted since they were found or created. */
  forgetFolders(/** @type {string} */ parent, /** @type {string[]} */ path) {
    for (let depth = 1; depth <= path.length; depth++) {
      const key = makeKey(parent, path.slice(0, depth));
      this.#folders.delete(key);
      this.#folderIds.delete(key);
    }
  }

  /** Return the places of a file, as far as they are known: two ways may lead to one folder.
   * OneDrive ignores case. */
  listNames(/** @type {Place} */ { folder, path, isFolder }) {
    if (isFolder) return [];
    const names = [[folder, ...path].map(fold).join("\n")];
    const target = this.findFolder(folder, path.slice(0, -1));
    if (target) names.push(`${fold(target)}\n${fold(getName({ path }))}`);
    return names;
  }

  noteArrival(/** @type {Place & { arrivedAt?: number }} */ entry) {
    for (const name of this.listNames(entry)) this.#arrivedAt.set(name, entry.arrivedAt ?? 0);
  }

  /** Return whether a file of this queue came to the place of a file after a moment. */
  hasArrivedSince(/** @type {Place} */ entry, /** @type {number} */ moment) {
    return this.listNames(entry).some((name) => (this.#arrivedAt.get(name) ?? 0) > moment);
  }
}
