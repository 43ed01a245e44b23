"""The activity log: what people did, kept for a year.

An entry keeps facts: the action, the name of the thing, how many there were, other values. Its
sentence is made when it is shown, in the reader's language (:func:`describe`).
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate
from typing import Any

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.orm import Session

from imagehub.database import MAX_ID, end_read, now_utc, own_transaction
from imagehub.domain.people.actions import ACTIONS, SEVERAL
from imagehub.domain.people.sessions import describe_browser
from imagehub.messages import Message, PluralMessage, mark
from imagehub.models import AuditEntry, User

KEPT = timedelta(days=365)
PAGE_SIZE = 50
# Repeated actions share an entry for so long.
COUNTED_TOGETHER = timedelta(hours=1)
# Beyond so many addresses within that time, the failed sign-ins of others share an entry.
MAX_FAILING_ADDRESSES = 100
MAX_DETAILS_CHARS = 2000
_MAX_VALUE_CHARS = 300
_UNTITLED = mark("Untitled")


@dataclass(frozen=True)
class AuditPage:
    """Entries from new to old. ``next_before`` is the ``before`` of the following page, or None."""

    entries: Sequence[AuditEntry]
    next_before: int | None


# --- Writing --------------------------------------------------------------------------------------


def record(
    session: Session,
    actor: User | None,
    action: str,
    key: object = "",
    *,
    name: str = "",
    names: Sequence[str] = (),
    count: int | None = None,
    fields: Sequence[str] = (),
    address: str = "",
    is_repeated: bool = False,
    is_edit: bool = False,
    **values: str,
) -> None:
    """Add an entry; it is committed together with the change itself.

    No password and no token may be among the facts.

    :param actor: None for the command line and ImageHub itself.
    :param action: a key of ``ACTIONS``, whose sentence names the facts that it needs.
    :param key: number or id of the thing.
    :param name: what the thing is called; by default the first of ``names``.
    :param names: names of several things.
    :param count: how many things; by default as many as ``names``, or 1.
    :param fields: what was changed, in marked sentences: ``Title``.
    :param address: IP address of the request.
    :param is_repeated: add no second entry with the same facts within an hour.
    :param is_edit: replace the person's entry about the same thing of the last hour, if it is of
        the same action, and take over its fields and names: a form that saves field after field
        makes one line, which keeps the time of the first.
    :param values: what else the sentence names.
    """
    entry = _make_entry(actor, action, key, address)
    entry.subject = _shorten(name or next(iter(names), ""))
    entry.count = count if count is not None else max(1, len(names))
    several = SEVERAL.get(action, action)
    same = (*_is_like(entry), AuditEntry.action.in_([action, several]))
    last = _find_last(session, same) if is_edit else None
    if last is not None:
        before = read_details(last)
        names = list(dict.fromkeys([*before.get("names", ()), *names]))
        fields = list(dict.fromkeys([*before.get("fields", ()), *fields]))
        entry.count = max(last.count, len(names))
        entry.action = several if entry.count > 1 else action
        values = {**values, "since": before.get("since") or last.at.isoformat()}
        session.delete(last)
    entry.details = _write_details(names, fields, values)
    if is_repeated:
        last = _find_last(session, _is_like(entry))
        facts = (entry.action, entry.subject, entry.count, entry.details)
        if last and (last.action, last.subject, last.count, last.details) == facts:
            return
    session.add(entry)
    session.flush()


@own_transaction
def count_action(
    session: Session,
    /,
    actor_id: int | None,
    action: str,
    key: object = "",
    *,
    name: str = "",
    is_listed: bool = False,
    address: str = "",
    **values: str,
) -> None:
    """Count an action that would fill the log entry by entry.

    The same person (or nobody), verb, kind, key and address make one entry an hour.

    :param name: what the latest thing is called.
    :param is_listed: the entry lists the names; one that it lists already is not counted again.
    """
    like = _make_entry(None, action, key, address)
    like.actor_id = actor_id
    conditions = _is_like(like)
    # The lock comes first, so that two who count at the same moment wait for each other here.
    session.execute(update(AuditEntry).where(*conditions).values(verb=AuditEntry.verb))
    entry = _find_last(session, conditions)
    if entry is None:
        actor = session.get(User, actor_id) if actor_id is not None else None
        names = [name] if is_listed else []
        facts: dict[str, Any] = {"name": name, "names": names, "count": 1, "address": address}
        record(session, actor, action, key, **(facts | values))
        return
    names = read_details(entry).get("names", [])
    if is_listed and name in names:
        return
    entry.action, entry.subject, entry.count = action, _shorten(name), entry.count + 1
    times = {"until": now_utc().isoformat()}
    entry.details = _write_details([*names, name] if is_listed else (), (), values | times)


def record_failed_sign_in(session: Session, user: User | None, address: str) -> None:
    """Count a failed sign-in: one entry for an address and hour. Commits on its own.

    :param session: holds no uncommitted change.
    :param user: whose name was given; None where nobody has it. What was typed is not written
        down: people type passwords into the wrong field.
    """
    failing = select(func.count(AuditEntry.address.distinct())).where(
        AuditEntry.kind == "account",
        AuditEntry.at >= now_utc() - COUNTED_TOGETHER,
        AuditEntry.verb == "fail_sign_in",
        AuditEntry.address.not_in([address[:64], ""]),
    )
    end_read(session)
    is_crowd = (session.scalar(failing) or 0) >= MAX_FAILING_ADDRESSES
    name = user.name if user is not None else ""
    end_read(session)
    action = "fail_sign_in_many" if is_crowd else "fail_sign_in"
    action += "" if name else "_unknown"
    count_action(session, None, action, name=name, address="" if is_crowd else address)


def _make_entry(actor: User | None, action: str, key: object, address: str) -> AuditEntry:
    return AuditEntry(
        actor_id=actor.id if actor else None,
        actor_name=actor.name if actor else "",
        action=action,
        verb=ACTIONS[action].verb,
        kind=ACTIONS[action].kind,
        key=str(key)[:255],
        address=address[:64],
    )


def _find_last(session: Session, conditions: Sequence[ColumnElement[bool]]) -> AuditEntry | None:
    query = select(AuditEntry).where(*conditions).order_by(AuditEntry.id.desc()).limit(1)
    return session.scalars(query).first()


def _is_like(entry: AuditEntry) -> Sequence[ColumnElement[bool]]:
    """Make the conditions that find entries of the last hour about the same thing."""
    return (
        AuditEntry.kind == entry.kind,
        AuditEntry.at >= now_utc() - COUNTED_TOGETHER,
        AuditEntry.verb == entry.verb,
        AuditEntry.key == entry.key,
        AuditEntry.actor_id == entry.actor_id,
        AuditEntry.address == entry.address,
    )


def _write_details(names: Sequence[str], fields: Sequence[str], values: Mapping[str, str]) -> str:
    """Make the JSON of an entry's other facts; names that find no room are left out."""
    details: dict[str, Any] = {name: _shorten(value) for name, value in values.items()}
    if fields:
        details["fields"] = list(fields)
    room = MAX_DETAILS_CHARS - len(_to_json(details | {"names": []}))
    kept = [_shorten(name) for name in names]
    sizes = accumulate(len(_to_json(name)) + 1 for name in kept)
    kept = kept[: sum(size <= room for size in sizes)]
    if kept:
        details["names"] = kept
    return _to_json(details) if details else ""


def _to_json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _shorten(text: str) -> str:
    return text if len(text) <= _MAX_VALUE_CHARS else text[: _MAX_VALUE_CHARS - 1] + "…"


# --- Reading --------------------------------------------------------------------------------------


def describe(entry: AuditEntry, translate: Callable[[str], str] = str) -> str:
    """Make the sentence of an entry, without the actor: "Deleted the group “Waves”."

    :param translate: gives a sentence in the reader's language.
    """
    action = ACTIONS.get(entry.action)
    if action is None:
        return entry.words
    details = read_details(entry)
    values: dict[str, str] = {name: str(value) for name, value in details.items()}
    values["name"] = entry.subject or translate(_UNTITLED)
    values["fields"] = ", ".join(translate(field) for field in details.get("fields", ()))
    listed = details.get("names") or [values["name"]]
    names = [translate(Message("“%(name)s”", name=name)) for name in listed]
    values["names"] = ", ".join([*names, *(["…"] if len(names) < entry.count else [])])
    if "agent" in details:
        values["browser"] = translate(describe_browser(details["agent"]))
    if action.many:
        return translate(PluralMessage(action.one, action.many, num=entry.count, **values))
    return translate(Message(action.one, **values))


def read_details(entry: AuditEntry) -> dict[str, Any]:
    """Read the other facts of an entry, such as ``names``."""
    details = json.loads(entry.details or "{}")
    return details if isinstance(details, dict) else {}


def get_span(entry: AuditEntry) -> tuple[datetime, datetime]:
    """Return the times of the first and the last of the actions that make up an entry."""
    details = read_details(entry)
    since, until = (details.get(name) for name in ("since", "until"))
    return (
        datetime.fromisoformat(since) if since else entry.at,
        datetime.fromisoformat(until) if until else entry.at,
    )


def list_entries(
    session: Session,
    *,
    actor: str = "",
    kind: str = "",
    before: int | None = None,
    limit: int = PAGE_SIZE,
) -> AuditPage:
    """List a page of the log, new to old.

    :param actor: name of a person; "" for all.
    :param kind: a key of ``KINDS``; "" for all.
    :param before: id of the last entry of the page before.
    """
    query = select(AuditEntry).order_by(AuditEntry.id.desc()).limit(limit + 1)
    if actor:
        query = query.where(AuditEntry.actor_name == actor)
    if kind:
        query = query.where(AuditEntry.kind == kind)
    if before is not None:
        # An id column holds 64 bits.
        query = query.where(AuditEntry.id < max(0, min(before, MAX_ID)))
    entries = list(session.scalars(query))
    more = len(entries) > limit
    entries = entries[:limit]
    return AuditPage(entries, entries[-1].id if more else None)


def list_actors(session: Session) -> list[str]:
    """List the names of all people in the log."""
    names = session.scalars(select(AuditEntry.actor_name).distinct())
    return sorted((name for name in names if name), key=str.casefold)
