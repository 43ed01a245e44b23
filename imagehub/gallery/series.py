"""Series for visitors, as pages and as JSON: the list, and the works of one series."""

import re
from collections.abc import Iterable
from typing import Any, Literal, Protocol

from flask import redirect, url_for
from flask.typing import ResponseReturnValue
from pydantic import BaseModel
from typing_extensions import TypedDict

from imagehub.database import db
from imagehub.domain.library import series as library_series
from imagehub.domain.library.filters import SeriesScope
from imagehub.domain.library.gallery import GROUPS_PER_PAGE, Page, Tile
from imagehub.domain.library.series import ShownSeries, name_series
from imagehub.domain.library.years import make_iso_year
from imagehub.domain.translations import Owner, get_main_text
from imagehub.errors import NotFoundError
from imagehub.gallery import blueprint
from imagehub.gallery.api import PageRow, api, make_page_rows
from imagehub.gallery.languages import list_owners, use_visitors_language
from imagehub.gallery.pages import (
    WallQuery,
    describe_language,
    describe_parts,
    find_filtered,
    make_filters,
    make_tiles,
    render_filtered,
    render_list,
    render_page,
    shorten_text,
)
from imagehub.gallery.pictures import make_picture, make_slug
from imagehub.gallery.series_dates import describe_dates
from imagehub.gallery.walls import make_placeholder_css
from imagehub.markdown import make_plain
from imagehub.models import Series
from imagehub.web.forms import read_query
from imagehub.web.headers import make_absolute
from imagehub.web.i18n import get_site, translate
from imagehub.web.numbers import note
from imagehub.web.openapi import Number, answers_failure


class Card(Protocol):
    """A series with the group that stands for it."""

    @property
    def series(self) -> Series: ...
    @property
    def cover(self) -> Tile: ...


def get_series_title(series: Series) -> str:
    """Return the title in the visitor's language, if it has none of its own."""
    return translate(name_series(series))


def make_series_url(series: Series) -> str:
    """Return the address of a series, which ends with its title."""
    slug = make_slug(get_main_text(series, "title")) or None
    return url_for("gallery.show_one_series", number=series.id, slug=slug)


blueprint.add_app_template_global(get_series_title, "series_title")
blueprint.add_app_template_global(make_series_url, "series_url")


@blueprint.get("/series")
def show_series() -> ResponseReturnValue:
    """Show all series that are not parts of others, each with its cover."""
    shown = library_series.list_shown_series(db.session())
    use_visitors_language(list_card_owners(shown), is_short=True)
    cards, css = make_series_cards(shown)
    return render_page(
        "gallery/series_list.html",
        series=cards,
        wall_css=css,
        canonical=make_absolute(url_for("gallery.show_series")),
        card=shown[0].cover if shown else None,
    )


@blueprint.get("/series/<db_id:number>")
@blueprint.get("/series/<db_id:number>/<slug>")
def show_one_series(number: int, slug: str = "") -> ResponseReturnValue:
    """Show one page of a series; an address with an old title is redirected."""
    session = db.session()
    series = library_series.get_shown_series(session, number)
    query = read_query(WallQuery)
    if slug != make_slug(series.title):
        return redirect(make_series_url(series), 301)
    parent = session.get(Series, series.parent_id) if series.parent_id else None
    scope = SeriesScope(series)
    found = find_filtered(scope, query) if query.wanted else None
    page: Page
    page = found.page if found else library_series.get_series_page(session, series, query.page)
    if page.number == 1 and found is None:
        note("series", series.id)
    parts = []
    if parent is None and found is None:
        parts = library_series.list_shown_series(session, series.id)
    use_visitors_language([series, parent, *list_card_owners(parts), *list_owners(page.tiles)])
    values: dict[str, Any] = {
        "series": series,
        "title": get_series_title(series),
        "parent": parent,
        "tile_series": series.id,
        "description": describe_series(series),
    }
    if found:
        return render_filtered("gallery/series.html", scope, found, **values)
    tiles = make_tiles(page)
    cards, css = make_series_cards(parts)
    tiles["wall_css"] += css
    tiles["card"] = tiles["card"] or (parts[0].cover if parts else None)
    return render_list(
        "gallery/series.html",
        page,
        **tiles,
        **make_filters(scope, page),
        **values,
        parts=cards,
        linked_data=_describe_series(series, page, parent),
    )


def list_card_owners(shown: Iterable[Card]) -> list[Owner]:
    """List what has the texts that the cards of series show."""
    return [owner for one in shown for owner in (one.series, one.cover.group, one.cover.cover)]


def make_series_cards(shown: list[ShownSeries]) -> tuple[list[dict[str, Any]], str]:
    """Return the series with the pictures of their covers, and the style of these."""
    pictures = [
        make_picture(one.cover.group, one.cover.cover, f"e{one.series.id}") for one in shown
    ]
    cards = [
        {"series": one.series, "picture": picture}
        for one, picture in zip(shown, pictures, strict=True)
    ]
    css = make_placeholder_css(pictures)
    return cards, css + "".join(f"#{one.id}{{--ratio:{one.ratio:.4f}}}" for one in pictures)


def describe_series(series: Series) -> str:
    """Return one or two sentences about a series, for search results and previews."""
    facts = (get_series_title(series), describe_dates(series), series.place)
    return shorten_text(make_plain(series.text)) or ", ".join(fact for fact in facts if fact)


def _describe_series(series: Series, page: Page, parent: Series | None) -> dict[str, Any]:
    """Source: https://schema.org/Collection and https://schema.org/ExhibitionEvent."""
    data: dict[str, Any] = {
        "@context": "https://schema.org",
        "@type": "Collection",
        "name": get_series_title(series),
        "url": make_absolute(make_series_url(series)),
        **describe_language(make_absolute(make_series_url(series))),
        "collectionSize": page.group_count,
        "isPartOf": {
            "@type": "Collection" if parent else "ImageGallery",
            "name": get_series_title(parent) if parent else get_site().title,
            "url": make_absolute(
                make_series_url(parent) if parent else url_for("gallery.show_front")
            ),
        },
        "hasPart": describe_parts(page.tiles),
    }
    if series.text.strip():
        data["description"] = make_plain(series.text)
    begin = re.search(r"\b[0-9]{4}\b", series.dates)
    if series.place:
        event: dict[str, Any] = {
            "@type": "ExhibitionEvent",
            "name": get_series_title(series),
            "location": {"@type": "Place", "name": series.place, "address": series.place},
        }
        if series.first_day:
            event["startDate"] = series.first_day.isoformat()
        elif begin and make_iso_year(begin[0]):
            event["startDate"] = begin[0]
        if series.last_day:
            event["endDate"] = series.last_day.isoformat()
        data["subjectOf"] = event
    return data


# --- JSON -----------------------------------------------------------------------------------------


class SeriesFacts(TypedDict):
    """``text`` is Markdown; ``part_of`` is the number of the series that it is a part of.

    ``dates`` is what visitors read, made of the days if no other text was entered.
    """

    series: int
    part_of: int | None
    title: str
    dates: str
    first_day: str | None
    last_day: str | None
    place: str
    text: str
    url: str
    groups: int
    totalPage: int


class SeriesAnswer(TypedDict):
    code: Literal[1]
    data: list[SeriesFacts]


class SeriesPageQuery(BaseModel):
    series: Number
    page: Number


class SeriesPageAnswer(TypedDict):
    code: Literal[1]
    data: list[PageRow]
    hint: Literal["got_images"]


class NoSeriesAnswer(TypedDict):
    code: Literal[0]
    hint: Literal["page_not_found"]


@api.call("GET /site/series", answer=SeriesAnswer)
def api_series() -> SeriesAnswer:
    """List the published series in their order, each followed by its parts."""
    session = db.session()
    rows = []
    for one in library_series.list_shown_series(session):
        parts = library_series.list_shown_series(session, one.series.id)
        rows += [_describe_facts(each.series) for each in (one, *parts)]
    return {"code": 1, "data": rows}


def _describe_facts(series: Series) -> SeriesFacts:
    return {
        "series": series.id,
        "part_of": series.parent_id,
        "title": series.title,
        "dates": describe_dates(series),
        "first_day": series.first_day.isoformat() if series.first_day else None,
        "last_day": series.last_day.isoformat() if series.last_day else None,
        "place": series.place,
        "text": series.text,
        "url": make_absolute(make_series_url(series)),
        "groups": series.shown_count,
        "totalPage": -(-series.shown_count // GROUPS_PER_PAGE),
    }


@api.call("GET /site/series/page", takes=SeriesPageQuery, answer=SeriesPageAnswer | NoSeriesAnswer)
@answers_failure(NotFoundError, code=0, hint="page_not_found")
def api_series_page(fields: SeriesPageQuery) -> SeriesPageAnswer:
    """List one page of a series: twelve groups in its order, each with its cover.

    Pages are counted from 1. Renditions are of 480 pixels.
    """
    session = db.session()
    series = library_series.get_shown_series(session, fields.series)
    page = library_series.get_series_page(session, series, fields.page)
    if not page.tiles:
        raise NotFoundError("page", fields.page)
    return {"code": 1, "data": make_page_rows(page.tiles), "hint": "got_images"}
