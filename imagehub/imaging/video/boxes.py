"""Read the headers of MP4 and QuickTime files.

The box ``moov`` may stand before or after the content, which is skipped. Both play: browsers fetch
parts of a file.

Source: ISO/IEC 14496-12 (boxes, tkhd, mvhd, stsd, mehd); 14496-14 (esds); 14496-15 (avcC);
Apple, "QuickTime File Format".
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from imagehub.imaging.sources import Source
from imagehub.imaging.video.facts import (
    AV1,
    BROKEN,
    ENCRYPTED,
    H264,
    H264_HIGH,
    HEVC,
    NO_PICTURE,
    PLAYABLE,
    SOUND_ONLY,
    VP8,
    VP9,
    VideoFacts,
    make_facts,
    refuse,
    refuse_codec,
)

# Far more than a file has that is not made to keep its reader busy.
_MAX_BOXES = 20_000
_MAX_TRACKS = 100
_MAX_HEADER_BYTES = 65_536
_UNKNOWN_DURATION = {0, 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF}
# Profiles of H.264 with 10 bits or without halved colours.
_HIGH_PROFILES = frozenset({44, 110, 122, 244})

_CODECS = {
    b"avc1": H264, b"avc3": H264,
    b"hvc1": HEVC, b"hev1": HEVC, b"dvh1": HEVC, b"dvhe": HEVC,
    b"vp08": VP8, b"vp09": VP9, b"av01": AV1,
    b"ap4h": "ProRes", b"ap4x": "ProRes", b"apch": "ProRes", b"apcn": "ProRes",
    b"apcs": "ProRes", b"apco": "ProRes", b"aprn": "ProRes RAW", b"aprh": "ProRes RAW",
    b"jpeg": "Motion JPEG", b"mjpa": "Motion JPEG", b"mjpb": "Motion JPEG",
    b"MJPG": "Motion JPEG", b"AVdn": "DNxHD", b"AVdh": "DNxHR", b"CFHD": "CineForm",
    b"s263": "H.263", b"h263": "H.263", b"H263": "H.263", b"SVQ1": "Sorenson Video",
    b"SVQ3": "Sorenson Video", b"cvid": "Cinepak", b"rle ": "Animation", b"png ": "PNG",
    b"dvc ": "DV", b"dvcp": "DV", b"dvh5": "DV", b"dvh6": "DV", b"hvt1": "HEVC tiles",
    b"vvc1": "H.266", b"vvi1": "H.266",
}  # fmt: skip
# ``mp4v`` names its codec by a number. Source: mp4ra.org, "Object types".
_OBJECT_TYPES = {0x20: "MPEG-4 Part 2", 0x6C: "Motion JPEG", 0x6D: "PNG", 0x6A: "MPEG-1"} | (
    dict.fromkeys(range(0x60, 0x66), "MPEG-2")
)


@dataclass(frozen=True)
class Box:
    """A box: where it begins, and where its content begins and ends."""

    kind: bytes
    at: int
    start: int
    end: int

    @property
    def size_bytes(self) -> int:
        """How long its content is."""
        return self.end - self.start


@dataclass
class BoxReader:
    """Walk the boxes of a file; a file with too many of them counts as damaged."""

    source: Source
    _left: int = field(default=_MAX_BOXES)

    def iter_boxes(self, at: int, end: int) -> Iterator[Box]:
        """Iterate over the boxes of a part of the file.

        :raise ValueError: a box is longer than the part, or shorter than its own header.
        """
        while at + 8 <= end:
            self._left -= 1
            if self._left < 0:
                raise ValueError("too many boxes")
            head = self.source.read(at, 16)
            size, kind, start = int.from_bytes(head[:4]), head[4:8], at + 8
            if size == 1:
                size, start = int.from_bytes(head[8:16]), at + 16
            elif size == 0:
                size = end - at
            if size < start - at or at + size > end:
                raise ValueError("a broken box")
            yield Box(kind, at, start, at + size)
            at += size

    def find(self, inside: Box, *path: bytes) -> Box | None:
        """Find the first box of a path below another one."""
        found: Box | None = inside
        for kind in path:
            if found is None:
                return None
            boxes = self.iter_boxes(found.start, found.end)
            found = next((box for box in boxes if box.kind == kind), None)
        return found

    def read(self, box: Box | None, most: int = _MAX_HEADER_BYTES) -> bytes:
        """Return the beginning of a box's content; b"" without a box."""
        if box is None:
            return b""
        return self.source.read(box.start, min(most, box.size_bytes))


@dataclass(frozen=True)
class _Track:
    codec: str
    sides: tuple[int, int]
    duration_ms: float


def look_at_movie(source: Source) -> VideoFacts:
    """Read the headers of an MP4 or QuickTime file.

    :raise UnreadablePictureError: browsers cannot play it.
    :raise ValueError, LookupError, struct.error: it is damaged.
    """
    reader = BoxReader(source)
    movie, brand = None, b"qt  "
    for box in reader.iter_boxes(0, source.size_bytes):
        if box.kind == b"ftyp":
            brand = reader.read(box, 4)
        elif box.kind == b"moov":
            movie = box
    if movie is None:
        raise refuse(BROKEN)
    pictures: list[_Track] = []
    has_sound = False
    header, extended = None, None
    count = 0
    for box in reader.iter_boxes(movie.start, movie.end):
        if box.kind == b"mvhd":
            header = box
        elif box.kind == b"mvex":
            extended = reader.find(box, b"mehd")
        elif box.kind == b"trak":
            count += 1
            if count > _MAX_TRACKS:
                raise ValueError("too many tracks")
            handler = reader.read(reader.find(box, b"mdia", b"hdlr"), 12)[8:12]
            if handler == b"vide":
                pictures.append(_read_track(reader, box))
            elif handler == b"soun":
                has_sound = True
    if not pictures:
        raise refuse(SOUND_ONLY if has_sound else NO_PICTURE)
    # Some files have a still of the cover as a second track.
    best = next((track for track in pictures if track.codec in PLAYABLE), pictures[0])
    if best.codec == "encrypted":
        raise refuse(ENCRYPTED)
    if best.codec not in PLAYABLE:
        raise refuse_codec(best.codec)
    duration_ms = _read_duration(reader.read(header, 32), reader.read(extended, 12))
    mime_type = "video/quicktime" if brand == b"qt  " else "video/mp4"
    return make_facts(mime_type, best.codec, best.sides, duration_ms or best.duration_ms, has_sound)


def _read_duration(header: bytes, extended: bytes) -> float:
    """Return the length of a video in milliseconds, of a fragmented one too; 0 if not known."""
    is_long = header[:1] == b"\1"
    scale, duration = struct.unpack_from(">IQ" if is_long else ">II", header, 20 if is_long else 12)
    if duration in _UNKNOWN_DURATION and extended:
        (duration,) = struct.unpack_from(">Q" if extended[:1] == b"\1" else ">I", extended, 4)
    return 0.0 if duration in _UNKNOWN_DURATION or not scale else duration * 1000 / scale


def _read_track(reader: BoxReader, track: Box) -> _Track:
    media = reader.find(track, b"mdia")
    assert media is not None
    codec, stored = _read_entry(reader.read(reader.find(media, b"minf", b"stbl", b"stsd")))
    sides = _read_sides(reader.read(reader.find(track, b"tkhd"), 96), stored)
    header = reader.read(reader.find(media, b"mdhd"), 32)
    return _Track(codec, sides, _read_duration(header, b"") if header else 0.0)


def _read_sides(header: bytes, stored: tuple[int, int]) -> tuple[int, int]:
    """Return width and height as the video is shown: a quarter turn swaps them."""
    at = 52 if header[:1] == b"\1" else 40
    a, b, _, c, d = struct.unpack_from(">5i", header, at)
    width, height = (side >> 16 for side in struct.unpack_from(">II", header, at + 36))
    if not width or not height:
        width, height = stored
    is_turned = abs(b) > abs(a) and abs(c) > abs(d)
    return (height, width) if is_turned else (width, height)


def _read_entry(data: bytes) -> tuple[str, tuple[int, int]]:
    """Return the codec of a track of pictures, and the sides as they are stored."""
    size, kind = struct.unpack_from(">I4s", data, 8)
    entry = data[8 : 8 + size]
    sides = struct.unpack_from(">HH", entry, 32)
    if kind == b"encv":
        return "encrypted", sides
    if kind == b"mp4v":
        return _OBJECT_TYPES.get(_read_object_type(entry), "MPEG-4 Part 2"), sides
    codec = _CODECS.get(kind, "")
    if codec == H264:
        place = entry.find(b"avcC")
        if place >= 0 and entry[place + 5] in _HIGH_PROFILES:
            codec = H264_HIGH
    name = "".join(chr(byte) if 32 < byte < 127 else "?" for byte in kind)
    return codec or name, sides


def _read_object_type(entry: bytes) -> int:
    """Return the number of the codec from the descriptors in ``esds``; 0 if there is none."""
    at = entry.find(b"esds")
    if at < 0:
        return 0
    at += 8
    at, tag = _skip_length(entry, at + 1), entry[at]
    if tag == 3:
        at, tag = _skip_length(entry, at + 4), entry[at + 3]
    return entry[at] if tag == 4 else 0


def _skip_length(data: bytes, at: int) -> int:
    for _ in range(4):
        at += 1
        if not data[at - 1] & 0x80:
            break
    return at
