"""quickXorHash, the only hash that OneDrive provides for both personal and business files."""

import base64

_WIDTH_BITS = 160
_SHIFT_BITS = 11
# Byte i is placed at bit 11·i mod 160, so the pattern repeats after 160 bytes.
_PERIOD_BYTES = 160
_PERIOD_MASK = (1 << (8 * _PERIOD_BYTES)) - 1


class QuickXorHash:
    """Add bytes in pieces of any size, read the result at any time.

    Bytes that are 160 apart are placed at the same bits, so whole pieces are first XORed as big
    integers, which is fast, and only the remaining 160 bytes are rotated one by one. Pieces whose
    size is a multiple of 160 are fastest.

    Source: learn.microsoft.com/onedrive/developer/code-snippets/quickxorhash.
    """

    def __init__(self) -> None:
        self._sum = 0
        self.size_bytes = 0

    def update(self, data: bytes) -> None:
        """Add the next piece."""
        offset = self.size_bytes % _PERIOD_BYTES
        self._sum ^= int.from_bytes(data, "little") << (8 * offset)
        self.size_bytes += len(data)

    def digest(self) -> bytes:
        """Return the 20 bytes of the hash."""
        folded, rest = 0, self._sum
        size_bits = rest.bit_length()
        # Halve while that saves work, then fold the periods one by one.
        while size_bits > 64 * 8 * _PERIOD_BYTES:
            half = -(-size_bits // (2 * 8 * _PERIOD_BYTES)) * 8 * _PERIOD_BYTES
            rest = (rest >> half) ^ (rest & ((1 << half) - 1))
            size_bits = rest.bit_length()
        while rest:
            folded ^= rest & _PERIOD_MASK
            rest >>= 8 * _PERIOD_BYTES
        total = 0
        for index, byte in enumerate(folded.to_bytes(_PERIOD_BYTES, "little")):
            total ^= byte << (_SHIFT_BITS * index % _WIDTH_BITS)
        # The high bits of a byte near the top continue at the bottom.
        total = (total & ((1 << _WIDTH_BITS) - 1)) ^ (total >> _WIDTH_BITS)
        total ^= self.size_bytes << (_WIDTH_BITS - 64)
        return total.to_bytes(_WIDTH_BITS // 8, "little")

    def base64(self) -> str:
        """Return the hash as Graph writes it."""
        return base64.b64encode(self.digest()).decode("ascii")
