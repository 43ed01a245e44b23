"""The order of groups, and what a visitor may see of them.

A visitor sees *shown* groups: published, with at least one image. The order runs down
``Group.sort_key``. Buckets of that key carry the number of shown groups in them, so that the n-th
page of a million groups costs what the first page of a hundred does (see ``GalleryBucket``).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, delete, func, select, true, update
from sqlalchemy.dialects import mysql, sqlite
from sqlalchemy.orm import Session, selectinload

from imagehub.database import MAX_ID, count_rows
from imagehub.domain.library.search_index import forget_group, refresh_search
from imagehub.errors import NotFoundError
from imagehub.models import GalleryBucket, Group, Image, Rendition

GROUPS_PER_PAGE = 12
LOW_RESOLUTION_PX = 480
HIGH_RESOLUTION_PX = 1920

# New groups stand 2^20 apart, so that twenty groups in a row can be put between any two before
# their surroundings must be numbered anew; a bucket then holds about a thousand groups.
SORT_STEP = 1 << 20
BUCKET_SHIFT = 30
# The first group of a hub; far enough from 0 that no move to the end makes a key negative, which
# MySQL's shift operator would read as a huge number.
FIRST_SORT_KEY = 1 << 50


@dataclass(frozen=True)
class Page:
    """One page of the gallery. ``groups`` come in order, each with its cover.

    ``page_count`` counts all pages, ``group_count`` all shown groups.
    """

    number: int
    page_count: int
    group_count: int
    tiles: Sequence["Tile"]


@dataclass(frozen=True)
class Tile:
    """A group and the image that stands for it, with its renditions loaded."""

    group: Group
    cover: Image


def name_group(number: int, title: str) -> str:
    """What the admin's side calls a group: its title, or that it has none, with its number."""
    return title.strip() or f"Untitled {number}"


# --- Reading --------------------------------------------------------------------------------------


def count_shown_groups(session: Session) -> int:
    """All groups that a visitor may see."""
    return int(session.scalar(select(func.coalesce(func.sum(GalleryBucket.shown_count), 0))) or 0)


def count_pages(session: Session, per_page: int = GROUPS_PER_PAGE) -> int:
    """Pages of the gallery, rounded up; 0 when nothing is shown."""
    return -(-count_shown_groups(session) // per_page)


def get_page(session: Session, number: int, per_page: int = GROUPS_PER_PAGE) -> Page:
    """One page, counted from 1; a page past the end has no tiles.

    Costs one sum over the bucket counts (one row per thousand groups, added up by the database),
    a range of at most one bucket of the index, and the covers with their renditions.
    """
    # No gallery is so long; the database's integers end there.
    skip = min((number - 1) * per_page, MAX_ID)
    counts = (
        select(
            GalleryBucket.bucket,
            (
                func.sum(GalleryBucket.shown_count).over(order_by=GalleryBucket.bucket.desc())
                - GalleryBucket.shown_count
            ).label("before"),
            func.sum(GalleryBucket.shown_count).over().label("total"),
        )
        .where(GalleryBucket.shown_count > 0)
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
    skip -= int(place.before)
    ids = session.scalars(
        select(Group.id)
        .where(Group.is_shown == true(), Group.sort_key <= top)
        .order_by(Group.sort_key.desc(), Group.id.desc())
        .offset(skip)
        .limit(per_page)
    ).all()
    return Page(number, page_count, group_count, load_tiles(session, ids))


def load_tiles(session: Session, ids: Sequence[int]) -> list[Tile]:
    """Groups by their numbers, in the order given; those without a cover are left out."""
    rows = session.execute(
        select(Group, Image)
        .join(Image, Image.id == Group.cover_id)
        .where(Group.id.in_(ids))
        .options(selectinload(Image.renditions))
    ).all()
    tiles = {group.id: Tile(group, image) for group, image in rows}
    return [tiles[i] for i in ids if i in tiles]


def get_shown_group(session: Session, number: int) -> Group:
    """A group that a visitor may see.

    :raise NotFoundError: no such group, a draft, or one without images.
    """
    group = session.get(Group, number) if 0 < number <= MAX_ID else None
    if group is None or not group.is_shown:
        raise NotFoundError("group", number)
    return group


def list_images(session: Session, group_id: int) -> Sequence[Image]:
    """A group's images in their order, with their renditions."""
    return session.scalars(
        select(Image)
        .where(Image.group_id == group_id)
        .order_by(Image.position, Image.number)
        .options(selectinload(Image.renditions))
    ).all()


def get_image(session: Session, group_id: int, number: int) -> Image:
    """One image by its number inside its group, with its renditions.

    :raise NotFoundError: the group has no image of that number.
    """
    image = None
    if 0 < group_id <= MAX_ID and 0 < number < 1 << 31:
        image = session.scalars(
            select(Image)
            .where(Image.group_id == group_id, Image.number == number)
            .options(selectinload(Image.renditions))
        ).one_or_none()
    if image is None:
        raise NotFoundError("image", f"{group_id}/{number}")
    return image


def get_shown_image(session: Session, group_number: int, image_number: int) -> tuple[Group, Image]:
    """An image that a visitor may see, and its group.

    :raise NotFoundError: either is missing or not shown.
    """
    group = get_shown_group(session, group_number)
    return group, get_image(session, group.id, image_number)


def find_cover(session: Session, group: Group) -> Image | None:
    """The image that stands for a group, with its renditions; None while it has no images."""
    return session.scalars(
        select(Image).where(Image.id == group.cover_id).options(selectinload(Image.renditions))
    ).one_or_none()


def find_neighbours(session: Session, group: Group) -> tuple[Group | None, Group | None]:
    """The shown groups before and after this one in the gallery's order."""
    here = (Group.sort_key == group.sort_key) & (Group.id > group.id)
    before = session.scalars(
        select(Group)
        .where(Group.is_shown == true(), (Group.sort_key > group.sort_key) | here)
        .order_by(Group.sort_key, Group.id)
        .limit(1)
    ).first()
    there = (Group.sort_key == group.sort_key) & (Group.id < group.id)
    after = session.scalars(
        select(Group)
        .where(Group.is_shown == true(), (Group.sort_key < group.sort_key) | there)
        .order_by(Group.sort_key.desc(), Group.id.desc())
        .limit(1)
    ).first()
    return before, after


def pick_rendition(image: Image, size_px: int, mime_type: str = "image/webp") -> Rendition:
    """The rendition of that size, or the nearest one there is.

    :raise NotFoundError: the image has no rendition of that type at all.
    """
    usable = [r for r in image.renditions if r.mime_type == mime_type]
    if not usable:
        raise NotFoundError("rendition", f"{image.id}/{size_px}")
    return min(usable, key=lambda r: abs(r.size_px - size_px))


# --- Writing --------------------------------------------------------------------------------------


def make_first_sort_key(session: Session) -> int:
    """A key that puts a new group before all others."""
    highest = session.scalar(select(func.max(Group.sort_key)))
    return FIRST_SORT_KEY if not highest else int(highest) + SORT_STEP


def refresh_group(session: Session, group_id: int) -> None:
    """Bring the derived facts of a group up to date after its images or state changed.

    Its row is locked first, so that two who change the same group count one after the other.
    Writes ``image_count``, ``cover_id``, ``is_shown``, the bucket's count and the words by which
    the group is found; safe to run twice.
    """
    session.flush()
    group = session.scalars(
        select(Group)
        .where(Group.id == group_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one_or_none()
    if group is None:
        return
    image_count = session.scalar(
        select(func.count()).select_from(Image).where(Image.group_id == group_id)
    )
    cover = (
        session.scalars(
            select(Image.id).where(Image.id == group.chosen_cover_id, Image.group_id == group_id)
        ).first()
        or session.scalars(
            select(Image.id)
            .where(Image.group_id == group_id)
            .order_by(Image.position, Image.number)
            .limit(1)
        ).first()
    )
    group.image_count = image_count or 0
    group.cover_id = cover
    _set_shown(session, group, group.state == "published" and cover is not None)
    refresh_search(session, group_id)


def delete_group(session: Session, group: Group) -> None:
    """Remove a group's row (its images go with it) and its place in the counts."""
    _set_shown(session, group, False)
    session.flush()
    forget_group(session, group.id)
    session.execute(delete(Group).where(Group.id == group.id))
    session.expunge(group)


def move_group(session: Session, group: Group, before: Group | None) -> None:
    """Put a group right before another in the gallery's order, or at the end (None).

    Usually one row changes. Where twenty moves have used up the room between two neighbours, the
    groups from there on upwards are moved up until there is room again.
    """
    was_shown = group.is_shown
    _set_shown(session, group, False)
    session.flush()
    group.sort_key = _make_room(session, group, before)
    _set_shown(session, group, was_shown)
    session.flush()


def _make_room(session: Session, group: Group, before: Group | None) -> int:
    if before is None:
        lowest = session.scalar(select(func.min(Group.sort_key)).where(Group.id != group.id))
        return FIRST_SORT_KEY if lowest is None else lowest - SORT_STEP
    above = session.scalar(
        select(func.min(Group.sort_key)).where(
            Group.sort_key > before.sort_key, Group.id != group.id
        )
    )
    if above is None:
        return before.sort_key + SORT_STEP
    if above - before.sort_key >= 2:
        return (above + before.sort_key) // 2
    # No number is free in between: push up whoever stands too close, one after the other.
    needed = before.sort_key + SORT_STEP * 2
    crowd = session.scalars(
        select(Group)
        .where(Group.sort_key > before.sort_key, Group.id != group.id)
        .order_by(Group.sort_key, Group.id)
        .execution_options(yield_per=200)
    )
    for other in crowd:
        if other.sort_key >= needed:
            break
        shown = other.is_shown
        _set_shown(session, other, False)
        other.sort_key = needed
        _set_shown(session, other, shown)
        needed += SORT_STEP
    return before.sort_key + SORT_STEP


def recount_gallery(session: Session) -> int:
    """Compute the bucket counts from the groups themselves.

    :return: how many buckets were wrong.
    """
    bucket: ColumnElement[int] = Group.sort_key.op(">>")(BUCKET_SHIFT)
    true_counts = {
        int(row[0]): int(row[1])
        for row in session.execute(
            select(bucket, func.count()).where(Group.is_shown == true()).group_by(bucket)
        )
    }
    stored = {row.bucket: row for row in session.scalars(select(GalleryBucket).with_for_update())}
    wrong = 0
    for number in stored.keys() | true_counts.keys():
        count = true_counts.get(number, 0)
        row = stored.get(number)
        if row is None:
            session.add(GalleryBucket(bucket=number, shown_count=count))
            wrong += 1
        elif row.shown_count != count:
            row.shown_count = count
            wrong += 1
    session.flush()
    return wrong


def _set_shown(session: Session, group: Group, is_shown: bool) -> None:
    if bool(group.is_shown) == is_shown:
        return
    group.is_shown = is_shown
    _add_to_bucket(session, group.sort_key >> BUCKET_SHIFT, 1 if is_shown else -1)


def _add_to_bucket(session: Session, bucket: int, change: int) -> None:
    """Add to a bucket's count in one statement, whether its row is there or not."""
    change_count = (
        update(GalleryBucket)
        .where(GalleryBucket.bucket == bucket)
        .values(shown_count=GalleryBucket.shown_count + change)
    )
    if count_rows(session, change_count):
        return
    values = {"bucket": bucket, "shown_count": change}
    if session.get_bind().dialect.name == "sqlite":
        upsert = sqlite.insert(GalleryBucket).values(**values)
        session.execute(
            upsert.on_conflict_do_update(
                index_elements=["bucket"],
                set_={"shown_count": GalleryBucket.shown_count + change},
            )
        )
    else:
        insert = mysql.insert(GalleryBucket).values(**values)
        session.execute(
            insert.on_duplicate_key_update(shown_count=GalleryBucket.shown_count + change)
        )
