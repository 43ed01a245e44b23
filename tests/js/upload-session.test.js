import assert from "node:assert/strict";
import { test } from "node:test";

import { serve } from "./browser.js";

const { Pace, askPosition, findForbiddenHost } = await import(
  "../../imagehub/static/js/admin/upload-session.js"
);

const never = () => new AbortController().signal;

test("fragments grow on a fast network, within a limit", () => {
  const pace = new Pace();
  const first = pace.bytes;
  pace.note(first, 10);
  assert.equal(pace.bytes, 2 * first);
  for (let round = 0; round < 10; round++) pace.note(pace.bytes, 10);
  const most = pace.bytes;
  assert.ok(most < 60 * 2 ** 20, "OneDrive takes less than 60 MiB at once");
  assert.equal(most % (320 * 1024), 0, "OneDrive takes multiples of 320 KiB");
});

test("fragments shrink on a slow network, but not to nothing", () => {
  const pace = new Pace();
  for (let round = 0; round < 20; round++) pace.note(pace.bytes, 3_600_000);
  assert.ok(pace.bytes > 0);
  assert.equal(pace.bytes % (320 * 1024), 0);
});

test("a short last fragment says nothing about the network", () => {
  const pace = new Pace();
  const first = pace.bytes;
  pace.note(first - 1, 10);
  assert.equal(pace.bytes, first);
});

for (const [name, answer, position] of [
  ["the next byte", { body: { nextExpectedRanges: ["26-"] } }, { state: "known", start: 26 }],
  [
    "the missing bytes",
    { body: { nextExpectedRanges: ["26-99"] } },
    { state: "known", start: 26 },
  ],
  ["all bytes there", { body: { nextExpectedRanges: [] } }, { state: "unplaced" }],
  ["a session that is gone", { status: 404 }, { state: "gone" }],
  ["a session that is refused", { status: 401 }, { state: "refused" }],
  [
    "a busy server",
    { status: 503, headers: { "Retry-After": "7" } },
    { state: "again", retryAfter: 7000 },
  ],
  ["an answer that is no JSON", { body: "<html>" }, { state: "again" }],
]) {
  test(`asking for the position: ${name}`, async (context) => {
    const url = await serve(context, () => answer);
    assert.deepEqual(await askPosition(url, never()), position);
  });
}

test("asking for the position without a network", async () => {
  assert.deepEqual(await askPosition("http://127.0.0.1:1/", never()), { state: "unreached" });
});

test("a host is allowed until the browser says otherwise", () => {
  assert.equal(findForbiddenHost("https://example.com/session"), "");
});
