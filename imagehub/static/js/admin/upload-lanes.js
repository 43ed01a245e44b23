// How many files are sent at once: the others come in the order in which they asked.

const MAX_LANES = 3;
// Opening a session takes about as long as sending a small photograph, so the next files have
// theirs ready when those before them end.
const MAX_AHEAD = 3;
const NEAR_END_BYTES = 20 * 2 ** 20;

export class Lanes {
  /** @type {Set<Entry>} those whose bytes are sent */
  #entries = new Set();
  #queue = /** @type {((value?: undefined) => void)[]} */ ([]);

  /** How many files may run. Sessions do not wait for hours, so none is opened while large files
   * have long to go. */
  get maxRunning() {
    const isNearEnd = [...this.#entries].some(({ size, sent }) => size - sent <= NEAR_END_BYTES);
    return MAX_LANES + (isNearEnd ? MAX_AHEAD : 0);
  }

  /** Wait for a lane; return false where the entry has one already. */
  async take(/** @type {Entry} */ entry, /** @type {AbortSignal} */ signal) {
    while (this.#entries.size >= MAX_LANES && !this.#entries.has(entry)) {
      await new Promise((resolve, reject) => {
        this.#queue.push(resolve);
        signal.addEventListener("abort", () => reject(signal.reason), { once: true });
      });
    }
    signal.throwIfAborted();
    const isNew = !this.#entries.has(entry);
    this.#entries.add(entry);
    return isNew;
  }

  leave(/** @type {Entry} */ entry) {
    if (this.#entries.delete(entry)) for (const go of this.#queue.splice(0)) go();
  }
}
