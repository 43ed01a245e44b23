// Sends one file: the hub opens a session for it, OneDrive takes its bytes there, and whatever goes
// wrong on the way is waited out, begun anew, or told.

import { hashFile } from "./upload-hash.js";
import { MOST_TRIES, MOST_UNREACHED, Stop, growWait } from "./upload-patience.js";
import { Pace, askPosition, dropSession, findForbiddenHost, sendFragment } from "./upload-session.js";

const MOST_SESSIONS = 5;
const MOST_CHANGES = 5;
// A network that breaks now and then is back before that.
const MANY_UNREACHED = 8;
// OneDrive keeps an open session that nobody knows for a quarter of an hour.
const MOST_HELD = 24;
const YOUNG_SESSION_MS = 10_000;
const YOUNG_PAUSE_MS = 5000;
const MOST_UNPLACED = 3;
const MOST_OTHERS = 2000;
const PASSING = new Set([408, 423, 429, 500, 502, 503, 504, 509]);

export class Sender {
  #urls;
  #entries;
  #files;
  #places;
  #patience;
  #queue;
  #pace = new Pace();

  // `urls` of the hub: { begin, find }. `queue`: keep(entry) writes an entry down; takeLane(entry,
  // signal) waits until its bytes may go; note(entry, loaded) and advance(entry) hear how much of a
  // fragment has gone, and that all of it has arrived; say(entry, message) tells why it takes long.
  constructor(urls, entries, { files, places, patience }, queue) {
    this.#urls = urls;
    this.#entries = entries;
    this.#files = files;
    this.#places = places;
    this.#patience = patience;
    this.#queue = queue;
  }

  // Answers the item that the file has become; null for a folder. Throws a Stop, or what the hub
  // said, or the signal's reason.
  send(entry, signal) {
    return this.#send(entry, signal, false);
  }

  // Has the next try begin with the first byte, in a session of its own.
  startOver(entry) {
    entry.uploadUrl = "";
    entry.sent = 0;
    entry.progress = 0;
    entry.isUnsure = false;
    this.#queue.keep(entry);
  }

  // Ends the session, and has OneDrive throw away what has arrived in it.
  async dropSession(entry) {
    const url = entry.uploadUrl;
    entry.uploadUrl = "";
    if (url) await dropSession(url);
  }

  async #send(entry, signal, hasNewFolders) {
    const folders = entry.isFolder ? entry.path : entry.path.slice(0, -1);
    entry.target = await this.#places.ensureFolder(entry.folder, folders);
    signal.throwIfAborted();
    if (entry.isFolder) return null;
    const file = await this.#takeFile(entry);
    // "Replace" was said of what lay there then, not of a file that this queue put there since.
    if (entry.conflict === "replace" && !entry.uploadUrl) {
      if (this.#places.hasArrivedSince(entry, entry.settledAt)) entry.conflict = "fail";
    }
    let tries = 0;
    let sessionCount = 0;
    let unplacedCount = 0;
    while (true) {
      signal.throwIfAborted();
      await this.#patience.beQuiet(signal);
      if (!entry.uploadUrl) {
        if (++sessionCount > MOST_SESSIONS) {
          throw new Stop("failed", "OneDrive ends the upload again and again.");
        }
        let item;
        try {
          item = await this.#begin(entry, file, signal);
        } catch (error) {
          if (error.status !== 404 || !folders.length || hasNewFolders) throw error;
          this.#places.forgetFolders(entry.folder, folders);
          return this.#send(entry, signal, true);
        }
        if (item) return item;
      }
      await this.#queue.takeLane(entry, signal);
      const host = findForbiddenHost(entry.uploadUrl);
      if (host) {
        const message =
          `OneDrive takes this file at ${host}, and the hub’s security rules do not let the page ` +
          "send anything there. Please tell whoever runs the hub.";
        throw new Stop("failed", message, { stopsAll: true });
      }
      if (entry.isUnsure) {
        const { state, start, retryAfter } = await askPosition(entry.uploadUrl, signal);
        if (state === "again" || state === "unreached") {
          const most = state === "again" ? MOST_TRIES : MOST_UNREACHED;
          await this.#backOff(entry, file, ++tries, { retryAfter, signal, most });
          continue;
        }
        // All bytes are there: OneDrive may be about to put the file into its place.
        if (state === "unplaced" && ++unplacedCount <= MOST_UNPLACED) {
          await this.#backOff(entry, file, unplacedCount, { signal });
          continue;
        }
        if (state !== "known") {
          const item = await this.#findArrived(entry, file, signal);
          if (item) return item;
          if (state !== "gone") await this.dropSession(entry);
          this.startOver(entry);
          continue;
        }
        entry.sent = Math.min(start, entry.size);
        entry.isUnsure = false;
        this.#queue.keep(entry);
      }
      const before = entry.sent;
      const answer = await sendFragment(entry.uploadUrl, file, entry.sent, {
        signal,
        pace: this.#pace,
        tell: (loaded) => this.#queue.note(entry, loaded),
      });
      entry.progress = 0;
      const { status } = answer;
      const isEnd = answer.end === entry.size && Boolean(answer.body?.id);
      if ((status === 200 || status === 201) && isEnd) return answer.body;
      if (status === 202) {
        tries = 0;
        entry.message = "";
        entry.sent = answer.end;
        this.#queue.advance(entry);
        continue;
      }
      if (status === 416) {
        entry.isUnsure = true;
        if (++tries > MOST_TRIES) throw new Stop("failed", "OneDrive takes no more of this file.");
        if (tries > 2) await this.#backOff(entry, file, tries, { signal });
      } else if (status < 300 || PASSING.has(status)) {
        // No network, or an answer that only something between here and OneDrive can have given.
        entry.isUnsure = true;
        const most = status ? MOST_TRIES : MOST_UNREACHED;
        await this.#backOff(entry, file, ++tries, { retryAfter: answer.retryAfter, signal, most });
      } else if (status === 404 || status === 410) {
        // A session just made is sometimes not known everywhere yet.
        if (!before && !entry.wasYoung && Date.now() - entry.sessionAt < YOUNG_SESSION_MS) {
          entry.wasYoung = true;
          await this.#patience.sleep(YOUNG_PAUSE_MS, signal);
          continue;
        }
        const isLast = answer.end === entry.size;
        const item = isLast ? await this.#findArrived(entry, file, signal) : null;
        if (item) return item;
        this.startOver(entry);
      } else if (status === 401 || status === 403) {
        // Sessions end before the time they name (OneDrive/onedrive-api-docs#1570).
        await this.dropSession(entry);
        this.startOver(entry);
      } else if (status === 409) {
        await this.dropSession(entry);
        this.startOver(entry);
        if (entry.conflict === "fail") {
          throw new Stop("taken", "OneDrive has something of this name by now.");
        }
        await this.#backOff(entry, file, ++tries, { signal });
      } else if (status === 507) {
        throw new Stop("failed", "This OneDrive is full.", { stopsAll: true });
      } else {
        await this.dropSession(entry);
        this.startOver(entry);
        throw new Stop("failed", `OneDrive refused this file (${status}).`);
      }
    }
  }

  async #takeFile(entry) {
    const file = await this.#files.reach(entry);
    if (!file) throw new Stop("lost", "The browser cannot read this file. Please choose it again.");
    if (file.size !== entry.size || file.lastModified !== entry.modified) {
      // The bytes that went belong to another state of it.
      await this.dropSession(entry);
      this.startOver(entry);
      entry.size = file.size;
      entry.modified = file.lastModified;
      this.#queue.keep(entry);
    }
    return file;
  }

  // Opens a session; answers the file instead where all of it is there.
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
      const isOver = entry.heldCount > MOST_HELD;
      const waitMs = isOver ? 0 : growWait(entry.heldCount);
      throw new Stop(isOver ? "failed" : "waiting", begun.message, { waitMs });
    }
    if (begun.refused) {
      throw new Stop("failed", begun.message, { stopsAll: begun.refused === "quota_full" });
    }
    signal.throwIfAborted();
    return null;
  }

  // Whatever stops this file meanwhile, the answer is waited for: an address that nobody has would
  // keep the name from every other upload.
  async #ask(entry, wish, signal) {
    const begun = await this.#patience.call(this.#urls.begin, wish, signal, { isCut: false });
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

  #describeFile(entry) {
    // A file that keeps both gets a number, and must not be taken for one that has it already.
    const others = entry.conflict === "rename" ? this.#listOthers(entry) : [];
    const name = entry.path.at(-1);
    return { folder: entry.target, name, size: entry.size, on_conflict: entry.conflict, others };
  }

  #listOthers({ id, target, size }) {
    const near = [...this.#entries.values()].filter(
      (other) => other.id !== id && other.target === target && other.size === size,
    );
    const names = near.flatMap(({ path, itemName }) => [path.at(-1), itemName ?? path.at(-1)]);
    return [...new Set(names)].slice(0, MOST_OTHERS);
  }

  // The last answer may have been lost while the file is in its place.
  async #findArrived(entry, file, signal) {
    if (!entry.begunAt) return null;
    const hash = await this.#hash(file, signal);
    const { item } = await this.#patience.call(
      this.#urls.find,
      { ...this.#describeFile(entry), begun_at: entry.begunAt, hash },
      signal,
    );
    return item;
  }

  async #hash(file, signal) {
    try {
      return await hashFile(file, signal);
    } catch {
      signal.throwIfAborted();
      throw new Stop("lost", "This file was moved or changed. Please choose it again.");
    }
  }

  // --- Waiting ---

  async #backOff(entry, file, tries, { signal, retryAfter, most = MOST_TRIES }) {
    if (tries > most) {
      throw new Stop("failed", "OneDrive cannot be reached. Please try again later.");
    }
    try {
      await file.slice(0, 1).arrayBuffer();
    } catch {
      await this.#takeChange(entry);
    }
    if (tries > MANY_UNREACHED && most === MOST_UNREACHED) {
      const { host } = new URL(entry.uploadUrl);
      const message =
        `${host} does not answer this browser: a firewall, a proxy or an extension of the browser ` +
        "may stand in the way. Trying again.";
      this.#queue.say(entry, message);
    } else if (tries > 3) {
      this.#queue.say(entry, "OneDrive cannot be reached just now. Trying again.");
    }
    await this.#patience.backOff(tries, { signal, retryAfter });
  }

  // A file that cannot be read any more was moved, or changed while it was on its way.
  async #takeChange(entry) {
    this.#files.lose(entry);
    entry.changeCount = (entry.changeCount ?? 0) + 1;
    if (entry.handle && entry.changeCount <= MOST_CHANGES && (await this.#files.reach(entry))) {
      const message = "This file was changed, and is sent from its beginning.";
      throw new Stop("waiting", message, { waitMs: 1000 });
    }
    throw new Stop("lost", "This file was moved or changed. Please choose it again.");
  }
}
