"""Arrange the shots of a group: cover, order, and moving shots to other groups."""

from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from imagehub.database import get_database_time
from imagehub.domain.library.groups import get_group, get_locked_group, refresh_group
from imagehub.domain.library.images import get_image, get_images, note_moved
from imagehub.domain.library.order import make_first_sort_key, place_group
from imagehub.domain.translations import copy_translations
from imagehub.errors import ConflictError, NotFoundError
from imagehub.messages import Message
from imagehub.models import Group, Image


def set_cover(session: Session, group_number: int, number: int | None) -> Group:
    """Set a shot as the cover of its group; None makes it the first shot, whichever that is.

    :raise NotFoundError: there is no such group or shot.
    """
    group = get_locked_group(session, group_number)
    image = get_image(session, group.id, number) if number is not None else None
    group.chosen_cover_id = image.id if image is not None else None
    group.version += 1
    refresh_group(session, group.id)
    return group


def order_shots(
    session: Session, group_number: int, numbers: Sequence[int], before: int | None
) -> Group:
    """Move shots, in the order given, in front of another shot; to the end when it is None.

    :raise NotFoundError: there is no such group or shot.
    """
    group = get_locked_group(session, group_number)
    images = _list_in_order(session, group)
    by_number = {image.number: image for image in images}
    if not by_number.keys() >= {*numbers, *([] if before is None else [before])}:
        raise NotFoundError("image", group_number)
    moved = [by_number[one] for one in dict.fromkeys(numbers)]
    others = [image for image in images if image not in moved]
    at = next((n for n, image in enumerate(others) if image.number == before), len(others))
    for position, image in enumerate(others[:at] + moved + others[at:], start=1):
        image.position = position
    group.version += 1
    refresh_group(session, group.id)
    return group


def step_shot(session: Session, group_number: int, number: int, step: int) -> bool:
    """Move a shot one place towards the first (-1) or the last (1).

    :return: False if it is at that end already, so that nothing changed.
    :raise NotFoundError: there is no such group or shot.
    """
    group = get_locked_group(session, group_number)
    numbers = [image.number for image in _list_in_order(session, group)]
    if number not in numbers:
        raise NotFoundError("image", f"{group_number}/{number}")
    at = numbers.index(number) + step
    if not 0 <= at < len(numbers):
        return False
    following = [*numbers, None][at + 1 if step > 0 else at]
    order_shots(session, group_number, [number], following)
    return True


def _list_in_order(session: Session, group: Group) -> Sequence[Image]:
    query = select(Image).where(Image.group_id == group.id)
    return session.scalars(query.order_by(Image.position, Image.number)).all()


# --- To other groups ------------------------------------------------------------------------------


def move_shots(
    session: Session, group_number: int, numbers: Sequence[int], target_number: int
) -> Group:
    """Move shots to the end of another group.

    They get new numbers there, and their old numbers are not used again. A group that loses its
    last shot stays, empty.

    :return: the other group.
    :raise InvalidInputError: no shot is named.
    :raise NotFoundError: there is no such group or shot.
    :raise ConflictError: the other group already has an image of one of the files.
    """
    for one in sorted({group_number, target_number}):
        get_locked_group(session, one)
    group, target = get_group(session, group_number), get_group(session, target_number)
    images = get_images(session, group.id, numbers)
    if target is not group:
        twins = find_twins(session, images, target)
        if twins:
            fault = Message("The other group already has %(name)s.", name=twins[0].name)
            raise ConflictError(fault)
        put_into(session, images, target)
        _refresh_both(session, group, target)
    return target


def split_shots(session: Session, group_number: int, numbers: Sequence[int]) -> Group:
    """Move shots to a new group, right behind theirs. Raises as :func:`move_shots`.

    :return: the new group.
    """
    group = get_locked_group(session, group_number)
    images = get_images(session, group.id, numbers)
    fresh = Group(
        state=group.state,
        title=group.title,
        folder_name=group.folder_name,
        medium=group.medium,
        year=group.year,
        creator=group.creator,
        copyright_notice=group.copyright_notice,
        license_url=group.license_url,
        tiles=group.tiles,
        sort_key=make_first_sort_key(session),
        created_at=get_database_time(session),
    )
    session.add(fresh)
    session.flush()
    copy_translations(session, group, fresh, ("title", "medium"))
    put_into(session, images, fresh)
    _refresh_both(session, group, fresh)
    place_group(session, fresh.id, after=group.id)
    return fresh


def _refresh_both(session: Session, *groups: Group) -> None:
    for group in sorted(groups, key=lambda one: one.id):
        group.version += 1
        refresh_group(session, group.id)


def put_into(session: Session, images: Sequence[Image], target: Group) -> None:
    """Move images to the end of a group and give them new numbers.

    The caller has locked both groups and refreshes them.
    """
    last = session.scalar(select(func.max(Image.position)).where(Image.group_id == target.id)) or 0
    for position, image in enumerate(images, start=last + 1):
        image.number, image.position = target.next_image_number, position
        image.group_id = target.id
        target.next_image_number += 1
    note_moved(session, images)
    for image in images:
        session.expire(image, ["group"])


def find_twins(session: Session, images: Sequence[Image], target: Group) -> list[Image]:
    """List those of the images whose file is already an image of the group."""
    of_target = select(Image.drive_account_id, Image.drive_item_id)
    of_target = of_target.where(Image.group_id == target.id, Image.drive_item_id != "")
    files = {tuple(row) for row in session.execute(of_target)}
    return [image for image in images if (image.drive_account_id, image.drive_item_id) in files]
