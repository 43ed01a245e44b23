"""Read the gallery for feeds and site maps: its newest groups, and all groups in sections."""

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
# A site map may list 50,000 pages with 1,000 images each, in 50 MB. A section is a range of group
# numbers, of which some may be unused.
# Source: https://www.sitemaps.org/protocol.html.
GROUPS_PER_SECTION = 1000
MAX_IMAGES_PER_GROUP = 1000


@dataclass(frozen=True)
class MappedGroup:
    """A shown group and the numbers of its first thousand images, in order."""

    number: int
    title: str
    updated_at: datetime
    image_numbers: Sequence[int]


def list_newest(session: Session, limit: int = FEED_LENGTH) -> Sequence[Tile]:
    """List the shown groups that were created last, newest first."""
    ids = session.scalars(
        select(Group.id).where(Group.is_shown == true()).order_by(Group.id.desc()).limit(limit)
    ).all()
    return load_tiles(session, ids)


def list_sections(session: Session) -> Sequence[int]:
    """List the numbers of the sections that have shown groups; they are counted from 1."""
    stretch = (Group.id + (GROUPS_PER_SECTION - 1)) // GROUPS_PER_SECTION
    rows = session.scalars(
        select(func.distinct(stretch)).where(Group.is_shown == true()).order_by(stretch)
    )
    return [int(row) for row in rows]


def list_section(session: Session, number: int) -> Sequence[MappedGroup]:
    """List the shown groups of a section, by number.

    :raise NotFoundError: it has none.
    """
    first = (number - 1) * GROUPS_PER_SECTION + 1
    last = first + GROUPS_PER_SECTION - 1
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
