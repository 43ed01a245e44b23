"""The finish of renditions: the watermark and the credits that a hub adds to them.

Each rendition is stored without a watermark, and with one beside it if the hub has one. Which of
the two somebody gets is decided where addresses are made: visitors get the second, admins the
first.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.orm import Session

from imagehub.clients import Clients
from imagehub.config import Settings
from imagehub.database import end_read
from imagehub.domain.library.credits import Credits, get_credits
from imagehub.imaging.marks import Mark, make_xmp, set_xmp
from imagehub.models import Group, Rendition, WatermarkPicture

if TYPE_CHECKING:
    # Only rendering processes load Pillow.
    from imagehub.imaging.render import RenderedPicture

OFF, TEXT, PICTURE = "off", "text", "picture"
_WEBP = "image/webp"


@dataclass(frozen=True)
class Finish:
    """What is added to renditions.

    ``settings``: those of whose credits are written; None if none are.
    """

    mark: Mark | None = None
    settings: Settings | None = None

    @property
    def digest(self) -> str:
        """Return what changes with the settings of the hub, in 16 digits; "" for no finish."""
        return self._make_key(get_credits(self.settings) if self.settings else Credits())

    def make_key(self, group: Group) -> str:
        """Return what the images of a work keep as their finish; "" for none."""
        return self._make_key(self._get_credits(group))

    def make_xmp(self, group: Group) -> bytes:
        """Return the packet for the images of a work; b"" for none."""
        return make_xmp(self._get_credits(group).__dict__)

    def _get_credits(self, group: Group) -> Credits:
        return get_credits(self.settings, group) if self.settings else Credits()

    def _make_key(self, credits: Credits) -> str:
        xmp = make_xmp(credits.__dict__)
        if self.mark is None and not xmp:
            return ""
        data = (self.mark.digest if self.mark else "").encode() + b"\n" + xmp
        return hashlib.sha256(data).hexdigest()[:16]


PLAIN = Finish()
FindFinish = Callable[[Session, Clients], Finish]


# The bytes of the last picture: key → bytes.
_kept: dict[str, bytes] = {}


def find_finish(session: Session, clients: Clients, settings: Settings) -> Finish:
    """Find the finish that the settings in force ask for.

    :raise ServiceError: the picture of the watermark cannot be read.
    :raise NotFoundError: it is lost.
    """
    if settings.watermark != PICTURE:
        return make_finish(settings, b"")
    row = find_picture(session)
    key = row.object_key if row is not None else ""
    end_read(session)
    if key and key not in _kept:
        data = clients.store.get_object(key)
        _kept.clear()
        _kept[key] = data
    return make_finish(settings, _kept.get(key, b""))


def make_finish(settings: Settings, picture: bytes) -> Finish:
    """Return the finish that the settings in force ask for.

    :param picture: that of a watermark; b"" if there is none.
    """
    mark = None
    if settings.watermark == TEXT and settings.watermark_text:
        mark = Mark(settings.watermark_text)
    elif settings.watermark == PICTURE and picture:
        mark = Mark("", picture)
    if mark is not None:
        mark = replace(
            mark,
            place=settings.watermark_place,
            strength_percent=settings.watermark_strength,
            from_px=int(settings.watermark_from_px),
        )
    return Finish(mark, settings if settings.image_credits else None)


def find_picture(session: Session) -> WatermarkPicture | None:
    """Find the picture of the watermark; None if none was chosen."""
    return session.scalar(select(WatermarkPicture))


def write_credits(picture: "RenderedPicture", xmp: bytes) -> "RenderedPicture":
    """Return a rendered picture whose WebP files have a packet. Pixels stay as they are."""
    if not xmp:
        return picture
    return replace(
        picture,
        renditions=tuple(
            replace(
                one,
                data=set_xmp(one.data, one.width_px, one.height_px, xmp),
                marked=one.marked and set_xmp(one.marked, one.width_px, one.height_px, xmp),
            )
            if one.mime == _WEBP
            else one
            for one in picture.renditions
        ),
    )


def get_shown_key(rendition: Rendition, settings: Settings, *, is_marked: bool = True) -> str:
    """Return the key of the object that a visitor sees.

    :param settings: those in force.
    :param is_marked: False where the watermark is left out.
    """
    if is_marked and settings.watermark != OFF and rendition.marked_key:
        return rendition.marked_key
    return rendition.object_key
