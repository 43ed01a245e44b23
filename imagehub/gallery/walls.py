"""Arrange pictures on walls.

Pictures stand in rows from edge to edge, without cropping. In a full row the width of each tile
is its share of the row's aspect ratios, so all have the same height. The line breaks are computed
for a few widths of the wall, so that rows have similar heights; CSS container queries choose
between them. No script is needed, and nothing moves.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from imagehub.gallery.pictures import Picture

GAP_PX = 8
# On the sharpest phones 2.4 pixels of a picture for each CSS pixel look like three, with half the
# bytes.
_SHARP_SCREEN = "(min-resolution:2.2dppx)"
# What a phone shows of a wall between the page's header and the bars of the browser, and what the
# tallest phones show; the distance of its rows with titles.
_FIRST_SCREEN_PX = 480
_TALLEST_SCREEN_PX = 640
_PHONE_LINE_PX = 44


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


def make_wall(
    pictures: Sequence[Picture],
    is_last: bool,
    wall_share: float = 0.92,
    may_grow: bool = True,
    is_top: bool = False,
) -> tuple[list[Picture], str]:
    """Return the pictures with their ``sizes``, and the style sheet that arranges them in rows.

    :param is_last: no further wall follows below.
    :param wall_share: the part of the window's width that the wall takes.
    :param may_grow: one or two pictures may be shown twice as large.
    :param is_top: the wall begins in the window, so its first pictures are not loaded lazily.
    """
    ratios = [min(20.0, max(0.05, picture.ratio)) for picture in pictures]
    walls = [break_rows(ratios, width, is_last, may_grow) for width in WIDTHS]
    sizes = make_sizes(walls, wall_share)
    loading = choose_loading(ratios, walls[0]) if is_top else ["lazy"] * len(pictures)
    placed = [
        replace(picture, sizes=text, loading=when)
        for picture, text, when in zip(pictures, sizes, loading, strict=True)
    ]
    css = make_wall_css([picture.id for picture in pictures], walls)
    return placed, css + make_placeholder_css(pictures)


def choose_loading(ratios: Sequence[float], cells: Sequence[Cell]) -> list[str]:
    """Return the ``loading`` of each picture of a wall that begins in the first screen of a phone.

    A browser requests lazy pictures only once it knows the layout, and those in view compete with
    the ones below. The picture that shows the largest part is what a visitor waits for. Browsers
    also request lazy pictures of two screens further down at once, so those are "later".

    :param cells: the tiles for the narrowest of ``WIDTHS``.
    """
    loading = ["later"] * len(cells)
    width, top, largest = WIDTHS[0], 0.0, (0.0, 0)
    begin = 0
    while begin < len(cells) and top < _TALLEST_SCREEN_PX:
        count = cells[begin].count
        room_px = width.typical_px - (count - 1) * GAP_PX
        height = 0.0
        for at in range(begin, begin + count):
            tile_px = cells[at].share * room_px
            height = tile_px / ratios[at]
            shown_px = min(height, _FIRST_SCREEN_PX - top)
            # Of equal ones the first.
            largest = max(largest, (round(tile_px * shown_px), -at))
            loading[at] = "eager" if shown_px > 0 else "lazy"
        top += height + _PHONE_LINE_PX
        begin += count
    if loading:
        loading[-largest[1]] = "first"
    return loading


def make_wall_css(ids: Sequence[str], walls: Sequence[Sequence[Cell]]) -> str:
    """Return the rules for the width of each tile.

    :param ids: of the tiles; letters, digits and hyphens.
    :param walls: the tiles for each of ``WIDTHS``.
    """
    rules = []
    for width, cells in zip(WIDTHS, walls, strict=True):
        tiles = zip(ids, cells, strict=True)
        body = "".join(f"#{name}{{width:{_write_width(cell)}}}" for name, cell in tiles)
        condition = f"@container wall (min-width:{width.least_px}px)"
        rules.append(f"{condition}{{{body}}}" if width.least_px else body)
    return "".join(rules)


def _write_width(cell: Cell) -> str:
    """Rounded down, so that a row never breaks for a hundredth of a pixel."""
    percent = math.floor(cell.share * 1e5) / 1e3
    gaps = math.ceil(cell.share * (cell.count - 1) * GAP_PX * 100) / 100
    return f"calc({percent:g}% - {gaps:g}px)" if gaps else f"{percent:g}%"


def make_sizes(walls: Sequence[Sequence[Cell]], wall_share: float = 0.92) -> list[str]:
    """Return the ``sizes`` attribute of each picture, the widest windows first.

    :param walls: the tiles for each of ``WIDTHS``.
    :param wall_share: the part of the window's width that the wall takes.
    """
    columns = []
    for width, cells in zip(reversed(WIDTHS), reversed(walls), strict=True):
        least = round(width.least_px / wall_share)
        shares = [cell.share * wall_share * 100 for cell in cells]
        if not least:
            columns.append([f"{_SHARP_SCREEN} {_write_share(share * 0.78)}" for share in shares])
        condition = f"(min-width:{least}px) " if least else ""
        columns.append([f"{condition}{_write_share(share)}" for share in shares])
    return [",".join(parts) for parts in zip(*columns, strict=True)]


def _write_share(percent: float) -> str:
    return f"{max(1, round(percent))}vw"


def make_placeholder_css(pictures: Sequence[Picture], mark: str = "#") -> str:
    """Return the style of each picture's frame: its shape and its placeholder.

    The frame has the shape, as a picture that cannot be loaded has none.

    :param mark: "." if the pictures' ids are classes, for those that a page has twice.
    """
    rules = []
    for picture in pictures:
        image = f'url("{picture.placeholder}") 0/100% 100%' if picture.placeholder else ""
        background = f"{picture.color} {image}".strip()
        rules.append(
            f"{mark}{picture.id} .frame{{aspect-ratio:{picture.width}/{picture.height};"
            + (f"background:{background}" if background else "")
            + "}"
        )
    return "".join(rules)
