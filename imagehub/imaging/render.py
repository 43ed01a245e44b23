"""Pictures only: open them safely, set them upright, bring them to sRGB, make them small.

``render`` is the whole journey of one original: look at the first bytes, refuse what is no picture
or over a limit, decode as little as will do, shrink, and encode every rendition. Nothing here knows
of a drive, a database or a network. Decoding strangers' files is risky work: the server does it
through :mod:`imagehub.imaging.pool`, in processes that may die.

How a picture is shrunk: JPEG lets its decoder skip detail (``draft``); anything else is box-reduced
in strips while it is converted. Then each rendition is made from the next larger one.
Colour profiles and transparency are seen to after shrinking, on few pixels.
"""

import ctypes
import hashlib
import math
import struct
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from PIL import (
    AvifImagePlugin,
    ExifTags,
    Image,
    ImageChops,
    ImageCms,
    ImageFile,
    JpegImagePlugin,
)

from imagehub.errors import PictureError, PictureTooLargeError, UnreadablePictureError
from imagehub.imaging.kinds import MAX_PIXELS, recognize
from imagehub.imaging.metadata import PictureMetadata, make_metadata
from imagehub.imaging.thumbhash import make_thumbhash

# The limits are ours and are checked before anything is decoded, so Pillow's own guess at what is a
# decompression bomb (a warning from 89 megapixels on) would only be in the way.
Image.MAX_IMAGE_PIXELS = None
# A picture that is cut short is refused; it is never shown half grey.
ImageFile.LOAD_TRUNCATED_IMAGES = False
# Each renderer has one core; threads inside the decoder would only take it from the others.
AvifImagePlugin.DEFAULT_MAX_THREADS = 1
# Keeping two of Pillow's 16 MB blocks for the next picture saves a tenth of the processor time,
# which would go into getting the same memory from the system again.
_core = Image.core  # type: ignore[attr-defined] # Documented by Pillow, but not in its types.
_core.set_blocks_max(2)

Size = tuple[int, int]


# --- What goes in and what comes out --------------------------------------------------------------


@dataclass(frozen=True)
class RenditionSpec:
    """One size to make.

    :param label_px: longest side in pixels; a smaller original keeps its own size.
    :param quality: 1 to 95.
    :param effort: WebP's method, 0 (quick) to 6 (small). 2 needs less than half the time of 4, for
        about 7 % more bytes.
    """

    label_px: int
    quality: int
    effort: int = 4


# The two sizes that a gallery page is full of are encoded with more effort than the one that is
# looked at singly, which has three quarters of all pixels. See benchmarks/renditions.py.
DEFAULT_SPECS = (
    RenditionSpec(480, quality=78, effort=4),
    RenditionSpec(960, quality=76, effort=4),
    RenditionSpec(1920, quality=75, effort=2),
)


@dataclass(frozen=True)
class RenderOptions:
    """What to make of an original, and what to refuse.

    :param avif: make each size as AVIF too (several times the work).
    :param keep_gps: report the place where a photo was taken; off, it is not even read.
    :param max_memory_bytes: refuse what would need more memory to decode, by estimate.
    """

    specs: tuple[RenditionSpec, ...] = DEFAULT_SPECS
    avif: bool = False
    avif_quality: int = 60
    avif_speed: int = 8
    keep_gps: bool = False
    max_pixels: int = MAX_PIXELS
    max_file_bytes: int = 500_000_000
    max_memory_bytes: int = 2_000_000_000


@dataclass(frozen=True)
class EncodedPicture:
    """One rendition: sRGB, upright, without metadata. ``data`` is the whole file."""

    label_px: int
    width_px: int
    height_px: int
    mime: str
    data: bytes = field(repr=False)

    @cached_property
    def sha256(self) -> str:
        """Lower-case hex digest of ``data``."""
        return hashlib.sha256(self.data).hexdigest()

    @property
    def object_key(self) -> str:
        """Where the bytes belong: equal bytes have equal keys."""
        digest = self.sha256
        extension = self.mime.removeprefix("image/")
        return f"renditions/{digest[:2]}/{digest[2:4]}/{digest}.{extension}"


@dataclass(frozen=True)
class RenderedPicture:
    """All that is made of one original.

    ``width_px`` and ``height_px`` are the original's, upright. ``renditions`` holds every label of
    the options, small to large, WebP before AVIF. ``dominant_color`` is ``#rrggbb``.

    Source of ``thumbhash``: https://evanw.github.io/thumbhash/
    """

    format: str
    mime: str
    width_px: int
    height_px: int
    renditions: tuple[EncodedPicture, ...]
    thumbhash: bytes
    dominant_color: str
    metadata: PictureMetadata


# --- The front door -------------------------------------------------------------------------------


def render(path: str | Path, options: RenderOptions | None = None) -> RenderedPicture:
    """Make all renditions of the original in a file.

    :raise UnreadablePictureError: broken, cut short, or no picture that is known here.
    :raise PictureTooLargeError: over a limit of the options, known before decoding.
    """
    with open(path, "rb") as file:
        return OpenedPicture(file, options).render()


def make_rendition(
    original: BinaryIO, spec: RenditionSpec, options: RenderOptions | None = None
) -> EncodedPicture:
    """Make one WebP rendition of an original: upright, sRGB, never enlarged.

    :param original: seekable stream at position 0; JPEG, PNG, WebP, HEIC, TIFF, GIF, BMP or AVIF.
    :raise UnreadablePictureError: the bytes are cut short or not a picture.
    :raise PictureTooLargeError: over a limit of the options, known before decoding.

    Source: Exif 2.32, tag 0x0112 (Orientation).
    """
    only = replace(options or RenderOptions(), specs=(spec,), avif=False)
    return OpenedPicture(original, only).render().renditions[0]


class OpenedPicture:
    """An original whose header was read and found within the limits; nothing is decoded yet.

    :param file: seekable stream at position 0; it stays the caller's to close.
    :ivar memory_bytes: about what ``render`` will need at its peak.
    :raise UnreadablePictureError: no picture that is known here, or a broken header.
    :raise PictureTooLargeError: over a limit of the options.
    """

    def __init__(self, file: BinaryIO, options: RenderOptions | None = None) -> None:
        self.options = options or RenderOptions()
        size_bytes = file.seek(0, 2)
        file.seek(0)
        if size_bytes > self.options.max_file_bytes:
            raise PictureTooLargeError(
                f"This file has {_in_millions(size_bytes)} MB; "
                f"the limit is {self.options.max_file_bytes // 1_000_000}."
            )
        self.format, self.mime = recognize(file)
        file.seek(0)
        with _plain_errors(self.format):
            if self.format == "WEBP":
                # Pillow's WebP decoder takes its memory as soon as it is opened.
                self._check_pixels(*_read_webp_size(file))
            self._image = _open(file, self.format)
        self._check_pixels(*self._image.size)
        self._target = _fit(self._image.size, max(spec.label_px for spec in self.options.specs))
        self._scale = _choose_draft(self._image, self._target)
        self.memory_bytes = _estimate_memory(self._image, self.format, self._scale)
        if self.memory_bytes > self.options.max_memory_bytes:
            raise PictureTooLargeError(
                f"Opening this picture takes about {self.memory_bytes / 1e9:.1f} GB of memory; "
                f"the limit is {self.options.max_memory_bytes / 1e9:.1f}."
            )

    def _check_pixels(self, width: int, height: int) -> None:
        if width < 1 or height < 1:
            raise UnreadablePictureError("This picture has no width or no height.")
        if width * height > self.options.max_pixels:
            raise PictureTooLargeError(
                f"This picture has {_in_millions(width * height)} megapixels; "
                f"the limit is {self.options.max_pixels // 1_000_000}."
            )

    def render(self) -> RenderedPicture:
        """Decode and make everything. Can be called once.

        :raise UnreadablePictureError: broken or cut short.
        """
        image, options = self._image, self.options
        metadata = _read_metadata(image, options.keep_gps)
        width, height = image.size
        with _plain_errors(self.format):
            frame = _decode(image, self._scale, self._target)
        profile = image.info.get("icc_profile")
        # Pillow turns a TIFF upright by itself while loading; afterwards its orientation is 1.
        orientation = _read_orientation(image)
        frame = _resize(frame, self._target)
        if orientation in _TURNS:
            frame = frame.transpose(_TURNS[orientation])
        if orientation >= 5:
            width, height = height, width

        finished: Image.Image | None = None
        webp: list[EncodedPicture] = []
        avif: list[EncodedPicture] = []
        specs = sorted(options.specs, key=lambda spec: spec.label_px)
        # From large to small, each from the one before. A picture smaller than a label is encoded
        # for its smallest fitting label, and those bytes stand for the larger labels too.
        steps = _group_by_size((width, height), specs)
        for size, same in reversed(steps):
            frame = _resize(frame, size)
            finished = _finish(frame, profile)
            data = _encode_webp(finished, same[0])
            webp += [EncodedPicture(spec.label_px, *size, "image/webp", data) for spec in same]
            if options.avif:
                data = _encode_avif(finished, options)
                avif += [EncodedPicture(spec.label_px, *size, "image/avif", data) for spec in same]
        assert finished is not None
        tiny = _make_tiny(finished)
        return RenderedPicture(
            format=self.format,
            mime=self.mime,
            width_px=width,
            height_px=height,
            renditions=(*sorted(webp, key=_label), *sorted(avif, key=_label)),
            thumbhash=make_thumbhash(tiny.width, tiny.height, tiny.tobytes()),
            dominant_color=_find_dominant_color(tiny),
            metadata=metadata,
        )


def _label(picture: EncodedPicture) -> int:
    return picture.label_px


@contextmanager
def _plain_errors(format_name: str) -> Iterator[None]:
    """Turn whatever a decoder raises into our errors, with one plain sentence."""
    try:
        yield
    except PictureError:
        raise
    except MemoryError as error:
        raise PictureTooLargeError(
            "Opening this picture takes more memory than is allowed."
        ) from error
    except Exception as error:
        # Decoders meet broken files with nearly every class there is: OSError, SyntaxError,
        # ValueError, struct.error, KeyError, EOFError, RuntimeError …
        words = str(error).lower()
        if isinstance(error, EOFError) or any(
            word in words for word in ("truncated", "end of file", "end-of-file", "not enough data")
        ):
            raise UnreadablePictureError(
                f"This {format_name} picture is cut short: the file ends too early."
            ) from error
        if "too large" in words or "too much memory" in words:
            raise UnreadablePictureError(
                f"This {format_name} picture carries text or a colour profile of absurd size."
            ) from error
        raise UnreadablePictureError(
            f"This {format_name} picture is broken and cannot be read."
        ) from error


def _in_millions(count: int) -> int:
    """Rounded up, so that a number over a limit never reads like the limit itself."""
    return -(-count // 1_000_000)


# --- Opening and decoding -------------------------------------------------------------------------


def _open(file: BinaryIO, format_name: str) -> ImageFile.ImageFile:
    if format_name == "JPEG":
        # Not through Image.open: that would make a stereo or HDR file's further pictures reachable,
        # and only the first is ever wanted.
        return JpegImagePlugin.JpegImageFile(file)
    if format_name in ("HEIC", "HEIF"):
        _register_heif()
        format_name = "HEIF"
    return Image.open(file, formats=[format_name])


@lru_cache(maxsize=1)
def _register_heif() -> None:
    # Only when the first one comes: libheif costs memory and time to load.
    import pillow_heif

    pillow_heif.register_heif_opener(
        decode_threads=1, thumbnails=False, depth_images=False, aux_images=False
    )


def _read_webp_size(file: BinaryIO) -> Size:
    """Source: WebP container specification, chunks VP8, VP8L and VP8X."""
    head = file.read(30)
    file.seek(0)
    kind = head[12:16]
    if len(head) < 30:
        raise EOFError("truncated header")
    if kind == b"VP8X":
        return (
            int.from_bytes(head[24:27], "little") + 1,
            int.from_bytes(head[27:30], "little") + 1,
        )
    if kind == b"VP8L":
        bits = int.from_bytes(head[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    width, height = struct.unpack("<HH", head[26:30])
    return width & 0x3FFF, height & 0x3FFF


def _choose_draft(image: ImageFile.ImageFile, target: Size) -> int:
    """By how much a JPEG's decoder may shrink (1, 2, 4 or 8) without falling below the target."""
    if not isinstance(image, JpegImagePlugin.JpegImageFile):
        return 1
    for scale in (8, 4, 2):
        if image.width >= target[0] * scale and image.height >= target[1] * scale:
            return scale
    return 1


def _reduction(size: Size, target: Size) -> int:
    """The whole factor to box-reduce by, which leaves Lanczos at least a factor of 1.5."""
    return max(1, int(max(size) / (1.5 * max(target))))


def _estimate_memory(image: ImageFile.ImageFile, format_name: str, scale: int) -> int:
    """About how many bytes a picture takes at its peak, found by measuring each format."""
    pixels = image.width * image.height
    if isinstance(image, JpegImagePlugin.JpegImageFile):
        needed = 4 * pixels // scale**2
        if image.info.get("progressive"):
            # All coefficients are held until the last scan: two bytes each.
            most = max(h for _, h, _, _ in image.layer) * max(v for _, _, v, _ in image.layer)
            needed += 2 * pixels * sum(h * v for _, h, v, _ in image.layer) // max(1, most)
    elif format_name in ("WEBP", "AVIF", "HEIC", "HEIF"):
        # Their libraries hold the picture in several shapes at once.
        needed = (14 if format_name == "WEBP" else 10) * pixels
    else:
        needed = pixels * (
            1 if image.mode in ("1", "L", "P") else 2 if image.mode.startswith("I;16") else 4
        )
    return needed * 5 // 4 + 40_000_000


# Source: Exif 2.32, tag 0x0112: where row 0 and column 0 of the stored picture belong.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def _decode(image: ImageFile.ImageFile, scale: int, target: Size) -> Image.Image:
    """Decode, and shrink by a whole factor where the target is much smaller.

    :return: mode RGB, RGBa (premultiplied, so that edges do not darken), L, CMYK or LAB.
    """
    if scale > 1:
        image.draft(None, (image.width // scale, image.height // scale))
    image.load()
    if image.mode == "CMYK" and image.format == "JPEG" and "adobe" not in image.info:
        # Pillow takes every CMYK JPEG to be stored inverted, as Adobe's programs do; a file
        # without their marker is not.
        return ImageChops.invert(image)
    convert = _choose_conversion(image)
    factor = _reduction(image.size, target)
    if factor == 1:
        return convert(image)
    # In strips, so that only the decoded original is ever held at full size.
    width, height = image.size
    rows = factor * max(1, 2_000_000 // (width * factor))
    shrunk: Image.Image | None = None
    for top in range(0, height, rows):
        strip = convert(image.crop((0, top, width, min(height, top + rows)))).reduce(factor)
        if shrunk is None:
            shrunk = Image.new(strip.mode, (strip.width, -(-height // factor)))
        shrunk.paste(strip, (0, top // factor))
    assert shrunk is not None
    return shrunk


def _resize(image: Image.Image, size: Size) -> Image.Image:
    """Shrink. A large picture that gets much smaller is spared the wide reach of Lanczos.

    From a factor of 1.5 on, Hamming costs less than half, and once both are encoded to equal bytes
    they are equally near to the original (by SSIM). Nearer to 1 it would soften the picture. At 2
    exactly, which most photos meet between two labels, the mean of four pixels is nearer still.
    """
    if size == image.size:
        return image
    if image.width * image.height > 1_000_000:
        if image.size == (2 * size[0], 2 * size[1]):
            return image.reduce(2)
        if max(image.size) >= 1.5 * max(size):
            return image.resize(size, Image.Resampling.HAMMING)
    return image.resize(size, Image.Resampling.LANCZOS)


def _choose_conversion(image: Image.Image) -> Callable[[Image.Image], Image.Image]:
    """How this picture, or any part of it, gets to one of the modes that a frame may have."""
    mode = image.mode
    if mode.startswith("I;16"):
        invert = _is_white_zero(image)
        return lambda part: _keep_high_bytes(part, invert)
    if mode in ("I", "F"):
        low, high = _find_range(image)
        factor = 255 / (high - low)
        return lambda part: part.point(lambda value: value * factor - low * factor).convert("L")
    if image.has_transparency_data:
        return lambda part: part.convert("RGBA").convert("RGBa")
    if mode == "1":
        return lambda part: part.convert("L")
    if mode in ("RGB", "L", "CMYK", "LAB"):
        return lambda part: part
    return lambda part: part.convert("RGB")


def _keep_high_bytes(part: Image.Image, invert: bool) -> Image.Image:
    """16 bits to 8 by dropping the low byte; Pillow's own conversion would clip at 255."""
    order = "L;16B" if part.mode == "I;16B" else "L;16"
    grey = Image.frombytes("L", part.size, part.tobytes(), "raw", order)
    return ImageChops.invert(grey) if invert else grey


def _is_white_zero(image: Image.Image) -> bool:
    """Whether a 16-bit TIFF counts from white to black. Source: TIFF 6.0, tag 262."""
    tags = getattr(image, "tag_v2", None)
    return tags is not None and tags.get(262) == 0


def _find_range(image: Image.Image) -> tuple[float, float]:
    """The brightness range of a 32-bit picture: a usual one where it fits, else its own."""
    low, high = image.getextrema()
    assert isinstance(low, int | float) and isinstance(high, int | float)
    if not (math.isfinite(low) and math.isfinite(high)):
        raise UnreadablePictureError("This picture holds values that are no brightness.")
    for usual in (1, 255, 65535) if image.mode == "F" else (255, 65535):
        if low >= 0 and high <= usual:
            return 0, usual
    return low, high if high > low else low + 1


# --- From a frame to bytes ------------------------------------------------------------------------


def _fit(size: Size, label_px: int) -> Size:
    """The size whose longest side is the label; never larger, never less than one pixel."""
    longest = max(size)
    if longest <= label_px:
        return size
    width, height = (max(1, (side * label_px * 2 + longest) // (longest * 2)) for side in size)
    return width, height


def _group_by_size(
    size: Size, specs: Sequence[RenditionSpec]
) -> list[tuple[Size, list[RenditionSpec]]]:
    """Sizes to make, small to large, each with the labels that it serves."""
    groups: dict[Size, list[RenditionSpec]] = defaultdict(list)
    for spec in specs:
        groups[_fit(size, spec.label_px)].append(spec)
    return list(groups.items())


def _finish(image: Image.Image, profile: bytes | None) -> Image.Image:
    """The pixels to encode: RGB or RGBA, in sRGB."""
    if image.mode == "RGBa":
        image = image.convert("RGBA")
        if image.getchannel("A").getextrema() == (255, 255):
            image = image.convert("RGB")
    image = _to_srgb(image, profile)
    # Pillow hands notes on from picture to picture, and its encoders would write some of them.
    image.info = {}
    return image


def _to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    if image.mode == "LAB":
        return _apply(image, _lab_transform())
    if profile and len(profile) <= 4_000_000:
        space = profile[16:20]
        if space == b"RGB ":
            if image.mode == "L":
                image = image.convert("RGB")
            if image.mode in ("RGB", "RGBA"):
                return _apply(image, _make_transform(profile, image.mode))
        elif space == b"CMYK" and image.mode == "CMYK":
            return _apply(image, _make_transform(profile, "CMYK")).convert("RGB")
        elif space == b"GRAY" and image.mode == "L":
            return _apply(image, _make_transform(profile, "L")).convert("RGB")
    return image if image.mode in ("RGB", "RGBA") else image.convert("RGB")


def _apply(image: Image.Image, transform: ImageCms.ImageCmsTransform | None) -> Image.Image:
    return image if transform is None else transform.apply(image)


@lru_cache(maxsize=8)
def _make_transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """From a profile to sRGB; None where it is sRGB already, or broken and best ignored."""
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
def _lab_transform() -> ImageCms.ImageCmsTransform:
    lab, srgb = (ImageCms.ImageCmsProfile(ImageCms.createProfile(n)) for n in ("LAB", "sRGB"))
    return ImageCms.ImageCmsTransform(lab, srgb, "LAB", "RGB")


def _encode_webp(image: Image.Image, spec: RenditionSpec) -> bytes:
    target = BytesIO()
    image.save(target, "WEBP", quality=spec.quality, method=spec.effort)
    return target.getvalue()


def _encode_avif(image: Image.Image, options: RenderOptions) -> bytes:
    target = BytesIO()
    image.save(
        target, "AVIF", quality=options.avif_quality, speed=options.avif_speed, max_threads=1
    )
    return target.getvalue()


# --- Placeholder and colour -----------------------------------------------------------------------


def _make_tiny(image: Image.Image) -> Image.Image:
    """RGBA of at most 32 × 32: all that a placeholder can show."""
    scale = 32 / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.BOX, reducing_gap=2.0).convert("RGBA")


def _find_dominant_color(tiny: Image.Image) -> str:
    """The colour one would name: of the few that cover the picture, large and strong ones win."""
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


# --- What the camera wrote down -------------------------------------------------------------------


def _read_orientation(image: Image.Image) -> int:
    """Source: Exif 2.32, tag 0x0112; 1 (upright) where it is missing or nonsense."""
    try:
        value = image.getexif().get(0x0112, 1)
    except Exception:  # Broken Exif raises anything, and says nothing then.
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _read_metadata(image: Image.Image, keep_gps: bool) -> PictureMetadata:
    if len(image.info.get("exif") or b"") > 1_000_000:
        image.info.pop("exif")  # No camera writes so much; no time is spent on it.
    try:
        exif = image.getexif()
        details = exif.get_ifd(ExifTags.IFD.Exif)
        place = exif.get_ifd(ExifTags.IFD.GPSInfo) if keep_gps else {}
        return make_metadata(dict(exif), details, place)
    except Exception:  # As above.
        return PictureMetadata()


def forget_memory() -> None:
    """Give back to the system what is kept for the next picture; for a process that now waits."""
    _core.clear_cache()
    _make_transform.cache_clear()
    if sys.platform == "linux":
        # Source: malloc_trim(3). Elsewhere than in the GNU library there is nothing to call.
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
