"""When people are told what needs attention: once, again after a while, and when it is over."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import create_engine, delete, select
from sqlalchemy.orm import Session

from imagehub.clients.channels import Notice as Letter
from imagehub.config import Settings, load_settings
from imagehub.database import make_engine_options
from imagehub.domain.site import attention, letters, notices
from imagehub.domain.site.attention import KINDS, TOPICS, Attention
from imagehub.errors import ServiceBusyError
from imagehub.messages import PluralMessage, mark
from imagehub.models import Lease, Notice, User
from imagehub.wiring import build_channels
from tests.fixtures.database import create_tables
from tests.fixtures.programs import wait_until
from tests.fixtures.receivers import MailBox, Receiver
from tests.fixtures.workers import FORKS

SECRET = "a-key-of-the-signature"
DAY = timedelta(days=1)
LOST = Attention(
    "connection", mark("OneDrive is not connected"), "Reconnect.", "/admin/connection", True
)


def missing(count: int) -> Attention:
    title = PluralMessage(
        "%(num)s original is missing in OneDrive",
        "%(num)s originals are missing in OneDrive",
        num=count,
    )
    return Attention("missing", title, "Look.", "/admin/library?filter=missing", level=count)


@dataclass
class Teller:
    """A database, and the ways to a mail server and a webhook of this machine."""

    session: Session
    settings: Settings
    box: MailBox
    receiver: Receiver
    found: list[Attention] = field(default_factory=list)

    def tell(self, *found: Attention) -> int:
        """Tell what there is now, as a worker does."""
        count = notices.tell(self.session, self.settings, build_channels(self.settings), found)
        self.session.rollback()
        return count

    def let_pass(self, time: timedelta) -> None:
        """Let time pass: set back all times that are noted."""
        for row in self.session.scalars(select(Notice)):
            for name in ("since_at", "told_at", "next_at"):
                moment = getattr(row, name)
                if moment is not None:
                    setattr(row, name, moment - time)
        self.session.commit()

    def settle(self, *found: Attention) -> int:
        """Tell, and again after what passes by itself would have passed."""
        count = self.tell(*found)
        self.let_pass(notices.SETTLE)
        return count + self.tell(*found)


@pytest.fixture
def make_teller(
    start_mail_server: Callable[..., MailBox],
    receiver: Receiver,
    tmp_path: Any,
) -> Iterator[Callable[..., Teller]]:
    made: list[Session] = []

    def make(url: str, **changes: str) -> Teller:
        box = start_mail_server()
        settings = load_settings(
            {
                "IMAGEHUB_DATA_DIR": str(tmp_path / "data"),
                "IMAGEHUB_PUBLIC_URL": "https://example.org/art",
                "IMAGEHUB_NOTIFY_EMAILS": "ada@example.org",
                "IMAGEHUB_SMTP_HOST": "localhost",
                "IMAGEHUB_SMTP_PORT": str(box.port),
                "IMAGEHUB_SMTP_SECURITY": "none",
                "IMAGEHUB_SMTP_SENDER": "hub@example.org",
                "IMAGEHUB_NOTIFY_WEBHOOK_URL": receiver.url,
                "IMAGEHUB_NOTIFY_WEBHOOK_SECRET": SECRET,
                **changes,
            },
            env_file=None,
        )
        engine = create_engine(url, **make_engine_options(url))
        create_tables(engine)
        session = Session(engine)
        made.append(session)
        return Teller(session, settings, box, receiver)

    yield make
    for session in made:
        session.close()
        session.get_bind().dispose()  # type: ignore[union-attr]


@pytest.fixture
def teller(make_teller: Callable[..., Teller], sqlite_url: str) -> Teller:
    return make_teller(sqlite_url)


def test_every_kind_has_a_topic() -> None:
    kinds = [kind for topic in TOPICS.values() for kind in topic.kinds]
    # Each enquiry is sent on by itself.
    assert sorted(kinds) == sorted(KINDS.keys() - {"enquiries"})


def test_what_lasts_is_told_once_by_each_way(teller: Teller) -> None:
    assert teller.tell(LOST, missing(2)) == 0, "it may pass by itself"
    teller.let_pass(notices.SETTLE)
    assert teller.tell(LOST, missing(2)) == 2
    assert teller.tell(LOST, missing(2)) == 0
    [text] = teller.box.texts
    assert text.index("OneDrive is not connected") < text.index("2 originals are missing")
    assert "https://example.org/art/admin/connection\n" in text
    assert "https://example.org/art/admin/settings#messages" in text
    assert teller.box.messages[0]["Subject"] == "[ImageHub] 2 things need attention"
    [content] = teller.receiver.contents
    assert [one["kind"] for one in content["attention"]] == ["connection", "missing"]
    assert content["attention"][0]["is_fault"] is True
    assert content["attention"][1]["url"] == (
        "https://example.org/art/admin/library?filter=missing"
    )
    assert (content["hub"], content["is_test"]) == ("https://example.org/art", False)
    assert SECRET not in f"{text}{content}"


def test_a_fault_is_repeated_daily_and_anything_else_weekly_or_if_it_gets_worse(
    teller: Teller,
) -> None:
    teller.settle(LOST, missing(2))
    teller.let_pass(DAY - timedelta(hours=1))
    assert teller.tell(LOST, missing(9)) == 0, "at most once a day"
    teller.let_pass(timedelta(hours=1))
    assert teller.tell(LOST, missing(2)) == 2
    assert "missing" not in teller.box.texts[-1]
    assert teller.tell(LOST, missing(3)) == 2
    assert "3 originals are missing" in teller.box.texts[-1]
    teller.let_pass(6 * DAY)
    assert teller.tell(missing(3)) == 0
    teller.let_pass(DAY)
    assert teller.tell(missing(3)) == 2


def test_what_is_over_is_told_once(teller: Teller) -> None:
    teller.settle(LOST)
    assert teller.settle() == 2
    assert teller.box.messages[-1]["Subject"] == "[ImageHub] No longer a problem"
    assert "- Connection to OneDrive" in teller.box.texts[-1]
    assert teller.receiver.contents[-1]["resolved"][0]["kind"] == "connection"
    assert teller.settle() == 0
    assert teller.settle(LOST) == 0, "a message about it was sent today"
    teller.let_pass(DAY)
    assert teller.tell(LOST) == 2
    teller.settle()
    teller.let_pass(DAY)
    teller.tell()
    assert teller.session.scalars(select(Notice)).all() == []


def test_what_was_not_told_is_forgotten_when_it_is_over(teller: Teller) -> None:
    teller.tell(LOST)
    assert teller.settle() == 0
    assert teller.session.scalars(select(Notice)).all() == []


def test_a_server_that_is_down_gets_one_message_later(teller: Teller) -> None:
    teller.box.refusals += ["451 later", "451 later"]
    assert teller.settle(LOST) == 1, "the webhook"
    assert teller.tell(LOST) == 0, "it waits"
    teller.let_pass(timedelta(minutes=2))
    assert teller.tell(LOST) == 0
    [row] = teller.session.scalars(select(Notice).where(Notice.failure_count > 0))
    assert (row.recipient, row.failure_count) == ("mailto:ada@example.org", 2)
    assert "status 451" in row.problem
    teller.session.rollback()
    teller.let_pass(timedelta(minutes=4))
    assert teller.tell(LOST, missing(1)) == 1
    assert len(teller.box.messages) == 1
    assert len(teller.receiver.requests) == 1
    assert teller.session.scalar(select(Notice).where(Notice.failure_count > 0)) is None


def test_a_recipient_who_gets_nothing_needs_attention_itself(teller: Teller) -> None:
    teller.box.refusals += ["550 no"] * 3
    teller.settle(LOST)
    for _ in range(2):
        teller.let_pass(timedelta(hours=6))
        teller.tell(LOST)
    [(recipient, problem)] = attention._list_failed_recipients(teller.session)
    assert recipient == "mailto:ada@example.org"
    assert "status 550" in problem
    notices.forget_failures(teller.session, recipient)
    assert attention._list_failed_recipients(teller.session) == []


def test_who_is_no_longer_a_recipient_is_forgotten(teller: Teller) -> None:
    teller.box.refusals.append("550 no")
    teller.settle(LOST)
    notices.forget_recipients(teller.session)
    assert teller.session.scalars(select(Notice)).all() == []
    teller.session.rollback()
    teller.settle(LOST)
    teller.settings = replace(teller.settings, notify_emails=())
    teller.tell(LOST)
    assert set(teller.session.scalars(select(Notice.recipient))) == {
        build_channels(teller.settings)[0].recipient
    }


def test_a_retry_has_the_id_of_the_first_try(teller: Teller) -> None:
    """So a receiver can drop a message whose acceptance was not noted."""
    teller.tell(LOST)
    teller.let_pass(notices.SETTLE)
    teller.receiver.answers.append((503, {}))
    teller.tell(LOST)
    for row in teller.session.scalars(select(Notice)):
        row.next_at = None
    teller.session.commit()
    teller.tell(LOST)
    first, second = teller.receiver.contents
    assert first["id"] == second["id"]


def _tell(settings: Settings) -> None:
    engine = create_engine(settings.database_url, **make_engine_options(settings.database_url))
    with Session(engine) as session:
        notices.tell(session, settings, build_channels(settings), [LOST])


@pytest.mark.parametrize("changes", [{"notify_webhook_url": ""}, {"notify_emails": ()}])
def test_a_message_of_a_worker_killed_after_sending_comes_again_with_the_same_id(
    teller: Teller, sqlite_url: str, changes: dict[str, Any]
) -> None:
    teller.settings = replace(teller.settings, database_url=sqlite_url, **changes)
    teller.tell(LOST)
    teller.let_pass(notices.SETTLE)
    # They have the message, and do not answer.
    teller.box.is_holding = teller.receiver.is_holding = True
    worker = FORKS.Process(target=_tell, args=(teller.settings,), daemon=True)
    worker.start()
    wait_until(lambda: teller.box.messages or teller.receiver.requests)
    assert teller.tell(LOST) == 0, "no other worker sends meanwhile"
    worker.kill()
    worker.join()
    teller.box.is_holding = teller.receiver.is_holding = False
    # It ends by itself after ten minutes.
    teller.session.execute(delete(Lease))
    teller.session.commit()
    assert teller.tell(LOST) == 1
    ids = [one["Message-ID"] for one in teller.box.messages]
    ids += [headers["x-imagehub-id"] for headers, _ in teller.receiver.requests]
    assert len(ids) == 2
    assert len(set(ids)) == 1


def test_topics_that_are_off_are_not_told(teller: Teller) -> None:
    teller.settings = replace(teller.settings, notify_about=("expiry",))
    assert teller.settle(LOST, missing(2)) == 0
    teller.settings = replace(teller.settings, notify_about=("originals",))
    assert teller.settle(LOST, missing(2)) == 2
    assert "not connected" not in teller.box.texts[-1]


def test_messages_are_in_the_language_of_the_hub_or_its_first_admin(teller: Teller) -> None:
    teller.session.add(User(name="Ada", name_key="ada", password_hash="-", language="de"))
    teller.session.commit()
    teller.settle(LOST)
    assert "OneDrive ist nicht verbunden" in teller.box.texts[-1]
    assert teller.box.messages[-1]["Subject"] == "[ImageHub] 1 Sache braucht Aufmerksamkeit"
    teller.let_pass(DAY)
    teller.settings = replace(teller.settings, language="en")
    teller.tell(LOST)
    assert "OneDrive is not connected" in teller.box.texts[-1]


def test_of_several_workers_one_tells(
    make_teller: Callable[..., Teller], database_url: str
) -> None:
    teller = make_teller(database_url)
    teller.tell(LOST)
    teller.let_pass(notices.SETTLE)
    engine = teller.session.get_bind()

    def work(_number: int) -> int:
        with Session(engine) as session:
            channels = build_channels(teller.settings)
            return notices.tell(session, teller.settings, channels, [LOST])

    with ThreadPoolExecutor(4) as threads:
        assert sum(threads.map(work, range(4))) == 2
    assert len(teller.box.messages) == 1
    assert len(teller.receiver.requests) == 1


def test_a_title_cannot_break_a_header(teller: Teller) -> None:
    settings = replace(teller.settings, title="Art\r\nBcc: eve@example.org")
    translator = notices.find_translator(teller.session, settings)
    now = notices.get_database_time(teller.session)
    letter = letters.write_test("id", settings, translator, now)
    assert "\n" not in letter.subject
    for channel in build_channels(settings):
        channel.send(letter)
    assert teller.box.messages[0]["Bcc"] is None


def test_an_unknown_failure_of_one_recipient_does_not_keep_others_waiting(
    teller: Teller,
) -> None:
    class Broken:
        recipient = "webhook:broken"

        def send(self, _letter: Letter) -> None:
            raise ServiceBusyError("webhook", "send a message", "It is down.", 86_400.0)

        def check(self) -> str:
            return ""

    channels = [Broken(), *build_channels(teller.settings)]
    notices.tell(teller.session, teller.settings, channels, [LOST])
    teller.let_pass(notices.SETTLE)
    assert notices.tell(teller.session, teller.settings, channels, [LOST]) == 2
    row = teller.session.get(Notice, ("webhook:broken", "connection"))
    assert row is not None and row.next_at is not None
    assert row.next_at - notices.get_database_time(teller.session) <= timedelta(hours=6)
