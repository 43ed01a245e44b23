"""Signing in and out with a browser: a form, a second step, a session, and remember me."""

import time

from flask import (
    Response,
    current_app,
    g,
    redirect,
    render_template,
    request,
    session,
    url_for,
)
from flask.typing import ResponseReturnValue
from flask_login import current_user, login_user, logout_user

from imagehub.auth import blueprint
from imagehub.database import db
from imagehub.domain import accounts, audit, second_factor, sessions
from imagehub.errors import NotAllowedError, TooManyTriesError
from imagehub.models import User
from imagehub.web import get_local_target
from imagehub.wiring import get_clients, get_settings

# A browser that has signed in before is not held up by strangers' failures; see accounts.sign_in.
_DEVICE_COOKIE = "hub-known"
_DEVICE_SECONDS = 365 * 86_400
# In the cookie between the password and the code.
_HALF = "half_signed_in"
_HALF_SECONDS = 600


@blueprint.get("/sign-in")
def sign_in() -> ResponseReturnValue:
    """The form; who is signed in already goes on at once."""
    target = get_local_target(request.args.get("next", ""))
    if current_user.is_authenticated:
        return redirect(target)
    return render_template("auth/sign_in.html", next=target, name="", message="")


@blueprint.post("/sign-in")
def try_sign_in() -> ResponseReturnValue:
    """Check name and password; where the person has a second factor, the code comes next."""
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
        note_failed_sign_in(accounts.find_user(db.session(), name))
    except TooManyTriesError as error:
        status, message = 429, str(error)
        headers["Retry-After"] = str(error.retry_after_seconds)
    else:
        is_remembered = bool(request.form.get("remember"))
        if not second_factor.is_on(db.session(), user.id):
            return finish_sign_in(user, is_remembered, target)
        session.clear()
        session[_HALF] = {
            "user": user.id,
            "version": user.credentials_version,
            "at": int(time.time()),
            "is_remembered": is_remembered,
            "next": target,
        }
        db.session.commit()
        return redirect(url_for("auth.ask_code"))
    page = render_template("auth/sign_in.html", next=target, name=name, message=message)
    return page, status, headers


@blueprint.get("/sign-in/code")
def ask_code() -> ResponseReturnValue:
    """The second step's form, for whoever has just given the right password."""
    if find_half_signed_in() is None:
        return redirect(url_for("auth.sign_in"))
    return render_template("auth/code.html", message="")


@blueprint.post("/sign-in/code")
def try_code() -> ResponseReturnValue:
    """Check the code of the authenticator app, or a recovery code, and use it up."""
    user = find_half_signed_in()
    if user is None:
        return redirect(url_for("auth.sign_in"))
    half = session[_HALF]
    user_id, secret_key = user.id, get_settings().secret_key
    headers: dict[str, str] = {}
    db.session.rollback()
    try:
        vault = get_clients().vault
        assert vault is not None
        code = request.form.get("code", "")[:100]
        second_factor.check(db.session(), vault, secret_key, user, code)
    except NotAllowedError as error:
        status, message = 401, str(error)
        note_failed_sign_in(user)
    except TooManyTriesError as error:
        status, message = 429, str(error)
        headers["Retry-After"] = str(error.retry_after_seconds)
    else:
        answer = finish_sign_in(user, half["is_remembered"], get_local_target(half["next"]))
        second_factor.forget_attempts(db.session(), secret_key, user_id)
        return answer
    return render_template("auth/code.html", message=message), status, headers


def find_half_signed_in() -> User | None:
    """Who gave the right password in this browser within the last ten minutes."""
    half = session.get(_HALF)
    if not isinstance(half, dict) or time.time() - half["at"] > _HALF_SECONDS:
        return None
    user = db.session.get(User, half["user"])
    return user if user is not None and user.credentials_version == half["version"] else None


def note_failed_sign_in(user: User | None) -> None:
    """Count the try in the log; ``user``: whose name was given, None where nobody has it."""
    audit.record_failed_sign_in(db.session(), user, request.remote_addr or "")


def finish_sign_in(user: User, is_remembered: bool, target: str) -> Response:
    """Begin the session, commit, and go on. What was in the browser's cookie before is dropped."""
    address = request.remote_addr or ""
    agent = request.headers.get("User-Agent", "")
    opened = sessions.open_session(db.session(), user, address, agent, is_remembered)
    where = sessions.describe_browser(agent)
    audit.record(
        db.session(), user, "sign_in", "account", user.id, f"Signed in with {where}.", address
    )
    g.session_id = opened.id
    db.session.commit()
    session.clear()
    session.permanent = is_remembered
    login_user(user, remember=is_remembered)
    response: Response = redirect(target)  # type: ignore[assignment]
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


@blueprint.post("/sign-out")
def sign_out() -> ResponseReturnValue:
    """End this browser's session and forget the remember-me cookie."""
    if current_user.is_authenticated:
        sessions.end_session(db.session(), current_user, g.session_id)
        db.session.commit()
    logout_user()
    # What Flask-Login leaves behind tells it to delete its cookie; all else goes.
    session.pop("csrf_token", None)
    return redirect("/")
