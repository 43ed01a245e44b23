"""auth: pages.py answers with HTML, api.py with JSON; both call the same domain functions."""

import logging

from flask import Blueprint, Flask, g, request
from sqlalchemy.exc import OperationalError

from imagehub.database import db
from imagehub.domain.people import sessions
from imagehub.models import User
from imagehub.web.access import login_manager
from imagehub.web.i18n import use_account_language

log = logging.getLogger(__name__)

blueprint = Blueprint("auth", __name__)


def init_app(app: Flask) -> None:
    from imagehub.auth import api, pages  # noqa: F401 - they add their views to the blueprint

    login_manager.user_loader(load_user)
    app.register_blueprint(blueprint)


def load_user(cookie: str) -> User | None:
    """Find the user of a session or remember-me cookie; ``g.session_id`` is the session's id."""
    found = sessions.find_session(db.session(), cookie)
    if found is None:
        return None
    user, opened = found
    g.session_id = opened.id
    use_account_language(user.language)
    try:
        sessions.note_seen(db.session(), opened, request.remote_addr or "")
    except OperationalError:
        # The page is more important than the time of the visit.
        log.warning("could not save when a session was last used")
    return user
