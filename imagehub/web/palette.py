"""Make the site's colours from an accent and a ground, with enough contrast for any choice.

Text is readable on the ground and on its two tints. The contrast of WCAG 2.2 is (lighter + 0.05) /
(darker + 0.05) of the relative luminances. Text needs 4.5 (criterion 1.4.3), the edge of a control
3 (1.4.11).
"""

from collections.abc import Callable, Sequence
from functools import lru_cache

Rgb = tuple[float, float, float]

LIGHT_GROUND = "#faf9f7"
DARK_GROUND = "#111110"
DARK_INK = "#1b1a18"
LIGHT_INK = "#ecebe8"
_TEXT_CONTRAST = 4.6  # A little more than required, as browsers round.
_EDGE_CONTRAST = 3.1
# How much of the ink and of the accent is mixed into the ground for its tints.
_FAINT_SHARE, _TINT_SHARE = 0.04, 0.08


def make_theme(accent: str, ground: str) -> dict[str, str]:
    """Make the colours of one theme, all as ``#rrggbb``.

    :return: ``ground`` as given; ``faint`` and ``tint`` for what is locked or under the pointer,
        and for what is selected; ``ink`` for text; ``quiet`` for secondary text; ``edge`` for
        borders of controls; ``hair`` for dividing lines; ``accent``, moved towards the ink until it
        is readable; ``on-accent`` for text on the accent.
    """
    here = _read(ground)
    ink = max(_read(DARK_INK), _read(LIGHT_INK), key=lambda one: _contrast(one, here))
    if _contrast(ink, here) < 7:  # A ground of medium brightness needs pure black or white.
        ink = max((0.0, 0.0, 0.0), (255.0, 255.0, 255.0), key=lambda one: _contrast(one, here))
    faint = _mix(here, ink, _FAINT_SHARE)
    strong = _reach(
        _read(accent),
        ink,
        lambda color: (here, faint, _mix(here, color, _TINT_SHARE)),
        _TEXT_CONTRAST,
    )
    tint = _mix(here, strong, _TINT_SHARE)
    quiet = _reach(_mix(here, ink, 0.6), ink, lambda _: (here, faint, tint), _TEXT_CONTRAST)
    # White or black has a contrast of at least 4.58 with any colour.
    on_accent = next(
        one
        for one in ((255.0, 255.0, 255.0), _read(DARK_INK), (0.0, 0.0, 0.0))
        if _contrast(one, strong) >= 4.5
    )
    return {
        "ground": ground,
        "faint": _write(faint),
        "tint": _write(tint),
        "ink": _write(ink),
        "quiet": _write(quiet),
        "edge": _write(_reach(_mix(here, ink, 0.4), ink, lambda _: (here,), _EDGE_CONTRAST)),
        "hair": _write(_mix(here, ink, 0.1)),
        "accent": _write(strong),
        "on-accent": _write(on_accent),
    }


# In the page itself: browsers abort a transition, and log an error, if a page has styles before it
# asks for one, as when its own style element takes effect before its style sheet has come.
_TRANSITION = "@media (prefers-reduced-motion:no-preference){@view-transition{navigation:auto}}"


@lru_cache(maxsize=16)
def make_css(accent: str, ground: str) -> str:
    """Make the style sheet within each page: the custom properties of both themes, transitions.

    :param accent: ``#rrggbb``.
    :param ground: the light theme's ground, or "" for the default.
    """
    light = make_theme(accent, ground or LIGHT_GROUND)
    dark = make_theme(accent, DARK_GROUND)
    plain = "".join(f"--{name}:{value};" for name, value in light.items())
    both = "".join(f"--{name}:light-dark({light[name]},{dark[name]});" for name in light)
    # Browsers from before 2024 lack light-dark() and show the light theme.
    return (
        f"{_TRANSITION}"
        f":root{{{plain}}}@supports (color:light-dark(#000,#fff)){{:root{{color-scheme:light dark;"
        f"{both}}}[data-theme=light]{{color-scheme:light}}[data-theme=dark]{{color-scheme:dark}}}}"
    )


def _reach(
    color: Rgb, ink: Rgb, list_grounds: Callable[[Rgb], Sequence[Rgb]], contrast: float
) -> Rgb:
    """Move a colour towards the ink just far enough for this contrast with all its grounds."""
    for step in range(21):
        # Rounded as it will be written.
        moved = _read(_write(_mix(color, ink, step / 20)))
        if all(_contrast(moved, ground) >= contrast for ground in list_grounds(moved)):
            return moved
    return ink


def _mix(one: Rgb, other: Rgb, share: float) -> Rgb:
    red, green, blue = (a + (b - a) * share for a, b in zip(one, other, strict=True))
    return red, green, blue


def _contrast(one: Rgb, other: Rgb) -> float:
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def _luminance(color: Rgb) -> float:
    """Compute the relative luminance. Source: WCAG 2.2, "relative luminance"."""
    linear = [
        value / 255 / 12.92 if value <= 10.31 else ((value / 255 + 0.055) / 1.055) ** 2.4
        for value in color
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _read(text: str) -> Rgb:
    return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)


def _write(color: Rgb) -> str:
    return "#" + "".join(f"{round(value):02x}" for value in color)
