// What an upload must not lose when the page goes: in IndexedDB, or nowhere where there is none.
// "entries" are plain records; "files" keeps copies of small files that the browser could not open
// again by itself.

import { makeName } from "../kept.js";
import { sleep } from "./http.js";

/** @typedef {"entries" | "files"} StoreName */

const NAME = makeName("hub-uploads");
/** @type {StoreName[]} */
const STORES = ["entries", "files"];
const MAX_OPENING_MS = 10_000;
const LOCK_PREFIX = `${NAME}-`;

/** @template T @param {IDBRequest<T>} request @returns {Promise<T>} */
const wait = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

/** Open the database; null where there is none, as in some private windows. */
async function openDatabase() {
  try {
    const request = indexedDB.open(NAME, 1);
    request.onupgradeneeded = () => {
      for (const store of STORES) request.result.createObjectStore(store, { keyPath: "id" });
    };
    // Some browsers do not answer at all.
    return (await Promise.race([wait(request), sleep(MAX_OPENING_MS)])) ?? null;
  } catch {
    return null;
  }
}

// Records that come before it is open are written all the same.
export const whenOpen = openDatabase();

/** A failure costs at most what a reload could have restored.
 * @param {StoreName} store @param {IDBTransactionMode} mode
 * @param {(objects: IDBObjectStore) => IDBRequest} act */
async function run(store, mode, act) {
  const db = await whenOpen;
  try {
    return db && (await wait(act(db.transaction(store, mode).objectStore(store))));
  } catch {
    return null;
  }
}

/** @param {StoreName} store @param {object} record with an `id` */
export const put = (store, record) => run(store, "readwrite", (objects) => objects.put(record));

/** @param {StoreName} store @param {string} id */
export const remove = (store, id) => run(store, "readwrite", (objects) => objects.delete(id));

/** @param {StoreName} store @param {string} id */
export const get = (store, id) => run(store, "readonly", (objects) => objects.get(id));

export const list = async (/** @type {StoreName} */ store) =>
  (await run(store, "readonly", (objects) => objects.getAll())) ?? [];

/** Hold a lock with the tab's name for as long as it lives. Entries whose tab holds none are left
 * over, and the next tab takes them. */
export async function holdTab(/** @type {string} */ tab) {
  if (!navigator.locks) return;
  await new Promise((resolve) => {
    navigator.locks.request(LOCK_PREFIX + tab, (lock) => {
      resolve(lock);
      return new Promise(() => {});
    });
  });
}

/** @returns {Promise<Set<string>>} */
export async function listLiveTabs() {
  if (!navigator.locks) return new Set();
  const { held = [] } = await navigator.locks.query();
  const names = held.map(({ name = "" }) => name).filter((name) => name.startsWith(LOCK_PREFIX));
  return new Set(names.map((name) => name.slice(LOCK_PREFIX.length)));
}

/** Let one tab act after the other, so that only one takes what is left over. */
export async function takeTurn(/** @type {() => Promise<void>} */ act) {
  if (navigator.locks) await navigator.locks.request(makeName("hub-upload-leftovers"), act);
  else await act();
}
