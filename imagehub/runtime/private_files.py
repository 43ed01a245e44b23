"""Keep the hub's files from other users of the machine."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# New files: 0600, new folders: 0700.
UMASK = 0o077
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
# What the hub and its demo put into the data folder, as patterns.
_OWN_NAMES = (
    "imagehub.db*", "queue.db*", "objects", "scratch", "metrics", "secrets", "thumbnails", "demo",
    "demo-*", "OneDrive", "records.json",
)  # fmt: skip
# In the folder of a checkout.
_HARMLESS_NAMES = frozenset({"README.md", ".gitignore", ".doctor", "hub.lock"})


@dataclass(frozen=True)
class Closed:
    """Files and folders that were closed, and those that could not be."""

    count: int
    failed: tuple[Path, ...] = ()


def close_data_dir(folder: Path) -> Closed:
    """Take all permissions of the group and others from an open data folder and what is in it.

    A folder that others cannot enter is left as it is: the group may have been given access on
    purpose. If the folder holds more than the hub's files, only those are closed.
    """
    try:
        is_open = bool(folder.stat().st_mode & stat.S_IRWXO)
    except OSError:
        return Closed(0)
    if not is_open:
        return Closed(0)
    own = [path for pattern in _OWN_NAMES for path in folder.glob(pattern)]
    others = {path.name for path in folder.iterdir()} - {path.name for path in own}
    found = [path for path in (*own, *_iter_below(own)) if _is_open_and_real(path)]
    if not others - _HARMLESS_NAMES:
        found.insert(0, folder)
    count, failed = 0, []
    for path in found:
        try:
            path.chmod(stat.S_IMODE(path.stat().st_mode) & ~_OTHERS)
        except FileNotFoundError:
            continue  # A temporary file that a running hub has deleted.
        except OSError:
            failed.append(path)
        else:
            count += 1
    return Closed(count, tuple(failed))


def is_open_to_others(path: Path) -> bool:
    """Tell whether other users of the machine have any permission on a file."""
    try:
        return bool(path.stat().st_mode & _OTHERS)
    except OSError:
        return False


def _iter_below(paths: list[Path]) -> Iterator[Path]:
    for path in paths:
        if not path.is_symlink():
            for base, folders, files in os.walk(path):
                yield from (Path(base, name) for name in (*folders, *files))


def _is_open_and_real(path: Path) -> bool:
    try:
        mode = path.lstat().st_mode
    except OSError:
        return False
    return bool(mode & _OTHERS) and not stat.S_ISLNK(mode)
