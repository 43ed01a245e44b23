"""Order the groups of the gallery by their sort keys; the highest key comes first."""

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from imagehub.domain.library.facet_index import move_entries
from imagehub.domain.library.gallery import find_beside
from imagehub.domain.library.groups import LIVING_STATES, get_group, get_locked_group, set_shown
from imagehub.models import Group

# New groups are 2^20 apart: between any two, twenty groups in a row can be placed before others
# must get new keys. A bucket holds about a thousand groups.
SORT_STEP = 1 << 20
# The key of the very first group. Moves to the end never make a key negative, which MySQL's shift
# operator would read as a huge number.
FIRST_SORT_KEY = 1 << 50


def make_first_sort_key(session: Session) -> int:
    """Return a key that places a new group before all others."""
    highest = session.scalar(select(func.max(Group.sort_key)))
    return FIRST_SORT_KEY if not highest else int(highest) + SORT_STEP


def place_group(
    session: Session, number: int, before: int | None = None, after: int | None = None
) -> None:
    """Move a group right before or right after another one; to the end when neither is given.

    :raise NotFoundError: one of the groups does not exist.
    """
    for one in sorted({number, before or number, after or number}):
        get_locked_group(session, one)
    group = get_group(session, number)
    following = get_group(session, before) if before else None
    if after is not None:
        # A group in the trash keeps its place, because it may be restored.
        following = find_beside(session, get_group(session, after), 1, Group.id != group.id)
    move_group(session, group, following)


def move_to_top(session: Session, number: int) -> None:
    """Move a group before all others of the library."""
    get_locked_group(session, number)
    # Each state is a range of the index, so groups in the trash are not read.
    highest = [
        session.execute(
            select(Group.sort_key, Group.id)
            .where(Group.state == state)
            .order_by(Group.sort_key.desc(), Group.id.desc())
            .limit(1)
        ).first()
        for state in LIVING_STATES
    ]
    _key, first = max(tuple(one) for one in highest if one is not None)
    if first != number:
        place_group(session, number, before=first)


def step_group(session: Session, number: int, step: int) -> None:
    """Move a group one place up (-1) or down (1); at the end of the list it stays in place."""
    nearest = find_living_beside(session, get_group(session, number), step)
    if nearest is not None and step < 0:
        place_group(session, number, before=nearest.id)
    elif nearest is not None:
        place_group(session, number, after=nearest.id)


def find_living_beside(session: Session, group: Group, step: int) -> Group | None:
    """Find the group above (-1) or below (1) another one in the library, drafts included."""
    # Each state is a range of the index, so groups in the trash are not read.
    found = [find_beside(session, group, step, Group.state == state) for state in LIVING_STATES]
    nearest = sorted(
        (one for one in found if one is not None), key=lambda one: (one.sort_key, one.id)
    )
    return nearest[0 if step < 0 else -1] if nearest else None


def move_group(session: Session, group: Group, before: Group | None) -> None:
    """Move a group right before another one, or to the end when it is None.

    Usually one row changes. Where no key is free between two neighbours, the groups above get
    higher keys until there is room.
    """
    was_shown = group.is_shown
    set_shown(session, group, False)
    session.flush()
    group.sort_key = _make_room(session, group, before)
    set_shown(session, group, was_shown)
    move_entries(session, group.id, group.sort_key)
    session.flush()


def _make_room(session: Session, group: Group, before: Group | None) -> int:
    if before is None:
        lowest = session.scalar(select(func.min(Group.sort_key)).where(Group.id != group.id))
        return FIRST_SORT_KEY if lowest is None else lowest - SORT_STEP
    is_above = (Group.sort_key > before.sort_key) & (Group.id != group.id)
    above = session.scalar(select(func.min(Group.sort_key)).where(is_above))
    if above is None:
        return before.sort_key + SORT_STEP
    if above - before.sort_key >= 2:
        return (above + before.sort_key) // 2
    # No key is free in between: raise the keys of the groups that are too close, one by one.
    needed = before.sort_key + SORT_STEP * 2
    others = select(Group).where(is_above).order_by(Group.sort_key, Group.id)
    for other in session.scalars(others.execution_options(yield_per=200)):
        if other.sort_key >= needed:
            break
        shown = other.is_shown
        set_shown(session, other, False)
        other.sort_key = needed
        set_shown(session, other, shown)
        move_entries(session, other.id, needed)
        needed += SORT_STEP
    return before.sort_key + SORT_STEP
