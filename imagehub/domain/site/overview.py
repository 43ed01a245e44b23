"""Summarise the hub for the admin's first page: what needs attention, totals, running imports."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import false, func, select
from sqlalchemy.orm import Session

from imagehub.clients import Clients
from imagehub.config import Settings
from imagehub.domain.imports import looks
from imagehub.domain.imports.reports import JobReport, list_running_jobs
from imagehub.domain.library import likeness_index
from imagehub.domain.onedrive.status import ConnectionInfo
from imagehub.domain.site.attention import Attention, collect_facts, list_attention
from imagehub.domain.site.counts import Counts
from imagehub.models import Group, Image, StoredObject

# Totals of a library above this are worth caching.
MAX_SMALL_IMAGES = 500


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

    ``look_progress``: how far the hub has looked into originals for private data, None if into all.
    ``cover_progress``: how many works were compared with others, None if all.
    """

    connection: ConnectionInfo
    counts: Counts
    attention: Sequence[Attention] = ()
    running_jobs: Sequence[JobReport] = ()
    look_progress: looks.Progress | None = None
    cover_progress: likeness_index.Progress | None = None


def describe_hub(session: Session, clients: Clients, settings: Settings) -> Overview:
    """Collect everything for the first page from the database; asks neither OneDrive nor S3.

    :param settings: with the names of those that the environment sets.
    """
    facts = collect_facts(session, clients, settings)
    return Overview(
        connection=facts.connection,
        counts=facts.counts,
        attention=list_attention(facts),
        running_jobs=list_running_jobs(session),
        look_progress=looks.find_progress(session),
        cover_progress=likeness_index.find_progress(session),
    )


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
