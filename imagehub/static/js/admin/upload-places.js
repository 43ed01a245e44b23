// Where in OneDrive the entries are bound for: the folders on the way, made where they are missing,
// and the names that two files may not have at once.

const NEVER = new AbortController().signal;
const fold = (name) => name.normalize("NFC").toLowerCase();
const makeKey = (parent, path) => JSON.stringify([parent, ...path]);

export class UploadPlaces {
  #url;
  #patience;
  #folders = new Map();
  #folderIds = new Map();
  #arrivedAt = new Map();

  // `url` of the hub makes a folder.
  constructor(url, patience) {
    this.#url = url;
    this.#patience = patience;
  }

  // --- Folders ---

  // The id of the folder at a path below `parent`. Many files wait for one folder, so its making
  // does not end with one of them.
  ensureFolder(parent, path) {
    if (!path.length) return Promise.resolve(parent);
    const key = makeKey(parent, path);
    if (!this.#folders.has(key)) {
      const made = this.ensureFolder(parent, path.slice(0, -1))
        .then((above) => this.#patience.call(this.#url, { folder: above, path: path.slice(-1) }, NEVER))
        .then(({ id }) => {
          this.#folderIds.set(key, id);
          return id;
        });
      made.catch(() => this.#folders.delete(key));
      this.#folders.set(key, made);
    }
    return this.#folders.get(key);
  }

  // The id of a folder that was found or made before.
  findFolder(parent, path) {
    return this.#folderIds.get(makeKey(parent, path));
  }

  // They may have been deleted since they were found or made.
  forgetFolders(parent, path) {
    for (let depth = 1; depth <= path.length; depth++) {
      const key = makeKey(parent, path.slice(0, depth));
      this.#folders.delete(key);
      this.#folderIds.delete(key);
    }
  }

  // --- Names ---

  // The places of a file, as far as they are known: two ways may lead to one folder. OneDrive makes
  // no difference between two ways to write a name.
  listNames({ folder, path, isFolder }) {
    if (isFolder) return [];
    const names = [[folder, ...path].map(fold).join("\n")];
    const target = this.findFolder(folder, path.slice(0, -1));
    if (target) names.push(`${fold(target)}\n${fold(path.at(-1))}`);
    return names;
  }

  noteArrival(entry) {
    for (const name of this.listNames(entry)) this.#arrivedAt.set(name, entry.arrivedAt);
  }

  // Whether a file of this queue came to the place of a file after a moment.
  hasArrivedSince(entry, moment) {
    return this.listNames(entry).some((name) => (this.#arrivedAt.get(name) ?? 0) > moment);
  }
}
