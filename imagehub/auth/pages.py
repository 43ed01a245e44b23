"""Signing in and out with a browser: a form, a second step, a session, and remember me."""

import time
from urllib.parse import urlsplit

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
from flask_wtf.csrf import CSRFError

from imagehub.auth import blueprint
from imagehub.database import db
from imagehub.domain.people import audit, second_factor, sessions, throttle, users
from imagehub.errors import NotAllowedError, TooManyTriesError
from imagehub.models import User
from imagehub.web import note_action
from imagehub.web.access import get_local_target
from imagehub.web.errors import answer_csrf_error
from imagehub.web.headers import make_absolute
from imagehub.wiring import get_clients, get_settings

# A browser that has signed in before is not held up by strangers' failures; see accounts.sign_in.
_DEVICE_COOKIE = "hub-known"
_CODE_DEVICE_COOKIE = "hub-known-code"
_DEVICE_SECONDS = 365 * 86_400
# In the cookie between the password and the code.
_HALF = "half_signed_in"
_HALF_SECONDS = 600
# In the cookie, for the form: why it is shown once more.
_WORDS = "sign_in_words"


@blueprint.get("/sign-in")
def sign_in() -> ResponseReturnValue:
    """The form; who is signed in already goes on at once."""
    target = read_target(request.args.get("next", ""))
    if current_user.is_authenticated:
        return redirect(target)
    # A session that was ended elsewhere: this browser need not say "Manage" any more.
    session.pop("_user_id", None)
    return _render(target, message=session.pop(_WORDS, ""))


@blueprint.post("/sign-in")
def try_sign_in() -> ResponseReturnValue:
    """Check name and password; where the person has a second factor, the code comes next."""
    target = read_target(request.values.get("next", ""))
    name = _read_name()
    headers: dict[str, str] = {}
    wait_seconds = 0
    try:
        user = users.sign_in(
            db.session(),
            get_settings().secret_key,
            name,
            request.form.get("password", "")[: users.MAX_PASSWORD_CHARS + 1],
            request.remote_addr or "",
            request.cookies.get(_DEVICE_COOKIE, ""),
        )
    except NotAllowedError:
        status, message = 401, "The name or the password is not right."
        note_failed_sign_in(users.find_user(db.session(), name))
    except TooManyTriesError as error:
        status, message, wait_seconds = 429, "", error.retry_after_seconds
        headers["Retry-After"] = str(wait_seconds)
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
    return _render(target, name, message, wait_seconds), status, headers


@blueprint.errorhandler(CSRFError)
def begin_again(error: CSRFError) -> ResponseReturnValue:
    """A form without its token: where the fault lies with the browser, say what to do about it.

    The token lies in the session's cookie. It is gone when the browser was closed in between or
    keeps no cookies, and it never comes where the hub is set to https and was opened by http.
    """
    if request.endpoint != "auth.try_sign_in":
        return answer_csrf_error(error)
    target = read_target(request.values.get("next", ""))
    if current_user.is_authenticated:  # In another tab, meanwhile.
        return redirect(target)
    has_cookie = str(current_app.config["SESSION_COOKIE_NAME"]) in request.cookies
    message = "This page has been open for too long. Please try again." if has_cookie else ""
    return _render(target, _read_name(), message, lacks_cookie=not has_cookie), 400


def read_target(text: str) -> str:
    """Where to go on to after signing in: a path of this hub, but not the form once more."""
    target = get_local_target(text)
    is_form = urlsplit(target).path == url_for("auth.sign_in")
    return get_local_target("") if is_form else target


def _read_name() -> str:
    return request.form.get("name", "")[: users.MAX_PASSWORD_CHARS]


def _render(
    target: str,
    name: str = "",
    message: str = "",
    wait_seconds: int = 0,
    lacks_cookie: bool = False,
) -> str:
    """:param lacks_cookie: the browser sent none, though it had been given one with the form."""
    return render_template(
        "auth/sign_in.html",
        next=target,
        name=name,
        message=message,
        wait_seconds=wait_seconds,
        lacks_cookie=lacks_cookie,
        address=make_absolute(url_for("auth.sign_in")),
        is_nobody_there=not users.has_admins(db.session()),
    )


@blueprint.get("/sign-in/code")
def ask_code() -> ResponseReturnValue:
    """The second step's form, for whoever has just given the right password."""
    if find_half_signed_in() is None:
        return _ask_password_again()
    return render_template("auth/code.html", message="")


@blueprint.post("/sign-in/code")
def try_code() -> ResponseReturnValue:
    """Check the code of the authenticator app, or a recovery code, and use it up."""
    user = find_half_signed_in()
    if user is None:
        return _ask_password_again()
    half = session[_HALF]
    user_id, secret_key = user.id, get_settings().secret_key
    mark = request.cookies.get(_CODE_DEVICE_COOKIE, "")
    headers: dict[str, str] = {}
    wait_seconds = 0
    db.session.rollback()
    try:
        vault = get_clients().vault
        assert vault is not None
        code = request.form.get("code", "")[:100]
        by_recovery = second_factor.check(
            db.session(), vault, secret_key, user, code, device_mark=mark
        )
    except NotAllowedError as error:
        status, message = 401, str(error)
        note_failed_sign_in(user)
    except TooManyTriesError as error:
        status, message, wait_seconds = 429, "", error.retry_after_seconds
        headers["Retry-After"] = str(wait_seconds)
    else:
        target = read_target(half["next"])
        answer = finish_sign_in(user, half["is_remembered"], target, by_recovery)
        second_factor.forget_attempts(db.session(), secret_key, user_id, mark)
        return answer
    page = render_template("auth/code.html", message=message, wait_seconds=wait_seconds)
    return page, status, headers


def find_half_signed_in() -> User | None:
    """Who gave the right password in this browser within the last ten minutes."""
    half = session.get(_HALF)
    if not isinstance(half, dict) or time.time() - half["at"] > _HALF_SECONDS:
        return None
    user = db.session.get(User, half["user"])
    return user if user is not None and user.credentials_version == half["version"] else None


def _ask_password_again() -> ResponseReturnValue:
    """To the form; who was half signed in is told why, and still gets to where they wanted."""
    half = session.pop(_HALF, None)
    if not isinstance(half, dict):
        return redirect(url_for("auth.sign_in"))
    session[_WORDS] = (
        "That took too long, or the password was changed meanwhile. Please sign in again."
    )
    target = read_target(half["next"])
    wish = None if target == read_target("") else target
    return redirect(url_for("auth.sign_in", next=wish))


def note_failed_sign_in(user: User | None) -> None:
    """Count the try in the log; ``user``: whose name was given, None where nobody has it."""
    audit.record_failed_sign_in(db.session(), user, request.remote_addr or "")


def finish_sign_in(
    user: User, is_remembered: bool, target: str, by_recovery: bool = False
) -> Response:
    """Begin the session, commit, and go on. What was in the browser's cookie before is dropped.

    :param by_recovery: the second step was passed with a recovery code.
    """
    address = request.remote_addr or ""
    agent = request.headers.get("User-Agent", "")
    opened = sessions.open_session(db.session(), user, address, agent, is_remembered)
    note_action(
        "sign_in_by_recovery" if by_recovery else "sign_in", user.id, actor=user, agent=agent
    )
    g.session_id = opened.id
    db.session.commit()
    session.clear()
    session.permanent = is_remembered
    login_user(user, remember=is_remembered)
    response: Response = redirect(target)  # type: ignore[assignment]
    secret_key = get_settings().secret_key
    _mark_device(response, _DEVICE_COOKIE, throttle.make_device_mark(secret_key, user))
    code_mark = second_factor.make_device_mark(db.session(), secret_key, user.id)
    if code_mark:
        _mark_device(response, _CODE_DEVICE_COOKIE, code_mark)
    return response


def _mark_device(response: Response, cookie: str, mark: str) -> None:
    response.set_cookie(
        cookie,
        mark,
        max_age=_DEVICE_SECONDS,
        path=url_for("auth.sign_in"),
        secure=bool(current_app.config["SESSION_COOKIE_SECURE"]),
        httponly=True,
        samesite="Lax",
    )


@blueprint.post("/sign-out")
def sign_out() -> ResponseReturnValue:
    """End this browser's session and forget the remember-me cookie."""
    if current_user.is_authenticated:
        agent = sessions.end_session(db.session(), current_user, g.session_id)
        note_action("sign_out", current_user.id, agent=agent)
        db.session.commit()
    logout_user()
    # What Flask-Login leaves behind tells it to delete its cookie; all else goes.
    for name in set(session) - {"_remember"}:
        del session[name]
    return redirect("/")
