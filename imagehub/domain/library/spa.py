"""Read all groups and images for the single-page app: shown or not, but not in the trash."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from sqlalchemy import ColumnElement, exists, select, tuple_
from sqlalchemy.orm import Session, selectinload

from imagehub.database import MAX_ID, make_batches
from imagehub.domain.library import images as library_images
from imagehub.errors import NotFoundError
from imagehub.models import Group, Image, TrashEntry

_ROWS_PER_READ = 2000


@dataclass(frozen=True)
class ListedGroup:
    """A group's number and its images, in the group's order."""

    number: int
    images: "list[ListedImage]"


@dataclass(frozen=True)
class ListedImage:
    """An image in the list of everything; ``number`` is its number inside the group."""

    number: int
    name: str
    folder_name: str


def list_group_numbers(session: Session) -> list[int]:
    """List the numbers of all groups that have images, ascending."""
    return list(
        session.scalars(
            select(Group.id).where(Group.image_count > 0, Group.state != "trash").order_by(Group.id)
        )
    )


def _is_living() -> ColumnElement[bool]:
    """Return the condition that an image's group is not in the trash."""
    return ~exists().where(TrashEntry.group_id == Image.group_id)


def iter_groups(session: Session) -> Iterator[ListedGroup]:
    """Yield all groups that have images, ascending.

    Reads a few thousand images at a time and keeps none, so the library may be of any size.
    """
    at: tuple[int, int, int] = (0, -(1 << 31), 0)
    group = ListedGroup(0, [])
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
        for row in rows:
            if row.group_id != group.number:
                if group.images:
                    yield group
                group = ListedGroup(row.group_id, [])
            group.images.append(ListedImage(row.number, row.name, row.folder_name))
        if len(rows) < _ROWS_PER_READ:
            break
        last = rows[-1]
        at = (last.group_id, last.position, last.number)
    if group.images:
        yield group


def get_image(session: Session, group_number: int, image_number: int | None = None) -> Image:
    """Find an image by its numbers, or the first one of a group; its renditions are loaded.

    :raise NotFoundError: there is no such group or image.
    """
    if image_number is not None:
        found = library_images.get_image(session, group_number, image_number)
        if session.get(TrashEntry, group_number) is not None:
            raise NotFoundError("image", f"{group_number}/{image_number}")
        return found
    image = None
    if 0 < group_number <= MAX_ID:
        image = session.scalars(
            select(Image)
            .where(Image.group_id == group_number, _is_living())
            .order_by(Image.position, Image.number)
            .limit(1)
            .options(selectinload(Image.renditions))
        ).first()
    if image is None:
        raise NotFoundError("group", group_number)
    return image


def list_image_ids(session: Session, chosen: Mapping[int, Iterable[int]]) -> list[int]:
    """List the ids of images by group and number; images that do not exist are left out.

    :param chosen: group number → image numbers.
    """
    ids: list[int] = []
    for group_number, numbers in chosen.items():
        if not 0 < group_number <= MAX_ID:
            continue
        wanted = sorted({number for number in numbers if 0 < number < 1 << 31})
        for some in make_batches(wanted):
            ids += session.scalars(
                select(Image.id).where(
                    Image.group_id == group_number, Image.number.in_(some), _is_living()
                )
            )
    return ids
