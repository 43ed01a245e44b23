"""Find the files in OneDrive that the pictures of the first version were made from.

The drive is listed once into a temporary SQLite file, so that memory does not grow with it: from
its list of all items, because listing folder by folder takes a call for each folder.
"""

import sqlite3
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imagehub.clients import Drive, DriveItem
from imagehub.clients.drive_ids import fold_id
from imagehub.domain.file_names import get_folder_title
from imagehub.errors import ServiceBusyError
from imagehub.runtime.legacy.content import Content, list_hashes
from imagehub.runtime.legacy.source import OldPicture

_TABLE = """
CREATE TABLE folder (
    folded_id TEXT PRIMARY KEY, parent_id TEXT, name TEXT, name_key TEXT, depth INTEGER
);
CREATE INDEX ix_parent ON folder (parent_id);
CREATE TABLE file (
    folded_id TEXT PRIMARY KEY, id TEXT, name TEXT, name_key TEXT, folder_id TEXT,
    folded_folder_id TEXT, folder_name TEXT, folder_key TEXT, depth INTEGER, size_bytes INTEGER,
    mime_type TEXT, etag TEXT, ctag TEXT, quick_xor_hash TEXT, sha256 TEXT, sha1 TEXT
);
"""
# Once all files are in their folders, because that changes what is indexed.
_INDEXES = """
CREATE INDEX IF NOT EXISTS ix_name ON file (name_key, folder_key);
CREATE INDEX IF NOT EXISTS ix_quick_xor ON file (quick_xor_hash);
CREATE INDEX IF NOT EXISTS ix_sha256 ON file (sha256);
CREATE INDEX IF NOT EXISTS ix_sha1 ON file (sha1);
"""
# The folders below the root folder, with their depth below it.
_PLACE = """
WITH RECURSIVE inside (folded_id, depth) AS (
    SELECT folded_id, 0 FROM folder WHERE folded_id = :root
    UNION
    SELECT folder.folded_id, inside.depth + 1 FROM folder
    JOIN inside ON folder.parent_id = inside.folded_id WHERE inside.depth < 200
)
UPDATE folder SET depth = inside.depth FROM inside WHERE inside.folded_id = folder.folded_id;
"""
_MOVE_IN = """
UPDATE file SET folder_name = folder.name, folder_key = folder.name_key, depth = folder.depth
FROM folder WHERE folder.folded_id = file.folded_folder_id;
"""
_COLUMNS = (
    "id, name, folder_id, folder_name, depth, size_bytes, mime_type, etag, ctag,"
    " quick_xor_hash, sha256, sha1"
)
_FORGET = "DELETE FROM {} WHERE folded_id = ?"
_TOLD_EVERY = 1000
# How often OneDrive may ask to begin anew.
_MAX_TURNS = 3


@dataclass(frozen=True)
class Match:
    """The file of a picture. ``is_same``: it has the picture's bytes, as far as OneDrive tells."""

    item: DriveItem
    folder_name: str
    is_same: bool = True


class Listing:
    """The files of the root folder and the folders below it.

    :param path: of a file that does not exist yet; the caller deletes it.
    """

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=OFF")
        self._db.execute("PRAGMA synchronous=OFF")
        self._db.executescript(_TABLE)

    def close(self) -> None:
        self._db.close()

    def read(self, drive: Drive, tell: Callable[[int], None] = lambda count: None) -> int:
        """List all files below the root folder; return how many there are.

        :param tell: called now and then with the number of files of the drive so far.
        :raise ImageHubError: OneDrive cannot be listed.
        """
        root, link, count, turns = drive.get_root(), "", 0, 0
        self._begin()
        while True:
            page = drive.fetch_changes(link)
            if page.starts_anew:
                turns += 1
                if turns > _MAX_TURNS:
                    fault = "OneDrive does not list its files to the end."
                    raise ServiceBusyError("OneDrive", "list the drive", fault)
                self._begin()
                count = 0
            for item in page.items:
                # The last state of an item counts.
                for table in ("file", "folder"):
                    self._db.execute(_FORGET.format(table), (fold_id(item.id),))
                if item.is_deleted:
                    continue
                if item.is_folder:
                    self._add_folder(item)
                elif not item.is_package:
                    self._add(item, item.parent_id, "", -1)
                    count += 1
                    if count % _TOLD_EVERY == 0:
                        tell(count)
            link = page.link
            if page.is_last:
                break
        # Whether the list names it or not.
        self._add_folder(root)
        self._db.execute(_PLACE, {"root": fold_id(root.id)})
        self._db.execute(_MOVE_IN)
        self._db.execute("DELETE FROM file WHERE depth < 0")
        self._db.execute("COMMIT")
        self._db.executescript(_INDEXES)
        (found,) = self._db.execute("SELECT count(*) FROM file").fetchone()
        return int(found)

    def _begin(self) -> None:
        """Begin with empty tables, also after an attempt that broke off."""
        if self._db.in_transaction:
            self._db.execute("COMMIT")
        self._db.execute("BEGIN")
        for table in ("file", "folder"):
            self._db.execute(f"DELETE FROM {table}")  # noqa: S608

    def add(self, match: Match, depth: int = 2) -> None:
        """Add a file that was uploaded just now."""
        self._add(match.item, match.item.parent_id, match.folder_name, depth)

    def _add_folder(self, item: DriveItem) -> None:
        title = get_folder_title(item)
        values = (fold_id(item.id), fold_id(item.parent_id), title, make_key(title), -1)
        self._db.execute("INSERT OR REPLACE INTO folder VALUES (?, ?, ?, ?, ?)", values)

    def _add(self, item: DriveItem, folder_id: str, folder_name: str, depth: int) -> None:
        values = (
            fold_id(item.id), item.id, item.name, make_key(item.name), folder_id,
            fold_id(folder_id), folder_name, make_key(folder_name), depth, item.size_bytes,
            item.mime_type, item.etag, item.ctag, *list_hashes(item),
        )  # fmt: skip
        marks = ", ".join("?" * len(values))
        self._db.execute(f"INSERT OR REPLACE INTO file VALUES ({marks})", values)  # noqa: S608

    def iter_matches(self, picture: OldPicture, content: Content) -> Iterator[Match]:
        """Iterate over the files that may be a picture's, the best one first.

        By its id if the row names one; by its name in the folder of its name; by its bytes
        anywhere. A file of the right name and place with other bytes comes last: it was changed
        since.
        """
        for row in self._select("folded_id = ?", fold_id(picture.number)):
            yield _make_match(row, content)
        named = sorted(self._iter_named(picture), key=lambda row: row[4])
        yield from (_make_match(row, content) for row in named if _compare(row, content))
        nearest = [row for row in named if row[4] == named[0][4]]
        # Where OneDrive lists no hash, the place has to do, unless it is ambiguous.
        if len(nearest) == 1 and _compare(nearest[0], content) is None:
            yield _make_match(nearest[0], content)
        for column, value in (
            ("quick_xor_hash", content.quick_xor_hash),
            ("sha256", content.sha256),
            ("sha1", content.sha1),
        ):
            rows = self._select(f"{column} = ?", value) if value else []
            rows.sort(key=lambda row: make_key(row[1]) != make_key(picture.name))
            yield from (_make_match(row, content) for row in rows)
        if len(nearest) == 1 and _compare(nearest[0], content) is False:
            yield _make_match(nearest[0], content)

    def _iter_named(self, picture: OldPicture) -> Iterator[Any]:
        name, folder = make_key(picture.name), make_key(picture.folder)
        if not name:
            return
        if folder:
            yield from self._select("name_key = ? AND folder_key = ?", name, folder)
            # Rows of some versions hold the folder's id.
            yield from self._select(
                "name_key = ? AND folded_folder_id = ?", name, fold_id(picture.folder)
            )
        else:
            yield from self._select("name_key = ? AND depth = 0", name)

    def _select(self, condition: str, *values: object) -> list[Any]:
        query = f"SELECT {_COLUMNS} FROM file WHERE {condition} ORDER BY depth, id LIMIT 50"  # noqa: S608
        return self._db.execute(query, values).fetchall()


def make_key(name: str) -> str:
    """Normalise a name as OneDrive compares names: without case."""
    return unicodedata.normalize("NFC", name).strip().casefold()


def _compare(row: Any, content: Content) -> bool | None:
    return content.compare(row[9], row[10], row[11], row[5])


def _make_match(row: Any, content: Content) -> Match:
    item_id, name, folder_id, folder_name, _depth, size_bytes, mime_type, etag, ctag, quick = row[
        :10
    ]
    item = DriveItem(
        item_id,
        name,
        False,
        size_bytes,
        "",
        "",
        parent_id=folder_id,
        mime_type=mime_type,
        etag=etag,
        ctag=ctag,
        quick_xor_hash=quick,
    )
    return Match(item, folder_name, is_same=_compare(row, content) is not False)
