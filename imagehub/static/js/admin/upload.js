// Uploads from this browser straight to OneDrive. The hub opens a session for each file; its
// address takes the bytes in fragments, one after the other. Everything that happens is told by
// the event "change"; upload-panel.js shows it.

import { fetchJson } from "./common.js";
import { UploadStore, holdTab, listLiveTabs } from "./upload-store.js";

// Fragments are multiples of this, below 60 MiB; 5 to 10 MiB are advised (Microsoft Graph,
// "driveItem: createUploadSession"). A lost fragment is lost as a whole, so a poor network gets
// smaller ones.
const STEP_BYTES = 327_680;
const FIRST_STEPS = 16;
const MOST_STEPS = 32;
const LEAST_STEPS = 4;
const FAST_MS = 1500;
const SLOW_MS = 15_000;

const FILES_AT_ONCE = 3;
const STALL_MS = 60_000;
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
  #steps = FIRST_STEPS;
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
  takeAgain(sources) {
    const lost = [...this.entries.values()].filter((entry) => entry.state === "lost");
    const rest = [];
    for (const source of sources) {
      const { file, handle, path } = source;
      const place = lost.findIndex(
        (entry) => entry.path.at(-1) === path.at(-1) && entry.size === file?.size,
      );
      if (place < 0) {
        rest.push(source);
        continue;
      }
      const [entry] = lost.splice(place, 1);
      if (entry.modified !== file.lastModified) this.#startOver(entry);
      entry.modified = file.lastModified;
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
      const answer = await this.#sendFragment(entry, file, signal);
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
        if (status === 0) this.#steps = Math.max(LEAST_STEPS, this.#steps >> 1);
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
      {
        folder: entry.target,
        name: entry.path.at(-1),
        size: entry.size,
        on_conflict: entry.conflict,
        upload: entry.id,
      },
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
    this.#keep(entry);
    return null;
  }

  // Where OneDrive goes on: sets `sent` and answers "known", "gone" or "again".
  async #askPosition(entry, signal) {
    let answer;
    try {
      answer = await fetch(entry.uploadUrl, {
        signal: AbortSignal.any([signal, AbortSignal.timeout(STALL_MS)]),
        referrerPolicy: "no-referrer",
        cache: "no-store",
      });
      if ([401, 403, 404, 410].includes(answer.status)) return "gone";
      if (!answer.ok) return "again";
      const { nextExpectedRanges = [] } = await answer.json();
      const start = Number.parseInt(nextExpectedRanges[0] ?? "", 10);
      // All is there, but was not put into its place: only a new session gets it there.
      if (Number.isNaN(start)) {
        this.#dropSession(entry);
        return "gone";
      }
      entry.sent = Math.min(start, entry.size);
      this.#keep(entry);
      return "known";
    } catch {
      signal.throwIfAborted();
      return "again";
    }
  }

  // The last answer may have been lost while the file is in its place.
  async #findArrived(entry, signal) {
    if (!entry.begunAt) return null;
    const { item } = await this.#call(
      this.#urls.find,
      {
        folder: entry.target,
        name: entry.path.at(-1),
        size: entry.size,
        on_conflict: entry.conflict,
        begun_at: entry.begunAt,
      },
      signal,
    );
    return item;
  }

  // By XMLHttpRequest: fetch cannot tell how much of a body has gone.
  #sendFragment(entry, file, signal) {
    const begin = entry.sent;
    const end = Math.min(begin + this.#steps * STEP_BYTES, entry.size);
    const started = performance.now();
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      let stall;
      const abort = () => request.abort();
      const finish = (outcome) => {
        clearTimeout(stall);
        signal.removeEventListener("abort", abort);
        if (signal.aborted) reject(signal.reason);
        else resolve({ end, ...outcome });
      };
      const watch = () => {
        clearTimeout(stall);
        stall = setTimeout(abort, STALL_MS);
      };
      request.open("PUT", entry.uploadUrl);
      request.responseType = "json";
      request.setRequestHeader("Content-Range", `bytes ${begin}-${end - 1}/${entry.size}`);
      request.upload.addEventListener("progress", ({ loaded }) => {
        watch();
        this.#samples.push([performance.now(), Math.max(0, loaded - entry.progress)]);
        entry.progress = loaded;
        this.#changed();
      });
      request.addEventListener("load", () => {
        const { status } = request;
        if (status < 300) {
          const duration = performance.now() - started;
          if (end - begin >= this.#steps * STEP_BYTES && duration < FAST_MS) {
            this.#steps = Math.min(MOST_STEPS, this.#steps * 2);
          } else if (duration > SLOW_MS) {
            this.#steps = Math.max(LEAST_STEPS, this.#steps >> 1);
          }
        }
        // Asking for a header that OneDrive does not show to scripts would be noted as an error.
        const isTold = /^retry-after:/im.test(request.getAllResponseHeaders());
        const seconds = Number.parseFloat(isTold ? request.getResponseHeader("Retry-After") : "");
        const retryAfter = Number.isFinite(seconds) ? seconds * 1000 : 0;
        finish({ status, body: request.response, retryAfter });
      });
      request.addEventListener("error", () => finish({ status: 0 }));
      request.addEventListener("abort", () => finish({ status: 0 }));
      signal.addEventListener("abort", abort);
      watch();
      request.send(file.slice(begin, end));
    });
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

  // So that the name is free at once; OneDrive forgets an open session by itself later.
  #dropSession(entry) {
    if (!entry.uploadUrl) return;
    fetch(entry.uploadUrl, {
      method: "DELETE",
      keepalive: true,
      referrerPolicy: "no-referrer",
    }).catch(() => {});
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
        if (error.status === 401 || error.status === 409) {
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
    if (entry.state !== "cancelled") this.#store.put("entries", entry);
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

// --- Where files come from ---

// From an <input type=file>; those of a folder know their path.
export function readInput(input) {
  return [...input.files].map((file) => ({
    file,
    path: (file.webkitRelativePath || file.name).split("/"),
  }));
}

// From the system's dialog, with handles that outlive a reload; null where the browser has none.
export async function pickFiles() {
  if (!window.showOpenFilePicker) return null;
  try {
    const handles = await showOpenFilePicker({ multiple: true });
    return Promise.all(
      handles.map(async (handle) => ({ handle, file: await handle.getFile(), path: [handle.name] })),
    );
  } catch (error) {
    if (error.name === "AbortError") return [];
    return null;
  }
}

// From a drop: files and whole folders. What is asked of the items must be asked at once, since
// they are gone after the event.
export async function readDrop(transfer) {
  const asked = [...transfer.items]
    .filter(({ kind }) => kind === "file")
    .map((item) => ({
      handle: item.getAsFileSystemHandle?.().catch(() => null),
      entry: item.webkitGetAsEntry?.(),
      file: item.getAsFile(),
    }));
  const found = [];
  for (const { handle, entry, file } of asked) {
    const reached = await handle;
    if (reached) await walkHandle(reached, [], found);
    else if (entry) await walkEntry(entry, [], found);
    else if (file) found.push({ file, path: [file.name] });
  }
  return found;
}

async function walkHandle(handle, above, found) {
  const path = [...above, handle.name];
  if (handle.kind === "file") {
    found.push({ handle, file: await handle.getFile(), path });
    return;
  }
  const before = found.length;
  for await (const child of handle.values()) await walkHandle(child, path, found);
  if (found.length === before) found.push({ path, isFolder: true });
}

async function walkEntry(entry, above, found) {
  const path = [...above, entry.name];
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
    found.push({ file, path });
    return;
  }
  const before = found.length;
  const reader = entry.createReader();
  while (true) {
    // A reader hands out at most a hundred at a time.
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) break;
    for (const child of some) await walkEntry(child, path, found);
  }
  if (found.length === before) found.push({ path, isFolder: true });
}

// From the clipboard: pictures that were copied all have the same name, so they get the moment's.
export function readPaste(transfer) {
  const moment = new Date();
  const two = (number) => String(number).padStart(2, "0");
  const day = `${moment.getFullYear()}-${two(moment.getMonth() + 1)}-${two(moment.getDate())}`;
  const time = `${two(moment.getHours())}.${two(moment.getMinutes())}.${two(moment.getSeconds())}`;
  return [...transfer.files].map((file, place) => {
    if (!/^image\.\w+$/i.test(file.name)) return { file, path: [file.name] };
    const ending = file.name.split(".").at(-1);
    const number = place ? ` (${place + 1})` : "";
    return { file, path: [`Pasted ${day} ${time}${number}.${ending}`] };
  });
}
