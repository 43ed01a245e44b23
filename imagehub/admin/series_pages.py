"""Series: exhibitions and bodies of work, the groups in them, and their order."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Annotated

from flask import redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from pydantic import AfterValidator, Field

from imagehub.admin import act, blueprint
from imagehub.admin.library_group import make_thumbnail_url, normalize_lines
from imagehub.admin.library_list import PostedPlace, name_group, show_list
from imagehub.admin.words import return_refused, say
from imagehub.database import db
from imagehub.domain.library import series as library_series
from imagehub.domain.library import series_edit, series_trash
from imagehub.domain.library.gallery import load_tiles
from imagehub.domain.library.series import name_series
from imagehub.domain.library.series_members import (
    add_members,
    find_place,
    place_member,
    remove_member,
)
from imagehub.domain.sharing import links
from imagehub.domain.site import menu
from imagehub.errors import ConflictError, ImageHubError, InvalidInputError, NotFoundError
from imagehub.messages import mark
from imagehub.models import Group, Image, Series
from imagehub.web import commit_action
from imagehub.web.access import is_api_call
from imagehub.web.errors import get_error_status
from imagehub.web.forms import (
    Checkbox,
    Form,
    FormText,
    FormTexts,
    Id,
    Ids,
    OptionalId,
    PageStart,
    read_day,
    read_form,
    read_query,
)
from imagehub.web.i18n import ngettext, translate

MEMBERS_PER_PAGE = 100


class SeriesFields(Form):
    """The form of a series; ``version`` is the one that its author saw.

    ``menu``: the places of the menus that it is in.
    """

    title: FormText = ""
    first_day: FormText = ""
    last_day: FormText = ""
    dates: FormText = ""
    place: FormText = ""
    text: Annotated[FormText, AfterValidator(normalize_lines)] = ""
    parent: OptionalId("series") = None  # type: ignore[valid-type]
    menu: FormTexts = []  # noqa: RUF012 - pydantic copies it
    version: Id("series") = 1  # type: ignore[valid-type]


class MemberFields(Form):
    """An act on one group of a series; ``page``: the page of its groups to go back to."""

    group: Id("group")  # type: ignore[valid-type]
    page: PageStart = 1


class ChosenFields(Form):
    """The groups selected in the library, and their series: a number, or the title of a new one.

    ``all``: all groups of the list are meant, on all of its pages.
    """

    group: Ids("group") = Field([])  # type: ignore[valid-type]
    all: Checkbox = False
    series: OptionalId("series") = None  # type: ignore[valid-type]
    series_title: FormText = ""


@blueprint.get("/admin/series")
def show_series_list() -> ResponseReturnValue:
    """List all series with their parts, and the form for a new one."""
    return _render_series_list()


def _render_series_list(
    fields: SeriesFields | None = None, error: ImageHubError | None = None
) -> str:
    session = db.session()
    rows = library_series.list_series(session)
    parts = library_series.list_parts(session, [row.series.id for row in rows])
    return render_template(
        "admin/series_list.html",
        rows=rows,
        parts=parts,
        thumbnail=make_thumbnail_url,
        typed=fields or SeriesFields(),
        fault=error.sentence if error else "",
    )


def _show_list_again(error: ImageHubError) -> ResponseReturnValue:
    return _render_series_list(read_form(SeriesFields), error), get_error_status(error)


@act("/admin/series", _show_list_again, InvalidInputError)
def create_series() -> ResponseReturnValue:
    """Create a draft series and open its page."""
    fields = read_form(SeriesFields)
    series = series_edit.create_series(db.session(), fields.title, parent_id=fields.parent)
    commit_action("create_series", series.id, name=name_series(series))
    return redirect(url_for(".show_series_page", number=series.id), 303)


@blueprint.get("/admin/series/<db_id:number>")
def show_series_page(number: int) -> ResponseReturnValue:
    """Show the fields of a series, its groups in their order, and its parts."""
    return _render_series(number)


class _MembersQuery(Form):
    page: PageStart = 1


def _render_series(
    number: int, fields: SeriesFields | None = None, error: ImageHubError | None = None
) -> str:
    session = db.session()
    series = library_series.get_series(session, number)
    page = read_query(_MembersQuery).page or 1
    count = library_series.count_members(session, [number]).get(number, 0)
    members = library_series.list_members(session, number, page, MEMBERS_PER_PAGE)
    parts = library_series.list_series(session, number)
    faults = error.fields if isinstance(error, InvalidInputError) else {}
    return render_template(
        "admin/series_page.html",
        series=series,
        name=translate(name_series(series)),
        shown=fields or series,
        parent_id=fields.parent if fields else series.parent_id,
        places=menu.PLACES,
        chosen=set(fields.menu) if fields else menu.list_places(session, series),
        # After a conflict, saving again keeps what was typed.
        version=series.version,
        faults=faults,
        fault=error.sentence if error else "",
        parents=_list_parents(series, bool(parts)),
        parts=parts,
        has_shares=bool(links.list_shares(session, limit=1, series_id=number)),
        members=members,
        covers=_find_covers(members),
        member_count=count,
        page=page,
        page_count=max(1, -(-count // MEMBERS_PER_PAGE)),
        first_position=(page - 1) * MEMBERS_PER_PAGE,
        # Where a group goes that is dragged to the end of this page.
        following=find_place(session, number, members[-1].id, "here") if members else None,
        thumbnail=make_thumbnail_url,
    )


def _list_parents(series: Series, has_parts: bool) -> Sequence[Series]:
    if has_parts:
        return ()
    rows = library_series.list_series(db.session())
    return [row.series for row in rows if row.series.id != series.id]


def _find_covers(groups: Sequence[Group]) -> dict[int, Image]:
    tiles = load_tiles(db.session(), [group.id for group in groups])
    return {tile.group.id: tile.cover for tile in tiles}


def _show_page_again(error: ImageHubError, number: int) -> ResponseReturnValue:
    if is_api_call() or isinstance(error, NotFoundError):
        raise error
    return _render_series(number, read_form(SeriesFields), error), get_error_status(error)


@act("/admin/series/<db_id:number>", _show_page_again, InvalidInputError, ConflictError)
def save_series(number: int) -> ResponseReturnValue:
    """Save the form of a series."""
    fields = read_form(SeriesFields)
    session = db.session()
    values = fields.model_dump(include={"title", "dates", "place", "text"})
    days = read_day(fields.first_day, "first_day"), read_day(fields.last_day, "last_day")
    changed = series_edit.save_series(session, number, fields.version, values, fields.parent, days)
    names = [series_edit.FIELD_NAMES[name] for name in changed]
    series = library_series.get_series(session, number)
    # Saving has locked the series.
    if menu.set_places(session, series, [one for one in menu.PLACES if one in fields.menu]):
        names.append(mark("Menu"))
    if names:
        commit_action("edit_series", number, name=name_series(series), fields=names, is_edit=True)
    say(_("Saved."))
    return _go_to(number)


def _go_to(number: int, page: int = 1, anchor: str | None = None) -> ResponseReturnValue:
    return redirect(
        url_for(
            ".show_series_page", number=number, page=page if page > 1 else None, _anchor=anchor
        ),
        303,
    )


@blueprint.post("/admin/series/<db_id:number>/publish")
def publish_series(number: int) -> ResponseReturnValue:
    """Publish a series; drafts in it stay hidden."""
    series = series_edit.set_series_state(db.session(), number, "published")
    commit_action("publish_series", number, name=name_series(series))
    name = translate(name_series(series))
    if series.shown_count:
        link = (url_for("gallery.show_one_series", number=number), _("View in gallery"))
        say(_("“%(name)s” is published.", name=name), link=link)
    else:
        say(_("“%(name)s” is published. It appears once one of its works is published.", name=name))
    return _go_to(number)


@blueprint.post("/admin/series/<db_id:number>/unpublish")
def unpublish_series(number: int) -> ResponseReturnValue:
    """Make a series a draft; its works stay in the gallery."""
    series = series_edit.set_series_state(db.session(), number, "draft")
    commit_action("unpublish_series", number, name=name_series(series))
    say(_("“%(name)s” is now a draft.", name=translate(name_series(series))))
    return _go_to(number)


@blueprint.post("/admin/series/<db_id:number>/delete")
def delete_series(number: int) -> ResponseReturnValue:
    """Move a series to the trash; its groups and parts stay."""
    name = name_series(series_trash.trash_series(db.session(), number))
    commit_action("delete_series", number, name=name)
    words = _("“%(name)s” was deleted. Its works are still in the library.", name=translate(name))
    say(words, undo=".restore_series", series=str(number))
    return redirect(url_for(".show_series_list"), 303)


class _RestoredFields(Form):
    series: Id("series")  # type: ignore[valid-type]


@blueprint.post("/admin/series/restore")
def restore_series() -> ResponseReturnValue:
    """Restore a series from the trash."""
    series = series_trash.restore_series(db.session(), read_form(_RestoredFields).series)
    name = name_series(series)
    commit_action("restore_series", series.id, name=name)
    say(_("“%(name)s” was restored.", name=translate(name)))
    return _go_to(series.id)


# --- The groups of a series -----------------------------------------------------------------------


def _show_library_again(error: ImageHubError) -> ResponseReturnValue:
    selected = [str(number) for number in read_form(ChosenFields).group]
    if isinstance(error, InvalidInputError) and "title" in error.fields:
        error = InvalidInputError(error.sentence, {"series_title": error.fields["title"]})
    return show_list(read_form(PostedPlace), error, {}, selected)


@act("/admin/library/series", _show_library_again, InvalidInputError)
def add_to_series() -> ResponseReturnValue:
    """Add the selected groups of the library to a series, or make one of them."""
    fields, session = read_form(ChosenFields), db.session()
    if fields.all:
        raise InvalidInputError("This is only possible for groups that you select one by one.")
    if not fields.group:
        raise InvalidInputError("Select groups first.", {"group": "is empty"})
    if fields.series is None:
        series = series_edit.create_series(session, fields.series_title, fields.group)
        count = len(fields.group)
        commit_action("create_series", series.id, name=name_series(series))
    else:
        count = add_members(session, fields.series, fields.group)
        series = library_series.get_series(session, fields.series)
        _commit_members("add_to_series", series, count)
    say_added(series, count)
    return _go_to(series.id)


def say_added(series: Series, count: int) -> None:
    """Say how many works were added to a series."""
    words = ngettext(
        "Added %(num)s work to “%(name)s”.",
        "Added %(num)s works to “%(name)s”.",
        count,
        name=translate(name_series(series)),
    )
    say(words)


def _commit_members(action: str, series: Series, count: int) -> None:
    if count:
        commit_action(action, series.id, name=name_series(series), count=count)


def _refuse_member(error: ImageHubError, number: int) -> ResponseReturnValue:
    return return_refused(error, url_for(".show_series_page", number=number))


class _RemovedFields(Form):
    """A removed group, and the group that followed it; None if it was the last."""

    series: Id("series")  # type: ignore[valid-type]
    group: Id("group")  # type: ignore[valid-type]
    before: OptionalId("group") = None  # type: ignore[valid-type]


@blueprint.post("/admin/series/put-back")
def put_back_in_series() -> ResponseReturnValue:
    """Put a removed group back into its series."""
    session, fields = db.session(), read_form(_RemovedFields)
    count = add_members(session, fields.series, [fields.group])
    if count and fields.before is not None:
        with suppress(NotFoundError):  # The group that followed it may be removed, too.
            place_member(session, fields.series, fields.group, fields.before)
    _commit_members("add_to_series", library_series.get_series(session, fields.series), count)
    return _go_to(fields.series, anchor=f"group-{fields.group}")


@act("/admin/series/<db_id:number>/remove", _refuse_member, InvalidInputError)
def remove_from_series(number: int) -> ResponseReturnValue:
    """Remove a group from a series; it stays in the library."""
    session, fields = db.session(), read_form(MemberFields)
    following = find_place(session, number, fields.group, "here")
    remove_member(session, number, fields.group)
    _commit_members("remove_from_series", library_series.get_series(session, number), 1)
    group = session.get_one(Group, fields.group)
    say(
        _("Removed “%(name)s” from the series.", name=translate(name_group(group))),
        undo=".put_back_in_series",
        series=str(number),
        group=str(fields.group),
        before=str(following or ""),
    )
    return _go_to(number, fields.page)


@act("/admin/series/<db_id:number>/cover", _refuse_member, InvalidInputError)
def choose_series_cover(number: int) -> ResponseReturnValue:
    """Set the cover of a series."""
    fields = read_form(MemberFields)
    series = series_edit.choose_series_cover(db.session(), number, fields.group)
    commit_action("set_series_cover", number, name=name_series(series))
    say(_("The cover was changed."))
    return _go_to(number, fields.page, f"group-{fields.group}")


@act("/admin/series/<db_id:number>/top", _refuse_member, InvalidInputError)
def move_member_to_top(number: int) -> ResponseReturnValue:
    """Move a group to the top of its series."""
    return _place(number, "top")


@act("/admin/series/<db_id:number>/earlier", _refuse_member, InvalidInputError)
def move_member_up(number: int) -> ResponseReturnValue:
    """Move a group one place up in its series."""
    return _place(number, "up")


@act("/admin/series/<db_id:number>/later", _refuse_member, InvalidInputError)
def move_member_down(number: int) -> ResponseReturnValue:
    """Move a group one place down in its series."""
    return _place(number, "down")


class _OrderFields(Form):
    """A group of a series, and the one that it is moved before; None for the end."""

    group: Id("group")  # type: ignore[valid-type]
    before: OptionalId("group") = None  # type: ignore[valid-type]


@act("/admin/series/<db_id:number>/order", _refuse_member, InvalidInputError)
def order_members(number: int) -> ResponseReturnValue:
    """Move a group before another one of its series, for a script."""
    session, fields = db.session(), read_form(_OrderFields)
    place_member(session, number, fields.group, fields.before)
    _commit_order(number)
    return "", 204


def _place(number: int, where: str) -> ResponseReturnValue:
    session, fields = db.session(), read_form(MemberFields)
    before = find_place(session, number, fields.group, where)
    place_member(session, number, fields.group, before)
    _commit_order(number)
    return _go_to(number, fields.page, f"group-{fields.group}")


def _commit_order(number: int) -> None:
    series = library_series.get_series(db.session(), number)
    commit_action("order_series_groups", number, name=name_series(series), is_repeated=True)
