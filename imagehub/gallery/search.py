"""Find works: the search page, suggestions while typing, and the tags."""

from typing import Annotated

from flask import jsonify, url_for
from flask.typing import ResponseReturnValue
from pydantic import AfterValidator

from imagehub.database import db
from imagehub.domain.library import filters, search, series, tags
from imagehub.domain.library import images as library_images
from imagehub.domain.library.filters import ListScope
from imagehub.domain.library.search import Found
from imagehub.domain.site.pages import find_pages
from imagehub.gallery import blueprint
from imagehub.gallery.languages import list_owners, use_visitors_language
from imagehub.gallery.pages import PageQuery, WallQuery, make_filters, make_tiles, render_list
from imagehub.gallery.pictures import get_title, make_group_url, make_rendition_url
from imagehub.gallery.series import list_card_owners, make_series_cards
from imagehub.models import Image
from imagehub.web.forms import read_query

_MAX_SUGGESTED = 8
_MAX_SUGGESTED_TAGS = 3
_MAX_SUGGESTED_PAGES = 3


class SearchQuery(WallQuery):
    """What was typed, cut to the length that is searched for."""

    q: Annotated[str, AfterValidator(lambda text: text[: search.MAX_QUERY_CHARS])] = ""


@blueprint.get("/search", endpoint="search")
def show_search() -> ResponseReturnValue:
    """Show one page of the works that are found; without a query, the most used tags."""
    fields = read_query(SearchQuery)
    query = " ".join(fields.q.split())
    session = db.session()
    choice = filters.find_choice(session, fields.wanted) if fields.wanted else None
    found = Found(fields.page, 0, 0, ())
    if choice is None or choice.are_known:
        ids = choice.ids if choice else ()
        found = search.find_groups(session, query, fields.page, value_ids=ids)
    # Other things than works have no filters.
    is_first = fields.page == 1 and choice is None
    shown = series.find_shown_series(session, query) if is_first else []
    texts = find_pages(session, query) if is_first else []
    use_visitors_language(
        [*list_owners(found.tiles), *list_card_owners(shown), *texts], is_short=True
    )
    scope = ListScope(lambda ids, limit: search.list_found_ids(db.session(), query, ids, limit))
    cards, css = make_series_cards(shown)
    tiles = make_tiles(found)
    tiles["wall_css"] += css
    return render_list(
        "gallery/search.html",
        found,
        query,
        choice,
        texts=texts,
        tags=() if found.tiles or choice else tags.list_tags(session, per_page=24).tags,
        series=cards,
        is_narrowed=choice is not None,
        **tiles,
        **make_filters(scope, found, choice, query),
    )


@blueprint.get("/search/suggest")
def suggest() -> ResponseReturnValue:
    """Suggest works and tags for what was typed so far, as JSON for ``search.js``.

    ``{"works": [{"title", "url", "picture"}], "tags": [{"name", "url", "count"}],
    "pages": [{"title", "url"}], "count", "has_more"}``: ``count`` is the number of works that the
    search page lists, and ``has_more`` whether more were found; ``picture`` is a presigned URL or
    "".
    """
    query = read_query(SearchQuery).q
    session = db.session()
    found = search.find_groups(session, query, per_page=_MAX_SUGGESTED, looks_inside=False)
    texts = find_pages(session, query)[:_MAX_SUGGESTED_PAGES]
    use_visitors_language([*list_owners(found.tiles), *texts], is_short=True)
    answer = {
        "works": [
            {
                "title": get_title(tile.group),
                "url": make_group_url(tile.group),
                "picture": _make_small_url(tile.cover),
            }
            for tile in found.tiles
        ],
        "tags": [
            {
                "name": tag.name,
                "url": url_for("gallery.show_tag", slug=tag.slug),
                "count": tag.group_count,
            }
            for tag in tags.find_tags(session, query, _MAX_SUGGESTED_TAGS)
        ],
        "pages": [
            {"title": page.title, "url": url_for("gallery.show_page", slug=page.slug)}
            for page in texts
        ],
        "count": found.group_count,
        "has_more": found.has_more,
    }
    response = jsonify(answer)
    # The same query is often sent again within seconds while typing.
    response.headers["Cache-Control"] = "private, max-age=60"
    return response


def _make_small_url(image: Image) -> str:
    if not image.renditions:
        return ""
    rendition = library_images.pick_rendition(image, library_images.LOW_RESOLUTION_PX)
    return make_rendition_url(rendition)


@blueprint.get("/tags")
def show_tags() -> ResponseReturnValue:
    """Show one page of the tags of all published works, by name."""
    page = tags.list_tags(db.session(), read_query(PageQuery).page)
    return render_list("gallery/tags.html", page)


@blueprint.get("/tags/<slug>")
def show_tag(slug: str) -> ResponseReturnValue:
    """Show one page of the works with a tag, in the order of the gallery."""
    page = tags.get_tag_page(db.session(), slug, read_query(PageQuery).page)
    use_visitors_language(list_owners(page.tiles), is_short=True)
    return render_list("gallery/tag.html", page, **make_tiles(page))
