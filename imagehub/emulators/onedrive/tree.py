"""The drive's tree: a local folder on one side, lasting ids and a record of changes on the other.

The folder is the truth about names and bytes; the index adds what a folder lacks: an id that stays
through renames, versions for eTag and cTag, and a growing number (``seq``) at each change, which
the delta feed reads. What other programs change in the folder is found by comparing modification
times: a folder's own tells whether names came or went, a file's own whether its bytes changed.
"""

import os
import secrets
import shutil
import sqlite3
import stat
import threading
import uuid
from base64 import b32encode, urlsafe_b64encode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import time, time_ns
from typing import Any

from .names import PATH_LIMIT_CHARS, check_name, find_fault_in_name, make_name_key
from .server import Refusal
from .state import State

_PERSONAL_ROOT = "sea8cc6beffdb43d7976fbc7da445c639"
_BUSINESS_ROOT = "56Y2GOVW7725BZO354PWSELRRZ"
_COLUMNS = (
    "id, parent_id, name, is_folder, is_package, size, dev, ino, mtime_ns, scanned_ns, guid, "
    "version, content_version, created_us, modified_us, fs_created_us, fs_modified_us, content_us, "
    "description, seq, deleted"
)
# Two changes within one tick of the file system's clock leave the same time behind, so a folder
# that changed only just now is looked at again.
_CLOCK_TICK_NS = 100_000_000
_OWN_FILES = ".onedrive-emulator-"

ORDER_COLUMNS = {"name": "name_key", "size": "size", "lastModifiedDateTime": "modified_us"}


@dataclass(frozen=True, slots=True)
class Item:
    """A row of the index. Times are microseconds since 1970, sizes bytes (folders: their sum)."""

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
    """What a client says about a file on its own disk; None where it says nothing."""

    created_us: int | None = None
    modified_us: int | None = None


def _now_us() -> int:
    return time_ns() // 1000


class Tree:
    """Every method takes the state's lock; changes are committed before they return.

    :param root: an existing folder.
    :param kind: ``personal`` or ``business``: decides how ids look and which names are taken.
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
            self._start()

    # --- Names of things ---------------------------------------------------------------------

    def _get_drive_id(self) -> str:
        drive_id = self.state.find_setting(f"drive_id_{self.kind}")
        if drive_id is None:
            if self.kind == "personal":
                # The field's trap of a leading zero is not set here: it loses a character.
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
        # 34 characters, of which the first 8 belong to the drive.
        random = b32encode(secrets.token_bytes(20)).decode()[:26]
        return self._prefix + random

    def _start(self) -> None:
        """Index what is not indexed yet, so that counts and sizes are right from the first call."""
        self.root_id = self._make_root_id()
        row = self.state.db.execute("SELECT MAX(seq) FROM item").fetchone()
        self._seq = int(row[0] or 0)
        with self.changing():
            if self.find(self.root_id) is None:
                entry = self.root.stat()
                self._insert(self.root_id, "", "root", entry, is_folder=True)
            self._refresh_tree()

    def forget(self) -> None:
        """Start anew on the same folder: new ids, no history. Old delta tokens become invalid."""
        with self.state.lock:
            self.state.forget()
            self.state.save_setting("epoch", secrets.token_hex(4))
            self.epoch = self._get_epoch()
            self._start()

    @contextmanager
    def changing(self) -> Iterator[sqlite3.Connection]:
        """A transaction that also carries each change up to the folders above it."""
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
        """The number of the last change."""
        with self.state.lock:
            return self._seq

    def _note_change_below(self, folder_id: str, size_delta: int) -> None:
        self._dirty[folder_id] = self._dirty.get(folder_id, 0) + size_delta

    def _touch_folders(self) -> None:
        """Give every folder above a change its new size, cTag and place in the feed, once each."""
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
        now = _now_us()
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
                f"SELECT {_COLUMNS} FROM item WHERE id = ?",  # noqa: S608 - fixed columns
                (item_id,),
            ).fetchone()
        return None if row is None else Item(*row)

    def get(self, item_id: str) -> Item:
        """An item as it is now on disk.

        :raise Refusal: 404 itemNotFound.
        """
        with self.state.lock:
            item = self.find(item_id)
            if item is None or item.deleted:
                raise _not_found()
            path = self.get_path(item)
            # A folder above may have become a link, which must not lead out of the drive.
            is_elsewhere = os.path.realpath(path) != str(path)
            if is_elsewhere or self._is_stale(item, path):
                if is_elsewhere:
                    self.refresh_tree()
                else:
                    self._refresh(item, path)
                item = self.find(item_id)
                if item is None or item.deleted:
                    raise _not_found()
            return item

    def find_child(self, parent_id: str, name: str) -> Item | None:
        with self.state.lock:
            row = self.state.db.execute(
                f"SELECT {_COLUMNS} FROM item "  # noqa: S608 - fixed columns
                "WHERE parent_id = ? AND name_key = ? AND deleted = 0",
                (parent_id, make_name_key(name)),
            ).fetchone()
        return None if row is None else Item(*row)

    def find_by_names(self, start_id: str, names: Sequence[str]) -> Item | None:
        """Walk down by names, taking notice of what changed on disk on the way."""
        with self.state.lock:
            item = self.get(start_id)
            for name in names:
                if not item.is_folder:
                    return None
                found = self.find_child(item.id, name)
                if found is None:
                    return None
                try:
                    item = self.get(found.id)
                except Refusal:
                    return None
            return item

    def list_names_above(self, item: Item) -> list[str]:
        """The names from below the root down to the item's parent."""
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
        """Where the item lies on disk."""
        if item.id == self.root_id:
            return self.root
        return self.root.joinpath(*self.list_names_above(item), item.name)

    def is_inside(self, item: Item, folder_id: str) -> bool:
        """Whether the item is the folder or lies anywhere below it."""
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

    def list_children(
        self, folder: Item, order: str, descending: bool, after: list[Any] | None, count: int
    ) -> tuple[list[Item], list[Any] | None]:
        """One page of a folder's children.

        :param order: a key of ``ORDER_COLUMNS``.
        :param after: the place where the last page ended, as this method gave it.
        :return: at most ``count`` items, and the place where the next page starts, or None.
        """
        column = ORDER_COLUMNS[order]
        sign, direction = ("<", "DESC") if descending else (">", "ASC")
        where = f"AND ({column}, id) {sign} (?, ?)" if after else ""
        query = (
            f"SELECT {_COLUMNS}, {column} FROM item "  # noqa: S608 - names stand in ORDER_COLUMNS
            f"WHERE parent_id = ? AND deleted = 0 {where} "
            f"ORDER BY {column} {direction}, id {direction} LIMIT ?"
        )
        with self.state.lock:
            path = self.get_path(folder)
            rows = self.state.db.execute(query, (folder.id, *(after or ()), count + 1)).fetchall()
            items = [Item(*row[:-1]) for row in rows[:count]]
            stale = [item for item in items if self._is_stale(item, path / item.name)]
            if stale:
                for item in stale:
                    self._refresh(item, path / item.name)
                fresh = [self.find(item.id) for item in items]
                items = [item for item in fresh if item is not None and not item.deleted]
        place = [rows[count - 1][-1], rows[count - 1][0]] if len(rows) > count else None
        return items, place

    def list_changes(
        self, after: int, up_to: int, count: int, with_deleted: bool
    ) -> tuple[list[Item], int | None]:
        """Latest state of what changed in ``after < seq <= up_to``, and where to go on, or None."""
        condition = "" if with_deleted else "AND deleted = 0"
        with self.state.lock:
            rows = self.state.db.execute(
                f"SELECT {_COLUMNS} FROM item "  # noqa: S608 - fixed words
                f"WHERE seq > ? AND seq <= ? {condition} ORDER BY seq LIMIT ?",
                (after, up_to, count + 1),
            ).fetchall()
        items = [Item(*row) for row in rows[:count]]
        return items, (items[-1].seq if len(rows) > count else None)

    def find_seq_at(self, moment_us: int) -> int:
        """The last change at or before a moment, as far as the items' times tell."""
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

    # --- Noticing what others did ------------------------------------------------------------

    def refresh_tree(self) -> None:
        """Compare the whole folder with the index."""
        with self.changing():
            self._refresh_tree()

    def _refresh_tree(self) -> None:
        """Walk all folders; what is missing is deleted at the end, when moves are known."""
        missing: list[str] = []
        folders = [(self.root_id, self.root)]
        while folders:
            folder_id, path = folders.pop()
            missing += self._scan(folder_id, path)
            rows = self.state.db.execute(
                f"SELECT {_COLUMNS} FROM item "  # noqa: S608 - fixed columns
                "WHERE parent_id = ? AND deleted = 0",
                (folder_id,),
            ).fetchall()
            prefix = f"{path}{os.sep}"
            for row in rows:
                if row[3]:
                    folders.append((row[0], path / row[2]))
                    continue
                try:
                    entry = os.lstat(prefix + row[2])
                except OSError:
                    missing.append(row[0])
                    continue
                if entry.st_mtime_ns != row[8] or entry.st_size != row[5]:
                    self._take_over(Item(*row), entry)
        self._delete_missing(missing)

    def _refresh_folder(self, folder_id: str, path: Path) -> None:
        with self.changing():
            missing = self._scan(folder_id, path)
            if missing:
                # Something may have been moved to a folder that was not looked at yet.
                self._refresh_tree()

    def _is_stale(self, item: Item, path: Path) -> bool:
        try:
            entry = os.lstat(path)
        except OSError:
            return True
        if item.is_folder:
            return item.scanned_ns != entry.st_mtime_ns
        return entry.st_mtime_ns != item.mtime_ns or entry.st_size != item.size

    def _refresh(self, item: Item, path: Path) -> None:
        with self.changing():
            try:
                entry = os.lstat(path)
            except OSError:
                self._refresh_tree()
                return
            if item.is_folder:
                self._refresh_folder(item.id, path)
            elif stat.S_ISREG(entry.st_mode):
                self._take_over(item, entry)
            else:
                self._refresh_tree()

    def _take_over(self, item: Item, entry: os.stat_result) -> None:
        """Another program wrote the file: new bytes, new eTag and cTag."""
        modified_us = entry.st_mtime_ns // 1000
        self.state.db.execute(
            "UPDATE item SET size = ?, dev = ?, ino = ?, mtime_ns = ?, version = version + 1, "
            "content_version = content_version + 1, modified_us = ?, fs_modified_us = ?, "
            "content_us = ?, seq = ? WHERE id = ?",
            (
                entry.st_size,
                entry.st_dev,
                entry.st_ino,
                entry.st_mtime_ns,
                modified_us,
                modified_us,
                _now_us(),
                self._next_seq(),
                item.id,
            ),
        )
        self._note_change_below(item.parent_id, entry.st_size - item.size)

    def _scan(self, folder_id: str, path: Path) -> list[str]:
        """Compare one folder's names with the index, if its time says that they changed.

        :return: ids of items that are not there any more.
        """
        row = self.state.db.execute(
            "SELECT scanned_ns FROM item WHERE id = ?", (folder_id,)
        ).fetchone()
        looked_at_ns = time_ns()
        try:
            status = os.lstat(path)
            if not stat.S_ISDIR(status.st_mode):
                return [folder_id]
            folder_ns = status.st_mtime_ns
            if row is not None and row[0] == folder_ns:
                return []
            with os.scandir(path) as entries:
                found = self._choose_entries(list(entries), at_root=folder_id == self.root_id)
        except OSError:
            return [] if folder_id == self.root_id else [folder_id]
        known = {
            key: (item_id, name, is_folder)
            for item_id, key, name, is_folder in self.state.db.execute(
                "SELECT id, name_key, name, is_folder FROM item "
                "WHERE parent_id = ? AND deleted = 0",
                (folder_id,),
            )
        }
        new: list[os.DirEntry[str]] = []
        for key, entry in found.items():
            item_id, name, is_folder = known.pop(key, ("", "", 0))
            if not item_id:
                new.append(entry)
            elif bool(is_folder) != entry.is_dir(follow_symlinks=False):
                self._mark_deleted(self._must_find(item_id))
                new.append(entry)
            elif name != entry.name:
                self._place(self._must_find(item_id), folder_id, entry.name)
        for entry in new:
            self._adopt(folder_id, entry)
        is_package = any(name.endswith(".onetoc2") for name in found)
        trusted_ns = folder_ns if looked_at_ns - folder_ns > _CLOCK_TICK_NS else 0
        self.state.db.execute(
            "UPDATE item SET scanned_ns = ?, is_package = ? WHERE id = ?",
            (trusted_ns, is_package, folder_id),
        )
        return [item_id for item_id, _name, _is_folder in known.values()]

    def _choose_entries(
        self, entries: list[os.DirEntry[str]], at_root: bool
    ) -> dict[str, os.DirEntry[str]]:
        """What the service could hold: plain files and folders with names that it takes.

        Of two names that differ only in case the first counts; links are not followed, so that
        nothing outside the folder is ever served.
        """
        chosen: dict[str, os.DirEntry[str]] = {}
        for entry in sorted(entries, key=lambda entry: entry.name):
            is_folder = entry.is_dir(follow_symlinks=False)
            if not is_folder and not entry.is_file(follow_symlinks=False):
                continue
            if entry.name.startswith(_OWN_FILES) or find_fault_in_name(
                entry.name, self.kind, is_folder, at_root
            ):
                continue
            chosen.setdefault(make_name_key(entry.name), entry)
        return chosen

    def _adopt(self, parent_id: str, entry: os.DirEntry[str]) -> None:
        """A name that is new in its folder: an item moved by another program, or a new one."""
        try:
            status = entry.stat(follow_symlinks=False)
        except OSError:
            return
        is_folder = entry.is_dir(follow_symlinks=False)
        moved = self._find_moved(status, is_folder, Path(entry.path))
        if moved is not None:
            self._place(moved, parent_id, entry.name)
            return
        item_id = self._make_id()
        self._insert(item_id, parent_id, entry.name, status, is_folder)
        if is_folder:
            self._scan(item_id, Path(entry.path))

    def _find_moved(self, status: os.stat_result, is_folder: bool, path: Path) -> Item | None:
        """The item that lay elsewhere with the same inode, if it is gone from there.

        A file system gives the number of a deleted file to the next new one, so a file must also
        have its size and time, and a folder one child that it had.
        """
        rows = self.state.db.execute(
            f"SELECT {_COLUMNS} FROM item "  # noqa: S608 - fixed columns
            "WHERE ino = ? AND dev = ? AND is_folder = ? AND deleted = 0",
            (status.st_ino, status.st_dev, is_folder),
        ).fetchall()
        for item in (Item(*row) for row in rows):
            if item.id == self.root_id:
                continue
            try:
                at_home = os.lstat(self.get_path(item))
                if (at_home.st_dev, at_home.st_ino) == (status.st_dev, status.st_ino):
                    continue
            except OSError:
                pass
            if is_folder:
                names = {make_name_key(name) for name in os.listdir(path)}
                known = {
                    row[0]
                    for row in self.state.db.execute(
                        "SELECT name_key FROM item WHERE parent_id = ? AND deleted = 0", (item.id,)
                    )
                }
                if names & known or not known:
                    return item
            elif item.size == status.st_size and item.mtime_ns == status.st_mtime_ns:
                return item
        return None

    def _delete_missing(self, item_ids: list[str]) -> None:
        for item_id in item_ids:
            item = self.find(item_id)
            if item is None or item.deleted:
                continue
            path = self.get_path(item)
            try:
                status = os.lstat(path)
            except OSError:
                self._mark_deleted(item)
                continue
            if stat.S_ISDIR(status.st_mode) != bool(item.is_folder):
                self._mark_deleted(item)

    # --- Rows --------------------------------------------------------------------------------

    def _must_find(self, item_id: str) -> Item:
        item = self.find(item_id)
        if item is None:
            raise _not_found()
        return item

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
                _now_us(),
                self._next_seq(),
            ),
        )
        if parent_id:
            self._note_change_below(parent_id, size)

    def _place(self, item: Item, parent_id: str, name: str) -> None:
        self.state.db.execute(
            "UPDATE item SET parent_id = ?, name = ?, name_key = ?, version = version + 1, "
            "modified_us = ?, seq = ? WHERE id = ?",
            (parent_id, name, make_name_key(name), _now_us(), self._next_seq(), item.id),
        )
        if parent_id != item.parent_id:
            # The size leaves one branch and joins the other; where they meet it adds up to zero.
            self._note_change_below(item.parent_id, -item.size)
            self._note_change_below(parent_id, item.size)
        else:
            self._note_change_below(parent_id, 0)

    def _mark_deleted(self, item: Item) -> None:
        """Deleted rows stay, because the delta feed must tell of them.

        What goes together bears one number, so that it can come back together.
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
        """The item's id and those of all that lies in it, the item last."""
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

    # --- Changing ----------------------------------------------------------------------------

    def _check_new_name(self, parent: Item, name: object, is_folder: bool) -> str:
        if not parent.is_folder or parent.is_package:
            raise Refusal(400, "invalidRequest", "The parent is not a folder.")
        checked = check_name(name, self.kind, is_folder, at_root=parent.id == self.root_id)
        above = self.list_names_above(parent)
        if parent.id != self.root_id:
            above.append(parent.name)
        if len("/".join([*above, checked])) > PATH_LIMIT_CHARS:
            raise Refusal(400, "invalidRequest", "The path is too long.", inner="pathIsTooLong")
        return checked

    def _find_free_name(self, parent: Item, name: str) -> str:
        """``name`` with the lowest number that is free, before the ending: ``front 1.jpg``."""
        stem, dot, ending = name.rpartition(".")
        if not stem:
            stem, dot, ending = name, "", ""
        number = 1
        while True:
            candidate = f"{stem} {number}{dot}{ending}"
            if not self._is_taken(parent, candidate):
                return candidate
            number += 1

    def _is_taken(self, parent: Item, name: str) -> bool:
        # The disk may hold what the drive does not show (a link, say): it must not be overwritten.
        return self.find_child(parent.id, name) is not None or os.path.lexists(
            self.get_path(parent) / name
        )

    def create_folder(
        self, parent: Item, name: object, on_conflict: str, times: FileTimes | None = None
    ) -> tuple[Item, bool]:
        """:return: the folder, and whether it is new (``replace`` gives the one that was there)."""
        with self.changing():
            checked = self._check_new_name(parent, name, is_folder=True)
            existing = self.find_child(parent.id, checked)
            if existing is not None and on_conflict == "replace" and existing.is_folder:
                return existing, False
            if existing is not None or self._is_taken(parent, checked):
                if on_conflict != "rename":
                    raise name_taken()
                checked = self._find_free_name(parent, checked)
            path = self.get_path(parent) / checked
            with _disk_errors():
                path.mkdir()
            item_id = self._make_id()
            self._insert(
                item_id, parent.id, checked, path.stat(), True, times=times, now_us=_now_us()
            )
        return self._must_find(item_id), True

    def check_upload(self, parent: Item, name: object, on_conflict: str) -> str:
        """Whether a file of this name could be put there now.

        :return: the name.
        :raise Refusal: 400 for the name, 409 for a conflict.
        """
        checked = self._check_new_name(parent, name, is_folder=False)
        existing = self.find_child(parent.id, checked)
        if existing is not None and existing.is_folder and on_conflict != "rename":
            raise name_taken()
        if on_conflict == "fail" and self._is_taken(parent, checked):
            raise name_taken()
        return checked

    def put_file(
        self,
        parent: Item,
        name: object,
        source: Path,
        on_conflict: str,
        times: FileTimes | None = None,
        description: str = "",
    ) -> tuple[Item, bool]:
        """Put a finished file in its place in one step; ``source`` is gone afterwards.

        :return: the item, and whether it is new.
        :raise Refusal: as for :meth:`check_upload`.
        """
        times = times or FileTimes()
        with self.changing():
            checked = self.check_upload(parent, name, on_conflict)
            existing = self.find_child(parent.id, checked)
            if on_conflict == "rename" and self._is_taken(parent, checked):
                checked, existing = self._find_free_name(parent, checked), None
            if existing is None and os.path.lexists(self.get_path(parent) / checked):
                raise name_taken()
            target = self.get_path(parent) / (existing.name if existing else checked)
            if times.modified_us is not None:
                os.utime(source, ns=(time_ns(), times.modified_us * 1000))
            with _disk_errors():
                _move_file(source, target)
            status = target.stat()
            # An old file may have had the same inode, size and time as this one.
            self.state.db.execute(
                "DELETE FROM content WHERE dev = ? AND ino = ?", (status.st_dev, status.st_ino)
            )
            now_us = _now_us()
            if existing is None:
                item_id = self._make_id()
                self._insert(item_id, parent.id, checked, status, False, times, now_us)
            else:
                item_id = existing.id
                self.state.db.execute(
                    "UPDATE item SET size = ?, dev = ?, ino = ?, mtime_ns = ?, "
                    "version = version + 1, content_version = content_version + 1, "
                    "modified_us = ?, fs_modified_us = ?, content_us = ?, seq = ? WHERE id = ?",
                    (
                        status.st_size,
                        status.st_dev,
                        status.st_ino,
                        status.st_mtime_ns,
                        now_us,
                        times.modified_us or now_us,
                        now_us,
                        self._next_seq(),
                        item_id,
                    ),
                )
                self._note_change_below(parent.id, status.st_size - existing.size)
            if description:
                self.state.db.execute(
                    "UPDATE item SET description = ? WHERE id = ?", (description, item_id)
                )
        return self._must_find(item_id), existing is None

    def move(self, item: Item, parent: Item, name: object, on_conflict: str = "fail") -> Item:
        """Rename, move, or both.

        :raise Refusal: 400 for a bad name or a folder into itself, 409 for a taken name.
        """
        with self.changing():
            if item.id == self.root_id:
                raise Refusal(400, "invalidRequest", "The root folder cannot be renamed or moved.")
            checked = self._check_new_name(parent, name, bool(item.is_folder))
            if item.is_folder and self.is_inside(parent, item.id):
                raise Refusal(400, "invalidRequest", "A folder cannot be moved into itself.")
            if parent.id == item.parent_id and checked == item.name:
                return item
            existing = self.find_child(parent.id, checked)
            is_own_name = existing is not None and existing.id == item.id
            if not is_own_name and self._is_taken(parent, checked):
                if on_conflict != "rename":
                    raise name_taken()
                checked = self._find_free_name(parent, checked)
            with _disk_errors():
                os.rename(self.get_path(item), self.get_path(parent) / checked)
            self._place(item, parent.id, checked)
        return self._must_find(item.id)

    def set_facts(self, item: Item, times: FileTimes, description: str | None) -> Item:
        """Change what does not touch the bytes: client's times and description."""
        with self.changing() as db:
            mtime_ns = item.mtime_ns
            if times.modified_us is not None and not item.is_folder:
                path = self.get_path(item)
                os.utime(path, ns=(time_ns(), times.modified_us * 1000))
                mtime_ns = path.stat().st_mtime_ns
                db.execute(
                    "UPDATE content SET mtime_ns = ? WHERE dev = ? AND ino = ? AND mtime_ns = ?",
                    (mtime_ns, item.dev, item.ino, item.mtime_ns),
                )
            db.execute(
                "UPDATE item SET mtime_ns = ?, fs_created_us = ?, fs_modified_us = ?, "
                "description = ?, version = version + 1, seq = ? WHERE id = ?",
                (
                    mtime_ns,
                    item.fs_created_us if times.created_us is None else times.created_us,
                    item.fs_modified_us if times.modified_us is None else times.modified_us,
                    item.description if description is None else description,
                    self._next_seq(),
                    item.id,
                ),
            )
            self._note_change_below(item.parent_id, 0)
        return self._must_find(item.id)

    def delete(self, item: Item, for_good: bool = False) -> None:
        """To the recycle bin, or away for good."""
        with self.changing() as db:
            if item.id == self.root_id:
                raise Refusal(403, "accessDenied", "The root folder cannot be deleted.")
            path = self.get_path(item)
            kept = self.state.recycle_bin / item.guid
            with _disk_errors():
                shutil.move(path, kept)
                if for_good:
                    _remove(kept)
            if not for_good:
                db.execute(
                    "REPLACE INTO recycled VALUES (?, ?, ?, ?, ?)",
                    (item.id, item.parent_id, item.name, item.size, _now_us()),
                )
            self._mark_deleted(item)

    def restore(self, item_id: str, parent: Item | None, name: str | None) -> Item:
        """Bring an item back from the recycle bin under its old id.

        :raise Refusal: 404, it is not in the bin, or its folder is gone; 409, its name is taken.
        """
        with self.changing() as db:
            row = db.execute(
                "SELECT parent_id, name FROM recycled WHERE id = ?", (item_id,)
            ).fetchone()
            if row is None:
                raise _not_found()
            item = self._must_find(item_id)
            parent = parent or self.get(row[0])
            checked = self._check_new_name(parent, name or row[1], bool(item.is_folder))
            if self._is_taken(parent, checked):
                raise name_taken()
            target = self.get_path(parent) / checked
            with _disk_errors():
                shutil.move(self.state.recycle_bin / item.guid, target)
            db.execute("DELETE FROM recycled WHERE id = ?", (item_id,))
            for child in self._list_below(item, item.deleted):
                db.execute(
                    "UPDATE item SET deleted = 0, seq = ? WHERE id = ?", (self._next_seq(), child)
                )
            db.execute(
                "UPDATE item SET parent_id = ?, name = ?, name_key = ?, version = version + 1 "
                "WHERE id = ?",
                (parent.id, checked, make_name_key(checked), item_id),
            )
            self._note_change_below(parent.id, item.size)
        return self._must_find(item_id)


def _not_found() -> Refusal:
    return Refusal(404, "itemNotFound", "The resource could not be found.")


def name_taken() -> Refusal:
    return Refusal(
        409, "nameAlreadyExists", "An item with the same name already exists under the parent."
    )


def _move_file(source: Path, target: Path) -> None:
    """Replace ``target`` in one step, also when ``source`` lies on another file system."""
    try:
        os.replace(source, target)
    except OSError as error:
        if error.errno != 18:  # EXDEV
            raise
        near = target.with_name(_OWN_FILES + secrets.token_hex(8))
        shutil.copy2(source, near)
        os.replace(near, target)
        source.unlink()


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


@contextmanager
def _disk_errors() -> Iterator[None]:
    """Say in the service's words what the disk refuses."""
    try:
        yield
    except OSError as error:
        if error.errno == 36:  # ENAMETOOLONG
            raise Refusal(
                400, "invalidRequest", "The name is too long.", inner="pathIsTooLong"
            ) from error
        if error.errno in (28, 122):  # ENOSPC, EDQUOT
            raise Refusal(507, "quotaLimitReached", "The disk is full.") from error
        raise Refusal(500, "generalException", "The folder refused the change.") from error


def remove_old_thumbnails(folder: Path, older_than_seconds: float = 7 * 86_400) -> None:
    """Keep the cache of thumbnails from growing for ever."""
    limit = time() - older_than_seconds
    for entry in os.scandir(folder):
        if entry.stat().st_mtime < limit:
            Path(entry.path).unlink(missing_ok=True)
