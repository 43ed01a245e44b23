"""The search index: the words of each group, the same on every database.

Texts are folded to plain words and written in ASCII letters, digits and ``_``, with two underscores
in front. So the results do not depend on the database's word boundaries, collation, stop words or
minimum word length, and nothing that is typed can be an operator of a full-text query:

- Letters are lower case, without the diacritics of Latin, Greek, Cyrillic, Arabic and Hebrew.
- A word of letters and digits is indexed whole and in parts: ``img4711`` is also ``4711``.
- Scripts without spaces (Chinese, Japanese, Thai …) are indexed as pairs of adjacent characters.
- Any letter but a–z is written as ``_`` and its code point in four digits to base 36.

The words of all languages of a text are in one row, so each finds the group.

A shown group has its words in ``title`` and ``words`` (which includes the title); any other group
has them in ``hidden``, which only the admin's search reads. A group in the trash has none.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import groupby
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnClause,
    ColumnElement,
    Integer,
    TableClause,
    Text,
    case,
    column,
    delete,
    func,
    insert,
    select,
    table,
    update,
)
from sqlalchemy.orm import Session

from imagehub.domain.translations import list_group_words
from imagehub.markdown import make_plain
from imagehub.models import Group, GroupTag, Image, Tag

# In front of every word, so that a single letter has InnoDB's minimum length of three, and no word
# is a stop word. Source: MariaDB manual, Full-Text Index Stopwords.
MARK = "__"
# InnoDB does not index words of more than 84 characters (innodb_ft_max_token_size).
_MAX_WORD_CHARS = 80
# The most words of one group; a group of thousands of shots has many file names.
_MAX_WORDS = 20_000
_GROUPS_PER_READ = 200
# A server accepts statements of 16 MB (max_allowed_packet); the words of one group have 1.6 MB.
_MAX_STATEMENT_CHARS = 1_000_000

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_ASCII_RUN = re.compile("[a-z0-9]+")
# The words of the availability in all languages of the pages.
_AVAILABILITY_WORDS = {
    "available": "available verfügbar",
    "reserved": "reserved reserviert",
    "sold": "sold verkauft",
    "not_for_sale": "not for sale unverkäuflich",
}
# Letters that Unicode does not decompose.
_LETTERS = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i", "ħ": "h"}
)
# How these letters are written on a keyboard that does not have them.
_SPELLINGS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "å": "aa", "ø": "oe"})
_MARKS = ((0x300, 0x36F), (0x591, 0x5C7), (0x610, 0x61A), (0x64B, 0x65F), (0x670, 0x670))
_SPACELESS = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Burmese
    (0x1780, 0x17FF),  # Khmer
    (0x3005, 0x3007),
    (0x3040, 0x30FF),  # Hiragana, Katakana
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x3FFFF),
)


# --- Words ----------------------------------------------------------------------------------------


def iter_words(text: str) -> Iterator[str]:
    """Yield the words of a text in order, as written in the index."""
    folded = fold(text)
    yield from _iter_folded(folded)
    if text.isascii():
        return
    spelled = fold(unicodedata.normalize("NFC", text).casefold().translate(_SPELLINGS))
    if spelled != folded:
        known = set(_iter_folded(folded))
        yield from (word for word in _iter_folded(spelled) if word not in known)


def iter_query_words(text: str) -> Iterator[str]:
    """Yield the words of a query; each must begin a word of a group that it finds."""
    for run, is_spaceless in _iter_runs(fold(text)):
        if is_spaceless and len(run) > 1:
            yield from (_encode(run[at : at + 2]) for at in range(len(run) - 1))
            continue
        parts = list(_iter_parts(run))
        # IMG4711 finds IMG_4711, too; but parts of one character would find nearly everything.
        whole = len(parts) == 1 or min(map(len, parts)) == 1
        yield from [_encode(run)] if whole else [_encode(part) for part in parts]


def _iter_folded(folded: str) -> Iterator[str]:
    for run, is_spaceless in _iter_runs(folded):
        if is_spaceless:
            # The last one is a single character, so that every character begins a word.
            yield from (_encode(run[at : at + 2]) for at in range(len(run)))
            continue
        yield _encode(run)
        if not run.isalpha():
            yield from (_encode(part) for part in list(_iter_parts(run))[1:])


def fold(text: str) -> str:
    """Return a text in lower case without diacritics and compatibility variants."""
    if text.isascii():
        return text.lower()
    apart = unicodedata.normalize("NFKD", text.casefold())
    bare = "".join(char for char in apart if not _is_in(ord(char), _MARKS))
    return unicodedata.normalize("NFC", bare).casefold().translate(_LETTERS)


def _iter_runs(folded: str) -> Iterator[tuple[str, bool]]:
    """Yield each run of word characters, and whether its script has no spaces."""
    if folded.isascii():
        yield from ((match[0], False) for match in _ASCII_RUN.finditer(folded))
        return
    for kind, run in groupby(folded, _get_kind):
        if kind:
            yield "".join(run), kind == "spaceless"


@lru_cache(maxsize=4096)
def _get_kind(char: str) -> str:
    number = ord(char)
    if number < 128:
        return "word" if char.isalnum() else ""
    if unicodedata.category(char)[0] not in "LNM":
        return ""
    return "spaceless" if _is_in(number, _SPACELESS) else "word"


def _iter_parts(run: str) -> Iterator[str]:
    """Split into runs of digits and of other characters."""
    return ("".join(part) for _, part in groupby(run, str.isdigit))


def _is_in(number: int, ranges: Iterable[tuple[int, int]]) -> bool:
    return any(first <= number <= last for first, last in ranges)


def _encode(word: str) -> str:
    """Write a word in the characters of the index; a prefix of it gives a prefix."""
    if word.isascii():
        return (MARK + word)[:_MAX_WORD_CHARS]
    written = MARK
    for char in word:
        letters = char if char in _DIGITS else _escape(char)
        if len(written) + len(letters) > _MAX_WORD_CHARS:
            break
        written += letters
    return written


@lru_cache(maxsize=4096)
def _escape(char: str) -> str:
    number, digits = ord(char), ""
    for _ in range(4):
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
    return "_" + digits


# --- Rows -----------------------------------------------------------------------------------------


def get_index(session: Session) -> tuple[TableClause, ColumnClause[int]]:
    """Return the index and its column of group numbers, which FTS5 calls ``rowid``."""
    return _make_index(session.get_bind().dialect.name == "sqlite")


@lru_cache
def _make_index(is_sqlite: bool) -> tuple[TableClause, ColumnClause[int]]:
    name = "rowid" if is_sqlite else "group_id"
    number: ColumnClause[int] = column(name, Integer if is_sqlite else BigInteger)
    texts = [column(name, Text) for name in ("title", "words", "hidden")]
    return table("search_index", number, *texts), number


def refresh_search(session: Session, group_ids: Sequence[int]) -> bool:
    """Update the words of groups; they are deleted if a group does not exist.

    Call it after each change of a group, its images or its tags, in the same transaction and with
    the groups' rows locked.

    :param group_ids: a few hundred at most.
    :return: whether anything was written.
    """
    session.flush()
    return _write(session, group_ids, _make_rows(session, group_ids))


def forget_group(session: Session, group_id: int) -> None:
    """Delete a group from the index."""
    _write(session, [group_id], {})


def _write(session: Session, group_ids: Sequence[int], rows: dict[int, dict[str, str]]) -> bool:
    """Make the index hold these rows of these groups, and none of the others."""
    index, number = get_index(session)
    stored = _read_rows(session, number.in_(group_ids))
    gone = [group_id for group_id in stored if group_id not in rows]
    new = [{number.name: key, **row} for key, row in rows.items() if key not in stored]
    changed = [key for key, row in rows.items() if key in stored and stored[key] != row]
    if gone:
        session.execute(delete(index).where(number.in_(gone)))
    if new:
        session.execute(insert(index), new)
    for keys in _make_small_batches(changed, rows):
        # Only columns of which a row changes.
        values = {
            name: case({key: rows[key][name] for key in keys}, value=number)
            for name in rows[keys[0]]
            if any(rows[key][name] != stored[key][name] for key in keys)
        }
        session.execute(update(index).where(number.in_(keys)).values(values))
    return bool(gone or new or changed)


def _make_small_batches(
    keys: Iterable[int], rows: dict[int, dict[str, str]]
) -> Iterator[list[int]]:
    """Yield the keys of rows whose texts fit into one statement of the database."""
    batch: list[int] = []
    size = 0
    for key in keys:
        chars = sum(map(len, rows[key].values()))
        if batch and size + chars > _MAX_STATEMENT_CHARS:
            yield batch
            batch, size = [], 0
        batch.append(key)
        size += chars
    if batch:
        yield batch


def _read_rows(session: Session, condition: ColumnElement[bool]) -> dict[int, dict[str, str]]:
    """Read rows of the index, as :func:`_make_rows` makes them."""
    index, number = get_index(session)
    texts = (index.c.title, index.c.words, index.c.hidden)
    rows = session.execute(select(*texts, number.label("number")).where(condition))
    return {row.pop("number"): row for row in map(dict, rows.mappings())}


def fill_search(session: Session, after: int = 0) -> int:
    """Add some of the groups that the index lacks: after an upgrade, all groups.

    :param after: only groups with higher numbers.
    :return: the number to continue after, once this is committed; 0 when no group is missing.
    """
    index, number = get_index(session)
    indexed = select(func.count()).select_from(index).scalar_subquery()
    groups = select(func.count()).select_from(Group).scalar_subquery()
    if not after and session.scalar(select(indexed == groups)):
        return 0
    missing = session.scalars(
        select(Group.id)
        .outerjoin(index, number == Group.id)
        .where(Group.id > after, number.is_(None))
        .order_by(Group.id)
        .limit(_GROUPS_PER_READ)
    ).all()
    if not missing:
        return 0
    add_to_search(session, missing)
    return int(missing[-1])


def add_to_search(session: Session, group_ids: Sequence[int]) -> None:
    """Add groups to the index that it lacks; a few hundred at once."""
    index, number = get_index(session)
    rows = _make_rows(session, group_ids)
    session.execute(
        insert(index), [{number.name: group_id, **row} for group_id, row in rows.items()]
    )


def list_stale(session: Session, after: int) -> tuple[list[int], int]:
    """Compare some of the groups above a number with the index, for ``reconcile``.

    :return: the groups whose words are wrong, and the number to continue after; 0 at the end.
    """
    _, number = get_index(session)
    ids = session.scalars(
        select(Group.id).where(Group.id > after).order_by(Group.id).limit(_GROUPS_PER_READ)
    ).all()
    stored = _read_rows(session, number.between(after + 1, ids[-1]) if ids else number > after)
    rows = _make_rows(session, ids)
    stale = [i for i in sorted(rows.keys() | stored.keys()) if rows.get(i) != stored.get(i)]
    return stale, ids[-1] if ids else 0


def _make_rows(session: Session, ids: Sequence[int]) -> dict[int, dict[str, str]]:
    """Return what the index should contain: group number → column → words."""
    of_group = (
        Group.title, Group.text, Group.medium, Group.dimensions, Group.year, Group.edition,
        Group.creator,
    )  # fmt: skip
    groups = session.execute(
        select(*of_group, Group.id, Group.state, Group.is_shown, Group.availability).where(
            Group.id.in_(ids)
        )
    ).all()
    texts: dict[int, list[Any]] = {
        row.id: [
            row.title,
            make_plain(row.text),
            *row[2 : len(of_group)],
            _AVAILABILITY_WORDS.get(row.availability, ""),
        ]
        for row in groups
    }
    tags = session.execute(
        select(GroupTag.group_id, Tag.name)
        .join(Tag, Tag.id == GroupTag.tag_id)
        .where(GroupTag.group_id.in_(ids))
        .order_by(GroupTag.group_id, Tag.id)
    )
    for group_id, name in tags:
        if group_id in texts:
            texts[group_id].append(name)
    images = session.execute(
        select(Image.group_id, Image.name, Image.alt, Image.camera, Image.lens, Image.taken_at)
        .where(Image.group_id.in_(ids))
        .order_by(Image.group_id, Image.position, Image.number)
    )
    for image in images:
        if image.group_id in texts:
            year = str(image.taken_at.year) if image.taken_at else ""
            texts[image.group_id] += [image.name, image.alt, image.camera, image.lens, year]
    titles = {group.id: [group.title] for group in groups}
    for group_id, found in list_group_words(session, ids).items():
        if group_id in texts:
            texts[group_id] += [make_plain(one.text) for one in found]
            titles[group_id] += [one.text for one in found if one.field == "title"]
    rows = {}
    for group in groups:
        title = " ".join(word for text in titles[group.id] for word in iter_words(text))
        words = dict.fromkeys(word for text in texts[group.id] for word in iter_words(text))
        joined = "" if group.state == "trash" else " ".join(list(words)[:_MAX_WORDS])
        rows[group.id] = (
            {"title": title, "words": joined, "hidden": ""}
            if group.is_shown
            else {"title": "", "words": "", "hidden": joined}
        )
    return rows
