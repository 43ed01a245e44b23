"""The order of the list of series: by buttons, and by a script."""

from flask import redirect, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from imagehub.admin import blueprint
from imagehub.admin.words import say
from imagehub.database import db
from imagehub.domain.library import series_edit
from imagehub.domain.library.series import get_series, name_series
from imagehub.web import commit_action
from imagehub.web.access import is_api_call
from imagehub.web.forms import Form, Id, OptionalId, read_form
from imagehub.web.i18n import translate


@blueprint.post("/admin/series/<db_id:number>/up")
def move_series_up(number: int) -> ResponseReturnValue:
    """Move a series one place up."""
    return _move_series(number, -1)


@blueprint.post("/admin/series/<db_id:number>/down")
def move_series_down(number: int) -> ResponseReturnValue:
    """Move a series one place down."""
    return _move_series(number, 1)


def _move_series(number: int, step: int) -> ResponseReturnValue:
    following = series_edit.move_series(db.session(), number, step)
    name = _commit_place(number)
    say(
        _("“%(name)s” was moved.", name=translate(name)),
        undo=".order_series",
        series=str(number),
        before=str(following or ""),
    )
    return _go_to_list(number)


class _PlaceFields(Form):
    """A series, and the one beside it that it is moved before; None for the end."""

    series: Id("series")  # type: ignore[valid-type]
    before: OptionalId("series") = None  # type: ignore[valid-type]


@blueprint.post("/admin/series/order")
def order_series() -> ResponseReturnValue:
    """Move a series before another one, for a script and to undo a move."""
    fields = read_form(_PlaceFields)
    series_edit.place_series(db.session(), fields.series, fields.before)
    _commit_place(fields.series)
    return ("", 204) if is_api_call() else _go_to_list(fields.series)


def _commit_place(number: int) -> str:
    name = name_series(get_series(db.session(), number))
    commit_action("order_series", number, name=name, is_repeated=True)
    return name


def _go_to_list(number: int) -> ResponseReturnValue:
    return redirect(url_for(".show_series_list", _anchor=f"series-{number}"), 303)
