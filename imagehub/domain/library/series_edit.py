"""Create, edit and order series."""

from collections.abc import Mapping, Sequence
from datetime import date

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from imagehub.database import count_rows, make_batches
from imagehub.domain.library.edit import tidy_field
from imagehub.domain.library.groups import lock_groups
from imagehub.domain.library.series import get_series
from imagehub.domain.library.series_members import add_members, get_member, lock_series
from imagehub.errors import ConflictError, InvalidInputError, NotFoundError
from imagehub.messages import mark
from imagehub.models import Series

FIELD_NAMES = {
    "title": mark("Title"),
    "first_day": mark("First day"),
    "last_day": mark("Last day"),
    "dates": mark("Dates"),
    "place": mark("Place"),
    "text": mark("Description"),
    "parent": mark("Part of"),
}
_TEXTS = ("title", "dates", "place", "text")


def create_series(
    session: Session, title: str, group_ids: Sequence[int] = (), parent_id: int | None = None
) -> Series:
    """Create a draft series after all others, with groups in the order given.

    :raise InvalidInputError: it has no title, or ``parent_id`` is a part of another series.
    """
    title = tidy_field("title", title)
    if not title:
        raise InvalidInputError("Enter a title.", {"title": "is empty"})
    for ids in make_batches(sorted(set(group_ids))):
        lock_groups(session, ids)
    if parent_id is not None:
        lock_series(session, parent_id)
        _check_parent(session, None, parent_id)
    last = session.scalar(select(func.max(Series.position)).where(Series.parent_id == parent_id))
    series = Series(title=title, parent_id=parent_id, position=int(last or 0) + 1)
    session.add(series)
    session.flush()
    add_members(session, series.id, group_ids)
    return series


def save_series(
    session: Session,
    number: int,
    version: int,
    values: Mapping[str, str],
    parent_id: int | None,
    days: tuple[date | None, date | None] = (None, None),
) -> list[str]:
    """Save the form of a series; return the fields that changed.

    :param version: that its author saw.
    :param days: the first and the last day.
    :raise ConflictError: someone else has saved it since.
    :raise InvalidInputError: a value is too long, or the series cannot be a part of that one.
    """
    # In ascending order, so that two requests that swap two series do not deadlock.
    for one in sorted({number, parent_id or number}):
        lock_series(session, one)
    series = get_series(session, number)
    if series.version != version:
        raise ConflictError("Someone else changed this while you were editing.")
    tidy = {name: tidy_field(name, values[name]) for name in _TEXTS}
    if not tidy["title"]:
        raise InvalidInputError("Enter a title.", {"title": "is empty"})
    first, last = days
    if first and last and last < first:
        raise InvalidInputError("The last day is before the first.", {"last_day": "is too early"})
    if parent_id is not None:
        _check_parent(session, series, parent_id)
    changed = [name for name in _TEXTS if getattr(series, name) != tidy[name]]
    for name in changed:
        setattr(series, name, tidy[name])
    for name, day in zip(("first_day", "last_day"), days, strict=True):
        if getattr(series, name) != day:
            setattr(series, name, day)
            changed.append(name)
    if series.parent_id != parent_id:
        series.parent_id = parent_id
        changed.append("parent")
    if changed:
        series.version += 1
    session.flush()
    return changed


def set_series_state(session: Session, number: int, state: str) -> Series:
    """Publish a series, or make it a draft."""
    series = lock_series(session, number)
    series.state = state
    session.flush()
    return series


def choose_series_cover(session: Session, number: int, group_id: int) -> Series:
    """Set the cover of a series to that of one of its groups.

    :raise NotFoundError: the group is not in the series.
    """
    series = lock_series(session, number)
    get_member(session, number, group_id)
    series.chosen_cover_id = group_id
    session.flush()
    return series


def move_series(session: Session, number: int, step: int) -> int | None:
    """Move a series one place up (-1) or down (1) among those beside it.

    :return: the series that followed it; None if it was the last.
    """
    order = _lock_beside(session, number)
    here = order.index(number)
    following = next(iter(order[here + 1 :]), None)
    order.insert(max(0, here + step), order.pop(here))
    _number(session, order)
    return following


def place_series(session: Session, number: int, before: int | None) -> int | None:
    """Move a series before another one of those beside it, or to the end.

    :param before: the other one; None for the end.
    :return: the series that followed it; None if it was the last.
    :raise NotFoundError: there is no such series, or ``before`` is not beside it.
    """
    order = _lock_beside(session, number)
    if before is not None and before not in order:
        raise NotFoundError("series", before)
    following = next(iter(order[order.index(number) + 1 :]), None)
    if before != number:
        order.remove(number)
        order.insert(order.index(before) if before is not None else len(order), number)
        _number(session, order)
    return following


def _lock_beside(session: Session, number: int) -> list[int]:
    """Lock the series that have the same parent as one, and list them in their order."""
    series = get_series(session, number)
    are_beside = (Series.parent_id == series.parent_id, Series.state != "trash")
    # An update that changes nothing: SQLite has no FOR UPDATE.
    lock = update(Series).where(*are_beside)
    count_rows(session, lock.values(position=Series.position, updated_at=Series.updated_at))
    beside = select(Series.id).where(*are_beside).order_by(Series.position, Series.id)
    order = list(session.scalars(beside))
    if number not in order:  # It has become a part of another one just now.
        raise NotFoundError("series", number)
    return order


def _number(session: Session, order: Sequence[int]) -> None:
    for position, one_id in enumerate(order, start=1):
        session.execute(
            update(Series)
            .where(Series.id == one_id, Series.position != position)
            .values(position=position, updated_at=Series.updated_at)
        )


def _check_parent(session: Session, series: Series | None, parent_id: int) -> None:
    parent = get_series(session, parent_id)
    if parent.parent_id is not None or (series is not None and parent.id == series.id):
        raise InvalidInputError(
            "Choose a series that is not part of another series.",
            {"parent": "is a part itself"},
        )
    has_parts = series is not None and session.scalar(
        select(Series.id).where(Series.parent_id == series.id, Series.state != "trash").limit(1)
    )
    if has_parts:
        raise InvalidInputError(
            "This series has parts of its own, so it cannot be part of another series.",
            {"parent": "has parts"},
        )
