"""What is installed is what was locked: versions, hashes, images."""

import configparser
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT
from tools.lock import FILES, OWN_FILES
from tools.pin_images import IMAGE, list_files

DIGEST = "sha256:" + "0123456789abcdef" * 4
LOCKS = [ROOT / "requirements" / f"{name}.txt" for name in (*FILES, *OWN_FILES)]


def read_versions(path: Path) -> dict[str, str]:
    """Return package → version of a lock file or of constraints.txt."""
    found = re.findall(r"^([A-Za-z0-9._-]+)==(\S+)", path.read_text(), re.M)
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in found}


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.stem)
def test_each_package_has_hashes_and_the_version_of_the_constraints(path: Path) -> None:
    text = path.read_text()
    assert "make lock" in text.splitlines()[1]
    entries = re.split(r"^(?=[A-Za-z0-9])", text, flags=re.M)[1:]
    assert entries
    for entry in entries:
        assert re.search(r"--hash=sha256:[0-9a-f]{64}\b", entry), entry
    constraints = read_versions(ROOT / "constraints.txt")
    for name, version in read_versions(path).items():
        assert constraints.get(name, version) == version, f"{name}: run `make lock`"


def test_what_setup_cfg_asks_for_is_locked() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    groups = {"run": setup["options"]["install_requires"], **setup["options.extras_require"]}
    assert set(groups) == set(FILES)
    for group, wanted in groups.items():
        locked = read_versions(ROOT / "requirements" / f"{group}.txt")
        for package in re.findall(r"^([A-Za-z0-9._-]+)", wanted.strip(), re.M):
            assert re.sub(r"[-_.]+", "-", package).lower() in locked, f"{package}: run `make lock`"


def test_nothing_else_is_installed() -> None:
    """Each `pip install` names hashes, or is of the hub itself without its dependencies."""
    for name in ("Makefile", "Dockerfile", "tools/build_assets.py"):
        text = (ROOT / name).read_text().replace("\\\n", " ")
        found = re.findall(r"pip\"?,? \"?install\b[^&\n]*(?:\n +\"-r\"[^\n]*)?", text)
        assert found, name
        for command in found:
            assert "--require-hashes" in command or "--no-deps" in command, command


def test_images_are_named_by_digest_on_request(tmp_path: Path) -> None:
    names = [str(path.relative_to(ROOT)) for path in list_files(ROOT)]
    assert ".github/workflows/audit.yaml" in names
    for name in names:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text((ROOT / name).read_text())
    docker = tmp_path / "bin" / "docker"
    docker.parent.mkdir()
    docker.write_text(f"#!/bin/sh\necho '\"{DIGEST}\"'\n")
    docker.chmod(docker.stat().st_mode | stat.S_IXUSR)
    for _ in range(2):
        subprocess.run(
            [sys.executable, "-m", "tools.pin_images", str(tmp_path)],
            cwd=ROOT, env={"PATH": str(docker.parent)}, check=True, capture_output=True,
        )  # fmt: skip
        for name in names:
            images = IMAGE.findall((tmp_path / name).read_text())
            assert images
            assert {digest for _, _, digest in images} == {f"@{DIGEST}"}, name
    assert f"FROM python:3.11-slim@{DIGEST} AS build\n" in (tmp_path / "Dockerfile").read_text()


def test_a_registry_that_does_not_answer_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM python:3.11-slim\n")
    docker = tmp_path / "docker"
    docker.write_text("#!/bin/sh\nexit 1\n")
    docker.chmod(0o755)
    done = subprocess.run(
        [sys.executable, "-m", "tools.pin_images", str(tmp_path)],
        cwd=ROOT, env={"PATH": str(tmp_path)}, check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 1
    assert "docker knows no digest of python:3.11-slim" in done.stderr
    assert (tmp_path / "Dockerfile").read_text() == "FROM python:3.11-slim\n"
