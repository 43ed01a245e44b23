"""Signing in and out with a browser: a form, a session cookie, and remember me."""

from urllib.parse import urlsplit

from flask import redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user, login_user, logout_user

from imagehub.auth import blueprint
from imagehub.database import db
from imagehub.domain import accounts
from imagehub.errors import NotAllowedError, TooManyTriesError
from imagehub.wiring import get_settings


@blueprint.get("/sign-in")
def sign_in() -> ResponseReturnValue:
    """The form; who is signed in already goes on at once."""
    target = get_local_target(request.args.get("next", ""))
    if current_user.is_authenticated:
        return redirect(target)
    return render_template("auth/sign_in.html", next=target, name="", message="")


@blueprint.post("/sign-in")
def try_sign_in() -> ResponseReturnValue:
    """Check name and password; on success the session starts anew."""
    target = get_local_target(request.form.get("next", ""))
    name = request.form.get("name", "")[: accounts.MAX_PASSWORD_CHARS]
    headers: dict[str, str] = {}
    try:
        user = accounts.sign_in(
            db.session(),
            get_settings().secret_key,
            name,
            request.form.get("password", "")[: accounts.MAX_PASSWORD_CHARS + 1],
            request.remote_addr or "",
        )
    except NotAllowedError:
        status, message = 401, "The name or the password is not right."
    except TooManyTriesError as error:
        status, message = 429, str(error)
        headers["Retry-After"] = str(error.retry_after_seconds)
    else:
        db.session.commit()
        session.clear()
        session.permanent = bool(request.form.get("remember"))
        login_user(user, remember=session.permanent)
        return redirect(target)
    page = render_template("auth/sign_in.html", next=target, name=name, message=message)
    return page, status, headers


@blueprint.post("/sign-out")
def sign_out() -> ResponseReturnValue:
    """End this browser's session and forget the remember-me cookie."""
    logout_user()
    # What Flask-Login leaves behind tells it to delete its cookie; all else goes.
    session.pop("csrf_token", None)
    return redirect("/")


def get_local_target(target: str) -> str:
    """A path of this hub to go on to; the admin's front page where ``target`` is none.

    Refuses what a browser would take for another host: a scheme, ``//host``, ``/\\host``, and
    control characters, which browsers drop before they read an address.
    """
    home = "/admin/"
    if not target.startswith("/") or len(target) > 2000:
        return home
    if target.startswith(("//", "/\\")) or any(ord(char) < 0x20 or char == "\\" for char in target):
        return home
    parts = urlsplit(target)
    if parts.scheme or parts.netloc or parts.path == url_for("auth.sign_in"):
        return home
    return target
