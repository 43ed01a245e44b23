"""Look at MP4 and QuickTime videos.

What applies to the whole video is in boxes of ``moov``. Cameras that record their position while
filming use tracks of their own, whose samples lie between those of picture and sound.

Source: ISO/IEC 14496-12, sections 8.5 to 8.11; 3GPP TS 26.244, section 8 (loci); Apple, "QuickTime
File Format", "User data atoms" and "Metadata"; Adobe, "XMP Specification" part 3, 1.1.6; GoPro,
"GPMF introduction"; Google, "Camera motion metadata" (camm).
"""

import re
import struct
from collections.abc import Iterator

from imagehub.imaging.private_data.blanks import MAX_BLANKS
from imagehub.imaging.private_data.source import Window
from imagehub.imaging.private_data.texts import classify_keyword, classify_text, decode_text
from imagehub.imaging.private_data.xmp import look_at_xmp
from imagehub.imaging.sources import CannotCleanError
from imagehub.imaging.video.boxes import Box, BoxReader

XMP_UUID = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
# At the top level, beside ``moov``, ``meta`` and ``uuid``: the video itself.
_CONTENT = frozenset(
    {b"ftyp", b"styp", b"mdat", b"free", b"skip", b"wide", b"moof", b"mfra", b"sidx", b"ssix"}
    | {b"pdin", b"prft", b"pnot", b"\0\0\0\0"}
)
_PLACE_BOXES = frozenset({b"\xa9xyz", b"loci", b"GPMF", b"GPS ", b"gps "})
_DEVICE_BOXES = frozenset({b"CAME", b"MUID", b"GUMI", b"SNum", b"\xa9snm"})
# Entries of tracks that say where the camera was.
_PLACE_TRACKS = frozenset({b"gpmd", b"camm", b"djmd", b"dbgi", b"rtmd", b"nmea"})
_WORDS = re.compile(
    rb"gps|latitude|longitude|location|\xa9xyz|loci|serial|ownername", re.IGNORECASE
)
_FACE = re.compile(rb"detected-(?:face|human|body)", re.IGNORECASE)
_MAX_BOX_BYTES = 1_000_000
_MAX_TABLE_BYTES = 4_000_000
_SAMPLES_READ = 20
_MAX_SAMPLE_BYTES = 4096


def look_at_movie(window: Window) -> None:
    """Look at a video.

    :raise ValueError, LookupError, struct.error: it is damaged.
    """
    _Movie(window).look()


class _Movie:
    def __init__(self, window: Window) -> None:
        self._window = window
        self._reader = BoxReader(window.source)
        self._is_fragmented = False

    def look(self) -> None:
        """:raise CannotCleanError: there is no video in it."""
        has_movie = False
        for box in self._reader.iter_boxes(0, self._window.size_bytes):
            if box.kind == b"moov":
                has_movie = True
                self._look_at_moov(box)
            elif box.kind == b"meta":
                self._look_at_meta(box)
            elif box.kind == b"uuid":
                self._look_at_uuid(box)
            elif box.kind not in _CONTENT:
                self._look_at_other(box)
        if not has_movie:
            raise CannotCleanError("no moov")

    def _look_at_moov(self, movie: Box) -> None:
        children = list(self._reader.iter_boxes(movie.start, movie.end))
        self._is_fragmented = any(box.kind == b"mvex" for box in children)
        for box in children:
            if box.kind == b"trak":
                self._look_at_track(box)
            else:
                self._look_at_part(box)

    def _look_at_part(self, box: Box) -> None:
        """Look at a box of the video or of a track that may hold metadata."""
        if box.kind == b"udta":
            for one in self._reader.iter_boxes(box.start, box.end):
                self._look_at_user_data(one)
        elif box.kind == b"meta":
            self._look_at_meta(box)
        elif box.kind == b"uuid":
            self._look_at_uuid(box)

    def _look_at_user_data(self, box: Box) -> None:
        if box.kind in _PLACE_BOXES:
            self._drop(box, {"place"})
        elif box.kind in _DEVICE_BOXES:
            self._drop(box, {"device"})
        elif box.kind == b"meta":
            self._look_at_meta(box)
        elif box.kind == b"XMP_":
            look_at_xmp(self._window.cut(box.start, box.end - box.start))
        else:
            self._look_at_other(box)

    def _look_at_uuid(self, box: Box) -> None:
        if self._window.read(box.start, 16) == XMP_UUID:
            look_at_xmp(self._window.cut(box.start + 16, box.end - box.start - 16))
        else:
            self._look_at_other(box)

    def _look_at_other(self, box: Box) -> None:
        """Drop a box that mentions something private, or is too long to find out."""
        if box.end - box.start > _MAX_BOX_BYTES:
            self._drop(box, {"other"})
            return
        data = self._window.read(box.start, box.end - box.start)
        kinds = classify_text(decode_text(_leave_printable(data)))
        if kinds or _WORDS.search(data):
            self._drop(box, kinds or {"other"})

    def _drop(self, box: Box, kinds: set[str]) -> None:
        for kind in kinds:
            self._window.findings.note(kind)
        self._window.put(box.at + 4, b"free")
        self._window.blank(box.start, box.end - box.start)

    # --- Named values -----------------------------------------------------------------------------

    def _look_at_meta(self, meta: Box) -> None:
        """Look at values with names, as of Apple and Android, or with codes, as of iTunes."""
        # Without the version that other boxes of this name have.
        is_apple = self._window.read(meta.start + 4, 4) == b"hdlr"
        inside = Box(meta.kind, meta.at, meta.start + (0 if is_apple else 4), meta.end)
        boxes = {box.kind: box for box in self._reader.iter_boxes(inside.start, inside.end)}
        names = self._read_names(boxes.get(b"keys"))
        if xml := boxes.get(b"xml "):
            self._look_at_other(xml)
        if (values := boxes.get(b"ilst")) is None:
            return
        for item in self._reader.iter_boxes(values.start, values.end):
            index = int.from_bytes(item.kind) - 1
            name = names[index] if 0 <= index < len(names) else item.kind.decode("latin-1")
            self._look_at_value(item, name)

    def _read_names(self, keys: Box | None) -> list[str]:
        if keys is None:
            return []
        data = self._window.read(keys.start, min(keys.end - keys.start, _MAX_BOX_BYTES))
        names, at = [], 8
        while at + 8 <= len(data):
            size = int.from_bytes(data[at : at + 4])
            if size < 8:
                break
            names.append(data[at + 8 : at + size].decode("utf-8", "replace"))
            at += size
        return names

    def _look_at_value(self, item: Box, name: str) -> None:
        """Blank a value, whose box stays: its kind is the number of its name."""
        parts = list(self._reader.iter_boxes(item.start, item.end))
        for part in parts:
            if part.kind == b"name":
                name = decode_text(self._window.read(part.start + 4, part.end - part.start - 4))
        kinds = classify_keyword(name)
        if "direction" in name or item.kind == b"\xa9xyz":
            kinds.add("place")
        for part in parts:
            size = part.end - part.start - 8
            if part.kind != b"data" or size <= 0:
                continue
            data = self._window.read(part.start, min(size, _MAX_BOX_BYTES) + 8)
            is_text, value = data[:4] == b"\0\0\0\1", data[8:]
            found = kinds | (classify_text(decode_text(value)) if is_text else set())
            if found and value.strip(b" "):
                for kind in found:
                    self._window.findings.note(kind)
                self._window.blank(part.start + 8, size, 0x20)

    # --- Tracks -----------------------------------------------------------------------------------

    def _look_at_track(self, track: Box) -> None:
        media = self._reader.find(track, b"mdia")
        for box in self._reader.iter_boxes(track.start, track.end):
            self._look_at_part(box)
        handler = self._reader.read(media and self._reader.find(media, b"hdlr"), 12)[8:12]
        table = media and self._reader.find(media, b"minf", b"stbl")
        if table is None or handler in (b"vide", b"soun", b"tmcd", b"hint", b"auxv", b"pict"):
            return
        entries = self._reader.read(self._reader.find(table, b"stsd"))
        kinds: set[str] = set()
        if entries[12:16] in _PLACE_TRACKS or _WORDS.search(entries):
            kinds.add("place")
        if _FACE.search(entries):
            kinds.add("person")
        spans = list(self._iter_samples(table))
        if not kinds:
            for at, size in spans[:_SAMPLES_READ]:
                data = self._window.read(at, min(size, _MAX_SAMPLE_BYTES))
                found = classify_text(decode_text(_leave_printable(data)))
                kinds |= found or ({"other"} if _WORDS.search(data) else set())
        if not kinds:
            return
        for kind in kinds:
            self._window.findings.note(kind)
        if self._is_fragmented or len(spans) > MAX_BLANKS:
            self._window.findings.is_fixed = True
            return
        for at, size in spans:
            self._window.blank(at, size)

    def _iter_samples(self, table: Box) -> Iterator[tuple[int, int]]:
        """Iterate over where the samples of a track are: offset and size of each chunk."""
        sizes, chunks, offsets = (
            self._reader.read(self._reader.find(table, kind), _MAX_TABLE_BYTES)
            for kind in (b"stsz", b"stsc", b"stco")
        )
        offset_layout, width = ">I", 4
        if not offsets:
            offsets = self._reader.read(self._reader.find(table, b"co64"), _MAX_TABLE_BYTES)
            offset_layout, width = ">Q", 8
        if not offsets or not chunks or not sizes:
            return
        same_size, sample_count = struct.unpack_from(">II", sizes, 4)
        (run_count,), (chunk_count,) = (
            struct.unpack_from(">I", data, 4) for data in (chunks, offsets)
        )
        runs = [struct.unpack_from(">II", chunks, 8 + 12 * at) for at in range(run_count)]
        sample, run = 0, 0
        for chunk in range(1, chunk_count + 1):
            while run + 1 < len(runs) and runs[run + 1][0] <= chunk:
                run += 1
            count = min(runs[run][1], sample_count - sample)
            # Raises an error at the end of the table, however many chunks it claims to have.
            (at,) = struct.unpack_from(offset_layout, offsets, 8 + width * (chunk - 1))
            if same_size:
                size = same_size * count
            else:
                size = sum(struct.unpack_from(f">{count}I", sizes, 12 + 4 * sample))
            sample += count
            if at + size > self._window.size_bytes:
                raise ValueError("a sample is outside of the file")
            if size:
                yield at, size


def _leave_printable(data: bytes) -> bytes:
    """Leave the texts in binary data, on lines of their own."""
    return b"\n".join(re.findall(rb"[\x20-\x7e\x80-\xff]{6,}", data))
