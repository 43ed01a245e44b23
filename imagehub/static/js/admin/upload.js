// The queue of uploads from this browser straight to OneDrive. The hub opens a session for each
// file; upload-session.js sends the bytes to its address. Everything that happens is told by the
// event "change"; upload-panel.js shows it.

import { fetchJson } from "./common.js";
import { Pace, askPosition, dropSession, sendFragment } from "./upload-session.js";
import { UploadStore, holdTab, listLiveTabs } from "./upload-store.js";

const FILES_AT_ONCE = 3;
const LONGEST_WAIT_MS = 60_000;
const MOST_TRIES = 12;
const MOST_SESSIONS = 5;
const YOUNG_SESSION_MS = 10_000;
const YOUNG_PAUSE_MS = 5000;
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
const OPEN = new Set(["waiting", "running", "paused", "name", "taken", "failed", "lost"]);
export const isOpen = (entry) => OPEN.has(entry.state);

// Stops one file with a state and a sentence; everything else that is thrown is a failure, too.
class Stop extends Error {
  constructor(state, message, stopsAll = false) {
    super(message);
    this.state = state;
    this.stopsAll = stopsAll;
  }
}

export class Uploads extends EventTarget {
  entries = new Map();
  batches = new Map();
  isPaused = false;
  trouble = "";

  #urls;
  #store = new UploadStore();
  #tab = crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`;
  #files = new Map();
  #controls = new Map();
  #folders = new Map();
  #samples = [];
  #pace = new Pace();
  #quietUntil = 0;
  #sleepers = new Set();
  #copiedBytes = 0;
  #order = Date.now();

  constructor(urls) {
    super();
    this.#urls = urls;
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
    const live = await listLiveTabs();
    for (const batch of await this.#store.list("batches")) {
      if (!live.has(batch.tab)) this.#keepBatch({ ...batch, tab: this.#tab });
    }
    const found = (await this.#store.list("entries")).filter((entry) => !live.has(entry.tab));
    found.sort((one, other) => one.order - other.order);
    for (const entry of found) {
      entry.tab = this.#tab;
      entry.progress = 0;
      if (entry.state === "running") entry.state = "waiting";
      if (entry.uploadUrl) entry.isUnsure = true;
      if (isOpen(entry) && !(await this.#reach(entry))) {
        entry.state = "lost";
        entry.message = entry.handle
          ? "The browser asks once more whether it may read this file."
          : "The browser could not keep this file. Please choose it again.";
      }
      this.entries.set(entry.id, entry);
      this.#keep(entry);
    }
    this.isPaused = found.some(isOpen) && sessionStorage.getItem(PAUSED_KEY) !== null;
    this.#changed();
    this.#pump();
    this.#checkBatches();
  }

  // --- What a person does ---

  // `sources`: [{ file?, handle?, path: ["folder", "name.jpg"], isFolder? }]; `folder`: { id, name }.
  async add(sources, folder, { wantsImport = false, grouping = "one" } = {}) {
    const chosen = sources.filter(({ path }) => !path.some((name) => JUNK.test(name)));
    if (!chosen.length) return 0;
    if (![...this.entries.values()].some(isOpen)) this.resumeAll();
    const batch = {
      id: this.#makeId(),
      tab: this.#tab,
      wantsImport,
      grouping,
      importedIds: [],
    };
    this.#keepBatch(batch);
    const made = [];
    for (const { file, handle, path, isFolder = false } of chosen) {
      const entry = {
        id: this.#makeId(),
        tab: this.#tab,
        order: this.#order++,
        batch: batch.id,
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
        sent: 0,
        progress: 0,
        message: "",
      };
      if (file) this.#files.set(entry.id, file);
      made.push(entry);
    }
    await this.#checkNames(made, folder.id);
    for (const entry of made) {
      this.entries.set(entry.id, entry);
      this.#keep(entry);
      this.#copy(entry);
    }
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
    this.trouble = "";
    this.#set(entry, "waiting");
    this.#pump();
  }

  // Takes a file out of the queue; what of it has arrived is thrown away.
  cancel(id) {
    const entry = this.entries.get(id);
    if (!entry) return;
    const wasOpen = isOpen(entry);
    entry.state = "cancelled";
    this.#controls.get(id)?.abort();
    if (wasOpen) this.#dropSession(entry);
    this.#forget(entry);
    this.#changed();
    this.#checkBatches();
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

  resumeAll() {
    sessionStorage.removeItem(PAUSED_KEY);
    this.isPaused = false;
    this.trouble = "";
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
      this.#checkBatches();
      return;
    }
    entry.conflict = choice;
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

  setImport(wantsImport, grouping) {
    for (const batch of this.batches.values()) {
      this.#keepBatch({ ...batch, wantsImport, grouping });
    }
    this.#checkBatches();
  }

  // Puts away what is finished.
  clear() {
    for (const entry of [...this.entries.values()]) if (!isOpen(entry)) this.#forget(entry);
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
    for (const entry of this.entries.values()) {
      if (this.#controls.size >= FILES_AT_ONCE) return;
      if (entry.state === "waiting" && !this.#controls.has(entry.id)) this.#run(entry);
    }
  }

  async #run(entry) {
    const control = new AbortController();
    this.#controls.set(entry.id, control);
    this.#set(entry, "running");
    try {
      await this.#upload(entry, control.signal);
    } catch (error) {
      if (!control.signal.aborted) {
        entry.message = error.message;
        this.#set(entry, error.state ?? "failed");
        if (error.stopsAll) this.#stop(error.message);
      }
    } finally {
      if (this.#controls.get(entry.id) === control) this.#controls.delete(entry.id);
      entry.progress = 0;
      if (control.signal.aborted && entry.uploadUrl) entry.isUnsure = true;
      this.#changed();
      this.#pump();
      this.#checkBatches();
    }
  }

  // Something that no file can get past: full, signed out, not connected.
  #stop(message) {
    this.trouble = message;
    this.#hold();
  }

  async #upload(entry, signal) {
    const folders = entry.isFolder ? entry.path : entry.path.slice(0, -1);
    entry.target = await this.#ensureFolder(entry.folder, folders);
    signal.throwIfAborted();
    if (entry.isFolder) return this.#finish(entry, null);
    const file = await this.#reach(entry);
    if (!file) throw new Stop("lost", "The browser cannot read this file. Please choose it again.");
    if (file.size !== entry.size || file.lastModified !== entry.modified) {
      this.#startOver(entry);
      entry.size = file.size;
      entry.modified = file.lastModified;
    }
    let tries = 0;
    let sessionCount = 0;
    while (true) {
      signal.throwIfAborted();
      await this.#beQuiet(signal);
      if (!entry.uploadUrl) {
        if (++sessionCount > MOST_SESSIONS) {
          throw new Stop("failed", "OneDrive ends the upload again and again.");
        }
        const item = await this.#begin(entry, signal);
        if (item) return this.#finish(entry, item);
      } else if (entry.isUnsure) {
        const outcome = await this.#askPosition(entry, signal);
        if (outcome === "gone") {
          const item = await this.#findArrived(entry, signal);
          if (item) return this.#finish(entry, item);
          this.#startOver(entry);
          continue;
        }
        if (outcome === "again") {
          await this.#backOff(entry, file, ++tries, 0, signal);
          continue;
        }
        entry.isUnsure = false;
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
        entry.sent = answer.end;
        this.#keep(entry);
        this.#changed();
        continue;
      }
      if (status === 416) {
        entry.isUnsure = true;
        if (++tries > MOST_TRIES) throw new Stop("failed", "OneDrive takes no more of this file.");
        if (tries > 2) await this.#backOff(entry, file, tries, 0, signal);
      } else if (status === 0 || PASSING.has(status)) {
        entry.isUnsure = true;
        await this.#backOff(entry, file, ++tries, answer.retryAfter, signal);
      } else if (status === 404 || status === 410) {
        // A session just made is sometimes not known everywhere yet.
        if (!before && !entry.wasYoung && Date.now() - entry.sessionAt < YOUNG_SESSION_MS) {
          entry.wasYoung = true;
          await this.#sleep(YOUNG_PAUSE_MS, signal);
          continue;
        }
        const item = answer.end === entry.size ? await this.#findArrived(entry, signal) : null;
        if (item) return this.#finish(entry, item);
        this.#startOver(entry);
      } else if (status === 401 || status === 403) {
        // Sessions end before the time they name (OneDrive/onedrive-api-docs#1570).
        this.#dropSession(entry);
        this.#startOver(entry);
      } else if (status === 409) {
        this.#dropSession(entry);
        this.#startOver(entry);
        if (entry.conflict === "fail") {
          throw new Stop("taken", "OneDrive has something of this name by now.");
        }
        await this.#backOff(entry, file, ++tries, 0, signal);
      } else if (status === 507) {
        throw new Stop("failed", "This OneDrive is full.", true);
      } else {
        this.#dropSession(entry);
        this.#startOver(entry);
        throw new Stop("failed", `OneDrive refused this file (${status}).`);
      }
    }
  }

  async #begin(entry, signal) {
    const begun = await this.#call(
      this.#urls.begin,
      { ...this.#describeFile(entry), upload: entry.id },
      signal,
    );
    if (begun.item) return begun.item;
    if (begun.refused === "name_taken") throw new Stop("taken", begun.message);
    if (begun.refused) throw new Stop("failed", begun.message, begun.refused === "quota_full");
    entry.uploadUrl = begun.upload_url;
    entry.begunAt = begun.begun_at;
    entry.sessionAt = Date.now();
    entry.wasYoung = false;
    entry.sent = 0;
    entry.isUnsure = begun.is_known;
    await this.#keep(entry);
    return null;
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

  // Where OneDrive goes on: sets `sent` and answers "known", "gone" or "again".
  async #askPosition(entry, signal) {
    const { state, start } = await askPosition(entry.uploadUrl, signal);
    if (state === "unplaced") {
      this.#dropSession(entry);
      return "gone";
    }
    if (state === "known") {
      entry.sent = Math.min(start, entry.size);
      this.#keep(entry);
    }
    return state;
  }

  // The last answer may have been lost while the file is in its place.
  async #findArrived(entry, signal) {
    if (!entry.begunAt) return null;
    const { item } = await this.#call(
      this.#urls.find,
      { ...this.#describeFile(entry), begun_at: entry.begunAt },
      signal,
    );
    return item;
  }

  #finish(entry, item) {
    entry.itemId = item?.id ?? entry.target;
    entry.itemName = item?.name ?? entry.path.at(-1);
    entry.isPicture =
      Boolean(item) && !NO_PICTURE.test(item.file?.mimeType ?? entry.type ?? "") && entry.size > 0;
    entry.sent = entry.size;
    entry.uploadUrl = "";
    entry.message = "";
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

  #dropSession(entry) {
    if (!entry.uploadUrl) return;
    dropSession(entry.uploadUrl);
    entry.uploadUrl = "";
  }

  // --- Waiting ---

  async #backOff(entry, file, tries, retryAfter, signal) {
    if (tries > MOST_TRIES) {
      throw new Stop("failed", "OneDrive cannot be reached. Please try again later.");
    }
    try {
      await file.slice(0, 1).arrayBuffer();
    } catch {
      throw new Stop("lost", "This file was moved or changed. Please choose it again.");
    }
    const jitter = 0.5 + Math.random() / 2;
    const wait = Math.max(retryAfter ?? 0, Math.min(LONGEST_WAIT_MS, 1000 * 2 ** (tries - 1)) * jitter);
    if (retryAfter) this.#quietUntil = Math.max(this.#quietUntil, Date.now() + wait);
    await this.#sleep(wait, signal);
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

  // A call of the hub, tried again as long as waiting can help.
  async #call(url, json, signal) {
    for (let tries = 1; ; tries++) {
      try {
        return await fetchJson(url, { json, signal });
      } catch (error) {
        signal.throwIfAborted();
        // Signed out, not allowed to write, not connected: no file gets past that.
        if ([401, 403, 409].includes(error.status)) {
          throw new Stop("waiting", error.message, true);
        }
        if (![0, 429, 500, 503, 504].includes(error.status) || tries > MOST_TRIES) throw error;
        if (navigator.onLine || error.status) {
          await this.#sleep(Math.min(LONGEST_WAIT_MS, 1000 * 2 ** (tries - 1)), signal);
        } else {
          tries -= 1;
          await this.#beQuiet(signal);
        }
      }
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
        .then(({ id }) => id);
      made.catch(() => this.#folders.delete(key));
      this.#folders.set(key, made);
    }
    return this.#folders.get(key);
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
        const one = byPath.get(entry.path.join("/"));
        if (!one) continue;
        entry.state = "name";
        entry.message = one.fault;
        entry.repaired = one.repaired.split("/");
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

  // --- Import when uploaded ---

  async #checkBatches() {
    for (const batch of this.batches.values()) {
      const entries = [...this.entries.values()].filter((entry) => entry.batch === batch.id);
      if (!batch.wantsImport || batch.isAsking || entries.some(isOpen)) continue;
      const known = new Set(batch.importedIds);
      const ready = entries.filter(
        (entry) => entry.state === "done" && entry.isPicture && !known.has(entry.itemId),
      );
      if (ready.length) await this.#import(batch, ready);
    }
  }

  async #import(batch, ready) {
    batch.isAsking = true;
    const files = ready.map((entry) => ({
      id: entry.itemId,
      name: entry.itemName,
      folder: entry.target,
      folder_name: entry.path.at(-2) ?? entry.folderName,
      is_replaced: entry.conflict === "replace",
    }));
    let outcome;
    try {
      outcome = await fetchJson(this.#urls.import, { json: { files, grouping: batch.grouping } });
    } catch (error) {
      this.dispatchEvent(new CustomEvent("imported", { detail: { error } }));
      // Asked again with the next change; the hub leaves out what it has already.
      setTimeout(() => {
        batch.isAsking = false;
        this.#checkBatches();
      }, 15_000);
      return;
    }
    batch.isAsking = false;
    batch.importedIds = [...batch.importedIds, ...ready.map(({ itemId }) => itemId)];
    this.#keepBatch(batch);
    this.dispatchEvent(new CustomEvent("imported", { detail: outcome }));
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

  #keepBatch(batch) {
    this.batches.set(batch.id, batch);
    const { isAsking, ...record } = batch;
    this.#store.put("batches", record);
  }

  #forget(entry) {
    this.#dropFile(entry);
    this.entries.delete(entry.id);
    this.#store.delete("entries", entry.id);
    if (![...this.entries.values()].some(({ batch }) => batch === entry.batch)) {
      this.batches.delete(entry.batch);
      this.#store.delete("batches", entry.batch);
    }
  }

  #makeId() {
    return crypto.randomUUID?.() ?? `${Date.now()}-${Math.random().toString(36).slice(2)}`;
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }
}
