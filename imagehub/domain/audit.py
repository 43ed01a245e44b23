"""The log of what people did: written where a request is answered, kept for a year."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from imagehub.domain.gallery import MAX_ID
from imagehub.models import AuditEntry, User

KEPT = timedelta(days=365)
PAGE_SIZE = 50
# What may be changed, in the order of the page's filter, with its name there.
KINDS = {
    "group": "Groups",
    "image": "Images",
    "import": "Imports",
    "drive": "OneDrive files",
    "share": "Share links",
    "connection": "Connection",
    "setting": "Settings",
    "account": "Account and sign-in",
    "token": "Tokens",
}


@dataclass(frozen=True)
class AuditPage:
    """Entries from new to old. ``next_before`` is the ``before`` of the following page, or None."""

    entries: Sequence[AuditEntry]
    next_before: int | None


def record(
    session: Session,
    actor: User | None,
    verb: str,
    kind: str,
    key: object,
    words: str,
    address: str = "",
) -> None:
    """Write down that somebody did something; it is committed with what was done.

    :param actor: None for the command line and the hub itself.
    :param verb: one word: ``create``, ``change``, ``delete``, ``sign_in`` …
    :param kind: one of :data:`KINDS`.
    :param key: number or id of the thing.
    :param words: a sentence for people, without the actor: "Renamed the group “Waves”." It holds
        no password and no token.
    :param address: the IP address that it came from.
    """
    session.add(
        AuditEntry(
            actor_id=actor.id if actor is not None else None,
            actor_name=actor.name if actor is not None else "",
            verb=verb[:40],
            kind=kind[:40],
            key=str(key)[:255],
            words=words if len(words) <= 500 else words[:499] + "…",
            address=address[:64],
        )
    )
    session.flush()


def list_entries(
    session: Session,
    *,
    actor: str = "",
    kind: str = "",
    before: int | None = None,
    limit: int = PAGE_SIZE,
) -> AuditPage:
    """A page of the log, new to old.

    :param actor: the name of whoever did it; all where empty.
    :param before: the number of the entry that the page before ended with.
    """
    query = select(AuditEntry).order_by(AuditEntry.id.desc()).limit(limit + 1)
    if actor:
        query = query.where(AuditEntry.actor_name == actor)
    if kind:
        query = query.where(AuditEntry.kind == kind)
    if before is not None:
        # Databases take no number beyond 64 bits.
        query = query.where(AuditEntry.id < max(0, min(before, MAX_ID)))
    entries = list(session.scalars(query))
    more = len(entries) > limit
    entries = entries[:limit]
    return AuditPage(entries, entries[-1].id if more else None)


def list_actors(session: Session) -> list[str]:
    """Everybody who is in the log, by name."""
    names = session.scalars(select(AuditEntry.actor_name).distinct())
    return sorted((name for name in names if name), key=str.casefold)
