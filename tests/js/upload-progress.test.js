import assert from "node:assert/strict";
import { test } from "node:test";

import { Speed, summarize } from "../../imagehub/static/js/admin/upload-progress.js";

test("the speed is that of the last seconds", () => {
  const speed = new Speed();
  assert.equal(speed.measure(0), 0);
  speed.add(1000, 0);
  assert.equal(speed.measure(10), 0, "one sample is not enough");
  speed.add(1000, 1000);
  assert.equal(speed.measure(2000), 1000);
  speed.add(4000, 9500);
  speed.add(4000, 9900);
  assert.equal(speed.measure(10_000), 16_000, "older samples are dropped");
});

test("a first moment does not look like a fast network", () => {
  const speed = new Speed();
  speed.add(1000, 0);
  speed.add(1000, 1);
  assert.equal(speed.measure(2), 4000);
});

test("a fragment that starts again takes nothing away", () => {
  const speed = new Speed();
  speed.add(-5000, 0);
  speed.add(1000, 1000);
  assert.equal(speed.measure(1000), 1000);
});

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
