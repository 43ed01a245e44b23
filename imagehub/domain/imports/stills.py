"""Videos that were imported before they could be played, and are shown as stills.

They are told by the reason that was stored for their preview. Making their renditions again makes
them videos; of one that no browser plays the still stays, and the reason says why.
"""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, and_, select
from sqlalchemy.orm import Session

from imagehub.clients.drive_ids import is_same_id
from imagehub.database import make_batches
from imagehub.domain.imports.claims import Claim
from imagehub.domain.imports.jobs import take_new_versions
from imagehub.domain.library.listing import IS_STILL
from imagehub.errors import InvalidInputError
from imagehub.models import Group, Image


def list_stills(session: Session, groups: Sequence[int] | None = None) -> list[int]:
    """List the ids of images that could be played as videos; without the trash.

    :param groups: numbers of groups; all when None.
    """
    if groups is None:
        return _list(session, IS_STILL)
    found: list[int] = []
    for numbers in make_batches(groups):
        found += _list(session, and_(IS_STILL, Image.group_id.in_(numbers)))
    return found


def _list(session: Session, condition: ColumnElement[bool]) -> list[int]:
    query = select(Image.id).join(Group, Group.id == Image.group_id)
    query = query.where(condition, Group.state != "trash").order_by(Image.id)
    return list(session.scalars(query))


def play_stills(session: Session, user_id: int | None, groups: Sequence[int] | None = None) -> int:
    """Import stills of videos again, so that they play. Workers are woken after the commit.

    :param groups: numbers of groups; all when None.
    :return: the number of videos, without those that are being imported already.
    :raise InvalidInputError: there is none.
    """
    ids = list_stills(session, groups)
    if not ids:
        raise InvalidInputError("None of these videos is shown as a still.")
    return take_new_versions(session, ids, user_id)


def keeps_still(session: Session, claim: Claim) -> bool:
    """Tell whether the renditions of such a still are to be made again, from the same file."""
    image = session.get(Image, claim.item.image_id) if claim.item.image_id is not None else None
    return (
        image is not None
        and bool(image.preview_reason)
        and not image.is_video
        and is_same_id(image.drive_item_id, claim.item.drive_item_id)
    )
