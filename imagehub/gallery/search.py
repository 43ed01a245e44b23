"""Finding works: the search page, what is suggested while somebody types, and the tags."""

from flask import jsonify, request, url_for
from flask.typing import ResponseReturnValue

from imagehub.database import db
from imagehub.domain.library import images as library_images
from imagehub.domain.library import search, tags
from imagehub.errors import NotFoundError
from imagehub.gallery import blueprint
from imagehub.gallery.pages import hang_tiles, read_page_number, render_page
from imagehub.gallery.pictures import get_title, make_group_url
from imagehub.models import Image
from imagehub.web.headers import make_absolute
from imagehub.wiring import get_clients

_MAX_SUGGESTED = 8
_MAX_SUGGESTED_TAGS = 3


@blueprint.get("/search", endpoint="search")
def show_search() -> ResponseReturnValue:
    """The works that ``?q=`` leads to, page by page; without it, the form and the tags."""
    query = " ".join(request.args.get("q", "")[: search.MAX_QUERY_CHARS].split())
    number = read_page_number(request.args.get("page", "1"))
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
        **hang_tiles(found.tiles, is_last),
    )


@blueprint.get("/search/suggest")
def suggest() -> ResponseReturnValue:
    """A few works and tags for what has been typed so far, as JSON for ``search.js``.

    ``{"works": [{"title", "url", "picture"}], "tags": [{"name", "url", "count"}], "count"}``, where
    ``count`` counts all works that would be found, and ``picture`` is a presigned URL or "".
    """
    query = request.args.get("q", "")[: search.MAX_QUERY_CHARS]
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
    # Whoever types and deletes again asks the same within seconds.
    response.headers["Cache-Control"] = "private, max-age=60"
    return response


def _make_small_url(image: Image) -> str:
    if not image.renditions:
        return ""
    rendition = library_images.pick_rendition(image, library_images.LOW_RESOLUTION_PX)
    return get_clients().store.make_presigned_url(rendition.object_key)


@blueprint.get("/tags")
def show_tags() -> ResponseReturnValue:
    """All tags that shown works have, by name, page by page."""
    number = read_page_number(request.args.get("page", "1"))
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
    """The works with a tag, in the gallery's order, page by page."""
    number = read_page_number(request.args.get("page", "1"))
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
        **hang_tiles(page.tiles, is_last),
    )
