"""Tone pictures of high dynamic range (PQ and HLG) to standard range.

The values of each channel are taken to light in cd/m², compressed from the peak of the picture to
203 cd/m², the white of graphics in HDR, and encoded like sRGB. The primaries stay; the caller
converts them. With one curve for each channel, bright colours become paler, as on film. The system
gamma of HLG depends on all three channels: a small table corrects what one curve gets wrong.

Sources: ITU-R BT.2100-2, tables 4 (PQ) and 5 (HLG); ITU-R BT.2408-7, annex 5 (the EETF, which was
in BT.2390 before) and section 2.1 (203 cd/m²); IEC 61966-2-1 (sRGB).
"""

import math
from collections.abc import Sequence
from functools import lru_cache

from PIL import Image, ImageFilter

from imagehub.imaging.colour_spaces import HLG, PQ

WHITE_NITS = 203.0
_HLG_NITS, _HLG_GAMMA = 1000.0, 1.2
_BT2020_LUMINANCES = (0.2627, 0.6780, 0.0593)
# Points of the table along each axis. Its values differ little from their places in it.
_POINTS = 17
# The peak of a PQ picture is rounded up to one of these.
_PEAKS_NITS = (WHITE_NITS, 400.0, 1000.0, 2000.0, 4000.0, 10_000.0)
_M1, _M2 = 2610 / 16384, 2523 / 4096 * 128
_C1, _C2, _C3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32


def decode_pq(value: float) -> float:
    """Return the light of a PQ value (0 to 1) in cd/m²."""
    power = max(value, 0.0) ** (1 / _M2)
    return float(10_000 * (max(power - _C1, 0.0) / (_C2 - _C3 * power)) ** (1 / _M1))


def encode_pq(nits: float) -> float:
    power = max(nits / 10_000, 0.0) ** _M1
    return float(((_C1 + _C2 * power) / (1 + _C3 * power)) ** _M2)


def decode_hlg(value: float) -> float:
    """Return the light of an HLG value (0 to 1) before the camera, 0 to 1."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return value * value / 3 if value <= 0.5 else (math.exp((value - c) / a) + b) / 12


def compress(nits: float, peak_nits: float) -> float:
    """Compress light of up to the peak to at most 203 cd/m²; dark tones stay as they are."""
    peak = encode_pq(peak_nits)
    value = min(encode_pq(nits) / peak, 1.0)
    most = encode_pq(WHITE_NITS) / peak
    knee = 1.5 * most - 0.5
    if value > knee and knee < 1:
        t = (value - knee) / (1 - knee)
        value = (
            (2 * t**3 - 3 * t**2 + 1) * knee
            + (t**3 - 2 * t**2 + t) * (1 - knee)
            + (-2 * t**3 + 3 * t**2) * most
        )
    return decode_pq(value * peak)


def encode_srgb(light: float) -> float:
    light = min(max(light, 0.0), 1.0)
    return float(light * 12.92 if light <= 0.0031308 else 1.055 * light ** (1 / 2.4) - 0.055)


def find_peak(image: Image.Image, transfer: int) -> float:
    """Return the peak of a picture in cd/m², without its brightest thousandth.

    :param image: mode L, RGB, RGBA or RGBa.
    """
    if transfer == HLG:
        return _HLG_NITS
    counts = image.histogram()
    most = image.width * image.height // 1000
    highest = 0
    for start in range(0, 256 * min(3, len(image.getbands())), 256):
        above = 0
        for value in range(255, -1, -1):
            above += counts[start + value]
            if above > most:
                highest = max(highest, value)
                break
    # Compared as values of 8 bits, in which 1000 cd/m² are 191.7.
    return next(peak for peak in _PEAKS_NITS if round(255 * encode_pq(peak)) >= highest)


def tone(image: Image.Image, transfer: int, peak_nits: float) -> Image.Image:
    """Tone a picture to the curve of sRGB.

    :param image: mode L, RGB or RGBA; alpha stays.
    :param transfer: PQ or HLG.
    """
    image = map_values(image, _make_curve(transfer, peak_nits))
    if transfer == HLG and image.mode != "L":
        image = image.filter(_make_hlg_table())
    return image


def map_values(image: Image.Image, curve: Sequence[int]) -> Image.Image:
    """Replace the 256 values of each channel but alpha.

    :param image: mode L, RGB or RGBA.
    """
    bands = image.getbands()
    return image.point([v for band in bands for v in (range(256) if band == "A" else curve)])


@lru_cache(maxsize=16)
def _make_curve(transfer: int, peak_nits: float) -> tuple[int, ...]:
    if transfer == PQ:
        tones = (_encode_compressed(decode_pq(value / 255), peak_nits) for value in range(256))
    else:
        tones = (_tone_grey_hlg(value / 255) for value in range(256))
    return tuple(round(255 * value) for value in tones)


def _encode_compressed(nits: float, peak_nits: float) -> float:
    return encode_srgb(compress(nits, peak_nits) / WHITE_NITS)


def _tone_grey_hlg(value: float) -> float:
    return _encode_compressed(_HLG_NITS * decode_hlg(value) ** _HLG_GAMMA, _HLG_NITS)


@lru_cache(maxsize=1)
def _make_hlg_table() -> ImageFilter.Color3DLUT:
    """Return the table from channels that were toned each by itself to their right tones."""
    lights = [_find_hlg_light(index / (_POINTS - 1)) for index in range(_POINTS)]
    table: list[float] = []
    for blue in lights:
        for green in lights:
            for red in lights:
                color = (red, green, blue)
                luminance = sum(map(math.prod, zip(color, _BT2020_LUMINANCES, strict=True)))
                scale = _HLG_NITS * luminance ** (_HLG_GAMMA - 1)
                table += (_encode_compressed(scale * light, _HLG_NITS) for light in color)
    return ImageFilter.Color3DLUT(_POINTS, table)


def _find_hlg_light(tone: float) -> float:
    """Return the light before the camera of a grey of this tone, by bisection."""
    low, high = 0.0, 1.0
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (middle, high) if _tone_grey_hlg(middle) < tone else (low, middle)
    return decode_hlg(high)
