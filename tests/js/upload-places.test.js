import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { serve } from "./browser.js";

const { Patience } = await import("../../imagehub/static/js/admin/upload-patience.js");
const { UploadPlaces } = await import("../../imagehub/static/js/admin/upload-places.js");

let calls;
let places;

beforeEach(async (context) => {
  calls = [];
  const url = await serve(context, (json) => {
    calls.push(json);
    if (json.path[0] === "bad") return { status: 422, body: { detail: "No." } };
    return { body: { id: `${json.folder}/${json.path[0]}` } };
  });
  places = new UploadPlaces(url, new Patience());
});

test("folders are created one below the other, each once", async () => {
  const ids = await Promise.all([
    places.ensureFolder("root", ["2026", "May"]),
    places.ensureFolder("root", ["2026", "May"]),
    places.ensureFolder("root", ["2026"]),
    places.ensureFolder("root", []),
  ]);
  assert.deepEqual(ids, ["root/2026/May", "root/2026/May", "root/2026", "root"]);
  assert.deepEqual(calls, [
    { folder: "root", path: ["2026"] },
    { folder: "root/2026", path: ["May"] },
  ]);
  assert.equal(places.findFolder("root", ["2026", "May"]), "root/2026/May");
});

test("forgotten folders are created again", async () => {
  await places.ensureFolder("root", ["a", "b"]);
  places.forgetFolders("root", ["a", "b"]);
  assert.equal(places.findFolder("root", ["a"]), undefined);
  await places.ensureFolder("root", ["a", "b"]);
  assert.equal(calls.length, 4);
});

test("a folder that failed is tried again the next time", async () => {
  await assert.rejects(places.ensureFolder("root", ["bad"]), { status: 422 });
  await assert.rejects(places.ensureFolder("root", ["bad"]), { status: 422 });
  assert.equal(calls.length, 2);
});

test("two spellings of one name are the same place", () => {
  const [one] = places.listNames({ folder: "root", path: ["Cafe\u0301.JPG"] });
  const [other] = places.listNames({ folder: "root", path: ["caf\u00e9.jpg"] });
  assert.equal(one, other);
});

test("a file below a folder and one put straight into it are the same place", async () => {
  await places.ensureFolder("root", ["a"]);
  const below = places.listNames({ folder: "root", path: ["a", "x.jpg"] });
  const [direct] = places.listNames({ folder: "root/a", path: ["x.jpg"] });
  assert.ok(below.includes(direct));
});

test("folders have no names to compete for", () => {
  assert.deepEqual(places.listNames({ folder: "root", path: ["a"], isFolder: true }), []);
});

test("an arrival counts for later moments only", () => {
  const entry = { folder: "root", path: ["x.jpg"], arrivedAt: 100 };
  places.noteArrival(entry);
  assert.equal(places.hasArrivedSince(entry, 99), true);
  assert.equal(places.hasArrivedSince(entry, 100), false);
});
