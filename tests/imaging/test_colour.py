"""What a file says of its colours, and how they look in sRGB."""

import io

import pytest
from PIL import Image, ImageCms

from tests.imaging.support import (
    ADOBE_RGB,
    QUARTERS,
    differ,
    encode,
    make_profile,
    make_scene,
    read_quarters,
    render_bytes,
    show,
)

SRGB_PRIMARIES = ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060))
LINEAR = make_profile(SRGB_PRIMARIES, 1.0, "sRGB IEC61966-2.1 (Linear RGB Profile)")
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def make_grey_profile(gamma: float) -> bytes:
    """Turn a monitor profile into one of its grey axis (ICC.1:2001-04, section 6.3.1.1)."""
    data = make_profile(SRGB_PRIMARIES, gamma)
    assert data.count(b"rTRC") == 1
    return data[:16] + b"GRAY" + data[20:].replace(b"rTRC", b"kTRC", 1)


def read_spot(image: Image.Image) -> tuple[int, ...]:
    return image.getpixel((image.width // 2, image.height // 2))


def render_spot(file: io.BytesIO) -> tuple[int, ...]:
    return read_spot(show(render_bytes(file).renditions[0]))


# --- ICC profiles ---------------------------------------------------------------------------------


@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF"])
def test_a_linear_profile_is_followed_even_if_its_name_begins_with_srgb(format: str) -> None:
    how = {"quality": 95} if format == "JPEG" else {}
    linear = Image.new("RGB", (64, 64), (55, 55, 55))
    # 55/255 of the light is 128 in sRGB: 255 * (1.055 * (55/255)**(1/2.4) - 0.055).
    spot = render_spot(encode(linear, format, icc_profile=LINEAR, **how))
    assert differ([spot], [(128, 128, 128)]) <= 2


def test_adobe_rgb_under_the_name_of_srgb_is_converted() -> None:
    named = make_profile(((0.640, 0.330), (0.210, 0.710), (0.150, 0.060)), 2.2, "sRGB")
    scene = make_scene()
    as_srgb, as_adobe = (
        read_quarters(show(render_bytes(encode(scene, "PNG", icc_profile=p)).renditions[0]))
        for p in (named, ADOBE_RGB)
    )
    assert as_srgb == as_adobe
    assert differ(as_srgb, QUARTERS) > 15


def test_srgb_under_any_name_changes_nothing() -> None:
    plain = render_bytes(encode(make_scene(), "PNG")).renditions[0]
    other = SRGB.replace("sRGB built-in".encode("utf-16-be"), "Adobe RGB 98!".encode("utf-16-be"))
    assert other != SRGB
    for profile in (SRGB, other):
        made = render_bytes(encode(make_scene(), "PNG", icc_profile=profile)).renditions[0]
        assert made.data == plain.data


@pytest.mark.parametrize("mode", ["L", "LA", "I;16"])
def test_a_grey_profile_is_followed_with_and_without_transparency(mode: str) -> None:
    grey = Image.new("L", (64, 64), 55)
    if mode == "LA":
        grey = grey.convert("LA")
        grey.putpixel((0, 0), (55, 0))
    elif mode == "I;16":
        grey = Image.frombytes("I;16", (64, 64), b"\x37\x37" * 64 * 64)
    file = encode(grey, "PNG", icc_profile=make_grey_profile(1.0))
    shown = show(render_bytes(file).renditions[0])
    assert shown.mode == ("RGBA" if mode == "LA" else "RGB")
    assert differ([read_spot(shown)[:3]], [(128, 128, 128)]) <= 2
    if mode == "LA":
        assert shown.getpixel((0, 0))[3] < 128 and read_spot(shown)[3] == 255


def test_a_grey_profile_on_a_colour_picture_is_ignored() -> None:
    scene = make_scene()
    scene.putalpha(254)
    file = encode(scene, "PNG", icc_profile=make_grey_profile(1.0))
    assert differ(read_quarters(show(render_bytes(file).renditions[0])), QUARTERS) <= 12
