"""Temporary originals: gone after use, and cleared away when their worker was killed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from imagehub.domain.imports.scratch import Scratch, clean_scratch

HOLDER = """
import sys, time
from pathlib import Path
from imagehub.domain.imports.scratch import Scratch
scratch = Scratch(Path(sys.argv[1]))
with scratch.open_file() as (file, path):
    file.write(b"half of an original")
    file.flush()
    print("holding", flush=True)
    time.sleep(600)
"""


def test_a_file_is_deleted_after_use_even_after_an_error(tmp_path: Path) -> None:
    scratch = Scratch(tmp_path)
    with scratch.open_file() as (file, path):
        file.write(b"bytes")
        file.flush()
        assert Path(path).read_bytes() == b"bytes"
    assert not Path(path).exists()
    with pytest.raises(ZeroDivisionError), scratch.open_file() as (_, path):
        raise ZeroDivisionError
    assert not Path(path).exists()
    scratch.close()
    assert list((tmp_path / "scratch").iterdir()) == []


def test_files_of_running_workers_stay_and_those_of_dead_ones_are_deleted(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "holding\n"
        assert clean_scratch(tmp_path) == 0
        assert len(list((tmp_path / "scratch").rglob("tmp*"))) == 1
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.communicate()
    assert clean_scratch(tmp_path, fix=False) == 1
    assert clean_scratch(tmp_path) == 1
    assert list((tmp_path / "scratch").iterdir()) == []
    assert clean_scratch(tmp_path) == 0


def test_unfinished_folders_are_deleted_after_a_while(tmp_path: Path) -> None:
    base = tmp_path / "scratch"
    for name in ("new-fresh", "new-old"):
        (base / name).mkdir(parents=True)
    os.utime(base / "new-old", (1, 1))
    clean_scratch(tmp_path)
    assert [path.name for path in base.iterdir()] == ["new-fresh"]


def test_a_hub_that_never_imported_has_nothing_to_clear(tmp_path: Path) -> None:
    assert clean_scratch(tmp_path) == 0
