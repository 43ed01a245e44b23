"""Write pictures to files, with Exif, colour profile and format; writing is atomic."""

import os
import struct
import tempfile
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from io import BytesIO
from pathlib import Path

from PIL import ExifTags, Image, ImageCms, TiffImagePlugin

# How to transform the pixels so that a viewer that applies the Exif tag shows them upright.
_STORED = {
    3: Image.Transpose.ROTATE_180,
    6: Image.Transpose.ROTATE_90,
    8: Image.Transpose.ROTATE_270,
}

PART = ".part"


@dataclass(frozen=True)
class FileFacts:
    """The metadata of a file.

    :param taken_at: local time of the shot, as cameras write it; None omits camera data.
    :param description: plain ASCII, for the Exif field of that name.
    :param orientation: Exif orientation, 1, 3, 6 or 8.
    :param gps: latitude and longitude in degrees, north and east positive.
    :param is_wide_gamut: colours in Display P3, with an embedded profile.
    """

    taken_at: datetime | None = None
    description: str = ""
    title: str = ""
    orientation: int = 1
    gps: tuple[float, float] | None = None
    is_wide_gamut: bool = False


def write_picture(image: Image.Image, path: Path, facts: FileFacts) -> None:
    """Write one picture atomically, in the format of the path's suffix."""
    data = encode(image, path.suffix.lower(), facts)
    handle, part = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=PART)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
        Path(part).chmod(0o644)
        if facts.taken_at is not None:
            moment = facts.taken_at.timestamp()
            os.utime(part, (moment, moment))
        os.replace(part, path)
    except BaseException:
        Path(part).unlink(missing_ok=True)
        raise


def encode(image: Image.Image, suffix: str, facts: FileFacts) -> bytes:
    """Return the bytes of a file.

    :param suffix: ``.jpg``, ``.png``, ``.webp`` or ``.heic``.
    """
    profile = None
    if facts.is_wide_gamut:
        profile = display_p3()
        image = _to_profile(image, profile)
    exif = _exif(image, facts)
    if facts.orientation in _STORED:
        image = image.transpose(_STORED[facts.orientation])
    stream = BytesIO()
    extra = {"exif": exif.tobytes()} if exif else {}
    if profile:
        extra["icc_profile"] = profile
    if suffix == ".jpg":
        image.save(stream, "JPEG", quality=88, subsampling="4:2:0", **extra)
    elif suffix == ".png":
        image.save(stream, "PNG", compress_level=2, **extra)
    elif suffix == ".webp":
        image.save(stream, "WEBP", quality=84, method=1, **extra)
    elif suffix == ".heic":
        import pillow_heif

        heif = pillow_heif.from_pillow(image)
        # The encoder's default takes eight times as long.
        heif.save(stream, quality=70, enc_params={"preset": "ultrafast"}, **extra)
    else:
        raise ValueError(f"No way to write {suffix!r}.")
    return stream.getvalue()


def _exif(image: Image.Image, facts: FileFacts) -> Image.Exif | None:
    exif = Image.Exif()
    base = ExifTags.Base
    if facts.orientation != 1:
        exif[base.Orientation] = facts.orientation
    if facts.description:
        exif[base.ImageDescription] = facts.description
        exif[base.Artist] = "The ImageHub sample studio"
        exif[base.Copyright] = "Public domain (CC0)"
    if facts.title:
        exif[base.XPTitle] = facts.title.encode("utf-16-le") + b"\0\0"
    if facts.taken_at is not None:
        when = facts.taken_at.strftime("%Y:%m:%d %H:%M:%S")
        seconds = facts.taken_at.second
        exif[base.Make] = "Aurora"
        exif[base.Model] = "Aurora M6"
        exif[base.DateTime] = when
        details = exif.get_ifd(ExifTags.IFD.Exif)
        details[base.DateTimeOriginal] = when
        details[base.DateTimeDigitized] = when
        details[base.OffsetTimeOriginal] = "+02:00"
        details[base.ExposureTime] = TiffImagePlugin.IFDRational(1, (30, 60, 80, 125)[seconds % 4])
        details[base.FNumber] = TiffImagePlugin.IFDRational((56, 80, 110)[seconds % 3], 10)
        details[base.ISOSpeedRatings] = (100, 200, 400)[seconds % 3]
        details[base.FocalLength] = TiffImagePlugin.IFDRational((50, 85)[seconds % 2], 1)
        details[base.LensMake] = "Aurora"
        details[base.LensModel] = ("Aurora 50mm f/2 Macro", "Aurora 85mm f/1.8")[seconds % 2]
        details[base.ExifImageWidth], details[base.ExifImageHeight] = image.size
    if facts.gps is not None:
        latitude, longitude = facts.gps
        place = exif.get_ifd(ExifTags.IFD.GPSInfo)
        tags = ExifTags.GPS
        place[tags.GPSVersionID] = b"\2\3\0\0"
        place[tags.GPSLatitudeRef] = "N" if latitude >= 0 else "S"
        place[tags.GPSLatitude] = _degrees(latitude)
        place[tags.GPSLongitudeRef] = "E" if longitude >= 0 else "W"
        place[tags.GPSLongitude] = _degrees(longitude)
    return exif if len(exif) else None


def _degrees(value: float) -> tuple[TiffImagePlugin.IFDRational, ...]:
    """Return degrees, minutes and hundredths of seconds, as Exif requires."""
    hundredths = round(abs(value) * 360_000)
    degrees, rest = divmod(hundredths, 360_000)
    minutes, seconds = divmod(rest, 6_000)
    rational = TiffImagePlugin.IFDRational
    return rational(degrees, 1), rational(minutes, 1), rational(seconds, 100)


# --- A wide colour space --------------------------------------------------------------------------


@cache
def display_p3() -> bytes:
    """Return a Display P3 profile: primaries of DCI-P3, white D65, curve of sRGB.

    Source: ICC.1:2022, sections 7 (layout), 10.13 (mluc), 10.18 (para) and 10.31 (XYZ); primaries
    adapted to D50 with the Bradford matrix.
    """

    def number(value: float) -> bytes:
        return struct.pack(">i", round(value * 65536))

    def text(words: str) -> bytes:
        raw = words.encode("utf-16-be")
        return (
            b"mluc" + bytes(4) + struct.pack(">II2s2sII", 1, 12, b"en", b"US", len(raw), 28) + raw
        )

    def place(x: float, y: float, z: float) -> bytes:
        return b"XYZ " + bytes(4) + number(x) + number(y) + number(z)

    curve = b"para" + bytes(4) + struct.pack(">HH", 3, 0)
    curve += b"".join(number(v) for v in (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045))
    tags = {
        b"desc": text("Display P3 (samples)"),
        b"cprt": text("CC0"),
        b"wtpt": place(0.9642, 1.0, 0.8249),
        b"rXYZ": place(0.51512, 0.2412, -0.00105),
        b"gXYZ": place(0.29198, 0.69225, 0.04189),
        b"bXYZ": place(0.1571, 0.06657, 0.78407),
        b"rTRC": curve,
        b"gTRC": curve,
        b"bTRC": curve,
    }
    table, body = b"", b""
    start = 128 + 4 + 12 * len(tags)
    for name, data in tags.items():
        table += name + struct.pack(">II", start + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    size = start + len(body)
    header = struct.pack(">I4xI4s4s4s", size, 0x04000000, b"mntr", b"RGB ", b"XYZ ")
    header += struct.pack(">6H4s", 2021, 1, 1, 0, 0, 0, b"acsp")
    header += bytes(28) + number(0.9642) + number(1.0) + number(0.8249)
    return header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


def _to_profile(image: Image.Image, profile: bytes) -> Image.Image:
    converted = ImageCms.profileToProfile(
        image, ImageCms.createProfile("sRGB"), ImageCms.ImageCmsProfile(BytesIO(profile))
    )
    assert converted is not None
    return converted
