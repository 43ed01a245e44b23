"""The pages of text for visitors, as HTML and as JSON, and the menus that lead to them."""

from typing import Literal, NamedTuple

from flask import redirect, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from pydantic import BaseModel
from typing_extensions import TypedDict

from imagehub.database import db
from imagehub.domain.library.gallery import list_shown_images
from imagehub.domain.library.series import has_shown_series
from imagehub.domain.site import menu, pages
from imagehub.errors import NotFoundError
from imagehub.gallery import blueprint
from imagehub.gallery.api import api
from imagehub.gallery.languages import use_visitors_language
from imagehub.gallery.pages import make_lasting_url, render_page, shorten_text
from imagehub.gallery.pictures import make_slug
from imagehub.markdown import list_pictures, make_plain
from imagehub.models import Page
from imagehub.web.headers import make_absolute
from imagehub.web.i18n import get_text_language
from imagehub.web.openapi import answers_failure
from imagehub.wiring import get_settings


@blueprint.get("/pages/<slug>")
def show_page(slug: str) -> ResponseReturnValue:
    """Show a published page of text; an earlier address redirects to it."""
    try:
        page = pages.get_published(db.session(), slug)
    except NotFoundError:
        return _redirect_to_new_address(slug)
    use_visitors_language([page])
    numbers = list_pictures(page.text)
    shown = {image.id: image for _, image in list_shown_images(db.session(), numbers)}
    first = next((shown[number] for number in numbers if number in shown), None)
    return render_page(
        "gallery/page.html",
        page=page,
        canonical=make_absolute(url_for("gallery.show_page", slug=page.slug)),
        description=shorten_text(make_plain(page.text)),
        picture=make_lasting_url(first.group_id, first.number, 1920) if first else "",
        picture_alt=first.alt if first else "",
    )


def _redirect_to_new_address(slug: str) -> ResponseReturnValue:
    moved = pages.get_moved(db.session(), slug)
    response = redirect(url_for("gallery.show_page", slug=moved.slug), 301)
    # Another page may take the address.
    response.headers["Cache-Control"] = "no-cache"
    return response


class MenuLink(NamedTuple):
    """An entry of a menu; ``is_contact``: it leads to the contact form."""

    url: str
    title: str
    is_contact: bool = False


def list_menu(*, with_pages: bool = True) -> dict[str, list[MenuLink]]:
    """List the entries of the menus for the layout: place → entries.

    The header begins with the series, if visitors see any. While enquiries are on, the entry of the
    contact page leads to the form below its text; without one, the footer has a link to the form.

    :param with_pages: False if the database may be down.
    """
    has_form = get_settings().enquiries
    shown = menu.list_shown_menu(db.session(), get_text_language()) if with_pages else {}
    menus = {
        place: [_make_link(entry, has_form) for entry in shown.get(place, ())]
        for place in menu.PLACES
    }
    if with_pages and has_shown_series(db.session()):
        menus["header"].insert(0, MenuLink(url_for("gallery.show_series"), _("Series")))
    if has_form and not any(link.is_contact for links in menus.values() for link in links):
        menus["footer"].append(MenuLink(url_for("gallery.show_contact"), _("Contact"), True))
    return menus


def _make_link(entry: menu.ShownEntry, has_form: bool) -> MenuLink:
    if entry.series_id is not None:
        slug = make_slug(entry.main_title) or None
        url = url_for("gallery.show_one_series", number=entry.series_id, slug=slug)
        return MenuLink(url, entry.title or _("Untitled series %(number)s", number=entry.series_id))
    if entry.is_contact and has_form:
        return MenuLink(url_for("gallery.show_contact"), entry.title, True)
    return MenuLink(url_for("gallery.show_page", slug=entry.slug), entry.title)


blueprint.add_app_template_global(list_menu)


# --- JSON -----------------------------------------------------------------------------------------


class PageRow(TypedDict):
    """``menus``: "header", "footer", both or none; ``updated_at`` is of RFC 3339."""

    slug: str
    title: str
    kind: str
    url: str
    updated_at: str
    menus: list[str]


class MenuRow(TypedDict):
    """An entry of a menu: ``slug`` is that of a page, ``series`` the number of a series."""

    kind: Literal["page", "series"]
    slug: str | None
    series: int | None
    title: str
    url: str


class Menus(TypedDict):
    header: list[MenuRow]
    footer: list[MenuRow]


class PagesAnswer(TypedDict):
    """``menu``: the entries of the menus in their order, pages and series."""

    code: Literal[1]
    data: list[PageRow]
    menu: Menus


class SlugQuery(BaseModel):
    slug: str


class PageText(PageRow):
    """``text`` is Markdown."""

    text: str


class TextAnswer(TypedDict):
    code: Literal[1]
    data: PageText
    hint: Literal["page_found"]


class NoPageAnswer(TypedDict):
    code: Literal[0]
    hint: Literal["page_not_found"]


@api.call("GET /site/pages", answer=PagesAnswer)
def api_pages() -> PagesAnswer:
    """List the published pages of text: those of the menus in their order, then the others."""
    session = db.session()
    places: dict[str, list[str]] = {}
    shown = menu.list_shown_menu(session)
    for place, entries in shown.items():
        for entry in entries:
            # Those of series have none.
            places.setdefault(entry.slug, []).append(place)
    order = {slug: position for position, slug in enumerate(places)}
    listed = sorted(pages.list_published(session), key=lambda one: order.get(one.slug, len(order)))
    return {
        "code": 1,
        "data": [_describe(page, places.get(page.slug, [])) for page in listed],
        "menu": {
            "header": [_describe_entry(entry) for entry in shown["header"]],
            "footer": [_describe_entry(entry) for entry in shown["footer"]],
        },
    }


def _describe_entry(entry: menu.ShownEntry) -> MenuRow:
    link = _make_link(entry, has_form=False)
    return {
        "kind": "page" if entry.series_id is None else "series",
        "slug": entry.slug or None,
        "series": entry.series_id,
        "title": link.title,
        "url": make_absolute(link.url),
    }


@api.call("GET /site/page", takes=SlugQuery, answer=TextAnswer | NoPageAnswer)
@answers_failure(NotFoundError, code=0, hint="page_not_found")
def api_text_page(fields: SlugQuery) -> TextAnswer:
    """Find a published page of text by the last part of its address."""
    page = pages.get_published(db.session(), fields.slug)
    row = _describe(page, sorted(menu.list_places(db.session(), page)))
    return {"code": 1, "data": {**row, "text": page.text}, "hint": "page_found"}


def _describe(page: Page, places: list[str]) -> PageRow:
    return {
        "slug": page.slug,
        "title": page.title,
        "kind": page.kind,
        "url": make_absolute(url_for("gallery.show_page", slug=page.slug)),
        "updated_at": page.updated_at.isoformat(),
        "menus": places,
    }
