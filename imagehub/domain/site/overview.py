"""Summarise the hub for the admin's first page: what needs attention, totals, running imports."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

from sqlalchemy import ColumnElement, ScalarSelect, false, func, select
from sqlalchemy.orm import Session

from imagehub.clients import Clients
from imagehub.database import now_utc
from imagehub.domain.imports import looks, watched
from imagehub.domain.imports.reports import (
    FailedJob,
    JobReport,
    is_stalled,
    list_failed_jobs,
    list_running_jobs,
)
from imagehub.domain.library import private_data
from imagehub.domain.onedrive import accounts, status
from imagehub.domain.onedrive.keep_alive import UNUSED_LIFETIME
from imagehub.domain.onedrive.status import ConnectionInfo
from imagehub.domain.site import settings
from imagehub.models import GalleryBucket, Group, Image, StoredObject

_WARN_BEFORE = timedelta(days=21)

# Images that need attention are counted up to here; above it the page says "more than".
MAX_COUNTED = 99
# Totals of a library above this are worth caching.
MAX_SMALL_IMAGES = 500


@dataclass(frozen=True)
class Counts:
    """Published groups, and images that need attention, without the trash.

    All but the first are counted up to ``MAX_COUNTED + 1``, which means more. ``outside``:
    originals in OneDrive that are not inside the root folder. ``offered``: missing originals with
    another file in their place. ``absent``: images of the first version without an original in
    OneDrive.
    """

    groups_shown: int = 0
    without_alt: int = 0
    changed: int = 0
    missing: int = 0
    outside: int = 0
    offered: int = 0
    absent: int = 0


@dataclass(frozen=True)
class Totals:
    """Drafts and images without the trash, and the renditions in object storage."""

    groups_draft: int
    images: int
    object_count: int
    size_bytes: int


@dataclass(frozen=True)
class Overview:
    """What the admin's first page shows.

    ``is_stalled``: imports wait and no worker takes them up. ``lost_earlier``: previous accounts
    that must be reconnected because images came from them. ``must_choose_downloads``: an admin has
    not chosen yet how visitors get full-size images. ``look_progress``: how far the hub has looked
    into originals for private data, None if into all; ``private_counts``: what it found.
    ``new_draft_count``: drafts that came from watched folders, up to ``MAX_COUNTED + 1``.
    """

    connection: ConnectionInfo
    counts: Counts
    running_jobs: Sequence[JobReport] = ()
    failed_jobs: Sequence[FailedJob] = ()
    is_stalled: bool = False
    secret_end: date | None = None
    secret_days_left: int | None = None
    token_end: date | None = None
    is_token_ending: bool = False
    lost_earlier: Sequence[ConnectionInfo] = ()
    must_choose_downloads: bool = False
    look_progress: looks.Progress | None = None
    private_counts: private_data.Counts = field(default_factory=private_data.Counts)
    new_draft_count: int = 0


def describe_hub(session: Session, clients: Clients, has_secret: bool) -> Overview:
    """Collect everything for the first page from the database; asks neither OneDrive nor S3.

    :param has_secret: the app registration has a client secret, which expires.
    """
    info = status.describe_connection(session, clients)
    secret_end = settings.find_secret_end(session) if has_secret else None
    token_end = find_token_end(info)
    earlier = status.describe_earlier(session, clients)
    must_choose = settings.must_choose_downloads(session)
    return Overview(
        connection=info,
        counts=count_to_do(session),
        running_jobs=list_running_jobs(session),
        failed_jobs=list_failed_jobs(session),
        is_stalled=is_stalled(session),
        secret_end=secret_end,
        secret_days_left=count_days_left(secret_end),
        token_end=token_end,
        lost_earlier=[one for one in earlier if one.state == accounts.NEEDS_RECONNECT],
        must_choose_downloads=must_choose,
        look_progress=looks.find_progress(session),
        private_counts=private_data.count_found(session) if must_choose else private_data.Counts(),
        new_draft_count=watched.count_new_drafts(session, MAX_COUNTED + 1),
        is_token_ending=token_end is not None and token_end <= now_utc().date() + _WARN_BEFORE,
    )


def count_days_left(end: date | None) -> int | None:
    """Count the days until ``end``: 0 on the day, negative after it; None if it is not known."""
    return (end - now_utc().date()).days if end else None


def find_token_end(info: ConnectionInfo) -> date | None:
    """Return the day on which the sign-in at Microsoft expires unless it is used before."""
    if info.refreshed_at is None or not info.is_usable:
        return None
    return (info.refreshed_at + UNUSED_LIFETIME).date()


def count_to_do(session: Session) -> Counts:
    """Count what needs attention, in one statement that reads each index up to the limit."""
    shown, *rest = session.execute(
        select(
            select(func.sum(GalleryBucket.shown_count)).scalar_subquery(),
            # "IS false" would keep MySQL from using the index.
            _count_some(Image.has_alt == false()),
            _count_some(Image.drive_state == "changed"),
            _count_some(Image.drive_state == "missing"),
            _count_some(Image.drive_state == "outside"),
            _count_some((Image.drive_state == "missing") & (Image.offered_item_id != "")),
            _count_some(Image.drive_state == "absent"),
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
    """Tell whether :func:`measure_totals` is slow enough to cache its result."""
    query = select(Image.id).order_by(Image.id).offset(MAX_SMALL_IMAGES).limit(1)
    return session.scalar(query) is not None


def measure_totals(session: Session) -> Totals:
    """Count everything; takes some milliseconds per ten thousand images."""
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
