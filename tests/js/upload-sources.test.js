import assert from "node:assert/strict";
import { test } from "node:test";

import "./browser.js";

const { readDrop, readInput, readPaste } = await import(
  "../../imagehub/static/js/admin/upload-sources.js"
);

const makeFile = (name) => new File(["x"], name);

test("files of a folder know their path", () => {
  const one = Object.assign(makeFile("a.jpg"), { webkitRelativePath: "trip/a.jpg" });
  const other = makeFile("b.jpg");
  assert.deepEqual(readInput({ files: [one, other] }), [
    { file: one, path: ["trip", "a.jpg"] },
    { file: other, path: ["b.jpg"] },
  ]);
});

test("pasted images get names of their own", () => {
  const sources = readPaste({ files: ["image.png", "image.png", "cat.jpg"].map(makeFile) });
  const names = sources.map(({ path }) => path[0]);
  assert.match(names[0], /^\w+ \d{4}-\d\d-\d\d \d\d\.\d\d\.\d\d\.png$/);
  assert.equal(names[1], names[0].replace(".png", " (2).png"));
  assert.equal(names[2], "cat.jpg");
});

const makeItem = (parts) => ({ kind: "file", getAsFile: () => null, ...parts });

test("a dropped folder is read with everything below it", async () => {
  const file = makeFile("a.jpg");
  const folder = (name, children) => ({
    kind: "directory",
    name,
    async *values() {
      yield* children;
    },
  });
  const tree = folder("trip", [
    { kind: "file", name: "a.jpg", getFile: async () => file },
    { kind: "file", name: "locked.jpg", getFile: () => Promise.reject(new Error("locked")) },
    folder("empty", []),
  ]);
  const handles = [makeItem({ getAsFileSystemHandle: async () => tree }), { kind: "string" }];
  const found = await readDrop({ items: handles });
  assert.deepEqual(
    found.map(({ path, isFolder, isUnreadable }) => ({ path, isFolder, isUnreadable })),
    [
      { path: ["trip", "a.jpg"], isFolder: undefined, isUnreadable: undefined },
      { path: ["trip", "locked.jpg"], isFolder: undefined, isUnreadable: true },
      { path: ["trip", "empty"], isFolder: true, isUnreadable: undefined },
    ],
  );
});

test("a browser without handles reads folders in portions", async () => {
  const names = Array.from({ length: 150 }, (_, place) => `${place}.jpg`);
  const children = names.map((name) => ({
    isFile: true,
    name,
    file: (resolve) => resolve(makeFile(name)),
  }));
  const entry = {
    name: "trip",
    createReader: () => ({ readEntries: (resolve) => resolve(children.splice(0, 100)) }),
  };
  const found = await readDrop({ items: [makeItem({ webkitGetAsEntry: () => entry })] });
  assert.deepEqual(found.map(({ path }) => path), names.map((name) => ["trip", name]));
});

test("a plain file is read where there is nothing better", async () => {
  const file = makeFile("a.jpg");
  const found = await readDrop({ items: [makeItem({ getAsFile: () => file })] });
  assert.deepEqual(found, [{ file, path: ["a.jpg"] }]);
});
