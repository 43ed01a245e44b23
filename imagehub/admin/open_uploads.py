"""Upload sessions whose address may not have reached the browser, because its page went meanwhile.

OneDrive refuses a second session on a name while the first is open. So the hub keeps each address
for an hour, sealed, in the data folder, and gives it once more to the upload that it was made for.
"""

import hashlib
import secrets
import time
from contextlib import suppress
from pathlib import Path

from imagehub.clients import Vault

_KEPT_SECONDS = 3600
_TIDY_EVERY = 20


class OpenUploads:
    """Addresses by a key that only one upload of one browser knows."""

    def __init__(self, folder: Path, vault: Vault) -> None:
        self._folder = folder
        self._vault = vault

    def keep(self, key: str, upload_url: str, begun_at: str) -> None:
        """Write it, or leave it: without it an upload waits, but none is lost."""
        with suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            draft = self._folder / f".{secrets.token_hex(8)}"
            draft.write_bytes(self._vault.seal(f"{begun_at}\n{upload_url}"))
            draft.replace(self._place(key))
            if secrets.randbelow(_TIDY_EVERY) == 0:
                self._tidy()

    def forget(self, key: str) -> None:
        """Drop what is kept of it, if anything is."""
        with suppress(OSError):
            self._place(key).unlink(missing_ok=True)

    def find(self, key: str) -> tuple[str, str] | None:
        """(address, when it was begun), or None; the address of an empty file is ""."""
        try:
            sealed = self._place(key).read_bytes()
            begun_at, _, upload_url = self._vault.open(sealed).partition("\n")
        except (OSError, ValueError):
            return None
        return upload_url, begun_at

    def _place(self, key: str) -> Path:
        return self._folder / hashlib.sha256(key.encode()).hexdigest()

    def _tidy(self) -> None:
        oldest = time.time() - _KEPT_SECONDS
        for path in self._folder.iterdir():
            with suppress(OSError):
                if path.stat().st_mtime < oldest:
                    path.unlink()
