"""The library O365 with the emulator: every call of the drive that both it and the hub make."""

from pathlib import Path
from typing import Any

import pytest
import requests
from O365 import Account, MSGraphProtocol
from O365.utils.token import MemoryTokenBackend

from tests.emulators.person import STEP_BYTES, Person, make_picture
from tests.fixtures.onedrive import OneDrive

pytestmark = [
    pytest.mark.server,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


class Session(requests.Session):
    def should_strip_auth(self, old_url: str, new_url: str) -> bool:
        # At Microsoft content is on another host than Graph, to which no token is sent.
        return "/v1.0/" not in new_url


def open_drive(onedrive: OneDrive) -> Any:
    class Protocol(MSGraphProtocol):  # type: ignore[misc]
        _protocol_url = f"{onedrive.url}/"

    account = Account(
        ("client", "secret"),
        protocol=Protocol(),
        token_backend=MemoryTokenBackend(),
        requests_delay=0,
    )
    account.con.session = Session()
    token = Person(onedrive).tokens["access_token"]
    account.con.session.headers["Authorization"] = f"Bearer {token}"
    return account.storage().get_default_drive(request_drive=True)


@pytest.fixture(params=["onedrive", "onedrive_business"])
def drive(request: pytest.FixtureRequest) -> Any:
    return open_drive(request.getfixturevalue(request.param))


def test_folders_are_created_listed_renamed_moved_and_deleted(drive: Any) -> None:
    root = drive.get_root_folder()
    one, two = (root.create_child_folder(name) for name in ("One", "Two"))
    assert sorted(item.name for item in root.get_items()) == ["One", "Two"]
    assert two.update(name="Zwei + 100%")
    assert drive.get_item_by_path("/Zwei + 100%").object_id == two.object_id
    assert two.move(one)
    assert [item.name for item in one.get_items()] == ["Zwei + 100%"]
    assert two.delete()
    assert list(one.get_items()) == []


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("name", ["plain.jpg", "with space.jpg", "ü & 1.jpg"])
def test_files_are_uploaded_and_downloaded(
    drive: Any, tmp_path: Path, chunked: bool, name: str
) -> None:
    data = bytes(range(256)) * (5 * STEP_BYTES // 512)
    (tmp_path / name).write_bytes(data)
    root = drive.get_root_folder()
    item = root.upload_file(tmp_path / name, chunk_size=STEP_BYTES, upload_in_chunks=chunked)
    assert (item.name, item.size) == (name, len(data))
    (tmp_path / "back").mkdir()
    assert item.download(tmp_path / "back")
    assert (tmp_path / "back" / name).read_bytes() == data


def test_thumbnails_are_listed(drive: Any, tmp_path: Path) -> None:
    (tmp_path / "picture.jpg").write_bytes(make_picture())
    item = drive.get_root_folder().upload_file(tmp_path / "picture.jpg")
    assert item.get_thumbnails(size="medium")
