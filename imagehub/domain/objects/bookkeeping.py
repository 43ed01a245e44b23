"""Bookkeeping of the objects in the bucket: never a rendition without its bytes.

Two stores cannot be changed in one transaction, so the row of an object (``StoredObject``) says
what is going on, and is committed before anything happens to the bytes:

1. An import *pins* the keys it is about to write: their rows are there, ``pinned_until`` ahead.
2. It writes the bytes, and then in one transaction adds the renditions and lets go of the pins.
3. Who deletes first *marks* rows that no rendition refers to and no pin protects
   (``is_deleting``; ``pinned_until`` is then the moment until which the deleter has them in hand),
   commits, looks once more for renditions, deletes the bytes, and then the rows.

A pinned key cannot be marked and a marked key cannot be pinned; step 2 fails where a key has gone
in the meantime, and the import begins again. So a crash at any point leaves an object too many,
never one too few, and ``reconcile`` finds it.
"""

import logging
import random
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

from sqlalchemy import case, delete, exists, insert, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from imagehub.clients import Clients
from imagehub.database import count_rows, get_database_time, make_batches, run_in_own_transaction
from imagehub.errors import ServiceBusyError, ServiceError
from imagehub.models import Rendition, StoredObject

log = logging.getLogger(__name__)

# Longer than any picture takes from the pin to its renditions, retries of the store included.
PIN_SECONDS = 1800
# Longer than the store's client tries to delete one batch; another may take over afterwards.
DELETE_SECONDS = 300
BATCH = 500

Thing = TypeVar("Thing")


class KeyGoneError(Exception):
    """A pinned key lost its row before the renditions came: the import has to begin again."""


# --- Pins -----------------------------------------------------------------------------------------


def pin_keys(
    session: Session, keys: Iterable[str], wait_seconds: float = 5.0
) -> tuple[datetime, frozenset[str]]:
    """Protect keys from deletion before their bytes are written. Commits on its own.

    :param session: holds no uncommitted change.
    :return: until when they are protected (hand it to :func:`use_keys`), and those of the keys
        whose bytes are stored already.
    :raise ServiceBusyError: one of the keys is being deleted at this moment.
    """
    wanted = sorted(set(keys))
    deadline = time.monotonic() + wait_seconds
    while True:
        try:
            pinned = run_in_own_transaction(session, lambda own: _try_pin(own, wanted))
        except IntegrityError:
            continue  # Another import brought in the same key between our look and our insert.
        if pinned is not None:
            return pinned
        if time.monotonic() >= deadline:
            raise ServiceBusyError(
                "object storage",
                "store a rendition",
                "The same picture is just being deleted. It is tried again in a moment.",
                retry_after_seconds=10,
            )
        time.sleep(0.1)


def _try_pin(own: Session, wanted: Sequence[str]) -> tuple[datetime, frozenset[str]] | None:
    until = get_database_time(own) + timedelta(seconds=PIN_SECONDS)
    # A change comes first: SQLite then waits for other writers here and not half-way.
    if _pin_rows(own, wanted, until) < len(wanted):
        there = set(own.scalars(select(StoredObject.key).where(StoredObject.key.in_(wanted))))
        missing = [key for key in wanted if key not in there]
        if missing:
            own.execute(
                insert(StoredObject),
                [{"key": k, "pinned_until": until, "created_at": until} for k in missing],
            )
        if _pin_rows(own, wanted, until) < len(wanted):
            own.rollback()
            return None
    stored = own.scalars(
        select(StoredObject.key).where(StoredObject.key.in_(wanted), StoredObject.size_bytes > 0)
    )
    return until, frozenset(stored)


def _pin_rows(own: Session, wanted: Sequence[str], until: datetime) -> int:
    return count_rows(
        own,
        update(StoredObject)
        .where(StoredObject.key.in_(wanted), StoredObject.is_deleting.is_(False))
        .values(pinned_until=until),
    )


def use_keys(session: Session, sizes: Mapping[str, int], pinned_until: datetime) -> None:
    """In the transaction that adds the renditions: note the sizes, and let go of the pins.

    :param sizes: key → bytes written.
    :param pinned_until: what :func:`pin_keys` gave; a later pin of somebody else stays.
    :raise KeyGoneError: a key was deleted in the meantime; roll back and begin again.
    """
    for key in sorted(sizes):
        found = count_rows(
            session,
            update(StoredObject)
            .where(StoredObject.key == key, StoredObject.is_deleting.is_(False))
            .values(
                size_bytes=sizes[key],
                pinned_until=case(
                    (StoredObject.pinned_until > pinned_until, StoredObject.pinned_until),
                    else_=None,
                ),
            ),
        )
        if not found:
            raise KeyGoneError(key)


def delete_unused(session: Session, clients: Clients, keys: Iterable[str]) -> int:
    """Delete those of the objects that nothing uses. Commits on its own, again and again.

    Where the store fails, the rows stay marked: the worker's sweep and ``reconcile`` finish it.

    :param session: holds no uncommitted change.
    :return: objects deleted.
    """
    count = 0
    for batch in make_batches(sorted(set(keys))):
        marked, deadline = mark_unused(session, batch)
        count += delete_marked(session, clients, marked, deadline)
    return count


def leave_unused(session: Session, keys: Iterable[str]) -> int:
    """Mark those of the objects that nothing uses, for the worker's next sweep to delete.

    The store is not asked, so nobody waits for it. Commits on its own, again and again.

    :param session: holds no uncommitted change.
    :return: objects that will go.
    """
    count = 0
    for batch in make_batches(sorted(set(keys))):
        marked, deadline = mark_unused(session, batch)

        def let_go(own: Session, marked: Sequence[str] = marked, at: datetime = deadline) -> None:
            own.execute(
                update(StoredObject)
                .where(
                    StoredObject.key.in_(marked),
                    StoredObject.is_deleting.is_(True),
                    StoredObject.pinned_until == at,
                )
                .values(pinned_until=get_database_time(own))
                .execution_options(synchronize_session=False)
            )

        if marked:
            run_in_own_transaction(session, let_go)
        count += len(marked)
    return count


def mark_unused(
    session: Session, keys: Sequence[str], pins_until: datetime | None = None
) -> tuple[list[str], datetime]:
    """Mark the keys that no rendition uses and no pin protects. Commits on its own.

    :param keys: at most ``BATCH``.
    :param pins_until: pins up to this moment do not count; now when None.
    :return: the keys that are now the caller's to delete, and until when.
    """

    def mark(own: Session) -> datetime:
        deadline = _make_deadline(own)
        cutoff = pins_until or get_database_time(own)
        own.execute(
            update(StoredObject)
            .where(
                StoredObject.key.in_(keys),
                StoredObject.is_deleting.is_(False),
                or_(StoredObject.pinned_until.is_(None), StoredObject.pinned_until <= cutoff),
                ~exists().where(Rendition.object_key == StoredObject.key),
            )
            .values(is_deleting=True, pinned_until=deadline)
            .execution_options(synchronize_session=False)
        )
        return deadline

    deadline = run_in_own_transaction(session, mark)
    return _keep_unused(session, keys, deadline), deadline


def _keep_unused(session: Session, keys: Sequence[str], deadline: datetime) -> list[str]:
    """Of the keys marked with this deadline, those that are unused indeed; the others are freed.

    The mark is committed, so from now on no rendition can be added. One that was committed while
    the marking waited for its lock may have been invisible to it, and is seen here.
    """

    def look(own: Session) -> list[str]:
        mine = (
            StoredObject.key.in_(keys),
            StoredObject.is_deleting.is_(True),
            StoredObject.pinned_until == deadline,
        )
        own.execute(
            update(StoredObject)
            .where(*mine, exists().where(Rendition.object_key == StoredObject.key))
            .values(is_deleting=False, pinned_until=None)
            .execution_options(synchronize_session=False)
        )
        return list(own.scalars(select(StoredObject.key).where(*mine)))

    return run_in_own_transaction(session, look)


def delete_marked(
    session: Session, clients: Clients, keys: Sequence[str], deadline: datetime
) -> int:
    """Delete the objects of keys that were marked with this deadline, then their rows.

    :return: objects deleted; 0 where the store failed, which is logged.
    """
    if not keys:
        return 0
    try:
        clients.store.delete_objects(keys)
    except ServiceError as error:
        log.warning("%d objects could not be deleted yet: %s", len(keys), error)
        return 0
    run_in_own_transaction(
        session,
        lambda own: own.execute(
            delete(StoredObject)
            .where(
                StoredObject.key.in_(keys),
                StoredObject.is_deleting.is_(True),
                StoredObject.pinned_until == deadline,
            )
            .execution_options(synchronize_session=False)
        ),
    )
    return len(keys)


def finish_deletions(session: Session, clients: Clients) -> int:
    """Take over what somebody marked and never finished. Commits on its own.

    :return: objects deleted.
    """
    count = 0
    while True:
        keys, deadline = _take_over(session)
        if not keys:
            return count
        deleted = delete_marked(session, clients, keys, deadline)
        if not deleted:
            return count
        count += deleted


def _take_over(session: Session) -> tuple[list[str], datetime]:
    def take(own: Session) -> tuple[list[str], datetime]:
        now = get_database_time(own)
        deadline = _make_deadline(own)
        late = (StoredObject.is_deleting.is_(True), StoredObject.pinned_until <= now)
        keys = list(own.scalars(select(StoredObject.key).where(*late).limit(BATCH)))
        if keys:
            own.execute(
                update(StoredObject)
                .where(StoredObject.key.in_(keys), *late)
                .values(pinned_until=deadline)
                .execution_options(synchronize_session=False)
            )
        return keys, deadline

    keys, deadline = run_in_own_transaction(session, take)
    return (_keep_unused(session, keys, deadline) if keys else []), deadline


def adopt_for_deletion(session: Session, keys: Sequence[str]) -> tuple[list[str], datetime]:
    """Give rows, marked from the start, to objects that have none. Commits on its own.

    :param keys: at most ``BATCH``.
    :return: the keys that are now the caller's to delete, and until when. A key that got a row in
        the meantime is not among them.
    """
    adopted: list[str] = []
    deadline = run_in_own_transaction(session, lambda own: _make_deadline(own))
    for key in keys:
        row = {"key": key, "is_deleting": True, "pinned_until": deadline, "created_at": deadline}
        try:
            run_in_own_transaction(session, lambda own, r=row: own.execute(insert(StoredObject), r))  # type: ignore[misc]
        except IntegrityError:
            continue
        adopted.append(key)
    return adopted, deadline


def _make_deadline(own: Session) -> datetime:
    """Until when a deleter has its keys in hand: random enough that no two name the same moment."""
    # Chosen to differ, not to be kept secret.
    spread = random.uniform(0, 1)  # noqa: S311
    return get_database_time(own) + timedelta(seconds=DELETE_SECONDS + spread)
