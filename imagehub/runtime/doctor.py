"""``imagehub doctor``: check everything a hub needs and say what is wrong."""

import logging
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import select, text
from sqlalchemy.exc import SQLAlchemyError

from imagehub import create_app
from imagehub.config import Settings, find_unknown_names
from imagehub.config_secrets import make_data_dir
from imagehub.database import CHARSET, COLLATION, MIGRATIONS, REPLICA, db, now_utc
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
    ServiceRefusedError,
)
from imagehub.models import GalleryRevision, User
from imagehub.queue import check_queue
from imagehub.runtime.charsets import find_wrong_tables
from imagehub.runtime.private_files import close_data_dir, is_open_to_others
from imagehub.runtime.public_address import ask_address
from imagehub.runtime.supervisor import answers_http
from imagehub.wiring import build_channels, get_clients

log = logging.getLogger(__name__)

LEAST_FREE_BYTES = 1_000_000_000


State = Literal["ok", "warning", "fault"]
# The fields of a finding without its name.
Facts = tuple[State, str] | tuple[State, str, str]


@dataclass(frozen=True)
class Finding:
    """One result of a check. ``advice`` says what to do; "" if there is nothing to do."""

    name: str
    state: State
    sentence: str
    advice: str = ""


def run_checks(settings: Settings) -> list[Finding]:
    """Run all checks in order; a check that raises becomes a fault.

    :raise SettingsError: the clients cannot be built from the settings.
    """
    findings: list[Finding] = []
    with create_app(settings).app_context():
        for name, check, needs in CHECKS:
            faulty = [one.name for one in findings if one.name in needs and one.state == "fault"]
            if faulty:
                sentence = f"Not checked: fix the {faulty[0]} first."
                findings.append(Finding(name, "warning", sentence))
                continue
            try:
                findings.extend(Finding(name, *facts) for facts in check(settings))
            except ImageHubError as error:
                findings.append(Finding(name, "fault", str(error)))
            except Exception as error:
                log.debug("The check “%s” failed", name, exc_info=True)
                sentence = f"The check failed: {type(error).__name__}."
                findings.append(Finding(name, "fault", sentence))
            finally:
                db.session.rollback()
        db.session.remove()
        db.engine.dispose()
    return findings


def check_settings(settings: Settings) -> Iterator[Facts]:
    """Check for misspelt settings and for a public hub in development mode."""
    unknown = find_unknown_names()
    if unknown:
        yield (
            "warning",
            f"Unknown: {', '.join(unknown)}.",
            "Check the spelling; `imagehub settings` lists all settings.",
        )
    if not settings.is_production and settings.is_https:
        yield (
            "warning",
            "The hub has a public address but runs in development mode.",
            "Set IMAGEHUB_ENV=production and the keys that `imagehub make-key` prints.",
        )
    elif not unknown:
        yield "ok", f"Valid; the hub runs in {settings.env} mode."


def check_public_address(settings: Settings) -> Iterator[Facts]:
    """Check that the hub knows of its visitors' https, and what plain http leads to."""
    if not settings.is_production:
        return
    page = f"{settings.public_url}/sign-in"
    try:
        answer = ask_address(page)
    except OSError as error:
        yield (
            "warning",
            f"{settings.public_url} does not answer this machine: {error}.",
            "Check the name, the certificate and the proxy, from another machine if this one "
            "cannot reach its own public address.",
        )
        return
    if answer.location == page or answer.status == 403:
        yield (
            "fault",
            f"ImageHub sees all requests to {settings.public_url} as plain http, and refuses "
            f"them (status {answer.status}).",
            "Let the proxy set X-Forwarded-Proto, and set IMAGEHUB_PROXY_COUNT to the number of "
            "proxies.",
        )
    elif answer.status != 200:
        yield (
            "warning",
            f"{settings.public_url} answers with status {answer.status}.",
            "Check that ImageHub runs, and that the proxy forwards to it.",
        )
    else:
        yield judge_plain_http("http" + page.removeprefix("https"))


def judge_plain_http(plain: str) -> Facts:
    """Say what plain http leads to beside an https address that works.

    :param plain: the address with http instead. With a port it is that of https.
    """
    try:
        answer = ask_address(plain)
    except OSError:
        return "ok", "https works; plain http is closed."
    if answer.location.startswith("https://"):
        return "ok", "https works; plain http is redirected to it."
    if answer.status >= 400:
        return "ok", f"https works; plain http is refused (status {answer.status})."
    return (
        "fault",
        f"{plain} answers over plain http (status {answer.status}).",
        "Let the proxy redirect port 80 to https, and set X-Forwarded-Proto itself.",
    )


def check_folder(settings: Settings) -> Iterator[Facts]:
    """Check that the data folder is writable, closed to other users, and has free space."""
    folder = settings.data_dir
    probe = folder / ".doctor"
    closed = close_data_dir(folder)
    try:
        make_data_dir(folder)
        probe.write_text("x")
        probe.unlink()
    except OSError as error:
        yield (
            "fault",
            f"{folder} is not writable: {error.strerror}.",
            "Make the user that runs ImageHub the owner of the folder.",
        )
        return
    free = shutil.disk_usage(folder).free
    if free < LEAST_FREE_BYTES:
        yield (
            "warning",
            f"Only {free / 1e9:.1f} GB free in {folder}.",
            "Free up space: originals are stored there temporarily during imports.",
        )
    elif closed.failed:
        yield (
            "warning",
            f"Other users of this machine may read {closed.failed[0]}.",
            f"As the owner run `chmod -R go-rwx {folder}`: it holds password hashes and drafts.",
        )
    elif closed.count:
        yield (
            "warning",
            f"Other users of this machine had access to {closed.count} files and folders in "
            f"{folder}, which are closed now.",
            "If there are such users, change the passwords and the keys that `imagehub make-key` "
            "prints.",
        )
    elif is_open_to_others(env_file := Path(".env")):
        yield (
            "warning",
            f"Other users of this machine may read {env_file.resolve()}, which may hold secrets.",
            f"Run `chmod 600 {env_file.resolve()}`.",
        )
    else:
        yield "ok", f"{folder}, closed to other users, {free / 1e9:.0f} GB free."


def check_database(settings: Settings) -> Iterator[Facts]:
    kind = db.engine.dialect.name
    try:
        with db.engine.connect() as connection:
            query = "SELECT sqlite_version()" if kind == "sqlite" else "SELECT version()"
            version = connection.execute(text(query)).scalar()
    except Exception as error:
        yield (
            "fault",
            f"The database does not answer ({type(error).__name__}).",
            "Check IMAGEHUB_DATABASE_URL, and that the server runs and accepts this user.",
        )
        return
    yield "ok", f"{kind} {version} answers."


def check_migrations(settings: Settings) -> Iterator[Facts]:
    newest = ScriptDirectory(MIGRATIONS).get_current_head()
    with db.engine.connect() as connection:
        current = MigrationContext.configure(connection).get_current_revision()
    if current == newest:
        yield "ok", f"The tables are up to date ({current})."
    else:
        yield (
            "fault",
            f"The tables are at {current or 'no version'}; this version needs {newest}.",
            "Run `imagehub migrate`.",
        )


def check_replica(settings: Settings) -> Iterator[Facts]:
    """Check the replica that visitors' pages read, if there is one."""
    if not settings.read_database_url:
        return
    mark = select(GalleryRevision.mark)
    newest = db.session.scalar(mark)
    try:
        with db.engines[REPLICA].connect() as connection:
            version = MigrationContext.configure(connection).get_current_revision()
            copied = connection.scalar(mark) if version else None
    except SQLAlchemyError as error:
        yield (
            "warning",
            f"The replica does not answer ({type(error).__name__}); visitors' pages are read from "
            "the primary database.",
            "Check IMAGEHUB_READ_DATABASE_URL, and that the server runs and accepts this user.",
        )
        return
    if copied is not None and copied == newest:
        yield "ok", "It has all changes; visitors' pages are read from it."
    else:
        yield (
            "warning",
            "The replica lacks changes; until it has them, visitors' pages are read from the "
            "primary database.",
            "If this does not pass, check that replication runs.",
        )


def check_charsets(settings: Settings) -> Iterator[Facts]:
    """Check that every table can store every character; SQLite's can."""
    if db.engine.dialect.name == "sqlite":
        return
    with db.engine.connect() as connection:
        wrong = find_wrong_tables(connection)
    if wrong:
        some = ", ".join(f"{name} ({collation})" for name, collation in list(wrong.items())[:3])
        yield (
            "fault",
            f"{len(wrong)} tables have another character set than {CHARSET}, or another collation "
            f"than {COLLATION}: {some}{' …' if len(wrong) > 3 else ''}.",
            "Stop the hub and run `imagehub migrate`: it converts them and keeps all rows.",
        )
    else:
        yield "ok", f"All tables are {CHARSET}."


def check_admin(settings: Settings) -> Iterator[Facts]:
    if count := db.session.query(User).count():
        yield "ok", f"{count} can sign in."
    else:
        yield "warning", "Nobody can sign in yet.", "Run `imagehub create-admin NAME`."


def check_store(settings: Settings) -> Iterator[Facts]:
    """Check object storage: write through one endpoint, read through both, compare clocks."""
    if settings.uses_embedded_s3 and not answers_http("127.0.0.1", settings.s3_port):
        yield (
            "warning",
            "The embedded S3 server is not running.",
            "It runs as long as `imagehub serve`: start that and check again.",
        )
        return
    store = get_clients().store
    try:
        store.create_bucket()
        is_open = store.check()
    except ServiceError as error:
        reason = error.reason if isinstance(error, ServiceRefusedError) else "busy"
        if "public" in error.operation:
            reason = "public_endpoint"
        yield "fault", str(error), STORE_ADVICE.get(reason, STORE_ADVICE["busy"])
        return
    where = settings.s3_url or "Amazon S3"
    public = settings.s3_public_url or "Amazon S3"
    if not is_open:
        yield (
            "warning",
            f"Writing to {where} and reading from {public} work, but scripts of web pages may not "
            "read renditions: the server sends no Access-Control-Allow-Origin.",
            "Pages that show pictures are not affected. To let programs on other sites read them, "
            "allow GET from all origins on the storage server (CORS).",
        )
        return
    yield "ok", f"Writing to {where} and reading from {public} work; clocks agree."


STORE_ADVICE = {
    "wrong_credentials": "Check IMAGEHUB_S3_ACCESS_KEY_ID and IMAGEHUB_S3_SECRET_ACCESS_KEY.",
    "access_denied": "Allow the key to list, read, write and delete objects in the bucket.",
    "wrong_region": "Check IMAGEHUB_S3_REGION.",
    "clock_skew": "Synchronise the clocks of this machine and the storage server (NTP).",
    "public_endpoint": "Check IMAGEHUB_S3_PUBLIC_ENDPOINT_URL, and that the proxy there forwards "
    "Host, path and query unchanged.",
    "busy": "Check IMAGEHUB_S3_ENDPOINT_URL, and that the server is running.",
}


def check_clock(settings: Settings) -> Iterator[Facts]:
    """Compare this machine's clock with the database's: presigned URLs and sign-ins need it."""
    if db.engine.dialect.name == "sqlite":
        return
    with db.engine.connect() as connection:
        theirs = connection.execute(text("SELECT UNIX_TIMESTAMP(NOW(6))")).scalar() or 0
    difference = abs(now_utc().timestamp() - float(theirs))
    if difference > 5:
        yield (
            "warning",
            f"The clocks of this machine and the database differ by {difference:.0f} seconds.",
            "Synchronise both clocks (NTP).",
        )
    else:
        yield "ok", "The clocks of this machine and the database agree."


def check_the_queue(settings: Settings) -> Iterator[Facts]:
    report = check_queue(settings, db.session())
    yield "ok" if report.is_ok else "warning", report.sentence, report.advice


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


# The names of checks, and of those that must not have found a fault before.
CHECKS: tuple[tuple[str, Callable[[Settings], Iterator[Facts]], tuple[str, ...]], ...] = (
    ("settings", check_settings, ()),
    ("public address", check_public_address, ()),
    ("data folder", check_folder, ()),
    ("database", check_database, ()),
    ("migrations", check_migrations, ("database",)),
    ("replica", check_replica, ("database", "migrations")),
    ("characters", check_charsets, ("database",)),
    ("admins", check_admin, ("database", "migrations")),
    ("object storage", check_store, ()),
    ("clock", check_clock, ("database",)),
    ("queue", check_the_queue, ("database", "migrations")),
    ("OneDrive", check_onedrive, ("database", "migrations")),
    ("notifications", check_notifications, ("database", "migrations", "OneDrive")),
    ("expiry dates", check_expiry_dates, ("database", "migrations")),
    ("messages", check_messages, ()),
)
