"""Sitemap, feed and embeds, for search engines and other sites.

All addresses are absolute and permanent: pictures have ImageHub's own ``/media/`` addresses.
"""

import math
import re
from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import unquote, urlsplit

from flask import Response, jsonify, render_template, url_for
from flask.typing import ResponseReturnValue
from pydantic import BeforeValidator

from imagehub.database import db
from imagehub.domain.library import gallery
from imagehub.domain.library import images as library_images
from imagehub.domain.library.tags import list_group_tags
from imagehub.errors import NotFoundError
from imagehub.gallery import blueprint
from imagehub.gallery.pages import make_description, make_lasting_url
from imagehub.gallery.pictures import get_title, make_group_url
from imagehub.models import Image, Rendition
from imagehub.web.forms import Form, read_query
from imagehub.web.headers import make_absolute
from imagehub.wiring import get_settings

_MAP_SECONDS = 3600
_FEED_SECONDS = 600
_EMBED_SECONDS = 3600
_SIZES = (480, 960, 1920)
# The title of a work without one is in the visitor's language.
_VARIES_BY = ("Accept-Language", "Cookie")
# Characters that XML 1.0 does not allow, even escaped. Source: XML 1.0, production 2 (Char).
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

blueprint.add_app_template_filter(lambda text: _NOT_XML.sub("", text), "xml_text")


# --- Search engines -------------------------------------------------------------------------------


@blueprint.get("/robots.txt")
def show_robots() -> ResponseReturnValue:
    """Keep search engines out of calls, sign-in and originals. Source: RFC 9309."""
    root = url_for("gallery.show_front")
    closed = ("admin/", "sign-in", "search", "media/full/", "image/", "preferences")
    lines = ["User-agent: *", *(f"Disallow: {root}{path}" for path in closed), ""]
    lines.append(f"Sitemap: {make_absolute(url_for('gallery.show_sitemap'))}")
    response = Response("\n".join(lines) + "\n", mimetype="text/plain")
    response.headers["Cache-Control"] = f"public, max-age={_MAP_SECONDS}"
    return response


@blueprint.get("/sitemap.xml")
def show_sitemap() -> ResponseReturnValue:
    """Return the index of sitemaps. Source: https://www.sitemaps.org/protocol.html."""
    sections = gallery.list_sections(db.session()) or [1]
    urls = [_make_url("show_sitemap_page", number=number) for number in sections]
    return _answer_xml(render_template("gallery/sitemap_index.xml", urls=urls), _MAP_SECONDS)


@blueprint.get("/sitemap/<db_id:number>.xml")
def show_sitemap_page(number: int) -> ResponseReturnValue:
    """Return a part of the works with their pictures; the first part also has the front page.

    Source: https://developers.google.com/search/docs/crawling-indexing/sitemaps/image-sitemaps.
    """
    groups = gallery.list_section(db.session(), number)
    if not groups and number != 1:
        raise NotFoundError("page", number)
    works = [
        {
            "url": make_absolute(make_group_url(group)),
            "updated_at": _format(group.updated_at),
            "pictures": [make_lasting_url(group.id, n, 1920) for n in image_numbers],
        }
        for group, image_numbers in groups
    ]
    pages = [_make_url("show_front"), _make_url("show_tags")] if number == 1 else []
    sitemap = render_template("gallery/sitemap.xml", pages=pages, works=works)
    return _answer_xml(sitemap, _MAP_SECONDS)


# --- The feed -------------------------------------------------------------------------------------


@blueprint.get("/feed.atom")
def show_feed() -> ResponseReturnValue:
    """Return a feed of the newest works. Source: RFC 4287."""
    settings = get_settings()
    if not settings.feeds:
        raise NotFoundError("page", "feed")
    tiles = gallery.list_newest(db.session())
    unchanged = datetime(2000, 1, 1, tzinfo=UTC)
    entries = [
        {
            # Without the title, which may change.
            "id": _make_url("show_group", number=tile.group.id),
            "url": make_absolute(make_group_url(tile.group)),
            "title": get_title(tile.group),
            "summary": make_description(tile.group),
            "text": tile.group.text.replace("\r\n", "\n").strip(),
            "published_at": _format(tile.group.created_at),
            "updated_at": _format(tile.group.updated_at),
            "picture": make_lasting_url(tile.group.id, tile.cover.number, 960),
            "alt": tile.cover.alt or get_title(tile.group),
            "rendition": _find_rendition(tile.cover, 960),
            "tags": [tag.name for tag in list_group_tags(db.session(), tile.group.id)],
        }
        for tile in tiles
    ]
    feed = render_template(
        "gallery/feed.xml",
        url=_make_url("show_feed"),
        front_url=_make_url("show_front"),
        # A feed must have an author.
        author=settings.title,
        updated_at=_format(max((tile.group.updated_at for tile in tiles), default=unchanged)),
        entries=entries,
    )
    return _answer_xml(feed, _FEED_SECONDS, "application/atom+xml")


# --- Embeds ---------------------------------------------------------------------------------------


def _read_bound(text: object) -> float:
    if text in ("", math.inf):
        return math.inf
    if not re.fullmatch("[1-9][0-9]{0,5}", str(text)):
        raise ValueError("must be a whole number of pixels above 0")
    return float(str(text))


class EmbedQuery(Form):
    """The address of a work, and the largest size that the other site has room for."""

    url: str = ""
    format: str = "json"
    maxwidth: Annotated[float, BeforeValidator(_read_bound)] = math.inf
    maxheight: Annotated[float, BeforeValidator(_read_bound)] = math.inf


@blueprint.get("/oembed")
def show_oembed() -> ResponseReturnValue:
    """Describe a work or one of its shots as a photo for other sites. Source: https://oembed.com.

    :raise NotFoundError: the address is not that of a published work.
    """
    fields = read_query(EmbedQuery)
    if fields.format != "json":
        return jsonify({"detail": "Only JSON is supported."}), 501
    number, shot = _read_work_url(fields.url)
    session = db.session()
    if shot is None:
        group = gallery.get_shown_group(session, number)
        image = library_images.find_cover(session, group)
        if image is None:
            raise NotFoundError("work", number)
    else:
        group, image = gallery.get_shown_image(session, number, shot)
    width, height = fields.maxwidth, fields.maxheight
    size, rendition = _choose_size(image, width, height)
    # The smallest rendition may still be larger than requested.
    share = min(1.0, width / rendition.width_px, height / rendition.height_px)
    small = _find_rendition(image, 480) or rendition
    settings = get_settings()
    answer = {
        "version": "1.0",
        "type": "photo",
        "title": get_title(group),
        "url": make_lasting_url(group.id, image.number, size),
        "width": max(1, int(rendition.width_px * share)),
        "height": max(1, int(rendition.height_px * share)),
        "web_page": make_absolute(make_group_url(group)),
        "web_page_short_url": _make_url("show_group", number=group.id),
        "author_name": settings.title,
        "provider_name": settings.title,
        "provider_url": _make_url("show_front"),
        "thumbnail_url": make_lasting_url(group.id, image.number, 480),
        "thumbnail_width": small.width_px,
        "thumbnail_height": small.height_px,
        "cache_age": _EMBED_SECONDS,
    }
    if share < 1 or small.width_px > width or small.height_px > height:
        for name in ("thumbnail_url", "thumbnail_width", "thumbnail_height"):
            del answer[name]  # A thumbnail must be within the same bounds.
    response = jsonify(answer)
    response.headers["Cache-Control"] = f"public, max-age={_EMBED_SECONDS}"
    response.vary.update(_VARIES_BY)
    response.headers["Access-Control-Allow-Origin"] = "*"
    return response


def _read_work_url(url: str) -> tuple[int, int | None]:
    """Return the group number, and the image number or None, of an address of this hub."""
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise NotFoundError("work", url) from error
    here = urlsplit(_make_url("show_front"))
    root = re.escape(here.path.rstrip("/"))
    found = re.fullmatch(rf"{root}/groups/([0-9]{{1,19}})(?:/([^/]*))?/?", unquote(parts.path))
    is_here = parts.netloc.lower() == here.netloc.lower() and parts.scheme in ("http", "https")
    if not is_here or found is None:
        raise NotFoundError("work", url)
    rest = found[2] or ""
    is_shot = re.fullmatch("[0-9]{1,10}", rest) is not None
    return int(found[1]), int(rest) if is_shot else None


def _choose_size(image: Image, width: float, height: float) -> tuple[int, Rendition]:
    """Return the largest rendition within the bounds, or the smallest one."""
    sizes = [(size, library_images.pick_rendition(image, size)) for size in _SIZES]
    fitting = [one for one in sizes if one[1].width_px <= width and one[1].height_px <= height]
    return fitting[-1] if fitting else sizes[0]


def _find_rendition(image: Image, size: int) -> Rendition | None:
    return library_images.pick_rendition(image, size) if image.renditions else None


def _make_url(view: str, **values: Any) -> str:
    return make_absolute(url_for(f"gallery.{view}", **values))


def _format(moment: datetime) -> str:
    """Source: RFC 3339."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _answer_xml(text: str, seconds: int, mimetype: str = "application/xml") -> Response:
    response = Response(text, mimetype=mimetype)
    response.headers["Cache-Control"] = f"public, max-age={seconds}"
    response.vary.update(_VARIES_BY)
    return response
