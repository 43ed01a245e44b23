"""Folders of OneDrive, against the emulator over real HTTP."""

from collections.abc import Iterator

import pytest
import requests

from imagehub.clients import Drive, Quota
from imagehub.domain.onedrive import folders as onedrive_folders
from imagehub.errors import (
    ConnectionLostError,
    ImageHubError,
    InvalidInputError,
    NotAllowedError,
    NotFoundError,
    ServiceBusyError,
    ServiceRefusedError,
)
from tests.fixtures.connection import DriveHub

FILES = {
    "System/front.jpg": b"front",
    "System/back.jpg": b"the back",
    "System/Details/hand.jpg": b"hand",
    "Äpfel & Birnen/ß 100%.png": b"fruit",
    "loose.jpg": b"beside the folders",
}


@pytest.fixture
def hub(drive_hub: DriveHub) -> DriveHub:
    for path, data in FILES.items():
        target = drive_hub.onedrive.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    (drive_hub.onedrive.root / "Empty").mkdir()
    drive_hub.connect()
    return drive_hub


@pytest.fixture
def drive(hub: DriveHub) -> Iterator[Drive]:
    yield hub.open_drive()


def get_folder_ids(drive: Drive) -> dict[str, str]:
    return {item.name: item.id for item in drive.iter_children(drive.get_root().id)}


# --- Listing --------------------------------------------------------------------------------------


def test_a_listing_has_the_exact_shape_of_the_contract(drive: Drive) -> None:
    listing = onedrive_folders.list_folders_with_files(drive)
    ids = get_folder_ids(drive)
    assert list(listing)[:2] == ["used_storage", "total_storage"]
    assert set(listing) == {
        "used_storage",
        "total_storage",
        ids["System"],
        ids["Äpfel & Birnen"],
        ids["Empty"],
    }
    folder = listing[ids["System"]]
    assert list(folder) == [
        "folder_name",
        "folder_size",
        "creation_time",
        "modification_time",
        "is_folder",
        "files",
    ]
    assert folder["folder_name"] == "System"
    assert folder["is_folder"] is True
    files = {file["file_name"]: file for file in folder["files"].values()}
    assert set(files) == {"front.jpg", "back.jpg"}, "folders inside are no files"
    assert list(files["front.jpg"]) == [
        "file_name",
        "file_size",
        "creation_time",
        "modification_time",
        "is_folder",
    ]
    assert files["front.jpg"]["file_size"] == 5
    assert files["front.jpg"]["is_folder"] is False
    for moment in (folder["creation_time"], files["front.jpg"]["modification_time"]):
        assert moment[10] == "T"
        assert moment.endswith("Z")
    assert listing[ids["Empty"]]["files"] == {}


def test_file_ids_of_a_listing_open_the_files(drive: Drive) -> None:
    listing = onedrive_folders.list_folders_with_files(drive)
    folder = listing[get_folder_ids(drive)["Äpfel & Birnen"]]
    ((file_id, file),) = folder["files"].items()
    assert file["file_name"] == "ß 100%.png"
    assert b"".join(drive.iter_download(file_id)) == b"fruit"


def test_a_listing_contains_all_pages(hub: DriveHub, drive: Drive) -> None:
    for number in range(230):
        (hub.onedrive.root / f"Folder {number:03}").mkdir()
    many = hub.onedrive.root / "Folder 117"
    for number in range(1_050):
        (many / f"{number:04}.jpg").write_bytes(b"x")
    listing = onedrive_folders.list_folders_with_files(drive)
    folders = {v["folder_name"]: v for k, v in listing.items() if not k.endswith("_storage")}
    assert len(folders) == 233
    assert len(folders["Folder 117"]["files"]) == 1_050


def test_storage_is_given_in_gib_with_two_decimals() -> None:
    gib = 1024**3
    measure = onedrive_folders._measure_storage
    assert measure(Quota(5 * gib, int(1.254 * gib))) == (1.25, 5.0)
    assert measure(Quota(total_bytes=5 * gib)) == (0.0, 5.0)
    assert measure(Quota()) == (0.0, 0.0)


def test_a_personal_vault_does_not_break_the_listing(hub: DriveHub, drive: Drive) -> None:
    hub.onedrive.set_fault("vault")
    names = {
        value["folder_name"]
        for key, value in onedrive_folders.list_folders_with_files(drive).items()
        if not key.endswith("_storage")
    }
    assert {"System", "Empty"} <= names
    assert not any("vault" in name.lower() for name in names)


def test_a_folder_deleted_during_listing_is_left_out(hub: DriveHub, drive: Drive) -> None:
    gone = get_folder_ids(drive)["Empty"]
    hub.onedrive.set_fault(
        "status", method="GET", path=f"{gone}/children", status=404, code="itemNotFound"
    )
    listing = onedrive_folders.list_folders_with_files(drive)
    assert gone not in listing
    assert get_folder_ids(drive)["System"] in listing


def test_an_unreadable_answer_is_reported_as_such(hub: DriveHub, drive: Drive) -> None:
    hub.onedrive.set_fault("garbage", path="/children")
    with pytest.raises(ServiceRefusedError) as caught:
        onedrive_folders.list_folders_with_files(drive)
    assert caught.value.reason == "bad_answer"


def test_a_busy_service_says_when_to_retry(hub: DriveHub, drive: Drive) -> None:
    hub.onedrive.set_fault("status", path="/children", status=429, retry_after=120)
    with pytest.raises(ServiceBusyError) as caught:
        onedrive_folders.list_folders_with_files(drive)
    assert caught.value.retry_after_seconds > 100


def test_a_lost_connection_is_not_reported_as_busy(hub: DriveHub) -> None:
    hub.disconnect()
    with pytest.raises(ConnectionLostError):
        onedrive_folders.list_folders_with_files(hub.open_drive())


# --- Changing -------------------------------------------------------------------------------------


def test_a_new_folder_is_created_in_the_root_folder(hub: DriveHub, drive: Drive) -> None:
    folder = onedrive_folders.create_folder(drive, "Winter 2024")
    assert folder.is_folder
    assert folder.name == "Winter 2024"
    assert (hub.onedrive.root / "Winter 2024").is_dir()


def test_a_taken_folder_name_gets_a_number(hub: DriveHub, drive: Drive) -> None:
    folder = onedrive_folders.create_folder(drive, "system")
    assert folder.name != "system"
    assert folder.name.startswith("system")
    assert (hub.onedrive.root / folder.name).is_dir()


def test_a_folder_can_be_created_in_another(hub: DriveHub, drive: Drive) -> None:
    parent_id = get_folder_ids(drive)["System"]
    onedrive_folders.create_folder(drive, "Backs", parent_id)
    assert (hub.onedrive.root / "System" / "Backs").is_dir()


@pytest.mark.parametrize("name", ["", "a/b", "a:b", "what?", " x", "x ", "CON", "~x", "a" * 300])
def test_an_invalid_name_is_refused_without_a_call(hub: DriveHub, drive: Drive, name: str) -> None:
    folder_id = get_folder_ids(drive)["Empty"]
    calls = (
        lambda: onedrive_folders.create_folder(drive, name),
        lambda: onedrive_folders.rename_item(drive, folder_id, name),
        lambda: onedrive_folders.create_upload_session(drive, folder_id, name),
    )
    for call in calls:
        with pytest.raises(InvalidInputError) as caught:
            call()
        assert str(caught.value).endswith(".")
    changes = [e for e in hub.onedrive.log() if e["method"] != "GET" and "/v1.0" in e["path"]]
    assert changes == []


def test_files_and_folders_can_be_renamed(hub: DriveHub, drive: Drive) -> None:
    folder_id = get_folder_ids(drive)["System"]
    file_id = next(i.id for i in drive.iter_children(folder_id) if i.name == "front.jpg")
    assert onedrive_folders.rename_item(drive, file_id, "vorne.jpg").name == "vorne.jpg"
    assert onedrive_folders.rename_item(drive, folder_id, "Systeme").name == "Systeme"
    assert (hub.onedrive.root / "Systeme" / "vorne.jpg").read_bytes() == b"front"


def test_a_taken_name_is_refused_with_a_message(drive: Drive) -> None:
    folder_id = get_folder_ids(drive)["Empty"]
    with pytest.raises(ServiceRefusedError) as caught:
        onedrive_folders.rename_item(drive, folder_id, "System")
    assert caught.value.reason == "name_taken"
    assert str(caught.value) == "This name is already taken."


def test_files_and_folders_can_be_deleted(hub: DriveHub, drive: Drive) -> None:
    ids = get_folder_ids(drive)
    file_id = next(i.id for i in drive.iter_children(ids["System"]) if i.name == "front.jpg")
    onedrive_folders.delete_item(drive, file_id)
    onedrive_folders.delete_item(drive, ids["Empty"])
    assert not (hub.onedrive.root / "System" / "front.jpg").exists()
    assert not (hub.onedrive.root / "Empty").exists()
    with pytest.raises(NotFoundError):
        onedrive_folders.delete_item(drive, ids["Empty"])


def test_the_root_folder_cannot_be_changed(drive: Drive) -> None:
    root_id = drive.get_root().id
    with pytest.raises(NotAllowedError):
        onedrive_folders.delete_item(drive, root_id)
    with pytest.raises(NotAllowedError):
        onedrive_folders.rename_item(drive, root_id, "Elsewhere")


def test_an_upload_session_accepts_bytes_from_a_browser(hub: DriveHub, drive: Drive) -> None:
    folder_id = get_folder_ids(drive)["Empty"]
    session = onedrive_folders.create_upload_session(drive, folder_id, "new.jpg")
    assert session.upload_url not in repr(session)
    answer = requests.put(
        session.upload_url,
        data=b"12345",
        headers={"Content-Range": "bytes 0-4/5"},
        timeout=10,
    )
    assert answer.status_code == 201
    assert (hub.onedrive.root / "Empty" / "new.jpg").read_bytes() == b"12345"


def test_a_full_drive_is_reported_with_a_message(hub: DriveHub, drive: Drive) -> None:
    folder_id = get_folder_ids(drive)["Empty"]
    hub.onedrive.set_fault("status", method="POST", status=507, code="quotaLimitReached")
    with pytest.raises(ServiceRefusedError, match="full") as caught:
        onedrive_folders.create_upload_session(drive, folder_id, "new.jpg")
    assert caught.value.reason == "quota_full"


# --- The boundary ---------------------------------------------------------------------------------


def test_nothing_outside_the_root_folder_can_be_reached(hub: DriveHub, drive: Drive) -> None:
    outside = get_folder_ids(drive)["System"]
    secret = next(i.id for i in drive.iter_children(outside) if i.name == "front.jpg")
    inside = hub.with_settings(root_folder="/Empty").open_drive()
    calls = (
        lambda: onedrive_folders.create_folder(inside, "x", outside),
        lambda: onedrive_folders.rename_item(inside, secret, "x.jpg"),
        lambda: onedrive_folders.delete_item(inside, outside),
        lambda: onedrive_folders.delete_item(inside, secret),
        lambda: onedrive_folders.create_upload_session(inside, outside, "x.jpg"),
        lambda: onedrive_folders.delete_item(inside, "no-such-id"),
        lambda: onedrive_folders.delete_item(inside, "../root"),
    )
    for call in calls:
        with pytest.raises(ImageHubError) as caught:
            call()
        assert isinstance(caught.value, NotFoundError | InvalidInputError)
        if isinstance(caught.value, NotFoundError):
            assert str(caught.value) == "This item is not inside the root folder."
    assert (hub.onedrive.root / "System" / "front.jpg").exists()
    listing = onedrive_folders.list_folders_with_files(inside)
    assert set(listing) == {"used_storage", "total_storage"}


def test_a_missing_root_folder_is_named_in_the_error(hub: DriveHub) -> None:
    lost = hub.with_settings(root_folder="/Nowhere").open_drive()
    for call in (
        lambda: onedrive_folders.list_folders_with_files(lost),
        lambda: onedrive_folders.create_folder(lost, "x"),
    ):
        with pytest.raises(NotFoundError, match="root folder set for this hub"):
            call()
