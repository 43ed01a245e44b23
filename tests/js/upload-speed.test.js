import assert from "node:assert/strict";
import { test } from "node:test";

import { Speed } from "../../imagehub/static/js/admin/upload-speed.js";

test("the speed is that of the last seconds", () => {
  const speed = new Speed();
  assert.equal(speed.measure(0), 0);
  speed.add(1000, 0);
  assert.equal(speed.measure(10), 0, "one sample is not enough");
  speed.add(1000, 1000);
  assert.equal(speed.measure(2000), 1000);
  speed.add(4000, 9500);
  speed.add(4000, 9900);
  assert.equal(speed.measure(10_000), 16_000, "older samples are dropped");
});

test("a first moment does not look like a fast network", () => {
  const speed = new Speed();
  speed.add(1000, 0);
  speed.add(1000, 1);
  assert.equal(speed.measure(2), 4000);
});

test("a fragment that starts again takes nothing away", () => {
  const speed = new Speed();
  speed.add(-5000, 0);
  speed.add(1000, 1000);
  assert.equal(speed.measure(1000), 1000);
});
