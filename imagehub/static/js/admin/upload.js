// The queue of uploads from this browser straight to OneDrive: what waits, what is sent, what a
// person does to it. upload-send.js sends each file; everything that happens is told by the event
// "change", and upload-panel.js shows it.

import { t } from "../words.js";
import { fetchJson, getMessage } from "./http.js";
import { getName, isOpen, makeId } from "./upload-entry.js";
import { UploadFiles } from "./upload-files.js";
import { UploadImport } from "./upload-import.js";
import { Lanes } from "./upload-lanes.js";
import { matchLost } from "./upload-match.js";
import { Patience, Stop } from "./upload-patience.js";
import { UploadPlaces } from "./upload-places.js";
import { Speed, summarize } from "./upload-progress.js";
import { makeSender } from "./upload-send.js";
import * as store from "./upload-store.js";

const MAX_PATHS = 1000;
const PAUSED_KEY = "hub-uploads-paused";
// Uploads of other people in this browser are kept so long for them.
const MAX_LEFT_MS = 30 * 86_400_000;
const JUNK = /^(\.DS_Store|Thumbs\.db|desktop\.ini|\._.*|~\$.*)$/i;

export class Uploads extends EventTarget {
  entries = /** @type {Map<string, Entry>} */ (new Map());
  isPaused = false;
  /** A sentence, where something stops all files. */
  trouble = "";
  imports;

  files = new UploadFiles();
  patience = new Patience();
  places;

  #urls;
  #owner;
  #sender;
  #speed = new Speed();
  #tab = makeId();
  #order = Date.now();
  /** @type {Map<string, AbortController>} by the ids of the entries that run */
  #controls = new Map();
  #lanes = new Lanes();
  /** @type {Set<string>} ids of entries whose names are being checked */
  #unchecked = new Set();

  /** @param {DriveUrls} urls
   * @param {string} owner the person and the OneDrive account; each continues its own uploads only
   */
  constructor(urls, owner) {
    super();
    this.#urls = urls;
    this.#owner = owner;
    this.places = new UploadPlaces(urls.ensure, this.patience);
    this.#sender = makeSender(urls, this);
    this.imports = new UploadImport(urls.import, this);
    addEventListener("online", () => {
      this.patience.wake();
      this.#changed();
    });
    addEventListener("offline", () => this.#changed());
    addEventListener("beforeunload", (event) => {
      if (this.#controls.size) event.preventDefault();
    });
  }

  /** Continue what tabs that are gone have left over. */
  async start() {
    await store.whenOpen;
    await store.holdTab(this.#tab);
    let found = /** @type {Entry[]} */ ([]);
    await store.takeTurn(async () => {
      const live = await store.listLiveTabs();
      /** @type {Entry[]} */
      const kept = await store.list("entries");
      const left = kept.filter((entry) => !live.has(entry.tab));
      found = left.filter(({ owner }) => owner === this.#owner);
      for (const entry of left) {
        const isOld = entry.order < Date.now() - MAX_LEFT_MS;
        if (entry.owner !== this.#owner && isOld) this.#forget(entry);
      }
      for (const entry of found) entry.tab = this.#tab;
      await Promise.all(found.map((entry) => store.put("entries", entry)));
    });
    found.sort((one, other) => one.order - other.order);
    for (const entry of found) {
      entry.progress = 0;
      entry.heldUntil = 0;
      if (entry.state === "running") entry.state = "waiting";
      if (entry.uploadUrl) entry.isUnsure = true;
      if (isOpen(entry) && !entry.isFolder && !(await this.files.reach(entry))) {
        entry.state = "lost";
        entry.message = t(entry.handle ? "permission_needed" : "file_not_kept");
      }
      if (entry.arrivedAt) this.places.noteArrival(entry);
      this.entries.set(entry.id, entry);
      this.keep(entry);
    }
    this.isPaused = found.some(isOpen) && sessionStorage.getItem(PAUSED_KEY) !== null;
    this.#changed();
    this.#pump();
    this.imports.check();
  }

  get #all() {
    return [...this.entries.values()];
  }

  // --- What a person does ---

  /** Add files; return how many. @param {Source[]} sources @param {UploadFolder} folder */
  async add(sources, folder) {
    const chosen = sources.filter(({ path }) => !path.some((name) => JUNK.test(name)));
    if (!chosen.length) return 0;
    if (!this.#all.some(isOpen)) this.resumeAll();
    const added = chosen.map((source) => this.#makeEntry(source, folder));
    // They are stored before the server is asked, since the page may go while it answers.
    for (const entry of added) {
      this.entries.set(entry.id, entry);
      this.#unchecked.add(entry.id);
      this.keep(entry);
      this.files.copy(entry);
    }
    this.#changed();
    await this.#checkNames(added, folder.id);
    for (const entry of added) this.#unchecked.delete(entry.id);
    this.#changed();
    this.#pump();
    return added.length;
  }

  /** @param {Source} source @param {UploadFolder} folder */
  #makeEntry({ file, handle, path, isFolder = false }, folder) {
    /** @type {Entry} */
    const entry = {
      id: makeId(),
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
    if (file) this.files.take(entry, file);
    return entry;
  }

  pause(/** @type {Entry} */ entry) {
    if (entry.state !== "waiting" && entry.state !== "running") return;
    this.#set(entry, "paused");
    this.#controls.get(entry.id)?.abort();
  }

  resume(/** @type {Entry} */ entry) {
    if (entry.state !== "paused" && entry.state !== "failed") return;
    entry.heldUntil = 0;
    entry.heldCount = 0;
    this.#requeue(entry);
    // What stopped all files is over then, as far as the person knows.
    if (this.trouble) this.#release();
    this.#pump();
  }

  /** Take a file out of the queue; what has arrived of it is deleted. @param {Entry} entry */
  cancel(entry) {
    if (!this.entries.has(entry.id)) return;
    const wasOpen = isOpen(entry);
    entry.state = "cancelled";
    this.#controls.get(entry.id)?.abort();
    if (wasOpen) this.#sender.endSession(entry).then(() => this.#pump());
    this.#forget(entry);
    this.#changed();
    this.#pump();
    this.imports.check();
  }

  pauseAll() {
    // A reload does not resume.
    sessionStorage.setItem(PAUSED_KEY, "yes");
    this.#hold();
  }

  #hold() {
    this.isPaused = true;
    for (const control of this.#controls.values()) control.abort();
    for (const entry of this.#all) if (entry.state === "running") this.#set(entry, "waiting");
    this.#changed();
  }

  #release() {
    sessionStorage.removeItem(PAUSED_KEY);
    this.isPaused = false;
    this.trouble = "";
  }

  resumeAll() {
    this.#release();
    for (const entry of this.#all) if (entry.state === "paused") this.#set(entry, "waiting");
    this.patience.wake();
    this.#changed();
    this.#pump();
  }

  cancelAll() {
    for (const entry of this.#all) if (isOpen(entry)) this.cancel(entry);
  }

  /** Decide about a name that is taken; "rename" keeps both. */
  settle(/** @type {Entry} */ entry, /** @type {"skip" | "rename" | "replace"} */ choice) {
    if (entry.state !== "taken") return;
    if (choice === "skip") {
      this.#set(entry, "skipped");
      this.files.drop(entry);
      this.imports.check();
      return;
    }
    entry.conflict = choice;
    entry.settledAt = Date.now();
    this.#requeue(entry);
    this.#pump();
  }

  /** Take the name that OneDrive accepts. @param {Entry} entry */
  repair(entry) {
    if (entry.state !== "name") return;
    entry.chosenPath ??= entry.path;
    entry.path = entry.repaired ?? entry.path;
    this.#requeue(entry);
    this.#pump();
  }

  /** Ask for lost files that the browser may read again after a click. Return whether files are
   * still missing, and whether another click can bring some of them. */
  async reachAgain() {
    let reachedCount = 0;
    let isStale = false;
    for (const entry of this.entries.values()) {
      if (entry.state !== "lost" || !entry.handle) continue;
      entry.changeCount = 0;
      try {
        const answer = await entry.handle.requestPermission?.({ mode: "read" });
        if (answer !== "granted" || !(await this.files.reach(entry))) continue;
      } catch (error) {
        // The browser asks for a while after a click, and the person may have taken longer.
        isStale ||= error instanceof DOMException && error.name === "SecurityError";
        continue;
      }
      reachedCount += 1;
      this.#requeue(entry);
    }
    this.#pump();
    const isMissing = this.#all.some((entry) => entry.state === "lost");
    return { isMissing, mayAskOn: isStale && reachedCount > 0 };
  }

  /** Continue lost entries with files that were selected again; return the sources that are none of
   * them. See `matchLost`.
   * @param {Source[]} sources @param {string} folder @param {{ isAsked?: boolean }} [options] */
  takeAgain(sources, folder, { isAsked = false } = {}) {
    const lost = this.#all.filter((entry) => entry.state === "lost");
    const found = matchLost(sources, lost, { folder, isAsked });
    for (const [{ file, handle }, entry] of found) {
      if (!file) continue;
      if (entry.modified !== file.lastModified || entry.size !== file.size) {
        this.#sender.endSession(entry);
        this.#sender.startOver(entry);
      }
      entry.changeCount = 0;
      entry.modified = file.lastModified;
      entry.size = file.size;
      entry.handle = handle;
      this.files.take(entry, file);
      this.#requeue(entry);
    }
    this.#pump();
    return sources.filter((source) => !found.has(source));
  }

  /** Remove what is finished, and imported where it is to be. */
  clear() {
    for (const entry of this.#all) {
      if (!isOpen(entry) && !this.imports.isDue(entry)) this.#forget(entry);
    }
    this.#changed();
  }

  // --- What is shown ---

  describe() {
    const summary = summarize(this.entries.values());
    const speed = this.#speed.measure(performance.now());
    const leftBytes = summary.totalBytes - summary.sentBytes;
    return {
      ...summary,
      speed,
      secondsLeft: speed > 0 ? leftBytes / speed : 0,
      isOffline: !navigator.onLine,
      isActive: this.#controls.size > 0,
    };
  }

  /** Return the id of the folder through which an entry is in the one that it was meant for;
   * undefined where it is there itself. */
  findTopFolder(/** @type {Entry} */ { folder, path, isFolder }) {
    if (!isFolder && path.length === 1) return undefined;
    return this.places.findFolder(folder, path.slice(0, 1));
  }

  /** Note how much of a fragment has gone. @param {Entry} entry @param {number} loaded bytes */
  note(entry, loaded) {
    this.#speed.add(loaded - entry.progress, performance.now());
    entry.progress = loaded;
    this.#changed();
  }

  /** Note that a fragment has arrived. @param {Entry} entry */
  advance(entry) {
    this.keep(entry);
    this.#changed();
    this.#pump();
  }

  /** Show why a file takes long. @param {Entry} entry @param {string} message */
  say(entry, message) {
    entry.message = message;
    this.#changed();
  }

  /** Tell of an import; null where only its fault has changed. @param {?ImportOutcome} outcome */
  tellImport(outcome) {
    if (outcome) this.dispatchEvent(new CustomEvent("imported", { detail: outcome }));
    this.#changed();
  }

  // --- The queue ---

  /** Start what may start. */
  #pump() {
    if (this.isPaused) return;
    const now = Date.now();
    const { maxRunning } = this.#lanes;
    let busy = /** @type {?Set<string>} */ (null);
    for (const entry of this.entries.values()) {
      if (this.#controls.size >= maxRunning) return;
      if (entry.state !== "waiting" || (entry.heldUntil ?? 0) > now) continue;
      if (this.#controls.has(entry.id) || this.#unchecked.has(entry.id)) continue;
      busy ??= this.#listBusyNames();
      const names = this.places.listNames(entry);
      // Only its own session can be open on a name that is its own already.
      if (!entry.uploadUrl && names.some((name) => busy?.has(name))) {
        entry.message = t("waits_for_name");
        continue;
      }
      for (const name of names) busy.add(name);
      this.#run(entry);
    }
  }

  /** Wait until its bytes may be sent. @param {Entry} entry @param {AbortSignal} signal */
  async takeLane(entry, signal) {
    if (!(await this.#lanes.take(entry, signal))) return;
    this.#set(entry, "running");
    this.#pump();
  }

  /** Return the names with an open session: OneDrive refuses a second one, in any case. */
  #listBusyNames() {
    const busy = /** @type {Set<string>} */ (new Set());
    for (const entry of this.entries.values()) {
      const isBusy = this.#controls.has(entry.id) || (isOpen(entry) && entry.uploadUrl);
      if (isBusy) for (const name of this.places.listNames(entry)) busy.add(name);
    }
    return busy;
  }

  async #run(/** @type {Entry} */ entry) {
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
      if (!control.signal.aborted) this.#fail(entry, error);
    } finally {
      this.#controls.delete(entry.id);
      this.#lanes.leave(entry);
      entry.progress = 0;
      if (control.signal.aborted && entry.uploadUrl) entry.isUnsure = true;
      this.#changed();
      this.#pump();
      this.imports.check();
    }
  }

  #fail(/** @type {Entry} */ entry, /** @type {unknown} */ error) {
    const stop = error instanceof Stop ? error : null;
    entry.message = getMessage(error);
    if (stop?.waitMs) {
      entry.heldUntil = Date.now() + stop.waitMs;
      setTimeout(() => this.#pump(), stop.waitMs + 10);
    }
    this.#set(entry, stop?.state ?? "failed");
    // No file can go on: OneDrive is full or not connected, or the person is signed out.
    if (stop?.stopsAll) {
      this.trouble = stop.message;
      this.#hold();
    }
  }

  /** @param {Entry} entry @param {?UploadedItem} item null for a folder */
  #finish(entry, item) {
    entry.itemId = item?.id ?? entry.target;
    entry.itemName = item?.name ?? getName(entry);
    // The server knows which files are images.
    entry.isImportable = Boolean(item);
    entry.type = item?.file?.mimeType ?? entry.type;
    entry.sent = entry.size;
    entry.uploadUrl = "";
    entry.message = "";
    entry.arrivedAt = Date.now();
    if (item) this.places.noteArrival(entry);
    this.#set(entry, "done");
    this.files.drop(entry);
    this.dispatchEvent(new CustomEvent("arrived", { detail: entry }));
  }

  /** Mark names that OneDrive would refuse, with one that it accepts. */
  async #checkNames(/** @type {Entry[]} */ entries, /** @type {string} */ folder) {
    for (let start = 0; start < entries.length; start += MAX_PATHS) {
      const some = entries.slice(start, start + MAX_PATHS);
      const paths = some.map(({ path }) => path.join("/"));
      const json = { folder, paths };
      const answer = await fetchJson(this.#urls.paths, { json }).catch(() => null);
      if (!answer) return; // Each name is checked again when its turn comes.
      /** @type {{ path: string, fault: string, repaired: string }[]} */
      const refused = answer.refused;
      const byPath = new Map(refused.map((one) => [one.path, one]));
      for (const entry of some) {
        entry.isChecked = true;
        const one = byPath.get(entry.path.join("/"));
        if (one) {
          entry.message = one.fault;
          entry.repaired = one.repaired.split("/");
          this.#set(entry, "name");
        } else {
          this.keep(entry);
        }
      }
    }
  }

  // --- Storing ---

  #requeue(/** @type {Entry} */ entry) {
    entry.message = "";
    this.#set(entry, "waiting");
  }

  #set(/** @type {Entry} */ entry, /** @type {UploadState} */ state) {
    if (entry.state === "cancelled") return;
    entry.state = state;
    this.keep(entry);
    this.#changed();
  }

  keep(/** @type {Entry} */ entry) {
    return entry.state === "cancelled" ? undefined : store.put("entries", entry);
  }

  #forget(/** @type {Entry} */ entry) {
    this.files.drop(entry);
    this.entries.delete(entry.id);
    store.remove("entries", entry.id);
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }
}
