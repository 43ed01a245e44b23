"""Works and series on other sites: pages for frames, the code that embeds them, and oEmbed.

A page for a frame has no script, sets no cookie, and can only be framed by the sites in the
setting. It fits a frame of any size: the pictures fill the space above the label.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any
from urllib.parse import unquote, urlsplit

from flask import Response, jsonify, make_response, url_for
from flask.typing import ResponseReturnValue
from markupsafe import escape
from pydantic import BeforeValidator

from imagehub.database import db
from imagehub.domain.library import gallery
from imagehub.domain.library import images as library_images
from imagehub.domain.library import series as library_series
from imagehub.errors import ImageHubError, NotFoundError
from imagehub.gallery import blueprint
from imagehub.gallery.languages import list_owners, use_visitors_language
from imagehub.gallery.pages import make_lasting_url
from imagehub.gallery.pictures import Picture, get_title, make_group_url, make_picture
from imagehub.gallery.series import get_series_title, list_card_owners, make_series_url
from imagehub.gallery.series_dates import describe_dates
from imagehub.gallery.walls import make_placeholder_css
from imagehub.models import Group, Image, Rendition, Series
from imagehub.web.errors import get_error_status, on_refusal
from imagehub.web.forms import Form, read_query
from imagehub.web.headers import make_absolute, make_frame_policy
from imagehub.web.i18n import get_site
from imagehub.web.numbers import note_frame
from imagehub.web.templating import pick_theme, render_without_database
from imagehub.wiring import get_settings

_OEMBED_SECONDS = 3600
_SIZES = (480, 720, 960, 1920)
_MAX_PICTURES = 12
# The width of a frame without other bounds; the heights match embed.css.
_FRAME_PX = 640
_LABEL_PX = 80
_STRIP_SHARE = 0.56
_MOST_SHARE = 1.1
# A smaller frame has no space for the label; oEmbed then describes a photo.
_LEAST_FRAME_PX = (240, 200)


@dataclass(frozen=True)
class Frame:
    """The frame of a work or series on another site: its page's address, and its usual size."""

    url: str
    title: str
    width: int
    height: int

    @property
    def code(self) -> str:
        """Return the HTML for another page: as wide as there is room, in the same proportions."""
        return (
            f'<iframe src="{escape(self.url)}" title="{escape(self.title)}" width="{self.width}" '
            f'height="{self.height}" loading="lazy" referrerpolicy="no-referrer" '
            f'style="border:0;max-width:100%"></iframe>'
        )


# --- The pages for frames -------------------------------------------------------------------------


class FrameQuery(Form):
    """``theme``: ``light`` or ``dark`` to match the page around it; otherwise the visitor's own."""

    theme: str = ""


def _refuse(error: ImageHubError, **_: object) -> ResponseReturnValue:
    """Say in the frame that the work or series is no longer shown."""
    if not get_settings().embed_sites:
        raise error
    response = _answer_frame("gallery/embed_gone.html")
    response.status_code = get_error_status(error)
    response.headers["Cache-Control"] = "no-store"
    return response


@blueprint.get("/embed/groups/<db_id:number>")
@on_refusal(_refuse, NotFoundError)
def show_group_embed(number: int) -> ResponseReturnValue:
    """Show a work in a frame on another site, its shots side by side, the cover first."""
    _check_open(number)
    group = gallery.get_shown_group(db.session(), number)
    images = library_images.list_images(db.session(), number)
    cover_first = sorted(images, key=lambda image: image.id != group.cover_id)[:_MAX_PICTURES]
    use_visitors_language([group, *cover_first], is_short=True)
    shots = [
        make_picture(group, image, f"s{image.number}", position, full_url="")
        for position, image in enumerate(cover_first, start=1)
    ]
    pictures = [
        {
            "picture": shot,
            "url": url_for("gallery.show_shot", number=number, shot=shot.number)
            if len(shots) > 1
            else make_group_url(group),
            "caption": shot.role if len(shots) > 1 else "",
        }
        for shot in shots
    ]
    note_frame("group", group.id)
    return _show_frame(get_title(group), make_group_url(group), [group.year], pictures)


@blueprint.get("/embed/series/<db_id:number>")
@on_refusal(_refuse, NotFoundError)
def show_series_embed(number: int) -> ResponseReturnValue:
    """Show the first works of a series, or its parts, in a frame on another site."""
    _check_open(number)
    series = library_series.get_shown_series(db.session(), number)
    covers = list(library_series.get_series_page(db.session(), series, 1, _MAX_PICTURES).tiles)
    parts = []
    if not covers:
        parts = library_series.list_shown_series(db.session(), series.id)[:_MAX_PICTURES]
    use_visitors_language([series, *list_owners(covers), *list_card_owners(parts)], is_short=True)
    titled = [(make_group_url(tile.group), get_title(tile.group), tile) for tile in covers]
    titled += [
        (make_series_url(one.series), get_series_title(one.series), one.cover) for one in parts
    ]
    pictures = [
        {
            "picture": make_picture(tile.group, tile.cover, f"p{place}", full_url=""),
            "url": url,
            "caption": title,
        }
        for place, (url, title, tile) in enumerate(titled)
    ]
    facts = [describe_dates(series), series.place]
    note_frame("series", series.id)
    return _show_frame(get_series_title(series), make_series_url(series), facts, pictures)


def _check_open(number: int) -> None:
    """:raise NotFoundError: embedding is off."""
    if not get_settings().embed_sites:
        raise NotFoundError("page", number)


def _show_frame(
    title: str, path: str, facts: Sequence[str], pictures: Sequence[dict[str, Any]]
) -> Response:
    shown: list[Picture] = [one["picture"] for one in pictures]
    is_strip = len(shown) > 1
    # Only the first one or two of a strip are in view.
    loading = ["first", "eager"] + ["lazy"] * _MAX_PICTURES
    sizes = "(min-width: 640px) 60vw, 90vw" if is_strip else "100vw"
    css = make_placeholder_css(shown)
    css += "".join(f"#{one.id}{{--ratio:{one.ratio:.4f}}}" for one in shown)
    placed = [
        one | {"picture": replace(one["picture"], loading=when, sizes=sizes)}
        for one, when in zip(pictures, loading, strict=False)
    ]
    response = _answer_frame(
        "gallery/embed.html",
        title=title,
        url=make_absolute(path),
        facts=[fact for fact in facts if fact.strip()],
        pictures=placed,
        is_strip=is_strip,
        embed_css=css,
    )
    response.headers["Cache-Control"] = "public, no-cache"
    response.vary.update(("Cookie", "Accept-Language"))
    return response


def _answer_frame(template: str, **values: Any) -> Response:
    """Render a page that the sites in the setting may frame."""
    theme = pick_theme(read_query(FrameQuery).theme)
    # No session is read, so nothing depends on it and no cookie is set.
    response = make_response(render_without_database(template, frame_theme=theme, **values))
    response.headers["Content-Security-Policy"] = make_frame_policy(get_settings())
    response.headers["X-Robots-Tag"] = "noindex"
    return response


# --- The code for frames --------------------------------------------------------------------------


def _make_frame(
    view: str,
    number: int,
    title: str,
    ratio: float | None,
    max_width: float = math.inf,
    max_height: float = math.inf,
) -> Frame:
    """Describe the frame of a work or series.

    :param ratio: of the one picture that it shows; None for a strip of several.
    """
    url = make_absolute(url_for(f"gallery.{view}", number=number))
    width = int(min(_FRAME_PX, max_width))
    high = width * _STRIP_SHARE if ratio is None else min(width / ratio, width * _MOST_SHARE)
    height = min(round(high) + _LABEL_PX, max_height)
    return Frame(url, f"{title} – {get_site().title}", width, int(height))


def find_group_frame(group: Group, ratio: float) -> Frame | None:
    """Describe the frame of a work; None if embedding is off.

    :param ratio: of its cover.
    """
    if not get_settings().embed_sites:
        return None
    single = ratio if group.image_count == 1 else None
    return _make_frame("show_group_embed", group.id, get_title(group), single)


def find_series_frame(series: Series) -> Frame | None:
    """Describe the frame of a series; None if embedding is off."""
    if not get_settings().embed_sites:
        return None
    return _make_frame("show_series_embed", series.id, get_series_title(series), None)


blueprint.add_app_template_global(find_group_frame, "group_frame")
blueprint.add_app_template_global(find_series_frame, "series_frame")


# --- oEmbed ---------------------------------------------------------------------------------------


def _read_bound(text: object) -> float:
    if text in ("", math.inf):
        return math.inf
    if not re.fullmatch("[1-9][0-9]{0,5}", str(text)):
        raise ValueError("must be a whole number of pixels above 0")
    return float(str(text))


class EmbedQuery(Form):
    """The address of a page, and the largest size that fits on the other site."""

    url: str = ""
    format: str = "json"
    maxwidth: Annotated[float, BeforeValidator(_read_bound)] = math.inf
    maxheight: Annotated[float, BeforeValidator(_read_bound)] = math.inf


@dataclass(frozen=True)
class _Subject:
    """What an address shows: title, path, picture, and the frame if every site may embed it."""

    title: str
    path: str
    short_path: str
    image: Image
    frame: Frame | None = None


@blueprint.get("/oembed")
def show_oembed() -> ResponseReturnValue:
    """Describe a work, a shot or a series for other sites. Source: https://oembed.com.

    The answer is a frame if every site may embed works and the frame fits, else a photo. The hub
    does not know which site is asking, and browsers show an error where a frame is not allowed.

    :raise NotFoundError: the address is not that of a published work or series.
    """
    fields = read_query(EmbedQuery)
    if fields.format != "json":
        return jsonify({"detail": "Only JSON is supported."}), 501
    width, height = fields.maxwidth, fields.maxheight
    subject = _find_subject(fields.url, width, height)
    settings = get_site()
    answer: dict[str, Any] = {
        "version": "1.0",
        "type": "photo",
        "title": subject.title,
        "web_page": make_absolute(subject.path),
        "web_page_short_url": make_absolute(subject.short_path),
        "author_name": settings.title,
        "author_url": make_absolute(url_for("gallery.show_front")),
        "provider_name": settings.title,
        "provider_url": make_absolute(url_for("gallery.show_front")),
        "cache_age": _OEMBED_SECONDS,
    }
    image = subject.image
    if subject.frame is not None:
        frame = subject.frame
        answer |= {"type": "rich", "html": frame.code, "width": frame.width, "height": frame.height}
    else:
        answer |= _describe_photo(image, width, height)
    small = _find_rendition(image, 480)
    # A thumbnail must be within the same bounds.
    if small is not None and small.width_px <= width and small.height_px <= height:
        answer["thumbnail_url"] = make_lasting_url(image.group_id, image.number, 480)
        answer |= {"thumbnail_width": small.width_px, "thumbnail_height": small.height_px}
    response = jsonify(answer)
    response.headers["Cache-Control"] = f"public, max-age={_OEMBED_SECONDS}"
    # The title of a work without one is in the visitor's language.
    response.vary.update(("Accept-Language", "Cookie"))
    response.headers["Access-Control-Allow-Origin"] = "*"
    return response


def _find_subject(url: str, width: float, height: float) -> _Subject:
    """Find what an address of this hub shows.

    :param width: with ``height``, the bounds of a frame.
    """
    kind, number, shot = _read_page_url(url)
    session = db.session()
    least_width, least_height = _LEAST_FRAME_PX
    has_room = width >= least_width and height >= least_height
    is_framed = "*" in get_settings().embed_sites and has_room
    if kind == "series":
        series = library_series.get_shown_series(session, number)
        cover = library_series.find_cover(session, series)
        if cover is None:
            raise NotFoundError("series", number)
        use_visitors_language([series], is_short=True)
        title, short = get_series_title(series), url_for("gallery.show_one_series", number=number)
        subject = _Subject(title, make_series_url(series), short, cover.cover)
        view, ratio = "show_series_embed", None
    else:
        image: Image | None
        if shot is None:
            group = gallery.get_shown_group(session, number)
            image = library_images.find_cover(session, group)
        else:
            group, image = gallery.get_shown_image(session, number, shot)
        if image is None:
            raise NotFoundError("work", number)
        use_visitors_language([group], is_short=True)
        short = url_for("gallery.show_group", number=number)
        subject = _Subject(get_title(group), make_group_url(group), short, image)
        is_framed = is_framed and shot is None
        view, ratio = "show_group_embed", _find_ratio(image) if group.image_count == 1 else None
    if not is_framed:
        return subject
    return replace(subject, frame=_make_frame(view, number, subject.title, ratio, width, height))


def _find_ratio(image: Image) -> float:
    rendition = _find_rendition(image, 1920)
    return rendition.width_px / rendition.height_px if rendition else 1.5


def _describe_photo(image: Image, width: float, height: float) -> dict[str, Any]:
    """Return address and size of the largest rendition within the bounds, or the smallest one."""
    sizes = [(size, library_images.pick_rendition(image, size)) for size in _SIZES]
    fitting = [one for one in sizes if one[1].width_px <= width and one[1].height_px <= height]
    size, rendition = fitting[-1] if fitting else sizes[0]
    # The smallest rendition may still be larger than requested.
    share = min(1.0, width / rendition.width_px, height / rendition.height_px)
    return {
        "url": make_lasting_url(image.group_id, image.number, size),
        "width": max(1, int(rendition.width_px * share)),
        "height": max(1, int(rendition.height_px * share)),
    }


def _read_page_url(url: str) -> tuple[str, int, int | None]:
    """Return ``groups`` or ``series`` of an address of this hub, the number, and that of a shot."""
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise NotFoundError("work", url) from error
    here = urlsplit(make_absolute(url_for("gallery.show_front")))
    root = re.escape(here.path.rstrip("/"))
    pattern = rf"{root}/(groups|series)/([0-9]{{1,19}})(?:/([^/]*))?/?"
    found = re.fullmatch(pattern, unquote(parts.path))
    is_here = parts.netloc.lower() == here.netloc.lower() and parts.scheme in ("http", "https")
    if not is_here or found is None:
        raise NotFoundError("work", url)
    kind, number, rest = found[1], int(found[2]), found[3] or ""
    is_shot = kind == "groups" and re.fullmatch("[0-9]{1,10}", rest) is not None
    return kind, number, int(rest) if is_shot else None


def _find_rendition(image: Image, size: int) -> Rendition | None:
    return library_images.pick_rendition(image, size) if image.renditions else None
