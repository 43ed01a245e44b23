"""The temporary files of workers."""

import fcntl
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

_HALF_MADE_SECONDS = 3600


class Scratch:
    """The temporary files of one worker. ``close`` deletes them.

    Each worker has a folder below ``<data folder>/scratch`` and locks it while it runs; the
    operating system releases the lock when the process ends. A folder whose lock is free is left
    over from a dead worker and can be deleted.
    """

    def __init__(self, data_dir: Path) -> None:
        base = data_dir / "scratch"
        base.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Locked before it gets its final name: `clean_scratch` must not find it with a free lock.
        draft = Path(tempfile.mkdtemp(prefix="new-", dir=base))
        self._lock = os.open(draft / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self.folder = base / f"worker-{os.getpid()}-{secrets.token_hex(4)}"
        draft.rename(self.folder)

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
    base = data_dir / "scratch"
    count = 0
    for folder in sorted(base.iterdir()) if base.is_dir() else ():
        with _try_lock(folder) as is_left_over:
            if is_left_over:
                count += sum(path.name != ".lock" for path in folder.iterdir())
                if fix:
                    shutil.rmtree(folder, ignore_errors=True)
    return count


@contextmanager
def _try_lock(folder: Path) -> Iterator[bool]:
    """Yield whether a folder is left over; it stays locked during the block."""
    try:
        lock = os.open(folder / ".lock", os.O_RDWR)
    except FileNotFoundError:
        # Its worker is creating or deleting it now, or was killed while doing so.
        age_seconds = 0.0
        with suppress(FileNotFoundError):
            age_seconds = time.time() - folder.stat().st_mtime
        yield age_seconds > _HALF_MADE_SECONDS
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        is_left_over = folder.name.startswith("worker-") or (
            time.time() - os.fstat(lock).st_mtime > _HALF_MADE_SECONDS
        )
    except BlockingIOError:
        is_left_over = False
    try:
        yield is_left_over
    finally:
        os.close(lock)
