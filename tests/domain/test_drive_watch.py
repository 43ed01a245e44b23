"""What is noticed of originals that are changed, moved, deleted and put back in a real drive."""

import io
import json
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pillow_heif
import pytest
import requests
from PIL import Image as Picture
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from imagehub.clients import DriveItem
from imagehub.database import now_utc
from imagehub.domain import drive_watch, gallery, search
from imagehub.domain.connection import get_access_token
from imagehub.domain.drive_watch import CheckReport
from imagehub.domain.leases import acquire_lease, release_lease
from imagehub.models import DriveFolder, DriveWatch, Image, Lease
from tests.fixtures.importing import ImportHub, make_jpeg
from tests.fixtures.onedrive import OneDrive


def bring_in(hub: ImportHub, folder: str, count: int = 2, first: int = 0) -> None:
    """Import pictures of a folder, and look at the drive once."""
    hub.work(hub.create(hub.put_pictures(folder, count, first)))
    assert check(hub).is_done


def check(hub: ImportHub, **changes: Any) -> CheckReport:
    hub.session.rollback()
    clients = replace(hub.clients, **changes)
    report = drive_watch.check_drive(hub.session, clients, hub.account_id)
    assert report is not None
    return report


def states(hub: ImportHub) -> dict[str, str]:
    """File name → state."""
    hub.session.rollback()
    hub.session.expire_all()
    return {image.name: image.drive_state for image in hub.list_images()}


def doubts(hub: ImportHub) -> int:
    hub.session.rollback()
    count = hub.session.scalar(
        select(func.count()).select_from(Image).where(Image.drive_doubt != 0)
    )
    return count or 0


def watch(hub: ImportHub) -> DriveWatch:
    hub.session.rollback()
    hub.session.expire_all()
    return hub.session.get_one(DriveWatch, hub.account_id)


def count_calls(hub: ImportHub, path: str) -> int:
    return len(hub.onedrive.log("GET", path))


# --- Files ----------------------------------------------------------------------------------------


def test_nothing_is_said_of_a_drive_that_stands_still(either_import_hub: ImportHub) -> None:
    hub = either_import_hub
    bring_in(hub, "Works")
    assert watch(hub).checked_at is not None
    hub.onedrive.clear_log()
    report = check(hub)
    assert (report.is_done, report.was_full, report.item_count) == (True, False, 0)
    assert set(states(hub).values()) == {"ok"}
    assert count_calls(hub, "/items/") == 0, "no file is asked for without a reason"


def test_a_file_with_another_content_is_changed(either_import_hub: ImportHub) -> None:
    hub = either_import_hub
    bring_in(hub, "Works")
    path = hub.onedrive.root / "Works" / "0000.jpg"
    old = path.read_bytes()
    path.write_bytes(make_jpeg(7))
    check(hub)
    assert states(hub) == {"0000.jpg": "changed", "0001.jpg": "ok"}
    path.write_bytes(old)
    check(hub)
    assert states(hub) == {"0000.jpg": "ok", "0001.jpg": "ok"}


def test_a_touched_or_renamed_file_is_not_changed(either_import_hub: ImportHub) -> None:
    hub = either_import_hub
    bring_in(hub, "Works")
    folder = hub.onedrive.root / "Works"
    (folder / "0000.jpg").touch()
    drive = hub.open_drive()
    item = drive.find_item_by_path("Works/0001.jpg")
    assert item is not None
    drive.rename_item(item.id, "zebra.jpg")
    before = {image.id: image.updated_at for image in hub.list_images()}
    check(hub)
    assert states(hub) == {"0000.jpg": "ok", "zebra.jpg": "ok"}
    assert {image.id: image.updated_at for image in hub.list_images()} == before
    [group] = search.list_group_ids(hub.session, "zebra", 10)
    assert group == hub.get_only_group().id, "the search knows the new name"


def test_a_deleted_file_is_missing_until_it_is_back(either_import_hub: ImportHub) -> None:
    hub = either_import_hub
    bring_in(hub, "Works")
    drive = hub.open_drive()
    item = drive.find_item_by_path("Works/0000.jpg")
    assert item is not None
    drive.delete_item(item.id)
    check(hub)
    assert states(hub) == {"0000.jpg": "missing", "0001.jpg": "ok"}
    restore(hub, item.id)
    check(hub)
    assert states(hub) == {"0000.jpg": "ok", "0001.jpg": "ok"}
    assert doubts(hub) == 0


def restore(hub: ImportHub, item_id: str) -> None:
    """Take an item out of the recycle bin, as a person does at OneDrive."""
    token = get_access_token(hub.session, hub.clients, hub.account_id).token
    answer = requests.post(
        f"{hub.onedrive.graph_url}/me/drive/items/{item_id}/restore",
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
        data=json.dumps({}),
        timeout=30,
    )
    assert answer.ok, answer.text


def test_a_file_that_moves_inside_takes_its_folder_along(import_hub: ImportHub) -> None:
    hub = import_hub
    bring_in(hub, "Works")
    (hub.onedrive.root / "Elsewhere").mkdir()
    drive = hub.open_drive()
    item, target = drive.find_item_by_path("Works/0000.jpg"), drive.find_item_by_path("Elsewhere")
    assert item is not None and target is not None
    drive.move_item(item.id, target.id)
    check(hub)
    assert set(states(hub).values()) == {"ok"}
    [moved] = [image for image in hub.list_images() if image.name == "0000.jpg"]
    assert (moved.folder_id, moved.folder_name) == (target.id, "Elsewhere")


# --- Folders --------------------------------------------------------------------------------------


@pytest.fixture
def bounded_hub(
    make_import_hub: Callable[..., ImportHub], sqlite_url: str, onedrive: OneDrive
) -> ImportHub:
    """Closed at ``/Public``, with two pictures in ``/Public/A/B`` and one in ``/Public``."""
    (onedrive.root / "Public" / "A" / "B").mkdir(parents=True)
    (onedrive.root / "Private").mkdir()
    for number, place in enumerate(("A/B/0.jpg", "A/B/1.jpg", "2.jpg")):
        (onedrive.root / "Public" / place).write_bytes(make_jpeg(number))
    hub = make_import_hub(sqlite_url)
    bounded = hub.with_settings(root_folder="/Public")
    hub.settings, hub.clients = bounded.settings, bounded.clients
    hub.work(hub.create(hub.select_folder("A/B")))
    root = hub.open_drive().get_root()
    file = hub.open_drive().find_item_by_path("2.jpg")
    assert file is not None
    selection = replace(hub.select_folder("A/B"), folder_id=root.id, files=[(file.id, file.name)])
    hub.work(hub.create(selection))
    assert check(hub).is_done
    assert states(hub) == {"0.jpg": "ok", "1.jpg": "ok", "2.jpg": "ok"}
    return hub


def move(hub: ImportHub, old: str, new: str) -> None:
    """In the drive itself, past the hub."""
    (hub.onedrive.root / old).rename(hub.onedrive.root / new)


def test_a_file_that_leaves_the_root_folder_is_outside_and_not_missing(
    bounded_hub: ImportHub,
) -> None:
    hub = bounded_hub
    move(hub, "Public/2.jpg", "Private/2.jpg")
    check(hub)
    assert states(hub) == {"0.jpg": "ok", "1.jpg": "ok", "2.jpg": "outside"}
    assert drive_watch.count_states(hub.session) == drive_watch.StateCounts(outside=1)
    move(hub, "Private/2.jpg", "Public/A/2.jpg")
    check(hub)
    assert set(states(hub).values()) == {"ok"}
    assert find_image(hub, "2.jpg").folder_name == "A"


def test_a_file_that_is_deleted_outside_is_missing(bounded_hub: ImportHub) -> None:
    hub = bounded_hub
    move(hub, "Public/2.jpg", "Private/2.jpg")
    check(hub)
    (hub.onedrive.root / "Private" / "2.jpg").unlink()
    check(hub)
    assert states(hub)["2.jpg"] == "missing"


def test_nothing_is_told_of_a_file_outside_but_that_it_is_there(bounded_hub: ImportHub) -> None:
    """What it is called out there, and in which folder, is nobody's business."""
    hub = bounded_hub
    before = find_image(hub, "2.jpg")
    move(hub, "Public/2.jpg", "Private/secret.jpg")
    check(hub)
    move(hub, "Private", "Very private")
    check(hub)
    (hub.onedrive.root / "Very private" / "secret.jpg").write_bytes(make_jpeg(77))
    check(hub)
    after = find_image(hub, "2.jpg")
    assert after.drive_state == "outside"
    assert (after.name, after.folder_name) == ("2.jpg", before.folder_name)
    assert doubts(hub) == 0
    move(hub, "Very private/secret.jpg", "Public/A/new.jpg")
    check(hub)
    back = find_image(hub, "new.jpg")
    assert (back.drive_state, back.folder_name) == ("changed", "A")


def test_a_folder_outside_gives_no_image_its_new_name(bounded_hub: ImportHub) -> None:
    hub = bounded_hub
    move(hub, "Public/A/B", "Private/B")
    check(hub)
    move(hub, "Private/B", "Private/Secrets")
    check(hub)
    assert states(hub) == {"0.jpg": "outside", "1.jpg": "outside", "2.jpg": "ok"}
    assert {find_image(hub, name).folder_name for name in ("0.jpg", "1.jpg")} == {"B"}
    for name in ("0", "1"):
        move(hub, f"Private/Secrets/{name}.jpg", f"Private/Secrets/secret-{name}.jpg")
    check(hub)
    assert set(states(hub)) == {"0.jpg", "1.jpg", "2.jpg"}


def find_image(hub: ImportHub, name: str) -> Image:
    [image] = [image for image in hub.list_images() if image.name == name]
    return image


def test_a_folder_takes_all_below_it_out_and_back(bounded_hub: ImportHub) -> None:
    hub = bounded_hub
    move(hub, "Public/A", "Private/A")
    check(hub)
    assert states(hub) == {"0.jpg": "outside", "1.jpg": "outside", "2.jpg": "ok"}
    move(hub, "Private/A", "Public/Z")
    check(hub)
    assert set(states(hub).values()) == {"ok"}
    assert doubts(hub) == 0


def test_folders_that_move_inside_ask_for_no_file(bounded_hub: ImportHub) -> None:
    hub = bounded_hub
    move(hub, "Public/A/B", "Public/C")
    hub.onedrive.clear_log()
    check(hub)
    assert set(states(hub).values()) == {"ok"}
    assert count_calls(hub, "/items/") == 0
    assert {i.folder_name for i in hub.list_images() if i.name != "2.jpg"} == {"C"}


@pytest.mark.parametrize("alone", [False, True])
def test_a_deleted_folder_takes_all_below_it_along(bounded_hub: ImportHub, alone: bool) -> None:
    hub = bounded_hub
    if alone:
        hub.onedrive.set_fault("delta_folder_alone")
    drive = hub.open_drive()
    folder = drive.find_item_by_path("A")
    assert folder is not None
    drive.delete_item(folder.id)
    check(hub)
    assert states(hub) == {"0.jpg": "missing", "1.jpg": "missing", "2.jpg": "ok"}
    if alone:
        hub.onedrive.set_fault("delta_forgets", item="/A/")
    restore(hub, folder.id)
    check(hub)
    assert set(states(hub).values()) == {"ok"}


def test_a_look_may_be_asked_for_a_little_later(import_hub: ImportHub) -> None:
    hub = import_hub
    bring_in(hub, "Works")
    drive_watch.ask_for_check(hub.session, hub.account_id, timedelta(hours=1))
    assert drive_watch.describe_watch(hub.session, hub.account_id).is_asked
    assert drive_watch.list_due_accounts(hub.session, 0) == []
    hub.session.rollback()
    drive_watch.ask_for_check(hub.session, hub.account_id)
    assert drive_watch.list_due_accounts(hub.session, 0) == [hub.account_id]


def test_another_root_folder_judges_all_places_anew(bounded_hub: ImportHub) -> None:
    hub = bounded_hub
    narrow = hub.with_settings(root_folder="/Public/A")
    check(hub, open_drive=narrow.clients.open_drive)
    assert states(hub) == {"0.jpg": "ok", "1.jpg": "ok", "2.jpg": "outside"}
    check(hub)
    assert set(states(hub).values()) == {"ok"}, "a wider one heals what it holds"


def test_without_its_root_folder_nothing_is_missing(bounded_hub: ImportHub) -> None:
    hub = bounded_hub
    move(hub, "Public", "Published")
    report = check(hub, open_drive=hub.with_settings().clients.open_drive)
    assert "root folder cannot be found" in report.problem
    assert set(states(hub).values()) == {"ok"}
    assert watch(hub).problem == report.problem
    move(hub, "Published", "Public")
    assert check(hub).is_done
    assert watch(hub).problem == ""


# --- What the hub did itself ----------------------------------------------------------------------


def note(hub: ImportHub, *paths: str, with_all_below: bool = False) -> None:
    """The hub has changed these."""
    drive = hub.open_drive()
    items = [drive.find_item_by_path(path) for path in paths]
    ids = [item.id for item in items if item is not None]
    assert len(ids) == len(paths)
    hub.session.rollback()
    drive_watch.note_changes(hub.session, hub.account_id, ids, with_all_below)


def list_doubtful(hub: ImportHub) -> list[str]:
    hub.session.rollback()
    hub.session.expire_all()
    return [image.name for image in hub.list_images() if image.drive_doubt == drive_watch.ASK]


def is_due(hub: ImportHub, seconds: float) -> bool:
    """Whether a worker would look, so many seconds from now."""
    left = watch(hub).next_at
    is_asked = drive_watch.describe_watch(hub.session, hub.account_id).is_asked
    return is_asked and (left is None or left <= now_utc() + timedelta(seconds=seconds))


def test_what_the_hub_changes_is_looked_at_soon_and_alone(bounded_hub: ImportHub) -> None:
    hub = bounded_hub
    note(hub, "2.jpg")
    assert list_doubtful(hub) == ["2.jpg"]
    assert is_due(hub, 5) and not is_due(hub, -1)
    check(hub)
    assert not drive_watch.describe_watch(hub.session, hub.account_id).is_asked
    assert list_doubtful(hub) == []


@pytest.mark.parametrize("path", ["A", "A/B"])
def test_a_folder_that_goes_takes_its_images_into_doubt(bounded_hub: ImportHub, path: str) -> None:
    hub = bounded_hub
    note(hub, path, with_all_below=True)
    assert list_doubtful(hub) == ["0.jpg", "1.jpg"]
    assert is_due(hub, 5)


def test_a_folder_with_another_name_is_looked_at_without_asking_for_its_files(
    bounded_hub: ImportHub,
) -> None:
    hub = bounded_hub
    drive = hub.open_drive()
    folder = drive.find_item_by_path("A/B")
    assert folder is not None
    drive.rename_item(folder.id, "C")
    drive_watch.note_changes(hub.session, hub.account_id, [folder.id])
    assert list_doubtful(hub) == []
    assert is_due(hub, 5)
    hub.onedrive.clear_log()
    check(hub)
    assert count_calls(hub, "/items/") == 0
    assert hub.onedrive.log("POST", "batch") == []
    assert {find_image(hub, name).folder_name for name in ("0.jpg", "1.jpg")} == {"C"}


def test_what_no_image_comes_from_is_no_reason_to_look(bounded_hub: ImportHub) -> None:
    hub = bounded_hub
    (hub.onedrive.root / "Public" / "notes.txt").write_bytes(b"x")
    (hub.onedrive.root / "Public" / "Empty").mkdir()
    note(hub, "notes.txt", "Empty", with_all_below=True)
    note(hub, "notes.txt", "Empty")
    assert not drive_watch.describe_watch(hub.session, hub.account_id).is_asked


def test_one_look_is_enough_for_several_changes(bounded_hub: ImportHub) -> None:
    hub = bounded_hub
    note(hub, "2.jpg")
    first = watch(hub).next_at
    note(hub, "A", with_all_below=True)
    assert watch(hub).next_at == first
    assert list_doubtful(hub) == ["0.jpg", "1.jpg", "2.jpg"]
    # One that a person asked for is not put off, and the wait after a failure is kept.
    drive_watch.ask_for_check(hub.session, hub.account_id)
    note(hub, "2.jpg")
    assert is_due(hub, 0)
    for later in (timedelta(minutes=15), timedelta(seconds=-15)):
        hub.session.execute(
            update(DriveWatch).values(asked_at=None, next_at=now_utc() + later, failure_count=1)
        )
        hub.session.commit()
        note(hub, "2.jpg")
        assert is_due(hub, 5) is (later < timedelta(0))
        assert is_due(hub, 1000)


def test_a_change_during_a_look_is_not_lost(bounded_hub: ImportHub) -> None:
    hub = bounded_hub
    left = [True]

    def keep_on() -> bool:
        if left:
            left.clear()
            with Session(hub.engine) as other:
                image = other.scalars(select(Image).where(Image.name == "2.jpg")).one()
                item_id = image.drive_item_id
                other.rollback()
                drive_watch.note_changes(other, hub.account_id, [item_id])
        return True

    hub.session.rollback()
    report = drive_watch.check_drive(hub.session, hub.clients, hub.account_id, keep_on)
    assert report is not None and report.is_done
    assert drive_watch.describe_watch(hub.session, hub.account_id).is_asked


# --- The feed -------------------------------------------------------------------------------------


def test_everything_is_read_again_where_the_service_has_forgotten(
    either_import_hub: ImportHub,
) -> None:
    hub = either_import_hub
    bring_in(hub, "Works", 3)
    (hub.onedrive.root / "Works" / "0000.jpg").unlink()
    (hub.onedrive.root / "Works" / "0001.jpg").write_bytes(make_jpeg(9))
    hub.onedrive.set_fault("delta_gone", times=1)
    report = check(hub)
    assert (report.is_done, report.was_full) == (True, True)
    assert states(hub) == {"0000.jpg": "missing", "0001.jpg": "changed", "0002.jpg": "ok"}
    assert doubts(hub) == 0


def test_a_service_that_always_forgets_is_not_asked_for_ever(import_hub: ImportHub) -> None:
    hub = import_hub
    bring_in(hub, "Works")
    hub.onedrive.set_fault("delta_gone")
    hub.onedrive.set_fault("delta_empty_page")
    report = check(hub)
    assert "again and again" in report.problem
    assert set(states(hub).values()) == {"ok"}
    hub.onedrive.clear_faults()
    assert check(hub).is_done


@pytest.mark.parametrize(
    "fault", ["delta_duplicate", "delta_empty_page", "delta_deleted_without_name"]
)
def test_oddities_of_the_feed_change_nothing(import_hub: ImportHub, fault: str) -> None:
    hub = import_hub
    bring_in(hub, "Works", 3)
    hub.onedrive.set_fault(fault, **({"times": 3} if fault == "delta_empty_page" else {}))
    (hub.onedrive.root / "Works" / "0000.jpg").unlink()
    (hub.onedrive.root / "Works" / "0001.jpg").write_bytes(make_jpeg(9))
    check(hub)
    assert states(hub) == {"0000.jpg": "missing", "0001.jpg": "changed", "0002.jpg": "ok"}


def test_a_business_drive_tells_less_and_is_understood(
    make_import_hub: Callable[..., ImportHub], sqlite_url: str, onedrive_business: OneDrive
) -> None:
    hub = make_import_hub(sqlite_url, onedrive_business)
    bring_in(hub, "Works", 3)
    drive = hub.open_drive()
    item = drive.find_item_by_path("Works/0000.jpg")
    assert item is not None
    drive.delete_item(item.id)
    (hub.onedrive.root / "Works" / "0001.jpg").write_bytes(make_jpeg(9))
    check(hub)
    assert states(hub) == {"0000.jpg": "missing", "0001.jpg": "changed", "0002.jpg": "ok"}


def test_ids_that_change_their_case_are_known(import_hub: ImportHub) -> None:
    hub = import_hub
    bring_in(hub, "Works")
    hub.onedrive.set_fault("drive_id_casing")
    (hub.onedrive.root / "Works" / "0000.jpg").write_bytes(make_jpeg(9))
    check(hub)
    assert states(hub) == {"0000.jpg": "changed", "0001.jpg": "ok"}


def test_what_is_not_told_is_asked_for_by_id(import_hub: ImportHub) -> None:
    """Nothing is missing because a page did not name it."""
    hub = import_hub
    bring_in(hub, "Works", 3)
    hub.onedrive.set_fault("delta_forgets", item=r"/000[01]\.jpg$")
    (hub.onedrive.root / "Works" / "0001.jpg").unlink()
    forget(hub)
    assert check(hub).was_full
    assert states(hub) == {"0000.jpg": "ok", "0001.jpg": "missing", "0002.jpg": "ok"}


def forget(hub: ImportHub) -> None:
    """The hub no longer knows how far it read."""
    hub.session.execute(update(DriveWatch).values(link=b"", step=""))
    hub.session.commit()


def test_a_check_that_was_cut_goes_on_where_it_was(
    make_import_hub: Callable[..., ImportHub],
    database_url: str,
    start_onedrive: Callable[..., OneDrive],
) -> None:
    one_item_a_page = start_onedrive(page_seconds=0)
    hub = make_import_hub(database_url, one_item_a_page)
    hub.work(hub.create(hub.put_pictures("Works", 6)))
    left = [0]

    def keep_on() -> bool:
        left[0] -= 1
        return left[0] > 0

    reports = []
    for _ in range(40):
        left[0] = 4
        report = drive_watch.check_drive(hub.session, hub.clients, hub.account_id, keep_on)
        assert report is not None
        reports.append(report)
        if report.is_done:
            break
    assert reports[-1].is_done
    assert len([report for report in reports if report.item_count]) > 2
    assert sum(report.item_count for report in reports) == 8, "no page was read twice"
    assert watch(hub).run_number == 1, "it was not begun anew"
    assert doubts(hub) == 0
    assert set(states(hub).values()) == {"ok"}


def test_a_cut_connection_leaves_all_as_it_was_and_loses_nothing(import_hub: ImportHub) -> None:
    hub = import_hub
    bring_in(hub, "Works", 3)
    (hub.onedrive.root / "Works" / "0000.jpg").write_bytes(make_jpeg(9))
    hub.onedrive.set_fault("drop", path="/delta")
    report = check(hub)
    assert not report.is_done
    assert "cannot be reached" in report.problem
    assert set(states(hub).values()) == {"ok"}
    hub.onedrive.clear_faults()
    check(hub)
    assert states(hub)["0000.jpg"] == "changed"


def test_a_throttled_check_waits_as_long_as_it_is_told(import_hub: ImportHub) -> None:
    hub = import_hub
    bring_in(hub, "Works")
    hub.onedrive.set_fault("status", status=429, retry_after=900, path="/delta", times=1)
    report = check(hub)
    assert "busy" in report.problem
    left = watch(hub).next_at
    assert left is not None
    assert left - now_utc() > timedelta(minutes=13)
    assert drive_watch.list_due_accounts(hub.session, 1) == []


def test_a_disconnected_drive_leaves_all_as_it_was(import_hub: ImportHub) -> None:
    hub = import_hub
    bring_in(hub, "Works")
    (hub.onedrive.root / "Works" / "0000.jpg").unlink()
    hub.disconnect()
    assert drive_watch.list_due_accounts(hub.session, 1) == []
    report = check(hub)
    assert report.problem
    assert set(states(hub).values()) == {"ok"}
    assert doubts(hub) == 0


def test_another_drive_under_the_same_account_is_not_taken_for_the_old(
    import_hub: ImportHub,
) -> None:
    hub = import_hub
    bring_in(hub, "Works")
    hub.session.execute(update(DriveWatch).values(drive_id="another"))
    hub.session.commit()
    assert "another OneDrive" in check(hub).problem
    assert set(states(hub).values()) == {"ok"}


def test_links_lie_sealed_and_never_in_the_log(
    import_hub: ImportHub, caplog: pytest.LogCaptureFixture
) -> None:
    hub = import_hub
    with caplog.at_level("DEBUG"):
        bring_in(hub, "Works")
    assert hub.clients.vault is not None
    sealed = watch(hub).link
    link = hub.clients.vault.open(sealed)
    assert "token=" in link
    assert b"token=" not in sealed
    token = link.partition("token=")[2][:40]
    assert token not in caplog.text
    drive_watch.reseal_links(hub.session, hub.clients.vault)
    hub.session.commit()
    assert watch(hub).link != sealed
    assert check(hub).was_full is False


def test_a_link_that_cannot_be_read_leads_to_the_start(import_hub: ImportHub) -> None:
    hub = import_hub
    bring_in(hub, "Works")
    (hub.onedrive.root / "Works" / "0000.jpg").unlink()
    for step in ("", "read"):
        hub.session.execute(update(DriveWatch).values(link=b"damaged", step=step))
        hub.session.commit()
        report = check(hub)
        assert (report.is_done, report.was_full) == (True, True)
    assert states(hub) == {"0000.jpg": "missing", "0001.jpg": "ok"}


# --- Many at once ---------------------------------------------------------------------------------


def test_two_workers_do_not_check_at_once(either_import_hub: ImportHub) -> None:
    hub = either_import_hub
    bring_in(hub, "Works", 3)
    (hub.onedrive.root / "Works" / "0000.jpg").write_bytes(make_jpeg(9))
    hub.onedrive.set_fault("delay", seconds=0.5, path="/delta")
    reports: list[CheckReport | None] = []

    def work() -> None:
        with Session(hub.engine) as session:
            reports.append(drive_watch.check_drive(session, hub.clients, hub.account_id))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [report for report in reports if report is not None and report.is_done]
    assert reports.count(None) == 2
    assert states(hub)["0000.jpg"] == "changed"


def test_a_worker_whose_lease_was_taken_writes_nothing_more(import_hub: ImportHub) -> None:
    hub = import_hub
    bring_in(hub, "Works")
    (hub.onedrive.root / "Works" / "0000.jpg").write_bytes(make_jpeg(9))
    name = f"drive-watch:{hub.account_id}"
    turns = iter(range(100))

    def keep_on() -> bool:
        if next(turns) == 1:  # just before the page is read
            with Session(hub.engine) as other, other.begin():
                other.execute(update(Lease).where(Lease.name == name).values(owner="another"))
        return True

    assert drive_watch.check_drive(hub.session, hub.clients, hub.account_id, keep_on) is None
    assert states(hub)["0000.jpg"] == "ok"
    release_lease(hub.session, name, "another")
    check(hub)
    assert states(hub)["0000.jpg"] == "changed"


def test_an_import_that_was_overtaken_by_a_change_is_asked_for(
    either_import_hub: ImportHub,
) -> None:
    hub = either_import_hub
    bring_in(hub, "Works", 1)
    job_id = hub.create(hub.put_pictures("More", 1, 5))
    claim = hub.claim(job_id)
    path = hub.onedrive.root / "More" / "0005.jpg"

    class Overtaken:
        """The file changes, and the change is read, while its picture is being made."""

        def render(self, place: str) -> Any:
            path.write_bytes(make_jpeg(11))
            with Session(hub.engine) as session:
                report = drive_watch.check_drive(session, hub.clients, hub.account_id)
            assert report is not None and report.is_done
            assert hub.renderer is not None
            return hub.renderer.render(place)

    assert hub.process(claim, renderer=Overtaken()) == "done"
    assert doubts(hub) == 1
    check(hub)
    assert states(hub) == {"0000.jpg": "ok", "0005.jpg": "changed"}
    assert doubts(hub) == 0


# --- When -----------------------------------------------------------------------------------------


def test_checks_are_due_by_the_clock_or_when_asked_for(either_import_hub: ImportHub) -> None:
    hub = either_import_hub

    def due(minutes: int) -> list[int]:
        return drive_watch.list_due_accounts(hub.session, minutes)

    assert due(30) == [], "there is nothing to look for"
    bring_in(hub, "Works", 1)
    assert due(30) == []
    hub.session.execute(update(DriveWatch).values(checked_at=now_utc() - timedelta(minutes=31)))
    hub.session.commit()
    assert (due(30), due(0)) == ([hub.account_id], [])
    check(hub)
    assert due(30) == []
    hub.session.rollback()
    drive_watch.ask_for_check(hub.session, hub.account_id)
    assert (due(30), due(0)) == ([hub.account_id], [hub.account_id])
    assert drive_watch.describe_watch(hub.session, hub.account_id).is_asked
    check(hub)
    info = drive_watch.describe_watch(hub.session, hub.account_id)
    assert (info.is_asked, info.is_running, info.problem) == (False, False, "")


def test_a_running_check_is_told(import_hub: ImportHub) -> None:
    hub = import_hub
    bring_in(hub, "Works", 1)
    acquire_lease(hub.session, f"drive-watch:{hub.account_id}", "somebody", 60)
    assert drive_watch.describe_watch(hub.session, hub.account_id).is_running


@pytest.mark.parametrize("minutes", [1, 0])
def test_the_worker_checks_by_itself_and_when_asked(
    make_import_hub: Callable[..., ImportHub], sqlite_url: str, minutes: int
) -> None:
    hub = make_import_hub(sqlite_url, IMAGEHUB_DRIVE_CHECK_MINUTES=str(minutes))
    bring_in(hub, "Works", 1)
    (hub.onedrive.root / "Works" / "0000.jpg").unlink()
    if minutes:
        hub.session.execute(update(DriveWatch).values(checked_at=now_utc() - timedelta(hours=1)))
        hub.session.commit()
    else:
        drive_watch.ask_for_check(hub.session, hub.account_id)
    hub.session.rollback()
    with hub.working():
        deadline = time.monotonic() + 60
        while states(hub) != {"0000.jpg": "missing"}:
            assert time.monotonic() < deadline, "the worker did not look"
            time.sleep(0.05)


# --- Taking the new version -----------------------------------------------------------------------


def test_the_new_version_takes_the_old_ones_place(either_import_hub: ImportHub) -> None:
    hub = either_import_hub
    bring_in(hub, "Works")
    [first, _] = hub.list_images()
    first.alt, first.role = "A harbour", "front"
    hub.session.commit()
    old_keys = {rendition.object_key for rendition in first.renditions}
    (hub.onedrive.root / "Works" / "0000.jpg").write_bytes(make_jpeg(9, (900, 600)))
    check(hub)
    group = hub.get_only_group()
    changed = drive_watch.list_images(hub.session, ["changed"], [group.id])
    assert changed == [first.id]
    count, jobs = drive_watch.take_new_versions(hub.session, changed, hub.user_id)
    again, _ = drive_watch.take_new_versions(hub.session, changed, hub.user_id)
    hub.session.commit()
    assert (count, again) == (1, 0), "one that is in work is not taken twice"
    assert hub.work(jobs[0]) == ["done"]
    hub.session.expire_all()
    image = hub.list_images()[0]
    assert (image.id, image.number, image.position) == (first.id, 1, 1)
    assert (image.alt, image.role, image.drive_state) == ("A harbour", "front", "ok")
    assert (image.width_px, image.height_px) == (900, 600)
    assert not old_keys & {rendition.object_key for rendition in image.renditions}
    assert gallery.pick_rendition(image, 1920).width_px == 900
    hub.check_stores_agree()
    check(hub)
    assert set(states(hub).values()) == {"ok"}


def test_missing_images_can_be_asked_for_again(import_hub: ImportHub) -> None:
    hub = import_hub
    bring_in(hub, "Works")
    hub.session.execute(update(Image).values(drive_state="missing"))
    hub.session.commit()
    group = hub.get_only_group()
    ids = drive_watch.list_images(hub.session, ["missing"], [group.id], [1])
    assert len(ids) == 1
    hub.session.rollback()
    drive_watch.check_again(hub.session, ids)
    assert drive_watch.list_due_accounts(hub.session, 0) == [hub.account_id]
    check(hub)
    assert states(hub) == {"0000.jpg": "ok", "0001.jpg": "missing"}


def test_many_in_doubt_are_asked_for_with_few_calls(either_import_hub: ImportHub) -> None:
    hub = either_import_hub
    bring_in(hub, "Works", 25)
    (hub.onedrive.root / "Works" / "0003.jpg").unlink()
    doubt_all(hub)
    hub.onedrive.clear_log()
    check(hub)
    assert states(hub).pop("0003.jpg") == "missing"
    assert list(states(hub).values()).count("ok") == 24
    assert len([one for one in hub.onedrive.log("POST") if "batch" in one["path"]]) == 2


def doubt_all(hub: ImportHub) -> None:
    hub.session.execute(update(Image).values(drive_state="missing", drive_doubt=drive_watch.ASK))
    hub.session.commit()


def test_what_was_answered_before_the_service_got_busy_counts(import_hub: ImportHub) -> None:
    hub = import_hub
    bring_in(hub, "Works", 5)
    doubt_all(hub)
    busy = find_image(hub, "0002.jpg").drive_item_id
    hub.onedrive.set_fault("status", status=429, retry_after=900, path=busy.replace("!", "."))
    assert "busy" in check(hub).problem
    assert states(hub).pop("0002.jpg") == "missing"
    assert list(states(hub).values()).count("ok") == 4
    assert list_doubtful(hub) == ["0002.jpg"]
    left = watch(hub).next_at
    assert left is not None and left - now_utc() > timedelta(minutes=13)


def test_one_that_the_service_refuses_keeps_its_state_and_holds_nobody_up(
    import_hub: ImportHub,
) -> None:
    hub = import_hub
    bring_in(hub, "Works", 3)
    hub.session.execute(update(Image).values(drive_doubt=drive_watch.ASK))
    hub.session.commit()
    refused = find_image(hub, "0001.jpg").drive_item_id
    hub.onedrive.set_fault("status", status=403, path=refused.replace("!", "."))
    (hub.onedrive.root / "Works" / "0002.jpg").unlink()
    assert check(hub).is_done
    assert states(hub) == {"0000.jpg": "ok", "0001.jpg": "ok", "0002.jpg": "missing"}
    assert list_doubtful(hub) == ["0001.jpg"]


def test_live_photos_are_compared_by_what_is_listed(import_hub: ImportHub) -> None:
    """The drive lists a container's hash and sends the picture alone."""
    hub = import_hub
    hub.onedrive.set_fault("rewritten_size", item=r"\.heic$")
    hub.work(hub.create(hub.put_files("Phone", {"live.heic": make_heic()})))
    check(hub)
    forget(hub)
    check(hub)
    assert states(hub) == {"live.heic": "ok"}
    [image] = hub.list_images()
    assert image.drive_hash != image.quick_xor_hash


def make_heic() -> bytes:
    pillow_heif.register_heif_opener()
    buffer = io.BytesIO()
    Picture.new("RGB", (64, 48), (200, 30, 30)).save(buffer, "HEIF")
    return buffer.getvalue()


def test_folders_that_are_gone_are_forgotten_with_a_full_list(import_hub: ImportHub) -> None:
    hub = import_hub
    bring_in(hub, "Works")
    hub.session.add(
        DriveFolder(drive_account_id=hub.account_id, item_id="gone", parent_id="", run_number=0)
    )
    hub.session.commit()
    forget(hub)
    check(hub)
    assert hub.session.get(DriveFolder, (hub.account_id, "gone")) is None


# --- Judging --------------------------------------------------------------------------------------

KNOWN = {"drive_hash": "h1", "drive_size_bytes": 10, "etag": "e1", "ctag": "c1"}


@pytest.mark.parametrize(
    ("kept", "listed", "verdict"),
    [
        ({}, {"quick_xor_hash": "h1", "ctag": "c2", "etag": "e2", "size_bytes": 10}, True),
        ({}, {"quick_xor_hash": "h2", "ctag": "c1", "etag": "e1", "size_bytes": 10}, False),
        # Where a hash is not known, the cTag stands for the content.
        ({"drive_hash": ""}, {"quick_xor_hash": "h1", "ctag": "c1", "size_bytes": 11}, True),
        ({}, {"ctag": "c2", "etag": "e2", "size_bytes": 10}, False),
        # Where that is not told either, only sameness of all and another size say something.
        ({}, {"etag": "e1", "size_bytes": 11}, True),
        ({}, {"etag": "e2", "size_bytes": 11}, False),
        ({}, {"etag": "e2", "size_bytes": 10}, None),
        ({"drive_size_bytes": 0}, {"etag": "e2", "size_bytes": 11}, None),
        ({"etag": ""}, {"etag": "", "size_bytes": 10}, None),
    ],
)
def test_contents_are_compared_by_the_surest_mark(
    kept: dict[str, Any], listed: dict[str, Any], verdict: bool | None
) -> None:
    facts = {"size_bytes": 0, **listed}
    item = DriveItem("i", "a.jpg", False, created_time="", modified_time="", **facts)
    assert drive_watch.compare(Image(**{**KNOWN, **kept}), item) is verdict
