"""Importing files that are the lost originals of images."""

import pytest
from sqlalchemy import select

from imagehub.domain.imports import plans
from imagehub.domain.imports.board import proposals
from imagehub.domain.imports.originals import LINKED_REASON
from imagehub.domain.library import trash
from imagehub.models import AuditEntry, Image, ImportPlan, ImportPlanFile
from tests.fixtures.checking import bring_in, check, states
from tests.fixtures.importing import ImportHub, make_jpeg
from tests.fixtures.planning import make_plan


@pytest.fixture
def lost(either_import_hub: ImportHub) -> ImportHub:
    """Return a hub whose first image has lost its original, which is in another folder now.

    No check of the drive has seen the new file.
    """
    hub = either_import_hub
    bring_in(hub, "Works")
    path = hub.onedrive.root / "Works" / "0000.jpg"
    data = path.read_bytes()
    path.unlink()
    check(hub)
    assert states(hub) == {"0000.jpg": "missing", "0001.jpg": "ok"}
    hub.put_files("Again", {"saved.jpg": data, "new.jpg": make_jpeg(40)})
    return hub


def find_file(hub: ImportHub, plan: ImportPlan, name: str) -> ImportPlanFile:
    query = select(ImportPlanFile).where(ImportPlanFile.plan_id == plan.id)
    return hub.session.scalars(query.where(ImportPlanFile.file_name == name)).one()


def get_id(hub: ImportHub, path: str) -> str:
    item = hub.open_drive().find_item_by_path(path)
    assert item is not None
    return item.id


def test_a_plan_links_an_image_to_its_lost_original(lost: ImportHub) -> None:
    before = lost.list_images()[0]
    plan = make_plan(lost, "Again")
    assert states(lost) == {"saved.jpg": "ok", "0001.jpg": "ok"}
    image = lost.list_images()[0]
    assert (image.id, image.number, image.sha256) == (before.id, 1, before.sha256)
    assert image.drive_item_id == get_id(lost, "Again/saved.jpg")
    assert (image.folder_id, image.folder_name) == (get_id(lost, "Again"), "Again")
    assert plans.describe_plan(lost.session, plan).verdict_counts == {"linked": 1, "": 1}
    file = find_file(lost, plan, "saved.jpg")
    assert not file.is_chosen
    assert file.reason == "The original of an image in “Works” was missing. It is this file now."
    assert [len(one.files) for one in proposals.list_bins(lost.session, plan)] == [2]
    verbs = lost.session.scalars(select(AuditEntry.action))
    assert "relink_originals" in list(verbs)
    # The next check sees nothing new, and the next plan knows the file.
    check(lost)
    assert states(lost) == {"saved.jpg": "ok", "0001.jpg": "ok"}
    again = make_plan(lost, "Again")
    assert plans.describe_plan(lost.session, again).verdict_counts == {"known": 1, "": 1}


def test_a_restored_original_is_linked_without_a_check(lost: ImportHub) -> None:
    lost.session.query(Image).filter_by(number=2).update({"drive_state": "missing"})
    lost.session.commit()
    plan = make_plan(lost, "Works")
    assert plans.describe_plan(lost.session, plan).verdict_counts == {"linked": 1}
    assert states(lost)["0001.jpg"] == "ok"


def test_an_image_in_the_trash_does_not_keep_its_file_out(lost: ImportHub) -> None:
    group = lost.get_only_group()
    trash.trash_groups(lost.session, [group.id], lost.user_id)
    lost.session.commit()
    plan = make_plan(lost, "Again")
    assert plans.describe_plan(lost.session, plan).verdict_counts == {"": 2}
    assert states(lost)["0000.jpg"] == "missing"


def test_a_file_added_to_the_group_is_linked_instead_of_becoming_a_second_shot(
    lost: ImportHub,
) -> None:
    group = lost.get_only_group().id
    job_id = lost.create(lost.select_folder("Again", group))
    assert sorted(lost.work(job_id)) == ["done", "skipped"]
    assert states(lost) == {"saved.jpg": "ok", "0001.jpg": "ok", "new.jpg": "ok"}
    [skipped] = [item for item in lost.list_items(job_id) if item.state == "skipped"]
    first = lost.list_images()[0]
    assert (skipped.reason, skipped.image_id) == (LINKED_REASON, first.id)
    assert first.drive_item_id == get_id(lost, "Again/saved.jpg")
    lost.check_stores_agree()


def test_the_same_content_in_another_group_is_a_new_image(lost: ImportHub) -> None:
    job_id = lost.create(lost.select_folder("Again"))
    assert lost.work(job_id) == ["done", "done"]
    assert len(lost.list_images()) == 4
