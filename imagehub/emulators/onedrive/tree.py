"""Changes to the drive's tree, on disk and in the index.

The folder is authoritative for names and contents; the index adds what a file system lacks. The
disk is changed first, the index second: after a crash the next scan of the folder catches up.
"""

import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import time, time_ns

from .index import FileTimes, Item, get_now_us, not_found
from .names import PATH_LIMIT_CHARS, check_name, make_name_key
from .server import Refusal
from .state import State
from .watch import OWN_FILES, WatchedFolder


class Tree(WatchedFolder):
    """The drive; changes are refused with the same errors as by the service.

    :param refuses_signs: tells whether the organisation has forbidden # and % in names.
    """

    def __init__(
        self,
        root: Path,
        kind: str,
        state: State,
        refuses_signs: Callable[[], bool] = lambda: False,
    ) -> None:
        super().__init__(root, kind, state)
        self._refuses_signs = refuses_signs

    def _check_new_name(self, parent: Item, name: object, is_folder: bool) -> str:
        if not parent.is_folder or parent.is_package:
            raise Refusal(400, "invalidRequest", "The parent is not a folder.")
        checked = check_name(name, self.kind, is_folder, at_root=parent.id == self.root_id)
        if not {"#", "%"}.isdisjoint(checked) and self._refuses_signs():
            message = "The name contains a character that the organisation has forbidden."
            raise Refusal(400, "invalidRequest", message, inner="invalidPath")
        above = self.list_names_above(parent)
        if parent.id != self.root_id:
            above.append(parent.name)
        if len("/".join([*above, checked])) > PATH_LIMIT_CHARS:
            raise Refusal(400, "invalidRequest", "The path is too long.", inner="pathIsTooLong")
        return checked

    @contextmanager
    def _removing(self) -> Iterator[None]:
        """Keep the removals by other programs apart from this one, which the index knows."""
        self._removals.collect()
        yield
        self._removals.discard()

    def _find_free_name(self, parent: Item, name: str) -> str:
        """Return the name with the lowest free number before the suffix: ``front 1.jpg``."""
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
        # The disk may contain entries that the drive does not show, such as links: keep them.
        return self.find_child(parent.id, name) is not None or os.path.lexists(
            self.get_path(parent) / name
        )

    def create_folder(
        self, parent: Item, name: object, on_conflict: str, times: FileTimes | None = None
    ) -> tuple[Item, bool]:
        """Create a folder, or find the existing one if ``on_conflict`` is ``replace``.

        :return: the folder, and whether it is new.
        """
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
                item_id, parent.id, checked, path.stat(), True, times=times, now_us=get_now_us()
            )
        return self._must_find(item_id), True

    def check_upload(self, parent: Item, name: object, on_conflict: str) -> str:
        """Check that a file of this name could be put there now.

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
        """Move a finished file into place atomically; ``source`` is gone afterwards.

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
            # An older file may have had the same inode, size and time as this one.
            self.state.db.execute(
                "DELETE FROM content WHERE dev = ? AND ino = ?", (status.st_dev, status.st_ino)
            )
            now_us = get_now_us()
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

        :raise Refusal: 400 for a bad name or a move into itself, 409 for a taken name.
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
            with self._removing(), _disk_errors():
                os.rename(self.get_path(item), self.get_path(parent) / checked)
            self._place(item, parent.id, checked)
        return self._must_find(item.id)

    def set_facts(self, item: Item, times: FileTimes, description: str | None) -> Item:
        """Change the client's times and the description, not the contents."""
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
        """Move an item to the recycle bin, or delete it permanently."""
        with self.changing() as db:
            if item.id == self.root_id:
                raise Refusal(403, "accessDenied", "The root folder cannot be deleted.")
            path = self.get_path(item)
            kept = self.state.recycle_bin / item.guid
            with self._removing(), _disk_errors():
                shutil.move(path, kept)
                if for_good:
                    _remove(kept)
            if not for_good:
                db.execute(
                    "REPLACE INTO recycled VALUES (?, ?, ?, ?, ?)",
                    (item.id, item.parent_id, item.name, item.size, get_now_us()),
                )
            self._mark_deleted(item)

    def restore(self, item_id: str, parent: Item | None, name: str | None) -> Item:
        """Restore an item from the recycle bin under its old id.

        :raise Refusal: 404, it is not in the bin or its folder is gone; 409, its name is taken.
        """
        with self.changing() as db:
            row = db.execute(
                "SELECT parent_id, name FROM recycled WHERE id = ?", (item_id,)
            ).fetchone()
            if row is None:
                raise not_found()
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


def name_taken() -> Refusal:
    return Refusal(
        409, "nameAlreadyExists", "An item with the same name already exists under the parent."
    )


def _move_file(source: Path, target: Path) -> None:
    """Replace ``target`` atomically, even if ``source`` is on another file system."""
    try:
        os.replace(source, target)
    except OSError as error:
        if error.errno != 18:  # EXDEV
            raise
        near = target.with_name(OWN_FILES + secrets.token_hex(8))
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
    """Turn errors of the disk into the service's errors."""
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
    """Delete old thumbnails so that the cache does not grow forever."""
    limit = time() - older_than_seconds
    for entry in os.scandir(folder):
        if entry.stat().st_mtime < limit:
            Path(entry.path).unlink(missing_ok=True)
