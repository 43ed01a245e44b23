"""Keep track of the objects in the bucket, so that no rendition is ever without its bytes.

The database and the bucket cannot be changed in one transaction. So the row of an object
(``StoredObject``) says what is being done to it, and is committed before its bytes change:

1. An import *pins* the keys that it is about to write: their rows exist, with ``pinned_until`` in
   the future.
2. It writes the bytes. One transaction then adds the renditions and removes the pins.
3. A deletion *marks* the rows that no rendition refers to and no pin protects (``is_deleting``;
   ``pinned_until`` is then the deadline of whoever deletes them). After the commit it checks the
   renditions once more, deletes the bytes, and then the rows.

A pinned key cannot be marked, and a marked key cannot be pinned. Step 2 fails if a key was marked
meanwhile, and the import starts over. A crash at any point leaves an object too many, never one too
few; ``reconcile`` finds it.

A key that ends with a slash stands for all objects below it: the tiles of an image, or the parts
of a print file.
"""

import logging
import random
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, case, delete, exists, insert, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from imagehub.clients import Clients
from imagehub.database import count_rows, get_database_time, make_batches, own_transaction
from imagehub.errors import ServiceBusyError, ServiceError
from imagehub.models import (
    LogoPicture,
    PrintFile,
    Rendition,
    StoredObject,
    TileSet,
    WatermarkPicture,
)

log = logging.getLogger(__name__)

# Longer than an import takes from pinning to its renditions, with all retries of the store.
PIN_SECONDS = 1800
# Longer than the store's client tries to delete one batch; others may take it over afterwards.
DELETE_SECONDS = 300
BATCH = 500

IS_USED = or_(
    exists().where(Rendition.object_key == StoredObject.key),
    exists().where(Rendition.marked_key == StoredObject.key),
    exists().where(TileSet.object_key == StoredObject.key),
    exists().where(WatermarkPicture.object_key == StoredObject.key),
    exists().where(LogoPicture.object_key == StoredObject.key),
    exists().where(PrintFile.object_key == StoredObject.key),
)
_IS_KEPT = StoredObject.is_deleting.is_(False)


class KeyGoneError(Exception):
    """A pinned key was marked before its renditions were added: the import has to start over."""


# --- Pins -----------------------------------------------------------------------------------------


def pin_keys(
    session: Session, keys: Iterable[str], wait_seconds: float = 5.0
) -> tuple[datetime, frozenset[str]]:
    """Protect keys from deletion before their bytes are written. Commits on its own.

    :return: until when they are protected, for :func:`use_keys`; and those of the keys whose bytes
        are stored already.
    :raise ServiceBusyError: one of the keys is being deleted.
    """
    wanted = sorted(set(keys))
    deadline = time.monotonic() + wait_seconds
    while True:
        try:
            return _pin(session, wanted)
        except IntegrityError:
            continue  # Another import has inserted one of the keys.
        except ServiceBusyError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(0.1)


@own_transaction
def _pin(session: Session, wanted: Sequence[str]) -> tuple[datetime, frozenset[str]]:
    until = get_database_time(session) + timedelta(seconds=PIN_SECONDS)
    # The first statement writes, so that SQLite waits for other writers here.
    if _pin_rows(session, wanted, until) < len(wanted):
        known = set(session.scalars(select(StoredObject.key).where(StoredObject.key.in_(wanted))))
        dates = {"pinned_until": until, "created_at": until}
        rows = [{"key": key, **dates} for key in wanted if key not in known]
        if rows:
            session.execute(insert(StoredObject), rows)
        if _pin_rows(session, wanted, until) < len(wanted):
            fault = "The same image is being deleted. Import it again in a moment."
            raise ServiceBusyError("object storage", "store a rendition", fault, 10)
    stored = session.scalars(
        select(StoredObject.key).where(StoredObject.key.in_(wanted), StoredObject.size_bytes > 0)
    )
    return until, frozenset(stored)


def _pin_rows(session: Session, wanted: Sequence[str], until: datetime) -> int:
    these = update(StoredObject).where(StoredObject.key.in_(wanted), _IS_KEPT)
    return count_rows(session, these.values(pinned_until=until))


def use_keys(session: Session, sizes: Mapping[str, int], pinned_until: datetime) -> None:
    """Record the sizes of written objects and remove their pins.

    Call it in the transaction that adds the renditions.

    :param sizes: key → size in bytes.
    :param pinned_until: as returned by :func:`pin_keys`; a later pin of another import stays.
    :raise KeyGoneError: a key was marked meanwhile; roll back and start over.
    """
    later_pin = case(
        (StoredObject.pinned_until > pinned_until, StoredObject.pinned_until), else_=None
    )
    for key in sorted(sizes):
        this = update(StoredObject).where(StoredObject.key == key, _IS_KEPT)
        if not count_rows(session, this.values(size_bytes=sizes[key], pinned_until=later_pin)):
            raise KeyGoneError(key)


# --- Deletion -------------------------------------------------------------------------------------


def leave_unused(session: Session, keys: Iterable[str]) -> int:
    """Mark those of the objects that nothing uses, for the worker's next sweep to delete.

    Asks no object storage. The marks belong to the caller's transaction; the sweep checks the
    renditions once more after the commit.

    :return: how many objects are marked.
    """
    now = get_database_time(session)
    return sum(_mark(session, batch, now, now) for batch in make_batches(sorted(set(keys))))


def delete_unused(session: Session, clients: Clients, keys: Iterable[str]) -> int:
    """Delete those of the objects that nothing uses. Commits on its own, batch by batch.

    If the store fails, the rows stay marked for the worker's sweep or for ``reconcile``.

    :return: how many objects were deleted.
    """
    count = 0
    for batch in make_batches(sorted(set(keys))):
        marked, deadline = mark_unused(session, batch)
        count += delete_marked(session, clients, marked, deadline)
    return count


def mark_unused(
    session: Session, keys: Sequence[str], pins_until: datetime | None = None
) -> tuple[list[str], datetime]:
    """Mark the keys that no rendition uses and no pin protects. Commits on its own.

    :param keys: at most ``BATCH``.
    :param pins_until: pins up to this moment do not protect; now when None.
    :return: the keys that the caller may delete, and its deadline.
    """
    deadline = _mark_for_caller(session, keys, pins_until)
    return _free_used(session, keys, deadline), deadline


@own_transaction
def _mark_for_caller(
    session: Session, keys: Sequence[str], pins_until: datetime | None
) -> datetime:
    deadline = _make_deadline(session)
    _mark(session, keys, pins_until or get_database_time(session), deadline)
    return deadline


def _mark(session: Session, keys: Sequence[str], pins_until: datetime, deadline: datetime) -> int:
    is_free = or_(StoredObject.pinned_until.is_(None), StoredObject.pinned_until <= pins_until)
    unused = update(StoredObject).where(StoredObject.key.in_(keys), _IS_KEPT, is_free, ~IS_USED)
    return count_rows(session, unused.values(is_deleting=True, pinned_until=deadline))


@own_transaction
def _free_used(session: Session, keys: Sequence[str], deadline: datetime) -> list[str]:
    """Unmark those of the keys that are used after all.

    Since the marks are committed, no rendition can be added any more; but one that was committed
    while the marking statement waited for its lock may have been invisible to it.

    :return: the keys that are still marked with this deadline.
    """
    is_ours = _is_marked(keys, deadline)
    used = update(StoredObject).where(is_ours, IS_USED)
    count_rows(session, used.values(is_deleting=False, pinned_until=None))
    return list(session.scalars(select(StoredObject.key).where(is_ours)))


def delete_marked(
    session: Session, clients: Clients, keys: Sequence[str], deadline: datetime
) -> int:
    """Delete the objects of keys that are marked with this deadline, and then their rows.

    :return: how many objects were deleted; 0 if the store failed, which is logged.
    """
    if not keys:
        return 0
    try:
        clients.store.delete_objects(_iter_objects(clients, keys))
    except ServiceError as error:
        log.warning("Cannot delete %d objects yet: %s", len(keys), error)
        return 0
    _delete_rows(session, keys, deadline)
    return len(keys)


def _iter_objects(clients: Clients, keys: Iterable[str]) -> Iterator[str]:
    for key in keys:
        if key.endswith("/"):
            yield from (listed.key for listed in clients.store.iter_objects(key))
        else:
            yield key


def abandon(session: Session, clients: Clients, key: str) -> None:
    """Delete what was stored under a key that is pinned but will not be used. Commits on its own.

    If the store fails, the worker's sweep or ``reconcile`` does it.
    """
    _unpin(session, key)
    delete_unused(session, clients, [key])


@own_transaction
def _unpin(session: Session, key: str) -> None:
    this = update(StoredObject).where(StoredObject.key == key, _IS_KEPT)
    count_rows(session, this.values(pinned_until=None))


@own_transaction
def _delete_rows(session: Session, keys: Sequence[str], deadline: datetime) -> None:
    count_rows(session, delete(StoredObject).where(_is_marked(keys, deadline)))


def finish_deletions(session: Session, clients: Clients) -> int:
    """Delete the marked objects whose deadline is over. Commits on its own, batch by batch.

    :return: how many objects were deleted.
    """
    count = 0
    while True:
        taken, deadline = _take_over(session)
        if not taken:
            return count
        deleted = delete_marked(session, clients, _free_used(session, taken, deadline), deadline)
        if not deleted:
            return count
        count += deleted


@own_transaction
def _take_over(session: Session) -> tuple[list[str], datetime]:
    deadline, now = _make_deadline(session), get_database_time(session)
    is_late = StoredObject.is_deleting.is_(True) & (StoredObject.pinned_until <= now)
    keys = list(session.scalars(select(StoredObject.key).where(is_late).limit(BATCH)))
    late = update(StoredObject).where(StoredObject.key.in_(keys), is_late)
    count_rows(session, late.values(pinned_until=deadline))
    return keys, deadline


@own_transaction
def adopt_for_deletion(session: Session, keys: Sequence[str]) -> tuple[list[str], datetime]:
    """Insert marked rows for objects that have none. Commits on its own.

    :param keys: at most ``BATCH``.
    :return: the keys that the caller may delete, and its deadline. A key that got a row meanwhile
        is left out.
    """
    deadline = _make_deadline(session)
    adopted = []
    for key in keys:
        row = {"key": key, "is_deleting": True, "pinned_until": deadline, "created_at": deadline}
        try:
            with session.begin_nested():
                session.execute(insert(StoredObject), row)
        except IntegrityError:
            continue
        adopted.append(key)
    return adopted, deadline


def _is_marked(keys: Sequence[str], deadline: datetime) -> ColumnElement[bool]:
    return and_(
        StoredObject.key.in_(keys),
        StoredObject.is_deleting.is_(True),
        StoredObject.pinned_until == deadline,
    )


def _make_deadline(session: Session) -> datetime:
    """Return a deadline for deleting, random enough to be different from any other."""
    spread = random.uniform(0, 1)  # noqa: S311 - chosen to differ, not to be kept secret
    return get_database_time(session) + timedelta(seconds=DELETE_SECONDS + spread)
