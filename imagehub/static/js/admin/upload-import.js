// Import when uploaded: what has arrived is collected, and imported by one call when nothing else
// is on its way.

import { CallError, fetchJson, getMessage } from "./http.js";
import { isOpen } from "./upload-entry.js";

/** @import { Queue } from "./upload.js" */

const MAX_FILES = 5000;
const FIRST_PAUSE_MS = 15_000;
const MAX_PAUSE_MS = 300_000;
// Files of these types are not offered for import: no program draws them as a picture.
const NO_PICTURE = /^(text|audio|font)\/|^application\/(zip|gzip|json|xml|msword|vnd\.)/;
const TEMPORARY = new Set([0, 429, 500, 502, 503, 504]);

export class UploadImport {
  /** A sentence, where the server refused the last call. */
  fault = "";

  #url;
  #queue;
  #wantsImport = false;
  #grouping = "one";
  #isCalling = false;
  #timer = 0;
  #pauseMs = FIRST_PAUSE_MS;

  /** @param {string} url @param {Pick<Queue, "entries" | "keep" | "tellImport">} queue */
  constructor(url, queue) {
    this.#url = url;
    this.#queue = queue;
  }

  /** Set whether and how to import. @param {boolean} wantsImport @param {string} grouping */
  set(wantsImport, grouping) {
    this.#wantsImport = wantsImport;
    this.#grouping = grouping;
    if (!wantsImport) this.fault = "";
    return this.check();
  }

  /** Return whether an entry is to be imported and was not yet. @param {Entry} entry */
  isDue(entry) {
    return this.#wantsImport && isReady(entry);
  }

  get dueCount() {
    return [...this.#queue.entries.values()].filter((entry) => this.isDue(entry)).length;
  }

  /** How many files may be pictures and were not imported, where that is not done by itself. */
  get offeredCount() {
    return this.#wantsImport ? 0 : [...this.#queue.entries.values()].filter(isOffered).length;
  }

  /** Import what is due if nothing is on its way or waits for an answer. `isNow`: in any case;
   * `isAsked`: what is offered, which is not imported by itself.
   * @param {{ isNow?: boolean, isAsked?: boolean }} [options] */
  async check({ isNow = false, isAsked = false } = {}) {
    if (!(this.#wantsImport || isAsked) || this.#isCalling) return;
    const all = [...this.#queue.entries.values()];
    if (!isNow && all.some(isOpen)) return;
    const due = all.filter(isAsked ? isOffered : isReady).slice(0, MAX_FILES);
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
        this.#queue.keep(entry);
      }
      this.#queue.tellImport(outcome);
    } catch (error) {
      this.fault = getMessage(error);
      this.#queue.tellImport(null);
      // The server skips what it has already, so that repeating the call does no harm.
      if (error instanceof CallError && TEMPORARY.has(error.status)) {
        this.#timer = setTimeout(() => this.check({ isNow, isAsked }), this.#pauseMs);
        this.#pauseMs = Math.min(MAX_PAUSE_MS, this.#pauseMs * 2);
      }
      return;
    } finally {
      this.#isCalling = false;
    }
    const isMore = due.length === MAX_FILES;
    await this.check({ isNow: isNow && isMore, isAsked: isAsked && isMore });
  }
}

/** @param {Entry} entry */
const isReady = (entry) =>
  entry.state === "done" && Boolean(entry.isImportable) && !entry.isImported;

/** @param {Entry} entry */
const isOffered = (entry) => isReady(entry) && !NO_PICTURE.test(entry.type ?? "");

function describeFile(/** @type {Entry} */ entry) {
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
