import re
from time import monotonic
from typing import Any

import pytest
import requests

from imagehub.emulators.onedrive.faults import KINDS, RequestLog
from tests.emulators.person import Person, make_picture, refresh, send_fragment
from tests.fixtures.onedrive import OneDrive

DATA = bytes(range(256)) * 400


@pytest.fixture
def person(onedrive: OneDrive) -> Person:
    return Person(onedrive)


# --- Any call -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (429, "activityLimitReached"),
        (500, "generalException"),
        (503, "serviceNotAvailable"),
        (504, "gatewayTimeout"),
        (509, "bandwidthLimitExceeded"),
    ],
)
def test_a_status_has_its_error_code(person: Person, status: int, code: str) -> None:
    person.onedrive.set_fault("status", status=status, times=1)
    assert person.refused("GET", "/me/drive") == (status, code)
    assert person.get("/me/drive")


def test_retry_after_is_sent_as_set(person: Person) -> None:
    person.onedrive.set_fault("status", status=429, retry_after="2.128", times=1)
    person.onedrive.set_fault("status", status=503, times=1)
    assert person.call("GET", "/me/drive").headers["Retry-After"] == "2.128"
    assert "Retry-After" not in person.call("GET", "/me/drive").headers


def test_a_fault_acts_only_on_the_nth_matching_calls(person: Person) -> None:
    person.put("a.txt", b"a")
    person.onedrive.set_fault(
        "status", status=503, method="GET", path=r"/children\?.*top=1", skip=1, times=2
    )
    statuses = []
    for _ in range(5):
        assert person.call("GET", "/me/drive/root/children").status_code == 200
        statuses.append(person.call("GET", "/me/drive/root/children?$top=1").status_code)
    assert statuses == [200, 503, 503, 200, 200]
    (fault,) = person.onedrive.list_faults()
    assert fault["fired"] == 2


def test_counts_survive_a_crash(person: Person) -> None:
    person.onedrive.set_fault("status", status=503, times=2)
    assert person.call("GET", "/me/drive").status_code == 503
    person.onedrive.restart()
    assert person.call("GET", "/me/drive").status_code == 503
    assert person.call("GET", "/me/drive").status_code == 200


def test_a_single_fault_can_be_removed(person: Person) -> None:
    first = person.onedrive.set_fault("status", status=503, path="/me/drive$")
    person.onedrive.set_fault("status", status=500, path="/root$")
    person.onedrive.clear_faults(first)
    assert person.call("GET", "/me/drive").status_code == 200
    assert person.call("GET", "/me/drive/root").status_code == 500


def test_a_call_can_be_dropped_delayed_or_answered_with_garbage(person: Person) -> None:
    person.onedrive.set_fault("drop", method="PUT", times=1)
    with pytest.raises(requests.ConnectionError):
        person.put("a.txt", b"a")
    assert person.list_names() == []
    person.onedrive.set_fault("lost_answer", method="PUT", times=1)
    with pytest.raises(requests.ConnectionError):
        person.put("a.txt", b"a")
    assert person.list_names() == ["a.txt"]
    person.onedrive.set_fault("delay", seconds=0.3, times=1)
    started = monotonic()
    person.get("/me/drive")
    assert monotonic() - started >= 0.3
    person.onedrive.set_fault("garbage", times=1)
    answer = person.call("GET", "/me/drive")
    assert answer.status_code == 200
    assert answer.text.startswith("<html>")


def test_only_the_control_address_answers_when_the_service_is_down(person: Person) -> None:
    person.onedrive.set_fault("gone")
    for url in (person.onedrive.graph_url, person.onedrive.login_url):
        with pytest.raises(requests.ConnectionError):
            requests.get(url, timeout=10)
    person.onedrive.clear_faults()
    assert person.get("/me/drive")


def test_the_sign_in_page_can_fail(onedrive: OneDrive) -> None:
    onedrive.set_fault("authorize_error", error="temporarily_unavailable")
    from tests.emulators.person import make_authorize_url, read_answer

    answer = read_answer(onedrive.consent(make_authorize_url()))
    assert (answer["error"], answer["state"]) == ("temporarily_unavailable", "st&te")


def test_the_sign_in_page_can_redirect_to_another_host(onedrive: OneDrive) -> None:
    from tests.emulators.person import make_authorize_url, read_answer

    onedrive.set_fault("other_login_host")
    first = onedrive.to_local(make_authorize_url())
    answer = requests.get(first, allow_redirects=False, timeout=30)
    there = answer.headers["Location"]
    assert (answer.status_code, there) == (302, first.replace("127.0.0.1", "localhost"))
    assert read_answer(onedrive.consent(there))["code"]


# --- Downloads ----------------------------------------------------------------------------------


def test_an_address_can_expire(person: Person) -> None:
    url = person.put("a.bin", DATA)["@microsoft.graph.downloadUrl"]
    number = person.onedrive.set_fault("download_url_expired")
    answer = requests.get(url, timeout=30)
    assert answer.status_code == 401
    assert answer.json()["error"]["innerError"]["code"] == "expiredToken"
    person.onedrive.clear_faults(number)
    assert requests.get(url, timeout=30).content == DATA


def test_a_download_can_be_truncated(person: Person) -> None:
    url = person.put("a.bin", DATA)["@microsoft.graph.downloadUrl"]
    person.onedrive.set_fault("truncated_download", bytes=1000, times=1)
    with requests.get(url, stream=True, timeout=30) as answer:
        assert answer.headers["Content-Length"] == str(len(DATA))
        with pytest.raises(requests.exceptions.ChunkedEncodingError, match="1000 bytes read"):
            _ = answer.content
    assert requests.get(url, timeout=30).content == DATA


def test_a_download_can_be_corrupt(person: Person) -> None:
    url = person.put("a.bin", DATA)["@microsoft.graph.downloadUrl"]
    person.onedrive.set_fault("corrupted_download", item="^/a.bin$", times=1)
    wrong = requests.get(url, timeout=30).content
    assert len(wrong) == len(DATA)
    assert sum(one != other for one, other in zip(wrong, DATA, strict=True)) == 1


def test_a_download_can_be_slow(person: Person) -> None:
    url = person.put("a.bin", DATA[:30_000])["@microsoft.graph.downloadUrl"]
    person.onedrive.set_fault("slow_download", bytes_per_second=100_000)
    started = monotonic()
    assert requests.get(url, timeout=30).content == DATA[:30_000]
    assert monotonic() - started >= 0.25


def test_malware_cannot_be_downloaded(person: Person) -> None:
    item = person.put("bad.bin", DATA)
    person.put("good.bin", DATA)
    person.onedrive.set_fault("malware", item="bad")
    assert "malware" in person.find("bad.bin")
    assert "malware" not in person.find("good.bin")
    place = f"/me/drive/items/{item['id']}/content"
    assert person.refused("GET", place) == (403, "malwareDetected")
    answer = requests.get(item["@microsoft.graph.downloadUrl"], timeout=30)
    assert (answer.status_code, "X-Virus-Infected" in answer.headers) == (403, True)


def test_a_rewritten_file_is_listed_larger_than_its_download(person: Person) -> None:
    item = person.put("live.heic", DATA)
    person.onedrive.set_fault("rewritten_size", item=r"\.heic$", extra_bytes=5000)
    listed = person.find("live.heic")
    assert listed["size"] == len(DATA) + 5000
    assert listed["file"]["hashes"] != item["file"]["hashes"]
    assert len(listed["file"]["hashes"]["quickXorHash"]) == 28
    answer = requests.get(listed["@microsoft.graph.downloadUrl"], timeout=30)
    assert answer.content == DATA


def test_a_file_can_be_listed_without_hashes(person: Person) -> None:
    person.put("a.jpg", DATA)
    number = person.onedrive.set_fault("hashes_missing")
    assert person.find("a.jpg")["file"]["hashes"] == {}
    person.onedrive.clear_faults(number)
    assert len(person.find("a.jpg")["file"]["hashes"]["quickXorHash"]) == 28


# --- Uploads ------------------------------------------------------------------------------------


def test_a_fragment_can_be_lost(person: Person) -> None:
    url = person.start_upload("a.bin")["uploadUrl"]
    person.onedrive.set_fault("lost_fragment", times=1)
    with pytest.raises(requests.ConnectionError):
        send_fragment(url, DATA, 0, len(DATA))
    assert requests.get(url, timeout=30).json()["nextExpectedRanges"] == ["0-"]
    assert send_fragment(url, DATA, 0, len(DATA)).status_code == 201


def test_a_session_can_fail_in_every_documented_way(person: Person) -> None:
    url = person.start_upload("a.bin")["uploadUrl"]
    for kind, status in (
        ("fragment_416", 416),
        ("upload_session_unauthorized", 401),
        ("commit_conflict", 409),
    ):
        person.onedrive.set_fault(kind, times=1)
        assert send_fragment(url, DATA, 0, len(DATA)).status_code == status
    assert requests.get(url, timeout=30).json()["nextExpectedRanges"] == []
    requests.delete(url, timeout=30)
    url = person.start_upload("a.bin")["uploadUrl"]
    person.onedrive.set_fault("upload_session_gone", times=1)
    assert send_fragment(url, DATA, 0, len(DATA)).status_code == 404
    assert send_fragment(url, DATA, 0, len(DATA)).status_code == 404
    url = person.start_upload("a.bin")["uploadUrl"]
    assert send_fragment(url, DATA, 0, len(DATA)).status_code == 201


def test_a_full_drive_refuses_every_byte(person: Person) -> None:
    url = person.start_upload("a.bin")["uploadUrl"]
    person.onedrive.set_fault("quota_full")
    full = (507, "quotaLimitReached")
    assert send_fragment(url, DATA, 0, len(DATA)).status_code == 507
    assert person.refused("PUT", "/me/drive/root:/b:/content", data=b"b") == full
    assert person.create_folder(person.root_id, "F").status_code == 507
    quota = person.get("/me/drive")["quota"]
    assert (quota["state"], quota["remaining"]) == ("exceeded", 0)


# --- Items --------------------------------------------------------------------------------------


def test_a_locked_item_cannot_be_changed(person: Person) -> None:
    item = person.put("a.txt", b"a")
    other = person.put("b.txt", b"b")
    person.onedrive.set_fault("locked", item="/a.txt")
    place = f"/me/drive/items/{item['id']}"
    assert person.refused("PATCH", place, json={"name": "c"}) == (423, "accessDenied")
    assert person.refused("DELETE", place) == (423, "accessDenied")
    assert person.refused("PUT", f"{place}/content", data=b"x") == (423, "accessDenied")
    assert person.call("DELETE", f"/me/drive/items/{other['id']}").status_code == 204


def test_an_organisation_can_forbid_special_characters(person: Person) -> None:
    item = person.put("50% #1.jpg", b"x")
    person.onedrive.set_fault("special_characters_forbidden")
    for name in ("a #1", "50%"):
        answer = person.create_folder(person.root_id, name)
        assert answer.status_code == 400
        assert answer.json()["error"]["innerError"]["code"] == "invalidPath"
    assert person.find("50% #1.jpg")["id"] == item["id"], "what is there stays"
    assert person.create_folder(person.root_id, "plain").status_code == 201


def test_the_drives_id_can_change_its_case(person: Person) -> None:
    drive_id = person.get("/me/drive")["id"]
    item = person.put("a.txt", b"a")
    person.onedrive.set_fault("drive_id_casing")
    seen = {person.find("a.txt")["parentReference"]["driveId"] for _ in range(4)}
    assert seen == {drive_id.lower(), drive_id.upper()}
    for spelling in seen:
        assert person.get(f"/drives/{spelling}/items/{item['id']}")["id"] == item["id"]


def test_facets_can_be_delayed(person: Person) -> None:
    person.put("old.jpg", make_picture())
    person.onedrive.set_fault("delayed_facets", seconds=3600, item="new")
    assert "image" not in person.put("new.jpg", make_picture())
    assert "image" in person.find("old.jpg")
    person.onedrive.clear_faults()
    assert "image" in person.find("new.jpg")


def test_the_vault_is_visible_but_cannot_be_opened(person: Person) -> None:
    person.put("a.txt", b"a")
    person.onedrive.set_fault("vault")
    page: list[dict[str, Any]] = person.get("/me/drive/root/children")["value"]
    vault = next(item for item in page if item["name"] == "Personal Vault")
    assert "folder" in vault
    place = f"/me/drive/items/{vault['id']}"
    answer = person.call("GET", f"{place}/children")
    assert answer.status_code == 400
    assert answer.json()["error"]["message"] == "ObjectHandle is Invalid"
    hidden = person.get(
        "/me/drive/root/children", headers={"Prefer": "Include-Feature=AddToOneDrive"}
    )
    assert [item["name"] for item in hidden["value"]] == ["a.txt"]


def test_thumbnails_can_be_missing(person: Person) -> None:
    item = person.put("a.jpg", make_picture())
    person.onedrive.set_fault("thumbnails_missing")
    assert person.get(f"/me/drive/items/{item['id']}/thumbnails")["value"] == []


def test_thumbnails_can_be_late(person: Person) -> None:
    item = person.put("a.jpg", make_picture())
    number = person.onedrive.set_fault("delayed_thumbnails", seconds=3600)
    assert person.get(f"/me/drive/items/{item['id']}/thumbnails")["value"] == []
    person.onedrive.clear_faults(number)
    person.onedrive.set_fault("delayed_thumbnails", seconds=0)
    assert person.get(f"/me/drive/items/{item['id']}/thumbnails")["value"] != []


# --- The control address ------------------------------------------------------------------------


def test_every_kind_of_fault_is_described_and_tested(person: Person) -> None:
    document = requests.get(f"{person.onedrive.url}/_emulator/", timeout=30).json()
    assert document["faults"] == KINDS
    assert "/_emulator/faults" in document["control"]
    folder = __file__.rpartition("/")[0]
    words = ""
    for name in ("faults", "identity", "delta", "uploads", "subscriptions"):
        with open(f"{folder}/test_onedrive_{name}.py") as stream:
            words += stream.read()
    untested = [kind for kind in KINDS if not re.search(rf'"{kind}"', words)]
    assert untested == [], "set these faults in a test, too"


@pytest.mark.parametrize(
    "body",
    [
        {"kind": "nonsense"},
        {},
        {"kind": "status", "path": "("},
        {"kind": "status", "times": "many"},
        {"kind": "status", "status": "bad"},
        {"kind": "status", "skip": [1]},
    ],
)
def test_an_invalid_fault_is_refused(onedrive: OneDrive, body: dict[str, Any]) -> None:
    answer = requests.post(f"{onedrive.url}/_emulator/faults", json=body, timeout=30)
    assert answer.status_code == 400
    assert answer.json()["error"]
    assert onedrive.list_faults() == []


def test_a_foreign_page_cannot_use_the_control_address(onedrive: OneDrive) -> None:
    answer = requests.post(f"{onedrive.url}/_emulator/reset", data="{}", timeout=30)
    assert answer.status_code == 415
    preflight = requests.options(f"{onedrive.url}/_emulator/reset", timeout=30)
    assert "Access-Control-Allow-Origin" not in preflight.headers


def test_the_log_lists_requests(person: Person) -> None:
    url = person.put("a.bin", DATA)["@microsoft.graph.downloadUrl"]
    person.onedrive.clear_log()
    requests.get(url, headers={"Range": "bytes=0-4"}, timeout=30)
    person.call("GET", "/me/drive/items/none", headers={"client-request-id": "mine"})
    # The server notes a request when it has sent the answer, which may be after the next one.
    second, first = sorted(person.onedrive.log(), key=lambda entry: "range" in entry)
    assert (first["method"], first["status"], first["range"]) == ("GET", 206, "bytes=0-4")
    assert first["has_authorization"] is False
    assert "tempauth=…" in first["query"]
    assert second["path"] == "/v1.0/me/drive/items/none"
    assert (second["status"], second["client_request_id"]) == (404, "mine")
    assert second["has_authorization"] is True
    assert person.onedrive.log("GET", "/items/") == [second]


def test_a_dropped_call_is_in_the_log_with_status_zero(person: Person) -> None:
    person.onedrive.set_fault("drop", times=1)
    person.onedrive.clear_log()
    with pytest.raises(requests.ConnectionError):
        person.get("/me/drive")
    (entry,) = person.onedrive.log()
    assert entry["status"] == 0


def test_a_call_that_began_before_the_log_was_cleared_stays_out() -> None:
    log = RequestLog()
    entry = {"method": "GET", "path": "/v1.0/me/drive"}
    began_at = monotonic()
    log.clear()
    log.add(entry, began_at)
    assert log.list() == []
    log.add(entry, monotonic())
    assert [kept["path"] for kept in log.list()] == ["/v1.0/me/drive"]


def test_reset_empties_everything(person: Person) -> None:
    person.put("a.bin", b"a")
    person.start_upload("b.bin")
    person.onedrive.set_fault("status")
    old = person.tokens["refresh_token"]
    person.onedrive.reset()
    assert person.onedrive.list_faults() == []
    assert person.onedrive.log() == []
    assert refresh(person.onedrive, old).json()["error"] == "invalid_grant"
    again = Person(person.onedrive)
    again.start_upload("b.bin")
    assert again.list_names() == []
