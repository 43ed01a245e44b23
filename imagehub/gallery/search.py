"""Find works: the search page, suggestions while typing, and the tags."""

from typing import Annotated

from flask import jsonify, url_for
from flask.typing import ResponseReturnValue
from pydantic import AfterValidator

from imagehub.database import db
from imagehub.domain.library import images as library_images
from imagehub.domain.library import search, tags
from imagehub.errors import NotFoundError
from imagehub.gallery import blueprint
from imagehub.gallery.pages import PageQuery, make_tiles, render_page
from imagehub.gallery.pictures import get_title, make_group_url
from imagehub.models import Image
from imagehub.web.forms import read_query
from imagehub.web.headers import make_absolute
from imagehub.wiring import get_clients

_MAX_SUGGESTED = 8
_MAX_SUGGESTED_TAGS = 3


class SearchQuery(PageQuery):
    """What was typed, cut to the length that is searched for."""

    q: Annotated[str, AfterValidator(lambda text: text[: search.MAX_QUERY_CHARS])] = ""


@blueprint.get("/search", endpoint="search")
def show_search() -> ResponseReturnValue:
    """Show one page of the works that are found; without a query, the most used tags."""
    fields = read_query(SearchQuery)
    query, number = " ".join(fields.q.split()), fields.page
    found = search.find_groups(db.session(), query, number)
    if number > max(1, found.page_count):
        raise NotFoundError("page", number)
    is_last = number == found.page_count

    def make_url(page: int) -> str:
        return url_for("gallery.search", q=query, page=page if page > 1 else None)

    return render_page(
        "gallery/search.html",
        query=query,
        page=found,
        tags=() if found.tiles else tags.list_tags(db.session(), per_page=24).tags,
        canonical=make_absolute(make_url(number)),
        previous_url=make_url(number - 1) if number > 1 else "",
        next_url=make_url(number + 1) if found.tiles and not is_last else "",
        **make_tiles(found.tiles, is_last),
    )


@blueprint.get("/search/suggest")
def suggest() -> ResponseReturnValue:
    """Suggest works and tags for what was typed so far, as JSON for ``search.js``.

    ``{"works": [{"title", "url", "picture"}], "tags": [{"name", "url", "count"}], "count"}``:
    ``count`` is the number of all works found, ``picture`` a presigned URL or "".
    """
    query = read_query(SearchQuery).q
    session = db.session()
    found = search.find_groups(session, query, per_page=_MAX_SUGGESTED)
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
        "count": found.group_count,
    }
    response = jsonify(answer)
    # The same query is often sent again within seconds while typing.
    response.headers["Cache-Control"] = "private, max-age=60"
    return response


def _make_small_url(image: Image) -> str:
    if not image.renditions:
        return ""
    rendition = library_images.pick_rendition(image, library_images.LOW_RESOLUTION_PX)
    return get_clients().store.make_presigned_url(rendition.object_key)


@blueprint.get("/tags")
def show_tags() -> ResponseReturnValue:
    """Show one page of the tags of all published works, by name."""
    number = read_query(PageQuery).page
    page = tags.list_tags(db.session(), number)
    if number > max(1, page.page_count):
        raise NotFoundError("page", number)

    def make_url(to: int) -> str:
        return url_for("gallery.show_tags", page=to if to > 1 else None)

    return render_page(
        "gallery/tags.html",
        page=page,
        canonical=make_absolute(make_url(number)),
        previous_url=make_url(number - 1) if number > 1 else "",
        next_url=make_url(number + 1) if number < page.page_count else "",
    )


@blueprint.get("/tags/<slug>")
def show_tag(slug: str) -> ResponseReturnValue:
    """Show one page of the works with a tag, in the order of the gallery."""
    number = read_query(PageQuery).page
    page = tags.get_tag_page(db.session(), slug, number)
    if number > page.page_count:
        raise NotFoundError("page", number)
    is_last = number == page.page_count

    def make_url(to: int) -> str:
        return url_for("gallery.show_tag", slug=slug, page=to if to > 1 else None)

    return render_page(
        "gallery/tag.html",
        page=page,
        card=page.tiles[0] if page.tiles else None,
        canonical=make_absolute(make_url(number)),
        previous_url=make_url(number - 1) if number > 1 else "",
        next_url=make_url(number + 1) if not is_last else "",
        **make_tiles(page.tiles, is_last),
    )
