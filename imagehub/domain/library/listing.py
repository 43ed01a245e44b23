"""List the groups of the library for the admin pages: all that are not in the trash.

A page begins after the key of a row, and each list is a range of an index. So the first page costs
the same as the thousandth, and a hundred images the same as a hundred thousand.
"""

from base64 import b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    and_,
    bindparam,
    false,
    func,
    literal,
    literal_column,
    select,
    tuple_,
    union_all,
)
from sqlalchemy.orm import Session

from imagehub.database import MAX_ID, make_batches
from imagehub.domain.library import search
from imagehub.domain.library.groups import LIVING_STATES
from imagehub.errors import InvalidInputError
from imagehub.imaging.kinds import EARLIER_VIDEO_FACT
from imagehub.imaging.video import format_length
from imagehub.messages import mark
from imagehub.models import Group, Image, ImportItem, Rendition

GROUPS_PER_PAGE = 48
THUMBNAIL_PX = 480
THUMBNAIL_TYPE = "image/webp"
# The lists of the library, with their labels.
FILTERS = {
    "all": mark("All"),
    "draft": mark("Unpublished"),
    "alt": mark("No alt text"),
    "changed": mark("Changed in OneDrive"),
    "missing": mark("Missing in OneDrive"),
    "outside": mark("Outside the root folder"),
    "absent": mark("Original not in OneDrive"),
    "words": mark("Texts found in files"),
    "still": mark("Videos shown as stills"),
    "failed": mark("Failed imports"),
}
# The orders of the lists "all" and "draft", with their labels; the others are newest first.
SORTS = {
    "order": mark("Order in the gallery"),
    "newest": mark("Newest first"),
    "title": mark("Title, A to Z"),
}
SORTED_FILTERS = ("all", "draft")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Counting stops above this, so that its cost does not grow with the library.
MAX_COUNTED = 99
_MAX_FOUND = 1000
# How many groups are tested for words that most of the library has: at first, and at most.
_FIRST_WALKED = 100
_MAX_WALKED = 300
_COUNTED_AT_ONCE = 5000


# The value that a list is sorted by, and the number of the group.
_Place = tuple[int | str | datetime, int]


@dataclass(frozen=True)
class Row:
    """A group as the list shows it.

    :param thumbnail_key: object key of a small rendition of the cover; "" if there is none.
    :param note: how many shots or files the filter is about; 0 if it is about the group itself.
    :param length: of a cover that is a video, 0:42, or "" if it is not known; None otherwise.
    """

    id: int
    state: str
    title: str
    year: str
    medium: str
    image_count: int
    thumbnail_key: str
    note: int = 0
    length: str | None = None


@dataclass(frozen=True)
class GroupPage:
    """One page of groups.

    A page of a search may be empty without being the last one.

    :param next_after: key of the next page; "" at the end.
    :param previous_before: key of the previous page; "" at the beginning.
    """

    rows: Sequence[Any]
    next_after: str = ""
    previous_before: str = ""


def list_groups(
    session: Session,
    filter_name: str = "all",
    words: str = "",
    after: str = "",
    before: str = "",
    limit: int = GROUPS_PER_PAGE,
    sort: str = "order",
) -> GroupPage:
    """List a page of groups as rows.

    :param filter_name: one of :data:`FILTERS`.
    :param words: only groups with these words; of rare words at most the thousand newest. For words
        that much of the library has, a limited number of groups is tested, so that no page takes
        long: the page may then have few rows or none, and a key to continue with.
    :param after: key of the row before the page.
    :param before: key of the row behind the page.
    :param sort: one of :data:`SORTS`, for the lists "all" and "draft"; others are newest first.
    :raise InvalidInputError: there is no such filter, sort or key.
    """
    found = _find_page(session, filter_name, words, after, before, limit, sort)
    notes = {row.id: row.note for row in found.rows}
    return replace(found, rows=load_rows(session, list(notes), notes))


def list_numbers(
    session: Session, filter_name: str, words: str, after: str, limit: int
) -> tuple[list[int], str]:
    """List the numbers of some groups of a list, and the key to continue with; "" at the end."""
    found = _find_page(session, filter_name, words, after, "", limit)
    return [row.id for row in found.rows], found.next_after


def count_groups(session: Session, filter_name: str, words: str) -> int:
    """Count the groups of a list by reading all of it."""
    count, after = 0, ""
    while True:
        numbers, after = list_numbers(session, filter_name, words, after, _COUNTED_AT_ONCE)
        count += len(numbers)
        if not after:
            return count


def _find_page(
    session: Session,
    filter_name: str,
    words: str,
    after: str,
    before: str,
    limit: int,
    sort: str = "order",
) -> GroupPage:
    """Find a page of rows of ``_make_query``."""
    if filter_name not in FILTERS:
        raise InvalidInputError("There is no such list.", {"filter": "unknown"})
    if sort not in SORTS:
        raise InvalidInputError("There is no such order.", {"sort": "unknown"})
    if filter_name not in SORTED_FILTERS:
        sort = "order"
    is_back = bool(before)
    place = _read_key(before or after, sort) if before or after else None
    narrow: list[ColumnElement[bool]] = []
    if words.strip():
        if _is_widespread(session, filter_name, words):
            return _walk(session, filter_name, words, place, is_back, limit, sort)
        found = search.list_group_ids(session, words, _MAX_FOUND, filter_name == "draft")
        if not found:
            return GroupPage(())
        # Our own numbers are written into the query: a thousand parameters would be slow.
        numbers: ColumnElement[Any] = bindparam(
            "numbers", found, expanding=True, literal_execute=True
        )
        narrow = [_FACTS.get(filter_name, (Group.id,))[0].in_(numbers)]
    query = _make_query(filter_name, place, is_back, limit + 1, *narrow, sort=sort)
    return _make_page(session.execute(query).all(), place, is_back, limit)


def find_page_of(session: Session, number: int, after: str, before: str) -> str | None:
    """Find the page of the unfiltered list that shows a group.

    :param after: key of the page that is looked at first, as is ``before``.
    :return: None if that page shows the group; else the key of a page that begins with the group.
    """
    page = _find_page(session, "all", "", after, before, GROUPS_PER_PAGE)
    if any(row.id == number for row in page.rows):
        return None
    place = session.execute(select(Group.sort_key, Group.id).where(Group.id == number)).one()
    above = session.execute(_make_query("all", (place[0], place[1]), True, 1)).first()
    # The page after the row above begins with the group.
    return _write_key(above) if above is not None else ""


def _make_query(
    filter_name: str,
    place: _Place | None,
    is_back: bool,
    limit: int,
    *narrow: ColumnElement[bool],
    sort: str = "order",
) -> Select[Any]:
    """Select some groups of a list from a place on, as ``key``, ``id`` and ``note``."""
    parts: list[Select[Any]]
    is_ascending = _is_ascending(sort, is_back)
    if filter_name in SORTED_FILTERS:
        column = _SORT_COLUMNS[sort]
        one: Any = select(column.label("key"), Group.id.label("id"), literal(0).label("note"))
        columns: tuple[Any, ...] = (column, Group.id)
        # Each state is a range of the index, so groups in the trash are not read.
        states = ("draft",) if filter_name == "draft" else LIVING_STATES
        parts = [one.where(Group.state == state) for state in states]
    else:
        number, has_fact = _FACTS[filter_name]
        columns = (number,)
        parts = [
            select(literal(0).label("key"), number.label("id"), func.count().label("note"))
            .join(Group, Group.id == number)
            .where(has_fact, Group.state.in_(LIVING_STATES))
            .group_by(number)
        ]
    if place is not None:
        here = place[-len(columns) :]
        # Implied by the next condition; it lets both databases read a range of the index.
        if is_ascending:
            narrow += (columns[0] >= here[0], tuple_(*columns) > here)
        else:
            narrow += (columns[0] <= here[0], tuple_(*columns) < here)
    parts = [_order(part.where(*narrow), columns, is_ascending).limit(limit) for part in parts]
    if len(parts) == 1:
        return parts[0]
    merged = union_all(*(select(part.subquery()) for part in parts)).subquery()
    return _order(select(merged), (merged.c.key, merged.c.id), is_ascending).limit(limit)


def _is_ascending(sort: str, is_back: bool) -> bool:
    return is_back != (sort == "title")


def _order(query: Select[Any], columns: Sequence[Any], is_ascending: bool) -> Select[Any]:
    return query.order_by(*(columns if is_ascending else (one.desc() for one in columns)))


def _is_widespread(session: Session, filter_name: str, words: str) -> bool:
    """Tell whether much of the library has these words, so that testing group by group is faster.

    A full-text index returns all matches before the first can be used, and InnoDB takes a tenth of
    a second for 25,000 of them. Groups at the top and in the middle of the list are sampled: a word
    may be frequent only among the newest groups.
    """
    # Drafts are only searched among the groups that visitors do not see.
    sampled = "draft" if filter_name == "draft" else "all"

    def find(place: tuple[int, int] | None, is_back: bool = False) -> Any:
        return session.execute(_make_query(sampled, place, is_back, 1)).first()

    top, bottom = find(None), find(None, is_back=True)
    if top is None or bottom is None:
        return False
    middle = find(((top.key + bottom.key) // 2, MAX_ID)) or bottom
    return all(
        search.is_frequent(session, words, one.id, sampled == "draft") for one in (top, middle)
    )


def _walk(
    session: Session,
    filter_name: str,
    words: str,
    place: _Place | None,
    is_back: bool,
    limit: int,
    sort: str,
) -> GroupPage:
    """Test group after group for words, until a page is full or enough groups were tested."""
    fitting: list[Any] = []
    most = max(_MAX_WALKED, limit)
    tested, size, start, at, is_over = 0, _FIRST_WALKED, "", place, False
    while len(fitting) <= limit and tested < most and not is_over:
        some = _make_query(filter_name, at, is_back, size, sort=sort).subquery()
        fits = search.make_condition(session, words, some.c.id, filter_name == "draft")
        rows = list(session.execute(select(some, fits.label("fits"))))
        rows.sort(key=lambda row: (row.key, row.id), reverse=not _is_ascending(sort, is_back))
        fitting += [row for row in rows if row.fits]
        is_over = len(rows) < size
        tested += len(rows)
        size *= 2
        if rows:
            start = start or _write_key(rows[0])
            at = (rows[-1].key, rows[-1].id)
    edge = "" if is_over or at is None else _write_place(*at)
    return _make_page(fitting, place, is_back, limit, start, edge)


# A video that was imported before videos could be played, whose original can be read.
IS_STILL = and_(
    Image.preview_reason == EARLIER_VIDEO_FACT,
    # Without these words, SQLite would not use its index, which leaves out images without a reason.
    Image.preview_reason != literal_column("''"),
    Image.drive_state.in_(("ok", "changed")),
)

# Filter → the column with the numbers of its groups, and the condition.
_FACTS: Mapping[str, tuple[Any, ...]] = {
    # "IS false" would keep MySQL from using the index.
    "alt": (Image.group_id, Image.has_alt == false()),
    "changed": (Image.group_id, Image.drive_state == "changed"),
    "missing": (Image.group_id, Image.drive_state == "missing"),
    "outside": (Image.group_id, Image.drive_state == "outside"),
    "absent": (Image.group_id, Image.drive_state == "absent"),
    "words": (Image.group_id, Image.words_state == "open"),
    "still": (Image.group_id, IS_STILL),
    "failed": (ImportItem.group_id, ImportItem.state == "failed"),
}


_SORT_COLUMNS: Mapping[str, Any] = {
    "order": Group.sort_key,
    "newest": Group.created_at,
    "title": Group.title_key,
}


def _write_key(row: Any) -> str:
    return _write_place(row.key, row.id)


def _write_place(key: int | str | datetime, number: int) -> str:
    if isinstance(key, str):
        key = urlsafe_b64encode(key.encode()).decode().rstrip("=")
    elif isinstance(key, datetime):
        key = (key - _EPOCH) // timedelta(microseconds=1)
    return f"{key}.{number}"


def _make_page(
    found: Sequence[Any],
    place: _Place | None,
    is_back: bool,
    limit: int,
    start: str = "",
    edge: str = "",
) -> GroupPage:
    """Make a page of rows.

    :param found: rows of ``_make_query``; one more than the page has if there are more.
    :param start: key at the near end, if no row was found.
    :param edge: key of the last group that was tested, if there are more to test.
    """
    rows = list(found[:limit])
    far = _write_key(rows[-1]) if len(found) > limit else edge
    near = (_write_key(rows[0]) if rows else start) if place is not None else ""
    if is_back:
        rows.reverse()
    return GroupPage(rows, near, far) if is_back else GroupPage(rows, far, near)


def load_rows(
    session: Session, ids: Sequence[int], notes: Mapping[int, int] | None = None
) -> list[Row]:
    """Load groups for the list, in the order given.

    Selects columns instead of whole groups, covers and renditions, which would take longer than
    the rest of the page.
    """
    facts = (Group.id, Group.state, Group.title, Group.year, Group.medium, Group.image_count)
    found: dict[int, Row] = {}
    for batch in make_batches(ids):
        groups = session.execute(
            select(*facts, Group.cover_id, Image.video_codec, Image.duration_ms)
            .outerjoin(Image, Image.id == Group.cover_id)
            .where(Group.id.in_(batch))
        ).all()
        renditions = session.execute(
            select(Rendition.image_id, Rendition.object_key)
            .where(
                Rendition.image_id.in_([one.cover_id for one in groups]),
                Rendition.mime_type == THUMBNAIL_TYPE,
            )
            # The last one counts: the smallest one if there is none of this size.
            .order_by(Rendition.size_px == THUMBNAIL_PX, Rendition.size_px.desc())
        )
        keys = {image_id: key for image_id, key in renditions}
        for one in groups:
            key, note = keys.get(one.cover_id, ""), (notes or {}).get(one.id, 0)
            length = format_length(one.duration_ms) if one.video_codec else None
            found[one.id] = Row(*one[:6], key, note, length)
    return [found[one] for one in ids if one in found]


def _read_key(text: str, sort: str) -> _Place:
    try:
        first, last = text.split(".")[:2]
        key: int | str | datetime
        if sort == "title":
            padded = first + "=" * (-len(first) % 4)
            key = b64decode(padded, altchars=b"-_", validate=True).decode()
        elif sort == "newest":
            key = _EPOCH + timedelta(microseconds=int(first))
        else:
            key = int(first)
        number = int(last)
        if (isinstance(key, int) and abs(key) > MAX_ID) or not 0 <= number <= MAX_ID:
            raise ValueError
    except (ValueError, OverflowError):
        raise InvalidInputError("There is no such page.", {"after": "unknown"}) from None
    return key, number


def count_to_do(session: Session) -> dict[str, int]:
    """Count the groups of each filter but ``all``; ``MAX_COUNTED + 1`` means more than that.

    One query for all filters, each of which reads only as much of its index as it counts.
    """
    names = [name for name in FILTERS if name != "all"]
    some = [_make_query(name, None, False, MAX_COUNTED + 1).subquery() for name in names]
    counted = [select(func.count()).select_from(one).scalar_subquery() for one in some]
    return dict(zip(names, session.execute(select(*counted)).one(), strict=True))


def count_noted(session: Session, filter_name: str) -> tuple[int, int] | None:
    """Count what a filter is about (shots, or files) and the groups that it is in.

    :return: None if there are more than :data:`MAX_COUNTED` groups.
    """
    some = _make_query(filter_name, None, False, MAX_COUNTED + 1).subquery()
    counts = select(func.coalesce(func.sum(some.c.note), 0), func.count()).select_from(some)
    notes, groups = session.execute(counts).one()
    return (int(notes), int(groups)) if groups <= MAX_COUNTED else None
