"""Know whether a hub uses a data folder: its programs share a lock, and restoring takes it alone.

The kernel frees the lock when a program ends, however it ends.
"""

import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from imagehub.config_secrets import make_data_dir
from imagehub.runtime.supervisor import StartError

log = logging.getLogger(__name__)

_NAME = "hub.lock"


@contextmanager
def use_data_dir(folder: Path) -> Iterator[None]:
    """Share the data folder with the hub's other programs during the block.

    The lock outlives an ``exec`` in the block; the children of this program do not get it.

    :raise StartError: a backup is being restored there.
    """
    try:
        descriptor = _open(folder)
    except OSError as error:
        # A hub on several machines may have a folder that cannot be written to.
        log.info("The data folder cannot be locked: %s", error.strerror)
        yield
        return
    try:
        if not _try_lock(descriptor, fcntl.LOCK_SH):
            raise StartError("A backup is being restored into the data folder. Wait for its end.")
        os.set_inheritable(descriptor, True)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def own_data_dir(folder: Path) -> Iterator[None]:
    """Keep all other programs of a hub off the data folder during the block.

    :raise StartError: one of them is running.
    """
    descriptor = _open(folder)
    try:
        if not _try_lock(descriptor, fcntl.LOCK_EX):
            raise StartError("A hub is running on the data folder. Stop it first.")
        yield
    finally:
        os.close(descriptor)


def _open(folder: Path) -> int:
    make_data_dir(folder)
    return os.open(folder / _NAME, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)


def _try_lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
