"""Decode a ThumbHash to a tiny PNG for a style sheet: a placeholder without a script."""

import base64
import binascii
import struct
import zlib
from functools import lru_cache

from imagehub.imaging.thumbhash import paint_thumbhash


@lru_cache(maxsize=4096)
def make_placeholder_url(thumbhash: str) -> str:
    """Return a ``data:`` address of a PNG of at most 9 × 9 pixels, "" for an invalid hash.

    :param thumbhash: base64, as in the database.
    """
    try:
        data = base64.b64decode(thumbhash, validate=True)
        width, height, rgb = paint_thumbhash(data)
    except (ValueError, IndexError, ZeroDivisionError, binascii.Error):
        return ""
    rows = b"".join(b"\0" + rgb[at : at + 3 * width] for at in range(0, len(rgb), 3 * width))
    png = (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
        + _chunk(b"IDAT", zlib.compress(rows, 9))
        + _chunk(b"IEND", b"")
    )
    return "data:image/png;base64," + base64.b64encode(png).decode()


def _chunk(kind: bytes, body: bytes) -> bytes:
    """Return a PNG chunk. Source: ISO/IEC 15948, 5.3."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
