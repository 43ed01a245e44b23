"""The database: one SQLAlchemy object, constraint names, times in UTC, short own transactions."""

import random
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from functools import wraps
from itertools import islice
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import (
    CursorResult,
    DateTime,
    MetaData,
    event,
    func,
    select,
)
from sqlalchemy.dialects import mysql
from sqlalchemy.engine import Dialect, Engine
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import DeclarativeBase, Session
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.types import TypeDecorator

MIGRATIONS = str(Path(__file__).resolve().parent.parent / "migrations")

# The largest number that fits every id column on both databases.
MAX_ID = (1 << 63) - 1

# Every constraint has a name, so that a migration can drop it on both databases.
NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """The base of every model."""

    metadata = MetaData(naming_convention=NAMING)


class UTCDateTime(TypeDecorator[datetime]):
    """A moment as aware UTC. A naive value is refused: nobody could tell which moment it is.

    MySQL's DATETIME keeps whole seconds unless told otherwise, so it is given six digits.
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
            raise ValueError("a moment without a time zone cannot be stored")
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC)


def now_utc() -> datetime:
    """This moment, aware, in UTC."""
    return datetime.now(UTC)


db = SQLAlchemy(model_class=Base)
migrate = Migrate(compare_type=True, render_as_batch=True)


Result = TypeVar("Result")
Thing = TypeVar("Thing")
Parameters = ParamSpec("Parameters")

# InnoDB chose this transaction to end a deadlock, or it waited too long for a row; both ask for the
# whole transaction again. Source: MySQL error reference, ER_LOCK_DEADLOCK, ER_LOCK_WAIT_TIMEOUT.
_LOST_RACE = frozenset({1213, 1205})
_TRIES = 6

# Names of the functions under ``own_transaction``, for the test that holds the list.
OWN_TRANSACTIONS: set[str] = set()


def own_transaction(
    work: Callable[Concatenate[Session, Parameters], Result],
) -> Callable[Concatenate[Session, Parameters], Result]:
    """Run a function in a short transaction of its own, committed at its end.

    For the few changes that must outlive whatever becomes of the caller: a rotated refresh token,
    a lease, a pause. The function gets a new session in place of the caller's, which must hold no
    uncommitted change (SQLite has one writer at a time). Where the transaction lost a race for
    locks it is rolled back and run again, so the function must be safe to run twice.
    """
    OWN_TRANSACTIONS.add(f"{work.__module__}.{work.__qualname__}".removeprefix("imagehub."))

    @wraps(work)
    def run(session: Session, /, *args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        return run_in_own_transaction(session, lambda own: work(own, *args, **kwargs))

    return run


def run_in_own_transaction(session: Session, work: Callable[[Session], Result]) -> Result:
    """Run ``work`` as a function under :func:`own_transaction`."""
    for turn in range(1, _TRIES + 1):
        try:
            with Session(session.get_bind(), expire_on_commit=False) as own, own.begin():
                return work(own)
        except OperationalError as error:
            if not is_lost_race(error) or turn == _TRIES:
                raise
            # Wait a random while, so that the losers do not meet again at the same row.
            time.sleep(random.uniform(0, 0.05 * turn))  # noqa: S311 - spreads load, hides nothing
    raise AssertionError("unreachable")


def is_lost_race(error: OperationalError) -> bool:
    """Tell whether a transaction ended in a deadlock or waited too long for a lock (MySQL)."""
    args: tuple[Any, ...] = getattr(error.orig, "args", ())
    return bool(args) and args[0] in _LOST_RACE


def end_read(session: Session) -> None:
    """End a transaction that only read, before a slow call to another service.

    :raise RuntimeError: the session holds changes, which would be lost.
    """
    if session.new or session.dirty or session.deleted:
        raise RuntimeError("this session holds changes that are not saved")
    session.rollback()


@event.listens_for(Engine, "connect")
def _prepare_sqlite(connection: DBAPIConnection, _record: ConnectionPoolEntry) -> None:
    """SQLite: readers beside one writer, foreign keys kept, and patience for the other writer."""
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


def make_engine_options(url: str) -> dict[str, Any]:
    """Pool and connection options for one database address."""
    if url.startswith("sqlite"):
        return {"hide_parameters": True, "connect_args": {"timeout": 20}}
    return {
        # Errors end up in logs, and parameters hold password hashes and sealed tokens.
        "hide_parameters": True,
        # MySQL closes connections that idle for wait_timeout; ask before use, renew hourly.
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


def get_database_time(session: Session) -> datetime:
    """This moment by the one clock that all holders share, aware UTC.

    Machines around one MariaDB may disagree about the time, so its clock counts. A SQLite file is
    used by one machine alone.
    """
    if session.get_bind().dialect.name in ("mysql", "mariadb"):
        moment = session.scalar(select(func.utc_timestamp(6)))
        assert isinstance(moment, datetime)
        return moment.replace(tzinfo=UTC)
    return now_utc()


def make_batches(things: Iterable[Thing], size: int = 500) -> Iterator[list[Thing]]:
    """Lists of at most ``size``, in order."""
    walk = iter(things)
    while batch := list(islice(walk, size)):
        yield batch


def count_rows(session: Session, statement: Any) -> int:
    """Run an UPDATE or DELETE and return how many rows it matched.

    Objects that the session holds already are not brought up to date.
    """
    result = session.execute(statement.execution_options(synchronize_session=False))
    return int(cast("CursorResult[Any]", result).rowcount)
