"""Look at a video of any kind."""

import struct

from imagehub.errors import UnreadablePictureError
from imagehub.imaging.sources import CannotCleanError, Source, TooMuchToReadError
from imagehub.imaging.video.boxes import look_at_movie
from imagehub.imaging.video.ebml import look_at_webm
from imagehub.imaging.video.facts import (
    BROKEN,
    SOUND_ONLY,
    TOO_LONG_TO_READ,
    VideoFacts,
    refuse,
    refuse_container,
)

EBML_START = b"\x1aE\xdf\xa3"
# Pictures and raw photos share the container of videos.
_PICTURE_BRANDS = frozenset((
    b"avif", b"avis", b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs",
    b"mif1", b"mif2", b"miaf", b"avci", b"msf1", b"crx ", b"jxl ", b"jp2 ", b"jpx ",
))  # fmt: skip
# QuickTime files of before 2001 have no brand.
_OLD_BOXES = (b"moov", b"mdat", b"wide", b"pnot", b"free", b"skip")
_ASF = bytes.fromhex("3026b2758e66cf11")
_MPEG_STARTS = (b"\0\0\x01\xba", b"\0\0\x01\xb3")


def is_video(head: bytes) -> bool:
    """Tell whether a file is a video or sound, playable or not.

    :param head: the first kilobyte of the file, or all of it.
    """
    return is_movie(head) or head.startswith(EBML_START) or bool(_name_other(head))


def look_at_video(source: Source) -> VideoFacts:
    """Read the headers of a video.

    :raise UnreadablePictureError: browsers cannot play it; the sentence says what to do.
    """
    head = source.read(0, 1024)
    try:
        if head.startswith(EBML_START):
            return look_at_webm(source)
        if is_movie(head):
            return look_at_movie(source)
    except UnreadablePictureError:
        raise
    except TooMuchToReadError:
        raise refuse(TOO_LONG_TO_READ) from None
    except (CannotCleanError, ArithmeticError, LookupError, ValueError, struct.error):
        # A damaged file can raise any of these.
        raise refuse(BROKEN) from None
    if kind := _name_other(head):
        raise refuse(SOUND_ONLY) if kind == "sound" else refuse_container(kind)
    raise refuse(BROKEN)


def is_movie(head: bytes) -> bool:
    """Tell whether a file is built like MP4 or QuickTime, and is no picture."""
    kind = head[4:8]
    if kind != b"ftyp":
        return kind in _OLD_BOXES and len(head) >= 16
    end = min(int.from_bytes(head[:4]), len(head))
    brands = {head[8:12], *(head[at : at + 4] for at in range(16, end - 3, 4))}
    return not brands & _PICTURE_BRANDS


def _name_other(head: bytes) -> str:
    """Name the container of a file that no browser plays, or ``sound``; "" for another file."""
    if head.startswith(b"RIFF"):
        return {b"AVI ": "AVI", b"WAVE": "sound"}.get(head[8:12], "")
    if head.startswith(_ASF):
        return "Windows Media"
    if head.startswith(b"FLV\x01"):
        return "Flash"
    if head.startswith(b"OggS"):
        return "Ogg"
    if head.startswith((b"ID3", b"fLaC")):
        return "sound"
    if head.startswith(_MPEG_STARTS):
        return "MPEG"
    # Packets of 188 bytes, which cameras precede by a time code of 4 bytes.
    for first, step in ((0, 188), (4, 192)):
        places = range(first, min(len(head), first + 5 * step), step)
        if len(head) > first + 2 * step and all(head[at] == 0x47 for at in places):
            return "MPEG-TS"
    return ""
