// quickXorHash, the checksum that OneDrive gives for every file: it tells whether what lies there
// has the bytes of a file here (learn.microsoft.com/onedrive/developer/code-snippets/quickxorhash).

const WIDTH_BITS = 160;
const SHIFT_BITS = 11;
// Byte i lands at bit 11·i mod 160, so bytes that are 160 apart land on the same bits, and can be
// put together before any of them is turned into its place.
const PERIOD_BYTES = 160;
const PERIOD_WORDS = PERIOD_BYTES / 4;
const PIECE_BYTES = PERIOD_BYTES * 65_536;

// In base64, as OneDrive writes it. Throws what reading the file throws.
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
  return btoa(String.fromCharCode(...turn(bytes, file.size)));
}

function turn(bytes, size) {
  const width = BigInt(WIDTH_BITS);
  let sum = 0n;
  bytes.forEach((byte, place) => {
    sum ^= BigInt(byte) << BigInt((SHIFT_BITS * place) % WIDTH_BITS);
  });
  // A byte near the top runs over: its high bits go on at the bottom.
  sum = BigInt.asUintN(WIDTH_BITS, sum) ^ (sum >> width) ^ (BigInt(size) << (width - 64n));
  const eight = 8n;
  return Array.from({ length: WIDTH_BITS / 8 }, (_, place) =>
    Number((sum >> (eight * BigInt(place))) & 255n),
  );
}
