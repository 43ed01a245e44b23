"""Checks of OneDrive, of what expires, and of the ways by which messages are sent."""

from collections.abc import Iterator

from imagehub.config import Settings
from imagehub.database import db
from imagehub.domain.onedrive import accounts, folders, status
from imagehub.domain.site import endings
from imagehub.domain.site import settings as site_settings
from imagehub.domain.sync import notifications
from imagehub.errors import (
    NEEDS_ADMINISTRATOR,
    WRONG_CLIENT_SECRET,
    WRONG_REGISTRATION,
    ImageHubError,
    NotFoundError,
    RootFolderGoneError,
    ServiceError,
)
from imagehub.runtime.doctor.findings import Facts, State
from imagehub.wiring import build_channels, get_clients


def check_onedrive(settings: Settings) -> Iterator[Facts]:
    """Check OneDrive: an app registration, a valid connection, and a drive that answers."""
    if not settings.ms_client_id:
        yield (
            "warning",
            "No app registration is set.",
            "Register an app at Microsoft and set IMAGEHUB_MS_CLIENT_ID.",
        )
        return
    session, clients = db.session(), get_clients()
    account_id = status.describe_connection(session, clients).account_id
    session.rollback()
    failure = advice = ""
    hub = settings.public_url
    if account_id is not None:
        # These calls record a revoked connection or a wrong secret; it is described below.
        try:
            opened = clients.open_drive(account_id)
            kind = opened.get_drive().kind
            root = folders.get_root(opened).name
        except RootFolderGoneError:
            words = site_settings.get_root_folder(session, settings, account_id).words
            failure = f"The root folder {words} is not in this OneDrive."
            advice = f"Select another folder at {hub}/admin/, or set IMAGEHUB_ROOT_FOLDER."
        except NotFoundError as error:
            failure, advice = str(error), f"Connect another account at {hub}/admin/connection."
        except ImageHubError as error:
            failure = str(error)
            advice = "See https://status.cloud.microsoft, and check again in a few minutes."
    known = status.describe_connection(session, clients)
    if not known.is_usable:
        is_new = known.state in (accounts.NOT_CONNECTED, accounts.DISCONNECTED)
        state: State = "warning" if is_new else "fault"
        yield state, known.reason or failure, ONEDRIVE_ADVICE[known.state].format(hub=hub)
    elif failure:
        yield "fault", failure, advice
    else:
        may = "" if known.may_write else "; read only"
        who = known.username or known.name
        yield "ok", f"{kind} drive of {who}; the root folder is {root}{may}."


def check_notifications(settings: Settings) -> Iterator[Facts]:
    """Say whether OneDrive notifies the hub of changes, until when, or why not."""
    session = db.session()
    account = accounts.find_active_account(session)
    if account is None or account.state != accounts.CONNECTED:
        return
    info = notifications.describe_notifications(session, settings, account.id)
    minutes = settings.drive_check_minutes
    instead = "OneDrive is checked " + (
        f"every {minutes} minutes" if minutes else "on request only"
    )
    if info.state == "on" and info.until is not None:
        yield "ok", f"On until {info.until:%Y-%m-%d %H:%M} UTC; the worker renews them before."
    elif info.state == "starting":
        yield "ok", "Not on yet; a worker requests them within a minute."
    elif info.state == "failed":
        yield (
            "warning",
            f"Off: {info.problem}",
            f"Until that is corrected, {instead}. The worker tries again by itself.",
        )
    elif info.state == "no_address":
        yield "ok", f"Off, as the hub has no public https address; {instead}."
    else:
        yield "ok", f"Switched off by IMAGEHUB_DRIVE_NOTIFICATIONS; {instead}."


# ``hub`` is the public address; without one the paths stand alone.
ONEDRIVE_ADVICE = {
    accounts.NOT_CONNECTED: "Connect it at {hub}/admin/.",
    accounts.DISCONNECTED: "Reconnect it at {hub}/admin/.",
    accounts.NEEDS_RECONNECT: "Reconnect it at {hub}/admin/.",
    WRONG_CLIENT_SECRET: "Create a new client secret at https://entra.microsoft.com and "
    "set IMAGEHUB_MS_CLIENT_SECRET; no new sign-in is needed.",
    WRONG_REGISTRATION: "Correct the app registration at https://entra.microsoft.com; no "
    "new sign-in is needed.",
    NEEDS_ADMINISTRATOR: "Ask the administrator of the account's organisation; it works "
    "again by itself once access is allowed.",
}


def check_expiry_dates(settings: Settings) -> Iterator[Facts]:
    """Check what expires: the client secret, sign-ins at Microsoft."""
    session = db.session()
    found = endings.list_endings(session, get_clients(), settings)
    for one in found:
        if one.level:
            yield "warning", f"{one.what}: {one.words}"
    if endings.is_secret_end_unknown(session, settings):
        yield (
            "warning",
            "Nobody has said when the client secret expires.",
            f"Enter the date at {settings.public_url}/admin/connection, or set "
            "IMAGEHUB_MS_CLIENT_SECRET_EXPIRES, to be warned before.",
        )
    elif found and not any(one.level for one in found):
        yield "ok", "; ".join(f"{one.what}: {one.day}" for one in found) + "."


def check_messages(settings: Settings) -> Iterator[Facts]:
    """Check the ways by which messages are sent, without sending one."""
    for channel in build_channels(settings):
        try:
            yield "ok", f"{channel.recipient}: {channel.check()}"
        except ServiceError as error:
            sentence = f"{channel.recipient}: {error}"
            yield "fault", sentence, "`imagehub notify-test` sends a test message."
