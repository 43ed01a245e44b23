"""Find groups by words.

A group matches if each word of the query begins a word of the group. Groups with the whole words in
their title come first, then those with the beginnings in their title; then by relevance, then the
newest. If no group matches, words that contain the typed ones are searched.

In a large hub a common word matches more groups than anybody looks at. Only the first thousand are
listed then, so that a search does not take longer the more groups there are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, TableClause, and_, func, select, text, true
from sqlalchemy.orm import Session

from imagehub.database import MAX_ID
from imagehub.domain.library import gallery
from imagehub.domain.library.gallery import GROUPS_PER_PAGE
from imagehub.domain.library.groups import count_shown_groups
from imagehub.domain.library.search_index import MARK, get_index, iter_query_words

MAX_QUERY_CHARS = 200
MAX_WORDS = 12
# Relevance is slow and of little use with more matches than this: the newest come first then.
_MAX_RANKED = 3000
# The most that are listed of the matches in a hub with more shown groups than that.
MAX_LISTED = 1000
# Searching inside words reads the whole index, so it is limited.
_LEAST_INSIDE_CHARS = 3
_MAX_INSIDE = 600
# Words are frequent if at least 5 of 250 neighbouring groups have them.
_SAMPLED = 250
_LEAST_IN_SAMPLE = 5
# Words that at least 50 of the newest 250 groups have are looked for in the newest 6,000 groups,
# one after the other. InnoDB's full-text index would read all groups that have them.
_LEAST_COMMON = 50
_MAX_WALKED = 6000


@dataclass(frozen=True)
class Found(gallery.Page):
    """One page of found groups.

    :param is_inside: no word begins with the typed ones; these groups contain them inside a word.
    :param has_more: more groups match; ``group_count`` counts those that are listed.
    """

    is_inside: bool = False
    has_more: bool = False


@dataclass(frozen=True)
class _Matches:
    """The number of listed matches, those of one page, and whether there are more."""

    count: int
    ids: Sequence[int]
    has_more: bool = False
    is_inside: bool = False


def find_groups(
    session: Session,
    query: str,
    number: int = 1,
    per_page: int = GROUPS_PER_PAGE,
    value_ids: Sequence[int] = (),
    looks_inside: bool = True,
) -> Found:
    """Find shown groups for a visitor; one page, counted from 1.

    :param query: any text. Everything but letters and digits separates words; only the first
        twelve words count. Without a word no group is found.
    :param value_ids: of facets, all of which the groups must have.
    :param looks_inside: False to search inside words in a small hub only, as it reads all groups.
    """
    words = make_words(query)
    if not words or number < 1:
        return Found(number, 0, 0, ())
    # The database has no larger integers.
    offset = min((number - 1) * per_page, MAX_ID)
    found = _find_ids(session, words, per_page, offset, value_ids, looks_inside)
    # The index is updated with the groups; should it be wrong, a draft is still not shown.
    tiles = [tile for tile in gallery.load_tiles(session, found.ids) if tile.group.is_shown]
    page_count = -(-found.count // per_page)
    return Found(number, page_count, found.count, tiles, found.is_inside, found.has_more)


def list_found_ids(session: Session, query: str, value_ids: Sequence[int], limit: int) -> list[int]:
    """List some of the groups that :func:`find_groups` finds, in any order; all if they are few.

    Without an order it takes a fraction of the time.
    """
    words = make_words(query)
    if not words:
        return []
    found = _list_some(session, words, value_ids, limit)
    return found or list(_find_ids(session, words, limit, 0, value_ids).ids)


def _find_ids(
    session: Session,
    words: Sequence[str],
    limit: int,
    offset: int,
    value_ids: Sequence[int],
    looks_inside: bool = True,
) -> _Matches:
    """Find some of the groups, as :func:`find_groups`."""
    number = _name_number(session)
    condition, is_large = _require(value_ids, number), count_shown_groups(session) > _MAX_RANKED
    if is_large:
        some = _list_enough(session, words, value_ids)
        if len(some) > MAX_LISTED:
            first = _list_first(session, words, value_ids, some)
            return _Matches(len(first), first[offset : offset + limit], has_more=True)
        # These are all.
        condition = f" AND {number} IN ({', '.join(map(str, some))})"
    if not is_large or some:
        read = _read_sqlite if _is_sqlite(session) else _read_mysql
        count, ids = read(session, words, limit, offset, condition)
        if count:
            return _Matches(count, ids)
    # With filters, no group may be found that has the words.
    if value_ids and _list_some(session, words, (), 1):
        return _Matches(0, [])
    if is_large and not looks_inside:
        return _Matches(0, [])
    inside = _list_inside(session, words, value_ids)
    return _Matches(len(inside), inside[offset : offset + limit], is_inside=True)


def _list_enough(session: Session, words: Sequence[str], value_ids: Sequence[int]) -> list[int]:
    """List all groups that match, or more than are listed if there are so many."""
    if not _is_sqlite(session) and _is_common(session, words, value_ids):
        newest = _list_newest(session, words, value_ids)
        if len(newest) > MAX_LISTED:
            return newest
    return _list_some(session, words, value_ids, MAX_LISTED + 1)


def _list_first(
    session: Session, words: Sequence[str], value_ids: Sequence[int], some: Sequence[int]
) -> list[int]:
    """List the first of the groups that match: those with the words in their title, then some."""
    first: list[int] = []
    for is_whole in (True, False):
        titled = _list_some(session, words, value_ids, MAX_LISTED + 1, "title", is_whole)
        if len(titled) > MAX_LISTED and not _is_sqlite(session):
            # These may be the oldest.
            titled = _list_newest(session, words, value_ids, "title", is_whole)
        first += sorted(titled, reverse=True)
    return list(dict.fromkeys([*first, *some]))[:MAX_LISTED]


def _list_some(
    session: Session,
    words: Sequence[str],
    value_ids: Sequence[int],
    limit: int,
    column: str = "words",
    is_whole: bool = False,
) -> list[int]:
    """List some of the groups that match, without reading all: a fraction of the time.

    SQLite finds the newest first, and MariaDB the most relevant.

    :param column: ``words`` or ``title``.
    """
    if _is_sqlite(session):
        statement, match = _SOME_SQLITE, f"{column} : ({_match_sqlite(words, is_whole)})"
    else:
        statement, match = _SOME_MYSQL, _match_mysql(words, is_whole)
    facets = _require(value_ids, _name_number(session))
    some = text(statement.format(column=column, facets=facets))
    return [int(one) for one in session.scalars(some, {"words": match, "limit": limit})]


def _is_common(session: Session, words: Sequence[str], value_ids: Sequence[int]) -> bool:
    """Tell whether so many of the newest groups match that looking at each finds enough soon."""
    index, number = get_index(session)
    is_near = number > _find_newest(session) - _SAMPLED
    sample = select(number).where(is_near, _have_words(index.c.words, words))
    sample = sample.where(text("1 = 1" + _require(value_ids, number.name)))
    return len(session.scalars(sample.limit(_LEAST_COMMON)).all()) >= _LEAST_COMMON


def _list_newest(
    session: Session,
    words: Sequence[str],
    value_ids: Sequence[int],
    column: str = "words",
    is_whole: bool = False,
) -> list[int]:
    """List those of the newest groups that match, newest first, as :func:`_list_some`."""
    index, number = get_index(session)
    is_near = number > _find_newest(session) - _MAX_WALKED
    newest = select(number).where(is_near, _have_words(index.c[column], words, is_whole))
    newest = newest.where(text("1 = 1" + _require(value_ids, number.name)))
    rows = session.scalars(newest.order_by(number.desc()).limit(MAX_LISTED + 1))
    return [int(row) for row in rows]


def _find_newest(session: Session) -> int:
    """Return the highest number of a group in the index."""
    _index, number = get_index(session)
    return int(session.scalar(select(func.max(number))) or 0)


def list_group_ids(
    session: Session, query: str, limit: int = 1000, are_hidden: bool = False
) -> list[int]:
    """Find groups for an admin, in any state but the trash; newest first.

    :param are_hidden: only groups that visitors do not see.
    :return: at most ``limit`` group numbers; none if the query has no word.
    """
    words = make_words(query)
    if not words:
        return []
    if _is_sqlite(session):
        statement = text(
            "SELECT rowid FROM search_index WHERE search_index MATCH :words"
            " ORDER BY rowid DESC LIMIT :limit"
        )
        columns = "hidden" if are_hidden else "words hidden"
        values = {"words": "{" + columns + "} : (" + _match_sqlite(words) + ")", "limit": limit}
    else:
        statement = _HIDDEN_IDS_MYSQL if are_hidden else _IDS_MYSQL
        values = {"words": _match_mysql(words), "limit": limit}
    return [int(row[0]) for row in session.execute(statement, values)]


def is_frequent(session: Session, query: str, around: int, are_hidden: bool = False) -> bool:
    """Tell whether at least one in fifty of the groups around a number has the words.

    :param around: a group number.
    :param are_hidden: only look at groups that visitors do not see.
    """
    index, number = get_index(session)
    has_words = _has_words(index, query, are_hidden)
    if has_words is None:
        return False
    sample = number.between(around - _SAMPLED // 2, around + _SAMPLED // 2)
    some = select(number).where(sample, has_words).limit(_LEAST_IN_SAMPLE)
    return len(session.scalars(some).all()) >= _LEAST_IN_SAMPLE


def make_condition(
    session: Session, query: str, group_number: ColumnElement[int], are_hidden: bool = False
) -> ColumnElement[bool]:
    """Make the condition that a group has the words, for an admin; true if there is no word."""
    index, number = get_index(session)
    has_words = _has_words(index, query, are_hidden)
    if has_words is None:
        return true()
    # A value instead of EXISTS, which a database may evaluate starting from all matches.
    one = select(number).where(number == group_number, has_words)
    return one.correlate_except(index).scalar_subquery().is_not(None)


def _has_words(index: TableClause, query: str, are_hidden: bool) -> ColumnElement[bool] | None:
    words = make_words(query)
    if not words:
        return None
    texts = index.c.hidden if are_hidden else index.c.words + " " + index.c.hidden
    return _have_words(texts, words)


def _have_words(
    texts: ColumnElement[str], words: Sequence[str], are_whole: bool = False
) -> ColumnElement[bool]:
    texts, end = " " + texts + " ", " " if are_whole else ""
    return and_(*(texts.contains(f" {word}{end}", autoescape=True) for word in words))


def make_words(query: str) -> list[str]:
    """Return the words of a query as they are written in the index."""
    words = dict.fromkeys(iter_query_words(query[:MAX_QUERY_CHARS]))
    return list(words)[:MAX_WORDS]


# --- The two databases ----------------------------------------------------------------------------
#
# Words have only letters, digits and "_" (see ``search_index``), so none can be an operator.


def _is_sqlite(session: Session) -> bool:
    return session.get_bind().dialect.name == "sqlite"


def _name_number(session: Session) -> str:
    return "rowid" if _is_sqlite(session) else "group_id"


def _match_sqlite(words: Sequence[str], is_whole: bool = False) -> str:
    """Source: SQLite manual, FTS5, Full-text Query Syntax."""
    return " AND ".join(word if is_whole else f"{word}*" for word in words)


def _match_mysql(words: Sequence[str], is_whole: bool = False) -> str:
    """Source: MySQL manual, Boolean Full-Text Searches."""
    return " ".join(f"+{word}" if is_whole else f"+{word}*" for word in words)


def _require(values: Sequence[int], number: str) -> str:
    """Write the condition that a group has all of some values of facets, which are numbers.

    A value instead of EXISTS, which a database may evaluate starting from all entries.
    """
    return "".join(
        " AND (SELECT value_id FROM facet_entry"  # noqa: S608 - only numbers
        f" WHERE value_id = {value:d} AND group_id = search_index.{number}) IS NOT NULL"
        for value in values
    )


_COUNT_SQLITE = "SELECT count(*) FROM search_index WHERE search_index MATCH :words{facets}"
# Whole words in the title first, then their beginnings; then by relevance, or just the newest.
_LIST_SQLITE = """
SELECT rowid FROM search_index WHERE search_index MATCH :words{facets} ORDER BY
    rowid IN (SELECT rowid FROM search_index WHERE search_index MATCH :whole) DESC,
    rowid IN (SELECT rowid FROM search_index WHERE search_index MATCH :title) DESC,
    rank, rowid DESC
LIMIT :limit OFFSET :offset
"""
_SOME_SQLITE = (
    "SELECT rowid FROM search_index WHERE search_index MATCH :words{facets}"
    " ORDER BY rowid DESC LIMIT :limit"
)
_NEWEST_SQLITE = _LIST_SQLITE.replace("rank, ", "")

_IDS_MYSQL = text(
    "SELECT group_id FROM search_index WHERE MATCH(words) AGAINST(:words IN BOOLEAN MODE)"
    " UNION SELECT group_id FROM search_index"
    " WHERE MATCH(hidden) AGAINST(:words IN BOOLEAN MODE)"
    " ORDER BY 1 DESC LIMIT :limit"
)
_HIDDEN_IDS_MYSQL = text(
    "SELECT group_id FROM search_index WHERE MATCH(hidden) AGAINST(:words IN BOOLEAN MODE)"
    " ORDER BY 1 DESC LIMIT :limit"
)
_COUNT_MYSQL = (
    "SELECT count(*) FROM search_index WHERE MATCH(words) AGAINST(:words IN BOOLEAN MODE){facets}"
)
_SOME_MYSQL = (
    "SELECT group_id FROM search_index"
    " WHERE MATCH({column}) AGAINST(:words IN BOOLEAN MODE){facets} LIMIT :limit"
)
# InnoDB always reads all matches with their relevance, so one query for count and page costs half
# of two.
_LIST_MYSQL = """
SELECT group_id, count(*) OVER () FROM search_index
WHERE MATCH(words) AGAINST(:words IN BOOLEAN MODE){facets} ORDER BY
    MATCH(title) AGAINST(:whole IN BOOLEAN MODE) > 0 DESC,
    MATCH(title) AGAINST(:words IN BOOLEAN MODE) > 0 DESC,
    MATCH(words) AGAINST(:words IN BOOLEAN MODE) DESC, group_id DESC
LIMIT :limit OFFSET :offset
"""


def _read_sqlite(
    session: Session, words: Sequence[str], limit: int, offset: int, condition: str
) -> tuple[int, list[int]]:
    """Return the number of matching groups, and the group numbers of one page.

    :param condition: another one, in SQL: "" or `` AND …``.
    """
    values: dict[str, Any] = {
        "words": f"words : ({_match_sqlite(words)})",
        "title": f"title : ({_match_sqlite(words)})",
        "whole": f"title : ({_match_sqlite(words, is_whole=True)})",
        "limit": limit,
        "offset": offset,
    }
    count = int(session.scalar(text(_COUNT_SQLITE.format(facets=condition)), values) or 0)
    if offset >= count:
        return count, []
    statement = _LIST_SQLITE if count <= _MAX_RANKED else _NEWEST_SQLITE
    rows = session.execute(text(statement.format(facets=condition)), values)
    return count, [int(row[0]) for row in rows]


def _read_mysql(
    session: Session, words: Sequence[str], limit: int, offset: int, condition: str
) -> tuple[int, list[int]]:
    values: dict[str, Any] = {
        "words": _match_mysql(words),
        "whole": _match_mysql(words, is_whole=True),
        "limit": limit,
        "offset": offset,
    }
    rows = session.execute(text(_LIST_MYSQL.format(facets=condition)), values).all()
    if rows:
        return int(rows[0][1]), [int(row[0]) for row in rows]
    if not offset:
        return 0, []
    return int(session.scalar(text(_COUNT_MYSQL.format(facets=condition)), values) or 0), []


def _list_inside(session: Session, words: Sequence[str], value_ids: Sequence[int]) -> list[int]:
    """List the newest groups that contain all words anywhere; reads the whole index."""
    bare = [word.removeprefix(MARK) for word in words]
    if any(len(word) < _LEAST_INSIDE_CHARS for word in bare):
        return []
    index, number = get_index(session)
    like = [index.c.words.like("%" + word.replace("_", "!_") + "%", escape="!") for word in bare]
    statement = index.select().with_only_columns(number).where(*like)
    if value_ids:
        statement = statement.where(text("1 = 1" + _require(value_ids, number.name)))
    rows = session.scalars(statement.order_by(number.desc()).limit(_MAX_INSIDE))
    return [int(row) for row in rows]
