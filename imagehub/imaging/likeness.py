"""What a picture looks like, in 56 bytes: its structure, and its colours in a grid.

Made from the picture's ThumbHash, which holds its first cosine terms: what is left of a picture
that is seen from afar. So pictures that were imported earlier need not be loaded again.

The structure is a difference hash of 64 bits: whether each of 8 × 8 cells is clearly darker than
the one to its right. The colours are those of 4 × 4 cells in Oklab, one byte for each of L, a, b.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

from imagehub.imaging.oklab import make_oklab
from imagehub.imaging.thumbhash import paint_thumbhash

HASH_BYTES = 8
_GRID = 4
_CELLS = _GRID * _GRID
# a and b of sRGB colours are within ±0.33.
_CHROMA_SCALE = 360.0
# Differences of hue and saturation count more than those of lightness.
_CHROMA_WEIGHT = 4.0
_WEIGHTS = {"place": 0.55, "mean": 0.3, "structure": 0.15}
# The sum of red, green and blue must rise by this much, as even parts of a picture have only noise.
_LEAST_STEP = 8
# A difference of this distance in Oklab, or of half the bits of the hash, is a whole one.
_FAR = 0.35
# Cells of one colour differ by less than this in Oklab.
_EVEN = 0.04
# The bins of the mean colour: see :func:`list_bands`.
_LIGHT_STEP, _CHROMA_STEP = 0.1, 0.04
COLOUR_BAND = HASH_BYTES
_ROUNDING = 1e-9
# The squares of differences of two bytes; a negative one counts from the end.
_STEPS = (*range(256), *range(-255, 0))
_LIGHT_SQUARES = [(step / 255) ** 2 for step in _STEPS]
_CHROMA_SQUARES = [_CHROMA_WEIGHT * (step / _CHROMA_SCALE) ** 2 for step in _STEPS]

# Number of the band, bits
Band = tuple[int, int]


def make_look(thumbhash: bytes) -> bytes:
    """Return what a picture with this ThumbHash looks like.

    :raise ValueError, IndexError, ZeroDivisionError: it is no ThumbHash.
    """
    width, height, rgb = paint_thumbhash(thumbhash, (9, 8))
    light = [sum(rgb[at : at + 3]) for at in range(0, 3 * width * height, 3)]
    rows = [light[at : at + width] for at in range(0, width * height, width)]
    steps = [right - left for row in rows for left, right in pairwise(row)]
    bits = "".join("1" if step > _LEAST_STEP else "0" for step in steps)
    _, _, rgb = paint_thumbhash(thumbhash, (_GRID, _GRID))
    grid = bytearray()
    for at in range(0, 3 * _CELLS, 3):
        lightness, a, b = make_oklab(*(value / 255 for value in rgb[at : at + 3]))
        parts = lightness * 255, 128 + _CHROMA_SCALE * a, 128 + _CHROMA_SCALE * b
        grid += bytes(map(_clamp, parts))
    return int(bits, 2).to_bytes(HASH_BYTES) + bytes(grid)


def is_even(look: bytes) -> bool:
    """Tell whether a look shows one colour and nothing else, such as a black frame."""
    if any(look[:HASH_BYTES]):
        return False
    cells = _read_grid(look)
    first = cells[0]
    return all(math.dist(cell, first) <= _EVEN for cell in cells)


def _clamp(value: float) -> int:
    return max(0, min(255, round(value)))


def list_bands(look: bytes, are_near: bool = False) -> list[Band]:
    """List the bands of a look: each byte of its hash, and the bin of its mean colour.

    Of two hashes that differ in at most seven bits, one byte is the same.

    :param are_near: the bins around that of the colour too.
    """
    bands = [(band, look[band]) for band in range(HASH_BYTES)]
    light, a, b = _mean(_read_grid(look))
    place = round(light / _LIGHT_STEP), round(a / _CHROMA_STEP), round(b / _CHROMA_STEP)
    moves = [(0, 0, 0)]
    if are_near:
        moves += [(-1, 0, 0), (1, 0, 0), (0, -1, 0), (0, 1, 0), (0, 0, -1), (0, 0, 1)]
    for move in moves:
        bin_ = [at + by for at, by in zip(place, move, strict=True)]
        # Each part is between 0 and 99.
        bits = (bin_[0] + 10) * 10_000 + (bin_[1] + 50) * 100 + bin_[2] + 50
        bands.append((COLOUR_BAND, bits))
    return bands


def measure(one: bytes, other: bytes, limit: float = 1.0) -> float:
    """Return how different two looks are: 0 for the same picture, about 1 for unlike ones.

    :param limit: two looks that are more different than this may get a lower number, but always one
        above it. Most can be told apart by their means alone, which takes a tenth of the time.
    """
    bits = int.from_bytes(one[:HASH_BYTES]) ^ int.from_bytes(other[:HASH_BYTES])
    structure = _WEIGHTS["structure"] * min(1.0, bits.bit_count() / (4 * HASH_BYTES))
    parts = [(one[at::3], other[at::3]) for at in range(HASH_BYTES, HASH_BYTES + 3)]
    light, a, b = ((sum(left) - sum(right)) / _CELLS for left, right in parts)
    mean = math.sqrt((light / 255) ** 2 + _CHROMA_WEIGHT * (a * a + b * b) / _CHROMA_SCALE**2)
    mean = min(1.0, mean / _FAR)
    # The cells differ by their mean difference at least.
    least = structure + (_WEIGHTS["mean"] + _WEIGHTS["place"]) * mean
    if least > limit + _ROUNDING:
        return least
    steps = (map(int.__sub__, left, right) for left, right in parts)
    cells = [
        math.sqrt(_LIGHT_SQUARES[light] + _CHROMA_SQUARES[a] + _CHROMA_SQUARES[b])
        for light, a, b in zip(*steps, strict=True)
    ]
    place = min(1.0, sum(cells) / _CELLS / _FAR)
    return structure + _WEIGHTS["mean"] * mean + _WEIGHTS["place"] * place


Color = tuple[float, float, float]


def _read_grid(look: bytes) -> list[Color]:
    cells = look[HASH_BYTES:]
    return [
        (
            cells[at] / 255,
            (cells[at + 1] - 128) / _CHROMA_SCALE,
            (cells[at + 2] - 128) / _CHROMA_SCALE,
        )
        for at in range(0, 3 * _CELLS, 3)
    ]


def _mean(grid: Sequence[Color]) -> Color:
    light, a, b = (math.fsum(parts) / len(grid) for parts in zip(*grid, strict=True))
    return light, a, b
