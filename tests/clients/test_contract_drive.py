"""The contract of a drive, for Graph with both kinds of account."""

import hashlib
import io
import random
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests
from PIL import Image

from imagehub.clients import Drive, DriveItem
from imagehub.clients.graph_boundary import DriveMemory
from imagehub.clients.graph_upload import FRAGMENT_BYTES
from imagehub.errors import (
    InvalidInputError,
    NotAllowedError,
    NotFoundError,
    PictureTooLargeError,
    ServiceBusyError,
    ServiceRefusedError,
)
from tests.clients.connected import Connection
from tests.fixtures.drawn import JPEG_XL, make_picture, make_psd
from tests.fixtures.onedrive import OneDrive

PICTURE = random.Random(1).randbytes(100_003)


@pytest.fixture
def art(cloud: OneDrive) -> Path:
    """Create the root folder of these tests, with other items outside."""
    folder = cloud.root / "Pictures" / "Art"
    (folder / "System" / "Deep").mkdir(parents=True)
    (folder / "Empty").mkdir()
    (folder / "front.jpg").write_bytes(PICTURE)
    (folder / "System" / "back.jpg").write_bytes(PICTURE[::-1])
    (folder / "System" / "Deep" / "detail.png").write_bytes(PICTURE[:500])
    (cloud.root / "Secret").mkdir()
    (cloud.root / "Secret" / "diary.txt").write_bytes(b"dear diary")
    return folder


@pytest.fixture
def drive(connection: Connection, art: Path) -> Drive:
    return connection.open_drive(root_folder="/Pictures/Art")


@pytest.fixture
def outside(connection: Connection, art: Path) -> dict[str, DriveItem]:
    """Return items of the drive outside the root folder, by name."""
    whole = connection.open_drive()
    secret = whole.find_item_by_path("Secret")
    assert secret is not None
    items = [whole.get_root(), secret, *whole.iter_children(secret.id)]
    pictures = whole.find_item_by_path("Pictures")
    assert pictures is not None
    return {item.name: item for item in [*items, pictures]}


def find(drive: Drive, path: str) -> DriveItem:
    item = drive.find_item_by_path(path)
    assert item is not None, f"{path} is missing"
    return item


def list_names(drive: Drive, folder_id: str) -> list[str]:
    return sorted(item.name for item in drive.iter_children(folder_id))


# --- Reading --------------------------------------------------------------------------------------


def test_a_drive_has_a_kind_and_a_quota(drive: Drive, cloud: OneDrive) -> None:
    info = drive.get_drive()
    assert info.kind == cloud.kind
    assert info.id
    quota = info.quota
    assert quota.total_bytes and quota.used_bytes is not None
    assert 0 <= quota.used_bytes <= quota.total_bytes


def test_the_root_folder_is_given_by_path_or_id_or_is_the_drive(
    connection: Connection, drive: Drive
) -> None:
    root = drive.get_root()
    assert (root.name, root.is_folder) == ("Art", True)
    assert connection.open_drive(root_folder=root.id).get_root().id == root.id
    assert list_names(connection.open_drive(), connection.open_drive().get_root().id) == [
        "Pictures",
        "Secret",
    ]


def test_a_root_folder_that_is_missing_or_a_file_is_not_found(
    connection: Connection, drive: Drive
) -> None:
    for name in ("/Pictures/Nowhere", "/Pictures/Art/front.jpg", "no-such-id"):
        with pytest.raises(NotFoundError):
            connection.open_drive(root_folder=name).get_root()


def test_an_item_has_all_needed_properties(drive: Drive) -> None:
    item = drive.get_item(find(drive, "front.jpg").id)
    assert (item.name, item.is_folder, item.size_bytes) == ("front.jpg", False, len(PICTURE))
    assert item.mime_type == "image/jpeg"
    assert item.parent_id == drive.get_root().id
    assert item.etag and item.ctag and item.quick_xor_hash
    for text in (item.created_time, item.modified_time):
        assert datetime.fromisoformat(text).tzinfo is not None
    assert not any("downloadUrl" in name for name in item.raw)
    folder = find(drive, "System")
    assert (folder.is_folder, folder.child_count) == (True, 2)


def test_paths_are_found_below_the_root_folder_only(drive: Drive) -> None:
    assert find(drive, "").id == drive.get_root().id
    assert find(drive, "System/Deep/detail.png").size_bytes == 500
    assert find(drive, "/System/").name == "System"
    for path in ("nothing", "System/nothing", "../../Secret", "System/../../../Secret", "a:b", "."):
        assert drive.find_item_by_path(path) is None


def test_only_a_child_is_found_by_name_in_any_case(
    drive: Drive, outside: dict[str, DriveItem]
) -> None:
    system = find(drive, "System")
    deep = drive.find_child(system.id, "deep")
    assert deep is not None and (deep.name, deep.is_folder) == ("Deep", True)
    for name in ("nothing", "Deep/detail.png", "..", ".", "", "a:b", "../front.jpg"):
        assert drive.find_child(system.id, name) is None
    with pytest.raises(NotFoundError):
        drive.find_child(outside["Secret"].id, "diary.txt")


def test_children_are_listed_page_by_page(drive: Drive, art: Path) -> None:
    for number in range(7):
        (art / "Empty" / f"{number}.jpg").write_bytes(b"x")
    folder = find(drive, "Empty")
    names: list[str] = []
    page = drive.list_children(folder.id, page_size=3)
    sizes = [len(page.items)]
    while True:
        names += [item.name for item in page.items]
        if not page.next_page:
            break
        page = drive.list_children(folder.id, page.next_page, 3)
        sizes.append(len(page.items))
    assert sizes[:2] == [3, 3]
    assert sorted(names) == [f"{number}.jpg" for number in range(7)]


def test_an_empty_folder_has_no_children(drive: Drive) -> None:
    assert drive.list_children(find(drive, "Empty").id).items == ()
    assert list(drive.iter_children(find(drive, "Empty").id)) == []


def test_the_children_of_a_file_cannot_be_listed(drive: Drive) -> None:
    with pytest.raises(InvalidInputError):
        drive.list_children(find(drive, "front.jpg").id)


def test_many_items_are_checked_with_few_calls(
    drive: Drive, art: Path, outside: dict[str, DriveItem], cloud: OneDrive
) -> None:
    for number in range(30):
        (art / "System" / "Deep" / f"{number}.png").write_bytes(b"%d" % number)
    deep = list(drive.iter_children(find(drive, "System/Deep").id))
    gone = find(drive, "front.jpg")
    drive.delete_item(gone.id)
    inside = [*deep, find(drive, "System"), find(drive, "System/back.jpg"), drive.get_root()]
    asked = [*(item.id for item in inside), *(item.id for item in outside.values())]
    asked += [gone.id, "no-such-id", "..", ""]
    cloud.clear_log()
    answers = drive.find_items(asked)
    assert [answer.item for answer in answers[: len(inside)]] == inside
    apart = answers[len(inside) : len(inside) + len(outside)]
    assert all(answer.is_outside and answer.item is None for answer in apart)
    for answer in answers[-4:]:
        assert (answer.item, answer.is_outside, answer.error) == (None, False, None)
    assert len([one for one in cloud.log() if "$batch" in one["path"]]) <= 4
    assert len(cloud.log("GET", "^/v1.0/")) <= 4, "no item is asked for alone"
    assert drive.find_items([]) == []


def test_a_folder_moved_back_inside_is_seen_at_once(
    connection: Connection, art: Path, cloud: OneDrive
) -> None:
    """Items outside are cached for a while, but the feed reports moved folders."""
    drive = connection.open_drive(root_folder="/Pictures/Art")
    detail = find(drive, "System/Deep/detail.png")
    link = read_to_the_end(drive)
    (art / "System").rename(cloud.root / "Secret" / "System")
    read_to_the_end(drive, link)
    assert drive.find_items([detail.id])[0].is_outside
    assert drive.find_items([detail.id])[0].is_outside
    with pytest.raises(NotFoundError):
        drive.get_item(detail.id)
    (cloud.root / "Secret" / "System").rename(art / "System")
    assert drive.get_item(detail.id).id == detail.id
    read_to_the_end(drive, link)
    assert drive.find_items([detail.id])[0].item == drive.get_item(detail.id)


def read_to_the_end(drive: Drive, link: str = "") -> str:
    while True:
        page = drive.fetch_changes(link)
        link = page.link
        if page.is_last:
            return link


def test_answers_about_many_items_include_their_folders(
    connection: Connection, art: Path, cloud: OneDrive
) -> None:
    drive = connection.open_drive(root_folder="/Pictures/Art", max_wait_seconds=1)
    root = drive.get_root()
    detail, front = find(drive, "System/Deep/detail.png"), find(drive, "front.jpg")
    drive = connection.open_drive(root_folder="/Pictures/Art", max_wait_seconds=1)
    cloud.set_fault("status", status=429, retry_after=60, path="select=")
    answers = drive.find_items([front.id, detail.id])
    assert answers[0].item is not None and answers[0].item.parent_id == root.id
    assert isinstance(answers[1].error, ServiceBusyError)
    assert answers[1].item is None and not answers[1].is_outside


# --- Changing -------------------------------------------------------------------------------------


def test_a_folder_is_created_and_a_taken_name_gets_a_number(drive: Drive, art: Path) -> None:
    root = drive.get_root()
    first = drive.create_folder(root.id, "Neu nein")
    assert (first.name, first.is_folder, first.parent_id) == ("Neu nein", True, root.id)
    second = drive.create_folder(root.id, "Neu nein")
    assert second.id != first.id
    assert second.name.startswith("Neu nein ")
    assert (art / second.name).is_dir()


def test_a_taken_name_is_refused_or_reused_as_requested(drive: Drive) -> None:
    root = drive.get_root()
    with pytest.raises(ServiceRefusedError) as caught:
        drive.create_folder(root.id, "system", "fail")
    assert caught.value.reason == "name_taken"
    assert drive.create_folder(root.id, "System", "replace").id == find(drive, "System").id
    with pytest.raises(ServiceRefusedError) as caught:
        drive.create_folder(root.id, "front.jpg", "replace")
    assert caught.value.reason == "name_taken"


@pytest.mark.parametrize("name", ["drive", "50 & more + ü's", "a.b", "root", "children", "絵 🎨"])
def test_unusual_names_survive_a_round_trip(drive: Drive, art: Path, name: str) -> None:
    made = drive.create_folder(drive.get_root().id, name, "fail")
    assert made.name == name
    assert find(drive, name).id == made.id
    assert (art / name).is_dir()


def test_an_invalid_name_is_refused_without_a_request(drive: Drive, cloud: OneDrive) -> None:
    root, item = drive.get_root(), find(drive, "front.jpg")
    calls: list[Any] = [
        lambda: drive.create_folder(root.id, "a:b"),
        lambda: drive.rename_item(item.id, "a/b"),
        lambda: drive.create_upload_session(root.id, "a?.jpg"),
    ]
    for call in calls:
        with pytest.raises(InvalidInputError):
            call()
    changes = [e for e in cloud.log() if e["method"] in ("POST", "PATCH", "PUT")]
    assert [e for e in changes if "/v1.0/" in e["path"]] == []


def test_renaming_keeps_the_id(drive: Drive, art: Path) -> None:
    item = find(drive, "front.jpg")
    renamed = drive.rename_item(item.id, "Front.jpg")
    assert (renamed.id, renamed.name) == (item.id, "Front.jpg")
    assert renamed.parent_id == drive.get_root().id
    assert (art / "Front.jpg").exists()


def test_names_with_hash_and_percent_are_used_on_every_drive(drive: Drive, art: Path) -> None:
    folder = drive.create_folder(drive.get_root().id, "100% #1 %41")
    assert (art / "100% #1 %41").is_dir()
    made = drive.create_empty_file(folder.id, "50% #1 x.jpg")
    assert drive.rename_item(made.id, "50%20 #2.jpg").name == "50%20 #2.jpg"
    found = find(drive, "100% #1 %41/50%20 #2.jpg")
    assert found.id == made.id
    session = drive.create_upload_session(folder.id, "#3%.jpg")
    span = {"Content-Range": f"bytes 0-{len(PICTURE) - 1}/{len(PICTURE)}"}
    requests.put(session.upload_url, data=PICTURE, headers=span, timeout=30).raise_for_status()
    assert drive.find_child(folder.id, "#3%.jpg") is not None
    assert (art / "100% #1 %41" / "#3%.jpg").read_bytes() == PICTURE


def test_an_organisation_that_forbids_hash_and_percent_is_told_in_words(
    drive: Drive, cloud: OneDrive
) -> None:
    root, item = drive.get_root(), find(drive, "front.jpg")
    cloud.set_fault("special_characters_forbidden")
    for call in (
        lambda: drive.create_folder(root.id, "a #1"),
        lambda: drive.rename_item(item.id, "50%.jpg"),
        lambda: drive.create_upload_session(root.id, "a #1.jpg"),
        lambda: drive.create_empty_file(root.id, "50%.txt"),
    ):
        with pytest.raises(ServiceRefusedError, match="may have forbidden # and %") as caught:
            call()
        assert caught.value.reason == "forbidden_name"
    assert drive.create_folder(root.id, "plain").name == "plain"


def test_renaming_to_a_taken_name_is_refused(drive: Drive) -> None:
    with pytest.raises(ServiceRefusedError) as caught:
        drive.rename_item(find(drive, "Empty").id, "SYSTEM")
    assert caught.value.reason == "name_taken"


def test_moving_changes_the_folder_and_keeps_the_name(drive: Drive, art: Path) -> None:
    item = find(drive, "front.jpg")
    target = find(drive, "System/Deep")
    moved = drive.move_item(item.id, target.id)
    assert (moved.id, moved.name, moved.parent_id) == (item.id, "front.jpg", target.id)
    assert (art / "System" / "Deep" / "front.jpg").read_bytes() == PICTURE
    back = drive.move_item(item.id, drive.get_root().id)
    assert (back.name, back.parent_id) == ("front.jpg", drive.get_root().id)


def test_a_folder_cannot_be_moved_into_itself(drive: Drive) -> None:
    system, deep = find(drive, "System"), find(drive, "System/Deep")
    for target in (system, deep):
        with pytest.raises(InvalidInputError):
            drive.move_item(system.id, target.id)


def test_files_and_folders_are_deleted(drive: Drive, art: Path) -> None:
    item = find(drive, "front.jpg")
    drive.delete_item(item.id)
    drive.delete_item(find(drive, "System").id)
    assert not (art / "front.jpg").exists()
    assert list_names(drive, drive.get_root().id) == ["Empty"]
    with pytest.raises(NotFoundError):
        drive.get_item(item.id)
    with pytest.raises(NotFoundError):
        drive.delete_item(item.id)


# --- Uploading and downloading --------------------------------------------------------------------


def test_deleted_items_are_restored_if_the_drive_supports_it(
    drive: Drive, cloud: OneDrive, art: Path, outside: dict[str, DriveItem]
) -> None:
    folder, root = find(drive, "System"), drive.get_root()
    drive.delete_item(folder.id)
    if cloud.kind == "business":
        with pytest.raises(ServiceRefusedError) as refused:
            drive.restore_item(folder.id, root.id)
        assert refused.value.reason == "not_supported"
        return
    with pytest.raises(NotFoundError):
        drive.restore_item(folder.id, outside["Secret"].id)
    restored = drive.restore_item(folder.id, root.id)
    assert (restored.id, restored.name, restored.parent_id) == (folder.id, "System", root.id)
    assert (art / "System" / "Deep" / "detail.png").read_bytes() == PICTURE[:500]
    assert drive.restore_item(folder.id, root.id).id == folder.id, "it is back already"
    with pytest.raises(NotFoundError):
        drive.restore_item("NOTHING!1", root.id)


def test_a_file_is_uploaded_by_fragments_without_a_token(drive: Drive, art: Path) -> None:
    session = drive.create_upload_session(find(drive, "System").id, "neu 1.jpg")
    assert session.expires_at is not None
    assert session.expires_at > datetime.now(UTC)
    assert session.upload_url not in repr(session)
    data = random.Random(2).randbytes(2 * 327_680 + 5)
    for start in range(0, len(data), 327_680):
        part = data[start : start + 327_680]
        span = f"bytes {start}-{start + len(part) - 1}/{len(data)}"
        answer = requests.put(
            session.upload_url, data=part, headers={"Content-Range": span}, timeout=10
        )
        assert answer.status_code == (202 if start + len(part) < len(data) else 201)
    item = find(drive, "System/neu 1.jpg")
    assert item.id == answer.json()["id"]
    assert item.size_bytes == len(data)
    assert (art / "System" / "neu 1.jpg").read_bytes() == data
    target = io.BytesIO()
    drive.download(item, target, 10_000_000)
    assert target.getvalue() == data


def test_the_hub_uploads_a_file_in_fragments_under_a_free_name(
    drive: Drive, art: Path, cloud: OneDrive
) -> None:
    data = random.Random(2).randbytes(FRAGMENT_BYTES * 2 + 5)
    item = drive.upload_file(
        drive.get_root().id, "front.jpg", io.BytesIO(data + b"rest"), len(data)
    )
    assert item.name == "front 1.jpg"
    assert item.size_bytes == len(data)
    assert (art / item.name).read_bytes() == data
    assert (art / "front.jpg").read_bytes() == PICTURE
    assert len(cloud.log("PUT", "uploadSession")) == 3


@pytest.mark.parametrize("fault", ["lost_fragment", "fragment_416", "lost_answer"])
def test_an_upload_goes_on_after_a_lost_fragment(
    drive: Drive, art: Path, cloud: OneDrive, fault: str
) -> None:
    data = random.Random(3).randbytes(FRAGMENT_BYTES + 7)
    cloud.set_fault(fault, method="PUT", times=1)
    drive.upload_file(drive.get_root().id, "new.jpg", io.BytesIO(data), len(data))
    assert (art / "new.jpg").read_bytes() == data


def test_an_upload_that_cannot_be_finished_leaves_nothing(
    drive: Drive, art: Path, cloud: OneDrive
) -> None:
    data = random.Random(4).randbytes(FRAGMENT_BYTES + 7)
    cloud.set_fault("upload_session_gone", skip=1)
    with pytest.raises(ServiceBusyError):
        drive.upload_file(drive.get_root().id, "new.jpg", io.BytesIO(data), len(data))
    assert not (art / "new.jpg").exists()


def test_an_interrupted_upload_is_continued_at_its_address(
    drive: Drive, art: Path, cloud: OneDrive
) -> None:
    data = random.Random(5).randbytes(FRAGMENT_BYTES * 2 + 7)
    root, addresses = drive.get_root().id, list[str]()
    fault = cloud.set_fault("status", method="PUT", path="uploadSession", skip=1)
    with pytest.raises(ServiceBusyError):
        drive.upload_file(root, "new.jpg", io.BytesIO(data), len(data), remember=addresses.append)
    cloud.clear_faults(fault)
    cloud.clear_log()
    address = addresses.pop()
    item = drive.upload_file(
        root, "new.jpg", io.BytesIO(data), len(data), address, addresses.append
    )
    assert (item.name, addresses) == ("new.jpg", [])
    assert (art / "new.jpg").read_bytes() == data
    assert len(cloud.log("PUT", "uploadSession")) == 2, "the first fragment is not sent again"
    # This address has done its work.
    other = drive.upload_file(
        root, "new.jpg", io.BytesIO(data), len(data), address, addresses.append
    )
    assert (other.name, len(addresses)) == ("new 1.jpg", 1)


def test_uploading_to_a_taken_name_is_refused_by_the_end(drive: Drive) -> None:
    try:
        session = drive.create_upload_session(drive.get_root().id, "front.jpg", "fail")
    except ServiceRefusedError as error:
        assert error.reason == "name_taken"
        return
    answer = requests.put(
        session.upload_url, data=b"xyz", headers={"Content-Range": "bytes 0-2/3"}, timeout=10
    )
    assert answer.status_code == 409


def test_a_download_is_verified_and_described(drive: Drive) -> None:
    item = find(drive, "front.jpg")
    target = io.BytesIO(b"before")
    target.seek(6)
    result = drive.download(item, target, len(PICTURE))
    assert target.getvalue() == b"before" + PICTURE
    assert result.size_bytes == len(PICTURE)
    assert result.sha256 == hashlib.sha256(PICTURE).hexdigest()
    assert result.quick_xor_hash == item.quick_xor_hash


def test_an_empty_file_can_be_downloaded(drive: Drive, art: Path) -> None:
    (art / "empty.txt").write_bytes(b"")
    result = drive.download(find(drive, "empty.txt"), io.BytesIO(), 10)
    assert result.size_bytes == 0


def test_a_file_over_the_limit_is_not_downloaded(drive: Drive, cloud: OneDrive) -> None:
    item = find(drive, "front.jpg")
    with pytest.raises(PictureTooLargeError):
        drive.download(item, io.BytesIO(), len(PICTURE) - 1)


def test_a_folder_cannot_be_downloaded(drive: Drive) -> None:
    folder = find(drive, "System")
    for call in (
        lambda: drive.download(folder, io.BytesIO(), 10),
        lambda: drive.fetch_download_url(folder.id),
        lambda: drive.iter_download(folder.id),
    ):
        with pytest.raises(ServiceRefusedError) as caught:
            call()
        assert caught.value.reason == "not_supported"


def test_bytes_can_be_streamed_in_chunks(drive: Drive) -> None:
    chunks = list(drive.iter_download(find(drive, "front.jpg").id, 30_000))
    assert b"".join(chunks) == PICTURE
    assert max(len(chunk) for chunk in chunks) <= 30_000


def test_a_download_address_needs_no_token(drive: Drive) -> None:
    url = drive.fetch_download_url(find(drive, "front.jpg").id)
    assert requests.get(url, timeout=10).content == PICTURE


def test_thumbnails_are_returned_as_bytes(drive: Drive, art: Path, make_jpeg: Any) -> None:
    (art / "real.jpg").write_bytes(make_jpeg)
    item = find(drive, "real.jpg")
    for size in ("small", "medium", "large"):
        found = drive.fetch_thumbnail(item.id, size)
        assert found is not None
        data, content_type = found
        assert content_type.startswith("image/")
        assert len(data) > 100
    assert drive.fetch_thumbnail(find(drive, "System").id) is None
    with pytest.raises(InvalidInputError):
        drive.fetch_thumbnail(item.id, "../content")


def test_a_preview_is_as_large_as_the_service_draws_it(drive: Drive, art: Path) -> None:
    (art / "large.psd").write_bytes(make_psd(make_picture(size=(2400, 1600))))
    (art / "small.psd").write_bytes(make_psd(make_picture()))
    (art / "image.jxl").write_bytes(JPEG_XL)
    for name, size in (("large.psd", (1920, 1280)), ("small.psd", (300, 200))):
        data = drive.fetch_preview(find(drive, name).id)
        assert data is not None
        assert Image.open(io.BytesIO(data)).size == size
    assert drive.fetch_preview(find(drive, "image.jxl").id) is None


@pytest.fixture
def make_jpeg() -> Iterator[bytes]:
    """Make a real picture."""
    stream = io.BytesIO()
    Image.linear_gradient("L").resize((900, 600)).convert("RGB").save(stream, "JPEG")
    return stream.getvalue()


# --- The boundary ---------------------------------------------------------------------------------


def test_nothing_outside_the_root_folder_can_be_reached(
    drive: Drive, outside: dict[str, DriveItem], art: Path, cloud: OneDrive
) -> None:
    root, inside = drive.get_root(), find(drive, "front.jpg")
    assert {"root", "Secret", "diary.txt", "Pictures"} <= set(outside)
    for item in outside.values():
        calls: list[Any] = [
            lambda i=item: drive.get_item(i.id),
            lambda i=item: drive.list_children(i.id),
            lambda i=item: list(drive.iter_children(i.id)),
            lambda i=item: drive.create_folder(i.id, "x"),
            lambda i=item: drive.rename_item(i.id, "x"),
            lambda i=item: drive.move_item(i.id, root.id),
            lambda i=item: drive.move_item(inside.id, i.id),
            lambda i=item: drive.delete_item(i.id),
            lambda i=item: drive.create_upload_session(i.id, "x.jpg"),
            lambda i=item: drive.download(i, io.BytesIO(), 1_000),
            lambda i=item: drive.fetch_download_url(i.id),
            lambda i=item: drive.iter_download(i.id),
            lambda i=item: drive.fetch_thumbnail(i.id),
            lambda i=item: drive.fetch_preview(i.id),
        ]
        for number, call in enumerate(calls):
            with pytest.raises(NotFoundError):
                call()
                pytest.fail(f"call {number} reached {item.name}")
    assert (cloud.root / "Secret" / "diary.txt").read_bytes() == b"dear diary"
    assert sorted(p.name for p in cloud.root.iterdir()) == ["Pictures", "Secret"]


@pytest.mark.parametrize(
    "item_id",
    [
        "",
        ".",
        "..",
        "root",
        "root:/Secret:",
        "../root",
        "a/b",
        "x" * 5000,
        "a\x00b",
        "%2e%2e",
        "?a",
    ],
)
def test_an_invalid_id_is_not_found(drive: Drive, item_id: str) -> None:
    with pytest.raises(NotFoundError):
        drive.get_item(item_id)
    with pytest.raises(NotFoundError):
        drive.delete_item(item_id)


def test_the_root_folder_can_be_a_parent_but_not_changed(drive: Drive) -> None:
    root = drive.get_root()
    system = find(drive, "System")
    assert drive.get_item(root.id).id == root.id
    for call in (
        lambda: drive.rename_item(root.id, "x"),
        lambda: drive.move_item(root.id, system.id),
        lambda: drive.delete_item(root.id),
    ):
        with pytest.raises(NotAllowedError):
            call()


def test_a_page_token_of_another_folder_is_refused(
    connection: Connection, drive: Drive, cloud: OneDrive
) -> None:
    whole = connection.open_drive()
    secret = whole.find_item_by_path("Secret")
    assert secret is not None
    for number in range(3):
        (cloud.root / "Secret" / f"{number}.txt").write_bytes(b"x")
    foreign = whole.list_children(secret.id, page_size=1).next_page
    assert foreign
    base = foreign.partition("/v1.0/")[0]
    for page in (
        foreign,
        foreign + "&$select=id,name",
        f"{base}/v1.0/me/drive/root/children",
        f"{base}/v1.0/me/drive/items/{secret.id}/children?$select=id,name",
    ):
        with pytest.raises(NotFoundError):
            drive.list_children(drive.get_root().id, page)
    for page in (f"{base}/v1.0/me", "https://evil.example/children", "x"):
        with pytest.raises((InvalidInputError, ServiceRefusedError)):
            drive.list_children(drive.get_root().id, page)


def test_a_folder_moved_out_is_outside_when_the_cache_expires(
    connection: Connection, art: Path, cloud: OneDrive
) -> None:
    drive = connection.open_drive(root_folder="/Pictures/Art", memory=DriveMemory(ttl_seconds=0))
    system = find(drive, "System")
    deep = find(drive, "System/Deep")
    assert list_names(drive, deep.id) == ["detail.png"]
    (art / "System").rename(cloud.root / "Secret" / "System")
    for item in (system, deep):
        with pytest.raises(NotFoundError):
            drive.list_children(item.id)
