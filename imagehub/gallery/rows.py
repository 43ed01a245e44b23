"""Arrange pictures in rows from edge to edge, without cropping them.

In a full row the width of each tile is its share of the row's aspect ratios, so all have the same
height. The line breaks are computed here for a few widths of the wall, so that rows have similar
heights; CSS container queries choose between them. No script is needed, and nothing moves.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

GAP_PX = 8


@dataclass(frozen=True)
class Width:
    """Walls of at least ``least_px``; rows are made for ``typical_px`` and a height of ``row_px``.

    The last row of the last page is at most ``most`` times as high.
    """

    least_px: int
    typical_px: int
    row_px: int
    most: float = 1.4
    most_in_row: int = 12


WIDTHS = (
    Width(0, 342, 240, most=1.9, most_in_row=2),
    Width(560, 700, 250),
    Width(900, 1150, 300),
    Width(1400, 1650, 350),
    Width(2000, 2400, 430),
)


@dataclass(frozen=True)
class Cell:
    """A tile: its share of the width of a row with ``count`` tiles, without the gaps."""

    share: float
    count: int


# The highest cost of a ragged last row: the other rows may differ from the wanted height by a third
# before it is chosen.
_RAGGED_COST = 0.1


def break_rows(
    ratios: Sequence[float], width: Width, is_last: bool = False, may_grow: bool = True
) -> list[Cell]:
    """Break pictures into rows for a wall of this width.

    The rows are as close as possible to the wanted height, by the sum of squared logarithms (a row
    of half the height is as bad as one of twice the height).

    :param ratios: width / height of each picture, in order.
    :param is_last: nothing follows, so the last row may be ragged.
    :param may_grow: one or two pictures may be shown twice as large.
    """
    count = len(ratios)
    best = [0.0] + [math.inf] * count
    begins = [0] * (count + 1)
    for end in range(1, count + 1):
        total = 0.0
        for begin in range(end - 1, max(-1, end - 1 - width.most_in_row), -1):
            total += ratios[begin]
            off = math.log(_find_height(width, total, end - begin) / width.row_px)
            is_ragged = off > 0 and is_last and end == count
            cost = best[begin] + (min(off * off, _RAGGED_COST) if is_ragged else off * off)
            if cost < best[end]:
                best[end], begins[end] = cost, begin
    most = width.row_px * (max(2.1, width.most) if may_grow and count <= 2 else width.most)
    cells: list[Cell] = []
    end = count
    while end:
        row = ratios[begins[end] : end]
        height = _find_height(width, sum(row), len(row))
        shrink = min(1.0, most / height) if is_last and end == count else 1.0
        cells[:0] = [Cell(ratio / sum(row) * shrink, len(row)) for ratio in row]
        end = begins[end]
    return cells


def _find_height(width: Width, ratio_sum: float, count: int) -> float:
    return (width.typical_px - (count - 1) * GAP_PX) / ratio_sum


def make_wall_css(
    ids: Sequence[str], ratios: Sequence[float], is_last: bool, may_grow: bool = True
) -> str:
    """Return the rules for the width of each tile, for every width of the wall.

    :param ids: of the tiles; letters, digits and hyphens.
    """
    rules = []
    for width in WIDTHS:
        cells = zip(ids, break_rows(ratios, width, is_last, may_grow), strict=True)
        body = "".join(f"#{name}{{width:{_write_width(cell)}}}" for name, cell in cells)
        condition = f"@container wall (min-width:{width.least_px}px)"
        rules.append(f"{condition}{{{body}}}" if width.least_px else body)
    return "".join(rules)


def _write_width(cell: Cell) -> str:
    """Rounded down, so that a row never breaks for a hundredth of a pixel."""
    percent = math.floor(cell.share * 1e5) / 1e3
    gaps = math.ceil(cell.share * (cell.count - 1) * GAP_PX * 100) / 100
    return f"calc({percent:g}% - {gaps:g}px)" if gaps else f"{percent:g}%"


def make_sizes(
    ratios: Sequence[float], is_last: bool, wall_share: float = 0.92, may_grow: bool = True
) -> list[str]:
    """Return the ``sizes`` attribute of each picture.

    :param wall_share: the part of the window's width that the wall takes.
    """
    columns = []
    for width in reversed(WIDTHS):
        least = round(width.least_px / wall_share)
        condition = f"(min-width:{least}px) " if least else ""
        shares = [cell.share for cell in break_rows(ratios, width, is_last, may_grow)]
        columns.append([f"{condition}{max(1, round(s * wall_share * 100))}vw" for s in shares])
    return [",".join(parts) for parts in zip(*columns, strict=True)]
