"""Arranging pictures in rows."""

import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagehub.gallery.walls import (
    GAP_PX,
    WIDTHS,
    Width,
    break_rows,
    choose_loading,
    make_sizes,
    make_wall_css,
)

DESKTOP = next(width for width in WIDTHS if width.least_px == 900)
RATIOS = st.lists(st.floats(0.2, 5), min_size=1, max_size=24)


def list_rows(ratios: list[float], width: Width, is_last: bool = False) -> list[list[float]]:
    """The widths in pixels of each row's tiles on a wall of the typical width."""
    cells = break_rows(ratios, width, is_last)
    assert len(cells) == len(ratios)
    rows = []
    at = 0
    while at < len(cells):
        count = cells[at].count
        room = width.typical_px - (count - 1) * GAP_PX
        rows.append([cell.share * room for cell in cells[at : at + count]])
        at += count
    assert at == len(cells)
    return rows


@given(RATIOS, st.sampled_from(WIDTHS))
@settings(max_examples=150, deadline=None)
def test_every_row_is_full_and_of_one_height(ratios: list[float], width: Width) -> None:
    rows = list_rows(ratios, width)
    shapes = iter(ratios)
    for row in rows:
        assert sum(row) + (len(row) - 1) * GAP_PX == pytest.approx(width.typical_px)
        heights = [wide / ratio for wide, ratio in zip(row, shapes, strict=False)]
        assert heights == pytest.approx([heights[0]] * len(row))


@given(RATIOS, st.sampled_from(WIDTHS))
@settings(max_examples=150, deadline=None)
def test_a_last_row_is_never_blown_up(ratios: list[float], width: Width) -> None:
    last = list_rows(ratios, width, is_last=True)[-1]
    height = sum(last) / sum(ratios[-len(last) :])
    most = max(2.1, width.most) if len(ratios) <= 2 else width.most
    assert height <= width.row_px * most + 0.01
    assert sum(last) + (len(last) - 1) * GAP_PX <= width.typical_px + 0.01


@given(st.lists(st.floats(0.2, 5), min_size=1, max_size=8))
@settings(max_examples=60, deadline=None)
def test_no_other_breaks_come_nearer_to_the_wanted_height(ratios: list[float]) -> None:
    def rate(lengths: tuple[int, ...]) -> float:
        cost, at = 0.0, 0
        for length in lengths:
            room = DESKTOP.typical_px - (length - 1) * GAP_PX
            cost += math.log(room / sum(ratios[at : at + length]) / DESKTOP.row_px) ** 2
            at += length
        return cost

    chosen = rate(tuple(len(row) for row in list_rows(ratios, DESKTOP)))
    for cuts in itertools.product((False, True), repeat=len(ratios) - 1):
        ends = [at for at, is_cut in enumerate(cuts, start=1) if is_cut] + [len(ratios)]
        lengths = tuple(end - begin for begin, end in itertools.pairwise([0, *ends]))
        assert chosen <= rate(lengths) + 1e-9


@pytest.mark.parametrize(
    ("ratios", "expected"),
    [
        # Two small ones, then a large one that is cut by the edge of the screen.
        ([1.0, 0.84, 1.0, 1.4, 0.75], ["eager", "eager", "first", "lazy", "lazy"]),
        # The tallest phones show the third row, but none the fourth.
        ([1.5] * 5, ["first", "eager", "lazy", "later", "later"]),
        ([0.4, 1.5], ["eager", "first"]),
        # Of two that are equal, the one that comes first.
        ([5.0, 5.0, 1.0, 1.0], ["eager", "eager", "first", "eager"]),
        ([1.0], ["first"]),
        ([], []),
    ],
)
def test_what_a_phone_shows_first_is_loaded_first(ratios: list[float], expected: list[str]) -> None:
    assert choose_loading(ratios, break_rows(ratios, WIDTHS[0])) == expected


def test_a_panorama_has_its_row_and_a_strip_shares_one() -> None:
    rows = list_rows([1.5, 0.75, 1.3, 5.0, 0.25, 1.5, 1.0, 1.2], DESKTOP)
    assert [len(row) for row in rows] == [3, 1, 4]


def test_a_phone_has_two_works_a_row_at_most() -> None:
    assert max(len(row) for row in list_rows([0.25] * 12, WIDTHS[0])) == 2


def test_rules_never_add_up_to_more_than_the_wall() -> None:
    ratios = [0.777, 1.333, 1.618, 0.666, 1.25, 1.5, 0.8, 3.1, 0.31, 1.1, 1.01, 0.99]
    walls = [break_rows(ratios, width) for width in WIDTHS]
    css = make_wall_css([f"g{n}" for n in range(12)], walls)
    body = css.split("@container wall (min-width:900px)")[1].split("}}")[0]
    rules = [rule.split("calc(")[1] for rule in body.split("#")[1:] if "calc(" in rule]
    rows = list_rows(ratios, DESKTOP)
    at = 0
    for row in rows:
        if len(row) == 1:
            continue
        parts = [rule.split("% - ") for rule in rules[at : at + len(row)]]
        at += len(row)
        assert 99.9 < sum(float(percent) for percent, _ in parts) <= 100
        gaps = sum(float(pixels.split("px")[0]) for _, pixels in parts)
        assert gaps >= (len(row) - 1) * GAP_PX
    assert at == len(rules)


def test_sizes_name_the_widest_windows_first() -> None:
    walls = [break_rows([1.5, 1.5], width, is_last=True) for width in WIDTHS]
    sizes = make_sizes(walls)
    assert len(sizes) == 2
    *wide, sharp, narrow = sizes[0].split(",")
    steps = [part.split("px")[0] for part in wide]
    pixels = [int(step.removeprefix("(min-width:")) for step in steps]
    assert pixels == sorted(pixels, reverse=True)
    assert (sharp, narrow) == ("(min-resolution:2.2dppx) 72vw", "92vw")


@pytest.mark.parametrize(("window", "density"), [(360, 3), (390, 3), (412, 2.625), (430, 3)])
def test_sharp_phones_get_the_middle_rendition_of_a_full_row(window: int, density: float) -> None:
    """The largest one would have twice the pixels that they can show."""
    sharp = make_sizes([break_rows([1.5], width) for width in WIDTHS])[0].split(",")[-2]
    share = int(sharp.removeprefix("(min-resolution:2.2dppx) ").removesuffix("vw"))
    needed = window * share / 100 * density
    assert 480 < needed <= 960
    assert 960 / (window * 0.92) > 2.4
