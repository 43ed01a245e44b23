"""Decode a ThumbHash to a tiny PNG for a style sheet: a placeholder without a script."""

import base64
import binascii
import math
import struct
import zlib
from functools import lru_cache

# Browsers scale it up smoothly; a ThumbHash has at most seven waves along its longer side, and
# three of its colours along the shorter.
_LONGEST_PX, _SHORTEST_PX = 9, 3


@lru_cache(maxsize=4096)
def make_placeholder_url(thumbhash: str) -> str:
    """Return a ``data:`` address of a PNG of at most 9 × 9 pixels, "" for an invalid hash.

    :param thumbhash: base64, as in the database.
    """
    try:
        data = base64.b64decode(thumbhash, validate=True)
        width, height, rgb = _paint(data)
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


def _paint(data: bytes) -> tuple[int, int, bytes]:
    """Return width, height and RGB bytes of a ThumbHash; transparent parts become light grey.

    Source: the format as published at https://github.com/evanw/thumbhash.
    """
    first = int.from_bytes(data[:3], "little")
    second = int.from_bytes(data[3:5], "little")
    has_alpha = bool(first >> 23)
    is_wide = bool(second >> 15)
    longest, other = (5 if has_alpha else 7), second & 7
    terms_x, terms_y = (longest, other) if is_wide else (other, longest)
    mean = (first & 63) / 63, (first >> 6 & 63) / 31.5 - 1, (first >> 12 & 63) / 31.5 - 1
    scales = (first >> 18 & 31) / 31, (second >> 3 & 63) / 63, (second >> 9 & 63) / 63
    at = 6 if has_alpha else 5
    mean_alpha = (data[5] & 15) / 15 if has_alpha else 1.0
    scale_alpha = (data[5] >> 4) / 15 if has_alpha else 0.0
    nibbles = iter([part for byte in data[at:] for part in (byte & 15, byte >> 4)])

    def read_terms(nx: int, ny: int, scale: float) -> list[tuple[int, int, float]]:
        return [
            (cx, cy, (next(nibbles, 7.5) / 7.5 - 1) * scale)
            for cy in range(ny)
            for cx in range(0 if cy else 1, nx)
            if cx * ny < nx * (ny - cy)
        ]

    luma = read_terms(max(3, terms_x), max(3, terms_y), scales[0])
    # The reference increases the saturation of the colours by a quarter.
    yellow_blue = read_terms(3, 3, scales[1] * 1.25)
    red_green = read_terms(3, 3, scales[2] * 1.25)
    alpha = read_terms(5, 5, scale_alpha) if has_alpha else []

    ratio = terms_x / terms_y
    width = max(_SHORTEST_PX, round(_LONGEST_PX * min(1, ratio)))
    height = max(_SHORTEST_PX, round(_LONGEST_PX * min(1, 1 / ratio)))
    wave_x = [[math.cos(math.pi / width * (x + 0.5) * c) for c in range(8)] for x in range(width)]
    wave_y = [[math.cos(math.pi / height * (y + 0.5) * c) for c in range(8)] for y in range(height)]
    rgb = bytearray()
    channels = list(zip((*mean, mean_alpha), (luma, yellow_blue, red_green, alpha), strict=True))
    for down in wave_y:
        for across in wave_x:
            light, yb, rg, opaque = (
                start + sum(value * across[cx] * down[cy] for cx, cy, value in terms)
                for start, terms in channels
            )
            blue = light - 2 / 3 * yb
            red = (3 * light - blue + rg) / 2
            opaque = min(1.0, max(0.0, opaque))
            rgb += bytes(
                round(255 * min(1.0, max(0.0, one * opaque + 0.9 * (1 - opaque))))
                for one in (red, red - rg, blue)
            )
    return width, height, bytes(rgb)
