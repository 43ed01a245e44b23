"""The catalogue of works: title, drawing function, shots and files of each.

Titles and file names resemble those of a real drive: several scripts, spaces, ``#``, ``%``, ``+``
and quotes, all of them legal on OneDrive. In each folder the front is first by name.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from PIL import Image

from imagehub.emulators.samples import colour, nature, pattern, shape
from imagehub.emulators.samples.paint import Size

# The shots of a work, and their file names in several styles, in the order of ``SHOTS``.
SHOTS = ("front", "detail", "angle", "room", "back")
NAMES: dict[str, tuple[str, ...]] = {
    "plain": ("1 front", "2 detail", "3 side", "4 room", "5 back"),
    "low": ("01_whole", "02_close-up", "03_from-the-side", "04_on-the-wall", "05_reverse"),
    "camera": ("IMG_4101", "IMG_4102", "IMG_4105", "IMG_4110", "IMG_4113"),
    "scan": ("DSCF0341", "DSCF0342", "DSCF0344", "DSCF0345", "DSCF0349"),
    "hash": ("front #1", "zoom #2", "side #3", "room #4", "verso #5"),
    "percent": ("100% front", "50% grey + blue", "75% side light", "80% wall", "90% back"),
    "quote": (
        "artist's 1st choice",
        "artist's 2nd (close)",
        "artist's 3rd",
        "artist's 4th",
        "artist's back",
    ),
    "german": ("1 Vorderseite", "2 Ausschnitt", "3 Schräg", "4 Im Zimmer", "5 Rückseite"),
    "japanese": ("1 正面", "2 細部", "3 斜め", "4 部屋", "5 裏面"),
    "arabic": ("1 الواجهة", "2 تفصيل", "3 من الجانب", "4 في الغرفة", "5 الخلف"),
    "greek": ("1 όψη", "2 λεπτομέρεια", "3 πλάι", "4 δωμάτιο", "5 πίσω"),
    "cyrillic": ("1 общий вид", "2 деталь", "3 сбоку", "4 на стене", "5 оборот"),
}

OIL, ACRYLIC = "Oil on linen", "Acrylic on canvas"
PAPER, PRINT, CLOTH, PHOTO = (
    "Watercolour on paper",
    "Relief print",
    "Wool and linen",
    "Pigment print",
)


# Drawn at low resolution and enlarged: grain is added afterwards, so the loss is not visible.
_SOFT = (colour.colour_field, colour.light_room, nature.dunes, nature.night, pattern.ink_rings)
_SOFT_PX = 1_800_000
_SHARP_PX = 3_200_000


@dataclass(frozen=True)
class Work:
    """One work.

    :param art: the function that draws it: (size, rng, colours, **options) → picture.
    :param size: width and height of the upright front shot, in pixels.
    :param surface: see ``paint.surface_tile``.
    :param shots: some of ``SHOTS``, always including the front.
    :param formats: shot → suffix, if it is not ``.jpg``.
    :param turned: shot → Exif orientation, if it is not 1.
    """

    title: str
    year: int
    medium: str
    art: Callable[..., Image.Image]
    colours: str
    size: Size
    surface: str
    shots: tuple[str, ...]
    names: str = "plain"
    options: Mapping[str, Any] = field(default_factory=dict)
    formats: Mapping[str, str] = field(default_factory=dict)
    turned: Mapping[str, int] = field(default_factory=dict)
    has_camera: bool = True
    is_wide_gamut: bool = False
    has_torn_edge: bool = False
    gps: tuple[float, float] | None = None
    edition: int = 1

    def file_name(self, shot: str) -> str:
        return NAMES[self.names][SHOTS.index(shot)] + self.formats.get(shot, ".jpg")

    @property
    def draw_px(self) -> int:
        """Return how many pixels to draw before enlarging: fewer for soft works."""
        return _SOFT_PX if self.art in _SOFT else _SHARP_PX

    @property
    def folder(self) -> str:
        """Return the work's folder relative to the output folder, separated by "/"."""
        return f"{self.year}/{self.title}"

    @property
    def size_cm(self) -> str:
        """Return the size of the physical work, at most 150 cm on the longer side."""
        longest = 60 + (self.size[0] * 7 + self.size[1] * 3) % 10 * 10
        factor = longest / max(self.size)
        return f"{round(self.size[1] * factor)} x {round(self.size[0] * factor)} cm"


def _work(
    title: str,
    year: int,
    medium: str,
    art: Callable[..., Image.Image],
    colours: str,
    size: Size,
    surface: str,
    shots: str = "front",
    names: str = "plain",
    **more: Any,
) -> Work:
    known = set(Work.__dataclass_fields__)
    rest = {key: value for key, value in more.items() if key in known}
    options = {key: value for key, value in more.items() if key not in known}
    return Work(
        title,
        year,
        medium,
        art,
        colours,
        size,
        surface,
        tuple(shots.split()),
        names,
        options,
        **rest,
    )


ALL = "front detail angle room back"

CATALOGUE: tuple[Work, ...] = (
    _work(
        "Ember, late",
        2024,
        OIL,
        colour.colour_field,
        "#7a2b1e #d9532c #f0a73a",
        (1800, 2280),
        "canvas",
        ALL,
        is_wide_gamut=True,
    ),
    _work(
        "First light over the fells",
        2024,
        PHOTO,
        nature.mountains,
        "#5d7fa3 #f3d9c0 #efe0d2 #a9b6c6 #27374d #fff0d8",
        (2700, 1900),
        "film",
        "front detail room",
        "camera",
        gps=(68.0915, 13.2317),
    ),
    _work(
        "Quarter turns",
        2024,
        PRINT,
        shape.tiles,
        "#f3ead7 #d94f30 #1f4e79 #e9b44c #222222 #7fa99b",
        (1600, 1900),
        "paper",
        "front detail room",
        "hash",
        formats={"detail": ".png"},
    ),
    _work(
        "Nine bowls",
        2024,
        PHOTO,
        colour.bowls,
        "#cfc6b4 #e9e4d8 #7ea6a3 #245a63 #d9cdb8 #b9633c #6b2b1d #efe9dc #d8d2c2 #a9a18c",
        (2000, 2000),
        "film",
        "front detail",
        "camera",
    ),
    _work(
        "Farn, Belichtung Nr. 3",
        2024,
        "Cyanotype",
        nature.cyanotype,
        "#f1ede2 #123f73 #5b8fbf",
        (1500, 2000),
        "paper",
        "front detail angle",
        "german",
        turned={"front": 6},
    ),
    _work(
        "静かな部屋",
        2024,
        ACRYLIC,
        colour.light_room,
        "#2b1055 #8e2f7c #f0628b #ffb88c #fff1d6",
        (1700, 1700),
        "film",
        "front room",
        "japanese",
        formats={"front": ".webp"},
    ),
    _work(
        "Große Welle, kleine Sonne",
        2023,
        PRINT,
        shape.waves,
        "#1d3f66 #efe2c6 #15345a #5d8fb0 #f4eddc #cf4a32",
        (2600, 1850),
        "paper",
        "front detail angle room",
        "low",
    ),
    _work(
        "Four vessels",
        2023,
        OIL,
        colour.still_life,
        "#b9b2a3 #cdbfa8 #e8e1d3 #a9b5b2 #c98f6b #6f7b78 #d8c7a0",
        (2200, 1760),
        "canvas",
        "front detail angle back",
        "scan",
        vessels="bottle jar vase cup",
        turned={"angle": 3},
    ),
    _work(
        "Blanket for a short winter",
        2023,
        CLOTH,
        pattern.weaving,
        "#ece4d3 #2f4858 #c7694b #e2b86b #86a59c #3a2f2a",
        (2000, 1600),
        "none",
        "front detail room",
        "plain",
        draft="stripes",
    ),
    _work(
        "Long ridge, five in the morning",
        2023,
        PHOTO,
        nature.mountains,
        "#2a1f4f #e8734a #f0b28a #8d6a8f #1d1533 #ffd9a0",
        (5000, 1000),
        "film",
        "front detail room",
        "camera",
        sun=(0.3, 0.33),
    ),
    _work(
        "Ножницы в саду",
        2023,
        "Cut paper",
        shape.cut_paper,
        "#f5efe0 #1f5fa8 #e2492f #f2b632 #2f8f6b #e58fb1 #20303f",
        (2200, 1760),
        "paper",
        "front detail angle",
        "cyrillic",
        across=5,
    ),
    _work(
        "Birken im Oktober",
        2023,
        OIL,
        nature.birches,
        "#e9e4da #2f3a34 #5b4a2c #d99a2b #e6b84a #b5541f",
        (2300, 1800),
        "canvas",
        "front detail room back",
        "german",
    ),
    _work(
        "竹",
        2022,
        "Ink on paper",
        nature.bamboo,
        "#efe6d2 #1c1b19 #b3261e",
        (900, 3600),
        "paper",
        "front detail room",
        "japanese",
    ),
    _work(
        "Sphere study",
        2022,
        "Screen print",
        pattern.optical,
        "#141414 #f4f1ea",
        (1600, 1600),
        "none",
        "front angle",
        "plain",
        kind="check",
        formats={"front": ".png"},
        has_camera=False,
    ),
    _work(
        "Town on the hill",
        2022,
        ACRYLIC,
        shape.houses,
        "#24365c #f4d58d #22223b #c9533e #e08e45 #f2cc8f #5e8c8a #b5838d #8d5a5a",
        (1750, 2200),
        "canvas",
        "front detail room",
        "quote",
    ),
    _work(
        "ليلة على البحيرة",
        2022,
        PHOTO,
        nature.night,
        "#0b1226 #c26d5a #e7c3c8 #0b0e1a",
        (2600, 1800),
        "film",
        "front room",
        "arabic",
        lines=False,
        water=True,
    ),
    _work(
        "Eucalyptus",
        2022,
        PAPER,
        nature.herbarium,
        "#f4efe3 #7d9a86 #5d7f6e #a3b899",
        (1500, 2000),
        "paper",
        "front detail",
        "plain",
        plants="eucalyptus eucalyptus eucalyptus",
        turned={"detail": 8},
    ),
    _work(
        "Composition with a red beam",
        2022,
        OIL,
        shape.suprematist,
        "#efe9dc #1b1b1b #c8321f #e3a72f #2a4b8d #5b7f5a",
        (1600, 1920),
        "canvas",
        ALL,
        "low",
    ),
    _work(
        "Marbled water",
        2022,
        "Paint on water, paper",
        pattern.marbling,
        "#1f3c5a #c24a32 #e9d7b0 #2f7f86 #f2eee3 #d99a3d",
        (6000, 4000),
        "paper",
        "front detail",
        "plain",
    ),
    _work(
        "Nordsee, November",
        2021,
        OIL,
        colour.colour_field,
        "#1d2b3f #31506e #c9b79c #8a3b2e",
        (1600, 2050),
        "linen",
        "front detail room back",
        "percent",
        shares=(0.3, 0.16, 0.42),
        formats={"detail": ".png"},
    ),
    _work(
        "Cut sun",
        2021,
        PRINT,
        shape.linocut,
        "#f2ead8 #1d2a33 #d8482c",
        (1600, 2050),
        "paper",
        "front angle",
        "hash",
    ),
    _work(
        "Map of nowhere",
        2021,
        "Ink and gouache",
        pattern.contours,
        "#3b2f2a #dfe6d5 #c9d3ad #e6d4a3 #d9a878 #c07a5a",
        (2200, 1700),
        "paper",
        "front detail",
        "plain",
        formats={"front": ".webp"},
    ),
    _work(
        "Drops & tides",
        2021,
        PAPER,
        colour.watercolour,
        "#f6f1e6 #2e6f95 #e07a5f #81b29a #f2cc8f #3d405b",
        (1150, 1500),
        "paper",
        "front detail room",
        "plain",
        formats={"front": ".png"},
        has_torn_edge=True,
        has_camera=False,
    ),
    _work(
        "Moon, seven nights",
        2021,
        PRINT,
        shape.moons,
        "#10141f #f1ead8 #6f7486",
        (3200, 1000),
        "paper",
        "front room",
        "camera",
    ),
    _work(
        "Diamond draft",
        2021,
        CLOTH,
        pattern.weaving,
        "#20242b #d8cfbf #a8442f #c9a35a",
        (1700, 1700),
        "none",
        "front detail",
        "plain",
        draft="diamonds",
    ),
    _work(
        "Ridges, fog",
        2021,
        PHOTO,
        nature.mountains,
        "#dfe5e2 #eef0ea #f2f3ee #b9c7c4 #1f3b3a #ffffff",
        (1700, 2300),
        "paper",
        "front room",
        "plain",
        sun=None,
    ),
    _work(
        "Νύχτα με άστρα",
        2020,
        PHOTO,
        nature.night,
        "#070b1f #2f4a7c #b9b4e0 #05070f",
        (1800, 2450),
        "film",
        "front detail",
        "greek",
    ),
    _work(
        "Yellow in yellow",
        2020,
        OIL,
        shape.nested,
        "#d9a441 #e2b95b #c98a2d #efd694",
        (1600, 1600),
        "canvas",
        "front room back",
        "plain",
    ),
    _work(
        "Flow, slow",
        2020,
        "Ink on paper",
        pattern.flow_lines,
        "#f4efe4 #12355b #2a6f97 #d1495b #edae49",
        (1700, 2150),
        "paper",
        "front detail room",
        "plain",
        formats={"detail": ".webp"},
    ),
    _work(
        "Dune at five",
        2020,
        PHOTO,
        nature.dunes,
        "#27506b #f2c79a #e9a05a #7a3420",
        (2700, 1800),
        "film",
        "front room",
        "camera",
        turned={"room": 3},
    ),
    _work(
        "Three things and dry flowers",
        2020,
        OIL,
        colour.still_life,
        "#31424a #8a5a3c #d9a441 #e9d8b4 #7d2e2a",
        (1600, 2000),
        "canvas",
        "front detail angle",
        "plain",
        vessels="beaker vase bowl",
        flowers=True,
    ),
    _work(
        "Moiré",
        2020,
        "Screen print",
        pattern.optical,
        "#0f2f4a #f1e7d3",
        (2000, 1600),
        "none",
        "front room",
        "plain",
        kind="rings",
        lines=30,
    ),
    _work(
        "Patchwork for Ada",
        2020,
        CLOTH,
        pattern.quilt,
        "#f1e8d8 #9c3d2e #2f4a5f #d6a24a #7a8f75",
        (1600, 1920),
        "linen",
        "front detail angle",
        "quote",
    ),
    _work(
        "Terrazzo",
        2019,
        "Cement and marble",
        pattern.terrazzo,
        "#efe8dc #c77b5a #2f4f4f #e3b7a0 #8fa9a0 #d9a441 #4a4a4a",
        (2100, 1650),
        "film",
        "front detail",
        "plain",
    ),
    _work(
        "Ginkgo",
        2019,
        PAPER,
        nature.herbarium,
        "#f3ead9 #d9a52f #e6c15a #c4841f",
        (1500, 1900),
        "paper",
        "front room",
        "plain",
        plants="ginkgo ginkgo",
    ),
    _work(
        "Horizont",
        2019,
        ACRYLIC,
        colour.light_room,
        "#102a43 #2f6f8f #8fc1b5 #f6e7cb #f9b572",
        (2200, 1500),
        "film",
        "front room",
        "german",
        shape="horizon",
    ),
    _work(
        "Suminagashi",
        2019,
        "Ink on water, paper",
        pattern.ink_rings,
        "#f2ede1 #1d2530",
        (2100, 1650),
        "paper",
        "front detail angle",
        "plain",
    ),
    _work(
        "Twenty squares",
        2019,
        OIL,
        shape.nested,
        "#264653 #2a9d8f #e9c46a #f4a261 #e76f51 #f1ead8",
        (2100, 1700),
        "canvas",
        "front room back",
        "plain",
        grid=(5, 4),
    ),
    _work(
        "Wild carrot and rye",
        2019,
        "Cyanotype",
        nature.cyanotype,
        "#f1ede2 #0e3663 #5b8fbf",
        (2000, 1550),
        "paper",
        "front detail",
        "scan",
        plants="umbel grass umbel",
    ),
    _work(
        "Birches, first snow",
        2018,
        OIL,
        nature.birches,
        "#eef2f5 #1d2f45 #c9d6de #5f86a6 #a9c4d6 #e7eef2",
        (1600, 2100),
        "canvas",
        "front room",
        "plain",
    ),
    _work(
        "Bend",
        2018,
        "Screen print",
        pattern.optical,
        "#1c1440 #f25f5c #ffe066 #70c1b3 #f4f1ea",
        (1500, 1900),
        "none",
        "front angle",
        "plain",
        kind="fold",
        formats={"front": ".webp"},
    ),
    _work(
        "Weft, with gaps",
        2018,
        CLOTH,
        pattern.weaving,
        "#efe7d6 #b5482f #1f3a4d #d9a441 #6f7f6a",
        (1600, 2000),
        "none",
        "front detail",
        "plain",
    ),
    _work(
        "Green over moss",
        2018,
        OIL,
        colour.colour_field,
        "#28392c #6f8f5a #b8b77a",
        (1000, 1250),
        "linen",
        "front back",
        "plain",
        shares=(0.62, 0.3),
    ),
    _work(
        "One bowl",
        2018,
        "Stoneware",
        colour.bowls,
        "#4a5157 #d9cdb8 #8fb0a8 #1f4b57",
        (1400, 1120),
        "film",
        "front",
        "camera",
        layout=(1, 1),
        formats={"front": ".heic"},
    ),
)


def list_works(count: int) -> list[Work]:
    """Return ``count`` works; past the end of the catalogue, further editions."""
    works: list[Work] = []
    for number in range(count):
        edition, place = divmod(number, len(CATALOGUE))
        work = CATALOGUE[place]
        if edition:
            work = replace(work, title=f"{work.title} {edition + 1}", edition=edition + 1)
        works.append(work)
    return works
