"""Secrets of the settings: files that hold them, and those that the hub generates."""

import os
import secrets
from collections.abc import Callable
from pathlib import Path

from cryptography.fernet import Fernet


def read_secret_file(path: str) -> str:
    """Return what a secret setting's file contains; "" means the default.

    :raise ValueError: it cannot be read.
    """
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise ValueError(f"{path} cannot be read ({reason})") from None


SECRET_MAKERS: dict[str, Callable[[], str]] = {
    "secret_key": lambda: secrets.token_urlsafe(48),
    "token_key": lambda: Fernet.generate_key().decode(),
    "s3_access_key_id": lambda: "hub" + secrets.token_hex(8),
    "s3_secret_access_key": lambda: secrets.token_urlsafe(32),
}


def make_data_dir(folder: Path) -> None:
    """Create the data folder if it does not exist, readable by this user only.

    It contains password hashes, drafts and thumbnails of the whole drive. The permissions of an
    existing folder are not changed.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)


def keep_secret(data_dir: Path, name: str, make: Callable[[], str] | None) -> str:
    """Return the secret of that name in the data folder, generated on first use.

    Processes that start at the same time use the same one: the complete file is linked into place,
    and whoever comes second reads it.

    :param make: generates it; None: a secret that is not there is "".
    """
    folder = data_dir / "secrets"
    path = folder / name
    if make is None:
        return path.read_text().strip() if path.is_file() else ""
    make_data_dir(data_dir)
    folder.mkdir(exist_ok=True, mode=0o700)
    if not path.exists():
        draft = folder / f".{name}.{os.getpid()}.{secrets.token_hex(4)}"
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(make())
            file.flush()
            # A power cut must not leave an empty file: tokens are encrypted with its content.
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text().strip()
