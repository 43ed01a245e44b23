"""The format of a backup: one tar file with the database, the objects and the secrets of a hub.

Its members, in this order:

1. ``backup.json``: the format, the version of the tables, and what the archive contains;
2. ``objects/…``: the folder of the embedded S3 server;
3. ``imagehub.db``: a snapshot of the database. It is taken last, and objects are never changed, so
   that each object of the snapshot is among those in front of it;
4. ``secrets/…``;
5. ``end.json``: the number of members and a hash of all their hashes. Without it the archive was
   cut off.

Each member has its SHA-256 in a PAX header of its own, so that a reader needs the archive once,
from its beginning to its end, and no memory for what it has read.
"""

import gzip
import hashlib
import io
import json
import lzma
import os
import re
import stat
import tarfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from imagehub.errors import ImageHubError

FORMAT = 1
HEADER, END = "backup.json", "end.json"
DATABASE, OBJECTS, SECRETS = "imagehub.db", "objects", "secrets"
_SHA256 = "IMAGEHUB.sha256"
_CHUNK = 1 << 20
# Two parts at least; none is empty, ``.`` or ``..``.
_FILE_NAME = re.compile(rf"(?:{OBJECTS}|{SECRETS})(?:/(?!\.\.?(?:/|\Z))[^/\0]+)+")
_LONGEST_JSON = 1 << 20


class BackupError(ImageHubError):
    """A backup cannot be made or restored."""


# --- Writing --------------------------------------------------------------------------------------


@dataclass
class Writer:
    """Writes the members of a backup, and counts them."""

    tar: tarfile.TarFile
    count: int = 0
    size_bytes: int = 0
    _hash: Any = field(default_factory=hashlib.sha256)

    def add_json(self, name: str, content: dict[str, Any]) -> None:
        data = json.dumps(content, indent=2).encode()
        self._add(name, io.BytesIO(data), len(data), 0.0)

    def add_file(self, name: str, path: Path) -> os.stat_result:
        """Add a file; its name in the archive must be one that a reader accepts.

        :raise FileNotFoundError: it was deleted in the meantime.
        :raise BackupError: it is no ordinary file, or has a name that no archive may have.
        """
        if name != DATABASE and not _FILE_NAME.fullmatch(name):
            raise BackupError(f"The name {name!r} cannot be part of a backup.")
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            facts = os.fstat(descriptor)
            if not stat.S_ISREG(facts.st_mode):
                raise BackupError(f"{path} is not an ordinary file.")
            self._add(name, file, facts.st_size, facts.st_mtime)
        return facts

    def _add(self, name: str, file: BinaryIO, size_bytes: int, changed_at: float) -> None:
        digest = _hash_file(file)
        file.seek(0)
        member = tarfile.TarInfo(name)
        member.size, member.mtime, member.mode = size_bytes, int(changed_at), 0o600
        member.pax_headers = {_SHA256: digest}
        self.tar.addfile(member, file)
        self.count += 1
        self.size_bytes += size_bytes
        self._hash.update(_make_line(digest, name))

    def end(self) -> None:
        """Write the last member."""
        self.add_json(END, {"members": self.count, "sha256": self._hash.hexdigest()})


def _hash_file(file: BinaryIO) -> str:
    digest = hashlib.sha256()
    while chunk := file.read(_CHUNK):
        digest.update(chunk)
    return digest.hexdigest()


def _make_line(digest: str, name: str) -> bytes:
    return f"{digest} {name}\n".encode("utf-8", "surrogateescape")


@contextmanager
def open_writer(file: BinaryIO, name: str) -> Iterator[Writer]:
    """Write an archive to a file; the end of its name says how it is compressed."""
    with ExitStack() as stack:
        target: Any = file
        if name.endswith((".gz", ".tgz")):
            # Renditions are compressed already; the database gets most of it at this level.
            target = stack.enter_context(
                gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=file, mtime=0)
            )
        elif name.endswith(".xz"):
            target = stack.enter_context(lzma.LZMAFile(file, "wb"))
        yield Writer(
            stack.enter_context(tarfile.open(fileobj=target, mode="w|", format=tarfile.PAX_FORMAT))
        )


# --- Reading --------------------------------------------------------------------------------------


def unpack(file: BinaryIO, folder: Path) -> dict[str, Any]:
    """Unpack a backup into an empty folder; every name, size and hash is checked.

    Nothing is created outside of the folder: members are ordinary files with names of a few forms,
    and no file that exists is opened.

    :return: the header.
    :raise BackupError: it is no backup, damaged or cut off. Parts may be in the folder.
    """
    try:
        with tarfile.open(fileobj=file, mode="r|*") as tar:
            return _unpack(tar, folder)
    except (tarfile.TarError, EOFError, gzip.BadGzipFile, lzma.LZMAError, ValueError) as error:
        raise BackupError(f"The archive is damaged or no backup ({error}).") from error


def _unpack(tar: tarfile.TarFile, folder: Path) -> dict[str, Any]:
    header: dict[str, Any] | None = None
    total = hashlib.sha256()
    for count, member in enumerate(tar):
        source = tar.extractfile(member) if member.isreg() else None
        if source is None:
            raise BackupError(f"The archive contains {member.name!r}, which is no ordinary file.")
        if header is None:
            header = _read_header(member, source)
            digest = member.pax_headers.get(_SHA256, "")
        elif member.name == END:
            end = _read_json(member, source)
            if end != {"members": count, "sha256": total.hexdigest()}:
                raise BackupError("The archive is damaged: its members are not those it names.")
            return header
        else:
            digest = _unpack_file(member, source, folder)
        total.update(_make_line(digest, member.name))
    raise BackupError("The archive is not complete: its end is missing.")


def _read_header(member: tarfile.TarInfo, source: Any) -> dict[str, Any]:
    if member.name != HEADER:
        raise BackupError("This is no backup of ImageHub.")
    header = _read_json(member, source)
    if header.get("format") != FORMAT:
        raise BackupError(
            f"The backup has format {header.get('format')}, but this version of ImageHub reads "
            f"format {FORMAT}."
        )
    return header


def _read_json(member: tarfile.TarInfo, source: Any) -> dict[str, Any]:
    if member.size > _LONGEST_JSON:
        raise BackupError(f"The archive is damaged: {member.name} is too long.")
    data = source.read()
    _check_hash(member, hashlib.sha256(data).hexdigest())
    content = json.loads(data)
    if not isinstance(content, dict):
        raise BackupError(f"The archive is damaged: {member.name} has another form.")
    return content


def _unpack_file(member: tarfile.TarInfo, source: Any, folder: Path) -> str:
    """Write one member below the folder; return its hash."""
    path = folder / member.name
    has_name = member.name == DATABASE or _FILE_NAME.fullmatch(member.name)
    # The path is checked as well, in case the pattern misses something. ``tarfile.data_filter``
    # would do, but the Python of Debian 12 does not have it.
    if not has_name or not path.resolve().is_relative_to(folder.resolve()):
        raise BackupError(f"The archive contains {member.name!r}, which no backup does.")
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    digest = hashlib.sha256()
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except FileExistsError:
        raise BackupError(f"The archive contains {member.name!r} twice.") from None
    with os.fdopen(descriptor, "wb") as target:
        while chunk := source.read(_CHUNK):
            digest.update(chunk)
            target.write(chunk)
        target.flush()
        os.fsync(descriptor)
    os.utime(path, (member.mtime, member.mtime))
    _check_hash(member, digest.hexdigest())
    return digest.hexdigest()


def _check_hash(member: tarfile.TarInfo, digest: str) -> None:
    if member.pax_headers.get(_SHA256) != digest:
        raise BackupError(f"The archive is damaged: {member.name} has another hash than it says.")
