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
/** @import { Queue } from "./upload.js" */

/** One run of `send`.
 * @typedef {{ entry: Entry, file: File, signal: AbortSignal, tries: number,
 *   unplacedCount: number }} Run */

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

/** Make what sends the files of a queue. @param {DriveUrls} urls @param {Queue} queue */
export function makeSender(urls, queue) {
  const { entries, files, patience, places } = queue;
  const pace = new Pace();

  /** Let the next try begin with the first byte, in a session of its own. @param {Entry} entry */
  function startOver(entry) {
    entry.uploadUrl = "";
    entry.sent = 0;
    entry.progress = 0;
    entry.isUnsure = false;
    queue.keep(entry);
  }

  /** End the session, so that OneDrive deletes what has arrived in it. @param {Entry} entry */
  async function endSession(entry) {
    const url = entry.uploadUrl;
    entry.uploadUrl = "";
    if (url) await dropSession(url);
  }

  async function restart(/** @type {Entry} */ entry) {
    await endSession(entry);
    startOver(entry);
  }

  /** Send a file; return what it has become in OneDrive, null for a folder. Throws a Stop, an error
   * of the server, or the signal's reason. `hasNewFolders`: its folders were created again.
   * @param {Entry} entry @param {AbortSignal} signal
   * @returns {Promise<?UploadedItem>} */
  async function send(entry, signal, hasNewFolders = false) {
    const folders = entry.isFolder ? entry.path : entry.path.slice(0, -1);
    entry.target = await places.ensureFolder(entry.folder, folders);
    signal.throwIfAborted();
    if (entry.isFolder) return null;
    const file = await takeFile(entry);
    // "Replace" was said of the file that was there then, not of one that this queue put there
    // since.
    if (entry.conflict === "replace" && !entry.uploadUrl) {
      if (places.hasArrivedSince(entry, entry.settledAt ?? 0)) entry.conflict = "fail";
    }
    const run = { entry, file, signal, tries: 0, unplacedCount: 0 };
    let sessionCount = 0;
    while (true) {
      signal.throwIfAborted();
      await patience.waitUntilReady(signal);
      if (!entry.uploadUrl) {
        if (++sessionCount > MAX_SESSIONS) throw new Stop("failed", t("session_ends"));
        try {
          const item = await beginSession(entry, file, signal);
          if (item) return item;
        } catch (error) {
          const isGone = error instanceof CallError && error.status === 404;
          if (!isGone || !folders.length || hasNewFolders) throw error;
          places.forgetFolders(entry.folder, folders);
          return send(entry, signal, true);
        }
      }
      await queue.takeLane(entry, signal);
      const host = findForbiddenHost(entry.uploadUrl ?? "");
      if (host) throw new Stop("failed", t("host_forbidden", { host }), { stopsAll: true });
      const arrived = entry.isUnsure ? await findPosition(run) : await sendNext(run);
      if (arrived) return arrived;
    }
  }

  /** Find out how much OneDrive has; return the file if all of it is in its place.
   * @param {Run} run @returns {Promise<?UploadedItem>} */
  async function findPosition(run) {
    const { entry, signal } = run;
    const position = await askPosition(entry.uploadUrl ?? "", signal);
    if (position.state === "known") {
      entry.sent = Math.min(position.start, entry.size);
      entry.isUnsure = false;
      queue.keep(entry);
    } else if (position.state === "again") {
      await pause(run, ++run.tries, position);
    } else if (position.state === "unreached") {
      await pause(run, ++run.tries, { most: MAX_UNREACHED });
    } else if (position.state === "unplaced" && ++run.unplacedCount <= MAX_UNPLACED) {
      // All bytes are there: OneDrive may be about to put the file into its place.
      await pause(run, run.unplacedCount);
    } else {
      const item = await findArrived(run);
      if (item) return item;
      if (position.state !== "gone") await endSession(entry);
      startOver(entry);
    }
    return null;
  }

  /** Send the next fragment; return the file if it was the last one.
   * @param {Run} run @returns {Promise<?UploadedItem>} */
  async function sendNext(run) {
    const { entry, file, signal } = run;
    const begin = entry.sent;
    const answer = await sendFragment(entry.uploadUrl ?? "", file, begin, {
      signal,
      pace,
      tell: (loaded) => queue.note(entry, loaded),
    });
    entry.progress = 0;
    const isEnd = answer.end === entry.size && Boolean(answer.body?.id);
    if ((answer.status === 200 || answer.status === 201) && isEnd) return answer.body;
    if (answer.status !== 202) return recover(run, answer, begin);
    run.tries = 0;
    entry.message = "";
    entry.sent = answer.end;
    queue.advance(entry);
    return null;
  }

  /** Deal with a fragment that was not taken; return the file if it is in its place all the same.
   * @param {Run} run @param {FragmentAnswer} answer @param {number} begin */
  async function recover(run, { status, end, retryAfter }, begin) {
    const { entry, signal } = run;
    if (status === 416) {
      entry.isUnsure = true;
      if (++run.tries > MAX_TRIES) throw new Stop("failed", t("takes_no_more"));
      if (run.tries > 2) await pause(run, run.tries);
    } else if (status < 300 || TEMPORARY.has(status)) {
      // No network, or an answer that only something between here and OneDrive can have given.
      entry.isUnsure = true;
      const most = status ? MAX_TRIES : MAX_UNREACHED;
      await pause(run, ++run.tries, { retryAfter, most });
    } else if (status === 404 || status === 410) {
      // A new session is sometimes not known everywhere yet.
      const age = Date.now() - (entry.sessionAt ?? 0);
      if (!begin && !entry.wasYoung && age < YOUNG_SESSION_MS) {
        entry.wasYoung = true;
        await patience.sleep(YOUNG_PAUSE_MS, signal);
        return null;
      }
      const item = end === entry.size ? await findArrived(run) : null;
      if (item) return item;
      startOver(entry);
    } else if (status === 401 || status === 403) {
      // Sessions end before the time they name (OneDrive/onedrive-api-docs#1570).
      await restart(entry);
    } else if (status === 409) {
      await restart(entry);
      if (entry.conflict === "fail") throw new Stop("taken", t("name_taken"));
      await pause(run, ++run.tries);
    } else if (status === 507) {
      throw new Stop("failed", t("onedrive_full"), { stopsAll: true });
    } else {
      await restart(entry);
      throw new Stop("failed", t("refused_file", { status: String(status) }));
    }
    return null;
  }

  async function takeFile(/** @type {Entry} */ entry) {
    const file = await files.reach(entry);
    if (!file) throw new Stop("lost", t("unreadable_file"));
    if (file.size !== entry.size || file.lastModified !== entry.modified) {
      // The bytes that went belong to another state of it.
      await restart(entry);
      entry.size = file.size;
      entry.modified = file.lastModified;
      queue.keep(entry);
    }
    return file;
  }

  /** Open a session; return the file instead where all of it is there.
   * @param {Entry} entry @param {File} file @param {AbortSignal} signal */
  async function beginSession(entry, file, signal) {
    const wish = {
      ...describeFile(entry),
      // Other bytes under this name are another upload, which must not go on where this one was.
      upload: `${entry.id} ${entry.size} ${entry.modified}`,
      given_up: entry.begunAt ?? "",
    };
    let begun = await ask(entry, wish, signal);
    if (begun.needs_hash) {
      begun = await ask(entry, { ...wish, hash: await makeHash(file, signal) }, signal);
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
  async function ask(entry, wish, signal) {
    const begun = await patience.call(urls.begin, wish, signal, { isCut: false });
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
    await queue.keep(entry);
    return begun;
  }

  function describeFile(/** @type {Entry} */ { id, target, path, size, conflict }) {
    // Where both are kept this file gets a number, and must not be taken for one that has it.
    const all = conflict === "rename" ? [...entries.values()] : [];
    const near = all.filter((one) => one.id !== id && one.target === target && one.size === size);
    const names = near.flatMap((one) => [getName(one), one.itemName ?? getName(one)]);
    const others = [...new Set(names)].slice(0, MAX_OTHERS);
    return { folder: target, name: getName({ path }), size, on_conflict: conflict, others };
  }

  /** Return the file if it is in its place: the last answer may have been lost. @param {Run} run */
  async function findArrived({ entry, file, signal }) {
    if (!entry.begunAt) return null;
    const hash = await makeHash(file, signal);
    const wish = { ...describeFile(entry), begun_at: entry.begunAt, hash };
    const { item } = await patience.call(urls.find, wish, signal);
    return item;
  }

  async function makeHash(/** @type {File} */ file, /** @type {AbortSignal} */ signal) {
    try {
      return await hashFile(file, signal);
    } catch {
      signal.throwIfAborted();
      throw new Stop("lost", t("changed_file"));
    }
  }

  /** @param {Run} run @param {number} tries
   * @param {{ retryAfter?: number, most?: number }} [options] `most`: tries that are allowed */
  async function pause({ entry, file, signal }, tries, { retryAfter, most = MAX_TRIES } = {}) {
    if (tries > most) throw new Stop("failed", t("onedrive_unreachable"));
    try {
      await file.slice(0, 1).arrayBuffer();
    } catch {
      await takeChange(entry);
    }
    if (tries > MANY_UNREACHED && most === MAX_UNREACHED) {
      const { host } = new URL(entry.uploadUrl ?? "");
      queue.say(entry, t("host_unreachable", { host }));
    } else if (tries > 3) {
      queue.say(entry, t("onedrive_unreachable_now"));
    }
    await patience.backOff(tries, { signal, retryAfter });
  }

  /** Stop a file that was moved, or changed while it was sent. @param {Entry} entry */
  async function takeChange(entry) {
    files.lose(entry);
    entry.changeCount = (entry.changeCount ?? 0) + 1;
    const mayTry = entry.handle && entry.changeCount <= MAX_CHANGES;
    if (mayTry && (await files.reach(entry))) {
      throw new Stop("waiting", t("sent_again"), { waitMs: CHANGED_PAUSE_MS });
    }
    throw new Stop("lost", t("changed_file"));
  }

  return { endSession, send, startOver };
}
