"""Signing in and out with a browser: a form, a session cookie, and remember me."""

from urllib.parse import urlsplit

from flask import current_app, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user, login_user, logout_user

from imagehub.auth import blueprint
from imagehub.database import db
from imagehub.domain import accounts
from imagehub.errors import NotAllowedError, TooManyTriesError
from imagehub.wiring import get_settings

# A browser that has signed in before is not held up by strangers' failures; see accounts.sign_in.
_DEVICE_COOKIE = "hub-known"
_DEVICE_SECONDS = 365 * 86_400


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
            request.cookies.get(_DEVICE_COOKIE, ""),
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
        response = redirect(target)
        response.set_cookie(
            _DEVICE_COOKIE,
            accounts.make_device_mark(get_settings().secret_key, user),
            max_age=_DEVICE_SECONDS,
            path=url_for("auth.sign_in"),
            secure=bool(current_app.config["SESSION_COOKIE_SECURE"]),
            httponly=True,
            samesite="Lax",
        )
        return response
    page = render_template("auth/sign_in.html", next=target, name=name, message=message)
    return page, status, headers


@blueprint.post("/sign-out")
def sign_out() -> ResponseReturnValue:
    """End this browser's session and forget the remember-me cookie."""
    logout_user()
    # What Flask-Login leaves behind tells it to delete its cookie; all else goes.
    session.pop("csrf_token", None)
    return redirect("/")


def get_local_target(target: str, home: str = "/admin/") -> str:
    """A path of this hub to go on to; ``home`` where ``target`` is none.

    Refuses what a browser would take for another host: a scheme, ``//host``, ``/\\host``, and
    control characters, which browsers drop before they read an address.
    """
    if not target.startswith("/") or len(target) > 2000:
        return home
    if target.startswith(("//", "/\\")) or any(ord(char) < 0x20 or char == "\\" for char in target):
        return home
    parts = urlsplit(target)
    if parts.scheme or parts.netloc or parts.path == url_for("auth.sign_in"):
        return home
    return target
