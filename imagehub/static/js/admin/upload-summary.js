// The whole queue in numbers.

/** @import { Entry, State } from "./upload-entry.js" */

/** @param {Iterable<Entry>} entries */
export function summarize(entries) {
  /** @type {Partial<Record<State, number>>} */
  const counts = {};
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
