"""Finding shown groups by words.

All words must be there, each as the beginning of a word. Groups with the words in their title come
first, those with whole words in it before those with beginnings of words; then the best match, then
the newest. Where nothing begins so, words that hold the typed ones inside are looked for.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, TableClause, and_, select, text, true
from sqlalchemy.orm import Session

from imagehub import database
from imagehub.domain.library import gallery
from imagehub.domain.library.gallery import GROUPS_PER_PAGE, Tile
from imagehub.domain.library.search_index import MARK, get_index, iter_query_words

MAX_QUERY_CHARS = 200
_MAX_WORDS = 12
# Above this many matches relevance says little and costs much: the newest come first then.
_MAX_RANKED = 3000
# What is inside a word is looked for by reading the whole index, so only what helps is asked for.
_LEAST_INSIDE_CHARS = 3
_MAX_INSIDE = 600
# Words are frequent where that many of so many groups have them.
_SAMPLED = 250
_LEAST_IN_SAMPLE = 5


@dataclass(frozen=True)
class Found:
    """One page of what was found. ``group_count`` counts all of it.

    ``is_inside``: nothing begins with these words; this is what holds them inside of a word.
    """

    number: int
    page_count: int
    group_count: int
    tiles: Sequence[Tile]
    is_inside: bool = False


def find_groups(
    session: Session, query: str, number: int = 1, per_page: int = GROUPS_PER_PAGE
) -> Found:
    """One page of the shown groups that a visitor's words lead to, counted from 1.

    :param query: anything at all; what is no letter or digit separates words, and words beyond the
        twelfth are not looked at. Without any word nothing is found.
    """
    words = make_words(query)
    if not words or number < 1:
        return Found(number, 0, 0, ())
    # No list is so long; the database's integers end there.
    offset = min((number - 1) * per_page, database.MAX_ID)
    read = _read_sqlite if _is_sqlite(session) else _read_mysql
    count, ids = read(session, words, per_page, offset)
    if count:
        return _make_found(session, number, count, ids, per_page)
    inside = _list_inside(session, words)
    ids = inside[offset : offset + per_page]
    return _make_found(session, number, len(inside), ids, per_page, is_inside=True)


def suggest_groups(session: Session, query: str, limit: int = 8) -> Sequence[Tile]:
    """The first few groups for what has been typed so far, by title before anything else."""
    return find_groups(session, query, 1, limit).tiles


def list_group_ids(
    session: Session, query: str, limit: int = 1000, are_hidden: bool = False
) -> list[int]:
    """Groups of any state but the trash by their words, for an admin; newest first.

    :param are_hidden: only those that visitors do not see.
    :return: at most ``limit`` group numbers; empty where there is no word in the query.
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
    """Whether at least one in fifty of the groups with numbers around one has the words.

    :param are_hidden: only groups that visitors do not see are asked for.
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
    """What a group of that number must fulfil to have the words; without any word all do.

    For an admin: drafts are found.
    """
    index, number = get_index(session)
    has_words = _has_words(index, query, are_hidden)
    if has_words is None:
        return true()
    # As a value and not as EXISTS, which a database may turn round: all words first.
    one = select(number).where(number == group_number, has_words)
    return one.correlate_except(index).scalar_subquery().is_not(None)


def _has_words(index: TableClause, query: str, are_hidden: bool) -> ColumnElement[bool] | None:
    words = make_words(query)
    if not words:
        return None
    texts = index.c.hidden if are_hidden else index.c.words + " " + index.c.hidden
    return and_(*((" " + texts).contains(" " + word, autoescape=True) for word in words))


def make_words(query: str) -> list[str]:
    """The words to look for, as they stand in the index."""
    words = dict.fromkeys(iter_query_words(query[:MAX_QUERY_CHARS]))
    return list(words)[:_MAX_WORDS]


def _make_found(
    session: Session,
    number: int,
    count: int,
    ids: Sequence[int],
    per_page: int,
    is_inside: bool = False,
) -> Found:
    # The index follows the groups in the same transaction; whatever it says, a draft stays unseen.
    tiles = [tile for tile in gallery.load_tiles(session, ids) if tile.group.is_shown]
    return Found(number, -(-count // per_page), count, tiles, is_inside)


# --- The two databases ----------------------------------------------------------------------------
#
# Words hold letters, digits and "_" alone (see ``search_index``), so none can be an operator.


def _is_sqlite(session: Session) -> bool:
    return session.get_bind().dialect.name == "sqlite"


def _match_sqlite(words: Sequence[str], is_whole: bool = False) -> str:
    """Source: SQLite manual, FTS5, Full-text Query Syntax."""
    return " AND ".join(word if is_whole else f"{word}*" for word in words)


def _match_mysql(words: Sequence[str], is_whole: bool = False) -> str:
    """Source: MySQL manual, Boolean Full-Text Searches."""
    return " ".join(f"+{word}" if is_whole else f"+{word}*" for word in words)


_COUNT_SQLITE = text("SELECT count(*) FROM search_index WHERE search_index MATCH :words")
# Title first: the whole words, then their beginnings; then the best match, or just the newest.
_LIST_SQLITE = """
SELECT rowid FROM search_index WHERE search_index MATCH :words ORDER BY
    rowid IN (SELECT rowid FROM search_index WHERE search_index MATCH :whole) DESC,
    rowid IN (SELECT rowid FROM search_index WHERE search_index MATCH :title) DESC,
    rank, rowid DESC
LIMIT :limit OFFSET :offset
"""
_RANKED_SQLITE = text(_LIST_SQLITE)
_NEWEST_SQLITE = text(_LIST_SQLITE.replace("rank, ", ""))

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
_COUNT_MYSQL = text(
    "SELECT count(*) FROM search_index WHERE MATCH(words) AGAINST(:words IN BOOLEAN MODE)"
)
# InnoDB reads all matches and their relevance whatever is asked of them, so counting and listing
# them at once costs half of one after the other.
_LIST_MYSQL = text("""
SELECT group_id, count(*) OVER () FROM search_index
WHERE MATCH(words) AGAINST(:words IN BOOLEAN MODE) ORDER BY
    MATCH(title) AGAINST(:whole IN BOOLEAN MODE) > 0 DESC,
    MATCH(title) AGAINST(:words IN BOOLEAN MODE) > 0 DESC,
    MATCH(words) AGAINST(:words IN BOOLEAN MODE) DESC, group_id DESC
LIMIT :limit OFFSET :offset
""")


def _read_sqlite(
    session: Session, words: Sequence[str], limit: int, offset: int
) -> tuple[int, list[int]]:
    """How many groups match, and the numbers of one page of them."""
    values: dict[str, Any] = {
        "words": f"words : ({_match_sqlite(words)})",
        "title": f"title : ({_match_sqlite(words)})",
        "whole": f"title : ({_match_sqlite(words, is_whole=True)})",
        "limit": limit,
        "offset": offset,
    }
    count = int(session.scalar(_COUNT_SQLITE, values) or 0)
    if offset >= count:
        return count, []
    statement = _RANKED_SQLITE if count <= _MAX_RANKED else _NEWEST_SQLITE
    return count, [int(row[0]) for row in session.execute(statement, values)]


def _read_mysql(
    session: Session, words: Sequence[str], limit: int, offset: int
) -> tuple[int, list[int]]:
    """How many groups match, and the numbers of one page of them."""
    values: dict[str, Any] = {
        "words": _match_mysql(words),
        "whole": _match_mysql(words, is_whole=True),
        "limit": limit,
        "offset": offset,
    }
    rows = session.execute(_LIST_MYSQL, values).all()
    if rows:
        return int(rows[0][1]), [int(row[0]) for row in rows]
    return int(session.scalar(_COUNT_MYSQL, values) or 0) if offset else 0, []


def _list_inside(session: Session, words: Sequence[str]) -> list[int]:
    """The newest groups with all words somewhere inside theirs; reads the whole index."""
    bare = [word.removeprefix(MARK) for word in words]
    if any(len(word) < _LEAST_INSIDE_CHARS for word in bare):
        return []
    index, number = get_index(session)
    like = [index.c.words.like("%" + word.replace("_", "!_") + "%", escape="!") for word in bare]
    statement = index.select().with_only_columns(number).where(*like)
    rows = session.scalars(statement.order_by(number.desc()).limit(_MAX_INSIDE))
    return [int(row) for row in rows]
