"""auth: pages.py answers with HTML, api.py with JSON; both call the same domain functions."""

from flask import Blueprint, Flask

from imagehub.database import db
from imagehub.domain import accounts
from imagehub.models import User
from imagehub.web import login_manager

blueprint = Blueprint("auth", __name__)


def init_app(app: Flask) -> None:
    from imagehub.auth import api, pages  # noqa: F401 - they add their views to the blueprint

    login_manager.user_loader(load_user)
    app.register_blueprint(blueprint)


def load_user(session_id: str) -> User | None:
    """Whom a session or a remember-me cookie stands for; it ends when the password changes."""
    return accounts.find_user_by_session(db.session(), session_id)
