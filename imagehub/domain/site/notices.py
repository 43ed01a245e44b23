"""Tell people what needs attention, by mail and webhook.

A row for each kind and recipient says since when, and what that recipient was told. A kind is told
when it has lasted for ``SETTLE``, again while it lasts (``_REPEAT_FAULT``, ``_REPEAT``) or when it
gets worse, at most once a day, and once more when it is over. A message is composed when it is
sent, of everything that is due, so a server that was down for days gets one message that is true.
"""

import hashlib
import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Select, delete, select, update
from sqlalchemy.orm import Session

from imagehub.clients.channels import Channel
from imagehub.config import Settings
from imagehub.database import end_read, get_database_time, own_transaction
from imagehub.domain.leases import acquire_lease, make_owner, release_lease
from imagehub.domain.site.attention import TOPICS, Attention
from imagehub.domain.site.letters import Story, write_letter
from imagehub.errors import ImageHubError, ServiceBusyError
from imagehub.models import Notice, User
from imagehub.translator import LANGUAGES, Translator, get_translator

log = logging.getLogger(__name__)

# What passes by itself within this time is not told.
SETTLE = timedelta(minutes=10)
LEAST_PAUSE = timedelta(days=1)
_REPEAT_FAULT = timedelta(days=1)
_REPEAT = timedelta(days=7)
# After failure 1, 2, …: doubled each time.
_FIRST_RETRY = timedelta(minutes=2)
_LAST_RETRY = timedelta(hours=6)
_LEASE = "notices"
# Longer than sending one message takes, with all time limits of its steps.
_LEASE_SECONDS = 600.0


def tell(
    session: Session, settings: Settings, channels: Sequence[Channel], found: Sequence[Attention]
) -> int:
    """Send what is due; return the number of messages. Of several workers one does.

    :param settings: those in force, with those of the admin pages.
    :param found: everything that needs attention now.
    :param session: holds no uncommitted change.
    """
    owner = make_owner()
    if not channels or not acquire_lease(session, _LEASE, owner, _LEASE_SECONDS):
        return 0
    try:
        wanted = _select_topics(found, settings.notify_about)
        levels = {kind: sum(one.level for one in some) for kind, some in wanted.items()}
        _note(session, [one.recipient for one in channels], levels)
        translator = find_translator(session, settings)
        end_read(session)
        return sum(
            _tell_one(session, settings, translator, channel, wanted)
            for channel in channels
            if acquire_lease(session, _LEASE, owner, _LEASE_SECONDS)
        )
    finally:
        release_lease(session, _LEASE, owner)


def forget_recipients(session: Session) -> None:
    """Forget all recipients, since there are none any more, and that messages to them failed."""
    is_known = session.scalar(select(Notice.kind).limit(1)) is not None
    end_read(session)
    if is_known:
        _note(session, [], {})


def find_translator(session: Session, settings: Settings) -> Translator:
    """Return the translator to the hub's language, or else to that of its first admin."""
    if settings.language in LANGUAGES:
        return get_translator(settings.language)
    query = select(User.language).where(User.disabled_at.is_(None), User.language != "")
    return get_translator(session.scalar(query.order_by(User.id).limit(1)) or "en")


def _select_topics(found: Iterable[Attention], topics: Sequence[str]) -> dict[str, list[Attention]]:
    """Return kind → what there is of it, for the kinds of these topics."""
    kinds = {kind for name in topics if name in TOPICS for kind in TOPICS[name].kinds}
    wanted: dict[str, list[Attention]] = {}
    for one in found:
        if one.kind in kinds:
            wanted.setdefault(one.kind, []).append(one)
    return wanted


def _tell_one(
    session: Session,
    settings: Settings,
    translator: Translator,
    channel: Channel,
    wanted: Mapping[str, Sequence[Attention]],
) -> int:
    """Send one recipient what is due, if anything is."""
    now = get_database_time(session)
    recipient = channel.recipient
    rows = session.scalars(
        select(Notice).where(Notice.recipient == recipient).order_by(Notice.kind)
    ).all()
    end_read(session)
    if any(row.next_at is not None and row.next_at > now for row in rows):
        return 0
    faults = {kind for kind, some in wanted.items() if any(one.is_fault for one in some)}
    due = [row for row in rows if _is_due(row, now, row.kind in faults)]
    if not due:
        return 0
    # In the order of Home; what is over comes last.
    order = [*wanted, *(row.kind for row in due)]
    due.sort(key=lambda row: order.index(row.kind))
    stories = [Story(row.kind, row.since_at, wanted.get(row.kind, ())) for row in due]
    letter = write_letter(_make_id(due), stories, settings, translator, now)
    kinds = [row.kind for row in due]
    try:
        channel.send(letter)
    except ImageHubError as error:
        log.warning("A message could not be sent: %s", error)
        seconds = error.retry_after_seconds if isinstance(error, ServiceBusyError) else 0.0
        _note_failure(session, recipient, kinds, error.sentence, seconds)
        return 0
    _note_told(session, recipient, kinds)
    return 1


def _is_due(row: Notice, now: datetime, is_fault: bool) -> bool:
    if now - row.since_at < SETTLE:
        return False
    if row.is_over:
        return row.told_level > 0
    if row.told_at is None:
        return True
    age = now - row.told_at
    is_worse = row.level > row.told_level
    return age >= LEAST_PAUSE and (is_worse or age >= (_REPEAT_FAULT if is_fault else _REPEAT))


def _make_id(rows: Sequence[Notice]) -> str:
    """Return the id of a message, the same if it is sent again because its end was not seen."""
    facts = [(row.recipient, row.kind, row.since_at, row.told_at) for row in rows]
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:32]


# --- Rows -----------------------------------------------------------------------------------------


def forget_failures(session: Session, recipient: str) -> None:
    """Try again at once, since a test message was accepted. The caller commits."""
    session.execute(
        update(Notice)
        .where(Notice.recipient == recipient)
        .values(failure_count=0, next_at=None, problem="")
    )


@own_transaction
def _note(session: Session, recipients: Sequence[str], levels: Mapping[str, int]) -> None:
    """Note for each recipient what needs attention now, and what no longer does."""
    now = get_database_time(session)
    session.execute(delete(Notice).where(Notice.recipient.not_in(recipients)))
    rows = {(row.recipient, row.kind): row for row in session.scalars(select(Notice))}
    for recipient in recipients:
        for kind, level in levels.items():
            row = rows.get((recipient, kind))
            if row is None:
                session.add(Notice(recipient=recipient, kind=kind, since_at=now, level=level))
                continue
            if row.is_over:
                row.is_over, row.since_at = False, now
            row.level = level
    for row in rows.values():
        if row.kind in levels:
            continue
        was_told_long_ago = row.told_at is None or now - row.told_at >= LEAST_PAUSE
        if was_told_long_ago and not row.told_level:
            session.delete(row)
        elif not row.is_over:
            row.is_over, row.since_at = True, now


@own_transaction
def _note_told(session: Session, recipient: str, kinds: Sequence[str]) -> None:
    now = get_database_time(session)
    for row in session.scalars(_select_rows(recipient, kinds)):
        row.failure_count, row.next_at, row.problem = 0, None, ""
        if row.is_over:
            row.told_level = 0
        else:
            row.told_at, row.told_level = now, row.level


@own_transaction
def _note_failure(
    session: Session, recipient: str, kinds: Sequence[str], problem: str, seconds: float
) -> None:
    """Note a failure, and when to try again: after ``seconds`` at the earliest."""
    now = get_database_time(session)
    for row in session.scalars(_select_rows(recipient, kinds)):
        row.next_at = now + find_retry(row.failure_count, seconds)
        row.failure_count, row.problem = row.failure_count + 1, problem[:500]


def find_retry(failure_count: int, seconds: float) -> timedelta:
    """Return how long to wait after a failure: ``seconds`` at least, and longer each time.

    :param failure_count: of the failures before.
    """
    doubled = _FIRST_RETRY * (1 << min(failure_count, 12))
    return min(max(doubled, timedelta(seconds=seconds)), _LAST_RETRY)


def _select_rows(recipient: str, kinds: Sequence[str]) -> Select[Notice]:
    return select(Notice).where(Notice.recipient == recipient, Notice.kind.in_(kinds))
