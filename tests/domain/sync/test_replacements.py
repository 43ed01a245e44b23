"""Linking images to files that took the place of their originals, in a real drive."""

import shutil
from collections.abc import Callable

import pytest
from sqlalchemy import select, update

from imagehub.domain.imports.jobs import take_new_versions
from imagehub.domain.library import search
from imagehub.domain.people import audit
from imagehub.domain.sync import schedule
from imagehub.domain.sync.state import ASK
from imagehub.models import AuditEntry, DriveCopy, Image, ImportItem
from tests.fixtures.checking import (
    bring_in,
    check,
    count_calls,
    doubts,
    find_image,
    forget,
    move,
    states,
)
from tests.fixtures.importing import ImportHub, make_jpeg
from tests.fixtures.onedrive import OneDrive


def save_again(hub: ImportHub, place: str, data: bytes | None = None) -> None:
    """Remove a file and create it again, as many editors save; between two looks at the drive."""
    path = hub.onedrive.root / place
    data = path.read_bytes() if data is None else data
    path.unlink()
    path.write_bytes(data)


def get_id(hub: ImportHub, path: str) -> str:
    item = hub.open_drive().find_item_by_path(path)
    assert item is not None
    return item.id


def list_sentences(hub: ImportHub) -> list[str]:
    hub.session.rollback()
    entries = hub.session.scalars(select(AuditEntry).where(AuditEntry.verb == "relink"))
    return [audit.describe(entry) for entry in entries]


# --- The same content -----------------------------------------------------------------------------


def test_a_file_saved_again_unchanged_is_linked_and_logged(either_import_hub: ImportHub) -> None:
    hub = either_import_hub
    bring_in(hub, "Works")
    old = find_image(hub, "0000.jpg")
    save_again(hub, "Works/0000.jpg")
    new_id = get_id(hub, "Works/0000.jpg")
    assert new_id != old.drive_item_id
    assert check(hub).is_done
    assert states(hub) == {"0000.jpg": "ok", "0001.jpg": "ok"}
    new = find_image(hub, "0000.jpg")
    assert new.drive_item_id == new_id
    kept = ("id", "group_id", "number", "position", "sha256", "updated_at", "folder_name")
    assert [getattr(new, name) for name in kept] == [getattr(old, name) for name in kept]
    assert list_sentences(hub) == ["Linked 1 image to its original in OneDrive again: “0000.jpg”."]
    # It is the original now: what happens to it is noticed.
    (hub.onedrive.root / "Works" / "0000.jpg").write_bytes(make_jpeg(9))
    check(hub)
    assert states(hub)["0000.jpg"] == "changed"


def test_the_new_file_may_appear_after_the_loss_was_noticed(either_import_hub: ImportHub) -> None:
    hub = either_import_hub
    bring_in(hub, "Works")
    path = hub.onedrive.root / "Works" / "0000.jpg"
    data = path.read_bytes()
    path.unlink()
    check(hub)
    assert states(hub)["0000.jpg"] == "missing"
    path.write_bytes(data)
    check(hub)
    assert states(hub)["0000.jpg"] == "ok"
    assert find_image(hub, "0000.jpg").drive_item_id == get_id(hub, "Works/0000.jpg")
    assert doubts(hub) == 0


def test_the_new_file_may_appear_before_the_loss_and_elsewhere(
    either_import_hub: ImportHub,
) -> None:
    hub = either_import_hub
    bring_in(hub, "Works")
    works, other = hub.onedrive.root / "Works", hub.onedrive.root / "Other"
    other.mkdir()
    shutil.copy(works / "0000.jpg", other / "zebra.jpg")
    check(hub)
    assert find_image(hub, "0000.jpg").drive_item_id == get_id(hub, "Works/0000.jpg")
    check(hub)
    (works / "0000.jpg").unlink()
    check(hub)
    assert states(hub) == {"zebra.jpg": "ok", "0001.jpg": "ok"}
    image = find_image(hub, "zebra.jpg")
    assert (image.drive_item_id, image.folder_name) == (get_id(hub, "Other/zebra.jpg"), "Other")
    assert image.folder_id == get_id(hub, "Other")
    assert search.list_group_ids(hub.session, "zebra", 10) == [image.group_id]


def test_a_folder_removed_and_copied_back_links_all_its_images(import_hub: ImportHub) -> None:
    hub = import_hub
    bring_in(hub, "Works", 12)
    works, backup = hub.onedrive.root / "Works", hub.onedrive.root.parent / "backup"
    shutil.copytree(works, backup)
    shutil.rmtree(works)
    check(hub)
    assert set(states(hub).values()) == {"missing"}
    shutil.copytree(backup, works)
    hub.onedrive.clear_log()
    check(hub)
    assert set(states(hub).values()) == {"ok"}
    assert {image.folder_id for image in hub.list_images()} == {get_id(hub, "Works")}
    [sentence] = list_sentences(hub)
    assert sentence.startswith("Linked 12 images to their originals")


@pytest.mark.parametrize("is_late", [False, True])
def test_without_a_hash_name_folder_and_size_decide(import_hub: ImportHub, is_late: bool) -> None:
    hub = import_hub
    bring_in(hub, "Works", 3)
    # As after an import by an early version.
    hub.session.execute(update(Image).values(drive_hash="", quick_xor_hash=""))
    hub.session.commit()
    root = hub.onedrive.root / "Works"
    texts = {name: (root / name).read_bytes() for name in ("0000.jpg", "0001.jpg", "0002.jpg")}
    (root / "0000.jpg").unlink()
    (root / "0001.jpg").unlink()
    (root / "0002.jpg").unlink()
    if is_late:
        check(hub)
    (root / "0000.jpg").write_bytes(texts["0000.jpg"])
    (root / "0001.jpg").write_bytes(texts["0001.jpg"] + b"longer")
    (root / "0003.jpg").write_bytes(texts["0002.jpg"])
    check(hub)
    assert states(hub) == {"0000.jpg": "ok", "0001.jpg": "missing", "0002.jpg": "missing"}


def test_the_feed_of_a_business_drive_is_enough(
    make_import_hub: Callable[..., ImportHub], sqlite_url: str, onedrive_business: OneDrive
) -> None:
    hub = make_import_hub(sqlite_url, onedrive_business)
    bring_in(hub, "Works")
    save_again(hub, "Works/0001.jpg")
    check(hub)
    assert set(states(hub).values()) == {"ok"}
    assert find_image(hub, "0001.jpg").drive_item_id == get_id(hub, "Works/0001.jpg")


def test_the_drive_may_spell_its_ids_in_another_case(import_hub: ImportHub) -> None:
    hub = import_hub
    bring_in(hub, "Works")
    hub.onedrive.set_fault("drive_id_casing")
    save_again(hub, "Works/0000.jpg")
    check(hub)
    assert set(states(hub).values()) == {"ok"}


def test_a_copy_outside_the_root_folder_is_no_original(bounded_hub: ImportHub) -> None:
    hub = bounded_hub
    shutil.copy(hub.onedrive.root / "Public/2.jpg", hub.onedrive.root / "Private/copy.jpg")
    check(hub)
    (hub.onedrive.root / "Public/2.jpg").unlink()
    check(hub)
    assert states(hub)["2.jpg"] == "missing"
    move(hub, "Private/copy.jpg", "Public/copy.jpg")
    check(hub)
    assert states(hub)["copy.jpg"] == "ok"


def test_a_copy_inside_replaces_an_original_moved_outside(bounded_hub: ImportHub) -> None:
    hub = bounded_hub
    shutil.copy(hub.onedrive.root / "Public/2.jpg", hub.onedrive.root / "Public/A/copy.jpg")
    move(hub, "Public/2.jpg", "Private/2.jpg")
    check(hub)
    assert states(hub)["copy.jpg"] == "ok"
    assert find_image(hub, "copy.jpg").folder_name == "A"


def test_two_shots_of_a_group_do_not_share_an_original(import_hub: ImportHub) -> None:
    hub = import_hub
    data = make_jpeg(1)
    hub.work(hub.create(hub.put_files("Works", {"a.jpg": data, "b.jpg": data})))
    check(hub)
    (hub.onedrive.root / "Works/a.jpg").unlink()
    check(hub)
    assert states(hub) == {"a.jpg": "missing", "b.jpg": "ok"}
    (hub.onedrive.root / "Works/c.jpg").write_bytes(data)
    check(hub)
    assert states(hub) == {"c.jpg": "ok", "b.jpg": "ok"}
    assert find_image(hub, "c.jpg").number == 1


def test_a_remembered_copy_that_is_gone_is_not_used(import_hub: ImportHub) -> None:
    hub = import_hub
    bring_in(hub, "Works")
    works = hub.onedrive.root / "Works"
    shutil.copy(works / "0000.jpg", works / "copy.jpg")
    check(hub)
    copies = select(DriveCopy.item_id)
    assert hub.session.scalars(copies).all() == [get_id(hub, "Works/copy.jpg")]
    (works / "copy.jpg").unlink()
    hub.onedrive.set_fault("delta_forgets", item=r"/copy\.jpg$")
    (works / "0000.jpg").unlink()
    check(hub)
    assert states(hub)["0000.jpg"] == "missing"
    hub.onedrive.clear_faults()
    (works / "0001.jpg").write_bytes(make_jpeg(50))
    forget(hub)
    check(hub)
    assert doubts(hub) == 0


def test_a_renewed_check_links_an_original_lost_before(import_hub: ImportHub) -> None:
    """As after an upgrade, or where the feed told nothing of the new file."""
    hub = import_hub
    bring_in(hub, "Works")
    save_again(hub, "Works/0000.jpg")
    hub.onedrive.set_fault("delta_forgets", item=r"/0000\.jpg$")
    check(hub)
    hub.session.execute(update(Image).where(Image.number == 1).values(drive_state="missing"))
    hub.session.commit()
    check(hub)
    assert states(hub)["0000.jpg"] == "missing"
    schedule.check_again(hub.session, [find_image(hub, "0000.jpg").id])
    hub.session.commit()
    check(hub)
    assert states(hub)["0000.jpg"] == "ok"


def test_renditions_that_could_not_be_made_are_made_from_the_new_file(
    import_hub: ImportHub,
) -> None:
    hub = import_hub
    bring_in(hub, "Works")
    image = find_image(hub, "0000.jpg")
    take_new_versions(hub.session, [image.id])
    hub.session.commit()
    save_again(hub, "Works/0000.jpg")
    check(hub)
    is_open = (ImportItem.image_id == image.id, ImportItem.state == "queued")
    [item] = hub.session.scalars(select(ImportItem).where(*is_open))
    assert item.drive_item_id == get_id(hub, "Works/0000.jpg")
    assert hub.work(item.job_id) == ["done"]
    assert states(hub)["0000.jpg"] == "ok"


def test_a_busy_service_postpones_the_search(import_hub: ImportHub) -> None:
    hub = import_hub
    bring_in(hub, "Works")
    save_again(hub, "Works/0000.jpg")
    new_id = get_id(hub, "Works/0000.jpg")
    hub.onedrive.set_fault("drop", path=r"0000\.jpg")
    report = check(hub)
    assert "cannot be reached" in report.problem
    assert states(hub)["0000.jpg"] == "missing"
    hub.onedrive.clear_faults()
    check(hub)
    assert find_image(hub, "0000.jpg").drive_item_id == new_id


# --- Other content at the same place --------------------------------------------------------------


def test_a_file_saved_again_with_changes_is_offered(either_import_hub: ImportHub) -> None:
    hub = either_import_hub
    bring_in(hub, "Works")
    save_again(hub, "Works/0000.jpg", make_jpeg(70))
    check(hub)
    assert states(hub)["0000.jpg"] == "missing"
    assert find_image(hub, "0000.jpg").offered_item_id == get_id(hub, "Works/0000.jpg")
    assert list_sentences(hub) == []
    # A file that is gone or has another name is offered no longer; the next one is.
    move(hub, "Works/0000.jpg", "Works/other.jpg")
    check(hub)
    assert find_image(hub, "0000.jpg").offered_item_id == ""
    (hub.onedrive.root / "Works/0000.JPG").write_bytes(make_jpeg(71))
    check(hub)
    assert find_image(hub, "0000.jpg").offered_item_id == get_id(hub, "Works/0000.JPG")
    hub.onedrive.clear_log()
    check(hub)
    assert count_calls(hub, "/items/") == 0


def test_a_file_in_a_folder_created_again_is_offered(import_hub: ImportHub) -> None:
    hub = import_hub
    bring_in(hub, "Works", 12)
    shutil.rmtree(hub.onedrive.root / "Works")
    hub.put_pictures("Works", 12, first=100)
    for number in range(12):
        move(hub, f"Works/{number + 100:04}.jpg", f"Works/{number:04}.jpg")
    check(hub)
    offered = {image.name: image.offered_item_id for image in hub.list_images()}
    assert offered == {name: get_id(hub, f"Works/{name}") for name in offered}
    assert set(states(hub).values()) == {"missing"}


def test_only_pictures_that_the_group_does_not_have_are_offered(import_hub: ImportHub) -> None:
    hub = import_hub
    bring_in(hub, "Works")
    group = hub.get_only_group().id
    save_again(hub, "Works/0000.jpg", make_jpeg(70))
    hub.work(hub.create(hub.select_folder("Works", group)))
    check(hub)
    offered = {image.number: image.offered_item_id for image in hub.list_images()}
    assert offered == {1: "", 2: "", 3: ""}


def test_a_restored_original_ends_the_offer(import_hub: ImportHub) -> None:
    hub = import_hub
    bring_in(hub, "Works")
    path = hub.onedrive.root / "Works/0000.jpg"
    backup = hub.onedrive.root.parent / "backup.jpg"
    path.rename(backup)
    path.write_bytes(make_jpeg(70))
    check(hub)
    assert find_image(hub, "0000.jpg").offered_item_id
    path.write_bytes(backup.read_bytes())
    check(hub)
    image = find_image(hub, "0000.jpg")
    assert (image.drive_state, image.offered_item_id) == ("ok", "")
    assert image.drive_doubt < ASK
