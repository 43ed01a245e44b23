"""The forms that visitors write to the hub's people with: about a work, and in general.

They are pages of their own, since they have a CSRF token and so a session: the kept pages of works
only link to them. The session ends when the form was sent.
"""

import time

from flask import Response, make_response, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from flask_wtf.csrf import generate_csrf

from imagehub.database import db
from imagehub.domain.enquiries import inbox
from imagehub.domain.enquiries.inbox import Letter, Signs
from imagehub.domain.library import gallery
from imagehub.domain.library import images as library_images
from imagehub.domain.library.prices import is_on_request
from imagehub.domain.site import pages
from imagehub.errors import ImageHubError, InvalidInputError, NotFoundError, TooManyEnquiriesError
from imagehub.gallery import blueprint
from imagehub.gallery.languages import use_visitors_language
from imagehub.gallery.pictures import get_title, list_record, make_picture
from imagehub.gallery.walls import make_placeholder_css
from imagehub.models import Group
from imagehub.web.errors import get_error_headers, get_error_status, on_refusal
from imagehub.web.forms import Form, FormText, OptionalId, read_form, read_query
from imagehub.web.i18n import get_language
from imagehub.wiring import get_settings, get_signing_keys

_PURPOSE = "enquiry forms"
MOST_CHARS = {
    "name": inbox.MAX_NAME_CHARS,
    "email": inbox.MAX_EMAIL_CHARS,
    "message": inbox.MAX_MESSAGE_CHARS,
}


class LetterFields(Form):
    """``website`` is the field that people do not see; ``began``: when the form was opened."""

    name: FormText = ""
    email: FormText = ""
    message: FormText = ""
    website: FormText = ""
    began: FormText = ""


class _SentQuery(Form):
    work: OptionalId("group") = None  # type: ignore[valid-type]


@blueprint.app_template_global("may_enquire")
def may_enquire(group: Group) -> bool:
    """Tell whether the page of a work links to the form about it."""
    is_offered = group.availability == "available" or is_on_request(group)
    return get_settings().enquiries and group.is_shown and is_offered


# --- Views ----------------------------------------------------------------------------------------


def _show_again(error: ImageHubError, number: int | None = None) -> ResponseReturnValue:
    """Show the form with what was typed, and what is wrong with it."""
    fields = read_form(LetterFields)
    faults = dict(error.fields) if isinstance(error, InvalidInputError) else {}
    response = _render(_find_group(number), fields, faults, error.sentence)
    response.status_code = get_error_status(error)
    response.headers.update(get_error_headers(error))
    return response


_shows_again = on_refusal(_show_again, InvalidInputError, TooManyEnquiriesError)


@blueprint.get("/contact")
def show_contact() -> ResponseReturnValue:
    """Show the general form, below the text of the page for contact if there is one."""
    return _render(_find_group(None))


@blueprint.post("/contact")
@_shows_again
def send_contact() -> ResponseReturnValue:
    """Take a general enquiry in."""
    return _receive(_find_group(None))


@blueprint.get("/groups/<db_id:number>/enquire")
def show_enquire(number: int) -> ResponseReturnValue:
    """Show the form about a work, whatever its availability is by now."""
    return _render(_find_group(number))


@blueprint.post("/groups/<db_id:number>/enquire")
@_shows_again
def send_enquiry(number: int) -> ResponseReturnValue:
    """Take an enquiry about a work in."""
    return _receive(_find_group(number))


@blueprint.get("/contact/sent")
def show_sent() -> ResponseReturnValue:
    """Say that an enquiry was sent; a reload sends nothing again."""
    group = _find_group(read_query(_SentQuery).work)
    use_visitors_language([group], is_short=True)
    return _finish(render_template("gallery/enquiry_sent.html", group=group))


# --- Parts ----------------------------------------------------------------------------------------


def _find_group(number: int | None) -> Group | None:
    """Return the work, None for the general form.

    :raise NotFoundError: enquiries are off, or visitors do not see the work.
    """
    if not get_settings().enquiries:
        raise NotFoundError("page", "")
    return None if number is None else gallery.get_shown_group(db.session(), number)


def _receive(group: Group | None) -> ResponseReturnValue:
    fields = read_form(LetterFields)
    letter: Letter = inbox.tidy_letter(fields.name, fields.email, fields.message)
    number = group.id if group is not None else None
    inbox.receive(
        db.session(),
        get_signing_keys(),
        letter,
        Signs(fields.website, measure_seconds(fields.began)),
        address=request.remote_addr or "",
        group=group,
        language=get_language(),
    )
    db.session.commit()
    if not current_user.is_authenticated:
        # Without a session, this browser gets the kept pages again.
        session.pop("csrf_token", None)
    return _finish(redirect(url_for(".show_sent", work=number), 303))


def _render(
    group: Group | None,
    fields: LetterFields | None = None,
    faults: dict[str, str] | None = None,
    sentence: str = "",
) -> Response:
    picture, css = None, ""
    cover = library_images.find_cover(db.session(), group) if group is not None else None
    contact = pages.find_first(db.session(), "contact") if group is None else None
    privacy = pages.find_first(db.session(), "privacy")
    use_visitors_language([group, cover, contact, privacy])
    if group is not None and cover is not None:
        picture = make_picture(group, cover, "work")
        css = make_placeholder_css([picture])
    page = render_template(
        "gallery/enquire.html",
        group=group,
        title=get_title(group) if group is not None else "",
        record=list_record(group) if group is not None else [],
        picture=picture,
        wall_css=css,
        fields=fields or LetterFields(),
        faults=faults or {},
        sentence=sentence,
        began=(fields.began if fields else "") or sign_moment(),
        most=MOST_CHARS,
        csrf=generate_csrf(),
        contact=contact,
        privacy=privacy,
    )
    return _finish(page)


def _finish(answer: ResponseReturnValue) -> Response:
    response = make_response(answer)
    response.headers["Cache-Control"] = "private, no-store"
    response.headers["X-Robots-Tag"] = "noindex"
    return response


def sign_moment() -> str:
    """Return the time at which a form is opened, signed."""
    moment = str(int(time.time() * 1000))
    return f"{moment}.{get_signing_keys().sign(_PURPOSE, moment)}"


def measure_seconds(began: str) -> float | None:
    """Return the seconds since the form was opened; None if we did not say when that was."""
    moment, _, signature = began.partition(".")
    if not get_signing_keys().is_signature(signature, _PURPOSE, moment):
        return None
    return time.time() - int(moment) / 1000
