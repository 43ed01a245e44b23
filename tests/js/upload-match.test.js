import assert from "node:assert/strict";
import { test } from "node:test";

import { matchLost } from "../../imagehub/static/js/admin/upload-match.js";

const makeEntry = (path, parts = {}) => ({
  folder: "here",
  path: path.split("/"),
  size: 1,
  modified: 5,
  ...parts,
});
const makeSource = (path, { bytes = "x", modified = 5 } = {}) => ({
  path: path.split("/"),
  file: new File([bytes], path.split("/").at(-1), { lastModified: modified }),
});
const options = { folder: "here" };

test("a file at the same place is the one that is missing, even if it was changed", () => {
  const entry = makeEntry("trip/a.jpg");
  const source = makeSource("trip/a.jpg", { bytes: "longer", modified: 9 });
  assert.deepEqual([...matchLost([source], [entry], options)], [[source, entry]]);
});

test("the name on this computer counts, not the corrected one", () => {
  const entry = makeEntry("a_.jpg", { chosenPath: ["a:.jpg"] });
  const source = makeSource("a:.jpg");
  assert.equal(matchLost([source], [entry], options).get(source), entry);
});

test("an unchanged file is found in another place, if it can be no other", () => {
  const entry = makeEntry("trip/a.jpg");
  const source = makeSource("a.jpg");
  assert.equal(matchLost([source], [entry], options).get(source), entry);
  const twin = makeEntry("b/a.jpg");
  assert.equal(matchLost([source], [entry, twin], options).size, 0);
  assert.equal(matchLost([source, makeSource("c/a.jpg")], [entry], options).size, 0);
});

test("a changed file elsewhere is found only if it was asked for and has the size", () => {
  const entry = makeEntry("trip/a.jpg");
  const source = makeSource("a.jpg", { modified: 9 });
  assert.equal(matchLost([source], [entry], options).size, 0);
  assert.equal(matchLost([source], [entry], { ...options, isAsked: true }).get(source), entry);
  const longer = makeSource("a.jpg", { bytes: "longer", modified: 9 });
  assert.equal(matchLost([longer], [entry], { ...options, isAsked: true }).size, 0);
});

test("each entry is matched once", () => {
  const entry = makeEntry("a.jpg");
  const [one, other] = [makeSource("a.jpg"), makeSource("a.jpg")];
  assert.deepEqual([...matchLost([one, other], [entry], options).keys()], [one]);
});

test("a folder matches nothing", () => {
  assert.equal(matchLost([{ path: ["a"], isFolder: true }], [makeEntry("a")], options).size, 0);
});
