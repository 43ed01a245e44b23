"""Find works that look like another one, for its page.

Candidates come from :data:`SOURCES`, each of which reads a bounded part of an index and measures
how different each candidate is. So far there is one, which compares covers by structure and colour.
"""

from collections.abc import Iterable
from typing import Protocol

from sqlalchemy import select, union_all
from sqlalchemy.orm import Session

from imagehub.domain.library import gallery
from imagehub.domain.library.gallery import Tile
from imagehub.imaging.likeness import COLOUR_BAND, list_bands, measure
from imagehub.models import Likeness, LikenessBand

# The largest difference between works that are called similar.
MOST_UNLIKE = 0.295
# From each band the newest works are read.
_MOST_BY_HASH, _MOST_BY_COLOUR = 40, 80


class Source(Protocol):
    """Where candidates come from."""

    def __call__(self, session: Session, group_id: int) -> Iterable[tuple[int, float]]:
        """Yield shown groups and how different they are: 0 for equal, about 1 for unlike ones.

        Must read a bounded number of rows, whatever the number of works.
        """


def list_by_look(session: Session, group_id: int) -> Iterable[tuple[int, float]]:
    """Compare the cover with those that share a part of its structure or its mean colour."""
    look = session.scalar(select(Likeness.look).where(Likeness.group_id == group_id))
    if not look:
        return
    parts = []
    for band, bits in list_bands(look, are_near=True):
        some = (
            select(LikenessBand.group_id)
            .where(LikenessBand.band == band, LikenessBand.bits == bits)
            .order_by(LikenessBand.group_id.desc())
            .limit(_MOST_BY_COLOUR if band == COLOUR_BAND else _MOST_BY_HASH)
            .subquery()
        )
        parts.append(select(some.c.group_id))
    # UNION would compare the rows; the join removes the few that are named twice.
    found = union_all(*parts).subquery()
    looks = select(Likeness.group_id, Likeness.look).where(
        Likeness.group_id.in_(select(found.c.group_id)), Likeness.group_id != group_id
    )
    for row in session.execute(looks):
        yield row.group_id, measure(look, row.look, MOST_UNLIKE)


SOURCES: tuple[Source, ...] = (list_by_look,)


def list_similar_ids(session: Session, group_id: int) -> list[int]:
    """List the shown groups that look like another one, the most similar first."""
    distances: dict[int, float] = {}
    for source in SOURCES:
        for other, distance in source(session, group_id):
            distances[other] = min(distance, distances.get(other, 1.0))
    near = [other for other, distance in distances.items() if distance <= MOST_UNLIKE]
    return sorted(near, key=lambda other: (distances[other], -other))


def list_similar(session: Session, group_id: int, limit: int) -> list[Tile]:
    """List the works that look like another one, with their covers."""
    tiles = gallery.load_tiles(session, list_similar_ids(session, group_id)[:limit])
    # The index is updated with the groups; should it be wrong, a draft is still not shown.
    return [tile for tile in tiles if tile.group.is_shown]
