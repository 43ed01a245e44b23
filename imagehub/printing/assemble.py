"""Write the PDF of a print file: the pages as Typst made them, with the real pictures.

Typst writes each object of a PDF by itself, one after the other, and a table of where they begin.
So the stand-in of a picture, which is known by its width, is replaced while the file is copied.
Only one picture is in memory at a time. Source: ISO 32000-1, 7.5 (file structure), 8.9.5 (images),
14.11.2 (page boundaries).
"""

import re
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from imagehub.printing.pictures import PrintPicture

_START = re.compile(rb"startxref\s+(\d+)\s+%%EOF\s*$")
# From the beginning of an object: titles, which may say anything, are in objects too.
_STAND_IN = re.compile(
    rb"\d+ 0 obj\s*<<\s*(?:/Length \d+\s*)?/Type\s*/XObject\s*/Subtype\s*/Image\b"
)
_WIDTH, _HEIGHT = re.compile(rb"/Width (\d+)\b"), re.compile(rb"/Height 1\b")
_PAGE_BOX = re.compile(rb"/MediaBox\s*(\[[^\]]*\])")
_PAGE = re.compile(rb"\d+ 0 obj\s*<<\s*/Type\s*/Page\b(?!s)")
_ENTRY_BYTES = 20


@dataclass(frozen=True)
class PlacedPicture:
    """A picture in a file of its own, which is deleted once it is written."""

    path: Path
    picture: PrintPicture


def make_stand_in(number: int) -> bytes:
    """Make the stand-in of a picture: a grey PNG of one row, whose width is its number.

    :param number: from 1.
    """

    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + checksum

    header = struct.pack(">IIBBBBB", number, 1, 8, 0, 0, 0, 0)
    pixels = zlib.compress(b"\0" + b"\x80" * number)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    )


def write_pdf(
    source: Path,
    pictures: dict[int, PlacedPicture],
    write: Callable[[bytes], None],
) -> int:
    """Copy a PDF of Typst, with pictures in place of their stand-ins.

    :param source: small, as it has no pictures.
    :param pictures: number of the stand-in → picture.
    :param write: takes the parts of the new PDF in their order.
    :return: the number of pages.
    :raise ValueError: the source is not written as Typst does.
    """
    old = source.read_bytes()
    offsets, trailer = _read_table(old)
    size = len(offsets)
    new_offsets = [0] * (size + 1)
    position = page_count = 0
    left = set(pictures)
    profile = b""

    def put(data: bytes) -> None:
        nonlocal position
        write(data)
        position += len(data)

    put(old[: min(offset for offset in offsets[1:] if offset)])
    for number, data in _iter_objects(old, offsets):
        new_offsets[number] = position
        name = _find_stand_in(data)
        if name in left:
            left.discard(name)
            placed = pictures[name]
            put(_draw_header(number, placed, size))
            # At most some megabytes.
            jpeg = placed.path.read_bytes()
            profile = profile or _find_profile(jpeg)
            put(jpeg)
            placed.path.unlink()
            put(b"\nendstream\nendobj\n\n")
            continue
        if _PAGE.match(data):
            page_count += 1
            # Nothing is printed up to the edge, so all boxes are the same.
            data = _PAGE_BOX.sub(rb"/MediaBox\1/TrimBox\1/BleedBox\1", data, count=1)
        put(data)
    if left:
        raise ValueError(f"{len(left)} pictures have no place in the PDF")
    if profile:
        new_offsets[size] = position
        head = b"%d 0 obj\n<</N 3/Alternate/DeviceRGB/Length %d>>\nstream\n"
        put(head % (size, len(profile)) + profile + b"\nendstream\nendobj\n\n")
    else:
        new_offsets.pop()
    start = position
    put(b"xref\n0 %d\n0000000000 65535 f\r\n" % len(new_offsets))
    put(b"".join(b"%010d 00000 n\r\n" % offset for offset in new_offsets[1:]))
    trailer = re.sub(rb"/Size \d+", b"/Size %d" % len(new_offsets), trailer, count=1)
    put(b"trailer\n" + trailer + b"\nstartxref\n%d\n%%%%EOF\n" % start)
    return page_count


def _read_table(data: bytes) -> tuple[list[int], bytes]:
    """Return the offset of each object, 0 for none, and the dictionary of the trailer."""
    found = _START.search(data[-200:])
    start = int(found[1]) if found else -1
    head = re.compile(rb"xref\s+0 (\d+)\s*?\r?\n").match(data, start) if start > 0 else None
    if head is None:
        raise ValueError("the PDF has no plain table of its objects")
    size, first = int(head[1]), head.end()
    rows = [
        data[first + _ENTRY_BYTES * i : first + _ENTRY_BYTES * (i + 1)].split() for i in range(size)
    ]
    offsets = [int(row[0]) if row[2] == b"n" else 0 for row in rows]
    rest = data[first + _ENTRY_BYTES * size :]
    trailer = rest.partition(b"trailer")[2].partition(b"startxref")[0].strip()
    if not trailer.startswith(b"<<"):
        raise ValueError("the PDF has no trailer")
    return offsets, trailer


def _iter_objects(data: bytes, offsets: list[int]) -> Iterator[tuple[int, bytes]]:
    """Yield each object by its number, in the order of the file."""
    found = _START.search(data[-200:])
    end = int(found[1]) if found else len(data)
    places = sorted((offset, number) for number, offset in enumerate(offsets) if offset)
    for (offset, number), (following, _) in zip(places, [*places[1:], (end, 0)], strict=True):
        part = data[offset:following]
        if not part.startswith(b"%d 0 obj" % number):
            raise ValueError(f"object {number} is not where it should be")
        yield number, part


def _find_stand_in(data: bytes) -> int:
    """Return the number of a stand-in; 0 for any other object."""
    if not _STAND_IN.match(data):
        return 0
    head = data.partition(b"stream")[0]
    width = _WIDTH.search(head)
    if width and _HEIGHT.search(head):
        return int(width[1])
    return 0


def _find_profile(jpeg: bytes) -> bytes:
    """Return the ICC profile of a JPEG; all pictures have the same, in one part.

    Source: ICC.1:2022, B.4: the marker APP2 with the name ``ICC_PROFILE``.
    """
    start = jpeg.find(b"ICC_PROFILE\0", 0, 4096)
    if start < 4:
        raise ValueError("the picture has no colour profile")
    length = int.from_bytes(jpeg[start - 2 : start], "big")
    return jpeg[start + 14 : start - 2 + length]


def _draw_header(number: int, placed: PlacedPicture, profile_number: int) -> bytes:
    picture = placed.picture
    return (
        b"%d 0 obj\n<</Type/XObject/Subtype/Image/Width %d/Height %d/BitsPerComponent 8"
        b"/ColorSpace[/ICCBased %d 0 R]/Filter/DCTDecode/Length %d>>\nstream\n"
    ) % (number, picture.width_px, picture.height_px, profile_number, placed.path.stat().st_size)
