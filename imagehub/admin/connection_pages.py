"""The connection to OneDrive: connect, disconnect, check, select the root folder."""

import logging
from collections.abc import Mapping, Sequence
from datetime import timedelta

from flask import redirect, render_template, session, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user

from imagehub.admin import act, blueprint
from imagehub.admin.words import say
from imagehub.database import db, end_read
from imagehub.domain.imports import jobs
from imagehub.domain.library.series import list_series_choices
from imagehub.domain.onedrive import accounts, browser, sign_in, status
from imagehub.domain.site import endings, settings
from imagehub.domain.sync import notifications, root_change, schedule, watched_folders
from imagehub.errors import (
    ConnectionLostError,
    ImageHubError,
    InvalidInputError,
    NotAllowedError,
    NotFoundError,
)
from imagehub.messages import mark
from imagehub.models import DriveAccount, WatchedFolder
from imagehub.web import commit_action
from imagehub.web.access import get_local_target
from imagehub.web.errors import on_refusal
from imagehub.web.forms import Checkbox, Form, FormText, OptionalId, read_form, read_query
from imagehub.web.headers import make_absolute
from imagehub.web.i18n import translate
from imagehub.wiring import get_clients, get_given_settings

log = logging.getLogger(__name__)

# In the browser's session: where to go after the sign-in at Microsoft.
_NEXT = "after_connection"
# Other processes cache the root folder for a second; an earlier check would use the old one.
_CACHE_TIME = timedelta(seconds=2)
_SCOPES = {"write": sign_in.DEFAULT_SCOPES, "wide": sign_in.WIDE_SCOPES}
_ROOT_IS_GIVEN = mark(
    "The root folder is set by IMAGEHUB_ROOT_FOLDER on the server. Change it there."
)


class ConnectFields(Form):
    """How to connect or disconnect, and where to go afterwards.

    ``account``: a previous account; by default the active one. ``access``: ``write`` for uploads
    and changes, ``wide`` for notifications by the drive of a work account, else the least that
    shows and imports images. ``another``: let the person select an
    account at Microsoft. ``next``: the page to go to; ``folder``: the folder of the drive to go to.
    """

    account: OptionalId("account") = None  # type: ignore[valid-type]
    access: FormText = ""
    another: Checkbox = False
    next: FormText = ""
    folder: FormText = ""

    def find_account(self) -> DriveAccount | None:
        """Find the account that the form means.

        :raise NotFoundError: there is no account with this id.
        """
        if self.account is not None:
            return accounts.get_account(db.session(), self.account)
        return accounts.find_active_account(db.session())


class AnswerQuery(Form):
    """Microsoft's answer; see the OAuth 2.0 authorization code flow, RFC 6749, 4.1.2."""

    state: FormText = ""
    code: FormText = ""
    error: FormText = ""
    error_description: FormText = ""
    client_info: FormText = ""
    session_state: FormText = ""


class SecretFields(Form):
    """``secret_end``: a date as 2027-05-31, or ""."""

    secret_end: FormText = ""


class RootFields(Form):
    """``folder``: the folder to look into or to select, "" for all of OneDrive.

    ``page``: OneDrive's mark of a page. ``sure``: the person confirmed.
    """

    folder: FormText = ""
    page: FormText = ""
    sure: Checkbox = False


@blueprint.get("/admin/connection")
def show_connection() -> ResponseReturnValue:
    """Show the state of the connection, and what to do about it."""
    return _render()


def _show_fault(error: ImageHubError) -> ResponseReturnValue:
    if isinstance(error, NotFoundError) and error.kind == "account":
        raise error
    say(error.sentence, is_fault=True)
    return redirect(url_for("admin.show_connection"))


@act("/admin/connection/connect", _show_fault)
def connect_onedrive() -> ResponseReturnValue:
    """Show a page that continues to Microsoft's sign-in at once."""
    fields = read_form(ConnectFields)
    account = fields.find_account()
    hint = account.username if account is not None and not fields.another else ""
    renews = "" if account is None or account.is_active else account.home_account_id
    least = _SCOPES.get(fields.access, sign_in.READ_ONLY_SCOPES)
    scopes = least if fields.another else sign_in.keep_wide(account, least)
    user_id = int(current_user.id)
    end_read(db.session())
    url = sign_in.start_connection(
        db.session(),
        get_clients(),
        user_id,
        make_callback_url(),
        scopes,
        login_hint=hint,
        prompt="select_account" if fields.another else "",
        renews=renews,
    )
    db.session.commit()
    folder = fields.folder
    home = url_for(".show_drive", item_id=folder) if folder else url_for(".show_connection")
    session[_NEXT] = get_local_target(fields.next, home=home)
    # A page, not a redirect: Chromium and WebKit apply the policy's form-action to every redirect
    # of a form, and Microsoft's sign-in hosts cannot all be listed.
    return render_template("admin/leaving.html", url=url)


@blueprint.post("/admin/connection/disconnect")
def disconnect_onedrive() -> ResponseReturnValue:
    """Delete the tokens; images and their renditions stay."""
    account = read_form(ConnectFields).find_account()
    if account is not None:
        account_id = account.id
        end_read(db.session())
        notifications.end_subscription(db.session(), get_clients(), account_id)
        account = accounts.get_account(db.session(), account_id)
        sign_in.disconnect(db.session(), account)
        whose = "" if account.is_active else account.username
        words = _("OneDrive is disconnected. Published images stay online.")
        if whose:
            words = _(
                "The OneDrive of %(name)s is disconnected. Published images stay online.",
                name=whose,
            )
        commit_action("disconnect", account.id, name=account.username)
        say(words)
    return redirect(url_for("admin.show_connection"))


@act("/admin/connection/check", _show_fault)
def check_connection() -> ResponseReturnValue:
    """Ask OneDrive about the drive now, and save the answer."""
    account = accounts.find_active_account(db.session())
    if account is not None:
        account_id = account.id
        end_read(db.session())
        status.refresh_drive_facts(db.session(), get_clients(), account_id)
        has_root = _has_root(account_id)
        if has_root:
            words = _("OneDrive responds, and the root folder exists.")
        elif is_root_given():
            words = _(
                "OneDrive responds, but the root folder is gone. Set IMAGEHUB_ROOT_FOLDER on the "
                "server to another folder."
            )
        else:
            words = _(
                "OneDrive responds, but the root folder is gone. Select another one below, or "
                "restore it in OneDrive."
            )
        say(words, is_fault=not has_root)
    return redirect(url_for("admin.show_connection"))


def _has_root(account_id: int) -> bool:
    try:
        get_clients().open_drive(account_id).get_root()
    except NotFoundError:
        return False
    return True


def _show_secret_fault(error: ImageHubError) -> ResponseReturnValue:
    assert isinstance(error, InvalidInputError)
    return _render({name: translate(fault) for name, fault in error.fields.items()}), 422


@act("/admin/connection/secret-end", _show_secret_fault, InvalidInputError)
def save_secret_end() -> ResponseReturnValue:
    """Save the day on which the app registration's client secret expires."""
    end = settings.set_secret_end(
        db.session(), get_given_settings(), read_form(SecretFields).secret_end
    )
    if end is None:
        commit_action("clear_secret_end", "client secret")
    else:
        commit_action("set_secret_end", "client secret", day=end.isoformat())
    say(_("Saved."))
    return redirect(url_for("admin.show_connection"))


def _render(faults: Mapping[str, str] | None = None) -> str:
    database, clients = db.session(), get_clients()
    info = status.describe_connection(database, clients)
    missing_drive = ""
    if info.is_usable and info.account_id is not None and not info.drive_kind:
        end_read(database)
        missing_drive = _refresh_drive_facts(info.account_id)
        info = status.describe_connection(database, clients)
    root = None
    if info.account_id is not None:
        root = settings.get_root_folder(database, get_given_settings(), info.account_id)
    notified = None
    if info.account_id is not None and info.is_usable:
        given = get_given_settings()
        notified = notifications.describe_notifications(database, given, info.account_id)
    watches: Sequence[WatchedFolder] = ()
    if info.account_id is not None:
        watches = watched_folders.list_watches(database, info.account_id)
    ending = endings.list_endings(database, clients, get_given_settings())
    return render_template(
        "admin/connection.html",
        info=info,
        missing_drive=missing_drive,
        root=root,
        notified=notified,
        watches=watches,
        series_choices=list_series_choices(database) if watches else (),
        earlier=status.describe_earlier(database, clients),
        token_end=endings.find_sign_in_end(info),
        secret_end=settings.find_secret_end(database, get_given_settings()),
        secret=next((one for one in ending if one.kind == "secret"), None),
        callback_url=make_callback_url(),
        faults=faults or {},
    )


# --- Microsoft's answer ---------------------------------------------------------------------------


def _show_failed_sign_in(error: ImageHubError) -> ResponseReturnValue:
    session.pop(_NEXT, None)
    log.warning("A sign-in at Microsoft failed: %s", error)
    say(error.sentence, is_fault=True)
    return redirect(url_for("admin.show_connection"))


@blueprint.get("/admin/onedrive/callback")
@on_refusal(_show_failed_sign_in)
def finish_connection() -> ResponseReturnValue:
    """Finish the sign-in that this admin began, and go back to where they were."""
    query = read_query(AnswerQuery)
    if not query.state:
        # Only a program with a token may omit it. A browser can be sent here by anybody's link,
        # which would use up the pending sign-in.
        raise InvalidInputError("This sign-in was not started here. Please start again.")
    answer = {name: value for name, value in query if value}
    fault = finish_sign_in(int(current_user.id), answer)
    home = url_for("admin.show_connection")
    if fault:
        say(fault, is_fault=True)
        return redirect(home)
    say(_("OneDrive is connected."))
    return redirect(session.pop(_NEXT, home))


def make_callback_url() -> str:
    """Make the absolute address of :func:`finish_connection`, to be registered at Microsoft."""
    return make_absolute(url_for("admin.finish_connection"))


def finish_sign_in(user_id: int, answer: dict[str, str]) -> str:
    """Make the account of Microsoft's answer the active connection, and commit it.

    :return: a sentence if the account has no drive, else "".
    :raise ImageHubError: see :func:`imagehub.domain.onedrive.sign_in.finish_connection`.
    """
    account = sign_in.finish_connection(db.session(), get_clients(), user_id, answer)
    account_id = account.id
    jobs.resume_waiting(db.session(), account_id)
    commit_action("connect", account_id, name=account.username or account.name)
    return _refresh_drive_facts(account_id)


def _refresh_drive_facts(account_id: int) -> str:
    """Save what OneDrive tells about the drive; a sentence if the account has none, else ""."""
    try:
        status.refresh_drive_facts(db.session(), get_clients(), account_id)
    except NotFoundError as error:
        return error.sentence
    except ImageHubError as error:
        # The connection works all the same; the connection page asks again.
        log.warning("The drive of the connection could not be described: %s", error)
    return ""


# --- The root folder, the only one that ImageHub may see ------------------------------------------


@blueprint.get("/admin/connection/root-folder")
def choose_root_folder() -> ResponseReturnValue:
    """Show the folders of the whole drive."""
    if is_root_given():
        say(_ROOT_IS_GIVEN)
        return redirect(url_for("admin.show_connection"))
    query = read_query(RootFields)
    account_id = _get_open_account()
    whole = get_clients().open_whole_drive(account_id)
    choice = browser.list_choice(whole, query.folder, query.page)
    return render_template(
        "admin/root_folder.html",
        crumbs=[{"id": "", "name": "OneDrive"}, *choice.way],
        folders=choice.folders,
        next_page=choice.next_page,
        folder_id=query.folder,
        root=settings.get_root_folder(db.session(), get_given_settings(), account_id),
    )


@blueprint.post("/admin/connection/root-folder")
def save_root_folder() -> ResponseReturnValue:
    """Set the root folder.

    If originals of images are outside that folder, a page says so and asks for a confirmation.
    """
    account_id = _get_open_account()
    fields = read_form(RootFields)
    words = settings.WHOLE_DRIVE
    if fields.folder:
        whole = get_clients().open_whole_drive(account_id)
        folder = browser.find_folder(whole, fields.folder)
        words = browser.make_path(whole, folder)
        if not fields.sure:
            left = root_change.count_left_outside(db.session(), account_id, whole, folder.id)
            if left.outside or left.unknown:
                return render_template(
                    "admin/root_folder_sure.html", folder=folder, words=words, left=left
                )
    settings.set_root_folder(db.session(), get_given_settings(), account_id, fields.folder, words)
    # Originals may be inside now that were outside, and the other way round.
    schedule.ask_for_check(db.session(), account_id, _CACHE_TIME)
    commit_action("set_root_folder", fields.folder, name=words)
    if fields.folder:
        say(_("ImageHub now sees only %(path)s.", path=words))
    else:
        say(_("ImageHub now sees all of OneDrive."))
    return redirect(url_for("admin.show_connection"))


def is_root_given() -> bool:
    """Tell whether the root folder is set on the server, so that it cannot be selected here."""
    return "root_folder" in get_given_settings().given


def _get_open_account() -> int:
    """Give the connected account's id, unless the root folder is set on the server."""
    if is_root_given():
        raise NotAllowedError(_ROOT_IS_GIVEN)
    account = accounts.get_active_account(db.session())
    if account.state != accounts.CONNECTED:
        raise ConnectionLostError(account=account.username)
    account_id = account.id
    end_read(db.session())
    return account_id
