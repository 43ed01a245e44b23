// Files that were selected again, matched with the entries whose files the browser has lost.

/** @typedef {Source & { file: File }} FileSource */
/** @typedef {(source: FileSource, entry: Entry) => boolean} Fits */

/** Match sources for a folder with lost entries, each at most once; sources without a match are left
 * out. `isAsked`: the person was asked for missing files, so that a file of the right name and size
 * is the one that is missing, where it can be no other.
 * @param {Source[]} sources @param {Entry[]} entries
 * @param {{ folder: string, isAsked?: boolean }} options */
export function matchLost(sources, entries, { folder, isAsked = false }) {
  const found = /** @type {Map<Source, Entry>} */ (new Map());
  const left = new Set(sources.filter(hasFile));
  const lost = new Set(entries);

  /** `isUnique`: only where neither side has another candidate. */
  const match = (/** @type {Fits} */ fits, /** @type {boolean} */ isUnique) => {
    for (const source of [...left]) {
      const candidates = [...lost].filter((entry) => fits(source, entry));
      const [entry] = candidates;
      if (!entry) continue;
      const rivals = () => [...left].filter((other) => fits(other, entry));
      if (isUnique && (candidates.length > 1 || rivals().length > 1)) continue;
      left.delete(source);
      lost.delete(entry);
      found.set(source, entry);
    }
  };
  // A file that was changed has another size, so its place alone must do.
  match((source, entry) => entry.folder === folder && hasPath(source, entry), false);
  match((source, entry) => hasPath(source, entry) && isSame(source, entry), false);
  match(isSame, true);
  if (isAsked) match(hasSize, true);
  return found;
}

/** @param {Source} source @returns {source is FileSource} */
const hasFile = (source) => Boolean(source.file);

/** Return the path on this computer, where a corrected name is not known. @param {Entry} entry */
const getPath = ({ chosenPath, path }) => chosenPath ?? path;

/** @type {Fits} */
const hasPath = ({ path }, entry) => getPath(entry).join("/") === path.join("/");

/** @type {Fits} */
const hasSize = ({ path, file }, entry) =>
  getPath(entry).at(-1) === path.at(-1) && entry.size === file.size;

/** @type {Fits} */
const isSame = (source, entry) =>
  hasSize(source, entry) && entry.modified === source.file.lastModified;
