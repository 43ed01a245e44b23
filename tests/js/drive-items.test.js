import assert from "node:assert/strict";
import { test } from "node:test";

import "./browser.js";

const { arrange, sortByName } = await import("../../imagehub/static/js/admin/drive-items.js");

const make = (name, parts = {}) => ({
  id: name,
  name,
  name_key: name.toLowerCase(),
  is_folder: false,
  is_picture: true,
  marks: [],
  state: "",
  size: 0,
  modified: "2026-01-01",
  ...parts,
});
const items = [
  make("b.jpg", { size: 5, modified: "2026-03-01" }),
  make("Zoo", { is_folder: true, is_picture: false }),
  make("a.jpg", { size: 9, modified: "2026-02-01", marks: [{}], state: "changed" }),
  make("notes.txt", { is_picture: false, size: 1 }),
];
const all = { order: "name", show: "all", words: "" };
const list = (wish) => arrange(sortByName(items), { ...all, ...wish }).map(({ name }) => name);

test("folders come first, then names in order", () => {
  assert.deepEqual(list({}), ["Zoo", "a.jpg", "b.jpg", "notes.txt"]);
  assert.deepEqual(list({ order: "name-down" }), ["Zoo", "notes.txt", "b.jpg", "a.jpg"]);
});

test("files are sorted by size and time", () => {
  assert.deepEqual(list({ order: "largest" }), ["Zoo", "a.jpg", "b.jpg", "notes.txt"]);
  assert.deepEqual(list({ order: "smallest" }), ["Zoo", "notes.txt", "b.jpg", "a.jpg"]);
  assert.deepEqual(list({ order: "newest" }), ["Zoo", "b.jpg", "a.jpg", "notes.txt"]);
  assert.deepEqual(list({ order: "oldest" }), ["Zoo", "notes.txt", "a.jpg", "b.jpg"]);
});

test("without an order items stay as they came", () => {
  const kept = arrange(items, { ...all, order: "" });
  assert.deepEqual(kept, items);
});

test("filters keep what they name", () => {
  assert.deepEqual(list({ show: "pictures" }), ["Zoo", "a.jpg", "b.jpg"]);
  assert.deepEqual(list({ show: "outside" }), ["Zoo", "b.jpg"]);
  assert.deepEqual(list({ show: "inside" }), ["Zoo", "a.jpg"]);
  assert.deepEqual(list({ show: "changed" }), ["a.jpg"]);
});

test("words are found in any case and spelling", () => {
  const accents = [make("Cafe\u0301.jpg"), make("tea.jpg")];
  const found = arrange(accents, { ...all, words: " CAF\u00c9 " });
  assert.deepEqual(found.map(({ name }) => name), ["Cafe\u0301.jpg"]);
});
