"""Filling an import plan: OneDrive is read step by step, and each file is judged.

:func:`fetch_step` asks OneDrive and touches no database, :func:`note_step` writes down what came;
after the last step the board of proposed groups is laid out.
"""

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import Session

from imagehub.clients import Drive, DriveItem
from imagehub.clients.drive_ids import fold_id, list_all_spellings
from imagehub.database import make_batches
from imagehub.domain.filetypes import check_is_picture, is_called_picture
from imagehub.domain.imports.board import lay_out
from imagehub.domain.imports.grouping import begin_order
from imagehub.domain.imports.jobs import MAX_FILES
from imagehub.domain.imports.plans import VERDICTS, lock_plan
from imagehub.domain.library.groups import name_group
from imagehub.domain.name_order import make_sort_key
from imagehub.errors import InvalidInputError, NotFoundError, PictureError, ServiceRefusedError
from imagehub.imaging.kinds import MAX_PIXELS
from imagehub.models import Group, Image, ImportPlan, ImportPlanFile

_LOOKUP_THREADS = 4
# What errors of the drive call it; those of the sign-in have another name.
_DRIVE_SERVICE = "OneDrive"

# --- Asking OneDrive ------------------------------------------------------------------------------


@dataclass
class Step:
    """What one look into OneDrive gave: files with their folders, and what is still to be read.

    ``refused``: what OneDrive does not let us see, as (id, name, why).
    """

    files: list[tuple[DriveItem, str, str]] = field(default_factory=list)
    waiting: list[dict[str, str]] = field(default_factory=list)
    refused: list[tuple[str, str, str]] = field(default_factory=list)


def read_waiting(plan: ImportPlan) -> dict[str, str] | None:
    """The next thing to be read, or None."""
    waiting = json.loads(plan.waiting)
    return waiting[0] if waiting else None


def fetch_step(drive: Drive, entry: Mapping[str, str]) -> Step:
    """Ask OneDrive for one page of a folder, or for some files by their ids. No database.

    What is gone by now, or lies outside the root folder, is left out; so is the Personal Vault.
    What OneDrive refuses for good is no reason not to read the rest.

    :raise ConnectionLostError: OneDrive must be connected again.
    :raise ServiceBusyError: try again later; the entry is still to be read then.
    :raise ServiceRefusedError: the sign-in does not work; nothing can be read.
    """
    if "items" in entry:
        return _fetch_items(drive, entry["items"].split(" "))
    step = Step()
    name = entry.get("name", "")
    try:
        name = name or find_title(drive.get_item(entry["folder"]))
        page = drive.list_children(entry["folder"], entry["page"])
    except NotFoundError:
        return step
    except ServiceRefusedError as error:
        _check_is_of_one(error)
        if error.reason != "vault":
            step.refused.append((entry["folder"], name or "A folder", str(error)))
        return step
    # OneDrive lists 10 before 2; what is not a folder is put in order on the board.
    for item in sorted(page.items, key=lambda item: make_sort_key(item.name)):
        if item.is_folder:
            step.waiting.append({"folder": item.id, "page": "", "name": item.name})
        else:
            step.files.append((item, entry["folder"], name))
    if page.next_page:
        step.waiting.insert(0, {"folder": entry["folder"], "page": page.next_page, "name": name})
    return step


def _check_is_of_one(error: ServiceRefusedError) -> None:
    """:raise ServiceRefusedError: it is not about one file or folder of OneDrive."""
    if error.service != _DRIVE_SERVICE:
        raise error


def find_title(folder: DriveItem) -> str:
    """The folder's name; "" for the drive's topmost folder, whose name is no title."""
    return "" if "root" in folder.raw else folder.name


def _fetch_items(drive: Drive, ids: Sequence[str]) -> Step:
    step = Step()

    def find(item_id: str) -> DriveItem | None:
        try:
            return drive.get_item(item_id)
        except NotFoundError:
            return None
        except ServiceRefusedError as error:
            _check_is_of_one(error)
            refusals[item_id] = str(error)
            return None

    refusals: dict[str, str] = {}
    with ThreadPoolExecutor(_LOOKUP_THREADS, "look-up") as threads:
        items = [item for item in threads.map(find, ids) if item is not None]
        parents = dict.fromkeys(item.parent_id for item in items if item.parent_id)
        # By the id that was asked for: the answer may spell it in another way.
        names = {
            parent_id: find_title(parent)
            for parent_id, parent in zip(parents, threads.map(find, parents), strict=True)
            if parent is not None
        }
    step.refused += [(one, "A chosen file", refusals[one]) for one in ids if one in refusals]
    for item in items:
        if item.is_folder:
            step.waiting.append({"folder": item.id, "page": "", "name": item.name})
        else:
            step.files.append((item, item.parent_id, names.get(item.parent_id, "")))
    return step


def read_for_a_while(
    drive: Drive,
    note: Callable[[Mapping[str, str], Step], dict[str, str] | None],
    entry: dict[str, str] | None,
    seconds: float,
) -> None:
    """Read on until everything is read or the time is up.

    :param note: writes a step down (and commits), and answers what is to be read next.
    :param entry: what is to be read first.
    """
    deadline = time.monotonic() + seconds
    while entry is not None:
        entry = note(entry, fetch_step(drive, entry))
        if time.monotonic() >= deadline:
            return


# --- Writing down and judging ---------------------------------------------------------------------


def note_step(
    session: Session,
    plan: ImportPlan,
    entry: Mapping[str, str],
    step: Step,
    max_original_bytes: int,
) -> bool:
    """Write down what a step gave; after the last one the board is laid out.

    A step that somebody else noted in the meantime is left alone.

    :return: whether everything has been read.
    """
    lock_plan(session, plan)
    waiting = json.loads(plan.waiting)
    if plan.state != "reading" or not waiting or waiting[0] != dict(entry):
        return plan.state != "reading"
    known_folders = {fold_id(one.get("folder", "")) for one in waiting}
    fresh = [
        one for one in step.waiting if one["page"] or fold_id(one["folder"]) not in known_folders
    ]
    waiting = fresh + waiting[1:]
    _add_files(session, plan, step, max_original_bytes)
    plan.waiting = json.dumps(waiting)
    if not waiting:
        _judge(session, plan)
        plan.state = "ready"
        lay_out(session, plan)
    session.flush()
    return not waiting


def _add_files(session: Session, plan: ImportPlan, step: Step, max_original_bytes: int) -> None:
    there = (
        session.scalar(
            select(func.count())
            .select_from(ImportPlanFile)
            .where(ImportPlanFile.plan_id == plan.id)
        )
        or 0
    )
    known: set[str] = set()
    asked = [item.id for item, _, _ in step.files] + [one for one, _, _ in step.refused]
    for ids in make_batches(list_all_spellings(asked)):
        known.update(
            fold_id(one)
            for one in session.scalars(
                select(ImportPlanFile.drive_item_id).where(
                    ImportPlanFile.plan_id == plan.id, ImportPlanFile.drive_item_id.in_(ids)
                )
            )
        )
    rows: list[dict[str, Any]] = []
    for item, folder_id, folder_name in step.files:
        if fold_id(item.id) in known:
            continue
        known.add(fold_id(item.id))
        verdict, reason = _judge_item(item, max_original_bytes)
        rows.append(
            {
                "plan_id": plan.id,
                "position": there + len(rows) + 1,
                "drive_item_id": item.id,
                "file_name": item.name[:400],
                "folder_id": folder_id[:255],
                "folder_name": folder_name[:400],
                "size_bytes": item.size_bytes,
                "quick_xor_hash": item.quick_xor_hash[:40],
                "taken_at": find_capture_time(item),
                "verdict": verdict,
                "reason": reason[:500],
                "is_chosen": not verdict,
            }
        )
    for item_id, name, why in step.refused:
        if fold_id(item_id) not in known:
            rows.append(
                {
                    "plan_id": plan.id,
                    "position": there + len(rows) + 1,
                    "drive_item_id": item_id,
                    "file_name": name[:400],
                    "folder_id": item_id[:255],
                    "folder_name": name[:400],
                    "size_bytes": 0,
                    "quick_xor_hash": "",
                    "taken_at": None,
                    "verdict": "refused",
                    "reason": why[:500],
                    "is_chosen": False,
                }
            )
    if there + len(rows) > MAX_FILES:
        raise InvalidInputError(f"More than {MAX_FILES:,} files; choose fewer folders at once.")
    if rows:
        session.execute(insert(ImportPlanFile), rows)


def _judge_item(item: DriveItem, max_original_bytes: int) -> tuple[str, str]:
    try:
        check_is_picture(item)
    except PictureError as error:
        return "unsupported", str(error)
    if item.size_bytes > max_original_bytes:
        limit = max_original_bytes // 1_000_000
        return "too_large", f"This file is larger than {limit:,} MB, the limit of this hub."
    # OneDrive knows them of some pictures only, and not which way up they are.
    pixels = item.width_px * item.height_px
    if pixels > MAX_PIXELS:
        size, limit = pixels // 1_000_000, MAX_PIXELS // 1_000_000
        return "too_large", f"This picture has {size:,} megapixels; the limit is {limit:,}."
    if not is_called_picture(item):
        return "doubtful", "Nothing says that this is a picture. Take it in to try it."
    return "", ""


def find_capture_time(item: DriveItem) -> datetime | None:
    """When a picture was taken as OneDrive tells it, else when the file was last changed."""
    raw = item.raw
    for part, name in (
        ("photo", "takenDateTime"),
        ("fileSystemInfo", "createdDateTime"),
        ("fileSystemInfo", "lastModifiedDateTime"),
    ):
        moment = _read_time((raw.get(part) or {}).get(name, ""))
        if moment is not None:
            return moment
    return _read_time(item.modified_time)


def _read_time(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return moment.astimezone(UTC).replace(tzinfo=None, microsecond=0) if moment.tzinfo else moment


def _judge(session: Session, plan: ImportPlan) -> None:
    """Find the files that the hub has already, and those that are there twice."""
    files = session.execute(
        select(
            ImportPlanFile.id,
            ImportPlanFile.drive_item_id,
            ImportPlanFile.file_name,
            ImportPlanFile.folder_id,
            ImportPlanFile.folder_name,
            ImportPlanFile.quick_xor_hash,
        )
        .where(ImportPlanFile.plan_id == plan.id, ImportPlanFile.verdict == "")
        .order_by(ImportPlanFile.position, ImportPlanFile.id)
    ).all()
    spellings = list_all_spellings(file.drive_item_id for file in files)
    by_item = {
        fold_id(one): title
        for one, title in _find_known(session, plan, Image.drive_item_id, spellings).items()
    }
    hashes = [f.quick_xor_hash for f in files if f.quick_xor_hash]
    by_hash = _find_known(session, plan, Image.quick_xor_hash, hashes)
    names: dict[str, str] = {}
    seen: dict[str, str] = {}
    verdicts = []
    make_key = begin_order()
    # The first of those that are the same is the one that stays.
    for file in sorted(files, key=lambda file: make_key(file.folder_id, file.file_name)):
        verdict, reason = "", ""
        title = by_item.get(fold_id(file.drive_item_id))
        twin = by_hash.get(file.quick_xor_hash)
        name_key = file.file_name.casefold()
        if title is not None:
            verdict, reason = "known", f"In the hub already: “{title}”."
        elif twin is not None:
            verdict, reason = "same", f"The same picture is in the hub already: “{twin}”."
        elif file.quick_xor_hash and file.quick_xor_hash in seen:
            first = seen[file.quick_xor_hash]
            verdict, reason = "same", f"The same picture as {first}, which is chosen too."
        elif name_key in names:
            verdict, reason = "name", f"{names[name_key]} has a file of this name too."
        seen.setdefault(file.quick_xor_hash, file.file_name)
        names.setdefault(name_key, file.folder_name or "Another folder")
        if verdict:
            verdicts.append(
                {
                    "id": file.id,
                    "verdict": verdict,
                    "reason": reason[:500],
                    "is_chosen": not VERDICTS[verdict][1],
                }
            )
    if verdicts:
        session.execute(update(ImportPlanFile), verdicts)


def _find_known(
    session: Session, plan: ImportPlan, column: Any, keys: Iterable[str]
) -> dict[str, str]:
    """Of these ids or hashes those that images have → the title of a group they are in."""
    found: dict[str, str] = {}
    for batch in make_batches(dict.fromkeys(keys)):
        for key, title, group_id in session.execute(
            select(column, Group.title, Group.id)
            .join(Group, Group.id == Image.group_id)
            .where(
                column.in_(batch),
                Image.drive_account_id == plan.drive_account_id,
                Group.state != "trash",
            )
        ):
            found.setdefault(key, name_group(group_id, title))
    return found
