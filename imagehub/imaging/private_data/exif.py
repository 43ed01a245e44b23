"""Find private tags in Exif and TIFF: the GPS IFD, owner, serial numbers, maker notes.

Source: Exif 3.0, sections 4.6.3 to 4.6.7; TIFF 6.0; the BigTIFF design; DNG 1.6. Hexadecimal
numbers are tags.
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from imagehub.imaging.private_data.iptc import look_at_iptc, look_at_photoshop
from imagehub.imaging.private_data.source import Window
from imagehub.imaging.private_data.texts import (
    MAX_TEXT_BYTES,
    classify_text,
    decode_comment,
    decode_text,
)
from imagehub.imaging.private_data.xmp import look_at_xmp
from imagehub.imaging.sources import CannotCleanError

_MAX_IFDS = 200
_MAX_ENTRIES = 2_000
_MAX_PIXEL_RANGES = 2_000_000
_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_TYPE_BYTES |= {16: 8, 17: 8, 18: 8, 129: 1}
_TYPE_LETTERS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}

_MAKER_NOTE = 0x927C
_PRIVATE = {
    0x013C: "device",  # HostComputer: often "Anna's MacBook"
    0xA430: "person",  # CameraOwnerName
    0xA431: "device",  # BodySerialNumber
    0xA435: "device",  # LensSerialNumber
    0xC62F: "device",  # DNG CameraSerialNumber
    0xFDE8: "person",  # OwnerName, written by Adobe
    0xFDE9: "device",  # SerialNumber, written by Adobe
}
# What people write about the picture: ImageDescription, Artist and Copyright; and XPTitle, XPAuthor
# and XPKeywords of Windows.
_KEPT = frozenset({0x010E, 0x013B, 0x8298, 0x9C9B, 0x9C9D, 0x9C9E})
_MAX_KEPT_BYTES = 40_000
# ImageDescription, DocumentName, PageName and ImageTitle; UserComment; and XPTitle, XPComment,
# XPKeywords and XPSubject of Windows.
_TEXTS = frozenset({0x010E, 0x010D, 0x011D, 0xA436})
_USER_COMMENT = 0x9286
_WIDE_TEXTS = frozenset({0x9C9B, 0x9C9C, 0x9C9E, 0x9C9F})
_IFD_POINTERS = {0x014A: "image", 0x8769: "exif", 0x8825: "gps", 0xA005: "interoperability"}
# A GPS IFD with only these says nothing about a place: version, time, map datum, date, correction.
_PLACELESS = frozenset({0x00, 0x05, 0x07, 0x0C, 0x0E, 0x10, 0x12, 0x17, 0x19, 0x1D, 0x1E})
# Compressions and colours that only raw photos have.
_RAW_COMPRESSIONS = frozenset({32_767, 32_769, 32_770, 34_713, 34_892, 65_000, 65_535})
_RAW_PHOTOMETRICS = frozenset({32_803, 34_892})
_RAW_PRIVATE = frozenset({_MAKER_NOTE, 0xC634})


@dataclass(frozen=True)
class _Entry:
    tag: int
    kind: int
    count: int
    value_at: int
    size_bytes: int


def look_at_tiff(
    window: Window, look_at_thumbnail: Callable[[Window], None] | None = None, is_file: bool = False
) -> None:
    """Look at Exif, which is built like a TIFF file, or at a TIFF file.

    :param look_at_thumbnail: called with the window of an embedded JPEG.
    :param is_file: pixels are in the same window; nothing that they share bytes with is blanked.
    :raise CannotCleanError: the structure is too large or does not end.
    """
    _Tiff(window, look_at_thumbnail, is_file).look()


class _Tiff:
    def __init__(
        self, window: Window, look_at_thumbnail: Callable[[Window], None] | None, is_file: bool
    ) -> None:
        self._window = window
        self._look_at_thumbnail = look_at_thumbnail
        self._is_file = is_file
        self._is_raw = False
        self._pixels: list[tuple[int, int]] = []

    def look(self) -> None:
        head = self._window.read(0, 16)
        self._order = {b"II": "<", b"MM": ">"}.get(head[:2], "")
        magic = struct.unpack(self._order + "H", head[2:4])[0] if len(head) >= 8 else 0
        if not self._order or magic not in (42, 43):
            # Not readable, so nobody knows what is in it.
            if self._window.read_all().strip(b"\0 "):
                self._window.blank(0, self._window.size_bytes)
                self._window.findings.note("other")
            return
        self._is_big = magic == 43
        self._is_raw = head[8:10] == b"CR"
        first = self._read_number(8 if self._is_big else 4, 8 if self._is_big else 4)
        findings = self._window.findings
        before = len(findings.blanks)
        has_raw_notes = self._walk(first)
        if self._is_file and self._is_raw and has_raw_notes:
            # Raw photos cannot be developed without them.
            findings.note("device")
            findings.is_fixed = True
        if self._pixels and self._touches_pixels(before):
            findings.is_fixed = True

    def _read_number(self, offset: int, size: int) -> int:
        data = self._window.read(offset, size)
        if len(data) < size:
            return 0
        letter = {1: "B", 2: "H", 4: "I", 8: "Q"}[size]
        return int(struct.unpack(self._order + letter, data)[0])

    def _walk(self, first: int) -> bool:
        """Visit all IFDs; returns whether there is data that raw photos need."""
        findings = self._window.findings
        has_raw_notes = False
        waiting = [(first, "image")]
        seen: set[int] = set()
        while waiting:
            offset, role = waiting.pop()
            if not 0 < offset < self._window.size_bytes or offset in seen:
                continue
            seen.add(offset)
            if len(seen) > _MAX_IFDS:
                raise CannotCleanError("too many IFDs")
            entries, end = self._read_ifd(offset)
            if role == "gps":
                self._look_at_gps(offset, entries, end)
                continue
            for entry in entries:
                if entry.tag in _IFD_POINTERS:
                    to = _IFD_POINTERS[entry.tag]
                    waiting += [(at, to) for at in self._read_values(entry, _MAX_IFDS)]
                elif entry.tag in _RAW_PRIVATE and self._is_file:
                    has_raw_notes = True
            self._look_at_pixels(entries)
            for entry in entries:
                if entry.tag in _KEPT and role == "image":
                    data = self._window.read(entry.value_at, min(entry.size_bytes, _MAX_KEPT_BYTES))
                    findings.keep(f"exif-{entry.tag:04x}", data)
                self._look_at_entry(entry)
            self._look_at_embedded(entries)
            size = 8 if self._is_big else 4
            if role == "image":
                waiting.append((self._read_number(end - size, size), role))
        return has_raw_notes

    def _read_ifd(self, offset: int) -> tuple[list[_Entry], int]:
        """Return the entries of an IFD, and where it ends."""
        count_bytes, entry_bytes, next_bytes = (8, 20, 8) if self._is_big else (2, 12, 4)
        count = self._read_number(offset, count_bytes)
        if count > _MAX_ENTRIES:
            raise CannotCleanError("an IFD has too many entries")
        start = offset + count_bytes
        table = self._window.read(start, count * entry_bytes)
        entries = list(self._iter_entries(table, start))
        return entries, start + count * entry_bytes + next_bytes

    def _iter_entries(self, table: bytes, start: int) -> Iterator[_Entry]:
        layout, entry_bytes, inline = ("HHQ", 20, 8) if self._is_big else ("HHI", 12, 4)
        head_bytes = entry_bytes - inline
        for at in range(0, len(table) - entry_bytes + 1, entry_bytes):
            tag, kind, count = struct.unpack(self._order + layout, table[at : at + head_bytes])
            size = count * _TYPE_BYTES.get(kind, 1)
            value_at = start + at + head_bytes
            if size > inline:
                value_at = self._read_number(value_at, inline)
            yield _Entry(tag, kind, count, value_at, size)

    def _read_values(self, entry: _Entry, most: int) -> list[int]:
        letter = _TYPE_LETTERS.get(entry.kind)
        if letter is None:
            return []
        data = self._window.read(entry.value_at, min(entry.count, most) * _TYPE_BYTES[entry.kind])
        count = len(data) // _TYPE_BYTES[entry.kind]
        return list(
            struct.unpack(f"{self._order}{count}{letter}", data[: count * _TYPE_BYTES[entry.kind]])
        )

    # --- What is private --------------------------------------------------------------------------

    def _look_at_gps(self, offset: int, entries: list[_Entry], end: int) -> None:
        if not any(entry.tag not in _PLACELESS and self._has_value(entry) for entry in entries):
            return
        self._window.findings.note("place")
        for entry in entries:
            self._blank_value(entry)
        # An IFD without entries: programs find no position, instead of one at 0° north, 0° east.
        self._window.blank(offset, end - offset)

    def _look_at_entry(self, entry: _Entry) -> None:
        if entry.tag in _PRIVATE:
            if self._has_value(entry):
                self._window.findings.note(_PRIVATE[entry.tag])
                self._blank_value(entry)
        elif entry.tag == _MAKER_NOTE:
            start = self._window.read(entry.value_at, min(entry.size_bytes, 12))
            if self._has_value(entry) and not start.startswith(b"Apple iOS"):
                self._window.findings.note("device")
                self._blank_value(entry)
        elif entry.tag in _TEXTS or entry.tag in _WIDE_TEXTS or entry.tag == _USER_COMMENT:
            self._look_at_text(entry)
        elif entry.tag in (0x02BC, 0x83BB, 0x8649):
            value = self._window.cut(entry.value_at, entry.size_bytes)
            if entry.tag == 0x02BC:
                look_at_xmp(value)
            elif entry.tag == 0x83BB:
                look_at_iptc(value)
            else:
                look_at_photoshop(value, look_at_tiff)

    def _look_at_text(self, entry: _Entry) -> None:
        data = self._window.read(entry.value_at, min(entry.size_bytes, MAX_TEXT_BYTES))
        if entry.tag == _USER_COMMENT:
            text = decode_comment(data, self._order)
        elif entry.tag in _WIDE_TEXTS:
            text = data.decode("utf-16-le", "replace").strip("\0 ")
        else:
            text = decode_text(data)
        if kinds := classify_text(text):
            self._window.findings.kinds |= kinds
            self._blank_value(entry)

    def _has_value(self, entry: _Entry) -> bool:
        data = self._window.read(entry.value_at, min(entry.size_bytes, 4_194_304))
        return bool(data.strip(b"\0 "))

    def _blank_value(self, entry: _Entry) -> None:
        self._window.blank(entry.value_at, entry.size_bytes)

    # --- Pixels and thumbnails --------------------------------------------------------------------

    def _look_at_pixels(self, entries: list[_Entry]) -> None:
        by_tag = {entry.tag: entry for entry in entries}

        def first(tag: int) -> int:
            values = self._read_values(by_tag[tag], 1) if tag in by_tag else []
            return values[0] if values else 0

        self._is_raw |= (
            0xC612 in by_tag
            or first(0x0103) in _RAW_COMPRESSIONS
            or first(0x0106) in _RAW_PHOTOMETRICS
        )
        if not self._is_file:
            return
        for offsets, counts in ((0x0111, 0x0117), (0x0144, 0x0145)):
            if offsets in by_tag and counts in by_tag:
                starts = self._read_values(by_tag[offsets], _MAX_PIXEL_RANGES)
                sizes = self._read_values(by_tag[counts], _MAX_PIXEL_RANGES)
                self._pixels += zip(starts, sizes, strict=False)

    def _look_at_embedded(self, entries: list[_Entry]) -> None:
        """Look at a thumbnail that is a JPEG file."""
        by_tag = {entry.tag: entry for entry in entries}
        if self._look_at_thumbnail is None or not {0x0201, 0x0202} <= by_tag.keys():
            return
        at, size = (self._read_values(by_tag[tag], 1) for tag in (0x0201, 0x0202))
        if not (at and size and self._window.read(at[0], 2) == b"\xff\xd8"):
            return
        thumbnail = self._window.cut(at[0], size[0])
        try:
            self._look_at_thumbnail(thumbnail)
        except CannotCleanError:
            if self._is_file:
                raise
            self._window.findings.note("other")
            thumbnail.blank(0, thumbnail.size_bytes)

    def _touches_pixels(self, before: int) -> bool:
        """Tell whether a value that was found to be private lies in the pixels."""
        blanks = sorted(self._window.findings.blanks[before:])
        pixels = iter(sorted(self._pixels))
        start, size = next(pixels)
        for blank in blanks:
            while start + size <= blank.offset:
                following = next(pixels, None)
                if following is None:
                    return False
                start, size = following
            if start < blank.end:
                return True
        return False
