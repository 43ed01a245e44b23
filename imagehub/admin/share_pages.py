"""Share links: create them, list their views, replace and revoke them."""

import re

from flask import redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user

from imagehub.admin import act, blueprint, shown_once
from imagehub.admin.words import say
from imagehub.database import db
from imagehub.domain.library import listing
from imagehub.domain.library.series import count_members, get_series, list_series
from imagehub.domain.people import passwords
from imagehub.domain.sharing import links
from imagehub.errors import ImageHubError, InvalidInputError
from imagehub.messages import mark
from imagehub.models import ShareLink
from imagehub.web import commit_action
from imagehub.web.errors import get_error_headers, get_error_status
from imagehub.web.forms import (
    Checkbox,
    Form,
    FormText,
    Id,
    Ids,
    OptionalId,
    read_day,
    read_form,
    read_query,
)
from imagehub.web.headers import make_absolute
from imagehub.web.i18n import translate

# As browsers count them; clocks are from 14 hours ahead of UTC to 12 behind.
_MINUTES_BEHIND = re.compile(r"-?[0-9]{1,3}")
_MAX_SHOWN_BYTES = 64
_AGAIN = mark("Enter the password again. For security, it is not kept in the form.")


class SharesQuery(Form):
    """``before``: where a page of the list begins; ``group``, ``series``: what a new link shows.

    A list with a ``series`` has only the links to it.
    """

    before: OptionalId("page") = None  # type: ignore[valid-type]
    series: OptionalId("series") = None  # type: ignore[valid-type]
    group: Ids("group") = []  # type: ignore[valid-type]  # noqa: RUF012 - pydantic copies it


class ShareFields(Form):
    """``wants_password``: an earlier try had a password; ``minutes_behind_utc`` is a script's.

    ``number``: of a revoked link.
    """

    number: Id("share link") = 0  # type: ignore[valid-type]
    series: OptionalId("series") = None  # type: ignore[valid-type]
    group: Ids("group") = []  # type: ignore[valid-type]  # noqa: RUF012 - pydantic copies it
    title: FormText = ""
    last_day: FormText = ""
    password: FormText = ""
    wants_password: Checkbox = False
    without_password: Checkbox = False
    may_download: Checkbox = False
    takes_lists: Checkbox = False
    without_mark: Checkbox = False
    minutes_behind_utc: FormText = ""


@blueprint.get("/admin/shares")
def show_shares() -> ResponseReturnValue:
    """List all links from new to old, and the address of one that was just created."""
    query = read_query(SharesQuery)
    made = shown_once.take("share")
    session = db.session()
    series = get_series(session, query.series) if query.series is not None else None
    listed = links.list_shares(session, query.before, series_id=query.series)
    return render_template(
        "admin/shares.html",
        listed=listed,
        series=series,
        before=query.before,
        next_before=listed[-1].share.id if len(listed) == links.SHARES_PER_PAGE else None,
        made=made,
    )


@blueprint.get("/admin/shares/new")
def new_share() -> ResponseReturnValue:
    """Show the form for a link to the selected groups, or to a series."""
    query = read_query(SharesQuery)
    return _render_form(ShareFields(group=query.group, series=query.series, takes_lists=True))


def _show_form_again(error: ImageHubError) -> ResponseReturnValue:
    fields = read_form(ShareFields)
    page = _render_form(fields, error, is_again=True)
    return page, get_error_status(error), get_error_headers(error)


@blueprint.post("/admin/shares/new/password")
def make_share_password() -> ResponseReturnValue:
    """Show the form again with a password that the hub has made, and everything else as typed."""
    fields = read_form(ShareFields)
    made = fields.model_copy(update={"password": links.make_password(), "without_password": False})
    return _render_form(made, is_again=True, is_made=True)


@act("/admin/shares", _show_form_again)
def create_share() -> ResponseReturnValue:
    """Create a link; the list shows its address once."""
    fields = read_form(ShareFields)
    last_day = read_day(fields.last_day, "last_day")
    if fields.wants_password and not fields.password and not fields.without_password:
        raise InvalidInputError(_AGAIN, {"password": _AGAIN})
    share, token = links.create_share(
        db.session(),
        current_user.id,
        fields.group,
        fields.title,
        last_day,
        fields.password,
        fields.may_download,
        takes_lists=fields.takes_lists,
        has_mark=not fields.without_mark,
        minutes_behind_utc=_read_minutes_behind(fields.minutes_behind_utc),
        series_id=fields.series,
    )
    commit_action("create_share", share.id, name=name_share(share))
    return show_address(share, token, fields.password)


def _show_refusal(error: ImageHubError, **_view_args: int) -> ResponseReturnValue:
    say(error.sentence, is_fault=True)
    return redirect(url_for(".show_shares"), 303)


@act("/admin/shares/<db_id:number>/renew", _show_refusal, InvalidInputError)
def renew_share(number: int) -> ResponseReturnValue:
    """Replace the address of a link; the new one is shown once too."""
    share, token = links.renew_share(db.session(), number)
    commit_action("replace_share", number, name=name_share(share))
    return show_address(share, token)


@blueprint.post("/admin/shares/<db_id:number>/revoke")
def revoke_share(number: int) -> ResponseReturnValue:
    """Revoke a link."""
    name = name_share(links.revoke_share(db.session(), number))
    commit_action("revoke_share", number, name=name)
    words = _("The link “%(name)s” was revoked.", name=translate(name))
    say(words, undo=".reopen_share", number=str(number))
    return redirect(url_for(".show_shares"), 303)


@blueprint.post("/admin/shares/reopen")
def reopen_share() -> ResponseReturnValue:
    """Undo that a link was revoked."""
    share = links.reopen_share(db.session(), read_form(ShareFields).number)
    name = name_share(share)
    commit_action("reopen_share", share.id, name=name)
    say(_("The link “%(name)s” was restored with its former address.", name=translate(name)))
    return redirect(url_for(".show_shares"), 303)


def _render_form(
    fields: ShareFields,
    error: ImageHubError | None = None,
    *,
    is_again: bool = False,
    is_made: bool = False,
) -> str:
    """Render the form. Of passwords it shows only one that was just made.

    :param is_again: it was sent, and is shown as it was typed.
    """
    session = db.session()
    series = get_series(session, fields.series) if fields.series is not None else None
    numbers = fields.group if series is None else []
    rows = listing.load_rows(session, numbers[: links.MAX_GROUPS + 1])
    rows = [row for row in rows if row.state != "trash"]
    faults = error.fields if isinstance(error, InvalidInputError) else {}
    wants_password = bool(fields.wants_password or fields.password) and not is_made
    if wants_password and not fields.without_password:
        faults = {"password": _AGAIN} | faults
    if not is_again:
        title = rows[0].title if len(rows) == 1 else ""
        fields = fields.model_copy(update={"title": series.title if series else title})
    return render_template(
        "admin/share_new.html",
        series=series,
        counts=count_members(session, [series.id]) if series else {},
        parts=list_series(session, series.id) if series else (),
        rows=rows,
        values=fields,
        # Above the form, if the error does not belong to a field.
        fault="" if error is None or str(error) in faults.values() else error.sentence,
        faults=faults,
        wants_password=wants_password,
        made_password=fields.password if is_made else "",
        min_password_chars=passwords.MIN_PASSWORD_CHARS,
    )


def show_address(share: ShareLink, token: str, password: str = "") -> ResponseReturnValue:
    """Go to the list of links, which shows the address of this one, once."""
    url = make_absolute(url_for("gallery.show_share", token=token))
    # The cookie that holds it has room for an ordinary password only.
    shown = password if len(password.encode()) <= _MAX_SHOWN_BYTES else ""
    shown_once.keep("share", name=translate(name_share(share)), url=url, password=shown)
    return redirect(url_for(".show_shares"), 303)


def name_share(share: ShareLink) -> str:
    """Return the name of a link in the admin pages."""
    return links.name_shares(db.session(), [share])[share.id]


def _read_minutes_behind(text: str) -> int:
    """Read how far the clock of the browser is behind UTC; 0 without a script."""
    minutes = int(text) if _MINUTES_BEHIND.fullmatch(text) else 0
    return minutes if -14 * 60 <= minutes <= 12 * 60 else 0
