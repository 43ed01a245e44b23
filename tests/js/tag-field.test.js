import assert from "node:assert/strict";
import { test } from "node:test";

import "./browser.js";
import { findPart, isFinished, putTag } from "../../imagehub/static/js/admin/tag-field.js";

test("the tag that is being typed is the part around the caret", () => {
  assert.equal(findPart("sea, win", 8).text, "win");
  assert.equal(findPart("sea, winter", 1).text, "sea");
  assert.equal(findPart("sea; winter ,wood", 6).text, "winter");
  assert.equal(findPart("sea, ", 5).text, "");
});

test("a tag is half typed until a separator follows it", () => {
  assert.equal(isFinished("sea, win", 8, "sea"), false);
  assert.equal(isFinished("sea, win,", 9, "sea"), true);
  assert.equal(isFinished("se, wood", 2, "Sea, wood"), false);
  assert.equal(isFinished("sea", 3, "Sea, wood"), true);
  assert.equal(isFinished("", 0, "sea"), true);
});

test("a chosen tag replaces that part, and the next one can be typed", () => {
  assert.deepEqual(putTag("win", 3, "Winter"), { text: "Winter, ", caret: 8 });
  assert.deepEqual(putTag("sea,win", 7, "Winter"), { text: "sea, Winter, ", caret: 13 });
  assert.deepEqual(putTag("se, wood", 2, "Sea"), { text: "Sea, wood", caret: 3 });
});
