"""The wheel holds all that a machine without git and npm needs; test_demo.py runs it."""

import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tests.fixtures.package import VERSION, Package, list_tracked_files
from tests.fixtures.programs import make_environment
from tests.support import ROOT


def list_files(folder: Path) -> set[str]:
    """Return all files; programs that ran from there may have added compiled modules."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc")
    return {path.relative_to(folder).as_posix() for path in files}


def test_the_wheel_has_every_file_of_the_package_and_the_migrations(package: Package) -> None:
    tracked = list_tracked_files()
    wanted = {name for name in tracked if name.startswith("imagehub/")}
    wanted |= {f"imagehub/{name}" for name in tracked if name.startswith("migrations/")}
    vendor = ROOT / "imagehub/static/vendor"
    wanted |= {f"imagehub/static/vendor/{name}" for name in list_files(vendor)}
    found = list_files(package.installed)
    assert len(wanted) > 400
    assert wanted - found == set()
    others = {name.split("/")[0] for name in found - wanted}
    assert others == {f"imagehub-{VERSION}.dist-info"}


def test_the_source_package_has_every_tracked_file_and_the_browser_files(package: Package) -> None:
    with tarfile.open(package.source) as archive:
        found = {name.partition("/")[2] for name in archive.getnames()}
    assert set(list_tracked_files()) - found == set()
    assert "imagehub/static/vendor/photoswipe.js" in found


def test_the_version_is_the_tag(package: Package) -> None:
    assert package.source.name == f"imagehub-{VERSION}.tar.gz"
    assert package.wheel.name == f"imagehub-{VERSION}-py3-none-any.whl"
    said = subprocess.run(
        [sys.executable, "-m", "imagehub", "--version"],
        cwd=package.installed,
        env=make_environment(PYTHONPATH=str(package.installed)),
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout == f"imagehub {VERSION}\n"


def test_pip_installs_the_wheel_and_its_command(package: Package, tmp_path: Path) -> None:
    target = tmp_path / "site"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    environment = make_environment()
    del environment["PYTHONPATH"]
    subprocess.run(
        [*command, "--target", str(target), str(package.wheel)],
        cwd=tmp_path,
        env=environment,
        check=True,
    )
    said = subprocess.run(
        [sys.executable, str(target / "bin/imagehub"), "--version"],
        cwd=tmp_path,
        env=environment | {"PYTHONPATH": str(target)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert VERSION in said.stdout


@pytest.mark.parametrize("step", ["build_wheel", "build_sdist"])
def test_without_browser_files_nothing_is_built(tmp_path: Path, step: str) -> None:
    for name in ("setup.py", "setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    (tmp_path / "imagehub").mkdir()
    (tmp_path / "imagehub" / "__init__.py").touch()
    result = subprocess.run(
        [sys.executable, "-c", f"from setuptools import build_meta as m; m.{step}('dist')"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode != 0
    assert "imagehub/static/vendor is missing. `make dist` builds it" in result.stderr
    assert not list(tmp_path.glob("dist/*"))
