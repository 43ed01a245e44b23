import assert from "node:assert/strict";
import { test } from "node:test";

import { serve } from "./browser.js";

const { UploadImport } = await import("../../imagehub/static/js/admin/upload-import.js");

const makeEntry = (number, parts = {}) => ({
  id: String(number),
  state: "done",
  isImportable: true,
  itemId: `item-${number}`,
  itemName: `${number}.jpg`,
  target: "folder",
  path: ["trip", `${number}.jpg`],
  folderName: "root",
  conflict: "fail",
  type: "image/jpeg",
  size: 1,
  ...parts,
});

function makeImport(url, entries) {
  const outcomes = [];
  const map = new Map(entries.map((entry) => [entry.id, entry]));
  const imports = new UploadImport(url, {
    entries: map,
    keep: () => {},
    tellImport: (outcome) => outcomes.push(outcome),
  });
  return { imports, outcomes, map };
}

async function collect(context) {
  const calls = [];
  const url = await serve(context, (json) => {
    calls.push(json);
    return { body: { count: json.files.length } };
  });
  return { calls, url };
}

test("uploaded files are imported in one call", async (context) => {
  const { calls, url } = await collect(context);
  const entries = [makeEntry(1), makeEntry(2, { conflict: "replace", path: ["2.jpg"] })];
  const { imports, outcomes } = makeImport(url, entries);
  await imports.set(true, "folder");
  assert.deepEqual(outcomes, [{ count: 2 }]);
  assert.equal(calls[0].grouping, "folder");
  assert.deepEqual(
    calls[0].files.map((file) => [file.id, file.folder_name, file.is_replaced]),
    [
      ["item-1", "trip", false],
      ["item-2", "root", true],
    ],
  );
  assert.equal(imports.dueCount, 0);
  await imports.check();
  assert.equal(calls.length, 1);
});

test("the import waits for the rest of the queue unless it is asked for", async (context) => {
  const { calls, url } = await collect(context);
  const { imports } = makeImport(url, [makeEntry(1), makeEntry(2, { state: "running" })]);
  await imports.set(true, "one");
  assert.equal(calls.length, 0);
  await imports.check({ isNow: true });
  assert.deepEqual(calls[0].files.map(({ id }) => id), ["item-1"]);
});

test("nothing is imported that is no image, failed or was not wanted", async (context) => {
  const { calls, url } = await collect(context);
  const entries = [makeEntry(1, { isImportable: false }), makeEntry(2, { state: "failed" })];
  const { imports } = makeImport(url, [...entries, makeEntry(3)]);
  await imports.check({ isNow: true });
  assert.equal(calls.length, 0);
  await imports.set(true, "one");
  await imports.check({ isNow: true });
  assert.deepEqual(calls[0].files.map(({ id }) => id), ["item-3"]);
});

test("thousands of files are imported in several calls", async (context) => {
  const { calls, url } = await collect(context);
  const entries = Array.from({ length: 5001 }, (_, number) => makeEntry(number));
  const { imports } = makeImport(url, entries);
  await imports.set(true, "one");
  assert.deepEqual(calls.map(({ files }) => files.length), [5000, 1]);
});

test("a refusal is told and keeps the files due", async (context) => {
  const url = await serve(context, () => ({ status: 422, body: { detail: "Too many." } }));
  const { imports, outcomes } = makeImport(url, [makeEntry(1)]);
  await imports.set(true, "one");
  assert.equal(imports.fault, "Too many.");
  assert.deepEqual(outcomes, [null]);
  assert.equal(imports.dueCount, 1);
  await imports.set(false, "one");
  assert.equal(imports.fault, "");
});

test("what is not imported by itself is offered, and imported when that is asked for", async (context) => {
  const { calls, url } = await collect(context);
  const entries = [makeEntry(1), makeEntry(2, { type: "text/plain" }), makeEntry(3, { type: "" })];
  const { imports } = makeImport(url, entries);
  await imports.set(false, "each");
  await imports.check();
  assert.deepEqual([calls.length, imports.dueCount, imports.offeredCount], [0, 0, 2]);
  await imports.check({ isAsked: true });
  assert.equal(calls[0].grouping, "each");
  assert.deepEqual(
    calls[0].files.map((file) => file.id),
    ["item-1", "item-3"],
  );
  assert.equal(imports.offeredCount, 0);
  await imports.set(true, "each");
  assert.equal(imports.offeredCount, 0);
});
