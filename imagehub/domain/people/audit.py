"""The log of what people did: written where a request is answered, kept for a year."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from imagehub.database import MAX_ID, now_utc, run_in_own_transaction
from imagehub.models import AuditEntry, User

KEPT = timedelta(days=365)
PAGE_SIZE = 50
# What comes in hundreds is counted in one line for so long.
COUNTED_TOGETHER = timedelta(hours=1)
# Beyond so many addresses within that time, the others share a line.
MAX_FAILING_ADDRESSES = 100
MAX_WORDS_CHARS = 500
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
            words=_shorten(words),
            address=address[:64],
        )
    )
    session.flush()


def record_once(
    session: Session,
    actor: User | None,
    verb: str,
    kind: str,
    key: object,
    words: str,
    address: str = "",
) -> None:
    """As :func:`record`, but no second line like it within an hour."""
    latest = session.scalars(
        select(AuditEntry)
        .where(
            AuditEntry.kind == kind,
            AuditEntry.at >= now_utc() - COUNTED_TOGETHER,
            AuditEntry.verb == verb,
            AuditEntry.key == str(key)[:255],
            AuditEntry.actor_id == (actor.id if actor is not None else None),
            AuditEntry.address == address[:64],
        )
        .order_by(AuditEntry.id.desc())
        .limit(1)
    ).first()
    if latest is None or latest.words != _shorten(words):
        record(session, actor, verb, kind, key, words, address)


def count_up(
    session: Session,
    actor: User | None,
    verb: str,
    kind: str,
    key: object,
    describe: Callable[[int, str], str],
    address: str = "",
) -> None:
    """Write down one more of what would fill the log line by line. Commits on its own.

    The same person (or nobody), verb, kind, key and address make one line an hour.

    :param session: holds no uncommitted change.
    :param describe: given the count with this one, and the sentence so far ("" for a new line):
        the new sentence. The first number in it has to be the count; a sentence that stays the
        same is not counted.
    """
    actor_id = actor.id if actor is not None else None

    def note(own: Session) -> None:
        same = (
            AuditEntry.kind == kind,
            AuditEntry.at >= now_utc() - COUNTED_TOGETHER,
            AuditEntry.verb == verb,
            AuditEntry.key == str(key)[:255],
            AuditEntry.actor_id == actor_id,
            AuditEntry.address == address[:64],
        )
        # A change comes first: who counts at the same moment waits here and not half-way.
        own.execute(
            update(AuditEntry)
            .where(*same)
            .values(verb=verb)
            .execution_options(synchronize_session=False)
        )
        entry = own.scalars(
            select(AuditEntry).where(*same).order_by(AuditEntry.id.desc()).limit(1)
        ).first()
        if entry is None:
            person = own.get(User, actor_id) if actor_id is not None else None
            record(own, person, verb, kind, key, describe(1, ""), address)
        else:
            number = re.search(r"[0-9][0-9,]*", entry.words)
            count = int(number[0].replace(",", "")) if number else 1
            entry.words = _shorten(describe(count + 1, entry.words))

    run_in_own_transaction(session, note)


def record_failed_sign_in(session: Session, user: User | None, address: str) -> None:
    """Count a failed try to sign in: one line for an address and hour. Commits on its own.

    :param session: holds no uncommitted change.
    :param user: whose name was given; None where nobody has it. What was typed is not written
        down: people type passwords into the wrong field.
    """
    whose = f"with the name “{user.name}”" if user is not None else "with a name that nobody has"
    failing = select(func.count(AuditEntry.address.distinct())).where(
        AuditEntry.kind == "account",
        AuditEntry.at >= now_utc() - COUNTED_TOGETHER,
        AuditEntry.verb == "fail_sign_in",
        AuditEntry.address != address[:64],
    )
    session.rollback()
    is_crowd = (session.scalar(failing) or 0) >= MAX_FAILING_ADDRESSES
    session.rollback()
    if is_crowd:
        address, whose = "", f"from many addresses, the last one {whose}"

    def describe(count: int, _before: str) -> str:
        if count == 1:
            return f"1 failed try to sign in, {whose}."
        last = whose if is_crowd else f"the last one {whose}"
        return f"{count:,} failed tries to sign in, {last}."

    count_up(session, None, "fail_sign_in", "account", "", describe, address)


def _shorten(words: str) -> str:
    return words if len(words) <= MAX_WORDS_CHARS else words[: MAX_WORDS_CHARS - 1] + "…"


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
