"""Checks of the database, the object storage and the queue."""

from collections.abc import Iterator

from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import select, text
from sqlalchemy.exc import SQLAlchemyError

from imagehub.config import Settings
from imagehub.database import CHARSET, COLLATION, MIGRATIONS, REPLICA, db, now_utc
from imagehub.errors import ServiceError, ServiceRefusedError
from imagehub.models import GalleryRevision, User
from imagehub.queue import check_queue
from imagehub.runtime.charsets import find_wrong_tables
from imagehub.runtime.doctor.findings import Facts
from imagehub.runtime.supervisor import answers_http
from imagehub.wiring import get_clients


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


def check_the_queue(settings: Settings) -> Iterator[Facts]:
    report = check_queue(settings, db.session())
    yield "ok" if report.is_ok else "warning", report.sentence, report.advice
