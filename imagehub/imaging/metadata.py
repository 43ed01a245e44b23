"""Read and clean the Exif tags of a picture; invalid ones are left out.

Source: Exif 2.32, sections 4.6.4 to 4.6.6; each hexadecimal number is a tag.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

from PIL import ExifTags, Image

from imagehub.imaging.cameras import is_possible_time, name_camera

# No camera writes more; a larger block is not parsed.
_MAX_EXIF_BYTES = 1_000_000


@dataclass(frozen=True)
class PictureMetadata:
    """Camera data; None or "" where a tag is missing or invalid.

    ``taken_at`` is aware if the camera recorded its UTC offset, else naive local time. ``camera``
    is maker and model as a person would say it ("Canon EOS 5D"). ``gps`` is (latitude, longitude)
    in degrees, positive north and east, and only if it was asked for.
    """

    taken_at: datetime | None = None
    camera: str = ""
    lens: str = ""
    exposure_seconds: float | None = None
    f_number: float | None = None
    iso: int | None = None
    focal_length_mm: float | None = None
    gps: tuple[float, float] | None = field(default=None, repr=False)


def read_orientation(image: Image.Image) -> int:
    """Return Exif tag 0x0112, 1 to 8; 1 (upright) if it is missing or invalid."""
    try:
        value = image.getexif().get(0x0112, 1)
    except Exception:  # Broken Exif can raise any class.
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def read_metadata(image: Image.Image, keep_gps: bool) -> PictureMetadata:
    """Read the camera data of an opened picture; empty if its Exif is broken."""
    if len(image.info.get("exif") or b"") > _MAX_EXIF_BYTES:
        image.info.pop("exif")
    try:
        exif = image.getexif()
        details = exif.get_ifd(ExifTags.IFD.Exif)
        place = exif.get_ifd(ExifTags.IFD.GPSInfo) if keep_gps else {}
        make, model = _text(exif.get(0x010F)), _text(exif.get(0x0110))
        return PictureMetadata(
            taken_at=_read_time(details),
            camera=name_camera(make, model),
            lens=_text(details.get(0xA434)),
            exposure_seconds=_positive(details.get(0x829A)),
            f_number=_positive(details.get(0x829D)),
            iso=_read_iso(details.get(0x8827)),
            focal_length_mm=_positive(details.get(0x920A)),
            gps=_read_place(place),
        )
    except Exception:  # Broken Exif can raise any class.
        return PictureMetadata()


def _text(value: Any) -> str:
    """Return a tag as one short line, without the NUL and spaces that cameras pad with."""
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if not isinstance(value, str):
        return ""
    line = "".join(c if c.isprintable() else " " for c in value.split("\0")[0])
    return re.sub(r"\s+", " ", line).strip()[:120]


def _positive(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return None
    return number if math.isfinite(number) and 0 < number < 1e6 else None


def _read_iso(value: Any) -> int | None:
    number = _positive(value[0] if isinstance(value, tuple) and value else value)
    return int(number) if number and number >= 1 else None


def _read_time(details: Mapping[int, Any]) -> datetime | None:
    """Return when the photo was taken, or else when a film or print was digitised.

    Times that cannot be true are left out.
    """
    for tag, offset_tag in ((0x9003, 0x9011), (0x9004, 0x9012)):
        try:
            taken_at = datetime.strptime(_text(details.get(tag))[:19], "%Y:%m:%d %H:%M:%S")
        except ValueError:
            continue
        if not is_possible_time(taken_at):
            continue
        offset = re.fullmatch(r"([+-])(\d\d):(\d\d)", _text(details.get(offset_tag)))
        if offset:
            minutes = int(offset[2]) * 60 + int(offset[3])
            if minutes <= 14 * 60:
                delta = timedelta(minutes=-minutes if offset[1] == "-" else minutes)
                taken_at = taken_at.replace(tzinfo=timezone(delta))
        return taken_at
    return None


def _read_place(place: Mapping[int, Any]) -> tuple[float, float] | None:
    """Convert degrees, minutes and seconds to decimals; exactly 0, 0 means there was no fix."""
    try:
        latitude, longitude = (
            sum(float(part) / 60**power for power, part in enumerate(place[tag])) for tag in (2, 4)
        )
    except (KeyError, TypeError, ValueError, ZeroDivisionError, OverflowError):
        return None
    if _text(place.get(1)).upper().startswith("S"):
        latitude = -latitude
    if _text(place.get(3)).upper().startswith("W"):
        longitude = -longitude
    if not (abs(latitude) <= 90 and abs(longitude) <= 180) or (latitude, longitude) == (0, 0):
        return None
    return round(latitude, 7), round(longitude, 7)
