"""The layouts of the front page besides the wall: works with their labels, or one on each screen.

``rows``: each work large, with its label beside it, on the other side in each second row. ``one``:
each work fills the window, with its label below. On phones both are works below each other.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from imagehub.gallery.pictures import Picture
from imagehub.gallery.walls import make_placeholder_css

WALL, ROWS, ONE = "wall", "rows", "one"
# The work above the others.
FEATURED = "featured"
LAYOUTS = (WALL, ROWS, ONE)
# From here on the label stands beside the work, as in ``layouts.css``.
_WIDE_PX = 900
# As in ``walls``: on the sharpest phones fewer pixels look the same.
_SHARP_SCREEN = "(min-resolution:2.2dppx)"
_SHARP_SHARE = 78
# Of the first works, a phone shows this many.
_EAGER_COUNT = 2


@dataclass(frozen=True)
class Most:
    """The largest part of the window that a picture takes, in percent of width and height."""

    width: int
    height: int


_MOST = {ROWS: Most(62, 82), ONE: Most(90, 78), FEATURED: Most(90, 70)}


def lay_out(
    pictures: Sequence[Picture], layout: str, is_top: bool = True
) -> tuple[list[Picture], str]:
    """Return the pictures with their ``sizes``, and the style sheet with their shapes.

    :param layout: ``rows`` or ``one``, or ``featured`` for the work above the others.
    :param is_top: nothing stands above them, so the first ones are not loaded lazily.
    """
    placed = [
        replace(
            picture,
            sizes=make_sizes(picture.ratio, layout),
            loading=_choose_loading(at) if is_top else "lazy",
        )
        for at, picture in enumerate(pictures)
    ]
    ratios = "".join(f"#{one.id}{{--ratio:{one.ratio:.4f}}}" for one in pictures)
    return placed, ratios + make_placeholder_css(pictures)


def make_sizes(ratio: float, layout: str) -> str:
    """Return the ``sizes`` attribute of a picture, for windows with and without room beside it."""
    most = _MOST[layout]
    wide = f"min({most.width}vw,{max(1, round(most.height * ratio))}vh)"
    return f"(min-width:{_WIDE_PX}px) {wide},{_SHARP_SCREEN} {_SHARP_SHARE}vw,100vw"


def _choose_loading(at: int) -> str:
    if at == 0:
        return "first"
    return "eager" if at < _EAGER_COUNT else "lazy"
