"""Join groups into one."""

from collections.abc import Sequence

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from imagehub.database import make_batches
from imagehub.domain.library.edit import MAX_BULK
from imagehub.domain.library.groups import get_group, get_locked_group, refresh_group
from imagehub.domain.library.images import list_images
from imagehub.domain.library.shots import find_twins, put_into
from imagehub.domain.library.tags import MAX_TAGS_PER_GROUP, list_group_tags, set_tags
from imagehub.domain.library.trash import Joined, trash_groups
from imagehub.errors import InvalidInputError
from imagehub.models import Group, Image, ImportItem, ImportProposal, ShareItem, TrashEntry


def join_groups(
    session: Session, numbers: Sequence[int], user_id: int | None
) -> tuple[Group, list[int]]:
    """Put the shots of all these groups into the first, in the order given.

    What the first has no words for is taken from the others. They lie in the trash then, with all
    of theirs, and can be taken back from there with their shots; a file that the first has already
    stays in them. What is being imported into them, and links that show them, go on with the first.

    :return: the first, and the numbers of the others.
    :raise InvalidInputError: fewer than two.
    :raise NotFoundError: one is not there.
    """
    wanted = list(dict.fromkeys(numbers))
    if len(wanted) < 2:
        raise InvalidInputError("Choose at least two groups to join.", {"group": "too few"})
    if len(wanted) > MAX_BULK:
        raise InvalidInputError(f"More than {MAX_BULK:,} groups at once are too many.")
    others = wanted[1:]
    for batch in make_batches(others):
        # A worker holds its item before the group, too.
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
        shares = _follow(session, other.id, target)
        trash_groups(session, [other.id], user_id)
        entry = session.get_one(TrashEntry, other.id)
        entry.joined = Joined(target.id, shots, shares).write()
    target.version += 1
    set_tags(session, target, list(dict.fromkeys(tags))[:MAX_TAGS_PER_GROUP])
    refresh_group(session, target.id)
    return target, others


def _follow(session: Session, number: int, target: Group) -> list[int]:
    """Let all that names a group go on with another one that takes its shots.

    :return: the links that show the other one now, and did not before.
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
