"""The index of filters: which shown groups have which year, medium, colour and so on.

There is an entry for each value of each shown group, and a count of the entries of each value, kept
by difference. So the works with a value are a range of an index, and no page counts them.

Lock order everywhere: groups first, then values by their numbers, right before the commit, so that
imports that add to the same counts neither wait long nor deadlock.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, case, delete, event, func, insert, or_, select, true, update
from sqlalchemy.dialects import mysql, sqlite
from sqlalchemy.orm import Session

from imagehub.database import count_rows, make_batches
from imagehub.domain.library.colours import name_color
from imagehub.domain.library.slugs import make_slug
from imagehub.domain.library.years import find_years
from imagehub.models import (
    FacetEntry,
    FacetValue,
    GalleryBucket,
    Group,
    GroupTag,
    Image,
    Likeness,
    Tag,
)
from imagehub.models.facets import LABEL_CHARS

# Every shown group has an entry of this facet, so that those that lack entries are found.
ALL = "all"
# And one of this facet if the index of similar works knows its cover.
LOOK = "look"
YEAR, DECADE = "year", "decade"
MEDIUM, AVAILABILITY, TAG, COLOUR, SHAPE = "medium", "availability", "tag", "colour", "shape"

# A work of more years counts for its first and last one only.
_MAX_YEARS = 120
# How much wider than high a landscape is, and the other way round a portrait.
_LEAST_OBLONG = 1.05
_GROUPS_PER_READ = 200
_CHANGES = "facet_changes"

# facet and slug
Key = tuple[str, str]


@dataclass(frozen=True)
class _Wanted:
    """What the index should have of a group: its place, and the labels of its values."""

    sort_key: int
    labels: dict[Key, str]


# --- Entries --------------------------------------------------------------------------------------


def refresh_facets(session: Session, group_ids: Sequence[int]) -> bool:
    """Update the entries of groups; they are deleted if visitors do not see a group.

    Call it after each change of a group, its cover or its tags, in the same transaction and with
    the groups' rows locked.

    :param group_ids: a few hundred at most.
    :return: whether anything was written.
    """
    session.flush()
    wanted = _read_wanted(session, group_ids)
    stored = _read_stored(session, group_ids)
    gone: list[tuple[int, int]] = []
    moved = []
    missing: dict[Key, str] = {}
    for group_id in group_ids:
        here = wanted.get(group_id)
        for key, (value_id, sort_key) in stored[group_id].items():
            if here is None or key not in here.labels:
                gone.append((value_id, group_id))
            elif sort_key != here.sort_key:
                moved.append(group_id)
        for key, label in here.labels.items() if here else ():
            if key not in stored[group_id]:
                missing.setdefault(key, label)
    _delete_entries(session, gone)
    ids = _get_or_create_values(session, missing) if missing else {}
    rows = [
        {"value_id": ids[key], "group_id": group_id, "sort_key": here.sort_key}
        for group_id, here in wanted.items()
        for key in here.labels
        if key not in stored[group_id]
    ]
    if rows:
        session.execute(insert(FacetEntry), rows)
        _note(session, (row["value_id"] for row in rows), 1)
    for group_id in set(moved):
        move_entries(session, group_id, wanted[group_id].sort_key)
    return bool(gone or rows or moved)


def move_entries(session: Session, group_id: int, sort_key: int) -> None:
    """Update a group's place in the gallery."""
    entries = update(FacetEntry).where(FacetEntry.group_id == group_id)
    count_rows(session, entries.values(sort_key=sort_key))


def forget_facets(session: Session, group_id: int) -> None:
    """Delete the entries of a group that is about to be deleted."""
    stored = _read_stored(session, [group_id])[group_id]
    _delete_entries(session, [(value_id, group_id) for value_id, _ in stored.values()])


def fill_facets(session: Session, after: int = 0) -> int:
    """Add the entries of some of the groups that lack them: after an upgrade, of all.

    :param after: only groups with higher numbers.
    :return: the number to continue after, once this is committed; 0 when none is missing.
    """
    is_all = and_(FacetValue.facet == ALL, FacetValue.slug == ALL)
    counted = select(FacetValue.shown_count).where(is_all)
    shown = select(func.sum(GalleryBucket.shown_count))
    if not after and (session.scalar(counted) or 0) == int(session.scalar(shown) or 0):
        return 0
    ids = session.scalars(
        select(Group.id).where(Group.id > after).order_by(Group.id).limit(_GROUPS_PER_READ)
    ).all()
    all_id = session.scalar(select(FacetValue.id).where(is_all)) or 0
    entries = select(FacetEntry.group_id).where(FacetEntry.value_id == all_id)
    known = set(session.scalars(entries.where(FacetEntry.group_id.in_(ids))))
    refresh_facets(session, [group_id for group_id in ids if group_id not in known])
    return int(ids[-1]) if ids else 0


def list_stale_facets(session: Session, after: int) -> tuple[list[int], int]:
    """Compare some of the groups above a number with their entries, for ``reconcile``.

    :return: the groups whose entries are wrong, and the number to continue after; 0 at the end.
    """
    ids = session.scalars(
        select(Group.id).where(Group.id > after).order_by(Group.id).limit(_GROUPS_PER_READ)
    ).all()
    wanted, stored = _read_wanted(session, ids), _read_stored(session, ids)
    stale = []
    for group_id in ids:
        here = wanted.get(group_id)
        place = {key: here.sort_key for key in here.labels} if here else {}
        if place != {key: sort_key for key, (_, sort_key) in stored[group_id].items()}:
            stale.append(group_id)
    return stale, ids[-1] if ids else 0


def _read_wanted(session: Session, ids: Sequence[int]) -> dict[int, _Wanted]:
    """Return what the index should have of those of the groups that visitors see."""
    facts = (Group.id, Group.sort_key, Group.year, Group.medium, Group.availability)
    cover = (Image.width_px, Image.height_px, Image.dominant_color)
    rows = session.execute(
        select(*facts, *cover, Likeness.group_id.label("look"))
        .outerjoin(Image, Image.id == Group.cover_id)
        .outerjoin(Likeness, Likeness.group_id == Group.id)
        .where(Group.id.in_(ids), Group.is_shown == true())
    ).all()
    wanted = {row.id: _Wanted(row.sort_key, dict(_iter_values(row))) for row in rows}
    if wanted:
        tags = session.execute(
            select(GroupTag.group_id, Tag.slug, Tag.name)
            .join(Tag, Tag.id == GroupTag.tag_id)
            .where(GroupTag.group_id.in_(list(wanted)))
        )
        for group_id, slug, name in tags:
            wanted[group_id].labels[TAG, slug] = name
    return wanted


def _iter_values(row: Any) -> Iterable[tuple[Key, str]]:
    """Yield the values of a group's own fields and of its cover."""
    yield (ALL, ALL), ""
    if row.look is not None:
        yield (LOOK, ALL), ""
    for year in _list_years(row.year):
        yield (YEAR, f"{year:04}"), str(year)
        yield (DECADE, f"{year // 10:03}0s"), str(year // 10 * 10)
    if medium := make_slug(row.medium):
        label = " ".join(row.medium.split()).rstrip(".,;")
        yield (MEDIUM, medium), label[:1].upper() + label[1:LABEL_CHARS]
    if row.availability:
        yield (AVAILABILITY, row.availability), ""
    if row.dominant_color and (name := name_color(row.dominant_color)):
        yield (COLOUR, name), ""
    if row.width_px and row.height_px:
        yield (SHAPE, name_shape(row.width_px / row.height_px)), ""


def _list_years(text: str) -> Sequence[int]:
    found = find_years(text)
    if found is None:
        return ()
    first, last = found
    return range(first, last + 1) if last - first < _MAX_YEARS else found


def name_shape(ratio: float) -> str:
    """Return ``landscape``, ``portrait`` or ``square`` for width / height."""
    if ratio >= _LEAST_OBLONG:
        return "landscape"
    return "portrait" if ratio <= 1 / _LEAST_OBLONG else "square"


def _read_stored(session: Session, ids: Sequence[int]) -> dict[int, dict[Key, tuple[int, int]]]:
    """Return the entries of groups: group → facet and slug → number of the value, sort key."""
    stored: dict[int, dict[Key, tuple[int, int]]] = defaultdict(dict)
    rows = session.execute(
        select(
            FacetEntry.group_id,
            FacetEntry.sort_key,
            FacetValue.id,
            FacetValue.facet,
            FacetValue.slug,
        )
        .join(FacetValue, FacetValue.id == FacetEntry.value_id)
        .where(FacetEntry.group_id.in_(ids))
    )
    for row in rows:
        stored[row.group_id][row.facet, row.slug] = row.id, row.sort_key
    return stored


def _delete_entries(session: Session, pairs: Sequence[tuple[int, int]]) -> None:
    """Delete entries: numbers of values and of groups."""
    by_group: dict[int, list[int]] = defaultdict(list)
    for value_id, group_id in pairs:
        by_group[group_id].append(value_id)
    for batch in make_batches(sorted(by_group.items()), _GROUPS_PER_READ):
        is_one = or_(
            *(
                and_(FacetEntry.group_id == group_id, FacetEntry.value_id.in_(value_ids))
                for group_id, value_ids in batch
            )
        )
        count_rows(session, delete(FacetEntry).where(is_one))
        for _, value_ids in batch:
            _note(session, value_ids, -1)


def _get_or_create_values(session: Session, labels: dict[Key, str]) -> dict[Key, int]:
    """Return the numbers of values, those that are new too."""
    ids = _find_values(session, labels)
    new = [key for key in labels if key not in ids]
    if new:
        rows = [
            {"facet": facet, "slug": slug, "label": labels[facet, slug], "shown_count": 0}
            for facet, slug in sorted(new)
        ]
        # Another import may create the same value at this moment.
        if session.get_bind().dialect.name == "sqlite":
            session.execute(sqlite.insert(FacetValue).on_conflict_do_nothing(), rows)
        else:
            session.execute(mysql.insert(FacetValue).prefix_with("IGNORE"), rows)
        ids |= _find_values(session, dict.fromkeys(new))
    return ids


def _find_values(session: Session, keys: Iterable[Key]) -> dict[Key, int]:
    slugs: dict[str, list[str]] = defaultdict(list)
    for facet, slug in keys:
        slugs[facet].append(slug)
    found: dict[Key, int] = {}
    for facet, some in slugs.items():
        for batch in make_batches(some):
            is_this = (FacetValue.facet == facet) & FacetValue.slug.in_(batch)
            rows = session.execute(select(FacetValue.slug, FacetValue.id).where(is_this))
            found |= {(facet, row.slug): row.id for row in rows}
    return found


# --- Counts ---------------------------------------------------------------------------------------


def _note(session: Session, value_ids: Iterable[int], change: int) -> None:
    """Remember a change of counts until the transaction is committed."""
    changes = session.info.setdefault(_CHANGES, Counter())
    for value_id in value_ids:
        changes[value_id] += change


@event.listens_for(Session, "before_commit")
def _write_counts(session: Session) -> None:
    if session.in_nested_transaction():
        return
    changes = {key: change for key, change in session.info.pop(_CHANGES, {}).items() if change}
    for ids in make_batches(sorted(changes)):
        change = case({value_id: changes[value_id] for value_id in ids}, value=FacetValue.id)
        counts = update(FacetValue).where(FacetValue.id.in_(ids))
        count_rows(session, counts.values(shown_count=FacetValue.shown_count + change))


@event.listens_for(Session, "after_rollback")
def _forget_counts(session: Session) -> None:
    # Savepoints contain no entries: what was noted before one still holds after it is rolled back.
    if not session.in_nested_transaction():
        session.info.pop(_CHANGES, None)


def recount_facets(session: Session) -> int:
    """Recompute the counts of all values, and delete the entries of values that do not exist.

    :return: how many of them were wrong.
    """
    # Locked first: whoever adds entries meanwhile changes the counts after this.
    count_rows(session, update(FacetValue).values(shown_count=FacetValue.shown_count))
    values = session.scalars(select(FacetValue)).all()
    rows = session.execute(select(FacetEntry.value_id, func.count()).group_by(FacetEntry.value_id))
    counts = {row[0]: int(row[1]) for row in rows}
    wrong = [value for value in values if value.shown_count != counts.get(value.id, 0)]
    for value in wrong:
        value.shown_count = counts.get(value.id, 0)
    session.flush()
    strays = sorted(counts.keys() - {value.id for value in values})
    for ids in make_batches(strays):
        count_rows(session, delete(FacetEntry).where(FacetEntry.value_id.in_(ids)))
    session.expire_all()
    return len(wrong) + len(strays)
