"""Logos: fetched from OneDrive once, and kept in object storage."""

from sqlalchemy.orm import Session

from imagehub.clients import Clients, Drive, Renderer
from imagehub.domain.imports.site_pictures import (
    Source,
    fetch_picture,
    keep_source,
    refuse,
    store_picture,
)
from imagehub.messages import mark
from imagehub.models import LogoPicture

_MAX_BYTES = 600_000


def fetch_logo(
    session: Session,
    clients: Clients,
    renderer: Renderer,
    drive: Drive,
    source: Source,
    again: bool = False,
) -> LogoPicture:
    """Make a logo from a picture in OneDrive. Flushed, not committed.

    :param session: holds no uncommitted change.
    :param drive: of the account of the source.
    :param again: store it also if the rows say that it is stored already.
    :raise InvalidInputError: the file cannot be used as a logo.
    :raise NotFoundError: there is no such file below the root folder.
    :raise ServiceError: OneDrive or the object storage does not answer.
    """
    name, made = fetch_picture(session, drive, source.item, renderer.make_logo)
    data, width_px, height_px = made
    if len(data) > _MAX_BYTES:
        raise refuse(mark("This picture has too much detail for a logo."))
    key = store_picture(session, clients, "logos", data, "image/webp", again)
    logo = LogoPicture(object_key=key, name=name, width_px=width_px, height_px=height_px)
    session.add(logo)
    session.flush()
    keep_source(session, key, source)
    return logo
