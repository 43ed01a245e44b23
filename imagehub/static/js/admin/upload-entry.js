// One file or folder of the upload queue: the interface Entry.

/** @type {Set<UploadState>} states in which the file may still have to be sent */
const OPEN = new Set(["waiting", "running", "paused", "name", "taken", "failed", "lost"]);

export const isOpen = (/** @type {{ state: UploadState }} */ { state }) => OPEN.has(state);

/** Return the name of a file or folder. @param {{ path: string[] }} entry */
export const getName = ({ path }) => path[path.length - 1];

/** Return a new id. Sites without https have no randomUUID. */
export const makeId = () =>
  crypto.randomUUID?.() ?? `${Date.now()}-${Math.random().toString(36).slice(2)}`;
