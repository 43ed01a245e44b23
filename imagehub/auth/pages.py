"""Sign in and out with a browser: password, second factor, session, remember-me cookie."""

import time
from urllib.parse import urlsplit

from flask import Response, g, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user, login_user
from flask_wtf.csrf import CSRFError

from imagehub.auth import blueprint
from imagehub.database import db, end_read
from imagehub.domain.people import audit, second_factor, sessions, users
from imagehub.errors import BusyError, ImageHubError, NotAllowedError, TooManyTriesError
from imagehub.messages import mark
from imagehub.models import User
from imagehub.web import commit_action
from imagehub.web.access import get_local_target, sign_out_browser
from imagehub.web.cookies import SESSION, read_cookie, set_cookie
from imagehub.web.errors import answer_csrf_error, on_refusal
from imagehub.web.forms import Checkbox, Form, FormText, read_form, read_query
from imagehub.web.headers import make_absolute
from imagehub.wiring import get_signing_keys, get_vault

# Marks of browsers that have signed in before, see ``throttle.make_counters``.
_DEVICE_COOKIE = "hub-known"
_CODE_DEVICE_COOKIE = "hub-known-code"
_DEVICE_SECONDS = 365 * 86_400
# In the session's cookie between the password and the code.
_HALF = "half_signed_in"
_HALF_SECONDS = 600
# In the session's cookie: why the form is shown again.
_WORDS = "sign_in_words"


class SignInFields(Form):
    """``next``: where to go afterwards; the form has it in its address. ``code``: comes second."""

    name: FormText = ""
    password: FormText = ""
    remember: Checkbox = False
    next: FormText = ""
    code: FormText = ""


@blueprint.get("/sign-in")
def sign_in() -> ResponseReturnValue:
    """Show the form; redirect who is signed in already."""
    target = _read_target(read_query(SignInFields).next)
    if current_user.is_authenticated:
        return redirect(target)
    # The session was ended elsewhere: the pages need not offer "Manage" any more.
    session.pop("_user_id", None)
    return _render(target, message=session.pop(_WORDS, ""))


def _answer_refused_password(error: ImageHubError) -> ResponseReturnValue:
    fields = read_form(SignInFields)
    if isinstance(error, TooManyTriesError):
        wait = error.retry_after_seconds
        if isinstance(error, BusyError):
            page = _render(_find_target(fields), fields.name, error.sentence)
        else:
            page = _render(_find_target(fields), fields.name, wait_seconds=wait)
        return page, 429, {"Retry-After": str(wait)}
    note_failed_sign_in(users.find_user(db.session(), fields.name))
    message = mark("The name or the password is wrong.")
    return _render(_find_target(fields), fields.name, message), 401


@blueprint.post("/sign-in")
@on_refusal(_answer_refused_password, NotAllowedError, TooManyTriesError)
def try_sign_in() -> ResponseReturnValue:
    """Check name and password; a second factor comes next where the person has one."""
    fields = read_form(SignInFields)
    target = _find_target(fields)
    user = users.sign_in(
        db.session(),
        get_signing_keys(),
        fields.name,
        fields.password,
        request.remote_addr or "",
        read_cookie(_DEVICE_COOKIE),
    )
    if not second_factor.is_on(db.session(), user.id):
        return _finish_sign_in(user, fields.remember, target)
    session.clear()
    session[_HALF] = {
        "user": user.id,
        "version": user.credentials_version,
        "at": int(time.time()),
        "is_remembered": fields.remember,
        "next": target,
    }
    db.session.commit()
    return redirect(url_for("auth.ask_code"))


@blueprint.errorhandler(CSRFError)
def answer_lost_form(error: CSRFError) -> ResponseReturnValue:
    """Answer a sign-in form without its CSRF token, and say what the browser has to do about it.

    The token is in the session's cookie. That is gone when the browser was closed in between or
    keeps no cookies, and never set where the site is configured for https and was opened by http.
    """
    if request.endpoint != "auth.try_sign_in":
        return answer_csrf_error(error)
    fields = read_form(SignInFields)
    target = _find_target(fields)
    if current_user.is_authenticated:  # In another tab.
        return redirect(target)
    has_cookie = bool(read_cookie(SESSION))
    message = mark("This page was open for too long. Please try again.") if has_cookie else ""
    return _render(target, fields.name, message, lacks_cookie=not has_cookie), 400


def _find_target(fields: SignInFields) -> str:
    return _read_target(read_query(SignInFields).next or fields.next)


def _read_target(text: str) -> str:
    """Return the path to go to after signing in: one of this site, and not the form again."""
    target = get_local_target(text)
    is_form = urlsplit(target).path == url_for("auth.sign_in")
    return get_local_target("") if is_form else target


def _render(
    target: str,
    name: str = "",
    message: str = "",
    wait_seconds: int = 0,
    lacks_cookie: bool = False,
) -> str:
    return render_template(
        "auth/sign_in.html",
        next=target,
        name=name[: users.MAX_NAME_CHARS],
        message=message,
        wait_seconds=wait_seconds,
        lacks_cookie=lacks_cookie,
        address=make_absolute(url_for("auth.sign_in")),
        has_admins=users.has_admins(db.session()),
    )


# --- The second factor ----------------------------------------------------------------------------


@blueprint.get("/sign-in/code")
def ask_code() -> ResponseReturnValue:
    """Show the form for the code, after the right password."""
    if _find_half_signed_in() is None:
        return _ask_password_again()
    return render_template("auth/code.html", message="")


def _answer_refused_code(error: ImageHubError) -> ResponseReturnValue:
    if isinstance(error, TooManyTriesError):
        wait = error.retry_after_seconds
        page = render_template("auth/code.html", message="", wait_seconds=wait)
        return page, 429, {"Retry-After": str(wait)}
    note_failed_sign_in(_find_half_signed_in())
    return render_template("auth/code.html", message=error.sentence), 401


@blueprint.post("/sign-in/code")
@on_refusal(_answer_refused_code, NotAllowedError, TooManyTriesError)
def try_code() -> ResponseReturnValue:
    """Check the code of the authenticator app, or a recovery code, and use it up."""
    user = _find_half_signed_in()
    if user is None:
        return _ask_password_again()
    half = session[_HALF]
    user_id, keys = user.id, get_signing_keys()
    device_mark = read_cookie(_CODE_DEVICE_COOKIE)
    code = read_form(SignInFields).code[:100]
    end_read(db.session())
    by_recovery = second_factor.check(
        db.session(), get_vault(), keys, user, code, device_mark=device_mark
    )
    answer = _finish_sign_in(user, half["is_remembered"], _read_target(half["next"]), by_recovery)
    second_factor.forget_attempts(db.session(), keys, user_id, device_mark)
    return answer


def _find_half_signed_in() -> User | None:
    """Find the person who gave the right password in this browser within the last ten minutes."""
    half = session.get(_HALF)
    if not isinstance(half, dict) or time.time() - half["at"] > _HALF_SECONDS:
        return None
    user = db.session.get(User, half["user"])
    return user if user is not None and user.credentials_version == half["version"] else None


def _ask_password_again() -> ResponseReturnValue:
    """Redirect to the form; after a password say why, and keep where the person wants to go."""
    half = session.pop(_HALF, None)
    if not isinstance(half, dict):
        return redirect(url_for("auth.sign_in"))
    session[_WORDS] = mark("That took too long, or the password was changed. Please sign in again.")
    target = _read_target(half["next"])
    wish = None if target == _read_target("") else target
    return redirect(url_for("auth.sign_in", next=wish))


# --- Sessions -------------------------------------------------------------------------------------


def note_failed_sign_in(user: User | None) -> None:
    """Count a failed sign-in in the activity log.

    :param user: the person whose name was given; None for an unknown name.
    """
    audit.record_failed_sign_in(db.session(), user, request.remote_addr or "")


def _finish_sign_in(
    user: User, is_remembered: bool, target: str, by_recovery: bool = False
) -> Response:
    """Open a session, commit and redirect. The former contents of the cookie are dropped."""
    agent = request.headers.get("User-Agent", "")
    opened = sessions.open_session(
        db.session(), user, request.remote_addr or "", agent, is_remembered
    )
    g.session_id = opened.id
    action = "sign_in_by_recovery" if by_recovery else "sign_in"
    commit_action(action, user.id, actor=user, agent=agent)
    session.clear()
    session.permanent = is_remembered
    login_user(user, remember=is_remembered)
    response: Response = redirect(target)  # type: ignore[assignment]
    keys = get_signing_keys()
    device_mark = users.make_device_mark(keys, user)
    set_cookie(response, _DEVICE_COOKIE, device_mark, _DEVICE_SECONDS)
    code_mark = second_factor.make_device_mark(db.session(), keys, user.id)
    if code_mark:
        set_cookie(response, _CODE_DEVICE_COOKIE, code_mark, _DEVICE_SECONDS)
    return response


@blueprint.post("/sign-out")
def sign_out() -> ResponseReturnValue:
    """End this browser's session and delete the remember-me cookie."""
    if current_user.is_authenticated:
        agent = sessions.end_session(db.session(), current_user, g.session_id)
        commit_action("sign_out", current_user.id, agent=agent)
    response: Response = redirect(url_for("gallery.show_front"))  # type: ignore[assignment]
    sign_out_browser(response)
    return response
