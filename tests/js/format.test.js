import assert from "node:assert/strict";
import { test } from "node:test";

import "./browser.js";

const { formatSize } = await import("../../imagehub/static/js/admin/format.js");

test("sizes have a unit of a thousand and at most one decimal", () => {
  const sizes = [0, 999, 1000, 1550, 99_500, 999_500, 3_200_000, 5e9, 7e12, 9e15];
  assert.deepEqual(
    sizes.map((size) => formatSize(size).replace("\u00a0", " ")),
    "0 bytes, 999 bytes, 1 kB, 1.6 kB, 100 kB, 1 MB, 3.2 MB, 5 GB, 7 TB, 9000 TB".split(", "),
  );
});
