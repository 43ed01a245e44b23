import assert from "node:assert/strict";
import { test } from "node:test";

import { makeLastingUrl } from "../../imagehub/static/js/renditions.js";

test("the smallest size is taken that is large enough", () => {
  const sizes = [0, 480, 600, 601, 1200, 1201, 9000];
  assert.deepEqual(
    sizes.map((pixels) => makeLastingUrl("/media/7/960", pixels)),
    [480, 480, 480, 720, 960, 1920, 1920].map((size) => `/media/7/${size}`),
  );
});

test("the format stays", () => {
  assert.equal(makeLastingUrl("/media/7/480.webp", 1920), "/media/7/1920.webp");
});
