"""Secrets of the settings: files that hold them, and those that the hub generates.

A generated key is changed in steps, each of which may be the last before a power cut. A process
that reads the folder at any moment knows every key with which another one signs or encrypts: first
``NAME_next`` is accepted everywhere, then it becomes ``NAME``, and the former key ``NAME_previous``
until nothing needs it.
"""

import fcntl
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
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

# Those that can be changed while the hub runs.
CHANGEABLE_KEYS = ("secret_key", "token_key")


def find_bad_keys(read: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield (variable without the prefix, fault) of the keys among the settings."""
    for name in ("token_key", "token_key_previous"):
        try:
            for key in read[name].split(",") if read[name] else ():
                Fernet(key.strip().encode())
        except ValueError:
            yield (
                name.upper(),
                "must be a Fernet key (32 bytes in URL-safe base64), or several separated by "
                "commas; `imagehub make-key` prints one",
            )
    for name in ("secret_key", "secret_key_previous"):
        if read[name] and len(read[name]) < 32:
            yield name.upper(), "must have at least 32 characters"


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


# --- Changing a key -------------------------------------------------------------------------------


def read_kept_keys(data_dir: Path, name: str) -> tuple[str, ...]:
    """Read the keys of a name from the data folder: the one in use, then those accepted too.

    Empty if the hub generated none.
    """
    # In this order no key is missed while another process changes them.
    upcoming, current, previous = (
        _read_key(data_dir, f"{name}{ending}") for ending in ("_next", "", "_previous")
    )
    if not current:
        return ()
    return tuple(key for key in dict.fromkeys((current, upcoming, previous)) if key)


def _read_key(data_dir: Path, name: str) -> str:
    try:
        # Read several times in each request of a signed-in person.
        with open(f"{data_dir}/secrets/{name}", encoding="ascii") as file:
            return file.read().strip()
    except (FileNotFoundError, NotADirectoryError):
        return ""


@contextmanager
def hold_key_lock(data_dir: Path) -> Iterator[None]:
    """Let one process at a time change the keys; the lock ends with the process."""
    folder = os.open(data_dir / "secrets", os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def has_previous_key(data_dir: Path, name: str) -> bool:
    """Tell whether a former key is kept, with no newer one on its way."""
    folder = data_dir / "secrets"
    return (folder / f"{name}_previous").exists() and not (folder / f"{name}_next").exists()


def add_next_key(data_dir: Path, name: str) -> None:
    """Generate the next key, which is accepted from now on. Does nothing if there is one."""
    keep_secret(data_dir, f"{name}_next", SECRET_MAKERS[name])


def switch_key(data_dir: Path, name: str) -> None:
    """Use the next key in place of the current one, which is kept as the previous one."""
    folder = data_dir / "secrets"
    with suppress(FileExistsError):  # Left by a run that was interrupted here.
        os.link(folder / name, folder / f"{name}_previous")
    os.rename(folder / f"{name}_next", folder / name)
    _sync(folder)


def drop_previous_key(data_dir: Path, name: str) -> None:
    """Delete the former key. What only it opens is lost."""
    folder = data_dir / "secrets"
    (folder / f"{name}_previous").unlink()
    _sync(folder)


def get_key_date(data_dir: Path, name: str) -> datetime:
    """Return when the key in use was generated, seconds before it came into use."""
    return datetime.fromtimestamp((data_dir / "secrets" / name).stat().st_mtime, UTC)


def _sync(folder: Path) -> None:
    """Write the folder's entries to disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
