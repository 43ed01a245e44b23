"""Thumbnails of OneDrive's files, kept for a while in the data folder.

Losing the folder costs nothing but time, and it never grows beyond a bound.
"""

import hashlib
import os
import secrets
from contextlib import suppress
from pathlib import Path

# What stands for a picture that there is none of, in a grey that shows on light and on dark ground.
# Without a size of its own it fills any frame it is put in, and the sign in its middle stays small.
PLACEHOLDER = """\
<svg xmlns="http://www.w3.org/2000/svg"><svg x="50%" y="50%" overflow="visible"><g
 transform="translate(-12 -12)" fill="none" stroke="#85827c" stroke-width="1.5"
 stroke-linecap="round" stroke-linejoin="round"><path d="M6 22a2 2 0 0 1-2-2V4a2 2 0 0 1 2-2h8a2.4
 2.4 0 0 1 1.704.706l3.588 3.588A2.4 2.4 0 0 1 20 8v12a2 2 0 0 1-2 2z"/><path
 d="M14 2v5a1 1 0 0 0 1 1h5"/><circle cx="10" cy="12" r="2"/><path
 d="m20 17-1.296-1.296a2.41 2.41 0 0 0-3.408 0L9 22"/></g></svg></svg>
"""

_SUFFIXES = {"image/jpeg": ".jpg", "image/png": ".png", "image/webp": ".webp", "image/gif": ".gif"}
_KINDS = {suffix: kind for kind, suffix in _SUFFIXES.items()}
# 256 folders of this many: some 20,000 thumbnails, of 5 to 80 kB each.
_FILES_A_FOLDER = 80


class ThumbnailCache:
    """Small pictures by a key of any text."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def takes(self, content_type: str) -> bool:
        """Whether this is a picture that a browser shows and that cannot hold a script."""
        return _clean(content_type) in _SUFFIXES

    def find(self, key: str) -> tuple[bytes, str] | None:
        """(bytes, content type), or None."""
        place = self._place(key)
        for suffix, kind in _KINDS.items():
            path = place.with_suffix(suffix)
            with suppress(FileNotFoundError):
                data = path.read_bytes()
                os.utime(path)  # What is looked at stays longest.
                return data, kind
        return None

    def keep(self, key: str, data: bytes, content_type: str) -> None:
        """Write it, or leave it: a full disk must not keep a page from its pictures."""
        path = self._place(key).with_suffix(_SUFFIXES[_clean(content_type)])
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            draft = path.with_name(f".{secrets.token_hex(6)}")
            draft.write_bytes(data)
            draft.replace(path)
            self._thin_out(path.parent)

    def _place(self, key: str) -> Path:
        name = hashlib.sha256(key.encode()).hexdigest()
        return self._folder / name[:2] / name[2:]

    def _thin_out(self, folder: Path) -> None:
        files = [entry for entry in os.scandir(folder) if entry.is_file()]
        if len(files) > _FILES_A_FOLDER:
            files.sort(key=lambda entry: entry.stat().st_mtime)
            for entry in files[: len(files) - _FILES_A_FOLDER // 2]:
                with suppress(FileNotFoundError):
                    Path(entry.path).unlink()


def _clean(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()
