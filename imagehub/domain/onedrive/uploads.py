"""Uploads from a browser straight to OneDrive: what the hub does around the bytes.

The bytes never come here. The hub checks names, makes folders, asks OneDrive for the address that
takes the fragments, and imports what has arrived.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from imagehub.clients import ConflictBehavior, Drive, DriveItem, UploadSession
from imagehub.clients.drive_names import check_name, repair_name
from imagehub.domain.onedrive.folders import create_upload_session, get_root
from imagehub.errors import InvalidInputError, ServiceRefusedError

# Fragments are multiples of this, but for a file's last one. Source: Microsoft Graph,
# "driveItem: createUploadSession".
FRAGMENT_STEP_BYTES = 327_680
MAX_DEPTH = 40
# OneDrive's clock and ours need not agree to the second.
_CLOCK_SLACK = timedelta(minutes=2)
_COUNTED_ANEW = (".heic", ".heif")


@dataclass(frozen=True)
class NameCheck:
    """``fault`` is one sentence, "" where the name will do; ``repaired`` is the nearest that will.

    Both are of a path's last name where a path was asked about, and ``repaired`` is a path again.
    """

    path: str
    fault: str
    repaired: str


def check_paths(drive: Drive, folder_id: str, paths: Sequence[str]) -> list[NameCheck]:
    """Which names OneDrive would refuse, before anything is sent.

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
                fault = fault or str(error)
                repaired.append(repair_name(name, kind, is_top))
        checks.append(NameCheck(path, fault, "/".join(repaired)))
    return checks


def ensure_folder(
    drive: Drive, parent_id: str, names: Sequence[str]
) -> tuple[DriveItem, list[DriveItem]]:
    """The folder at the end of a path below ``parent_id``; what is missing of it is made.

    Safe to ask for again, and at the same time from two sides.

    :return: the folder, and those that were made.
    :raise InvalidInputError: a name that OneDrive would refuse, or too deep.
    :raise NotFoundError: the parent is not inside the root folder.
    :raise ServiceRefusedError: ``name_taken``: a file has the name of a folder on the way.
    """
    if len(names) > MAX_DEPTH:
        raise InvalidInputError("These folders lie too deep in each other.", {"path": "too deep"})
    folder = drive.get_item(parent_id) if parent_id else get_root(drive)
    made: list[DriveItem] = []
    for name in names:
        found = drive.find_child(folder.id, name)
        if found is not None and found.is_folder:
            folder = found
        else:
            folder = drive.create_folder(folder.id, name, "replace")
            made.append(folder)
    return folder, made


def start_upload(
    drive: Drive, folder_id: str, name: str, on_conflict: ConflictBehavior
) -> UploadSession:
    """The address to which the browser sends the fragments of one file.

    :raise ServiceRefusedError: ``name_taken`` if the name is taken and ``on_conflict`` is "fail",
        or taken by a folder; ``session_open`` where OneDrive still waits for an earlier upload of
        this name; ``quota_full`` …
    :raise InvalidInputError, NotFoundError: see ``drive.create_upload_session``.
    """
    try:
        return create_upload_session(drive, folder_id, name, on_conflict)
    except ServiceRefusedError as error:
        if error.reason != "name_taken":
            raise
        # A session that is still open on this name is refused with the very same code
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
                "A folder has this name, and a file cannot take its place.",
            ) from error
        raise ServiceRefusedError(
            error.service,
            error.operation,
            "session_open",
            "OneDrive still waits for an earlier upload of this name. It gives that up by itself, "
            "after some minutes.",
        ) from error


def find_uploaded(
    drive: Drive,
    folder_id: str,
    name: str,
    size_bytes: int,
    begun_at: datetime,
    on_conflict: ConflictBehavior,
    others: Sequence[str] = (),
    quick_xor_hash: str = "",
) -> DriveItem | None:
    """The file that an upload became whose last answer was lost; None if it became none.

    It is known by its name (or the name with a number, where that was asked for), its size, and
    that it was made or changed since the upload began; and where OneDrive tells a checksum and the
    caller has one, by that.

    :param others: names of files that other uploads made or may yet make in this folder.
    :param quick_xor_hash: of the file, in base64; "" where it is not known yet.
    """
    earliest = begun_at - _CLOCK_SLACK
    not_ours = {other.casefold() for other in others}
    parent_id = folder_id or get_root(drive).id
    candidates: Iterable[DriveItem]
    if on_conflict == "rename":
        # Which number it got is not known, so that all that is there is looked at.
        candidates = drive.iter_children(parent_id)
    else:
        only = drive.find_child(parent_id, name)
        candidates = [only] if only is not None else []
    for item in candidates:
        if item.is_folder or not _is_since(item, earliest):
            continue
        has_name = item.name.casefold() == name.casefold()
        if on_conflict == "rename":
            # The name may have become free before the last byte came.
            has_name = has_name or _is_numbered(item.name, name)
            has_name = has_name and item.name.casefold() not in not_ours
        if has_name and _may_be(item, size_bytes, quick_xor_hash, on_conflict):
            return item
    return None


def _may_be(
    item: DriveItem, size_bytes: int, quick_xor_hash: str, on_conflict: ConflictBehavior
) -> bool:
    """Whether an item can have the bytes of an upload."""
    if item.size_bytes != size_bytes:
        # OneDrive counts and hashes more of these than it was sent. A name that was free when the
        # upload began is then proof enough.
        return on_conflict == "fail" and item.name.casefold().endswith(_COUNTED_ANEW)
    if item.quick_xor_hash:
        return quick_xor_hash in ("", item.quick_xor_hash)
    # Of two states of one file that are equally large nothing else tells which one it is.
    return on_conflict != "replace" or not size_bytes


def _is_numbered(found: str, name: str) -> bool:
    """Whether OneDrive made ``found`` of ``name`` by putting a number before the ending."""
    stem, dot, ending = name.casefold().rpartition(".")
    if not dot:
        stem, ending = name.casefold(), ""
    found = found.casefold()
    if not found.startswith(f"{stem} ") or not found.endswith(f"{dot}{ending}"):
        return False
    return found[len(stem) + 1 : len(found) - len(dot + ending)].isdecimal()


def _is_since(item: DriveItem, earliest: datetime) -> bool:
    for time in (item.created_time, item.modified_time):
        try:
            moment = datetime.fromisoformat(time)
        except ValueError:
            continue
        if moment.tzinfo is not None and moment >= earliest:
            return True
    return False
