"""The pages for visitors: one work, one shot of it, and what all lists of works have in common."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from flask import Response, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from pydantic import BeforeValidator

from imagehub.database import db
from imagehub.domain.library import filters, gallery
from imagehub.domain.library import images as library_images
from imagehub.domain.library import series as library_series
from imagehub.domain.library.credits import Credits, describe_credits, get_credits
from imagehub.domain.library.dimensions import read_size
from imagehub.domain.library.filters import Choice, FilteredPage, GalleryScope, SeriesScope
from imagehub.domain.library.prices import find_price
from imagehub.domain.library.similar import list_similar_ids
from imagehub.domain.library.tags import TagList, list_group_tags, list_related_ids
from imagehub.domain.library.tiles import list_tile_services
from imagehub.domain.library.years import make_iso_year
from imagehub.errors import NotFoundError
from imagehub.gallery import blueprint
from imagehub.gallery.filters import Address, FilterQuery, make_filter_view, make_palette_css
from imagehub.gallery.languages import list_owners, use_visitors_language
from imagehub.gallery.layouts import FEATURED, WALL, lay_out
from imagehub.gallery.pictures import (
    Picture,
    get_title,
    list_facts,
    list_record,
    make_group_url,
    make_picture,
    make_slug,
    shrink_picture,
)
from imagehub.gallery.tiles import make_tiles_base
from imagehub.gallery.videos import make_lasting_video_url
from imagehub.gallery.walls import make_placeholder_css, make_wall
from imagehub.imaging.video import MIME_TYPES
from imagehub.markdown import make_plain
from imagehub.models import Group, Image, Tag
from imagehub.web.forms import Form, PageStart, read_query
from imagehub.web.headers import allow_videos, make_absolute
from imagehub.web.i18n import get_language, get_site
from imagehub.web.numbers import note, note_page
from imagehub.wiring import get_settings

_MAX_DESCRIPTION_CHARS = 155
_MAX_RELATED = 4
_MAX_SIMILAR = 6
# Related works are shown large where so much room is left below the label of a work, and a label
# higher than this does not stay in view.
_LARGE_RELATED_PX = 340
_LONG_LABEL_PX = 640
# A work that is not for sale has no offer. Source: https://schema.org/ItemAvailability.
_OFFERS = {"available": "InStock", "reserved": "Reserved", "sold": "SoldOut"}

blueprint.add_app_template_global(make_group_url, "group_url")
blueprint.add_app_template_global(get_title, "group_title")


def _read_page_number(text: object) -> int:
    if not re.fullmatch("[1-9][0-9]{0,11}", str(text)):
        raise NotFoundError("page", text)
    return int(str(text))


class PageQuery(Form):
    """A page of a list, counted from 1. Anything but a number raises NotFoundError."""

    page: Annotated[int, BeforeValidator(_read_page_number)] = 1


class WallQuery(PageQuery, FilterQuery):
    """A page of works: by its number, or by what was chosen and where it begins."""


class WorkQuery(Form):
    """``series``: the series that the visitor came from; 0 if it is none."""

    series: PageStart = 0


@blueprint.get("/groups/<db_id:number>")
@blueprint.get("/groups/<db_id:number>/<slug>")
def show_group(number: int, slug: str = "") -> ResponseReturnValue:
    """Show one work with all its shots; an address with an old title is redirected."""
    group = gallery.get_shown_group(db.session(), number)
    chosen = read_query(WorkQuery).series
    if slug != make_slug(group.title):
        return redirect(make_group_url(group, chosen), 301)
    return _show_work(group, None, chosen)


@blueprint.get("/groups/<db_id:number>/<db_id:shot>")
def show_shot(number: int, shot: int) -> ResponseReturnValue:
    """Show a work with one of its shots first; a script opens it in the viewer."""
    group, image = gallery.get_shown_image(db.session(), number, shot)
    return _show_work(group, image, 0)


def _show_work(group: Group, chosen: Image | None, series_id: int) -> ResponseReturnValue:
    note("group", group.id)
    allow_videos()
    session = db.session()
    in_series = library_series.list_shown_of_group(session, group.id)
    from_series = next((one for one in in_series if one.id == series_id), None)
    if from_series is not None:
        beside_it = library_series.find_beside_in_series(session, from_series.id, group.id)
    else:
        beside_it = gallery.find_neighbours(session, group)
    images = library_images.list_images(session, group.id)
    neighbours_found = [
        (rel, one, cover)
        for rel, one in zip(("prev", "next"), beside_it, strict=True)
        if one is not None and (cover := library_images.find_cover(session, one)) is not None
    ]
    beside = {one.id for _, one, _ in neighbours_found}
    related_ids = [one for one in list_related_ids(session, group) if one not in beside]
    related_ids = related_ids[:_MAX_RELATED]
    are_related = bool(related_ids)
    similar_ids = [
        one
        for one in list_similar_ids(session, group.id)
        if one not in beside and one not in related_ids
    ][:_MAX_SIMILAR]
    if not are_related:
        around = gallery.list_around(session, group, _MAX_RELATED + _MAX_SIMILAR)
        related_ids = [one for one in around if one not in similar_ids][:_MAX_RELATED]
    # The indexes are updated with the groups; should one be wrong, a draft is still not shown.
    tiles = [
        tile
        for tile in gallery.load_tiles(session, [*related_ids, *similar_ids])
        if tile.group.is_shown
    ]
    covers = [owner for _, one, cover in neighbours_found for owner in (one, cover)]
    use_visitors_language([group, *images, *in_series, *covers, *list_owners(tiles)])
    lead = next((image for image in images if chosen and image.id == chosen.id), images[0])
    tiled = list_tile_services(session, get_settings(), group, images)
    shots = {}
    for position, image in enumerate(images, start=1):
        url = make_tiles_base("gallery.show_tile", number=image.id) if image.id in tiled else ""
        element_id = f"s{image.number}"
        shots[image.number] = make_picture(group, image, element_id, position, tiles_url=url)
    others, css = make_wall(
        [shots[image.number] for image in images if image.id != lead.id],
        is_last=True,
        wall_share=0.62,
        may_grow=False,
    )
    first = shots[lead.number]
    large, neighbours = [first], []
    for rel, one, cover in neighbours_found:
        picture = make_picture(one, cover, f"g{one.id}")
        neighbours.append({"rel": rel, "group": one, "picture": picture})
        large.append(picture)
    related: list[dict[str, Any]] = []
    similar: list[dict[str, Any]] = []
    small: list[Picture] = []
    for tile in tiles:
        is_similar = tile.group.id in similar_ids
        name = f"{'k' if is_similar else 'r'}{tile.group.id}"
        picture = shrink_picture(tile.cover, make_picture(tile.group, tile.cover, name))
        (similar if is_similar else related).append({"group": tile.group, "picture": picture})
        small.append(picture)
    for mark, pictures in (("#", large), (".", small)):
        css += make_placeholder_css(pictures, mark)
        css += "".join(f"{mark}{one.id}{{--ratio:{one.ratio:.4f}}}" for one in pictures)
    tags = list_group_tags(session, group.id)
    record, facts = list_record(group), list_facts(lead)
    credits = get_credits(get_settings(), group)
    line_count = len(record) + len(facts) + (2 if tags else 0) + (1 if credits else 0)
    label_px = _estimate_label(group.text, line_count)
    return render_page(
        "gallery/group.html",
        group=group,
        title=get_title(group),
        is_chosen=chosen is not None,
        position=images.index(lead) + 1,
        first=first,
        others=others,
        record=record,
        facts=facts,
        credits=credits,
        tags=tags,
        in_series=in_series,
        from_series=from_series,
        tile_series=from_series.id if from_series else None,
        neighbours=neighbours,
        related=related,
        similar=similar,
        are_related=are_related,
        # A video is not shown in a room.
        has_pictures=any(not image.is_video for image in images),
        has_large_related=_find_hero_height(first) - label_px > _LARGE_RELATED_PX,
        is_long_label=label_px > _LONG_LABEL_PX,
        wall_css=css,
        # For search engines all shots are one page.
        canonical=make_absolute(make_group_url(group)),
        description=make_description(group),
        linked_data=_describe_work(group, images, shots, tags, credits),
    )


def _find_hero_height(picture: Picture) -> float:
    """Return the height in CSS pixels of a work's large shot, on a desktop of 1440 × 900."""
    return min(764.0, 870 / picture.ratio)


def _estimate_label(text: str, line_count: int) -> float:
    """Return about how high a work's label is there, in CSS pixels, without related works.

    :param line_count: of everything except the title, the text and the actions.
    """
    text_lines = sum(1 + len(line) // 42 for line in text.split("\n")) if text.strip() else 0
    return 300.0 + 28 * (line_count + text_lines)


def make_tiles(page: gallery.Page, layout: str = WALL) -> dict[str, Any]:
    """Return the values that ``gallery/_walls.html`` needs for one page of works.

    The caller has put the texts of the visitor's language in place.

    :param layout: one of ``layouts.LAYOUTS``.
    """
    # In the viewer, which opens on this page.
    allow_videos()
    pictures = [make_picture(tile.group, tile.cover, f"g{tile.group.id}") for tile in page.tiles]
    is_last = page.number >= page.page_count
    if isinstance(page, FilteredPage):
        is_last = page.after is None
    featured: dict[str, Any] = {}
    top_css = ""
    if above := page.featured:
        picture = make_picture(above.group, above.cover, f"g{above.group.id}")
        (picture,), top_css = lay_out([picture], FEATURED)
        featured = {"group": above.group, "picture": picture}
    if layout == WALL:
        pictures, css = make_wall(pictures, is_last, is_top=not featured)
    else:
        pictures, css = lay_out(pictures, layout, is_top=not featured)
    return {
        "featured": featured,
        "tiles": [
            {"group": tile.group, "picture": picture}
            for tile, picture in zip(page.tiles, pictures, strict=True)
        ],
        "card": page.featured or next(iter(page.tiles), None),
        "layout": layout,
        "wall_css": top_css + css,
    }


def make_filters(
    scope: filters.Scope, page: gallery.Page, choice: Choice | None = None, query: str | None = None
) -> dict[str, Any]:
    """Return the values that ``gallery/_filters.html`` needs, if a list is worth filtering."""
    if page.page_count < 2 and choice is None:
        return {}
    view = make_filter_view(scope, choice or Choice(), query)
    return {"filters": view, "sample": filters.SAMPLE, "filter_css": make_palette_css()}


@dataclass(frozen=True)
class Filtered:
    """The works that have what was chosen."""

    page: FilteredPage
    choice: Choice


def find_filtered(scope: GalleryScope | SeriesScope, query: FilterQuery) -> Filtered:
    """Find the works that have what was chosen."""
    session = db.session()
    choice = filters.find_choice(session, query.wanted)
    start, is_backwards = (query.before, True) if query.before else (query.after, False)
    page = filters.get_filtered_page(session, scope, choice, start, is_backwards)
    return Filtered(page, choice)


def render_filtered(
    template: str,
    scope: GalleryScope | SeriesScope,
    found: Filtered,
    layout: str = WALL,
    **values: Any,
) -> Response:
    """Render filtered works, with links to the pages around them."""
    page, choice = found.page, found.choice
    here = Address(None)

    def make_url(**place: object) -> str:
        return here.make_url({**choice.wanted, **place})

    return render_page(
        template,
        **make_tiles(page, layout),
        **make_filters(scope, page, choice),
        page=page,
        # Search engines take all filtered pages for the list itself, and do not list them.
        canonical=make_absolute(here.make_url({})),
        is_narrowed=True,
        previous_url=make_url(before=page.before) if page.before else "",
        next_url=make_url(after=page.after) if page.after else "",
        **values,
    )


def render_list(
    template: str,
    page: gallery.Page | TagList,
    query: str | None = None,
    choice: Choice | None = None,
    **values: Any,
) -> Response:
    """Render one page of a list at this request's address, with links to the pages around it.

    :param query: what was searched for, which is a part of the address, as are the filters.
    :raise NotFoundError: the list has no such page; an empty list has one.
    """
    number, endpoint = page.number, request.endpoint
    if endpoint is None or number > max(1, page.page_count):
        raise NotFoundError("page", number)

    def make_url(to: int) -> str:
        wanted = choice.wanted if choice else {}
        shown = {**(request.view_args or {}), **wanted}
        return url_for(endpoint, **shown, q=query, page=to if to > 1 else None)

    return render_page(
        template,
        page=page,
        query=query,
        canonical=make_absolute(make_url(number)),
        previous_url=make_url(number - 1) if number > 1 else "",
        next_url=make_url(number + 1) if number < page.page_count else "",
        **values,
    )


def render_page(template: str, **values: Any) -> Response:
    """Render a page for visitors, with the headers of all of them."""
    note_page()
    response = make_response(render_template(template, **values))
    # Browsers and proxies may keep it, but ask each time whether it has changed.
    response.headers["Cache-Control"] = "public, no-cache"
    response.vary.update(("Cookie", "Accept-Language"))
    return response


def make_lasting_url(group: int, number: int, size: int) -> str:
    """Return an absolute address of a rendition that does not expire."""
    return make_absolute(url_for("gallery.show_media", group=group, number=number, size=size))


# --- Metadata -------------------------------------------------------------------------------------


def make_description(group: Group) -> str:
    """Return one or two sentences about a work, for search results and previews."""
    text = shorten_text(make_plain(group.text))
    if not text:
        parts = (get_title(group), group.year, group.medium, group.dimensions, group.edition)
        text = ", ".join(part for part in parts if part)
        tagline = get_site().tagline
        text = shorten_text(f"{text}. {tagline}" if tagline else text)
    return text


def shorten_text(text: str) -> str:
    """Return the beginning of a text on one line, as long as search engines show it."""
    text = " ".join(text.split())
    if len(text) <= _MAX_DESCRIPTION_CHARS:
        return text
    return text[:_MAX_DESCRIPTION_CHARS].rsplit(" ", 1)[0].rstrip(",.;:") + "…"


def describe_language(url: str) -> dict[str, Any]:
    """Describe the language of a page about something, not of the thing.

    Source: https://schema.org/mainEntityOfPage.
    """
    return {"mainEntityOfPage": {"@type": "WebPage", "@id": url, "inLanguage": get_language()}}


def describe_parts(tiles: Sequence[gallery.Tile]) -> list[dict[str, str]]:
    """Describe the works of a wall for search engines. Source: https://schema.org/hasPart."""
    return [
        {
            "@type": "VisualArtwork",
            "name": get_title(tile.group),
            "url": make_absolute(make_group_url(tile.group)),
            "image": make_lasting_url(tile.group.id, tile.cover.number, 960),
        }
        for tile in tiles
    ]


def _describe_size(group: Group, shots: dict[int, Picture]) -> dict[str, Any]:
    """Source: https://schema.org/QuantitativeValue; CMT is the centimetre."""
    size = read_size(group.dimensions)
    if size is None or not shots:
        return {}
    size = size.turn_to(next(iter(shots.values())).ratio)
    sides = {"height": size.height_mm, "width": size.width_mm, "depth": size.depth_mm}
    return {
        name: {"@type": "QuantitativeValue", "value": round(mm / 10, 2), "unitCode": "CMT"}
        for name, mm in sides.items()
        if mm
    }


def _describe_video(group: Group, image: Image, picture: Picture) -> dict[str, Any]:
    """Source: https://schema.org/VideoObject; lengths are as of ISO 8601."""
    data: dict[str, Any] = {
        "@type": "VideoObject",
        "name": get_title(group),
        "description": picture.alt,
        "thumbnailUrl": make_lasting_url(group.id, image.number, 1920),
        "contentUrl": make_lasting_video_url(image),
        "encodingFormat": MIME_TYPES.get(image.mime_type, image.mime_type),
        "uploadDate": image.created_at.isoformat(timespec="seconds"),
        "width": image.width_px,
        "height": image.height_px,
    }
    if image.duration_ms:
        data["duration"] = f"PT{image.duration_ms / 1000:g}S"
    return data


def _describe_work(
    group: Group, images: Any, shots: dict[int, Picture], tags: Sequence[Tag], credits: Credits
) -> dict[str, Any]:
    """Source: https://schema.org/VisualArtwork."""
    terms = describe_credits(credits)
    data: dict[str, Any] = {
        "@context": "https://schema.org",
        "@type": "VisualArtwork",
        "name": get_title(group),
        "url": make_absolute(make_group_url(group)),
        **describe_language(make_absolute(make_group_url(group))),
        "isPartOf": {
            "@type": "ImageGallery",
            "name": get_site().title,
            "url": make_absolute(url_for("gallery.show_front")),
        },
        "image": [
            {
                "@type": "ImageObject",
                "contentUrl": make_lasting_url(group.id, image.number, 1920),
                "thumbnailUrl": make_lasting_url(group.id, image.number, 480),
                "width": shots[image.number].width,
                "height": shots[image.number].height,
                "caption": shots[image.number].alt,
                **terms,
            }
            for image in images
        ],
    }
    if videos := [
        _describe_video(group, image, shots[image.number])
        for image in images
        if shots[image.number].video
    ]:
        data["video"] = videos
    facts = {
        "description": make_plain(group.text),
        "artMedium": group.medium,
        "size": group.dimensions,
        **_describe_size(group, shots),
        "artEdition": group.edition,
        "dateCreated": make_iso_year(group.year) or group.year,
        "keywords": [tag.name for tag in tags],
        # The licence is that of the images.
        "creator": terms.get("creator"),
        "copyrightNotice": credits.copyright_notice,
    }
    data.update({name: value for name, value in facts.items() if value})
    if group.availability in _OFFERS:
        data["offers"] = {
            "@type": "Offer",
            "availability": f"https://schema.org/{_OFFERS[group.availability]}",
            "url": data["url"],
        }
        if price := find_price(group, get_settings().currency):
            data["offers"] |= {"price": price.plain, "priceCurrency": price.currency}
    return data
