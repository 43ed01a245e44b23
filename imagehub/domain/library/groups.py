"""Find, lock, refresh and delete groups."""

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from imagehub.database import MAX_ID, count_rows
from imagehub.domain.library.gallery_counts import set_shown
from imagehub.domain.library.search_index import forget_group, refresh_search
from imagehub.errors import NotFoundError
from imagehub.models import Group, Image

# A group in the trash is in neither of these.
LIVING_STATES = ("published", "draft")


def name_group(number: int, title: str) -> str:
    """What the admin's side calls a group: its title, or that it has none, with its number."""
    return title.strip() or f"Untitled {number}"


def get_group(session: Session, number: int) -> Group:
    """A group in any state but the trash.

    :raise NotFoundError: there is none of that number.
    """
    group = session.get(Group, number) if 0 < number <= MAX_ID else None
    if group is None or group.state == "trash":
        raise NotFoundError("group", number)
    return group


def lock_group(session: Session, group_id: int) -> bool:
    """Hold a group's row until the transaction ends; whether there is one.

    A change that changes nothing does this on both databases: SQLite has no FOR UPDATE, and there a
    transaction should write before it reads.
    """
    return bool(
        count_rows(
            session,
            update(Group)
            .where(Group.id == group_id)
            .values(next_image_number=Group.next_image_number, updated_at=Group.updated_at),
        )
    )


def get_locked_group(session: Session, number: int) -> Group:
    """Hold a group until the transaction ends, and read it anew.

    :raise NotFoundError: no such group, or it lies in the trash.
    """
    if not 0 < number <= MAX_ID or not lock_group(session, number):
        raise NotFoundError("group", number)
    group = session.get(Group, number)
    assert group is not None
    session.refresh(group)
    if group.state == "trash":
        raise NotFoundError("group", number)
    return group


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
    set_shown(session, group, group.state == "published" and cover is not None)
    refresh_search(session, group_id)


def delete_group(session: Session, group: Group) -> None:
    """Remove a group's row (its images go with it) and its place in the counts."""
    set_shown(session, group, False)
    session.flush()
    forget_group(session, group.id)
    session.execute(delete(Group).where(Group.id == group.id))
    session.expunge(group)
