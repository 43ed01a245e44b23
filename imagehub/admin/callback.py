"""Where Microsoft sends the admin's browser back to."""

import logging

from flask import redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from imagehub.admin import blueprint
from imagehub.database import db
from imagehub.domain import connection
from imagehub.errors import ImageHubError
from imagehub.web import make_absolute
from imagehub.wiring import get_clients

log = logging.getLogger("imagehub.admin")


@blueprint.get("/admin/onedrive/callback")
def finish_connection() -> ResponseReturnValue:
    """Finish the sign-in that this admin began, and go on to the admin pages."""
    answer = {name: value for name, value in request.args.items() if isinstance(value, str)}
    finish_sign_in(int(current_user.id), answer)
    return redirect("/admin/")


def make_callback_url() -> str:
    """The absolute address of :func:`finish_connection`, to be registered at Microsoft."""
    return make_absolute(url_for("admin.finish_connection"))


def finish_sign_in(user_id: int, answer: dict[str, str]) -> None:
    """Make what Microsoft sent back the active connection, and commit it.

    :raise ImageHubError: as :func:`imagehub.domain.connection.finish_connection`.
    """
    session, clients = db.session(), get_clients()
    account_id = connection.finish_connection(session, clients, user_id, answer).id
    session.commit()
    try:
        connection.refresh_drive_facts(session, clients, account_id)
    except ImageHubError as error:
        # The connection stands all the same; the facts are asked for again with every visit.
        log.warning("the new connection's drive could not be described: %s", error)
