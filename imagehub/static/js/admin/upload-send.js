// Sends one file: the server opens a session for it, OneDrive takes its bytes there, and whatever
// goes wrong on the way is waited for, started again, or reported.

import { t } from "../words.js";
import { CallError } from "./http.js";
import { getName } from "./upload-entry.js";
import { hashFile } from "./upload-hash.js";
import { MAX_TRIES, MAX_UNREACHED, Stop, growWait } from "./upload-patience.js";
import {
  Pace,
  askPosition,
  dropSession,
  findForbiddenHost,
  sendFragment,
} from "./upload-session.js";

/** @import { FragmentAnswer } from "./upload-session.js" */
/** @import { Uploads } from "./upload.js" */

/**
 * One run of `send`.
 * @typedef {{ entry: Entry, file: File, signal: AbortSignal, tries: number, unplacedCount: number }} Run
 */

const MAX_SESSIONS = 5;
const MAX_CHANGES = 5;
// A network that breaks now and then is back before that.
const MANY_UNREACHED = 8;
// OneDrive keeps an open session that nobody knows for a quarter of an hour.
const MAX_HELD = 24;
const YOUNG_SESSION_MS = 10_000;
const YOUNG_PAUSE_MS = 5000;
const MAX_UNPLACED = 3;
const MAX_OTHERS = 2000;
const CHANGED_PAUSE_MS = 1000;
const TEMPORARY = new Set([408, 423, 429, 500, 502, 503, 504, 509]);

export class Sender {
  #urls;
  #queue;
  #pace = new Pace();

  /** @param {DriveUrls} urls @param {Uploads} queue */
  constructor(urls, queue) {
    this.#urls = urls;
    this.#queue = queue;
  }

  /** Let the next try begin with the first byte, in a session of its own. @param {Entry} entry */
  startOver(entry) {
    entry.uploadUrl = "";
    entry.sent = 0;
    entry.progress = 0;
    entry.isUnsure = false;
    this.#queue.keep(entry);
  }

  /** End the session, so that OneDrive deletes what has arrived in it. @param {Entry} entry */
  async dropSession(entry) {
    const url = entry.uploadUrl;
    entry.uploadUrl = "";
    if (url) await dropSession(url);
  }

  /** @param {Entry} entry */
  async #restart(entry) {
    await this.dropSession(entry);
    this.startOver(entry);
  }

  /**
   * Send a file; return what it has become in OneDrive, null for a folder. Throws a Stop, an error
   * of the server, or the signal's reason. `hasNewFolders`: its folders were created again.
   * @param {Entry} entry @param {AbortSignal} signal
   * @returns {Promise<?UploadedItem>}
   */
  async send(entry, signal, hasNewFolders = false) {
    const { places } = this.#queue;
    const folders = entry.isFolder ? entry.path : entry.path.slice(0, -1);
    entry.target = await places.ensureFolder(entry.folder, folders);
    signal.throwIfAborted();
    if (entry.isFolder) return null;
    const file = await this.#takeFile(entry);
    // "Replace" was said of the file that was there then, not of one that this queue put there
    // since.
    if (entry.conflict === "replace" && !entry.uploadUrl) {
      if (places.hasArrivedSince(entry, entry.settledAt ?? 0)) entry.conflict = "fail";
    }
    /** @type {Run} */
    const run = { entry, file, signal, tries: 0, unplacedCount: 0 };
    let sessionCount = 0;
    while (true) {
      signal.throwIfAborted();
      await this.#queue.patience.waitUntilReady(signal);
      if (!entry.uploadUrl) {
        if (++sessionCount > MAX_SESSIONS) throw new Stop("failed", t("session_ends"));
        try {
          const item = await this.#begin(entry, file, signal);
          if (item) return item;
        } catch (error) {
          const isGone = error instanceof CallError && error.status === 404;
          if (!isGone || !folders.length || hasNewFolders) throw error;
          places.forgetFolders(entry.folder, folders);
          return this.send(entry, signal, true);
        }
      }
      await this.#queue.takeLane(entry, signal);
      this.#checkHost(entry);
      const arrived = entry.isUnsure ? await this.#findPosition(run) : await this.#sendNext(run);
      if (arrived) return arrived;
    }
  }

  /** @param {Entry} entry */
  #checkHost({ uploadUrl = "" }) {
    const host = findForbiddenHost(uploadUrl);
    if (host) throw new Stop("failed", t("host_forbidden", { host }), { stopsAll: true });
  }

  // Find out how much OneDrive has; return the file if all of it is in its place.
  /** @param {Run} run @returns {Promise<?UploadedItem>} */
  async #findPosition(run) {
    const { entry, signal } = run;
    const position = await askPosition(entry.uploadUrl ?? "", signal);
    if (position.state === "known") {
      entry.sent = Math.min(position.start, entry.size);
      entry.isUnsure = false;
      this.#queue.keep(entry);
      return null;
    }
    if (position.state === "again" || position.state === "unreached") {
      const isAgain = position.state === "again";
      const retryAfter = isAgain ? position.retryAfter : 0;
      await this.#backOff(run, { retryAfter, most: isAgain ? MAX_TRIES : MAX_UNREACHED });
      return null;
    }
    // All bytes are there: OneDrive may be about to put the file into its place.
    if (position.state === "unplaced" && ++run.unplacedCount <= MAX_UNPLACED) {
      await this.#pause(run, run.unplacedCount, {});
      return null;
    }
    const item = await this.#findArrived(run);
    if (item) return item;
    if (position.state !== "gone") await this.dropSession(entry);
    this.startOver(entry);
    return null;
  }

  // Send the next fragment; return the file if it was the last one.
  /** @param {Run} run @returns {Promise<?UploadedItem>} */
  async #sendNext(run) {
    const { entry, file, signal } = run;
    const begin = entry.sent;
    const answer = await sendFragment(entry.uploadUrl ?? "", file, begin, {
      signal,
      pace: this.#pace,
      tell: (loaded) => this.#queue.note(entry, loaded),
    });
    entry.progress = 0;
    const isEnd = answer.end === entry.size && Boolean(answer.body?.id);
    if ((answer.status === 200 || answer.status === 201) && isEnd) return answer.body;
    if (answer.status !== 202) return this.#recover(run, answer, begin);
    run.tries = 0;
    entry.message = "";
    entry.sent = answer.end;
    this.#queue.advance(entry);
    return null;
  }

  /**
   * Deal with a fragment that was not taken; return the file if it is in its place all the same.
   * @param {Run} run @param {FragmentAnswer} answer @param {number} begin @returns {Promise<?UploadedItem>}
   */
  async #recover(run, { status, end, retryAfter }, begin) {
    const { entry, signal } = run;
    if (status === 416) {
      entry.isUnsure = true;
      if (++run.tries > MAX_TRIES) throw new Stop("failed", t("takes_no_more"));
      if (run.tries > 2) await this.#pause(run, run.tries, {});
    } else if (status < 300 || TEMPORARY.has(status)) {
      // No network, or an answer that only something between here and OneDrive can have given.
      entry.isUnsure = true;
      await this.#backOff(run, { retryAfter, most: status ? MAX_TRIES : MAX_UNREACHED });
    } else if (status === 404 || status === 410) {
      // A new session is sometimes not known everywhere yet.
      const age = Date.now() - (entry.sessionAt ?? 0);
      if (!begin && !entry.wasYoung && age < YOUNG_SESSION_MS) {
        entry.wasYoung = true;
        await this.#queue.patience.sleep(YOUNG_PAUSE_MS, signal);
        return null;
      }
      const item = end === entry.size ? await this.#findArrived(run) : null;
      if (item) return item;
      this.startOver(entry);
    } else if (status === 401 || status === 403) {
      // Sessions end before the time they name (OneDrive/onedrive-api-docs#1570).
      await this.#restart(entry);
    } else if (status === 409) {
      await this.#restart(entry);
      if (entry.conflict === "fail") throw new Stop("taken", t("name_taken"));
      await this.#backOff(run, {});
    } else if (status === 507) {
      throw new Stop("failed", t("onedrive_full"), { stopsAll: true });
    } else {
      await this.#restart(entry);
      throw new Stop("failed", t("refused_file", { status: String(status) }));
    }
    return null;
  }

  /** @param {Entry} entry */
  async #takeFile(entry) {
    const file = await this.#queue.files.reach(entry);
    if (!file) throw new Stop("lost", t("unreadable_file"));
    if (file.size !== entry.size || file.lastModified !== entry.modified) {
      // The bytes that went belong to another state of it.
      await this.#restart(entry);
      entry.size = file.size;
      entry.modified = file.lastModified;
      this.#queue.keep(entry);
    }
    return file;
  }

  // --- The server ---

  /**
   * Open a session; return the file instead where all of it is there.
   * @param {Entry} entry @param {File} file @param {AbortSignal} signal @returns {Promise<?UploadedItem>}
   */
  async #begin(entry, file, signal) {
    const wish = {
      ...this.#describeFile(entry),
      // Other bytes under this name are another upload, which must not go on where this one was.
      upload: `${entry.id} ${entry.size} ${entry.modified}`,
      given_up: entry.begunAt ?? "",
    };
    let begun = await this.#ask(entry, wish, signal);
    if (begun.needs_hash) {
      begun = await this.#ask(entry, { ...wish, hash: await this.#hash(file, signal) }, signal);
    }
    if (begun.item) return begun.item;
    if (begun.refused === "name_taken") throw new Stop("taken", begun.message);
    if (begun.refused === "session_open") {
      entry.heldCount = (entry.heldCount ?? 0) + 1;
      const isOver = entry.heldCount > MAX_HELD;
      const waitMs = isOver ? 0 : growWait(entry.heldCount);
      throw new Stop(isOver ? "failed" : "waiting", begun.message, { waitMs });
    }
    if (begun.refused) {
      throw new Stop("failed", begun.message, { stopsAll: begun.refused === "quota_full" });
    }
    return null;
  }

  /** @param {Entry} entry @param {object} wish @param {AbortSignal} signal */
  async #ask(entry, wish, signal) {
    const begun = await this.#queue.patience.call(this.#urls.begin, wish, signal, { isCut: false });
    if (!begun.upload_url) return begun;
    if (entry.state === "cancelled") {
      await dropSession(begun.upload_url);
      signal.throwIfAborted();
    }
    entry.uploadUrl = begun.upload_url;
    entry.begunAt = begun.begun_at;
    entry.sessionAt = Date.now();
    entry.wasYoung = false;
    entry.sent = 0;
    entry.heldCount = 0;
    entry.isUnsure = begun.is_known;
    await this.#queue.keep(entry);
    return begun;
  }

  /** @param {Entry} entry */
  #describeFile(entry) {
    // Where both are kept this file gets a number, and must not be taken for one that has it
    // already.
    const others = entry.conflict === "rename" ? this.#listOthers(entry) : [];
    const { target, size, conflict } = entry;
    return { folder: target, name: getName(entry), size, on_conflict: conflict, others };
  }

  /** @param {Entry} entry */
  #listOthers({ id, target, size }) {
    const near = [...this.#queue.entries.values()].filter(
      (other) => other.id !== id && other.target === target && other.size === size,
    );
    const names = near.flatMap((other) => [getName(other), other.itemName ?? getName(other)]);
    return [...new Set(names)].slice(0, MAX_OTHERS);
  }

  // Return the file if it is in its place: the last answer may have been lost.
  /** @param {Run} run @returns {Promise<?UploadedItem>} */
  async #findArrived({ entry, file, signal }) {
    if (!entry.begunAt) return null;
    const hash = await this.#hash(file, signal);
    const wish = { ...this.#describeFile(entry), begun_at: entry.begunAt, hash };
    const { item } = await this.#queue.patience.call(this.#urls.find, wish, signal);
    return item;
  }

  /** @param {File} file @param {AbortSignal} signal */
  async #hash(file, signal) {
    try {
      return await hashFile(file, signal);
    } catch {
      signal.throwIfAborted();
      throw new Stop("lost", t("changed_file"));
    }
  }

  // --- Waiting ---

  // Wait after one more try.
  /** @param {Run} run @param {{ retryAfter?: number, most?: number }} options */
  #backOff(run, options) {
    return this.#pause(run, ++run.tries, options);
  }

  /**
   * @param {Run} run @param {number} tries
   * @param {{ retryAfter?: number, most?: number }} options `most`: tries that are allowed
   */
  async #pause({ entry, file, signal }, tries, { retryAfter, most = MAX_TRIES }) {
    if (tries > most) throw new Stop("failed", t("onedrive_unreachable"));
    try {
      await file.slice(0, 1).arrayBuffer();
    } catch {
      await this.#takeChange(entry);
    }
    if (tries > MANY_UNREACHED && most === MAX_UNREACHED) {
      const { host } = new URL(entry.uploadUrl ?? "");
      this.#queue.say(entry, t("host_unreachable", { host }));
    } else if (tries > 3) {
      this.#queue.say(entry, t("onedrive_unreachable_now"));
    }
    await this.#queue.patience.backOff(tries, { signal, retryAfter });
  }

  // Stop a file that cannot be read any more: it was moved, or changed while it was sent.
  /** @param {Entry} entry */
  async #takeChange(entry) {
    this.#queue.files.lose(entry);
    entry.changeCount = (entry.changeCount ?? 0) + 1;
    if (entry.handle && entry.changeCount <= MAX_CHANGES && (await this.#queue.files.reach(entry))) {
      throw new Stop("waiting", t("sent_again"), { waitMs: CHANGED_PAUSE_MS });
    }
    throw new Stop("lost", t("changed_file"));
  }
}
