// Import when uploaded: what has arrived is collected, and imported by one call when nothing else
// is on its way.

import { CallError, fetchJson, getMessage } from "./http.js";
import { isOpen } from "./upload-entry.js";

/** @import { Entries, Entry } from "./upload-entry.js" */

/**
 * The server's answer to a call.
 * @typedef {object} Outcome
 * @property {number} count of images that are being imported
 * @property {number} known files that are imported already
 * @property {{ count: number, reason: string }[]} refused
 * @property {string} url of the import; "" where there is none
 */

const MAX_FILES = 5000;
const FIRST_PAUSE_MS = 15_000;
const MAX_PAUSE_MS = 300_000;
const TEMPORARY = new Set([0, 429, 500, 502, 503, 504]);

export class UploadImport {
  /** A sentence, where the server refused the last call. */
  fault = "";

  #url;
  #entries;
  #keep;
  #tell;
  #wantsImport = false;
  #grouping = "one";
  #isCalling = false;
  #timer = 0;
  #pauseMs = FIRST_PAUSE_MS;

  /**
   * @param {string} url
   * @param {Entries} entries
   * @param {object} options
   * @param {(entry: Entry) => unknown} options.keep stores an entry
   * @param {(outcome: ?Outcome) => void} options.tell gets the server's answers; null where only
   *   the fault has changed
   */
  constructor(url, entries, { keep, tell }) {
    this.#url = url;
    this.#entries = entries;
    this.#keep = keep;
    this.#tell = tell;
  }

  /**
   * Set whether and how the whole queue is imported.
   * @param {boolean} wantsImport
   * @param {string} grouping
   */
  set(wantsImport, grouping) {
    this.#wantsImport = wantsImport;
    this.#grouping = grouping;
    if (!wantsImport) this.fault = "";
    return this.check();
  }

  /**
   * Return whether an entry is to be imported and was not yet.
   * @param {Entry} entry
   */
  isDue(entry) {
    const isReady = entry.state === "done" && Boolean(entry.isImportable) && !entry.isImported;
    return this.#wantsImport && isReady;
  }

  get dueCount() {
    return [...this.#entries.values()].filter((entry) => this.isDue(entry)).length;
  }

  /**
   * Import what is due if nothing is on its way or waits for an answer; `isNow`: in any case.
   * @param {{ isNow?: boolean }} [options]
   */
  async check({ isNow = false } = {}) {
    if (!this.#wantsImport || this.#isCalling) return;
    const all = [...this.#entries.values()];
    if (!isNow && all.some(isOpen)) return;
    const due = all.filter((entry) => this.isDue(entry)).slice(0, MAX_FILES);
    if (!due.length) return;
    clearTimeout(this.#timer);
    this.#isCalling = true;
    try {
      const json = { files: due.map(describeFile), grouping: this.#grouping };
      const outcome = await fetchJson(this.#url, { json });
      this.fault = "";
      this.#pauseMs = FIRST_PAUSE_MS;
      for (const entry of due) {
        entry.isImported = true;
        this.#keep(entry);
      }
      this.#tell(outcome);
    } catch (error) {
      this.fault = getMessage(error);
      this.#tell(null);
      // The server skips what it has already, so that repeating the call does no harm.
      if (error instanceof CallError && TEMPORARY.has(error.status)) {
        this.#timer = setTimeout(() => this.check({ isNow }), this.#pauseMs);
        this.#pauseMs = Math.min(MAX_PAUSE_MS, this.#pauseMs * 2);
      }
      return;
    } finally {
      this.#isCalling = false;
    }
    await this.check({ isNow: isNow && due.length === MAX_FILES });
  }
}

/** @param {Entry} entry */
function describeFile(entry) {
  return {
    id: entry.itemId,
    name: entry.itemName,
    folder: entry.target,
    folder_name: entry.path.at(-2) ?? entry.folderName,
    is_replaced: entry.conflict === "replace",
    type: entry.type,
    size: entry.size,
  };
}
