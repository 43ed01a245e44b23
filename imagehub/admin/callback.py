"""Where Microsoft sends the admin's browser back to."""

import logging

from flask import redirect, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from imagehub.admin import blueprint
from imagehub.admin.words import say
from imagehub.database import db
from imagehub.domain.onedrive import sign_in, status
from imagehub.errors import ImageHubError, InvalidInputError, NotFoundError
from imagehub.web import note_action
from imagehub.web.headers import make_absolute
from imagehub.wiring import get_clients

log = logging.getLogger(__name__)


# In the browser's session: where to go on to after the sign-in at Microsoft.
NEXT = "after_connection"


@blueprint.get("/admin/onedrive/callback")
def finish_connection() -> ResponseReturnValue:
    """Finish the sign-in that this admin began, and go on to where they were."""
    answer = {name: value for name, value in request.args.items() if isinstance(value, str)}
    home = url_for("admin.show_connection")
    try:
        if not answer.get("state"):
            # Only a program may leave it out, where a token says whose sign-in it is. A browser
            # comes here by anybody's link, and would use up the sign-in under way.
            raise InvalidInputError("This sign-in was not started here. Please start again.")
        fault = finish_sign_in(int(current_user.id), answer)
    except ImageHubError as error:
        db.session.rollback()
        session.pop(NEXT, None)
        log.warning("a sign-in at Microsoft could not be finished: %s", error)
        say(str(error), is_fault=True)
        return redirect(home)
    if fault:
        say(fault, is_fault=True)
        return redirect(home)
    say("OneDrive is connected.")
    return redirect(session.pop(NEXT, home))


def make_callback_url() -> str:
    """The absolute address of :func:`finish_connection`, to be registered at Microsoft."""
    return make_absolute(url_for("admin.finish_connection"))


def finish_sign_in(user_id: int, answer: dict[str, str]) -> str:
    """Make what Microsoft sent back the active connection, and commit it.

    :return: what is wrong with the drive of whoever signed in, in words; mostly "".
    :raise ImageHubError: as :func:`imagehub.domain.onedrive.sign_in.finish_connection`.
    """
    database, clients = db.session(), get_clients()
    account = sign_in.finish_connection(database, clients, user_id, answer)
    account_id = account.id
    words = f"Connected the OneDrive of {account.username or 'an account'}."
    note_action("connect", "connection", account_id, words)
    database.commit()
    try:
        status.refresh_drive_facts(database, clients, account_id)
    except NotFoundError as error:
        return str(error)
    except ImageHubError as error:
        # The connection stands all the same; the facts are asked for again with every visit.
        log.warning("the new connection's drive could not be described: %s", error)
    return ""
