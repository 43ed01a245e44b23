"""The temporary files of workers."""

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from imagehub.locked_folders import LOCK_NAME, create_locked, iter_left_over


class Scratch:
    """The temporary files of one worker. ``close`` deletes them.

    Each worker has a locked folder below ``<data folder>/scratch``; those of dead workers can be
    deleted.
    """

    def __init__(self, data_dir: Path) -> None:
        name = f"worker-{os.getpid()}-{secrets.token_hex(4)}"
        self.folder, self._lock = create_locked(data_dir / "scratch", name)

    @contextmanager
    def open_file(self) -> Iterator[tuple[BinaryIO, str]]:
        """Open a new empty file; it is deleted at the end of the block."""
        descriptor, path = tempfile.mkstemp(dir=self.folder)
        try:
            with os.fdopen(descriptor, "w+b") as file:
                yield file, path
        finally:
            Path(path).unlink(missing_ok=True)

    def close(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        os.close(self._lock)


def clean_scratch(data_dir: Path, fix: bool = True) -> int:
    """Delete the files of dead workers.

    :param fix: False only counts them.
    :return: the number of files.
    """
    count = 0
    for folder in iter_left_over(data_dir / "scratch"):
        count += sum(path.name != LOCK_NAME for path in folder.iterdir())
        if fix:
            shutil.rmtree(folder, ignore_errors=True)
    return count
