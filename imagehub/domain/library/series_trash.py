"""The trash of series: a deleted series can be restored for 30 days.

It keeps its number, its groups and their order; its ``state`` is ``trash``, so that no page shows
it. Its parts become series of their own, and are its parts again once it is restored.
"""

import json
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.orm import Session

from imagehub.database import MAX_ID, count_rows, get_database_time, own_transaction
from imagehub.domain.library.series import name_series
from imagehub.domain.library.series_members import lock_series
from imagehub.domain.library.trash import KEPT
from imagehub.errors import NotFoundError
from imagehub.models import Series, ShareLink

MAX_LISTED = 100
_PURGED_AT_ONCE = 50
_TRASH = "trash"


def trash_series(session: Session, number: int) -> Series:
    """Move a series to the trash. Its groups stay, and its parts become series of their own.

    :raise NotFoundError: there is no such series, or it is in the trash.
    """
    series = lock_series(session, number)
    parts = select(Series.id).where(Series.parent_id == number, Series.state != _TRASH)
    part_ids = session.scalars(parts.order_by(Series.id)).all()
    _set_parent(session, part_ids, None)
    series.before_trash = json.dumps({"state": series.state, "parts": list(part_ids)})
    series.state, series.trashed_at = _TRASH, get_database_time(session)
    series.version += 1
    session.flush()
    return series


def restore_series(session: Session, number: int) -> Series:
    """Restore a series as it was, with those of its parts that are no parts of another series now.

    If the series that it was a part of is gone, in the trash, or a part itself, it becomes one of
    its own.

    :raise NotFoundError: it is not in the trash.
    """
    lock = (
        update(Series)
        .where(Series.id == number, Series.state == _TRASH)
        .values(shown_count=Series.shown_count, updated_at=Series.updated_at)
    )
    if not 0 < number <= MAX_ID or not count_rows(session, lock):
        raise NotFoundError("series", number)
    series = session.get_one(Series, number, populate_existing=True)
    before = json.loads(series.before_trash or "{}")
    parent = session.get(Series, series.parent_id) if series.parent_id else None
    if parent is None or parent.state == _TRASH or parent.parent_id is not None:
        series.parent_id = None
    if series.parent_id is None:
        has_parts = select(Series.parent_id).where(Series.parent_id.is_not(None))
        free = select(Series.id).where(
            Series.id.in_(before.get("parts", ())),
            Series.parent_id.is_(None),
            Series.state != _TRASH,
            Series.id.not_in(has_parts),
        )
        _set_parent(session, session.scalars(free).all(), number)
    series.state = before.get("state", "draft")
    series.trashed_at = series.before_trash = None
    series.version += 1
    session.flush()
    return series


def list_trashed_series(session: Session) -> Sequence[Series]:
    """List the series in the trash, those deleted last first."""
    trashed = select(Series).where(Series.state == _TRASH)
    newest = trashed.order_by(Series.trashed_at.desc(), Series.id.desc())
    return session.scalars(newest.limit(MAX_LISTED)).all()


def get_end(series: Series) -> datetime | None:
    """Return when a series in the trash is deleted permanently."""
    return series.trashed_at + KEPT if series.trashed_at else None


def purge_expired_series(session: Session) -> int:
    """Delete the series that have been in the trash for 30 days. Commits on its own.

    :return: how many were deleted.
    """
    count = 0
    while purged := _purge_some_series(session):
        count += purged
    return count


@own_transaction
def _purge_some_series(session: Session) -> int:
    found = _lock(session, Series.trashed_at < get_database_time(session) - KEPT)
    _delete(session, found[:_PURGED_AT_ONCE])
    return len(found[:_PURGED_AT_ONCE])


def purge_series(session: Session, numbers: Sequence[int] | None = None) -> list[str]:
    """Delete series from the trash permanently; their groups stay.

    :param numbers: those that are not in the trash are skipped; None for all that are in it.
    :return: the names of the deleted ones.
    """
    conditions = []
    if numbers is not None:
        conditions.append(Series.id.in_([one for one in numbers if 0 < one <= MAX_ID]))
    found = _lock(session, *conditions)
    names = [name_series(series) for series in found]
    _delete(session, found)
    return names


def _lock(session: Session, *conditions: ColumnElement[bool]) -> Sequence[Series]:
    """Lock series in the trash, and list them: what is restored meanwhile is not deleted.

    An update that changes nothing locks them on both databases: SQLite has no FOR UPDATE.
    """
    these = (Series.state == _TRASH, *conditions)
    lock = update(Series).where(*these)
    count_rows(session, lock.values(shown_count=Series.shown_count, updated_at=Series.updated_at))
    return session.scalars(select(Series).where(*these).order_by(Series.id)).all()


def _delete(session: Session, trashed: Sequence[Series]) -> None:
    for series in trashed:
        # Links without a title of their own keep the name of what they were for.
        untitled = update(ShareLink).where(ShareLink.series_id == series.id, ShareLink.title == "")
        session.execute(untitled.values(title=name_series(series)[:300]))
        session.execute(
            update(Series)
            .where(Series.parent_id == series.id)
            .values(parent_id=None, updated_at=Series.updated_at)
        )
        session.delete(series)
    session.flush()


def _set_parent(session: Session, part_ids: Sequence[int], parent_id: int | None) -> None:
    session.execute(
        update(Series)
        .where(Series.id.in_(part_ids))
        .values(parent_id=parent_id, updated_at=Series.updated_at)
        .execution_options(synchronize_session="fetch")
    )
