"""The labels of the works: a description, editions, availability, and alt texts of each shot."""

from dataclasses import dataclass
from typing import Any

from imagehub.emulators.samples.catalogue import Work


@dataclass(frozen=True)
class Note:
    """The label of one work.

    :param shows: what the work shows, as a phrase; "" leaves its shots without alt texts, as is
        common in practice.
    :param availability: ``available``, ``reserved``, ``sold``, ``not_for_sale`` or "".
    :param price: "" for none; ``price_shown`` says who sees it.
    """

    shows: str
    tags: str
    text: str = ""
    edition: str = ""
    availability: str = ""
    price: str = ""
    price_shown: str = "nowhere"


_SEEN = {
    "front": "{}",
    "detail": "Detail of the surface, close enough to see how it was made",
    "angle": "The work in raking light, seen from the side",
    "room": "The work on the wall of a quiet room",
    "back": "The back, with a label giving number, medium and size",
}

NOTES: dict[str, Note] = {
    "Ember, late": Note(
        "Two soft rectangles, orange-red above amber, on a dark red ground",
        "painting, colour",
        "Painted over eleven evenings, always in the last half hour of light. The dark band came "
        "first and was the hardest to leave alone.",
        availability="available",
        price="2400",
        price_shown="public",
    ),
    "First light over the fells": Note(
        "Blue mountain ridges fading into haze, a pale sun low above them",
        "photograph, mountains",
        "Six ridges, counted from the window of a parked car.",
        "Edition of 12 + 2 AP",
        "available",
        price="680",
        price_shown="public",
    ),
    "Quarter turns": Note(
        "A grid of tiles with quarter circles, rings and stripes in red, blue, ochre and green",
        "print, pattern",
        "One block, turned by hand before each impression. No two sheets agree.",
        "Edition of 30, each unique",
        "available",
        price="340",
        price_shown="public",
    ),
    "Nine bowls": Note(
        "Nine glazed bowls in three rows, seen from above, in sand, teal and rust",
        "photograph, still life",
        edition="Edition of 8",
        availability="sold",
    ),
    "Farn, Belichtung Nr. 3": Note(
        "White silhouettes of two fern fronds on deep Prussian blue",
        "photograph, plants",
        "Der dritte Versuch eines langen Nachmittags; die ersten beiden hat eine Wolke geholt.",
        "Unique",
        "not_for_sale",
    ),
    "静かな部屋": Note(
        "A round glow of cream and pink light that fades into violet corners", "painting, colour"
    ),
    "Große Welle, kleine Sonne": Note(
        "Rows of blue waves with white crests below a red sun",
        "print, sea",
        "Vier Stöcke, vier Farben. Die Sonne ist der Rest eines Korkens.",
        "Auflage 20 + 3 E. A.",
        "available",
        price="1850",
        price_shown="request",
    ),
    "Four vessels": Note(
        "Four muted vessels in white, grey and clay, side by side on a table",
        "painting, still life",
        "The jug on the left was broken in 2019 and has been painted from memory since.",
        availability="reserved",
    ),
    "Blanket for a short winter": Note(
        "A woven check of slate, terracotta, ochre and sage", "textile, pattern"
    ),
    "Long ridge, five in the morning": Note(
        "A very wide view of violet ridges below a small sun",
        "photograph, mountains",
        "Made of nine exposures, the last of them in rain.",
        "Edition of 5",
        "available",
        price="120",
        price_shown="share",
    ),
    "Ножницы в саду": Note(
        "Twenty coloured squares, each with a cut-out leaf, star or ring",
        "paper, plants",
        availability="sold",
    ),
    "Birken im Oktober": Note(
        "White birch trunks before a wood of yellow and rust-coloured leaves",
        "painting, trees",
        "Nach Skizzen aus dem Moor hinter dem Bahnhof, im Atelier zu Ende gemalt.",
        availability="available",
        price="950",
        price_shown="public",
    ),
    "竹": Note(
        "A tall hanging strip with bamboo stems in black ink and a red seal",
        "paper, plants",
        "One brush, one breath a stem.",
        availability="not_for_sale",
    ),
    "Sphere study": Note(
        "A black and white chequerboard that swells into two spheres",
        "print, pattern",
        edition="Edition of 40",
        availability="available",
        price="4200",
        price_shown="public",
    ),
    "Town on the hill": Note(
        "Stacked houses in violet, ochre, rose and teal climbing a hill under a low moon",
        "painting, town",
        "Every house in it has had somebody we know at its window.",
    ),
    "ليلة على البحيرة": Note(
        "The Milky Way over a still lake, the last red light at the horizon",
        "photograph, night",
        edition="Edition of 10",
        availability="available",
        price="560",
        price_shown="public",
    ),
    "Eucalyptus": Note(
        "A eucalyptus branch with grey-green leaves on cream paper", "paper, plants"
    ),
    "Composition with a red beam": Note(
        "A black square, an ochre disc and smaller shapes, crossed by a long red beam",
        "painting, abstract",
        "The beam was straightened twice, and put back as it was.",
        availability="sold",
    ),
    "Marbled water": Note(
        "Combed veins of marbled colour in navy, red, cream and ochre",
        "paper, abstract",
        "A sheet takes what the water holds for about four seconds.",
        "Unique",
        "available",
        price="75.50",
        price_shown="request",
    ),
    "Nordsee, November": Note(
        "Three soft fields, blue, sand and rust red, on a dark ground",
        "painting, colour, sea",
        availability="reserved",
    ),
    "Cut sun": Note(
        "A linocut of a red sun with white rays over dark hills",
        "print",
        edition="Edition of 25",
        availability="sold",
    ),
    "Map of nowhere": Note(
        "Contour lines of an invented landscape in pale greens and browns",
        "paper, pattern",
        "There is one lake in it. It has a name, which is not on the map.",
    ),
    "Drops & tides": Note(
        "Round watercolour stains in blue, coral, green and yellow",
        "paper, abstract",
        availability="available",
        price="3100",
        price_shown="share",
    ),
    "Moon, seven nights": Note(
        "Seven phases of the moon in a row, from crescent to full and back, on near black",
        "print, night",
        "The fourth night was cloudy and is imagined.",
        "Edition of 15",
        "available",
        price="260",
        price_shown="public",
    ),
    "Diamond draft": Note(
        "A dark woven cloth with a diamond pattern in cream, brick and gold", "textile, pattern"
    ),
    "Ridges, fog": Note(
        "Grey-green ridges that vanish in fog, dark firs in front",
        "photograph, mountains",
        edition="Edition of 12",
    ),
    "Νύχτα με άστρα": Note("The Milky Way rising from a dark horizon of firs", "photograph, night"),
    "Yellow in yellow": Note(
        "Nested squares in four yellows",
        "painting, colour",
        "Four tubes of paint, all of them called Naples yellow.",
        availability="available",
        price="1400",
        price_shown="public",
    ),
    "Flow, slow": Note(
        "Fine flowing ink strokes, dark blue above, red and ochre below", "paper, abstract"
    ),
    "Dune at five": Note(
        "The sharp crest of an orange dune under a blue-grey evening sky",
        "photograph, desert",
        edition="Edition of 12",
        availability="sold",
    ),
    "Three things and dry flowers": Note(
        "A vase of dried flowers between a yellow beaker and a red bowl, on a dark ground",
        "painting, still life",
    ),
    "Moiré": Note(
        "Blue and white rays that bend where they cross",
        "print, pattern",
        edition="Edition of 40",
    ),
    "Patchwork for Ada": Note(
        "A quilt of triangles in red, cream, ochre, grey and green",
        "textile, pattern",
        "For a child who asked why squares are always made of triangles.",
        availability="not_for_sale",
    ),
    "Terrazzo": Note("Chips of coloured marble set in pale cement", "object, pattern"),
    "Ginkgo": Note("A twig of fan-shaped ginkgo leaves in yellow watercolour", "paper, plants"),
    "Horizont": Note(
        "A peach-coloured glow between bands of teal and dark blue", "painting, colour, sea"
    ),
    "Suminagashi": Note(
        "Rings of black ink, drawn out and drifting like smoke",
        "paper, abstract",
        "The breath that moved the rings is in the title of no other work.",
        "Unique",
    ),
    "Twenty squares": Note(
        "Rows of nested squares in orange, teal, yellow and dark blue", "painting, colour"
    ),
    "Wild carrot and rye": Note(
        "White silhouettes of two umbels and grasses on blue",
        "photograph, plants",
        edition="Unique",
    ),
    "Birches, first snow": Note(
        "White birch trunks before a blue wood, snow on the ground",
        "painting, trees",
        availability="sold",
    ),
    "Bend": Note(
        "Black stripes on pink, yellow and blue that fold as if the sheet were bent",
        "print, pattern",
        edition="Edition of 50",
        availability="available",
        price="2400",
        price_shown="public",
    ),
    "Weft, with gaps": Note("", "textile"),
    "Green over moss": Note("", "painting, colour"),
    "One bowl": Note(
        "A stoneware bowl with a teal glaze and a pale rim, seen from above",
        "object, still life",
        availability="available",
        price="680",
        price_shown="request",
    ),
}


def describe_work(work: Work) -> dict[str, Any]:
    """Return the label by the library's field names; ``alts`` is by file name."""
    title = work.title if work.edition == 1 else work.title.rpartition(" ")[0]
    note = NOTES[title]
    alts = {}
    if note.shows:
        alts = {work.file_name(shot): _SEEN[shot].format(note.shows) for shot in work.shots}
    return {
        "title": work.title,
        "year": str(work.year),
        "medium": work.medium,
        "dimensions": work.size_cm.replace(" x ", " × "),
        "edition": note.edition,
        "availability": note.availability,
        "price": note.price,
        "price_shown": note.price_shown,
        "text": note.text,
        "tags": note.tags,
        "alts": alts,
    }
