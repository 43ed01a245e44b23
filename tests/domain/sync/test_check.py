"""Detecting changed, moved, deleted and restored originals in a real drive."""

import json
import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
import requests
from sqlalchemy import update
from sqlalchemy.orm import Session

from imagehub.database import now_utc
from imagehub.domain.leases import release_lease
from imagehub.domain.library import search
from imagehub.domain.onedrive.accounts import get_access_token
from imagehub.domain.sync import check as drive_check
from imagehub.domain.sync import schedule, state
from imagehub.domain.sync.check import CheckReport
from imagehub.models import DriveFolder, DriveWatch, Image, Lease
from tests.fixtures.checking import (
    bring_in,
    check,
    count_calls,
    doubts,
    find_image,
    forget,
    list_doubtful,
    move,
    states,
    watch,
)
from tests.fixtures.importing import ImportHub, make_heic, make_jpeg
from tests.fixtures.onedrive import OneDrive

# --- Files ----------------------------------------------------------------------------------------


def test_an_unchanged_drive_reports_nothing(either_import_hub: ImportHub) -> None:
    hub = either_import_hub
    bring_in(hub, "Works")
    assert watch(hub).checked_at is not None
    hub.onedrive.clear_log()
    report = check(hub)
    assert (report.is_done, report.was_full, report.item_count) == (True, False, 0)
    assert set(states(hub).values()) == {"ok"}
    assert count_calls(hub, "/items/") == 0, "no file is asked for without a reason"


def test_a_file_with_new_content_is_changed(either_import_hub: ImportHub) -> None:
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


def test_a_deleted_file_is_missing_until_restored(either_import_hub: ImportHub) -> None:
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
    """Restore an item from the recycle bin, as a person does at OneDrive."""
    token = get_access_token(hub.session, hub.clients, hub.account_id).token
    answer = requests.post(
        f"{hub.onedrive.graph_url}/me/drive/items/{item_id}/restore",
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
        data=json.dumps({}),
        timeout=30,
    )
    assert answer.ok, answer.text


def test_moving_a_file_inside_updates_its_folder(import_hub: ImportHub) -> None:
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


# --- Folders and the root folder ------------------------------------------------------------------


def test_a_file_moved_out_of_the_root_folder_is_outside_not_missing(
    bounded_hub: ImportHub,
) -> None:
    hub = bounded_hub
    move(hub, "Public/2.jpg", "Private/2.jpg")
    check(hub)
    assert states(hub) == {"0.jpg": "ok", "1.jpg": "ok", "2.jpg": "outside"}
    kinds = ("changed", "missing", "outside")
    assert [schedule.count_originals(hub.session, kind) for kind in kinds] == [0, 0, 1]
    move(hub, "Private/2.jpg", "Public/A/2.jpg")
    check(hub)
    assert set(states(hub).values()) == {"ok"}
    assert find_image(hub, "2.jpg").folder_name == "A"


def test_a_file_deleted_outside_the_root_folder_is_missing(bounded_hub: ImportHub) -> None:
    hub = bounded_hub
    move(hub, "Public/2.jpg", "Private/2.jpg")
    check(hub)
    (hub.onedrive.root / "Private" / "2.jpg").unlink()
    check(hub)
    assert states(hub)["2.jpg"] == "missing"


def test_no_details_of_files_outside_are_stored(bounded_hub: ImportHub) -> None:
    """Neither its new name nor its folder may be stored."""
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


def test_renaming_a_folder_outside_renames_no_image(bounded_hub: ImportHub) -> None:
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


def test_moving_a_folder_out_and_back_affects_all_below_it(bounded_hub: ImportHub) -> None:
    hub = bounded_hub
    move(hub, "Public/A", "Private/A")
    check(hub)
    assert states(hub) == {"0.jpg": "outside", "1.jpg": "outside", "2.jpg": "ok"}
    move(hub, "Private/A", "Public/Z")
    check(hub)
    assert set(states(hub).values()) == {"ok"}
    assert doubts(hub) == 0


def test_moving_folders_inside_requests_no_files(bounded_hub: ImportHub) -> None:
    hub = bounded_hub
    move(hub, "Public/A/B", "Public/C")
    hub.onedrive.clear_log()
    check(hub)
    assert set(states(hub).values()) == {"ok"}
    assert count_calls(hub, "/items/") == 0
    assert {i.folder_name for i in hub.list_images() if i.name != "2.jpg"} == {"C"}


@pytest.mark.parametrize("alone", [False, True])
def test_everything_below_a_deleted_folder_is_missing(bounded_hub: ImportHub, alone: bool) -> None:
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


def test_changing_the_root_folder_rechecks_all_locations(bounded_hub: ImportHub) -> None:
    hub = bounded_hub
    narrow = hub.with_settings(root_folder="/Public/A")
    check(hub, open_drive=narrow.clients.open_drive)
    assert states(hub) == {"0.jpg": "ok", "1.jpg": "ok", "2.jpg": "outside"}
    check(hub)
    assert set(states(hub).values()) == {"ok"}, "a wider one heals what it holds"


def test_a_missing_root_folder_marks_nothing_missing(bounded_hub: ImportHub) -> None:
    hub = bounded_hub
    move(hub, "Public", "Published")
    report = check(hub, open_drive=hub.with_settings().clients.open_drive)
    assert "root folder was not found" in report.problem
    assert set(states(hub).values()) == {"ok"}
    assert watch(hub).problem == report.problem
    move(hub, "Published", "Public")
    assert check(hub).is_done
    assert watch(hub).problem == ""


# --- The feed -------------------------------------------------------------------------------------


def test_an_expired_feed_is_read_from_the_start(
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


def test_a_feed_that_always_expires_is_not_retried_forever(import_hub: ImportHub) -> None:
    hub = import_hub
    bring_in(hub, "Works")
    hub.onedrive.set_fault("delta_gone")
    hub.onedrive.set_fault("delta_empty_page")
    report = check(hub)
    assert "kept restarting" in report.problem
    assert set(states(hub).values()) == {"ok"}
    hub.onedrive.clear_faults()
    assert check(hub).is_done


@pytest.mark.parametrize(
    "fault", ["delta_duplicate", "delta_empty_page", "delta_deleted_without_name"]
)
def test_oddities_of_the_feed_are_harmless(import_hub: ImportHub, fault: str) -> None:
    hub = import_hub
    bring_in(hub, "Works", 3)
    hub.onedrive.set_fault(fault, **({"times": 3} if fault == "delta_empty_page" else {}))
    (hub.onedrive.root / "Works" / "0000.jpg").unlink()
    (hub.onedrive.root / "Works" / "0001.jpg").write_bytes(make_jpeg(9))
    check(hub)
    assert states(hub) == {"0000.jpg": "missing", "0001.jpg": "changed", "0002.jpg": "ok"}


def test_the_sparser_feed_of_a_business_drive_is_understood(
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


def test_ids_are_matched_in_any_case(import_hub: ImportHub) -> None:
    hub = import_hub
    bring_in(hub, "Works")
    hub.onedrive.set_fault("drive_id_casing")
    (hub.onedrive.root / "Works" / "0000.jpg").write_bytes(make_jpeg(9))
    check(hub)
    assert states(hub) == {"0000.jpg": "changed", "0001.jpg": "ok"}


def test_files_not_in_the_feed_are_requested_by_id(import_hub: ImportHub) -> None:
    """An image is not missing just because no page listed it."""
    hub = import_hub
    bring_in(hub, "Works", 3)
    hub.onedrive.set_fault("delta_forgets", item=r"/000[01]\.jpg$")
    (hub.onedrive.root / "Works" / "0001.jpg").unlink()
    forget(hub)
    assert check(hub).was_full
    assert states(hub) == {"0000.jpg": "ok", "0001.jpg": "missing", "0002.jpg": "ok"}


def test_a_full_listing_removes_deleted_folders(import_hub: ImportHub) -> None:
    hub = import_hub
    bring_in(hub, "Works")
    hub.session.add(
        DriveFolder(drive_account_id=hub.account_id, item_id="gone", parent_id="", run_number=0)
    )
    hub.session.commit()
    forget(hub)
    check(hub)
    assert hub.session.get(DriveFolder, (hub.account_id, "gone")) is None


def test_an_interrupted_check_resumes(
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
        report = drive_check.check_drive(hub.session, hub.clients, hub.account_id, keep_on)
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


def test_a_dropped_connection_changes_and_loses_nothing(import_hub: ImportHub) -> None:
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


def test_a_throttled_check_honours_retry_after(import_hub: ImportHub) -> None:
    hub = import_hub
    bring_in(hub, "Works")
    hub.onedrive.set_fault("status", status=429, retry_after=900, path="/delta", times=1)
    report = check(hub)
    assert "busy" in report.problem
    left = watch(hub).next_at
    assert left is not None
    assert left - now_utc() > timedelta(minutes=13)
    assert schedule.list_due_accounts(hub.session, 1) == []


def test_a_disconnected_drive_changes_nothing(import_hub: ImportHub) -> None:
    hub = import_hub
    bring_in(hub, "Works")
    (hub.onedrive.root / "Works" / "0000.jpg").unlink()
    hub.disconnect()
    assert schedule.list_due_accounts(hub.session, 1) == []
    report = check(hub)
    assert report.problem
    assert set(states(hub).values()) == {"ok"}
    assert doubts(hub) == 0


def test_a_new_drive_of_the_same_account_is_not_mistaken_for_the_old(
    import_hub: ImportHub,
) -> None:
    hub = import_hub
    bring_in(hub, "Works")
    hub.session.execute(update(DriveWatch).values(drive_id="another"))
    hub.session.commit()
    assert "not the one that was checked" in check(hub).problem
    assert set(states(hub).values()) == {"ok"}


def test_links_are_sealed_and_never_logged(
    import_hub: ImportHub, caplog: pytest.LogCaptureFixture
) -> None:
    hub = import_hub
    with caplog.at_level("DEBUG"):
        bring_in(hub, "Works")
    sealed = watch(hub).link
    link = hub.clients.vault.open(sealed)
    assert "token=" in link
    assert b"token=" not in sealed
    token = link.partition("token=")[2][:40]
    assert token not in caplog.text
    assert check(hub).was_full is False


def test_an_unreadable_link_restarts_the_feed(import_hub: ImportHub) -> None:
    hub = import_hub
    bring_in(hub, "Works")
    (hub.onedrive.root / "Works" / "0000.jpg").unlink()
    for step in ("", "read"):
        hub.session.execute(update(DriveWatch).values(link=b"damaged", step=step))
        hub.session.commit()
        report = check(hub)
        assert (report.is_done, report.was_full) == (True, True)
    assert states(hub) == {"0000.jpg": "missing", "0001.jpg": "ok"}


# --- Concurrency ----------------------------------------------------------------------------------


def test_two_workers_do_not_check_at_once(either_import_hub: ImportHub) -> None:
    hub = either_import_hub
    bring_in(hub, "Works", 3)
    (hub.onedrive.root / "Works" / "0000.jpg").write_bytes(make_jpeg(9))
    hub.onedrive.set_fault("delay", seconds=0.5, path="/delta")
    reports: list[CheckReport | None] = []

    def work() -> None:
        with Session(hub.engine) as session:
            reports.append(drive_check.check_drive(session, hub.clients, hub.account_id))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [report for report in reports if report is not None and report.is_done]
    assert reports.count(None) == 2
    assert states(hub)["0000.jpg"] == "changed"


def test_a_worker_that_lost_its_lease_stops_writing(import_hub: ImportHub) -> None:
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

    assert drive_check.check_drive(hub.session, hub.clients, hub.account_id, keep_on) is None
    assert states(hub)["0000.jpg"] == "ok"
    release_lease(hub.session, name, "another")
    check(hub)
    assert states(hub)["0000.jpg"] == "changed"


# --- Requests by id -------------------------------------------------------------------------------


def test_many_doubtful_files_are_requested_in_few_calls(either_import_hub: ImportHub) -> None:
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
    hub.session.execute(update(Image).values(drive_state="missing", drive_doubt=state.ASK))
    hub.session.commit()


def test_answers_before_throttling_are_kept(import_hub: ImportHub) -> None:
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


def test_a_refused_file_keeps_its_state_and_does_not_block_others(
    import_hub: ImportHub,
) -> None:
    hub = import_hub
    bring_in(hub, "Works", 3)
    hub.session.execute(update(Image).values(drive_doubt=state.ASK))
    hub.session.commit()
    refused = find_image(hub, "0001.jpg").drive_item_id
    hub.onedrive.set_fault("status", status=403, path=refused.replace("!", "."))
    (hub.onedrive.root / "Works" / "0002.jpg").unlink()
    assert check(hub).is_done
    assert states(hub) == {"0000.jpg": "ok", "0001.jpg": "ok", "0002.jpg": "missing"}
    assert list_doubtful(hub) == ["0001.jpg"]


def test_live_photos_are_compared_by_their_listed_hash(import_hub: ImportHub) -> None:
    """The drive lists the container's hash but sends only the picture."""
    hub = import_hub
    hub.onedrive.set_fault("rewritten_size", item=r"\.heic$")
    hub.work(hub.create(hub.put_files("Phone", {"live.heic": make_heic()})))
    check(hub)
    forget(hub)
    check(hub)
    assert states(hub) == {"live.heic": "ok"}
    [image] = hub.list_images()
    assert image.drive_hash != image.quick_xor_hash
