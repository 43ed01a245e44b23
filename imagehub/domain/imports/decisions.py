"""What a person has decided about the words of files, until the groups of a plan are made."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy.orm import Session

from imagehub.database import make_batches
from imagehub.domain.library.edit import split_tags, tidy_field
from imagehub.domain.library.found_words import SOURCES, note_decided
from imagehub.domain.library.search_index import refresh_search
from imagehub.domain.library.tags import set_tags
from imagehub.errors import InvalidInputError
from imagehub.models import Group


@dataclass(frozen=True)
class Decision:
    """What a person has decided for a proposed group.

    ``accepted``: field → value, except for the title, which the proposal has. ``decided``: fields
    that are not proposed any more.
    """

    accepted: Mapping[str, str] = field(default_factory=dict)
    decided: Sequence[str] = ()


def read_decision(text: str | None) -> Decision:
    """:raise InvalidInputError: the text is not what :func:`write_decision` writes."""
    try:
        values = json.loads(text or "{}")
        accepted = {
            name: str(values.get("accepted", {})[name]) for name in values.get("accepted", {})
        }
        decided = [str(name) for name in values.get("decided", [])]
        if not {*accepted, *decided} <= SOURCES.keys():
            raise ValueError
    except (ValueError, TypeError, AttributeError):
        raise InvalidInputError("This cannot be undone.", {"undo": "unreadable"}) from None
    return Decision(accepted, decided)


def write_decision(decision: Decision) -> str:
    """Return a decision as it is stored."""
    return json.dumps(
        {"accepted": dict(decision.accepted), "decided": list(decision.decided)}, ensure_ascii=False
    )


def save_accepted(session: Session, groups: Sequence[tuple[str | None, Group]]) -> None:
    """Save what was accepted for new groups, which are flushed.

    :param groups: each with the decision of its proposal.
    :raise InvalidInputError: a value is not accepted.
    """
    decided = [(read_decision(words), group) for words, group in groups if words]
    for decision, group in decided:
        for name, value in decision.accepted.items():
            if name != "tags":
                setattr(group, name, tidy_field(name, value))
        note_decided(group, decision.decided)
    session.flush()
    for decision, group in decided:
        if tags := split_tags(decision.accepted.get("tags", "")):
            set_tags(session, group, tags)
    for batch in make_batches([group.id for decision, group in decided if decision.accepted]):
        refresh_search(session, batch)
