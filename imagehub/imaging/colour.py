"""Colours: convert a picture to sRGB, and find its dominant colour."""

import struct
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image, ImageChops, ImageCms

from imagehub.imaging.colour_source import ColorSource
from imagehub.imaging.tone import find_peak, map_values, tone

MAX_PROFILE_BYTES = 64_000_000
_MAX_KEPT_BYTES = 4_000_000
# The colour space of a profile → the modes that it can describe.
_MODES = {b"RGB ": ("RGB", "RGBA"), b"CMYK": ("CMYK",), b"GRAY": ("L",)}
# The values of narrow range, 16 to 235, to full range. Source: ITU-R BT.2100-2, table 9.
_WIDEN = [min(255, max(0, round((value - 16) * 255 / 219))) for value in range(256)]


@dataclass(frozen=True)
class Conversion:
    """How all renditions of one picture are converted to sRGB.

    ``peak_nits``: of an HDR picture. ``assumed_profile``: the name of the profile that was taken
    because the file has none.
    """

    source: ColorSource
    peak_nits: float = 0.0
    assumed_profile: str = ""


def plan_conversion(frame: Image.Image, source: ColorSource) -> Conversion:
    """Decide on the conversion of a picture, once for all of its renditions.

    :param frame: decoded; mode as for :func:`convert_to_srgb`.
    """
    if source.hdr_transfer and frame.mode in ("L", "RGB", "RGBA", "RGBa"):
        return Conversion(source, find_peak(frame, source.hdr_transfer))
    if frame.mode == "CMYK" and not _is_usable(source.profile, "CMYK"):
        return Conversion(ColorSource(_read_press_profile()), assumed_profile="FOGRA39")
    return Conversion(source)


def convert_to_srgb(image: Image.Image, conversion: Conversion) -> Image.Image:
    """Convert to sRGB; a broken profile is ignored.

    :param image: mode RGB, RGBA, RGBa, L, CMYK or LAB.
    :return: mode RGB, or RGBA if any pixel is transparent.
    """
    source = conversion.source
    if image.mode == "RGBa":
        image = image.convert("RGBA")
        if image.getchannel("A").getextrema() == (255, 255):
            image = image.convert("RGB")
    if image.mode == "LAB":
        return _make_lab_transform().apply(image)
    if source.is_narrow and image.mode != "CMYK":
        image = map_values(image, _WIDEN)
    if conversion.peak_nits:
        image = tone(image, source.hdr_transfer, conversion.peak_nits)
    return _apply_profile(image, source.profile)


def _apply_profile(image: Image.Image, profile: bytes) -> Image.Image:
    modes = _list_modes(profile)
    alpha = None
    if image.mode == "L" and "RGB" in modes:
        image = image.convert("RGB")
    elif image.mode == "RGBA" and "L" in modes and _is_grey(image):
        # Grey with transparency is decoded to four channels.
        image, alpha = image.getchannel("R"), image.getchannel("A")
    if image.mode in modes:
        transform = _find_transform(profile, image.mode)
        image = transform.apply(image) if transform else image
    if image.mode not in ("RGB", "RGBA"):
        image = image.convert("RGB")
    if alpha is not None:
        image.putalpha(alpha)
    return image


def find_profile_to_apply(mode: str, source: ColorSource) -> bytes:
    """Return the profile that converts a picture to sRGB; b"" if there is nothing to do.

    For decoders other than Pillow's, by the rules of :func:`convert_to_srgb`.

    :param mode: RGB, L or CMYK.
    """
    if mode == "CMYK" and not _is_usable(source.profile, "CMYK"):
        return _read_press_profile()
    modes = _list_modes(source.profile)
    if mode == "L" and "RGB" in modes:
        mode = "RGB"
    is_needed = mode in modes and _find_transform(source.profile, mode) is not None
    return source.profile if is_needed else b""


def make_srgb_profile() -> bytes:
    """Return the profile that :func:`convert_to_srgb` converts to."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def _is_usable(profile: bytes, mode: str) -> bool:
    return mode in _list_modes(profile) and _find_transform(profile, mode) is not None


@lru_cache(maxsize=1)
def _read_press_profile() -> bytes:
    """Return the profile of CMYK without one: offset printing on coated paper (ISO 12647-2)."""
    return (Path(__file__).parent / "press" / "fogra39.icc").read_bytes()


def _list_modes(profile: bytes) -> tuple[str, ...]:
    """Return the modes of the pictures that a profile can describe."""
    return _MODES.get(profile[16:20], ()) if len(profile) <= MAX_PROFILE_BYTES else ()


def _is_grey(image: Image.Image) -> bool:
    red, green, blue = image.split()[:3]
    return red.tobytes() == green.tobytes() == blue.tobytes()


def _find_transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    # A large profile is not kept in memory for the next picture.
    make = _make_transform if len(profile) <= _MAX_KEPT_BYTES else _make_transform.__wrapped__
    return make(profile, mode)


@lru_cache(maxsize=8)
def _make_transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Return the transform to sRGB; None if it changes nothing or the profile is broken."""
    try:
        transform = ImageCms.ImageCmsTransform(
            ImageCms.ImageCmsProfile(BytesIO(profile)),
            ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")),
            mode,
            "RGBA" if mode == "RGBA" else "RGB",
            intent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
        return None if _changes_nothing(transform, mode) else transform
    except (OSError, ValueError, TypeError, ImageCms.PyCMSError):
        return None


def _changes_nothing(transform: ImageCms.ImageCmsTransform, mode: str) -> bool:
    """Tell whether a profile is sRGB, by its effect on a few hundred colours.

    Its name says nothing: programs copy names, and people give their own.
    """
    if mode == "CMYK":
        return False
    steps = range(0, 256, 51)
    colors = [(v, v, v) for v in range(256)]
    colors += [(r, g, b) for r in steps for g in steps for b in steps]
    sample = Image.frombytes("RGB", (len(colors), 1), bytes(v for color in colors for v in color))
    sample = sample.convert(mode)
    after, before = transform.apply(sample).convert("RGB"), sample.convert("RGB")
    extrema = ImageChops.difference(after, before).getextrema()
    return all(isinstance(most, tuple) and most[1] <= 1 for most in extrema)


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
