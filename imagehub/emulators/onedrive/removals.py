"""Learn from the kernel which names were removed from folders, even if they are back.

A file that was removed and created again looks like one that was written to: the same name, often
even the same inode. To the service it is another item. Where inotify is missing, or a folder is
changed from another machine, nothing is noted.

Source: inotify(7).
"""

import ctypes
import errno
import os
import struct
import weakref
from collections import defaultdict
from pathlib import Path

from .names import make_name_key

_MOVED_FROM, _DELETED = 0x00000040, 0x00000200
_IGNORED, _ONLY_FOLDERS = 0x00008000, 0x01000000
_HEAD = struct.Struct("iIII")
_READ_BYTES = 65_536


class Removals:
    """The names that were removed from watched folders since each was last compared.

    Not thread-safe: the caller holds the state's lock.
    """

    def __init__(self) -> None:
        self._folders: dict[int, str] = {}
        self._watched: set[str] = set()
        self._removed: dict[str, dict[str, bool]] = defaultdict(dict)
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd = -1
        if hasattr(self._libc, "inotify_init1"):
            self._fd = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd >= 0:
            weakref.finalize(self, os.close, self._fd)

    def watch(self, folder_id: str, path: Path) -> None:
        """Note removals from a folder from now on; a folder stays watched when it is moved."""
        if self._fd < 0 or folder_id in self._watched:
            return
        mask = _MOVED_FROM | _DELETED | _ONLY_FOLDERS
        number = self._libc.inotify_add_watch(self._fd, os.fsencode(path), mask)
        if number >= 0:
            self._watched.discard(self._folders.get(number, ""))
            self._folders[number] = folder_id
            self._watched.add(folder_id)

    def contains(self, folder_id: str, name: str) -> bool:
        """Tell whether an item of this name was removed, as far as was collected."""
        return make_name_key(name) in self._removed.get(folder_id, ())

    def take(self, folder_id: str) -> dict[str, bool]:
        """Return and forget what was removed from a folder.

        :return: the keys of the names; True: deleted, False: moved away.
        """
        self.collect()
        return self._removed.pop(folder_id, {})

    def collect(self) -> None:
        """Read the kernel's notes about removals."""
        for folder_id, name, mask in self._read():
            key = make_name_key(name)
            removed = self._removed[folder_id]
            removed[key] = removed.get(key, False) or bool(mask & _DELETED)

    def discard(self) -> None:
        """Drop notes about changes that the index knows already."""
        self._read()

    def _read(self) -> list[tuple[str, str, int]]:
        """Return (folder id, name, mask) of each note."""
        notes: list[tuple[str, str, int]] = []
        while self._fd >= 0:
            try:
                data = os.read(self._fd, _READ_BYTES)
            except OSError as error:
                if error.errno == errno.EAGAIN:
                    break
                raise
            at = 0
            while at < len(data):
                number, mask, _cookie, length = _HEAD.unpack_from(data, at)
                at += _HEAD.size + length
                if mask & _IGNORED:
                    # The folder is gone.
                    self._watched.discard(self._folders.pop(number, ""))
                elif number in self._folders:
                    name = os.fsdecode(data[at - length : at].rstrip(b"\0"))
                    notes.append((self._folders[number], name, mask))
        return notes
