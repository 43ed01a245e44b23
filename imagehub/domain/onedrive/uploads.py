"""Uploads that a browser sends straight to OneDrive.

The bytes never pass through ImageHub: it checks names, creates folders, requests the address that
takes the bytes, and finds the file where OneDrive's last answer was lost.
"""

import hashlib
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import delete
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from imagehub.clients import ConflictBehavior, Drive, DriveItem, Vault
from imagehub.clients import UploadSession as NewSession
from imagehub.clients.drive_ids import check_name, repair_name
from imagehub.database import end_read, now_utc, own_transaction
from imagehub.domain.onedrive.folders import create_upload_session, get_root
from imagehub.errors import InvalidInputError, ServiceRefusedError
from imagehub.messages import mark
from imagehub.models import UploadSession

MAX_DEPTH = 40
# How long an address is remembered.
KEPT = timedelta(days=1)
# Refusals that the browser handles by itself or asks the person about.
_HANDLED_REFUSALS = ("name_taken", "forbidden_name", "session_open", "quota_full")
# OneDrive's clock and ours may differ.
_CLOCK_SLACK = timedelta(minutes=2)
_OLDEST = timedelta(days=30)
_RECOUNTED = (".heic", ".heif")


# --- Names and folders ----------------------------------------------------------------------------


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


# --- Beginning ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Upload:
    """A file that a browser uploads into a folder, with what it knows of its earlier tries.

    ``folder_id``: the root folder when empty. ``other_names``: files in the folder that belong to
    other uploads. ``quick_xor_hash``: of the file, in base64; "" if it is not known yet. ``word``:
    chosen by the browser for this upload and repeated with each try; "" for none. ``given_up``:
    ``begun_at`` of an address that did not work.
    """

    folder_id: str
    name: str
    size_bytes: int
    on_conflict: ConflictBehavior = "fail"
    other_names: Sequence[str] = ()
    quick_xor_hash: str = ""
    word: str = ""
    given_up: datetime | None = None


@dataclass(frozen=True)
class Begun:
    """The answer to the browser: exactly one of the first four holds something.

    ``item``: the file has arrived or, if it is empty, was created. ``needs_hash``: a file with this
    name and size is there; only the file's hash tells whether it is this one. ``refused``:
    ``name_taken``, ``forbidden_name``, ``session_open`` or ``quota_full``, with a sentence in
    ``message``. ``is_known``: the address was given out before, so OneDrive may have some of the
    bytes.
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
    session: Session, vault: Vault, account_id: int, drive: Drive, upload: Upload
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
        opened = _open_session(drive, upload)
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


def _make_key(account_id: int, upload: Upload) -> str:
    """Make the key of an upload's session; "" if the browser gave no word for it."""
    if not upload.word:
        return ""
    parts = f"{account_id}\n{upload.folder_id}\n{upload.name}\n{upload.word}"
    return hashlib.sha256(parts.encode()).hexdigest()


def _open_session(drive: Drive, upload: Upload) -> NewSession:
    """Open an upload session.

    :raise ServiceRefusedError: ``name_taken`` if the name is taken and ``on_conflict`` is "fail",
        or taken by a folder; ``session_open`` while OneDrive waits for an earlier upload of this
        name; ``quota_full`` …
    :raise InvalidInputError, NotFoundError: see ``folders.create_upload_session``.
    """
    try:
        return create_upload_session(drive, upload.folder_id, upload.name, upload.on_conflict)
    except ServiceRefusedError as error:
        if error.reason != "name_taken":
            raise
        # OneDrive refuses a second session for a name with the same code
        # (microsoftgraph/microsoft-graph-docs#5812).
        parent_id = upload.folder_id or get_root(drive).id
        found = drive.find_child(parent_id, upload.name) if upload.on_conflict != "rename" else None
        if found is not None and upload.on_conflict == "fail":
            raise
        if found is not None and found.is_folder:
            reason, sentence = (
                error.reason,
                mark("A folder has this name. A file cannot replace it."),
            )
        else:
            reason = "session_open"
            sentence = mark(
                "OneDrive is still waiting for an earlier upload with this name. It stops waiting "
                "after a few minutes."
            )
        raise ServiceRefusedError(error.service, error.operation, reason, sentence) from error


# --- Remembered addresses -------------------------------------------------------------------------
#
# OneDrive refuses a second session for a name while the first is open. If a page is closed before
# it could store the address, the same upload gets it again, from any web machine.


@dataclass(frozen=True)
class OpenUpload:
    """An upload that was begun. ``address`` is "" for an empty file, which has no session."""

    address: str = field(repr=False)
    begun_at: datetime


def find_session(session: Session, vault: Vault, key: str) -> OpenUpload | None:
    """Find what is remembered under a key; None if nothing is, or if it can't be decrypted."""
    row = session.get(UploadSession, key, populate_existing=True)
    if row is None or row.begun_at < now_utc() - KEPT:
        return None
    try:
        return OpenUpload(vault.open(row.address), row.begun_at)
    except ValueError:
        return None


@own_transaction
def remember_session(
    session: Session, vault: Vault, account_id: int, key: str, opened: OpenUpload
) -> None:
    """Remember an address, in place of an earlier one with this key."""
    row = UploadSession(
        key=key,
        drive_account_id=account_id,
        address=vault.seal(opened.address),
        begun_at=opened.begun_at,
    )
    # SQLite refuses a transaction that writes after it has read what another one changed meanwhile.
    session.execute(delete(UploadSession).where(UploadSession.key == key))
    # Of two requests for one upload at the same moment either address will do.
    with suppress(IntegrityError), session.begin_nested():
        session.add(row)


@own_transaction
def forget_session(session: Session, key: str) -> None:
    """Forget what is remembered under a key, if anything is."""
    session.execute(delete(UploadSession).where(UploadSession.key == key))


# --- Lost answers ---------------------------------------------------------------------------------


def find_uploaded(drive: Drive, upload: Upload, begun_at: datetime) -> DriveItem | None:
    """Find the file that an upload became; None if it became none.

    The file is recognised by its name (or the name with a number, if that was requested), its size,
    a creation or change after the upload began, and by its hash where both sides know one.
    """
    earliest = max(begun_at, now_utc() - _OLDEST) - _CLOCK_SLACK
    others = {name.casefold() for name in upload.other_names}
    parent_id = upload.folder_id or get_root(drive).id
    candidates: Iterable[DriveItem]
    if upload.on_conflict == "rename":
        # The number in its name is not known, so the whole folder is searched.
        candidates = drive.iter_children(parent_id)
    else:
        candidates = filter(None, [drive.find_child(parent_id, upload.name)])
    for item in candidates:
        if item.is_folder or not _is_since(item, earliest):
            continue
        has_name = item.name.casefold() == upload.name.casefold()
        if upload.on_conflict == "rename":
            # The name may have become free before the last byte arrived.
            has_name = has_name or _is_numbered(item.name, upload.name)
            has_name = has_name and item.name.casefold() not in others
        if has_name and _may_be(item, upload):
            return item
    return None


def _may_be(item: DriveItem, upload: Upload) -> bool:
    """Tell whether an item may hold the bytes of an upload."""
    if item.size_bytes != upload.size_bytes:
        # OneDrive lists another size and hash for these than it was sent. If the name was free when
        # the upload began, the name is proof enough.
        return upload.on_conflict == "fail" and item.name.casefold().endswith(_RECOUNTED)
    if item.quick_xor_hash:
        return upload.quick_xor_hash in ("", item.quick_xor_hash)
    # Nothing tells two equally large versions of one file apart.
    return upload.on_conflict != "replace" or not upload.size_bytes


def _is_numbered(found: str, name: str) -> bool:
    """Tell whether OneDrive made ``found`` from ``name`` by adding a number before the ending."""
    stem, dot, ending = name.casefold().rpartition(".")
    if not dot:
        stem, ending = ending, ""
    numbered = rf"{re.escape(stem)} \d+{re.escape(dot + ending)}"
    return re.fullmatch(numbered, found.casefold()) is not None


def _is_since(item: DriveItem, earliest: datetime) -> bool:
    for time in (item.created_time, item.modified_time):
        try:
            moment = datetime.fromisoformat(time)
        except ValueError:
            continue
        if moment.tzinfo is not None and moment >= earliest:
            return True
    return False
