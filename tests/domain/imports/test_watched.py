"""Watched folders: which files come in by themselves, when, and in which groups."""

from collections.abc import Sequence
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from imagehub.database import now_utc
from imagehub.domain.imports import watched
from imagehub.domain.library import series_edit, series_trash, trash
from imagehub.domain.sync import schedule, watched_folders
from imagehub.domain.sync.watched_folders import KNOWN, WAITING
from imagehub.errors import ConflictError, NotFoundError
from imagehub.models import (
    AuditEntry,
    DriveAccount,
    Group,
    ImportItem,
    ImportPlan,
    SeriesGroup,
    WatchedFolder,
    WatchedItem,
)
from tests.fixtures.checking import check, forget, move
from tests.fixtures.importing import ImportHub, make_jpeg
from tests.fixtures.programs import wait_until


def watch(hub: ImportHub, folder: str, way: str = "folder", is_published: bool = False) -> int:
    """Watch a folder, and let a check and a worker learn what is in it."""
    (hub.onedrive.root / folder).mkdir(parents=True, exist_ok=True)
    item = hub.open_drive().find_item_by_path(folder)
    assert item is not None
    one = watched_folders.watch_folder(
        hub.session, hub.account_id, hub.user_id, item, folder, way, is_published
    )
    hub.session.commit()
    assert check(hub).is_done
    assert take(hub) == []
    return one.id


def take(hub: ImportHub) -> Sequence[int]:
    hub.session.rollback()
    return watched.take_new_files(hub.session, hub.clients, hub.account_id, 10**8)


def settle(hub: ImportHub) -> None:
    """Let half a minute pass for all waiting files."""
    hub.session.execute(update(WatchedItem).values(seen_at=now_utc() - timedelta(minutes=1)))
    hub.session.commit()


def bring(hub: ImportHub) -> list[str]:
    """Check, list, wait, import and process; return the states of the items."""
    assert check(hub).is_done
    take(hub)
    settle(hub)
    return [state for job_id in take(hub) for state in hub.work(job_id)]


def names(hub: ImportHub) -> set[str]:
    return {image.name for image in hub.list_images()}


def waiting(hub: ImportHub, state: str = WAITING) -> int:
    hub.session.rollback()
    rows = hub.session.scalars(select(WatchedItem.item_id).where(WatchedItem.state == state))
    return len(rows.all())


def put(hub: ImportHub, path: str, number: int) -> None:
    file = hub.onedrive.root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(make_jpeg(number))


def test_only_new_files_come_in_as_drafts(either_import_hub: ImportHub) -> None:
    hub = either_import_hub
    hub.put_pictures("Works", 2)
    watch(hub, "Works")
    assert waiting(hub, KNOWN) == 2
    assert bring(hub) == [], "what was there before is not imported"
    put(hub, "Works/new.jpg", 10)
    put(hub, "Elsewhere/other.jpg", 11)
    assert bring(hub) == ["done"]
    assert names(hub) == {"new.jpg"}
    group = hub.get_only_group()
    assert (group.state, group.title) == ("draft", "Works")
    assert bring(hub) == [], "nothing is imported twice"
    [entry] = hub.session.scalars(select(AuditEntry).where(AuditEntry.action == "import_watched"))
    assert (entry.subject, entry.count) == ("Works", 1)
    assert watched.count_new_drafts(hub.session, 100) == 1
    assert hub.session.scalars(select(ImportPlan.state)).all() == ["started"]


def test_new_subfolders_belong_to_it_and_groups_are_as_chosen(import_hub: ImportHub) -> None:
    hub = import_hub
    watch(hub, "Works", way="stem", is_published=True)
    put(hub, "Works/2026/harbour-1.jpg", 1)
    put(hub, "Works/2026/harbour-2.jpg", 2)
    put(hub, "Works/2026/bridge.jpg", 3)
    assert bring(hub) == ["done"] * 3
    groups = hub.session.scalars(select(Group).order_by(Group.title)).all()
    assert [(one.title, one.state, one.image_count) for one in groups] == [
        ("Bridge", "published", 1),
        ("Harbour", "published", 2),
    ]
    assert watched.count_new_drafts(hub.session, 100) == 0


def test_new_groups_join_the_series_of_the_folder_while_it_exists(import_hub: ImportHub) -> None:
    hub = import_hub
    one = watch(hub, "Works", way="stem")
    series_id = series_edit.create_series(hub.session, "Sea").id
    watched_folders.set_watch_series(hub.session, one, series_id)
    hub.session.commit()
    put(hub, "Works/bridge.jpg", 1)
    assert bring(hub) == ["done"]
    group = hub.get_only_group()
    members = hub.session.scalars(select(SeriesGroup.group_id))
    assert members.all() == [group.id]
    series_trash.trash_series(hub.session, series_id)
    hub.session.commit()
    put(hub, "Works/harbour.jpg", 2)
    assert bring(hub) == ["done"]


def test_a_file_that_still_grows_waits(import_hub: ImportHub) -> None:
    hub = import_hub
    watch(hub, "Works")
    put(hub, "Works/new.jpg", 1)
    assert check(hub).is_done
    assert take(hub) == [] and waiting(hub) == 1
    assert take(hub) == [], "half a minute has not passed"
    path = hub.onedrive.root / "Works" / "new.jpg"
    path.write_bytes(path.read_bytes() + b"\0" * 100)
    settle(hub)
    assert take(hub) == [] and waiting(hub) == 1, "its size has changed"
    settle(hub)
    assert len(take(hub)) == 1 and waiting(hub) == 0


def test_files_that_arrive_together_come_into_one_group(import_hub: ImportHub) -> None:
    hub = import_hub
    watch(hub, "Works")
    put(hub, "Works/a.jpg", 1)
    assert check(hub).is_done
    take(hub)
    settle(hub)
    put(hub, "Works/b.jpg", 2)
    assert check(hub).is_done
    assert take(hub) == [], "another one has just arrived"
    settle(hub)
    [job] = take(hub)
    assert hub.work(job) == ["done", "done"]
    assert hub.get_only_group().image_count == 2


def test_empty_and_unsuitable_files_are_no_import(import_hub: ImportHub) -> None:
    hub = import_hub
    watch(hub, "Works")
    (hub.onedrive.root / "Works" / "notes.txt").write_text("notes")
    (hub.onedrive.root / "Works" / "empty.jpg").write_bytes(b"")
    assert bring(hub) == []
    assert hub.session.scalars(select(ImportPlan.id)).all() == [], "no empty plan is left"
    put(hub, "Works/empty.jpg", 1)
    assert bring(hub) == ["done"], "it was written at last"


def test_what_was_deleted_from_the_library_does_not_come_back(import_hub: ImportHub) -> None:
    hub = import_hub
    watch(hub, "Works")
    put(hub, "Works/new.jpg", 1)
    assert bring(hub) == ["done"]
    group = hub.get_only_group()
    trash.trash_groups(hub.session, [group.id], hub.user_id)
    hub.session.commit()
    put(hub, "Works/new.jpg", 2)
    assert bring(hub) == [], "in the trash"
    trash.purge(hub.session, [group.id])
    hub.session.execute(ImportItem.__table__.delete())
    hub.session.commit()
    put(hub, "Works/new.jpg", 3)
    forget(hub)
    assert bring(hub) == [], "gone from the hub"


def test_a_folder_that_is_moved_into_it_comes_in(import_hub: ImportHub) -> None:
    hub = import_hub
    hub.put_pictures("Elsewhere", 2)
    watch(hub, "Works")
    assert bring(hub) == []
    move(hub, "Elsewhere", "Works/Elsewhere")
    assert bring(hub) == ["done", "done"]


def test_a_file_that_is_moved_away_before_it_is_settled_is_not_taken(
    import_hub: ImportHub,
) -> None:
    hub = import_hub
    watch(hub, "Works")
    (hub.onedrive.root / "Elsewhere").mkdir()
    put(hub, "Works/new.jpg", 1)
    assert check(hub).is_done
    take(hub)
    move(hub, "Works/new.jpg", "Elsewhere/new.jpg")
    for _ in range(2):  # A move counts as a change first.
        settle(hub)
        assert take(hub) == []
    assert waiting(hub) == 0
    move(hub, "Elsewhere/new.jpg", "Works/new.jpg")
    assert bring(hub) == ["done"]


def test_a_forgotten_feed_lists_again_and_loses_nothing(import_hub: ImportHub) -> None:
    """410 Gone: everything is compared; nothing is imported twice, deleted or unpublished."""
    hub = import_hub
    watch(hub, "Works", is_published=True)
    put(hub, "Works/a.jpg", 1)
    assert bring(hub) == ["done"]
    put(hub, "Works/b.jpg", 2)
    hub.onedrive.set_fault("delta_gone", times=1)
    report = check(hub)
    assert report.is_done and report.was_full
    take(hub)
    settle(hub)
    assert [state for job in take(hub) for state in hub.work(job)] == ["done"]
    assert names(hub) == {"a.jpg", "b.jpg"}
    groups = hub.session.scalars(select(Group.state)).all()
    assert groups == ["published", "published"]


def test_the_innermost_watch_decides(import_hub: ImportHub) -> None:
    hub = import_hub
    watch(hub, "Works", is_published=True)
    watch(hub, "Works/Drafts", is_published=False)
    put(hub, "Works/Drafts/new.jpg", 1)
    assert bring(hub) == ["done"]
    assert hub.get_only_group().state == "draft"


def test_a_watch_ends_and_cannot_be_made_twice(import_hub: ImportHub) -> None:
    hub = import_hub
    watch_id = watch(hub, "Works")
    with pytest.raises(ConflictError):
        watch(hub, "Works")
    hub.session.rollback()
    watched_folders.unwatch_folder(hub.session, watch_id)
    hub.session.commit()
    put(hub, "Works/new.jpg", 1)
    assert bring(hub) == []
    with pytest.raises(NotFoundError):
        watched_folders.unwatch_folder(hub.session, watch_id)


def test_an_account_without_images_is_checked_for_its_watches(import_hub: ImportHub) -> None:
    hub = import_hub
    assert schedule.list_watched_accounts(hub.session) == []
    watch(hub, "Works")
    assert schedule.list_watched_accounts(hub.session) == [hub.account_id]


def test_nothing_is_imported_from_a_previous_account(import_hub: ImportHub) -> None:
    hub = import_hub
    watch(hub, "Works")
    put(hub, "Works/new.jpg", 1)
    assert check(hub).is_done
    assert watched.list_due_accounts(hub.session) == [hub.account_id]
    hub.session.execute(update(DriveAccount).values(is_active=False))
    hub.session.commit()
    assert watched.list_due_accounts(hub.session) == []


def test_a_folder_that_is_gone_says_so(import_hub: ImportHub) -> None:
    hub = import_hub
    watch(hub, "Works")
    drive = hub.open_drive()
    item = drive.find_item_by_path("Works")
    assert item is not None
    drive.delete_item(item.id)
    assert check(hub).is_done
    assert "no longer in OneDrive" in get_problem(hub)
    drive.restore_item(item.id, drive.get_root().id)
    put(hub, "Works/new.jpg", 1)
    assert bring(hub) == ["done"]
    assert get_problem(hub) == ""


def get_problem(hub: ImportHub) -> str:
    hub.session.rollback()
    return hub.session.scalars(select(WatchedFolder.problem)).one()


def test_a_worker_imports_a_new_file(import_hub: ImportHub) -> None:
    """With the worker's own timer; only the half minute is set back."""
    hub = import_hub
    watch(hub, "Works")
    put(hub, "Works/new.jpg", 1)
    assert check(hub).is_done
    take(hub)
    settle(hub)
    with hub.working():
        wait_until(lambda: names(hub) == {"new.jpg"})
