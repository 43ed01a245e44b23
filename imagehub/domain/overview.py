"""How the hub is doing: what needs a person, how much there is, what runs just now."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from sqlalchemy import ColumnElement, false, func, select
from sqlalchemy.orm import Session

from imagehub.clients import Clients
from imagehub.database import now_utc
from imagehub.domain import connection, hub_settings, importing
from imagehub.domain.connection import ConnectionInfo
from imagehub.domain.importing import JobReport
from imagehub.domain.leases import get_database_time
from imagehub.models import GalleryBucket, Group, Image, ImportItem, ImportJob, StoredObject

# Microsoft forgets a sign-in that nobody has used for so long.
# Source: Microsoft identity platform, "Refresh token lifetime".
UNUSED_LIFETIME = timedelta(days=90)
_WARN_BEFORE = timedelta(days=21)
# The worker looks for forgotten work every minute.
_STANDSTILL = timedelta(minutes=3)
_MAX_JOBS = 5


# What is to be done is counted up to here: a longer list is a long list.
MAX_COUNTED = 999


@dataclass(frozen=True)
class Counts:
    """Groups and images without what lies in the trash. The last three count no further than
    ``MAX_COUNTED + 1``, which means more."""

    groups_shown: int = 0
    groups_draft: int = 0
    images: int = 0
    without_alt: int = 0
    changed: int = 0
    missing: int = 0


@dataclass(frozen=True)
class Stored:
    """Renditions in object storage."""

    object_count: int
    size_bytes: int


@dataclass(frozen=True)
class Overview:
    """What the admin's first page shows. ``failed_jobs`` have items that did not come in;
    ``is_standing_still``: work waits, and nobody takes it up."""

    connection: ConnectionInfo
    counts: Counts
    running_jobs: Sequence[JobReport] = ()
    failed_jobs: Sequence[JobReport] = ()
    is_standing_still: bool = False
    secret_end: date | None = None
    secret_days_left: int | None = None
    token_end: date | None = None
    is_token_ending: bool = False


def describe_hub(session: Session, clients: Clients) -> Overview:
    """Look at everything. Reads the database alone; asks neither OneDrive nor S3."""
    info = connection.describe_connection(session, clients)
    secret_end = hub_settings.find_secret_end(session)
    token_end = find_token_end(info)
    today = now_utc().date()
    return Overview(
        connection=info,
        counts=count_everything(session),
        running_jobs=list_running_jobs(session),
        failed_jobs=list_failed_jobs(session),
        is_standing_still=_is_standing_still(session),
        secret_end=secret_end,
        secret_days_left=(secret_end - today).days if secret_end else None,
        token_end=token_end,
        is_token_ending=token_end is not None and token_end - today <= _WARN_BEFORE,
    )


def find_token_end(info: ConnectionInfo) -> date | None:
    """The day on which the sign-in at Microsoft dies if nobody uses it until then."""
    if info.refreshed_at is None or not info.is_usable:
        return None
    return (info.refreshed_at + UNUSED_LIFETIME).date()


def count_everything(session: Session) -> Counts:
    """By indexes alone, so that it takes as long for many images as for few."""
    drafts = session.scalar(
        select(func.count()).select_from(Group).where(Group.state == "draft", Group.image_count > 0)
    )
    shown = session.scalar(select(func.sum(GalleryBucket.shown_count)))
    images = session.scalar(select(func.count()).select_from(Image))
    trashed = session.scalar(select(func.sum(Group.image_count)).where(Group.state == "trash"))
    return Counts(
        groups_shown=int(shown or 0),
        groups_draft=drafts or 0,
        images=(images or 0) - int(trashed or 0),
        # "IS false" would keep MySQL from using the index.
        without_alt=_count_some(session, Image.has_alt == false()),
        changed=_count_some(session, Image.drive_state == "changed"),
        missing=_count_some(session, Image.drive_state == "missing"),
    )


def _count_some(session: Session, condition: ColumnElement[bool]) -> int:
    some = (
        select(Image.id)
        .join(Group, Group.id == Image.group_id)
        .where(condition, Group.state != "trash")
        .limit(MAX_COUNTED + 1)
        .subquery()
    )
    return session.scalar(select(func.count()).select_from(some)) or 0


def measure_storage(session: Session) -> Stored:
    """Look at every row of ``stored_object``: some milliseconds for each ten thousand images."""
    row = session.execute(
        select(func.count(), func.sum(StoredObject.size_bytes)).where(
            StoredObject.is_deleting.is_(False)
        )
    ).one()
    return Stored(row[0], int(row[1] or 0))


def list_running_jobs(session: Session) -> list[JobReport]:
    """Imports that go on just now, the newest first."""
    ids = session.scalars(
        select(ImportJob.id)
        .where(ImportJob.state == "running")
        .order_by(ImportJob.id.desc())
        .limit(_MAX_JOBS)
    ).all()
    return [importing.describe_job(session, job_id) for job_id in ids]


def list_failed_jobs(session: Session) -> list[JobReport]:
    """Finished imports with items that did not come in, the newest first."""
    ids = session.scalars(
        select(ImportItem.job_id)
        .join(ImportJob, ImportJob.id == ImportItem.job_id)
        .where(ImportItem.state == "failed", ImportJob.state == "finished")
        .group_by(ImportItem.job_id)
        .order_by(ImportItem.job_id.desc())
        .limit(_MAX_JOBS)
    ).all()
    return [importing.describe_job(session, job_id) for job_id in ids]


def _is_standing_still(session: Session) -> bool:
    """Whether some import waits though nothing has moved for minutes."""
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
    return session.scalar(query) is not None
