"""Report the progress, the failures and the groups of imports, and estimate how long they take."""

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import fmean, median
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from imagehub.clients.drive_ids import is_same_id
from imagehub.database import get_database_time
from imagehub.domain.imports.jobs import DISMISSED, MISMATCH_REASON, OPEN_STATES, get_job
from imagehub.models import Group, ImportItem, ImportJob, ImportPlan, ImportProposal

IMPORTS_PER_PAGE = 20
# More failed items than this are counted, not listed.
MAX_LISTED = 1000
# Workers look for forgotten jobs every minute.
_STALL_TIME = timedelta(minutes=3)
# How many images measure the rate of an import, and how long a step counts as work, not a pause.
_MEASURED = 200
_LONG_STEP_SECONDS = 60.0

# --- One import -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class FailedItem:
    """A file that was not imported. ``reason`` is one sentence; ``id`` is that of the item."""

    file_id: str
    file_name: str
    reason: str
    id: int = 0

    @property
    def is_mismatch(self) -> bool:
        """It is not as OneDrive lists it, so it can be imported anyway."""
        return self.reason == MISMATCH_REASON


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
    dismissed_count: int
    waiting_reason: str
    failed: Sequence[FailedItem]
    dismissed: Sequence[FailedItem]

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
    counts = _count_states(session, [job_id])[job_id]
    waiting = session.scalars(
        select(ImportItem.reason)
        .where(ImportItem.job_id == job_id, ImportItem.state == "queued", ImportItem.reason != "")
        .limit(1)
    ).first()
    return JobReport(
        id=job.id,
        state=job.state,
        item_count=job.item_count,
        queued_count=counts["queued"],
        running_count=counts["running"],
        done_count=counts["done"],
        skipped_count=counts["skipped"],
        failed_count=counts["failed"],
        waiting_reason=waiting or "",
        failed=_list_failed(session, job_id, "failed"),
        dismissed_count=counts[DISMISSED],
        dismissed=_list_failed(session, job_id, DISMISSED) if counts[DISMISSED] else (),
    )


def _count_states(session: Session, job_ids: Sequence[int]) -> dict[int, Counter[str]]:
    """Map jobs to the number of their items in each state."""
    counts: dict[int, Counter[str]] = defaultdict(Counter)
    for job_id, state, count in session.execute(
        select(ImportItem.job_id, ImportItem.state, func.count())
        .where(ImportItem.job_id.in_(job_ids))
        .group_by(ImportItem.job_id, ImportItem.state)
    ):
        counts[job_id][state] = count
    return counts


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


def list_job_groups(session: Session, job_id: int, limit: int = 200) -> tuple[Sequence[Group], int]:
    """List the groups that an import adds to, by id, and count them all."""
    used = (ImportItem.job_id == job_id, ImportItem.group_id.is_not(None))
    group_id = ImportItem.group_id
    query = select(group_id).where(*used).distinct().order_by(group_id).limit(limit)
    ids = session.scalars(query).all()
    groups = session.scalars(select(Group).where(Group.id.in_(ids)).order_by(Group.id)).all()
    if len(ids) < limit:
        return groups, len(ids)
    count = session.scalar(select(func.count(group_id.distinct())).where(*used))
    return groups, count or 0


def list_own_drafts(session: Session, job_id: int, limit: int) -> Sequence[int]:
    """List the ids of drafts with images that an import made.

    Drafts that existed before the import are left out: they may be drafts on purpose.
    """
    plan_ids = session.scalars(
        select(ImportPlan.id).where(
            ImportPlan.state == "started",
            ImportPlan.job_id == job_id,
            ImportPlan.is_published.is_(False),
        )
    ).all()
    if not plan_ids:
        return []
    filled = select(ImportItem.group_id).where(ImportItem.job_id == job_id)
    older = select(ImportProposal.group_id).where(
        ImportProposal.plan_id.in_(plan_ids), ImportProposal.group_id.is_not(None)
    )
    return session.scalars(
        select(Group.id)
        .where(
            Group.id.in_(filled),
            Group.id.not_in(older),
            Group.state == "draft",
            Group.image_count > 0,
        )
        .order_by(Group.id)
        .limit(limit)
    ).all()


# --- All imports ----------------------------------------------------------------------------------


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
    first_id, count = func.min(ImportItem.id).label("first_id"), func.count().label("failed_count")
    jobs = (
        select(ImportItem.job_id, first_id, count)
        .join(ImportJob, ImportJob.id == ImportItem.job_id)
        .where(ImportItem.state == "failed", ImportJob.state == "finished")
        .group_by(ImportItem.job_id)
        .order_by(ImportItem.job_id.desc())
        .limit(limit)
        .subquery()
    )
    rows = session.execute(
        select(jobs.c.job_id, jobs.c.failed_count, ImportItem.file_name, ImportItem.reason)
        .join(jobs, jobs.c.first_id == ImportItem.id)
        .order_by(jobs.c.job_id.desc())
    )
    return [FailedJob(*row) for row in rows]


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


@dataclass(frozen=True)
class Source:
    """The folder of the first file, and whether other files come from other folders."""

    folder_name: str
    has_more: bool


@dataclass(frozen=True)
class PastImport:
    """An import in the list: its job, its items counted by state, and their source."""

    job: ImportJob
    counts: Mapping[str, int]
    source: Source | None


def list_imports(
    session: Session, before: int | None = None, limit: int = IMPORTS_PER_PAGE
) -> list[PastImport]:
    """List imports, newest first.

    :param before: the id of the last import on the previous page.
    """
    statement = select(ImportJob).order_by(ImportJob.id.desc()).limit(limit)
    if before is not None:
        statement = statement.where(ImportJob.id < before)
    jobs = session.scalars(statement).all()
    ids = [job.id for job in jobs]
    sources = find_sources(session, ImportItem.job_id, ids)
    counts = _count_states(session, ids)
    return [PastImport(job, counts[job.id], sources.get(job.id)) for job in jobs]


def find_sources(
    session: Session, column: InstrumentedAttribute[int], ids: Sequence[int]
) -> dict[int, Source]:
    """Find the source of imports or plans by id, from their first and last file.

    :param column: ``ImportItem.job_id`` or ``ImportPlanFile.plan_id``, which holds the ``ids``.
    """
    file = column.class_
    ends = session.execute(
        select(column, func.min(file.id), func.max(file.id)).where(column.in_(ids)).group_by(column)
    ).all()
    query = select(file.id, file.folder_id, file.folder_name).where(
        file.id.in_([number for row in ends for number in row[1:]])
    )
    folders = {row.id: row for row in session.execute(query)}
    return {
        number: Source(
            folders[first].folder_name,
            not is_same_id(folders[first].folder_id, folders[last].folder_id),
        )
        for number, first, last in ends
        if folders[first].folder_name
    }


# --- Time -----------------------------------------------------------------------------------------


def measure_rate(session: Session, job_count: int = 5) -> float | None:
    """Measure the seconds per image in the last imports; None before the first."""
    job_ids = session.scalars(
        select(ImportJob.id)
        .where(ImportJob.state == "finished")
        .order_by(ImportJob.id.desc())
        .limit(job_count)
    ).all()
    return _average([one for job_id in job_ids for one in _measure(session, job_id)])


def estimate_seconds(session: Session, count: int) -> float | None:
    """Estimate how long ``count`` images take at the rate of the last imports."""
    rate = measure_rate(session)
    return None if rate is None else rate * count


def estimate_seconds_left(session: Session, job_id: int) -> float | None:
    """Estimate the seconds until an import is done.

    :return: None if not known yet, or if only items are left that have failed before: nobody knows
        how often they will be tried.
    """
    is_open = (ImportItem.job_id == job_id, ImportItem.state.in_(OPEN_STATES))
    left, latest = session.execute(
        select(func.count(), func.max(ImportItem.available_at)).where(*is_open)
    ).one()
    if not left:
        return 0.0
    fresh = select(ImportItem.id).where(
        *is_open, ImportItem.attempt_count == 0, ImportItem.reason == ""
    )
    if session.scalar(fresh.limit(1)) is None:
        return None
    steps = _measure(session, job_id)
    rate = _average(steps) if len(steps) >= 3 else None
    seconds = estimate_seconds(session, left) if rate is None else rate * left
    wait_seconds = (latest - get_database_time(session)).total_seconds()
    return None if seconds is None else max(seconds, wait_seconds)


def find_next_try(session: Session, job_id: int) -> float | None:
    """Return the seconds until an import goes on; None unless all that is left of it waits."""
    if session.scalar(
        select(ImportItem.id)
        .where(ImportItem.job_id == job_id, ImportItem.state == "running")
        .limit(1)
    ):
        return None
    due_at = session.scalar(
        select(func.min(ImportItem.available_at)).where(
            ImportItem.job_id == job_id, ImportItem.state == "queued"
        )
    )
    seconds = (due_at - get_database_time(session)).total_seconds() if due_at else 0.0
    return seconds if seconds > 0 else None


def _measure(session: Session, job_id: int) -> list[float]:
    """Measure the seconds between the last images of an import."""
    rows: Sequence[Any] = session.execute(
        select(
            ImportItem.finished_at,
            func.coalesce(ImportItem.asked_at, ImportJob.created_at),
            ImportItem.attempt_count,
        )
        .join(ImportJob, ImportJob.id == ImportItem.job_id)
        .where(
            ImportItem.job_id == job_id,
            ImportItem.state == "done",
            ImportItem.finished_at.is_not(None),
        )
        .order_by(ImportItem.available_at.desc(), ImportItem.id.desc())
        .limit(_MEASURED)
    ).all()
    steps: list[float] = []
    before: datetime | None = None
    facts: list[tuple[datetime, datetime, int]] = sorted((one[0], one[1], one[2]) for one in rows)
    for at, (finished_at, asked_at, attempts) in enumerate(facts):
        # An item that was retried days later did not take days. If there are more rows than were
        # read, nothing is known about the time before the first. Items with failed attempts
        # measure the outage, not the hub.
        if not attempts and (at or len(rows) < _MEASURED):
            began_at = max(asked_at, before) if before else asked_at
            steps.append((finished_at - began_at).total_seconds())
        before = finished_at
    return steps


def _average(steps: Sequence[float]) -> float | None:
    """Average the steps without those that are so long that they contain a pause."""
    if not steps:
        return None
    longest = max(_LONG_STEP_SECONDS, 10 * median(steps))
    return fmean([step for step in steps if step <= longest]) or None
