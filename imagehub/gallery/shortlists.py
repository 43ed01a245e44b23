"""Shortlists: visitors of a share link mark works, write a note on each, and send the list."""

from typing import Any

from flask import Response, jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import generate_csrf

from imagehub.database import db
from imagehub.domain.enquiries import inbox
from imagehub.domain.enquiries.inbox import Signs
from imagehub.domain.library.gallery import load_tiles
from imagehub.domain.sharing import links, shortlists
from imagehub.domain.site import pages
from imagehub.errors import ImageHubError, InvalidInputError, NotFoundError, TooManyEnquiriesError
from imagehub.gallery import blueprint
from imagehub.gallery.enquiries import MOST_CHARS, LetterFields, measure_seconds, sign_moment
from imagehub.gallery.languages import list_owners, use_visitors_language
from imagehub.gallery.pictures import get_title, list_record, make_picture
from imagehub.gallery.shared import VISITOR, finish, is_unlocked, list_visitor_marks, refuse
from imagehub.gallery.shared_series import get_shared_title
from imagehub.gallery.walls import make_placeholder_css
from imagehub.models import ShareLink
from imagehub.web.access import is_api_call
from imagehub.web.cookies import read_cookie, set_cookie
from imagehub.web.errors import get_error_headers, get_error_status, on_refusal
from imagehub.web.forms import Form, FormText, Id, read_form, read_prefixed
from imagehub.web.i18n import get_language, ngettext
from imagehub.wiring import get_signing_keys

_COOKIE_SECONDS = int(shortlists.KEPT.total_seconds())


class MarkFields(Form):
    """``marked`` is "" to remove a work; ``back``: the form's page, ``work`` or ``list``."""

    work: Id("work")  # type: ignore[valid-type]
    marked: FormText = ""
    back: FormText = ""


def _refuse(error: ImageHubError, token: str) -> ResponseReturnValue:
    """Show the list again with what was typed; what is wrong with the link itself comes first."""
    if not isinstance(error, InvalidInputError | TooManyEnquiriesError):
        return refuse(error, token)
    if is_api_call():
        raise error
    response = _render(token, _get_share(token), error)
    response.status_code = get_error_status(error)
    response.headers.update(get_error_headers(error))
    return response


_refuses = on_refusal(_refuse, InvalidInputError, TooManyEnquiriesError, NotFoundError)


@blueprint.post("/s/<token>/marks")
@_refuses
def mark_shared_work(token: str) -> ResponseReturnValue:
    """Add a work to the visitor's list, or remove it; also save the lines of a form around it."""
    share, fields = _get_share(token), read_form(MarkFields)
    session, secret = db.session(), read_cookie(VISITOR) or shortlists.make_visitor_secret()
    shortlists.set_mark(session, share, secret, fields.work, bool(fields.marked))
    if lines := _read_lines():
        shortlists.save_lines(session, share, secret, lines)
    db.session.commit()
    if is_api_call():
        count = len(shortlists.list_marks(session, share, secret))
        words = ngettext("%(num)s work on my list", "%(num)s works on my list", count)
        return _keep_visitor(jsonify(count=count, words=words), secret)
    if fields.back == "list":
        return _keep_visitor(_render(token, share), secret)
    url = url_for(".show_share", token=token, _anchor=f"work-{fields.work}")
    if fields.back == "work":
        url = url_for(".show_shared_work", token=token, number=fields.work)
    return _keep_visitor(finish(redirect(url, 303)), secret)


@blueprint.get("/s/<token>/list")
@_refuses
def show_shared_list(token: str) -> ResponseReturnValue:
    """Show the visitor's list, and the form to send it."""
    share = links.get_open_share(db.session(), token)
    if not is_unlocked(share):
        return finish(redirect(url_for(".show_share", token=token)))
    return _render(token, _get_share(token))


@blueprint.post("/s/<token>/list/lines")
@_refuses
def save_shared_list(token: str) -> ResponseReturnValue:
    """Save what the visitor has written about the works, without sending it."""
    share = _get_share(token)
    shortlists.save_lines(db.session(), share, read_cookie(VISITOR), _read_lines())
    db.session.commit()
    if is_api_call():
        return finish(jsonify(is_saved=True))
    return finish(redirect(url_for(".show_shared_list", token=token), 303))


@blueprint.post("/s/<token>/list")
@_refuses
def send_shared_list(token: str) -> ResponseReturnValue:
    """Receive the visitor's list."""
    share, fields = _get_share(token), read_form(LetterFields)
    letter = inbox.tidy_letter(fields.name, fields.email, fields.message, needs_message=False)
    shortlists.send_list(
        db.session(),
        get_signing_keys(),
        share,
        read_cookie(VISITOR),
        letter,
        _read_lines(),
        Signs(fields.website, measure_seconds(fields.began)),
        address=request.remote_addr or "",
        language=get_language(),
    )
    db.session.commit()
    return finish(redirect(url_for(".show_list_sent", token=token), 303))


@blueprint.get("/s/<token>/list/sent")
@_refuses
def show_list_sent(token: str) -> ResponseReturnValue:
    """Say that a list was sent; a reload sends nothing again."""
    share = _get_share(token)
    return finish(render_template("gallery/shared_list_sent.html", token=token, share=share))


# --- Parts ----------------------------------------------------------------------------------------


def _get_share(token: str) -> ShareLink:
    """:raise NotFoundError: the link is not unlocked, or takes no lists."""
    share = links.get_open_share(db.session(), token)
    if not is_unlocked(share) or not share.takes_lists:
        raise NotFoundError("page", "")
    return share


def _read_lines() -> dict[int, str]:
    return read_prefixed("line-")


def _keep_visitor(response: Response, secret: str) -> Response:
    finish(response, has_forms=True)
    set_cookie(response, VISITOR, secret, _COOKIE_SECONDS)
    return response


def _render(token: str, share: ShareLink, error: ImageHubError | None = None) -> Response:
    """Render the list and its form, with what was typed and what is wrong with it."""
    session = db.session()
    fields = read_form(LetterFields)
    typed = {number: text[:2000] for number, text in _read_lines().items()}
    marks = list_visitor_marks(share)
    tiles = load_tiles(session, [one.group.id for one in marks])
    covers = {tile.group.id: tile.cover for tile in tiles}
    privacy = pages.find_first(session, "privacy")
    use_visitors_language([*list_owners(tiles), privacy], is_short=True)
    works: list[dict[str, Any]] = []
    for one in marks:
        group, cover = one.group, covers.get(one.group.id)
        is_marked, name = share.has_mark, f"g{group.id}"
        picture = (
            make_picture(group, cover, name, full_url="", is_marked=is_marked) if cover else None
        )
        works.append(
            {
                "group": group,
                "title": get_title(group),
                "picture": picture,
                "record": list_record(group, is_shared=True),
                "line": typed.get(group.id, one.line),
            }
        )
    page = render_template(
        "gallery/shared_list.html",
        token=token,
        title=get_shared_title(share) if share.series_id else share.title,
        works=works,
        wall_css=make_placeholder_css([one["picture"] for one in works if one["picture"]]),
        fields=fields,
        faults=dict(error.fields) if isinstance(error, InvalidInputError) else {},
        sentence=error.sentence if error else "",
        began=fields.began or sign_moment(),
        most=MOST_CHARS,
        max_line=shortlists.MAX_LINE_CHARS,
        csrf=generate_csrf(),
        privacy=privacy,
    )
    return finish(page, has_forms=True)
