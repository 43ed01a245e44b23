"""Tags: keywords of groups."""

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Select, and_, delete, exists, func, insert, or_, select, true
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from imagehub.database import count_rows, make_batches
from imagehub.domain.library import gallery
from imagehub.domain.library.facet_index import TAG, refresh_facets
from imagehub.domain.library.gallery import GROUPS_PER_PAGE
from imagehub.domain.library.search_index import refresh_search
from imagehub.domain.library.slugs import make_slug
from imagehub.errors import InvalidInputError, NotFoundError
from imagehub.messages import PluralMessage
from imagehub.models import FacetEntry, FacetValue, Group, GroupTag, Tag

TAGS_PER_PAGE = 120
MAX_NAME_CHARS = 100
MAX_TAGS_PER_GROUP = 50
_MAX_RELATING_TAGS = 4
_MAX_READ_PER_TAG = 12


@dataclass(frozen=True)
class CountedTag:
    """A tag and the number of shown groups that have it."""

    name: str
    slug: str
    group_count: int


@dataclass(frozen=True)
class TagList:
    """One page of the tags in use, by name; ``tag_count`` counts all of them."""

    number: int
    page_count: int
    tag_count: int
    tags: Sequence[CountedTag]


@dataclass(frozen=True)
class TagPage(gallery.Page):
    """One page of the shown groups with a tag, in the gallery's order."""

    tag: CountedTag


# --- Reading --------------------------------------------------------------------------------------


def list_tags(session: Session, number: int = 1, per_page: int = TAGS_PER_PAGE) -> TagList:
    """List a page of the tags of shown groups; pages are counted from 1."""
    is_used = FacetValue.facet == TAG, FacetValue.shown_count > 0
    tag_count = session.scalar(select(func.count()).select_from(FacetValue).where(*is_used)) or 0
    page_count = -(-tag_count // per_page)
    if not 1 <= number <= page_count:
        return TagList(number, page_count, tag_count, ())
    page = _select_counted().offset((number - 1) * per_page).limit(per_page)
    return TagList(number, page_count, tag_count, _read_counted(session, page))


def find_tags(session: Session, beginning: str, limit: int = 10) -> Sequence[CountedTag]:
    """Find the tags of shown groups that begin with a text, by name; none for an empty text."""
    key = make_name_key(beginning)
    if not key:
        return ()
    begins = Tag.name_key.startswith(key, autoescape=True)
    return _read_counted(session, _select_counted().where(begins).limit(limit))


def _select_counted() -> Select[str, str, int]:
    """Select the tags of shown groups, by name, with their counts in the index of filters."""
    has_value = and_(FacetValue.facet == TAG, FacetValue.slug == Tag.slug)
    tags = select(Tag.name, Tag.slug, FacetValue.shown_count).join(FacetValue, has_value)
    return tags.where(FacetValue.shown_count > 0).order_by(Tag.name_key)


def _read_counted(session: Session, query: Select[str, str, int]) -> list[CountedTag]:
    return [CountedTag(*row) for row in session.execute(query)]


def list_tag_names(session: Session, beginning: str, limit: int = 10) -> Sequence[str]:
    """List the names of all tags that begin with a text, those of drafts too, for the editors."""
    key = make_name_key(beginning.lstrip("# "))
    if not key:
        return ()
    begins = Tag.name_key.startswith(key, autoescape=True)
    return session.scalars(select(Tag.name).where(begins).order_by(Tag.name_key).limit(limit)).all()


def get_tag_page(session: Session, slug: str, number: int) -> TagPage:
    """Load a page of the shown groups with a tag, counted from 1; empty past the end.

    :raise NotFoundError: there is no tag with this slug, or no shown group has it.
    """
    found = _select_counted().where(Tag.slug == slug).add_columns(FacetValue.id)
    tag = session.execute(found).one_or_none()
    if tag is None:
        raise NotFoundError("tag", slug)
    count = tag.shown_count
    # A range of an index, in the order of the gallery.
    ids = session.scalars(
        select(FacetEntry.group_id)
        .where(FacetEntry.value_id == tag.id)
        .order_by(FacetEntry.sort_key.desc(), FacetEntry.group_id.desc())
        .offset(min(number - 1, 1 << 40) * GROUPS_PER_PAGE)
        .limit(GROUPS_PER_PAGE)
    ).all()
    # The index is updated with the groups; should it be wrong, a draft is still not shown.
    tiles = [tile for tile in gallery.load_tiles(session, ids) if tile.group.is_shown]
    counted = CountedTag(tag.name, tag.slug, count)
    return TagPage(number, -(-count // GROUPS_PER_PAGE), count, tiles, counted)


def list_group_tags(session: Session, group_id: int) -> Sequence[Tag]:
    """List the tags of a group in their order."""
    return session.scalars(
        select(Tag)
        .join(GroupTag, GroupTag.tag_id == Tag.id)
        .where(GroupTag.group_id == group_id)
        .order_by(GroupTag.position, Tag.id)
    ).all()


def list_names_of_groups(session: Session, group_ids: Sequence[int]) -> dict[int, list[str]]:
    """List the names of the tags of groups in their order, with one statement: group → names."""
    names: dict[int, list[str]] = {number: [] for number in group_ids}
    rows = session.execute(
        select(GroupTag.group_id, Tag.name)
        .join(Tag, Tag.id == GroupTag.tag_id)
        .where(GroupTag.group_id.in_(names))
        .order_by(GroupTag.group_id, GroupTag.position, Tag.id)
    )
    for group_id, name in rows:
        names[group_id].append(name)
    return names


def list_related_ids(session: Session, group: Group, limit: int = 6) -> list[int]:
    """List shown groups that share tags with a group, those with most of them first.

    For each of its first tags a few groups are read that were created shortly before and after it,
    so that a tag which thousands of groups have costs no more than a rare one.
    """
    ids = select(GroupTag.tag_id).where(GroupTag.group_id == group.id)
    shared = Counter[int]()
    for tag_id in session.scalars(ids.order_by(GroupTag.position).limit(_MAX_RELATING_TAGS)).all():
        for is_older in (True, False):
            number = GroupTag.group_id
            near = select(number).where(GroupTag.tag_id == tag_id)
            near = (
                near.where(number < group.id).order_by(number.desc())
                if is_older
                else near.where(number > group.id).order_by(number)
            )
            shared.update(session.scalars(near.limit(_MAX_READ_PER_TAG)))
    if not shared:
        return []
    found = session.scalars(select(Group.id).where(Group.id.in_(shared), Group.is_shown == true()))
    best = sorted(found, key=lambda one: (-shared[one], abs(one - group.id), one))
    return best[:limit]


# --- Writing --------------------------------------------------------------------------------------


def set_tags(session: Session, group: Group, names: Iterable[str]) -> Sequence[Tag]:
    """Set the tags of a group; create new tags, and delete those that no group has any more.

    Names that differ only in case or spaces are the same tag, which keeps its first spelling.

    :return: the group's tags, in the order given.
    :raise InvalidInputError: a name is too long or has a control character, or there are too many.
    """
    tags = write_tags(session, {group.id: names})[group.id]
    refresh_search(session, [group.id])
    refresh_facets(session, [group.id])
    return tags


def write_tags(session: Session, names: Mapping[int, Iterable[str]]) -> Mapping[int, Sequence[Tag]]:
    """Set the tags of groups as :func:`set_tags`, without the indexes of search and filters.

    :param names: number of a group → names. A few hundred groups at most.
    :return: number of a group → tags.
    """
    wanted = {group_id: _tidy_names(some) for group_id, some in sorted(names.items())}
    session.flush()
    # Lock the groups' rows, so that concurrent changes of their tags run one after the other.
    rows = select(Group.id).where(Group.id.in_(wanted)).order_by(Group.id)
    session.execute(rows.with_for_update())
    spellings: dict[str, str] = {}
    for some in wanted.values():
        for key, name in some.items():
            spellings.setdefault(key, name)
    known = _get_or_create_all(session, spellings)
    tags = {group_id: [known[key] for key in some] for group_id, some in wanted.items()}
    new = {
        (group_id, tag.id): position
        for group_id, some in tags.items()
        for position, tag in enumerate(some, start=1)
    }
    of_groups = GroupTag.group_id.in_(wanted)
    columns = (GroupTag.group_id, GroupTag.tag_id, GroupTag.position)
    old = {(row[0], row[1]): row[2] for row in session.execute(select(*columns).where(of_groups))}
    gone: dict[int, list[int]] = defaultdict(list)
    for pair, position in old.items():
        if new.get(pair) != position:
            gone[pair[0]].append(pair[1])
    if gone:
        is_one = (
            and_(GroupTag.group_id == group_id, GroupTag.tag_id.in_(ids))
            for group_id, ids in sorted(gone.items())
        )
        count_rows(session, delete(GroupTag).where(or_(*is_one)))
    added = [
        {"group_id": pair[0], "tag_id": pair[1], "position": position}
        for pair, position in new.items()
        if old.get(pair) != position
    ]
    if added:
        session.execute(insert(GroupTag), added)
    for ids in make_batches(sorted({tag_id for _, tag_id in old.keys() - new.keys()})):
        is_unused = ~exists().where(GroupTag.tag_id == Tag.id)
        count_rows(session, delete(Tag).where(Tag.id.in_(ids), is_unused))
    return tags


def _tidy_names(names: Iterable[str]) -> dict[str, str]:
    """Return the names of a group's tags by what their spellings have in common."""
    wanted = dict[str, str]()
    for name in filter(None, map(tidy_name, names)):
        wanted.setdefault(make_name_key(name), name)
    if len(wanted) > MAX_TAGS_PER_GROUP:
        raise InvalidInputError(
            PluralMessage(
                "A group can have at most %(num)s tag.",
                "A group can have at most %(num)s tags.",
                num=MAX_TAGS_PER_GROUP,
            ),
            {"tags": "too many"},
        )
    return wanted


def tidy_name(name: str) -> str:
    """Return a tag's name as it is stored: NFC, single spaces, no ``#`` in front.

    :raise InvalidInputError: the name is too long, or has a control character.
    """
    tidy = " ".join(unicodedata.normalize("NFC", name).split()).lstrip("#").strip()
    if len(tidy) > MAX_NAME_CHARS:
        raise InvalidInputError(
            PluralMessage(
                "A tag can have at most %(num)s character.",
                "A tag can have at most %(num)s characters.",
                num=MAX_NAME_CHARS,
            ),
            {"tags": "too long"},
        )
    if any(unicodedata.category(char) in ("Cc", "Cs", "Cn") for char in tidy):
        raise InvalidInputError("A tag cannot contain control characters.", {"tags": "unreadable"})
    return tidy


def make_name_key(name: str) -> str:
    """Return what all spellings of one tag have in common."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    return " ".join(folded.split())[: 2 * MAX_NAME_CHARS]


def _get_or_create_all(session: Session, names: Mapping[str, str]) -> dict[str, Tag]:
    """Return the tags of these keys; the names are the spellings of new ones."""
    found: dict[str, Tag] = {}
    for keys in make_batches(names):
        tags = session.scalars(select(Tag).where(Tag.name_key.in_(keys)))
        found |= {tag.name_key: tag for tag in tags}
    return {key: found.get(key) or _get_or_create(session, name) for key, name in names.items()}


def _get_or_create(session: Session, name: str) -> Tag:
    key, base = make_name_key(name), make_slug(name) or "tag"
    for number in range(1, 1000):
        tag = session.scalars(select(Tag).where(Tag.name_key == key)).one_or_none()
        if tag is not None:
            return tag
        slug = base if number == 1 else f"{base}-{number}"
        if session.scalar(select(Tag.id).where(Tag.slug == slug)) is not None:
            continue
        tag = Tag(name=name, name_key=key, slug=slug)
        try:
            # Another request may create the same tag at this moment.
            with session.begin_nested():
                session.add(tag)
        except IntegrityError:
            continue
        return tag
    raise InvalidInputError("Too many tags have almost the same name.", {"tags": "taken"})
