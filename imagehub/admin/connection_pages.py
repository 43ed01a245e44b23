"""The connection to OneDrive: made, ended, looked after, and closed at a folder."""

import logging
from dataclasses import dataclass
from datetime import timedelta

from flask import redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from imagehub.admin import blueprint
from imagehub.admin.callback import NEXT, make_callback_url
from imagehub.admin.numbers import read_number
from imagehub.admin.words import say
from imagehub.clients import Drive, DriveItem
from imagehub.database import db
from imagehub.domain.onedrive import accounts, sign_in, status
from imagehub.domain.site import overview, settings
from imagehub.domain.sync import root_change, schedule
from imagehub.errors import (
    ConnectionLostError,
    ImageHubError,
    InvalidInputError,
    NotAllowedError,
    NotFoundError,
)
from imagehub.models import DriveAccount
from imagehub.web import note_action
from imagehub.web.access import get_local_target
from imagehub.wiring import get_clients, get_given_settings, get_settings

log = logging.getLogger(__name__)

_MAX_DEPTH = 30
# A page of a folder may hold nothing but files; so many more are read at once to find a folder.
_MAX_READ_ON = 10
# Other processes believe for a second what they read of the root folder; a look that begins within
# it would be one at the old folder.
_ROOT_SPREADS = timedelta(seconds=2)


@blueprint.get("/admin/connection")
def show_connection() -> ResponseReturnValue:
    """How the connection is, and what to do about it."""
    return _render()


@blueprint.post("/admin/connection/connect")
def connect_onedrive() -> ResponseReturnValue:
    """A page that goes on to Microsoft's sign-in at once.

    ``access``: ``read`` asks for the least that shows and imports pictures, ``write`` for what
    uploads and changes in folders need. ``account``: an earlier one, to be connected again beside
    the active one. ``next``: where to go on to afterwards, or ``folder``: the folder of the drive
    to go back to.
    """
    scopes = (
        sign_in.DEFAULT_SCOPES
        if request.form.get("access") == "write"
        else sign_in.READ_ONLY_SCOPES
    )
    account = _find_chosen_account()
    hint = account.username if account is not None else ""
    renews = "" if account is None or account.is_active else account.home_account_id
    is_another = bool(request.form.get("another"))
    user_id = int(current_user.id)
    db.session.rollback()
    try:
        url = sign_in.start_connection(
            db.session(),
            get_clients(),
            user_id,
            make_callback_url(),
            scopes,
            login_hint="" if is_another else hint,
            prompt="select_account" if is_another else "",
            renews=renews,
        )
    except ImageHubError as error:
        db.session.rollback()
        say(str(error), is_fault=True)
        return redirect(url_for("admin.show_connection"))
    db.session.commit()
    folder_id = request.form.get("folder")
    home = (
        url_for("admin.show_drive", item_id=folder_id)
        if folder_id
        else url_for("admin.show_connection")
    )
    session[NEXT] = get_local_target(request.form.get("next", ""), home=home)
    # A page that leads on, not a redirect: Chromium and WebKit hold each step of a form's redirects
    # against the policy's form-action, and Microsoft has sign-in hosts that nobody can list.
    return render_template("admin/leaving.html", url=url)


@blueprint.post("/admin/connection/disconnect")
def disconnect_onedrive() -> ResponseReturnValue:
    """Forget the tokens; images and their renditions stay."""
    account = _find_chosen_account()
    if account is not None:
        sign_in.disconnect(db.session(), account)
        whose = account.username or "an account"
        words = f"Disconnected the OneDrive of {whose}."
        note_action("disconnect", "connection", account.id, words)
        what = "OneDrive" if account.is_active else f"The OneDrive of {whose}"
        db.session.commit()
        say(f"{what} is disconnected. What hangs in the gallery stays.")
    return redirect(url_for("admin.show_connection"))


def _find_chosen_account() -> DriveAccount | None:
    """The one that the form names by its number, else the active one, if there is one.

    :raise NotFoundError: there is none of that number.
    """
    text = request.form.get("account", "")
    if text:
        return accounts.get_account(db.session(), read_number(text, "account"))
    return accounts.find_active_account(db.session())


@blueprint.post("/admin/connection/check")
def check_connection() -> ResponseReturnValue:
    """Ask OneDrive now, and write down what it tells of the drive."""
    account = accounts.find_active_account(db.session())
    if account is not None:
        account_id = account.id
        db.session.rollback()
        try:
            status.refresh_drive_facts(db.session(), get_clients(), account_id)
            words = _look_for_root(account_id)
        except ImageHubError as error:
            say(str(error), is_fault=True)
        else:
            say(words or "OneDrive answers, and the root folder is there.", is_fault=bool(words))
    return redirect(url_for("admin.show_connection"))


def _look_for_root(account_id: int) -> str:
    """What is wrong with the root folder, in words; "" if it is there."""
    try:
        get_clients().open_drive(account_id).get_root()
    except NotFoundError:
        if _is_root_given():
            what = "IMAGEHUB_ROOT_FOLDER on the server has to name another one."
        else:
            what = "Choose another one below, or bring it back in OneDrive."
        return f"OneDrive answers, but the root folder is not there any more. {what}"
    return ""


@blueprint.post("/admin/connection/secret-end")
def save_secret_end() -> ResponseReturnValue:
    """Remember when the app registration's client secret ends."""
    try:
        end = settings.set_secret_end(db.session(), request.form.get("secret_end", ""))
    except InvalidInputError as error:
        db.session.rollback()
        return _render(error.fields), 422
    words = f"Noted that the client secret ends on {end}." if end else "Forgot the secret's end."
    note_action("change", "connection", "client secret", words)
    db.session.commit()
    say(words)
    return redirect(url_for("admin.show_connection"))


# --- The root folder ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Crumb:
    """A folder on the way down. ``id`` is "" for the top of the drive."""

    id: str
    name: str


@blueprint.get("/admin/connection/root-folder")
def choose_root_folder() -> ResponseReturnValue:
    """Folders of the whole drive, to choose the one that the hub may see.

    ``folder``: the one to look into; the top without it. ``page``: as the page before gave it.
    """
    if _is_root_given():
        say("IMAGEHUB_ROOT_FOLDER on the server says which folder it is; it is changed there.")
        return redirect(url_for("admin.show_connection"))
    account_id = _get_open_account()
    whole = _open_whole_drive(account_id)
    folder_id = request.args.get("folder", "")
    here = whole.get_item(folder_id) if folder_id else whole.get_root()
    if not here.is_folder:
        raise NotFoundError("folder", folder_id)
    page = whole.list_children(here.id, request.args.get("page", ""))
    for _ in range(_MAX_READ_ON):
        if not page.next_page or any(item.is_folder for item in page.items):
            break
        page = whole.list_children(here.id, page.next_page)
    root = settings.get_root_folder(db.session(), get_given_settings(), account_id)
    return render_template(
        "admin/root_folder.html",
        crumbs=_list_crumbs(whole, here) if folder_id else [Crumb("", "OneDrive")],
        folders=[item for item in page.items if item.is_folder],
        next_page=page.next_page,
        folder_id=folder_id,
        root=root,
    )


@blueprint.post("/admin/connection/root-folder")
def save_root_folder() -> ResponseReturnValue:
    """Close the drive at a folder; ``folder`` empty opens all of it.

    Where images come from outside that folder, it first says how many, until somebody is sure.
    """
    account_id = _get_open_account()
    folder_id = request.form.get("folder", "")
    words = "All of OneDrive"
    if folder_id:
        whole = _open_whole_drive(account_id)
        folder = whole.get_item(folder_id)
        if not folder.is_folder:
            raise NotFoundError("folder", folder_id)
        words = "/" + "/".join(crumb.name for crumb in _list_crumbs(whole, folder)[1:])
        if request.form.get("sure") != "yes":
            left = root_change.count_left_outside(db.session(), account_id, whole, folder.id)
            if left.outside or left.unknown:
                return render_template(
                    "admin/root_folder_sure.html", folder=folder, words=words, left=left
                )
    settings.set_root_folder(db.session(), get_given_settings(), account_id, folder_id, words)
    note_action("change", "connection", folder_id, f"Set the root folder: {words}.")
    # What was inside may be outside now, and the other way round.
    schedule.ask_for_check(db.session(), account_id, _ROOT_SPREADS)
    db.session.commit()
    say(
        f"ImageHub sees {words} from now on, and nothing else."
        if folder_id
        else "ImageHub sees all of OneDrive from now on."
    )
    return redirect(url_for("admin.show_connection"))


def _is_root_given() -> bool:
    """Whether the environment says which folder it is, so that it cannot be chosen here."""
    return "root_folder" in get_given_settings().given


def _get_open_account() -> int:
    """The connected account, where the root folder may be chosen here.

    :raise NotAllowedError: the environment says which folder it is.
    :raise ConnectionLostError: OneDrive is not connected.
    """
    if _is_root_given():
        raise NotAllowedError("IMAGEHUB_ROOT_FOLDER says which folder it is; change it there.")
    account = accounts.get_active_account(db.session())
    if account.state != accounts.CONNECTED:
        raise ConnectionLostError(account=account.username)
    account_id = account.id
    db.session.rollback()
    return account_id


def _open_whole_drive(account_id: int) -> Drive:
    open_whole_drive = get_clients().open_whole_drive
    assert open_whole_drive is not None
    return open_whole_drive(account_id)


def _list_crumbs(whole: Drive, folder: DriveItem) -> list[Crumb]:
    """From the top down to the folder."""
    top = whole.get_root()
    crumbs: list[Crumb] = []
    here = folder
    for _ in range(_MAX_DEPTH):
        if here.id == top.id or not here.parent_id:
            break
        crumbs.append(Crumb(here.id, here.name))
        if here.parent_id == top.id:
            break
        here = whole.get_item(here.parent_id)
    return [Crumb("", "OneDrive"), *reversed(crumbs)]


# --- Pieces ---------------------------------------------------------------------------------------


def _render(faults: dict[str, str] | None = None) -> str:
    database = db.session()
    info = status.describe_connection(database, get_clients())
    missing_drive = ""
    if info.is_usable and info.account_id is not None and not info.drive_kind:
        database.rollback()
        try:
            status.refresh_drive_facts(database, get_clients(), info.account_id)
        except NotFoundError as error:
            missing_drive = str(error)
        except ImageHubError as error:
            log.info("the drive could not be described: %s", error)
        info = status.describe_connection(database, get_clients())
    root = (
        settings.get_root_folder(database, get_given_settings(), info.account_id)
        if info.account_id is not None
        else None
    )
    secret_end = settings.find_secret_end(database)
    return render_template(
        "admin/connection.html",
        info=info,
        missing_drive=missing_drive,
        root=root,
        earlier=status.describe_earlier(database, get_clients()),
        token_end=overview.find_token_end(info),
        secret_end=secret_end,
        secret_days_left=overview.count_days_left(secret_end),
        has_secret=bool(get_settings().ms_client_secret),
        has_client_id=bool(get_settings().ms_client_id),
        callback_url=make_callback_url(),
        check_minutes=get_settings().drive_check_minutes,
        faults=faults or {},
    )
