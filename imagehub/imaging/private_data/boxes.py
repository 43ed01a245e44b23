"""Look at files that consist of boxes: HEIC, AVIF, JPEG XL and JPEG 2000.

HEIC and AVIF keep metadata in items of their ``meta`` box, the others in boxes of their own.

Source: ISO/IEC 14496-12, sections 4.2 and 8.11; ISO/IEC 23008-12 (HEIF), annex A.2; ISO/IEC 18181-2
(JPEG XL), section 9; ISO/IEC 15444-1 (JPEG 2000), annex I.
"""

import re
from dataclasses import dataclass

from imagehub.imaging.private_data.exif import look_at_tiff
from imagehub.imaging.private_data.source import Window
from imagehub.imaging.private_data.xmp import look_at_xmp
from imagehub.imaging.sources import CannotCleanError
from imagehub.imaging.video.boxes import Box, BoxReader

_MAX_ITEMS = 100_000
# For all items together, and for one that holds metadata. Programs write one part per item.
_MAX_PARTS = 200_000
_MAX_METADATA_PARTS = 1_000
_PICTURE_BRANDS = frozenset(
    {b"mif1", b"msf1", b"mif2", b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"}
    | {b"avif", b"avis", b"miaf", b"avci"}
)
# By JPEG 2000 files: "JpgTiffExif->JP2".
_EXIF_UUID = b"JpgTiffExif->JP2"
_XMP_UUID = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
# Boxes that belong to the picture: of JPEG XL and JPEG 2000, and of the others at the top level.
_BOXES_OF_JPEG = frozenset(
    {b"JXL ", b"ftyp", b"jxlc", b"jxlp", b"jxll", b"jxli", b"free", b"jP  ", b"jp2h", b"jp2c"}
)
_PICTURE_BOXES = frozenset({b"ftyp", b"meta", b"mdat", b"free", b"skip", b"idat", b"wide", b"moov"})
_WORDS = re.compile(
    rb"gps|latitude|longitude|location|\xa9xyz|loci|serial|ownername", re.IGNORECASE
)


@dataclass
class _Item:
    kind: bytes
    content_type: bytes = b""
    encoding: bytes = b""
    is_protected: bool = False


def look_at_boxes(window: Window) -> None:
    """Look at a HEIC or AVIF file.

    :raise CannotCleanError: it is another kind of file, such as a video or a raw photo.
    """
    boxes = list(BoxReader(window).iter_boxes(0, window.size_bytes))
    head = window.read(boxes[0].start, min(boxes[0].size_bytes, 400))
    brands = {head[:4]} | {head[at : at + 4] for at in range(8, len(head), 4)}
    if b"crx " in brands or not brands & _PICTURE_BRANDS:
        raise CannotCleanError("not a picture")
    for box in boxes:
        if box.kind == b"meta":
            _look_at_meta(window, box)
        elif box.kind == b"moov":
            _look_at_movie(window, box)
        elif box.kind == b"uuid" and window.read(box.start, 16) == _XMP_UUID:
            look_at_xmp(window.cut(box.start + 16, box.size_bytes - 16))
        elif box.kind not in _PICTURE_BOXES:
            _look_at_other(window, box)


def look_at_jpeg_boxes(window: Window) -> None:
    """Look at a JPEG XL or JPEG 2000 file."""
    for box in BoxReader(window).iter_boxes(0, window.size_bytes):
        content = window.cut(box.start, box.size_bytes)
        name = window.read(box.start, 16) if box.kind == b"uuid" else b""
        if box.kind == b"Exif":
            skip = 4 + int.from_bytes(content.read(0, 4))
            look_at_tiff(content.cut(skip, box.size_bytes - skip))
        elif name == _EXIF_UUID:
            look_at_tiff(content.cut(16, box.size_bytes - 16))
        elif box.kind == b"xml ":
            look_at_xmp(content)
        elif name == _XMP_UUID:
            look_at_xmp(content.cut(16, box.size_bytes - 16))
        elif box.kind in (b"brob", b"jbrd"):
            # Compressed metadata, and what else a JPEG file held that this was made from.
            window.findings.note("other")
            _drop_box(window, box)
        elif box.kind not in _BOXES_OF_JPEG:
            _look_at_other(window, box)


def _look_at_other(window: Window, box: Box) -> None:
    """Make an ignored box of one that is not part of the picture, if it says something private.

    Motion photos of Samsung and Google keep their video in such boxes.
    """
    at, is_private = box.start, box.kind in (b"mpvd", b"sefd")
    while at < box.end and not is_private:
        # Pieces overlap, so that no word is missed where they meet.
        is_private = bool(_WORDS.search(window.read(at, min(1_048_576, box.end - at))))
        at += 1_048_560
    if is_private:
        window.findings.note("other")
        _drop_box(window, box)


def _drop_box(window: Window, box: Box) -> None:
    window.put(box.at + 4, b"free")
    window.blank(box.start, box.size_bytes)


def _look_at_movie(window: Window, movie: Box) -> None:
    """Drop the metadata of an image sequence that mention a place or a device."""
    for box in BoxReader(window).iter_boxes(movie.start, movie.end):
        if box.kind == b"trak":
            _look_at_movie(window, box)
        elif box.kind in (b"udta", b"meta", b"uuid") and _WORDS.search(
            window.read(box.start, box.size_bytes)
        ):
            window.findings.note("place")
            _drop_box(window, box)


# --- Items ----------------------------------------------------------------------------------------


def _look_at_meta(window: Window, meta: Box) -> None:
    boxes = {box.kind: box for box in BoxReader(window).iter_boxes(meta.start + 4, meta.end)}
    if b"iinf" not in boxes or b"iloc" not in boxes:
        return
    items = _read_infos(window, boxes[b"iinf"])
    wanted = {number for number, item in items.items() if item.kind in (b"Exif", b"mime", b"uri ")}
    places = _read_places(window, boxes[b"iloc"], boxes.get(b"idat"), wanted)
    for number in sorted(wanted):
        item, parts = items[number], places.get(number)
        if parts is None:
            continue
        content = Window(window.source, window.findings, parts)
        is_xmp = item.kind == b"mime" and item.content_type.startswith(
            (b"application/rdf+xml", b"application/xml", b"text/xml")
        )
        if item.is_protected or item.encoding:
            window.findings.note("other")
            window.findings.is_fixed = True
        elif item.kind == b"Exif":
            # The offset of the TIFF header from the end of these four bytes.
            skip = 4 + int.from_bytes(content.read(0, 4))
            look_at_tiff(content.cut(skip, content.size_bytes - skip))
        elif is_xmp:
            look_at_xmp(content)
        elif _WORDS.search(content.read_all()):
            window.findings.note("other")
            content.blank(0, content.size_bytes)


def _read_infos(window: Window, box: Box) -> dict[int, _Item]:
    version = window.read(box.start, 1)[0]
    count_bytes = 2 if version == 0 else 4
    start = box.start + 4 + count_bytes
    items = {}
    for info in BoxReader(window).iter_boxes(start, box.end):
        if info.kind != b"infe":
            continue
        data = window.read(info.start, min(info.size_bytes, 1_000))
        if data[0] < 2:
            raise CannotCleanError("an old kind of item")
        number_bytes = 2 if data[0] == 2 else 4
        at = 4 + number_bytes
        number = int.from_bytes(data[4:at])
        is_protected = data[at : at + 2] != b"\0\0"
        kind = data[at + 2 : at + 6]
        _name, *words = data[at + 6 :].split(b"\0")
        words = [*words, b"", b""]
        is_mime = kind == b"mime"
        items[number] = _Item(
            kind, words[0] if is_mime else b"", words[1] if is_mime else b"", is_protected
        )
        if len(items) > _MAX_ITEMS:
            raise CannotCleanError("too many items")
    return items


class _Reader:
    """Read numbers of a box one after the other."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.at = 0

    def read(self, size: int) -> int:
        if self.at + size > len(self._data):
            raise CannotCleanError("a box is too short")
        value = int.from_bytes(self._data[self.at : self.at + size])
        self.at += size
        return value


def _read_places(
    window: Window, box: Box, idat: Box | None, wanted: set[int]
) -> dict[int, list[tuple[int, int]]]:
    """Return where the bytes of items are in the file."""
    reader = _Reader(window.read(box.start, box.size_bytes))
    version = reader.read(4) >> 24
    sizes = reader.read(2)
    offset_bytes, length_bytes, base_bytes = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15
    index_bytes = sizes & 15 if version in (1, 2) else 0
    count = reader.read(2 if version < 2 else 4)
    if count > _MAX_ITEMS:
        raise CannotCleanError("too many items")
    places: dict[int, list[tuple[int, int]]] = {}
    left = _MAX_PARTS
    for _ in range(count):
        number = reader.read(2 if version < 2 else 4)
        method = reader.read(2) & 15 if version in (1, 2) else 0
        reference = reader.read(2)
        base = reader.read(base_bytes)
        parts = []
        part_count = reader.read(2)
        # A part may take up no bytes here, so the size of the box does not limit their number.
        left -= part_count
        if left < 0 or (number in wanted and part_count > _MAX_METADATA_PARTS):
            raise CannotCleanError("too many parts")
        for _ in range(part_count):
            reader.read(index_bytes)
            offset, length = base + reader.read(offset_bytes), reader.read(length_bytes)
            parts.append((offset, length))
        if number not in wanted:
            continue
        if reference or method > 1 or (method == 1 and idat is None):
            raise CannotCleanError("an item is kept elsewhere")
        shift, limit = (idat.start, idat.end) if method == 1 and idat else (0, window.size_bytes)
        places[number] = [(at + shift, (size or limit - at - shift)) for at, size in parts]
        if any(at < 0 or at + size > limit for at, size in places[number]):
            raise CannotCleanError("an item is outside of the file")
    return places
