"""Read series: those that visitors see, the works of one of them, and all of them for the admin.

A series is shown when it and the series that it is a part of are published, and visitors see one of
its groups, or one of those of its parts. There are few series, so lists of them are read whole; a
series may have many groups, which are read page by page from an index.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Select, and_, func, or_, select, true
from sqlalchemy.orm import InstrumentedAttribute, Session, aliased

from imagehub.database import MAX_ID
from imagehub.domain.library import gallery
from imagehub.domain.library.gallery import GROUPS_PER_PAGE, Tile
from imagehub.domain.library.search import MAX_WORDS
from imagehub.errors import NotFoundError
from imagehub.messages import Message
from imagehub.models import Group, Series, SeriesGroup, Translation

# Lists of series are not divided into pages.
MAX_LISTED = 1000
MAX_FOUND = 12


@dataclass(frozen=True)
class ShownSeries:
    """A series that visitors see, and the group that stands for it."""

    series: Series
    cover: Tile


@dataclass(frozen=True)
class SeriesPage(gallery.Page):
    """One page of the shown groups of a series, in its order."""

    series: Series


@dataclass(frozen=True)
class SeriesRow:
    """A series in the admin pages: how many groups it has, and its cover, if there is one."""

    series: Series
    group_count: int
    cover: Tile | None


def name_series(series: Series) -> str:
    """Return the title; a series without one is named by its number."""
    return series.title.strip() or Message("Untitled series %(number)s", number=series.id)


# --- For visitors ---------------------------------------------------------------------------------


def has_shown_series(session: Session) -> bool:
    """Tell whether visitors see any series."""
    return session.scalar(_select_shown().with_only_columns(Series.id).limit(1)) is not None


def list_shown_series(session: Session, parent_id: int | None = None) -> list[ShownSeries]:
    """List the shown series in their order: the parts of one, or else those that are no parts."""
    beside = _select_shown().where(Series.parent_id == parent_id)
    return _add_covers(session, session.scalars(_sort(beside)).all())


def list_all_shown(session: Session) -> list[ShownSeries]:
    """List all shown series by number, for the site map."""
    shown = _select_shown().order_by(Series.id).limit(MAX_LISTED)
    return _add_covers(session, session.scalars(shown).all())


def find_shown_series(session: Session, words: str) -> list[ShownSeries]:
    """Find the shown series whose title, place, dates or text have all of some words.

    In whatever languages. As for works, only the first twelve words count.
    """
    found = _select_shown()
    parts = words.split()[:MAX_WORDS]
    for word in parts:
        columns = (Series.title, Series.place, Series.dates, Series.text)
        has_word = [column.icontains(word, autoescape=True) for column in columns]
        # Those of series are a range of an index; without it, MariaDB reads all translations.
        translated = select(Translation.series_id).where(
            Translation.series_id > 0, Translation.text.icontains(word, autoescape=True)
        )
        has_word.append(Series.id.in_(translated))
        found = found.where(or_(*has_word))
    if not parts:
        return []
    return _add_covers(session, session.scalars(_sort(found).limit(MAX_FOUND)).all())


def get_shown_series(session: Session, number: int) -> Series:
    """Find a series that visitors see.

    :raise NotFoundError: there is none, or it is a draft or a part of one, or has no shown groups.
    """
    this = _select_shown().where(Series.id == number)
    one = session.scalars(this).one_or_none() if number <= MAX_ID else None
    if one is None:
        raise NotFoundError("series", number)
    return one


def get_series_page(
    session: Session, series: Series, number: int, per_page: int = GROUPS_PER_PAGE
) -> SeriesPage:
    """Load a page of the shown groups, counted from 1; a page past the end has no tiles."""
    page_count = -(-series.shown_count // per_page)
    if not 1 <= number <= page_count:
        return SeriesPage(number, page_count, series.shown_count, (), series)
    ids = session.scalars(
        _select_members(series.id)
        .where(SeriesGroup.is_shown == true())
        .offset((number - 1) * per_page)
        .limit(per_page)
    ).all()
    tiles = gallery.load_tiles(session, ids)
    return SeriesPage(number, page_count, series.shown_count, tiles, series)


def find_cover(session: Session, series: Series) -> Tile | None:
    """Find the shown group that stands for a series."""
    return _find_covers(session, [series]).get(series.id)


def list_newest_in_series(session: Session, series: Series) -> list[Tile]:
    """List the shown groups of a series that were created last, newest first, for its feed."""
    newest = (
        select(SeriesGroup.group_id)
        .where(SeriesGroup.series_id == series.id, SeriesGroup.is_shown == true())
        .order_by(SeriesGroup.group_id.desc())
        .limit(gallery.FEED_LENGTH)
    )
    return gallery.load_tiles(session, session.scalars(newest).all())


def list_shown_of_group(session: Session, group_id: int) -> Sequence[Series]:
    """List the shown series that a group is in."""
    of_group = select(SeriesGroup.series_id).where(SeriesGroup.group_id == group_id)
    return session.scalars(_sort(_select_shown().where(Series.id.in_(of_group)))).all()


def find_beside_in_series(
    session: Session, series_id: int, group_id: int
) -> tuple[Group | None, Group | None]:
    """Find the shown groups before and after one in the order of a series."""
    here = select(SeriesGroup.position).where(
        SeriesGroup.series_id == series_id, SeriesGroup.group_id == group_id
    )
    position = session.scalar(here)
    if position is None:
        return None, None
    place = (SeriesGroup.position, SeriesGroup.group_id)
    shown = select(SeriesGroup.group_id).where(
        SeriesGroup.series_id == series_id, SeriesGroup.is_shown == true()
    )
    is_before = (SeriesGroup.position < position) | (
        (SeriesGroup.position == position) & (SeriesGroup.group_id < group_id)
    )
    is_after = (SeriesGroup.position > position) | (
        (SeriesGroup.position == position) & (SeriesGroup.group_id > group_id)
    )
    before = session.scalar(
        shown.where(is_before).order_by(*(column.desc() for column in place)).limit(1)
    )
    after = session.scalar(shown.where(is_after).order_by(*place).limit(1))
    return (
        session.get(Group, before) if before else None,
        session.get(Group, after) if after else None,
    )


def is_shown() -> ColumnElement[bool]:
    """Make the condition that visitors see a series."""
    part, parent = aliased(Series), aliased(Series)
    has_shown_part = (
        select(part.id)
        .where(part.parent_id == Series.id, part.state == "published", part.shown_count > 0)
        .exists()
    )
    has_draft_parent = (
        select(parent.id).where(parent.id == Series.parent_id, parent.state != "published").exists()
    )
    return and_(
        Series.state == "published",
        or_(Series.shown_count > 0, has_shown_part),
        ~has_draft_parent,
    )


def _select_shown() -> Select[Series]:
    return select(Series).where(is_shown())


def _select_living() -> Select[Series]:
    return select(Series).where(Series.state != "trash")


def _sort(series: Select[Series]) -> Select[Series]:
    return series.order_by(Series.position, Series.id).limit(MAX_LISTED)


def _select_members(series_id: int | InstrumentedAttribute[int]) -> Select[int]:
    """Select the groups of a series in its order; ``series_id`` may be that of an outer query."""
    return (
        select(SeriesGroup.group_id)
        .where(SeriesGroup.series_id == series_id)
        .order_by(SeriesGroup.position, SeriesGroup.group_id)
    )


def _add_covers(session: Session, listed: Sequence[Series]) -> list[ShownSeries]:
    covers = _find_covers(session, listed)
    return [ShownSeries(one, covers[one.id]) for one in listed if one.id in covers]


def _find_covers(session: Session, listed: Sequence[Series]) -> dict[int, Tile]:
    """Find the group that stands for each series: the chosen one, the first, or that of a part."""
    ids = [one.id for one in listed]
    if not ids:
        return {}
    place = func.row_number().over(
        partition_by=Series.parent_id, order_by=(Series.position, Series.id)
    )
    ranked = (
        select(Series.parent_id, Series.id, place.label("place"))
        .where(Series.parent_id.in_(ids), Series.state == "published", Series.shown_count > 0)
        .subquery()
    )
    parts: dict[int, int] = {
        row[0]: row[1]
        for row in session.execute(
            select(ranked.c.parent_id, ranked.c.id).where(ranked.c.place == 1)
        )
    }
    # Of each series a range of the index, of which one row is read.
    member = _select_members(Series.id).where(SeriesGroup.is_shown == true()).limit(1)
    firsts = select(Series.id, member.correlate(Series).scalar_subquery()).where(
        Series.id.in_([*ids, *parts.values()])
    )
    first: dict[int, int] = {row[0]: row[1] for row in session.execute(firsts) if row[1]}
    chosen = [one.chosen_cover_id for one in listed if one.chosen_cover_id]
    tiles = {
        tile.group.id: tile
        for tile in gallery.load_tiles(session, [*chosen, *first.values()])
        if tile.group.is_shown
    }
    covers = {}
    for one in listed:
        candidates = (one.chosen_cover_id, first.get(one.id), first.get(parts.get(one.id, 0)))
        found = next((tiles[i] for i in candidates if i in tiles), None)
        if found is not None:
            covers[one.id] = found
    return covers


# --- For the admin pages --------------------------------------------------------------------------


def get_series(session: Session, number: int) -> Series:
    """Find a series, published or not.

    :raise NotFoundError: there is no such series, or it is in the trash.
    """
    one = session.get(Series, number) if 0 < number <= MAX_ID else None
    if one is None or one.state == "trash":
        raise NotFoundError("series", number)
    return one


def list_series(session: Session, parent_id: int | None = None) -> list[SeriesRow]:
    """List series in their order, drafts too: the parts of one, or those that are no parts."""
    beside = _select_living().where(Series.parent_id == parent_id)
    return _make_rows(session, session.scalars(_sort(beside)).all())


def list_parts(session: Session, series_ids: Sequence[int]) -> dict[int, list[SeriesRow]]:
    """List the parts of some series in their order, drafts too: number of the series → parts."""
    parts: dict[int, list[SeriesRow]] = {number: [] for number in series_ids}
    of_these = _sort(_select_living().where(Series.parent_id.in_(parts)))
    for row in _make_rows(session, session.scalars(of_these).all()):
        if row.series.parent_id is not None:
            parts[row.series.parent_id].append(row)
    return parts


def _make_rows(session: Session, listed: Sequence[Series]) -> list[SeriesRow]:
    counts = count_members(session, [one.id for one in listed])
    covers = _find_covers(session, listed)
    return [SeriesRow(one, counts.get(one.id, 0), covers.get(one.id)) for one in listed]


def list_series_choices(session: Session) -> list[tuple[int, str]]:
    """List the number and the name of every series, parts after the series that they belong to."""
    listed = session.scalars(_sort(_select_living())).all()
    names: list[tuple[int, str]] = []
    for one in listed:
        if one.parent_id is None:
            names.append((one.id, name_series(one)))
            parts = [part for part in listed if part.parent_id == one.id]
            names += [(part.id, f"{name_series(one)} / {name_series(part)}") for part in parts]
    return names


def list_series_of_group(session: Session, group_id: int) -> Sequence[Series]:
    """List the series that a group is in, drafts too."""
    of_group = select(SeriesGroup.series_id).where(SeriesGroup.group_id == group_id)
    return session.scalars(_sort(_select_living().where(Series.id.in_(of_group)))).all()


def count_members(session: Session, series_ids: Sequence[int]) -> dict[int, int]:
    """Count the groups of series, drafts too; those in the trash count as well."""
    counts = select(SeriesGroup.series_id, func.count()).where(
        SeriesGroup.series_id.in_(series_ids)
    )
    return {row[0]: row[1] for row in session.execute(counts.group_by(SeriesGroup.series_id))}


def find_members(session: Session, series_id: int, group_ids: Sequence[int]) -> set[int]:
    """Return those of some groups that are in a series."""
    members = select(SeriesGroup.group_id).where(
        SeriesGroup.series_id == series_id, SeriesGroup.group_id.in_(group_ids)
    )
    return set(session.scalars(members))


def list_members(session: Session, series_id: int, number: int, per_page: int) -> Sequence[Group]:
    """List a page of the groups of a series, counted from 1; those in the trash are left out."""
    return session.scalars(
        select(Group)
        .join(SeriesGroup, SeriesGroup.group_id == Group.id)
        .where(SeriesGroup.series_id == series_id, Group.state != "trash")
        .order_by(SeriesGroup.position, SeriesGroup.group_id)
        .offset((number - 1) * per_page)
        .limit(per_page)
    ).all()
