"""The inbox: read, answer, mark and delete what visitors have written."""

import json
from collections.abc import Sequence
from typing import Annotated, Any
from urllib.parse import quote

from flask import Response, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user
from pydantic import BeforeValidator, Field

from imagehub.admin import act, blueprint
from imagehub.admin.words import return_refused, say
from imagehub.database import db
from imagehub.domain.enquiries import inbox, spam
from imagehub.errors import ImageHubError, InvalidInputError
from imagehub.messages import Message, mark
from imagehub.models import Enquiry, Group, User
from imagehub.translator import get_translator
from imagehub.web import commit_action
from imagehub.web.errors import get_error_status
from imagehub.web.forms import (
    Checkbox,
    Form,
    FormText,
    OptionalId,
    read_form,
    read_number,
    read_query,
)
from imagehub.web.i18n import ngettext

_UNDO = {"new": "admin.reopen_enquiries", "answered": "admin.answer_enquiries"}


class _Query(Form):
    """``before``: where a page of the list begins."""

    state: str = ""
    q: str = ""
    before: OptionalId("page") = None  # type: ignore[valid-type]


def _split_numbers(texts: list[str]) -> list[int]:
    return [read_number(part, "enquiry") for text in texts for part in text.split(",") if part]


class _Selected(Form):
    """The selected enquiries: several fields, or one with commas.

    ``sure``: the person has confirmed to delete them.
    """

    enquiry: Annotated[list[int], BeforeValidator(_split_numbers)] = Field([])
    note: FormText | None = None
    sure: Checkbox = False


def count_new_enquiries() -> int:
    """Count the new enquiries for the menu, up to one more than ``inbox.MAX_COUNTED``."""
    return inbox.count_state(db.session(), "new")


blueprint.add_app_template_global(count_new_enquiries)


@blueprint.get("/admin/enquiries")
def show_enquiries() -> ResponseReturnValue:
    """Show a page of the inbox."""
    query = read_query(_Query)
    state = query.state if query.state in inbox.FILTERS else "new"
    session = db.session()
    return render_template(
        "admin/enquiries.html",
        page=inbox.list_enquiries(session, state, query.q, query.before),
        state=state,
        words=query.q,
        before=query.before,
        filters=inbox.FILTERS,
        states=inbox.STATES,
        counts=inbox.describe_states(session),
        max_counted=inbox.MAX_COUNTED,
    )


@blueprint.get("/admin/enquiries/<db_id:number>")
def show_enquiry(number: int) -> ResponseReturnValue:
    """Show one enquiry."""
    return _render(inbox.get_enquiry(db.session(), number))


def _render(enquiry: Enquiry, note: str | None = None, fault: str = "") -> str:
    session = db.session()
    return render_template(
        "admin/enquiry.html",
        enquiry=enquiry,
        group=session.get(Group, enquiry.group_id) if enquiry.group_id else None,
        person=session.get(User, enquiry.user_id) if enquiry.user_id else None,
        states=inbox.STATES,
        reason=spam.REASONS.get(enquiry.spam_reason, ""),
        reply_url=make_reply_url(enquiry),
        note=enquiry.note if note is None else note,
        fault=fault,
        max_note=inbox.MAX_NOTE_CHARS,
    )


def make_reply_url(enquiry: Enquiry) -> str:
    """Return the ``mailto:`` address of an answer, in the visitor's language (RFC 6068)."""
    translate = get_translator(enquiry.language).translate
    about = Message("Your enquiry about “%(title)s”", title=enquiry.work)
    subject = translate(about if enquiry.work else mark("Your enquiry"))
    # Long addresses are cut off by some programs.
    quoted = "\r\n".join(f"> {line}" for line in enquiry.message[:1000].split("\n"))
    body = quote(f"\r\n\r\n{enquiry.name}:\r\n{quoted}", safe="")
    return f"mailto:{quote(enquiry.email, safe='@')}?subject={quote(subject, safe='')}&body={body}"


# --- Acts -----------------------------------------------------------------------------------------


def _refuse(error: ImageHubError, **_view_args: Any) -> ResponseReturnValue:
    return return_refused(error, url_for("admin.show_enquiries"))


def _set_state(state: str, action: str) -> Sequence[Enquiry]:
    """Set a state; the toast offers to undo it where all had the same one before."""
    session, fields = db.session(), read_form(_Selected)
    before = {one.state for one in inbox.get_some(session, fields.enquiry)} - {state}
    if fields.note is not None and len(fields.enquiry) == 1:
        inbox.save_note(session, fields.enquiry[0], fields.note)
    changed = inbox.set_state(session, fields.enquiry, state, current_user.id)
    if changed:
        key = changed[0].id if len(changed) == 1 else ""
        commit_action(action, key, count=len(changed))
    else:
        db.session.commit()
    sentences = {
        "new": ngettext("%(num)s enquiry is new.", "%(num)s enquiries are new.", len(changed)),
        "answered": ngettext(
            "%(num)s enquiry is answered.", "%(num)s enquiries are answered.", len(changed)
        ),
        "spam": ngettext("%(num)s enquiry is spam.", "%(num)s enquiries are spam.", len(changed)),
    }
    undo = _UNDO.get(before.pop(), "admin.refuse_enquiries") if len(before) == 1 else ""
    numbers = ",".join(str(one.id) for one in changed)
    say(sentences[state], undo=undo, enquiry=numbers) if undo else say(sentences[state])
    return changed


def _return(state: str) -> ResponseReturnValue:
    return redirect(url_for(".show_enquiries", state=state if state != "new" else None), 303)


@act("/admin/enquiries/answered", _refuse)
def answer_enquiries() -> ResponseReturnValue:
    """Mark enquiries as answered; a single one with its note."""
    _set_state("answered", "answer_enquiries")
    return _return("new")


@act("/admin/enquiries/new", _refuse)
def reopen_enquiries() -> ResponseReturnValue:
    """Mark enquiries as new, such as those that are no spam."""
    _set_state("new", "reopen_enquiries")
    return _return("new")


@act("/admin/enquiries/spam", _refuse)
def refuse_enquiries() -> ResponseReturnValue:
    """Mark enquiries as spam."""
    _set_state("spam", "refuse_enquiries")
    return _return("new")


@act("/admin/enquiries/delete", _refuse)
def delete_enquiries() -> ResponseReturnValue:
    """Ask whether enquiries shall be deleted; then delete them for good."""
    session, fields = db.session(), read_form(_Selected)
    found = inbox.get_some(session, fields.enquiry)
    if not fields.sure:
        return render_template("admin/enquiries_delete.html", enquiries=found)
    key = found[0].id if len(found) == 1 else ""
    count = inbox.delete_enquiries(session, fields.enquiry)
    commit_action("delete_enquiries", key, count=count)
    say(ngettext("%(num)s enquiry was deleted.", "%(num)s enquiries were deleted.", count))
    return _return("new")


@act("/admin/enquiries/export", _refuse)
def export_enquiries() -> ResponseReturnValue:
    """Send all that is stored of enquiries as a file of JSON."""
    found = inbox.get_some(db.session(), read_form(_Selected).enquiry)
    text = json.dumps({"enquiries": inbox.export(found)}, ensure_ascii=False, indent=2)
    key = found[0].id if len(found) == 1 else ""
    commit_action("export_enquiries", key, count=len(found))
    headers = {
        "Content-Disposition": 'attachment; filename="enquiries.json"',
        "Cache-Control": "no-store",
    }
    return Response(text + "\n", mimetype="application/json", headers=headers)


def _show_note_again(error: ImageHubError, number: int) -> ResponseReturnValue:
    enquiry = inbox.get_enquiry(db.session(), number)
    page = _render(enquiry, read_form(_Selected).note or "", error.sentence)
    return page, get_error_status(error)


@act("/admin/enquiries/<db_id:number>/note", _show_note_again, InvalidInputError)
def save_enquiry_note(number: int) -> ResponseReturnValue:
    """Save the note of an enquiry."""
    inbox.save_note(db.session(), number, read_form(_Selected).note or "")
    commit_action("note_enquiry", number, is_edit=True)
    say(_("Saved."))
    return redirect(url_for(".show_enquiry", number=number), 303)
