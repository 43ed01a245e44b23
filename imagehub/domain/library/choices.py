"""Select a group in a field: suggestions for what is typed, and the group that is meant."""

import re

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.orm import Session

from imagehub.database import MAX_ID, make_batches
from imagehub.domain.library import search
from imagehub.domain.library.groups import LIVING_STATES
from imagehub.errors import InvalidInputError, NotFoundError
from imagehub.messages import Message
from imagehub.models import Group


def list_choices(session: Session, limit: int = 200, words: str = "") -> list[tuple[int, str]]:
    """List the newest groups as (number, title), for a field that selects one.

    :param words: only groups with these words; the group with this number comes first.
    """
    query = select(Group.id, Group.title).where(Group.state.in_(LIVING_STATES))
    query = query.order_by(Group.id.desc()).limit(limit)
    if not words.strip():
        return [(row.id, row.title) for row in session.execute(query)]
    ids = search.list_group_ids(session, words, limit)
    number = re.match(r"\s*#?([0-9]{1,19})(\s|$)", words)
    if number and int(number[1]) <= MAX_ID:
        ids.insert(0, int(number[1]))
    found = {
        row.id: row.title
        for batch in make_batches(ids)
        for row in session.execute(query.where(Group.id.in_(batch)))
    }
    return [(one, found[one]) for one in dict.fromkeys(ids) if one in found]


def find_group(session: Session, words: str) -> int | None:
    """Find the number of a group by what was typed: ``17 · Harbour``, ``#17``, ``17``, ``Harbour``.

    :return: None if nothing was typed.
    :raise NotFoundError: no group has this number.
    :raise InvalidInputError: no group has this title, or several have it.
    """
    # Spaces only: a text with other white space is not a number.
    words = words.strip(" ")
    if not words:
        return None
    listed = re.match(r"#?([0-9]+)( ·|\Z)", words)
    number = int(listed[1][:19]) if listed else 0
    if number > MAX_ID:
        raise NotFoundError("group", words[:40])
    is_called = or_(Group.title == words, func.lower(Group.title) == words.lower())
    if listed and listed[2]:
        is_meant: ColumnElement[bool] = Group.id == number
    elif listed:
        # A year may be a title as well as a number.
        is_meant = or_(Group.id == number, is_called)
    else:
        is_meant = is_called
    found = session.scalars(
        select(Group.id).where(Group.state.in_(LIVING_STATES), is_meant).order_by(Group.id).limit(2)
    ).all()
    if not found and listed:
        raise NotFoundError("group", number)
    if not found:
        raise InvalidInputError(
            Message("There is no group “%(title)s”.", title=words[:100]), {"group": "unknown"}
        )
    if len(found) > 1:
        raise InvalidInputError(
            Message(
                "Several groups match “%(title)s”. Select one from the list, with its number.",
                title=words[:100],
            ),
            {"group": "ambiguous"},
        )
    return found[0]
