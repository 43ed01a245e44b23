"""Read what visitors see: pages of the gallery, shown groups, their neighbours, the site map.

A group is shown when it is published and has at least one image. Groups are ordered by descending
``Group.sort_key``.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import zip_longest

from sqlalchemy import ColumnElement, Label, Select, func, select, true, tuple_
from sqlalchemy.orm import Session, contains_eager, load_only, selectinload

from imagehub.database import MAX_ID
from imagehub.domain.library.groups import BUCKET_SHIFT, count_shown_groups
from imagehub.domain.library.images import get_image
from imagehub.errors import NotFoundError
from imagehub.models import GalleryBucket, Group, Image

GROUPS_PER_PAGE = 12
FEED_LENGTH = 30
# A site map may list 50,000 pages with 1,000 images each, in 50 MB. A section is a range of group
# numbers, of which some may be unused.
# Source: https://www.sitemaps.org/protocol.html.
GROUPS_PER_SECTION = 1000
MAX_IMAGES_PER_GROUP = 1000
_SECTIONS_AT_ONCE = 100


@dataclass(frozen=True)
class Tile:
    """A group and its cover, whose renditions are loaded."""

    group: Group
    cover: Image


@dataclass(frozen=True)
class Page:
    """One page of shown groups; the counts are of all pages and of all their groups.

    ``featured``: the group above the first page, which is not among its tiles.
    """

    number: int
    page_count: int
    group_count: int
    tiles: Sequence[Tile]
    featured: Tile | None = field(default=None, kw_only=True)


def count_pages(session: Session, per_page: int = GROUPS_PER_PAGE) -> int:
    """Count the pages of the gallery; 0 when no group is shown."""
    return -(-count_shown_groups(session) // per_page)


def get_page(
    session: Session, number: int, per_page: int = GROUPS_PER_PAGE, featured: int = 0
) -> Page:
    """Load a page, counted from 1; a page past the end has no tiles.

    :param featured: the group above the first page, if it is shown; 0 for none. Pages stay as they
        are, so it is missing from the first page, and is on its own page as well.

    Reads the bucket counts (one row per thousand groups, summed up by the database), a range of
    at most one bucket of the index, and the covers with their renditions.
    """
    # The database has no larger integers.
    skip = min((number - 1) * per_page, MAX_ID)
    shown = GalleryBucket.shown_count
    above = func.sum(shown).over(order_by=GalleryBucket.bucket.desc()) - shown
    counts = (
        select(GalleryBucket.bucket, above.label("before"), func.sum(shown).over().label("total"))
        .where(shown > 0)
        .subquery()
    )
    place = session.execute(
        select(counts).where(counts.c.before <= max(skip, 0)).order_by(counts.c.bucket).limit(1)
    ).one_or_none()
    group_count = 0 if place is None else int(place.total)
    page_count = -(-group_count // per_page)
    if place is None or not 1 <= number <= page_count:
        return Page(number, page_count, group_count, ())
    top = ((place.bucket + 1) << BUCKET_SHIFT) - 1
    ids = session.scalars(
        select(Group.id)
        .where(Group.is_shown == true(), Group.sort_key <= top)
        .order_by(Group.sort_key.desc(), Group.id.desc())
        .offset(skip - int(place.before))
        .limit(per_page)
    ).all()
    if number != 1 or not 0 < featured <= MAX_ID:
        return Page(number, page_count, group_count, load_tiles(session, ids))
    tiles = load_tiles(session, [*(one for one in ids if one != featured), featured])
    top_tile = tiles.pop() if tiles and tiles[-1].group.id == featured else None
    if top_tile is not None and not top_tile.group.is_shown:
        top_tile = None
    return Page(number, page_count, group_count, tiles, featured=top_tile)


def load_tiles(session: Session, ids: Sequence[int]) -> list[Tile]:
    """Load groups in the order given; those without a cover are left out."""
    if not ids:
        return []
    rows = session.execute(
        select(Group, Image)
        .join(Image, Image.id == Group.cover_id)
        .where(Group.id.in_(ids))
        .options(selectinload(Image.renditions))
    ).all()
    tiles = {group.id: Tile(group, image) for group, image in rows}
    return [tiles[i] for i in ids if i in tiles]


def get_shown_group(session: Session, number: int) -> Group:
    """Find a group that visitors see.

    :raise NotFoundError: there is no such group, or it is a draft or has no images.
    """
    group = session.get(Group, number) if 0 < number <= MAX_ID else None
    if group is None or not group.is_shown:
        raise NotFoundError("work", number)
    return group


def get_shown_image(session: Session, group_number: int, image_number: int) -> tuple[Group, Image]:
    """Find an image that visitors see, and its group.

    :raise NotFoundError: there is no such image, or its group is not shown.
    """
    group = get_shown_group(session, group_number)
    return group, get_image(session, group.id, image_number)


def list_shown_images(session: Session, ids: Sequence[int]) -> list[tuple[Group, Image]]:
    """List those of the images that visitors see, with their groups, by their database ids."""
    found = session.execute(
        select(Group, Image)
        .join(Image, Image.group_id == Group.id)
        .where(Image.id.in_([i for i in ids if i <= MAX_ID]), Group.is_shown == true())
        .options(selectinload(Image.renditions))
    )
    return [(group, image) for group, image in found]


def find_neighbours(session: Session, group: Group) -> tuple[Group | None, Group | None]:
    """Find the shown groups before and after this one in the gallery's order."""
    is_shown = Group.is_shown == true()
    return find_beside(session, group, -1, is_shown), find_beside(session, group, 1, is_shown)


def list_around(session: Session, group: Group, limit: int) -> list[int]:
    """List the shown groups nearest in the gallery's order, but not the two right beside it."""
    above, below = (
        session.scalars(
            _select_beside(group, step, Group.is_shown == true())
            .with_only_columns(Group.id)
            .offset(1)
            .limit(limit)
        ).all()
        for step in (-1, 1)
    )
    nearest = [number for pair in zip_longest(above, below) for number in pair if number]
    return nearest[:limit]


def find_beside(
    session: Session, group: Group, step: int, *conditions: ColumnElement[bool]
) -> Group | None:
    """Find the nearest group above (-1) or below (1) another one in the gallery's order.

    :param conditions: of the groups that count.
    """
    nearest = _select_beside(group, step, *conditions).with_only_columns(Group.id).limit(1)
    # The number first: for whole rows MariaDB does not use the range of the index, and reads half
    # of all groups.
    number = nearest.correlate(None).scalar_subquery()
    return session.scalars(select(Group).where(Group.id == number)).one_or_none()


def _select_beside(group: Group, step: int, *conditions: ColumnElement[bool]) -> Select[Group]:
    place, here = (Group.sort_key, Group.id), (group.sort_key, group.id)
    # The first condition is implied by the second; it lets MySQL read a range of the index.
    if step < 0:
        beside = select(Group).where(place[0] >= here[0], tuple_(*place) > here).order_by(*place)
    else:
        beside = select(Group).where(place[0] <= here[0], tuple_(*place) < here)
        beside = beside.order_by(*(column.desc() for column in place))
    return beside.where(*conditions)


# --- Feeds and site maps --------------------------------------------------------------------------


def list_newest(session: Session) -> Sequence[Tile]:
    """List the shown groups that were created last, newest first.

    Looks through more and more of the highest numbers: the index of shown groups is in another
    order, and the database would read all of it.
    """
    highest = session.scalar(select(func.max(Group.id))) or 0
    span = FEED_LENGTH * 4
    while True:
        is_here = (Group.id > highest - span) & (Group.is_shown == true())
        newest = select(Group.id).where(is_here).order_by(Group.id.desc()).limit(FEED_LENGTH)
        ids = session.scalars(newest).all()
        if len(ids) == FEED_LENGTH or span >= highest:
            return load_tiles(session, ids)
        span *= 10


def list_sections(session: Session) -> Sequence[int]:
    """List the numbers of the sections that have shown groups; they are counted from 1.

    Reads the first shown group of each section.
    """
    sections: list[int] = []
    newest = session.scalar(select(func.max(Group.id))) or 0
    past_end, last = -(-newest // GROUPS_PER_SECTION) + 1, 0
    while first := session.scalar(select(func.min(Group.id)).where(Group.id > last)):
        # The next hundred sections, from the first one that has a group.
        start = (first - 1) // GROUPS_PER_SECTION + 1
        numbers = range(start, max(start + 1, min(start + _SECTIONS_AT_ONCE, past_end)))
        found = session.execute(select(*map(_find_first, numbers))).one()
        sections += (number for number, one in zip(numbers, found, strict=True) if one is not None)
        last = min(numbers[-1] * GROUPS_PER_SECTION, MAX_ID)
    return sections


def _find_first(section: int) -> Label[int | None]:
    """Select the first shown group of a section."""
    first = min((section - 1) * GROUPS_PER_SECTION + 1, MAX_ID)
    last = min(section * GROUPS_PER_SECTION, MAX_ID)
    shown = select(Group.id).where(Group.id.between(first, last), Group.is_shown == true())
    return shown.order_by(Group.id).limit(1).scalar_subquery().label(f"section_{section}")


def list_section(session: Session, number: int) -> list[tuple[Group, Sequence[int]]]:
    """List the shown groups of a section, and the numbers of their first thousand images."""
    first = (number - 1) * GROUPS_PER_SECTION + 1
    last = first + GROUPS_PER_SECTION - 1
    if number < 1 or last > MAX_ID:
        return []
    groups = session.scalars(
        select(Group)
        .where(Group.id.between(first, last), Group.is_shown == true())
        .order_by(Group.id)
        .options(load_only(Group.title, Group.updated_at))
    ).all()
    images = session.execute(
        select(Image.group_id, Image.number)
        .where(Image.group_id.between(first, last))
        .order_by(Image.group_id, Image.position, Image.number)
    )
    numbers: dict[int, list[int]] = defaultdict(list)
    for group_id, image_number in images:
        numbers[group_id].append(image_number)
    return [(group, numbers[group.id][:MAX_IMAGES_PER_GROUP]) for group in groups]


def list_section_videos(session: Session, number: int) -> dict[int, list[Image]]:
    """List the videos of the shown groups of a section: number of the group → videos."""
    first = (number - 1) * GROUPS_PER_SECTION + 1
    images = session.scalars(
        select(Image)
        .join(Image.group)
        .where(
            Image.group_id.between(first, first + GROUPS_PER_SECTION - 1),
            Image.video_codec != "",
            Group.is_shown == true(),
        )
        .order_by(Image.group_id, Image.position, Image.number)
        .options(contains_eager(Image.group))
    )
    videos: dict[int, list[Image]] = defaultdict(list)
    for image in images:
        if len(videos[image.group_id]) < MAX_IMAGES_PER_GROUP:
            videos[image.group_id].append(image)
    return dict(videos)
