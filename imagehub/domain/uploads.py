"""Uploads from a browser straight to OneDrive: what the hub does around the bytes.

The bytes never come here. The hub checks names, makes folders, asks OneDrive for the address that
takes the fragments, and imports what has arrived.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from imagehub.clients import ConflictBehavior, Drive, DriveItem, UploadSession
from imagehub.clients.drive_ids import fold_id, list_all_spellings
from imagehub.clients.drive_names import check_name, repair_name
from imagehub.domain import import_ways
from imagehub.domain.drive import create_upload_session, get_root
from imagehub.domain.importing import (
    OPEN_STATES,
    Selection,
    add_remakes,
    check_is_picture,
    create_import,
)
from imagehub.domain.storage import make_batches
from imagehub.errors import InvalidInputError, PictureError, ServiceRefusedError
from imagehub.models import Group, Image, ImportItem, ImportJob

# Fragments are multiples of this, but for a file's last one. Source: Microsoft Graph,
# "driveItem: createUploadSession".
FRAGMENT_STEP_BYTES = 327_680
MAX_DEPTH = 40
# OneDrive's clock and ours need not agree to the second.
_CLOCK_SLACK = timedelta(minutes=2)
_COUNTED_ANEW = (".heic", ".heif")

Grouping = Literal["one", "folder", "each"]


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


# --- Import when uploaded -------------------------------------------------------------------------


@dataclass(frozen=True)
class Uploaded:
    """A file that has arrived in OneDrive.

    ``folder_name``: "" for the root folder, whose name is no title. ``is_replaced``: it took the
    place of another file, whose id it has. ``mime_type`` and ``size_bytes`` as far as they are
    known: "" and None where they are not.
    """

    file_id: str
    name: str
    folder_id: str
    folder_name: str
    is_replaced: bool = False
    mime_type: str = ""
    size_bytes: int | None = None


@dataclass(frozen=True)
class UploadImport:
    """What became of the wish to import what was uploaded.

    ``job``: None where nothing was left to import. ``known_count``: files that are in the hub
    already, or on their way. ``refused``: a sentence why files are no pictures → how many.
    """

    job: ImportJob | None
    known_count: int
    refused: Mapping[str, int]


def import_uploaded(
    session: Session,
    account_id: int,
    user_id: int | None,
    files: Sequence[Uploaded],
    grouping: Grouping = "one",
    group: int | None = None,
) -> UploadImport:
    """Ask for the import of what was uploaded; the caller commits, then enqueues the job.

    What is certainly no picture is left out, and so are files that are in the hub already, or about
    to be: asking twice, as after a lost answer, is the same as asking once. Images of files that
    were replaced are made anew.

    :param grouping: a group of all, one a folder, or one a file; without meaning if ``group`` is
        a group's number. A group is called after its folder, or after the first file in the root.
    :raise InvalidInputError, NotFoundError: see ``importing.create_import``.
    """
    pictures, refused = _sort_out(files)
    known = _find_known(session, account_id, [file.file_id for file in pictures])
    fresh = [file for file in pictures if fold_id(file.file_id) not in known]
    job = None
    if fresh:
        selections = _make_selections(fresh, grouping, group)
        job = create_import(session, account_id, user_id, selections)
    replaced = [file.file_id for file in pictures if file.is_replaced]
    changed = _find_images(session, account_id, replaced)
    jobs = {account_id: job.id} if job else {}
    anew_count = add_remakes(session, list(changed), jobs, user_id) if changed else 0
    if anew_count:
        job = session.get(ImportJob, jobs[account_id], populate_existing=True)
    known_count = len(pictures) - len(fresh)
    if anew_count:
        known_count -= len(set(changed.values()))
    return UploadImport(job, max(0, known_count), refused)


def _sort_out(files: Sequence[Uploaded]) -> tuple[list[Uploaded], Counter[str]]:
    """The files that may be pictures; and why the others are none, with how many of each."""
    pictures: list[Uploaded] = []
    refused: Counter[str] = Counter()
    for file in files:
        size_bytes = 1 if file.size_bytes is None else file.size_bytes
        item = DriveItem(
            file.file_id, file.name, False, size_bytes, "", "", mime_type=file.mime_type
        )
        try:
            check_is_picture(item)
        except PictureError as error:
            refused[str(error)] += 1
        else:
            pictures.append(file)
    return pictures, refused


def _make_selections(
    fresh: Sequence[Uploaded], grouping: Grouping, group: int | None
) -> list[Selection]:
    bundles: dict[str, list[Uploaded]] = {}
    for file in fresh:
        if group is not None or grouping == "one":
            key = ""
        else:
            key = file.folder_id if grouping == "folder" else file.file_id
        bundles.setdefault(key, []).append(file)
    return [
        Selection(
            folder_id=bundle[0].folder_id,
            folder_name=_make_title(bundle[0], grouping) if group is None else "",
            group=group,
            files=[(file.file_id, file.name) for file in bundle],
        )
        for bundle in bundles.values()
    ]


def _make_title(first: Uploaded, grouping: Grouping) -> str:
    if grouping == "each":
        return import_ways.make_title(first.name)
    return first.folder_name or import_ways.begin_large(import_ways.split_stem(first.name))


def _find_images(session: Session, account_id: int, file_ids: Sequence[str]) -> dict[int, str]:
    """Images outside the trash that came from these files: id → the file's id, folded."""
    found: dict[int, str] = {}
    for ids in make_batches(list_all_spellings(file_ids), 500):
        rows = session.execute(
            select(Image.id, Image.drive_item_id)
            .join(Group, Group.id == Image.group_id)
            .where(
                Image.drive_account_id == account_id,
                Image.drive_item_id.in_(ids),
                Group.state != "trash",
            )
        )
        found.update({row.id: fold_id(row.drive_item_id) for row in rows})
    return found


def _find_known(session: Session, account_id: int, file_ids: Sequence[str]) -> set[str]:
    """Which of these files are in the hub or on their way; their ids, folded."""
    known = set(_find_images(session, account_id, file_ids).values())
    for ids in make_batches(list_all_spellings(file_ids), 500):
        on_their_way = session.scalars(
            select(ImportItem.drive_item_id)
            .join(ImportJob, ImportJob.id == ImportItem.job_id)
            .where(
                ImportJob.drive_account_id == account_id,
                ImportItem.drive_item_id.in_(ids),
                ImportItem.state.in_(OPEN_STATES),
            )
        )
        known.update(map(fold_id, on_their_way))
    return known
