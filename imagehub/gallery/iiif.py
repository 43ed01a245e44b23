"""Works and series for other viewers: manifests and collections of the IIIF Presentation API 3.

Only published works and series have one. Other sites keep copies, so prices and other facts that
change often are left out; ``homepage`` links to the page that has them. Labels are in all languages
of the interface, and texts in all languages of the hub, so every visitor gets the same response.

Source: IIIF Presentation API 3.0.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from flask import Response, current_app, url_for
from flask.typing import ResponseReturnValue

from imagehub.database import db
from imagehub.domain.library import gallery
from imagehub.domain.library import images as library_images
from imagehub.domain.library import series as library_series
from imagehub.domain.library.credits import Credits, get_credits
from imagehub.domain.library.gallery import Tile
from imagehub.domain.library.tags import list_group_tags
from imagehub.domain.library.tiles import list_tile_services
from imagehub.domain.translations import Owner, list_texts
from imagehub.errors import NotFoundError
from imagehub.gallery import blueprint
from imagehub.gallery.pages import make_lasting_url
from imagehub.gallery.pictures import ROLES, make_group_url
from imagehub.gallery.series import make_series_url
from imagehub.gallery.tiles import make_service_url
from imagehub.gallery.videos import make_lasting_video_url, may_play
from imagehub.imaging.video import MIME_TYPES
from imagehub.markdown import make_plain
from imagehub.messages import Message, mark
from imagehub.models import Group, Image, Rendition, Series
from imagehub.translator import LANGUAGES, get_translator
from imagehub.web.headers import make_absolute
from imagehub.wiring import get_settings

CONTEXT = "http://iiif.io/api/presentation/3/context.json"
# A collection has no pages of its own, so a longer series is a collection of collections.
WORKS_PER_COLLECTION = 200

# What ``rights`` may name, by http and without a language. Other licences are facts.
_CREATIVE_COMMONS = re.compile(
    r"https?://(?:www\.)?creativecommons\.org/((?:licenses|publicdomain)/[a-z-]+/[0-9.]+)(?:/.*)?"
)
_STATEMENT = re.compile(
    r"https?://rightsstatements\.org/(?:vocab|page)/([A-Za-z-]+/[0-9.]+)(?:/.*)?"
)
# Strings of each language; "none" where the language is not known. Source: section 4.
LanguageMap = dict[str, list[str]]


class _Texts:
    """The texts of works and series in all languages of the hub; see ``list_texts``."""

    def __init__(self, owners: Iterable[Owner | None]) -> None:
        shown = [owner for owner in owners if owner is not None]
        self._texts = list_texts(db.session(), get_settings().text_languages, shown)

    def write(self, owner: Owner, field: str) -> LanguageMap:
        """Return a text without Markdown; empty if there is none."""
        found = self._texts[owner][field]
        return {code or "none": [make_plain(text).strip()] for code, text in found.items()}

    def name_group(self, group: Group) -> LanguageMap:
        return self.write(group, "title") or _say(mark("Untitled"))

    def name_series(self, series: Series) -> LanguageMap:
        return self.write(series, "title") or _say(library_series.name_series(series))


def make_manifest_url(group: Group) -> str:
    """Return the absolute address of a work's manifest, which never changes."""
    return make_absolute(url_for("gallery.show_work_manifest", number=group.id))


def make_collection_url(series: Series) -> str:
    """Return the absolute address of a series' collection, which never changes."""
    return make_absolute(url_for("gallery.show_series_collection", number=series.id))


blueprint.add_app_template_global(make_manifest_url, "manifest_url")
blueprint.add_app_template_global(make_collection_url, "collection_url")


@blueprint.get("/iiif/groups/<db_id:number>/manifest.json")
def show_work_manifest(number: int) -> ResponseReturnValue:
    """Describe a work: a canvas for each of its shots."""
    session = db.session()
    group = gallery.get_shown_group(session, number)
    images = [one for one in library_images.list_images(session, group.id) if _list_webp(one)]
    if not images:
        raise NotFoundError("image", number)
    tiled = list_tile_services(session, get_settings(), group, images)
    in_series = library_series.list_shown_of_group(session, group.id)
    cover = next((image for image in images if image.id == group.cover_id), images[0])
    tags = [tag.name for tag in list_group_tags(session, group.id)]
    texts = _Texts([group, *in_series])
    credits = get_credits(get_settings(), group)
    rights = find_rights(credits.license_url)
    facts: list[tuple[str, LanguageMap | list[str]]] = [
        (mark("Artist"), [credits.creator]),
        (mark("Year"), [group.year]),
        (mark("Medium"), texts.write(group, "medium")),
        (mark("Dimensions"), texts.write(group, "dimensions")),
        (mark("Edition"), texts.write(group, "edition")),
        (mark("Tags"), tags),
        (mark("Licence"), ["" if rights else credits.license_url]),
    ]
    about = _describe(
        "Manifest",
        make_manifest_url(group),
        texts.name_group(group),
        texts.write(group, "text"),
        facts,
        credits,
    )
    data = {
        **about,
        **({"rights": rights} if rights else {}),
        "homepage": [_make_page(make_group_url(group), texts.name_group(group))],
        "thumbnail": [_make_thumbnail(group, cover)],
        "behavior": ["individuals"],
        "items": [
            _make_canvas(group, image, position, image.id in tiled)
            for position, image in enumerate(images, start=1)
        ],
    }
    if in_series:
        data["partOf"] = [
            _refer("Collection", make_collection_url(one), texts.name_series(one))
            for one in in_series
        ]
    return _answer(data)


@blueprint.get("/iiif/series/<db_id:number>/collection.json")
def show_series_collection(number: int) -> ResponseReturnValue:
    """Describe a series: its parts, and its works or collections of them."""
    session = db.session()
    series = library_series.get_shown_series(session, number)
    parent = session.get(Series, series.parent_id) if series.parent_id else None
    parts = library_series.list_shown_series(session, series.id) if parent is None else []
    page = library_series.get_series_page(session, series, 1, WORKS_PER_COLLECTION)
    works = [tile.group for tile in page.tiles]
    texts = _Texts([series, parent, *(one.series for one in parts), *works])
    items = [
        _refer(
            "Collection",
            make_collection_url(one.series),
            texts.name_series(one.series),
            one.cover,
        )
        for one in parts
    ]
    if page.page_count > 1:
        items += [
            _refer("Collection", _make_stretch_url(series, at), _name_stretch(series, at))
            for at in range(1, page.page_count + 1)
        ]
    else:
        items += _list_works(texts, page.tiles)
    covers = [*page.tiles, *(one.cover for one in parts)]
    data = {
        **_describe(
            "Collection",
            make_collection_url(series),
            texts.name_series(series),
            texts.write(series, "text"),
            [
                (mark("Dates"), texts.write(series, "dates") or _say_days(series)),
                (mark("Place"), texts.write(series, "place")),
            ],
        ),
        "homepage": [_make_page(make_series_url(series), texts.name_series(series))],
        "items": items,
    }
    if covers:
        data["thumbnail"] = [_make_thumbnail(covers[0].group, covers[0].cover)]
    if parent is not None:
        name = texts.name_series(parent)
        data["partOf"] = [_refer("Collection", make_collection_url(parent), name)]
    return _answer(data)


@blueprint.get("/iiif/series/<db_id:number>/collection/<db_id:stretch>.json")
def show_series_stretch(number: int, stretch: int) -> ResponseReturnValue:
    """Describe one of the collections that make up a long series, counted from 1."""
    session = db.session()
    series = library_series.get_shown_series(session, number)
    page = library_series.get_series_page(session, series, stretch, WORKS_PER_COLLECTION)
    if not page.tiles:
        raise NotFoundError("page", stretch)
    url = _make_stretch_url(series, stretch)
    texts = _Texts([series, *(tile.group for tile in page.tiles)])
    whole = _refer("Collection", make_collection_url(series), texts.name_series(series))
    data = {
        **_describe("Collection", url, _name_stretch(series, stretch)),
        "partOf": [whole],
        "items": _list_works(texts, page.tiles),
    }
    return _answer(data)


def find_rights(url: str) -> str:
    """Return the address of a licence for ``rights``; "" if ``rights`` may not name it."""
    if found := _CREATIVE_COMMONS.fullmatch(url):
        return f"http://creativecommons.org/{found[1]}/"
    if found := _STATEMENT.fullmatch(url):
        return f"http://rightsstatements.org/vocab/{found[1]}/"
    return ""


# --- Parts ----------------------------------------------------------------------------------------


def _describe(
    kind: str,
    url: str,
    label: LanguageMap,
    text: LanguageMap | None = None,
    facts: Sequence[tuple[str, LanguageMap | list[str]]] = (),
    credits: Credits | None = None,
) -> dict[str, Any]:
    """Return what manifests and collections have in common.

    :param facts: names, to be translated, and values, with or without languages; those without a
        value are left out.
    :param credits: by default those of the hub.
    """
    credits = credits or get_credits(get_settings())
    source = credits.copyright_notice or credits.credit_line or get_settings().title
    title = {"none": [get_settings().title]}
    front = make_absolute(url_for("gallery.show_front"))
    pairs = [(name, _drop_empty(values)) for name, values in facts]
    data: dict[str, Any] = {
        "@context": CONTEXT,
        "id": url,
        "type": kind,
        "label": label,
        "metadata": [{"label": _say(name), "value": values} for name, values in pairs if values],
        "requiredStatement": {"label": _say(mark("Attribution")), "value": {"none": [source]}},
        "provider": [
            {"id": front, "type": "Agent", "label": title, "homepage": [_make_page(front, title)]}
        ],
    }
    if text:
        data["summary"] = text
    return data


def _drop_empty(values: LanguageMap | list[str]) -> LanguageMap:
    if isinstance(values, dict):
        return values
    shown = [value.strip() for value in values if value.strip()]
    return {"none": shown} if shown else {}


def _make_canvas(group: Group, image: Image, position: int, has_tiles: bool) -> dict[str, Any]:
    """Describe a shot. The numbers of its canvas and image are never used again in its group."""
    url = f"{make_manifest_url(group).removesuffix('/manifest.json')}/canvas/{image.number}"
    largest = max(_list_webp(image), key=lambda one: one.size_px)
    still = _make_picture(group, image, largest)
    # A canvas with a length must say how long it is.
    body = _make_video(image) if may_play(image) and image.duration_ms else still
    if has_tiles and body is still:
        service = {"id": make_service_url(image.id), "type": "ImageService3", "profile": "level0"}
        body["service"] = [service]
    role = ROLES.get(image.role)
    # The original's size, so that it stays the same when tiles are turned on.
    width, height = image.width_px or largest.width_px, image.height_px or largest.height_px
    canvas = {
        "id": url,
        "type": "Canvas",
        "label": _say(role or Message("Shot %(number)s", number=position)),
        "width": width,
        "height": height,
        "thumbnail": [_make_thumbnail(group, image)],
        "items": _paint(url, body),
    }
    if body is not still:
        placeholder = f"{url}/placeholder"
        canvas["duration"] = body["duration"]
        canvas["placeholderCanvas"] = {
            "id": placeholder,
            "type": "Canvas",
            "width": largest.width_px,
            "height": largest.height_px,
            "items": _paint(placeholder, still),
        }
    return canvas


def _paint(url: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the content of a canvas: one picture or video that fills it."""
    annotation = {
        "id": f"{url}/image",
        "type": "Annotation",
        "motivation": "painting",
        "body": body,
        "target": url,
    }
    return [{"id": f"{url}/page", "type": "AnnotationPage", "items": [annotation]}]


def _make_video(image: Image) -> dict[str, Any]:
    """Describe a video by its lasting address. Source: section 5.3; lengths are in seconds."""
    return {
        "id": make_lasting_video_url(image),
        "type": "Video",
        "format": MIME_TYPES.get(image.mime_type, image.mime_type),
        "width": image.width_px,
        "height": image.height_px,
        "duration": image.duration_ms / 1000,
    }


def _make_thumbnail(group: Group, image: Image) -> dict[str, Any]:
    return _make_picture(group, image, library_images.pick_rendition(image, 480))


def _make_picture(group: Group, image: Image, rendition: Rendition) -> dict[str, Any]:
    """Describe a rendition by its lasting address, which redirects to one that expires."""
    return {
        "id": make_lasting_url(group.id, image.number, rendition.size_px),
        "type": "Image",
        "format": rendition.mime_type,
        "width": rendition.width_px,
        "height": rendition.height_px,
    }


def _list_webp(image: Image) -> list[Rendition]:
    return [one for one in image.renditions if one.mime_type == "image/webp"]


def _list_works(texts: _Texts, tiles: Sequence[Tile]) -> list[dict[str, Any]]:
    return [
        _refer("Manifest", make_manifest_url(tile.group), texts.name_group(tile.group), tile)
        for tile in tiles
    ]


def _refer(kind: str, url: str, label: LanguageMap, cover: Tile | None = None) -> dict[str, Any]:
    data: dict[str, Any] = {"id": url, "type": kind, "label": label}
    if cover is not None and _list_webp(cover.cover):
        data["thumbnail"] = [_make_thumbnail(cover.group, cover.cover)]
    return data


def _make_page(path: str, label: LanguageMap) -> dict[str, Any]:
    fixed = get_settings().language
    return {
        "id": path if path.startswith("http") else make_absolute(path),
        "type": "Text",
        "label": label,
        "format": "text/html",
        "language": [fixed] if fixed in LANGUAGES else list(LANGUAGES),
    }


def _make_stretch_url(series: Series, number: int) -> str:
    path = url_for("gallery.show_series_stretch", number=series.id, stretch=number)
    return make_absolute(path)


def _name_stretch(series: Series, number: int) -> LanguageMap:
    first = (number - 1) * WORKS_PER_COLLECTION + 1
    last = min(series.shown_count, number * WORKS_PER_COLLECTION)
    if first == last:
        return _say(Message("Work %(number)s", number=first))
    return _say(Message("Works %(first)s–%(last)s", first=first, last=last))


def _say(text: str) -> LanguageMap:
    """Translate a marked text or a message into all languages of the interface."""
    return {code: [get_translator(code).translate(text)] for code in LANGUAGES}


def _say_days(series: Series) -> LanguageMap:
    """Say the days of a series in all languages of the pages; empty if it has none."""
    first, last = series.first_day, series.last_day
    said = {code: get_translator(code).format_days(first, last) for code in LANGUAGES}
    return {code: [days] for code, days in said.items() if days}


def _answer(data: dict[str, Any]) -> Response:
    """Answer with JSON-LD that scripts on all sites may read. Source: section 6.3."""
    content_type = f'application/ld+json;profile="{CONTEXT}"'
    response = Response(current_app.json.dumps(data), content_type=content_type)
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Cache-Control"] = "public, no-cache"
    return response
