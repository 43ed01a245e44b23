"""Share links with a browser: make one, see how often it was opened, end it."""

from datetime import date

from flask import redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from imagehub.admin import blueprint, shown_once
from imagehub.admin.numbers import read_numbers, read_page_number
from imagehub.admin.words import say
from imagehub.database import db
from imagehub.domain import library_list, shares
from imagehub.errors import ImageHubError, InvalidInputError
from imagehub.models import ShareLink
from imagehub.web import get_error_status, make_absolute, note_action


@blueprint.get("/admin/shares")
def show_shares() -> ResponseReturnValue:
    """All links from new to old."""
    before = read_page_number()
    made = shown_once.take("share")
    listed = shares.list_shares(db.session(), before)
    return render_template(
        "admin/shares.html",
        listed=listed,
        before=before,
        next_before=listed[-1].share.id if len(listed) == shares.SHARES_PER_PAGE else None,
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
        share, token = shares.create_share(
            session,
            current_user.id,
            numbers,
            request.form.get("title", ""),
            _read_day(request.form.get("last_day", "")),
            request.form.get("password", ""),
            bool(request.form.get("may_download")),
        )
    except ImageHubError as error:
        session.rollback()
        return _show_form(numbers, error)
    note_action("create", "share", share.id, f"Made the share link “{_name(share)}”.")
    session.commit()
    return _show_once(share, token)


@blueprint.post("/admin/shares/<biggest:number>/renew")
def renew_share(number: int) -> ResponseReturnValue:
    """Give a link another address, which is shown once too."""
    session = db.session()
    try:
        share, token = shares.renew_share(session, number)
    except InvalidInputError as error:
        session.rollback()
        say(str(error), is_fault=True)
        return redirect(url_for(".show_shares"), 303)
    note_action("change", "share", number, f"Gave the share link “{_name(share)}” a new address.")
    session.commit()
    return _show_once(share, token)


@blueprint.post("/admin/shares/<biggest:number>/revoke")
def revoke_share(number: int) -> ResponseReturnValue:
    """End a link at once."""
    session = db.session()
    share = shares.revoke_share(session, number)
    note_action("delete", "share", number, f"Revoked the share link “{_name(share)}”.")
    session.commit()
    say("The link opens nothing any more.")
    return redirect(url_for(".show_shares"), 303)


def _show_form(numbers: list[int], error: ImageHubError | None = None) -> ResponseReturnValue:
    session = db.session()
    rows = library_list.load_rows(session, numbers[: shares.MAX_GROUPS + 1])
    rows = [row for row in rows if row.state != "trash"]
    page = render_template(
        "admin/share_new.html",
        rows=rows,
        values=request.form,
        fault=str(error) if error else "",
        faults=error.fields if isinstance(error, InvalidInputError) else {},
    )
    return (page, get_error_status(error)) if error else page


def _show_once(share: ShareLink, token: str) -> ResponseReturnValue:
    url = make_absolute(url_for("gallery.show_share", token=token))
    shown_once.keep("share", name=_name(share), url=url)
    return redirect(url_for(".show_shares"), 303)


def _name(share: ShareLink) -> str:
    return shares.name_shares(db.session(), [share])[share.id]


def _read_day(text: str) -> date | None:
    """:raise InvalidInputError: this is no day."""
    if not text.strip():
        return None
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        fault = "Write the day as 2026-12-31."
        raise InvalidInputError(fault, {"last_day": fault}) from None
