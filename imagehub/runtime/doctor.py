"""``imagehub doctor``: looks at everything a hub needs, and says in words what is wrong."""

import logging
import shutil
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import Flask
from sqlalchemy import text

from imagehub import create_app
from imagehub.config import Settings, find_unknown_names, make_data_dir
from imagehub.database import MIGRATIONS, db, now_utc
from imagehub.domain.onedrive import accounts, folders, status
from imagehub.domain.site import settings as site_settings
from imagehub.errors import (
    ImageHubError,
    NotFoundError,
    RootFolderGoneError,
    ServiceError,
    ServiceRefusedError,
)
from imagehub.models import User
from imagehub.queue import check_queue
from imagehub.runtime.supervisor import answers_http
from imagehub.wiring import get_clients

log = logging.getLogger(__name__)

LEAST_FREE_BYTES = 1_000_000_000


@dataclass(frozen=True)
class Finding:
    """One line of the doctor. ``advice`` says what to do; "" where nothing is to be done."""

    name: str
    state: Literal["ok", "warning", "fault"]
    sentence: str
    advice: str = ""


def run_checks(settings: Settings) -> list[Finding]:
    """All checks, in the order in which they depend on each other; one that breaks is a fault.

    :raise SettingsError: the clients cannot be built from the settings.
    """
    app = create_app(settings)
    findings: list[Finding] = []
    with app.app_context():
        for check in CHECKS:
            lacks = _find_lack(findings, check.needs)
            if lacks:
                findings.append(Finding(check.name, "warning", lacks))
                continue
            try:
                findings.extend(check.run(app, settings))
            except ImageHubError as error:
                findings.append(Finding(check.name, "fault", str(error)))
            except Exception as error:
                # A doctor that falls over helps nobody: the kind of error is told, no more.
                log.debug("the check of %s failed", check.name, exc_info=True)
                findings.append(
                    Finding(check.name, "fault", f"The check failed: {type(error).__name__}.")
                )
            finally:
                db.session.rollback()
        db.session.remove()
        db.engine.dispose()
    return findings


def _find_lack(findings: Sequence[Finding], needs: Sequence[str]) -> str:
    """Why a check cannot be made: what it stands on has a fault already. "" where it can."""
    for finding in findings:
        if finding.name in needs and finding.state == "fault":
            return f"Not looked at: the {finding.name} must be set right first."
    return ""


def check_settings(app: Flask, settings: Settings) -> Iterator[Finding]:
    """The settings could be read, or nothing else would run; some are worth a word."""
    unknown = find_unknown_names()
    if unknown:
        yield Finding(
            "settings",
            "warning",
            f"No setting has the name {', '.join(unknown)}.",
            "`imagehub settings` lists them all; perhaps it is misspelt.",
        )
    if not settings.is_production and settings.public_url.startswith("https://"):
        yield Finding(
            "settings",
            "warning",
            "The hub has a public address, but runs in development.",
            "Set IMAGEHUB_ENV=production, with the keys that `imagehub make-key` prints.",
        )
    elif not unknown:
        yield Finding("settings", "ok", f"They can be used; the hub runs in {settings.env}.")


def check_folder(app: Flask, settings: Settings) -> Iterator[Finding]:
    """The data folder: writable, with room."""
    folder: Path = settings.data_dir
    probe = folder / ".doctor"
    try:
        make_data_dir(folder)
        probe.write_text("x")
        probe.unlink()
    except OSError as error:
        yield Finding(
            "data folder",
            "fault",
            f"{folder} cannot be written: {error.strerror}.",
            "Give the folder to the user that runs ImageHub.",
        )
        return
    free = shutil.disk_usage(folder).free
    if free < LEAST_FREE_BYTES:
        yield Finding(
            "data folder",
            "warning",
            f"Only {free / 1e9:.1f} GB are free at {folder}.",
            "Make room: originals pass through this disk while they are imported.",
        )
    elif settings.is_production and folder.stat().st_mode & stat.S_IROTH:
        yield Finding(
            "data folder",
            "warning",
            f"Every user of this machine may look into {folder}.",
            f"Run `chmod 700 {folder}`: it holds password hashes, drafts and thumbnails.",
        )
    else:
        yield Finding("data folder", "ok", f"{folder}, {free / 1e9:.0f} GB free.")


def check_database(app: Flask, settings: Settings) -> Iterator[Finding]:
    """The database answers, and knows the time."""
    kind = db.engine.dialect.name
    try:
        with db.engine.connect() as connection_:
            version = connection_.execute(
                text("SELECT sqlite_version()" if kind == "sqlite" else "SELECT version()")
            ).scalar()
    except Exception as error:
        yield Finding(
            "database",
            "fault",
            f"The database does not answer ({type(error).__name__}).",
            "Check IMAGEHUB_DATABASE_URL, and that the server runs and lets this user in.",
        )
        return
    yield Finding("database", "ok", f"{kind} {version} answers.")


def check_migrations(app: Flask, settings: Settings) -> Iterator[Finding]:
    """The tables are those of this version."""
    newest = ScriptDirectory(MIGRATIONS).get_current_head()
    with db.engine.connect() as connection_:
        current = MigrationContext.configure(connection_).get_current_revision()
    if current == newest:
        yield Finding("migrations", "ok", f"The tables are up to date ({current}).")
    else:
        yield Finding(
            "migrations",
            "fault",
            f"The tables are at {current or 'nothing'}, this version needs {newest}.",
            "Run `imagehub migrate`.",
        )


def check_admin(app: Flask, settings: Settings) -> Iterator[Finding]:
    """Somebody may sign in."""
    count = db.session.query(User).count()
    if count:
        yield Finding("admins", "ok", f"{count} may sign in.")
    else:
        yield Finding(
            "admins", "warning", "Nobody may sign in yet.", "Run `imagehub create-admin NAME`."
        )


def check_store(app: Flask, settings: Settings) -> Iterator[Finding]:
    """Object storage: written through one endpoint, read through both, clocks compared."""
    name = "object storage"
    if settings.uses_embedded_s3 and not answers_http("127.0.0.1", settings.s3_port):
        yield Finding(
            name,
            "warning",
            "The embedded S3 server is not running.",
            "It runs while `imagehub serve` runs; start that and ask again.",
        )
        return
    store = get_clients(app).store
    try:
        store.create_bucket()
        store.check()
    except ServiceError as error:
        reason = error.reason if isinstance(error, ServiceRefusedError) else "busy"
        if "public" in error.operation:
            reason = "public_endpoint"
        yield Finding(name, "fault", str(error), STORE_ADVICE.get(reason, STORE_ADVICE["busy"]))
        return
    where = settings.s3_url or "Amazon S3"
    public = settings.s3_public_url or "Amazon S3"
    yield Finding(name, "ok", f"Written at {where}, read at {public}; clocks agree.")


STORE_ADVICE = {
    "wrong_credentials": "Check IMAGEHUB_S3_ACCESS_KEY_ID and IMAGEHUB_S3_SECRET_ACCESS_KEY.",
    "access_denied": "Give the key the rights to list, read, write and delete in the bucket.",
    "wrong_region": "Check IMAGEHUB_S3_REGION.",
    "clock_skew": "Let this machine and the storage keep their clocks by NTP.",
    "public_endpoint": "Check IMAGEHUB_S3_PUBLIC_ENDPOINT_URL, and that the proxy there passes "
    "Host, path and query on as they came.",
    "busy": "Check IMAGEHUB_S3_ENDPOINT_URL, and that the server there runs.",
}


def check_clock(app: Flask, settings: Settings) -> Iterator[Finding]:
    """This machine's clock against the database's: presigned URLs and sign-ins need a right one."""
    if db.engine.dialect.name == "sqlite":
        return
    with db.engine.connect() as connection_:
        theirs = connection_.execute(text("SELECT UNIX_TIMESTAMP(NOW(6))")).scalar() or 0
    difference = abs(now_utc().timestamp() - float(theirs))
    if difference > 5:
        yield Finding(
            "clock",
            "warning",
            f"This machine and the database differ by {difference:.0f} seconds.",
            "Let both keep their clocks by NTP.",
        )
    else:
        yield Finding("clock", "ok", "This machine and the database agree.")


def check_the_queue(app: Flask, settings: Settings) -> Iterator[Finding]:
    """The queue answers, and somebody works on it."""
    report = check_queue(app, db.session())
    yield (
        Finding("queue", "ok", report.sentence)
        if report.is_ok
        else Finding("queue", "warning", report.sentence, report.advice)
    )


def check_onedrive(app: Flask, settings: Settings) -> Iterator[Finding]:
    """OneDrive: a registration, a live grant, and a drive that answers."""
    name = "OneDrive"
    if not settings.ms_client_id:
        yield Finding(
            name,
            "warning",
            "No app registration is set.",
            "Register an app at Microsoft and set IMAGEHUB_MS_CLIENT_ID; the README says how.",
        )
        return
    session, clients = db.session(), get_clients(app)
    account_id = status.describe_connection(session, clients).account_id
    session.rollback()
    failure = advice = ""
    if account_id is not None:
        # The call may find out that the grant is dead or the secret wrong, and notes it then.
        try:
            opened = clients.open_drive(account_id)
            kind = opened.get_drive().kind
            root = folders.get_root(opened).name
        except RootFolderGoneError:
            words = site_settings.get_root_folder(session, settings, account_id).words
            failure = f"The root folder {words} is not in this OneDrive."
            advice = "Choose another folder at /admin/, or set IMAGEHUB_ROOT_FOLDER."
        except NotFoundError as error:
            failure, advice = str(error), "Connect another one at /admin/connection."
        except ImageHubError as error:
            failure = str(error)
            advice = "Look at https://status.cloud.microsoft, and ask again in a few minutes."
    known = status.describe_connection(session, clients)
    if not known.is_usable:
        is_new = known.state in (accounts.NOT_CONNECTED, accounts.DISCONNECTED)
        sentence = known.reason or failure
        yield Finding(
            name, "warning" if is_new else "fault", sentence, ONEDRIVE_ADVICE[known.state]
        )
    elif failure:
        yield Finding(name, "fault", failure, advice)
    else:
        may = "" if known.may_write else "; read only"
        who = known.username or known.name
        yield Finding(name, "ok", f"{kind} drive of {who}; the root folder is {root}{may}.")


ONEDRIVE_ADVICE = {
    accounts.NOT_CONNECTED: "Connect one at /admin/.",
    accounts.DISCONNECTED: "Connect it again at /admin/.",
    accounts.NEEDS_RECONNECT: "Connect it again at /admin/.",
    accounts.WRONG_CLIENT_SECRET: "Make a new client secret at https://entra.microsoft.com and "
    "set IMAGEHUB_MS_CLIENT_SECRET; nobody has to sign in again.",
}


@dataclass(frozen=True)
class Check:
    """One part of the examination. ``needs`` names checks that must not have found a fault."""

    name: str
    run: Callable[[Flask, Settings], Iterator[Finding]]
    needs: tuple[str, ...] = ()


CHECKS = (
    Check("settings", check_settings),
    Check("data folder", check_folder),
    Check("database", check_database),
    Check("migrations", check_migrations, ("database",)),
    Check("admins", check_admin, ("database", "migrations")),
    Check("object storage", check_store),
    Check("clock", check_clock, ("database",)),
    Check("queue", check_the_queue, ("database", "migrations")),
    Check("OneDrive", check_onedrive, ("database", "migrations")),
)
