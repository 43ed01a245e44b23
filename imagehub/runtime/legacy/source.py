"""Read the tables of the first version, without ever changing or locking them.

``imagedb`` has a row for each picture, whose bytes are a ``data:`` text of megabytes. The keys of
all rows are read first; then the rows without their pictures, a hundred at once; then each text
alone and in pieces. Each read is a short transaction of its own, so the first version can go on
working.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, bindparam, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError

from imagehub.errors import ImageHubError

Result = TypeVar("Result")

PICTURES, PEOPLE, TOKENS = "imagedb", "userdb", "onedrive"
_COLUMNS = {
    PICTURES: ("index", "image_group", "image_folder", "image_id", "image_name", "full_image"),
    PEOPLE: ("userid", "username", "password"),
    TOKENS: ("user_id", "refresh_token"),
}
_DRIVERS = ("mysql", "mariadb", "mysql+pymysql", "mariadb+pymysql")
# About 6 MB of a picture.
MAX_PIECE_CHARS = 8 << 20


class SourceError(ImageHubError):
    """The first version's database cannot be read."""


@dataclass(frozen=True)
class OldPicture:
    """A row of ``imagedb`` without its pictures; texts are stripped, "" for NULL."""

    key: str
    group: str
    number: str
    folder: str
    name: str
    title: str

    def describe(self) -> str:
        """Name the row for people."""
        return f"row {self.key} ({self.name or 'no name'}, group {self.group or '-'})"


@dataclass(frozen=True)
class OldPerson:
    key: str
    name: str
    password_hash: str = field(repr=False)


@dataclass(frozen=True)
class OldToken:
    key: str
    refresh_token: str = field(repr=False)


def read_url(address: str, password: str | None = None) -> URL:
    """Read the address of the first version's database.

    :param password: in place of the one in the address, which other users of the machine can see.
    :raise SourceError: it is no address of a MySQL or MariaDB database.
    """
    try:
        url = make_url(address)
    except (ArgumentError, ValueError):
        # The message would repeat the address with its password.
        raise SourceError("The address of the old database cannot be read.") from None
    if url.drivername not in _DRIVERS or not url.database:
        raise SourceError(
            "The address of the old database must be like mysql+pymysql://user@host/database."
        )
    url = url.set(drivername="mysql+pymysql")
    return url if password is None else url.set(password=password)


class OldDatabase:
    """A read-only view of the first version's database.

    :raise SourceError: from all methods.
    """

    def __init__(self, url: URL) -> None:
        self._engine = create_engine(
            url,
            hide_parameters=True,
            # One reads a picture, while the main thread reads the next rows.
            pool_size=2,
            max_overflow=0,
            pool_pre_ping=True,
            isolation_level="REPEATABLE READ",
            connect_args={
                "charset": "utf8mb4",
                "connect_timeout": 10,
                "read_timeout": 300,
                "write_timeout": 60,
            },
        )
        event.listen(self._engine, "connect", _make_read_only)
        self._columns: dict[str, set[str]] = {}
        self._piece_chars = MAX_PIECE_CHARS
        self._is_stopped = False
        # The server's number of the connection that reads a picture.
        self._reader = 0

    def close(self) -> None:
        self._engine.dispose()

    def stop_reading(self) -> None:
        """End the reading of a picture in another thread, which raises an error there."""
        self._is_stopped = True
        if self._reader:
            # Everyone may end their own queries.
            with suppress(SourceError), self._open("end the reading") as connection:
                connection.execute(text(f"KILL QUERY {self._reader}"))

    def check(self) -> list[str]:
        """Look which tables there are; return what is missing besides ``imagedb``, as sentences.

        :raise SourceError: it cannot be reached, or ``imagedb`` is missing or has other columns.
        """
        with self._open("open the old database") as connection:
            packet_bytes = int(connection.scalar(text("SELECT @@max_allowed_packet")) or 0)
            rows = connection.execute(
                text(
                    "SELECT table_name, column_name FROM information_schema.columns"
                    " WHERE table_schema = DATABASE()"
                )
            ).all()
        # The server returns no text that is larger than its packets.
        self._piece_chars = max(1 << 16, min(MAX_PIECE_CHARS, packet_bytes // 4))
        for table, column in rows:
            self._columns.setdefault(str(table), set()).add(str(column))
        problems = [_find_problem(table, self._columns.get(table)) for table in _COLUMNS]
        if problems[0]:
            raise SourceError(
                f"{problems[0]} This is not the database of the first version of ImageHub."
            )
        return [problem for problem in problems if problem]

    def has(self, table: str) -> bool:
        return not _find_problem(table, self._columns.get(table))

    def list_keys(self) -> Sequence[Any]:
        """List the keys of all pictures in order. Takes some bytes for each."""
        with self._open("list the old pictures") as connection:
            streaming = connection.execution_options(stream_results=True, max_row_buffer=1000)
            rows = streaming.execute(text(f"SELECT `index` FROM {PICTURES} ORDER BY `index`"))  # noqa: S608
            return [row[0] for row in rows]

    def find_pictures(self, keys: Sequence[Any]) -> dict[Any, list[OldPicture]]:
        """Read rows without their pictures: key → rows. A key whose row was deleted is left out.

        :param keys: at most some hundred.
        """
        title = "title" if "title" in self._columns[PICTURES] else "''"
        query = text(
            f"SELECT `index`, image_group, image_id, image_folder, image_name, {title}"  # noqa: S608
            f" FROM {PICTURES} WHERE `index` IN :keys"
        ).bindparams(bindparam("keys", expanding=True))

        def read() -> Sequence[Any]:
            with self._open("read the old pictures") as connection:
                return connection.execute(query, {"keys": list(keys)}).all()

        found: dict[Any, list[OldPicture]] = {}
        for key, *values in _again(read):
            group, number, folder, name, words = map(_read_text, values)
            picture = OldPicture(str(key), group, number, folder, name, words)
            found.setdefault(key, []).append(picture)
        return found

    def iter_pieces(self, key: Any) -> Generator[bytes, None, None]:
        """Iterate over the text of a full picture; nothing for NULL and for a deleted row.

        Close it to end the reading early.
        """
        query = text(
            f"SELECT SUBSTRING(full_image, :start, :size) FROM {PICTURES}"  # noqa: S608
            " WHERE `index` = :key LIMIT 1"
        )
        # One transaction reads one version of the row, whatever the first version writes.
        with self._open("read an old picture") as connection, self._noted(connection):
            start = 1
            while True:
                if self._is_stopped:
                    raise SourceError("Reading was ended.")
                values = {"key": key, "start": start, "size": self._piece_chars}
                found = connection.scalar(query, values)
                if not found:
                    return
                piece = found.encode("utf-8") if isinstance(found, str) else bytes(found)
                length = len(found)
                del found
                yield piece
                if length < self._piece_chars:
                    return
                start += length

    @contextmanager
    def _noted(self, connection: Connection) -> Iterator[None]:
        """Let :meth:`stop_reading` know the connection that reads."""
        self._reader = int(connection.scalar(text("SELECT CONNECTION_ID()")) or 0)
        try:
            yield
        finally:
            self._reader = 0

    def iter_people(self) -> Iterator[OldPerson]:
        with self._open("read the old accounts") as connection:
            rows = connection.execute(
                text(f"SELECT userid, username, password FROM {PEOPLE} ORDER BY userid")  # noqa: S608
            )
            for key, name, password in rows.all():
                yield OldPerson(str(key), _read_text(name), _read_text(password))

    def list_tokens(self) -> list[OldToken]:
        """List the refresh tokens that are not empty."""
        with self._open("read the old sign-in") as connection:
            query = f"SELECT user_id, refresh_token FROM {TOKENS} ORDER BY user_id"  # noqa: S608
            rows = connection.execute(text(query)).all()
        found = [OldToken(str(key), _read_text(token)) for key, token in rows]
        return [token for token in found if token.refresh_token]

    @contextmanager
    def _open(self, what: str) -> Iterator[Connection]:
        try:
            connection = self._engine.connect()
            try:
                yield connection
            except GeneratorExit:
                raise
            except BaseException:
                # Perhaps in the middle of an answer: nothing may be sent on it any more.
                connection.invalidate()
                raise
            finally:
                connection.close()
        except DBAPIError as error:
            # The words of the driver may name the user and the host, but no password.
            reason = error.orig.args[-1] if error.orig and error.orig.args else "no reason"
            raise SourceError(f"Cannot {what}: {reason}") from None


def _make_read_only(connection: Any, _record: Any) -> None:
    """Have the server refuse any change, whatever this program may do."""
    with connection.cursor() as cursor:
        cursor.execute("SET SESSION TRANSACTION READ ONLY")


def _find_problem(table: str, columns: set[str] | None) -> str:
    if columns is None:
        return f"The table {table} is missing."
    missing = [name for name in _COLUMNS[table] if name not in columns]
    return f"The table {table} has no column {missing[0]}." if missing else ""


def _again(read: Callable[[], Result]) -> Result:
    """Read a second time after a failure: the connection may just have been closed."""
    with suppress(SourceError):
        return read()
    return read()


def _read_text(value: Any) -> str:
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    return "" if value is None else str(value).strip()
