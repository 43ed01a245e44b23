"""The library as an admin looks through it: all groups but those in the trash, page by page.

Pages are found by the key of the row they begin after, never by counting rows, and each list is a
range of an index: the first and the thousandth page cost the same, and so do a hundred images and a
hundred thousand.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, false, func, select, true, tuple_
from sqlalchemy.orm import Session

from imagehub.domain import search
from imagehub.domain.gallery import MAX_ID
from imagehub.domain.storage import make_batches
from imagehub.errors import InvalidInputError
from imagehub.models import Group, Image, ImportItem, Rendition

GROUPS_PER_PAGE = 48
THUMBNAIL_PX = 480
THUMBNAIL_TYPE = "image/webp"
# What is left to do, and what a list of everything is called.
FILTERS = {
    "all": "All",
    "draft": "Unpublished",
    "alt": "No alt text",
    "changed": "Changed in OneDrive",
    "missing": "Missing in OneDrive",
    "outside": "Outside the root folder",
    "failed": "Failed imports",
}
# A count above this is not counted further: nobody reads it, and it would grow with the library.
MAX_COUNTED = 99
_LIVING = ("published", "draft")
_MAX_FOUND = 1000


@dataclass(frozen=True)
class Row:
    """A group in the list, with no more of it than a line shows.

    ``thumbnail_key``: object key of the cover's small rendition, "" where there is none. ``note``
    is what the filter says about the group: how many shots it is about, 0 where it is about the
    group itself.
    """

    id: int
    state: str
    title: str
    year: str
    medium: str
    image_count: int
    thumbnail_key: str
    note: int = 0


@dataclass(frozen=True)
class GroupPage:
    """One page. ``next_after`` and ``previous_before`` are keys for the pages around it; "" at the
    ends."""

    rows: Sequence[Row]
    next_after: str
    previous_before: str


def list_groups(
    session: Session,
    filter_name: str = "all",
    words: str = "",
    after: str = "",
    before: str = "",
    limit: int = GROUPS_PER_PAGE,
) -> GroupPage:
    """A page of groups: all and drafts in the gallery's order, the others from new to old.

    :param filter_name: one of :data:`FILTERS`.
    :param words: only groups with these words; of rare ones at most the thousand newest.
    :param after: key of the row that the page comes after.
    :param before: key of the row that the page ends before.
    :raise InvalidInputError: no such filter, or no such key.
    """
    if filter_name not in FILTERS:
        raise InvalidInputError("There is no such list.", {"filter": "unknown"})
    is_narrow: ColumnElement[bool] = true()
    if words.strip():
        number: Any = _COLUMN.get(filter_name, Group.id)
        condition = search.find_condition(session, words, number)
        if condition is None:
            found = search.list_group_ids(session, words, _MAX_FOUND)
            if not found:
                return GroupPage((), "", "")
            condition = number.in_(found)
        is_narrow = condition
    if filter_name in ("all", "draft"):
        return _list_in_order(session, filter_name, is_narrow, after, before, limit)
    return _list_to_do(session, filter_name, is_narrow, after, before, limit)


def _list_in_order(
    session: Session,
    filter_name: str,
    is_narrow: ColumnElement[bool],
    after: str,
    before: str,
    limit: int,
) -> GroupPage:
    query: Any = select(Group.id, Group.sort_key)
    if filter_name == "draft":
        query = query.where(Group.state == "draft")
    else:
        query = query.where(Group.state.in_(_LIVING))
    query = query.where(is_narrow)
    # The first half is implied; it lets both databases read a range of the index.
    if after:
        key, number = _read_key(after)
        query = query.where(Group.sort_key <= key, tuple_(Group.sort_key, Group.id) < (key, number))
    if before:
        key, number = _read_key(before)
        query = query.where(
            Group.sort_key >= key, tuple_(Group.sort_key, Group.id) > (key, number)
        ).order_by(Group.sort_key, Group.id)
    else:
        query = query.order_by(Group.sort_key.desc(), Group.id.desc())
    rows = session.execute(query.limit(limit + 1)).all()
    keys = [(f"{row.sort_key}.{row.id}", row.id) for row in rows]
    return _make_page(session, keys, {}, after, before, limit)


def _list_to_do(
    session: Session,
    filter_name: str,
    is_narrow: ColumnElement[bool],
    after: str,
    before: str,
    limit: int,
) -> GroupPage:
    number = _COLUMN[filter_name]
    query = (
        select(number.label("id"), func.count().label("note"))
        .join(Group, Group.id == number)
        .where(_CONDITION[filter_name], Group.state.in_(_LIVING))
        .group_by(number)
    )
    query = query.where(is_narrow)
    if after:
        query = query.where(number < _read_key(after)[1])
    if before:
        query = query.where(number > _read_key(before)[1]).order_by(number)
    else:
        query = query.order_by(number.desc())
    rows = session.execute(query.limit(limit + 1)).all()
    notes = {row.id: row.note for row in rows}
    keys = [(f"0.{row.id}", row.id) for row in rows]
    return _make_page(session, keys, notes, after, before, limit)


_COLUMN: Mapping[str, Any] = {
    "alt": Image.group_id,
    "changed": Image.group_id,
    "missing": Image.group_id,
    "outside": Image.group_id,
    "failed": ImportItem.group_id,
}
_CONDITION: Mapping[str, Any] = {
    # "IS false" would keep MySQL from using the index.
    "alt": Image.has_alt == false(),
    "changed": Image.drive_state == "changed",
    "missing": Image.drive_state == "missing",
    "outside": Image.drive_state == "outside",
    "failed": ImportItem.state == "failed",
}


def _make_page(
    session: Session,
    keys: list[tuple[str, int]],
    notes: Mapping[int, int],
    after: str,
    before: str,
    limit: int,
) -> GroupPage:
    has_more = len(keys) > limit
    keys = keys[:limit]
    if before:
        keys.reverse()
    rows = load_rows(session, [number for _, number in keys], notes)
    if not keys:
        return GroupPage((), "", "")
    has_next = bool(before) or has_more
    has_previous = bool(after) or (bool(before) and has_more)
    return GroupPage(rows, keys[-1][0] if has_next else "", keys[0][0] if has_previous else "")


def load_rows(
    session: Session, ids: Sequence[int], notes: Mapping[int, int] | None = None
) -> list[Row]:
    """Groups by their numbers, in the order given.

    Columns instead of whole groups, covers and renditions: fifty lines would otherwise cost more
    than all the rest of the page, on MariaDB twice as much.
    """
    found: dict[int, Row] = {}
    without: dict[int, int] = {}
    for batch in make_batches(ids):
        query = (
            select(
                Group.id,
                Group.state,
                Group.title,
                Group.year,
                Group.medium,
                Group.image_count,
                Group.cover_id,
                Rendition.object_key,
            )
            .outerjoin(
                Rendition,
                (Rendition.image_id == Group.cover_id)
                & (Rendition.size_px == THUMBNAIL_PX)
                & (Rendition.mime_type == THUMBNAIL_TYPE),
            )
            .where(Group.id.in_(batch))
        )
        for one in session.execute(query):
            found[one.id] = Row(
                id=one.id,
                state=one.state,
                title=one.title,
                year=one.year,
                medium=one.medium,
                image_count=one.image_count,
                thumbnail_key=one.object_key or "",
                note=(notes or {}).get(one.id, 0),
            )
            if one.cover_id and not one.object_key:
                without[one.cover_id] = one.id
    for covers in make_batches(list(without)):
        # Rare: whatever size there is, the smallest.
        others = (
            select(Rendition.image_id, Rendition.object_key)
            .where(Rendition.image_id.in_(covers), Rendition.mime_type == THUMBNAIL_TYPE)
            .order_by(Rendition.size_px.desc())
        )
        for image_id, key in session.execute(others):
            number = without[image_id]
            found[number] = replace(found[number], thumbnail_key=key)
    return [found[one] for one in ids if one in found]


def _read_key(text: str) -> tuple[int, int]:
    """:raise InvalidInputError: this is no key of a page."""
    parts = text.split(".")
    try:
        key, number = int(parts[0]), int(parts[1])
    except (ValueError, IndexError):
        raise InvalidInputError("There is no such page.", {"after": "unknown"}) from None
    if abs(key) > MAX_ID or not 0 <= number <= MAX_ID:
        raise InvalidInputError("There is no such page.", {"after": "unknown"})
    return key, number


def count_to_do(session: Session) -> dict[str, int]:
    """For each filter but ``all`` how many groups it lists; ``MAX_COUNTED + 1`` means more.

    One question for all of them, and each reads its index no further than it counts.
    """
    names = [name for name in FILTERS if name != "all"]
    counted = []
    for name in names:
        if name == "draft":
            some: Any = select(Group.id).where(Group.state == "draft")
        else:
            number = _COLUMN[name]
            some = (
                select(number)
                .join(Group, Group.id == number)
                .where(_CONDITION[name], Group.state.in_(_LIVING))
                .group_by(number)
                .order_by(number.desc())
            )
        some = some.limit(MAX_COUNTED + 1).subquery()
        counted.append(select(func.count()).select_from(some).scalar_subquery())
    return dict(zip(names, session.execute(select(*counted)).one(), strict=True))


def list_choices(session: Session, limit: int = 200) -> list[tuple[int, str]]:
    """The newest groups as (number, title), to choose one from."""
    return [
        (row.id, row.title)
        for row in session.execute(
            select(Group.id, Group.title)
            .where(Group.state.in_(_LIVING))
            .order_by(Group.id.desc())
            .limit(limit)
        )
    ]
