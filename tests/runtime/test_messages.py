"""Messages from outside: the worker sends them, ``notify-test`` and the doctor try the ways."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from threading import Event

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import select, update

from imagehub.cli import main
from imagehub.config import Settings, SettingsError, load_settings
from imagehub.database import now_utc
from imagehub.domain.imports.scratch import Scratch
from imagehub.domain.site import notices
from imagehub.models import DriveAccount, Enquiry, Notice
from imagehub.runtime.chores import Chores
from imagehub.runtime.doctor.outside import check_messages
from imagehub.runtime.timing import Timing
from imagehub.runtime.worker import Worker
from tests.fixtures.importing import ImportHub
from tests.fixtures.programs import wait_until
from tests.fixtures.receivers import PASSWORD, USER, MailBox, Receiver

SECRET = "a-key-of-the-signature"
Start = Callable[..., MailBox]


@pytest.fixture
def box(start_mail_server: Start) -> MailBox:
    return start_mail_server("starttls", needs_user=True)


@pytest.fixture
def hub(import_hub: ImportHub, box: MailBox, receiver: Receiver) -> ImportHub:
    import_hub.settings = replace(
        import_hub.settings,
        notify_emails=("ada@example.org",),
        smtp_host="localhost",
        smtp_port=box.port,
        smtp_sender="hub@example.org",
        smtp_user=USER,
        smtp_password=PASSWORD,
        notify_webhook_url=receiver.url,
        notify_webhook_secret=SECRET,
    )
    return import_hub


def run(settings: Settings) -> Result:
    return CliRunner().invoke(main, ["notify-test"], env=settings.to_environment())


def test_a_test_message_goes_to_every_recipient(
    hub: ImportHub, box: MailBox, receiver: Receiver
) -> None:
    result = run(hub.settings)
    assert result.exit_code == 0, result.output
    assert [line[:4].strip() for line in result.stdout.splitlines()] == ["ok", "ok"]
    assert box.messages[0]["Subject"].endswith("Test message")
    assert receiver.contents[0]["is_test"] is True


def test_each_failure_is_said_plainly(hub: ImportHub, receiver: Receiver) -> None:
    receiver.answers.append((403, {}))
    result = run(replace(hub.settings, smtp_password="falsch"))
    assert result.exit_code == 1
    mail, hook = result.stdout.splitlines()
    assert mail.startswith(
        "FAIL  mailto:ada@example.org: The mail server localhost does not accept"
    )
    assert "FAIL  webhook:127.0.0.1" in hook
    assert "status 403" in hook
    assert "falsch" not in result.output
    assert "top-secret-part" not in result.output


def test_without_recipients_it_says_what_to_set(import_hub: ImportHub) -> None:
    result = run(import_hub.settings)
    assert result.exit_code == 1
    assert "IMAGEHUB_NOTIFY_EMAILS" in result.output


def test_the_doctor_tries_the_ways_without_sending(
    hub: ImportHub, box: MailBox, receiver: Receiver
) -> None:
    assert [fact[0] for fact in check_messages(hub.settings)] == ["ok", "ok"]
    wrong = replace(hub.settings, smtp_password="falsch")
    assert [fact[0] for fact in check_messages(wrong)] == ["fault", "ok"]
    assert box.messages == []
    assert receiver.requests == []


def test_a_worker_tells_what_needs_attention(
    hub: ImportHub, box: MailBox, receiver: Receiver
) -> None:
    hub.session.execute(update(DriveAccount).values(state="needs_reconnect", state_reason="Gone."))
    hub.session.commit()
    worker = Worker(
        hub.settings, hub.engine, hub.clients, Timing(grace_seconds=0.1, upkeep_seconds=0.1)
    )
    worker.start()

    def is_noted() -> bool:
        hub.session.rollback()
        return len(hub.session.scalars(select(Notice.kind)).all()) >= 2

    try:
        wait_until(is_noted)
        hub.session.execute(update(Notice).values(since_at=now_utc() - notices.SETTLE))
        hub.session.commit()
        wait_until(lambda: bool(box.messages and receiver.requests))
    finally:
        worker.stop()
    assert "Gone. The gallery still shows its images" in box.texts[0]
    assert len(box.messages) == 1


def test_a_worker_sends_enquiries_on_and_deletes_old_ones(
    hub: ImportHub, box: MailBox, receiver: Receiver
) -> None:
    for message, days in (("Long ago", 400), ("Is it available?", 0.01)):
        at = now_utc() - timedelta(days=days)
        text = {"name": "Mara", "email": "mara@example.org", "message": message}
        hub.session.add(Enquiry(**text, text_hash=message, created_at=at, changed_at=at))
    hub.session.commit()
    worker = Worker(
        hub.settings, hub.engine, hub.clients, Timing(grace_seconds=0.1, upkeep_seconds=0.1)
    )
    worker.start()

    def list_messages() -> list[str]:
        hub.session.rollback()
        return list(hub.session.scalars(select(Enquiry.message)))

    try:
        wait_until(lambda: bool(box.messages and receiver.requests))
        wait_until(lambda: list_messages() == ["Is it available?"])
    finally:
        worker.stop()
    assert [one["Reply-To"] for one in box.messages] == ["mara@example.org"]
    assert receiver.contents[0]["enquiry"]["name"] == "Mara"


# --- Settings -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"NOTIFY_EMAILS": "ada@example.org"}, "SMTP_HOST"),
        ({"NOTIFY_EMAILS": "Ada <ada@example.org>"}, "plain e-mail address"),
        ({"NOTIFY_EMAILS": "ada@example.org\nBcc: eve@example.org"}, "plain e-mail address"),
        ({"SMTP_USER": "hub"}, "SMTP_PASSWORD"),
        (
            {"SMTP_HOST": "mail.example.org", "SMTP_SECURITY": "none", "SMTP_USER": "hub",
             "SMTP_PASSWORD": "x"},
            "unencrypted",
        ),
        ({"NOTIFY_WEBHOOK_URL": "http://example.org/"}, "https://"),
        ({"NOTIFY_WEBHOOK_URL": "https://example.org/"}, "NOTIFY_WEBHOOK_SECRET"),
        ({"NOTIFY_ABOUT": "weather"}, "some of connection"),
        ({"MS_CLIENT_SECRET_EXPIRES": "31.5.2027"}, "2027-05-31"),
    ],
)  # fmt: skip
def test_settings_that_cannot_work_are_refused(
    tmp_path: Path, changes: dict[str, str], fault: str
) -> None:
    given = {f"IMAGEHUB_{name}": value for name, value in changes.items()}
    with pytest.raises(SettingsError, match=fault):
        load_settings({"IMAGEHUB_DATA_DIR": str(tmp_path), **given}, env_file=None)


def test_a_webhook_of_this_machine_or_a_private_network_is_allowed(tmp_path: Path) -> None:
    for url in ("http://localhost:8/x", "http://[::1]/x", "https://10.0.0.7/x"):
        given = {
            "IMAGEHUB_DATA_DIR": str(tmp_path),
            "IMAGEHUB_NOTIFY_WEBHOOK_URL": url,
            "IMAGEHUB_NOTIFY_WEBHOOK_SECRET": SECRET,
        }
        settings = load_settings(given, env_file=None)
        assert settings.notify_webhook_url == url
        assert url not in str(settings.describe())
        assert url not in repr(settings)


def test_nothing_is_sent_while_nothing_needs_attention(hub: ImportHub, box: MailBox) -> None:
    end = now_utc().date() + timedelta(days=300)
    settings = replace(hub.settings, ms_client_secret_expires=end)
    scratch = Scratch(hub.settings.data_dir)
    chores = Chores(settings, hub.engine, hub.clients, scratch, Timing(), "worker", Event())
    chores.tell(hub.session)
    scratch.close()
    assert hub.session.scalars(select(Notice)).all() == []
    assert box.messages == []
