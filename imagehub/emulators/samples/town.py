"""Draw the plan of an imaginary town: one large work, whose detail shows only up close.

It has 96 megapixels in sixteen flat colours, so that it is drawn in seconds and is small as a file.
"""

import math
from pathlib import Path
from random import Random

from PIL import Image, ImageDraw, ImageFont

from imagehub.emulators.samples.files import FileFacts, write_picture
from imagehub.emulators.samples.paint import Point, Size, palette

TITLE, YEAR = "The Town Nobody Built", 2024
FOLDER = f"{YEAR}/{TITLE}"
FILE_NAME = "plan, whole sheet.png"
RECORD = {
    "title": TITLE,
    "year": str(YEAR),
    "medium": "Ink and watercolour on paper",
    "dimensions": "120 × 80 cm",
    "text": "Every house has its number, every tree its place. Zoom in until you find the street "
    "you would live in.",
    "tags": "drawing, paper, town",
    "alts": {FILE_NAME: "A plan of a town with thousands of houses between a river and gardens"},
}
SIZE: Size = (12_000, 8_000)

# By index: paper, ink, faint ink, water, its ripples, lawn, tree, its shadow, three roofs, their
# shaded sides, a square, red ink, gold.
_COLOURS = (
    "f3ecdd 2b2a2c a79f92 a9c3c9 7fa3ad ccd3a8 6f8a5a 4e6643 c8744f d9a066 b8584a "
    "9c5236 b17d45 e6dcc6 b3432b caa24b"
)
_PAPER, _INK, _FAINT, _WATER, _RIPPLE, _LAWN, _TREE, _SHADOW = range(8)
_ROOFS, _SIDES = (8, 9, 10), (11, 12, 11)
_SQUARE, _RED, _GOLD = 13, 14, 15
_STREETS = (
    "Wren", "Tallow", "Lantern", "Juniper", "Cooper", "Saffron", "Mill", "Heron", "Orchard",
    "Candle", "Weaver", "Harbour", "Linden", "Sexton", "Marrow", "Thimble",
)  # fmt: skip
Box = tuple[float, float, float, float]


def draw_town(home: Path, seed: int) -> None:
    """Write the plan into its folder, unless it is there."""
    path = home / FOLDER / FILE_NAME
    if path.is_file():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    chance = Random(f"{seed}/{TITLE}")  # noqa: S311 (pictures, not secrets)
    write_picture(_Town(SIZE, chance).draw(), path, FileFacts())


class _Town:
    def __init__(self, size: Size, chance: Random) -> None:
        self._size = size
        self._chance = chance
        self._image = Image.new("P", size, _PAPER)
        self._image.putpalette([value for colour in palette(_COLOURS) for value in colour])
        self._pen = ImageDraw.Draw(self._image)
        self._font = ImageFont.load_default(18)
        self._small = ImageFont.load_default(10)

    def draw(self) -> Image.Image:
        width, height = self._size
        margin = 260
        inner = (margin, margin, width - margin, height - margin)
        self._split(inner, 0)
        self._draw_river()
        # Beyond the frame is paper again.
        for box in ((0, 0, width, margin), (0, height - margin, width, height),
                    (0, 0, margin, height), (width - margin, 0, width, height)):  # fmt: skip
            self._pen.rectangle(box, fill=_PAPER)
        for gap, line in ((0, 10), (-36, 3), (-60, 3)):
            box = (inner[0] + gap, inner[1] + gap, inner[2] - gap, inner[3] - gap)
            self._pen.rectangle(box, outline=_INK, width=line)
        self._write_title()
        return self._image

    # --- Blocks -------------------------------------------------------------------------------

    def _split(self, box: Box, depth: int) -> None:
        """Divide a part of the town by streets until it is a block of houses."""
        left, top, right, bottom = box
        width, height = right - left, bottom - top
        if max(width, height) < 520 or min(width, height) < 220:
            self._fill_block(box)
            return
        street = max(14, 64 - 9 * depth)
        share = self._chance.uniform(0.38, 0.62)
        if width > height:
            at = left + width * share
            self._split((left, top, at - street / 2, bottom), depth + 1)
            self._split((at + street / 2, top, right, bottom), depth + 1)
            if depth < 5:
                self._name_street(at, (top + bottom) / 2, height, is_upright=True)
        else:
            at = top + height * share
            self._split((left, top, right, at - street / 2), depth + 1)
            self._split((left, at + street / 2, right, bottom), depth + 1)
            if depth < 5:
                self._name_street((left + right) / 2, at, width, is_upright=False)

    def _name_street(self, x: float, y: float, length: float, *, is_upright: bool) -> None:
        words = f"{self._chance.choice(_STREETS)} {self._chance.choice(('Street', 'Lane', 'Row'))}"
        if length < 300:
            return
        box = self._font.getbbox(words)
        label = Image.new("1", (int(box[2]) + 4, int(box[3]) + 4))
        ImageDraw.Draw(label).text((2, 0), words, fill=1, font=self._font)
        if is_upright:
            label = label.rotate(90, expand=True)
        self._image.paste(_INK, (int(x - label.width / 2), int(y - label.height / 2)), label)

    def _fill_block(self, box: Box) -> None:
        left, top, right, bottom = box
        kind = self._chance.random()
        if kind < 0.07:
            self._draw_park(box)
            return
        self._pen.rectangle(box, fill=_SQUARE, outline=_INK, width=2)
        if kind < 0.10:
            self._draw_square(box)
            return
        yard = min(right - left, bottom - top) * 0.3
        if yard > 60:
            court = (left + yard + 8, top + yard + 8, right - yard - 8, bottom - yard - 8)
            if court[2] > court[0] and court[3] > court[1]:
                self._pen.rectangle(court, fill=_LAWN)
                self._plant(court, 5)
        depth = max(34.0, yard)
        for start, end, is_row, at in (
            (left, right, True, top), (left, right, True, bottom - depth),
            (top + depth, bottom - depth, False, left),
            (top + depth, bottom - depth, False, right - depth),
        ):  # fmt: skip
            place = start + 4
            while place < end - 26:
                wide = min(self._chance.uniform(32, 74), end - place - 2)
                deep = depth * self._chance.uniform(0.72, 0.98)
                if is_row:
                    shift = depth - deep if at > top else 0
                    self._draw_house((place, at + 4 + shift, place + wide - 3, at + deep - 4))
                else:
                    shift = depth - deep if at > left else 0
                    self._draw_house((at + 4 + shift, place, at + deep - 4, place + wide - 3))
                place += wide

    def _draw_house(self, box: Box) -> None:
        """Draw a roof with its ridge, rows of tiles, a chimney and the house's number."""
        left, top, right, bottom = box
        if right - left < 14 or bottom - top < 14:
            return
        pen, turn = self._pen, self._chance.randrange(3)
        is_wide = right - left > bottom - top
        pen.rectangle(box, fill=_ROOFS[turn], outline=_INK, width=2)
        x, y = (left + right) / 2, (top + bottom) / 2
        shaded = (
            (left + 2, y, right - 2, bottom - 2) if is_wide else (x, top + 2, right - 2, bottom - 2)
        )
        pen.rectangle(shaded, fill=_SIDES[turn])
        step = 6
        if is_wide:
            for at in range(int(left) + step, int(right), step):
                pen.line((at, top + 3, at, bottom - 3), fill=_SIDES[turn])
            pen.line((left, y, right, y), fill=_INK, width=2)
        else:
            for at in range(int(top) + step, int(bottom), step):
                pen.line((left + 3, at, right - 3, at), fill=_SIDES[turn])
            pen.line((x, top, x, bottom), fill=_INK, width=2)
        pen.rectangle((x + 5, y - 9, x + 11, y - 3), fill=_PAPER, outline=_INK)
        number = str(self._chance.randint(1, 140))
        pen.text((left + 4, top + 2), number, fill=_INK, font=self._small)

    def _draw_park(self, box: Box) -> None:
        left, top, right, bottom = box
        self._pen.rectangle(box, fill=_LAWN, outline=_INK, width=2)
        for way in ((left, top, right, bottom), (left, bottom, right, top)):
            self._pen.line(way, fill=_PAPER, width=12)
        self._plant(box, int((right - left) * (bottom - top) / 1800))
        x, y = (left + right) / 2, (top + bottom) / 2
        self._pen.ellipse((x - 34, y - 34, x + 34, y + 34), fill=_WATER, outline=_INK, width=2)
        for ring in (10, 18, 26):
            self._pen.ellipse((x - ring, y - ring, x + ring, y + ring), outline=_RIPPLE)

    def _draw_square(self, box: Box) -> None:
        """Draw a paved square with a tower in the middle."""
        left, top, right, bottom = box
        for at in range(int(left) + 8, int(right), 8):
            self._pen.line((at, top, at, bottom), fill=_FAINT)
        for at in range(int(top) + 8, int(bottom), 8):
            self._pen.line((left, at, right, at), fill=_FAINT)
        x, y = (left + right) / 2, (top + bottom) / 2
        for reach, colour in ((64, _PAPER), (46, _GOLD), (26, _RED), (6, _INK)):
            points = [
                (
                    x + reach * math.cos(math.tau * part / 8),
                    y + reach * math.sin(math.tau * part / 8),
                )
                for part in range(8)
            ]
            self._pen.polygon(points, fill=colour, outline=_INK)

    def _plant(self, box: Box, count: int) -> None:
        left, top, right, bottom = box
        for _ in range(count):
            size = self._chance.uniform(5, 12)
            if right - left < 3 * size or bottom - top < 3 * size:
                return
            x = self._chance.uniform(left + size, right - size)
            y = self._chance.uniform(top + size, bottom - size)
            self._pen.ellipse(
                (x - size + 3, y - size + 3, x + size + 3, y + size + 3), fill=_SHADOW
            )
            self._pen.ellipse((x - size, y - size, x + size, y + size), fill=_TREE, outline=_SHADOW)
            self._pen.point((x - size / 3, y - size / 3), fill=_LAWN)

    # --- River and title ----------------------------------------------------------------------

    def _draw_river(self) -> None:
        width, height = self._size

        def bank(x: float, shift: float) -> Point:
            middle = height * 0.56 + 520 * math.sin(x / 2100) + 190 * math.sin(x / 760 + 1)
            return x, middle + shift

        steps = range(0, width + 40, 40)
        upper, lower = [bank(x, -300) for x in steps], [bank(x, 300) for x in steps]
        self._pen.polygon(upper + lower[::-1], fill=_WATER)
        for line, across in ((upper, 10), (lower, 10)):
            self._pen.line(line, fill=_INK, width=across)
        for _ in range(5200):
            x, shift = self._chance.uniform(0, width), self._chance.uniform(-270, 270)
            here = bank(x, shift)
            long = self._chance.uniform(14, 60)
            self._pen.arc(
                (here[0], here[1], here[0] + long, here[1] + 12), 200, 340, fill=_RIPPLE, width=2
            )
        for x in range(900, width, 1900):
            top, bottom = bank(x, -330), bank(x, 330)
            self._pen.line((top, bottom), fill=_INK, width=92)
            self._pen.line((top, bottom), fill=_PAPER, width=80)
            for at in range(int(top[1]), int(bottom[1]), 9):
                self._pen.line((x - 40, at, x + 40, at), fill=_FAINT)
        for _ in range(42):
            self._draw_boat(
                *bank(self._chance.uniform(400, width - 400), self._chance.uniform(-190, 190))
            )

    def _draw_boat(self, x: float, y: float) -> None:
        hull = (
            (x - 44, y),
            (x - 26, y - 13),
            (x + 30, y - 13),
            (x + 52, y),
            (x + 30, y + 13),
            (x - 26, y + 13),
        )
        self._pen.polygon(hull, fill=_SIDES[1], outline=_INK)
        self._pen.rectangle((x - 16, y - 7, x + 14, y + 7), fill=_PAPER, outline=_INK)
        self._pen.line((x - 20, y, x + 36, y), fill=_RED, width=2)

    def _write_title(self) -> None:
        width, height = self._size
        large = ImageFont.load_default(150)
        box = (width - 2900, height - 900, width - 380, height - 380)
        self._pen.rectangle(box, fill=_PAPER, outline=_INK, width=6)
        self._pen.rectangle(
            (box[0] + 18, box[1] + 18, box[2] - 18, box[3] - 18), outline=_RED, width=3
        )
        self._pen.text((box[0] + 90, box[1] + 90), TITLE, fill=_INK, font=large)
        small = ImageFont.load_default(70)
        words = "surveyed by nobody, drawn in one afternoon"
        self._pen.text((box[0] + 100, box[1] + 320), words, fill=_RED, font=small)
