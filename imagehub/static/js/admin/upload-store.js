// What an upload must not forget when the page goes: in IndexedDB, or nowhere where there is none.
// "entries" are plain records; "files" keeps copies of small files that the browser could not reach
// again by itself.

import { sleep } from "./async.js";

const NAME = "hub-uploads";
const STORES = ["entries", "files"];
const LONGEST_OPENING_MS = 10_000;

// States of an entry in which its file may still have to go.
const OPEN = new Set(["waiting", "running", "paused", "name", "taken", "failed", "lost"]);
export const isOpen = (entry) => OPEN.has(entry.state);

function wait(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

// Null where there is none, as in some private windows: uploads then live as long as the page.
async function openDatabase() {
  try {
    const request = indexedDB.open(NAME, 1);
    request.onupgradeneeded = () => {
      for (const store of STORES) request.result.createObjectStore(store, { keyPath: "id" });
    };
    // Some browsers have been seen not to answer at all.
    return (await Promise.race([wait(request), sleep(LONGEST_OPENING_MS)])) ?? null;
  } catch {
    return null;
  }
}

export class UploadStore {
  // Files may come before it is open, and are written down all the same.
  #db = openDatabase();

  async open() {
    await this.#db;
  }

  // A failed write costs at most what a reload could have brought back, so nobody waits for it.
  async put(store, record) {
    await this.#run(store, "readwrite", (objects) => objects.put(record));
  }

  async delete(store, id) {
    await this.#run(store, "readwrite", (objects) => objects.delete(id));
  }

  async get(store, id) {
    return this.#run(store, "readonly", (objects) => objects.get(id));
  }

  async list(store) {
    return (await this.#run(store, "readonly", (objects) => objects.getAll())) ?? [];
  }

  async #run(store, mode, act) {
    const db = await this.#db;
    if (!db) return undefined;
    try {
      return await wait(act(db.transaction(store, mode).objectStore(store)));
    } catch {
      return undefined;
    }
  }
}

// --- Which tab does what ---

// Each tab holds a lock of its own name for as long as it lives; entries whose tab holds none any
// more are left over, and the next tab takes them up.
export async function holdTab(tab) {
  if (!navigator.locks) return;
  await new Promise((resolve) => {
    navigator.locks.request(`hub-uploads-${tab}`, () => {
      resolve();
      return new Promise(() => {});
    });
  });
}

export async function listLiveTabs() {
  if (!navigator.locks) return new Set();
  const { held = [] } = await navigator.locks.query();
  return new Set(
    held
      .filter(({ name }) => name.startsWith("hub-uploads-"))
      .map(({ name }) => name.slice("hub-uploads-".length)),
  );
}

// So that of two tabs that open at once only one takes up what is left over.
export async function takeTurn(act) {
  if (navigator.locks) await navigator.locks.request("hub-upload-leftovers", act);
  else await act();
}
