"""The index of the drive: a row for each item, with permanent id, versions and feed position.

Each change gets the next number (``seq``), by which the delta feed is ordered. A change also
updates the folders above it, because their size and cTag depend on everything below.
"""

import os
import secrets
import sqlite3
import threading
import uuid
from base64 import b32encode, urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import time_ns

from .names import make_name_key
from .server import Refusal
from .state import State

_PERSONAL_ROOT = "sea8cc6beffdb43d7976fbc7da445c639"
_BUSINESS_ROOT = "56Y2GOVW7725BZO354PWSELRRZ"
COLUMNS = (
    "id, parent_id, name, is_folder, is_package, size, dev, ino, mtime_ns, scanned_ns, guid, "
    "version, content_version, created_us, modified_us, fs_created_us, fs_modified_us, content_us, "
    "description, seq, deleted"
)


@dataclass(frozen=True, slots=True)
class Item:
    """A row of the index; times in microseconds since 1970, folder sizes are sums."""

    id: str
    parent_id: str
    name: str
    is_folder: int
    is_package: int
    size: int
    dev: int
    ino: int
    mtime_ns: int
    scanned_ns: int
    guid: str
    version: int
    content_version: int
    created_us: int
    modified_us: int
    fs_created_us: int
    fs_modified_us: int
    content_us: int
    description: str
    seq: int
    deleted: int


@dataclass(frozen=True)
class FileTimes:
    """The client's own times of a file; None where it sent none."""

    created_us: int | None = None
    modified_us: int | None = None


def get_now_us() -> int:
    return time_ns() // 1000


def not_found() -> Refusal:
    return Refusal(404, "itemNotFound", "The resource could not be found.")


class Index:
    """The index; every method takes the state's lock and commits its changes.

    :param root: an existing folder.
    :param kind: ``personal`` or ``business``: determines the form of ids and which names are valid.
    """

    def __init__(self, root: Path, kind: str, state: State) -> None:
        self.root = root
        self.kind = kind
        self.state = state
        self.changed = threading.Event()
        self._dirty: dict[str, int] = {}
        self._depth = 0
        with state.transaction():
            self.drive_id = self._get_drive_id()
            self.epoch = self._get_epoch()
            self.root_id = self._make_root_id()
            row = state.db.execute("SELECT MAX(seq) FROM item").fetchone()
            self._seq = int(row[0] or 0)

    # --- Ids ---------------------------------------------------------------------------------

    def _get_drive_id(self) -> str:
        drive_id = self.state.find_setting(f"drive_id_{self.kind}")
        if drive_id is None:
            if self.kind == "personal":
                # No leading zero: the real service drops it in some answers, which is not emulated.
                drive_id = f"{secrets.randbelow(15) + 1:X}{secrets.token_hex(8)[1:].upper()}"
            else:
                drive_id = "b!" + urlsafe_b64encode(secrets.token_bytes(48)).decode()
            self.state.save_setting(f"drive_id_{self.kind}", drive_id)
            if self.kind == "business":
                prefix = b32encode(secrets.token_bytes(5)).decode()[:6]
                self.state.save_setting("business_prefix", "01" + prefix)
        self._prefix = self.state.find_setting("business_prefix") or ""
        return str(drive_id)

    def _get_epoch(self) -> str:
        epoch = self.state.find_setting("epoch")
        if epoch is None:
            epoch = secrets.token_hex(4)
            self.state.save_setting("epoch", epoch)
        return str(epoch)

    def _make_root_id(self) -> str:
        if self.kind == "personal":
            return f"{self.drive_id}!{_PERSONAL_ROOT}"
        return self._prefix + _BUSINESS_ROOT

    def _make_id(self) -> str:
        if self.kind == "personal":
            return f"{self.drive_id}!s{secrets.token_hex(16)}"
        # 34 characters; the first 8 are the same for the whole drive.
        random = b32encode(secrets.token_bytes(20)).decode()[:26]
        return self._prefix + random

    # --- Changes -----------------------------------------------------------------------------

    @contextmanager
    def changing(self) -> Iterator[sqlite3.Connection]:
        """Open a transaction that also updates the folders above each change."""
        with self.state.transaction() as db:
            self._depth += 1
            before = self._seq
            try:
                yield db
                if self._depth == 1:
                    self._touch_folders()
            except BaseException:
                if self._depth == 1:
                    self._dirty.clear()
                raise
            finally:
                self._depth -= 1
            has_changed = self._depth == 0 and self._seq != before
        if has_changed:
            self.changed.set()

    def _next_seq(self) -> int:
        self._seq += 1
        return self._seq

    @property
    def seq(self) -> int:
        """Return the number of the last change."""
        with self.state.lock:
            return self._seq

    def _note_change_below(self, folder_id: str, size_delta: int) -> None:
        self._dirty[folder_id] = self._dirty.get(folder_id, 0) + size_delta

    def _touch_folders(self) -> None:
        """Update size, cTag and feed position of each folder above a change, once each."""
        sizes: dict[str, int] = {}
        order: list[str] = []
        direct = set(self._dirty)
        for folder_id, delta in self._dirty.items():
            current = folder_id
            while current:
                if current not in sizes:
                    sizes[current] = 0
                    order.append(current)
                sizes[current] += delta
                row = self.state.db.execute(
                    "SELECT parent_id FROM item WHERE id = ?", (current,)
                ).fetchone()
                current = row[0] if row else ""
        self._dirty.clear()
        now = get_now_us()
        for folder_id in order:
            self.state.db.execute(
                "UPDATE item SET size = MAX(size + ?, 0), content_version = content_version + 1, "
                "modified_us = CASE WHEN ? THEN ? ELSE modified_us END, seq = ? "
                "WHERE id = ? AND deleted = 0",
                (sizes[folder_id], folder_id in direct, now, self._next_seq(), folder_id),
            )

    # --- Reading -----------------------------------------------------------------------------

    def find(self, item_id: str) -> Item | None:
        with self.state.lock:
            row = self.state.db.execute(
                f"SELECT {COLUMNS} FROM item WHERE id = ?",  # noqa: S608 - fixed columns
                (item_id,),
            ).fetchone()
        return None if row is None else Item(*row)

    def _must_find(self, item_id: str) -> Item:
        item = self.find(item_id)
        if item is None:
            raise not_found()
        return item

    def find_child(self, parent_id: str, name: str) -> Item | None:
        with self.state.lock:
            row = self.state.db.execute(
                f"SELECT {COLUMNS} FROM item "  # noqa: S608 - fixed columns
                "WHERE parent_id = ? AND name_key = ? AND deleted = 0",
                (parent_id, make_name_key(name)),
            ).fetchone()
        return None if row is None else Item(*row)

    def list_names_above(self, item: Item) -> list[str]:
        """Return the names of the folders from below the root to the item's parent."""
        names: list[str] = []
        with self.state.lock:
            parent_id = item.parent_id
            while parent_id and parent_id != self.root_id:
                row = self.state.db.execute(
                    "SELECT parent_id, name FROM item WHERE id = ?", (parent_id,)
                ).fetchone()
                if row is None:
                    break
                names.append(row[1])
                parent_id = row[0]
        names.reverse()
        return names

    def get_path(self, item: Item) -> Path:
        """Return the item's path on disk."""
        if item.id == self.root_id:
            return self.root
        return self.root.joinpath(*self.list_names_above(item), item.name)

    def get_place(self, item: Item) -> str:
        """Return the item's path in the drive, as in faults: ``/Folder/front.jpg``."""
        return "/" + "/".join([*self.list_names_above(item), item.name])

    def is_inside(self, item: Item, folder_id: str) -> bool:
        """Return whether the item is the folder or anywhere below it."""
        with self.state.lock:
            current = item.id
            while current:
                if current == folder_id:
                    return True
                row = self.state.db.execute(
                    "SELECT parent_id FROM item WHERE id = ?", (current,)
                ).fetchone()
                current = row[0] if row else ""
        return False

    def count_children(self, folder_id: str) -> int:
        with self.state.lock:
            row = self.state.db.execute(
                "SELECT COUNT(*) FROM item WHERE parent_id = ? AND deleted = 0", (folder_id,)
            ).fetchone()
        return int(row[0])

    def list_changes(
        self, after: int, up_to: int, count: int, with_deleted: bool
    ) -> tuple[list[Item], int | None]:
        """Return items changed in ``after < seq <= up_to``, and the next start or None."""
        condition = "" if with_deleted else "AND deleted = 0"
        with self.state.lock:
            rows = self.state.db.execute(
                f"SELECT {COLUMNS} FROM item "  # noqa: S608 - fixed words
                f"WHERE seq > ? AND seq <= ? {condition} ORDER BY seq LIMIT ?",
                (after, up_to, count + 1),
            ).fetchall()
        items = [Item(*row) for row in rows[:count]]
        return items, (items[-1].seq if len(rows) > count else None)

    def find_seq_at(self, moment_us: int) -> int:
        """Return the last change at or before a moment, judging by the items' times."""
        with self.state.lock:
            row = self.state.db.execute(
                "SELECT MIN(seq) FROM item WHERE MAX(modified_us, content_us) > ?", (moment_us,)
            ).fetchone()
        return self._seq if row[0] is None else int(row[0]) - 1

    def get_used_bytes(self) -> int:
        root = self.find(self.root_id)
        return root.size if root else 0

    def get_recycled_bytes(self) -> int:
        with self.state.lock:
            row = self.state.db.execute("SELECT COALESCE(SUM(size), 0) FROM recycled").fetchone()
        return int(row[0])

    # --- Rows --------------------------------------------------------------------------------

    def _insert(
        self,
        item_id: str,
        parent_id: str,
        name: str,
        status: os.stat_result,
        is_folder: bool,
        times: FileTimes | None = None,
        now_us: int | None = None,
    ) -> None:
        modified_us = now_us or status.st_mtime_ns // 1000
        times = times or FileTimes()
        size = 0 if is_folder else status.st_size
        self.state.db.execute(
            "INSERT INTO item (id, parent_id, name, name_key, is_folder, is_package, size, dev, "
            "ino, mtime_ns, scanned_ns, guid, version, content_version, created_us, modified_us, "
            "fs_created_us, fs_modified_us, content_us, description, seq, deleted) "
            "VALUES (?, ?, ?, ?, ?, 0, ?, ?, ?, ?, 0, ?, 1, 1, ?, ?, ?, ?, ?, '', ?, 0)",
            (
                item_id,
                parent_id,
                name,
                make_name_key(name),
                is_folder,
                size,
                status.st_dev,
                status.st_ino,
                status.st_mtime_ns,
                str(uuid.uuid4()).upper(),
                modified_us,
                modified_us,
                times.created_us or modified_us,
                times.modified_us or modified_us,
                get_now_us(),
                self._next_seq(),
            ),
        )
        if parent_id:
            self._note_change_below(parent_id, size)

    def _place(self, item: Item, parent_id: str, name: str) -> None:
        self.state.db.execute(
            "UPDATE item SET parent_id = ?, name = ?, name_key = ?, version = version + 1, "
            "modified_us = ?, seq = ? WHERE id = ?",
            (parent_id, name, make_name_key(name), get_now_us(), self._next_seq(), item.id),
        )
        if parent_id != item.parent_id:
            # The size is subtracted from one branch and added to the other; it cancels out where
            # they meet.
            self._note_change_below(item.parent_id, -item.size)
            self._note_change_below(parent_id, item.size)
        else:
            self._note_change_below(parent_id, 0)

    def _mark_deleted(self, item: Item) -> None:
        """Mark an item and everything below it as deleted.

        The rows stay, because the delta feed must report them. Items deleted together share one
        number, so that they can be restored together.
        """
        if item.is_folder and self._dirty:
            self._touch_folders()
            item = self._must_find(item.id)
        together = self._next_seq()
        for child in self._list_below(item, 0):
            self.state.db.execute(
                "UPDATE item SET deleted = ?, seq = ? WHERE id = ?",
                (together, self._next_seq(), child),
            )
        self._note_change_below(item.parent_id, -item.size)

    def _list_below(self, item: Item, deleted: int) -> list[str]:
        """Return the ids of everything below the item, then the item's own."""
        ids = [item.id]
        for item_id in ids:
            ids += [
                row[0]
                for row in self.state.db.execute(
                    "SELECT id FROM item WHERE parent_id = ? AND deleted = ?", (item_id, deleted)
                )
            ]
        ids.reverse()
        return ids
