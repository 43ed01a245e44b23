"""Join groups into one."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from imagehub.database import make_batches
from imagehub.domain.library.bulk import check_group_count
from imagehub.domain.library.groups import get_group, get_locked_group, refresh_group
from imagehub.domain.library.images import list_images
from imagehub.domain.library.listing import Row, load_rows
from imagehub.domain.library.shots import find_twins, put_into
from imagehub.domain.library.tags import MAX_TAGS_PER_GROUP, list_group_tags, set_tags
from imagehub.domain.library.trash import Joined, trash_groups
from imagehub.errors import InvalidInputError, NotFoundError
from imagehub.models import Group, Image, ImportItem, ImportProposal, ShareItem, TrashEntry


@dataclass(frozen=True)
class JoinPreview:
    """What joining groups would do.

    :param stays: the group that the others are joined into.
    :param shot_count: how many shots are moved there.
    :param exposed_count: how many of them become public.
    :param hidden_count: how many of them are no longer public.
    """

    stays: Row
    others: Sequence[Row]
    shot_count: int
    exposed_count: int
    hidden_count: int


def preview_join(session: Session, numbers: Sequence[int]) -> JoinPreview:
    """Tell what joining groups would do. Raises as :func:`join_groups`."""
    wanted = _check_numbers(numbers)
    rows = load_rows(session, wanted)
    if len(rows) < len(wanted):
        raise NotFoundError("group", numbers)
    stays, others = rows[0], rows[1:]
    unlike = sum(row.image_count for row in others if row.state != stays.state)
    is_public = stays.state == "published"
    return JoinPreview(
        stays,
        others,
        sum(row.image_count for row in others),
        unlike if is_public else 0,
        0 if is_public else unlike,
    )


def _check_numbers(numbers: Sequence[int]) -> list[int]:
    wanted = list(dict.fromkeys(numbers))
    if len(wanted) < 2:
        raise InvalidInputError("Select at least two groups to join.", {"group": "too few"})
    check_group_count(wanted)
    return wanted


def join_groups(
    session: Session, numbers: Sequence[int], user_id: int | None
) -> tuple[Group, list[int]]:
    """Move the shots of several groups into the first of them, in the order given.

    Empty fields of the first group are filled from the others. The others are then moved to the
    trash with their fields, from where they can be restored with their shots. An image whose file
    the first group already has stays in its group. Imports into the others and share links to them
    continue with the first group.

    :return: the first group, and the numbers of the others.
    :raise InvalidInputError: fewer than two groups, or too many.
    :raise NotFoundError: one of the groups does not exist.
    """
    wanted = _check_numbers(numbers)
    others = wanted[1:]
    for batch in make_batches(others):
        # Import items are locked before groups, as workers do, to avoid deadlocks.
        session.execute(
            update(ImportItem)
            .where(ImportItem.group_id.in_(batch))
            .values(group_id=ImportItem.group_id)
            .execution_options(synchronize_session=False)
        )
    for number in sorted(wanted):
        get_locked_group(session, number)
    target = get_group(session, wanted[0])
    tags = [tag.name for tag in list_group_tags(session, target.id)]
    for number in others:
        other = get_group(session, number)
        images = list(list_images(session, other.id))
        twins = find_twins(session, images, target)
        moved = [image for image in images if image not in twins]
        shots = [(image.id, image.number, image.position) for image in moved]
        put_into(session, moved, target)
        for name in ("title", "text", "medium", "dimensions", "year", "edition", "availability"):
            if not getattr(target, name):
                setattr(target, name, getattr(other, name))
        tags += [tag.name for tag in list_group_tags(session, other.id)]
        shares = _redirect_references(session, other.id, target)
        trash_groups(session, [other.id], user_id)
        entry = session.get_one(TrashEntry, other.id)
        entry.joined = Joined(target.id, shots, shares).write()
    target.version += 1
    set_tags(session, target, list(dict.fromkeys(tags))[:MAX_TAGS_PER_GROUP])
    refresh_group(session, target.id)
    return target, others


def _redirect_references(session: Session, number: int, target: Group) -> list[int]:
    """Point imports, import plans and share links of a group to another one.

    :return: the ids of the share links that did not show the other group before.
    """
    last = session.scalar(select(func.max(Image.position)).where(Image.group_id == target.id)) or 0
    for item in session.scalars(select(ImportItem).where(ImportItem.group_id == number)):
        item.group_id = target.id
        if item.state not in ("done", "skipped"):
            last += 1
            item.number, item.position = target.next_image_number, last
            target.next_image_number += 1
    session.execute(
        update(ImportProposal)
        .where(ImportProposal.group_id == number)
        .values(group_id=target.id)
        .execution_options(synchronize_session=False)
    )
    there = select(ShareItem.share_id).where(ShareItem.group_id == target.id)
    links = session.execute(
        select(ShareItem.share_id, ShareItem.position).where(
            ShareItem.group_id == number, ShareItem.share_id.not_in(there)
        )
    ).all()
    session.add_all(
        ShareItem(share_id=share_id, group_id=target.id, position=position)
        for share_id, position in links
    )
    session.flush()
    return [share_id for share_id, _ in links]
