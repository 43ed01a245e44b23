"""Folders of running programs, which others may delete once their program has ended.

A program locks its folder while it runs, and the operating system releases the lock when it ends,
however it ends. A folder whose lock is free is left over.
"""

import fcntl
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

LOCK_NAME = ".lock"
_DRAFT = "new-"
_HALF_MADE_SECONDS = 3600


def create_locked(base: Path, name: str) -> tuple[Path, int]:
    """Create the folder ``base/name``, which must not exist, and lock it.

    :return: the folder, and the descriptor that holds the lock until it is closed in this process
        and in those that it has forked.
    """
    base.mkdir(parents=True, exist_ok=True, mode=0o700)
    # Locked before it gets its final name: others must not find it with a free lock.
    draft = Path(tempfile.mkdtemp(prefix=_DRAFT, dir=base))
    lock = os.open(draft / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    folder = base / name
    draft.rename(folder)
    return folder, lock


def list_folders(base: Path) -> list[Path]:
    """Return the folders in ``base``, running or left over, without those being created."""
    if not base.is_dir():
        return []
    return sorted(path for path in base.iterdir() if not path.name.startswith(_DRAFT))


def iter_left_over(base: Path) -> Iterator[Path]:
    """Yield each folder in ``base`` that is left over; it stays locked until the next one."""
    for folder in sorted(base.iterdir()) if base.is_dir() else ():
        with _try_lock(folder) as is_left_over:
            if is_left_over:
                yield folder


@contextmanager
def _try_lock(folder: Path) -> Iterator[bool]:
    """Yield whether a folder is left over; it stays locked during the block."""
    try:
        lock = os.open(folder / LOCK_NAME, os.O_RDWR)
    except FileNotFoundError:
        # Its program is creating or deleting it now, or was killed while doing so.
        age_seconds = 0.0
        with suppress(FileNotFoundError):
            age_seconds = time.time() - folder.stat().st_mtime
        yield age_seconds > _HALF_MADE_SECONDS
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        is_left_over = not folder.name.startswith(_DRAFT) or (
            time.time() - os.fstat(lock).st_mtime > _HALF_MADE_SECONDS
        )
    except BlockingIOError:
        is_left_over = False
    try:
        yield is_left_over
    finally:
        os.close(lock)
