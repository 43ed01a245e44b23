"""Read all groups and images for the single-page app: shown or not, but not in the trash."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from sqlalchemy import ColumnElement, exists, select, tuple_
from sqlalchemy.orm import Session, selectinload

from imagehub.database import MAX_ID, make_batches
from imagehub.domain.library import images as library_images
from imagehub.errors import NotFoundError
from imagehub.models import Group, Image, TrashEntry

_ROWS_PER_READ = 2000


@dataclass(frozen=True)
class ListedGroup:
    """A group's number and its images in order, with ``number``, ``name`` and ``folder_name``."""

    number: int
    images: Sequence[Any]


def list_group_numbers(session: Session) -> list[int]:
    """List the numbers of all groups that have images, ascending."""
    has_images = (Group.image_count > 0) & (Group.state != "trash")
    return list(session.scalars(select(Group.id).where(has_images).order_by(Group.id)))


def _is_living() -> ColumnElement[bool]:
    """Return the condition that an image's group is not in the trash."""
    return ~exists().where(TrashEntry.group_id == Image.group_id)


def iter_groups(session: Session) -> Iterator[ListedGroup]:
    """Yield all groups that have images, ascending.

    Reads a few thousand images at a time and keeps none, so the library may be of any size.
    """
    for number, images in groupby(_iter_images(session), lambda image: image.group_id):
        yield ListedGroup(number, list(images))


def _iter_images(session: Session) -> Iterator[Any]:
    at: tuple[int, int, int] = (0, -(1 << 31), 0)
    while True:
        rows = session.execute(
            select(Image.group_id, Image.position, Image.number, Image.name, Image.folder_name)
            .where(
                # Implied by the next condition; it lets MySQL read a range of the index.
                Image.group_id >= at[0],
                tuple_(Image.group_id, Image.position, Image.number) > at,
                _is_living(),
            )
            .order_by(Image.group_id, Image.position, Image.number)
            .limit(_ROWS_PER_READ)
        ).all()
        yield from rows
        if len(rows) < _ROWS_PER_READ:
            return
        at = (rows[-1].group_id, rows[-1].position, rows[-1].number)


def get_image(session: Session, group_number: int, image_number: int | None = None) -> Image:
    """Find an image by its numbers, or the first one of a group; its renditions are loaded.

    :raise NotFoundError: there is no such group or image.
    """
    if image_number is not None:
        found = library_images.get_image(session, group_number, image_number)
        if session.get(TrashEntry, group_number) is not None:
            raise NotFoundError("image", f"{group_number}/{image_number}")
        return found
    first = select(Image).where(Image.group_id == group_number, _is_living()).limit(1)
    first = first.order_by(Image.position, Image.number).options(selectinload(Image.renditions))
    image = session.scalars(first).first() if 0 < group_number <= MAX_ID else None
    if image is None:
        raise NotFoundError("group", group_number)
    return image


def list_image_ids(session: Session, chosen: Mapping[int, Iterable[int]]) -> list[int]:
    """List the ids of images by group and number; images that do not exist are left out.

    :param chosen: group number → image numbers.
    """
    wanted = sorted(
        {
            (group_number, number)
            for group_number, numbers in chosen.items()
            for number in numbers
            if 0 < group_number <= MAX_ID and 0 < number < 1 << 31
        }
    )
    ids: list[int] = []
    for pairs in make_batches(wanted):
        ids += session.scalars(
            select(Image.id).where(
                # Implied by the next condition; it lets MySQL read ranges of the index.
                Image.group_id.in_({group_number for group_number, _ in pairs}),
                tuple_(Image.group_id, Image.number).in_(pairs),
                _is_living(),
            )
        )
    return ids
