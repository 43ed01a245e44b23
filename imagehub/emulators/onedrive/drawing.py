"""What the service draws of files that are no plain pictures: the source of their thumbnails.

Source for the kinds: OneDrive API, "Convert to other formats", target jpg. JPEG 2000 and TGA are
not named there and are drawn all the same; JPEG XL is not.

The emulator has no decoder of its own for raw photos, PDF documents and videos. It draws the
largest JPEG inside the file, which raw photos, scanned documents and Motion JPEG have; other such
files have no thumbnail, like a document with a password in the real service.
"""

import io
from functools import lru_cache
from pathlib import Path

from PIL import Image

# Formats that Pillow reads as one picture, with Pillow's name.
_WHOLE = {
    **dict.fromkeys((".psd",), "PSD"),
    **dict.fromkeys((".jp2", ".j2k", ".jpf", ".jpx", ".j2c", ".jpc"), "JPEG2000"),
    **dict.fromkeys((".tga",), "TGA"),
}
_RAW = frozenset(
    (
        ".arw", ".cr2", ".crw", ".dng", ".erf", ".mef", ".mrw", ".nef", ".nrw", ".orf", ".pef",
        ".raw", ".rw1", ".rw2", ".sr2",
    )
)  # fmt: skip
_WITH_JPEG = _RAW | frozenset(
    (
        ".ai", ".eps", ".pdf", ".ps",
        ".3g2", ".3gp", ".3gp2", ".3gpp", ".asf", ".avi", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4",
        ".mp4v", ".mpeg", ".mpg", ".mts", ".webm", ".wmv",
    )
)  # fmt: skip
_MOST_BYTES = 200_000_000
_MOST_HEAD_BYTES = 1_000_000
_MOST_JPEGS = 1000


def _get_ending(name: str) -> str:
    return "." + name.rpartition(".")[2].lower()


def is_drawn_name(name: str) -> bool:
    return _get_ending(name) in _WHOLE or is_raw_name(name) or _get_ending(name) in _WITH_JPEG


def is_raw_name(name: str) -> bool:
    return _get_ending(name) in _RAW


def has_picture_facets(name: str) -> bool:
    """Tell whether a drawn file is listed with facets of a picture: not documents and videos."""
    return _get_ending(name) in _WHOLE or is_raw_name(name)


def draw(path: Path) -> Image.Image:
    """Open what is drawn of a file, not yet decoded.

    :raise ValueError, OSError: nothing can be drawn of it.
    """
    ending = path.suffix.lower()
    if ending in _WHOLE:
        return Image.open(path, formats=[_WHOLE[ending]])
    status = path.stat()
    start, length = _find_jpeg(path, status.st_size, status.st_mtime_ns)
    with path.open("rb") as file:
        file.seek(start)
        return Image.open(io.BytesIO(file.read(length)), formats=["JPEG"])


@lru_cache(maxsize=256)
def _find_jpeg(path: Path, size: int, _changed_ns: int) -> tuple[int, int]:
    """Find the JPEG with the most pixels in a file: its offset, and the bytes from there on."""
    if size > _MOST_BYTES:
        raise ValueError("too large")
    data = path.read_bytes()
    best = (0, 0)
    start = data.find(b"\xff\xd8\xff")
    for _ in range(_MOST_JPEGS):
        if start < 0:
            break
        try:
            head = io.BytesIO(data[start : start + _MOST_HEAD_BYTES])
            with Image.open(head, formats=["JPEG"]) as picture:
                best = max(best, (picture.width * picture.height, -start))
        except Exception:  # noqa: S110 - Whatever a decoder raises, these bytes are no JPEG.
            pass
        start = data.find(b"\xff\xd8\xff", start + 3)
    if not best[0]:
        raise ValueError("no picture inside")
    return -best[1], len(data) + best[1]
