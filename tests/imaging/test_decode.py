"""Unusual kinds of bitmaps and TIFF files."""

import io
import struct
import zlib

import pytest

from imagehub.errors import UnreadablePictureError
from tests.imaging.support import BLUE, RED, differ, render_bytes, show

SIDE = 64

# --- OS/2 bitmaps ---------------------------------------------------------------------------------

OS2_V1 = struct.pack("<IHHHH", 12, SIDE, SIDE, 1, 24)
OS2_V2 = struct.pack("<IiiHHII", 64, SIDE, SIDE, 1, 24, 0, 3 * SIDE * SIDE) + bytes(40)
HOT_SPOT = struct.pack("<HH", 12, 30)


def make_bitmap(
    header: bytes, pixels: bytes, palette: bytes = b"", hot_spot: bytes = HOT_SPOT, before: int = 0
) -> bytes:
    """A bitmap; ``before`` bytes precede it in its file."""
    start = before + 14 + len(header) + len(palette)
    head = b"BM" + struct.pack("<I", 14 + len(header) + len(palette) + len(pixels)) + hot_spot
    return head + struct.pack("<I", start) + header + palette + pixels


def to_bgr(color: tuple[int, ...]) -> bytes:
    return bytes(reversed(color))


# From bottom to top.
ROWS = to_bgr(BLUE) * (SIDE * SIDE // 2) + to_bgr(RED) * (SIDE * SIDE // 2)
ARRAY = b"BA" + struct.pack("<IIHH", 40, 0, 0, 0)


@pytest.mark.parametrize(
    "content",
    [
        make_bitmap(OS2_V1, ROWS),
        make_bitmap(OS2_V1, ROWS, hot_spot=bytes(4)),
        make_bitmap(OS2_V2, ROWS),
        make_bitmap(
            struct.pack("<IHHHH", 12, SIDE, SIDE, 1, 8),
            bytes(SIDE * SIDE // 2) + b"\1" * (SIDE * SIDE // 2),
            palette=to_bgr(BLUE) + to_bgr(RED) + bytes(254 * 3),
        ),
        ARRAY + make_bitmap(OS2_V1, ROWS, before=len(ARRAY)),
    ],
    ids=["version 1", "without hot spot", "version 2", "palette", "array"],
)
def test_a_bitmap_of_os2_is_a_picture(content: bytes) -> None:
    made = render_bytes(io.BytesIO(content))
    assert (made.format, made.mime) == ("BMP", "image/bmp")
    assert (made.width_px, made.height_px) == (SIDE, SIDE)
    shown = show(made.renditions[0])
    assert differ([shown.getpixel((32, 10)), shown.getpixel((32, 54))], [RED, BLUE]) <= 12


def test_a_bitmap_of_a_rare_kind_is_called_not_supported() -> None:
    short = struct.pack("<IIIHH", 16, SIDE, SIDE, 1, 24)
    with pytest.raises(UnreadablePictureError) as caught:
        render_bytes(io.BytesIO(make_bitmap(short, ROWS)))
    assert str(caught.value) == "This kind of BMP file is not supported."


# --- TIFF -----------------------------------------------------------------------------------------


def make_tiff(
    pixels: bytes,
    bits: int,
    samples: int = 1,
    sample_format: int = 3,
    photometric: int = 1,
    compression: int = 1,
    order: str = "<",
) -> io.BytesIO:
    """A TIFF file of one strip (TIFF 6.0, sections 2, 8 and 19; sample format 3 is float)."""
    tags = {
        256: [SIDE],
        257: [SIDE],
        258: [bits] * samples,
        259: [compression],
        262: [photometric],
        273: [0],
        277: [samples],
        278: [SIDE],
        279: [len(pixels)],
        339: [sample_format] * samples,
    }
    at = 8 + 2 + 12 * len(tags) + 4
    long_values = b"".join(
        struct.pack(f"{order}{len(v)}H", *v) for v in tags.values() if len(v) > 2
    )
    tags[273] = [at + len(long_values)]
    table = b""
    for tag, values in tags.items():
        kind, letter = (3, "H") if tag in (258, 339) else (4, "I")
        table += struct.pack(f"{order}HHI", tag, kind, len(values))
        if len(values) > 2:
            table += struct.pack(f"{order}I", at)
            at += 2 * len(values)
        else:
            table += struct.pack(f"{order}{len(values)}{letter}", *values).ljust(4, b"\0")
    start = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HIH", 42, 8, len(tags))
    return io.BytesIO(start + table + bytes(4) + long_values + pixels)


def make_ramp(highest: float, order: str = "<") -> bytes:
    """Black to white from left to right."""
    row = [highest * x / (SIDE - 1) for x in range(SIDE)]
    return struct.pack(f"{order}{SIDE * SIDE}f", *row * SIDE)


def read_ramp(file: io.BytesIO) -> list[int]:
    shown = show(render_bytes(file).renditions[0])
    return [shown.getpixel((x, 32))[0] for x in (4, 32, 59)]


@pytest.mark.parametrize("highest", [1, 255, 65535, 100, 1000.0, 4.5])
def test_a_float_tiff_is_toned_to_8_bits(highest: float) -> None:
    # 100 is a picture of 8 bits that is rather dark; the other ranges are used to their ends.
    most = 100 if highest == 100 else 255
    expected = [most * x / (SIDE - 1) for x in (4, 32, 59)]
    assert differ([read_ramp(make_tiff(make_ramp(highest), 32))], [expected]) <= 6


def test_a_float_tiff_may_be_big_endian_compressed_or_start_with_white() -> None:
    expected = [255 * x / (SIDE - 1) for x in (4, 32, 59)]
    file = make_tiff(make_ramp(1, ">"), 32, order=">")
    assert differ([read_ramp(file)], [expected]) <= 6
    file = make_tiff(zlib.compress(make_ramp(1)), 32, compression=8)
    assert differ([read_ramp(file)], [expected]) <= 6
    file = make_tiff(make_ramp(1), 32, photometric=0)
    assert differ([read_ramp(file)], [[255 - v for v in expected]]) <= 6


@pytest.mark.parametrize(
    "file",
    [
        make_tiff(bytes(SIDE * SIDE * 12), 32, samples=3, photometric=2),
        make_tiff(bytes(SIDE * SIDE * 6), 16, samples=3, photometric=2),
        make_tiff(bytes(SIDE * SIDE * 8), 64),
        make_tiff(bytes(SIDE * SIDE * 2), 16),
        make_tiff(bytes(SIDE * SIDE * 12), 32, samples=3, sample_format=1, photometric=2),
        make_tiff(bytes(SIDE * SIDE), 8, sample_format=1, compression=34887),
    ],
    ids=["RGB float", "RGB half", "double", "half", "RGB 32 bits", "LERC"],
)
def test_a_sound_tiff_that_cannot_be_decoded_is_called_not_supported(file: io.BytesIO) -> None:
    with pytest.raises(UnreadablePictureError) as caught:
        render_bytes(io.BytesIO(file.getvalue()))
    assert str(caught.value) == "This kind of TIFF file is not supported."


def test_a_tiff_that_is_cut_short_is_still_called_broken_or_incomplete() -> None:
    content = make_tiff(make_ramp(1), 32).getvalue()
    for end in (60, 150, len(content) // 2):
        with pytest.raises(UnreadablePictureError, match=r"broken|incomplete"):
            render_bytes(io.BytesIO(content[:end]))
