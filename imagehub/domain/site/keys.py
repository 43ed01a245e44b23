"""Encrypt everything again after a change of keys, and tell what still needs the former ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Column, func, or_, select, update
from sqlalchemy.orm import Session

from imagehub.clients import Vault
from imagehub.database import (
    Base,
    count_rows,
    end_read,
    get_database_time,
    make_batches,
    now_utc,
    own_transaction,
)
from imagehub.domain.people.sessions import is_over
from imagehub.models import ShareLink, SignInSession
from imagehub.models.columns import SealedBinary


@dataclass(frozen=True)
class Resealed:
    """How many values were encrypted again, and how many none of the keys can decrypt."""

    count: int
    unreadable_count: int


def list_sealed_columns() -> list["Column[Any]"]:
    """List the columns whose values the vault encrypts."""
    columns = [column for table in Base.metadata.sorted_tables for column in table.columns]
    return [column for column in columns if isinstance(column.type, SealedBinary)]


def reseal_all(session: Session, vault: Vault) -> Resealed:
    """Encrypt with the first key what was encrypted with another one.

    Saves every few values, so it may be interrupted and run again, also while the hub runs: a value
    that changes meanwhile was encrypted with the first key already. The caller must hold no change.
    """
    count = unreadable_count = 0
    for column in list_sealed_columns():
        (key,) = column.table.primary_key
        rows = session.execute(select(key, column).where(column != b"")).all()
        end_read(session)
        fresh = []
        for number, sealed in rows:
            try:
                made = vault.reseal(sealed)
            except ValueError:
                unreadable_count += 1
                continue
            if made is not None:
                fresh.append((number, sealed, made))
        count += sum(_save(session, column, batch) for batch in make_batches(fresh, 50))
    return Resealed(count, unreadable_count)


@own_transaction
def _save(
    session: Session, column: "Column[Any]", rows: Sequence[tuple[object, bytes, bytes]]
) -> int:
    """Replace values that are as they were read; how many they were."""
    (key,) = column.table.primary_key
    change = update(column.table)
    return sum(
        count_rows(session, change.where(key == number, column == old).values({column.name: new}))
        for number, old, new in rows
    )


def count_older_sessions(session: Session, since: datetime) -> int:
    """Count the browsers that are signed in since before a time, and may have its cookies."""
    older = (SignInSession.created_at < since, ~is_over(now_utc()))
    return session.scalar(select(func.count(SignInSession.id)).where(*older)) or 0


def has_older_shares(session: Session, since: datetime) -> bool:
    """Tell whether visitors may have entered the password of an open link before a time."""
    ends_at, now = ShareLink.expires_at, get_database_time(session)
    is_open = (ShareLink.revoked_at.is_(None), or_(ends_at.is_(None), ends_at > now))
    older = (ShareLink.password_hash != "", ShareLink.created_at < since, *is_open)
    return bool(session.scalar(select(func.count(ShareLink.id)).where(*older)))
