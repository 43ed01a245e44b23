"""quickXorHash, the one checksum that OneDrive gives for personal and business files alike."""

import base64

_WIDTH_BITS = 160
_SHIFT_BITS = 11
# Byte i lands at bit 11·i mod 160, so the pattern comes round after 160 bytes.
_PERIOD_BYTES = 160
_PERIOD_MASK = (1 << (8 * _PERIOD_BYTES)) - 1


class QuickXorHash:
    """Add bytes in pieces of any size, read the result at any time.

    Because bytes that are 160 apart land on the same bits, whole pieces are first XORed as big
    integers, at the speed of the interpreter's C code, and only the last 160 bytes that are left
    are turned into place one by one. Pieces whose size is a multiple of 160 are fastest.

    Source: learn.microsoft.com/onedrive/developer/code-snippets/quickxorhash.
    """

    def __init__(self) -> None:
        self._sum = 0
        self.size_bytes = 0

    def update(self, data: bytes) -> None:
        """Add the next bytes."""
        offset = self.size_bytes % _PERIOD_BYTES
        self._sum ^= int.from_bytes(data, "little") << (8 * offset)
        self.size_bytes += len(data)

    def digest(self) -> bytes:
        """The 20 bytes."""
        folded, rest = 0, self._sum
        size_bits = rest.bit_length()
        # Halve for as long as that saves work, then take the periods one by one.
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
        # A byte near the top runs over: its high bits continue at the bottom.
        total = (total & ((1 << _WIDTH_BITS) - 1)) ^ (total >> _WIDTH_BITS)
        total ^= self.size_bytes << (_WIDTH_BITS - 64)
        return total.to_bytes(_WIDTH_BITS // 8, "little")

    def base64(self) -> str:
        """The form in which Graph writes it."""
        return base64.b64encode(self.digest()).decode("ascii")
