"""Read what visitors see: the pages of the gallery, shown groups and their neighbours.

A group is shown when it is published and has at least one image. Groups are ordered by descending
``Group.sort_key``.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select, true
from sqlalchemy.orm import Session, selectinload

from imagehub.database import MAX_ID
from imagehub.domain.library.gallery_counts import BUCKET_SHIFT, count_shown_groups
from imagehub.domain.library.images import get_image
from imagehub.errors import NotFoundError
from imagehub.models import GalleryBucket, Group, Image

GROUPS_PER_PAGE = 12


@dataclass(frozen=True)
class Page:
    """One page of the gallery; the counts are of all pages and of all shown groups."""

    number: int
    page_count: int
    group_count: int
    tiles: Sequence["Tile"]


@dataclass(frozen=True)
class Tile:
    """A group and its cover, whose renditions are loaded."""

    group: Group
    cover: Image


def count_pages(session: Session, per_page: int = GROUPS_PER_PAGE) -> int:
    """Count the pages of the gallery; 0 when no group is shown."""
    return -(-count_shown_groups(session) // per_page)


def get_page(session: Session, number: int, per_page: int = GROUPS_PER_PAGE) -> Page:
    """Load a page, counted from 1; a page past the end has no tiles.

    Reads the bucket counts (one row per thousand groups, summed up by the database), a range of
    at most one bucket of the index, and the covers with their renditions.
    """
    # The database has no larger integers.
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
    """Load groups in the order given; those without a cover are left out."""
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
        raise NotFoundError("group", number)
    return group


def get_shown_image(session: Session, group_number: int, image_number: int) -> tuple[Group, Image]:
    """Find an image that visitors see, and its group.

    :raise NotFoundError: there is no such image, or its group is not shown.
    """
    group = get_shown_group(session, group_number)
    return group, get_image(session, group.id, image_number)


def find_neighbours(session: Session, group: Group) -> tuple[Group | None, Group | None]:
    """Find the shown groups before and after this one in the gallery's order."""
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
