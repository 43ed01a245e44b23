"""How the hub is doing: what needs a person, how much there is, what runs just now."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from sqlalchemy import ColumnElement, ScalarSelect, false, func, select
from sqlalchemy.orm import Session

from imagehub.clients import Clients
from imagehub.database import get_database_time, now_utc
from imagehub.domain.imports import reports
from imagehub.domain.imports.reports import JobReport
from imagehub.domain.onedrive import accounts, status
from imagehub.domain.onedrive.status import ConnectionInfo
from imagehub.domain.site import settings
from imagehub.models import GalleryBucket, Group, Image, ImportItem, ImportJob, StoredObject

# Microsoft forgets a sign-in that nobody has used for so long.
# Source: Microsoft identity platform, "Refresh token lifetime".
UNUSED_LIFETIME = timedelta(days=90)
_WARN_BEFORE = timedelta(days=21)
# The worker looks for forgotten work every minute.
_STANDSTILL = timedelta(minutes=3)
_MAX_JOBS = 5


# What is to be done is counted up to here: a longer list is a long list.
MAX_COUNTED = 99
# A library above this is large: its totals are worth keeping for a while.
MAX_SMALL_IMAGES = 500


@dataclass(frozen=True)
class Counts:
    """Groups on show, and images that need a person, without what lies in the trash. All but the
    first count no further than ``MAX_COUNTED + 1``, which means more. ``outside``: originals that
    are in OneDrive, but not inside the root folder."""

    groups_shown: int = 0
    without_alt: int = 0
    changed: int = 0
    missing: int = 0
    outside: int = 0


@dataclass(frozen=True)
class Totals:
    """Drafts and images without what lies in the trash, and renditions in object storage."""

    groups_draft: int
    images: int
    object_count: int
    size_bytes: int


@dataclass(frozen=True)
class FailedJob:
    """An import of which some items did not come in, and the first of those."""

    id: int
    failed_count: int
    file_name: str
    reason: str


@dataclass(frozen=True)
class Overview:
    """What the admin's first page shows. ``failed_jobs`` have items that did not come in;
    ``is_standing_still``: work waits, and nobody takes it up; ``lost_earlier``: accounts from
    before that must be connected again, since images came from them."""

    connection: ConnectionInfo
    counts: Counts
    running_jobs: Sequence[JobReport] = ()
    failed_jobs: Sequence[FailedJob] = ()
    is_standing_still: bool = False
    secret_end: date | None = None
    secret_days_left: int | None = None
    token_end: date | None = None
    is_token_ending: bool = False
    lost_earlier: Sequence[ConnectionInfo] = ()


def describe_hub(session: Session, clients: Clients, has_secret: bool) -> Overview:
    """Look at everything. Reads the database alone; asks neither OneDrive nor S3.

    :param has_secret: the app registration has a client secret, whose end matters then.
    """
    info = status.describe_connection(session, clients)
    secret_end = settings.find_secret_end(session) if has_secret else None
    token_end = find_token_end(info)
    today = now_utc().date()
    return Overview(
        connection=info,
        counts=count_to_do(session),
        running_jobs=list_running_jobs(session),
        failed_jobs=list_failed_jobs(session),
        is_standing_still=is_standing_still(session),
        secret_end=secret_end,
        secret_days_left=count_days_left(secret_end),
        token_end=token_end,
        lost_earlier=[
            one
            for one in status.describe_earlier(session, clients)
            if one.state == accounts.NEEDS_RECONNECT
        ],
        is_token_ending=token_end is not None and token_end - today <= _WARN_BEFORE,
    )


def count_days_left(end: date | None) -> int | None:
    """Until a day: 0 on it, negative after it; None where no day is known."""
    return (end - now_utc().date()).days if end else None


def find_token_end(info: ConnectionInfo) -> date | None:
    """The day on which the sign-in at Microsoft dies if nobody uses it until then."""
    if info.refreshed_at is None or not info.is_usable:
        return None
    return (info.refreshed_at + UNUSED_LIFETIME).date()


def count_to_do(session: Session) -> Counts:
    """One question, and each part of it reads an index no further than it counts."""
    shown, *rest = session.execute(
        select(
            select(func.sum(GalleryBucket.shown_count)).scalar_subquery(),
            # "IS false" would keep MySQL from using the index.
            _count_some(Image.has_alt == false()),
            _count_some(Image.drive_state == "changed"),
            _count_some(Image.drive_state == "missing"),
            _count_some(Image.drive_state == "outside"),
        )
    ).one()
    return Counts(int(shown or 0), *rest)


def _count_some(condition: ColumnElement[bool]) -> ScalarSelect[int]:
    some = (
        select(Image.id)
        .join(Group, Group.id == Image.group_id)
        .where(condition, Group.state != "trash")
        .limit(MAX_COUNTED + 1)
        .subquery()
    )
    return select(func.count()).select_from(some).scalar_subquery()


def is_large(session: Session) -> bool:
    """Whether :func:`measure_totals` takes long enough to keep what it found. Reads some hundred
    entries of an index."""
    query = select(Image.id).order_by(Image.id).offset(MAX_SMALL_IMAGES).limit(1)
    return session.scalar(query) is not None


def measure_totals(session: Session) -> Totals:
    """Count everything: some milliseconds for each ten thousand images."""
    drafts = session.scalar(
        select(func.count()).select_from(Group).where(Group.state == "draft", Group.image_count > 0)
    )
    images = session.scalar(select(func.count()).select_from(Image))
    trashed = session.scalar(select(func.sum(Group.image_count)).where(Group.state == "trash"))
    stored = session.execute(
        # "IS false" would keep MySQL from using the index.
        select(func.count(), func.sum(StoredObject.size_bytes)).where(
            StoredObject.is_deleting == false()
        )
    ).one()
    return Totals(
        groups_draft=drafts or 0,
        images=(images or 0) - int(trashed or 0),
        object_count=stored[0],
        size_bytes=int(stored[1] or 0),
    )


def list_running_jobs(session: Session) -> list[JobReport]:
    """Imports that go on just now, the newest first."""
    ids = session.scalars(
        select(ImportJob.id)
        .where(ImportJob.state == "running")
        .order_by(ImportJob.id.desc())
        .limit(_MAX_JOBS)
    ).all()
    return [reports.describe_job(session, job_id) for job_id in ids]


def list_failed_jobs(session: Session) -> list[FailedJob]:
    """Finished imports with items that did not come in, the newest first.

    Reads the failed items in the index from the newest import on, until it has enough imports.
    """
    query = (
        select(
            ImportItem.job_id,
            func.count().label("failed_count"),
            func.min(ImportItem.id).label("id"),
        )
        .join(ImportJob, ImportJob.id == ImportItem.job_id)
        .where(ImportItem.state == "failed", ImportJob.state == "finished")
        .group_by(ImportItem.job_id)
        .order_by(ImportItem.job_id.desc())
        .limit(_MAX_JOBS)
    )
    jobs = session.execute(query).all()
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


def is_standing_still(session: Session, job_id: int | None = None) -> bool:
    """Whether some import, or this one, waits though nothing has moved for minutes."""
    before = get_database_time(session) - _STANDSTILL
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
