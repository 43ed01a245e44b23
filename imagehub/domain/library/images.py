"""Lock groups and delete images."""

from collections.abc import Iterable

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from imagehub.database import count_rows, make_batches
from imagehub.domain.library.order import refresh_group
from imagehub.models import Group, Image, Rendition

# --- Deleting -------------------------------------------------------------------------------------


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
