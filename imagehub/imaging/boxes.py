"""Find the colour coding of the picture in a HEIF or AVIF file.

Sources: ISO/IEC 14496-12, sections 4.2 (boxes), 8.11 (items) and 12.1.5 (colr); ISO/IEC 23008-12,
section 9.3 (properties of items).
"""

import io
import struct
from collections.abc import Iterator
from typing import BinaryIO

# Boxes before the metadata, and the size of the metadata itself, of a file that is worth reading.
_MAX_BOXES = 100
_MAX_META_BYTES = 16_000_000


def read_coding(file: BinaryIO) -> tuple[int, int] | None:
    """Return the colour primaries and the transfer function that a file names for its picture.

    That is the primary item, not a gain map or another item of the file; if it is put together
    from tiles, the first tile is asked as well.

    :param file: its position afterwards is undefined.
    :return: code points of ITU-T H.273; None if the file does not name them.
    """
    try:
        return _find_coding(_read_meta(file))
    except (struct.error, IndexError):
        return None


def _read_meta(file: BinaryIO) -> bytes:
    """Return the content of the box ``meta``, empty if there is none."""
    end = file.seek(0, io.SEEK_END)
    at = 0
    for _ in range(_MAX_BOXES):
        file.seek(at)
        size, kind = struct.unpack(">I4s", file.read(8))
        head = 8
        if size == 1:
            (size,) = struct.unpack(">Q", file.read(8))
            head = 16
        size = size or end - at
        if kind == b"meta":
            return file.read(min(size - head, _MAX_META_BYTES))
        if size < head:
            break
        at += size
    return b""


def _find_coding(meta: bytes) -> tuple[int, int] | None:
    found = dict(_list_boxes(meta[4:]))
    primary_box, parts = found.get(b"pitm", b""), dict(_list_boxes(found.get(b"iprp", b"")))
    primary = int.from_bytes(primary_box[4:], "big")
    properties = list(_list_boxes(parts.get(b"ipco", b"")))
    indexes = _read_associations(parts.get(b"ipma", b""))
    for item in (primary, *_list_tiles(found.get(b"iref", b""), primary)[:1]):
        colors = [
            body
            for index in indexes.get(item, ())
            for kind, body in properties[index - 1 : index]
            if kind == b"colr"
        ]
        for body in colors:
            if body[:4] == b"nclx":
                primaries, transfer = struct.unpack(">HH", body[4:8])
                return primaries, transfer
        if colors:
            break
    return None


def _list_boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        size = size or len(data) - at
        if size < 8:
            break
        yield kind, data[at + 8 : at + size]
        at += size


def _read_associations(data: bytes) -> dict[int, list[int]]:
    """Read the box ``ipma``: item → numbers of its properties, which count from 1."""
    if not data:
        return {}
    item_bytes, index_bytes = (4 if data[0] else 2), (2 if data[3] & 1 else 1)
    (count,) = struct.unpack_from(">I", data, 4)
    at = 8
    found: dict[int, list[int]] = {}
    for _ in range(count):
        item = int.from_bytes(data[at : at + item_bytes], "big")
        at += item_bytes
        length = data[at]
        at += 1
        # The first bit says whether the property is essential.
        found[item] = [
            int.from_bytes(data[start : start + index_bytes], "big")
            & (1 << 8 * index_bytes - 1) - 1
            for start in range(at, at + length * index_bytes, index_bytes)
        ]
        at += length * index_bytes
    return found


def _list_tiles(data: bytes, item: int) -> list[int]:
    """Read the box ``iref``: the items that another one is derived from."""
    if not data:
        return []
    id_bytes = 4 if data[0] else 2
    for kind, body in _list_boxes(data[4:]):
        if kind == b"dimg" and int.from_bytes(body[:id_bytes], "big") == item:
            start = id_bytes + 2
            count = int.from_bytes(body[id_bytes:start], "big")
            ends = range(start, start + count * id_bytes, id_bytes)
            return [int.from_bytes(body[at : at + id_bytes], "big") for at in ends]
    return []
