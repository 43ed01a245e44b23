"""Look at JPEG files: their segments, further pictures in them, and what follows their end.

Source: ITU-T T.81, annex B; Exif 3.0, section 4.7; CIPA DC-007 (Multi-Picture Format); XMP
Specification part 3, 1.1.3.
"""

import re
import struct
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from imagehub.imaging.private_data.exif import look_at_tiff
from imagehub.imaging.private_data.iptc import look_at_photoshop
from imagehub.imaging.private_data.source import Window
from imagehub.imaging.private_data.texts import classify_text, decode_text
from imagehub.imaging.private_data.xmp import look_at_extended_xmp, look_at_xmp
from imagehub.imaging.sources import CannotCleanError

_MAX_SEGMENTS = 5_000
_MAX_DEPTH = 3
_MAX_PICTURES = 50
_SCAN_BYTES = 1_048_576
_TAIL_BYTES = 4_096
_COMMENT = 0xFE
_EXIF = b"Exif\0"
_XMP = b"http://ns.adobe.com/xap/1.0/\0"
_EXTENDED_XMP = b"http://ns.adobe.com/xmp/extension/\0"
_PHOTOSHOP = b"Photoshop 3.0\0"
_MPF = b"MPF\0"
# Application segments that describe only the picture.
_HARMLESS = (
    b"JFIF\0",
    b"JFXX\0",
    b"ICC_PROFILE\0",
    b"Ducky",
    b"Adobe",
    b"FPXR\0",
    b"urn:iso:std:iso:ts:21496",
)
# In segments of any other program, such as the telemetry of action cameras and C2PA manifests.
_WORDS = re.compile(
    rb"gps|latitude|longitude|location|serial|ownername|^gopro|^rmeta|^dji", re.IGNORECASE
)
# A file whose XMP mentions these has more behind its first picture.
_FOLLOWING = re.compile(rb"MicroVideo|MotionPhoto|Container:|Item:Length")
_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")


@dataclass
class _Picture:
    """What the segments of one picture in the file say."""

    extended: dict[bytes, dict[int, Window]] = field(default_factory=lambda: defaultdict(dict))
    guid_places: dict[bytes, list[Window]] = field(default_factory=lambda: defaultdict(list))
    photoshop: list[tuple[int, int]] = field(default_factory=list)
    # Where the further pictures are, and where this one ends.
    others: list[tuple[int, int]] = field(default_factory=list)
    own_size: int = 0
    has_following: bool = False
    scan_at: int = 0


def look_at_jpeg(window: Window, is_local: bool = True, depth: int = 0) -> None:
    """Look at a JPEG file.

    :param is_local: reading all of it costs nothing; otherwise the end of the picture is looked
        for only if something may follow it.
    :raise CannotCleanError: it is not built as it should be.
    """
    if depth > _MAX_DEPTH:
        raise CannotCleanError("pictures in pictures in pictures")
    at, parts = 0, []
    for _ in range(_MAX_PICTURES):
        picture = _look_at_segments(window, at, is_local, depth)
        end = _find_end(window, at, picture, is_local)
        parts.append((at, end))
        for start, size in picture.others:
            if start >= end and window.read(start, 2) == b"\xff\xd8":
                look_at_jpeg(window.cut(start, size), is_local, depth + 1)
                parts.append((start, start + size))
        following = _skip_padding(window, max(end for _, end in parts))
        if window.read(following, 3) != b"\xff\xd8\xff":
            _look_behind(window, parts)
            return
        # Another picture that the first one does not mention.
        at = following
    raise CannotCleanError("too many pictures")


def _look_at_segments(window: Window, start: int, is_local: bool, depth: int) -> _Picture:
    picture = _Picture()
    for kind, at, size in _iter_segments(window, start):
        if kind == 0xDA:
            picture.scan_at = at + size
            break
        if 0xE0 <= kind <= 0xEF or kind == _COMMENT:
            _look_at_segment(window, kind, at, size, picture, is_local, depth, start)
    if picture.photoshop:
        parts = [part for at, size in picture.photoshop for part in window.cut(at, size).parts]
        joined = Window(window.source, window.findings, parts)
        look_at_photoshop(joined, look_at_tiff)
    for guid, pieces in picture.extended.items():
        parts = [part for offset in sorted(pieces) for part in pieces[offset].parts]
        places = picture.guid_places[guid]
        look_at_extended_xmp(Window(window.source, window.findings, parts), places)
    return picture


def _iter_segments(window: Window, start: int) -> Iterator[tuple[int, int, int]]:
    """Yield marker, offset and size of the content of each segment, up to the first scan.

    The offset of a segment without content is where it ends.
    """
    at = start + 2
    for _ in range(_MAX_SEGMENTS):
        head = window.read(at, 4)
        if len(head) < 4 or head[0] != 0xFF:
            raise CannotCleanError("broken JPEG segments")
        if head[1] == 0xFF:
            at += 1
            continue
        if head[1] == 0x01 or 0xD0 <= head[1] <= 0xD9:
            if head[1] == 0xD9:
                raise CannotCleanError("a JPEG without a scan")
            at += 2
            continue
        size = int.from_bytes(head[2:4])
        if size < 2:
            raise CannotCleanError("broken JPEG segments")
        yield head[1], at + 4, size - 2
        if head[1] == 0xDA:
            return
        at += 2 + size
    raise CannotCleanError("too many JPEG segments")


def _look_at_segment(
    window: Window,
    kind: int,
    at: int,
    size: int,
    picture: _Picture,
    is_local: bool,
    depth: int,
    start: int,
) -> None:
    content = window.read(at, size)
    if kind == 0xE1 and content.startswith(_EXIF):
        look_at_tiff(
            window.cut(at + 6, size - 6),
            lambda thumbnail: look_at_jpeg(thumbnail, is_local, depth + 1),
        )
    elif kind == 0xE1 and content.startswith(_XMP):
        look_at_xmp(window.cut(at + len(_XMP), size - len(_XMP)))
        picture.has_following |= bool(_FOLLOWING.search(content))
        for match in re.finditer(rb"HasExtendedXMP(?:=[\"']|>)([0-9A-Fa-f]{32})", content):
            place = window.cut(at + match.start(1), 32)
            picture.guid_places[match[1].upper()].append(place)
    elif kind == 0xE1 and content.startswith(_EXTENDED_XMP):
        head = len(_EXTENDED_XMP)
        guid = content[head : head + 32]
        offset = int.from_bytes(content[head + 36 : head + 40])
        picture.guid_places[guid.upper()].append(window.cut(at + head, 32))
        picture.extended[guid.upper()][offset] = window.cut(at + head + 40, size - head - 40)
    elif kind == 0xED and content.startswith(_PHOTOSHOP):
        picture.photoshop.append((at + len(_PHOTOSHOP), size - len(_PHOTOSHOP)))
    elif kind == 0xE2 and content.startswith(_MPF):
        _read_index(window, at + 4, content[4:], picture, start)
    elif kind == _COMMENT:
        if kinds := classify_text(decode_text(content)):
            window.findings.kinds |= kinds
            window.blank(at, size, 0x20)
    elif not content.startswith(_HARMLESS) and _WORDS.search(content):
        window.findings.note("device")
        # The name of the program and the box lengths of JUMBF are not needed by anyone else.
        window.blank(at, size)


def _read_index(window: Window, at: int, content: bytes, picture: _Picture, start: int) -> None:
    """Read where the other pictures of the file are (MP Entry, tag 0xB002)."""
    order = {b"II": "<", b"MM": ">"}.get(content[:2])
    if order is None or len(content) < 8:
        raise CannotCleanError("broken MPF index")
    try:
        (ifd,) = struct.unpack_from(order + "I", content, 4)
        (count,) = struct.unpack_from(order + "H", content, ifd)
        has_list = False
        for place in range(ifd + 2, ifd + 2 + 12 * count, 12):
            tag, _kind, length, value_at = struct.unpack_from(order + "HHII", content, place)
            if tag != 0xB002:
                continue
            if has_list:
                raise CannotCleanError("an MPF index that lists the pictures twice")
            has_list = True
            for entry in range(value_at, value_at + length - 15, 16):
                _, size, offset = struct.unpack_from(order + "III", content, entry)
                if offset == 0:
                    picture.own_size = size
                elif len(picture.others) < _MAX_PICTURES:
                    picture.others.append((at + offset, size))
    except struct.error:
        raise CannotCleanError("broken MPF index") from None


# --- Where a picture ends -------------------------------------------------------------------------


def _find_end(window: Window, start: int, picture: _Picture, is_local: bool) -> int:
    """Find the end of the picture that begins at ``start``.

    If reading costs nothing, neither its index nor the last bytes of the file are trusted: another
    picture with an Exif block of its own may hide behind this one.
    """
    if is_local:
        return _scan_to_end(window, picture.scan_at)
    size = window.size_bytes
    said = start + picture.own_size
    if picture.own_size and said <= size and b"\xff\xd9" in window.read(said - 16, 16):
        return said
    if not picture.others and not picture.has_following:
        tail = window.read(max(0, size - _TAIL_BYTES), _TAIL_BYTES).rstrip(b"\0\xff")
        if tail.endswith(b"\xff\xd9"):
            return size
    return _scan_to_end(window, picture.scan_at)


def _scan_to_end(window: Window, at: int) -> int:
    """Read the scans up to the End of Image; further segments may stand between scans."""
    size = window.size_bytes
    data, start = b"", at
    while at < size:
        found = _MARKER.search(data, max(0, at - start))
        if found is None:
            # A marker may be cut in two.
            is_cut = data.endswith(b"\xff") and start + len(data) < size
            at = max(at, start + len(data) - is_cut)
            data, start = window.read(at, _SCAN_BYTES), at
            if len(data) <= 1:
                break
            continue
        at = start + found.start()
        kind = found[0][1]
        if kind == 0xD9:
            return at + 2
        if 0xE0 <= kind <= 0xEF or kind == _COMMENT:
            raise CannotCleanError("application data between the scans")
        if kind == 0x01 or kind == 0xD8:
            at += 2
            continue
        at += 2 + max(2, int.from_bytes(window.read(at + 2, 2)))
    # Cut short, or the end marker is missing: browsers show such files all the same.
    return size


def _skip_padding(window: Window, at: int) -> int:
    """Return where something other than zeros begins."""
    while at < window.size_bytes:
        data = window.read(at, 65_536)
        rest = data.lstrip(b"\0")
        at += len(data) - len(rest)
        if rest:
            return at
    return window.size_bytes


def _look_behind(window: Window, parts: list[tuple[int, int]]) -> None:
    """Blank what is in the file outside of its pictures."""
    at = 0
    for start, end in [*sorted(parts), (window.size_bytes, window.size_bytes)]:
        if start > at and _skip_filling(window, at) < start:
            window.findings.note("other")
            window.blank(at, start - at)
        at = max(at, end)


def _skip_filling(window: Window, at: int) -> int:
    data = window.read(at, 65_536)
    rest = data.lstrip(b"\0\xff")
    return at + len(data) - len(rest) if rest else _skip_padding(window, at + len(data))
