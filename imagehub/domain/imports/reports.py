"""Report the progress and the failures of import jobs."""

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from imagehub.database import get_database_time
from imagehub.domain.imports.jobs import DISMISSED, get_job
from imagehub.models import ImportItem, ImportJob

# More failed items than this are counted, not listed.
MAX_LISTED = 1000
# Workers look for forgotten jobs every minute.
_STALL_TIME = timedelta(minutes=3)


@dataclass(frozen=True)
class FailedItem:
    """A file that was not imported. ``reason`` is one sentence; ``id`` is that of the item."""

    file_id: str
    file_name: str
    reason: str
    id: int = 0


@dataclass(frozen=True)
class JobReport:
    """The progress of an import.

    ``state`` is ``running`` or ``finished``; the counts are of items. ``waiting_reason`` says why
    queued items wait, if a service made them wait. ``failed`` and ``dismissed`` list at most
    ``MAX_LISTED`` items each.
    """

    id: int
    state: str
    item_count: int
    queued_count: int
    running_count: int
    done_count: int
    skipped_count: int
    failed_count: int
    waiting_reason: str = ""
    failed: Sequence[FailedItem] = field(default=())
    created_at: datetime | None = None
    dismissed_count: int = 0
    dismissed: Sequence[FailedItem] = field(default=())

    @property
    def is_finished(self) -> bool:
        return self.state == "finished"

    @property
    def finished_count(self) -> int:
        """The number of items that are no longer queued or running."""
        return self.done_count + self.skipped_count + self.failed_count + self.dismissed_count


def describe_job(session: Session, job_id: int) -> JobReport:
    """:raise NotFoundError: no such job."""
    job = get_job(session, job_id)
    counts = {
        state: count
        for state, count in session.execute(
            select(ImportItem.state, func.count())
            .where(ImportItem.job_id == job_id)
            .group_by(ImportItem.state)
        )
    }
    waiting = session.scalars(
        select(ImportItem.reason)
        .where(ImportItem.job_id == job_id, ImportItem.state == "queued", ImportItem.reason != "")
        .limit(1)
    ).first()
    return JobReport(
        id=job.id,
        state=job.state,
        item_count=job.item_count,
        queued_count=counts.get("queued", 0),
        running_count=counts.get("running", 0),
        done_count=counts.get("done", 0),
        skipped_count=counts.get("skipped", 0),
        failed_count=counts.get("failed", 0),
        waiting_reason=waiting or "",
        failed=_list_failed(session, job_id, "failed"),
        created_at=job.created_at,
        dismissed_count=counts.get(DISMISSED, 0),
        dismissed=_list_failed(session, job_id, DISMISSED) if DISMISSED in counts else (),
    )


def _list_failed(session: Session, job_id: int, state: str) -> tuple[FailedItem, ...]:
    rows = session.execute(
        select(ImportItem.drive_item_id, ImportItem.file_name, ImportItem.reason, ImportItem.id)
        .where(ImportItem.job_id == job_id, ImportItem.state == state)
        .order_by(ImportItem.id)
        .limit(MAX_LISTED)
    )
    return tuple(FailedItem(*row) for row in rows)


def wait_for_job(
    open_session: Callable[[], AbstractContextManager[Session]], job_id: int, seconds: float
) -> JobReport:
    """Wait until a job is finished, but not longer than ``seconds``.

    :param open_session: called for each check, so that no transaction stays open in between.
    :raise NotFoundError: no such job.
    """
    deadline = time.monotonic() + seconds
    pause = 0.05
    while True:
        with open_session() as session:
            state = session.scalar(select(ImportJob.state).where(ImportJob.id == job_id))
            left = deadline - time.monotonic()
            if state != "running" or left <= 0:
                return describe_job(session, job_id)
        time.sleep(min(pause, left))
        pause = min(pause * 1.5, 0.5)


# --- All jobs -------------------------------------------------------------------------------------


def list_running_jobs(session: Session, limit: int = 5) -> list[JobReport]:
    """Report the running imports, newest first."""
    ids = session.scalars(
        select(ImportJob.id)
        .where(ImportJob.state == "running")
        .order_by(ImportJob.id.desc())
        .limit(limit)
    ).all()
    return [describe_job(session, job_id) for job_id in ids]


@dataclass(frozen=True)
class FailedJob:
    """A finished import with failed items, and the first of those."""

    id: int
    failed_count: int
    file_name: str
    reason: str


def list_failed_jobs(session: Session, limit: int = 5) -> list[FailedJob]:
    """List finished imports with failed items, newest first.

    Reads the index of failed items from the newest import on, until it has enough imports.
    """
    jobs = session.execute(
        select(
            ImportItem.job_id,
            func.count().label("failed_count"),
            func.min(ImportItem.id).label("id"),
        )
        .join(ImportJob, ImportJob.id == ImportItem.job_id)
        .where(ImportItem.state == "failed", ImportJob.state == "finished")
        .group_by(ImportItem.job_id)
        .order_by(ImportItem.job_id.desc())
        .limit(limit)
    ).all()
    firsts = {
        row.id: row
        for row in session.execute(
            select(ImportItem.id, ImportItem.file_name, ImportItem.reason).where(
                ImportItem.id.in_([job.id for job in jobs])
            )
        )
    }
    return [
        FailedJob(job.job_id, job.failed_count, firsts[job.id].file_name, firsts[job.id].reason)
        for job in jobs
        if job.id in firsts
    ]


def is_stalled(session: Session, job_id: int | None = None) -> bool:
    """Tell whether an import, or this one, has waited for minutes and no worker took it up."""
    before = get_database_time(session) - _STALL_TIME
    query = (
        select(ImportJob.id)
        .join(ImportItem, ImportItem.job_id == ImportJob.id)
        .where(
            ImportJob.state == "running",
            ImportJob.last_activity_at < before,
            ImportItem.state == "queued",
            ImportItem.available_at < before,
        )
        .limit(1)
    )
    if job_id is not None:
        query = query.where(ImportJob.id == job_id)
    return session.scalar(query) is not None
