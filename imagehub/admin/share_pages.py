"""Share links with a browser: make one, see how often it was opened, end it."""

import re
from datetime import date

from flask import redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from imagehub.admin import blueprint, shown_once
from imagehub.admin.numbers import read_number, read_numbers, read_page_number
from imagehub.admin.words import say
from imagehub.database import db
from imagehub.domain.library import listing
from imagehub.domain.sharing import links
from imagehub.errors import ImageHubError, InvalidInputError
from imagehub.models import ShareLink
from imagehub.web import note_action
from imagehub.web.errors import get_error_status
from imagehub.web.headers import make_absolute

# As browsers count them; clocks are from 14 hours ahead of UTC to 12 behind.
_MINUTES_BEHIND = re.compile(r"-?[0-9]{1,3}")
_AGAIN = "Type the password again: a form that comes back does not hold it."


@blueprint.get("/admin/shares")
def show_shares() -> ResponseReturnValue:
    """All links from new to old."""
    before = read_page_number()
    made = shown_once.take("share")
    listed = links.list_shares(db.session(), before)
    return render_template(
        "admin/shares.html",
        listed=listed,
        before=before,
        next_before=listed[-1].share.id if len(listed) == links.SHARES_PER_PAGE else None,
        made=made,
    )


@blueprint.get("/admin/shares/new")
def new_share() -> ResponseReturnValue:
    """The form for a link to the chosen groups."""
    return _show_form(read_numbers(request.args.getlist("group")))


@blueprint.post("/admin/shares")
def create_share() -> ResponseReturnValue:
    """Make a link; the page with all of them shows its address once."""
    session = db.session()
    numbers = read_numbers(request.form.getlist("group"))
    try:
        share, token = links.create_share(
            session,
            current_user.id,
            numbers,
            request.form.get("title", ""),
            _read_day(request.form.get("last_day", "")),
            _read_password(),
            bool(request.form.get("may_download")),
            minutes_behind_utc=_read_minutes_behind(),
        )
    except ImageHubError as error:
        session.rollback()
        return _show_form(numbers, error)
    note_action("create_share", share.id, name=_name(share))
    session.commit()
    return _show_once(share, token)


@blueprint.post("/admin/shares/<biggest:number>/renew")
def renew_share(number: int) -> ResponseReturnValue:
    """Give a link another address, which is shown once too."""
    session = db.session()
    try:
        share, token = links.renew_share(session, number)
    except InvalidInputError as error:
        session.rollback()
        say(str(error), is_fault=True)
        return redirect(url_for(".show_shares"), 303)
    note_action("replace_share", number, name=_name(share))
    session.commit()
    return _show_once(share, token)


@blueprint.post("/admin/shares/<biggest:number>/revoke")
def revoke_share(number: int) -> ResponseReturnValue:
    """End a link at once."""
    session = db.session()
    share = links.revoke_share(session, number)
    note_action("revoke_share", number, name=_name(share))
    session.commit()
    say(f"“{_name(share)}” opens nothing any more.", undo=".reopen_share", number=str(number))
    return redirect(url_for(".show_shares"), 303)


@blueprint.post("/admin/shares/reopen")
def reopen_share() -> ResponseReturnValue:
    """Take back that a link was revoked."""
    session = db.session()
    share = links.reopen_share(session, read_number(request.form.get("number", ""), "share link"))
    note_action("reopen_share", share.id, name=_name(share))
    session.commit()
    say(f"“{_name(share)}” opens again, at the address that it had.")
    return redirect(url_for(".show_shares"), 303)


def _show_form(numbers: list[int], error: ImageHubError | None = None) -> ResponseReturnValue:
    session = db.session()
    rows = listing.load_rows(session, numbers[: links.MAX_GROUPS + 1])
    rows = [row for row in rows if row.state != "trash"]
    faults = error.fields if isinstance(error, InvalidInputError) else {}
    wants_password = _wants_password()
    if wants_password and not request.form.get("without_password"):
        faults = {"password": _AGAIN} | faults
    page = render_template(
        "admin/share_new.html",
        rows=rows,
        values=request.form,
        # Said above the form, where no field has words of its own.
        fault="" if error is None or str(error) in faults.values() else str(error),
        faults=faults,
        wants_password=wants_password,
    )
    return (page, get_error_status(error)) if error else page


def _show_once(share: ShareLink, token: str) -> ResponseReturnValue:
    url = make_absolute(url_for("gallery.show_share", token=token))
    shown_once.keep("share", name=_name(share), url=url)
    return redirect(url_for(".show_shares"), 303)


def _name(share: ShareLink) -> str:
    return links.name_shares(db.session(), [share])[share.id]


def _wants_password() -> bool:
    return bool(request.form.get("password") or request.form.get("wants_password"))


def _read_password() -> str:
    """The password, which no refused form brings back to the browser.

    :raise InvalidInputError: an earlier try had one, this one has none, and nobody said that the
        link shall open without.
    """
    password = request.form.get("password", "")
    if not password and _wants_password() and not request.form.get("without_password"):
        raise InvalidInputError(_AGAIN, {"password": _AGAIN})
    return password


def _read_minutes_behind() -> int:
    """How far the clock of who made the link was behind UTC; 0 where no script told it."""
    text = request.form.get("minutes_behind_utc", "")
    minutes = int(text) if _MINUTES_BEHIND.fullmatch(text) else 0
    return minutes if -14 * 60 <= minutes <= 12 * 60 else 0


def _read_day(text: str) -> date | None:
    """:raise InvalidInputError: this is no day."""
    if not text.strip():
        return None
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        fault = "Write the day as 2026-12-31."
        raise InvalidInputError(fault, {"last_day": fault}) from None
