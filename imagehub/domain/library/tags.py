"""Tags: words that groups share."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Select, delete, exists, func, insert, select, true
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from imagehub.database import count_rows
from imagehub.domain.library import gallery
from imagehub.domain.library.gallery import GROUPS_PER_PAGE, Tile
from imagehub.domain.library.search_index import refresh_search
from imagehub.errors import InvalidInputError, NotFoundError
from imagehub.models import Group, GroupTag, Tag

TAGS_PER_PAGE = 120
MAX_NAME_CHARS = 100
MAX_TAGS_PER_GROUP = 50
_MAX_SLUG_CHARS = 80


@dataclass(frozen=True)
class CountedTag:
    """A tag and how many shown groups have it."""

    name: str
    slug: str
    group_count: int


@dataclass(frozen=True)
class TagList:
    """One page of the tags in use, by name. ``tag_count`` counts all of them."""

    number: int
    page_count: int
    tag_count: int
    tags: Sequence[CountedTag]


@dataclass(frozen=True)
class TagPage:
    """One page of the shown groups with a tag, in the gallery's order."""

    tag: CountedTag
    number: int
    page_count: int
    tiles: Sequence[Tile]


# --- Reading --------------------------------------------------------------------------------------


def list_tags(session: Session, number: int = 1, per_page: int = TAGS_PER_PAGE) -> TagList:
    """The tags that shown groups have, one page, counted from 1."""
    count = select(func.count()).select_from(Tag).where(_is_used())
    tag_count = session.scalar(count) or 0
    page_count = -(-tag_count // per_page)
    if not 1 <= number <= page_count:
        return TagList(number, page_count, tag_count, ())
    page = select(Tag).offset((number - 1) * per_page).limit(per_page)
    return TagList(number, page_count, tag_count, _count_groups(session, page))


def find_tags(session: Session, beginning: str, limit: int = 10) -> Sequence[CountedTag]:
    """Tags of shown groups that begin so, by name; none for nothing."""
    key = make_name_key(beginning)
    if not key:
        return ()
    found = select(Tag).where(Tag.name_key.startswith(key, autoescape=True)).limit(limit)
    return _count_groups(session, found)


def _is_used() -> ColumnElement[bool]:
    return exists().where(
        GroupTag.tag_id == Tag.id, Group.id == GroupTag.group_id, Group.is_shown == true()
    )


def _count_groups(session: Session, query: Select[Tag]) -> list[CountedTag]:
    """Those of the tags that shown groups have, by name, with how many that are."""
    tags = session.scalars(query.where(_is_used()).order_by(Tag.name_key)).all()
    rows = session.execute(
        select(GroupTag.tag_id, func.count())
        .join(Group, Group.id == GroupTag.group_id)
        .where(Group.is_shown == true(), GroupTag.tag_id.in_([tag.id for tag in tags]))
        .group_by(GroupTag.tag_id)
    )
    counts = {int(row[0]): int(row[1]) for row in rows}
    return [CountedTag(tag.name, tag.slug, counts.get(tag.id, 0)) for tag in tags]


def get_tag_page(
    session: Session, slug: str, number: int = 1, per_page: int = GROUPS_PER_PAGE
) -> TagPage:
    """One page of the groups that have a tag, counted from 1; past the end there are no tiles.

    :raise NotFoundError: no tag has this slug, or no shown group has the tag.
    """
    tag = session.scalars(select(Tag).where(Tag.slug == slug)).one_or_none()
    if tag is None:
        raise NotFoundError("tag", slug)
    has_tag = (GroupTag.tag_id == tag.id) & (Group.id == GroupTag.group_id) & Group.is_shown
    count = session.scalar(select(func.count()).select_from(GroupTag, Group).where(has_tag)) or 0
    if not count:
        raise NotFoundError("tag", slug)
    ids: Sequence[int] = ()
    if number >= 1:
        ids = session.scalars(
            select(Group.id)
            .select_from(GroupTag, Group)
            .where(has_tag)
            .order_by(Group.sort_key.desc(), Group.id.desc())
            .offset(min(number - 1, 1 << 40) * per_page)
            .limit(per_page)
        ).all()
    counted = CountedTag(tag.name, tag.slug, count)
    return TagPage(counted, number, -(-count // per_page), gallery.load_tiles(session, ids))


def list_group_tags(session: Session, group_id: int) -> Sequence[Tag]:
    """The tags of one group, in the order in which they were given."""
    return session.scalars(
        select(Tag)
        .join(GroupTag, GroupTag.tag_id == Tag.id)
        .where(GroupTag.group_id == group_id)
        .order_by(GroupTag.position, Tag.id)
    ).all()


def suggest_tags(session: Session, beginning: str, limit: int = 10) -> Sequence[str]:
    """Names of tags that begin so, whoever has them, for an admin who types one."""
    key = make_name_key(beginning)
    return session.scalars(
        select(Tag.name)
        .where(Tag.name_key.startswith(key, autoescape=True))
        .order_by(Tag.name_key)
        .limit(limit)
    ).all()


# --- Writing --------------------------------------------------------------------------------------


def set_tags(session: Session, group: Group, names: Iterable[str]) -> Sequence[Tag]:
    """Give a group exactly these tags, and make those that are new.

    Names are the same regardless of case and of the spaces around and between their words; the
    first spelling that was ever used stays. A tag that no group has any more goes.

    :return: the group's tags, in the order given.
    :raise InvalidInputError: a name is too long or has a control character, or there are too many.
    """
    wanted = dict[str, str]()
    for name in names:
        tidy = tidy_name(name)
        if tidy:
            wanted.setdefault(make_name_key(tidy), tidy)
    if len(wanted) > MAX_TAGS_PER_GROUP:
        raise InvalidInputError(
            f"A work can have {MAX_TAGS_PER_GROUP} tags at most.", {"tags": "too many"}
        )
    session.flush()
    # The group's row is locked, so that two who change its tags do so one after the other.
    session.execute(select(Group.id).where(Group.id == group.id).with_for_update())
    tags = [_get_or_make(session, name) for name in wanted.values()]
    old_ids = set(session.scalars(select(GroupTag.tag_id).where(GroupTag.group_id == group.id)))
    session.execute(delete(GroupTag).where(GroupTag.group_id == group.id))
    if tags:
        session.execute(
            insert(GroupTag),
            [
                {"group_id": group.id, "tag_id": tag.id, "position": position}
                for position, tag in enumerate(tags, start=1)
            ],
        )
    drop_unused_tags(session, old_ids - {tag.id for tag in tags})
    refresh_search(session, group.id)
    return tags


def drop_unused_tags(session: Session, tag_ids: Iterable[int] | None = None) -> int:
    """Remove tags that no group has, of these or of all.

    :return: how many went.
    """
    statement = delete(Tag).where(~exists().where(GroupTag.tag_id == Tag.id))
    if tag_ids is not None:
        ids = list(tag_ids)
        if not ids:
            return 0
        statement = statement.where(Tag.id.in_(ids))
    return count_rows(session, statement)


def tidy_name(name: str) -> str:
    """A tag's name as it is kept: composed, single spaces, no ``#`` in front.

    :raise InvalidInputError: too long, or with a control character in it.
    """
    tidy = " ".join(unicodedata.normalize("NFC", name).split()).lstrip("#").strip()
    if len(tidy) > MAX_NAME_CHARS:
        raise InvalidInputError(
            f"A tag can have {MAX_NAME_CHARS} characters at most.", {"tags": "too long"}
        )
    if any(unicodedata.category(char) in ("Cc", "Cs", "Cn") for char in tidy):
        raise InvalidInputError("A tag cannot have control characters.", {"tags": "unreadable"})
    return tidy


def make_name_key(name: str) -> str:
    """What two spellings of one tag have in common."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    return " ".join(folded.split())[: 2 * MAX_NAME_CHARS]


def make_slug(name: str) -> str:
    """A name as it stands in an address: letters and digits of any script, hyphens between."""
    words = re.sub(r"[\W_]+", "-", unicodedata.normalize("NFC", name).casefold()).strip("-")
    return words[:_MAX_SLUG_CHARS].rstrip("-") or "tag"


def _get_or_make(session: Session, name: str) -> Tag:
    key = make_name_key(name)
    for number in range(1, 1000):
        tag = session.scalars(select(Tag).where(Tag.name_key == key)).one_or_none()
        if tag is not None:
            return tag
        base = make_slug(name)
        slug = base if number == 1 else f"{base}-{number}"
        if session.scalar(select(Tag.id).where(Tag.slug == slug)) is not None:
            continue
        tag = Tag(name=name, name_key=key, slug=slug)
        try:
            # Somebody else may make the same tag at this moment; theirs is as good.
            with session.begin_nested():
                session.add(tag)
        except IntegrityError:
            continue
        return tag
    raise InvalidInputError("There are too many tags of nearly this name.", {"tags": "taken"})
