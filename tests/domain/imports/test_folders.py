"""``imagehub import``: folders of the drive become groups."""

import os
from pathlib import Path
from threading import Event

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import select

from imagehub.cli import main
from imagehub.models import Group, ImportItem, ImportJob
from imagehub.runtime import folder_import
from tests.fixtures.importing import ImportHub, make_jpeg, spell_otherwise


@pytest.fixture
def hub(import_hub: ImportHub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ImportHub:
    for name in [name for name in os.environ if name.startswith("IMAGEHUB_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    # Two folders, one of them within the other, and one without pictures.
    for place, count in (("Works", 2), ("Works/Ölbilder #1", 3), ("Works/Notes", 0)):
        folder = import_hub.onedrive.root / place
        folder.mkdir()
        (folder / "about.txt").write_text("not a picture")
        for number in range(count):
            (folder / f"{number}.jpg").write_bytes(make_jpeg(len(place) * 10 + number))
    return import_hub


def run(hub: ImportHub, *arguments: str) -> Result:
    """The command, in this process."""
    return CliRunner().invoke(main, ["import", *arguments], env=hub.settings.to_environment())


def list_groups(hub: ImportHub) -> list[tuple[str, int]]:
    hub.session.rollback()
    rows = hub.session.execute(select(Group.folder_name, Group.image_count).order_by(Group.id))
    return [(name, count) for name, count in rows]


def test_each_folder_with_pictures_becomes_a_group_and_nothing_is_imported_twice(
    hub: ImportHub,
) -> None:
    with hub.working():
        first = run(hub)
        assert first.exit_code == 0, first.output
        assert "Queued 5 pictures in 2 groups." in first.output
        assert "5 of 5 imported" in first.output
        assert first.output.endswith("5 pictures imported.\n")
        assert list_groups(hub) == [("Works", 2), ("Ölbilder #1", 3)]

        second = run(hub, "Works")
        assert (second.exit_code, second.output) == (0, "Nothing new to import there.\n")
        assert len(list_groups(hub)) == 2

        again = run(hub, "/Works/Ölbilder #1/", "--again")
        assert again.exit_code == 0
        assert list_groups(hub) == [("Works", 2), ("Ölbilder #1", 3), ("Ölbilder #1", 3)]
    hub.check_stores_agree()


def test_new_files_join_the_group_of_their_folder(hub: ImportHub) -> None:
    folder = hub.onedrive.root / "Works"
    with hub.working():
        assert run(hub, "Works").exit_code == 0
        (folder / "detail.jpg").write_bytes(make_jpeg(77))
        more = run(hub)
        assert "Queued 1 picture in 1 group." in more.output
        assert list_groups(hub) == [("Works", 3), ("Ölbilder #1", 3)]

        # A group that lies in the trash takes nothing in: what is new makes one of its own.
        group = hub.session.scalars(select(Group).where(Group.folder_name == "Works")).one()
        group.state = "trash"
        hub.session.commit()
        (folder / "back.jpg").write_bytes(make_jpeg(78))
        assert "1 picture imported." in run(hub).output
    assert list_groups(hub) == [("Works", 3), ("Ölbilder #1", 3), ("Works", 1)]


def test_ids_are_the_same_however_onedrive_spells_them(hub: ImportHub) -> None:
    with hub.working():
        assert run(hub, "Works").exit_code == 0
        for item in hub.session.scalars(select(ImportItem)):
            item.folder_id = spell_otherwise(item.folder_id)
            item.drive_item_id = spell_otherwise(item.drive_item_id)
        hub.session.commit()
        assert run(hub).output == "Nothing new to import there.\n"
        (hub.onedrive.root / "Works" / "detail.jpg").write_bytes(make_jpeg(77))
        assert "Queued 1 picture in 1 group." in run(hub).output
    assert list_groups(hub) == [("Works", 3), ("Ölbilder #1", 3)]


def test_all_pictures_may_go_into_one_group(hub: ImportHub) -> None:
    with hub.working():
        assert run(hub, "Works", "--one-group").exit_code == 0
    assert list_groups(hub) == [("Works", 5)]


def test_files_that_fail_are_named_with_their_reasons(hub: ImportHub) -> None:
    folder = hub.onedrive.root / "Broken"
    folder.mkdir()
    (folder / "cut short.jpg").write_bytes(make_jpeg(1)[:500])
    with hub.working():
        result = run(hub, "Broken")
        assert result.exit_code == 1
        assert "cut short.jpg: " in result.stderr
        assert "0 pictures imported, 1 failed." in result.stdout
        assert "Traceback" not in result.output
        # One that worked is enough for a good end.
        (folder / "whole.jpg").write_bytes(make_jpeg(2))
        mixed = run(hub, "Broken", "--again")
    assert mixed.exit_code == 0
    assert "1 picture imported, 1 failed." in mixed.stdout


def test_no_wait_leaves_the_job_to_the_worker(hub: ImportHub) -> None:
    result = run(hub, "--no-wait")
    assert result.exit_code == 0
    job = hub.session.scalars(select(ImportJob)).one()
    assert f"Queued as import {job.id}." in result.output
    with hub.working():
        assert hub.finish_job(job.id).done_count == 5


def test_waiting_without_a_worker_says_so(hub: ImportHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_import, "NO_PROGRESS_SECONDS", 0.1)
    pauses = iter(range(100))

    def press_ctrl_c_at_last(_seconds: float) -> None:
        if next(pauses) == 3:
            raise KeyboardInterrupt
        Event().wait(0.1)

    monkeypatch.setattr("imagehub.runtime.folder_import.time.sleep", press_ctrl_c_at_last)
    result = run(hub, "Works")
    assert "no worker runs: nothing is imported" in result.output
    assert "imagehub worker" in result.output
    assert "continues in the background." in result.output


@pytest.mark.parametrize("path", ["Nowhere", "Works/about.txt", "../Works"])
def test_an_unknown_folder_is_refused(hub: ImportHub, path: str) -> None:
    result = run(hub, path)
    assert result.exit_code == 1
    assert "There is no such folder." in result.output
    assert hub.session.scalars(select(ImportJob)).all() == []


def test_an_import_without_a_connection_is_refused(hub: ImportHub) -> None:
    hub.onedrive.revoke(access_tokens=True)
    result = run(hub)
    assert result.exit_code == 1
    assert "OneDrive must be reconnected" in result.output
