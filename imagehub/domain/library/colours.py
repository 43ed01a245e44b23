"""A palette of twelve colours, and which of them people would call a colour."""

import math
import re
from functools import lru_cache

from imagehub.imaging.oklab import Oklab, make_oklab
from imagehub.messages import mark

# The palette in the order in which it is shown: name → its label, and its swatch.
PALETTE = {
    "red": (mark("Red"), "#c8352b"),
    "orange": (mark("Orange"), "#e2812d"),
    "yellow": (mark("Yellow"), "#e9c63f"),
    "green": (mark("Green"), "#4f8a4b"),
    "turquoise": (mark("Turquoise"), "#3fa39c"),
    "blue": (mark("Blue"), "#3a68b0"),
    "violet": (mark("Violet"), "#7a55a3"),
    "pink": (mark("Pink"), "#dd8aa6"),
    "brown": (mark("Brown"), "#7b5636"),
    "white": (mark("White"), "#f4f2ec"),
    "grey": (mark("Grey"), "#8f8e8a"),
    "black": (mark("Black"), "#1d1c1a"),
}
# Below this chroma a colour looks grey; dark and light ones do so a little earlier.
_GREY_CHROMA = 0.028
_BLACK, _WHITE = 0.3, 0.86
# Where the hue of one name ends and the next begins, in degrees of Oklab.
_HUES = (
    (12, "pink"), (46, "red"), (78, "orange"), (112, "yellow"), (160, "green"), (216, "turquoise"),
    (282, "blue"), (330, "violet"), (360, "pink"),
)  # fmt: skip


@lru_cache(maxsize=4096)
def read_color(color: str) -> Oklab | None:
    """Return lightness (0 to 1), a and b of a colour; None if it is not ``#rrggbb``."""
    if not re.fullmatch("#[0-9a-f]{6}", color):
        return None
    return make_oklab(*(int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)))


def name_color(color: str) -> str:
    """Return the name in the palette that people would give a colour; "" if it is not one."""
    lab = read_color(color)
    if lab is None:
        return ""
    light, a, b = lab
    chroma = math.hypot(a, b)
    if light < _BLACK and chroma < 2 * _GREY_CHROMA:
        return "black"
    if chroma < _GREY_CHROMA:
        return "white" if light > _WHITE else "grey"
    if light > 0.93 and chroma < 1.5 * _GREY_CHROMA:
        return "white"
    hue = math.degrees(math.atan2(b, a)) % 360
    name = next(name for end, name in _HUES if hue < end or end == 360)
    # Dark or dull orange is brown, and so is a dull dark yellow or red; light red is pink.
    if name == "orange" and (light < 0.62 or chroma < 0.085):
        return "brown"
    if name == "yellow" and light < 0.62 and chroma < 0.1:
        return "brown"
    if name == "red" and chroma < 0.085 and light < 0.62:
        return "brown"
    if name == "red" and light > 0.72:
        return "pink"
    return name
