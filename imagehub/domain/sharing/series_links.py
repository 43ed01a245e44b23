"""What a share link to a series shows: the series and its parts, drafts too, as they are now."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Select, func, select, tuple_
from sqlalchemy.orm import InstrumentedAttribute, Session

from imagehub.domain.library.gallery import Tile, load_tiles
from imagehub.domain.library.series import MAX_LISTED
from imagehub.domain.sharing.links import IS_SHOWN_BY_LINKS, select_shared_series
from imagehub.errors import NotFoundError
from imagehub.models import Group, Series, SeriesGroup, ShareLink

GROUPS_PER_PAGE = 24
_PLACE = (SeriesGroup.position, SeriesGroup.group_id)


@dataclass(frozen=True)
class SharedPart:
    """A part of a shared series, and the group that stands for it."""

    series: Series
    cover: Tile


@dataclass(frozen=True)
class SharedPage:
    """Some groups of a shared series in its order.

    :param previous: the group that the page before begins with; 0 if that is the first page, None
        if this one is.
    :param following: the group that the next page begins with; None at the end.
    """

    tiles: Sequence[Tile]
    previous: int | None
    following: int | None


def get_shared_series(session: Session, share: ShareLink, number: int | None = None) -> Series:
    """Find the series of a link, or one of its parts.

    :raise NotFoundError: the link shows no such series.
    """
    this = select_shared_series(share).where(Series.id == (number or share.series_id))
    series = session.scalars(this).one_or_none()
    if series is None:
        raise NotFoundError("series", number)
    return series


def list_shared_parts(session: Session, series: Series) -> list[SharedPart]:
    """List the parts of a series that have groups to show, in their order."""
    members = _select_members(Series.id)
    first = members.limit(1).correlate(Series)
    # It may have been removed from the part since.
    chosen = members.where(SeriesGroup.group_id == Series.chosen_cover_id).correlate(Series)
    rows = session.execute(
        select(Series, func.coalesce(chosen.scalar_subquery(), first.scalar_subquery()))
        .where(Series.parent_id == series.id, Series.state != "trash")
        .order_by(Series.position, Series.id)
        .limit(MAX_LISTED)
    ).all()
    numbers = [number for _, number in rows if number]
    tiles = {tile.group.id: tile for tile in load_tiles(session, numbers)}
    return [SharedPart(part, tiles[number]) for part, number in rows if number in tiles]


def list_shared_page(session: Session, series: Series, begin: int | None = None) -> SharedPage:
    """List a page of the groups of a shared series.

    :param begin: the group that it begins with; None, or a group that is not in the series any
        more, for the first page.
    """
    members = _select_members(series.id)
    place = _find_place(session, series.id, begin)
    if place is not None:
        members = members.where(_PLACE[0] >= place[0], tuple_(*_PLACE) >= place)
    ids = session.scalars(members.limit(GROUPS_PER_PAGE + 1)).all()
    following = ids[GROUPS_PER_PAGE] if len(ids) > GROUPS_PER_PAGE else None
    previous = None
    if place is not None:
        before = _select_before(series.id, place, GROUPS_PER_PAGE + 1)
        earlier = session.scalars(before).all()
        if earlier:
            previous = earlier[GROUPS_PER_PAGE - 1] if len(earlier) > GROUPS_PER_PAGE else 0
    return SharedPage(load_tiles(session, ids[:GROUPS_PER_PAGE]), previous, following)


def find_series_of_shared(
    session: Session, share: ShareLink, group_id: int, number: int
) -> Series | None:
    """Find the series of a link that a group is in: the one with this number, or the first."""
    found = session.scalars(
        select_shared_series(share)
        .join(SeriesGroup, SeriesGroup.series_id == Series.id)
        .where(SeriesGroup.group_id == group_id)
        .order_by(Series.id != number, Series.parent_id.is_not(None), Series.position, Series.id)
        .limit(1)
    )
    return found.one_or_none()


def list_beside_in_shared(
    session: Session, series: Series, group_id: int
) -> tuple[Tile | None, Tile | None]:
    """Find the groups before and after one in a shared series."""
    place = _find_place(session, series.id, group_id)
    if place is None:
        return None, None
    members = _select_members(series.id)
    before = session.scalar(_select_before(series.id, place, 1))
    after = session.scalar(members.where(_PLACE[0] >= place[0], tuple_(*_PLACE) > place).limit(1))
    tiles = {one.group.id: one for one in load_tiles(session, [n for n in (before, after) if n])}
    return tiles.get(before or 0), tiles.get(after or 0)


def _find_place(session: Session, series_id: int, group_id: int | None) -> tuple[int, int] | None:
    member = session.get(SeriesGroup, (series_id, group_id)) if group_id else None
    return None if member is None else (member.position, member.group_id)


def _select_before(series_id: int, place: tuple[int, int], limit: int) -> Select[int]:
    """Select the groups before a place, the nearest first."""
    members = _select_members(series_id).where(_PLACE[0] <= place[0], tuple_(*_PLACE) < place)
    nearest = (column.desc() for column in _PLACE)
    return members.order_by(None).order_by(*nearest).limit(limit)


def _select_members(series_id: int | InstrumentedAttribute[int]) -> Select[int]:
    """Select the groups of a series in its order; ``series_id`` may be that of an outer query."""
    return (
        select(SeriesGroup.group_id)
        .join(Group, Group.id == SeriesGroup.group_id)
        .where(SeriesGroup.series_id == series_id, *IS_SHOWN_BY_LINKS)
        .order_by(*_PLACE)
    )
