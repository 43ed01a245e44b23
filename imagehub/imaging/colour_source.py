"""Find out how the values of a picture are meant: by what its file says, else as sRGB.

Of several statements the first of this list counts: a PQ or HLG coding, ``cICP`` of a PNG, an ICC
profile, ``nclx`` of HEIC and AVIF, ``sRGB`` of a PNG, ``gAMA`` and ``cHRM`` of a PNG, Adobe RGB by
the sign that cameras leave in the Exif tags.

Sources: PNG Specification, third edition, section 4.3; ISO/IEC 23008-12, section 6.5.5; DCF 2.0
(JEITA CP-3461B), section 3.3.2.
"""

from dataclasses import dataclass

from PIL import ExifTags, Image

from imagehub.imaging.colour_spaces import (
    ADOBE_RGB_PRIMARIES,
    GAMMAS,
    HLG,
    PQ,
    PRIMARIES,
    SRGB_PRIMARIES,
    ColorSpace,
    make_profile,
)
from imagehub.imaging.png import PngChunks

# The exponent that programs write for sRGB, whose curve is not quite a power. libpng takes
# differences up to 5 % as none.
_SRGB_GAMMA, _GAMMA_TOLERANCE = 0.45455, 0.05
_UNSPECIFIED = 2


@dataclass(frozen=True)
class ColorSource:
    """How the values of a picture are meant.

    :param profile: ICC profile; b"" for sRGB.
    :param hdr_transfer: PQ, HLG or 0; then the profile has the curve of sRGB, for the picture after
        toning.
    :param is_narrow: black is 16 and white 235.
    """

    profile: bytes = b""
    hdr_transfer: int = 0
    is_narrow: bool = False


def find_color_source(
    image: Image.Image, chunks: PngChunks | None = None, coding: tuple[int, int] | None = None
) -> ColorSource:
    """Read what a file says of its colours.

    :param image: opened.
    :param chunks: of a PNG file.
    :param coding: colour primaries and transfer function of a HEIC or AVIF file (``nclx``).
    """
    embedded = image.info.get("icc_profile")
    profile = embedded if isinstance(embedded, bytes) else b""
    if chunks and chunks.coding:
        primaries, transfer, matrix, is_full = chunks.coding
        source = _interpret(primaries, transfer, is_narrow=not is_full) if matrix == 0 else None
        if source is not None:
            return source
    nclx = image.info.get("nclx_profile")
    if coding is None and isinstance(nclx, dict):
        # Without a box in the file, libheif finds it in the coded picture.
        coding = nclx.get("color_primaries", 0), nclx.get("transfer_characteristics", 0)
    stated = _interpret(*coding) if coding else None
    if stated and (stated.hdr_transfer or not profile):
        return stated
    if profile:
        return ColorSource(profile)
    if chunks:
        return ColorSource(_read_gamma(chunks))
    if _is_adobe_rgb(image):
        # The exponent of Adobe RGB (1998) is 2 + 51/256.
        return ColorSource(make_profile(ColorSpace(ADOBE_RGB_PRIMARIES, 2 + 51 / 256)))
    return ColorSource()


def _interpret(primaries: int, transfer: int, is_narrow: bool = False) -> ColorSource | None:
    """Interpret code points of H.273; None if they say nothing."""
    if primaries == _UNSPECIFIED and transfer == _UNSPECIFIED:
        return None
    space = ColorSpace(PRIMARIES.get(primaries, SRGB_PRIMARIES), GAMMAS.get(transfer, 0.0))
    profile = b"" if space.is_srgb() else make_profile(space)
    return ColorSource(profile, transfer if transfer in (PQ, HLG) else 0, is_narrow)


def _read_gamma(chunks: PngChunks) -> bytes:
    """Return the profile that ``gAMA`` and ``cHRM`` describe, b"" for sRGB or nonsense."""
    if chunks.is_srgb:
        return b""
    gamma, primaries = chunks.gamma or _SRGB_GAMMA, chunks.chromaticities or SRGB_PRIMARIES
    is_usual = abs(gamma / _SRGB_GAMMA - 1) <= _GAMMA_TOLERANCE
    if not 0.1 <= gamma <= 10:
        return b""
    space = ColorSpace(primaries, 0.0 if is_usual else 1 / gamma)
    try:
        return b"" if space.is_srgb() else make_profile(space)
    except (ValueError, ZeroDivisionError):
        return b""


def _is_adobe_rgb(image: Image.Image) -> bool:
    try:
        exif = image.getexif()
        if exif.get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.ColorSpace) != 0xFFFF:
            return False
        index = exif.get_ifd(ExifTags.IFD.Interop).get(ExifTags.Interop.InteropIndex)
    except Exception:  # Broken Exif can raise any class.
        return False
    return isinstance(index, str) and index.rstrip("\0 ") == "R03"
