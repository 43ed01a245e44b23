"""The library's list of groups, and the order of the gallery."""

from collections.abc import Collection, Mapping
from typing import Any

from flask import jsonify, make_response, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from pydantic import ConfigDict

from imagehub.admin import act, blueprint
from imagehub.admin.words import list_currencies, return_refused, say
from imagehub.database import db
from imagehub.domain.library import edit, groups, listing, order, prices, tags
from imagehub.domain.library.choices import list_choices
from imagehub.domain.library.series import list_series_choices
from imagehub.errors import ImageHubError, InvalidInputError
from imagehub.models import Group
from imagehub.web import commit_action
from imagehub.web.access import is_api_call
from imagehub.web.cookies import read_cookie, set_cookie
from imagehub.web.errors import get_error_status
from imagehub.web.forms import Form, Id, OptionalId, read_form, read_query
from imagehub.web.i18n import ngettext, translate
from imagehub.wiring import get_clients

_VIEW_COOKIE = "library-view"
_VIEWS = ("list", "grid")
_YEAR_SECONDS = 365 * 86_400


class Place(Form):
    """A page of the list: filter, words of the search, order, and the key of the page."""

    filter: str = ""
    q: str = ""
    sort: str = ""
    after: str = ""
    before: str = ""

    @property
    def filter_name(self) -> str:
        return self.filter or "all"

    @property
    def words(self) -> str:
        return self.q.strip()[:200]

    @property
    def sort_name(self) -> str:
        return self.sort if self.sort and self.filter_name in listing.SORTED_FILTERS else "order"

    @property
    def kept(self) -> dict[str, Any]:
        """The values that are not empty, by name."""
        return {name: value for name, value in self if value}

    def make_url(self, anchor: str | None = None) -> str:
        return url_for("admin.show_library", _anchor=anchor, **self.kept)


class PostedPlace(Place):
    """The page of the list that a form was sent from: ``list-filter`` …"""

    model_config = ConfigDict(alias_generator=lambda name: f"list-{name}")


class _ViewField(Form):
    """``view``: ``list`` or ``grid``, which is kept in a cookie."""

    view: str = ""


@blueprint.get("/admin/library")
def show_library() -> ResponseReturnValue:
    """Show a page of the groups, filtered, searched and sorted, as a list or as a grid."""
    view = read_query(_ViewField).view
    response = make_response(show_list(read_query(Place)))
    if view in _VIEWS:
        set_cookie(response, _VIEW_COOKIE, view, _YEAR_SECONDS)
    return response


def _read_view() -> str:
    view = read_query(_ViewField).view or read_cookie(_VIEW_COOKIE)
    return view if view in _VIEWS else "list"


def show_list(
    place: Place,
    error: ImageHubError | None = None,
    typed: Mapping[str, str] | None = None,
    selected: Collection[str] = (),
    *,
    is_edit: bool = False,
) -> ResponseReturnValue:
    """Show a page of the list.

    :param error: why its form was refused.
    :param typed: the values of the form's fields.
    :param selected: the numbers of the selected groups.
    :param is_edit: the refused act was to edit the selected groups.
    """
    session = db.session()
    filter_name, sort = place.filter_name, place.sort_name
    page = listing.list_groups(
        session, filter_name, place.words, place.after, place.before, sort=sort
    )
    kept = {
        "filter": filter_name if filter_name != "all" else None,
        "q": place.words or None,
        "sort": sort if sort != "order" else None,
    }
    shown = render_template(
        "admin/library.html",
        page=page,
        filter_name=filter_name,
        filters=listing.FILTERS,
        counts=listing.count_to_do(session),
        max_counted=listing.MAX_COUNTED,
        words=place.words,
        kept=kept,
        place=place.kept,
        can_order=filter_name == "all" and not place.words and sort == "order",
        sorts=listing.SORTS if filter_name in listing.SORTED_FILTERS else {},
        sort=sort,
        summary=_describe_count(filter_name) if page.rows and not place.words else "",
        view=_read_view(),
        availabilities=edit.AVAILABILITIES,
        currencies=list_currencies(),
        price_viewers=prices.SHOWN,
        series_choices=list_series_choices(session),
        sign=get_clients().store.make_presigned_url,
        typed=typed or {},
        selected=selected,
        is_edit=is_edit,
        fault=error.sentence if error else "",
        faults=error.fields if isinstance(error, InvalidInputError) else {},
    )
    return (shown, get_error_status(error)) if error else shown


def _describe_count(filter_name: str) -> str:
    """Say how much a list holds, and of what: ``9 images in 4 groups``."""
    session = db.session()
    if filter_name == "all":
        count = groups.count_shown_groups(session)
        return ngettext("%(num)s group in the gallery", "%(num)s groups in the gallery", count)
    counts = listing.count_noted(session, filter_name)
    if counts is None:
        return str(_("More than %(count)s groups", count=listing.MAX_COUNTED))
    notes, group_count = counts
    in_groups = ngettext("%(num)s group", "%(num)s groups", group_count)
    if filter_name == "draft":
        return in_groups
    if filter_name == "failed":
        noted = ngettext("%(num)s file", "%(num)s files", notes)
    else:
        noted = ngettext("%(num)s image", "%(num)s images", notes)
    return str(_("%(things)s in %(groups)s", things=noted, groups=in_groups))


@blueprint.get("/admin/library/choices")
def list_library_choices() -> ResponseReturnValue:
    """List groups for a field that selects one, by the words ``q``: the newest first."""
    found = list_choices(db.session(), 20, read_query(Place).words)
    choices = [f"{number} · {title or _('Untitled')}" for number, title in found]
    return jsonify({"choices": choices})


@blueprint.get("/admin/library/tags")
def list_library_tags() -> ResponseReturnValue:
    """List tags that begin with what was typed, ``q``."""
    return jsonify({"tags": list(tags.list_tag_names(db.session(), read_query(Place).words))})


# --- Order ----------------------------------------------------------------------------------------


def _refuse(error: ImageHubError, **_view_args: Any) -> ResponseReturnValue:
    return return_refused(error, read_form(PostedPlace).make_url())


class _OrderFields(Form):
    group: Id("group")  # type: ignore[valid-type]
    before: OptionalId("group") = None  # type: ignore[valid-type]
    after: OptionalId("group") = None  # type: ignore[valid-type]


@act("/admin/library/order", _refuse)
def order_library() -> ResponseReturnValue:
    """Move a group before or after another one in the order of the gallery."""
    fields = read_form(_OrderFields)
    order.place_group(db.session(), fields.group, fields.before, fields.after)
    return _save_order(fields.group, read_form(PostedPlace))


class _MovedField(Form):
    moved: Id("group")  # type: ignore[valid-type]


@act("/admin/library/move-to-top", _refuse)
def move_group_to_top() -> ResponseReturnValue:
    """Move a group before all others in the order of the gallery."""
    session, number = db.session(), read_form(_MovedField).moved
    order.move_to_top(session, number)
    name = translate(name_group(groups.get_group(session, number)))
    say(_("“%(name)s” is now the first group.", name=name))
    return _save_order(number, read_form(PostedPlace))


@act("/admin/library/move-up", _refuse)
def move_group_up() -> ResponseReturnValue:
    """Move a group one place up in the order of the gallery."""
    return _step(-1)


@act("/admin/library/move-down", _refuse)
def move_group_down() -> ResponseReturnValue:
    """Move a group one place down in the order of the gallery."""
    return _step(1)


def _step(step: int) -> ResponseReturnValue:
    session, number = db.session(), read_form(_MovedField).moved
    place: Place = read_form(PostedPlace)
    order.step_group(session, number, step)
    key = listing.find_page_of(session, number, place.after, place.before)
    if key is not None:
        place = Place(after=key)
        name = translate(name_group(groups.get_group(session, number)))
        say(_("“%(name)s” was moved to another page. The list now begins with it.", name=name))
    return _save_order(number, place)


def _save_order(number: int, place: Place) -> ResponseReturnValue:
    name = name_group(groups.get_group(db.session(), number))
    commit_action("move_group", number, name=name, is_repeated=True)
    return answer(place.make_url(f"group-{number}"))


def name_group(group: Group) -> str:
    """Return a group's title, or what it is called without one; see ``groups.name_group``."""
    return groups.name_group(group.id, group.title)


def answer(url: str) -> ResponseReturnValue:
    """Answer a form with a redirect, and a script with the same address as JSON."""
    return jsonify({"url": url}) if is_api_call() else redirect(url, 303)
