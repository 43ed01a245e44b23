"""Read and delete the images of groups."""

from collections.abc import Iterable, Sequence

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session, selectinload

from imagehub.database import MAX_ID, count_rows, make_batches
from imagehub.domain.library.groups import lock_groups, refresh_groups
from imagehub.domain.library.tiles import reconsider
from imagehub.errors import InvalidInputError, NotFoundError
from imagehub.models import Group, Image, Rendition, TileSet

LOW_RESOLUTION_PX = 480


def list_images(session: Session, group_id: int) -> Sequence[Image]:
    """List a group's images in their order, with their renditions."""
    return session.scalars(
        select(Image)
        .where(Image.group_id == group_id)
        .order_by(Image.position, Image.number)
        .options(selectinload(Image.renditions))
    ).all()


def list_images_of_groups(session: Session, group_ids: Iterable[int]) -> dict[int, list[Image]]:
    """List the images of many groups, each in its order, with their renditions: group → images.

    Takes two statements for 500 groups.
    """
    images: dict[int, list[Image]] = {number: [] for number in group_ids}
    for ids in make_batches(images):
        found = session.scalars(
            select(Image)
            .where(Image.group_id.in_(ids))
            .order_by(Image.group_id, Image.position, Image.number)
            .options(selectinload(Image.renditions))
        )
        for image in found:
            images[image.group_id].append(image)
    return images


def get_image(session: Session, group_id: int, number: int) -> Image:
    """Find an image by its number inside its group; its renditions are loaded.

    :raise NotFoundError: the group has no such image.
    """
    this = select(Image).where(Image.group_id == group_id, Image.number == number)
    this = this.options(selectinload(Image.renditions))
    may_exist = 0 < group_id <= MAX_ID and 0 < number < 1 << 31
    image = session.scalars(this).one_or_none() if may_exist else None
    if image is None:
        raise NotFoundError("image", f"{group_id}/{number}")
    return image


def get_images(session: Session, group_id: int, numbers: Sequence[int]) -> list[Image]:
    """Find several images of a group, in the group's order.

    :raise InvalidInputError: no number is given.
    :raise NotFoundError: the group has no image of one of the numbers.
    """
    wanted = set(numbers)
    if not wanted:
        raise InvalidInputError("Select shots first.", {"image": "is empty"})
    images = [image for image in list_images(session, group_id) if image.number in wanted]
    if len(images) != len(wanted):
        raise NotFoundError("image", group_id)
    return images


def find_cover(session: Session, group: Group) -> Image | None:
    """Find a group's cover, with its renditions; None while the group has no images."""
    return session.scalars(
        select(Image).where(Image.id == group.cover_id).options(selectinload(Image.renditions))
    ).one_or_none()


def pick_rendition(image: Image, size_px: int, mime_type: str = "image/webp") -> Rendition:
    """Pick the rendition of a size, or of the nearest size that exists; of two, the larger.

    :raise NotFoundError: the image has no rendition of this type.
    """
    usable = [r for r in image.renditions if r.mime_type == mime_type]
    if not usable:
        raise NotFoundError("rendition", f"{image.id}/{size_px}")
    return min(usable, key=lambda r: (abs(r.size_px - size_px), -r.size_px))


def note_moved(session: Session, images: Iterable[Image]) -> None:
    """Have workers look again at images that were moved to another group.

    The other group may have other credits, which are in the renditions, and other wishes for tiles.
    """
    session.flush()
    for batch in make_batches(images):
        ids = [image.id for image in batch]
        count_rows(session, update(Image).where(Image.id.in_(ids)).values(is_unfinished=True))
        reconsider(session, ids)


def delete_images(session: Session, image_ids: Iterable[int]) -> list[str]:
    """Delete images with their renditions; their originals stay in OneDrive.

    Ids of images that do not exist are ignored. A group that loses its last image is no longer
    shown.

    :return: the keys of the objects that these images used, for ``bookkeeping.leave_unused``.
    """
    keys: set[str] = set()
    for ids in make_batches(sorted(set(image_ids))):
        group_ids = sorted(set(session.scalars(select(Image.group_id).where(Image.id.in_(ids)))))
        # Groups are locked in ascending order and before their images, to avoid deadlocks.
        lock_groups(session, group_ids)
        marked = select(Rendition.marked_key).where(Rendition.image_id.in_(ids))
        keys.update(session.scalars(marked))
        for model in (Rendition, TileSet):
            keys.update(session.scalars(select(model.object_key).where(model.image_id.in_(ids))))
            session.execute(delete(model).where(model.image_id.in_(ids)))
        session.execute(delete(Image).where(Image.id.in_(ids)))
        refresh_groups(session, group_ids)
    return sorted(keys - {""})
