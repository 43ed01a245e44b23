"""Readable colours for any chosen accent."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagehub.web.palette import DARK_GROUND, LIGHT_GROUND, make_css, make_theme

COLORS = st.integers(0, 0xFFFFFF).map(lambda number: f"#{number:06x}")


def measure_contrast(one: str, other: str) -> float:
    """Compute the contrast ratio of WCAG 2.2 independently."""

    def luminance(color: str) -> float:
        total = 0.0
        for at, weight in ((1, 0.2126), (3, 0.7152), (5, 0.0722)):
            value = int(color[at : at + 2], 16) / 255
            linear = value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4
            total += weight * linear
        return total

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@given(COLORS, COLORS)
def test_any_accent_is_readable_on_any_background(accent: str, ground: str) -> None:
    theme = make_theme(accent, ground)
    assert measure_contrast(theme["ink"], ground) >= 4.5
    assert measure_contrast(theme["quiet"], ground) >= 4.5
    assert measure_contrast(theme["accent"], ground) >= 4.5
    assert measure_contrast(theme["on-accent"], theme["accent"]) >= 4.5
    assert measure_contrast(theme["edge"], ground) >= 3


@settings(max_examples=40)
@given(COLORS, st.sampled_from([LIGHT_GROUND, DARK_GROUND, "#ffffff", "#000000"]))
def test_text_is_readable_on_what_is_locked_or_selected(accent: str, ground: str) -> None:
    theme = make_theme(accent, ground)
    for tint in ("faint", "tint"):
        for text in ("ink", "quiet", "accent"):
            assert measure_contrast(theme[text], theme[tint]) >= 4.5, (tint, text)


def test_a_readable_accent_is_not_changed() -> None:
    assert make_theme("#b3432b", LIGHT_GROUND)["accent"] == "#b3432b"


def test_pure_black_is_never_used_on_pure_white() -> None:
    for ground in (LIGHT_GROUND, DARK_GROUND, "#ffffff", "#000000"):
        assert make_theme("#3366cc", ground)["ink"] not in ("#000000", "#ffffff")


@pytest.mark.parametrize(
    "name",
    ["ground", "faint", "tint", "ink", "quiet", "edge", "hair", "accent", "on-accent"],
)
def test_both_themes_are_in_the_style_sheet(name: str) -> None:
    css = make_css("#b3432b", "")
    light = make_theme("#b3432b", LIGHT_GROUND)[name]
    dark = make_theme("#b3432b", DARK_GROUND)[name]
    assert f"--{name}:{light};" in css
    assert f"--{name}:light-dark({light},{dark});" in css
