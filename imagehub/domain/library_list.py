"""The library as an admin looks through it: all groups but those in the trash, page by page.

Pages are found by the key of the row they begin after, never by counting rows, and each list is a
range of an index: the first and the thousandth page cost the same, and so do a hundred images and a
hundred thousand.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import false, func, select, tuple_
from sqlalchemy.orm import Session, selectinload

from imagehub.domain import search
from imagehub.domain.gallery import MAX_ID
from imagehub.domain.storage import make_batches
from imagehub.errors import InvalidInputError
from imagehub.models import Group, Image, ImportItem

GROUPS_PER_PAGE = 48
# What is left to do, and what a list of everything is called.
FILTERS = {
    "all": "All",
    "draft": "Unpublished",
    "alt": "No alt text",
    "changed": "Changed in OneDrive",
    "missing": "Missing in OneDrive",
    "failed": "Failed imports",
}
# A count above this is not counted further: nobody reads it, and it would grow with the library.
MAX_COUNTED = 99
_LIVING = ("published", "draft")
_MAX_FOUND = 1000


@dataclass(frozen=True)
class Row:
    """A group in the list. ``note`` is what the filter says about it: how many shots it is about,
    0 where it is about the group itself."""

    group: Group
    cover: Image | None
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
    :param words: only groups with these words; at most the thousand newest of them.
    :param after: key of the row that the page comes after.
    :param before: key of the row that the page ends before.
    :raise InvalidInputError: no such filter, or no such key.
    """
    if filter_name not in FILTERS:
        raise InvalidInputError("There is no such list.", {"filter": "unknown"})
    found = search.list_group_ids(session, words, _MAX_FOUND) if words.strip() else None
    if found is not None and not found:
        return GroupPage((), "", "")
    if filter_name in ("all", "draft"):
        return _list_in_order(session, filter_name, found, after, before, limit)
    return _list_to_do(session, filter_name, found, after, before, limit)


def _list_in_order(
    session: Session,
    filter_name: str,
    found: Sequence[int] | None,
    after: str,
    before: str,
    limit: int,
) -> GroupPage:
    query: Any = select(Group.id, Group.sort_key)
    if filter_name == "draft":
        query = query.where(Group.state == "draft")
    else:
        query = query.where(Group.state.in_(_LIVING))
    if found is not None:
        query = query.where(Group.id.in_(found))
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
    found: Sequence[int] | None,
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
    if found is not None:
        query = query.where(number.in_(found))
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
    "failed": ImportItem.group_id,
}
_CONDITION: Mapping[str, Any] = {
    # "IS false" would keep MySQL from using the index.
    "alt": Image.has_alt == false(),
    "changed": Image.drive_state == "changed",
    "missing": Image.drive_state == "missing",
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
    """Groups by their numbers, in the order given, each with its cover and that one's
    renditions."""
    groups: dict[int, Group] = {}
    covers: dict[int, Image] = {}
    for batch in make_batches(ids):
        for group in session.scalars(select(Group).where(Group.id.in_(batch))):
            groups[group.id] = group
    wanted = [group.cover_id for group in groups.values() if group.cover_id]
    for covers_wanted in make_batches(wanted):
        for image in session.scalars(
            select(Image).where(Image.id.in_(covers_wanted)).options(selectinload(Image.renditions))
        ):
            covers[image.id] = image
    return [
        Row(groups[one], covers.get(groups[one].cover_id or 0), (notes or {}).get(one, 0))
        for one in ids
        if one in groups
    ]


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
    """For each filter but ``all`` how many groups it lists; ``MAX_COUNTED + 1`` means more."""
    counts = {}
    for name in FILTERS:
        if name == "all":
            continue
        if name == "draft":
            some = select(Group.id).where(Group.state == "draft")
        else:
            number = _COLUMN[name]
            some = (
                select(number)
                .join(Group, Group.id == number)
                .where(_CONDITION[name], Group.state.in_(_LIVING))
                .group_by(number)
                .order_by(number.desc())
            )
        counted = some.limit(MAX_COUNTED + 1).subquery()
        counts[name] = session.scalar(select(func.count()).select_from(counted)) or 0
    return counts


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
