import assert from "node:assert/strict";
import { test } from "node:test";

import { Lanes } from "../../imagehub/static/js/admin/upload-lanes.js";

const LARGE = 2 ** 30;
const makeEntries = (count, size = LARGE) =>
  Array.from({ length: count }, () => ({ size, sent: 0 }));
const never = () => new AbortController().signal;

test("three files are sent at once, the next when one of them ends", async () => {
  const lanes = new Lanes();
  const [one, two, three, four] = makeEntries(4);
  for (const entry of [one, two, three]) assert.equal(await lanes.take(entry, never()), true);
  let hasFourth = false;
  const waiting = lanes.take(four, never()).then(() => (hasFourth = true));
  await new Promise(setImmediate);
  assert.equal(hasFourth, false);
  lanes.leave(two);
  await waiting;
  assert.equal(hasFourth, true);
});

test("an entry has one lane, however often it asks", async () => {
  const lanes = new Lanes();
  const entries = makeEntries(3);
  for (const entry of entries) await lanes.take(entry, never());
  assert.equal(await lanes.take(entries[0], never()), false);
});

test("waiting for a lane can be cancelled", async () => {
  const lanes = new Lanes();
  for (const entry of makeEntries(3)) await lanes.take(entry, never());
  const control = new AbortController();
  const waiting = lanes.take(makeEntries(1)[0], control.signal);
  const reason = new Error("cancelled");
  control.abort(reason);
  await assert.rejects(waiting, reason);
});

test("sessions are opened ahead only when a file is about to end", async () => {
  const lanes = new Lanes();
  const [large] = makeEntries(1);
  await lanes.take(large, never());
  assert.equal(lanes.maxRunning, 3);
  large.sent = large.size - 1;
  assert.equal(lanes.maxRunning, 6);
});
