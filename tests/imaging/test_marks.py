"""Watermarks, and the credits in WebP files."""

import io
import random

import pytest
from PIL import Image, ImageChops, ImageDraw, ImageStat

from imagehub.imaging.marks import PICTURE_PX, PLACES, Mark, make_xmp, set_xmp
from imagehub.imaging.private_data import FileSource, Packet, look
from imagehub.imaging.render import OpenedPicture, mark_rendition
from imagehub.imaging.watermark import draw_mark, shrink_picture
from imagehub.imaging.words import read_words

SIZE = (960, 640)
CREDITS = {
    "creator": "Ada & <L>",
    "credit_line": "Studio Ada",
    "copyright_notice": "© Ada",
    "license_url": "https://a.b/terms/?x=1&y=2",
    "license_page_url": "https://a.b/buy",
}


def find_change(before: Image.Image, after: Image.Image) -> tuple[int, int, int, int]:
    box = ImageChops.difference(before.convert("RGB"), after.convert("RGB")).getbbox()
    assert box is not None, "nothing was drawn"
    return box


def make_ring(colour: tuple[int, int, int]) -> bytes:
    ring = Image.new("RGBA", (1000, 1000))
    ImageDraw.Draw(ring).ellipse((100, 100, 900, 900), outline=(*colour, 255), width=90)
    return shrink_picture(ring)


@pytest.mark.parametrize("ground", [20, 235])
def test_a_text_is_light_on_dark_ground_and_dark_on_light(ground: int) -> None:
    picture = Image.new("RGB", SIZE, (ground,) * 3)
    marked = draw_mark(picture, Mark("© Ada", strength_percent=100))
    low, high = marked.convert("L").getextrema()
    assert (high > 200) if ground == 20 else (low < 40)
    weak = draw_mark(picture, Mark("© Ada", strength_percent=20)).convert("L").getextrema()
    assert max(abs(one - ground) for one in weak) < 50


@pytest.mark.parametrize("place", [one for one in PLACES if one != "tiled"])
def test_a_mark_stands_where_it_is_wanted_and_not_at_the_edge(place: str) -> None:
    picture = Image.new("RGB", SIZE, "black")
    left, top, right, bottom = find_change(picture, draw_mark(picture, Mark("© Ada", place=place)))
    is_left, is_top = (left + right) / 2 < SIZE[0] * 0.4, (top + bottom) / 2 < SIZE[1] * 0.4
    is_right, is_bottom = (left + right) / 2 > SIZE[0] * 0.6, (top + bottom) / 2 > SIZE[1] * 0.6
    assert (is_left, is_right) == ("left" in place, "right" in place)
    assert (is_top, is_bottom) == ("top" in place, "bottom" in place)
    assert min(left, top, SIZE[0] - right, SIZE[1] - bottom) >= 4


def test_a_tiled_mark_is_all_over_and_each_copy_can_be_seen() -> None:
    picture = Image.linear_gradient("L").resize(SIZE).convert("RGB")
    marked = draw_mark(picture, Mark("© Ada", place="tiled", strength_percent=60))
    for x in (0, SIZE[0] // 2):
        for y in (0, SIZE[1] // 2):
            part = (x, y, x + SIZE[0] // 2, y + SIZE[1] // 2)
            find_change(picture.crop(part), marked.crop(part))


@pytest.mark.parametrize(
    "size", [(1920, 1280), (480, 320), (1920, 192), (120, 480), (16, 16), (1, 1)]
)
def test_a_mark_grows_with_the_picture_and_fits_into_it(size: tuple[int, int]) -> None:
    picture = Image.new("RGB", size, "black")
    for mark in (Mark("© A rather long name, for a small picture"), Mark("", make_ring((0, 0, 0)))):
        marked = draw_mark(picture, mark)
        assert (marked.size, marked.mode) == (size, "RGB")
    if size[0] >= 480:
        box = find_change(picture, draw_mark(picture, Mark("© Ada")))
        assert 0.015 < (box[3] - box[1]) / (size[0] * size[1]) ** 0.5 < 0.05


def test_a_shape_is_tinted_and_a_picture_in_colour_is_not() -> None:
    dark = Image.new("RGB", SIZE, "black")
    shape = draw_mark(dark, Mark("", make_ring((0, 0, 0)), strength_percent=100))
    assert shape.convert("L").getextrema()[1] > 200, "black on black would not be seen"
    coloured = draw_mark(dark, Mark("", make_ring((200, 0, 0)), strength_percent=100))
    red, green, _ = (channel.getextrema()[1] for channel in coloured.split())
    assert (red > 150, green < 60) == (True, True)


def test_transparency_is_kept() -> None:
    picture = Image.new("RGBA", SIZE, (0, 0, 0, 0))
    marked = draw_mark(picture, Mark("© Ada"))
    assert marked.mode == "RGBA"
    assert marked.getpixel((5, 5)) == (0, 0, 0, 0)
    assert marked.getchannel("A").getextrema()[1] > 0
    drawn = marked.getchannel("A").point(lambda value: 255 * (value > 80))
    tone = ImageStat.Stat(marked.convert("L"), drawn).mean[0]
    assert 100 < tone < 160, "it is seen on light and on dark pages"


def test_a_picture_for_marks_is_cropped_and_bounded() -> None:
    wide = Image.new("RGBA", (3000, 1000))
    wide.paste((0, 0, 0, 255), (1000, 400, 2000, 600))
    with Image.open(io.BytesIO(shrink_picture(wide))) as stored:
        assert stored.size == (PICTURE_PX, 160)


def make_photo() -> Image.Image:
    rng = random.Random(7)
    picture = Image.new("RGB", (2400, 1600))
    for _ in range(200):
        x, y = rng.randrange(2400), rng.randrange(1600)
        colour = tuple(rng.randrange(256) for _ in range(3))
        ImageDraw.Draw(picture).ellipse((x, y, x + 300, y + 200), fill=colour)
    return picture


def test_renditions_are_made_with_and_without_the_mark_from_the_size_on() -> None:
    source = io.BytesIO()
    make_photo().save(source, "JPEG", quality=90)
    plain = OpenedPicture(io.BytesIO(source.getvalue())).render()
    both = OpenedPicture(io.BytesIO(source.getvalue())).render(Mark("© Ada", from_px=960))
    assert [one.data for one in both.renditions] == [one.data for one in plain.renditions]
    assert [bool(one.marked) for one in both.renditions] == [False, False, True, True]
    assert both.thumbhash == plain.thumbhash
    large = both.renditions[-1]
    assert large.marked_key != large.object_key
    again = mark_rendition(io.BytesIO(large.data), Mark("© Ada", from_px=960), 1920)
    with Image.open(io.BytesIO(large.marked)) as first, Image.open(io.BytesIO(again)) as second:
        difference = ImageChops.difference(first.convert("RGB"), second.convert("RGB"))
        assert max(ImageStat.Stat(difference).mean) < 3, (
            "it looks as if it were made from the original"
        )
    assert len(again) < 1.25 * len(large.data)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "lossless"])
def test_credits_are_written_without_touching_the_pixels(mode: str) -> None:
    picture = Image.new(
        "RGBA" if mode != "RGB" else "RGB", (63, 41), (200, 10, 30, 90)[: 3 if mode == "RGB" else 4]
    )
    source = io.BytesIO()
    picture.save(source, "WEBP", lossless=mode == "lossless")
    data = source.getvalue()
    xmp = make_xmp(CREDITS)
    assert len(xmp) < 1000
    written = set_xmp(data, 63, 41, xmp)
    assert len(written) - len(data) < len(xmp) + 30
    with Image.open(io.BytesIO(data)) as before, Image.open(io.BytesIO(written)) as after:
        assert after.mode == before.mode
        assert after.tobytes() == before.tobytes()
        assert after.info["xmp"] == xmp
    packets: list[Packet] = []
    private = look(FileSource(io.BytesIO(written)), packets=packets)
    assert private.kinds == ()
    found = read_words(packets)
    assert (found.creator, found.copyright_notice) == ("Ada & <L>", "© Ada")
    assert found.license_url == CREDITS["license_url"]
    assert b"https://a.b/buy" in written
    other = set_xmp(written, 63, 41, make_xmp({"creator": "Ben"}))
    assert other.count(b"XMP ") == 1
    assert b"Ada" not in other
    if mode == "RGB":
        assert set_xmp(other, 63, 41, b"") == data


def test_nothing_is_written_where_nothing_is_known() -> None:
    assert make_xmp({"creator": "", "license_url": ""}) == b""
    with pytest.raises(ValueError, match="WebP"):
        set_xmp(b"\x89PNG", 1, 1, b"x")
