"""Arrange the shots of a group: cover, order, and moving shots to other groups."""

from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from imagehub.database import get_database_time
from imagehub.domain.library.groups import get_group, get_locked_group, refresh_group
from imagehub.domain.library.images import get_image, list_images
from imagehub.domain.library.order import make_first_sort_key, place_group
from imagehub.errors import ConflictError, InvalidInputError, NotFoundError
from imagehub.models import Group, Image


def set_cover(session: Session, group_number: int, number: int | None) -> Group:
    """Choose the shot that stands for a group; None lets the first one do it.

    :raise NotFoundError: no such group or shot.
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
    """Put shots, in the order given, in front of another one of their group; None: at the end.

    :raise NotFoundError: no such group or shot.
    """
    group = get_locked_group(session, group_number)
    images = list(
        session.scalars(
            select(Image).where(Image.group_id == group.id).order_by(Image.position, Image.number)
        )
    )
    by_number = {image.number: image for image in images}
    moved = [by_number[one] for one in dict.fromkeys(numbers) if one in by_number]
    if len(moved) != len(set(numbers)) or (before is not None and before not in by_number):
        raise NotFoundError("image", group_number)
    others = [image for image in images if image not in moved]
    at = next((n for n, image in enumerate(others) if image.number == before), len(others))
    for position, image in enumerate(others[:at] + moved + others[at:], start=1):
        if image.position != position:
            image.position = position
    group.version += 1
    refresh_group(session, group.id)
    return group


def step_shot(session: Session, group_number: int, number: int, step: int) -> Group:
    """Put a shot one place forward (-1) or back (1); at either end nothing changes."""
    group = get_locked_group(session, group_number)
    numbers = list(
        session.scalars(
            select(Image.number)
            .where(Image.group_id == group.id)
            .order_by(Image.position, Image.number)
        )
    )
    if number not in numbers:
        raise NotFoundError("image", f"{group_number}/{number}")
    at = numbers.index(number) + step
    if not 0 <= at < len(numbers):
        return group
    behind = at + 1 if step > 0 else at
    before = numbers[behind] if behind < len(numbers) else None
    return order_shots(session, group_number, [number], before)


def move_shots(
    session: Session, group_number: int, numbers: Sequence[int], target_number: int | None
) -> Group:
    """Move shots to the end of another group; None splits them off into a new one.

    They get new numbers there, and their old ones are not used again. A group that loses its last
    shot so stays, empty, with its words.

    :return: the group that they are in now.
    :raise NotFoundError: a group or a shot is not there.
    :raise ConflictError: the other group has one of the files already.
    """
    for one in sorted({group_number, target_number or group_number}):
        get_locked_group(session, one)
    group = get_group(session, group_number)
    images = _get_images(session, group, numbers)
    if target_number == group_number:
        return group
    if target_number is None:
        target = Group(
            state=group.state,
            title=group.title,
            folder_name=group.folder_name,
            medium=group.medium,
            year=group.year,
            sort_key=make_first_sort_key(session),
            created_at=get_database_time(session),
        )
        session.add(target)
        session.flush()
    else:
        target = get_group(session, target_number)
        twins = find_twins(session, images, target)
        if twins:
            raise ConflictError(f"The other group has {twins[0].name} already.")
    put_into(session, images, target)
    for changed in sorted((group, target), key=lambda one: one.id):
        changed.version += 1
        refresh_group(session, changed.id)
    if target_number is None:
        place_group(session, target.id, after=group.id)
    return target


def put_into(session: Session, images: Sequence[Image], target: Group) -> None:
    """Move images to the end of a group, with new numbers. Both groups are locked and refreshed by
    the caller."""
    last = session.scalar(select(func.max(Image.position)).where(Image.group_id == target.id)) or 0
    for image in images:
        last += 1
        image.number, image.position = target.next_image_number, last
        image.group_id = target.id
        target.next_image_number += 1
    session.flush()
    for image in images:
        session.expire(image, ["group"])


def find_twins(session: Session, images: Sequence[Image], target: Group) -> list[Image]:
    """Those of the images whose file is in the group already."""
    there = {
        (row[0], row[1])
        for row in session.execute(
            select(Image.drive_account_id, Image.drive_item_id).where(Image.group_id == target.id)
        )
    }
    return [image for image in images if (image.drive_account_id, image.drive_item_id) in there]


def _get_images(session: Session, group: Group, numbers: Sequence[int]) -> list[Image]:
    wanted = set(numbers)
    if not wanted:
        raise InvalidInputError("Choose shots first.", {"image": "is empty"})
    images = [one for one in list_images(session, group.id) if one.number in wanted]
    if len(images) != len(wanted):
        raise NotFoundError("image", group.id)
    return images
