"""The front page: all works, in the layout of the hub."""

from collections.abc import Sequence
from typing import Any

from flask import Response, redirect, url_for
from flask.typing import ResponseReturnValue
from pydantic import create_model

from imagehub.database import db
from imagehub.domain.library import gallery
from imagehub.domain.library.filters import GalleryScope
from imagehub.domain.site.look import LOOK_FIELDS, choose_look, describe_look
from imagehub.gallery import blueprint
from imagehub.gallery.languages import list_owners, use_visitors_language
from imagehub.gallery.layouts import WALL
from imagehub.gallery.pages import (
    WallQuery,
    describe_parts,
    find_filtered,
    make_filters,
    make_tiles,
    render_filtered,
    render_list,
)
from imagehub.gallery.pictures import list_record
from imagehub.web.forms import Form, FormText, read_query
from imagehub.web.headers import make_absolute
from imagehub.web.i18n import get_language, get_site
from imagehub.web.look import get_look
from imagehub.web.preview import write_look
from imagehub.web.public_path import make_preview_url
from imagehub.wiring import get_settings

blueprint.add_app_template_global(list_record)

# The look to try out; None stands for what is saved.
_LOOK: dict[str, Any] = {name: (FormText | None, None) for name in LOOK_FIELDS}
_LookQuery = create_model("_LookQuery", __base__=Form, **_LOOK)


@blueprint.get("/")
def show_front() -> ResponseReturnValue:
    """Show one page of all works."""
    return render_front(read_query(WallQuery))


@blueprint.get("/preview")
def preview_front() -> ResponseReturnValue:
    """Redirect to the front page with a look to try out, for a frame of an admin page."""
    texts = read_query(_LookQuery).model_dump(exclude_none=True)
    chosen = describe_look(choose_look(get_settings(), texts))
    wanted = {name: text for name, text in chosen.items() if name in texts}
    return redirect(make_preview_url(write_look(wanted)))


def render_front(query: WallQuery) -> Response:
    """Render one page of all works, or of those that have what was chosen."""
    scope, look = GalleryScope(), get_look()
    description = get_site().tagline
    # A wall shows no more of a work than its title.
    is_short = look.layout == WALL
    if query.wanted:
        found = find_filtered(scope, query)
        use_visitors_language(list_owners(found.page.tiles), is_short=is_short)
        return render_filtered(
            "gallery/front.html", scope, found, look.layout, description=description
        )
    page = gallery.get_page(db.session(), query.page, featured=look.featured_work)
    shown = [page.featured, *page.tiles] if page.featured else page.tiles
    use_visitors_language(list_owners(shown), is_short=is_short and page.featured is None)
    return render_list(
        "gallery/front.html",
        page,
        **make_tiles(page, look.layout),
        **make_filters(scope, page),
        description=description,
        linked_data=_describe_wall(shown),
    )


def _describe_wall(tiles: Sequence[gallery.Tile]) -> dict[str, Any]:
    """Source: https://schema.org/ImageGallery."""
    settings = get_site()
    data: dict[str, Any] = {
        "@context": "https://schema.org",
        "@type": "ImageGallery",
        "name": settings.title,
        "url": make_absolute(url_for("gallery.show_front")),
        "inLanguage": get_language(),
        "hasPart": describe_parts(tiles),
        "potentialAction": {
            "@type": "SearchAction",
            "target": make_absolute(url_for("gallery.search")) + "?q={search_term}",
            "query-input": "required name=search_term",
        },
    }
    if settings.tagline:
        data["description"] = settings.tagline
    return data
