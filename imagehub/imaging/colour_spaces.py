"""RGB colour spaces by their numbers: ICC profiles made from primaries, white point and curve.

Sources: ITU-T H.273 (07/2024), tables 2 and 3; ICC.1:2022, sections 7 to 10; Bradford's adaptation:
B. Lindbloom, "Chromatic Adaptation".
"""

import math
import struct
from dataclasses import dataclass
from functools import lru_cache

Matrix = tuple[tuple[float, ...], ...]
# x and y of white, red, green and blue, in the order of the PNG chunk cHRM.
Chromaticities = tuple[float, ...]

_D65, _C, _DCI, _E = (0.3127, 0.3290), (0.310, 0.316), (0.314, 0.351), (1 / 3, 1 / 3)
_BT709 = (0.640, 0.330, 0.300, 0.600, 0.150, 0.060)
_P3 = (0.680, 0.320, 0.265, 0.690, 0.150, 0.060)
_SMPTE_C = (0.630, 0.340, 0.310, 0.595, 0.155, 0.070)
# Colour primaries of H.273 → chromaticities.
PRIMARIES: dict[int, Chromaticities] = {
    1: (*_D65, *_BT709),
    4: (*_C, 0.67, 0.33, 0.21, 0.71, 0.14, 0.08),
    5: (*_D65, 0.64, 0.33, 0.29, 0.60, 0.15, 0.06),
    6: (*_D65, *_SMPTE_C),
    7: (*_D65, *_SMPTE_C),
    8: (*_C, 0.681, 0.319, 0.243, 0.692, 0.145, 0.049),
    9: (*_D65, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046),
    10: (*_E, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0),
    11: (*_DCI, *_P3),
    12: (*_D65, *_P3),
    22: (*_D65, 0.630, 0.340, 0.295, 0.605, 0.155, 0.077),
}
SRGB_PRIMARIES = PRIMARIES[1]
ADOBE_RGB_PRIMARIES = (*_D65, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06)

# Transfer characteristics of H.273 → exponent of a display, or 0.0 for the curve of sRGB. The
# functions of BT.709, BT.601 and BT.2020 are those of cameras; displays show their pictures nearly
# like sRGB.
GAMMAS = {
    **dict.fromkeys((1, 6, 7, 11, 12, 13, 14, 15), 0.0),
    4: 2.2,
    5: 2.8,
    8: 1.0,
    17: 2.6,
}
PQ, HLG = 16, 18

_D50 = (0.9642, 1.0, 0.8249)
_BRADFORD: Matrix = (
    (0.8951, 0.2664, -0.1614),
    (-0.7502, 1.7135, 0.0367),
    (0.0389, -0.0685, 1.0296),
)


@dataclass(frozen=True)
class ColorSpace:
    """An RGB colour space. ``gamma`` is the exponent of a display, 0.0 for the curve of sRGB."""

    primaries: Chromaticities = SRGB_PRIMARIES
    gamma: float = 0.0

    def is_srgb(self) -> bool:
        """Tell whether the values are those of sRGB, up to the rounding of chromaticities."""
        pairs = zip(self.primaries, SRGB_PRIMARIES, strict=True)
        return self.gamma == 0.0 and all(abs(a - b) < 0.002 for a, b in pairs)


@lru_cache(maxsize=16)
def make_profile(space: ColorSpace) -> bytes:
    """Make an ICC profile.

    :raise ValueError: the primaries span no colour space.
    """
    columns = make_matrix(space.primaries)
    tags = {
        name: _make_xyz(tuple(row[index] for row in columns))
        for index, name in enumerate((b"rXYZ", b"gXYZ", b"bXYZ"))
    }
    tags[b"wtpt"] = _make_xyz(_D50)
    curve = _make_curve(3, 2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
    if space.gamma:
        curve = _make_curve(0, space.gamma)
    tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    tags |= {b"desc": _make_text("RGB"), b"cprt": _make_text("None")}
    start = 128 + 4 + 12 * len(tags)
    table, body = b"", b""
    for name, value in tags.items():
        table += name + struct.pack(">II", start + len(body), len(value))
        body += value.ljust(len(value) + -len(value) % 4, b"\0")
    head = struct.pack(">I4xI", start + len(body), 0x04300000) + b"mntrRGB XYZ " + bytes(12)
    head += b"acsp" + bytes(28) + b"".join(_fix(v) for v in _D50)
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


@lru_cache(maxsize=16)
def make_matrix(primaries: Chromaticities) -> Matrix:
    """Return the matrix from linear RGB to XYZ, adapted to D50; (1, 1, 1) becomes D50.

    :raise ValueError: the primaries span no colour space.
    """
    points = [(primaries[at], primaries[at + 1]) for at in range(0, 8, 2)]
    if any(not (0 <= x <= 1.5 and -0.5 <= y <= 1.5) for x, y in points) or points[0][1] <= 0.01:
        raise ValueError("impossible chromaticities")
    white = _to_xyz(points[0])
    # Each column is a primary; z is what x and y leave of 1.
    colors = tuple(zip(*((x, y, 1 - x - y) for x, y in points[1:]), strict=True))
    scales = apply(invert(colors), white)
    if min(scales) <= 0:
        raise ValueError("white lies outside of the primaries")
    scaled = tuple(tuple(v * s for v, s in zip(row, scales, strict=True)) for row in colors)
    cone_white, cone_d50 = apply(_BRADFORD, white), apply(_BRADFORD, _D50)
    adapt = tuple(
        tuple(d50 / old if row == column else 0.0 for column in range(3))
        for row, (old, d50) in enumerate(zip(cone_white, cone_d50, strict=True))
    )
    return multiply(invert(_BRADFORD), multiply(adapt, multiply(_BRADFORD, scaled)))


def apply(matrix: Matrix, vector: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(sum(a * b for a, b in zip(row, vector, strict=True)) for row in matrix)


def multiply(a: Matrix, b: Matrix) -> Matrix:
    columns = tuple(zip(*b, strict=True))
    return tuple(tuple(sum(map(math.prod, zip(r, c, strict=True))) for c in columns) for r in a)


def invert(m: Matrix) -> Matrix:
    """:raise ValueError: there is no inverse."""

    def minor(row: int, column: int) -> float:
        (a, b), (c, d) = (tuple(m[(row + i) % 3][(column + j) % 3] for j in (1, 2)) for i in (1, 2))
        return a * d - b * c

    determinant = sum(m[0][column] * minor(0, column) for column in range(3))
    if abs(determinant) < 1e-6:
        raise ValueError("the matrix has no inverse")
    return tuple(tuple(minor(row, column) / determinant for row in range(3)) for column in range(3))


def _to_xyz(point: tuple[float, float]) -> tuple[float, ...]:
    x, y = point
    return x / y, 1.0, (1 - x - y) / y


def _fix(value: float) -> bytes:
    return struct.pack(">i", round(value * 65536))


def _make_xyz(values: tuple[float, ...]) -> bytes:
    return b"XYZ \0\0\0\0" + b"".join(_fix(v) for v in values)


def _make_curve(kind: int, *parameters: float) -> bytes:
    return b"para\0\0\0\0" + struct.pack(">HH", kind, 0) + b"".join(map(_fix, parameters))


def _make_text(text: str) -> bytes:
    data = text.encode("utf-16-be")
    return b"mluc\0\0\0\0" + struct.pack(">II4sII", 1, 12, b"enUS", len(data), 28) + data
