// The queue of uploads from this browser straight to OneDrive. The hub opens a session for each
// file; upload-session.js sends the bytes to its address. Everything that happens is told by the
// event "change"; upload-panel.js shows it.

import { fetchJson } from "./common.js";
import { hashFile } from "./upload-hash.js";
import { UploadImport } from "./upload-import.js";
import { Pace, askPosition, dropSession, sendFragment } from "./upload-session.js";
import { UploadStore, holdTab, isOpen, listLiveTabs, takeTurn } from "./upload-store.js";

const FILES_AT_ONCE = 3;
// To ask for a session takes about as long as to send a small photograph, so the next files have
// theirs ready when those before them come to their end.
const FILES_AHEAD = 3;
const NEAR_END_BYTES = 20 * 2 ** 20;
const LONGEST_WAIT_MS = 60_000;
const MOST_TRIES = 12;
// A network that is gone comes back in an hour or two, with nobody there to press a button.
const MOST_UNREACHED = 120;
const MOST_SESSIONS = 5;
const MOST_CHANGES = 5;
// OneDrive keeps an open session that nobody knows for a quarter of an hour.
const MOST_HELD = 24;
const YOUNG_SESSION_MS = 10_000;
const YOUNG_PAUSE_MS = 5000;
const MOST_UNPLACED = 3;
const PASSING_HUB = new Set([0, 429, 500, 503, 504]);
const PASSING = new Set([408, 423, 429, 500, 502, 503, 504, 509]);

// Copies of files that cannot be reached again after a reload, where they are small.
const MOST_COPY_BYTES = 64 * 2 ** 20;
const MOST_COPIES_BYTES = 512 * 2 ** 20;

const SPEED_WINDOW_MS = 8000;
const PATHS_A_CALL = 1000;
const MOST_OTHERS = 2000;
const PAUSED_KEY = "hub-uploads-paused";
const JUNK = /^(\.DS_Store|Thumbs\.db|desktop\.ini|\._.*|~\$.*)$/i;
const NO_PICTURE = /^(video|audio|text|font)\/|^application\//i;

const NEVER = new AbortController().signal;
const fold = (name) => name.normalize("NFC").toLowerCase();

// Stops one file with a state and a sentence; everything else that is thrown is a failure, too.
// `waitMs`: how long a file that goes back to "waiting" lets others go first.
class Stop extends Error {
  constructor(state, message, { stopsAll = false, waitMs = 0 } = {}) {
    super(message);
    this.state = state;
    this.stopsAll = stopsAll;
    this.waitMs = waitMs;
  }
}

export class Uploads extends EventTarget {
  entries = new Map();
  isPaused = false;
  trouble = "";
  imports;

  #urls;
  #store = new UploadStore();
  #tab = crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`;
  #files = new Map();
  #controls = new Map();
  #lanes = new Set();
  #queuers = [];
  #folders = new Map();
  #folderIds = new Map();
  #unchecked = new Set();
  #arrivedAt = new Map();
  #samples = [];
  #pace = new Pace();
  #quietUntil = 0;
  #sleepers = new Set();
  #copiedBytes = 0;
  #order = Date.now();

  constructor(urls) {
    super();
    this.#urls = urls;
    this.imports = new UploadImport(urls.import, this.entries, {
      keep: (entry) => this.#keep(entry),
      tell: (outcome) => {
        if (outcome) this.dispatchEvent(new CustomEvent("imported", { detail: outcome }));
        this.#changed();
      },
    });
    addEventListener("online", () => this.#wake());
    addEventListener("offline", () => this.#changed());
    addEventListener("beforeunload", (event) => {
      if (this.#controls.size) event.preventDefault();
    });
  }

  // Takes up what tabs that are gone have left over.
  async start() {
    await this.#store.open();
    await holdTab(this.#tab);
    let found = [];
    await takeTurn(async () => {
      const live = await listLiveTabs();
      found = (await this.#store.list("entries")).filter((entry) => !live.has(entry.tab));
      await Promise.all(
        found.map((entry) => {
          entry.tab = this.#tab;
          return this.#store.put("entries", entry);
        }),
      );
    });
    found.sort((one, other) => one.order - other.order);
    for (const entry of found) {
      entry.progress = 0;
      entry.heldUntil = 0;
      if (entry.state === "running") entry.state = "waiting";
      if (entry.uploadUrl) entry.isUnsure = true;
      if (isOpen(entry) && !(await this.#reach(entry))) {
        entry.state = "lost";
        entry.message = entry.handle
          ? "The browser asks once more whether it may read this file."
          : "The browser could not keep this file. Please choose it again.";
      }
      if (entry.arrivedAt) this.#noteArrival(entry);
      this.entries.set(entry.id, entry);
      this.#keep(entry);
    }
    this.isPaused = found.some(isOpen) && sessionStorage.getItem(PAUSED_KEY) !== null;
    this.#changed();
    this.#pump();
    this.imports.check();
  }

  // --- What a person does ---

  // `sources`: [{ file?, handle?, path: ["folder", "name.jpg"], isFolder? }]; `folder`: { id, name }.
  async add(sources, folder) {
    const chosen = sources.filter(({ path }) => !path.some((name) => JUNK.test(name)));
    if (!chosen.length) return 0;
    if (![...this.entries.values()].some(isOpen)) this.resumeAll();
    const made = [];
    for (const { file, handle, path, isFolder = false } of chosen) {
      const entry = {
        id: this.#makeId(),
        tab: this.#tab,
        order: this.#order++,
        folder: folder.id,
        folderName: folder.name,
        path,
        isFolder,
        size: file?.size ?? 0,
        modified: file?.lastModified ?? 0,
        type: file?.type ?? "",
        handle,
        state: "waiting",
        conflict: "fail",
        isChecked: false,
        sent: 0,
        progress: 0,
        message: "",
      };
      if (file) this.#files.set(entry.id, file);
      made.push(entry);
    }
    // Written down before the hub is asked, since the page may go while it answers.
    for (const entry of made) {
      this.entries.set(entry.id, entry);
      this.#unchecked.add(entry.id);
      this.#keep(entry);
      this.#copy(entry);
    }
    this.#changed();
    await this.#checkNames(made, folder.id);
    for (const entry of made) this.#unchecked.delete(entry.id);
    this.#changed();
    this.#pump();
    return made.length;
  }

  pause(id) {
    const entry = this.entries.get(id);
    if (!["waiting", "running"].includes(entry?.state)) return;
    this.#set(entry, "paused");
    this.#controls.get(id)?.abort();
  }

  resume(id) {
    const entry = this.entries.get(id);
    if (!["paused", "failed"].includes(entry?.state)) return;
    entry.message = "";
    entry.heldUntil = 0;
    entry.heldCount = 0;
    this.#set(entry, "waiting");
    // What stopped all is over then, as far as the person knows.
    if (this.trouble) this.#release();
    this.#pump();
  }

  // Takes a file out of the queue; what of it has arrived is thrown away.
  cancel(id) {
    const entry = this.entries.get(id);
    if (!entry) return;
    const wasOpen = isOpen(entry);
    entry.state = "cancelled";
    this.#controls.get(id)?.abort();
    if (wasOpen) this.#dropSession(entry).then(() => this.#pump());
    this.#forget(entry);
    this.#changed();
    this.#pump();
    this.imports.check();
  }

  pauseAll() {
    // A reload does not take it back.
    sessionStorage.setItem(PAUSED_KEY, "yes");
    this.#hold();
  }

  #hold() {
    this.isPaused = true;
    for (const control of this.#controls.values()) control.abort();
    for (const entry of this.entries.values()) {
      if (entry.state === "running") this.#set(entry, "waiting");
    }
    this.#changed();
  }

  #release() {
    sessionStorage.removeItem(PAUSED_KEY);
    this.isPaused = false;
    this.trouble = "";
  }

  resumeAll() {
    this.#release();
    for (const entry of this.entries.values()) {
      if (entry.state === "paused") this.#set(entry, "waiting");
    }
    this.#wake();
    this.#changed();
    this.#pump();
  }

  cancelAll() {
    for (const entry of [...this.entries.values()]) if (isOpen(entry)) this.cancel(entry.id);
  }

  retryAll() {
    for (const entry of [...this.entries.values()]) {
      if (entry.state === "failed") this.resume(entry.id);
    }
  }

  // The same name is there: "skip", "rename" (keep both) or "replace".
  settle(id, choice) {
    const entry = this.entries.get(id);
    if (entry?.state !== "taken") return;
    if (choice === "skip") {
      this.#set(entry, "skipped");
      this.#dropFile(entry);
      this.imports.check();
      return;
    }
    entry.conflict = choice;
    entry.settledAt = Date.now();
    entry.message = "";
    this.#set(entry, "waiting");
    this.#pump();
  }

  // Takes the name that OneDrive accepts.
  repair(id) {
    const entry = this.entries.get(id);
    if (entry?.state !== "name") return;
    entry.path = entry.repaired;
    entry.message = "";
    this.#set(entry, "waiting");
    this.#pump();
  }

  // Asks for what the browser may read again by a click; answers whether files are still missing.
  async reachAgain() {
    for (const entry of this.entries.values()) {
      if (entry.state !== "lost" || !entry.handle) continue;
      entry.changeCount = 0;
      const answer = await entry.handle.requestPermission?.({ mode: "read" });
      if (answer === "granted" && (await this.#reach(entry))) {
        entry.message = "";
        this.#set(entry, "waiting");
      }
    }
    this.#pump();
    return [...this.entries.values()].some((entry) => entry.state === "lost");
  }

  // Finds files that were chosen again among those that were lost; answers those that are new.
  // `folder`: the id of the one they are meant for. A file that was changed meanwhile has another
  // size, so its place alone can tell that it is the same one.
  takeAgain(sources, folder) {
    const lost = [...this.entries.values()].filter((entry) => entry.state === "lost");
    const rest = [];
    for (const source of sources) {
      const { file, handle, path } = source;
      const isSameFile = (entry) => entry.path.at(-1) === path.at(-1) && entry.size === file?.size;
      const isSamePlace = (entry) =>
        file && entry.folder === folder && entry.path.join("/") === path.join("/");
      let place = lost.findIndex(isSameFile);
      if (place < 0) place = lost.findIndex(isSamePlace);
      if (place < 0) {
        rest.push(source);
        continue;
      }
      const [entry] = lost.splice(place, 1);
      if (entry.modified !== file.lastModified || entry.size !== file.size) {
        this.#dropSession(entry);
        this.#startOver(entry);
      }
      entry.changeCount = 0;
      entry.modified = file.lastModified;
      entry.size = file.size;
      entry.handle = handle;
      entry.message = "";
      this.#files.set(entry.id, file);
      this.#set(entry, "waiting");
    }
    this.#pump();
    return rest;
  }

  // Puts away what is finished, and asked for where it is to be imported.
  clear() {
    for (const entry of [...this.entries.values()]) {
      if (!isOpen(entry) && !this.imports.isDue(entry)) this.#forget(entry);
    }
    this.#changed();
  }

  // --- What can be told ---

  describe() {
    const counts = {};
    let totalBytes = 0;
    let sentBytes = 0;
    let fileCount = 0;
    let doneCount = 0;
    for (const entry of this.entries.values()) {
      counts[entry.state] = (counts[entry.state] ?? 0) + 1;
      if (entry.state === "skipped") continue;
      fileCount += 1;
      totalBytes += entry.size;
      if (entry.state === "done") {
        doneCount += 1;
        sentBytes += entry.size;
      } else {
        sentBytes += Math.min(entry.size, entry.sent + entry.progress);
      }
    }
    const speed = this.#measureSpeed();
    return {
      counts,
      fileCount,
      doneCount,
      totalBytes,
      sentBytes,
      speed,
      secondsLeft: speed > 0 ? (totalBytes - sentBytes) / speed : null,
      isOffline: !navigator.onLine,
      isActive: this.#controls.size > 0,
    };
  }

  #measureSpeed() {
    const now = performance.now();
    while (this.#samples.length && now - this.#samples[0][0] > SPEED_WINDOW_MS) {
      this.#samples.shift();
    }
    if (this.#samples.length < 2) return 0;
    const bytes = this.#samples.reduce((sum, [, size]) => sum + size, 0);
    return bytes / (Math.max(500, now - this.#samples[0][0]) / 1000);
  }

  #note(entry, loaded) {
    this.#samples.push([performance.now(), Math.max(0, loaded - entry.progress)]);
    entry.progress = loaded;
    this.#changed();
  }

  // --- The queue ---

  #pump() {
    if (this.isPaused) return;
    const now = Date.now();
    const most = FILES_AT_ONCE + (this.#isNearEnd() ? FILES_AHEAD : 0);
    let busy = null;
    for (const entry of this.entries.values()) {
      if (this.#controls.size >= most) return;
      if (entry.state !== "waiting" || entry.heldUntil > now) continue;
      if (this.#controls.has(entry.id) || this.#unchecked.has(entry.id)) continue;
      busy ??= this.#listBusyNames();
      const names = this.#listNames(entry);
      // Only its own session can be open on a name that is its own already.
      if (!entry.uploadUrl && names.some((name) => busy.has(name))) {
        entry.message = "Waits for another file of this name.";
        continue;
      }
      for (const name of names) busy.add(name);
      this.#run(entry);
    }
  }

  // Sessions do not wait for hours, so none is asked for while large files have long to go.
  #isNearEnd() {
    return [...this.#lanes].some(({ size, sent }) => size - sent <= NEAR_END_BYTES);
  }

  // So many files are sent at once; the others come in the order in which they asked.
  async #takeLane(entry, signal) {
    while (this.#lanes.size >= FILES_AT_ONCE && !this.#lanes.has(entry)) {
      await new Promise((resolve, reject) => {
        this.#queuers.push(resolve);
        signal.addEventListener("abort", () => reject(signal.reason), { once: true });
      });
    }
    signal.throwIfAborted();
    if (this.#lanes.has(entry)) return;
    this.#lanes.add(entry);
    this.#set(entry, "running");
    this.#pump();
  }

  #leaveLane(entry) {
    if (this.#lanes.delete(entry)) for (const go of this.#queuers.splice(0)) go();
  }

  // OneDrive refuses a second session on a name while one is open, in whatever case it is written.
  #listBusyNames() {
    const busy = new Set();
    for (const entry of this.entries.values()) {
      const isBusy = this.#controls.has(entry.id) || (isOpen(entry) && entry.uploadUrl);
      if (isBusy) for (const name of this.#listNames(entry)) busy.add(name);
    }
    return busy;
  }

  // The places that a file is bound for, as far as they are known: two ways may lead to one folder.
  #listNames({ folder, path, isFolder }) {
    if (isFolder) return [];
    const above = path.slice(0, -1);
    const names = [[folder, ...path].map(fold).join("\n")];
    const target = this.#folderIds.get(JSON.stringify([folder, ...above]));
    if (target) names.push(`${fold(target)}\n${fold(path.at(-1))}`);
    return names;
  }

  #noteArrival(entry) {
    for (const name of this.#listNames(entry)) this.#arrivedAt.set(name, entry.arrivedAt);
  }

  async #run(entry) {
    const control = new AbortController();
    this.#controls.set(entry.id, control);
    entry.message = "";
    this.#changed();
    try {
      await this.#upload(entry, control.signal);
    } catch (error) {
      if (!control.signal.aborted) {
        entry.message = error.message;
        if (error.waitMs) this.#letOthersGo(entry, error.waitMs);
        this.#set(entry, error.state ?? "failed");
        if (error.stopsAll) this.#stop(error.message);
      }
    } finally {
      this.#controls.delete(entry.id);
      this.#leaveLane(entry);
      entry.progress = 0;
      if (control.signal.aborted && entry.uploadUrl) entry.isUnsure = true;
      this.#changed();
      this.#pump();
      this.imports.check();
    }
  }

  #letOthersGo(entry, milliseconds) {
    entry.heldUntil = Date.now() + milliseconds;
    setTimeout(() => this.#pump(), milliseconds + 10);
  }

  // Something that no file can get past: full, signed out, not connected.
  #stop(message) {
    this.trouble = message;
    this.#hold();
  }

  async #upload(entry, signal, hasNewFolders = false) {
    const folders = entry.isFolder ? entry.path : entry.path.slice(0, -1);
    if (!entry.isChecked) {
      await this.#checkNames([entry], entry.folder);
      if (entry.state === "name") throw new Stop("name", entry.message);
      signal.throwIfAborted();
    }
    entry.target = await this.#ensureFolder(entry.folder, folders);
    signal.throwIfAborted();
    if (entry.isFolder) return this.#finish(entry, null);
    const file = await this.#reach(entry);
    if (!file) throw new Stop("lost", "The browser cannot read this file. Please choose it again.");
    if (file.size !== entry.size || file.lastModified !== entry.modified) {
      // The bytes that went belong to another state of it.
      await this.#dropSession(entry);
      this.#startOver(entry);
      entry.size = file.size;
      entry.modified = file.lastModified;
      this.#keep(entry);
    }
    // "Replace" was said of what lay there then, not of a file that this queue put there since.
    if (entry.conflict === "replace" && !entry.uploadUrl) {
      const times = this.#listNames(entry).map((name) => this.#arrivedAt.get(name) ?? 0);
      if (Math.max(...times) > entry.settledAt) entry.conflict = "fail";
    }
    let tries = 0;
    let sessionCount = 0;
    let unplacedCount = 0;
    while (true) {
      signal.throwIfAborted();
      await this.#beQuiet(signal);
      if (!entry.uploadUrl) {
        if (++sessionCount > MOST_SESSIONS) {
          throw new Stop("failed", "OneDrive ends the upload again and again.");
        }
        let item;
        try {
          item = await this.#begin(entry, file, signal);
        } catch (error) {
          if (error.status !== 404 || !folders.length || hasNewFolders) throw error;
          this.#forgetFolders(entry.folder, folders);
          return this.#upload(entry, signal, true);
        }
        if (item) return this.#finish(entry, item);
      }
      await this.#takeLane(entry, signal);
      if (entry.isUnsure) {
        const { state, start, retryAfter } = await askPosition(entry.uploadUrl, signal);
        if (state === "again") {
          await this.#backOff(entry, file, ++tries, { retryAfter, signal });
          continue;
        }
        // All bytes are there: OneDrive may be about to put the file into its place.
        if (state === "unplaced" && ++unplacedCount <= MOST_UNPLACED) {
          await this.#backOff(entry, file, unplacedCount, { signal });
          continue;
        }
        if (state !== "known") {
          const item = await this.#findArrived(entry, file, signal);
          if (item) return this.#finish(entry, item);
          if (state !== "gone") await this.#dropSession(entry);
          this.#startOver(entry);
          continue;
        }
        entry.sent = Math.min(start, entry.size);
        entry.isUnsure = false;
        this.#keep(entry);
      }
      const before = entry.sent;
      const answer = await sendFragment(entry.uploadUrl, file, entry.sent, {
        signal,
        pace: this.#pace,
        tell: (loaded) => this.#note(entry, loaded),
      });
      entry.progress = 0;
      const { status } = answer;
      if (status === 200 || status === 201) return this.#finish(entry, answer.body);
      if (status === 202) {
        tries = 0;
        entry.message = "";
        entry.sent = answer.end;
        this.#keep(entry);
        this.#changed();
        this.#pump();
        continue;
      }
      if (status === 416) {
        entry.isUnsure = true;
        if (++tries > MOST_TRIES) throw new Stop("failed", "OneDrive takes no more of this file.");
        if (tries > 2) await this.#backOff(entry, file, tries, { signal });
      } else if (status === 0 || PASSING.has(status)) {
        entry.isUnsure = true;
        const most = status ? MOST_TRIES : MOST_UNREACHED;
        await this.#backOff(entry, file, ++tries, { retryAfter: answer.retryAfter, signal, most });
      } else if (status === 404 || status === 410) {
        // A session just made is sometimes not known everywhere yet.
        if (!before && !entry.wasYoung && Date.now() - entry.sessionAt < YOUNG_SESSION_MS) {
          entry.wasYoung = true;
          await this.#sleep(YOUNG_PAUSE_MS, signal);
          continue;
        }
        const isLast = answer.end === entry.size;
        const item = isLast ? await this.#findArrived(entry, file, signal) : null;
        if (item) return this.#finish(entry, item);
        this.#startOver(entry);
      } else if (status === 401 || status === 403) {
        // Sessions end before the time they name (OneDrive/onedrive-api-docs#1570).
        await this.#dropSession(entry);
        this.#startOver(entry);
      } else if (status === 409) {
        await this.#dropSession(entry);
        this.#startOver(entry);
        if (entry.conflict === "fail") {
          throw new Stop("taken", "OneDrive has something of this name by now.");
        }
        await this.#backOff(entry, file, ++tries, { signal });
      } else if (status === 507) {
        throw new Stop("failed", "This OneDrive is full.", { stopsAll: true });
      } else {
        await this.#dropSession(entry);
        this.#startOver(entry);
        throw new Stop("failed", `OneDrive refused this file (${status}).`);
      }
    }
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
      const waitMs = isOver ? 0 : Math.min(LONGEST_WAIT_MS, 1000 * 2 ** (entry.heldCount - 1));
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
    const begun = await this.#call(this.#urls.begin, wish, signal, { isCut: false });
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
    await this.#keep(entry);
    return begun;
  }

  #describeFile(entry) {
    // A file that keeps both gets a number, and must not be taken for one that has it already.
    const others = entry.conflict === "rename" ? this.#listOthers(entry) : [];
    const name = entry.path.at(-1);
    return { folder: entry.target, name, size: entry.size, on_conflict: entry.conflict, others };
  }

  #listOthers({ id, target, size }) {
    const near = [...this.entries.values()].filter(
      (other) => other.id !== id && other.target === target && other.size === size,
    );
    const names = near.flatMap(({ path, itemName }) => [path.at(-1), itemName ?? path.at(-1)]);
    return [...new Set(names)].slice(0, MOST_OTHERS);
  }

  // The last answer may have been lost while the file is in its place.
  async #findArrived(entry, file, signal) {
    if (!entry.begunAt) return null;
    const hash = await this.#hash(file, signal);
    const { item } = await this.#call(
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

  #finish(entry, item) {
    entry.itemId = item?.id ?? entry.target;
    entry.itemName = item?.name ?? entry.path.at(-1);
    entry.isPicture =
      Boolean(item) && !NO_PICTURE.test(item.file?.mimeType ?? entry.type ?? "") && entry.size > 0;
    entry.sent = entry.size;
    entry.uploadUrl = "";
    entry.message = "";
    entry.arrivedAt = Date.now();
    if (item) this.#noteArrival(entry);
    this.#set(entry, "done");
    this.#dropFile(entry);
    this.dispatchEvent(new CustomEvent("arrived", { detail: entry }));
  }

  #startOver(entry) {
    entry.uploadUrl = "";
    entry.sent = 0;
    entry.progress = 0;
    entry.isUnsure = false;
    this.#keep(entry);
  }

  async #dropSession(entry) {
    const url = entry.uploadUrl;
    entry.uploadUrl = "";
    if (url) await dropSession(url);
  }

  // --- Waiting ---

  async #backOff(entry, file, tries, { signal, retryAfter = 0, most = MOST_TRIES }) {
    if (tries > most) {
      throw new Stop("failed", "OneDrive cannot be reached. Please try again later.");
    }
    try {
      await file.slice(0, 1).arrayBuffer();
    } catch {
      await this.#takeChange(entry);
    }
    if (tries > 3) entry.message = "OneDrive cannot be reached just now. Trying again.";
    const jitter = 0.5 + Math.random() / 2;
    const wait = Math.max(retryAfter, Math.min(LONGEST_WAIT_MS, 1000 * 2 ** (tries - 1)) * jitter);
    if (retryAfter) this.#quietUntil = Math.max(this.#quietUntil, Date.now() + wait);
    await this.#sleep(wait, signal);
  }

  // A file that cannot be read any more was moved, or changed while it was on its way.
  async #takeChange(entry) {
    this.#files.delete(entry.id);
    entry.changeCount = (entry.changeCount ?? 0) + 1;
    if (entry.handle && entry.changeCount <= MOST_CHANGES && (await this.#reach(entry))) {
      const message = "This file was changed, and is sent from its beginning.";
      throw new Stop("waiting", message, { waitMs: 1000 });
    }
    throw new Stop("lost", "This file was moved or changed. Please choose it again.");
  }

  async #beQuiet(signal) {
    while (!navigator.onLine) await this.#sleep(LONGEST_WAIT_MS, signal);
    if (this.#quietUntil > Date.now()) await this.#sleep(this.#quietUntil - Date.now(), signal);
  }

  #sleep(milliseconds, signal) {
    return new Promise((resolve, reject) => {
      const end = () => {
        clearTimeout(timer);
        this.#sleepers.delete(end);
        signal.removeEventListener("abort", end);
        if (signal.aborted) reject(signal.reason);
        else resolve();
      };
      const timer = setTimeout(end, milliseconds);
      this.#sleepers.add(end);
      signal.addEventListener("abort", end);
    });
  }

  #wake() {
    if (this.#quietUntil > Date.now()) return;
    for (const end of [...this.#sleepers]) end();
    this.#changed();
  }

  // A call of the hub, tried again as long as waiting can help. `isCut`: an abort ends it at once.
  async #call(url, json, signal, { isCut = true } = {}) {
    let isRenewed = false;
    for (let tries = 1; ; tries++) {
      try {
        return await fetchJson(url, { json, signal: isCut ? signal : undefined });
      } catch (error) {
        signal.throwIfAborted();
        const { status, detail, retryAfter } = error;
        if (status === 400 && !isRenewed) {
          // Somebody signed in again in another tab, and the page's token went with the old sign-in.
          isRenewed = true;
          await this.#renewToken();
          continue;
        }
        // Signed out, not allowed to write, not connected: no file gets past that.
        if ([400, 401, 403, 409].includes(status)) {
          throw new Stop("waiting", error.message, { stopsAll: true });
        }
        // A 502 without a word is of a proxy in front of a hub that is starting again.
        const isPassing = PASSING_HUB.has(status) || (status === 502 && !detail);
        if (!isPassing || tries > (status ? MOST_TRIES : MOST_UNREACHED)) throw error;
        if (navigator.onLine || status) {
          const wait = Math.min(LONGEST_WAIT_MS, 1000 * 2 ** (tries - 1));
          await this.#sleep(Math.max(wait, retryAfter), signal);
        } else {
          tries -= 1;
          await this.#beQuiet(signal);
        }
      }
    }
  }

  async #renewToken() {
    const find = (page) => page.querySelector('meta[name="csrf-token"]');
    try {
      const text = await (await fetch(location.href)).text();
      const fresh = find(new DOMParser().parseFromString(text, "text/html"));
      if (fresh) find(document).content = fresh.content;
    } catch {
      // The next call says what is wrong.
    }
  }

  // --- Folders, names, files ---

  // Many files wait for one folder, so its making does not end with one of them.
  #ensureFolder(parent, path) {
    if (!path.length) return Promise.resolve(parent);
    const key = JSON.stringify([parent, ...path]);
    if (!this.#folders.has(key)) {
      const made = this.#ensureFolder(parent, path.slice(0, -1))
        .then((above) => this.#call(this.#urls.ensure, { folder: above, path: path.slice(-1) }, NEVER))
        .then(({ id }) => {
          this.#folderIds.set(key, id);
          return id;
        });
      made.catch(() => this.#folders.delete(key));
      this.#folders.set(key, made);
    }
    return this.#folders.get(key);
  }

  // They may have been deleted since they were found or made.
  #forgetFolders(parent, path) {
    for (let depth = 1; depth <= path.length; depth++) {
      const key = JSON.stringify([parent, ...path.slice(0, depth)]);
      this.#folders.delete(key);
      this.#folderIds.delete(key);
    }
  }

  async #checkNames(entries, folder) {
    for (let start = 0; start < entries.length; start += PATHS_A_CALL) {
      const some = entries.slice(start, start + PATHS_A_CALL);
      const paths = some.map(({ path }) => path.join("/"));
      let refused = [];
      try {
        ({ refused } = await fetchJson(this.#urls.paths, { json: { folder, paths } }));
      } catch {
        return; // Each name is checked once more when its turn comes.
      }
      const byPath = new Map(refused.map((one) => [one.path, one]));
      for (const entry of some) {
        entry.isChecked = true;
        const one = byPath.get(entry.path.join("/"));
        if (one) {
          entry.message = one.fault;
          entry.repaired = one.repaired.split("/");
          this.#set(entry, "name");
        } else {
          this.#keep(entry);
        }
      }
    }
  }

  // The file, if the browser can read it without asking.
  async #reach(entry) {
    if (entry.isFolder) return true;
    if (this.#files.has(entry.id)) return this.#files.get(entry.id);
    let file = null;
    if (entry.handle) {
      try {
        const answer = await entry.handle.queryPermission?.({ mode: "read" });
        if ((answer ?? "granted") === "granted") file = await entry.handle.getFile();
      } catch {
        file = null;
      }
    } else {
      file = (await this.#store.get("files", entry.id))?.file ?? null;
    }
    if (file) this.#files.set(entry.id, file);
    return file;
  }

  #copy(entry) {
    const file = this.#files.get(entry.id);
    if (!file || entry.handle || file.size > MOST_COPY_BYTES) return;
    if (this.#copiedBytes + file.size > MOST_COPIES_BYTES) return;
    this.#copiedBytes += file.size;
    this.#store.put("files", { id: entry.id, file });
  }

  #dropFile(entry) {
    const file = this.#files.get(entry.id);
    if (file && !entry.handle) this.#copiedBytes = Math.max(0, this.#copiedBytes - file.size);
    this.#files.delete(entry.id);
    this.#store.delete("files", entry.id);
  }

  // --- Keeping ---

  #set(entry, state) {
    if (entry.state === "cancelled") return;
    entry.state = state;
    this.#keep(entry);
    this.#changed();
  }

  #keep(entry) {
    return entry.state === "cancelled" ? undefined : this.#store.put("entries", entry);
  }

  #forget(entry) {
    this.#dropFile(entry);
    this.entries.delete(entry.id);
    this.#store.delete("entries", entry.id);
  }

  #makeId() {
    return crypto.randomUUID?.() ?? `${Date.now()}-${Math.random().toString(36).slice(2)}`;
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }
}
