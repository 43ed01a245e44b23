"""Restore an embedded hub from an archive."""

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from shutil import rmtree
from typing import Any

from alembic.script import ScriptDirectory
from alembic.util import CommandError

from imagehub.config import Settings
from imagehub.config_secrets import make_data_dir
from imagehub.database import MIGRATIONS
from imagehub.runtime.backup.archive import DATABASE, OBJECTS, SECRETS, BackupError, unpack
from imagehub.runtime.backup.files import open_source, sync_folder
from imagehub.runtime.backup.save import check_is_embedded, make_key_marks
from imagehub.runtime.data_lock import own_data_dir

# What belongs to one hub in its data folder, as patterns.
_PIECES = ("imagehub.db*", "queue.db*", OBJECTS, SECRETS, "thumbnails", "scratch")
_STAGING = "restoring-"


@dataclass(frozen=True)
class Restored:
    """What was restored. ``earlier``: the folder that what was there before is in now, if any."""

    header: dict[str, Any]
    earlier: Path | None
    notes: tuple[str, ...]


def restore_hub(settings: Settings, source: str, may_replace: bool = False) -> Restored:
    """Restore a hub into its data folder.

    The whole archive is unpacked beside the hub's files and checked before any of these is touched.

    :param source: name of the archive, or ``-`` for standard input.
    :param may_replace: move a hub that is there to a folder inside the data folder.
    :raise BackupError: the archive is damaged or too new, or there is a hub already.
    :raise StartError: a hub is running.
    """
    check_is_embedded(settings)
    folder = settings.data_dir
    make_data_dir(folder)
    with own_data_dir(folder):
        pieces = _list_pieces(folder)
        if pieces and not may_replace:
            names = ", ".join(path.name for path in pieces)
            raise BackupError(
                f"There is a hub in {folder} already ({names}). Nothing was changed. --replace "
                "moves it aside."
            )
        if (folder / DATABASE).exists():
            _check_is_unused(folder / DATABASE)
        for left_over in folder.glob(f"{_STAGING}*"):
            rmtree(left_over)
        staging = Path(tempfile.mkdtemp(prefix=_STAGING, dir=folder))
        try:
            with open_source(source) as file:
                header = unpack(file, staging)
            _check_database(staging / DATABASE)
            earlier = _exchange(folder, staging, pieces)
        finally:
            rmtree(staging, ignore_errors=True)
        return Restored(header, earlier, tuple(_iter_notes(settings, header)))


def _list_pieces(folder: Path) -> list[Path]:
    return sorted(path for pattern in _PIECES for path in folder.glob(pattern))


def _check_is_unused(database: Path) -> None:
    """Check that no program has the database open, such as a web server without our lock.

    Source: SQLite, "Write-Ahead Logging": leaving WAL mode needs an exclusive lock, and each
    connection in that mode holds a shared one.

    :raise BackupError: one has.
    """
    with closing(sqlite3.connect(database, timeout=0)) as connection:
        try:
            connection.execute("PRAGMA journal_mode=DELETE")
        except sqlite3.OperationalError:
            raise BackupError(
                f"A program has {database} open. Stop the hub first; nothing was changed."
            ) from None
        except sqlite3.DatabaseError:
            pass  # It is damaged, which may be the reason for restoring.


def _check_database(database: Path) -> None:
    """:raise BackupError: it is missing, damaged, or made by a newer version."""
    if not database.is_file():
        raise BackupError("The archive contains no database.")
    try:
        with closing(sqlite3.connect(database)) as connection:
            found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            tables = connection.execute("SELECT version_num FROM alembic_version").fetchone()[0]
    except (sqlite3.DatabaseError, TypeError):
        raise BackupError("The database in the archive is not one of ImageHub.") from None
    if found != "ok":
        raise BackupError(f"The database in the archive is damaged: {found}.")
    try:
        ScriptDirectory(MIGRATIONS).get_revision(tables)
    except CommandError:
        raise BackupError(
            f"The backup was made by a newer version of ImageHub (tables {tables}). Update first."
        ) from None


def _exchange(folder: Path, staging: Path, pieces: list[Path]) -> Path | None:
    """Move the hub's files aside and the restored ones into their place; all of them or none."""
    earlier = None
    moves = []
    if pieces:
        stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
        earlier = Path(tempfile.mkdtemp(prefix=f"before-restore-{stamp}-", dir=folder))
        moves = [(path, earlier / path.name) for path in pieces]
    moves += [(path, folder / path.name) for path in sorted(staging.iterdir())]
    done: list[tuple[Path, Path]] = []
    try:
        for old, new in moves:
            old.rename(new)
            done.append((old, new))
    except OSError:
        for old, new in reversed(done):
            new.rename(old)
        raise
    sync_folder(folder)
    return earlier


def _iter_notes(settings: Settings, header: dict[str, Any]) -> Iterator[str]:
    """Say what has to be done before the restored hub works as the saved one did."""
    if not header.get("has_objects"):
        yield "The backup contains no renditions. Start the hub, then run `imagehub rebuild`."
    elif not settings.uses_embedded_s3:
        yield (
            "The renditions are in the data folder, but IMAGEHUB_S3_ENDPOINT_URL names another "
            "server: copy them there, or start the hub and run `imagehub rebuild --missing-only`."
        )
    elif header.get("bucket") != settings.s3_bucket:
        yield f"Set IMAGEHUB_S3_BUCKET to {header.get('bucket')}, as it was in the saved hub."
    if "token_key" not in settings.given:
        key = settings.data_dir / SECRETS / "token_key"
        settings = replace(settings, token_key=key.read_text().strip() if key.is_file() else "")
    if not set(make_key_marks(settings)) & set(header.get("token_keys", ())):
        yield (
            "The saved hub had another IMAGEHUB_TOKEN_KEY. Set it as it was, else OneDrive has to "
            "be connected again and two-factor authentication cannot be used."
        )
