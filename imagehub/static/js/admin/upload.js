// The queue of uploads from this browser straight to OneDrive: what waits, what is sent, what a
// person does to it. upload-send.js sends each file; everything that happens is told by the event
// "change", and upload-panel.js shows it.

import { makeName } from "../kept.js";
import { t } from "../words.js";
import { start as page, urls } from "./drive-folder.js";
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
const PAUSED_KEY = makeName("hub-uploads-paused");
// Uploads of other people in this browser are kept so long for them.
const MAX_LEFT_MS = 30 * 86_400_000;
const JUNK = /^(\.DS_Store|Thumbs\.db|desktop\.ini|\._.*|~\$.*)$/i;

/** "change", "arrived" with an entry, "imported" with an outcome. */
export const events = new EventTarget();
export const entries = /** @type {Map<string, Entry>} */ (new Map());
export let isPaused = false;
/** A sentence, where something stops all files. */
export let trouble = "";

// Each person and OneDrive account continues its own uploads only.
const { owner } = page;
const files = new UploadFiles();
const patience = new Patience();
const places = new UploadPlaces(urls.ensure, patience);
/** @typedef {typeof queue} Queue what the sender and the import get of it */
const parts = { entries, files, patience, places };
const queue = { ...parts, advance, keep, note, say, takeLane, tellImport };
const sender = makeSender(urls, queue);
export const imports = new UploadImport(urls.import, queue);
const meter = new Speed();
const lanes = new Lanes();
const tab = makeId();
let order = Date.now();
/** @type {Map<string, AbortController>} by the ids of the entries that run */
const controls = new Map();
/** @type {Set<string>} ids of entries whose names are being checked */
const unchecked = new Set();

addEventListener("online", () => {
  patience.wake();
  tellChange();
});
addEventListener("offline", tellChange);
addEventListener("beforeunload", (event) => {
  if (controls.size) event.preventDefault();
});

/** Continue what tabs that are gone have left over. */
export async function begin() {
  await store.whenOpen;
  await store.holdTab(tab);
  let found = /** @type {Entry[]} */ ([]);
  await store.takeTurn(async () => {
    const live = await store.listLiveTabs();
    /** @type {Entry[]} */
    const kept = await store.list("entries");
    const left = kept.filter((entry) => !live.has(entry.tab));
    found = left.filter((entry) => entry.owner === owner);
    for (const entry of left) {
      const isOld = entry.order < Date.now() - MAX_LEFT_MS;
      if (entry.owner !== owner && isOld) forget(entry);
    }
    for (const entry of found) entry.tab = tab;
    await Promise.all(found.map((entry) => store.put("entries", entry)));
  });
  found.sort((one, other) => one.order - other.order);
  for (const entry of found) {
    entry.progress = 0;
    entry.heldUntil = 0;
    if (entry.state === "running") entry.state = "waiting";
    if (entry.uploadUrl) entry.isUnsure = true;
    if (isOpen(entry) && !entry.isFolder && !(await files.reach(entry))) {
      entry.state = "lost";
      entry.message = t(entry.handle ? "permission_needed" : "file_not_kept");
    }
    if (entry.arrivedAt) places.noteArrival(entry);
    entries.set(entry.id, entry);
    keep(entry);
  }
  isPaused = found.some(isOpen) && sessionStorage.getItem(PAUSED_KEY) !== null;
  tellChange();
  pump();
  imports.check();
}

export const listAll = () => [...entries.values()];

// --- What a person does ---

/** Add files; return how many. @param {Source[]} sources @param {UploadFolder} folder */
export async function add(sources, folder) {
  const chosen = sources.filter(({ path }) => !path.some((name) => JUNK.test(name)));
  if (!chosen.length) return 0;
  if (!listAll().some(isOpen)) resumeAll();
  const added = chosen.map((source) => makeEntry(source, folder));
  // They are stored before the server is asked, since the page may go while it answers.
  for (const entry of added) {
    entries.set(entry.id, entry);
    unchecked.add(entry.id);
    keep(entry);
    files.copy(entry);
  }
  tellChange();
  await checkNames(added, folder.id);
  for (const entry of added) unchecked.delete(entry.id);
  tellChange();
  pump();
  return added.length;
}

/** @param {Source} source @param {UploadFolder} folder */
function makeEntry({ file, handle, path, isFolder = false }, folder) {
  /** @type {Entry} */
  const entry = {
    id: makeId(),
    tab,
    owner,
    order: order++,
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
  if (file) files.take(entry, file);
  return entry;
}

export function pause(/** @type {Entry} */ entry) {
  if (entry.state !== "waiting" && entry.state !== "running") return;
  set(entry, "paused");
  controls.get(entry.id)?.abort();
}

export function resume(/** @type {Entry} */ entry) {
  if (entry.state !== "paused" && entry.state !== "failed") return;
  entry.heldUntil = 0;
  entry.heldCount = 0;
  requeue(entry);
  // What stopped all files is over then, as far as the person knows.
  if (trouble) release();
  pump();
}

/** Take a file out of the queue; what has arrived of it is deleted. @param {Entry} entry */
export function cancel(entry) {
  if (!entries.has(entry.id)) return;
  const wasOpen = isOpen(entry);
  entry.state = "cancelled";
  controls.get(entry.id)?.abort();
  if (wasOpen) sender.endSession(entry).then(() => pump());
  forget(entry);
  tellChange();
  pump();
  imports.check();
}

export function pauseAll() {
  // A reload does not resume.
  sessionStorage.setItem(PAUSED_KEY, "yes");
  hold();
}

function hold() {
  isPaused = true;
  for (const control of controls.values()) control.abort();
  for (const entry of listAll()) if (entry.state === "running") set(entry, "waiting");
  tellChange();
}

function release() {
  sessionStorage.removeItem(PAUSED_KEY);
  isPaused = false;
  trouble = "";
}

export function resumeAll() {
  release();
  for (const entry of listAll()) if (entry.state === "paused") set(entry, "waiting");
  patience.wake();
  tellChange();
  pump();
}

export function cancelAll() {
  for (const entry of listAll()) if (isOpen(entry)) cancel(entry);
}

/** Decide about a name that is taken; "rename" keeps both. */
export function settle(/** @type {Entry} */ entry, /** @type {"skip" | "rename" | "replace"} */ choice) {
  if (entry.state !== "taken") return;
  if (choice === "skip") {
    set(entry, "skipped");
    files.drop(entry);
    imports.check();
    return;
  }
  entry.conflict = choice;
  entry.settledAt = Date.now();
  requeue(entry);
  pump();
}

/** Take the name that OneDrive accepts. @param {Entry} entry */
export function repair(entry) {
  if (entry.state !== "name") return;
  entry.chosenPath ??= entry.path;
  entry.path = entry.repaired ?? entry.path;
  requeue(entry);
  pump();
}

/** Ask for lost files that the browser may read again after a click. Return whether files are
 * still missing, and whether another click can bring some of them. */
export async function reachAgain() {
  let reachedCount = 0;
  let isStale = false;
  for (const entry of entries.values()) {
    if (entry.state !== "lost" || !entry.handle) continue;
    entry.changeCount = 0;
    try {
      const answer = await entry.handle.requestPermission?.({ mode: "read" });
      if (answer !== "granted" || !(await files.reach(entry))) continue;
    } catch (error) {
      // The browser asks for a while after a click, and the person may have taken longer.
      isStale ||= error instanceof DOMException && error.name === "SecurityError";
      continue;
    }
    reachedCount += 1;
    requeue(entry);
  }
  pump();
  const isMissing = listAll().some((entry) => entry.state === "lost");
  return { isMissing, mayAskOn: isStale && reachedCount > 0 };
}

/** Continue lost entries with files that were selected again; return the sources that are none of
 * them. See `matchLost`.
 * @param {Source[]} sources @param {string} folder @param {{ isAsked?: boolean }} [options] */
export function takeAgain(sources, folder, { isAsked = false } = {}) {
  const lost = listAll().filter((entry) => entry.state === "lost");
  const found = matchLost(sources, lost, { folder, isAsked });
  for (const [{ file, handle }, entry] of found) {
    if (!file) continue;
    if (entry.modified !== file.lastModified || entry.size !== file.size) {
      sender.endSession(entry);
      sender.startOver(entry);
    }
    entry.changeCount = 0;
    entry.modified = file.lastModified;
    entry.size = file.size;
    entry.handle = handle;
    files.take(entry, file);
    requeue(entry);
  }
  pump();
  return sources.filter((source) => !found.has(source));
}

/** Remove what is finished, and imported where it is to be. */
export function clear() {
  for (const entry of listAll()) if (!isOpen(entry) && !imports.isDue(entry)) forget(entry);
  tellChange();
}

// --- What is shown ---

export function describe() {
  const summary = summarize(entries.values());
  const speed = meter.measure(performance.now());
  const leftBytes = summary.totalBytes - summary.sentBytes;
  return {
    ...summary,
    speed,
    secondsLeft: speed > 0 ? leftBytes / speed : 0,
    isOffline: !navigator.onLine,
    isActive: controls.size > 0,
  };
}

/** Return the id of the folder through which an entry is in the one that it was meant for;
 * undefined where it is there itself. */
export function findTopFolder(/** @type {Entry} */ { folder, path, isFolder }) {
  if (!isFolder && path.length === 1) return undefined;
  return places.findFolder(folder, path.slice(0, 1));
}

/** Note how much of a fragment has gone. @param {Entry} entry @param {number} loaded bytes */
function note(entry, loaded) {
  meter.add(loaded - entry.progress, performance.now());
  entry.progress = loaded;
  tellChange();
}

/** Note that a fragment has arrived. @param {Entry} entry */
function advance(entry) {
  keep(entry);
  tellChange();
  pump();
}

/** Show why a file takes long. @param {Entry} entry @param {string} message */
function say(entry, message) {
  entry.message = message;
  tellChange();
}

/** Tell of an import; null where only its fault has changed. @param {?ImportOutcome} outcome */
function tellImport(outcome) {
  if (outcome) events.dispatchEvent(new CustomEvent("imported", { detail: outcome }));
  tellChange();
}

// --- The queue ---

/** Start what may start. */
function pump() {
  if (isPaused) return;
  const now = Date.now();
  const { maxRunning } = lanes;
  let busy = /** @type {?Set<string>} */ (null);
  for (const entry of entries.values()) {
    if (controls.size >= maxRunning) return;
    if (entry.state !== "waiting" || (entry.heldUntil ?? 0) > now) continue;
    if (controls.has(entry.id) || unchecked.has(entry.id)) continue;
    busy ??= listBusyNames();
    const names = places.listNames(entry);
    // Only its own session can be open on a name that is its own already.
    if (!entry.uploadUrl && names.some((name) => busy?.has(name))) {
      entry.message = t("waits_for_name");
      continue;
    }
    for (const name of names) busy.add(name);
    run(entry);
  }
}

/** Wait until its bytes may be sent. @param {Entry} entry @param {AbortSignal} signal */
async function takeLane(entry, signal) {
  if (!(await lanes.take(entry, signal))) return;
  set(entry, "running");
  pump();
}

/** Return the names with an open session: OneDrive refuses a second one, in any case. */
function listBusyNames() {
  const busy = /** @type {Set<string>} */ (new Set());
  for (const entry of entries.values()) {
    const isBusy = controls.has(entry.id) || (isOpen(entry) && entry.uploadUrl);
    if (isBusy) for (const name of places.listNames(entry)) busy.add(name);
  }
  return busy;
}

async function run(/** @type {Entry} */ entry) {
  const control = new AbortController();
  controls.set(entry.id, control);
  entry.message = "";
  tellChange();
  try {
    if (!entry.isChecked) await checkNames([entry], entry.folder);
    // Its name needs an answer first.
    if (entry.state === "name") return;
    control.signal.throwIfAborted();
    finish(entry, await sender.send(entry, control.signal));
  } catch (error) {
    if (!control.signal.aborted) fail(entry, error);
  } finally {
    controls.delete(entry.id);
    lanes.leave(entry);
    entry.progress = 0;
    if (control.signal.aborted && entry.uploadUrl) entry.isUnsure = true;
    tellChange();
    pump();
    imports.check();
  }
}

function fail(/** @type {Entry} */ entry, /** @type {unknown} */ error) {
  const stop = error instanceof Stop ? error : null;
  entry.message = getMessage(error);
  if (stop?.waitMs) {
    entry.heldUntil = Date.now() + stop.waitMs;
    setTimeout(() => pump(), stop.waitMs + 10);
  }
  set(entry, stop?.state ?? "failed");
  // No file can go on: OneDrive is full or not connected, or the person is signed out.
  if (stop?.stopsAll) {
    trouble = stop.message;
    hold();
  }
}

/** @param {Entry} entry @param {?UploadedItem} item null for a folder */
function finish(entry, item) {
  entry.itemId = item?.id ?? entry.target;
  entry.itemName = item?.name ?? getName(entry);
  // The server knows which files are images.
  entry.isImportable = Boolean(item);
  entry.type = item?.file?.mimeType ?? entry.type;
  entry.sent = entry.size;
  entry.uploadUrl = "";
  entry.message = "";
  entry.arrivedAt = Date.now();
  if (item) places.noteArrival(entry);
  set(entry, "done");
  files.drop(entry);
  events.dispatchEvent(new CustomEvent("arrived", { detail: entry }));
}

/** Mark names that OneDrive would refuse, with one that it accepts. */
async function checkNames(/** @type {Entry[]} */ added, /** @type {string} */ folder) {
  for (let start = 0; start < added.length; start += MAX_PATHS) {
    const some = added.slice(start, start + MAX_PATHS);
    const paths = some.map(({ path }) => path.join("/"));
    const json = { folder, paths };
    const answer = await fetchJson(urls.paths, { json }).catch(() => null);
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
        set(entry, "name");
      } else {
        keep(entry);
      }
    }
  }
}

// --- Storing ---

function requeue(/** @type {Entry} */ entry) {
  entry.message = "";
  set(entry, "waiting");
}

function set(/** @type {Entry} */ entry, /** @type {UploadState} */ state) {
  if (entry.state === "cancelled") return;
  entry.state = state;
  keep(entry);
  tellChange();
}

function keep(/** @type {Entry} */ entry) {
  return entry.state === "cancelled" ? undefined : store.put("entries", entry);
}

function forget(/** @type {Entry} */ entry) {
  files.drop(entry);
  entries.delete(entry.id);
  store.remove("entries", entry.id);
}

function tellChange() {
  events.dispatchEvent(new Event("change"));
}
