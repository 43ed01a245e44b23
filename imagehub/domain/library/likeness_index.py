"""The index of what the covers of shown groups look like, for similar works.

A row with the look of each cover, and one for each of its bands (see ``imaging.likeness``). Groups
that visitors do not see have none.

The still of a video is often its first frame, and many videos begin with a black one: an even still
says nothing about its video, so that works with one are like no others.
"""

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import delete, insert, select, true, update
from sqlalchemy.orm import Session

from imagehub.database import count_rows, end_read, own_transaction
from imagehub.domain.library.facet_index import ALL, LOOK, refresh_facets
from imagehub.imaging.likeness import is_even, list_bands, make_look
from imagehub.models import FacetValue, Group, Image, Likeness, LikenessBand

_GROUPS_PER_STEP = 100


@dataclass(frozen=True)
class Progress:
    """How many of the shown works have been looked at."""

    done_count: int
    total_count: int


def refresh_likeness(session: Session, group_ids: Sequence[int]) -> bool:
    """Update the looks of the covers of groups; call it after each change of a cover.

    The groups' rows must be locked. Safe to run twice.

    :return: whether anything was written.
    """
    rows = session.execute(
        select(
            Group.id,
            Group.is_shown,
            Image.thumbhash.label("cover"),
            Image.video_codec.label("codec"),
            Likeness.thumbhash.label("known"),
        )
        .outerjoin(Image, Image.id == Group.cover_id)
        .outerjoin(Likeness, Likeness.group_id == Group.id)
        .where(Group.id.in_(group_ids))
    ).all()
    wanted = {row.id: row.cover or "" for row in rows if row.is_shown}
    videos = {row.id for row in rows if row.codec}
    stale = [row.id for row in rows if row.known is not None and row.known != wanted.get(row.id)]
    if stale:
        for model in (LikenessBand, Likeness):
            count_rows(session, delete(model).where(model.group_id.in_(stale)))
    known = {row.id for row in rows if row.known is not None} - set(stale)
    looks = {
        group_id: _read(cover, group_id in videos)
        for group_id, cover in wanted.items()
        if group_id not in known
    }
    if looks:
        session.execute(
            insert(Likeness),
            [
                {"group_id": group_id, "thumbhash": wanted[group_id], "look": look}
                for group_id, look in looks.items()
            ],
        )
    bands = [
        {"group_id": group_id, "band": band, "bits": bits}
        for group_id, look in looks.items()
        if look
        for band, bits in list_bands(look)
    ]
    if bands:
        session.execute(insert(LikenessBand), bands)
    return bool(stale or looks)


def _read(thumbhash: str, is_still: bool) -> bytes:
    """Read what a cover looks like; b"" if that is not known, or says nothing about a video."""
    try:
        look = make_look(base64.b64decode(thumbhash, validate=True))
    except (ValueError, IndexError, ZeroDivisionError, binascii.Error):
        return b""
    return b"" if is_still and is_even(look) else look


# --- Works that were imported before --------------------------------------------------------------


def find_progress(session: Session) -> Progress | None:
    """Tell how far :func:`look_at_covers` is; None if it has nothing to do."""
    rows = session.execute(
        select(FacetValue.facet, FacetValue.shown_count).where(FacetValue.facet.in_((ALL, LOOK)))
    )
    counts = {row.facet: row.shown_count for row in rows}
    done, total = counts.get(LOOK, 0), counts.get(ALL, 0)
    return Progress(done, total) if done < total else None


def look_at_covers(session: Session, keep_on: Callable[[], bool] = lambda: True) -> int:
    """Look at the covers of all works that have not been looked at; commits step by step.

    Safe to run twice, and beside imports.

    :param session: holds no uncommitted change.
    :return: how many works were looked at.
    """
    count = after = 0
    if find_progress(session) is None:
        end_read(session)
        return 0
    while keep_on():
        waiting = session.scalars(
            select(Group.id)
            .outerjoin(Likeness, Likeness.group_id == Group.id)
            .where(Group.id > after, Group.is_shown == true(), Likeness.group_id.is_(None))
            .order_by(Group.id)
            .limit(_GROUPS_PER_STEP)
        ).all()
        end_read(session)
        if not waiting:
            break
        _look_at(session, waiting)
        count, after = count + len(waiting), waiting[-1]
    return count


@own_transaction
def _look_at(session: Session, group_ids: Sequence[int]) -> None:
    # An update that changes nothing locks the rows on both databases.
    lock = update(Group).where(Group.id.in_(group_ids))
    count_rows(session, lock.values(image_count=Group.image_count, updated_at=Group.updated_at))
    refresh_likeness(session, group_ids)
    refresh_facets(session, group_ids)
