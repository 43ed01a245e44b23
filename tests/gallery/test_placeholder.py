"""Placeholders decoded from a ThumbHash."""

import base64
import io

import pytest
from PIL import Image

from imagehub.gallery.placeholder import make_placeholder_url
from imagehub.imaging.thumbhash import make_thumbhash


def open_placeholder(url: str) -> Image.Image:
    head, _, data = url.partition(",")
    assert head == "data:image/png;base64"
    return Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")


def hash_of(picture: Image.Image) -> str:
    data = make_thumbhash(picture.width, picture.height, picture.convert("RGBA").tobytes())
    return base64.b64encode(data).decode()


@pytest.mark.parametrize("size", [(60, 40), (40, 60), (50, 50), (100, 20), (20, 100)])
def test_a_placeholder_has_the_colours_where_the_picture_has_them(size: tuple[int, int]) -> None:
    width, height = size
    picture = Image.new("RGB", size, (200, 40, 40))
    picture.paste((30, 60, 200), (width // 2, 0, width, height))
    painted = open_placeholder(make_placeholder_url(hash_of(picture)))
    left = painted.getpixel((0, painted.height // 2))
    right = painted.getpixel((painted.width - 1, painted.height // 2))
    assert isinstance(left, tuple) and isinstance(right, tuple)
    assert left[0] > left[2] + 60
    assert right[2] > right[0] + 60
    assert max(painted.size) <= 9
    assert (painted.width > painted.height) == (width > height)


def test_a_picture_with_transparency_is_painted_over_light_grey() -> None:
    picture = Image.new("RGBA", (40, 40), (0, 0, 0, 0))
    painted = open_placeholder(make_placeholder_url(hash_of(picture)))
    centre = painted.getpixel((painted.width // 2, painted.height // 2))
    assert isinstance(centre, tuple)
    assert min(centre) > 200


def test_one_flat_colour_stays_itself() -> None:
    picture = Image.new("RGB", (30, 30), (120, 160, 90))
    painted = open_placeholder(make_placeholder_url(hash_of(picture)))
    pixel = painted.getpixel((2, 2))
    assert pixel == pytest.approx((120, 160, 90), abs=8)


@pytest.mark.parametrize("text", ["", "no base64!", "AAA=", "AAAA"])
def test_what_is_no_hash_paints_nothing(text: str) -> None:
    assert make_placeholder_url(text) == ""
