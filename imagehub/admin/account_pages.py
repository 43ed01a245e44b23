"""The account page: name, password, language, two-factor authentication, sessions, tokens."""

from collections.abc import Callable, Sequence
from functools import partial

from flask import g, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user, login_user

from imagehub.admin import act, blueprint, shown_once
from imagehub.admin.words import say
from imagehub.database import db
from imagehub.domain.people import api_tokens, passwords, second_factor, sessions, users
from imagehub.errors import ConflictError, ImageHubError, InvalidInputError, TooManyTriesError
from imagehub.messages import mark
from imagehub.models import User
from imagehub.translator import LANGUAGES
from imagehub.web import commit_action, i18n
from imagehub.web.errors import View, get_error_headers
from imagehub.web.forms import Checkbox, Form, FormText, Id, find_number, read_form, read_query
from imagehub.web.i18n import ngettext, translate
from imagehub.wiring import get_settings, get_signing_keys, get_vault

# In the browser's session: this person gave the password and may see the QR code.
_SETTING_UP = "second_step"


class AccountFields(Form):
    """The fields of the page's forms; each form has some of them.

    ``name``: of the person, or of a new token. ``password``: the current one; ``new`` and ``again``
    are the next. ``days``: a number, or ``never``. ``session`` and ``token`` are ids.
    """

    name: FormText = ""
    password: FormText = ""
    new: FormText = ""
    again: FormText = ""
    end_tokens: Checkbox = False
    language: FormText = ""
    code: FormText = ""
    session: Id("session") = 0  # type: ignore[valid-type]
    token: Id("token") = 0  # type: ignore[valid-type]
    scope: FormText = ""
    days: FormText = ""


def _show_faults(section: str, error: ImageHubError) -> ResponseReturnValue:
    """Answer a refused form with the page, and the faults beside the fields of its section."""
    fields = error.fields if isinstance(error, InvalidInputError) else {}
    page = _render(section, fields or {"password": error.sentence})
    status = 429 if isinstance(error, TooManyTriesError) else 422
    return page, status, get_error_headers(error)


def _act(path: str, section: str, *kinds: type[ImageHubError]) -> Callable[[View], View]:
    """Make a function the view of a form, whose faults are shown in its section of the page."""
    answer = partial(_show_faults, section)
    return act(f"/admin/account/{path}", answer, InvalidInputError, TooManyTriesError, *kinds)


@blueprint.get("/admin/account")
def show_account() -> ResponseReturnValue:
    """Show the account, and a token that was just created."""
    return _render()


@_act("name", "name")
def change_name() -> ResponseReturnValue:
    """Rename the account, once the password was given again."""
    fields = _check_password()
    user = _get_user()
    before = user.name
    try:
        users.change_name(db.session(), user, fields.name)
    except ConflictError as error:
        raise InvalidInputError(error.sentence, {"name": error.sentence}) from error
    commit_action("rename_account", user.id, name=user.name, before=before)
    return _return_with(_("Name changed. Use it the next time you sign in."))


@_act("password", "password")
def change_password() -> ResponseReturnValue:
    """Set a new password and sign out all other sessions; revoke the tokens on request."""
    fields = _check_password()
    if fields.new != fields.again:
        fault = mark("The new passwords do not match.")
        raise InvalidInputError(fault, {"again": fault})
    user = _get_user()
    try:
        users.change_password(db.session(), user, fields.new, get_settings().title)
    except InvalidInputError as error:
        raise InvalidInputError(error.sentence, {"new": error.sentence}) from error
    if fields.end_tokens:
        api_tokens.revoke_all_tokens(db.session(), user)
    _stay_signed_in(user)
    return _return_with(_("Password changed. All other sessions were signed out."))


@blueprint.post("/admin/account/language")
def change_language() -> ResponseReturnValue:
    """Set the language of the admin pages; empty for that of any visitor."""
    user = _get_user()
    users.change_language(db.session(), user, read_form(AccountFields).language, LANGUAGES)
    db.session.commit()
    i18n.use_account_language(user.language)
    return _return_with(_("Language changed."))


# --- Two-factor authentication --------------------------------------------------------------------


@_act("second-step", "second_step", ConflictError)
def begin_second_step() -> ResponseReturnValue:
    """Show the QR code, once the password was given again."""
    _check_password()
    second_factor.begin(db.session(), get_vault(), _get_user())
    db.session.commit()
    session[_SETTING_UP] = current_user.id
    return redirect(url_for("admin.show_second_step"))


@blueprint.get("/admin/account/second-step")
def show_second_step() -> ResponseReturnValue:
    """Show the QR code and the field for its first code."""
    return _render_second_step("")


def _answer_refused_code(error: ImageHubError) -> ResponseReturnValue:
    if isinstance(error, InvalidInputError):
        return _render_second_step(error.sentence)
    return _show_codes_of_first_click()


@act("/admin/account/second-step/confirm", _answer_refused_code, InvalidInputError, ConflictError)
def confirm_second_step() -> ResponseReturnValue:
    """Turn it on with the first code; the recovery codes are shown once."""
    user = _get_user()
    if session.get(_SETTING_UP) != user.id:
        if second_factor.is_on(db.session(), user.id):
            return _show_codes_of_first_click()
        return redirect(url_for("admin.show_account"))
    code = read_form(AccountFields).code
    codes = second_factor.confirm(db.session(), get_vault(), user, code[:100])
    commit_action("turn_on_two_factor", user.id)
    session.pop(_SETTING_UP, None)
    return _show_codes_once(codes, "confirmed")


@_act("second-step/end", "second_step")
def end_second_step() -> ResponseReturnValue:
    """Turn two-factor authentication off."""
    _check_password()
    user = _get_user()
    if second_factor.turn_off(db.session(), user):
        commit_action("turn_off_two_factor", user.id)
    return _return_with(_("Two-factor authentication is off. Your password alone signs you in."))


@_act("recovery-codes", "second_step")
def create_recovery_codes() -> ResponseReturnValue:
    """Create recovery codes in place of the old ones; they are shown once."""
    _check_password()
    user = _get_user()
    if not second_factor.is_on(db.session(), user.id):
        return redirect(url_for("admin.show_account"))
    codes = second_factor.make_recovery_codes(db.session(), user)
    commit_action("create_recovery_codes", user.id)
    return _show_codes_once(codes, "")


@blueprint.get("/admin/account/recovery-codes")
def show_recovery_codes() -> ResponseReturnValue:
    """Show the codes that were just created, once; without any go back to the account."""
    kept = shown_once.take("codes")
    if not kept:
        if read_query(AccountFields).again:
            words = _(
                "Two-factor authentication is on. If you have not seen its recovery codes, create "
                "new ones."
            )
            say(words)
        return redirect(url_for("admin.show_account"))
    return render_template(
        "admin/recovery_codes.html", codes=kept["codes"].split(), is_new=bool(kept["heading"])
    )


# --- Sessions and tokens --------------------------------------------------------------------------


# Whoever finds a browser open must not be able to lock its owner out of the others.
@_act("sessions/end", "sessions")
def end_session() -> ResponseReturnValue:
    """Sign out one session, once the password was given again."""
    fields = _check_password()
    user = _get_user()
    agent = sessions.end_session(db.session(), user, fields.session)
    commit_action("end_session", user.id, agent=agent)
    browser = translate(sessions.describe_browser(agent))
    return _return_with(
        _("The session in %(browser)s was signed out.", browser=browser), "sessions"
    )


@_act("sessions/end-others", "sessions")
def end_other_sessions() -> ResponseReturnValue:
    """Sign out all sessions except this one, once the password was given again."""
    _check_password()
    user = _get_user()
    count = sessions.end_other_sessions(db.session(), user, g.session_id)
    commit_action("end_other_sessions", user.id, count=count)
    words = ngettext(
        "%(num)s other session was signed out.", "%(num)s other sessions were signed out.", count
    )
    return _return_with(words, "sessions")


@_act("tokens", "token")
def create_token() -> ResponseReturnValue:
    """Create an API token, once the password was given again; the page shows it once."""
    user = _get_user()
    # A token outlives the session: it must not be created by someone who finds a browser open.
    fields = _check_password()
    days = None if fields.days == "never" else find_number(fields.days) or 0
    row, token = api_tokens.create_token(db.session(), user, fields.name, fields.scope, days)
    action = "create_write_token" if row.scope == "write" else "create_token"
    commit_action(action, row.id, name=row.name)
    shown_once.keep("token", new_token=token, new_token_name=row.name)
    return redirect(url_for("admin.show_account") + "#tokens", 303)


@blueprint.post("/admin/account/tokens/end")
def revoke_token() -> ResponseReturnValue:
    """Revoke one API token."""
    token_id = read_form(AccountFields).token
    name = api_tokens.revoke_token(db.session(), _get_user(), token_id)
    commit_action("revoke_token", token_id, name=name)
    return _return_with(_("The token “%(name)s” was revoked.", name=name), "tokens")


# --- Helpers --------------------------------------------------------------------------------------


def _get_user() -> User:
    user: User = current_user._get_current_object()
    return user


def _return_with(words: str, section: str | None = None) -> ResponseReturnValue:
    say(words)
    return redirect(url_for("admin.show_account", _anchor=section))


def _check_password() -> AccountFields:
    """Read a form and check its password. Raises as ``users.check_password_again``."""
    fields = read_form(AccountFields)
    keys = get_signing_keys()
    users.check_password_again(db.session(), keys, _get_user(), fields.password)
    return fields


def _stay_signed_in(user: User) -> None:
    """Open a new session after a new password, which ended this one; commits both."""
    is_remembered = bool(session.permanent)
    agent = request.headers.get("User-Agent", "")
    opened = sessions.open_session(
        db.session(), user, request.remote_addr or "", agent, is_remembered
    )
    g.session_id = opened.id
    commit_action("change_password", user.id)
    login_user(user, remember=is_remembered)


def _show_codes_of_first_click() -> ResponseReturnValue:
    """Answer the second click of two, the only one whose answer a browser without a script shows.

    It leaves the session alone: the answer to the first may have put the codes there.
    """
    return redirect(url_for("admin.show_recovery_codes", again=1), 303)


def _show_codes_once(codes: Sequence[str], heading: str) -> ResponseReturnValue:
    shown_once.keep("codes", codes=" ".join(codes), heading=heading)
    return redirect(url_for("admin.show_recovery_codes"), 303)


def _render_second_step(fault: str) -> ResponseReturnValue:
    user = _get_user()
    if session.get(_SETTING_UP) != user.id or second_factor.is_on(db.session(), user.id):
        return redirect(url_for("admin.show_account"))
    secret = second_factor.begin(db.session(), get_vault(), user)
    db.session.commit()
    uri = second_factor.make_uri(secret, user.name, get_settings().title)
    qr = second_factor.draw_qr(uri, _("QR code for the authenticator app"))
    page = render_template("admin/second_step.html", qr=qr, secret=secret, fault=fault)
    return page, 422 if fault else 200


def _render(section: str = "", faults: dict[str, str] | None = None) -> str:
    """Render the account page.

    :param section: the section whose form was refused, with ``faults`` by field.
    """
    shown = {} if section else shown_once.take("token")
    user, database = _get_user(), db.session()
    open_sessions = sessions.list_sessions(database, user)
    # 0 for all others, and for one that has ended meanwhile.
    number = read_form(AccountFields).session if section == "sessions" else 0
    typed_session = number if number in [one.id for one in open_sessions] else 0
    return render_template(
        "admin/account.html",
        user=user,
        faults={section: faults or {}},
        typed_name=read_form(AccountFields).name if section == "name" else user.name,
        typed_token=read_form(AccountFields) if section == "token" else AccountFields(days="90"),
        new_token=shown.get("new_token", ""),
        new_token_name=shown.get("new_token_name", ""),
        account_languages=LANGUAGES,
        has_second_step=second_factor.is_on(database, user.id),
        recovery_count=second_factor.count_recovery_codes(database, user),
        sessions=open_sessions,
        session_days=sessions.LONGEST.days,
        this_session=g.session_id,
        typed_session=typed_session,
        describe_browser=sessions.describe_browser,
        tokens=api_tokens.list_tokens(database, user),
        lifetimes=api_tokens.LIFETIMES_DAYS,
        min_password_chars=passwords.MIN_PASSWORD_CHARS,
    )
