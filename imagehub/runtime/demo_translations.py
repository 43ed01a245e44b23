"""The demo's texts in German, beside those in English; some are missing, as is common."""

from collections.abc import Mapping

from sqlalchemy import select
from sqlalchemy.orm import Session

from imagehub.domain.library.images import find_cover
from imagehub.domain.library.search_index import refresh_search
from imagehub.domain.translations import Owner, write_translation
from imagehub.models import Group, Page, Series, Translation

LANGUAGES = "en,de"
SITE_TEXTS = (
    '{"de": {"tagline": "Malerei, Druckgrafik und Papierarbeiten, '
    'für diese Demo von einer Maschine gezeichnet"}}'
)
_LANGUAGE = "de"
_MEDIA = {
    "Oil on linen": "Öl auf Leinen",
    "Acrylic on canvas": "Acryl auf Leinwand",
    "Pigment print": "Pigmentdruck",
    "Relief print": "Hochdruck",
    "Screen print": "Siebdruck",
    "Cyanotype": "Cyanotypie",
    "Wool and linen": "Wolle und Leinen",
    "Cut paper": "Scherenschnitt",
    "Ink on paper": "Tusche auf Papier",
    "Watercolour on paper": "Aquarell auf Papier",
    "Paint on water, paper": "Farbe auf Wasser, Papier",
    "Ink and gouache": "Tusche und Gouache",
    "Ink on water, paper": "Tusche auf Wasser, Papier",
    "Cement and marble": "Zement und Marmor",
    "Stoneware": "Steinzeug",
}
# Title → title, text and alt text of the cover.
_WORKS = {
    "Ember, late": (
        "Glut, spät",
        "Gemalt an elf Abenden, immer in der letzten halben Stunde Licht. Das dunkle Band kam "
        "zuerst, und es in Ruhe zu lassen war das Schwerste.",
        "Zwei weiche Rechtecke, orangerot über bernsteinfarben, auf dunkelrotem Grund",
    ),
    "First light over the fells": (
        "Erstes Licht über den Bergen",
        "Sechs Grate, gezählt durch das Fenster eines geparkten Autos.",
        "Blaue Bergrücken, die im Dunst verschwinden, darüber tief eine blasse Sonne",
    ),
    "Quarter turns": (
        "Vierteldrehungen",
        "Ein Stock, vor jedem Abdruck von Hand gedreht. Kein Blatt gleicht dem anderen.",
        "Ein Raster aus Kacheln mit Viertelkreisen, Ringen und Streifen",
    ),
    "Nine bowls": (
        "Neun Schalen", "", "Neun glasierte Schalen in drei Reihen, von oben gesehen",
    ),
    "Four vessels": (
        "Vier Gefäße",
        "Der Krug links ist 2019 zerbrochen und seitdem aus dem Gedächtnis gemalt.",
        "Vier matte Gefäße in Weiß, Grau und Ton nebeneinander auf einem Tisch",
    ),
    "Blanket for a short winter": (
        "Decke für einen kurzen Winter",
        "",
        "Gewebte Karos in Schiefer, Terrakotta, Ocker und Salbei",
    ),
    "Long ridge, five in the morning": (
        "Langer Grat, fünf Uhr früh",
        "Aus neun Aufnahmen, die letzte davon im Regen.",
        "Weiter Blick über violette Grate unter einer kleinen Sonne",
    ),
    "Sphere study": (
        "Kugelstudie", "", "Ein schwarz-weißes Schachbrett, das sich zu zwei Kugeln wölbt",
    ),
    "Town on the hill": (
        "Stadt am Hang",
        "In jedem Haus stand jemand am Fenster, den wir kennen.",
        "Übereinander gestapelte Häuser an einem Hang unter einem tiefen Mond",
    ),
    "Composition with a red beam": (
        "Komposition mit rotem Balken",
        "Der Balken wurde zweimal begradigt und wieder gelegt, wie er war.",
        "Ein schwarzes Quadrat, eine ockerfarbene Scheibe und ein langer roter Balken",
    ),
    "Marbled water": (
        "Marmoriertes Wasser",
        "Ein Bogen nimmt auf, was das Wasser etwa vier Sekunden lang hält.",
        "Gekämmte Adern in Marineblau, Rot, Creme und Ocker",
    ),
    "Cut sun": ("Geschnittene Sonne", "", "Eine rote Sonne mit weißen Strahlen über Hügeln"),
    "Map of nowhere": (
        "Karte von nirgendwo",
        "Ein See liegt darin. Er hat einen Namen, der nicht auf der Karte steht.",
        "Höhenlinien einer erfundenen Landschaft in blassem Grün und Braun",
    ),
    "Moon, seven nights": (
        "Mond, sieben Nächte",
        "Die vierte Nacht war bewölkt und ist erdacht.",
        "Sieben Mondphasen in einer Reihe auf fast schwarzem Grund",
    ),
    "Yellow in yellow": (
        "Gelb in Gelb",
        "Vier Tuben Farbe, die alle Neapelgelb heißen.",
        "Ineinander liegende Quadrate in vier Gelbtönen",
    ),
    "Patchwork for Ada": (
        "Patchwork für Ada",
        "Für ein Kind, das fragte, warum Quadrate immer aus Dreiecken sind.",
        "Eine Decke aus Dreiecken in Rot, Creme, Ocker, Grau und Grün",
    ),
    "One bowl": ("Eine Schale", "", "Eine Schale aus Steinzeug mit blaugrüner Glasur"),
}  # fmt: skip
_SERIES = {
    "What the light left": {
        "title": "Was das Licht ließ",
        "text": "Bilder der Stunde nach Sonnenuntergang, gehängt in einem langen Raum, dessen "
        "einziges Fenster nach Norden geht.\n\nDie Ausstellung beruhte auf einer Entscheidung: "
        "keine Lampen. Die Besucher kamen jede Woche früher.",
    },
    "Paper years": {
        "title": "Papierjahre",
        "text": "Fünf Jahre Arbeit auf Papier, entstanden an einem Küchentisch.",
    },
    "Prints": {"title": "Druckgrafik", "text": "Stöcke, Platten und Steine."},
    "Textiles": {"title": "Textilien"},
    "Small things, seen slowly": {
        "title": "Kleine Dinge, langsam gesehen",
        "dates": "fortlaufend",
        "text": "Pflanzen, Schalen, Steine: was in zwei Hände passt.",
    },
}
_PAGES = {
    "about": {
        "title": "Über mich",
        "text": "Ich zeichne mit Licht, das gleich geht: der letzten Stunde eines Nachmittags, der "
        "Lampe im Nebenzimmer, dem Schein, der auf einer Wand bleibt, wenn die Tür zu ist.\n\n"
        "## Wie die Arbeiten entstehen\n\n"
        "Die meisten beginnen als *Fotografie ohne Gegenstand*. Ich drucke sie klein, übermale "
        "sie, fotografiere sie wieder und mache weiter, bis das, was da war, nicht mehr gebraucht "
        "wird.\n\n> Ein Bild ist fertig, wenn es zurückschaut.\n\n"
        "## Atelier\n\n"
        "Lange Reihe 12, im Hof, dritter Stock. Besuche gern [nach Absprache](/contact).",
    },
    "cv": {"title": "Lebenslauf"},
    "contact": {"title": "Kontakt"},
    "imprint": {"title": "Impressum"},
    "privacy": {"title": "Datenschutz"},
}


def add_translations(session: Session) -> None:
    """Add the German texts of works, series and pages, once. Flushed, not committed."""
    if session.scalar(select(Translation.id).limit(1)) is not None:
        return
    for group in session.scalars(select(Group).where(Group.title.in_(_WORKS))).all():
        title, text, alt = _WORKS[group.title]
        medium = _MEDIA.get(group.medium, "")
        _write(session, group, {"title": title, "text": text, "medium": medium})
        cover = find_cover(session, group)
        if cover is not None:
            _write(session, cover, {"alt": alt})
        refresh_search(session, [group.id])
    for one in session.scalars(select(Series).where(Series.title.in_(_SERIES))).all():
        _write(session, one, _SERIES[one.title])
    for page in session.scalars(select(Page).where(Page.kind.in_(_PAGES))).all():
        _write(session, page, _PAGES[page.kind])


def _write(session: Session, owner: Owner, texts: Mapping[str, str]) -> None:
    write_translation(session, owner, _LANGUAGE, texts)
