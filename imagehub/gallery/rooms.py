"""Place a work in a room, to scale: on a wall, beside a sofa, a door or a person.

The unit of all drawings is the centimetre.
"""

from dataclasses import dataclass

from imagehub.domain.library.dimensions import Size
from imagehub.messages import mark

# A work hangs with its middle at the eye level of a person who stands.
_EYES_CM = 150.0
_CEILING_CM = 250.0
_LEAST_ABOVE_FLOOR_CM = 12.0
_ABOVE_SOFA_CM = 14.0
_MARGIN_CM = 45.0
# A work of this depth or more stands in the room, on a plinth unless it is high.
_STANDING_CM = 15.0
_PLINTHS = ((40.0, 110.0), (90.0, 60.0))
_LEAST_RATIO = 1.25
_FLOOR_SHARE = 0.16


@dataclass(frozen=True)
class Companion:
    """Something drawn beside a work. ``measured_cm``: the size that the ``sentence`` names."""

    label: str
    width: float
    height: float
    measured_cm: float
    sentence: str


COMPANIONS = {
    "sofa": Companion(mark("Sofa"), 210, 82, 210, mark("The sofa is %(size)s wide.")),
    "door": Companion(mark("Door"), 98, 206, 206, mark("The door is %(size)s high.")),
    "person": Companion(mark("Person"), 60, 170, 170, mark("The person is %(size)s tall.")),
    "nothing": Companion(mark("Nothing"), 0, 0, 0, ""),
}
WALLS = {
    "page": mark("Same as this page"),
    "white": mark("White"),
    "grey": mark("Grey"),
    "blue": mark("Blue"),
    "dark": mark("Dark"),
}


@dataclass(frozen=True)
class Box:
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Room:
    """A drawing of ``width`` × ``height``; the floor begins at ``floor``.

    ``beside`` is a key of ``COMPANIONS``, at the upper left corner ``place``.
    """

    width: float
    height: float
    floor: float
    work: Box
    plinth: Box | None
    beside: str
    place: Box


def make_room(size: Size, beside: str) -> Room:
    """Arrange a room for a work and its companion, a key of ``COMPANIONS``."""
    width, height = size.width_mm / 10, size.height_mm / 10
    companion = COMPANIONS[beside]
    stands = size.depth_mm / 10 >= _STANDING_CM
    is_above_sofa = beside == "sofa" and not stands
    if stands:
        bottom = next((plinth for most, plinth in _PLINTHS if height <= most), 0.0)
    else:
        least = companion.height + _ABOVE_SOFA_CM if is_above_sofa else _LEAST_ABOVE_FLOOR_CM
        bottom = max(least, _EYES_CM - height / 2)
    above = max(_CEILING_CM, bottom + height + 30)
    total_height = above * (1 + _FLOOR_SHARE)
    gap = max(35.0, width * 0.2) if companion.width and not is_above_sofa else 0.0
    used = max(width, companion.width) if is_above_sofa else width + gap + companion.width
    total_width = max(used + 2 * _MARGIN_CM, total_height * _LEAST_RATIO)
    left = (total_width - used) / 2
    work_x = left + (used - width) / 2 if is_above_sofa else left
    place_x = left + (used - companion.width) / 2 if is_above_sofa else left + width + gap
    # A door is in the wall; the others stand a little before it.
    foot = above if beside == "door" else above + 8
    plinth = None
    if stands and bottom:
        wide = max(width, 24.0) + 10
        plinth = _make_box(work_x + (width - wide) / 2, above + 8 - bottom, wide, bottom)
    work_y = above - bottom - height + (8 if stands else 0)
    return Room(
        width=round(total_width, 1),
        height=round(total_height, 1),
        floor=round(above, 1),
        work=_make_box(work_x, work_y, width, height),
        plinth=plinth,
        beside=beside,
        place=_make_box(place_x, foot - companion.height, companion.width, companion.height),
    )


def _make_box(x: float, y: float, width: float, height: float) -> Box:
    return Box(round(x, 1), round(y, 1), round(width, 2), round(height, 2))
