import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import "./browser.js";

const { UploadFiles } = await import("../../imagehub/static/js/admin/upload-files.js");

const file = new File(["x"], "x.jpg");
let files;

beforeEach(() => {
  // Without IndexedDB, as in some private windows.
  files = new UploadFiles();
});

test("a file that was taken is at hand until it is dropped", async () => {
  const entry = { id: "1" };
  files.take(entry, file);
  assert.equal(await files.reach(entry), file);
  files.drop(entry);
  assert.equal(await files.reach(entry), null);
});

test("a handle is read where the browser allows it", async () => {
  const handle = { queryPermission: async () => "granted", getFile: async () => file };
  assert.equal(await files.reach({ id: "1", handle }), file);
});

test("a handle is not read where the browser would have to ask", async () => {
  const handle = {
    queryPermission: async () => "prompt",
    getFile: () => assert.fail("read without permission"),
  };
  assert.equal(await files.reach({ id: "1", handle }), null);
});

test("a handle of a file that is gone gives nothing", async () => {
  const handle = { getFile: () => Promise.reject(new DOMException("gone", "NotFoundError")) };
  assert.equal(await files.reach({ id: "1", handle }), null);
});

test("a lost file is read again from its handle", async () => {
  const fresh = new File(["y"], "x.jpg");
  const entry = { id: "1", handle: { getFile: async () => fresh } };
  files.take(entry, file);
  files.lose(entry);
  assert.equal(await files.reach(entry), fresh);
});
