"""The address to which Microsoft sends the admin's browser back."""

import logging

from flask import redirect, session, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user

from imagehub.admin import blueprint
from imagehub.admin.words import say
from imagehub.database import db
from imagehub.domain.onedrive import sign_in, status
from imagehub.errors import ImageHubError, InvalidInputError, NotFoundError
from imagehub.web import note_action
from imagehub.web.errors import on_refusal
from imagehub.web.forms import Form, FormText, read_query
from imagehub.web.headers import make_absolute
from imagehub.wiring import get_clients

log = logging.getLogger(__name__)

# In the browser's session: where to go after the sign-in at Microsoft.
NEXT = "after_connection"


class AnswerQuery(Form):
    """Microsoft's answer; see the OAuth 2.0 authorization code flow, RFC 6749, 4.1.2."""

    state: FormText = ""
    code: FormText = ""
    error: FormText = ""
    error_description: FormText = ""
    client_info: FormText = ""
    session_state: FormText = ""


def _show_fault(error: ImageHubError) -> ResponseReturnValue:
    session.pop(NEXT, None)
    log.warning("A sign-in at Microsoft failed: %s", error)
    say(error.sentence, is_fault=True)
    return redirect(url_for("admin.show_connection"))


@blueprint.get("/admin/onedrive/callback")
@on_refusal(_show_fault)
def finish_connection() -> ResponseReturnValue:
    """Finish the sign-in that this admin began, and go back to where they were."""
    query = read_query(AnswerQuery)
    if not query.state:
        # Only a program with a token may omit it. A browser can be sent here by anybody's link,
        # which would use up the pending sign-in.
        raise InvalidInputError("This sign-in was not started here. Please start again.")
    answer = {name: value for name, value in query.model_dump().items() if value}
    fault = finish_sign_in(int(current_user.id), answer)
    home = url_for("admin.show_connection")
    if fault:
        say(fault, is_fault=True)
        return redirect(home)
    say(_("OneDrive is connected."))
    return redirect(session.pop(NEXT, home))


def make_callback_url() -> str:
    """Make the absolute address of :func:`finish_connection`, to be registered at Microsoft."""
    return make_absolute(url_for("admin.finish_connection"))


def finish_sign_in(user_id: int, answer: dict[str, str]) -> str:
    """Make the account of Microsoft's answer the active connection, and commit it.

    :return: a sentence if the account has no drive, else "".
    :raise ImageHubError: see :func:`imagehub.domain.onedrive.sign_in.finish_connection`.
    """
    database, clients = db.session(), get_clients()
    account = sign_in.finish_connection(database, clients, user_id, answer)
    account_id = account.id
    note_action("connect", account_id, name=account.username or account.name)
    database.commit()
    try:
        status.refresh_drive_facts(database, clients, account_id)
    except NotFoundError as error:
        return error.sentence
    except ImageHubError as error:
        # The connection works all the same; the connection page asks again.
        log.warning("The drive of the new connection could not be described: %s", error)
    return ""
