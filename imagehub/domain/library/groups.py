"""Find, lock, refresh and delete groups."""

from collections.abc import Sequence

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from imagehub.database import MAX_ID, count_rows
from imagehub.domain.library.gallery_counts import set_shown
from imagehub.domain.library.search_index import forget_group, refresh_search
from imagehub.errors import NotFoundError
from imagehub.messages import Message
from imagehub.models import Group, Image

# The states of groups that are not in the trash.
LIVING_STATES = ("published", "draft")


def name_group(number: int, title: str) -> str:
    """Return a group's title for the admin pages; an untitled group is named by its number."""
    return title.strip() or Message("Untitled %(number)s", number=number)


def get_group(session: Session, number: int) -> Group:
    """Find a group that is not in the trash.

    :raise NotFoundError: there is no such group.
    """
    group = session.get(Group, number) if 0 < number <= MAX_ID else None
    if group is None or group.state == "trash":
        raise NotFoundError("group", number)
    return group


def lock_groups(session: Session, group_ids: Sequence[int]) -> int:
    """Lock the rows of groups until the transaction ends; return how many exist.

    An update that changes nothing locks them on both databases: SQLite has no FOR UPDATE, and a
    transaction there should write before it reads.

    :param group_ids: ascending, so that two requests cannot deadlock.
    """
    lock = (
        update(Group)
        .where(Group.id.in_(group_ids))
        .values(next_image_number=Group.next_image_number, updated_at=Group.updated_at)
    )
    return count_rows(session, lock)


def lock_group(session: Session, group_id: int) -> bool:
    """Lock a group as :func:`lock_groups`; tell whether it exists."""
    return lock_groups(session, [group_id]) > 0


def find_locked_group(session: Session, number: int) -> Group | None:
    """Lock a group until the transaction ends, and read its current row, in the trash or not."""
    if not 0 < number <= MAX_ID or not lock_group(session, number):
        return None
    return session.get_one(Group, number, populate_existing=True)


def get_locked_group(session: Session, number: int) -> Group:
    """Lock a group that is not in the trash, and read its current row.

    :raise NotFoundError: there is no such group.
    """
    group = find_locked_group(session, number)
    if group is None or group.state == "trash":
        raise NotFoundError("group", number)
    return group


def refresh_group(session: Session, group_id: int) -> None:
    """Update a group's derived columns after its images or its state changed.

    Writes ``image_count``, ``cover_id``, ``is_shown``, the count of shown groups and the search
    index. Locks the group's row first, so that concurrent changes are counted one after the other.
    Safe to run twice.
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
    images = select(Image.id).where(Image.group_id == group_id)
    count = select(func.count()).select_from(Image).where(Image.group_id == group_id)
    group.image_count = session.scalar(count) or 0
    group.cover_id = session.scalar(
        images.where(Image.id == group.chosen_cover_id)
    ) or session.scalar(images.order_by(Image.position, Image.number).limit(1))
    set_shown(session, group, group.state == "published" and group.cover_id is not None)
    refresh_search(session, group_id)


def delete_group(session: Session, group: Group) -> None:
    """Delete a group's row with its images, and take it out of the counts and the index."""
    set_shown(session, group, False)
    session.flush()
    forget_group(session, group.id)
    session.execute(delete(Group).where(Group.id == group.id))
    session.expunge(group)
