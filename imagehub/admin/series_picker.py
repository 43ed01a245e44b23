"""Select works from the library for a series, with a search and pictures."""

from typing import Any

from flask import redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from imagehub.admin import act, blueprint
from imagehub.admin.series_pages import say_added
from imagehub.admin.words import return_refused
from imagehub.database import db
from imagehub.domain.library import listing
from imagehub.domain.library.series import find_members, get_series, name_series
from imagehub.domain.library.series_members import add_members
from imagehub.errors import ImageHubError, InvalidInputError
from imagehub.web import commit_action
from imagehub.web.forms import Form, FormText, Ids, read_form, read_query
from imagehub.web.i18n import translate
from imagehub.wiring import get_clients


class _PickerQuery(Form):
    """``q``: words of the works; ``after``, ``before``: the page of the list."""

    q: FormText = ""
    after: FormText = ""
    before: FormText = ""


class _PickedFields(_PickerQuery):
    group: Ids("group") = []  # type: ignore[valid-type]  # noqa: RUF012 - pydantic copies it


def _make_place(query: _PickerQuery) -> dict[str, str]:
    fields = query.model_dump(include={"q", "after", "before"})
    return {name: value for name, value in fields.items() if value}


@blueprint.get("/admin/series/<db_id:number>/add")
def show_series_picker(number: int) -> ResponseReturnValue:
    """Show the works of the library with their pictures, to add some of them to a series."""
    session, query = db.session(), read_query(_PickerQuery)
    series = get_series(session, number)
    page = listing.list_groups(session, "all", query.q, query.after, query.before)
    return render_template(
        "admin/series_picker.html",
        series=series,
        name=translate(name_series(series)),
        query=query,
        page=page,
        members=find_members(session, number, [row.id for row in page.rows]),
        sign=get_clients().store.make_presigned_url,
    )


def _refuse(error: ImageHubError, number: int) -> ResponseReturnValue:
    place: dict[str, Any] = _make_place(read_form(_PickedFields))
    return return_refused(error, url_for(".show_series_picker", number=number, **place))


@act("/admin/series/<db_id:number>/add", _refuse, InvalidInputError)
def pick_for_series(number: int) -> ResponseReturnValue:
    """Add the selected works to a series, and show the same page of the library again."""
    session, fields = db.session(), read_form(_PickedFields)
    if not fields.group:
        raise InvalidInputError("Select groups first.", {"group": "is empty"})
    count = add_members(session, number, fields.group)
    series = get_series(session, number)
    if count:
        commit_action("add_to_series", number, name=name_series(series), count=count)
    say_added(series, count)
    place: dict[str, Any] = _make_place(fields)
    return redirect(url_for(".show_series_picker", number=number, **place), 303)
