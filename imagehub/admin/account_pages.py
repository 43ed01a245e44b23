"""The signed-in person's own things: name, password, second step, sessions, tokens."""

from collections.abc import Sequence
from typing import Any, cast

from flask import Response, g, make_response, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user, login_user

from imagehub.admin import blueprint, shown_once
from imagehub.admin.words import say
from imagehub.clients import Vault
from imagehub.database import db
from imagehub.domain.people import api_tokens, second_factor, sessions, users
from imagehub.errors import ConflictError, InvalidInputError, TooManyTriesError
from imagehub.models import User
from imagehub.web import i18n, note_action
from imagehub.wiring import get_clients, get_settings


@blueprint.get("/admin/account")
def show_account() -> ResponseReturnValue:
    """All of it on one page, and a token that was just made."""
    return _render(**shown_once.take("token"))


@blueprint.post("/admin/account/name")
def change_name() -> ResponseReturnValue:
    """Take another name to sign in with."""
    user = _get_user()
    before = user.name
    try:
        users.change_name(db.session(), user, request.form.get("name", "")[:1000])
    except (InvalidInputError, ConflictError) as error:
        db.session.rollback()
        return _render(typed_name=request.form.get("name", ""), name_fault=str(error)), 422
    note_action("rename_account", user.id, name=user.name, before=before)
    db.session.commit()
    say("You have a new name. Use it when you sign in.")
    return redirect(url_for("admin.show_account"))


@blueprint.post("/admin/account/password")
def change_password() -> ResponseReturnValue:
    """Take a new password; all other sessions end, and tokens too if that is asked for."""
    try:
        _check_password()
        if request.form.get("new") != request.form.get("again"):
            fault = "These two are not the same."
            raise InvalidInputError(fault, {"again": fault})
        user = _get_user()
        try:
            users.change_password(db.session(), user, request.form.get("new", ""))
        except InvalidInputError as error:
            raise InvalidInputError(str(error), {"new": str(error)}) from error
    except (InvalidInputError, TooManyTriesError) as error:
        db.session.rollback()
        return _render(password_faults=_read_faults(error)), _get_status(error)
    if request.form.get("end_tokens"):
        api_tokens.end_all_tokens(db.session(), user)
    note_action("change_password", user.id)
    _stay_signed_in(user)
    say("You have a new password. Everybody else who was signed in as you is out.")
    return redirect(url_for("admin.show_account"))


@blueprint.post("/admin/account/language")
def change_language() -> ResponseReturnValue:
    """Choose the language of the admin pages; empty for that of any visitor."""
    user = _get_user()
    users.change_language(db.session(), user, request.form.get("language", ""), i18n.LANGUAGES)
    db.session.commit()
    i18n.use_account_language(user.language)
    say(_("Language changed."))
    return redirect(url_for("admin.show_account"))


# --- The second step ------------------------------------------------------------------------------


@blueprint.post("/admin/account/second-step")
def begin_second_step() -> ResponseReturnValue:
    """Show the QR code, once the password was given again."""
    try:
        _check_password()
        second_factor.begin(db.session(), _get_vault(), _get_user())
    except (InvalidInputError, TooManyTriesError, ConflictError) as error:
        db.session.rollback()
        return _render(step_faults=_read_faults(error)), _get_status(error)
    db.session.commit()
    session["second_step"] = current_user.id
    return redirect(url_for("admin.show_second_step"))


@blueprint.get("/admin/account/second-step")
def show_second_step() -> ResponseReturnValue:
    """The QR code and the field for its first code."""
    return _render_second_step("")


@blueprint.post("/admin/account/second-step/confirm")
def confirm_second_step() -> ResponseReturnValue:
    """Switch it on with the first code; the recovery codes are shown once."""
    user = _get_user()
    if session.get("second_step") != user.id:
        if second_factor.is_on(db.session(), user.id):
            return _show_codes_of_first_click()
        return redirect(url_for("admin.show_account"))
    try:
        codes = second_factor.confirm(
            db.session(), _get_vault(), user, request.form.get("code", "")[:100]
        )
    except InvalidInputError as error:
        db.session.rollback()
        return _render_second_step(str(error))
    except ConflictError:
        db.session.rollback()
        return _show_codes_of_first_click()
    note_action("turn_on_two_factor", user.id)
    db.session.commit()
    session.pop("second_step", None)
    return _show_codes_once(codes, "The second step is on")


@blueprint.post("/admin/account/second-step/end")
def end_second_step() -> ResponseReturnValue:
    """Ask for the password alone from now on."""
    try:
        _check_password()
    except (InvalidInputError, TooManyTriesError) as error:
        return _render(step_faults=_read_faults(error)), _get_status(error)
    user = _get_user()
    if second_factor.turn_off(db.session(), user):
        note_action("turn_off_two_factor", user.id)
    db.session.commit()
    say("From now on your password alone signs you in.")
    return redirect(url_for("admin.show_account"))


@blueprint.post("/admin/account/recovery-codes")
def create_recovery_codes() -> ResponseReturnValue:
    """New recovery codes in place of the old ones; they are shown once."""
    user = _get_user()
    try:
        _check_password()
    except (InvalidInputError, TooManyTriesError) as error:
        return _render(step_faults=_read_faults(error)), _get_status(error)
    if not second_factor.is_on(db.session(), user.id):
        return redirect(url_for("admin.show_account"))
    codes = second_factor.make_recovery_codes(db.session(), user)
    note_action("create_recovery_codes", user.id)
    db.session.commit()
    return _show_codes_once(codes, "New recovery codes")


@blueprint.get("/admin/account/recovery-codes")
def show_recovery_codes() -> ResponseReturnValue:
    """Those that were just made, once; without any, back to the account."""
    kept = shown_once.take("codes")
    if not kept:
        if request.args.get("again"):
            say("The second step is on. If you have not seen its recovery codes, make new ones.")
        return redirect(url_for("admin.show_account"))
    return render_template(
        "admin/recovery_codes.html", codes=kept["codes"].split(), heading=kept["heading"]
    )


# --- Sessions and tokens --------------------------------------------------------------------------


@blueprint.post("/admin/account/sessions/end")
def end_session() -> ResponseReturnValue:
    """End one session, or all but this one."""
    user = _get_user()
    session_id = request.form.get("session", "")
    if session_id == "others":
        count = sessions.end_other_sessions(db.session(), user, g.session_id)
        words = f"Ended {count} other {'session' if count == 1 else 'sessions'}."
        note_action("end_other_sessions", user.id, count=count)
    else:
        browser = sessions.end_session(db.session(), user, _read_id(session_id))
        words = f"Ended the session of {sessions.describe_browser(browser)}."
        note_action("end_session", user.id, agent=browser)
    db.session.commit()
    say(words)
    return redirect(url_for("admin.show_account") + "#sessions")


@blueprint.post("/admin/account/tokens")
def create_token() -> ResponseReturnValue:
    """Make a token for a program, once the password was given again; the page shows it once."""
    user = _get_user()
    days = request.form.get("days", "")
    try:
        # A token outlives the session: whoever finds a browser open must not take one along.
        _check_password()
        row, token = api_tokens.create_token(
            db.session(),
            user,
            request.form.get("name", "")[:1000],
            request.form.get("scope", ""),
            None if days == "never" else _read_id(days),
        )
    except (InvalidInputError, TooManyTriesError) as error:
        db.session.rollback()
        page = _render(token_faults=_read_faults(error), typed_token=request.form)
        return page, _get_status(error)
    action = "create_write_token" if row.scope == "write" else "create_token"
    note_action(action, row.id, name=row.name)
    db.session.commit()
    shown_once.keep("token", new_token=token, new_token_name=row.name)
    return redirect(url_for("admin.show_account") + "#tokens", 303)


@blueprint.post("/admin/account/tokens/end")
def end_token() -> ResponseReturnValue:
    """End one token."""
    token_id = _read_id(request.form.get("token", ""))
    name = api_tokens.end_token(db.session(), _get_user(), token_id)
    note_action("revoke_token", token_id, name=name)
    db.session.commit()
    say(f"The token “{name}” opens nothing any more.")
    return redirect(url_for("admin.show_account") + "#tokens")


# --- Pieces ---------------------------------------------------------------------------------------


def _get_user() -> User:
    user: User = current_user._get_current_object()
    return user


def _get_vault() -> Vault:
    vault = get_clients().vault
    assert vault is not None
    return vault


def _check_password() -> None:
    """:raise InvalidInputError, TooManyTriesError: see ``accounts.check_password_again``."""
    users.check_password_again(
        db.session(), get_settings().secret_key, _get_user(), request.form.get("password", "")
    )


def _stay_signed_in(user: User) -> None:
    """After a new password, which ended this session too: a new one in its place; commits."""
    is_remembered = bool(session.permanent)
    agent = request.headers.get("User-Agent", "")
    opened = sessions.open_session(
        db.session(), user, request.remote_addr or "", agent, is_remembered
    )
    g.session_id = opened.id
    db.session.commit()
    login_user(user, remember=is_remembered)


def _show_codes_of_first_click() -> ResponseReturnValue:
    """Of two clicks without a script, the browser shows the answer to the second alone.

    It leaves the session as it is: the answer to the first may have put the codes there.
    """
    return redirect(url_for("admin.show_recovery_codes", again=1), 303)


def _show_codes_once(codes: Sequence[str], heading: str) -> ResponseReturnValue:
    shown_once.keep("codes", codes=" ".join(codes), heading=heading)
    return redirect(url_for("admin.show_recovery_codes"), 303)


def _read_id(text: str) -> int:
    """A number that may be an id, else 0, which nothing has."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else 0


def _read_faults(error: Exception) -> dict[str, str]:
    fields = error.fields if isinstance(error, InvalidInputError) else {}
    return fields or {"password": str(error)}


def _get_status(error: Exception) -> int:
    return 429 if isinstance(error, TooManyTriesError) else 422


def _render_second_step(fault: str) -> Response:
    user = _get_user()
    if session.get("second_step") != user.id or second_factor.is_on(db.session(), user.id):
        return cast(Response, redirect(url_for("admin.show_account")))
    secret = second_factor.begin(db.session(), _get_vault(), user)
    db.session.commit()
    uri = second_factor.make_uri(secret, user.name, get_settings().title)
    page = render_template(
        "admin/second_step.html", qr=second_factor.draw_qr(uri), secret=secret, fault=fault
    )
    return make_response(page, 422 if fault else 200)


def _render(**values: Any) -> str:
    user = _get_user()
    database = db.session()
    return render_template(
        "admin/account.html",
        user=user,
        account_languages=i18n.LANGUAGES,
        has_second_step=second_factor.is_on(database, user.id),
        recovery_count=second_factor.count_recovery_codes(database, user),
        sessions=sessions.list_sessions(database, user),
        this_session=g.session_id,
        describe_browser=sessions.describe_browser,
        tokens=api_tokens.list_tokens(database, user),
        lifetimes=api_tokens.LIFETIMES_DAYS,
        min_password_chars=users.MIN_PASSWORD_CHARS,
        **values,
    )
