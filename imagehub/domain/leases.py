"""Leases: locks across processes that expire with their holder.

A lease is a row: a name, its owner, and until when it is held. The owner releases it or acquires it
again; otherwise it expires. Changes commit on their own, because other processes must see a lease
at once.
"""

import secrets
from datetime import timedelta

from sqlalchemy import insert, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from imagehub.database import count_rows, get_database_time, own_transaction
from imagehub.models import Lease


def make_owner() -> str:
    """Make a random name for the owner of leases."""
    return secrets.token_hex(16)


@own_transaction
def acquire_lease(session: Session, name: str, owner: str, seconds: float) -> bool:
    """Acquire a lease that is free or expired, or extend one's own.

    :param name: at most 120 characters.
    :param seconds: how long it is held; longer than the work can take.
    :return: whether ``owner`` holds it now.
    """
    now = get_database_time(session)
    until = now + timedelta(seconds=seconds)
    taken = count_rows(
        session,
        update(Lease)
        .where(Lease.name == name, or_(Lease.held_until <= now, Lease.owner == owner))
        .values(owner=owner, held_until=until),
    )
    if taken:
        return True
    if session.scalar(select(Lease.name).where(Lease.name == name)) is not None:
        return False
    try:
        with session.begin_nested():
            session.execute(insert(Lease).values(name=name, owner=owner, held_until=until))
    except IntegrityError:
        return False  # Another process inserted the row first.
    return True


@own_transaction
def release_lease(session: Session, name: str, owner: str) -> bool:
    """Release a lease, if it is still the owner's.

    The row stays: deleting and inserting the same key repeatedly makes InnoDB lock the gaps between
    keys, and then whole groups of owners wait for each other.
    """
    return bool(
        count_rows(
            session,
            update(Lease)
            .where(Lease.name == name, Lease.owner == owner)
            .values(owner="", held_until=get_database_time(session)),
        )
    )


def get_lease_seconds(session: Session, name: str) -> float:
    """Return the seconds until a lease expires, as it is now; 0 if nobody holds it."""
    with Session(session.get_bind()) as own:
        until = own.scalar(select(Lease.held_until).where(Lease.name == name))
        if until is None:
            return 0.0
        return max(0.0, (until - get_database_time(own)).total_seconds())
