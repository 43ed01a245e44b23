"""When a drive is checked: periodically, on request, and after the hub's own changes."""

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from imagehub.database import now_utc
from imagehub.domain.imports import jobs
from imagehub.domain.leases import acquire_lease
from imagehub.domain.library import images as library_images
from imagehub.domain.sync import check as drive_check
from imagehub.domain.sync import schedule
from imagehub.models import DriveWatch, Image, ImportJob
from tests.fixtures.checking import (
    bring_in,
    check,
    count_calls,
    doubts,
    find_image,
    list_doubtful,
    states,
    watch,
)
from tests.fixtures.importing import ImportHub, make_jpeg

# --- The hub's own changes ------------------------------------------------------------------------


def note(hub: ImportHub, *paths: str, with_all_below: bool = False) -> None:
    """Record that the hub changed these items."""
    drive = hub.open_drive()
    items = [drive.find_item_by_path(path) for path in paths]
    ids = [item.id for item in items if item is not None]
    assert len(ids) == len(paths)
    hub.session.rollback()
    schedule.note_changes(hub.session, hub.account_id, ids, with_all_below)


def is_due(hub: ImportHub, seconds: float) -> bool:
    """Return whether a worker would check the drive in so many seconds."""
    left = watch(hub).next_at
    is_asked = schedule.describe_watch(hub.session, hub.account_id).is_asked
    return is_asked and (left is None or left <= now_utc() + timedelta(seconds=seconds))


def test_the_hubs_own_changes_are_checked_soon_and_alone(bounded_hub: ImportHub) -> None:
    hub = bounded_hub
    note(hub, "2.jpg")
    assert list_doubtful(hub) == ["2.jpg"]
    assert is_due(hub, 5) and not is_due(hub, -1)
    check(hub)
    assert not schedule.describe_watch(hub.session, hub.account_id).is_asked
    assert list_doubtful(hub) == []


@pytest.mark.parametrize("path", ["A", "A/B"])
def test_a_changed_folder_makes_its_images_doubtful(bounded_hub: ImportHub, path: str) -> None:
    hub = bounded_hub
    note(hub, path, with_all_below=True)
    assert list_doubtful(hub) == ["0.jpg", "1.jpg"]
    assert is_due(hub, 5)


def test_a_renamed_folder_is_checked_without_requesting_its_files(
    bounded_hub: ImportHub,
) -> None:
    hub = bounded_hub
    drive = hub.open_drive()
    folder = drive.find_item_by_path("A/B")
    assert folder is not None
    drive.rename_item(folder.id, "C")
    schedule.note_changes(hub.session, hub.account_id, [folder.id])
    assert list_doubtful(hub) == []
    assert is_due(hub, 5)
    hub.onedrive.clear_log()
    check(hub)
    assert count_calls(hub, "/items/") == 0
    assert hub.onedrive.log("POST", "batch") == []
    assert {find_image(hub, name).folder_name for name in ("0.jpg", "1.jpg")} == {"C"}


def test_changes_to_unimported_files_schedule_no_check(bounded_hub: ImportHub) -> None:
    hub = bounded_hub
    (hub.onedrive.root / "Public" / "notes.txt").write_bytes(b"x")
    (hub.onedrive.root / "Public" / "Empty").mkdir()
    note(hub, "notes.txt", "Empty", with_all_below=True)
    note(hub, "notes.txt", "Empty")
    assert not schedule.describe_watch(hub.session, hub.account_id).is_asked


def test_one_check_covers_several_changes(bounded_hub: ImportHub) -> None:
    hub = bounded_hub
    note(hub, "2.jpg")
    first = watch(hub).next_at
    note(hub, "A", with_all_below=True)
    assert watch(hub).next_at == first
    assert list_doubtful(hub) == ["0.jpg", "1.jpg", "2.jpg"]
    # A requested check is not postponed, and the wait after a failure is kept.
    schedule.ask_for_check(hub.session, hub.account_id)
    hub.session.commit()
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


def test_a_change_during_a_check_is_not_lost(bounded_hub: ImportHub) -> None:
    hub = bounded_hub
    left = [True]

    def keep_on() -> bool:
        if left:
            left.clear()
            with Session(hub.engine) as other:
                image = other.scalars(select(Image).where(Image.name == "2.jpg")).one()
                item_id = image.drive_item_id
                other.rollback()
                schedule.note_changes(other, hub.account_id, [item_id])
        return True

    hub.session.rollback()
    report = drive_check.check_drive(hub.session, hub.clients, hub.account_id, keep_on)
    assert report is not None and report.is_done
    assert schedule.describe_watch(hub.session, hub.account_id).is_asked


def test_an_image_changed_during_its_import_is_checked(
    either_import_hub: ImportHub,
) -> None:
    hub = either_import_hub
    bring_in(hub, "Works", 1)
    job_id = hub.create(hub.put_pictures("More", 1, 5))
    claim = hub.claim(job_id)
    path = hub.onedrive.root / "More" / "0005.jpg"

    class Overtaken:
        """A renderer during which the file changes and the change is read."""

        def render(self, place: str, mark: Any = None) -> Any:
            path.write_bytes(make_jpeg(11))
            with Session(hub.engine) as session:
                report = drive_check.check_drive(session, hub.clients, hub.account_id)
            assert report is not None and report.is_done
            assert hub.renderer is not None
            return hub.renderer.render(place)

    assert hub.process(claim, renderer=Overtaken()) == "done"
    assert doubts(hub) == 1
    check(hub)
    assert states(hub) == {"0000.jpg": "ok", "0005.jpg": "changed"}
    assert doubts(hub) == 0


# --- When -----------------------------------------------------------------------------------------


def test_checks_are_due_periodically_or_on_request(either_import_hub: ImportHub) -> None:
    hub = either_import_hub

    def due(minutes: int) -> list[int]:
        return schedule.list_due_accounts(hub.session, minutes)

    assert due(30) == [], "there is nothing to look for"
    bring_in(hub, "Works", 1)
    assert due(30) == []
    hub.session.execute(update(DriveWatch).values(checked_at=now_utc() - timedelta(minutes=31)))
    hub.session.commit()
    assert (due(30), due(0)) == ([hub.account_id], [])
    check(hub)
    assert due(30) == []
    hub.session.rollback()
    schedule.ask_for_check(hub.session, hub.account_id)
    hub.session.commit()
    assert (due(30), due(0)) == ([hub.account_id], [hub.account_id])
    assert schedule.describe_watch(hub.session, hub.account_id).is_asked
    check(hub)
    info = schedule.describe_watch(hub.session, hub.account_id)
    assert (info.is_asked, info.is_running, info.problem) == (False, False, "")


def test_a_check_can_be_requested_with_a_delay(import_hub: ImportHub) -> None:
    hub = import_hub
    bring_in(hub, "Works")
    schedule.ask_for_check(hub.session, hub.account_id, timedelta(hours=1))
    hub.session.commit()
    assert schedule.describe_watch(hub.session, hub.account_id).is_asked
    assert schedule.list_due_accounts(hub.session, 0) == []
    hub.session.rollback()
    schedule.ask_for_check(hub.session, hub.account_id)
    hub.session.commit()
    assert schedule.list_due_accounts(hub.session, 0) == [hub.account_id]


def test_a_running_check_is_reported(import_hub: ImportHub) -> None:
    hub = import_hub
    bring_in(hub, "Works", 1)
    acquire_lease(hub.session, f"drive-watch:{hub.account_id}", "somebody", 60)
    assert schedule.describe_watch(hub.session, hub.account_id).is_running


@pytest.mark.parametrize("minutes", [1, 0])
def test_the_worker_checks_periodically_and_on_request(
    make_import_hub: Callable[..., ImportHub], sqlite_url: str, minutes: int
) -> None:
    hub = make_import_hub(sqlite_url, IMAGEHUB_DRIVE_CHECK_MINUTES=str(minutes))
    bring_in(hub, "Works", 1)
    (hub.onedrive.root / "Works" / "0000.jpg").unlink()
    if minutes:
        hub.session.execute(update(DriveWatch).values(checked_at=now_utc() - timedelta(hours=1)))
        hub.session.commit()
    else:
        schedule.ask_for_check(hub.session, hub.account_id)
        hub.session.commit()
    hub.session.rollback()
    with hub.working():
        deadline = time.monotonic() + 60
        while states(hub) != {"0000.jpg": "missing"}:
            assert time.monotonic() < deadline, "the worker did not look"
            time.sleep(0.05)


# --- What an admin can do -------------------------------------------------------------------------


def test_a_new_version_replaces_the_old_one(either_import_hub: ImportHub) -> None:
    hub = either_import_hub
    bring_in(hub, "Works")
    [first, _] = hub.list_images()
    first.alt, first.role = "A harbour", "front"
    hub.session.commit()
    old_keys = {rendition.object_key for rendition in first.renditions}
    (hub.onedrive.root / "Works" / "0000.jpg").write_bytes(make_jpeg(9, (900, 600)))
    check(hub)
    group = hub.get_only_group()
    changed = schedule.list_images(hub.session, ["changed"], [group.id])
    assert changed == [first.id]
    count = jobs.take_new_versions(hub.session, changed, hub.user_id)
    again = jobs.take_new_versions(hub.session, changed, hub.user_id)
    hub.session.commit()
    assert (count, again) == (1, 0), "one that is in work is not taken twice"
    job_id = hub.session.scalars(select(func.max(ImportJob.id))).one()
    assert hub.work(job_id) == ["done"]
    hub.session.expire_all()
    image = hub.list_images()[0]
    assert (image.id, image.number, image.position) == (first.id, 1, 1)
    assert (image.alt, image.role, image.drive_state) == ("A harbour", "front", "ok")
    assert (image.width_px, image.height_px) == (900, 600)
    assert not old_keys & {rendition.object_key for rendition in image.renditions}
    assert library_images.pick_rendition(image, 1920).width_px == 900
    hub.check_stores_agree()
    check(hub)
    assert set(states(hub).values()) == {"ok"}


def test_missing_images_can_be_requested_again(import_hub: ImportHub) -> None:
    hub = import_hub
    bring_in(hub, "Works")
    hub.session.execute(update(Image).values(drive_state="missing"))
    hub.session.commit()
    group = hub.get_only_group()
    ids = schedule.list_images(hub.session, ["missing"], [group.id], [1])
    assert len(ids) == 1
    hub.session.rollback()
    schedule.check_again(hub.session, ids)
    hub.session.commit()
    assert schedule.list_due_accounts(hub.session, 0) == [hub.account_id]
    check(hub)
    assert states(hub) == {"0000.jpg": "ok", "0001.jpg": "missing"}
