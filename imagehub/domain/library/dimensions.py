"""Read the size of a work from its dimensions, which people write as they like.

Height comes before width, as museums write it, unless letters or the shape of the picture say
otherwise. Only the first size in a text counts: a later one is the frame's, or the same in inches.
Numbers without a unit are no size.
"""

import re
from dataclasses import dataclass, replace

# Source of the foot and the inch: International yard and pound agreement of 1959.
_MM = {"mm": 1.0, "cm": 10.0, "m": 1000.0, "in": 25.4, "ft": 304.8}
_UNITS = {
    "mm": "mm|millimet(?:er|re)s?|millimeter",
    "cm": "cm|centimet(?:er|re)s?|zentimeter",
    "m": "m|met(?:er|re)s?",
    "in": "in\\.?|inch(?:es)?|zoll|\"|''|″|”",
    "ft": "ft\\.?|foot|feet|fuß|'|′|’",
}
_SIDES = {
    "height": "h|height|high|höhe|hoch",
    "width": "w|b|width|wide|breite|breit",
    "depth": "d|t|depth|deep|tiefe|tief",
    "diameter": "ø|⌀|dia\\.?|diam\\.?|diameter|durchmesser",
}
_FRACTIONS = {"½": "1/2", "⅓": "1/3", "⅔": "2/3", "¼": "1/4", "¾": "3/4", "⅕": "1/5", "⅛": "1/8",
              "⅜": "3/8", "⅝": "5/8", "⅞": "7/8", "⅙": "1/6", "⁄": "/"}  # fmt: skip
_SIDE = "|".join(f"(?:{names})" for names in _SIDES.values())
_UNIT = "|".join(f"(?:{names})" for names in _UNITS.values())
# A measure: 80, 80.5, 80,5, 1/2, 31 1/2, with a unit and a side before or after it.
_MEASURE = re.compile(
    rf"(?:(?<![^\W\d_])(?P<before>{_SIDE})[\s.:=]*)?"
    r"(?P<whole>[0-9]{1,6}(?:[.,][0-9]{1,4})?)"
    r"(?:\s+(?P<part>[0-9]{1,2}/[0-9]{1,2})|(?P<over>/[0-9]{1,2}))?"
    rf"(?:\s*(?P<unit>{_UNIT})(?![^\W\d_]))?"
    rf"(?:\s*\(?(?P<after>{_SIDE})(?![^\W\d_])\)?(?:\s*(?P<late>{_UNIT})(?![^\W\d_]))?)?"
)
_BETWEEN = re.compile(r"\s*(?:[x×✕*]|by|mal|,|;|/)\s*")
# The sides in the order of the numbers, before or after them: H × W, (H × B × T).
_ORDER = re.compile(
    rf"(?<![^\W\d_])({_SIDE})\s*[x×/]\s*({_SIDE})(?:\s*[x×/]\s*({_SIDE}))?(?![^\W\d_])"
)
# What is outside of these limits is a typing error.
_LEAST_MM, _MOST_MM = 2.0, 30_000.0
_MAX_CHARS = 300
_MOST_IN_ROW = 4


@dataclass(frozen=True)
class Size:
    """The size of a work in millimetres; ``depth_mm`` is 0 if it is not known.

    ``is_sure``: the text says which side is the height.
    """

    height_mm: float
    width_mm: float
    depth_mm: float = 0.0
    is_round: bool = False
    is_sure: bool = False

    def turn_to(self, ratio: float) -> "Size":
        """Return the size with height and width as in a picture of it: width / height."""
        own = self.width_mm / self.height_mm
        if self.is_sure or _differ(own, ratio) <= _differ(1 / own, ratio):
            return self
        return replace(self, height_mm=self.width_mm, width_mm=self.height_mm)

    def fits(self, ratio: float) -> bool:
        """Tell whether a picture of this shape shows the work and next to nothing else."""
        return _differ(self.width_mm / self.height_mm, ratio) < 1.12


def _differ(one: float, other: float) -> float:
    return max(one / other, other / one)


def read_size(text: str) -> Size | None:
    """Read the size of a work; None if the text names no certain one.

    Reads ``80 × 60 cm``, ``29,7 x 21 cm``, ``31 1/2 × 23⅝ in``, ``800 by 600 mm``, ``H 80 cm, W 60
    cm``, ``80 × 60 cm (H × W)``, ``60 (W) × 80 (H) × 4 (D) cm``, ``Ø 40 cm``, ``5' × 3' 6"``.
    """
    plain = text[:_MAX_CHARS].casefold().replace("\u00a0", " ").replace("\u202f", " ")
    # Case folding writes ß as ss.
    plain = plain.replace("fuss", "fuß")
    for sign, words in _FRACTIONS.items():
        plain = plain.replace(sign, words if sign == "⁄" else f" {words}")
    sides: list[str] = []
    if order := _ORDER.search(plain):
        sides = [_find_name(_SIDES, word) for word in order.groups() if word]
        plain = f"{plain[: order.start()]} {plain[order.end() :]}"
    start = 0
    while found := _MEASURE.search(plain, start):
        measures, start = _read_row(plain, found)
        if len(sides) == len(measures) and not any(one.side for one in measures):
            pairs = zip(measures, sides, strict=True)
            measures = [replace(one, side=side) for one, side in pairs]
        if size := _make_size(measures):
            return size
    return None


@dataclass(frozen=True)
class _Measure:
    """``number`` as it is written, ``part`` a fraction beside it, ``more`` inches after feet."""

    number: str
    part: str
    unit: str
    side: str
    more: float = 0.0

    def convert(self, unit: str) -> float:
        """Return millimetres; 0 for what is none.

        :param unit: of the measures after it, if it has none of its own.
        """
        number = self.number
        # 1,200 mm are thousands; nobody measures in thousandths of a millimetre.
        if unit != "m" and re.fullmatch("[1-9][0-9]?[.,][0-9]{3}", number):
            number = re.sub("[.,]", "", number)
        whole = _divide(number) if "/" in number else float(number.replace(",", "."))
        return (whole + _divide(self.part)) * _MM[unit] + self.more * _MM["in"]


def _read_row(text: str, first: re.Match[str]) -> tuple[list[_Measure], int]:
    """Read measures that stand in a row, such as ``80 × 60 cm``; returns where they end."""
    row, found, end = [], first, first.end()
    while True:
        measure = _read_measure(found)
        if measure.unit == "ft" and (inches := _MEASURE.match(text, _skip_spaces(text, end))):
            rest = _read_measure(inches)
            if rest.unit == "in":
                side = measure.side or rest.side
                measure = replace(measure, side=side, more=rest.convert("in") / _MM["in"])
                end = inches.end()
        row.append(measure)
        between = _BETWEEN.match(text, end)
        following = _MEASURE.match(text, between.end()) if between else None
        if following is None or len(row) == _MOST_IN_ROW:
            return row, end
        found, end = following, following.end()


def _skip_spaces(text: str, start: int) -> int:
    return len(text) - len(text[start:].lstrip())


def _read_measure(found: re.Match[str]) -> _Measure:
    unit = _find_name(_UNITS, found["unit"] or found["late"])
    side = _find_name(_SIDES, found["before"] or found["after"])
    return _Measure(found["whole"] + (found["over"] or ""), found["part"] or "", unit, side)


def _divide(text: str) -> float:
    above, _, below = text.partition("/")
    return int(above) / int(below) if above.isdigit() and below.isdigit() and int(below) else 0.0


def _find_name(names: dict[str, str], word: str | None) -> str:
    return next((name for name, one in names.items() if word and re.fullmatch(one, word)), "")


def _make_size(measures: list[_Measure]) -> Size | None:
    unit = ""
    found: list[float] = []
    for one in reversed(measures):
        unit = one.unit or unit
        found.insert(0, one.convert(unit) if unit else 0.0)
    if not all(_LEAST_MM <= mm <= _MOST_MM for mm in found):
        return None
    sides = {one.side: mm for one, mm in zip(measures, found, strict=True) if one.side}
    depth = sides.get("depth", 0.0)
    if "diameter" in sides and "height" in sides:
        # A vessel or a column, seen from the side.
        return Size(sides["height"], sides["diameter"], sides["diameter"], is_sure=True)
    if "diameter" in sides:
        return Size(sides["diameter"], sides["diameter"], depth, is_round=True, is_sure=True)
    if "height" in sides and "width" in sides:
        return Size(sides["height"], sides["width"], depth, is_sure=True)
    if sides or not 2 <= len(found) <= 3:
        return None
    return Size(found[0], found[1], found[2] if len(found) == 3 else 0.0)
