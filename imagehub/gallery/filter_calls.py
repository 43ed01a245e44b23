"""Finding works for apps, as JSON: filters, the works that match them, and similar works."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from imagehub.database import MAX_ID, db
from imagehub.domain.library import filters
from imagehub.domain.library.filters import Cursor, GalleryScope, SeriesScope
from imagehub.domain.library.gallery import GROUPS_PER_PAGE, get_shown_group
from imagehub.domain.library.series import get_shown_series
from imagehub.domain.library.similar import list_similar
from imagehub.errors import NotFoundError
from imagehub.gallery.api import PageRow, api, make_page_rows
from imagehub.gallery.filters import NAMES, list_options, name_value
from imagehub.web.openapi import Number, Text, answers_failure


class FiltersQuery(BaseModel):
    """Filters, all optional; ``year`` may be a decade, such as ``1910s``."""

    series: Number | None = None
    year: Text = ""
    colour: Text = ""
    shape: Text = ""
    medium: Text = ""
    tag: Text = ""
    availability: Text = ""

    @property
    def wanted(self) -> dict[str, str]:
        chosen = {name: getattr(self, name).strip().lower() for name in NAMES}
        return {name: slug for name, slug in chosen.items() if slug}


class WorksQuery(FiltersQuery):
    """``after``: the ``next`` of the page before; the first page has none."""

    after: Annotated[Text, Field(pattern=r"^(-?[0-9]{1,19}\.[0-9]{1,19})?$")] = ""


class FilterRow(TypedDict):
    """A value of a filter; ``groups`` is null if there are more than were counted."""

    filter: str
    value: str
    label: str
    groups: int | None


class FiltersAnswer(TypedDict):
    """``groups``: the number of groups that match, null if they were not counted."""

    code: Literal[1]
    groups: int | None
    data: list[FilterRow]


class WorksAnswer(TypedDict):
    """``next`` is null on the last page. A page may be short, or empty, before that."""

    code: Literal[1]
    data: list[PageRow]
    next: str | None
    hint: Literal["got_images"]


class SimilarQuery(BaseModel):
    group: Number


class SimilarAnswer(TypedDict):
    code: Literal[1]
    data: list[PageRow]
    hint: Literal["got_images"]


class NoWorkAnswer(TypedDict):
    code: Literal[0]
    hint: Literal["group_not_found"]


class NoFiltersAnswer(TypedDict):
    code: Literal[0]
    hint: Literal["series_not_found"]


@api.call("GET /site/filters", takes=FiltersQuery, answer=FiltersAnswer | NoFiltersAnswer)
@answers_failure(NotFoundError, code=0, hint="series_not_found")
def api_filters(fields: FiltersQuery) -> FiltersAnswer:
    """List the filters for the works of the gallery or of a series.

    Each value comes with the number of groups that match it and the filters already given.
    """
    session = db.session()
    choice = filters.find_choice(session, fields.wanted)
    panel = filters.make_panel(session, _find_scope(fields), choice)
    rows: list[FilterRow] = [
        {
            "filter": name,
            "value": option.value.slug,
            "label": name_value(name, option.value.slug, option.value.label),
            "groups": option.count,
        }
        for name, option in list_options(panel)
    ]
    return {"code": 1, "groups": panel.count, "data": rows}


@api.call("GET /site/works", takes=WorksQuery, answer=WorksAnswer | NoFiltersAnswer)
@answers_failure(NotFoundError, code=0, hint="series_not_found")
def api_works(fields: WorksQuery) -> WorksAnswer:
    """List a page of the works that match all filters, each with its cover.

    They are in the order of the gallery or of the series. Renditions have 480 pixels.
    """
    session = db.session()
    choice = filters.find_choice(session, fields.wanted)
    # The database has no larger integers.
    parts = [max(-MAX_ID, min(int(part), MAX_ID)) for part in fields.after.split(".") if part]
    start = Cursor(*parts) if parts else None
    page = filters.get_filtered_page(session, _find_scope(fields), choice, start)
    return {
        "code": 1,
        "data": make_page_rows(page.tiles),
        "next": str(page.after) if page.after else None,
        "hint": "got_images",
    }


@api.call("GET /site/similar", takes=SimilarQuery, answer=SimilarAnswer | NoWorkAnswer)
@answers_failure(NotFoundError, code=0, hint="group_not_found")
def api_similar(fields: SimilarQuery) -> SimilarAnswer:
    """List up to twelve works that look like another one, the most similar first.

    Works are compared by the structure and the colours of their covers. Renditions have 480 pixels.
    """
    session = db.session()
    group = get_shown_group(session, fields.group)
    tiles = list_similar(session, group.id, GROUPS_PER_PAGE)
    return {"code": 1, "data": make_page_rows(tiles), "hint": "got_images"}


def _find_scope(fields: FiltersQuery) -> GalleryScope | SeriesScope:
    if fields.series is None:
        return GalleryScope()
    return SeriesScope(get_shown_series(db.session(), fields.series))
