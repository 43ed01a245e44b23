"""The temporary files of workers."""

import io
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from imagehub.locked_folders import LOCK_NAME, create_locked, iter_left_over


class _NotedFile(io.BufferedRandom):
    """A file that calls a function before each part that is written to it."""

    def __init__(self, descriptor: int, note: Callable[[], None]) -> None:
        super().__init__(io.FileIO(descriptor, "r+b"))
        self._note = note

    def write(self, data: Any) -> int:
        self._note()
        return super().write(data)


class Scratch:
    """The temporary files of one worker. ``close`` deletes them.

    Each worker has a locked folder below ``<data folder>/scratch``; those of dead workers can be
    deleted.
    """

    def __init__(self, data_dir: Path) -> None:
        name = f"worker-{os.getpid()}-{secrets.token_hex(4)}"
        self.folder, self._lock = create_locked(data_dir / "scratch", name)

    @contextmanager
    def open_file(self, note: Callable[[], None] = lambda: None) -> Iterator[tuple[BinaryIO, str]]:
        """Open a new empty file; it is deleted at the end of the block.

        :param note: called before each part that is written, such as to renew a claim while a large
            original is downloaded. What it raises ends the writing.
        """
        descriptor, path = tempfile.mkstemp(dir=self.folder)
        try:
            with _NotedFile(descriptor, note) as file:
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
