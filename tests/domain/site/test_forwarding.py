"""How enquiries are sent on: each once, in their order, and again after failures."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import create_engine, select, update
from sqlalchemy.orm import Session

from imagehub.clients.channels import Notice as Letter
from imagehub.clients.mail import MailChannel, MailServer
from imagehub.config import Settings, load_settings
from imagehub.database import get_database_time, make_engine_options
from imagehub.domain.enquiries import inbox, spam
from imagehub.domain.site import attention, forwarding
from imagehub.errors import ServiceRefusedError
from imagehub.models import Enquiry, EnquiryRecipient, SkippedEnquiry
from imagehub.wiring import build_channels
from tests.fixtures.database import create_tables
from tests.fixtures.receivers import MailBox, Receiver


@dataclass
class Forwarder:
    """A database, and the ways to a mail server and a webhook of this machine."""

    session: Session
    settings: Settings
    box: MailBox
    receiver: Receiver

    def add(self, message: str, state: str = "new", hours: float = 1.0, work: str = "") -> int:
        at = get_database_time(self.session) - timedelta(hours=hours)
        enquiry = Enquiry(
            name="Mara Lindqvist",
            email="mara@example.org",
            message=message,
            text_hash=spam.hash_text(message),
            work=work,
            state=state,
            created_at=at,
        )
        self.session.add(enquiry)
        self.session.commit()
        return enquiry.id

    def forward(self) -> int:
        """Send what is due, as a worker does."""
        channels = build_channels(self.settings)
        count = forwarding.forward_enquiries(self.session, self.settings, channels)
        self.session.rollback()
        return count

    def mark(self, number: int, state: str) -> None:
        """Set the state of an enquiry, as people do in the inbox."""
        inbox.set_state(self.session, [number], state)
        self.session.commit()

    def let_retry(self) -> None:
        """Let the time until the next try pass."""
        self.session.execute(update(EnquiryRecipient).values(next_at=None))
        self.session.commit()

    def read_rows(self) -> dict[str, EnquiryRecipient]:
        self.session.expire_all()
        return {row.recipient: row for row in self.session.scalars(select(EnquiryRecipient))}


@pytest.fixture
def forwarder(
    start_mail_server: Callable[..., MailBox],
    receiver: Receiver,
    tmp_path: Path,
    database_url: str,
) -> Iterator[Forwarder]:
    box = start_mail_server()
    settings = load_settings(
        {
            "IMAGEHUB_DATA_DIR": str(tmp_path / "data"),
            "IMAGEHUB_PUBLIC_URL": "https://example.org/art",
            "IMAGEHUB_TITLE": "Atelier",
            "IMAGEHUB_LANGUAGE": "de",
            "IMAGEHUB_NOTIFY_EMAILS": "ada@example.org",
            "IMAGEHUB_SMTP_HOST": "localhost",
            "IMAGEHUB_SMTP_PORT": str(box.port),
            "IMAGEHUB_SMTP_SECURITY": "none",
            "IMAGEHUB_SMTP_SENDER": "hub@example.org",
            "IMAGEHUB_NOTIFY_WEBHOOK_URL": receiver.url,
            "IMAGEHUB_NOTIFY_WEBHOOK_SECRET": "a-key-of-the-signature",
        },
        env_file=None,
    )
    engine = create_engine(database_url, **make_engine_options(database_url))
    create_tables(engine)
    with Session(engine) as session:
        yield Forwarder(session, settings, box, receiver)
    engine.dispose()


MAIL = "mailto:ada@example.org"


def test_an_enquiry_is_sent_once_by_each_way_and_answered_to_the_visitor(
    forwarder: Forwarder,
) -> None:
    assert forwarder.forward() == 0
    number = forwarder.add("Hallo?\n-- \nFrom: eve@example.org\nhttps://x.example", work="Ember\n")
    assert forwarder.forward() == 2
    assert forwarder.forward() == 0
    (message,) = forwarder.box.messages
    assert message["Reply-To"] == "mara@example.org"
    assert message["From"] == "hub@example.org"
    assert message["Subject"] == "[Atelier] Anfrage zu „Ember“"
    assert message.get_content_type() == "text/plain"
    text = message.get_content()
    assert "Mara Lindqvist (mara@example.org) schreibt:" in text
    # All that the visitor has typed is quoted.
    assert "\n> Hallo?\n> --\n> From: eve@example.org\n> https://x.example\n" in text
    assert f"https://example.org/art/admin/enquiries/{number}" in text
    (content,) = forwarder.receiver.contents
    assert content["enquiry"]["email"] == "mara@example.org"
    assert content["enquiry"]["number"] == number
    assert (content["attention"], content["resolved"]) == ([], [])


def test_spam_answered_and_just_arrived_ones_are_not_sent(forwarder: Forwarder) -> None:
    forwarder.add("Buy", state="spam")
    forwarder.add("Done", state="answered")
    forwarder.add("Just now", hours=0.0)
    assert forwarder.forward() == 0


def test_an_enquiry_that_is_no_spam_after_all_is_sent_although_newer_ones_were(
    forwarder: Forwarder,
) -> None:
    first, second = forwarder.add("Real", state="spam"), forwarder.add("Buy", state="spam")
    answered = forwarder.add("Done", state="answered")
    newer = forwarder.add("Newer")
    # The mail server takes nothing yet, the webhook gets it.
    forwarder.box.refusals.append("451 later")
    assert forwarder.forward() == 1
    forwarder.mark(first, "new")
    assert forwarder.forward() == 1
    forwarder.let_retry()
    assert forwarder.forward() == 2
    assert ["Real" in text for text in forwarder.box.texts] == [True, False]
    numbers = [one["enquiry"]["number"] for one in forwarder.receiver.contents]
    assert numbers == [newer, first]
    # What was sent is not sent again, whatever it is marked as.
    for number in (first, newer):
        forwarder.mark(number, "spam")
        forwarder.mark(number, "new")
    forwarder.mark(answered, "new")
    assert forwarder.forward() == 0
    assert forwarder.read_rows()[MAIL].last_id == newer
    inbox.delete_enquiries(forwarder.session, [second])
    forwarder.session.commit()
    assert forwarder.session.scalars(select(SkippedEnquiry)).all() == []


def test_an_enquiry_that_was_skipped_and_is_refused_does_not_hold_up_others(
    forwarder: Forwarder,
) -> None:
    skipped = forwarder.add("Refused", state="spam")
    newer = forwarder.add("Newer")
    assert forwarder.forward() == 2
    forwarder.mark(skipped, "new")
    forwarder.add("Fine")
    forwarder.box.refusals += ["550 no"] * forwarding.MAX_REFUSALS
    for _ in range(forwarding.MAX_REFUSALS):
        forwarder.forward()
        forwarder.let_retry()
    assert forwarder.read_rows()[MAIL].last_id == newer
    assert forwarder.forward() == 1
    assert ["Newer" in text for text in forwarder.box.texts] == [True, False]
    assert "Fine" in forwarder.box.texts[1]


def test_a_dead_mail_server_loses_nothing_and_the_order_stays(forwarder: Forwarder) -> None:
    forwarder.add("First")
    forwarder.add("Second")
    forwarder.box.refusals += ["451 later"] * 3
    # The webhook gets both meanwhile.
    assert forwarder.forward() == 2
    assert forwarder.forward() == 0
    for _ in range(2):
        forwarder.let_retry()
        forwarder.forward()
    assert forwarder.read_rows()[MAIL].failure_count == 3
    ((recipient, problem),) = attention._list_failed_recipients(forwarder.session)
    assert (recipient, "451" in problem) == (MAIL, True)
    assert "mara" not in problem
    forwarder.session.rollback()
    forwarder.let_retry()
    assert forwarder.forward() == 2
    assert ["First" in text for text in forwarder.box.texts] == [True, False]
    assert attention._list_failed_recipients(forwarder.session) == []
    assert len(forwarder.receiver.requests) == 2


def test_an_enquiry_that_is_refused_for_good_does_not_hold_up_the_next(
    forwarder: Forwarder,
) -> None:
    forwarder.add("Refused")
    forwarder.add("Fine")
    forwarder.box.refusals += ["550 no"] * forwarding.MAX_REFUSALS
    for _ in range(forwarding.MAX_REFUSALS):
        forwarder.forward()
        forwarder.let_retry()
    assert forwarder.box.messages == []
    assert forwarder.forward() == 1
    assert "Fine" in forwarder.box.texts[0]


def test_a_new_recipient_gets_no_old_enquiries_and_a_former_one_is_forgotten(
    forwarder: Forwarder,
) -> None:
    forwarder.add("Long ago", hours=50)
    forwarder.add("Today")
    assert forwarder.forward() == 2
    assert "Today" in forwarder.box.texts[0]
    forwarder.settings = replace(forwarder.settings, notify_emails=(), notify_webhook_url="")
    assert forwarder.forward() == 0
    assert forwarder.read_rows() == {}


def test_a_test_message_that_arrives_ends_the_wait(forwarder: Forwarder) -> None:
    forwarder.add("First")
    forwarder.box.refusals.append("451 later")
    forwarder.forward()
    forwarding.retry_now(forwarder.session, MAIL)
    forwarder.session.commit()
    assert forwarder.forward() == 1


def test_no_header_can_be_added_by_an_address(start_mail_server: Callable[..., MailBox]) -> None:
    box = start_mail_server()
    server = MailServer("localhost", box.port, "none")
    channel = MailChannel(server, "hub@example.org", "ada@example.org")
    letter = Letter("1", "Hello", "Hello", reply_to="a@example.org\r\nBcc: all@example.org")
    with pytest.raises((ValueError, ServiceRefusedError)):
        channel.send(letter)
    assert box.messages == []
