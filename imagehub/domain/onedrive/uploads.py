"""Begin uploads that a browser sends straight to OneDrive.

The bytes never pass through ImageHub: it checks names, creates folders, and requests the address
that takes the bytes.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy.orm import Session

from imagehub.clients import ConflictBehavior, Drive, DriveItem, UploadSession, Vault
from imagehub.clients.drive_ids import check_name, repair_name
from imagehub.database import end_read, now_utc
from imagehub.domain.onedrive.arrivals import Upload, find_uploaded
from imagehub.domain.onedrive.folders import create_upload_session, get_root
from imagehub.domain.onedrive.upload_sessions import (
    OpenUpload,
    find_session,
    forget_session,
    remember_session,
)
from imagehub.errors import InvalidInputError, ServiceRefusedError
from imagehub.messages import mark

MAX_DEPTH = 40
# Refusals that the browser handles by itself or asks the person about.
_HANDLED_REFUSALS = ("name_taken", "session_open", "quota_full")


@dataclass(frozen=True)
class NameCheck:
    """``fault``: why OneDrive refuses the path, "" if it doesn't. ``repaired``: a path it takes."""

    path: str
    fault: str
    repaired: str


def check_paths(drive: Drive, folder_id: str, paths: Sequence[str]) -> list[NameCheck]:
    """Find names that OneDrive would refuse, before anything is sent.

    :param paths: file names, or "/"-separated paths below the folder.
    :raise NotFoundError: the folder is not inside the root folder.
    """
    folder = drive.get_item(folder_id) if folder_id else get_root(drive)
    at_root = "root" in folder.raw
    kind = drive.get_drive().kind
    checks = []
    for path in paths:
        names = path.split("/")
        fault = ""
        repaired = []
        for depth, name in enumerate(names):
            is_top = at_root and depth == 0
            try:
                check_name(name, kind, is_top)
                repaired.append(name)
            except InvalidInputError as error:
                fault = fault or error.sentence
                repaired.append(repair_name(name, kind, is_top))
        checks.append(NameCheck(path, fault, "/".join(repaired)))
    return checks


def ensure_folder(
    drive: Drive, parent_id: str, names: Sequence[str]
) -> tuple[DriveItem, list[DriveItem]]:
    """Find the folder at the end of a path below ``parent_id``; create what is missing.

    Safe to repeat, and to call twice at the same time.

    :return: the folder, and those that were created.
    :raise InvalidInputError: a name that OneDrive would refuse, or too deep.
    :raise NotFoundError: the parent is not inside the root folder.
    :raise ServiceRefusedError: ``name_taken``: a file has the name of a folder on the way.
    """
    if len(names) > MAX_DEPTH:
        raise InvalidInputError("The folders are nested too deeply.", {"path": "too deep"})
    folder = drive.get_item(parent_id) if parent_id else get_root(drive)
    created: list[DriveItem] = []
    for name in names:
        found = drive.find_child(folder.id, name)
        if found is not None and found.is_folder:
            folder = found
        else:
            folder = drive.create_folder(folder.id, name, "replace")
            created.append(folder)
    return folder, created


@dataclass(frozen=True)
class BrowserUpload(Upload):
    """An upload with what the browser knows of its earlier tries.

    ``word``: chosen by the browser for this upload and repeated with each try; "" for none.
    ``given_up``: ``begun_at`` of an address that did not work.
    """

    word: str = ""
    given_up: datetime | None = None


@dataclass(frozen=True)
class Begun:
    """The answer to the browser: exactly one of the first four holds something.

    ``item``: the file has arrived or, if it is empty, was created. ``needs_hash``: a file with this
    name and size is there; only the file's hash tells whether it is this one. ``refused``:
    ``name_taken``, ``session_open`` or ``quota_full``, with a sentence in ``message``.
    ``is_known``: the address was given out before, so OneDrive may have some of the bytes.
    ``is_new``: something was created or opened at OneDrive just now.
    """

    address: str = field(default="", repr=False)
    item: DriveItem | None = None
    needs_hash: bool = False
    refused: str = ""
    message: str = ""
    begun_at: datetime | None = None
    expires_at: datetime | None = None
    is_known: bool = False
    is_new: bool = False


def begin_upload(
    session: Session, vault: Vault, account_id: int, drive: Drive, upload: BrowserUpload
) -> Begun:
    """Open an upload session for a file; create an empty file at once.

    If the browser repeats a request because it missed the answer, it gets the same address again,
    or the file that has arrived. What is remembered for that is committed on its own.

    :param session: holds no uncommitted change.
    :raise ServiceRefusedError: refusals other than those of :class:`Begun`.
    :raise InvalidInputError, NotFoundError: see ``folders.create_upload_session``.
    """
    key = _make_key(account_id, upload)
    known = find_session(session, vault, key) if key else None
    end_read(session)
    begun_at = now_utc()
    if known is not None:
        arrived = find_uploaded(drive, upload, known.begun_at)
        if arrived is not None:
            if upload.size_bytes and not upload.quick_xor_hash and arrived.quick_xor_hash:
                return Begun(needs_hash=True)
            return Begun(item=arrived)
    try:
        if not upload.size_bytes:
            if key:
                # Before the request, since its answer may get lost.
                remember_session(session, vault, account_id, key, OpenUpload("", begun_at))
            item = drive.create_empty_file(upload.folder_id, upload.name, upload.on_conflict)
            return Begun(item=item, is_new=True)
        opened = _open_session(drive, upload.folder_id, upload.name, upload.on_conflict)
    except ServiceRefusedError as error:
        if error.reason not in _HANDLED_REFUSALS:
            raise
        if key and not upload.size_bytes:
            forget_session(session, key)
        elif key and error.reason == "session_open":
            # Another request for this upload may have been answered in the meantime.
            known = find_session(session, vault, key)
            if known is not None and known.address and known.begun_at != upload.given_up:
                return Begun(known.address, begun_at=known.begun_at, is_known=True)
        return Begun(refused=error.reason, message=error.sentence)
    if key:
        remember_session(session, vault, account_id, key, OpenUpload(opened.upload_url, begun_at))
    return Begun(opened.upload_url, begun_at=begun_at, expires_at=opened.expires_at, is_new=True)


def _make_key(account_id: int, upload: BrowserUpload) -> str:
    """Make the key of an upload's session; "" if the browser gave no word for it."""
    if not upload.word:
        return ""
    parts = f"{account_id}\n{upload.folder_id}\n{upload.name}\n{upload.word}"
    return hashlib.sha256(parts.encode()).hexdigest()


def _open_session(
    drive: Drive, folder_id: str, name: str, on_conflict: ConflictBehavior
) -> UploadSession:
    """Open an upload session for one file.

    :raise ServiceRefusedError: ``name_taken`` if the name is taken and ``on_conflict`` is "fail",
        or taken by a folder; ``session_open`` while OneDrive waits for an earlier upload of this
        name; ``quota_full`` …
    :raise InvalidInputError, NotFoundError: see ``folders.create_upload_session``.
    """
    try:
        return create_upload_session(drive, folder_id, name, on_conflict)
    except ServiceRefusedError as error:
        if error.reason != "name_taken":
            raise
        # OneDrive refuses a second session for a name with the same code
        # (microsoftgraph/microsoft-graph-docs#5812).
        parent_id = folder_id or get_root(drive).id
        found = drive.find_child(parent_id, name) if on_conflict != "rename" else None
        if found is not None and on_conflict == "fail":
            raise
        if found is not None and found.is_folder:
            raise ServiceRefusedError(
                error.service,
                error.operation,
                "name_taken",
                mark("A folder has this name. A file cannot replace it."),
            ) from error
        raise ServiceRefusedError(
            error.service,
            error.operation,
            "session_open",
            mark(
                "OneDrive is still waiting for an earlier upload with this name. It stops waiting "
                "after a few minutes."
            ),
        ) from error
