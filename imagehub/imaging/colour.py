"""Colours: convert a picture to sRGB, and find its dominant colour."""

import struct
from functools import lru_cache
from io import BytesIO
from typing import Any

from PIL import Image, ImageCms

_MAX_PROFILE_BYTES = 4_000_000
# The colour space of a profile → the modes that it can describe.
_MODES = {b"RGB ": ("RGB", "RGBA"), b"CMYK": ("CMYK",), b"GRAY": ("L",)}


def convert_to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Convert from a colour profile to sRGB; a broken profile is ignored.

    :param image: mode RGB, RGBA, RGBa, L, CMYK or LAB.
    :return: mode RGB, or RGBA if any pixel is transparent.
    """
    if image.mode == "RGBa":
        image = image.convert("RGBA")
        if image.getchannel("A").getextrema() == (255, 255):
            image = image.convert("RGB")
    if image.mode == "LAB":
        return _make_lab_transform().apply(image)
    if profile and len(profile) <= _MAX_PROFILE_BYTES:
        space = profile[16:20]
        if space == b"RGB " and image.mode == "L":
            image = image.convert("RGB")
        if image.mode in _MODES.get(space, ()):
            transform = _make_transform(profile, image.mode)
            image = transform.apply(image) if transform else image
    return image if image.mode in ("RGB", "RGBA") else image.convert("RGB")


@lru_cache(maxsize=8)
def _make_transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Return the transform to sRGB; None if the profile is sRGB already or broken."""
    try:
        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        if (source.profile.profile_description or "").startswith("sRGB"):
            return None
        return ImageCms.ImageCmsTransform(
            source,
            ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")),
            mode,
            "RGBA" if mode == "RGBA" else "RGB",
            intent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except (OSError, ValueError, TypeError, ImageCms.PyCMSError):
        return None


@lru_cache(maxsize=1)
def _make_lab_transform() -> ImageCms.ImageCmsTransform:
    lab, srgb = (ImageCms.ImageCmsProfile(ImageCms.createProfile(n)) for n in ("LAB", "sRGB"))
    return ImageCms.ImageCmsTransform(lab, srgb, "LAB", "RGB")


def forget_profiles() -> None:
    """Free the cached transforms."""
    _make_transform.cache_clear()


def find_dominant_color(tiny: Image.Image) -> str:
    """Return the dominant colour as ``#rrggbb``: of six colours, a large and saturated one.

    :param tiny: mode RGBA, a few hundred pixels.
    """
    opaque = [pixel[:3] for pixel in struct.iter_unpack("BBBB", tiny.tobytes()) if pixel[3] >= 128]
    if not opaque:
        return "#ffffff"
    strip = Image.frombytes("RGB", (len(opaque), 1), bytes(v for pixel in opaque for v in pixel))
    few = strip.quantize(6, Image.Quantize.MEDIANCUT, kmeans=1)
    palette = few.getpalette() or [0, 0, 0]
    colors = few.getcolors() or [(1, 0)]

    def weight(entry: tuple[int, Any]) -> float:
        count, index = entry
        color = palette[3 * index : 3 * index + 3]
        return count * (0.4 + (max(color) - min(color)) / 255)

    index = max(colors, key=weight)[1]
    assert isinstance(index, int)
    return "#" + bytes(palette[3 * index : 3 * index + 3]).hex()
