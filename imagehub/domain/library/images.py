"""Read and delete the images of groups."""

from collections.abc import Iterable, Sequence

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session, selectinload

from imagehub.database import MAX_ID, make_batches
from imagehub.domain.library.groups import refresh_group
from imagehub.errors import NotFoundError
from imagehub.models import Group, Image, Rendition

LOW_RESOLUTION_PX = 480
HIGH_RESOLUTION_PX = 1920


def list_images(session: Session, group_id: int) -> Sequence[Image]:
    """A group's images in their order, with their renditions."""
    return session.scalars(
        select(Image)
        .where(Image.group_id == group_id)
        .order_by(Image.position, Image.number)
        .options(selectinload(Image.renditions))
    ).all()


def get_image(session: Session, group_id: int, number: int) -> Image:
    """One image by its number inside its group, with its renditions.

    :raise NotFoundError: the group has no image of that number.
    """
    image = None
    if 0 < group_id <= MAX_ID and 0 < number < 1 << 31:
        image = session.scalars(
            select(Image)
            .where(Image.group_id == group_id, Image.number == number)
            .options(selectinload(Image.renditions))
        ).one_or_none()
    if image is None:
        raise NotFoundError("image", f"{group_id}/{number}")
    return image


def find_cover(session: Session, group: Group) -> Image | None:
    """The image that stands for a group, with its renditions; None while it has no images."""
    return session.scalars(
        select(Image).where(Image.id == group.cover_id).options(selectinload(Image.renditions))
    ).one_or_none()


def pick_rendition(image: Image, size_px: int, mime_type: str = "image/webp") -> Rendition:
    """The rendition of that size, or the nearest one there is.

    :raise NotFoundError: the image has no rendition of that type at all.
    """
    usable = [r for r in image.renditions if r.mime_type == mime_type]
    if not usable:
        raise NotFoundError("rendition", f"{image.id}/{size_px}")
    return min(usable, key=lambda r: abs(r.size_px - size_px))


def delete_images(session: Session, image_ids: Iterable[int]) -> list[str]:
    """Take images out of the hub; their originals stay in OneDrive. The caller commits.

    Ids that are gone already are no error. A group that loses its last image leaves the gallery.

    :return: the keys that these images used; after the commit, hand them to
        :func:`delete_unused`.
    """
    keys: set[str] = set()
    for ids in make_batches(sorted(set(image_ids))):
        group_ids = sorted(
            session.scalars(select(Image.group_id).where(Image.id.in_(ids))).unique()
        )
        for group_id in group_ids:
            # Groups are locked before their images, everywhere in the same order: no deadlocks.
            session.execute(
                update(Group)
                .where(Group.id == group_id)
                .values(image_count=Group.image_count, updated_at=Group.updated_at)
                .execution_options(synchronize_session=False)
            )
        keys.update(
            session.scalars(select(Rendition.object_key).where(Rendition.image_id.in_(ids)))
        )
        for model, column in ((Rendition, Rendition.image_id), (Image, Image.id)):
            session.execute(delete(model).where(column.in_(ids)))
        for group_id in group_ids:
            refresh_group(session, group_id)
    return sorted(keys)
