import os
import socket
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from tests.emulators.person import STEP_BYTES, Person, send_fragment
from tests.fixtures.onedrive import OneDrive

DATA = os.urandom(STEP_BYTES * 2 + 1000)


@pytest.fixture
def person(onedrive: OneDrive) -> Person:
    return Person(onedrive)


@pytest.fixture
def colleague(onedrive_business: OneDrive) -> Person:
    return Person(onedrive_business)


def send_all(url: str, data: bytes = DATA, step: int = STEP_BYTES) -> requests.Response:
    answer = None
    for first in range(0, len(data), step):
        answer = send_fragment(url, data[first : first + step], first, len(data))
        if first + step < len(data):
            assert answer.status_code == 202, answer.text
    assert answer is not None
    return answer


def read_status(url: str) -> dict[str, Any]:
    answer = requests.get(url, timeout=30)
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


def read_error(answer: requests.Response) -> tuple[int, str, str]:
    error = answer.json()["error"]
    return answer.status_code, error["code"], error["innerError"].get("code", "")


def test_fragments_become_a_file(person: Person) -> None:
    times = {
        "createdDateTime": "2001-02-03T04:05:06Z",
        "lastModifiedDateTime": "2002-02-03T04:05:06Z",
    }
    session = person.start_upload("F/front.bin", fileSystemInfo=times, description="a shot")
    assert session["nextExpectedRanges"] == ["0-"]
    url = session["uploadUrl"]
    assert "expirationDateTime" in session
    answer = send_fragment(url, DATA[:STEP_BYTES], 0, len(DATA))
    assert answer.status_code == 202
    assert answer.json()["nextExpectedRanges"] == [f"{STEP_BYTES}-{len(DATA) - 1}"]
    assert read_status(url)["nextExpectedRanges"] == [f"{STEP_BYTES}-{len(DATA) - 1}"]
    assert person.list_names("F") == [], "nothing is there before the end"
    last = send_fragment(url, DATA[STEP_BYTES:], STEP_BYTES, len(DATA))
    assert last.status_code == 201
    item = last.json()
    assert (item["name"], item["size"]) == ("front.bin", len(DATA))
    assert item["fileSystemInfo"] == times
    assert item["description"] == "a shot"
    assert (person.onedrive.root / "F" / "front.bin").read_bytes() == DATA
    assert requests.get(url, timeout=30).status_code == 404
    assert person.find("F/front.bin")["id"] == item["id"]


def test_a_session_by_id_replaces_the_file(person: Person) -> None:
    item = person.put("a.bin", b"old")
    answer = person.call("POST", f"/me/drive/items/{item['id']}/createUploadSession", json={})
    done = send_all(answer.json()["uploadUrl"])
    assert done.status_code == 200
    assert done.json()["id"] == item["id"]
    assert done.json()["cTag"] != item["cTag"]


@pytest.mark.parametrize(("behavior", "expected"), [("replace", "a.bin"), ("rename", "a 1.bin")])
def test_a_taken_name_is_resolved_as_requested(
    person: Person, behavior: str, expected: str
) -> None:
    first = person.put("a.bin", b"old")
    session = person.start_upload("a.bin", **{"@microsoft.graph.conflictBehavior": behavior})
    done = send_all(session["uploadUrl"])
    assert done.json()["name"] == expected
    assert (done.json()["id"] == first["id"]) == (behavior == "replace")


def test_a_taken_name_fails_by_default(person: Person) -> None:
    person.put("a.bin", b"old")
    assert person.start_upload("a.bin", status=409)["error"]["code"] == "nameAlreadyExists"


def test_a_second_session_for_the_same_name_is_refused(person: Person) -> None:
    first = person.start_upload("a.bin")
    assert person.start_upload("A.BIN", status=409)["error"]["code"] == "nameAlreadyExists"
    person.start_upload("b.bin")
    assert requests.delete(first["uploadUrl"], timeout=30).status_code == 204
    assert requests.get(first["uploadUrl"], timeout=30).status_code == 404
    person.start_upload("a.bin")


def test_the_rules_of_a_fragment(person: Person) -> None:
    url = person.start_upload("a.bin")["uploadUrl"]
    total = len(DATA)
    half = DATA[:STEP_BYTES]
    bad = "invalidRequest"
    assert read_error(send_fragment(url, half, 0, "*"))[:2] == (400, bad)
    assert read_error(requests.put(url, data=half, timeout=30))[:2] == (400, bad)
    lying = {"Content-Range": f"bytes 0-{STEP_BYTES}/{total}"}
    assert read_error(requests.put(url, data=half, headers=lying, timeout=30)) == (
        400, bad, "fragmentLengthMismatch",
    )  # fmt: skip
    odd = send_fragment(url, DATA[: STEP_BYTES + 1], 0, total)
    assert read_error(odd) == (400, bad, "fragmentLengthMismatch")
    assert read_error(send_fragment(url, half, 5, 10))[:2] == (400, bad)
    ahead = send_fragment(url, half, STEP_BYTES, total)
    assert read_error(ahead) == (416, "invalidRange", "fragmentOutOfOrder")
    assert send_fragment(url, half, 0, total).status_code == 202
    assert read_error(send_fragment(url, half, 0, total)) == (
        416, "invalidRange", "fragmentOverlap",
    )  # fmt: skip
    assert read_error(send_fragment(url, half, STEP_BYTES, total + 1))[:2] == (400, bad)
    assert read_status(url)["nextExpectedRanges"] == [f"{STEP_BYTES}-{total - 1}"]


def test_a_fragment_of_60_mib_is_too_large(person: Person) -> None:
    url = person.start_upload("a.bin")["uploadUrl"]
    size = 60 << 20
    target = urlsplit(url)
    head = (
        f"PUT {target.path}?{target.query} HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n"
        f"Content-Range: bytes 0-{size - 1}/{size * 2}\r\n\r\n"
    )
    with socket.create_connection((target.hostname, target.port), timeout=30) as connection:
        connection.sendall(head.encode())
        for _ in range(60):
            connection.sendall(bytes(1 << 20))
        assert connection.makefile("rb").readline().startswith(b"HTTP/1.1 413")


def test_an_authorization_header_is_refused(person: Person) -> None:
    url = person.start_upload("a.bin")["uploadUrl"]
    answer = person.call("PUT", url, data=b"x", headers={"Content-Range": "bytes 0-0/1"})
    assert answer.status_code == 401
    assert send_all(url).status_code == 201


def test_an_aborted_fragment_is_discarded_and_sent_again(person: Person) -> None:
    url = person.start_upload("a.bin")["uploadUrl"]
    assert send_fragment(url, DATA[:STEP_BYTES], 0, len(DATA)).status_code == 202
    target = urlsplit(url)
    head = (
        f"PUT {target.path}?{target.query} HTTP/1.1\r\nHost: x\r\n"
        f"Content-Length: {STEP_BYTES}\r\n"
        f"Content-Range: bytes {STEP_BYTES}-{2 * STEP_BYTES - 1}/{len(DATA)}\r\n\r\n"
    )
    with socket.create_connection((target.hostname, target.port), timeout=10) as connection:
        connection.sendall(head.encode() + b"?" * 100_000)
    assert read_status(url)["nextExpectedRanges"] == [f"{STEP_BYTES}-{len(DATA) - 1}"]
    assert send_fragment(url, DATA[STEP_BYTES:], STEP_BYTES, len(DATA)).status_code == 201
    assert (person.onedrive.root / "a.bin").read_bytes() == DATA


def test_a_conflict_at_the_end_can_be_resolved_by_metadata(person: Person) -> None:
    url = person.start_upload("a.bin")["uploadUrl"]
    (person.onedrive.root / "a.bin").write_bytes(b"somebody was faster")
    assert read_error(send_all(url))[:2] == (409, "nameAlreadyExists")
    assert read_status(url)["nextExpectedRanges"] == []
    key = "@microsoft.graph.conflictBehavior"
    body = {"name": "a.bin", key: "rename", "@microsoft.graph.sourceUrl": url}
    place = f"/me/drive/items/{person.root_id}:/a.bin"
    answer = person.call("PUT", place, json=body)
    assert answer.status_code == 201, answer.text
    assert answer.json()["name"] == "a 1.bin"
    assert (person.onedrive.root / "a.bin").read_bytes() == b"somebody was faster"
    assert (person.onedrive.root / "a 1.bin").read_bytes() == DATA


@pytest.mark.parametrize("cloud", ["onedrive", "onedrive_business"], ids=["personal", "business"])
def test_a_deferred_commit_waits_for_its_request(
    request: pytest.FixtureRequest, cloud: str
) -> None:
    person = Person(request.getfixturevalue(cloud))
    answer = person.call(
        "POST", "/me/drive/root:/a.bin:/createUploadSession", json={"deferCommit": True}
    )
    url = answer.json()["uploadUrl"]
    early = requests.post(url, timeout=30)
    assert read_error(early) == (400, "invalidRequest", "uploadSessionIncomplete")
    assert send_all(url).status_code == 202
    assert person.list_names() == []
    if cloud == "onedrive_business":
        done = requests.post(url, timeout=30)
    else:
        body = {"@microsoft.graph.sourceUrl": url}
        done = person.call("PUT", "/me/drive/root:/a.bin", json=body)
    assert done.status_code == 201, done.text
    assert (person.onedrive.root / "a.bin").read_bytes() == DATA


def test_sessions_expire(person: Person) -> None:
    person.onedrive.set_fault("upload_session_lifetime", seconds=1)
    url = person.start_upload("a.bin")["uploadUrl"]
    time.sleep(1.1)
    assert read_error(requests.get(url, timeout=30)) == (
        404, "itemNotFound", "uploadSessionNotFound",
    )  # fmt: skip
    person.start_upload("a.bin")


def test_if_match_detects_a_change_in_between(person: Person) -> None:
    item = person.put("a.bin", b"one")
    person.put("a.bin", b"two")
    place = f"/me/drive/items/{item['id']}/createUploadSession"
    stale = person.call("POST", place, json={}, headers={"If-Match": item["eTag"]})
    assert stale.status_code == 412


def test_business_refuses_unsupported_options(colleague: Person, person: Person) -> None:
    assert colleague.start_upload("a.bin", status=400, fileSize=10)
    assert person.start_upload("a.bin", fileSize=10)
    assert person.start_upload("c.bin", status=507, fileSize=6 << 30)["error"]["code"] == (
        "quotaLimitReached"
    )


@pytest.mark.parametrize("name", ["a:b", "CON", "x?"])
def test_a_forbidden_name_gets_no_session(person: Person, name: str) -> None:
    if ":" in name:
        assert person.start_upload("good.bin", status=400, name=name)
    else:
        assert person.start_upload(name, status=400)["error"]["code"] == "invalidRequest"


def test_a_full_drive_refuses_uploads(start_onedrive: Callable[..., OneDrive]) -> None:
    person = Person(start_onedrive(quota_bytes=STEP_BYTES * 2, auto_consent=True))
    url = person.start_upload("a.bin")["uploadUrl"]
    answer = send_fragment(url, DATA[:STEP_BYTES], 0, len(DATA))
    assert read_error(answer)[:2] == (507, "quotaLimitReached")
    person.put("small.bin", b"x" * 600_000)
    assert person.refused("PUT", "/me/drive/root:/b:/content", data=b"x" * 60_000) == (
        507,
        "quotaLimitReached",
    )
    assert person.get("/me/drive")["quota"]["state"] == "nearing"


def test_a_browser_may_send_content_range_but_no_other_headers(person: Person) -> None:
    url = person.start_upload("a.bin")["uploadUrl"]
    answer = requests.options(url, headers={"Origin": "http://localhost:3000"}, timeout=30)
    assert answer.ok
    allowed = answer.headers["Access-Control-Allow-Headers"].lower().split(", ")
    assert "content-range" in allowed
    assert "authorization" not in allowed
    assert "*" not in allowed
    assert "PUT" in answer.headers["Access-Control-Allow-Methods"]
    done = send_all(url)
    assert done.headers["Access-Control-Allow-Origin"] == "*"
    gone = requests.get(url, timeout=30)
    assert (gone.status_code, gone.headers["Access-Control-Allow-Origin"]) == (404, "*")


def test_the_same_fragment_twice_at_once_counts_once(person: Person) -> None:
    from concurrent.futures import ThreadPoolExecutor

    url = person.start_upload("a.bin")["uploadUrl"]
    with ThreadPoolExecutor(4) as pool:
        statuses = sorted(
            answer.status_code
            for answer in pool.map(
                lambda _: send_fragment(url, DATA[:STEP_BYTES], 0, len(DATA)), range(4)
            )
        )
    assert statuses == [202, 416, 416, 416]
    assert send_fragment(url, DATA[STEP_BYTES:], STEP_BYTES, len(DATA)).status_code == 201
    assert (person.onedrive.root / "a.bin").read_bytes() == DATA
