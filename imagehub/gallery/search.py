"""Find works: the search page, suggestions while typing, and the tags."""

from typing import Annotated

from flask import jsonify, url_for
from flask.typing import ResponseReturnValue
from pydantic import AfterValidator

from imagehub.database import db
from imagehub.domain.library import images as library_images
from imagehub.domain.library import search, tags
from imagehub.gallery import blueprint
from imagehub.gallery.pages import PageQuery, make_tiles, render_list
from imagehub.gallery.pictures import get_title, make_group_url
from imagehub.models import Image
from imagehub.web.forms import read_query
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
    query = " ".join(fields.q.split())
    found = search.find_groups(db.session(), query, fields.page)
    return render_list(
        "gallery/search.html",
        found,
        query,
        tags=() if found.tiles else tags.list_tags(db.session(), per_page=24).tags,
        **make_tiles(found),
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
    page = tags.list_tags(db.session(), read_query(PageQuery).page)
    return render_list("gallery/tags.html", page)


@blueprint.get("/tags/<slug>")
def show_tag(slug: str) -> ResponseReturnValue:
    """Show one page of the works with a tag, in the order of the gallery."""
    page = tags.get_tag_page(db.session(), slug, read_query(PageQuery).page)
    return render_list("gallery/tag.html", page, **make_tiles(page))
