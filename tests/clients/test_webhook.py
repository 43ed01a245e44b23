"""Webhooks to a real receiver: signature, refusals, and what is not told."""

import hashlib
import hmac
import json
import socket
import time

import pytest

from imagehub.clients.channels import Notice
from imagehub.clients.webhook import WebhookChannel
from imagehub.errors import ServiceBusyError, ServiceError, ServiceRefusedError
from tests.fixtures.receivers import Receiver
from tests.support import get_free_port

SECRET = "a-key-of-the-signature"
NOTICE = Notice("0123abcd", "Subject", "Text", {"hub": "https://example.org", "title": "Größe"})


def test_the_signature_covers_time_and_body(receiver: Receiver) -> None:
    """As docs/deployment.md shows how to verify it."""
    WebhookChannel(receiver.url, SECRET).send(NOTICE)
    [(headers, body)] = receiver.requests
    timestamp = headers["x-imagehub-timestamp"]
    assert abs(time.time() - int(timestamp)) < 600
    signed = timestamp.encode() + b"." + body
    wanted = "sha256=" + hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
    assert headers["x-imagehub-signature"] == wanted
    assert headers["x-imagehub-id"] == "0123abcd"
    assert headers["content-type"] == "application/json"
    assert json.loads(body) == {"id": "0123abcd", **NOTICE.data}
    assert SECRET not in f"{headers}{body!r}"


def test_a_redirect_is_not_followed(receiver: Receiver) -> None:
    receiver.answers.append((307, {"Location": receiver.url}))
    with pytest.raises(ServiceRefusedError) as caught:
        WebhookChannel(receiver.url, SECRET).send(NOTICE)
    assert caught.value.reason == "redirect"
    assert len(receiver.requests) == 1


def test_a_busy_receiver_is_asked_again_and_a_refusing_one_is_named(receiver: Receiver) -> None:
    channel = WebhookChannel(receiver.url, SECRET)
    receiver.answers += [(503, {"Retry-After": "120"}), (429, {}), (403, {})]
    with pytest.raises(ServiceBusyError) as caught:
        channel.send(NOTICE)
    assert caught.value.retry_after_seconds == 120
    with pytest.raises(ServiceBusyError):
        channel.send(NOTICE)
    with pytest.raises(ServiceRefusedError, match="status 403"):
        channel.send(NOTICE)
    channel.send(NOTICE)
    assert len(receiver.requests) == 4


def test_a_check_sends_no_message(receiver: Receiver) -> None:
    receiver.answers.append((405, {}))
    assert "answers" in WebhookChannel(receiver.url, SECRET).check()
    assert receiver.requests == []


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_receiver_that_sends_a_byte_now_and_then_is_left_after_a_while(
    dripping_server: int, scheme: str
) -> None:
    url = f"{scheme}://127.0.0.1:{dripping_server}/hook"
    channel = WebhookChannel(url, SECRET, timeout_seconds=30.0, total_seconds=0.3)
    with pytest.raises(ServiceBusyError, match=r"within 0\.3 seconds"):
        channel.send(NOTICE)


def test_errors_do_not_tell_the_address(receiver: Receiver) -> None:
    receiver.answers.append((500, {}))
    closed = f"http://127.0.0.1:{get_free_port()}/hook/top-secret-part"
    with socket.create_server(("127.0.0.1", 0)) as silent:
        slow = f"http://127.0.0.1:{silent.getsockname()[1]}/hook/top-secret-part"
        for url in (receiver.url, closed, slow):
            channel = WebhookChannel(url, SECRET, timeout_seconds=0.2)
            with pytest.raises(ServiceError) as caught:
                channel.send(NOTICE)
            assert "top-secret-part" not in f"{caught.value}{channel!r}{channel.recipient}"
            assert caught.value.__suppress_context__ or caught.value.__cause__ is None
