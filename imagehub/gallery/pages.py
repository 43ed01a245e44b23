"""The pages for visitors: the works, one work, one shot of it."""

import re
from collections.abc import Sequence
from typing import Annotated, Any

from flask import Response, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from pydantic import BeforeValidator

from imagehub.database import db
from imagehub.domain.library import gallery
from imagehub.domain.library import images as library_images
from imagehub.domain.library.tags import TagList, list_group_tags, list_related
from imagehub.domain.library.years import make_iso_year
from imagehub.errors import NotFoundError
from imagehub.gallery import blueprint
from imagehub.gallery.pictures import (
    Picture,
    get_title,
    list_facts,
    list_record,
    make_group_url,
    make_picture,
    make_slug,
)
from imagehub.gallery.walls import make_placeholder_css, make_wall
from imagehub.models import Group, Image, Tag
from imagehub.web.forms import Form, read_query
from imagehub.web.headers import make_absolute
from imagehub.wiring import get_settings

_MAX_DESCRIPTION_CHARS = 155
_MAX_RELATED = 4
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


@blueprint.get("/")
def show_front() -> ResponseReturnValue:
    """Show one page of all works."""
    page = gallery.get_page(db.session(), read_query(PageQuery).page)
    return render_list(
        "gallery/front.html",
        page,
        **make_tiles(page),
        description=get_settings().tagline,
        linked_data=_describe_wall(page),
    )


@blueprint.get("/groups/<db_id:number>")
@blueprint.get("/groups/<db_id:number>/<slug>")
def show_group(number: int, slug: str = "") -> ResponseReturnValue:
    """Show one work with all its shots; an address with an old title is redirected."""
    group = gallery.get_shown_group(db.session(), number)
    if slug != make_slug(group.title):
        return redirect(make_group_url(group), 301)
    return _show_work(group, None)


@blueprint.get("/groups/<db_id:number>/<db_id:shot>")
def show_shot(number: int, shot: int) -> ResponseReturnValue:
    """Show a work with one of its shots first; a script opens it in the viewer."""
    group, image = gallery.get_shown_image(db.session(), number, shot)
    return _show_work(group, image)


def _show_work(group: Group, chosen: Image | None) -> ResponseReturnValue:
    session = db.session()
    images = library_images.list_images(session, group.id)
    lead = next((image for image in images if chosen and image.id == chosen.id), images[0])
    shots = {
        image.number: make_picture(group, image, f"s{image.number}", position)
        for position, image in enumerate(images, start=1)
    }
    others, css = make_wall(
        [shots[image.number] for image in images if image.id != lead.id],
        is_last=True,
        wall_share=0.62,
        may_grow=False,
    )
    first = shots[lead.number]
    large, neighbours = [first], []
    for rel, one in zip(("prev", "next"), gallery.find_neighbours(session, group), strict=True):
        cover = library_images.find_cover(session, one) if one is not None else None
        if one is not None and cover is not None:
            picture = make_picture(one, cover, f"g{one.id}")
            neighbours.append({"rel": rel, "group": one, "picture": picture})
            large.append(picture)
    beside = {one["group"] for one in neighbours}
    tiles = [tile for tile in list_related(session, group) if tile.group not in beside]
    are_related = bool(tiles)
    tiles = tiles or gallery.list_around(session, group, _MAX_RELATED)
    related = []
    for tile in tiles[:_MAX_RELATED]:
        picture = make_picture(tile.group, tile.cover, f"r{tile.group.id}")
        related.append({"group": tile.group, "picture": picture})
        large.append(picture)
    css += make_placeholder_css(large)
    css += "".join(f"#{picture.id}{{--ratio:{picture.ratio:.4f}}}" for picture in large)
    tags = list_group_tags(session, group.id)
    record, facts = list_record(group), list_facts(lead)
    label_px = _estimate_label(group.text, len(record) + len(facts) + (2 if tags else 0))
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
        tags=tags,
        neighbours=neighbours,
        related=related,
        are_related=are_related,
        has_large_related=_find_hero_height(first) - label_px > _LARGE_RELATED_PX,
        is_long_label=label_px > _LONG_LABEL_PX,
        wall_css=css,
        # For search engines all shots are one page.
        canonical=make_absolute(make_group_url(group)),
        description=make_description(group),
        linked_data=_describe_work(group, images, shots, tags),
    )


def _find_hero_height(picture: Picture) -> float:
    """Return the height in CSS pixels of a work's large shot, on a desktop of 1440 × 900."""
    return min(764.0, 870 / picture.ratio)


def _estimate_label(text: str, line_count: int) -> float:
    """Return about how high a work's label is there, in CSS pixels, without related works.

    :param line_count: of everything except the title, the text and the actions.
    """
    text_lines = sum(1 + len(line) // 42 for line in text.split("\n")) if text.strip() else 0
    return 160.0 + 28 * (line_count + text_lines)


def make_tiles(page: gallery.Page) -> dict[str, Any]:
    """Return the values that ``gallery/_walls.html`` needs for one page of works."""
    pictures = [make_picture(tile.group, tile.cover, f"g{tile.group.id}") for tile in page.tiles]
    pictures, css = make_wall(pictures, page.number >= page.page_count, is_top=True)
    return {
        "tiles": [
            {"group": tile.group, "picture": picture}
            for tile, picture in zip(page.tiles, pictures, strict=True)
        ],
        "card": page.tiles[0] if page.tiles else None,
        "wall_css": css,
    }


def render_list(
    template: str, page: gallery.Page | TagList, query: str | None = None, **values: Any
) -> Response:
    """Render one page of a list at this request's address, with links to the pages around it.

    :param query: what was searched for, which is a part of the address.
    :raise NotFoundError: the list has no such page; an empty list has one.
    """
    number, endpoint = page.number, request.endpoint
    if endpoint is None or number > max(1, page.page_count):
        raise NotFoundError("page", number)

    def make_url(to: int) -> str:
        return url_for(endpoint, **request.view_args or {}, q=query, page=to if to > 1 else None)

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
    text = " ".join(group.text.split())
    if not text:
        parts = (get_title(group), group.year, group.medium, group.dimensions, group.edition)
        text = ", ".join(part for part in parts if part)
        tagline = get_settings().tagline
        text = f"{text}. {tagline}" if tagline else text
    if len(text) <= _MAX_DESCRIPTION_CHARS:
        return text
    return text[:_MAX_DESCRIPTION_CHARS].rsplit(" ", 1)[0].rstrip(",.;:") + "…"


def _describe_wall(page: gallery.Page) -> dict[str, Any]:
    """Source: https://schema.org/ImageGallery."""
    settings = get_settings()
    data: dict[str, Any] = {
        "@context": "https://schema.org",
        "@type": "ImageGallery",
        "name": settings.title,
        "url": make_absolute(url_for("gallery.show_front")),
        "hasPart": [
            {
                "@type": "VisualArtwork",
                "name": get_title(tile.group),
                "url": make_absolute(make_group_url(tile.group)),
                "image": make_lasting_url(tile.group.id, tile.cover.number, 960),
            }
            for tile in page.tiles
        ],
        "potentialAction": {
            "@type": "SearchAction",
            "target": make_absolute(url_for("gallery.search")) + "?q={search_term}",
            "query-input": "required name=search_term",
        },
    }
    if settings.tagline:
        data["description"] = settings.tagline
    return data


def _describe_work(
    group: Group, images: Any, shots: dict[int, Picture], tags: Sequence[Tag]
) -> dict[str, Any]:
    """Source: https://schema.org/VisualArtwork."""
    data: dict[str, Any] = {
        "@context": "https://schema.org",
        "@type": "VisualArtwork",
        "name": get_title(group),
        "url": make_absolute(make_group_url(group)),
        "isPartOf": {
            "@type": "ImageGallery",
            "name": get_settings().title,
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
            }
            for image in images
        ],
    }
    facts = {
        "description": group.text.strip(),
        "artMedium": group.medium,
        "size": group.dimensions,
        "artEdition": group.edition,
        "dateCreated": make_iso_year(group.year) or group.year,
        "keywords": [tag.name for tag in tags],
    }
    data.update({name: value for name, value in facts.items() if value})
    if group.availability in _OFFERS:
        data["offers"] = {
            "@type": "Offer",
            "availability": f"https://schema.org/{_OFFERS[group.availability]}",
            "url": data["url"],
        }
    return data
