"""Add groups to series, remove them, and order them."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, delete, func, insert, select, update
from sqlalchemy.orm import Session

from imagehub.database import MAX_ID, count_rows, make_batches
from imagehub.domain.library.groups import lock_groups
from imagehub.domain.library.series_counts import add_to_counts
from imagehub.errors import NotFoundError
from imagehub.models import Group, Series, SeriesGroup

# The distance between neighbours: ten groups in a row can be placed between any two before all
# groups of the series need new positions.
STEP = 1 << 10
_AT_ONCE = 500


def lock_series(session: Session, number: int) -> Series:
    """Lock a series until the transaction ends, and read its current row.

    :raise NotFoundError: there is no such series, or it is in the trash.
    """
    lock = (
        update(Series)
        .where(Series.id == number, Series.state != "trash")
        .values(shown_count=Series.shown_count, updated_at=Series.updated_at)
    )
    if not 0 < number <= MAX_ID or not count_rows(session, lock):
        raise NotFoundError("series", number)
    return session.get_one(Series, number, populate_existing=True)


def add_members(session: Session, series_id: int, group_ids: Sequence[int]) -> int:
    """Append groups to a series in the order given; return how many were added.

    Groups that are in the series already, are in the trash or do not exist are skipped.

    :raise NotFoundError: there is no such series.
    """
    wanted = list(dict.fromkeys(group_ids))
    for ids in make_batches(sorted(wanted), _AT_ONCE):
        lock_groups(session, ids)
    lock_series(session, series_id)
    here = SeriesGroup.series_id == series_id
    position = int(session.scalar(select(func.max(SeriesGroup.position)).where(here)) or 0)
    added = shown = 0
    for ids in make_batches(wanted, _AT_ONCE):
        groups = select(Group.id, Group.is_shown).where(Group.id.in_(ids), Group.state != "trash")
        found = {row.id: row.is_shown for row in session.execute(groups)}
        members = select(SeriesGroup.group_id).where(here, SeriesGroup.group_id.in_(ids))
        known = set(session.scalars(members))
        rows = []
        for group_id in ids:
            if group_id in found and group_id not in known:
                position += STEP
                rows.append(
                    {
                        "series_id": series_id,
                        "group_id": group_id,
                        "position": position,
                        "is_shown": found[group_id],
                    }
                )
        if rows:
            session.execute(insert(SeriesGroup), rows)
            added += len(rows)
            shown += sum(row["is_shown"] for row in rows)
    add_to_counts(session, {series_id: shown})
    return added


def add_in_place(session: Session, number: int, group: Group) -> list[int]:
    """Add a group to the series of another one, in its place. Both must be locked.

    :return: ids of the series that it was not in before.
    """
    there = select(SeriesGroup.series_id).where(SeriesGroup.group_id == group.id)
    rows = session.scalars(
        select(SeriesGroup)
        .where(SeriesGroup.group_id == number, SeriesGroup.series_id.not_in(there))
        .order_by(SeriesGroup.series_id)
    ).all()
    for row in rows:
        # Locks the series.
        add_to_counts(session, {row.series_id: 1 if group.is_shown else 0})
        session.add(
            SeriesGroup(
                series_id=row.series_id,
                group_id=group.id,
                position=row.position,
                is_shown=group.is_shown,
            )
        )
    session.flush()
    return [row.series_id for row in rows]


def remove_member(session: Session, series_id: int, group_id: int) -> None:
    """Remove a group from a series; the group itself stays in the library.

    :raise NotFoundError: there is no such series, or the group is not in it.
    """
    lock_groups(session, [group_id])
    lock_series(session, series_id)
    member = get_member(session, series_id, group_id)
    add_to_counts(session, {series_id: -1 if member.is_shown else 0})
    session.execute(delete(SeriesGroup).where(_is_member(series_id, group_id)))
    session.expunge(member)


def get_member(session: Session, series_id: int, group_id: int) -> SeriesGroup:
    """:raise NotFoundError: the group is not in the series."""
    key = (series_id, group_id)
    member = session.get(SeriesGroup, key, populate_existing=True)
    if member is None:
        raise NotFoundError("group", group_id)
    return member


def find_place(session: Session, series_id: int, group_id: int, where: str) -> int | None:
    """Find the group of a series that another one has to stand before; None for the end.

    :param where: ``top``, ``up`` or ``down`` for a move, ``here`` for where it is.
    :raise NotFoundError: the group is not in the series.
    """
    member = get_member(session, series_id, group_id)
    place = (SeriesGroup.position, SeriesGroup.group_id)
    others = select(SeriesGroup.group_id).where(
        SeriesGroup.series_id == series_id, SeriesGroup.group_id != group_id
    )
    is_before = (SeriesGroup.position < member.position) | (
        (SeriesGroup.position == member.position) & (SeriesGroup.group_id < group_id)
    )
    top = others.order_by(*place).limit(1)
    if where == "top":
        return session.scalar(top)
    if where == "up":
        above = others.where(is_before).order_by(*(column.desc() for column in place)).limit(1)
        # The first group stays where it is.
        return session.scalar(above) or session.scalar(top)
    behind = others.where(~is_before).order_by(*place)
    return session.scalar(behind.offset(1 if where == "down" else 0).limit(1))


def place_member(session: Session, series_id: int, group_id: int, before: int | None) -> None:
    """Move a group of a series right before another one of it, or to the end. Locks the series.

    Usually one row changes. Where no position is free, all groups of the series get new ones.

    :raise NotFoundError: there is no such series, or one of the groups is not in it.
    """
    lock_series(session, series_id)
    get_member(session, series_id, group_id)
    if before == group_id:
        return
    here = SeriesGroup.series_id == series_id
    if before is None:
        last = session.scalar(select(func.max(SeriesGroup.position)).where(here)) or 0
        position = int(last) + STEP
    else:
        position = _find_gap(session, series_id, group_id, before)
    member = update(SeriesGroup).where(_is_member(series_id, group_id))
    session.execute(member.values(position=position))


def _find_gap(session: Session, series_id: int, group_id: int, before: int) -> int:
    for _ in range(2):
        target = get_member(session, series_id, before).position
        above = session.scalar(
            select(func.max(SeriesGroup.position)).where(
                SeriesGroup.series_id == series_id,
                SeriesGroup.group_id != group_id,
                SeriesGroup.position < target,
            )
        )
        least = int(above) if above is not None else target - 2 * STEP
        if target - least >= 2:
            break
        _spread(session, series_id)
    return (least + target) // 2


def _spread(session: Session, series_id: int) -> None:
    """Give the groups of a series new positions at a distance of ``STEP``, in the same order."""
    ids = session.scalars(
        select(SeriesGroup.group_id)
        .where(SeriesGroup.series_id == series_id)
        .order_by(SeriesGroup.position, SeriesGroup.group_id)
    )
    rows = [
        {"series_id": series_id, "group_id": group_id, "position": number * STEP}
        for number, group_id in enumerate(ids, start=1)
    ]
    if rows:
        session.execute(update(SeriesGroup), rows)


def _is_member(series_id: int, group_id: int) -> ColumnElement[bool]:
    return (SeriesGroup.series_id == series_id) & (SeriesGroup.group_id == group_id)
