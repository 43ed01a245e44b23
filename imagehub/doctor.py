"""``imagehub doctor``: looks at everything a hub needs, and says in words what is wrong."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import Flask
from sqlalchemy import text

from imagehub import create_app
from imagehub.config import Settings
from imagehub.database import db, now_utc
from imagehub.domain import connection
from imagehub.errors import ConnectionLostError, ImageHubError
from imagehub.models import User
from imagehub.queue import check_queue
from imagehub.web import MIGRATIONS
from imagehub.wiring import get_clients

LEAST_FREE_BYTES = 1_000_000_000


@dataclass(frozen=True)
class Finding:
    """One line of the doctor. ``advice`` says what to do; "" where nothing is to be done."""

    name: str
    state: Literal["ok", "warning", "fault"]
    sentence: str
    advice: str = ""


def run_checks(settings: Settings) -> list[Finding]:
    """All checks, in the order in which they depend on each other; one that breaks is a fault."""
    app = create_app(settings)
    findings: list[Finding] = []
    with app.app_context():
        for name, check in CHECKS:
            try:
                findings.extend(check(app, settings))
            except ImageHubError as error:
                findings.append(Finding(name, "fault", str(error)))
            except Exception as error:
                # A doctor that falls over helps nobody: the kind of error is told, no more.
                findings.append(
                    Finding(name, "fault", f"The check failed: {type(error).__name__}.")
                )
            finally:
                db.session.rollback()
        db.session.remove()
        db.engine.dispose()
    return findings


def check_folder(app: Flask, settings: Settings) -> Iterator[Finding]:
    """The data folder: writable, with room."""
    folder: Path = settings.data_dir
    folder.mkdir(parents=True, exist_ok=True)
    probe = folder / ".doctor"
    try:
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
    """Object storage: written through one endpoint, read through both."""
    if settings.uses_embedded_s3:
        from imagehub.processes import answers_http

        if not answers_http("127.0.0.1", settings.s3_port):
            yield Finding(
                "object storage",
                "warning",
                "The embedded S3 server is not running.",
                "It runs while `imagehub serve` runs; start that and ask again.",
            )
            return
    get_clients(app).store.check()
    where = settings.s3_url or "Amazon S3"
    public = settings.s3_public_url or "Amazon S3"
    yield Finding("object storage", "ok", f"Written at {where}, read at {public}; clocks agree.")


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
    if not settings.ms_client_id:
        yield Finding(
            "OneDrive",
            "warning",
            "No app registration is set.",
            "Register an app at Microsoft and set IMAGEHUB_MS_CLIENT_ID; the README says how.",
        )
        return
    session = db.session()
    account = connection.find_active_account(session)
    if account is None:
        yield Finding(
            "OneDrive", "warning", "No drive is connected yet.", "Connect one at /admin/."
        )
        return
    name = account.username or account.name
    account_id = account.id
    session.rollback()
    try:
        drive = get_clients(app).open_drive(account_id)
        info = drive.get_drive()
        root = drive.get_root()
    except ConnectionLostError as error:
        yield Finding("OneDrive", "fault", str(error), "Connect it again at /admin/.")
        return
    yield Finding("OneDrive", "ok", f"{info.kind} drive of {name}; the root folder is {root.name}.")


CHECKS: tuple[tuple[str, Callable[[Flask, Settings], Iterator[Finding]]], ...] = (
    ("data folder", check_folder),
    ("database", check_database),
    ("migrations", check_migrations),
    ("admins", check_admin),
    ("object storage", check_store),
    ("clock", check_clock),
    ("queue", check_the_queue),
    ("OneDrive", check_onedrive),
)
