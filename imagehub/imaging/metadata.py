"""What the camera wrote down about a picture, from its Exif tags: cleaned, or left out.

Source: Exif 2.32, sections 4.6.4 to 4.6.6; each number in hexadecimal is a tag of it.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any


@dataclass(frozen=True)
class PictureMetadata:
    """What the camera wrote down; None or "" where it did not, or wrote nonsense.

    ``taken_at`` is aware where the camera noted its offset from UTC, else naive local time.
    ``camera`` is maker and model as a person would say it ("Canon EOS 5D"). ``gps`` is (latitude,
    longitude) in degrees, positive north and east, and only where it was asked for.
    """

    taken_at: datetime | None = None
    camera_make: str = ""
    camera_model: str = ""
    camera: str = ""
    lens: str = ""
    exposure_seconds: float | None = None
    f_number: float | None = None
    iso: int | None = None
    focal_length_mm: float | None = None
    gps: tuple[float, float] | None = field(default=None, repr=False)


def make_metadata(
    first: Mapping[int, Any], details: Mapping[int, Any], place: Mapping[int, Any]
) -> PictureMetadata:
    """Clean the tags of a picture's first, Exif and GPS directories; never raises over nonsense.

    :param place: leave it empty where the place is not wanted.
    """
    make, model = _clean_maker(_text(first.get(0x010F))), _text(first.get(0x0110))
    return PictureMetadata(
        taken_at=_read_time(details),
        camera_make=make,
        camera_model=model,
        camera=_name_camera(make, model),
        lens=_text(details.get(0xA434)),
        exposure_seconds=_positive(details.get(0x829A)),
        f_number=_positive(details.get(0x829D)),
        iso=_read_iso(details.get(0x8827)),
        focal_length_mm=_positive(details.get(0x920A)),
        gps=_read_place(place),
    )


def _text(value: Any) -> str:
    """A tag as one short line: cameras pad with NUL and spaces."""
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
    """When the shutter opened, or else when a film or print was scanned."""
    for tag, offset_tag in ((0x9003, 0x9011), (0x9004, 0x9012)):
        try:
            taken_at = datetime.strptime(_text(details.get(tag))[:19], "%Y:%m:%d %H:%M:%S")
        except ValueError:
            continue
        offset = re.fullmatch(r"([+-])(\d\d):(\d\d)", _text(details.get(offset_tag)))
        if offset:
            minutes = int(offset[2]) * 60 + int(offset[3])
            if minutes <= 14 * 60:
                delta = timedelta(minutes=-minutes if offset[1] == "-" else minutes)
                taken_at = taken_at.replace(tzinfo=timezone(delta))
        return taken_at
    return None


def _clean_maker(make: str) -> str:
    """Without the legal form: "NIKON CORPORATION" is "NIKON"."""
    tail = (
        r"(?i)[\s,]+(corporation|corp\.?|co\.?,? ?ltd\.?|ltd\.?|inc\.?|gmbh|imaging|electric|"
        r"optical|company|techwin|camera ag|digital camera|co\.?)$"
    )
    while (shorter := re.sub(tail, "", make)) != make:
        make = shorter
    return make


def _name_camera(make: str, model: str) -> str:
    """Maker and model as one name that says nothing twice."""
    if not make or not model:
        return make or model
    words = model.split()
    while words and words[0].casefold() == make.casefold():
        words = words[1:]
    rest = " ".join(words)
    if rest.casefold().startswith(make.casefold()):
        return rest
    return f"{make} {rest}".strip()


def _read_place(place: Mapping[int, Any]) -> tuple[float, float] | None:
    """Degrees, minutes and seconds as two decimal numbers; exactly 0, 0 means there was no fix."""
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
