"""All groups and images, shown or not, as the single-page app sees them; not what lies in the
trash."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from sqlalchemy import ColumnElement, exists, select, tuple_
from sqlalchemy.orm import Session, selectinload

from imagehub import database
from imagehub.domain.library import images as library_images
from imagehub.errors import NotFoundError
from imagehub.models import Group, Image, TrashEntry

_ROWS_PER_READ = 2000
_MAX_IN_LIST = 500


@dataclass(frozen=True)
class ListedGroup:
    """A group's number and its images, in the group's order."""

    number: int
    images: "list[ListedImage]"


@dataclass(frozen=True)
class ListedImage:
    """What the list of everything tells of one image. ``number`` counts inside the group."""

    number: int
    name: str
    folder_name: str


def list_group_numbers(session: Session) -> list[int]:
    """The numbers of all groups that have images, ascending."""
    return list(
        session.scalars(
            select(Group.id).where(Group.image_count > 0, Group.state != "trash").order_by(Group.id)
        )
    )


def _is_living() -> ColumnElement[bool]:
    """Whether an image's group is not in the trash."""
    return ~exists().where(TrashEntry.group_id == Image.group_id)


def iter_groups(session: Session) -> Iterator[ListedGroup]:
    """All groups that have images, ascending, read a few thousand images at a time.

    Only what is listed is read, and nothing is kept: a library of any size passes through.
    """
    at: tuple[int, int, int] = (0, -(1 << 31), 0)
    group = ListedGroup(0, [])
    while True:
        rows = session.execute(
            select(Image.group_id, Image.position, Image.number, Image.name, Image.folder_name)
            .where(
                # The first half is implied; it lets MySQL read a range of the index.
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
    """An image by its numbers, or the first of its group; with renditions.

    :raise NotFoundError: no such group or image.
    """
    if image_number is not None:
        found = library_images.get_image(session, group_number, image_number)
        if session.get(TrashEntry, group_number) is not None:
            raise NotFoundError("image", f"{group_number}/{image_number}")
        return found
    image = None
    if 0 < group_number <= database.MAX_ID:
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
    """The database ids of images named by group and number; what is gone is left out.

    :param chosen: group number → image numbers.
    """
    ids: list[int] = []
    for group_number, numbers in chosen.items():
        if not 0 < group_number <= database.MAX_ID:
            continue
        wanted = sorted({number for number in numbers if 0 < number < 1 << 31})
        for start in range(0, len(wanted), _MAX_IN_LIST):
            ids.extend(
                session.scalars(
                    select(Image.id).where(
                        Image.group_id == group_number,
                        Image.number.in_(wanted[start : start + _MAX_IN_LIST]),
                        _is_living(),
                    )
                )
            )
    return ids
