"""Send new enquiries on to the recipients of messages, by mail and webhook.

The inbox has each enquiry whatever happens here. A row for each recipient holds the number of the
last enquiry sent to it. They are sent in their order, one by one, and tried again after a failure.
Spam is skipped, which another row notes, and sent once somebody marks it as new.
"""

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import delete, func, insert, literal, select, update
from sqlalchemy.orm import Session

from imagehub.clients.channels import Channel
from imagehub.config import Settings
from imagehub.database import end_read, get_database_time, own_transaction
from imagehub.domain.leases import acquire_lease, make_owner, release_lease
from imagehub.domain.site.letters import write_enquiry
from imagehub.domain.site.notices import find_retry, find_translator
from imagehub.errors import ImageHubError, ServiceBusyError, ServiceRefusedError
from imagehub.models import Enquiry, EnquiryRecipient, SkippedEnquiry
from imagehub.translator import Translator

log = logging.getLogger(__name__)

# Numbers are given before transactions are committed: a lower one may appear for so long.
SETTLE = timedelta(seconds=5)
# A new recipient gets what arrived within this time, and no older enquiries.
_SENT_AT_FIRST = timedelta(days=1)
# Enquiries to one recipient in one turn.
_MOST = 50
# After so many refusals in about 14 hours, the next enquiry is tried: this one may be the reason.
MAX_REFUSALS = 10
_LEASE = "enquiries"
_LEASE_SECONDS = 600.0


def forward_enquiries(session: Session, settings: Settings, channels: Sequence[Channel]) -> int:
    """Send what is due; return the number of messages. Of several workers one does.

    :param settings: those in force, with those of the admin pages.
    :param session: holds no uncommitted change.
    """
    has_some = session.scalar(select(Enquiry.id).limit(1)) is not None
    end_read(session)
    owner = make_owner()
    if not has_some or not acquire_lease(session, _LEASE, owner, _LEASE_SECONDS):
        return 0
    try:
        _note_recipients(session, [one.recipient for one in channels])
        translator = find_translator(session, settings)
        end_read(session)
        return sum(
            _forward_to(session, settings, translator, channel, owner) for channel in channels
        )
    finally:
        release_lease(session, _LEASE, owner)


def _forward_to(
    session: Session, settings: Settings, translator: Translator, channel: Channel, owner: str
) -> int:
    """Send one recipient its enquiries until one fails; return how many were sent."""
    recipient = channel.recipient
    for count in range(_MOST):
        now = get_database_time(session)
        row = session.get_one(EnquiryRecipient, recipient)
        enquiry = _find_next(session, row, now)
        if enquiry is None or (row.next_at is not None and row.next_at > now):
            end_read(session)
            return count
        number, letter = enquiry.id, write_enquiry(enquiry, settings, translator, now)
        end_read(session)
        if not acquire_lease(session, _LEASE, owner, _LEASE_SECONDS):
            return count
        try:
            channel.send(letter)
        except ImageHubError as error:
            log.warning("Enquiry %d could not be sent on: %s", number, error)
            seconds = error.retry_after_seconds if isinstance(error, ServiceBusyError) else 0.0
            is_refused = isinstance(error, ServiceRefusedError) and error.reason == "refused"
            _note_failure(session, recipient, number, error.sentence, seconds, is_refused)
            return count
        _note_sent(session, recipient, number)
    return _MOST


def _find_next(session: Session, row: EnquiryRecipient, now: datetime) -> Enquiry | None:
    """Return the next enquiry for a recipient; those that were skipped come first."""
    ready = (
        select(Enquiry)
        .where(Enquiry.state == "new", Enquiry.created_at <= now - SETTLE)
        .order_by(Enquiry.id)
        .limit(1)
    )
    skipped = ready.join(SkippedEnquiry, SkippedEnquiry.enquiry_id == Enquiry.id)
    return session.scalar(
        skipped.where(SkippedEnquiry.recipient == row.recipient)
    ) or session.scalar(ready.where(Enquiry.id > row.last_id))


# --- Rows -----------------------------------------------------------------------------------------


def retry_now(session: Session, recipient: str) -> None:
    """Try again at once, since a test message was accepted. The caller commits."""
    session.execute(
        update(EnquiryRecipient)
        .where(EnquiryRecipient.recipient == recipient)
        .values(failure_count=0, next_at=None, problem="")
    )


@own_transaction
def _note_recipients(session: Session, recipients: Sequence[str]) -> None:
    """Add rows of new recipients, and delete those of former ones."""
    known = set(session.scalars(select(EnquiryRecipient.recipient)))
    if gone := known - set(recipients):
        session.execute(delete(EnquiryRecipient).where(EnquiryRecipient.recipient.in_(gone)))
    fresh = set(recipients) - known
    if fresh:
        before = get_database_time(session) - _SENT_AT_FIRST
        last = session.scalar(select(func.max(Enquiry.id)).where(Enquiry.created_at < before)) or 0
        session.add_all(EnquiryRecipient(recipient=one, last_id=last) for one in fresh)


@own_transaction
def _note_sent(session: Session, recipient: str, number: int) -> None:
    row = session.get_one(EnquiryRecipient, recipient)
    row.failure_count, row.next_at, row.problem = 0, None, ""
    _end_turn(session, row, number)


@own_transaction
def _note_failure(
    session: Session,
    recipient: str,
    number: int,
    problem: str,
    seconds: float,
    is_refused: bool,
) -> None:
    """Note a failure, and when to try again: after ``seconds`` at the earliest."""
    row = session.get_one(EnquiryRecipient, recipient)
    wait = find_retry(row.failure_count, seconds)
    row.failure_count, row.problem = row.failure_count + 1, problem[:500]
    row.next_at = get_database_time(session) + wait
    if is_refused and row.failure_count >= MAX_REFUSALS:
        row.failure_count, row.next_at = 0, None
        _end_turn(session, row, number)


def _end_turn(session: Session, row: EnquiryRecipient, number: int) -> None:
    """Go on to the enquiries after this one, and note those before it that were skipped."""
    mine = SkippedEnquiry.recipient == row.recipient
    session.execute(delete(SkippedEnquiry).where(mine, SkippedEnquiry.enquiry_id == number))
    if number <= row.last_id:
        return
    # Whichever is new by now was spam a moment ago.
    skipped = select(literal(row.recipient), Enquiry.id).where(
        Enquiry.id > row.last_id, Enquiry.id < number, Enquiry.state != "answered"
    )
    session.execute(insert(SkippedEnquiry).from_select(["recipient", "enquiry_id"], skipped))
    row.last_id = number
