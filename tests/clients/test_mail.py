"""Mail through real servers: what is sent, and what is said when it fails."""

import socket
import threading
from collections.abc import Callable

import pytest

from imagehub.clients.channels import Notice
from imagehub.clients.mail import MailChannel, MailServer
from imagehub.errors import ServiceBusyError, ServiceRefusedError
from tests.fixtures.receivers import PASSWORD, USER, MailBox
from tests.support import get_free_port

NOTICE = Notice("0123abcd", "[Kunst] Größe", "Ein Original fehlt – „Düne“.\n")
Start = Callable[..., MailBox]


def make_channel(port: int, security: str = "none", password: str = "", **more: str) -> MailChannel:
    server = MailServer(
        more.get("host", "localhost"),
        port,
        security,
        USER if password else "",
        password,
        timeout_seconds=5.0,
    )
    return MailChannel(server, "hub@example.org", "ada@example.org")


@pytest.mark.parametrize("security", ["none", "starttls", "tls"])
def test_mail_arrives_as_it_was_written(start_mail_server: Start, security: str) -> None:
    has_user = security == "starttls"
    box = start_mail_server(security, needs_user=has_user)
    channel = make_channel(box.port, security, PASSWORD if has_user else "")
    assert "accepts ImageHub" in channel.check()
    assert box.messages == []
    channel.send(NOTICE)
    [message] = box.messages
    assert message["Subject"] == NOTICE.subject
    assert message["From"] == "hub@example.org"
    assert message["Message-ID"] == "<0123abcd@example.org>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message.get_content() == NOTICE.text
    assert box.recipients == [["ada@example.org"]]
    # With TLS from the start the server could not read anything else.
    assert box.peers_with_tls == [security == "starttls"]


def refuse(channel: MailChannel) -> ServiceRefusedError:
    with pytest.raises(ServiceRefusedError) as caught:
        channel.send(NOTICE)
    assert PASSWORD not in str(caught.value)
    return caught.value


def test_a_wrong_password_is_said(start_mail_server: Start) -> None:
    box = start_mail_server("starttls", needs_user=True)
    error = refuse(make_channel(box.port, "starttls", "falsch"))
    assert error.reason == "wrong_credentials"
    assert "status 535" in str(error)
    assert box.messages == []


def test_a_certificate_nobody_knows_is_refused(
    start_mail_server: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    starttls, tls = start_mail_server("starttls"), start_mail_server("tls")
    monkeypatch.delenv("SSL_CERT_FILE")
    for box, security in ((starttls, "starttls"), (tls, "tls")):
        assert refuse(make_channel(box.port, security)).reason == "certificate"
        assert box.messages == []


def test_a_certificate_for_another_name_is_refused(start_mail_server: Start) -> None:
    box = start_mail_server("starttls")
    assert refuse(make_channel(box.port, "starttls", host="127.0.0.1")).reason == "certificate"


def test_mail_is_not_sent_in_the_clear_if_tls_is_wanted(start_mail_server: Start) -> None:
    box = start_mail_server("none")
    assert refuse(make_channel(box.port, "starttls")).reason == "no_tls"
    assert refuse(make_channel(box.port, "tls")).reason == "no_tls"
    assert box.messages == []


def test_a_passing_refusal_is_not_a_final_one(start_mail_server: Start) -> None:
    box = start_mail_server()
    box.refusals += ["451 4.7.1 Greylisted", "550 5.1.1 No such user"]
    with pytest.raises(ServiceBusyError, match="status 451"):
        make_channel(box.port).send(NOTICE)
    assert refuse(make_channel(box.port)).reason == "refused"
    make_channel(box.port).send(NOTICE)
    assert len(box.messages) == 1


def test_a_server_that_is_down_or_silent_is_said() -> None:
    with pytest.raises(ServiceBusyError, match="cannot be reached"):
        make_channel(get_free_port()).send(NOTICE)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        server = MailServer("127.0.0.1", silent.getsockname()[1], "none", timeout_seconds=0.2)
        with pytest.raises(ServiceBusyError, match=r"within 0\.2 seconds"):
            MailChannel(server, "hub@example.org", "ada@example.org").check()


@pytest.mark.parametrize("security", ["none", "tls"])
def test_a_server_that_sends_a_byte_now_and_then_is_left_after_a_while(
    dripping_server: int, security: str
) -> None:
    server = MailServer(
        "127.0.0.1", dripping_server, security, timeout_seconds=30.0, total_seconds=0.3
    )
    with pytest.raises(ServiceBusyError, match=r"within 0\.3 seconds"):
        MailChannel(server, "hub@example.org", "ada@example.org").check()
    assert not any(isinstance(one, threading.Timer) for one in threading.enumerate())


def test_a_server_that_hangs_up_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def hang_up() -> None:
            connection, _ = server.accept()
            connection.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        with pytest.raises(ServiceBusyError, match="ended the connection"):
            make_channel(server.getsockname()[1], host="127.0.0.1").send(NOTICE)
        thread.join()
