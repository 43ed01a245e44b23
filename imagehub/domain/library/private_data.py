"""Save what originals say about places and people, and count it.

``imaging.private_data`` says what counts as private.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, case, func, select
from sqlalchemy.orm import Session

from imagehub.clients import Download, DriveItem
from imagehub.database import get_database_time, make_batches
from imagehub.imaging.private_data import PrivateData as Found
from imagehub.imaging.private_data.blanks import read_blanks, write_blanks
from imagehub.models import Group, Image, ImportItem, PrivateData

NOTHING, REMOVABLE, FIXED = "none", "removable", "fixed"


@dataclass(frozen=True)
class Listing:
    """What OneDrive listed for a file that was looked at, and the size of what it sent.

    ``drive_hash`` and ``ctag`` are "" if they do not prove that a later file is the same.
    """

    drive_hash: str
    drive_size_bytes: int
    ctag: str
    size_bytes: int


def make_listing(item: DriveItem, download: Download) -> Listing:
    """Return the listing of a downloaded original.

    Of a file that is not as it is listed, the listing proves nothing about the next download.
    """
    return Listing(
        drive_hash=download.listed_hash if download.is_as_listed else "",
        drive_size_bytes=download.listed_size_bytes,
        ctag=item.ctag if download.is_as_listed else "",
        size_bytes=download.size_bytes,
    )


def save_found(session: Session, image: Image, listing: Listing, found: Found) -> None:
    """Save what was found in an image's original. Flushed, not committed."""
    is_clean = not found.kinds
    image.private_state = NOTHING if is_clean else REMOVABLE if found.is_removable else FIXED
    session.merge(
        PrivateData(
            image_id=image.id,
            drive_hash=listing.drive_hash[:40],
            drive_size_bytes=listing.drive_size_bytes,
            ctag=listing.ctag[:255],
            size_bytes=listing.size_bytes,
            kinds=" ".join(found.kinds),
            is_removable=found.is_removable,
            blanks=write_blanks(found.blanks),
            looked_at=get_database_time(session),
        )
    )
    session.flush()


def find_rows(session: Session, image_ids: Sequence[int]) -> dict[int, PrivateData]:
    """Find what was saved about images: id → row, detached from the session."""
    rows = {}
    for ids in make_batches(image_ids):
        for row in session.scalars(select(PrivateData).where(PrivateData.image_id.in_(ids))):
            session.expunge(row)
            rows[row.image_id] = row
    return rows


def read_found(row: PrivateData) -> Found:
    """Return what was found, with the bytes to replace."""
    return Found(tuple(row.kinds.split()), row.is_removable, read_blanks(row.blanks))


@dataclass(frozen=True)
class Counts:
    """Images whose originals say something private. ``fixed``: that cannot be removed."""

    place: int = 0
    any: int = 0
    fixed: int = 0


def count_found(session: Session, job_id: int | None = None, most: int | None = None) -> Counts:
    """Count the images with private data, without the trash.

    :param job_id: only those that an import brought in.
    :param most: stop after as many images.
    """
    found = (
        select(
            _as_number(PrivateData.kinds.like("place%")).label("is_place"),
            _as_number(Image.private_state == FIXED).label("is_fixed"),
        )
        .select_from(Image)
        .join(PrivateData, PrivateData.image_id == Image.id)
        .join(Group, Group.id == Image.group_id)
        .where(Image.private_state.in_((REMOVABLE, FIXED)), Group.state != "trash")
    )
    if job_id is not None:
        of_job = select(ImportItem.image_id).where(
            ImportItem.job_id == job_id, ImportItem.state == "done"
        )
        found = found.where(Image.id.in_(of_job))
    some = found.limit(most).subquery()
    place, any_, fixed = session.execute(
        select(
            func.coalesce(func.sum(some.c.is_place), 0),
            func.count(),
            func.coalesce(func.sum(some.c.is_fixed), 0),
        ).select_from(some)
    ).one()
    return Counts(int(place), int(any_), int(fixed))


def _as_number(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return case((condition, 1), else_=0)
