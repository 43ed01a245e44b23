"""The two content hashes that the drive reports for every file."""

import hashlib
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

_COLUMN_BYTES = 160  # byte i lands on bit 11·i mod 160, so the pattern repeats every 160 bytes
_SHIFT_BITS = 11
_WIDTH_BITS = 160
_STRIDE_BYTES = _COLUMN_BYTES * 64
_CHUNK_BYTES = _STRIDE_BYTES * 100


class QuickXor:
    """quickXorHash, computed from chunks of any size.

    Bytes that are 160 apart start at the same bit. So whole strides of the stream are XORed as big
    integers first, and only the remaining 160 columns are shifted to their positions.

    Source: OneDrive documentation, "QuickXorHash algorithm".
    """

    def __init__(self) -> None:
        self._strides = 0
        self._pending = b""
        self._length_bytes = 0

    def update(self, data: bytes) -> None:
        self._length_bytes += len(data)
        if self._pending:
            data = self._pending + data
        view = memoryview(data)
        whole = len(data) - len(data) % _STRIDE_BYTES
        strides = self._strides
        for start in range(0, whole, _STRIDE_BYTES):
            strides ^= int.from_bytes(view[start : start + _STRIDE_BYTES], "little")
        self._strides = strides
        self._pending = bytes(view[whole:])

    def digest(self) -> bytes:
        """Return the 20 bytes of the hash so far; ``update`` may be called again."""
        columns = self._strides ^ int.from_bytes(self._pending, "little")
        width_bits = _STRIDE_BYTES * 8
        while width_bits > _COLUMN_BYTES * 8:  # fold the stride in halves down to one row
            width_bits //= 2
            columns = (columns >> width_bits) ^ (columns & ((1 << width_bits) - 1))
        total = 0
        for index, value in enumerate(columns.to_bytes(_COLUMN_BYTES, "little")):
            placed = value << (index * _SHIFT_BITS % _WIDTH_BITS)
            total ^= placed ^ (placed >> _WIDTH_BITS)
        total &= (1 << _WIDTH_BITS) - 1
        return (total ^ (self._length_bytes << 96)).to_bytes(20, "little")

    def base64(self) -> str:
        return b64encode(self.digest()).decode("ascii")


def hash_file(path: Path) -> tuple[str, str]:
    """Return the hashes of a file's bytes.

    :return: quickXorHash in base64, SHA-1 in upper-case hexadecimal, like the service.
    :raise OSError: the file cannot be read.
    """
    quick_xor = QuickXor()
    sha1 = hashlib.sha1(usedforsecurity=False)
    for chunk in _iter_chunks(path):
        quick_xor.update(chunk)
        sha1.update(chunk)
    return quick_xor.base64(), sha1.hexdigest().upper()


def _iter_chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb", buffering=0) as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            yield chunk
