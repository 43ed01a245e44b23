"""The connection to OneDrive: connect, disconnect, check."""

import logging
from collections.abc import Mapping

from flask import redirect, render_template, session, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user

from imagehub.admin import blueprint
from imagehub.admin.callback import NEXT, make_callback_url
from imagehub.admin.root_folder_pages import is_root_given
from imagehub.admin.words import say
from imagehub.database import db, end_read
from imagehub.domain.onedrive import accounts, sign_in, status
from imagehub.domain.site import overview, settings
from imagehub.errors import ImageHubError, InvalidInputError, NotFoundError
from imagehub.models import DriveAccount
from imagehub.web import note_action
from imagehub.web.access import get_local_target
from imagehub.web.errors import on_refusal
from imagehub.web.forms import Checkbox, Form, FormText, OptionalId, read_form
from imagehub.web.i18n import translate
from imagehub.wiring import get_clients, get_given_settings, get_settings

log = logging.getLogger(__name__)


class AccountFields(Form):
    """``account``: a previous account; by default the active one."""

    account: OptionalId("account") = None  # type: ignore[valid-type]


class ConnectFields(AccountFields):
    """How to connect, and where to go afterwards.

    ``access``: ``write`` for uploads and changes, else the least that shows and imports images.
    ``another``: let the person select an account at Microsoft. ``next``: the page to go to;
    ``folder``: the folder of the drive to go to.
    """

    access: FormText = ""
    another: Checkbox = False
    next: FormText = ""
    folder: FormText = ""


class SecretFields(Form):
    """``secret_end``: a date as 2027-05-31, or ""."""

    secret_end: FormText = ""


@blueprint.get("/admin/connection")
def show_connection() -> ResponseReturnValue:
    """Show the state of the connection, and what to do about it."""
    return _render()


def _show_fault(error: ImageHubError) -> ResponseReturnValue:
    if isinstance(error, NotFoundError) and error.kind == "account":
        raise error
    say(error.sentence, is_fault=True)
    return redirect(url_for("admin.show_connection"))


@blueprint.post("/admin/connection/connect")
@on_refusal(_show_fault)
def connect_onedrive() -> ResponseReturnValue:
    """Show a page that continues to Microsoft's sign-in at once."""
    fields = read_form(ConnectFields)
    account = _find_account(fields)
    hint = account.username if account is not None and not fields.another else ""
    renews = "" if account is None or account.is_active else account.home_account_id
    user_id = int(current_user.id)
    end_read(db.session())
    url = sign_in.start_connection(
        db.session(),
        get_clients(),
        user_id,
        make_callback_url(),
        sign_in.DEFAULT_SCOPES if fields.access == "write" else sign_in.READ_ONLY_SCOPES,
        login_hint=hint,
        prompt="select_account" if fields.another else "",
        renews=renews,
    )
    db.session.commit()
    home = (
        url_for("admin.show_drive", item_id=fields.folder)
        if fields.folder
        else url_for("admin.show_connection")
    )
    session[NEXT] = get_local_target(fields.next, home=home)
    # A page, not a redirect: Chromium and WebKit apply the policy's form-action to every redirect
    # of a form, and Microsoft's sign-in hosts cannot all be listed.
    return render_template("admin/leaving.html", url=url)


@blueprint.post("/admin/connection/disconnect")
def disconnect_onedrive() -> ResponseReturnValue:
    """Delete the tokens; images and their renditions stay."""
    account = _find_account(read_form(AccountFields))
    if account is not None:
        sign_in.disconnect(db.session(), account)
        note_action("disconnect", account.id, name=account.username)
        whose = "" if account.is_active else account.username
        db.session.commit()
        if whose:
            say(
                _(
                    "The OneDrive of %(name)s is disconnected. Published images stay online.",
                    name=whose,
                )
            )
        else:
            say(_("OneDrive is disconnected. Published images stay online."))
    return redirect(url_for("admin.show_connection"))


@blueprint.post("/admin/connection/check")
@on_refusal(_show_fault)
def check_connection() -> ResponseReturnValue:
    """Ask OneDrive about the drive now, and save the answer."""
    account = accounts.find_active_account(db.session())
    if account is not None:
        account_id = account.id
        end_read(db.session())
        status.refresh_drive_facts(db.session(), get_clients(), account_id)
        if _has_root(account_id):
            say(_("OneDrive responds, and the root folder exists."))
        elif is_root_given():
            words = _(
                "OneDrive responds, but the root folder is gone. Set IMAGEHUB_ROOT_FOLDER on the "
                "server to another folder."
            )
            say(words, is_fault=True)
        else:
            words = _(
                "OneDrive responds, but the root folder is gone. Select another one below, or "
                "restore it in OneDrive."
            )
            say(words, is_fault=True)
    return redirect(url_for("admin.show_connection"))


def _show_secret_fault(error: ImageHubError) -> ResponseReturnValue:
    assert isinstance(error, InvalidInputError)
    return _render({name: translate(fault) for name, fault in error.fields.items()}), 422


@blueprint.post("/admin/connection/secret-end")
@on_refusal(_show_secret_fault, InvalidInputError)
def save_secret_end() -> ResponseReturnValue:
    """Save the day on which the app registration's client secret expires."""
    end = settings.set_secret_end(db.session(), read_form(SecretFields).secret_end)
    if end is None:
        note_action("clear_secret_end", "client secret")
    else:
        note_action("set_secret_end", "client secret", day=end.isoformat())
    db.session.commit()
    say(_("Saved."))
    return redirect(url_for("admin.show_connection"))


def _find_account(fields: AccountFields) -> DriveAccount | None:
    """Find the account that the form means, by default the active one.

    :raise NotFoundError: there is no account with this id.
    """
    if fields.account is not None:
        return accounts.get_account(db.session(), fields.account)
    return accounts.find_active_account(db.session())


def _has_root(account_id: int) -> bool:
    try:
        get_clients().open_drive(account_id).get_root()
    except NotFoundError:
        return False
    return True


def _render(faults: Mapping[str, str] | None = None) -> str:
    database = db.session()
    info = status.describe_connection(database, get_clients())
    missing_drive = ""
    if info.is_usable and info.account_id is not None and not info.drive_kind:
        end_read(database)
        try:
            status.refresh_drive_facts(database, get_clients(), info.account_id)
        except NotFoundError as error:
            missing_drive = translate(error.sentence)
        except ImageHubError as error:
            log.info("The drive could not be described: %s", error)
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
