// One file or folder of the upload queue, as it is kept in the browser's database.

/**
 * "taken": the name is in the folder already. "name": OneDrive refuses the name. "lost": the
 * browser cannot read the file any more.
 * @typedef {"waiting" | "running" | "paused" | "name" | "taken" | "failed" | "lost" | "skipped"
 *   | "done" | "cancelled"} State
 */

/** @typedef {"fail" | "rename" | "replace"} OnConflict */

/**
 * @typedef {object} Entry
 * @property {string} id
 * @property {string} tab that looks after it
 * @property {string} owner
 * @property {number} order
 * @property {string} folder id of the folder that was open
 * @property {string} folderName
 * @property {string[]} path below that folder
 * @property {boolean} isFolder
 * @property {number} size
 * @property {number} modified
 * @property {string} type
 * @property {?FileSystemFileHandle} [handle]
 * @property {State} state
 * @property {OnConflict} conflict
 * @property {boolean} isChecked whether OneDrive accepts its name
 * @property {number} sent bytes that OneDrive has
 * @property {number} progress bytes of the fragment on its way
 * @property {string} message
 * @property {string[]} [repaired] a path that OneDrive accepts
 * @property {string[]} [chosenPath] the path on this computer, if another was accepted
 * @property {string} [target] id of the folder it goes to
 * @property {string} [uploadUrl] of its session
 * @property {string} [begunAt]
 * @property {number} [sessionAt]
 * @property {boolean} [wasYoung] whether its session was waited for once
 * @property {boolean} [isUnsure] whether OneDrive must be asked how much it has
 * @property {number} [heldCount] how often another session on its name was waited for
 * @property {number} [heldUntil]
 * @property {number} [changeCount] how often the file changed while it was sent
 * @property {number} [settledAt] when the person decided about its name
 * @property {number} [arrivedAt]
 * @property {string} [itemId] in OneDrive
 * @property {string} [itemName]
 * @property {boolean} [isImportable]
 * @property {boolean} [isImported]
 */

/** @typedef {Map<string, Entry>} Entries */

/** @type {Set<State>} states in which the file may still have to be sent */
const OPEN = new Set(["waiting", "running", "paused", "name", "taken", "failed", "lost"]);

/** @param {{ state: State }} entry */
export const isOpen = ({ state }) => OPEN.has(state);

/**
 * Return the name of a file or folder.
 * @param {{ path: string[] }} entry
 */
export const getName = ({ path }) => path[path.length - 1];

/** Return a new id. Sites without https have no randomUUID. */
export const makeId = () =>
  crypto.randomUUID?.() ?? `${Date.now()}-${Math.random().toString(36).slice(2)}`;
