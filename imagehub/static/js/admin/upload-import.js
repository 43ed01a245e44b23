// Import when uploaded: what has arrived is collected, and asked for in one call when the queue
// has come to rest.

import { fetchJson } from "./http.js";
import { isOpen } from "./upload-store.js";

const MOST_A_CALL = 5000;
const FIRST_PAUSE_MS = 15_000;
const LONGEST_PAUSE_MS = 300_000;
const PASSING = new Set([0, 429, 500, 502, 503, 504]);

export class UploadImport {
  // A sentence, where the hub did not take the last call.
  fault = "";

  #url;
  #entries;
  #keep;
  #tell;
  #wantsImport = false;
  #grouping = "one";
  #isAsking = false;
  #timer = 0;
  #pauseMs = FIRST_PAUSE_MS;

  // `keep(entry)` writes an entry down; `tell(outcome)` hears the hub's answers, and null where
  // only what is to be shown has changed.
  constructor(url, entries, { keep, tell }) {
    this.#url = url;
    this.#entries = entries;
    this.#keep = keep;
    this.#tell = tell;
  }

  // One wish for the whole queue, whatever came into it before or after.
  set(wantsImport, grouping) {
    this.#wantsImport = wantsImport;
    this.#grouping = grouping;
    if (!wantsImport) this.fault = "";
    return this.check();
  }

  // Whether an entry is to be imported and was not yet.
  isDue(entry) {
    return this.#wantsImport && entry.state === "done" && entry.isImportable && !entry.isImported;
  }

  get dueCount() {
    return [...this.#entries.values()].filter((entry) => this.isDue(entry)).length;
  }

  // Asks for what is due if nothing is on its way or waits for an answer; `isNow`: in any case.
  async check({ isNow = false } = {}) {
    if (!this.#wantsImport || this.#isAsking) return;
    const all = [...this.#entries.values()];
    if (!isNow && all.some(isOpen)) return;
    const due = all.filter((entry) => this.isDue(entry)).slice(0, MOST_A_CALL);
    if (!due.length) return;
    clearTimeout(this.#timer);
    this.#isAsking = true;
    try {
      const outcome = await fetchJson(this.#url, {
        json: { files: due.map(describeFile), grouping: this.#grouping },
      });
      this.fault = "";
      this.#pauseMs = FIRST_PAUSE_MS;
      for (const entry of due) {
        entry.isImported = true;
        this.#keep(entry);
      }
      this.#tell(outcome);
    } catch (error) {
      this.fault = error.message;
      this.#tell(null);
      // The hub leaves out what it has already, so that asking once more does no harm.
      if (PASSING.has(error.status)) {
        this.#timer = setTimeout(() => this.check({ isNow }), this.#pauseMs);
        this.#pauseMs = Math.min(LONGEST_PAUSE_MS, this.#pauseMs * 2);
      }
      return;
    } finally {
      this.#isAsking = false;
    }
    await this.check({ isNow: isNow && due.length === MOST_A_CALL });
  }
}

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
