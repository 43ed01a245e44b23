"""Claim import items, renew their leases, recover abandoned ones."""

import logging
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from imagehub.database import count_rows, get_database_time, run_in_own_transaction
from imagehub.domain.imports.jobs import OPEN_STATES
from imagehub.models import ImportItem, ImportJob

log = logging.getLogger(__name__)

LEASE_SECONDS = 45.0

# An item is more suspect when the worker that died was processing nothing else.
SUSPICION_ALONE = 2
SUSPICION_SHARED = 1
MAX_SUSPICION = 6

STOPPED_REASON = "The worker ended several times while it was importing this file."


class LeaseLostError(Exception):
    """The item is no longer this worker's; whatever it made of it is to be thrown away."""


# --- Claims and leases ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Claim:
    """An item in hand: what is to be done, and who may do it.

    ``image_id`` is set where an image is there and its renditions are to be made again.
    """

    item_id: int
    job_id: int
    account_id: int
    owner: str
    group_id: int | None
    drive_item_id: str
    file_name: str
    folder_id: str
    folder_name: str
    number: int
    position: int
    image_id: int | None


def claim_item(
    session: Session, job_id: int, owner: str, lease_seconds: float = LEASE_SECONDS
) -> Claim | None:
    """Take the next item of a job that is due, or None. Commits on its own.

    :param owner: the worker's name, at most 64 characters.
    """
    return run_in_own_transaction(
        session, lambda own: _try_claim(own, job_id, owner, lease_seconds)
    )


def _try_claim(own: Session, job_id: int, owner: str, lease_seconds: float) -> Claim | None:
    now = get_database_time(own)
    while True:
        candidates = own.scalars(
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
            # Whoever changes the state first has the item; the others find it changed.
            if count_rows(
                own,
                update(ImportItem)
                .where(ImportItem.id == item_id, ImportItem.state == "queued")
                .values(
                    state="running",
                    lease_owner=owner,
                    lease_until=now + timedelta(seconds=lease_seconds),
                ),
            ):
                return _read_claim(own, item_id, owner)


def _read_claim(own: Session, item_id: int, owner: str) -> Claim:
    item, account_id = own.execute(
        select(ImportItem, ImportJob.drive_account_id)
        .join(ImportJob, ImportJob.id == ImportItem.job_id)
        .where(ImportItem.id == item_id)
    ).one()
    return Claim(
        item_id=item.id,
        job_id=item.job_id,
        account_id=account_id,
        owner=owner,
        group_id=item.group_id,
        drive_item_id=item.drive_item_id,
        file_name=item.file_name,
        folder_id=item.folder_id,
        folder_name=item.folder_name,
        number=item.number,
        position=item.position,
        image_id=item.image_id,
    )


def renew_claims(
    session: Session, owner: str, item_ids: Sequence[int], lease_seconds: float = LEASE_SECONDS
) -> int:
    """Hold on to items for ``lease_seconds`` from now. Commits on its own.

    :return: how many are still the owner's.
    """
    return run_in_own_transaction(
        session,
        lambda own: count_rows(
            own,
            update(ImportItem)
            .where(
                ImportItem.id.in_(item_ids),
                ImportItem.lease_owner == owner,
                ImportItem.state == "running",
            )
            .values(lease_until=get_database_time(own) + timedelta(seconds=lease_seconds)),
        ),
    )


def release_claims(session: Session, owner: str) -> int:
    """Put back everything a worker has in hand, to be taken up at once. Commits on its own."""
    return run_in_own_transaction(
        session,
        lambda own: count_rows(
            own,
            update(ImportItem)
            .where(ImportItem.lease_owner == owner, ImportItem.state == "running")
            .values(
                state="queued",
                lease_owner="",
                lease_until=None,
                available_at=get_database_time(own),
            ),
        ),
    )


@dataclass(frozen=True)
class Sweep:
    """What a sweep found. ``due`` is job id → items that somebody could take up now."""

    returned_count: int
    failed_count: int
    finished_count: int
    due: Mapping[int, int]


def sweep(session: Session, lease_seconds: float = LEASE_SECONDS) -> Sweep:
    """Set right what was left lying. Commits on its own; safe in many workers at once.

    Items whose worker ended without a word are queued again, and fail where that happened too
    often. Jobs without open items are finished.
    """
    returned, failed = _return_lost_items(session, lease_seconds)
    finished = 0
    open_item = (
        select(ImportItem.id)
        .where(ImportItem.job_id == ImportJob.id, ImportItem.state.in_(OPEN_STATES))
        .exists()
    )
    with_nothing_open = session.scalars(
        select(ImportJob.id).where(ImportJob.state == "running", ~open_item)
    ).all()
    due = {
        job_id: count
        for job_id, count in session.execute(
            select(ImportItem.job_id, func.count())
            .join(ImportJob, ImportJob.id == ImportItem.job_id)
            .where(
                ImportJob.state == "running",
                ImportItem.state == "queued",
                ImportItem.available_at <= get_database_time(session),
            )
            .group_by(ImportItem.job_id)
            .order_by(ImportItem.job_id)
        )
    }
    session.rollback()
    for job_id in with_nothing_open:
        finished += finish_job(session, job_id)
    return Sweep(returned, failed, finished, due)


def _return_lost_items(session: Session, lease_seconds: float) -> tuple[int, int]:
    now = get_database_time(session)
    lost = session.execute(
        select(ImportItem.id, ImportItem.lease_owner, ImportItem.lease_until, ImportItem.suspicion)
        .where(ImportItem.state == "running", ImportItem.lease_until <= now)
        .order_by(ImportItem.id)
    ).all()
    session.rollback()
    owners = [row.lease_owner for row in lost]
    returned = failed = 0
    for row in lost:
        is_alone = owners.count(row.lease_owner) == 1
        suspicion = row.suspicion + (SUSPICION_ALONE if is_alone else SUSPICION_SHARED)
        if suspicion >= MAX_SUSPICION:
            values = {"state": "failed", "reason": STOPPED_REASON, "finished_at": now}
        else:
            # Items that were lost before come back one by one, so that the one which ends workers
            # drags no innocent ones along.
            spread = lease_seconds * (1 if row.suspicion else 0)
            delay = random.uniform(0, spread)  # noqa: S311 - spreads work, hides nothing
            values = {"state": "queued", "available_at": now + timedelta(seconds=delay)}
        statement = (
            update(ImportItem)
            .where(
                ImportItem.id == row.id,
                ImportItem.state == "running",
                ImportItem.lease_owner == row.lease_owner,
                ImportItem.lease_until <= now,
            )
            .values(suspicion=suspicion, lease_owner="", lease_until=None, **values)
        )
        changed = run_in_own_transaction(session, lambda own, s=statement: count_rows(own, s))  # type: ignore[misc]
        if values["state"] == "failed":
            failed += changed
        else:
            returned += changed
    return returned, failed


def finish_job(session: Session, job_id: int) -> int:
    """End a job that has no open items; 1 if this call did it. Commits on its own."""
    open_item = (
        select(ImportItem.id)
        .where(ImportItem.job_id == job_id, ImportItem.state.in_(OPEN_STATES))
        .exists()
    )

    def finish(own: Session) -> int:
        now = get_database_time(own)
        return count_rows(
            own,
            update(ImportJob)
            .where(ImportJob.id == job_id, ImportJob.state == "running", ~open_item)
            .values(state="finished", finished_at=now, last_activity_at=now),
        )

    return run_in_own_transaction(session, finish)
