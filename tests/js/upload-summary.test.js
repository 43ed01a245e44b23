import assert from "node:assert/strict";
import { test } from "node:test";

import { summarize } from "../../imagehub/static/js/admin/upload-summary.js";

const make = (state, size, sent = 0, progress = 0) => ({ state, size, sent, progress });

test("finished files count as a whole, running ones as far as they are", () => {
  const entries = [make("done", 100), make("running", 100, 40, 20), make("waiting", 50)];
  assert.deepEqual(summarize(entries), {
    counts: { done: 1, running: 1, waiting: 1 },
    fileCount: 3,
    doneCount: 1,
    totalBytes: 250,
    sentBytes: 160,
  });
});

test("skipped files are no part of it, and no file counts more than its size", () => {
  const { fileCount, totalBytes, sentBytes } = summarize([
    make("skipped", 100),
    make("running", 100, 90, 20),
  ]);
  assert.deepEqual([fileCount, totalBytes, sentBytes], [1, 100, 100]);
});
