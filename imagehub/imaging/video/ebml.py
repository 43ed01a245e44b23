"""Read the headers of WebM files.

Source: RFC 8794 (EBML); RFC 9559 (Matroska); webmproject.org, "WebM Container Guidelines".
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from imagehub.imaging.sources import Source
from imagehub.imaging.video.facts import (
    AV1,
    BROKEN,
    ENCRYPTED,
    NO_PICTURE,
    PLAYABLE,
    SOUND_ONLY,
    VP8,
    VP9,
    VideoFacts,
    make_facts,
    refuse,
    refuse_codec,
    refuse_container,
)

EBML, SEGMENT, SEEK_HEAD, INFO, TRACKS = 0x1A45DFA3, 0x18538067, 0x114D9B74, 0x1549A966, 0x1654AE6B
CLUSTER, CUES, TAGS, ATTACHMENTS = 0x1F43B675, 0x1C53BB6B, 0x1254C367, 0x1941A469
CHAPTERS, VOID = 0x1043A770, 0xEC
_DOC_TYPE, _SEEK, _SEEK_ID, _SEEK_POSITION = 0x4282, 0x4DBB, 0x53AB, 0x53AC
_SCALE, _DURATION = 0x2AD7B1, 0x4489
_ENTRY, _KIND, _CODEC, _VIDEO, _ENCODINGS = 0xAE, 0x83, 0x86, 0xE0, 0x6D80
_ENCODING, _ENCRYPTION = 0x6240, 0x5035
_WIDTH, _HEIGHT, _SHOWN_WIDTH, _SHOWN_HEIGHT, _UNIT = 0xB0, 0xBA, 0x54B0, 0x54BA, 0x54B2
# At the level below the segment.
TOP_KINDS = frozenset({SEEK_HEAD, INFO, TRACKS, CLUSTER, CUES, TAGS, ATTACHMENTS, CHAPTERS})
_MAX_ELEMENTS = 20_000
_MAX_TRACKS = 100
_MAX_VALUE_BYTES = 4096
_CODECS = {
    "V_VP8": VP8, "V_VP9": VP9, "V_AV1": AV1, "V_MPEG4/ISO/AVC": "H.264 in WebM",
    "V_MPEGH/ISO/HEVC": "HEVC in WebM", "V_MJPEG": "Motion JPEG", "V_THEORA": "Theora",
    "V_PRORES": "ProRes", "V_MPEG4/ISO/ASP": "MPEG-4 Part 2", "V_MPEG4/ISO/SP": "MPEG-4 Part 2",
}  # fmt: skip


@dataclass(frozen=True)
class Element:
    """An element: where it begins, and where its content begins and ends.

    ``is_open``: its size is not known, as of a recording that was sent while it was made; ``end``
    is that of its parent then.
    """

    kind: int
    at: int
    start: int
    end: int
    is_open: bool = False


@dataclass
class ElementReader:
    """Walk the elements of a file; a file with too many of them counts as damaged."""

    source: Source
    _left: int = field(default=_MAX_ELEMENTS)

    def read_head(self, at: int, end: int) -> Element:
        """:raise ValueError: there is no element, or it is longer than its parent."""
        self._left -= 1
        if self._left < 0:
            raise ValueError("too many elements")
        head = self.source.read(at, min(12, end - at))
        kind_bytes = _count_bytes(head, 0)
        size_bytes = _count_bytes(head, kind_bytes)
        if kind_bytes > 4 or len(head) < kind_bytes + size_bytes:
            raise ValueError("no element")
        kind = int.from_bytes(head[:kind_bytes])
        start = at + kind_bytes + size_bytes
        mask = (1 << 7 * size_bytes) - 1
        size = int.from_bytes(head[kind_bytes : kind_bytes + size_bytes]) & mask
        if size == mask:
            return Element(kind, at, start, end, is_open=True)
        if start + size > end:
            raise ValueError("a broken element")
        return Element(kind, at, start, start + size)

    def iter_elements(self, at: int, end: int) -> Iterator[Element]:
        while at < end:
            element = self.read_head(at, end)
            yield element
            at = element.end

    def iter_inside(self, parent: Element) -> Iterator[Element]:
        return self.iter_elements(parent.start, parent.end)

    def read(self, element: Element) -> bytes:
        return self.source.read(element.start, min(_MAX_VALUE_BYTES, element.end - element.start))

    def read_number(self, element: Element) -> int:
        return int.from_bytes(self.read(element)[:8])

    def read_text(self, element: Element) -> str:
        return self.read(element).rstrip(b"\0").decode("ascii", "replace")


def _count_bytes(head: bytes, at: int) -> int:
    """Return how long a number is, by its first byte. :raise ValueError: it is none."""
    first = head[at] if at < len(head) else 0
    if not first:
        raise ValueError("no number")
    return 9 - first.bit_length()


@dataclass
class Segment:
    """The parts of a WebM file that say something about it.

    ``kind``: DocType. ``parts``: those that were found, by kind; of tags there may be several.
    """

    kind: str
    parts: dict[int, list[Element]]


def read_segment(reader: ElementReader, *, to_end: bool = False) -> Segment:
    """Find the parts of a file without reading its content.

    They stand before the content, or the file says at its beginning where they are.

    :param to_end: if the file does not say it, go on behind the content, piece by piece. A
        recording that was sent while it was made has pieces without an end, and nothing behind.
    """
    size_bytes = reader.source.size_bytes
    head = reader.read_head(0, size_bytes)
    kind = next(
        (reader.read_text(one) for one in reader.iter_inside(head) if one.kind == _DOC_TYPE), ""
    )
    segment = next(one for one in reader.iter_elements(head.end, size_bytes) if one.kind == SEGMENT)
    parts: dict[int, list[Element]] = {}
    wanted: list[int] = []
    has_list = False
    for one in reader.iter_inside(segment):
        if one.kind == SEEK_HEAD:
            has_list = True
            wanted += [segment.start + place for place in _iter_places(reader, one)]
        if one.kind == CLUSTER:
            if has_list or one.is_open or not to_end:
                break
            continue
        if one.is_open:
            raise ValueError("a part without an end")
        parts.setdefault(one.kind, []).append(one)
    known = {part.at for found in parts.values() for part in found}
    for place in dict.fromkeys(wanted):
        if place in known or not segment.start <= place < segment.end:
            continue
        one = reader.read_head(place, segment.end)
        if one.kind in TOP_KINDS and one.kind not in (CLUSTER, CUES) and not one.is_open:
            parts.setdefault(one.kind, []).append(one)
    return Segment(kind, parts)


def _iter_places(reader: ElementReader, seek_head: Element) -> Iterator[int]:
    for seek in reader.iter_inside(seek_head):
        if seek.kind == _SEEK:
            for one in reader.iter_inside(seek):
                if one.kind == _SEEK_POSITION:
                    yield reader.read_number(one)


def look_at_webm(source: Source) -> VideoFacts:
    """Read the headers of a WebM file.

    :raise UnreadablePictureError: browsers cannot play it.
    :raise ValueError, LookupError, struct.error: it is damaged.
    """
    reader = ElementReader(source)
    try:
        segment = read_segment(reader)
    except StopIteration:
        raise refuse(BROKEN) from None
    if segment.kind != "webm":
        raise refuse_container("Matroska")
    tracks = segment.parts.get(TRACKS)
    if not tracks:
        raise refuse(BROKEN)
    pictures: list[tuple[str, tuple[int, int]]] = []
    has_sound = False
    for number, entry in enumerate(reader.iter_inside(tracks[0])):
        if number > _MAX_TRACKS:
            raise ValueError("too many tracks")
        if entry.kind == _ENTRY:
            kind, codec, sides = _read_track(reader, entry)
            has_sound = has_sound or kind == 2
            if kind == 1:
                pictures.append((codec, sides))
    if not pictures:
        raise refuse(SOUND_ONLY if has_sound else NO_PICTURE)
    codec, sides = next((one for one in pictures if one[0] in PLAYABLE), pictures[0])
    if codec == "encrypted":
        raise refuse(ENCRYPTED)
    if codec not in PLAYABLE:
        raise refuse_codec(codec)
    duration_ms = sum(_read_duration(reader, one) for one in segment.parts.get(INFO, [])[:1])
    return make_facts("video/webm", codec, sides, duration_ms, has_sound)


def _read_track(reader: ElementReader, entry: Element) -> tuple[int, str, tuple[int, int]]:
    kind, codec, is_encrypted = 0, "", False
    numbers: dict[int, int] = {}
    for one in reader.iter_inside(entry):
        if one.kind == _KIND:
            kind = reader.read_number(one)
        elif one.kind == _CODEC:
            codec = reader.read_text(one)
        elif one.kind == _VIDEO:
            for value in reader.iter_inside(one):
                if value.kind in (_WIDTH, _HEIGHT, _SHOWN_WIDTH, _SHOWN_HEIGHT, _UNIT):
                    numbers[value.kind] = reader.read_number(value)
        elif one.kind == _ENCODINGS:
            is_encrypted = any(
                inner.kind == _ENCRYPTION
                for encoding in reader.iter_inside(one)
                if encoding.kind == _ENCODING
                for inner in reader.iter_inside(encoding)
            )
    width, height = numbers.get(_WIDTH, 0), numbers.get(_HEIGHT, 0)
    if not numbers.get(_UNIT, 0):
        width = numbers.get(_SHOWN_WIDTH) or width
        height = numbers.get(_SHOWN_HEIGHT) or height
    name = _CODECS.get(codec) or codec.removeprefix("V_")[:30] or "?"
    return kind, "encrypted" if is_encrypted else name, (width, height)


def _read_duration(reader: ElementReader, info: Element) -> float:
    """Return the length in milliseconds; 0 if the file does not say it."""
    scale, duration = 1_000_000, 0.0
    for one in reader.iter_inside(info):
        if one.kind == _SCALE:
            scale = reader.read_number(one)
        elif one.kind == _DURATION:
            data = reader.read(one)
            (duration,) = struct.unpack(">d" if len(data) == 8 else ">f", data[:8])
    return duration * scale / 1e6
