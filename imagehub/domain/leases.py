"""Locks across processes that die with their holder.

A lease is a row: a name, who holds it, until when. Whoever holds one renews or releases it; one
that is neither simply runs out. Each function is a short transaction of its own, so the caller must
hold no uncommitted change.
"""

import secrets
from datetime import timedelta

from sqlalchemy import insert, or_, select, update
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm import Session

from imagehub.database import count_rows, get_database_time, open_own_transaction
from imagehub.models import Lease

# InnoDB's "deadlock found" and "lock wait timeout": another one was faster, nothing is wrong.
# Source: MySQL error reference, ER_LOCK_DEADLOCK and ER_LOCK_WAIT_TIMEOUT.
_LOST_RACE = frozenset({1213, 1205})


def make_owner() -> str:
    """A name for one holder that nobody else has."""
    return secrets.token_hex(16)


def acquire_lease(session: Session, name: str, owner: str, seconds: float) -> bool:
    """Take a lease if it is free, has run out, or is the owner's already.

    :param name: at most 120 characters.
    :param seconds: how long it holds unless renewed; longer than the work can take.
    :return: whether ``owner`` holds it now.
    """
    try:
        with open_own_transaction(session) as own:
            now = get_database_time(own)
            taken = count_rows(
                own,
                update(Lease)
                .where(Lease.name == name, or_(Lease.held_until <= now, Lease.owner == owner))
                .values(owner=owner, held_until=now + timedelta(seconds=seconds)),
            )
            if taken:
                return True
            if own.scalar(select(Lease.name).where(Lease.name == name)) is not None:
                return False
            own.execute(
                insert(Lease).values(
                    name=name, owner=owner, held_until=now + timedelta(seconds=seconds)
                ),
            )
            return True
    except IntegrityError:
        return False  # Two asked for a new name at once, and the other one's row came first.
    except OperationalError as error:
        if _get_code(error) in _LOST_RACE:
            return False
        raise


def renew_lease(session: Session, name: str, owner: str, seconds: float) -> bool:
    """Hold on to a lease for ``seconds`` from now.

    :return: False where it ran out and somebody else has taken it: stop the work.
    """
    with open_own_transaction(session) as own:
        until = get_database_time(own) + timedelta(seconds=seconds)
        return bool(
            count_rows(
                own,
                update(Lease)
                .where(Lease.name == name, Lease.owner == owner)
                .values(held_until=until),
            )
        )


def release_lease(session: Session, name: str, owner: str) -> bool:
    """Give a lease back, if it is still the owner's.

    The row stays, free: deleting and inserting the same key again and again is what makes InnoDB
    lock the gaps between keys, and then whole groups of holders wait on each other.
    """
    with open_own_transaction(session) as own:
        return bool(
            count_rows(
                own,
                update(Lease)
                .where(Lease.name == name, Lease.owner == owner)
                .values(owner="", held_until=get_database_time(own)),
            )
        )


def get_lease_seconds(session: Session, name: str) -> float:
    """Seconds until a lease runs out; 0 where nobody holds it."""
    with open_own_transaction(session) as own:
        until = own.scalar(select(Lease.held_until).where(Lease.name == name))
        if until is None:
            return 0.0
        return max(0.0, (until - get_database_time(own)).total_seconds())


def _get_code(error: OperationalError) -> object:
    args = getattr(error.orig, "args", ())
    return args[0] if args else None
