"""Sitemap and feeds, for search engines and other sites.

All addresses are absolute and permanent: pictures have ImageHub's own ``/media/`` addresses.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from flask import Response, render_template, url_for
from flask.typing import ResponseReturnValue

from imagehub.database import db
from imagehub.domain.library import gallery, series
from imagehub.domain.library import images as library_images
from imagehub.domain.library.tags import list_names_of_groups
from imagehub.domain.site.pages import list_published
from imagehub.domain.translations import list_texts
from imagehub.errors import NotFoundError
from imagehub.gallery import blueprint
from imagehub.gallery.filters import NAMES
from imagehub.gallery.languages import list_owners, use_visitors_language
from imagehub.gallery.pages import make_description, make_lasting_url, shorten_text
from imagehub.gallery.pictures import get_title, make_group_url
from imagehub.gallery.series import describe_series, get_series_title, make_series_url
from imagehub.gallery.videos import make_lasting_video_url, may_play
from imagehub.imaging.video import MIME_TYPES
from imagehub.markdown import make_plain
from imagehub.models import Group, Image, Rendition
from imagehub.web.headers import make_absolute
from imagehub.web.i18n import get_site

_MAP_SECONDS = 3600
_LONGEST_VIDEO_SECONDS = 8 * 3600
_FEED_SECONDS = 600
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
    closed: tuple[str, ...]
    closed = ("admin/", "sign-in", "search", "media/full/", "image/", "preferences")
    # Each combination of filters would be a page.
    closed += tuple(f"*{mark}{name}=" for name in NAMES for mark in "?&")
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
    """Return a part of the works with pictures and videos; the first also has the front page.

    Source: https://developers.google.com/search/docs/crawling-indexing/sitemaps/image-sitemaps.
    """
    groups = gallery.list_section(db.session(), number)
    if not groups and number != 1:
        raise NotFoundError("page", number)
    videos = _list_videos(number) if groups else {}
    works = [
        {
            "url": make_absolute(make_group_url(group)),
            "updated_at": _format(group.updated_at),
            "pictures": [make_lasting_url(group.id, n, 1920) for n in image_numbers],
            "videos": videos.get(group.id, ()),
        }
        for group, image_numbers in groups
    ]
    pages = [_make_url("show_front"), _make_url("show_tags")] if number == 1 else []
    listed = series.list_all_shown(db.session()) if number == 1 else []
    if listed:
        pages.append(_make_url("show_series"))
        works[:0] = [
            {
                "url": make_absolute(make_series_url(one.series)),
                "updated_at": _format(one.series.updated_at),
                "pictures": [make_lasting_url(one.cover.group.id, one.cover.cover.number, 1920)],
                "videos": (),
            }
            for one in listed
        ]
    if number == 1:
        texts = list_published(db.session())
        pages += [_make_url("show_page", slug=page.slug) for page in texts]
    sitemap = render_template("gallery/sitemap.xml", pages=pages, works=works)
    return _answer_xml(sitemap, _MAP_SECONDS)


def _list_videos(section: int) -> dict[int, list[dict[str, Any]]]:
    """Describe the videos of a part of the works: number of the work → videos.

    ``words``: title and description by language; of "" those in the main one. A description is
    required, of at most 2048 characters, and a length has to be between 1 second and 8 hours.

    Source: https://developers.google.com/search/docs/crawling-indexing/sitemaps/video-sitemaps.
    """
    session, settings = db.session(), get_site()
    found = {
        group_id: playable
        for group_id, images in gallery.list_section_videos(session, section).items()
        if (playable := [image for image in images if may_play(image)])
    }
    owners = [one for images in found.values() for image in images for one in (image, image.group)]
    languages = settings.text_languages if settings.is_multilingual else ("",)
    texts = list_texts(session, languages, list(dict.fromkeys(owners)))

    def pick(owner: Image | Group, field: str, language: str) -> str:
        known = texts[owner][field]
        return known.get(language, "").strip() or known.get(languages[0], "").strip()

    def describe(image: Image, language: str) -> tuple[str, str]:
        title = pick(image.group, "title", language) or get_title(image.group)
        about = make_plain(pick(image.group, "text", language))
        return title, shorten_text(pick(image, "alt", language) or about or title)

    return {
        group_id: [
            {
                "still": make_lasting_url(group_id, image.number, 1920),
                "url": make_lasting_video_url(image),
                "seconds": _round_seconds(image.duration_ms),
                "added_at": _format(image.created_at),
                "words": {code: describe(image, code) for code in {"", *languages}},
            }
            for image in images
        ]
        for group_id, images in found.items()
    }


def _round_seconds(duration_ms: int) -> int:
    """Return a length for a site map; 0 if there is none that it may have."""
    seconds = max(1, round(duration_ms / 1000)) if duration_ms else 0
    return seconds if seconds <= _LONGEST_VIDEO_SECONDS else 0


# --- The feed -------------------------------------------------------------------------------------


@blueprint.get("/feed.atom")
def show_feed() -> ResponseReturnValue:
    """Return a feed of the newest works. Source: RFC 4287."""
    settings = get_site()
    if not settings.feeds:
        raise NotFoundError("page", "feed")
    tiles = gallery.list_newest(db.session())
    use_visitors_language(list_owners(tiles))
    urls = _make_url("show_feed"), _make_url("show_front")
    return _answer_feed(tiles, settings.title, settings.tagline, urls)


@blueprint.get("/series/<db_id:number>/feed.atom")
def show_series_feed(number: int) -> ResponseReturnValue:
    """Return a feed of the newest works of a series."""
    settings = get_site()
    if not settings.feeds:
        raise NotFoundError("page", "feed")
    session = db.session()
    one = series.get_shown_series(session, number)
    tiles = series.list_newest_in_series(session, one)
    use_visitors_language([one, *list_owners(tiles)])
    title = f"{get_series_title(one)} – {settings.title}"
    urls = _make_url("show_series_feed", number=number), make_absolute(make_series_url(one))
    return _answer_feed(tiles, title, describe_series(one), urls)


def _answer_feed(
    tiles: Sequence[gallery.Tile], title: str, subtitle: str, urls: tuple[str, str]
) -> Response:
    """Make a feed; ``urls`` are its own address and that of the page about the same works."""
    unchanged = datetime(2000, 1, 1, tzinfo=UTC)
    tags = list_names_of_groups(db.session(), [tile.group.id for tile in tiles])
    entries = [
        {
            # Without the title, which may change, and the same in all languages.
            "id": _make_url("show_group", number=tile.group.id, lang=None),
            "url": make_absolute(make_group_url(tile.group)),
            "title": get_title(tile.group),
            "summary": make_description(tile.group),
            "text": make_plain(tile.group.text),
            "published_at": _format(tile.group.created_at),
            "updated_at": _format(tile.group.updated_at),
            "picture": make_lasting_url(tile.group.id, tile.cover.number, 960),
            "alt": tile.cover.alt or get_title(tile.group),
            "rendition": _find_rendition(tile.cover, 960),
            "video": _find_video(tile.cover),
            "tags": tags[tile.group.id],
        }
        for tile in tiles
    ]
    feed = render_template(
        "gallery/feed.xml",
        url=urls[0],
        front_url=urls[1],
        title=title,
        subtitle=subtitle,
        # A feed must have an author.
        author=get_site().title,
        updated_at=_format(max((tile.group.updated_at for tile in tiles), default=unchanged)),
        entries=entries,
    )
    return _answer_xml(feed, _FEED_SECONDS, "application/atom+xml")


def _find_video(image: Image) -> dict[str, Any] | None:
    """Describe the video of a cover, to be enclosed. Source: RFC 4287, section 4.2.7.2."""
    if not may_play(image):
        return None
    mime_type = MIME_TYPES.get(image.mime_type, image.mime_type)
    url = make_lasting_video_url(image)
    return {"url": url, "mime_type": mime_type, "size_bytes": image.size_bytes}


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
