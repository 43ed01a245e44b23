"""The commands for manifests, checks and rebuilding, as a person runs them."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from imagehub.cli import main
from tests.fixtures.importing import ImportHub


@pytest.fixture
def hub(import_hub: ImportHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ImportHub:
    """With one group of two images; commands run in an empty folder."""
    monkeypatch.chdir(tmp_path)
    job_id = import_hub.create(import_hub.put_pictures("Works", 2))
    assert import_hub.work(job_id) == ["done"] * 2
    import_hub.session.rollback()
    return import_hub


def run(hub: ImportHub, *arguments: str, folder: Path | None = None) -> Result:
    """Run a command on the hub, or on another one in a folder with the same bucket."""
    variables = hub.settings.to_environment()
    if folder is not None:
        variables |= {"IMAGEHUB_DATA_DIR": str(folder), "IMAGEHUB_DATABASE_URL": ""}
    return CliRunner().invoke(main, list(arguments), env=variables)


def test_a_hub_moves_to_another_machine_by_a_manifest(hub: ImportHub, tmp_path: Path) -> None:
    file, new = tmp_path / "hub.jsonl", tmp_path / "new"
    exported = run(hub, "export", str(file))
    assert exported.exit_code == 0, exported.output
    assert file.stat().st_mode & 0o777 == 0o600

    imported = run(hub, "import-manifest", str(file), folder=new)
    assert imported.exit_code == 0, imported.output
    assert "Read 1 groups and 2 images.\nConnect OneDrive as " in imported.output
    again = run(hub, "import-manifest", str(file), folder=new)
    assert again.exit_code == 1
    assert "This hub is not empty" in again.output
    assert run(hub, "export", "-", folder=new).stdout == file.read_text()

    # The bucket is the same, so nothing is missing.
    verified = run(hub, "verify", str(file), "--deep", folder=new)
    assert verified.exit_code == 0, verified.output
    assert verified.output.endswith("Nothing is missing.\n")
    hub.clients.store.delete_objects([sorted(hub.list_keys())[0]])
    verified = run(hub, "verify", folder=new)
    assert verified.exit_code == 1
    assert "1  objects missing or with another size (lost)" in verified.output

    # OneDrive is not connected there yet.
    rebuilt = run(hub, "rebuild", "--missing-only", folder=new)
    assert rebuilt.exit_code == 1
    assert rebuilt.output.count("its original is not in a connected OneDrive.") == 2
    assert "2  without an original in a connected OneDrive" in rebuilt.output


def test_a_file_that_is_no_manifest_is_refused_in_words(hub: ImportHub, tmp_path: Path) -> None:
    file = tmp_path / "picture.jpg"
    file.write_bytes(b"\xff\xd8\xff\xe0 no manifest")
    for command in (["verify", str(file)], ["import-manifest", str(tmp_path / "none")]):
        result = run(hub, *command)
        assert result.exit_code == 1
        assert "Traceback" not in result.output
        assert "Error: " in result.output


def test_a_group_that_has_no_images_needs_no_work(hub: ImportHub) -> None:
    rebuilt = run(hub, "rebuild", "--group", "99")
    assert (rebuilt.exit_code, rebuilt.output) == (0, "           0  images made again\n")
