"""Look at an original of any kind."""

import struct
from dataclasses import dataclass

from imagehub.imaging.private_data.blanks import (
    MAX_BLANKS,
    MAX_TEXT_CHARS,
    Blank,
    merge_blanks,
    write_blanks,
)
from imagehub.imaging.private_data.boxes import look_at_boxes, look_at_jpeg_boxes
from imagehub.imaging.private_data.chunks import look_at_png, look_at_webp
from imagehub.imaging.private_data.exif import look_at_tiff
from imagehub.imaging.private_data.gif import look_at_gif
from imagehub.imaging.private_data.iptc import look_at_psd
from imagehub.imaging.private_data.jpeg import look_at_jpeg
from imagehub.imaging.private_data.movies import look_at_movie
from imagehub.imaging.private_data.source import SPARE_BYTES, Findings, Packet, Window
from imagehub.imaging.private_data.webm import look_at_webm
from imagehub.imaging.sources import CannotCleanError, Source
from imagehub.imaging.video.look import EBML_START, is_movie

KINDS = ("place", "person", "device", "other")


@dataclass(frozen=True)
class PrivateData:
    """What an original says that visitors should not get.

    :ivar kinds: some of ``KINDS``, in that order; empty if there is nothing.
    :ivar is_removable: ``blanks`` remove all of it; otherwise the file cannot be cleaned.
    """

    kinds: tuple[str, ...] = ()
    is_removable: bool = True
    blanks: tuple[Blank, ...] = ()


# For files of a kind, or built in a way, that cannot be looked into.
UNKNOWN = PrivateData(("other",), is_removable=False)


def look(source: Source, is_local: bool = True, packets: list[Packet] | None = None) -> PrivateData:
    """Find what is private in an original.

    :param is_local: reading all of the file costs nothing.
    :param packets: gets the metadata that were found on the way, also if the file is broken.
    :raise TooMuchToReadError: of a source with a budget.
    """
    findings = Findings(4 * source.size_bytes + SPARE_BYTES)
    if packets is not None:
        findings.packets = packets
    window = Window(source, findings, [(0, source.size_bytes)])
    try:
        is_known = _look(window, is_local)
    except (
        CannotCleanError, ArithmeticError, LookupError, RecursionError, TypeError, ValueError,
        struct.error,
    ):  # fmt: skip
        # A broken file can raise any of these.
        return PrivateData(_sort(findings.kinds) or UNKNOWN.kinds, is_removable=False)
    if not is_known:
        return UNKNOWN
    blanks = merge_blanks(findings.blanks)
    if len(blanks) > MAX_BLANKS or len(write_blanks(blanks)) > MAX_TEXT_CHARS:
        findings.is_fixed = True
    if findings.is_fixed:
        return PrivateData(_sort(findings.kinds), is_removable=False)
    return PrivateData(_sort(findings.kinds), blanks=blanks)


def _sort(kinds: set[str]) -> tuple[str, ...]:
    return tuple(kind for kind in KINDS if kind in kinds)


def _look(window: Window, is_local: bool) -> bool:
    """Look at a file by its signature; returns False if the kind is not known."""
    head = window.read(0, 400)
    if head.startswith(b"\xff\xd8\xff"):
        look_at_jpeg(window, is_local)
    elif head.startswith(b"\x89PNG\r\n\x1a\n"):
        look_at_png(window)
    elif head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        look_at_webp(window)
    elif is_movie(head):
        look_at_movie(window)
    elif head[4:8] == b"ftyp":
        look_at_boxes(window)
    elif head.startswith(EBML_START):
        look_at_webm(window)
    elif head.startswith((b"\0\0\0\x0cJXL ", b"\0\0\0\x0cjP  ")):
        look_at_jpeg_boxes(window)
    elif head.startswith(b"8BPS"):
        look_at_psd(window, look_at_tiff)
    elif head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        look_at_tiff(window, lambda one: look_at_jpeg(one, is_local, 1), is_file=True)
    elif head[:6] in (b"GIF87a", b"GIF89a"):
        look_at_gif(window)
    else:
        # Windows bitmaps, and JPEG XL without boxes, hold nothing but pixels.
        return head.startswith((b"BM", b"\xff\x0a"))
    return True
