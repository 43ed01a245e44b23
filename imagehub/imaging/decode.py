"""Open and decode pictures: at the lowest resolution that is sufficient, within known memory.

A JPEG decoder can skip detail (``draft``); other formats are box-reduced in strips while they are
converted, so that only the decoded original is ever held at full size.
"""

import math
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import BinaryIO

from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    Image,
    ImageChops,
    ImageFile,
    JpegImagePlugin,
    TiffImagePlugin,
    TiffTags,
)

from imagehub.errors import (
    IncompletePictureError,
    PictureError,
    PictureTooLargeError,
    UnreadablePictureError,
)
from imagehub.messages import Message, mark

# The limits are checked before anything is decoded, so Pillow's own check for decompression bombs
# (a warning from 89 megapixels on) is not needed.
Image.MAX_IMAGE_PIXELS = None
# A truncated picture is refused, not shown half grey.
ImageFile.LOAD_TRUNCATED_IMAGES = False
# Each render process has one core; decoder threads would take time from the others.
AvifImagePlugin.DEFAULT_MAX_THREADS = 1

Size = tuple[int, int]

# In the messages of Pillow about a file that is sound, but of a kind that it cannot decode.
_UNSUPPORTED_HINTS = ("unsupported", "not supported", "unknown pixel mode", "unknown data organ")


@contextmanager
def plain_errors(format_name: str) -> Iterator[None]:
    """Turn any exception of a decoder into a :class:`PictureError` with a plain sentence."""
    try:
        yield
    except PictureError:
        raise
    except MemoryError as error:
        raise PictureTooLargeError(
            "Opening this image takes more memory than is allowed."
        ) from error
    except Exception as error:
        # Broken files make decoders raise nearly any class: OSError, SyntaxError, ValueError,
        # struct.error, KeyError, EOFError, RuntimeError …
        text = str(error).lower()
        if isinstance(error, EOFError) or any(
            hint in text for hint in ("truncated", "end of file", "end-of-file", "not enough data")
        ):
            sentence = mark("This %(format)s file is incomplete: it ends too early.")
            raise IncompletePictureError(Message(sentence, format=format_name)) from error
        if "too large" in text or "too much memory" in text:
            sentence = mark(
                "This %(format)s file contains text or a colour profile of excessive size."
            )
        elif any(hint in text for hint in _UNSUPPORTED_HINTS):
            sentence = mark("This kind of %(format)s file is not supported.")
        else:
            sentence = mark("This %(format)s file is broken and cannot be read.")
        raise UnreadablePictureError(Message(sentence, format=format_name)) from error


def open_picture(file: BinaryIO, format_name: str) -> ImageFile.ImageFile:
    """Read the header of a picture of a known format; nothing is decoded."""
    if format_name == "JPEG":
        # Not Image.open: it would also read the further pictures of a stereo or HDR file.
        return JpegImagePlugin.JpegImageFile(file)
    if format_name == "TIFF":
        return _open_tiff(file)
    if format_name == "BMP":
        # An OS/2 file with several bitmaps starts with a header of its own.
        file.seek(14 if file.read(2) == b"BA" else 0)
        return BmpImagePlugin.BmpImageFile(file)
    if format_name in ("HEIC", "HEIF"):
        _register_heif()
        format_name = "HEIF"
    return Image.open(file, formats=[format_name])


def _open_tiff(file: BinaryIO) -> ImageFile.ImageFile:
    # Not Image.open: it would not say why it cannot read a file.
    try:
        return TiffImagePlugin.TiffImageFile(file)
    except SyntaxError as error:
        key = error.__cause__.args[0] if isinstance(error.__cause__, KeyError) else None
        if key is not None and key not in TiffTags.TAGS_V2:
            raise OSError(f"unsupported compression {key}") from error
        raise


@lru_cache(maxsize=1)
def _register_heif() -> None:
    # Only when needed: loading libheif costs memory and time.
    import pillow_heif

    pillow_heif.register_heif_opener(
        decode_threads=1, thumbnails=False, depth_images=False, aux_images=False
    )


def read_webp_size(file: BinaryIO) -> Size:
    """Read width and height from the header of a WebP file at position 0.

    Source: WebP container specification, chunks VP8, VP8L and VP8X.
    """
    head = file.read(30)
    file.seek(0)
    kind = head[12:16]
    if len(head) < 30:
        raise EOFError("truncated header")
    if kind == b"VP8X":
        width, height = (int.from_bytes(head[at : at + 3], "little") for at in (24, 27))
        return width + 1, height + 1
    if kind == b"VP8L":
        bits = int.from_bytes(head[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    width, height = struct.unpack("<HH", head[26:30])
    return width & 0x3FFF, height & 0x3FFF


def choose_draft(image: ImageFile.ImageFile, target: Size) -> int:
    """Return the scale (1, 2, 4 or 8) at which a JPEG decodes no smaller than the target."""
    if not isinstance(image, JpegImagePlugin.JpegImageFile):
        return 1
    for scale in (8, 4, 2):
        if image.width >= target[0] * scale and image.height >= target[1] * scale:
            return scale
    return 1


def estimate_memory(image: ImageFile.ImageFile, format_name: str, scale: int) -> int:
    """Estimate the peak memory in bytes of decoding, from measurements of each format."""
    pixels = image.width * image.height
    if isinstance(image, JpegImagePlugin.JpegImageFile):
        needed = 4 * pixels // scale**2
        if image.info.get("progressive"):
            # All coefficients are held until the last scan: two bytes each.
            most = max(h for _, h, _, _ in image.layer) * max(v for _, _, v, _ in image.layer)
            needed += 2 * pixels * sum(h * v for _, h, v, _ in image.layer) // max(1, most)
    elif format_name in ("WEBP", "AVIF", "HEIC", "HEIF"):
        # Their libraries hold several copies of the picture at once.
        needed = (14 if format_name == "WEBP" else 10) * pixels
    elif image.mode.startswith("I;16"):
        needed = 2 * pixels
    else:
        needed = pixels if image.mode in ("1", "L", "P") else 4 * pixels
    return needed * 5 // 4 + 40_000_000


def decode(image: ImageFile.ImageFile, scale: int, target: Size) -> Image.Image:
    """Decode, and shrink by a whole factor if the target is much smaller.

    :return: mode RGB, RGBa (premultiplied, so that edges do not darken), L, CMYK or LAB.
    """
    if scale > 1:
        image.draft(None, (image.width // scale, image.height // scale))
    image.load()
    if image.mode == "CMYK" and image.format == "JPEG" and "adobe" not in image.info:
        # Pillow assumes that every CMYK JPEG is stored inverted, as Adobe's programs do; a file
        # without their marker is not.
        return ImageChops.invert(image)
    convert = _choose_conversion(image)
    # Leaves Lanczos at least a factor of 1.5.
    factor = max(1, int(max(image.size) / (1.5 * max(target))))
    if factor == 1:
        return convert(image)
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


def _choose_conversion(image: Image.Image) -> Callable[[Image.Image], Image.Image]:
    """Return the function that converts any part of this picture to a mode of :func:`decode`."""
    mode = image.mode
    # In some TIFFs 0 is white. Source: TIFF 6.0, tag 262.
    invert = (getattr(image, "tag_v2", None) or {}).get(262) == 0
    if mode.startswith("I;16"):
        return lambda part: _keep_high_bytes(part, invert)
    if mode in ("I", "F"):
        low, high = _find_range(image)
        if invert:
            low, high = high, low
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
    """Convert 16 bits to 8 by dropping the low byte; Pillow's own conversion clips at 255."""
    order = "L;16B" if part.mode == "I;16B" else "L;16"
    grey = Image.frombytes("L", part.size, part.tobytes(), "raw", order)
    return ImageChops.invert(grey) if invert else grey


def _find_range(image: Image.Image) -> tuple[float, float]:
    """Return the brightness range of a 32-bit picture: a usual one if it fits, else its own."""
    low, high = image.getextrema()
    assert isinstance(low, int | float) and isinstance(high, int | float)
    if not (math.isfinite(low) and math.isfinite(high)):
        raise UnreadablePictureError("This image contains values that are not numbers.")
    usual_ranges = (1, 255, 65535) if image.mode == "F" else (255, 65535)
    for usual in usual_ranges:
        # Values in the lowest eighth of a larger range belong to another one, such as 12 bits.
        if low >= 0 and high <= usual and (usual == usual_ranges[0] or high > usual / 8):
            return 0, usual
    return low, high if high > low else low + 1
