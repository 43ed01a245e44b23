"""Counting the images outside a new root folder, with a real drive and its tree."""

from dataclasses import replace

import pytest
from sqlalchemy import delete, update

from imagehub.domain.sync import root_change
from imagehub.domain.sync.root_change import LeftOutside, count_left_outside
from imagehub.models import DriveFolder, Image
from tests.fixtures.checking import check, count_calls, move
from tests.fixtures.importing import ImportHub, make_jpeg


def put(hub: ImportHub, folder: str, *numbers: int) -> None:
    """Import pictures of a folder anywhere in the drive."""
    path = hub.onedrive.root / folder
    path.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        (path / f"{number}.jpg").write_bytes(make_jpeg(number))
    assert set(hub.work(hub.create(hub.select_folder(folder)))) == {"done"}


def count(hub: ImportHub, folder: str) -> LeftOutside:
    """Count with a drive that has nothing cached."""
    hub.session.rollback()
    drive = hub.with_settings().open_drive()
    item = drive.find_item_by_path(folder)
    assert item is not None
    hub.onedrive.clear_log()
    return count_left_outside(hub.session, hub.account_id, drive, item.id)


@pytest.fixture
def filled_hub(either_import_hub: ImportHub) -> ImportHub:
    """Import two pictures of ``/Art/Waves``, one of ``/Art``, 3 of ``/Other/Deep``."""
    put(either_import_hub, "Art/Waves", 1, 2)
    put(either_import_hub, "Other/Deep", 3, 4, 5)
    (either_import_hub.onedrive.root / "Art" / "6.jpg").write_bytes(make_jpeg(6))
    art = either_import_hub.select_folder("Art")
    files = [(file_id, name) for file_id, name in art.files if name == "6.jpg"]
    either_import_hub.work(either_import_hub.create(replace(art, files=files)))
    return either_import_hub


def test_the_tree_answers_without_a_call(filled_hub: ImportHub) -> None:
    assert check(filled_hub).is_done
    assert count(filled_hub, "Art") == LeftOutside(outside=3)
    assert count_calls(filled_hub, "/items/") == 0
    assert count(filled_hub, "Art/Waves") == LeftOutside(outside=4)
    assert count(filled_hub, "Other") == LeftOutside(outside=3)
    assert count(filled_hub, "") == LeftOutside()


def test_unread_folders_are_requested(filled_hub: ImportHub) -> None:
    assert count(filled_hub, "Art") == LeftOutside(outside=3)
    assert count_calls(filled_hub, "/items/") > 0


def test_gaps_in_the_tree_are_filled_by_calls(filled_hub: ImportHub) -> None:
    assert check(filled_hub).is_done
    filled_hub.session.execute(delete(DriveFolder).where(DriveFolder.name == "Other"))
    filled_hub.session.commit()
    assert count(filled_hub, "Art") == LeftOutside(outside=3)
    assert 0 < count_calls(filled_hub, "/items/") < 4


def test_the_number_of_calls_is_limited(
    filled_hub: ImportHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(root_change, "_MAX_REQUESTS", 2)
    assert count(filled_hub, "Art/Waves") == LeftOutside(outside=0, unknown=4)
    assert count_calls(filled_hub, "/items/") == 2


def test_a_busy_drive_gives_no_count(filled_hub: ImportHub) -> None:
    drive = filled_hub.with_settings().open_drive()
    item = drive.find_item_by_path("Art")
    assert item is not None
    filled_hub.onedrive.set_fault("status", status=503, retry_after="60", path="/items/")
    filled_hub.session.rollback()
    left = count_left_outside(filled_hub.session, filled_hub.account_id, drive, item.id)
    assert left == LeftOutside(outside=0, unknown=5)


def test_missing_and_deleted_images_are_not_counted(filled_hub: ImportHub) -> None:
    filled_hub.session.execute(
        update(Image).where(Image.name == "3.jpg").values(drive_state="missing")
    )
    filled_hub.session.commit()
    assert count(filled_hub, "Art") == LeftOutside(outside=2)
    drive = filled_hub.open_drive()
    deep = drive.find_item_by_path("Other/Deep")
    assert deep is not None
    drive.delete_item(deep.id)
    assert count(filled_hub, "Art") == LeftOutside()


def test_a_moved_folder_is_found_at_its_new_place(filled_hub: ImportHub) -> None:
    assert check(filled_hub).is_done
    move(filled_hub, "Other/Deep", "Art/Deep")
    check(filled_hub)
    assert count(filled_hub, "Art") == LeftOutside()
