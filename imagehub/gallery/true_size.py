"""A work at its true size: in a room to scale, and life-size on a screen of known size."""

from collections.abc import Sequence

from flask import url_for
from flask.typing import ResponseReturnValue
from flask_babel import format_decimal, gettext

from imagehub.database import db
from imagehub.domain.library import gallery
from imagehub.domain.library import images as library_images
from imagehub.domain.library.dimensions import Size, read_size
from imagehub.domain.translations import get_main_text
from imagehub.errors import NotFoundError
from imagehub.gallery import blueprint
from imagehub.gallery.languages import use_visitors_language
from imagehub.gallery.pages import render_page
from imagehub.gallery.pictures import get_title, make_group_url, make_picture
from imagehub.gallery.rooms import COMPANIONS, WALLS, make_room
from imagehub.models import Group, Image
from imagehub.web.forms import Form, FormText, read_query
from imagehub.web.headers import make_absolute
from imagehub.web.i18n import get_language

_EIGHTHS = ("", "⅛", "¼", "⅜", "½", "⅝", "¾", "⅞")
_NO_BREAK = "\u00a0"


class _RoomQuery(Form):
    """``beside`` and ``wall``: keys of ``COMPANIONS`` and ``WALLS``; others are the first."""

    beside: FormText = ""
    wall: FormText = ""


@blueprint.app_template_global("has_true_size")
def has_true_size(group: Group) -> bool:
    """Tell whether visitors can see a work at its true size."""
    return group.is_shown and read_size(get_main_text(group, "dimensions")) is not None


@blueprint.get("/groups/<db_id:number>/size")
def show_true_size(number: int) -> ResponseReturnValue:
    """Show a work in a room, to scale."""
    group = gallery.get_shown_group(db.session(), number)
    size = read_size(get_main_text(group, "dimensions"))
    image = _find_front(group, library_images.list_images(db.session(), group.id))
    use_visitors_language([group, image], is_short=True)
    if size is None or image is None:
        raise NotFoundError("page", number)
    query = read_query(_RoomQuery)
    beside = query.beside if query.beside in COMPANIONS else next(iter(COMPANIONS))
    wall = query.wall if query.wall in WALLS else next(iter(WALLS))
    picture = make_picture(group, image, "work")
    size = size.turn_to(picture.ratio)
    companion = COMPANIONS[beside]
    return render_page(
        "gallery/true_size.html",
        group=group,
        title=get_title(group),
        picture=picture,
        picture_url=url_for("gallery.show_media", group=group.id, number=image.number, size=1920),
        size=size,
        is_exact=size.fits(picture.ratio),
        measures=format_size(size),
        companion_size=format_size_of_companion(companion.measured_cm * 10),
        room=make_room(size, beside),
        companion=companion,
        companions=COMPANIONS,
        wall=wall,
        walls=WALLS,
        canonical=make_absolute(make_group_url(group)),
    )


def _find_front(group: Group, images: Sequence[Image]) -> Image | None:
    """Find the shot that shows the work from the front and nothing else; a video does not."""
    usable = [
        one
        for one in images
        if not one.is_video and any(r.mime_type == "image/webp" for r in one.renditions)
    ]
    cover = next((one for one in usable if one.id == group.cover_id), None)
    plain = [one for one in (cover, *usable) if one is not None and not one.role]
    front = [one for one in usable if one.role == "front"]
    return next(iter([*front, *plain, *usable]), None)


# --- Measures -------------------------------------------------------------------------------------


def format_size(size: Size) -> str:
    """Format a size for the page's language; in English also in inches."""
    names = {"height": size.height_mm, "width": size.width_mm, "depth": size.depth_mm}
    values = {name: _format_side(mm) for name, mm in names.items()}
    if size.is_round:
        return f"Ø{_NO_BREAK}{values['width']}"
    if size.depth_mm:
        return str(gettext("Height %(height)s, width %(width)s, depth %(depth)s", **values))
    return str(gettext("Height %(height)s, width %(width)s", **values))


def format_size_of_companion(mm: float) -> str:
    """Format the size of a companion: 170 cm, in English also in feet and inches."""
    text = f"{_format_cm(mm)}{_NO_BREAK}cm"
    if get_language() != "en":
        return text
    feet, inches = divmod(round(mm / 25.4), 12)
    return f"{text} ({feet}{_NO_BREAK}ft {inches}{_NO_BREAK}in)"


def _format_side(mm: float) -> str:
    text = f"{_format_cm(mm)}{_NO_BREAK}cm"
    return f"{text} ({_format_inches(mm)}{_NO_BREAK}in)" if get_language() == "en" else text


def _format_cm(mm: float) -> str:
    return str(format_decimal(mm / 10, "0.#"))


def _format_inches(mm: float) -> str:
    whole, eighths = divmod(round(mm / 25.4 * 8), 8)
    return f"{whole or ''}{_EIGHTHS[eighths]}" or "0"


@blueprint.app_template_global("describe_companion")
def describe_companion(sentence: str, size: str) -> str:
    """Describe the size of what is drawn beside a work; "" if there is nothing."""
    return gettext(sentence, size=size) if sentence else ""
