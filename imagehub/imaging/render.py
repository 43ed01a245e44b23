"""Render an original: check it, decode it, shrink it, convert it to sRGB, encode the renditions.

Nothing here knows a drive, a database or a network. Decoding untrusted files is risky: the worker
does it through :mod:`imagehub.imaging.pool`, in processes that may crash.

Each rendition is made from the next larger one. Colour profiles and transparency are handled after
shrinking, on few pixels.
"""

import ctypes
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from io import BytesIO
from operator import attrgetter
from typing import BinaryIO

from PIL import Image, ImageFile

from imagehub.errors import PictureTooLargeError, UnreadablePictureError
from imagehub.imaging.boxes import read_coding
from imagehub.imaging.colour import (
    convert_to_srgb,
    find_dominant_color,
    forget_profiles,
    make_srgb_profile,
    plan_conversion,
)
from imagehub.imaging.colour_source import ColorSource, find_color_source
from imagehub.imaging.decode import (
    Size,
    choose_draft,
    decode,
    estimate_memory,
    open_picture,
    plain_errors,
    read_webp_size,
)
from imagehub.imaging.kinds import MAX_PIXELS, recognize
from imagehub.imaging.marks import Mark, make_rendition_key
from imagehub.imaging.metadata import PictureMetadata, read_metadata, read_orientation
from imagehub.imaging.png import leave_out, read_chunks
from imagehub.imaging.thumbhash import make_thumbhash
from imagehub.imaging.watermark import draw_mark, shrink_picture
from imagehub.messages import Message, mark

# Keeping two of Pillow's 16 MB blocks for the next picture saves a tenth of the processor time,
# which it would take to get the same memory from the system again.
_core = Image.core  # type: ignore[attr-defined] # Documented by Pillow, but not in its types.
_core.set_blocks_max(2)


@dataclass(frozen=True)
class RenditionSpec:
    """One size to make.

    :param label_px: longest side in pixels; a smaller original keeps its own size.
    :param quality: 1 to 95.
    :param effort: WebP's method, 0 (fast) to 6 (small). 2 takes less than half the time of 4, for
        about 7 % more bytes.
    """

    label_px: int
    quality: int
    effort: int = 4


# The two small sizes, which phones load, are encoded with more effort than the large ones, which
# have most of the pixels. See benchmarks/renditions.py.
DEFAULT_SPECS = (
    RenditionSpec(480, quality=78, effort=4),
    RenditionSpec(720, quality=77, effort=4),
    RenditionSpec(960, quality=76, effort=2),
    RenditionSpec(1920, quality=75, effort=2),
)


@dataclass(frozen=True)
class RenderOptions:
    """What to make of an original, and what to refuse.

    :param avif: make each size as AVIF too (several times the work).
    :param keep_gps: report where a photo was taken; otherwise it is not even read.
    :param max_memory_bytes: refuse pictures that need more memory to decode, by estimate.
    """

    specs: tuple[RenditionSpec, ...] = DEFAULT_SPECS
    avif: bool = False
    keep_gps: bool = False
    max_pixels: int = MAX_PIXELS
    max_file_bytes: int = 500_000_000
    max_memory_bytes: int = 2_000_000_000


@dataclass(frozen=True)
class EncodedPicture:
    """One rendition: sRGB, upright, without metadata. ``data`` is the whole file.

    ``marked``: the same with a watermark; b"" if it has none.
    """

    label_px: int
    width_px: int
    height_px: int
    mime: str
    data: bytes = field(repr=False)
    marked: bytes = field(default=b"", repr=False)

    @cached_property
    def object_key(self) -> str:
        """The key in object storage; equal bytes have equal keys."""
        return make_rendition_key(self.data, self.mime)

    @cached_property
    def marked_key(self) -> str:
        """The key of ``marked``; "" without a watermark."""
        return make_rendition_key(self.marked, self.mime) if self.marked else ""


@dataclass(frozen=True)
class RenderedPicture:
    """Everything that is made of one original.

    ``width_px`` and ``height_px`` are the original's, upright. ``renditions`` holds every label of
    the options, small to large, WebP before AVIF. ``dominant_color`` is ``#rrggbb``.
    ``assumed_profile``: the name of the colour profile that was assumed for want of one, or "".

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
    assumed_profile: str = ""


class OpenedPicture:
    """An original whose header was read and is within the limits; nothing is decoded yet.

    :param file: seekable stream at position 0; the caller closes it.
    :ivar memory_bytes: estimated peak memory of ``render``.
    :raise UnreadablePictureError: not a supported picture, or a broken header.
    :raise PictureTooLargeError: over a limit of the options.
    """

    def __init__(self, file: BinaryIO, options: RenderOptions | None = None) -> None:
        self.options = options or RenderOptions()
        size_bytes = file.seek(0, 2)
        file.seek(0)
        if size_bytes > self.options.max_file_bytes:
            size, limit = _in_millions(size_bytes), self.options.max_file_bytes // 1_000_000
            sentence = mark("This file is %(size)s MB in size; the limit is %(limit)s MB.")
            raise PictureTooLargeError(Message(sentence, size=size, limit=limit))
        self.format, self.mime = recognize(file)
        file.seek(0)
        with plain_errors(self.format):
            if self.format == "WEBP":
                # Pillow's WebP decoder allocates its memory when the file is opened.
                self._check_pixels(*read_webp_size(file))
            self._chunks = self._coding = None
            text_bytes = 0
            if self.format == "PNG":
                self._chunks = read_chunks(file)
                text_bytes = self._chunks.long_text_bytes
                file = leave_out(file, self._chunks.unwanted)
            elif self.format in ("AVIF", "HEIC", "HEIF"):
                self._coding = read_coding(file)
            file.seek(0)
            self._image = open_picture(file, self.format)
        self._check_pixels(*self._image.size)
        self._target = _fit(self._image.size, max(spec.label_px for spec in self.options.specs))
        self._scale = choose_draft(self._image, self._target)
        # A text or a profile is held as it is, as text and in the library that uses it.
        self.memory_bytes = estimate_memory(self._image, self.format, self._scale) + 6 * text_bytes
        if self.memory_bytes > self.options.max_memory_bytes:
            raise PictureTooLargeError(
                Message(
                    "Opening this image takes about %(size)s GB of memory; the limit is %(limit)s.",
                    size=f"{self.memory_bytes / 1e9:.1f}",
                    limit=f"{self.options.max_memory_bytes / 1e9:.1f}",
                )
            )

    def _check_pixels(self, width: int, height: int) -> None:
        if width < 1 or height < 1:
            raise UnreadablePictureError("This image has no width or no height.")
        if width * height > self.options.max_pixels:
            size, limit = _in_millions(width * height), self.options.max_pixels // 1_000_000
            sentence = mark("This image has %(size)s megapixels; the limit is %(limit)s.")
            raise PictureTooLargeError(Message(sentence, size=size, limit=limit))

    @property
    def header(self) -> ImageFile.ImageFile:
        """The picture as its header describes it, not decoded."""
        return self._image

    @property
    def color_source(self) -> ColorSource:
        """How the values of the picture are meant."""
        return find_color_source(self._image, self._chunks, self._coding)

    def decode_whole(self) -> Image.Image:
        """Decode the picture at its full size: sRGB, upright. Can be called once.

        :return: mode RGB, or RGBA if any pixel is transparent.
        :raise UnreadablePictureError: broken or cut short.
        """
        with plain_errors(self.format):
            frame = decode(self._image, 1, self._image.size)
        finished = convert_to_srgb(frame, plan_conversion(frame, self.color_source))
        orientation = read_orientation(self._image)
        return finished.transpose(_TURNS[orientation]) if orientation in _TURNS else finished

    def render_for_print(self, dpi: int) -> tuple[int, int, bytes]:
        """Decode the picture for the largest size of the options. Can be called once.

        :return: width, height, and a JPEG: upright, on white, sRGB with its profile.
        :raise UnreadablePictureError: broken or cut short.
        """
        with plain_errors(self.format):
            frame = decode(self._image, self._scale, self._target)
        conversion = plan_conversion(frame, self.color_source)
        orientation = read_orientation(self._image)
        frame = _resize(frame, self._target)
        if orientation in _TURNS:
            frame = frame.transpose(_TURNS[orientation])
        finished = convert_to_srgb(frame, conversion)
        if finished.mode == "RGBA":
            paper = Image.new("RGB", finished.size, "white")
            paper.paste(finished, mask=finished.getchannel("A"))
            finished = paper
        finished.info = {}
        best = max(self.options.specs, key=attrgetter("label_px"))
        target = BytesIO()
        # Without subsampling of colours, which shows in print.
        finished.convert("RGB").save(
            target,
            "JPEG",
            quality=best.quality,
            subsampling=0,
            dpi=(dpi, dpi),
            icc_profile=make_srgb_profile(),
        )
        return *finished.size, target.getvalue()

    def render(self, mark: Mark | None = None) -> RenderedPicture:
        """Decode the picture and make everything. Can be called once.

        :param mark: makes each of its sizes with this watermark too.
        :raise UnreadablePictureError: broken or cut short.
        """
        image, options = self._image, self.options
        metadata = read_metadata(image, options.keep_gps)
        width, height = image.size
        with plain_errors(self.format):
            frame = decode(image, self._scale, self._target)
        conversion = plan_conversion(frame, self.color_source)
        # After loading, as Pillow turns a TIFF upright while loading and sets its orientation to 1.
        orientation = read_orientation(image)
        frame = _resize(frame, self._target)
        if orientation in _TURNS:
            frame = frame.transpose(_TURNS[orientation])
        if orientation >= 5:
            width, height = height, width

        by_label = attrgetter("label_px")
        finished: Image.Image | None = None
        webp: list[EncodedPicture] = []
        avif: list[EncodedPicture] = []
        specs = sorted(options.specs, key=by_label)
        same_size: dict[Size, list[RenditionSpec]] = defaultdict(list)
        for spec in specs:
            same_size[_fit((width, height), spec.label_px)].append(spec)
        # From large to small, each from the one before. A picture smaller than a label is encoded
        # once, for its smallest fitting label; the larger labels get the same bytes.
        for size, same in reversed(same_size.items()):
            frame = _resize(frame, size)
            finished = convert_to_srgb(frame, conversion)
            # Pillow copies these from image to image, and its encoders would write some of them.
            finished.info = {}
            wants_mark = mark is not None and same[-1].label_px >= mark.from_px
            marked = draw_mark(finished, mark) if mark is not None and wants_mark else None
            webp += _encode_both(finished, marked, mark, same, "image/webp")
            if options.avif:
                avif += _encode_both(finished, marked, mark, same, "image/avif")
        assert finished is not None
        tiny = _make_tiny(finished)
        return RenderedPicture(
            format=self.format,
            mime=self.mime,
            width_px=width,
            height_px=height,
            renditions=(*sorted(webp, key=by_label), *sorted(avif, key=by_label)),
            thumbhash=make_thumbhash(tiny.width, tiny.height, tiny.tobytes()),
            dominant_color=find_dominant_color(tiny),
            metadata=metadata,
            assumed_profile=conversion.assumed_profile,
        )


def _in_millions(count: int) -> int:
    """Round up, so that a number over a limit never reads like the limit itself."""
    return -(-count // 1_000_000)


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


def _fit(size: Size, label_px: int) -> Size:
    """Return the size whose longest side is the label: never enlarged, at least one pixel."""
    longest = max(size)
    if longest <= label_px:
        return size
    width, height = (max(1, (side * label_px * 2 + longest) // (longest * 2)) for side in size)
    return width, height


def _resize(image: Image.Image, size: Size) -> Image.Image:
    """Shrink: with Hamming if a large picture gets much smaller, else with Lanczos.

    From a factor of 1.5 on, Hamming takes less than half the time, and once both are encoded to
    equal bytes they are equally close to the original (SSIM). Closer to 1 it would blur. At exactly
    2, the usual step between two labels, the mean of four pixels is closest.
    """
    if size == image.size:
        return image
    if image.width * image.height > 1_000_000:
        if image.size == (2 * size[0], 2 * size[1]):
            return image.reduce(2)
        if max(image.size) >= 1.5 * max(size):
            return image.resize(size, Image.Resampling.HAMMING)
    return image.resize(size, Image.Resampling.LANCZOS)


def _encode(image: Image.Image, format_name: str, **options: int) -> bytes:
    target = BytesIO()
    image.save(target, format_name, **options)
    return target.getvalue()


def _encode_both(
    image: Image.Image,
    marked: Image.Image | None,
    mark: Mark | None,
    specs: Sequence[RenditionSpec],
    mime: str,
) -> list[EncodedPicture]:
    """Encode a picture, and the same with its watermark, for all labels of its size."""
    data = _encode_as(image, mime, specs[0].quality, specs[0].effort)
    stamped = b""
    if marked is not None:
        stamped = _encode_as(marked, mime, specs[0].quality, specs[0].effort)
    return [
        EncodedPicture(
            spec.label_px,
            *image.size,
            mime,
            data,
            stamped if mark is not None and spec.label_px >= mark.from_px else b"",
        )
        for spec in specs
    ]


def _encode_as(image: Image.Image, mime: str, quality: int, effort: int) -> bytes:
    if mime == "image/avif":
        return _encode(image, "AVIF", quality=60, speed=8, max_threads=1)
    return _encode(image, "WEBP", quality=quality, method=effort)


def mark_rendition(file: BinaryIO, mark: Mark, label_px: int) -> bytes:
    """Draw a watermark on a stored rendition, and encode it in the same format.

    A little better than at first, since it is encoded for the second time.

    :raise UnreadablePictureError: broken.
    """
    format_name, mime = recognize(file)
    file.seek(0)
    with plain_errors(format_name):
        image = open_picture(file, format_name)
        image.load()
        image.info = {}
        frame = image if image.mode in ("RGB", "RGBA") else image.convert("RGB")
    spec = next((one for one in DEFAULT_SPECS if one.label_px == label_px), DEFAULT_SPECS[-1])
    return _encode_as(draw_mark(frame, mark), mime, spec.quality + 7, spec.effort)


def make_mark_picture(file: BinaryIO, options: RenderOptions) -> bytes:
    """Return a picture for watermarks as PNG, see :func:`.watermark.shrink_picture`.

    :raise PictureError: it cannot be used.
    """
    return shrink_picture(OpenedPicture(file, options).decode_whole())


# Three times as large as a logo is shown at most, for sharp screens.
_LOGO_PX = (1440, 288)
_LOGO_FORMATS = ("PNG", "WEBP", "JPEG", "AVIF")


def make_logo(file: BinaryIO, options: RenderOptions) -> tuple[bytes, int, int]:
    """Return a logo as WebP without an empty margin, with its width and height in pixels.

    Transparent parts stay transparent; it is never enlarged.

    :raise PictureError: it cannot be used.
    """
    format_name, _ = recognize(file)
    file.seek(0)
    if format_name not in _LOGO_FORMATS:
        raise UnreadablePictureError(mark("A logo must be a PNG, WebP, JPEG or AVIF picture."))
    image = OpenedPicture(file, options).decode_whole().convert("RGBA")
    box = image.getchannel("A").getbbox()
    if box is None:
        raise UnreadablePictureError(mark("This picture is empty: all of it is transparent."))
    image = image.crop(box)
    image.thumbnail(_LOGO_PX, Image.Resampling.LANCZOS)
    image.info = {}
    return _encode(image, "WEBP", lossless=True, method=4), image.width, image.height


def _make_tiny(image: Image.Image) -> Image.Image:
    """Return the picture in at most 32 × 32 pixels, RGBA."""
    scale = 32 / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.BOX, reducing_gap=2.0).convert("RGBA")


def forget_memory() -> None:
    """Return cached memory to the system; for a process that is now idle."""
    _core.clear_cache()
    forget_profiles()
    if sys.platform == "linux":
        # malloc_trim(3), only in the GNU C library.
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
