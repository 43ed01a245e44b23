"""Pages of text and the menus: list, create, edit, publish and delete pages, order menus."""

from typing import Any, NamedTuple

from flask import jsonify, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from imagehub.admin import act, blueprint
from imagehub.admin.outlines import make_outline
from imagehub.admin.words import say
from imagehub.database import db
from imagehub.domain.library import gallery, search
from imagehub.domain.library import images as library_images
from imagehub.domain.site import menu, pages
from imagehub.domain.site.pages import DRAFT, PUBLISHED
from imagehub.errors import ConflictError, ImageHubError, InvalidInputError
from imagehub.messages import mark
from imagehub.models import Image, Series
from imagehub.web import commit_action
from imagehub.web.access import is_api_call
from imagehub.web.errors import get_error_status
from imagehub.web.forms import (
    Form,
    FormText,
    FormTexts,
    Id,
    OptionalId,
    PageStart,
    read_form,
    read_query,
)
from imagehub.web.i18n import format_number, translate
from imagehub.wiring import get_clients

_MAX_PICTURES = 24


class _Kind(Form):
    kind: FormText = ""


class _Query(Form):
    """``work``: all shots of one work, in place of the covers of several."""

    q: FormText = ""
    page: PageStart = 1
    work: PageStart = 0


class _PageFields(Form):
    version: Id("page") = 1  # type: ignore[valid-type]
    title: FormText = ""
    slug: FormText = ""
    text: FormText = ""
    place: FormTexts = []  # noqa: RUF012 - pydantic copies it


class _Move(Form):
    """``before``: the entry to go before; none for the end."""

    entry: Id("page")  # type: ignore[valid-type]
    before: OptionalId("page") = None  # type: ignore[valid-type]


@blueprint.get("/admin/pages")
def show_pages() -> ResponseReturnValue:
    """List all pages, and the menus in their order."""
    session = db.session()
    listed = pages.list_pages(session)
    return render_template(
        "admin/pages.html",
        listed=listed,
        menus=menu.list_menu(session),
        kinds=pages.KINDS,
        places=menu.PLACES,
        name_target=menu.name_target,
        missing=[kind for kind in ("imprint", "privacy") if kind not in {p.kind for p in listed}],
    )


def _refuse(error: ImageHubError, **_view_args: Any) -> ResponseReturnValue:
    say(error.sentence, is_fault=True)
    return redirect(url_for(".show_pages"), 303)


@act("/admin/pages", _refuse)
def create_page() -> ResponseReturnValue:
    """Create a draft of a kind, with an outline to fill in, and open it."""
    kind = read_form(_Kind).kind
    named = pages.KINDS.get(kind, pages.KINDS["free"])
    title = _("New page") if kind == "free" else translate(named.name)
    page = pages.create_page(db.session(), kind, title, make_outline(kind))
    commit_action("create_page", page.id, name=page.title)
    return redirect(url_for(".show_text_page", number=page.id), 303)


@blueprint.get("/admin/pages/<db_id:number>")
def show_text_page(number: int) -> ResponseReturnValue:
    """Show the form of a page."""
    return _render_form(number)


def _render_form(
    number: int, typed: _PageFields | None = None, error: ImageHubError | None = None
) -> str:
    page = pages.get_page(db.session(), number)
    places = menu.list_places(db.session(), page)
    return render_template(
        "admin/page.html",
        page=page,
        values=typed or page,
        # After a conflict, saving again replaces the other version.
        version=page.version,
        former=pages.list_former_slugs(db.session(), number),
        chosen=set(typed.place) if typed else places,
        kind=pages.KINDS.get(page.kind, pages.KINDS["free"]),
        places=menu.PLACES,
        fault=error.sentence if error else "",
        is_conflict=isinstance(error, ConflictError),
        faults=error.fields if isinstance(error, InvalidInputError) else {},
    )


def _show_again(error: ImageHubError, number: int) -> ResponseReturnValue:
    return _render_form(number, read_form(_PageFields), error), get_error_status(error)


@act("/admin/pages/<db_id:number>", _show_again, InvalidInputError, ConflictError)
def save_text_page(number: int) -> ResponseReturnValue:
    """Save a page and its places in the menus."""
    fields, session = read_form(_PageFields), db.session()
    changed = pages.save_page(
        session, number, fields.version, fields.title, fields.slug, fields.text
    )
    names = [pages.FIELD_NAMES[name] for name in changed]
    if pages.set_places(session, number, [one for one in menu.PLACES if one in fields.place]):
        names.append(mark("Menu"))
    page = pages.get_page(session, number)
    if names:
        commit_action("edit_page", number, name=page.title, fields=names, is_edit=True)
    say(_("Saved."))
    return redirect(url_for(".show_text_page", number=number), 303)


@act("/admin/pages/<db_id:number>/publish", _refuse)
def publish_page(number: int) -> ResponseReturnValue:
    """Show a page to visitors."""
    page = pages.set_state(db.session(), number, PUBLISHED)
    commit_action("publish_page", number, name=page.title)
    url = url_for("gallery.show_page", slug=page.slug)
    say(_("“%(name)s” is published.", name=page.title), link=(url, _("View page")))
    return redirect(url_for(".show_text_page", number=number), 303)


@act("/admin/pages/<db_id:number>/unpublish", _refuse)
def unpublish_page(number: int) -> ResponseReturnValue:
    """Make a page a draft again."""
    page = pages.set_state(db.session(), number, DRAFT)
    commit_action("unpublish_page", number, name=page.title)
    say(_("“%(name)s” is a draft: visitors do not see it.", name=page.title))
    return redirect(url_for(".show_text_page", number=number), 303)


@act("/admin/pages/<db_id:number>/delete", _refuse)
def delete_page(number: int) -> ResponseReturnValue:
    """Delete a page."""
    title = pages.delete_page(db.session(), number).title
    commit_action("delete_page", number, name=title)
    say(_("“%(name)s” was deleted.", name=title))
    return redirect(url_for(".show_pages"), 303)


# --- Menus ----------------------------------------------------------------------------------------


@act("/admin/pages/menu/up", _refuse)
def move_entry_up() -> ResponseReturnValue:
    """Move an entry of a menu up by one."""
    return _step(-1)


@act("/admin/pages/menu/down", _refuse)
def move_entry_down() -> ResponseReturnValue:
    """Move an entry of a menu down by one."""
    return _step(1)


def _step(step: int) -> ResponseReturnValue:
    _commit_order(menu.step_entry(db.session(), read_form(_Move).entry, step))
    return redirect(url_for(".show_pages"), 303)


@blueprint.post("/admin/pages/menu/order")
def order_menu() -> ResponseReturnValue:
    """Move an entry before another one, for a script."""
    fields = read_form(_Move)
    _commit_order(menu.move_entry(db.session(), fields.entry, fields.before))
    return "", 204


def _commit_order(target: menu.Target) -> None:
    action = "order_series_in_menu" if isinstance(target, Series) else "order_menu"
    commit_action(action, target.id, name=menu.name_target(target), is_repeated=True)


# --- Pictures for texts ---------------------------------------------------------------------------


class _Choice(NamedTuple):
    """An image that a text can show; ``more_url`` leads to the other shots of its work."""

    image: int
    title: str
    alt: str
    picture: str
    more_url: str
    shots: int


@blueprint.get("/admin/pages/pictures")
def choose_picture() -> ResponseReturnValue:
    """Find images of published works, with what to write to show them in a text.

    A script gets JSON: ``pictures`` with ``image``, ``title``, ``alt``, ``picture``, ``more_url``
    and ``shots``, ``next_url``, "" for none, and ``note``, what is to be known at the end.
    """
    fields, session = read_query(_Query), db.session()
    query = " ".join(fields.q.split())[: search.MAX_QUERY_CHARS]
    number, note = max(1, fields.page), ""
    if fields.work:
        group = gallery.get_shown_group(session, fields.work)
        images = library_images.list_images(session, group.id)
        first = (number - 1) * _MAX_PICTURES
        tiles = [gallery.Tile(group, one) for one in images[first : first + _MAX_PICTURES]]
        page_count = -(-len(images) // _MAX_PICTURES)
    elif query:
        found = search.find_groups(session, query, number, _MAX_PICTURES)
        tiles, page_count = list(found.tiles), found.page_count
        if found.has_more:
            note = _("More than %(count)s works", count=format_number(found.group_count))
    else:
        page = gallery.get_page(session, number, _MAX_PICTURES)
        tiles, page_count = list(page.tiles), page.page_count
    choices = [_make_choice(tile, has_more=not fields.work) for tile in tiles]
    next_url = url_for(
        ".choose_picture", q=query or None, work=fields.work or None, page=number + 1
    )
    next_url, note = (next_url, "") if number < page_count else ("", note)
    if is_api_call():
        pictures = [one._asdict() for one in choices]
        return jsonify({"pictures": pictures, "next_url": next_url, "note": note})
    return render_template(
        "admin/page_pictures.html",
        choices=choices,
        query=query,
        next_url=next_url,
        note=note,
        is_narrow=bool(fields.work or number > 1),
    )


def _make_choice(tile: gallery.Tile, *, has_more: bool) -> _Choice:
    group, image = tile.group, tile.cover
    more_url = url_for(".choose_picture", work=group.id)
    return _Choice(
        image.id,
        group.title or _("Untitled"),
        image.alt,
        _make_thumbnail_url(image),
        more_url if has_more and group.image_count > 1 else "",
        group.image_count,
    )


def _make_thumbnail_url(image: Image) -> str:
    if not image.renditions:
        return ""
    rendition = library_images.pick_rendition(image, library_images.LOW_RESOLUTION_PX)
    return get_clients().store.make_presigned_url(rendition.object_key)
