"""Known faults of OneDrive, with both kinds of account."""

import io
import json
import logging
import random
import threading
from collections.abc import Iterator

import pytest
import requests

from imagehub.clients import DriveItem
from imagehub.clients.drive_ids import fold_drive_id, fold_id, is_same_id, list_spellings
from imagehub.clients.graph import GraphDrive
from imagehub.clients.graph_answers import read_item
from imagehub.clients.graph_boundary import DriveMemory
from imagehub.errors import (
    ConnectionLostError,
    ContentMismatchError,
    NotFoundError,
    ServiceBusyError,
    ServiceRefusedError,
)
from tests.clients.connected import Connection
from tests.clients.scripted import (
    Answer,
    Asked,
    Pause,
    ScriptedServer,
    run_scripted_server,
)
from tests.fixtures.onedrive import OneDrive

PICTURE = random.Random(3).randbytes(700_000)


@pytest.fixture
def drive(connection: Connection, cloud: OneDrive) -> GraphDrive:
    """Open a drive with ``Art/front.jpg`` and the root folder ``/Art``."""
    (cloud.root / "Art").mkdir()
    (cloud.root / "Art" / "front.jpg").write_bytes(PICTURE)
    drive = connection.open_drive(root_folder="/Art")
    drive.get_root()
    return drive


def find(drive: GraphDrive, path: str = "front.jpg") -> DriveItem:
    item = drive.find_item_by_path(path)
    assert item is not None
    return item


def download(drive: GraphDrive, item: DriveItem) -> bytes:
    target = io.BytesIO()
    drive.download(item, target, 100_000_000)
    return target.getvalue()


# --- Throttling and outages -----------------------------------------------------------------------


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504, 509])
@pytest.mark.parametrize("retry_after", ["0.05", None])
def test_transient_errors_are_retried(
    drive: GraphDrive, cloud: OneDrive, status: int, retry_after: str | None
) -> None:
    cloud.set_fault("status", status=status, retry_after=retry_after, path="/v1.0/", times=2)
    assert [item.name for item in drive.iter_children(drive.get_root().id)] == ["front.jpg"]
    assert sum(entry["status"] == status for entry in cloud.log()) == 2


def test_eight_threads_share_one_pause(
    connection: Connection, drive: GraphDrive, cloud: OneDrive
) -> None:
    item_id = find(drive).id
    pause = Pause()
    # The first one may not wait; it only pauses the others.
    drives = [
        connection.open_drive(
            root_folder="/Art", get_pause=pause.get, set_pause=pause.set, max_wait_seconds=wait
        )
        for wait in (0.0, *[5.0] * 8)
    ]
    for one in drives:
        one.get_root()
    cloud.set_fault("status", status=429, retry_after="0.8", path="/v1.0/", times=1)
    cloud.clear_log()
    with pytest.raises(ServiceBusyError) as caught:
        drives[0].get_item(item_id)
    assert caught.value.retry_after_seconds == pytest.approx(0.8)
    threads = [threading.Thread(target=one.get_item, args=(item_id,)) for one in drives[1:]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log = [entry for entry in cloud.log() if entry["path"].startswith("/v1.0/")]
    assert log[0]["status"] == 429
    assert len(log) == 9
    assert min(entry["at"] for entry in log[1:]) - log[0]["at"] >= 0.75


def test_an_unreachable_service_is_busy_until_it_is_back(
    connection: Connection, drive: GraphDrive, cloud: OneDrive
) -> None:
    item_id = find(drive).id
    hasty = connection.open_drive(root_folder="/Art", max_wait_seconds=0.05)
    hasty.get_root()
    fault = cloud.set_fault("gone", path="/v1.0/")
    with pytest.raises(ServiceBusyError):
        hasty.get_item(item_id)
    cloud.clear_faults(fault)
    assert hasty.get_item(item_id).name == "front.jpg"


def test_a_restart_of_the_service_is_tolerated(onedrive: OneDrive) -> None:
    drive = Connection(onedrive).open_drive()
    root = drive.get_root()
    onedrive.restart()
    assert drive.get_item(root.id).id == root.id


def test_garbage_is_reported_as_unreadable(drive: GraphDrive, cloud: OneDrive) -> None:
    root = drive.get_root()
    for body in ("<html>", "[]", "{}", '{"value": {}}', '{"value": [1]}', '{"id": 5}', ""):
        fault = cloud.set_fault("garbage", body=body, path="/v1.0/")
        for call in (
            lambda: drive.get_drive(),
            lambda: drive.get_root(),
            lambda: drive.list_children(root.id),
            lambda: drive.create_folder(root.id, "x"),
            lambda: drive.create_upload_session(root.id, "x"),
        ):
            with pytest.raises(ServiceRefusedError) as caught:
                call()
                pytest.fail(f"{body} was read")
            assert caught.value.reason == "bad_answer"
        cloud.clear_faults(fault)


# --- Tokens ---------------------------------------------------------------------------------------


def test_an_expired_token_is_renewed_once_and_the_call_retried(
    drive: GraphDrive, connection: Connection, cloud: OneDrive
) -> None:
    item_id = find(drive).id
    cloud.expire_access_tokens()
    assert drive.get_item(item_id).name == "front.jpg"
    assert connection.forced_count == 1
    assert cloud.count_refreshes() == 1


def test_a_revoked_account_loses_its_connection(
    drive: GraphDrive, connection: Connection, cloud: OneDrive
) -> None:
    item_id = find(drive).id
    cloud.revoke(50173, access_tokens=True)
    with pytest.raises(ConnectionLostError) as caught:
        drive.get_item(item_id)
    assert caught.value.code == "invalid_grant"


def test_a_read_only_connection_reads_but_cannot_write(
    connection: Connection, drive: GraphDrive, cloud: OneDrive
) -> None:
    reader = Connection(cloud, scopes=("Files.Read", "User.Read"))
    readable = reader.open_drive(root_folder="/Art")
    assert download(readable, find(readable)) == PICTURE
    for call in (
        lambda: readable.create_folder(readable.get_root().id, "x"),
        lambda: readable.rename_item(find(readable).id, "x"),
        lambda: readable.delete_item(find(readable).id),
        lambda: readable.create_upload_session(readable.get_root().id, "x"),
    ):
        with pytest.raises(ServiceRefusedError) as caught:
            call()
        assert caught.value.reason == "forbidden"


# --- Listings -------------------------------------------------------------------------------------


def test_an_empty_page_with_a_next_page_does_not_end_a_listing(
    drive: GraphDrive, cloud: OneDrive
) -> None:
    cloud.set_fault("children_empty_page")
    root = drive.get_root()
    assert [item.name for item in drive.iter_children(root.id)] == ["front.jpg"]
    assert [item.name for item in drive.list_children(root.id).items] == ["front.jpg"]


def test_a_long_listing_is_complete_and_has_no_item_twice(
    drive: GraphDrive, cloud: OneDrive
) -> None:
    for number in range(1203):
        (cloud.root / "Art" / f"{number:04}.jpg").write_bytes(b"")
    names = [item.name for item in drive.iter_children(drive.get_root().id)]
    assert len(names) == len(set(names)) == 1204
    assert len({entry["query"] for entry in cloud.log("GET", "/children")}) == 2


def test_a_drive_id_in_changing_case_is_accepted(
    connection: Connection, drive: GraphDrive, cloud: OneDrive
) -> None:
    (cloud.root / "Art" / "Sub").mkdir()
    cloud.set_fault("drive_id_casing")
    for root_folder in ("/Art", "root"):
        one = connection.open_drive(
            root_folder=root_folder, memory=DriveMemory(ttl_seconds=0), max_wait_seconds=1
        )
        path = "Sub" if root_folder == "/Art" else "Art/Sub"
        for _ in range(4):
            assert one.get_item(find(one, path).id).name == "Sub"


def test_the_personal_vault_is_hidden_and_its_error_explains_why(onedrive: OneDrive) -> None:
    connection = Connection(onedrive)
    (onedrive.root / "Art").mkdir()
    onedrive.set_fault("vault")
    whole = connection.open_drive()
    root = whole.get_root()
    headers = {"Authorization": f"Bearer {connection.get_token()}"}
    listed = requests.get(
        f"{onedrive.graph_url}/me/drive/root/children", headers=headers, timeout=10
    ).json()["value"]
    vault = next(item for item in listed if item["name"] == "Personal Vault")
    assert [item.name for item in whole.iter_children(root.id)] == ["Art"]
    with pytest.raises(ServiceRefusedError, match="Personal Vault") as caught:
        whole.list_children(vault["id"])
    assert caught.value.reason == "vault"


def test_browsing_takes_few_calls(
    connection: Connection, drive: GraphDrive, cloud: OneDrive
) -> None:
    (cloud.root / "Art" / "A" / "B").mkdir(parents=True)
    one = connection.open_drive(root_folder="/Art")
    cloud.clear_log()
    root = one.get_root()
    a = next(item for item in one.iter_children(root.id) if item.is_folder)
    b = next(item for item in one.iter_children(a.id) if item.is_folder)
    list(one.iter_children(b.id))
    graph_calls = [entry for entry in cloud.log() if entry["path"].startswith("/v1.0/")]
    assert len(graph_calls) == 5  # the root folder, the drive, and one for each folder


# --- Changes --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "options", "reason"),
    [
        ("locked", {}, "locked"),
        ("status", {"status": 507, "code": "quotaLimitReached", "method": "PATCH"}, "quota_full"),
        ("status", {"status": 403, "code": "accessDenied", "method": "PATCH"}, "forbidden"),
    ],
)
def test_a_refused_change_says_why(
    drive: GraphDrive, cloud: OneDrive, fault: str, options: dict[str, object], reason: str
) -> None:
    item = find(drive)
    cloud.set_fault(fault, **options)
    with pytest.raises(ServiceRefusedError) as caught:
        drive.rename_item(item.id, "new.jpg")
    assert caught.value.reason == reason


def test_a_path_that_becomes_too_long_is_refused_with_a_reason(
    drive: GraphDrive, cloud: OneDrive
) -> None:
    parent = drive.create_folder(drive.get_root().id, "a" * 250)
    with pytest.raises(ServiceRefusedError) as caught:
        drive.create_folder(parent.id, "b" * 250)
    assert caught.value.reason == "path_too_long"


class LossyLine:
    """A relay to the emulator that loses the answers to some completed requests."""

    def __init__(self, script: ScriptedServer, cloud: OneDrive) -> None:
        self.script = script
        self.cloud = cloud
        self.lose = ("", "")
        self.lost_count = 0
        script.answer = self.answer  # type: ignore[method-assign]

    def answer(self, asked: Asked) -> Answer:
        kept = {
            name: value
            for name, value in asked.headers.items()
            if name in ("authorization", "content-type", "prefer", "accept")
        }
        answer = requests.request(
            asked.method,
            self.cloud.url + asked.path,
            headers=kept,
            data=asked.body,
            allow_redirects=False,
            timeout=10,
        )
        if (asked.method, self.lost_count) == (self.lose[0], 0) and self.lose[1] in asked.path:
            self.lost_count += 1
            return Answer(hang_up=True)
        passed = {n: v for n, v in answer.headers.items() if n in ("Content-Type", "Date")}
        return Answer(answer.status_code, answer.content, passed)


@pytest.fixture
def line(cloud: OneDrive) -> Iterator[LossyLine]:
    with run_scripted_server() as script:
        yield LossyLine(script, cloud)


def open_over(line: LossyLine, connection: Connection) -> GraphDrive:
    return connection.open_drive(base_url=line.script.url + "/v1.0", root_folder="/Art")


def test_a_lost_answer_does_not_create_two_folders(
    connection: Connection, drive: GraphDrive, cloud: OneDrive, line: LossyLine
) -> None:
    over = open_over(line, connection)
    line.lose = ("POST", "/children")
    made = over.create_folder(over.get_root().id, "New")
    assert line.lost_count == 1
    assert made.name == "New"
    assert sorted(path.name for path in (cloud.root / "Art").iterdir()) == ["New", "front.jpg"]


def test_an_older_folder_is_not_mistaken_for_the_lost_one(
    connection: Connection, drive: GraphDrive, cloud: OneDrive, line: LossyLine
) -> None:
    (cloud.root / "Art" / "Old").mkdir()
    (cloud.root / "Art" / "Old" / "a.jpg").write_bytes(b"x")
    over = open_over(line, connection)
    line.lose = ("POST", "/children")
    made = over.create_folder(over.get_root().id, "Old")
    assert line.lost_count == 1
    assert made.name != "Old"
    assert sorted(p.name for p in (cloud.root / "Art").iterdir()) == sorted(
        ["Old", made.name, "front.jpg"]
    )


def test_a_request_that_never_arrived_is_sent_again(
    connection: Connection, drive: GraphDrive, cloud: OneDrive
) -> None:
    root = drive.get_root()
    cloud.set_fault("drop", method="POST", times=1)
    assert drive.create_folder(root.id, "New").name == "New"
    assert sorted(path.name for path in (cloud.root / "Art").iterdir()) == ["New", "front.jpg"]


def test_lost_answers_to_other_changes_are_recovered(
    connection: Connection, drive: GraphDrive, cloud: OneDrive, line: LossyLine
) -> None:
    over = open_over(line, connection)
    item = find(over)
    line.lose = ("PATCH", "")
    assert over.rename_item(item.id, "renamed.jpg").name == "renamed.jpg"
    line.lose, line.lost_count = ("DELETE", ""), 0
    over.delete_item(item.id)
    assert line.lost_count == 1
    assert list((cloud.root / "Art").iterdir()) == []


# --- Bytes ----------------------------------------------------------------------------------------


def test_a_dropped_download_is_resumed(drive: GraphDrive, cloud: OneDrive) -> None:
    item = find(drive)
    cloud.set_fault("truncated_download", bytes=400_000, times=2)
    assert download(drive, item) == PICTURE
    assert len([entry for entry in cloud.log() if "range" in entry]) >= 1


def test_streamed_bytes_are_complete_after_a_dropped_connection(
    drive: GraphDrive, cloud: OneDrive
) -> None:
    item = find(drive)
    cloud.set_fault("truncated_download", bytes=400_000, times=2)
    assert b"".join(drive.iter_download(item.id, 65_536)) == PICTURE


def test_corrupt_bytes_are_detected_and_fetched_again(drive: GraphDrive, cloud: OneDrive) -> None:
    item = find(drive)
    cloud.set_fault("corrupted_download", times=1)
    assert download(drive, item) == PICTURE


def test_bytes_that_stay_corrupt_are_a_retryable_error(drive: GraphDrive, cloud: OneDrive) -> None:
    item = find(drive)
    cloud.set_fault("corrupted_download")
    with pytest.raises(ServiceBusyError, match="a different file from the one it lists"):
        download(drive, item)


def test_an_expired_address_is_requested_again(
    drive: GraphDrive, cloud: OneDrive, caplog: pytest.LogCaptureFixture
) -> None:
    item = find(drive)
    cloud.set_fault("download_url_expired", times=1)
    with caplog.at_level(logging.DEBUG):
        assert download(drive, item) == PICTURE
    assert "tempauth" not in caplog.text.lower()


def test_addresses_that_always_expire_are_an_error(drive: GraphDrive, cloud: OneDrive) -> None:
    item = find(drive)
    cloud.set_fault("download_url_expired")
    with pytest.raises(ServiceBusyError):
        download(drive, item)
    with pytest.raises(
        ServiceBusyError
    ):  # before the first byte, so that a page can still report it
        drive.iter_download(item.id)


def test_a_live_photo_smaller_than_listed_is_accepted(drive: GraphDrive, cloud: OneDrive) -> None:
    (cloud.root / "Art" / "live.heic").write_bytes(PICTURE)
    cloud.set_fault("rewritten_size", item=r"\.heic$")
    item = find(drive, "live.heic")
    assert item.size_bytes > len(PICTURE)
    assert download(drive, item) == PICTURE


def test_a_size_that_is_listed_late_is_requested_again(drive: GraphDrive, cloud: OneDrive) -> None:
    item = find(drive)
    cloud.set_fault("rewritten_size", extra_bytes=12, times=1)
    assert download(drive, item) == PICTURE
    assert len(cloud.log("GET", "download|/content")) <= 1


def test_other_files_must_match_their_listing(drive: GraphDrive, cloud: OneDrive) -> None:
    item = find(drive)
    cloud.set_fault("rewritten_size", extra_bytes=12)
    with pytest.raises(ServiceBusyError):
        download(drive, item)


def test_a_wrong_listed_size_with_the_right_hash_is_accepted(
    drive: GraphDrive, cloud: OneDrive
) -> None:
    cloud.set_fault("rewritten_size", extra_bytes=12, keeps_hash=True)
    item = find(drive)
    assert item.size_bytes == len(PICTURE) + 12
    assert download(drive, item) == PICTURE
    assert len(cloud.log("GET", "download|/content")) <= 1


def test_content_that_does_not_match_is_taken_on_request(
    drive: GraphDrive, cloud: OneDrive
) -> None:
    cloud.set_fault("rewritten_size", extra_bytes=12)
    item = find(drive)
    with pytest.raises(ContentMismatchError):
        download(drive, item)
    target = io.BytesIO()
    result = drive.download(item, target, 100_000_000, accepts_mismatch=True)
    assert target.getvalue() == PICTURE
    assert (result.size_bytes, result.listed_size_bytes) == (len(PICTURE), len(PICTURE) + 12)
    assert result.listed_hash == item.quick_xor_hash != result.quick_xor_hash


def test_an_infected_file_is_not_downloaded(drive: GraphDrive, cloud: OneDrive) -> None:
    item = find(drive)
    cloud.set_fault("malware")
    with pytest.raises(ServiceRefusedError) as caught:
        download(drive, item)
    assert caught.value.reason == "malware"


def test_tokens_are_never_sent_to_file_servers(drive: GraphDrive, cloud: OneDrive) -> None:
    download(drive, find(drive))
    b"".join(drive.iter_download(find(drive).id))
    for entry in cloud.log():
        assert entry["has_authorization"] == entry["path"].startswith("/v1.0/"), entry


def test_missing_thumbnails_give_none(drive: GraphDrive, cloud: OneDrive) -> None:
    item = find(drive)
    cloud.set_fault("thumbnails_missing")
    assert drive.fetch_thumbnail(item.id) is None


def test_a_full_drive_refuses_an_upload_by_its_end(drive: GraphDrive, cloud: OneDrive) -> None:
    cloud.set_fault("quota_full")
    try:
        session = drive.create_upload_session(drive.get_root().id, "x.jpg")
    except ServiceRefusedError as error:
        assert error.reason == "quota_full"
        return
    answer = requests.put(
        session.upload_url, data=b"xyz", headers={"Content-Range": "bytes 0-2/3"}, timeout=10
    )
    assert answer.status_code == 507


# --- Ids and documents ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("1A2B3C4D5E6F7A8B!123", "1a2b3c4d5e6f7a8b!123", True),
        ("0A2B3C4D5E6F7A8B!s0f", "A2B3C4D5E6F7A8B!s0f", True),
        ("1A2B3C4D5E6F7A8B!123", "1A2B3C4D5E6F7A8B!124", False),
        ("01ABCDEF", "01abcdef", False),
        ("", "", False),
    ],
)
def test_item_ids_are_compared_as_the_service_writes_them(one: str, other: str, same: bool) -> None:
    assert is_same_id(one, other) is same


def test_drive_ids_are_compared_without_case_and_leading_zeros() -> None:
    assert fold_drive_id("0A2B3C4D5E6F7A8B") == fold_drive_id("a2b3c4d5e6f7a8b")
    assert fold_drive_id("b!AbC") == fold_drive_id("b!abc")


def test_notebooks_and_shortcuts_are_neither_folder_nor_file() -> None:
    notebook = read_item({"id": "1", "name": "Notes", "package": {"type": "oneNote"}}, "look")
    shortcut = read_item({"id": "2", "folder": {}, "remoteItem": {"id": "x", "folder": {}}}, "look")
    strange = read_item({"id": "3", "name": "?", "size": None, "file": None}, "look")
    assert [item.is_package for item in (notebook, shortcut, strange)] == [True, True, False]
    assert not any(item.is_folder for item in (notebook, shortcut, strange))


def test_secrets_are_removed_from_raw_documents_at_every_depth() -> None:
    item = read_item(
        {
            "id": "1",
            "@microsoft.graph.downloadUrl": "https://x/?tempauth=1",
            "remoteItem": {"@content.downloadUrl": "https://x/?tempauth=2", "id": "2"},
            "extra": 1,
        },
        "look",
    )
    assert item.raw == {"id": "1", "remoteItem": {"id": "2"}, "extra": 1}


# --- Answers that a correct service would not give ------------------------------------------------


def test_a_next_page_on_another_server_is_not_followed(
    server: ScriptedServer, scripted_drive: GraphDrive
) -> None:
    with run_scripted_server() as thief:
        server.say(
            "/v1.0/me/drive/items/root-id/children",
            Answer(200, {"value": [], "@odata.nextLink": f"{thief.url}/v1.0/children"}),
        )
        with pytest.raises(ServiceRefusedError) as caught:
            list(scripted_drive.iter_children("root-id"))
        assert caught.value.reason == "bad_answer"
        assert thief.asked == []


def test_an_endless_listing_ends(server: ScriptedServer, scripted_drive: GraphDrive) -> None:
    path = "/v1.0/me/drive/items/root-id/children"
    item = {
        "id": "1",
        "name": "a",
        "file": {},
        "parentReference": {"driveId": "d", "id": "root-id"},
    }
    server.say(path, Answer(200, {"value": [item], "@odata.nextLink": f"{server.url}{path}?a=1"}))
    with pytest.raises(ServiceRefusedError):
        list(scripted_drive.iter_children("root-id"))
    server.say(path, Answer(200, {"value": [], "@odata.nextLink": f"{server.url}{path}?a=1"}))
    with pytest.raises(ServiceRefusedError):
        scripted_drive.list_children("root-id")


def test_an_unsafe_upload_address_is_not_returned(
    server: ScriptedServer, scripted_drive: GraphDrive
) -> None:
    server.say(
        "/v1.0/me/drive/items/root-id:/a.jpg:/createUploadSession",
        Answer(200, {"uploadUrl": "http://evil.example/up"}),
    )
    with pytest.raises(ServiceRefusedError):
        scripted_drive.create_upload_session("root-id", "a.jpg")


def test_an_item_without_an_address_is_downloaded_by_its_content_call(
    server: ScriptedServer, scripted_drive: GraphDrive
) -> None:
    item = {"id": "1", "name": "a.txt", "size": 5, "file": {}, "parentReference": {"driveId": "d"}}
    server.say("/v1.0/me/drive/items/1", Answer(200, item))
    server.say(
        "/v1.0/me/drive/items/1/content", Answer(302, headers={"Location": server.url + "/b"})
    )
    server.say("/b", Answer(200, b"hello"))
    assert download(scripted_drive, scripted_drive.get_item("1")) == b"hello"
    assert "authorization" not in server.list_asked("/b")[0].headers


def test_properties_missing_from_a_short_answer_are_requested(
    server: ScriptedServer, scripted_drive: GraphDrive
) -> None:
    item = {"id": "1", "name": "a", "size": 5, "file": {}, "parentReference": {"driveId": "d"}}
    answers = [Answer(200, item), Answer(200, {"id": "1", "name": "b"})]
    server.say("/v1.0/me/drive/items/1", *answers, Answer(200, {**item, "name": "b"}))
    assert scripted_drive.rename_item("1", "b").size_bytes == 5


def test_a_missing_quota_is_unknown_not_zero(scripted_drive: GraphDrive) -> None:
    quota = scripted_drive.get_drive().quota
    assert (quota.total_bytes, quota.used_bytes) == (None, None)


def test_used_bytes_are_computed_if_the_service_omits_them(
    server: ScriptedServer, scripted_drive: GraphDrive
) -> None:
    server.say("/v1.0/me/drive", Answer(200, {"id": "d", "quota": {"total": 100, "remaining": 60}}))
    assert scripted_drive.get_drive().quota.used_bytes == 40


# --- Changes --------------------------------------------------------------------------------------


def read_changes(drive: GraphDrive, link: str = "") -> tuple[dict[str, DriveItem], str]:
    """Read the feed to its end; return items by id, and the next link."""
    items: dict[str, DriveItem] = {}
    while True:
        page = drive.fetch_changes(link)
        items.update({item.id: item for item in page.items})
        link = page.link
        if page.is_last:
            return items, link


def test_changes_cover_the_whole_drive(drive: GraphDrive, cloud: OneDrive) -> None:
    (cloud.root / "outside.jpg").write_bytes(b"x")
    items, link = read_changes(drive)
    assert {item.name for item in items.values()} >= {"Art", "front.jpg", "outside.jpg"}
    front = next(item for item in items.values() if item.name == "front.jpg")
    assert front.quick_xor_hash
    assert read_changes(drive, link)[0] == {}
    (cloud.root / "Art" / "front.jpg").unlink()
    changed, _ = read_changes(drive, link)
    assert changed[front.id].is_deleted


def test_an_empty_page_of_changes_is_followed(drive: GraphDrive, cloud: OneDrive) -> None:
    cloud.set_fault("delta_empty_page", times=1)
    page = drive.fetch_changes()
    assert (list(page.items), page.is_last) == ([], False)
    assert "front.jpg" in {item.name for item in read_changes(drive, page.link)[0].values()}


def test_the_last_state_of_a_repeated_item_counts(drive: GraphDrive, cloud: OneDrive) -> None:
    cloud.set_fault("delta_duplicate")
    page = drive.fetch_changes()
    assert len({item.id for item in page.items}) == len(page.items)
    assert not [item for item in page.items if item.name.endswith("(old)")]


def test_an_expired_link_leads_to_a_full_listing(drive: GraphDrive, cloud: OneDrive) -> None:
    _, link = read_changes(drive)
    cloud.set_fault("delta_gone", times=1)
    page = drive.fetch_changes(link)
    assert page.starts_anew and not page.is_last
    assert "front.jpg" in {item.name for item in read_changes(drive, page.link)[0].values()}


@pytest.mark.parametrize("answer_name", ["@odata.nextLink", "@odata.deltaLink"])
def test_links_to_another_server_are_not_followed(
    drive: GraphDrive, cloud: OneDrive, answer_name: str
) -> None:
    body = json.dumps({"value": [], answer_name: "https://evil.example/v1.0/me/drive/root/delta"})
    cloud.set_fault("garbage", body=body, path="/delta", times=1)
    with pytest.raises(ServiceRefusedError) as caught:
        drive.fetch_changes()
    assert caught.value.reason == "bad_answer"
    assert not cloud.log(path="evil")


@pytest.mark.parametrize("body", ["{}", '{"value": []}', '{"value": 3, "@odata.deltaLink": "x"}'])
def test_unreadable_changes_are_a_bad_answer(drive: GraphDrive, cloud: OneDrive, body: str) -> None:
    cloud.set_fault("garbage", body=body, path="/delta", times=1)
    with pytest.raises(ServiceRefusedError) as caught:
        drive.fetch_changes()
    assert caught.value.reason == "bad_answer"


def test_a_folder_that_reportedly_moved_is_not_taken_for_inside(
    drive: GraphDrive, cloud: OneDrive
) -> None:
    (cloud.root / "Art" / "Sub").mkdir()
    (cloud.root / "Art" / "Sub" / "side.jpg").write_bytes(b"x")
    side = find(drive, "Sub/side.jpg")
    _, link = read_changes(drive)
    assert drive.get_item(side.id).id == side.id
    (cloud.root / "Art" / "Sub").rename(cloud.root / "Sub")
    read_changes(drive, link)
    with pytest.raises(NotFoundError):
        drive.get_item(side.id)


@pytest.mark.parametrize(
    ("given", "other"),
    [
        ("0A2B3C4D5E6F7A8B!s1", "a2b3c4d5e6f7a8b!s1"),
        ("a2b3c4d5e6f7a8b!s1", "0A2B3C4D5E6F7A8B!s1"),
        ("ABC!1", "abc!1"),
        ("01ABCdef", "01ABCdef"),
    ],
)
def test_all_spellings_of_an_id_are_known(given: str, other: str) -> None:
    assert other in list_spellings(given)
    assert {fold_id(spelling) for spelling in list_spellings(given)} == {fold_id(given)}
