// How far the whole queue is, and how fast.

const WINDOW_MS = 8000;
// A shorter time says little, and would make the speed jump at the beginning.
const MIN_MS = 500;

/** Return the whole queue in numbers. @param {Iterable<Entry>} entries */
export function summarize(entries) {
  const counts = /** @type {Partial<Record<UploadState, number>>} */ ({});
  let totalBytes = 0;
  let sentBytes = 0;
  let fileCount = 0;
  for (const { state, size, sent, progress } of entries) {
    counts[state] = (counts[state] ?? 0) + 1;
    if (state === "skipped") continue;
    fileCount += 1;
    totalBytes += size;
    sentBytes += state === "done" ? size : Math.min(size, sent + progress);
  }
  return { counts, fileCount, doneCount: counts.done ?? 0, totalBytes, sentBytes };
}

/** How fast an upload is, by the bytes of the last seconds. */
export class Speed {
  #samples = /** @type {{ at: number, bytes: number }[]} */ ([]);

  /** @param {number} bytes that have gone since the last call @param {number} now milliseconds */
  add(bytes, now) {
    this.#samples.push({ at: now, bytes: Math.max(0, bytes) });
  }

  /** Return bytes a second. @param {number} now milliseconds */
  measure(now) {
    this.#samples = this.#samples.filter(({ at }) => now - at <= WINDOW_MS);
    if (this.#samples.length < 2) return 0;
    const bytes = this.#samples.reduce((sum, sample) => sum + sample.bytes, 0);
    return bytes / (Math.max(MIN_MS, now - this.#samples[0].at) / 1000);
  }
}
