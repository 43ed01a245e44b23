"""Texts and profiles of PNG files that are larger than anything needs."""

import io
import tracemalloc
import zlib

import pytest
from PIL import Image, PngImagePlugin

from imagehub.imaging.png import MAX_UNPACKED_BYTES, leave_out, read_chunks
from tests.imaging.support import (
    ADOBE_RGB,
    QUARTERS,
    differ,
    make_png,
    make_scene,
    read_quarters,
    render_bytes,
    show,
)

LONG = b"Twelve words about the scanner. " * 47_000  # 1.5 MB
# An ICC profile may end with bytes that no tag uses.
LONG_ADOBE_RGB = ADOBE_RGB + bytes(1_500_000)
BOMB = zlib.compress(bytes(MAX_UNPACKED_BYTES + 1))


def make_texts(text: bytes, packed: bytes) -> list[tuple[bytes, bytes]]:
    return [
        (b"tEXt", b"Comment\0" + text),
        (b"zTXt", b"Comment\0\0" + packed),
        (b"iTXt", b"Comment\0\0\0en\0\0" + text),
        (b"iTXt", b"Comment\0\1\0en\0\0" + packed),
        (b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + packed),
    ]


@pytest.mark.parametrize("index", range(5))
def test_a_long_text_does_no_harm(index: int) -> None:
    chunk = make_texts(LONG, zlib.compress(LONG))[index]
    made = render_bytes(make_png(make_scene(), chunk))
    assert differ(read_quarters(show(made.renditions[0])), QUARTERS) <= 12


@pytest.mark.parametrize("index", [1, 3, 4])
def test_a_bomb_in_a_text_is_dropped(index: int) -> None:
    chunk = make_texts(b"", BOMB)[index]
    file = make_png(make_scene(), chunk, chunk)
    assert len(read_chunks(file).unwanted) == 2
    made = render_bytes(file)
    assert differ(read_quarters(show(made.renditions[0])), QUARTERS) <= 12


def test_a_long_profile_is_followed_and_a_bomb_in_its_place_is_dropped() -> None:
    def render_with(profile: bytes) -> list[tuple[int, ...]]:
        chunk = (b"iCCP", b"a profile\0\0" + profile)
        return read_quarters(show(render_bytes(make_png(make_scene(), chunk)).renditions[1]))

    expected = render_with(zlib.compress(ADOBE_RGB))
    assert differ(expected, QUARTERS) > 15
    assert render_with(zlib.compress(LONG_ADOBE_RGB)) == expected
    assert differ(render_with(BOMB), QUARTERS) <= 12


def test_a_text_after_the_pixels_is_dropped_as_well() -> None:
    data = make_png(make_scene()).getvalue()
    chunk = make_png(make_scene(), (b"zTXt", b"Comment\0\0" + BOMB)).getvalue()
    chunk = chunk[33 : 33 + len(chunk) - len(data)]
    file = io.BytesIO(data[:-12] + chunk + data[-12:])
    assert read_chunks(file).unwanted == [(len(data) - 12, len(data) - 12 + len(chunk))]
    assert differ(read_quarters(show(render_bytes(file).renditions[0])), QUARTERS) <= 12


def test_many_texts_together_stay_within_the_limit() -> None:
    chunk = (b"zTXt", b"Comment\0\0" + zlib.compress(bytes(990_000)))
    file = make_png(make_scene((8, 8)), *[chunk] * 100)
    dropped = len(read_chunks(file).unwanted)
    assert 100 - dropped == MAX_UNPACKED_BYTES // 990_000
    assert render_bytes(file).format == "PNG"


def test_measuring_a_bomb_takes_little_memory() -> None:
    file = make_png(make_scene((8, 8)), (b"iCCP", b"a profile\0\0" + BOMB))
    tracemalloc.start()
    try:
        read_chunks(file)
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "chunk",
    [
        (b"iCCP", b"a profile\0\7" + zlib.compress(ADOBE_RGB)),
        (b"iCCP", b""),
        (b"iCCP", b"a profile"),
        (b"zTXt", b"Comment\0\7" + zlib.compress(b"text")),
        (b"zTXt", b"Comment"),
        (b"zTXt", b"Comment\0\0no zlib stream"),
        (b"gAMA", b"\0"),
        (b"cHRM", b"\0" * 12),
        (b"sRGB", b""),
        (b"pHYs", b"\0\0"),
        (b"prIv", bytes(2_000_000)),
    ],
    ids=lambda chunk: f"{chunk[0].decode()}-{len(chunk[1])}",
)
def test_a_faulty_chunk_that_the_picture_does_not_need_is_dropped(
    chunk: tuple[bytes, bytes],
) -> None:
    made = render_bytes(make_png(make_scene(), chunk))
    assert differ(read_quarters(show(made.renditions[0])), QUARTERS) <= 12


def test_an_orientation_in_a_long_xmp_text_is_still_found() -> None:
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><tiff:Orientation>6</tiff:Orientation>'
    info = PngImagePlugin.PngInfo()
    info.add_itxt("XML:com.adobe.xmp", xmp + b" " * 1_500_000, zip=True)
    file = io.BytesIO()
    make_scene().save(file, "PNG", pnginfo=info)
    made = render_bytes(file)
    assert (made.width_px, made.height_px) == (400, 600)


@pytest.mark.parametrize("size", [1, 3, 7, 100])
def test_a_spliced_file_reads_like_the_bytes_that_are_left(size: int) -> None:
    data = bytes(range(100))
    file = leave_out(io.BytesIO(data), [(0, 5), (20, 30), (30, 40), (90, 100)])
    left = data[5:20] + data[40:90]
    assert b"".join(iter(lambda: file.read(size), b"")) == left
    for offset in (0, 14, 15, 16, 64, 65, 70):
        assert file.seek(offset) == offset
        assert file.read(10) == left[offset : offset + 10]
    assert file.seek(-3, io.SEEK_END) == 62 and file.read() == left[-3:]


def test_an_animation_shows_its_first_picture_without_its_long_texts() -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("Comment", LONG.decode(), zip=True)
    file = io.BytesIO()
    second = make_scene().transpose(Image.Transpose.ROTATE_180)
    make_scene().save(file, "PNG", save_all=True, append_images=[second], pnginfo=info)
    made = render_bytes(file)
    assert differ(read_quarters(show(made.renditions[0])), QUARTERS) <= 12
