import assert from "node:assert/strict";
import { test } from "node:test";

import { serve } from "./browser.js";

const { Patience, Stop, growWait } = await import(
  "../../imagehub/static/js/admin/upload-patience.js"
);

const never = () => new AbortController().signal;

/** Skip every pause until the promise is settled. */
async function hurry(patience, promise) {
  const timer = setInterval(() => patience.wake(), 5);
  try {
    return await promise;
  } finally {
    clearInterval(timer);
  }
}

test("pauses double from a second to a minute", () => {
  assert.deepEqual([1, 2, 3, 6, 7, 50].map(growWait), [1000, 2000, 4000, 32_000, 60_000, 60_000]);
});

test("waking ends a pause", async () => {
  const patience = new Patience();
  const pause = patience.sleep(3_600_000, never());
  patience.wake();
  await pause;
});

test("an abort ends a pause with its reason", async () => {
  const patience = new Patience();
  const control = new AbortController();
  const pause = patience.sleep(3_600_000, control.signal);
  const reason = new Error("cancelled");
  control.abort(reason);
  await assert.rejects(pause, reason);
});

test("waking does not end the pause that OneDrive asked for", async () => {
  const patience = new Patience();
  const control = new AbortController();
  let isOver = false;
  const pause = patience.backOff(1, { signal: control.signal, retryAfter: 3_600_000 }).then(
    () => (isOver = true),
    () => {},
  );
  patience.wake();
  await new Promise(setImmediate);
  assert.equal(isOver, false);
  control.abort();
  await pause;
});

test("a call is repeated until the server is ready", async (context) => {
  const answers = [{ status: 503 }, { status: 502, body: "<html>" }, { body: { id: "x" } }];
  const bodies = [];
  const url = await serve(context, (json) => {
    bodies.push(json);
    return answers.shift();
  });
  const patience = new Patience();
  assert.deepEqual(await hurry(patience, patience.call(url, { a: 1 }, never())), { id: "x" });
  assert.deepEqual(bodies, [{ a: 1 }, { a: 1 }, { a: 1 }]);
});

test("a refusal is not repeated", async (context) => {
  let count = 0;
  const url = await serve(context, () => {
    count += 1;
    return { status: 422, body: { detail: "No." } };
  });
  await assert.rejects(new Patience().call(url, {}, never()), { status: 422, message: "No." });
  assert.equal(count, 1);
});

for (const [name, answer] of [
  ["signed out", { status: 401 }],
  ["not allowed to write", { status: 403 }],
  ["not connected", { status: 502, headers: { "X-OneDrive": "lost" }, body: { detail: "Lost." } }],
]) {
  test(`${name}: the whole queue stops`, async (context) => {
    const url = await serve(context, () => answer);
    await assert.rejects(new Patience().call(url, {}, never()), (error) => {
      assert.ok(error instanceof Stop);
      assert.deepEqual([error.state, error.stopsAll], ["waiting", true]);
      return true;
    });
  });
}

test("a call waits until the network is back", async (context) => {
  const url = await serve(context, () => ({ body: "null" }));
  const patience = new Patience();
  navigator.onLine = false;
  const waiting = patience.waitUntilReady(never());
  navigator.onLine = true;
  patience.wake();
  await waiting;
  assert.equal(await patience.call(url, {}, never()), null);
});
