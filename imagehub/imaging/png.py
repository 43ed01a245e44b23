"""Look through the chunks of a PNG file: colours that Pillow does not read, chunks to leave out.

Source: PNG Specification, third edition (W3C, 2025), sections 5 and 11.3.
"""

import io
import struct
import zlib
from bisect import bisect_right
from dataclasses import dataclass, field
from itertools import accumulate
from typing import BinaryIO

from PIL import PngImagePlugin

# What the texts of a picture may unpack to altogether, and its colour profile by itself.
MAX_UNPACKED_BYTES = 64_000_000
# Pillow would refuse the picture for one text of more than 1 MB.
PngImagePlugin.MAX_TEXT_CHUNK = MAX_UNPACKED_BYTES
PngImagePlugin.MAX_TEXT_MEMORY = MAX_UNPACKED_BYTES

# A longer text is passed on only if Pillow looks for the orientation in it, and a longer chunk of
# another kind only if the picture cannot be shown without it.
_LONG_BYTES = 1_000_000
_TEXTS_WITH_ORIENTATION = (b"XML:com.adobe.xmp", b"Raw profile type exif", b"exif")
_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
_COLORS = (b"cICP", b"gAMA", b"cHRM", b"sRGB")
# Chunks for which Pillow refuses a picture when they are shorter, though it can be shown without.
_MIN_BYTES = {b"gAMA": 4, b"cHRM": 32, b"sRGB": 1, b"pHYs": 9, b"iCCP": 4}
_READ_BYTES = 1 << 16


@dataclass
class PngChunks:
    """What the chunks of a PNG file say.

    :ivar coding: colour primaries, transfer function, matrix and full range (0 or 1) of ``cICP``;
        code points of ITU-T H.273.
    :ivar gamma: the exponent that the samples were encoded with, such as 0.45455.
    :ivar chromaticities: x and y of white, red, green, blue.
    :ivar unwanted: (first byte, first byte after) of each chunk to leave out, in order.
    :ivar long_text_bytes: size of the texts and the profile that are kept and exceed 1 MB.
    """

    coding: tuple[int, int, int, int] | None = None
    gamma: float | None = None
    chromaticities: tuple[float, ...] | None = None
    is_srgb: bool = False
    unwanted: list[tuple[int, int]] = field(default_factory=list)
    long_text_bytes: int = 0


def read_chunks(file: BinaryIO) -> PngChunks:
    """Walk through all chunks; stops at the first one that is broken, which the decoder reports.

    :param file: its position afterwards is undefined.
    """
    found = PngChunks()
    end = file.seek(0, io.SEEK_END)
    at = 8
    text_bytes = 0
    while at + 12 <= end:
        file.seek(at)
        length, name = struct.unpack(">I4s", file.read(8))
        after = at + length + 12
        if name == b"IEND" or after > end:
            break
        is_unwanted = length < _MIN_BYTES.get(name, 0)
        unpacked = 0
        if name in _TEXTS:
            keyword, unpacked = _measure_text(file, name, length, MAX_UNPACKED_BYTES - text_bytes)
            text_bytes += unpacked
            is_unwanted = text_bytes > MAX_UNPACKED_BYTES or (
                unpacked > _LONG_BYTES and keyword not in _TEXTS_WITH_ORIENTATION
            )
        elif name == b"iCCP" and not is_unwanted:
            _, packed, method, rest = _split_keyword(file, length)
            unpacked = _measure_unpacked(file, packed, rest, MAX_UNPACKED_BYTES)
            is_unwanted = method != 0 or unpacked > MAX_UNPACKED_BYTES
        elif name in _COLORS and not is_unwanted:
            _read_color(found, name, file.read(min(length, 32)))
        elif name[0] & 32 and name != b"fdAT":
            is_unwanted = is_unwanted or length > _LONG_BYTES
        if is_unwanted:
            found.unwanted.append((at, after))
        elif unpacked > _LONG_BYTES:
            found.long_text_bytes += unpacked
        at = after
    return found


def _read_color(found: PngChunks, name: bytes, body: bytes) -> None:
    if name == b"cICP" and len(body) == 4:
        found.coding = (body[0], body[1], body[2], body[3])
    elif name == b"gAMA":
        found.gamma = int.from_bytes(body[:4], "big") / 100_000
    elif name == b"cHRM":
        found.chromaticities = tuple(v / 100_000 for v in struct.unpack(">8I", body))
    elif name == b"sRGB":
        found.is_srgb = True


def _split_keyword(file: BinaryIO, length: int) -> tuple[bytes, bytes, int, int]:
    """Read the start of a chunk with a keyword and packed content.

    :return: keyword, start of the packed content, its method, number of bytes still to be read.
    """
    head = file.read(min(length, 100))
    keyword, _, content = head.partition(b"\0")
    return keyword, content[1:], content[0] if content else -1, length - len(head)


def _measure_text(file: BinaryIO, name: bytes, length: int, limit: int) -> tuple[bytes, int]:
    """Return keyword and unpacked size of a text; more than the limit if it cannot be read."""
    if name == b"zTXt":
        keyword, packed, method, rest = _split_keyword(file, length)
        if method > 0:
            return keyword, limit + 1
        return keyword, _measure_unpacked(file, packed, rest, limit)
    head = file.read(min(length, 4000))
    keyword, _, content = head.partition(b"\0")
    if name == b"tEXt" or content[:1] != b"\1":
        return keyword, length
    packed = content[2:].partition(b"\0")[2].partition(b"\0")[2]
    return keyword, _measure_unpacked(file, packed, length - len(head), limit)


def _measure_unpacked(file: BinaryIO, packed: bytes, rest: int, limit: int) -> int:
    """Unpack without keeping anything, until more than the limit has come out."""
    unpack = zlib.decompressobj()
    count = 0
    try:
        while count <= limit and not unpack.eof:
            if not packed:
                packed = file.read(min(rest, _READ_BYTES))
                rest -= len(packed)
                if not packed:
                    break
            count += len(unpack.decompress(packed, _READ_BYTES))
            packed = unpack.unconsumed_tail
    except zlib.error:
        pass  # Pillow takes it for empty.
    return count


class _SplicedFile(io.RawIOBase):
    """Read a file as if some parts of it were not there.

    :param file: stays open when this is closed.
    :param unwanted: (first byte, first byte after), in order.
    """

    def __init__(self, file: BinaryIO, unwanted: list[tuple[int, int]]) -> None:
        self._file = file
        end = file.seek(0, io.SEEK_END)
        edges = [0, *(edge for part in unwanted for edge in part), end]
        wanted = list(zip(edges[::2], edges[1::2], strict=True))
        # Of each kept part: its place in the whole file, and its place here.
        self._places = [start for start, _ in wanted]
        self._starts = list(accumulate((b - a for a, b in wanted), initial=0))
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._starts[-1]}
        self._position = max(0, base[whence] + offset)
        return self._position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        count = min(len(buffer), self._starts[-1] - self._position)
        if count <= 0:
            return 0
        index = bisect_right(self._starts, self._position) - 1
        count = min(count, self._starts[index + 1] - self._position)
        self._file.seek(self._places[index] + self._position - self._starts[index])
        data = self._file.read(count)
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)


def leave_out(file: BinaryIO, unwanted: list[tuple[int, int]]) -> BinaryIO:
    """Return the file without some parts."""
    return io.BufferedReader(_SplicedFile(file, unwanted), _READ_BYTES) if unwanted else file
