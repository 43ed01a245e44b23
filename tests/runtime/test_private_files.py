"""Files of the hub are closed to other users of the machine, also those of earlier versions."""

import os
from pathlib import Path

import pytest

from imagehub.runtime.private_files import Closed, close_data_dir
from tests.fixtures.programs import choose_ports, run_command

FILES = ("imagehub.db", "imagehub.db-wal", "objects/imagehub/renditions/a.webp", "demo/queue.db")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a data folder as an earlier version made it in a checkout."""
    folder = tmp_path / "instance"
    for name in FILES:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (folder / "README.md").touch()
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return folder


def get_mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_an_open_folder_is_closed_with_everything_in_it(folder: Path) -> None:
    assert close_data_dir(folder) == Closed(len(FILES) + 5)
    assert get_mode(folder) == get_mode(folder / "objects" / "imagehub") == 0o700
    assert {get_mode(folder / name) for name in FILES} == {0o600}
    assert close_data_dir(folder) == Closed(0), "nothing is left to do"


def test_what_is_not_the_hubs_keeps_its_permissions(folder: Path, tmp_path: Path) -> None:
    (folder / "letters").mkdir(mode=0o755)
    (folder / "thumbnails").symlink_to(tmp_path)
    tmp_path.chmod(0o755)
    (tmp_path / "other").touch(0o644)
    close_data_dir(folder)
    assert get_mode(folder) == get_mode(folder / "letters") == get_mode(tmp_path) == 0o755
    assert get_mode(tmp_path / "other") == 0o644
    assert get_mode(folder / "imagehub.db") == 0o600


def test_a_group_that_was_given_access_keeps_it(folder: Path) -> None:
    folder.chmod(0o750)
    assert close_data_dir(folder) == Closed(0)
    assert get_mode(folder) == 0o750


def test_a_folder_that_is_missing_is_no_fault(tmp_path: Path) -> None:
    assert close_data_dir(tmp_path / "none") == Closed(0)


def test_a_command_closes_the_folder_and_creates_closed_files(folder: Path, tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        result = run_command(
            tmp_path, "create-admin", "ada", "--password-stdin", text="correct horse battery",
            **choose_ports(),
        )  # fmt: skip
    finally:
        os.umask(before)
    assert result.returncode == 0, result.stderr
    for path in (folder, *folder.rglob("*")):
        assert path.name == "README.md" or not path.stat().st_mode & 0o077, path
