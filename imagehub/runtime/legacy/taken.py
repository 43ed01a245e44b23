"""What the rows of a dry run would take: nothing in the hub shows it to later rows."""

import sqlite3
from pathlib import Path


class Taken:
    """Places and files by their groups, in a temporary SQLite file: memory does not grow with them.

    :param path: of a file that does not exist yet; the caller deletes it.
    """

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=OFF")
        self._db.execute("PRAGMA synchronous=OFF")
        self._db.execute(
            "CREATE TABLE taken (grp INTEGER, what TEXT, PRIMARY KEY (grp, what)) WITHOUT ROWID"
        )

    def close(self) -> None:
        self._db.close()

    def take_place(self, group: int, number: int) -> bool:
        """Take a number of a group; False if it is taken."""
        return self._take(group, f"place {number}")

    def take_file(self, group: int, item_id: str) -> bool:
        """Take a file for a group; False if it is taken."""
        return self._take(group, f"file {item_id}")

    def _take(self, group: int, what: str) -> bool:
        cursor = self._db.execute("INSERT OR IGNORE INTO taken VALUES (?, ?)", (group, what))
        return cursor.rowcount == 1
