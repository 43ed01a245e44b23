"""The emulator's state: one SQLite file and a few folders, outside the drive's folder.

Everything that must survive a restart or a crash is written here before the response is sent.
"""

import fcntl
import json
import secrets
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_SCHEMA = """
CREATE TABLE IF NOT EXISTS setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS item (
    id TEXT PRIMARY KEY, parent_id TEXT NOT NULL, name TEXT NOT NULL, name_key TEXT NOT NULL,
    is_folder INTEGER NOT NULL, is_package INTEGER NOT NULL, size INTEGER NOT NULL,
    dev INTEGER NOT NULL, ino INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
    scanned_ns INTEGER NOT NULL, guid TEXT NOT NULL, version INTEGER NOT NULL,
    content_version INTEGER NOT NULL, created_us INTEGER NOT NULL, modified_us INTEGER NOT NULL,
    fs_created_us INTEGER NOT NULL, fs_modified_us INTEGER NOT NULL, content_us INTEGER NOT NULL,
    description TEXT NOT NULL, seq INTEGER NOT NULL, deleted INTEGER NOT NULL
) WITHOUT ROWID;
CREATE UNIQUE INDEX IF NOT EXISTS item_place ON item (parent_id, name_key) WHERE deleted = 0;
CREATE INDEX IF NOT EXISTS item_size ON item (parent_id, size, id) WHERE deleted = 0;
CREATE INDEX IF NOT EXISTS item_modified ON item (parent_id, modified_us, id) WHERE deleted = 0;
CREATE INDEX IF NOT EXISTS item_count ON item (parent_id, deleted);
CREATE INDEX IF NOT EXISTS item_inode ON item (ino) WHERE deleted = 0;
CREATE INDEX IF NOT EXISTS item_seq ON item (seq);
CREATE TABLE IF NOT EXISTS recycled (
    id TEXT PRIMARY KEY, parent_id TEXT NOT NULL, name TEXT NOT NULL, size INTEGER NOT NULL,
    deleted_us INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS content (
    dev INTEGER, ino INTEGER, size INTEGER, mtime_ns INTEGER,
    quick_xor TEXT NOT NULL, sha1 TEXT NOT NULL, facets TEXT NOT NULL,
    PRIMARY KEY (dev, ino)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS login_code (
    hash TEXT PRIMARY KEY, request TEXT NOT NULL, created REAL NOT NULL, used INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS login_grant (
    id TEXT PRIMARY KEY, client_id TEXT NOT NULL, scopes TEXT NOT NULL, created REAL NOT NULL,
    ended_by INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS refresh_token (
    hash TEXT PRIMARY KEY, grant_id TEXT NOT NULL, created REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS access_token (
    hash TEXT PRIMARY KEY, grant_id TEXT NOT NULL, scopes TEXT NOT NULL, expires REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS met_claims (key TEXT PRIMARY KEY, claims TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS upload (
    id TEXT PRIMARY KEY, parent_id TEXT NOT NULL, name TEXT NOT NULL, name_key TEXT NOT NULL,
    item_id TEXT NOT NULL, options TEXT NOT NULL, total INTEGER, received INTEGER NOT NULL,
    created REAL NOT NULL, expires REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS subscription (
    id TEXT PRIMARY KEY, document TEXT NOT NULL, folder_id TEXT NOT NULL, seq INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS fault (
    id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, options TEXT NOT NULL,
    seen INTEGER NOT NULL, fired INTEGER NOT NULL
);
"""

_FORGOTTEN_BY_RESET = (
    "item",
    "recycled",
    "login_code",
    "login_grant",
    "refresh_token",
    "access_token",
    "met_claims",
    "upload",
    "subscription",
    "fault",
)


class StateInUseError(Exception):
    """Another emulator uses this state folder."""


class State:
    """The only connection to the state, guarded by ``lock``.

    :param folder: created if it is missing.
    :raise StateInUseError: another process uses it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.uploads = folder / "uploads"
        self.recycle_bin = folder / "recycle-bin"
        self.thumbnails = folder / "thumbnails"
        for part in (folder, self.uploads, self.recycle_bin, self.thumbnails):
            part.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock_file = (folder / "lock").open("w")
        try:
            fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock_file.close()
            raise StateInUseError(f"Another emulator is using {folder}.") from None
        self.lock = threading.RLock()
        self._depth = 0
        self.db = sqlite3.connect(
            folder / "state.sqlite3", isolation_level=None, check_same_thread=False
        )
        self.db.execute("PRAGMA journal_mode=WAL")
        # With NORMAL a killed process loses nothing; a power cut may lose the last transactions.
        self.db.execute("PRAGMA synchronous=NORMAL")
        self.db.executescript(_SCHEMA)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Hold the lock and one transaction; a nested call joins the outer one."""
        with self.lock:
            if self._depth:
                self._depth += 1
                try:
                    yield self.db
                finally:
                    self._depth -= 1
                return
            self.db.execute("BEGIN IMMEDIATE")
            self._depth = 1
            try:
                yield self.db
            except BaseException:
                self.db.execute("ROLLBACK")
                raise
            else:
                self.db.execute("COMMIT")
            finally:
                self._depth = 0

    def find_setting(self, name: str) -> Any:
        """Return the value, or None."""
        with self.lock:
            row = self.db.execute("SELECT value FROM setting WHERE name = ?", (name,)).fetchone()
        return None if row is None else json.loads(row[0])

    def save_setting(self, name: str, value: Any) -> None:
        with self.transaction() as db:
            db.execute("REPLACE INTO setting VALUES (?, ?)", (name, json.dumps(value)))

    def get_secret(self, name: str) -> bytes:
        """Return a key of 32 bytes, generated at first use and kept."""
        with self.transaction():
            value = self.find_setting(name)
            if value is None:
                value = secrets.token_hex(32)
                self.save_setting(name, value)
        return bytes.fromhex(value)

    def forget(self) -> None:
        """Empty every table but the settings; the caller removes their files."""
        with self.transaction() as db:
            for table in _FORGOTTEN_BY_RESET:
                db.execute(f"DELETE FROM {table}")  # noqa: S608 - fixed names

    def close(self) -> None:
        with self.lock:
            self.db.close()
            self._lock_file.close()
