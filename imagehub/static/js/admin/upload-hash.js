// quickXorHash, the checksum that OneDrive has for every file: it tells whether the file there has
// the bytes of a file here (learn.microsoft.com/onedrive/developer/code-snippets/quickxorhash).

const WIDTH_BITS = 160;
const SHIFT_BITS = 11;
// Byte i is added at bit 11·i mod 160, so bytes that are 160 apart are added at the same bit, and
// can be combined before any of them is shifted.
const PERIOD_BYTES = 160;
const PERIOD_WORDS = PERIOD_BYTES / 4;
const PIECE_BYTES = PERIOD_BYTES * 65_536;

/** Return the hash of a file in base64, as OneDrive writes it. Throws what reading the file throws.
 * @param {Blob} file @param {AbortSignal} [signal] */
export async function hashFile(file, signal) {
  const words = new Uint32Array(PERIOD_WORDS);
  const bytes = new Uint8Array(words.buffer);
  for (let begin = 0; begin < file.size; begin += PIECE_BYTES) {
    signal?.throwIfAborted();
    const piece = await file.slice(begin, begin + PIECE_BYTES).arrayBuffer();
    const wholeBytes = piece.byteLength - (piece.byteLength % PERIOD_BYTES);
    const whole = new Uint32Array(piece, 0, wholeBytes / 4);
    for (let place = 0; place < whole.length; place += PERIOD_WORDS) {
      for (let word = 0; word < PERIOD_WORDS; word++) words[word] ^= whole[place + word];
    }
    new Uint8Array(piece, wholeBytes).forEach((byte, place) => (bytes[place] ^= byte));
  }
  return btoa(String.fromCharCode(...shift(bytes, file.size)));
}

/** @param {Uint8Array} bytes of one period @param {number} size of the file */
function shift(bytes, size) {
  const width = BigInt(WIDTH_BITS);
  let sum = 0n;
  bytes.forEach((byte, place) => {
    sum ^= BigInt(byte) << BigInt((SHIFT_BITS * place) % WIDTH_BITS);
  });
  // The high bits of a byte near the end continue at the beginning.
  sum = BigInt.asUintN(WIDTH_BITS, sum) ^ (sum >> width) ^ (BigInt(size) << (width - 64n));
  return Array.from({ length: WIDTH_BITS / 8 }, (_, place) =>
    Number((sum >> (8n * BigInt(place))) & 255n),
  );
}
