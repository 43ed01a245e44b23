"""The database: the SQLAlchemy object, constraint names, UTC times, transactions of their own."""

import logging
import random
import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import wraps
from itertools import islice
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

import pymysql
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from flask_sqlalchemy.session import Session as FlaskSession
from sqlalchemy import (
    Connection,
    CursorResult,
    DateTime,
    MetaData,
    Table,
    event,
    func,
    insert,
    inspect,
    select,
    update,
)
from sqlalchemy.dialects import mysql
from sqlalchemy.engine import Dialect, Engine
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DataError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import DeclarativeBase, Session
from sqlalchemy.orm.attributes import set_committed_value
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.types import TypeDecorator

from imagehub.messages import Message

# In an installed package, else in a checkout.
_PACKAGE = Path(__file__).resolve().parent
MIGRATIONS = str(
    next(path for path in (_PACKAGE, _PACKAGE.parent) if (path / "migrations").is_dir())
    / "migrations"
)

# Of every table on MySQL and MariaDB, whatever the database's own are.
CHARSET, COLLATION = "utf8mb4", "utf8mb4_unicode_ci"

# The largest value of an id column.
MAX_ID = (1 << 63) - 1


class Base(DeclarativeBase):
    """The base of every model."""

    # Every constraint has a name, so that a migration can drop it on both databases.
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


@event.listens_for(Table, "after_parent_attach")
def _name_charset(table: Table, _metadata: MetaData) -> None:
    """Name engine, character set and collation of a table, in models and in migrations."""
    for dialect in ("mysql", "mariadb"):
        table.dialect_kwargs[f"{dialect}_engine"] = "InnoDB"
        table.dialect_kwargs[f"{dialect}_charset"] = CHARSET
        table.dialect_kwargs[f"{dialect}_collate"] = COLLATION


class UTCDateTime(TypeDecorator[datetime]):
    """A time as aware UTC; naive values are refused as ambiguous.

    MySQL's DATETIME stores whole seconds by default, so six digits are requested.
    """

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        if dialect.name in ("mysql", "mariadb"):
            return dialect.type_descriptor(mysql.DATETIME(fsp=6))
        return dialect.type_descriptor(DateTime())

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a time zone cannot be stored")
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC)


def now_utc() -> datetime:
    """Return the current time, aware, in UTC."""
    return datetime.now(UTC)


# The key of the read-only replica among the engines of ``db``, and of the flag in the ``info`` of a
# session that reads it.
REPLICA = "replica"


class HubSession(FlaskSession):
    """A session on the database, or on its replica (see ``web.replica``)."""

    def get_bind(
        self, mapper: Any = None, clause: Any = None, bind: Any = None, **kwargs: Any
    ) -> Engine | Connection:
        if bind is None and self.info.get(REPLICA):
            return self._db.engines[REPLICA]
        return super().get_bind(mapper, clause, bind, **kwargs)


db = SQLAlchemy(model_class=Base, session_options={"class_": HubSession})


def init_migrations(app: Flask) -> None:
    """Prepare the application for ``flask_migrate.upgrade`` and ``flask db``.

    Few processes migrate, and importing Alembic takes a tenth of a process's start.
    """
    from flask_migrate import Migrate

    Migrate(app, db, directory=MIGRATIONS, compare_type=True, render_as_batch=True)


Result = TypeVar("Result")
Thing = TypeVar("Thing")
Parameters = ParamSpec("Parameters")

# The database did not answer, or not in time; a later attempt may succeed.
OUTAGES = (OperationalError, InterfaceError, PoolTimeoutError)

# InnoDB ended a deadlock with this transaction, or it waited too long for a row; in both cases the
# transaction should be repeated. Source: MySQL error reference, ER_LOCK_DEADLOCK,
# ER_LOCK_WAIT_TIMEOUT.
_LOST_RACE = frozenset({1213, 1205})
_TRIES = 6
# Source: MySQL error reference, ER_TRUNCATED_WRONG_VALUE_FOR_FIELD, ER_CANNOT_CONVERT_STRING (also
# MariaDB's ER_CANNOT_CONVERT_CHARACTER), ER_DATA_TOO_LONG.
_BAD_CHARACTERS = frozenset({1366, 3854, 3988, 1977})
_TOO_LONG = 1406


def own_transaction(
    work: Callable[Concatenate[Session, Parameters], Result],
) -> Callable[Concatenate[Session, Parameters], Result]:
    """Run a function in a short transaction of its own, committed at its end.

    For the few changes that must persist even if the caller fails, such as a rotated refresh token,
    a lease or a pause. The function gets a new session in place of the caller's, which must hold no
    uncommitted change (SQLite has one writer at a time). After a deadlock the transaction is rolled
    back and the function runs again, so it must be safe to run twice.
    """

    @wraps(work)
    def run(session: Session, /, *args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        for turn in range(1, _TRIES + 1):
            try:
                with Session(session.get_bind(), expire_on_commit=False) as own, own.begin():
                    return work(own, *args, **kwargs)
            except OperationalError as error:
                codes = getattr(error.orig, "args", ())[:1]
                if turn == _TRIES or _LOST_RACE.isdisjoint(codes):
                    raise
                # Wait a random time, so that the competitors do not collide again.
                time.sleep(random.uniform(0, 0.05 * turn))  # noqa: S311 - not for security
        raise AssertionError("unreachable")

    return run


def describe_outage(error: Exception) -> str:
    """Say for the log, in one line, why the database did not answer."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    return f"the database did not answer ({cause})"


def end_read(session: Session) -> None:
    """End a transaction that only read, before a slow call to another service.

    :raise RuntimeError: the session holds changes, which would be lost.
    """
    if session.new or session.dirty or session.deleted:
        raise RuntimeError("this session holds changes that are not saved")
    session.rollback()


@event.listens_for(Engine, "connect")
def _prepare_sqlite(connection: DBAPIConnection, _record: ConnectionPoolEntry) -> None:
    """Set up SQLite: WAL, foreign keys, a long wait for another writer."""
    if type(connection).__module__.startswith("sqlite3"):
        cursor = connection.cursor()
        for pragma in (
            "journal_mode=WAL",
            "synchronous=NORMAL",
            "foreign_keys=ON",
            "busy_timeout=20000",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()


class _ShortenLostConnections(logging.Filter):
    """Shortens to one line what the pool logs when a connection breaks while it is given back.

    The pool drops such a connection; the error itself reaches whoever used it.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, pymysql.err.OperationalError | pymysql.err.InterfaceError):
            record.msg, record.args = "A connection to the database was lost: %s", (error,)
            record.exc_info = record.exc_text = None
            record.levelno, record.levelname = logging.WARNING, "WARNING"
        return True


logging.getLogger("sqlalchemy.pool.impl.QueuePool").addFilter(_ShortenLostConnections())


def make_engine_options(url: str) -> dict[str, Any]:
    """Make the pool and connection options for a database address."""
    if url.startswith("sqlite"):
        return {"hide_parameters": True, "connect_args": {"timeout": 20}}
    return {
        # Errors are logged, and parameters contain password hashes and encrypted tokens.
        "hide_parameters": True,
        # MySQL closes connections that were idle for wait_timeout: test before use, renew hourly.
        "pool_pre_ping": True,
        "pool_recycle": 3600,
        "pool_size": 10,
        "max_overflow": 20,
        "isolation_level": "READ COMMITTED",
        "connect_args": {
            "charset": "utf8mb4",
            "connect_timeout": 10,
            "read_timeout": 60,
            "write_timeout": 60,
        },
    }


def make_replica_options(url: str) -> dict[str, Any]:
    """Make the options of the replica: it refuses to write, and is soon known to be away."""
    options = make_engine_options(url)
    options["connect_args"] |= {
        "connect_timeout": 2,
        "init_command": "SET SESSION TRANSACTION READ ONLY",
    }
    return {"url": url, **options}


def get_database_time(session: Session) -> datetime:
    """Return the current time, aware, in UTC, by the clock that all processes share.

    The clocks of machines that use one MariaDB may differ, so the server's clock counts. A SQLite
    file is used by a single machine.
    """
    if session.get_bind().dialect.name in ("mysql", "mariadb"):
        moment = session.scalar(select(func.utc_timestamp(6)))
        assert isinstance(moment, datetime)
        return moment.replace(tzinfo=UTC)
    return now_utc()


def make_batches(things: Iterable[Thing], size: int = 500) -> Iterator[list[Thing]]:
    """Yield lists of at most ``size``, in order."""
    walk = iter(things)
    while batch := list(islice(walk, size)):
        yield batch


def insert_rows(
    session: Session,
    model: type[Base],
    rows: Sequence[dict[str, Any]],
    make_failure: Callable[[str], dict[str, Any]],
) -> Sequence[dict[str, Any]]:
    """Insert rows; one that the database cannot store does not prevent the others.

    :param make_failure: makes, from the reason, the values that mark such a row. It is inserted
        with them and with the ASCII characters of its texts.
    :return: the rows as they were inserted.
    """
    if session.get_bind().dialect.name == "sqlite":
        # It stores any text, and its driver has no proper savepoints.
        session.execute(insert(model), rows)
        return rows
    with suppress(DataError), session.begin_nested():
        session.execute(insert(model), rows)
        return rows
    inserted = []
    for row in rows:
        try:
            with session.begin_nested():
                session.execute(insert(model), [row])
        except DataError as error:
            plain = {name: _make_ascii(value) for name, value in row.items()}
            row = plain | make_failure(explain_data_error(error)[:500])
            session.execute(insert(model), [row])
        inserted.append(row)
    return inserted


def _make_ascii(value: Any) -> Any:
    return value.encode("ascii", "replace").decode() if isinstance(value, str) else value


def explain_data_error(error: DataError) -> str:
    """Say which value the database cannot store, and what to do."""
    number, words = (*getattr(error.orig, "args", ()), 0, "")[:2]
    found = re.search(r"column (?:[`'\"][^`'\"]*[`'\"]\.)*[`'\"]([^`'\"]+)[`'\"]", str(words))
    field = found[1] if found else "?"
    if number in _BAD_CHARACTERS:
        return Message(
            "The database cannot store some characters of the field %(field)s. Run `imagehub "
            "migrate`, which converts its tables.",
            field=field,
        )
    if number == _TOO_LONG:
        return Message(
            "The value of the field %(field)s is too long for the database.", field=field
        )
    return Message("The database cannot store the value of the field %(field)s.", field=field)


def count_rows(session: Session, statement: Any) -> int:
    """Run an UPDATE or DELETE and return how many rows it matched.

    Objects that the session has loaded are not updated.
    """
    result = session.execute(statement.execution_options(synchronize_session=False))
    return int(cast("CursorResult[Any]", result).rowcount)


def write_changes(session: Session, things: Iterable[Base], counter: str = "") -> None:
    """Write the changes of loaded objects, those with the same changes with one statement.

    The session alone would send a statement for each object. Call it right after the changes:
    any other statement writes them first.

    :param things: of one model with a column ``id``, with their rows locked.
    :param counter: a column that is written as a difference, as it has many values.
    """
    alike: dict[tuple[tuple[str, Any], ...], list[Any]] = defaultdict(list)
    for thing in things:
        state: Any = inspect(thing)
        changes = {}
        for name in sorted(state.committed_state.keys() & state.mapper.column_attrs.keys()):
            history = state.attrs[name].history
            if history.has_changes():
                value = history.added[0]
                changes[name] = value - history.deleted[0] if name == counter else value
        if changes:
            alike[tuple(changes.items())].append(thing)
    for changed, some in alike.items():
        model: Any = type(some[0])
        values = dict(changed)
        if counter in values:
            values[counter] = getattr(model, counter) + values[counter]
        with session.no_autoflush:
            for ids in make_batches(thing.id for thing in some):
                count_rows(session, update(model).where(model.id.in_(ids)).values(values))
        stale = {column.key for column in model.__table__.c if column.onupdate} - values.keys()
        for thing in some:
            for name in values:
                # The session has nothing left to write.
                set_committed_value(thing, name, getattr(thing, name))
            if stale:
                session.expire(thing, stale)
