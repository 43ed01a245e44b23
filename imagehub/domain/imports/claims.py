"""Claim import items, renew their leases, recover abandoned ones; register running workers."""

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import exists, func, select, update
from sqlalchemy.orm import Session

from imagehub.database import count_rows, end_read, get_database_time, own_transaction
from imagehub.domain.imports.jobs import OPEN_STATES
from imagehub.domain.leases import acquire_lease, release_lease
from imagehub.messages import mark
from imagehub.models import ImportItem, ImportJob, Lease

LEASE_SECONDS = 45.0

# An item is more suspect when the worker that died was processing nothing else.
SUSPICION_ALONE = 2
SUSPICION_SHARED = 1
MAX_SUSPICION = 6

_WORKER_LEASE = "worker:"

STOPPED_REASON = mark("The worker stopped several times while importing this file.")

_HAS_NO_OPEN_ITEM = ~exists().where(
    ImportItem.job_id == ImportJob.id, ImportItem.state.in_(OPEN_STATES)
)


class LeaseLostError(Exception):
    """Another worker has the item now; the result of this one must be discarded."""


# --- Claims and leases ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Claim:
    """A claimed item, as it was then, and the connected account that it is imported from.

    The item has an image if the renditions of that image are to be made again. ``origin``: as in
    :class:`ImportJob`.
    """

    item: ImportItem
    account_id: int
    origin: str = ""


@own_transaction
def claim_item(
    session: Session, job_id: int, owner: str, lease_seconds: float = LEASE_SECONDS
) -> Claim | None:
    """Claim the next item of a job that is due; None if there is none.

    :param owner: the worker's name, at most 64 characters.
    """
    now = get_database_time(session)
    while True:
        candidates = session.scalars(
            select(ImportItem.id)
            .where(
                ImportItem.job_id == job_id,
                ImportItem.state == "queued",
                ImportItem.available_at <= now,
            )
            .order_by(ImportItem.available_at, ImportItem.id)
            .limit(8)
        ).all()
        if not candidates:
            return None
        for item_id in candidates:
            # The first worker to change the state has the item; the others find it changed.
            if count_rows(
                session,
                update(ImportItem)
                .where(ImportItem.id == item_id, ImportItem.state == "queued")
                .values(
                    state="running",
                    waits_for_access=False,
                    lease_owner=owner,
                    lease_until=now + timedelta(seconds=lease_seconds),
                ),
            ):
                item, account_id, origin = session.execute(
                    select(ImportItem, ImportJob.drive_account_id, ImportJob.origin)
                    .join(ImportJob, ImportJob.id == ImportItem.job_id)
                    .where(ImportItem.id == item_id)
                ).one()
                return Claim(item, account_id, origin)


@own_transaction
def renew_claims(
    session: Session, owner: str, item_ids: Sequence[int], lease_seconds: float = LEASE_SECONDS
) -> int:
    """Renew the leases of claimed items for ``lease_seconds`` from now.

    :return: how many items the worker still has.
    """
    return count_rows(
        session,
        update(ImportItem)
        .where(
            ImportItem.id.in_(item_ids),
            ImportItem.lease_owner == owner,
            ImportItem.state == "running",
        )
        .values(lease_until=get_database_time(session) + timedelta(seconds=lease_seconds)),
    )


@own_transaction
def release_claims(session: Session, owner: str, item_ids: Sequence[int] | None = None) -> int:
    """Queue items of a worker again, due at once.

    :param item_ids: only these, by default all.
    :return: the number of items.
    """
    own = [ImportItem.lease_owner == owner, ImportItem.state == "running"]
    if item_ids is not None:
        own.append(ImportItem.id.in_(item_ids))
    return count_rows(
        session,
        update(ImportItem)
        .where(*own)
        .values(
            state="queued",
            lease_owner="",
            lease_until=None,
            available_at=get_database_time(session),
        ),
    )


# --- Recovery -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sweep:
    """The result of a sweep. ``due``: job id → number of items that could be claimed now."""

    returned_count: int
    failed_count: int
    due: Mapping[int, int]


def sweep(session: Session, lease_seconds: float = LEASE_SECONDS, recovers: bool = True) -> Sweep:
    """Recover abandoned items and finish jobs without open items; safe in many workers at once.

    Items whose lease expired are queued again, or fail if that happened too often.

    :param recovers: whether expired leases count; not right after an outage of the database, in
        which no worker could renew its own.
    """
    returned, failed = _recover_items(session, lease_seconds) if recovers else (0, 0)
    done_jobs = session.scalars(
        select(ImportJob.id).where(ImportJob.state == "running", _HAS_NO_OPEN_ITEM)
    ).all()
    due = session.execute(
        select(ImportItem.job_id, func.count())
        .join(ImportJob, ImportJob.id == ImportItem.job_id)
        .where(
            ImportJob.state == "running",
            ImportItem.state == "queued",
            ImportItem.available_at <= get_database_time(session),
        )
        .group_by(ImportItem.job_id)
        .order_by(ImportItem.job_id)
    ).all()
    end_read(session)
    for job_id in done_jobs:
        finish_job(session, job_id)
    return Sweep(returned, failed, dict(due))


def _recover_items(session: Session, lease_seconds: float) -> tuple[int, int]:
    """Recover items whose lease expired; return how many were queued again and how many failed."""
    now = get_database_time(session)
    lost = session.execute(
        select(ImportItem.id, ImportItem.lease_owner, ImportItem.lease_until, ImportItem.suspicion)
        .where(ImportItem.state == "running", ImportItem.lease_until <= now)
        .order_by(ImportItem.id)
    ).all()
    end_read(session)
    owners = [row.lease_owner for row in lost]
    counts: Counter[str] = Counter()
    for row in lost:
        is_alone = owners.count(row.lease_owner) == 1
        suspicion = row.suspicion + (SUSPICION_ALONE if is_alone else SUSPICION_SHARED)
        values: dict[str, Any]
        if suspicion >= MAX_SUSPICION:
            values = {"state": "failed", "reason": STOPPED_REASON, "finished_at": now}
        else:
            # Items that were lost before come back one by one, so that one that crashes workers
            # does not make others suspect.
            spread = lease_seconds * (1 if row.suspicion else 0)
            delay = random.uniform(0, spread)  # noqa: S311 - not for security
            values = {"state": "queued", "available_at": now + timedelta(seconds=delay)}
        values["suspicion"] = suspicion
        counts[values["state"]] += _recover_item(session, row.id, row.lease_owner, now, values)
    return counts["queued"], counts["failed"]


@own_transaction
def _recover_item(
    session: Session, item_id: int, owner: str, expired_at: datetime, values: dict[str, Any]
) -> int:
    """Change an item unless its lease was renewed in the meantime; 1 if it was changed."""
    return count_rows(
        session,
        update(ImportItem)
        .where(
            ImportItem.id == item_id,
            ImportItem.state == "running",
            ImportItem.lease_owner == owner,
            ImportItem.lease_until <= expired_at,
        )
        .values(lease_owner="", lease_until=None, **values),
    )


@own_transaction
def finish_job(session: Session, job_id: int) -> None:
    """Finish a job that has no open items."""
    now = get_database_time(session)
    count_rows(
        session,
        update(ImportJob)
        .where(ImportJob.id == job_id, ImportJob.state == "running", _HAS_NO_OPEN_ITEM)
        .values(state="finished", finished_at=now, last_activity_at=now),
    )


# --- Running workers ------------------------------------------------------------------------------


def note_worker(session: Session, owner: str, seconds: float) -> None:
    """Register a worker as running for the next ``seconds``. Commits on its own."""
    acquire_lease(session, _WORKER_LEASE + owner, owner, seconds)


def forget_worker(session: Session, owner: str) -> None:
    """Remove a worker from the register. Commits on its own."""
    release_lease(session, _WORKER_LEASE + owner, owner)


def count_workers(session: Session) -> int:
    now = get_database_time(session)
    query = select(func.count()).where(
        Lease.name.startswith(_WORKER_LEASE, autoescape=True), Lease.held_until > now
    )
    return session.scalar(query) or 0
