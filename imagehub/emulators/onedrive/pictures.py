"""Picture metadata from file headers, and thumbnails."""

import contextlib
import re
import secrets
import threading
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from PIL import ExifTags, Image, ImageOps

from .drawing import draw, is_drawn_name, is_raw_name

PICTURE_ENDINGS = frozenset(
    [
        ".jpg",
        ".jpeg",
        ".jpe",
        ".png",
        ".gif",
        ".bmp",
        ".webp",
        ".tif",
        ".tiff",
        ".heic",
        ".heif",
        ".avif",
    ]
)
_THUMBNAIL_EDGES_PX = {"small": 96, "medium": 176, "large": 800}
_CUSTOM_SIZE = re.compile(r"c(\d{1,4})x(\d{1,4})(_crop)?$", re.IGNORECASE)
_MOST_PIXELS = 200_000_000
_MOST_EXIF_BYTES = 1_000_000
# Only this limit is checked, before anything is decoded. Pillow's own warns from 89 megapixels on.
Image.MAX_IMAGE_PIXELS = None
# Enough for two cores; more at once would only use memory.
_making = threading.Semaphore(2)
_heif_lock = threading.Lock()
_heif_ready = False


def is_picture_name(name: str) -> bool:
    return "." + name.rpartition(".")[2].lower() in PICTURE_ENDINGS


def _open(path: Path) -> Image.Image:
    global _heif_ready
    if is_drawn_name(path.name):
        return draw(path)
    if path.suffix.lower() in (".heic", ".heif") and not _heif_ready:
        with _heif_lock:
            from pillow_heif import register_heif_opener

            register_heif_opener()
            _heif_ready = True
    return Image.open(path)


def find_drawn_size(path: Path) -> tuple[int, int] | None:
    """Return the size of what is drawn of another file than a picture; None if nothing is."""
    try:
        with draw(path) as picture:
            return ImageOps.exif_transpose(picture).size
    except Exception:
        # Whatever a decoder raises on a broken file, there is no thumbnail.
        return None


def read_facets(path: Path) -> dict[str, Any]:
    """Return ``image``, ``photo`` and ``location`` like the personal service.

    Width and height are those stored in the file, before Exif rotation. The dictionary is empty for
    a file that is not a readable picture.
    """
    if is_raw_name(path.name):
        return _read_raw_facets(path)
    try:
        with _open(path) as picture:
            facets: dict[str, Any] = {
                "image": {"height": picture.height, "width": picture.width},
            }
            with contextlib.suppress(Exception):  # treat damaged Exif as missing
                facets |= _read_exif(picture.getexif())
            return facets
    except Exception:
        # Whatever a decoder raises on a broken file, the drive just lists it without facets.
        return {}


def _read_raw_facets(path: Path) -> dict[str, Any]:
    """Read the camera's data of a raw photo, which is a TIFF file; its size is not found."""
    exif = Image.Exif()
    with contextlib.suppress(Exception), path.open("rb") as file:
        exif.load(b"Exif\0\0" + file.read(_MOST_EXIF_BYTES))
        return _read_exif(exif)
    return {}


def _read_exif(exif: Image.Exif) -> dict[str, Any]:
    details = exif.get_ifd(ExifTags.IFD.Exif)
    base = ExifTags.Base
    photo: dict[str, Any] = {}
    taken = str(details.get(base.DateTimeOriginal, "")).strip("\0 ")
    if re.fullmatch(r"\d{4}:\d\d:\d\d \d\d:\d\d:\d\d", taken) and not taken.startswith("0000"):
        photo["takenDateTime"] = taken[:10].replace(":", "-") + "T" + taken[11:] + "Z"
    for tag, name in ((base.Make, "cameraMake"), (base.Model, "cameraModel")):
        text = str(exif.get(tag, "")).strip("\0 ")
        if text:
            photo[name] = text
    for tag, name in ((base.FNumber, "fNumber"), (base.FocalLength, "focalLength")):
        if tag in details and (number := _to_float(details[tag])) is not None:
            photo[name] = number
    if base.ExposureTime in details and (seconds := _to_float(details[base.ExposureTime])):
        exposure = Fraction(seconds).limit_denominator(100_000)
        photo["exposureNumerator"] = float(exposure.numerator)
        photo["exposureDenominator"] = float(exposure.denominator)
    speed = details.get(base.ISOSpeedRatings)
    if isinstance(speed, tuple) and speed:
        speed = speed[0]
    if isinstance(speed, int):
        photo["iso"] = speed
    orientation = exif.get(base.Orientation)
    if isinstance(orientation, int) and 1 <= orientation <= 8:
        photo["orientation"] = orientation
    facets: dict[str, Any] = {"photo": photo} if photo else {}
    location = _read_location(exif.get_ifd(ExifTags.IFD.GPSInfo))
    if location:
        facets["location"] = location
    return facets


def _read_location(gps: Any) -> dict[str, float]:
    tags = ExifTags.GPS
    location: dict[str, float] = {}
    for tag, ref, name, negative in (
        (tags.GPSLatitude, tags.GPSLatitudeRef, "latitude", "S"),
        (tags.GPSLongitude, tags.GPSLongitudeRef, "longitude", "W"),
    ):
        parts = [_to_float(part) for part in gps.get(tag, ())]
        if len(parts) == 3 and None not in parts:
            degrees = sum((part or 0.0) / 60**place for place, part in enumerate(parts))
            location[name] = -degrees if gps.get(ref) == negative else degrees
    altitude = _to_float(gps.get(tags.GPSAltitude))
    if location and altitude is not None:
        location["altitude"] = altitude * 3.28084  # the facet is in feet
    return location


def _to_float(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return number if abs(number) < 1e12 else None


@dataclass(frozen=True)
class ThumbnailSpec:
    """The requested box in pixels; with ``crop`` it is filled, else the picture fits inside."""

    width_px: int
    height_px: int
    crop: bool = False
    upright: bool = True

    @property
    def key(self) -> str:
        return f"{self.width_px}x{self.height_px}{'c' * self.crop}{'o' * (not self.upright)}"

    def fit(self, width_px: int, height_px: int) -> tuple[int, int]:
        """Return the thumbnail's size for an upright picture; never enlarged."""
        if self.crop:
            return min(self.width_px, width_px), min(self.height_px, height_px)
        scale = min(self.width_px / width_px, self.height_px / height_px, 1.0)
        return max(1, round(width_px * scale)), max(1, round(height_px * scale))


def find_thumbnail_spec(name: str, upright: bool = True) -> ThumbnailSpec | None:
    """Return the box of a named size: ``small``, ``source``, ``c300x400_crop`` …"""
    if name == "source":
        return ThumbnailSpec(100_000, 100_000, upright=upright)
    plain = name.removesuffix("Square")
    if plain in _THUMBNAIL_EDGES_PX:
        edge_px = _THUMBNAIL_EDGES_PX[plain]
        return ThumbnailSpec(edge_px, edge_px, crop=plain != name, upright=upright)
    match = _CUSTOM_SIZE.match(name)
    if match and int(match[1]) and int(match[2]):
        return ThumbnailSpec(int(match[1]), int(match[2]), bool(match[3]), upright)
    return None


def parse_thumbnail_key(key: str) -> ThumbnailSpec | None:
    """Parse a :attr:`ThumbnailSpec.key`."""
    match = re.fullmatch(r"(\d{1,6})x(\d{1,6})(c?)(o?)", key)
    if match is None:
        return None
    return ThumbnailSpec(int(match[1]), int(match[2]), bool(match[3]), not match[4])


def make_thumbnail(source: Path, target: Path, spec: ThumbnailSpec) -> None:
    """Write a JPEG thumbnail, unless ``target`` already exists.

    :raise ValueError: the file is not a readable picture.
    """
    if target.exists():
        return
    with _making:
        try:
            with _open(source) as picture:
                if picture.width * picture.height > _MOST_PIXELS:
                    raise ValueError("too many pixels")
                turned = picture.getexif().get(ExifTags.Base.Orientation, 1) in (5, 6, 7, 8)
                box = (spec.width_px, spec.height_px)
                picture.draft("RGB", box[::-1] if turned else box)
                image: Image.Image = ImageOps.exif_transpose(picture) if spec.upright else picture
                size = spec.fit(image.width, image.height)
                if spec.crop:
                    image = ImageOps.fit(image, size)
                else:
                    image = image.resize(size, Image.Resampling.BICUBIC, reducing_gap=2.0)
                if image.mode in ("RGBA", "LA", "PA", "P"):
                    image = image.convert("RGBA")
                    ground = Image.new("RGBA", image.size, "white")
                    image = Image.alpha_composite(ground, image)
                image = image.convert("RGB")
        except Exception as error:
            raise ValueError("no readable picture") from error
        part = target.with_name(f"{secrets.token_hex(8)}.part")
        image.save(part, "JPEG", quality=82)
        part.replace(target)
