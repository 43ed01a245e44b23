import assert from "node:assert/strict";
import { test } from "node:test";

import { hashFile } from "../../imagehub/static/js/admin/upload-hash.js";

// Microsoft's description of the algorithm, bit by bit.
function hashSlowly(bytes) {
  const bits = new Uint8Array(160);
  bytes.forEach((byte, place) => {
    for (let bit = 0; bit < 8; bit++) bits[(place * 11 + bit) % 160] ^= (byte >> bit) & 1;
  });
  const hash = new Uint8Array(20);
  bits.forEach((bit, place) => (hash[place >> 3] |= bit << (place & 7)));
  const length = new Uint8Array(new BigUint64Array([BigInt(bytes.length)]).buffer);
  length.forEach((byte, place) => (hash[12 + place] ^= byte));
  return Buffer.from(hash).toString("base64");
}

function makeBytes(size) {
  let seed = size + 1;
  return Uint8Array.from({ length: size }, () => {
    seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
    return seed >> 16;
  });
}

// Source: rclone, backend/onedrive/quickxorhash/quickxorhash_test.go.
for (const [content, hash] of [
  ["", "AAAAAAAAAAAAAAAAAAAAAAAAAAA="],
  ["Sg==", "SgAAAAAAAAAAAAAAAQAAAAAAAAA="],
  ["tbQ=", "taAFAAAAAAAAAAAAAgAAAAAAAAA="],
  ["0pZP", "0rDEEwAAAAAAAAAAAwAAAAAAAAA="],
]) {
  test(`the published hash of “${content}”`, async () => {
    assert.equal(await hashFile(new Blob([Buffer.from(content, "base64")])), hash);
  });
}

for (const size of [159, 160, 161, 3 * 160 + 7, 10_001]) {
  test(`the hash of ${size} bytes`, async () => {
    const bytes = makeBytes(size);
    assert.equal(await hashFile(new Blob([bytes])), hashSlowly(bytes));
  });
}

test("a file of several pieces has the hash of its whole", async () => {
  const size = 160 * 65_536 + 161;
  const bytes = makeBytes(size);
  assert.equal(await hashFile(new Blob([bytes])), hashSlowly(bytes));
});

test("hashing stops when it is cancelled", async () => {
  const reason = new Error("cancelled");
  await assert.rejects(hashFile(new Blob(["x"]), AbortSignal.abort(reason)), reason);
});
