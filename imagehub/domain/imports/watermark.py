"""The picture of the watermark: fetched from OneDrive once, and kept in object storage."""

from sqlalchemy.orm import Session

from imagehub.clients import Clients, Drive, ObjectStore, Renderer
from imagehub.domain.imports.site_pictures import (
    Source,
    fetch_picture,
    keep_source,
    refuse,
    store_picture,
)
from imagehub.domain.library.finish import find_picture
from imagehub.domain.objects.bookkeeping import leave_unused
from imagehub.imaging.marks import MAX_PICTURE_BYTES
from imagehub.messages import mark
from imagehub.models import Image, WatermarkPicture


def choose_picture(
    session: Session,
    clients: Clients,
    renderer: Renderer,
    drive: Drive,
    source: Source,
    again: bool = False,
) -> str:
    """Use a picture in OneDrive for watermarks. Flushed, not committed.

    :param session: holds no uncommitted change.
    :param drive: of the account of the source.
    :param again: store it also if the rows say that it is stored already.
    :return: the name of the file.
    :raise InvalidInputError: it is no picture that can be used.
    :raise NotFoundError: there is no such file below the root folder.
    :raise ServiceError: OneDrive or the object storage does not answer.
    """
    name, data = fetch_picture(session, drive, source.item, renderer.make_mark_picture)
    if len(data) > MAX_PICTURE_BYTES:
        raise refuse(mark("This picture has too much detail for a watermark."))
    key = store_picture(session, clients, "watermark", data, "image/png", again)
    row = find_picture(session)
    old_key = row.object_key if row is not None else ""
    session.merge(WatermarkPicture(id=1, object_key=key, name=name))
    session.flush()
    keep_source(session, key, source)
    if old_key and old_key != key:
        leave_unused(session, [old_key])
    return name


def read_rendition(store: ObjectStore, image: Image, size_px: int) -> tuple[bytes, int]:
    """Return the bytes of a WebP rendition without a watermark, and its size.

    :raise NotFoundError: it is not stored.
    """
    usable = [one for one in image.renditions if one.mime_type == "image/webp"]
    nearest = min(usable, key=lambda one: abs(one.size_px - size_px))
    return store.get_object(nearest.object_key), nearest.size_px
