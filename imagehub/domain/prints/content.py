"""What a print file says: the works with their captions and prices, as data for its design."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from babel.dates import format_date
from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload

from imagehub.config import Settings
from imagehub.database import make_batches
from imagehub.domain.library.credits import get_credits
from imagehub.domain.library.prices import find_price, is_on_request
from imagehub.domain.prints.files import PrintOptions, read_options
from imagehub.domain.translations import use_language
from imagehub.markdown import make_plain
from imagehub.messages import mark
from imagehub.models import Group, Image, PrintFile, Rendition, Series
from imagehub.translator import Translator, get_translator

# The space for a picture in millimetres, by kind and works on a page.
_BOXES = {("catalogue", 1): (166, 182), ("catalogue", 2): (166, 84), ("prices", 1): (24, 24)}
_MAX_TEXT_CHARS = 900
# Introductions of a catalogue are that long at most.
_MAX_INTRODUCTION_CHARS = 2400


@dataclass(frozen=True)
class Source:
    """Where the picture of a work comes from, apart from any session.

    ``rendition_key`` and ``rendition_px``: the largest rendition, and its longest side.
    """

    image_id: int
    account_id: int | None
    item_id: str
    drive_state: str
    sha256: str
    is_preview: bool
    is_video: bool
    width_px: int
    height_px: int
    rendition_key: str
    rendition_px: int


@dataclass(frozen=True)
class PrintWork:
    """A work of a print file. ``width_mm`` and ``height_mm`` are those of its picture."""

    group_id: int
    title: str
    data: dict[str, Any]
    source: Source | None
    width_mm: float = 0.0
    height_mm: float = 0.0


@dataclass(frozen=True)
class PrintContent:
    """All of a print file: the works in their order, and what else its design needs."""

    works: Sequence[PrintWork]
    data: dict[str, Any]


def load_content(session: Session, settings: Settings, row: PrintFile) -> PrintContent:
    """Read what a print file says, as it is now; deleted works are left out."""
    options = read_options(row)
    translator = get_translator(options.language)
    series = session.get(Series, row.series_id) if row.series_id else None
    # As on pages: neither the main language nor one that the hub no longer has is read from there.
    language = options.language if options.language in settings.text_languages[1:] else ""
    use_language(session, language, [series])
    works = [
        _describe(group, cover, row.kind, options, settings, translator)
        for numbers in make_batches(json.loads(row.groups))
        for group, cover in _load(session, numbers, language)
    ]
    return PrintContent(works, _make_data(row, options, settings, translator, series))


def _load(
    session: Session, numbers: Sequence[int], language: str
) -> list[tuple[Group, Image | None]]:
    rows = session.execute(
        select(Group, Image)
        .outerjoin(Image, Image.id == Group.cover_id)
        .where(Group.id.in_(numbers), Group.state != "trash")
        .options(selectinload(Image.renditions))
    ).all()
    found: dict[int, tuple[Group, Image | None]] = {
        group.id: (group, image) for group, image in rows
    }
    use_language(session, language, [group for group, _ in found.values()])
    return [found[number] for number in numbers if number in found]


def _describe(
    group: Group,
    cover: Image | None,
    kind: str,
    options: PrintOptions,
    settings: Settings,
    translator: Translator,
) -> PrintWork:
    title = group.title.strip() or translator.translate(mark("Untitled"))
    artist = group.creator.strip() or _get_artist(settings)
    price = _describe_price(group, options, settings, translator)
    facts = [group.year, group.medium, group.dimensions, group.edition]
    if kind == "labels":
        facts = facts[1:]
    elif kind == "catalogue" and options.prices:
        facts.append(price)
    if kind != "labels" and artist != _get_artist(settings):
        facts.insert(0, artist)
    data: dict[str, Any] = {
        "title": title,
        "artist": artist,
        "year": group.year.strip(),
        "lines": [line for line in facts if line.strip()],
        "price": price if kind == "prices" or options.prices else "",
        "text": _shorten(make_plain(group.text), _MAX_TEXT_CHARS) if options.texts else "",
        "picture": None,
    }
    box = _BOXES.get((kind, options.per_page if kind == "catalogue" else 1))
    if box is None or cover is None or not cover.renditions:
        return PrintWork(group.id, title, data, None)
    largest = max(
        (one for one in cover.renditions if one.mime_type == "image/webp"),
        key=lambda one: one.width_px,
        default=cover.renditions[0],
    )
    width, height = _fit(largest, *box)
    source = Source(
        cover.id,
        cover.drive_account_id,
        cover.drive_item_id,
        cover.drive_state,
        cover.sha256,
        bool(cover.preview_reason),
        cover.is_video,
        cover.width_px,
        cover.height_px,
        largest.object_key,
        max(largest.width_px, largest.height_px),
    )
    return PrintWork(group.id, title, data, source, width, height)


def _fit(rendition: Rendition, width_mm: float, height_mm: float) -> tuple[float, float]:
    """Return the largest size of the picture's shape in a space, in millimetres."""
    ratio = rendition.width_px / max(1, rendition.height_px)
    width = min(width_mm, height_mm * ratio)
    return round(width, 2), round(width / ratio, 2)


def _describe_price(
    group: Group, options: PrintOptions, settings: Settings, translator: Translator
) -> str:
    """Describe the price as visitors read it; "" if they see none."""
    if is_on_request(group):
        return translator.translate(mark("Price on request"))
    price = find_price(group, settings.currency, is_shared=options.share_prices)
    if price is None:
        sold = {"sold": mark("Sold"), "reserved": mark("Reserved")}
        return translator.translate(sold.get(group.availability, ""))
    return translator.format_price(price.amount, price.currency)


def _make_data(
    row: PrintFile,
    options: PrintOptions,
    settings: Settings,
    translator: Translator,
    series: Series | None,
) -> dict[str, Any]:
    say = translator.translate
    day = format_date(row.created_at, "long", locale=translator.locale)
    facts = []
    if series is not None:
        days = translator.format_days(series.first_day, series.last_day)
        facts = [series.dates.strip() or days, series.place]
    introduction = _shorten(make_plain(series.text), _MAX_INTRODUCTION_CHARS) if series else ""
    notice = get_credits(settings).copyright_notice
    box = _BOXES.get((row.kind, options.per_page), (0, 0))
    return {
        "language": options.language,
        "title": row.title,
        "artist": _get_artist(settings),
        "subtitle": ", ".join(one for one in facts if one.strip()),
        "imprint": " · ".join(one for one in (day, notice) if one),
        "introduction": [one for one in introduction.split("\n") if one.strip()],
        "per_page": options.per_page,
        "plate_height": box[1],
        "words": {
            "contents": say(mark("Contents")),
            "no_picture": say(mark("No picture")),
            "price_list": say(mark("Price list")),
            "work": say(mark("Work")),
            "price": say(mark("Price")),
        },
    }


def _get_artist(settings: Settings) -> str:
    return settings.creator or settings.title


def _shorten(text: str, most: int) -> str:
    """Cut a text at the end of a word."""
    text = text.strip()
    if len(text) <= most:
        return text
    return text[:most].rsplit(None, 1)[0] + " …"
