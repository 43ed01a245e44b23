"""Detect changes that other programs make to the folder, by modification times.

A folder's time shows whether entries were added or removed, a file's time whether its contents
changed. So a listing needs one stat per file on its page. The whole tree is scanned only when an
entry is missing, because it may have been moved. A file that was removed and created again is a
new item, as at the service; one that another file was renamed over is the same item.
"""

import os
import secrets
import stat
from collections.abc import Sequence
from pathlib import Path
from time import time_ns
from typing import Any

from .index import COLUMNS, Index, Item, get_now_us, not_found
from .names import find_fault_in_name, make_name_key
from .removals import Removals
from .server import Refusal
from .state import State

# Two changes within one tick of the file system's clock have the same time, so a folder that
# changed very recently is scanned again.
_CLOCK_TICK_NS = 100_000_000
OWN_FILES = ".onedrive-emulator-"

ORDER_COLUMNS = {"name": "name_key", "size": "size", "lastModifiedDateTime": "modified_us"}


def get_place(item: Item, order: str) -> list[Any]:
    """Return the end of a page whose last item is this one, for ``list_children``."""
    keys = {
        "name": make_name_key(item.name),
        "size": item.size,
        "lastModifiedDateTime": item.modified_us,
    }
    return [keys[order], item.id]


class WatchedFolder(Index):
    """An index that is synchronized with its folder before each answer."""

    def __init__(self, root: Path, kind: str, state: State) -> None:
        super().__init__(root, kind, state)
        self._removals = Removals()
        self._start()

    def _start(self) -> None:
        """Index new files, so that counts and sizes are right from the first call."""
        with self.changing():
            if self.find(self.root_id) is None:
                entry = self.root.stat()
                self._insert(self.root_id, "", "root", entry, is_folder=True)
            self._refresh_tree()

    def forget(self) -> None:
        """Index the folder anew: new ids, no history; old delta tokens become invalid."""
        with self.state.lock:
            self.state.forget()
            self.state.save_setting("epoch", secrets.token_hex(4))
            self.epoch = self._get_epoch()
            self._seq = 0
            self._removals = Removals()
            self._start()

    def get(self, item_id: str) -> Item:
        """Return an item in its current state on disk.

        :raise Refusal: 404 itemNotFound.
        """
        with self.state.lock:
            self._removals.collect()
            item = self.find(item_id)
            if item is None or item.deleted:
                raise not_found()
            path = self.get_path(item)
            # A parent folder may have been replaced by a link that leads out of the drive.
            is_elsewhere = os.path.realpath(path) != str(path)
            if is_elsewhere or self._is_stale(item, path):
                if is_elsewhere:
                    self.refresh_tree()
                else:
                    self._refresh(item, path)
                item = self.find(item_id)
                if item is None or item.deleted:
                    raise not_found()
            return item

    def find_by_names(self, start_id: str, names: Sequence[str]) -> Item | None:
        """Find an item by names, synchronizing each folder on the way."""
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

    def list_children(
        self, folder: Item, order: str, descending: bool, after: list[Any] | None, count: int
    ) -> tuple[list[Item], list[Any] | None]:
        """Return one page of a folder's children.

        :param order: a key of ``ORDER_COLUMNS``.
        :param after: the end of the previous page, as this method returned it.
        :return: at most ``count`` items, and the end of the page, or None on the last page.
        """
        column = ORDER_COLUMNS[order]
        sign, direction = ("<", "DESC") if descending else (">", "ASC")
        where = f"AND ({column}, id) {sign} (?, ?)" if after else ""
        query = (
            f"SELECT {COLUMNS}, {column} FROM item "  # noqa: S608 - from ORDER_COLUMNS
            f"WHERE parent_id = ? AND deleted = 0 {where} "
            f"ORDER BY {column} {direction}, id {direction} LIMIT ?"
        )
        with self.state.lock:
            self._removals.collect()
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

    # --- Comparing ---------------------------------------------------------------------------

    def refresh_tree(self) -> None:
        """Compare the whole folder with the index."""
        with self.changing():
            self._refresh_tree()

    def _refresh_tree(self) -> None:
        """Scan all folders; delete missing items at the end, when moves are known."""
        missing: list[str] = []
        folders = [(self.root_id, self.root)]
        while folders:
            folder_id, path = folders.pop()
            missing += self._scan(folder_id, path)
            rows = self.state.db.execute(
                f"SELECT {COLUMNS} FROM item "  # noqa: S608 - fixed columns
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
                # It may have been moved to a folder that was not scanned yet.
                self._refresh_tree()

    def _is_stale(self, item: Item, path: Path) -> bool:
        if self._removals.contains(item.parent_id, item.name):
            return True
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
            if self._removals.contains(item.parent_id, item.name):
                self._refresh_folder(item.parent_id, path.parent)
            elif item.is_folder:
                self._refresh_folder(item.id, path)
            elif stat.S_ISREG(entry.st_mode):
                self._take_over(item, entry)
            else:
                self._refresh_tree()

    def _take_over(self, item: Item, entry: os.stat_result) -> None:
        """Record that another program wrote the file: new eTag and cTag."""
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
                get_now_us(),
                self._next_seq(),
                item.id,
            ),
        )
        self._note_change_below(item.parent_id, entry.st_size - item.size)

    def _scan(self, folder_id: str, path: Path) -> list[str]:
        """Compare one folder's names with the index, if its modification time changed.

        :return: ids of items that no longer exist.
        """
        row = self.state.db.execute(
            "SELECT scanned_ns FROM item WHERE id = ?", (folder_id,)
        ).fetchone()
        looked_at_ns = time_ns()
        self._removals.watch(folder_id, path)
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
            key: (item_id, name, is_folder, ino)
            for item_id, key, name, is_folder, ino in self.state.db.execute(
                "SELECT id, name_key, name, is_folder, ino FROM item "
                "WHERE parent_id = ? AND deleted = 0",
                (folder_id,),
            )
        }
        removed = self._removals.take(folder_id)
        new: list[os.DirEntry[str]] = []
        replaced: list[tuple[str, os.DirEntry[str]]] = []
        for key, entry in found.items():
            item_id, name, is_folder, ino = known.pop(key, ("", "", 0, 0))
            if not item_id:
                new.append(entry)
            elif key in removed and (removed[key] or entry.inode() != ino):
                replaced.append((item_id, entry))
            elif bool(is_folder) != entry.is_dir(follow_symlinks=False):
                self._mark_deleted(self._must_find(item_id))
                new.append(entry)
            elif name != entry.name:
                self._place(self._must_find(item_id), folder_id, entry.name)
        for entry in new:
            self._adopt(folder_id, entry)
        for item_id, entry in replaced:
            item = self._must_find(item_id)
            # It may be under one of the new names now.
            if (item.parent_id, item.name) == (folder_id, entry.name) and not item.deleted:
                self._mark_deleted(item)
            self._adopt(folder_id, entry)
        is_package = any(name.endswith(".onetoc2") for name in found)
        trusted_ns = folder_ns if looked_at_ns - folder_ns > _CLOCK_TICK_NS else 0
        self.state.db.execute(
            "UPDATE item SET scanned_ns = ?, is_package = ? WHERE id = ?",
            (trusted_ns, is_package, folder_id),
        )
        return [item_id for item_id, *_facts in known.values()]

    def _choose_entries(
        self, entries: list[os.DirEntry[str]], at_root: bool
    ) -> dict[str, os.DirEntry[str]]:
        """Return the files and folders whose names the service accepts.

        Of two names that differ only in case the first is used. Links are not followed, so that
        nothing outside the folder is ever served.
        """
        chosen: dict[str, os.DirEntry[str]] = {}
        for entry in sorted(entries, key=lambda entry: entry.name):
            is_folder = entry.is_dir(follow_symlinks=False)
            if not is_folder and not entry.is_file(follow_symlinks=False):
                continue
            if entry.name.startswith(OWN_FILES) or find_fault_in_name(
                entry.name, self.kind, is_folder, at_root
            ):
                continue
            chosen.setdefault(make_name_key(entry.name), entry)
        return chosen

    def _adopt(self, parent_id: str, entry: os.DirEntry[str]) -> None:
        """Index a new name: an item that another program moved, or a new item."""
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
        """Return the item that had this inode elsewhere, if it is gone from there.

        A file system may reuse the inode of a deleted file, so a file must also have the same size
        and time, and a folder at least one of its former children.
        """
        rows = self.state.db.execute(
            f"SELECT {COLUMNS} FROM item "  # noqa: S608 - fixed columns
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
