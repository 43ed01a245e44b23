"""Save an embedded hub as one archive, also while it runs."""

import hashlib
import os
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from imagehub.config import Settings
from imagehub.domain.imports.scratch import Scratch
from imagehub.runtime.backup.archive import (
    DATABASE,
    FORMAT,
    HEADER,
    OBJECTS,
    SECRETS,
    BackupError,
    Writer,
    open_writer,
)
from imagehub.runtime.backup.files import open_target
from imagehub.runtime.data_lock import use_data_dir
from imagehub.runtime.s3_server import LEFTOVER_PREFIX

# The clocks of the kernel and of Python may differ by a few milliseconds.
_CLOCK_SECONDS = 2.0
_MOST_SNAPSHOTS = 5


@dataclass(frozen=True)
class Saved:
    """What was saved. ``missing_count``: objects of the database that the hub itself lacks."""

    object_count: int
    size_bytes: int
    missing_count: int
    has_objects: bool


def check_is_embedded(settings: Settings) -> None:
    """:raise BackupError: the database is not the SQLite file in the data folder."""
    url = settings.sqlalchemy_url
    place = Path(url.removeprefix("sqlite:///")).absolute()
    if url.startswith("sqlite:///") and place == (settings.data_dir / DATABASE).absolute():
        return
    raise BackupError(
        "This command is for hubs whose database is in the data folder. Save this one with its own "
        "tools (mysqldump or mariadb-dump, and a copy of the bucket) or with `imagehub export`: "
        "docs/backup.md has the steps."
    )


def save_hub(
    settings: Settings,
    target: str,
    with_objects: bool = True,
    note_object: Callable[[], object] = lambda: None,
) -> Saved:
    """Save the hub into a file, which exists only once it is complete.

    :param target: name of the file, or ``-`` for standard output.
    :param with_objects: False saves no objects, which can be made again.
    :param note_object: called after each object.
    :raise BackupError: there is no embedded hub, or its database is damaged.
    """
    check_is_embedded(settings)
    if not (settings.data_dir / DATABASE).is_file():
        raise BackupError(f"There is no hub in {settings.data_dir}.")
    if target == "-" and sys.stdout.isatty():
        raise BackupError("An archive cannot be shown on a terminal: redirect it to a file.")
    with_objects = with_objects and settings.uses_embedded_s3
    with (
        use_data_dir(settings.data_dir),
        open_target(target) as file,
        open_writer(file, target) as writer,
        _open_scratch(settings.data_dir) as snapshot,
    ):
        began_at = time.time() - _CLOCK_SECONDS
        writer.add_json(HEADER, _make_header(settings, with_objects))
        objects = _Objects(settings, writer, began_at, note_object)
        if with_objects:
            objects.add_all()
        missing_count = _take_snapshot(settings.data_dir / DATABASE, snapshot, objects)
        writer.add_file(DATABASE, snapshot)
        for path in sorted((settings.data_dir / SECRETS).glob("[!.]*")):
            writer.add_file(f"{SECRETS}/{path.name}", path)
        writer.end()
        return Saved(objects.count, writer.size_bytes, missing_count, with_objects)


def count_objects(settings: Settings) -> int:
    """Count the objects of the database."""
    with closing(sqlite3.connect(settings.data_dir / DATABASE, timeout=20)) as database:
        return int(database.execute("SELECT count(*) FROM stored_object").fetchone()[0])


def make_key_marks(settings: Settings) -> list[str]:
    """Make a mark of each key that encrypts tokens, to compare them; it does not reveal them."""
    return [
        hashlib.sha256(b"imagehub token key " + key.strip().encode()).hexdigest()[:16]
        for key in settings.token_key.split(",")
        if key.strip()
    ]


def _make_header(settings: Settings, with_objects: bool) -> dict[str, Any]:
    with closing(sqlite3.connect(settings.data_dir / DATABASE, timeout=20)) as database:
        row = database.execute("SELECT version_num FROM alembic_version").fetchone()
    return {
        "format": FORMAT,
        "imagehub": metadata.version("imagehub"),
        "saved_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "tables": row[0],
        "has_objects": with_objects,
        "bucket": settings.s3_bucket,
        "token_keys": make_key_marks(settings),
    }


@contextmanager
def _open_scratch(data_dir: Path) -> Iterator[Path]:
    """Open a temporary file for the snapshot, which a worker deletes if this program is killed."""
    scratch = Scratch(data_dir)
    try:
        with scratch.open_file() as (_, path):
            yield Path(path)
    finally:
        scratch.close()


# --- Objects --------------------------------------------------------------------------------------


class _Objects:
    """The objects that are in the archive.

    Those that were there before the backup began are all in it; of newer ones the names are kept.
    """

    def __init__(
        self, settings: Settings, writer: Writer, began_at: float, note: Callable[[], object]
    ) -> None:
        self.count = 0
        self.are_wanted = False
        self._root = settings.data_dir / OBJECTS
        self._bucket = settings.s3_bucket
        self._writer = writer
        self._began_at = began_at
        self._note = note
        self._newer: set[str] = set()

    def add_all(self) -> None:
        """Add the whole folder."""
        self.are_wanted = True
        for folder, _, names in os.walk(self._root):
            for name in names:
                path = Path(folder, name)
                if not name.startswith(LEFTOVER_PREFIX) and not path.is_symlink():
                    with suppress(FileNotFoundError):
                        self._add(path)

    def _add(self, path: Path) -> None:
        name = f"{OBJECTS}/{path.relative_to(self._root).as_posix()}"
        facts = self._writer.add_file(name, path)
        self.count += 1
        if facts.st_ctime >= self._began_at:
            self._newer.add(name)
        self._note()

    def add_if_new(self, key: str) -> bool:
        """Add the object of a key if it was stored during the backup; tell whether it exists.

        :param key: of an object, or the prefix of the tiles of an image, which ends with a slash.
        """
        path = self._root / self._bucket / key
        if key.endswith("/"):
            names = [f"{key}{one.name}" for one in path.iterdir()] if path.is_dir() else []
            # None may be left out.
            return bool(names) and all([self.add_if_new(name) for name in names])
        try:
            is_new = path.stat().st_ctime >= self._began_at
            if is_new and f"{OBJECTS}/{self._bucket}/{key}" not in self._newer:
                self._add(path)
        except FileNotFoundError:
            return False
        return True


def _take_snapshot(database: Path, snapshot: Path, objects: _Objects) -> int:
    """Copy the database, and add the objects that it has more than the archive.

    An object of the snapshot may be deleted just now. Then the next snapshot does not use it.

    :return: the number of objects that are missing in the hub.
    """
    before: set[str] | None = None
    for _ in range(_MOST_SNAPSHOTS):
        _copy_database(database, snapshot)
        if not objects.are_wanted:
            return 0
        missing = {key for key in _iter_keys(snapshot) if not objects.add_if_new(key)}
        if not missing or missing == before:
            return len(missing)
        before = missing
    return len(missing)


def _copy_database(database: Path, snapshot: Path) -> None:
    """Copy an SQLite file in one step, which does not block writers; check the copy.

    Source: SQLite, "Online Backup API": a copy in several steps starts over with each write of
    another process.
    """
    snapshot.write_bytes(b"")
    with (
        closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=20)) as source,
        closing(sqlite3.connect(snapshot)) as target,
    ):
        source.backup(target, pages=-1)
        # One file, without a log beside it.
        target.execute("PRAGMA journal_mode=DELETE")
        found = target.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise BackupError(f"The database is damaged and was not saved: {found}.")


def _iter_keys(snapshot: Path) -> Iterator[str]:
    """Yield the keys of the objects of images and of the site, and the prefixes of tiles."""
    query = (
        "SELECT object_key FROM rendition UNION"
        " SELECT marked_key FROM rendition WHERE marked_key <> '' UNION"
        " SELECT object_key FROM logo_picture UNION"
        " SELECT object_key FROM watermark_picture UNION"
        " SELECT object_key FROM tile_set WHERE object_key <> '' ORDER BY object_key"
    )
    with closing(sqlite3.connect(snapshot)) as database:
        for (key,) in database.execute(query):
            yield key
