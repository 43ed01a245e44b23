"""List imports and their groups, and estimate how long an import takes."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import fmean, median
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from imagehub.clients.drive_ids import is_same_id
from imagehub.models import Group, ImportItem, ImportJob, ImportPlan, ImportProposal

IMPORTS_PER_PAGE = 20


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
    sources = find_sources(session, ImportItem.job_id, [job.id for job in jobs])
    counts: dict[int, Counter[str]] = defaultdict(Counter)
    for job_id, state, count in session.execute(
        select(ImportItem.job_id, ImportItem.state, func.count())
        .where(ImportItem.job_id.in_([job.id for job in jobs]))
        .group_by(ImportItem.job_id, ImportItem.state)
    ):
        counts[job_id][state] = count
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
    folders = {
        row.id: row
        for row in session.execute(
            select(file.id, file.folder_id, file.folder_name).where(
                file.id.in_([number for row in ends for number in row[1:]])
            )
        )
    }
    return {
        number: Source(
            folders[first].folder_name,
            not is_same_id(folders[first].folder_id, folders[last].folder_id),
        )
        for number, first, last in ends
        if folders[first].folder_name
    }


def list_job_groups(session: Session, job_id: int, limit: int = 200) -> tuple[Sequence[Group], int]:
    """List the groups that an import adds to, by id, and count them all."""
    used = (ImportItem.job_id == job_id, ImportItem.group_id.is_not(None))
    ids = session.scalars(
        select(ImportItem.group_id)
        .where(*used)
        .distinct()
        .order_by(ImportItem.group_id)
        .limit(limit)
    ).all()
    groups = session.scalars(select(Group).where(Group.id.in_(ids)).order_by(Group.id)).all()
    if len(ids) < limit:
        return groups, len(ids)
    count = session.scalar(select(func.count(ImportItem.group_id.distinct())).where(*used))
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
    """Estimate the seconds until an import is done; None if not known yet."""
    left = session.scalar(
        select(func.count()).where(
            ImportItem.job_id == job_id, ImportItem.state.in_(("queued", "running"))
        )
    )
    if not left:
        return 0.0
    steps = _measure(session, job_id)
    rate = _average(steps) if len(steps) >= 3 else None
    return estimate_seconds(session, left) if rate is None else rate * left


# How many images measure the rate of an import, and how long a step counts as work, not a pause.
_MEASURED = 200
_LONG_STEP_SECONDS = 60.0


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
    """Average the steps without the pauses between them."""
    if not steps:
        return None
    longest = max(_LONG_STEP_SECONDS, 10 * median(steps))
    return fmean([step for step in steps if step <= longest]) or None
