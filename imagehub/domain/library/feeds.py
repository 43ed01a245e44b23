"""What machines are told of the gallery: its newest works, and all of them in stretches."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select, true
from sqlalchemy.orm import Session

from imagehub.database import MAX_ID
from imagehub.domain.library.gallery import Tile, load_tiles
from imagehub.errors import NotFoundError
from imagehub.models import Group, Image

FEED_LENGTH = 30
# A map of a site may name 50,000 pages, each with 1,000 pictures, in 50 MB. Groups are named by
# their numbers, so a stretch holds fewer where numbers were given up.
# Source: https://www.sitemaps.org/protocol.html.
GROUPS_PER_STRETCH = 1000
MAX_IMAGES_PER_GROUP = 1000


@dataclass(frozen=True)
class MappedGroup:
    """A shown group and the numbers of its first thousand images, in order."""

    number: int
    title: str
    updated_at: datetime
    image_numbers: Sequence[int]


def list_newest(session: Session, limit: int = FEED_LENGTH) -> Sequence[Tile]:
    """The shown groups that were made last, newest first."""
    ids = session.scalars(
        select(Group.id).where(Group.is_shown == true()).order_by(Group.id.desc()).limit(limit)
    ).all()
    return load_tiles(session, ids)


def list_stretches(session: Session) -> Sequence[int]:
    """The numbers of the stretches that have shown groups, ascending, counted from 1."""
    stretch = (Group.id + (GROUPS_PER_STRETCH - 1)) // GROUPS_PER_STRETCH
    rows = session.scalars(
        select(func.distinct(stretch)).where(Group.is_shown == true()).order_by(stretch)
    )
    return [int(row) for row in rows]


def list_stretch(session: Session, number: int) -> Sequence[MappedGroup]:
    """The shown groups of a stretch, by number.

    :raise NotFoundError: there are none.
    """
    first = (number - 1) * GROUPS_PER_STRETCH + 1
    last = first + GROUPS_PER_STRETCH - 1
    if number < 1 or last > MAX_ID:
        raise NotFoundError("page", number)
    groups = session.execute(
        select(Group.id, Group.title, Group.updated_at)
        .where(Group.id.between(first, last), Group.is_shown == true())
        .order_by(Group.id)
    ).all()
    if not groups:
        raise NotFoundError("page", number)
    numbers: dict[int, list[int]] = {group.id: [] for group in groups}
    images = session.execute(
        select(Image.group_id, Image.number)
        .where(Image.group_id.between(first, last))
        .order_by(Image.group_id, Image.position, Image.number)
    )
    for group_id, image_number in images:
        known = numbers.get(group_id)
        if known is not None and len(known) < MAX_IMAGES_PER_GROUP:
            known.append(image_number)
    return [MappedGroup(g.id, g.title, g.updated_at, numbers[g.id]) for g in groups]
