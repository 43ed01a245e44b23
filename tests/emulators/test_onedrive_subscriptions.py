import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Empty, Queue
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.emulators.person import Person
from tests.fixtures.onedrive import OneDrive


class Receiver:
    """A small web hook that returns the token and stores the notifications."""

    def __init__(self) -> None:
        self.notes: Queue[dict[str, Any]] = Queue()
        self.handshakes = 0
        self.answers_with: bytes | None = None
        self.content_type = "text/plain"
        self.statuses: list[int] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                token = parse_qs(urlsplit(self.path).query).get("validationToken")
                status, answer = 202, b""
                if token:
                    receiver.handshakes += 1
                    status, answer = 200, receiver.answers_with or token[0].encode()
                else:
                    status = receiver.statuses.pop(0) if receiver.statuses else 202
                    if status == 202:
                        receiver.notes.put(json.loads(body))
                self.send_response(status)
                self.send_header("Content-Type", receiver.content_type)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *args: Any) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook?owner=me"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def wait_for_note(self) -> dict[str, Any]:
        return self.notes.get(timeout=20)

    def expect_silence(self, seconds: float = 1.0) -> None:
        with pytest.raises(Empty):
            self.notes.get(timeout=seconds)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.server.shutdown()
    receiver.server.server_close()


@pytest.fixture
def person(onedrive: OneDrive) -> Person:
    return Person(onedrive)


def format_in(**span: float) -> str:
    return f"{datetime.now(UTC) + timedelta(**span):%Y-%m-%dT%H:%M:%SZ}"


def subscribe(person: Person, receiver: Receiver, status: int = 201, **changes: Any) -> Any:
    body = {
        "changeType": "updated",
        "notificationUrl": receiver.url,
        "resource": "me/drive/root",
        "expirationDateTime": format_in(days=1),
        "clientState": "a secret of ours",
        **changes,
    }
    answer = person.call("POST", "/subscriptions", json=body)
    assert answer.status_code == status, answer.text
    return answer.json()


def test_a_change_is_sent_to_the_subscriber(person: Person, receiver: Receiver) -> None:
    subscription = subscribe(person, receiver)
    assert receiver.handshakes == 1
    assert subscription["id"]
    assert subscription["applicationId"]
    person.put("a.txt", b"a")
    (note,) = receiver.wait_for_note()["value"]
    assert note["subscriptionId"] == subscription["id"]
    assert note["clientState"] == "a secret of ours"
    assert (note["changeType"], note["resource"]) == ("updated", "me/drive/root")
    receiver.expect_silence()


def test_changes_by_other_programs_are_sent(person: Person, receiver: Receiver) -> None:
    subscribe(person, receiver)
    (person.onedrive.root / "a.txt").write_text("a")
    assert receiver.wait_for_note()["value"]


def test_a_personal_folder_can_be_subscribed_to(person: Person, receiver: Receiver) -> None:
    person.create_folder(person.root_id, "F")
    subscribe(person, receiver, resource="me/drive/root:/F:")
    person.put("outside.txt", b"a")
    receiver.expect_silence()
    person.put("F/inside.txt", b"a")
    assert receiver.wait_for_note()["value"]


def test_a_failed_notification_is_sent_again(person: Person, receiver: Receiver) -> None:
    subscribe(person, receiver)
    receiver.statuses = [500]
    person.put("a.txt", b"a")
    assert receiver.wait_for_note()["value"]


def test_changes_before_a_restart_are_sent_after_it(person: Person, receiver: Receiver) -> None:
    subscribe(person, receiver)
    person.onedrive.kill()
    (person.onedrive.root / "a.txt").write_text("a")
    person.onedrive.start()
    assert receiver.wait_for_note()["value"]


def test_a_subscription_can_be_renewed_and_deleted(person: Person, receiver: Receiver) -> None:
    place = f"/subscriptions/{subscribe(person, receiver)['id']}"
    until = format_in(days=20)
    renewed = person.call("PATCH", place, json={"expirationDateTime": until})
    assert renewed.json()["expirationDateTime"] == until
    assert person.get(place)["expirationDateTime"] == until
    assert len(person.get("/subscriptions")["value"]) == 1
    assert person.refused("PATCH", place, json={"expirationDateTime": format_in(days=40)})[0] == 400
    assert person.call("POST", f"{place}/reauthorize").status_code == 204
    assert person.call("DELETE", place).status_code == 204
    assert person.refused("GET", place) == (404, "ResourceNotFound")
    person.put("a.txt", b"a")
    receiver.expect_silence()


def test_the_same_subscription_twice_is_refused_with_the_first_ones_id(
    person: Person, receiver: Receiver
) -> None:
    first = subscribe(person, receiver)
    second = subscribe(person, receiver, status=409)
    assert first["id"] in second["error"]["message"]


@pytest.mark.parametrize(
    "changes",
    [
        {"changeType": "created"},
        {"changeType": "created,updated"},
        {"resource": "me/messages"},
        {"resource": None},
        {"notificationUrl": "http://example.com/hook"},
        {"notificationUrl": "nonsense"},
        {"expirationDateTime": "2001-01-01T00:00:00Z"},
        {"expirationDateTime": "9999-01-01T00:00:00Z"},
        {"expirationDateTime": None},
        {"clientState": "x" * 129},
    ],
)
def test_a_bad_subscription_is_refused(
    person: Person, receiver: Receiver, changes: dict[str, Any]
) -> None:
    subscribe(person, receiver, status=400, **changes)
    assert person.get("/subscriptions")["value"] == []


@pytest.mark.parametrize(
    ("answer", "content_type"),
    [(b"something else", "text/plain"), (None, "text/html"), (b"Validation%3A", "text/plain")],
)
def test_a_receiver_must_return_the_token_as_text(
    person: Person, receiver: Receiver, answer: bytes | None, content_type: str
) -> None:
    receiver.answers_with, receiver.content_type = answer, content_type
    refused = subscribe(person, receiver, status=400)
    assert refused["error"]["code"] == "ValidationError"


def test_an_unreachable_receiver_is_an_error(person: Person, receiver: Receiver) -> None:
    url = "http://127.0.0.1:9/hook"
    refused = subscribe(person, receiver, status=400, notificationUrl=url)
    assert refused["error"]["code"] == "ValidationError"


def test_business_needs_the_wider_scope_and_the_root(
    onedrive_business: OneDrive, receiver: Receiver
) -> None:
    narrow = Person(onedrive_business)
    assert subscribe(narrow, receiver, status=403)["error"]["code"] == "accessDenied"
    wide = Person(onedrive_business, "Files.ReadWrite.All offline_access")
    wide.create_folder(wide.root_id, "F")
    subscribe(wide, receiver, status=400, resource="me/drive/root:/F")
    drive_id = wide.get("/me/drive")["id"]
    subscribe(wide, receiver, resource=f"/drives/{drive_id}/root")


def test_notifications_can_be_lost(person: Person, receiver: Receiver) -> None:
    subscribe(person, receiver)
    person.onedrive.set_fault("notifications_lost")
    person.put("a.txt", b"a")
    receiver.expect_silence(1.5)
    person.onedrive.clear_faults()
    person.put("b.txt", b"b")
    assert receiver.wait_for_note()["value"]


def test_lifecycle_notifications_go_to_their_own_address(
    person: Person, receiver: Receiver
) -> None:
    plain = subscribe(person, receiver)
    url = f"{receiver.url}&for=lifecycle"
    whole = subscribe(person, receiver, notificationUrl=url, lifecycleNotificationUrl=url)
    assert person.onedrive.send_lifecycle("missed") == [202]
    (note,) = receiver.wait_for_note()["value"]
    assert (note["subscriptionId"], note["lifecycleEvent"]) == (whole["id"], "missed")
    assert note["clientState"] == "a secret of ours" and "changeType" not in note
    assert person.onedrive.send_lifecycle("subscriptionRemoved") == [202]
    assert [one["id"] for one in person.get("/subscriptions")["value"]] == [plain["id"]]


def test_a_subscription_is_silent_until_it_is_reauthorized(
    person: Person, receiver: Receiver
) -> None:
    subscription = subscribe(person, receiver, lifecycleNotificationUrl=receiver.url)
    place = f"/subscriptions/{subscription['id']}"
    assert person.onedrive.send_lifecycle("reauthorizationRequired") == [202]
    assert receiver.wait_for_note()["value"][0]["lifecycleEvent"] == "reauthorizationRequired"
    person.put("a.txt", b"a")
    receiver.expect_silence(1.5)
    renewed = person.call("PATCH", place, json={"expirationDateTime": format_in(days=2)}).json()
    assert set(renewed) == set(person.get(place)), "no field of the emulator's own"
    assert receiver.wait_for_note()["value"][0]["changeType"] == "updated"
