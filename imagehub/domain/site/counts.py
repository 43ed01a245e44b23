"""Count the images that need attention, and published groups."""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, ScalarSelect, false, func, select
from sqlalchemy.orm import Session

from imagehub.domain.library.listing import IS_STILL
from imagehub.models import GalleryBucket, Group, Image

# Images that need attention are counted up to here; above it the page says "more than".
MAX_COUNTED = 99


@dataclass(frozen=True)
class Counts:
    """Published groups, and images that need attention, without the trash.

    All but the first are counted up to ``MAX_COUNTED + 1``, which means more. ``outside``:
    originals in OneDrive that are not inside the root folder. ``offered``: missing originals with
    another file in their place. ``absent``: images of the first version without an original in
    OneDrive. ``stills``: videos that were imported before they could be played.
    """

    groups_shown: int = 0
    without_alt: int = 0
    changed: int = 0
    missing: int = 0
    outside: int = 0
    offered: int = 0
    absent: int = 0
    stills: int = 0


def count_to_do(session: Session) -> Counts:
    """Count what needs attention, in one statement that reads each index up to the limit."""
    shown, *rest = session.execute(
        select(
            select(func.sum(GalleryBucket.shown_count)).scalar_subquery(),
            # "IS false" would keep MySQL from using the index.
            _count_some(Image.has_alt == false()),
            _count_some(Image.drive_state == "changed"),
            _count_some(Image.drive_state == "missing"),
            _count_some(Image.drive_state == "outside"),
            _count_some((Image.drive_state == "missing") & (Image.offered_item_id != "")),
            _count_some(Image.drive_state == "absent"),
            _count_some(IS_STILL),
        )
    ).one()
    return Counts(int(shown or 0), *rest)


def _count_some(condition: ColumnElement[bool]) -> ScalarSelect[int]:
    some = (
        select(Image.id)
        .join(Group, Group.id == Image.group_id)
        .where(condition, Group.state != "trash")
        .limit(MAX_COUNTED + 1)
        .subquery()
    )
    return select(func.count()).select_from(some).scalar_subquery()
