"""The pages of a share link to a series: the series, its parts, and its works on a wall."""

from collections.abc import Callable, Collection
from typing import Any

from flask import render_template, url_for

from imagehub.database import db
from imagehub.domain.library.gallery import Tile
from imagehub.domain.sharing import series_links
from imagehub.gallery.languages import list_owners, use_visitors_language
from imagehub.gallery.pictures import Picture, make_picture
from imagehub.gallery.series import get_series_title, list_card_owners
from imagehub.gallery.walls import make_placeholder_css, make_wall
from imagehub.models import Group, Series, ShareLink
from imagehub.web.forms import Form, PageStart


class SharedQuery(Form):
    """``begin``: the group that a page begins with; ``series``: where the visitor came from."""

    begin: PageStart = 0
    series: PageStart = 0


def render_shared_series(
    token: str,
    share: ShareLink,
    part: int | None,
    query: SharedQuery,
    marked: Collection[int] = (),
) -> str:
    """Render a page of the series of a link, or of one of its parts.

    :param marked: the works that the visitor has marked.

    :raise NotFoundError: the link shows no such part.
    """
    session = db.session()
    series = series_links.get_shared_series(session, share, part)
    page = series_links.list_shared_page(session, series, query.begin or None)
    is_part = series.id != share.series_id
    is_first = page.previous is None
    parts = series_links.list_shared_parts(session, series) if is_first and not is_part else []
    above = [series_links.get_shared_series(session, share)] if is_part else []
    use_visitors_language([series, *above, *list_card_owners(parts), *list_owners(page.tiles)])
    is_marked = share.has_mark
    covers = [
        make_picture(one.cover.group, one.cover.cover, f"e{one.series.id}", is_marked=is_marked)
        for one in parts
    ]
    pictures = [_make_tile(tile, "g", is_marked=is_marked) for tile in page.tiles]
    pictures, css = make_wall(pictures, page.following is None, is_top=not parts)
    css += _make_shapes(covers)
    make_url = _name_series_urls(token, share, series)
    return render_template(
        "gallery/shared_series.html",
        token=token,
        share=share,
        series=series,
        title=get_shared_title(share, series),
        top_title=get_shared_title(share) if is_part else "",
        is_first=is_first,
        parts=[
            {"series": one.series, "picture": cover}
            for one, cover in zip(parts, covers, strict=True)
        ],
        tiles=[
            {"group": tile.group, "picture": picture}
            for tile, picture in zip(page.tiles, pictures, strict=True)
        ],
        work_query={"series": series.id} if is_part else {},
        previous_url="" if is_first else make_url(page.previous or None),
        next_url=make_url(page.following) if page.following else "",
        wall_css=css,
        marked=marked,
    )


def describe_place(token: str, share: ShareLink, group: Group, number: int) -> dict[str, Any]:
    """Return what the page of a work says about its series: the way back, the works beside it.

    :param number: the series that the visitor came from; 0 if it is not known.
    """
    session = db.session()
    series = series_links.find_series_of_shared(session, share, group.id, number)
    if series is None:
        return {}
    beside = series_links.list_beside_in_shared(session, series, group.id)
    use_visitors_language([series, *list_owners(tile for tile in beside if tile)], is_short=True)
    is_part = series.id != share.series_id
    neighbours, pictures = [], []
    for rel, tile in zip(("prev", "next"), beside, strict=True):
        if tile is not None:
            pictures.append(_make_tile(tile, "n", is_marked=share.has_mark))
            neighbours.append({"rel": rel, "group": tile.group, "picture": pictures[-1]})
    return {
        "back_url": _name_series_urls(token, share, series)(None),
        "back_title": get_shared_title(share, series),
        "neighbours": neighbours,
        "neighbours_css": _make_shapes(pictures),
        "work_query": {"series": series.id} if is_part else {},
    }


def _make_tile(tile: Tile, letter: str, *, is_marked: bool) -> Picture:
    element_id = f"{letter}{tile.group.id}"
    return make_picture(tile.group, tile.cover, element_id, full_url="", is_marked=is_marked)


def _make_shapes(pictures: list[Picture]) -> str:
    shapes = "".join(f"#{one.id}{{--ratio:{one.ratio:.4f}}}" for one in pictures)
    return make_placeholder_css(pictures) + shapes


def get_shared_title(share: ShareLink, series: Series | None = None) -> str:
    """Return the title of a part, or that of the link, which is by default that of its series."""
    if series is not None and series.id != share.series_id:
        return get_series_title(series)
    if share.title:
        return share.title
    return get_series_title(series or series_links.get_shared_series(db.session(), share))


def _name_series_urls(token: str, share: ShareLink, series: Series) -> Callable[[int | None], str]:
    if series.id == share.series_id:
        return lambda begin: url_for(".show_share", token=token, begin=begin)
    part = series.id
    return lambda begin: url_for(".show_shared_part", token=token, part=part, begin=begin)
