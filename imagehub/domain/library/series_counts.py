"""Keep ``SeriesGroup.is_shown`` and ``Series.shown_count`` in step with ``Group.is_shown``.

Lock order everywhere: groups first, then series, so that no two requests deadlock.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

from sqlalchemy import case, delete, func, select, true, update
from sqlalchemy.orm import Session

from imagehub.database import count_rows, make_batches
from imagehub.models import Group, Series, SeriesGroup


def note_shown(session: Session, group_ids: Sequence[int]) -> None:
    """Copy the visibility of groups to their series. The groups must be locked."""
    rows = session.execute(
        select(SeriesGroup.series_id, SeriesGroup.group_id, Group.is_shown)
        .join(Group, Group.id == SeriesGroup.group_id)
        .where(SeriesGroup.group_id.in_(group_ids), SeriesGroup.is_shown != Group.is_shown)
    ).all()
    changes: Counter[int] = Counter()
    for row in rows:
        changes[row.series_id] += 1 if row.is_shown else -1
    for is_shown in (True, False):
        changed = sorted({row.group_id for row in rows if row.is_shown == is_shown})
        if changed:
            session.execute(
                update(SeriesGroup)
                .where(SeriesGroup.group_id.in_(changed))
                .values(is_shown=is_shown)
            )
    add_to_counts(session, changes)


def forget_group_in_series(session: Session, group_id: int) -> None:
    """Remove a group that is about to be deleted from all series. It must be locked and hidden."""
    note_shown(session, [group_id])
    session.execute(delete(SeriesGroup).where(SeriesGroup.group_id == group_id))


def add_to_counts(session: Session, changes: Mapping[int, int]) -> None:
    """Add to the numbers of shown groups of series: number of the series → change."""
    for ids in make_batches(sorted(one for one, change in changes.items() if change)):
        change = case({series_id: changes[series_id] for series_id in ids}, value=Series.id)
        # ``updated_at`` is for edits by people, and this is none.
        session.execute(
            update(Series)
            .where(Series.id.in_(ids))
            .values(shown_count=Series.shown_count + change, updated_at=Series.updated_at)
        )


def recount_series(session: Session) -> int:
    """Recompute both for all series.

    :return: how many copies and counts were wrong.
    """
    is_shown = select(Group.is_shown).where(Group.id == SeriesGroup.group_id).scalar_subquery()
    copies = (
        update(SeriesGroup)
        .where(SeriesGroup.is_shown != is_shown)
        .values(is_shown=is_shown)
        .execution_options(synchronize_session=False)
    )
    shown = (
        select(func.count())
        .where(SeriesGroup.series_id == Series.id, SeriesGroup.is_shown == true())
        .scalar_subquery()
    )
    counts = (
        update(Series)
        .where(Series.shown_count != shown)
        .values(shown_count=shown, updated_at=Series.updated_at)
        .execution_options(synchronize_session=False)
    )
    wrong = count_rows(session, copies) + count_rows(session, counts)
    session.expire_all()
    return wrong
