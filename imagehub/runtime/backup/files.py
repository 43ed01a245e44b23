"""Open the files of backups and manifests; ``-`` is standard input or output."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from imagehub.runtime.backup.archive import BackupError

# Of a manifest; a text of 64 KB and thousands of tags are shorter.
_LONGEST_LINE = 1 << 26


@contextmanager
def open_target(target: str) -> Iterator[BinaryIO]:
    """Open a file that takes its name when it is complete; readable by this user only.

    :raise BackupError: its folder cannot be written to.
    """
    if target == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    path = Path(target).absolute()
    try:
        # Created with mode 0600.
        descriptor, draft = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise BackupError(f"{target} cannot be written ({error.strerror}).") from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(descriptor)
        Path(draft).replace(path)
    except BaseException:
        with suppress(FileNotFoundError):
            Path(draft).unlink()
        raise
    sync_folder(path.parent)


@contextmanager
def open_source(source: str) -> Iterator[BinaryIO]:
    """Open a file to read.

    :raise BackupError: it cannot be read.
    """
    if source == "-":
        yield sys.stdin.buffer
        return
    try:
        descriptor = os.open(source, os.O_RDONLY)
    except OSError as error:
        raise BackupError(f"{source} cannot be read ({error.strerror}).") from error
    with os.fdopen(descriptor, "rb") as file:
        yield file


def read_lines(file: BinaryIO) -> Iterator[str]:
    """Yield the lines of a text; what is no UTF-8 in it is replaced, and no line is endless."""
    while line := file.readline(_LONGEST_LINE):
        yield line.decode("utf-8", "replace")


def sync_folder(folder: Path) -> None:
    """Make names in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
