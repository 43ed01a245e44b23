"""Make the pictures of the site, logos and that of the watermark, again from OneDrive.

They are few and small, so a command makes them itself, before workers make renditions that may
need the picture of the watermark.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from imagehub.clients import Clients, Renderer
from imagehub.config import Settings
from imagehub.database import end_read
from imagehub.domain.imports.logos import fetch_logo
from imagehub.domain.imports.site_pictures import find_source, refuse
from imagehub.domain.imports.watermark import choose_picture
from imagehub.domain.objects.bookkeeping import leave_unused
from imagehub.domain.onedrive.accounts import CONNECTED
from imagehub.domain.site.settings import LOGO_FIELDS, get_site, save_site
from imagehub.messages import mark
from imagehub.models import DriveAccount, LogoPicture, StoredObject, WatermarkPicture


@dataclass(frozen=True)
class SitePicture:
    """``number``: that of the logo; None for the picture of the watermark."""

    key: str
    name: str
    number: int | None = None

    @property
    def words(self) -> str:
        return f"{'watermark' if self.number is None else 'logo'} {self.name}"


def list_pictures(session: Session) -> list[SitePicture]:
    """List the pictures of the site, that of the watermark first."""
    marks = session.execute(select(WatermarkPicture.object_key, WatermarkPicture.name))
    columns = (LogoPicture.object_key, LogoPicture.name, LogoPicture.id)
    logos = session.execute(select(*columns).order_by(LogoPicture.id))
    found = [SitePicture(*row) for row in (*marks, *logos)]
    end_read(session)
    return found


def is_complete(session: Session, clients: Clients, picture: SitePicture) -> bool:
    """Tell whether the storage has the picture. :raise ServiceError: it cannot be asked."""
    query = select(StoredObject.size_bytes).where(StoredObject.key == picture.key)
    size_bytes = session.scalar(query)
    end_read(session)
    stored = clients.store.find_object(picture.key)
    return stored is not None and stored.size_bytes == size_bytes


def remake_picture(
    session: Session, clients: Clients, renderer: Renderer, settings: Settings, picture: SitePicture
) -> None:
    """Fetch the file of a picture from OneDrive again, and make it. Flushed, not committed.

    If the bytes are others now, a logo gets another number, as rows of logos never change.

    :param session: holds no uncommitted change.
    :param settings: those of the environment.
    :raise InvalidInputError: it is not known of what file it was made, or that cannot be used.
    :raise NotFoundError: the file is not there any more.
    :raise ServiceError: OneDrive or the object storage does not answer.
    """
    source = find_source(session, picture.key)
    account = session.get(DriveAccount, source.account) if source else None
    if source is None or account is None:
        raise refuse(mark("Its file in OneDrive is unknown. Choose it again in the admin pages."))
    if account.state != CONNECTED:
        raise refuse(mark("Its OneDrive account is not connected."))
    drive = clients.open_drive(source.account)
    if picture.number is None:
        choose_picture(session, clients, renderer, drive, source, again=True)
        return
    logo = fetch_logo(session, clients, renderer, drive, source, again=True)
    if logo.object_key == picture.key:
        session.delete(logo)
        return
    site = get_site(session, settings)
    used: Sequence[str] = [name for name in LOGO_FIELDS if getattr(site, name) == picture.number]
    save_site(session, settings, dict.fromkeys(used, str(logo.id)))
    session.delete(session.get_one(LogoPicture, picture.number))
    session.flush()
    leave_unused(session, [picture.key])
