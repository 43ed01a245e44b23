// The queue of uploads from this browser straight to OneDrive: what waits, what goes, what a person
// does to it. upload-send.js sends each file; everything that happens is told by the event "change",
// and upload-panel.js shows it.

import { fetchJson } from "./http.js";
import { UploadFiles } from "./upload-files.js";
import { UploadImport } from "./upload-import.js";
import { Patience } from "./upload-patience.js";
import { UploadPlaces } from "./upload-places.js";
import { Sender } from "./upload-send.js";
import { UploadStore, holdTab, isOpen, listLiveTabs, takeTurn } from "./upload-store.js";

const FILES_AT_ONCE = 3;
// To ask for a session takes about as long as to send a small photograph, so the next files have
// theirs ready when those before them come to their end.
const FILES_AHEAD = 3;
const NEAR_END_BYTES = 20 * 2 ** 20;

const SPEED_WINDOW_MS = 8000;
const PATHS_A_CALL = 1000;
const PAUSED_KEY = "hub-uploads-paused";
// What somebody else left in this browser waits so long for its owner to come back.
const LONGEST_LEFT_MS = 30 * 86_400_000;
const JUNK = /^(\.DS_Store|Thumbs\.db|desktop\.ini|\._.*|~\$.*)$/i;

export class Uploads extends EventTarget {
  entries = new Map();
  isPaused = false;
  trouble = "";
  imports;

  #urls;
  #owner;
  #store = new UploadStore();
  #files = new UploadFiles(this.#store);
  #patience = new Patience();
  #places;
  #sender;
  #tab = crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`;
  #controls = new Map();
  #lanes = new Set();
  #queuers = [];
  #unchecked = new Set();
  #samples = [];
  #order = Date.now();

  // `owner`: a word for the person and the account of OneDrive; each takes up its own uploads alone.
  constructor(urls, owner) {
    super();
    this.#urls = urls;
    this.#owner = owner;
    this.#places = new UploadPlaces(urls.ensure, this.#patience);
    const parts = { files: this.#files, places: this.#places, patience: this.#patience };
    this.#sender = new Sender(urls, this.entries, parts, {
      keep: (entry) => this.#keep(entry),
      takeLane: (entry, signal) => this.#takeLane(entry, signal),
      note: (entry, loaded) => this.#note(entry, loaded),
      advance: (entry) => this.#advance(entry),
      say: (entry, message) => {
        entry.message = message;
        this.#changed();
      },
    });
    this.imports = new UploadImport(urls.import, this.entries, {
      keep: (entry) => this.#keep(entry),
      tell: (outcome) => {
        if (outcome) this.dispatchEvent(new CustomEvent("imported", { detail: outcome }));
        this.#changed();
      },
    });
    addEventListener("online", () => {
      this.#patience.wake();
      this.#changed();
    });
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
      const left = (await this.#store.list("entries")).filter((entry) => !live.has(entry.tab));
      found = left.filter(({ owner }) => owner === this.#owner);
      for (const entry of left) {
        const isOld = entry.order < Date.now() - LONGEST_LEFT_MS;
        if (entry.owner !== this.#owner && isOld) this.#forget(entry);
      }
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
      if (isOpen(entry) && !(await this.#files.reach(entry))) {
        entry.state = "lost";
        entry.message = entry.handle
          ? "The browser asks once more whether it may read this file."
          : "The browser could not keep this file. Please choose it again.";
      }
      if (entry.arrivedAt) this.#places.noteArrival(entry);
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
        owner: this.#owner,
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
      if (file) this.#files.take(entry, file);
      made.push(entry);
    }
    // Written down before the hub is asked, since the page may go while it answers.
    for (const entry of made) {
      this.entries.set(entry.id, entry);
      this.#unchecked.add(entry.id);
      this.#keep(entry);
      this.#files.copy(entry);
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
    if (wasOpen) this.#sender.dropSession(entry).then(() => this.#pump());
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
    this.#patience.wake();
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
      this.#files.drop(entry);
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
    entry.chosenPath ??= entry.path;
    entry.path = entry.repaired;
    entry.message = "";
    this.#set(entry, "waiting");
    this.#pump();
  }

  // Asks for what the browser may read again by a click. Answers { isMissing, mayAskOn }: whether
  // files are still missing, and whether another click can bring some of them.
  async reachAgain() {
    let reachedCount = 0;
    let isStale = false;
    for (const entry of this.entries.values()) {
      if (entry.state !== "lost" || !entry.handle) continue;
      entry.changeCount = 0;
      try {
        const answer = await entry.handle.requestPermission?.({ mode: "read" });
        if (answer !== "granted" || !(await this.#files.reach(entry))) continue;
      } catch (error) {
        // The browser asks for a while after a click, and the person may have taken longer.
        isStale ||= error.name === "SecurityError";
        continue;
      }
      reachedCount += 1;
      entry.message = "";
      this.#set(entry, "waiting");
    }
    this.#pump();
    const isMissing = [...this.entries.values()].some((entry) => entry.state === "lost");
    return { isMissing, mayAskOn: isStale && reachedCount > 0 };
  }

  // Finds files that were chosen again among those that were lost; answers those that are none of
  // them. `folder`: the id of the one they are meant for. `isAgain`: they were asked for, so that a
  // file of the right name and size is the one that is missing, where it can be no other.
  takeAgain(sources, folder, { isAgain = false } = {}) {
    const lost = [...this.entries.values()].filter((entry) => entry.state === "lost");
    let rest = sources.filter(({ file }) => file);
    // A name that was repaired is another one on this computer.
    const getPath = ({ chosenPath, path }) => chosenPath ?? path;
    const hasPath = ({ path }, entry) => getPath(entry).join("/") === path.join("/");
    const hasPlace = (source, entry) => entry.folder === folder && hasPath(source, entry);
    const hasSize = ({ path, file }, entry) =>
      getPath(entry).at(-1) === path.at(-1) && entry.size === file.size;
    const isSame = (source, entry) =>
      hasSize(source, entry) && entry.modified === source.file.lastModified;
    const takeAll = (fits, isSure) => {
      rest = rest.filter((source) => {
        const found = lost.filter((entry) => fits(source, entry));
        if (!found.length || !isSure(found, fits)) return true;
        lost.splice(lost.indexOf(found[0]), 1);
        this.#takeFound(found[0], source);
        return false;
      });
    };
    const isOnly = ([entry, ...others], fits) =>
      !others.length && rest.filter((source) => fits(source, entry)).length === 1;
    // A file that was changed meanwhile has another size, so its place alone tells that it is it.
    takeAll(hasPlace, () => true);
    takeAll((source, entry) => hasPath(source, entry) && isSame(source, entry), () => true);
    takeAll(isSame, isOnly);
    if (isAgain) takeAll(hasSize, isOnly);
    this.#pump();
    const left = new Set(rest);
    return sources.filter((source) => !source.file || left.has(source));
  }

  #takeFound(entry, { file, handle }) {
    if (entry.modified !== file.lastModified || entry.size !== file.size) {
      this.#sender.dropSession(entry);
      this.#sender.startOver(entry);
    }
    entry.changeCount = 0;
    entry.modified = file.lastModified;
    entry.size = file.size;
    entry.handle = handle;
    entry.message = "";
    this.#files.take(entry, file);
    this.#set(entry, "waiting");
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

  // The id of the folder through which an entry lies in the one that it was meant for; undefined
  // where it lies there itself.
  findTopFolder({ folder, path, isFolder }) {
    return isFolder || path.length > 1 ? this.#places.findFolder(folder, path.slice(0, 1)) : undefined;
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

  // A fragment has arrived.
  #advance(entry) {
    this.#keep(entry);
    this.#changed();
    this.#pump();
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
      const names = this.#places.listNames(entry);
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
      if (isBusy) for (const name of this.#places.listNames(entry)) busy.add(name);
    }
    return busy;
  }

  async #run(entry) {
    const control = new AbortController();
    this.#controls.set(entry.id, control);
    entry.message = "";
    this.#changed();
    try {
      if (!entry.isChecked) await this.#checkNames([entry], entry.folder);
      // Its name needs an answer first.
      if (entry.state === "name") return;
      control.signal.throwIfAborted();
      this.#finish(entry, await this.#sender.send(entry, control.signal));
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

  #finish(entry, item) {
    entry.itemId = item?.id ?? entry.target;
    entry.itemName = item?.name ?? entry.path.at(-1);
    // The hub knows which files are pictures.
    entry.isImportable = Boolean(item);
    entry.type = item?.file?.mimeType ?? entry.type;
    entry.sent = entry.size;
    entry.uploadUrl = "";
    entry.message = "";
    entry.arrivedAt = Date.now();
    if (item) this.#places.noteArrival(entry);
    this.#set(entry, "done");
    this.#files.drop(entry);
    this.dispatchEvent(new CustomEvent("arrived", { detail: entry }));
  }

  // Marks what OneDrive would refuse, with a name that it accepts.
  async #checkNames(entries, folder) {
    for (let start = 0; start < entries.length; start += PATHS_A_CALL) {
      const some = entries.slice(start, start + PATHS_A_CALL);
      const paths = some.map(({ path }) => path.join("/"));
      let refused;
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
    this.#files.drop(entry);
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
