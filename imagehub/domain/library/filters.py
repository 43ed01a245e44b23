"""Find works by what they are: year, medium, availability, tag, colour and orientation.

A visitor chooses at most one value of each. The works that have all of them are found by walking
along an index in the order of the page, and looking each work up in the entries of the other
values. A walk ends after a fixed number of works, even if few match: the next page continues there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Select, and_, func, or_, select, true, tuple_, union_all
from sqlalchemy.orm import InstrumentedAttribute, Session, aliased

from imagehub.database import make_batches
from imagehub.domain.library import gallery
from imagehub.domain.library.facet_index import (
    ALL,
    AVAILABILITY,
    COLOUR,
    DECADE,
    MEDIUM,
    SHAPE,
    TAG,
    YEAR,
)
from imagehub.domain.library.gallery import GROUPS_PER_PAGE
from imagehub.models import FacetEntry, FacetValue, Series, SeriesGroup

# The filters that a visitor sees, and the facets of their values.
FILTERS: Mapping[str, tuple[str, ...]] = {
    "year": (YEAR, DECADE),
    "colour": (COLOUR,),
    "shape": (SHAPE,),
    "availability": (AVAILABILITY,),
    "medium": (MEDIUM,),
    "tag": (TAG,),
}
# How many values of a facet are offered, those with most works first.
_LIMITS = {YEAR: 300, DECADE: 120, MEDIUM: 60, TAG: 60}
_MOST = 24
# How many works are looked at for a page, first a few and then more. With a single value, or with
# values that some of the works have, the first walk suffices.
_SPANS = (400, 8000)
# The number of matching works whose values are counted, to tell what can be chosen next.
SAMPLE = 1000


@dataclass(frozen=True)
class Value:
    """A value of a facet and how many shown groups of the gallery have it."""

    id: int
    facet: str
    slug: str
    label: str
    count: int

    @property
    def filter(self) -> str:
        return YEAR if self.facet == DECADE else self.facet


@dataclass(frozen=True)
class Choice:
    """What a visitor has chosen: filter → slug, and those of the values that exist.

    If one of them does not, or no longer, no work matches.
    """

    wanted: Mapping[str, str] = field(default_factory=dict)
    values: tuple[Value, ...] = ()

    @property
    def are_known(self) -> bool:
        return len(self.values) == len(self.wanted)

    @property
    def ids(self) -> list[int]:
        return [value.id for value in self.values]

    def without(self, name: str) -> "Choice":
        wanted = {key: slug for key, slug in self.wanted.items() if key != name}
        return Choice(wanted, tuple(value for value in self.values if value.filter != name))


@dataclass(frozen=True)
class Cursor:
    """A place in a list: the sort key or position of a group, and its number."""

    key: int
    number: int

    def __str__(self) -> str:
        return f"{self.key}.{self.number}"


@dataclass(frozen=True)
class FilteredPage(gallery.Page):
    """A page of the works that have all chosen values.

    :param before, after: where the pages around it end and begin; None if there is none.
    """

    before: Cursor | None = None
    after: Cursor | None = None


@dataclass(frozen=True)
class Option:
    """A value that a visitor may choose.

    :param count: the works that it would show with the other chosen values; None if there are more
        than were counted.
    """

    value: Value
    count: int | None
    is_chosen: bool = False

    @property
    def is_empty(self) -> bool:
        return self.count == 0 and not self.is_chosen


@dataclass(frozen=True)
class Panel:
    """All that can be chosen: filter → options.

    :param count: of the works that are shown now; None if there are more than were counted.
    """

    choice: Choice
    options: Mapping[str, Sequence[Option]]
    count: int | None

    @property
    def is_useful(self) -> bool:
        """Tell whether any filter makes a difference."""
        return bool(self.choice.wanted) or any(len(some) > 1 for some in self.options.values())


# --- Values ---------------------------------------------------------------------------------------


def find_choice(session: Session, wanted: Mapping[str, str]) -> Choice:
    """Find the values that a visitor has chosen.

    :param wanted: keys of :data:`FILTERS` → slugs, as in :class:`FacetValue`.
    """
    if not wanted:
        return Choice()
    keys = [
        and_(FacetValue.facet == facet, FacetValue.slug == slug)
        for name, slug in wanted.items()
        for facet in FILTERS[name]
    ]
    found = session.scalars(select(FacetValue).where(or_(*keys), FacetValue.shown_count > 0))
    return Choice(dict(wanted), tuple(_make_value(one, one.shown_count) for one in found))


def _make_value(row: Any, count: int) -> Value:
    return Value(row.id, row.facet, row.slug, row.label, count)


def list_values(session: Session) -> list[Value]:
    """List the values of all shown groups, of each facet those with most works."""
    parts = []
    for facet in (facet for facets in FILTERS.values() for facet in facets):
        most = (
            select(FacetValue)
            .where(FacetValue.facet == facet, FacetValue.shown_count > 0)
            .order_by(FacetValue.shown_count.desc(), FacetValue.id)
            .limit(_LIMITS.get(facet, _MOST))
            .subquery()
        )
        parts.append(select(most))
    return [_make_value(row, row.shown_count) for row in session.execute(union_all(*parts))]


def count_values(session: Session, group_ids: Sequence[int]) -> list[Value]:
    """Count the values of some shown groups; at most a few thousand."""
    counts: dict[int, Value] = {}
    columns = FacetValue.id, FacetValue.facet, FacetValue.slug, FacetValue.label
    facets = [facet for facets in FILTERS.values() for facet in facets]
    for ids in make_batches(group_ids, 2 * SAMPLE):
        found = (
            select(FacetEntry.value_id, func.count().label("group_count"))
            .where(FacetEntry.group_id.in_(ids))
            .group_by(FacetEntry.value_id)
            .subquery()
        )
        named = select(*columns, found.c.group_count).join(found, found.c.value_id == FacetValue.id)
        for row in session.execute(named.where(FacetValue.facet.in_(facets))):
            before = counts[row.id].count if row.id in counts else 0
            counts[row.id] = _make_value(row, row.group_count + before)
    return list(counts.values())


# --- Walks ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Walk:
    """Groups in an order: an index that is read from a cursor on.

    :param rows: selects ``key`` and ``number``.
    :param probes: the values that each group must have too.
    """

    rows: Select[int, int]
    key: InstrumentedAttribute[int]
    number: InstrumentedAttribute[int]
    probes: Sequence[int]
    is_rising: bool = False


@dataclass(frozen=True)
class _Found:
    """Groups in the order of the walk; ``end`` is where it stopped before it was over."""

    places: Sequence[Cursor]
    end: Cursor | None


class GalleryScope:
    """All shown groups, in the order of the gallery."""

    def make_walk(self, choice: Choice) -> _Walk:
        """Begin with the rarest value."""
        ordered = sorted(choice.values, key=lambda value: (value.count, value.id))
        rows = select(FacetEntry.sort_key.label("key"), FacetEntry.group_id.label("number"))
        everything = select(FacetValue.id).where(FacetValue.facet == ALL).scalar_subquery()
        rows = rows.where(FacetEntry.value_id == (ordered[0].id if ordered else everything))
        ids = [value.id for value in ordered[1:]]
        return _Walk(rows, FacetEntry.sort_key, FacetEntry.group_id, ids)

    def list_values(self, session: Session) -> tuple[list[Value], bool]:
        return list_values(session), True

    def list_numbers(self, session: Session, choice: Choice) -> tuple[list[int], bool]:
        found = _read(session, self.make_walk(choice), SAMPLE + 1, _SPANS[1:])
        return _cut(found)


class SeriesScope:
    """The shown groups of a series, in its order."""

    def __init__(self, series: Series) -> None:
        self._series = series

    def make_walk(self, choice: Choice) -> _Walk:
        rows = select(SeriesGroup.position.label("key"), SeriesGroup.group_id.label("number"))
        rows = rows.where(SeriesGroup.series_id == self._series.id, SeriesGroup.is_shown == true())
        walk = _Walk(rows, SeriesGroup.position, SeriesGroup.group_id, choice.ids, is_rising=True)
        rarest = min(choice.values, key=lambda value: value.count, default=None)
        if rarest is None or rarest.count >= min(self._series.shown_count, SAMPLE):
            return walk
        # Few works have this value: look for those in the series, instead of walking through it.
        entry = aliased(FacetEntry)
        has_it = and_(entry.group_id == SeriesGroup.group_id, entry.value_id == rarest.id)
        return _Walk(
            rows.join(entry, has_it),
            SeriesGroup.position,
            SeriesGroup.group_id,
            [one for one in choice.ids if one != rarest.id],
            is_rising=True,
        )

    def list_values(self, session: Session) -> tuple[list[Value], bool]:
        numbers, are_all = self.list_numbers(session, Choice())
        return count_values(session, numbers), are_all

    def list_numbers(self, session: Session, choice: Choice) -> tuple[list[int], bool]:
        return _cut(_read(session, self.make_walk(choice), SAMPLE + 1, _SPANS[1:]))


class ListScope:
    """Groups that were found in some other way.

    :param find: lists the numbers of the first of them that have all of some values.
    """

    def __init__(self, find: Any) -> None:
        self._find = find

    def list_values(self, session: Session) -> tuple[list[Value], bool]:
        numbers, are_all = self.list_numbers(session, Choice())
        return count_values(session, numbers), are_all

    def list_numbers(self, session: Session, choice: Choice) -> tuple[list[int], bool]:
        numbers = self._find(choice.ids, SAMPLE + 1)
        return numbers[:SAMPLE], len(numbers) <= SAMPLE


Scope = GalleryScope | SeriesScope | ListScope


def _cut(found: _Found) -> tuple[list[int], bool]:
    """Return the numbers of a sample, and whether they are all that there are."""
    are_all = found.end is None and len(found.places) <= SAMPLE
    return [place.number for place in found.places[:SAMPLE]], are_all


def _read(
    session: Session,
    walk: _Walk,
    limit: int,
    spans: Sequence[int] = _SPANS,
    start: Cursor | None = None,
    is_backwards: bool = False,
) -> _Found:
    """Read the first groups behind a place."""
    is_rising = walk.is_rising != is_backwards
    ordered = walk.rows
    place = walk.key, walk.number
    if start is not None:
        here = start.key, start.number
        # The first condition is implied by the second; it lets MySQL read a range of the index.
        if is_rising:
            ordered = ordered.where(walk.key >= start.key, tuple_(*place) > here)
        else:
            ordered = ordered.where(walk.key <= start.key, tuple_(*place) < here)
    ordered = ordered.order_by(*(place if is_rising else (one.desc() for one in place)))
    if not walk.probes:
        return _Found(_list_places(session, ordered.limit(limit)), None)
    for span in spans:
        walked = ordered.limit(span).subquery()
        found = select(walked.c.key, walked.c.number)
        for value_id in walk.probes:
            entry = aliased(FacetEntry)
            # A value instead of EXISTS, which a database may evaluate starting from all entries.
            one = select(entry.value_id).where(
                entry.value_id == value_id, entry.group_id == walked.c.number
            )
            found = found.where(one.correlate(walked).scalar_subquery().is_not(None))
        columns = walked.c.key, walked.c.number
        found = found.order_by(*(columns if is_rising else (one.desc() for one in columns)))
        places = _list_places(session, found.limit(limit))
        if len(places) == limit:
            return _Found(places, None)
        last = _list_places(session, ordered.offset(span - 1).limit(1))
        if not last:
            return _Found(places, None)
    return _Found(places, last[0])


def _list_places(session: Session, rows: Select[int, int]) -> list[Cursor]:
    return [Cursor(int(row[0]), int(row[1])) for row in session.execute(rows)]


# --- Pages ----------------------------------------------------------------------------------------


def get_filtered_page(
    session: Session,
    scope: GalleryScope | SeriesScope,
    choice: Choice,
    start: Cursor | None = None,
    is_backwards: bool = False,
    per_page: int = GROUPS_PER_PAGE,
) -> FilteredPage:
    """Load the works with all chosen values behind a place, or before it.

    A page may be short, or empty, although there are more.
    """
    if not choice.are_known:
        return FilteredPage(1, 1, 0, ())
    walk = scope.make_walk(choice)
    found = _read(session, walk, per_page + 1, start=start, is_backwards=is_backwards)
    places = list(found.places[:per_page])
    # Where the walk continues in its own direction.
    onward = places[-1] if len(found.places) > per_page else found.end
    if is_backwards:
        places.reverse()
        before, after = onward, places[-1] if places else start
    else:
        before, after = (places[0] if places else start) if start else None, onward
    tiles = gallery.load_tiles(session, [place.number for place in places])
    # The index is updated with the groups; should it be wrong, a draft is still not shown.
    shown = [tile for tile in tiles if tile.group.is_shown]
    return FilteredPage(1, 1, len(shown), shown, before, after)


def make_panel(session: Session, scope: Scope, choice: Choice) -> Panel:
    """List the values that can be chosen, and how many works each would show.

    Reads the values once, and for each chosen value a sample of the works without it.
    """
    base, are_all = scope.list_values(session)
    options: dict[str, list[Option]] = {}
    counts: dict[str, dict[int, int] | None] = {}
    if not choice.wanted:
        here: dict[int, int] | None = {value.id: value.count for value in base} if are_all else None
        total = None
    else:
        numbers, is_whole = scope.list_numbers(session, choice) if choice.are_known else ([], True)
        sample = count_values(session, numbers)
        here = {value.id: value.count for value in sample} if is_whole else None
        total = len(numbers) if is_whole else None
        for name in choice.wanted:
            counts[name] = _count_without(session, scope, choice.without(name), base, are_all)
    for name, facets in FILTERS.items():
        known = counts.get(name, here) if name in choice.wanted else here
        shown = [value for value in base if value.facet in facets]
        # One that was chosen by its address, but is not among those with most works.
        shown += [
            value
            for value in choice.values
            if value.filter == name and value.id not in {one.id for one in shown}
        ]
        options[name] = [
            Option(value, None if known is None else known.get(value.id, 0), value.id in choice.ids)
            for value in shown
        ]
    if (
        total is None
        and len(choice.wanted) == 1
        and choice.values
        and isinstance(scope, GalleryScope)
    ):
        total = choice.values[0].count
    return Panel(choice, options, total)


def _count_without(
    session: Session, scope: Scope, choice: Choice, base: Sequence[Value], are_all: bool
) -> dict[int, int] | None:
    """Count the values of the works with the other chosen values; None if there are too many."""
    if not choice.wanted:
        return {value.id: value.count for value in base} if are_all else None
    if not choice.are_known:
        return {}
    numbers, is_whole = scope.list_numbers(session, choice)
    if not is_whole:
        return None
    return {value.id: value.count for value in count_values(session, numbers)}
