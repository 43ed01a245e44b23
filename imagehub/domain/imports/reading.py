"""Fill an import plan: read OneDrive step by step, and judge each file.

:func:`fetch_step` asks OneDrive and does not touch the database; :func:`save_step` saves what came
back. After the last step the proposed groups are made.
"""

import json
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from imagehub.clients import Clients, Drive, DriveItem
from imagehub.clients.drive_ids import fold_id, list_all_spellings
from imagehub.database import (
    end_read,
    insert_rows,
    make_batches,
    own_transaction,
)
from imagehub.domain.file_names import get_folder_title, make_sort_key, may_be_video
from imagehub.domain.imports.board.proposals import propose_first
from imagehub.domain.imports.jobs import MAX_FILES
from imagehub.domain.imports.originals import link_files_of_plan
from imagehub.domain.imports.plans import check_account, get_plan, lock_plan
from imagehub.domain.imports.previews import find_capture_time
from imagehub.domain.imports.verdicts import VERDICTS, judge_item, judge_plan
from imagehub.domain.imports.videos import find_video_length
from imagehub.domain.onedrive import accounts
from imagehub.errors import InvalidInputError, NotFoundError, ServiceRefusedError
from imagehub.messages import Message
from imagehub.models import ImportPlan, ImportPlanFile

_LOOKUP_THREADS = 4


@dataclass
class Step:
    """The result of one read: files with their folders, and what is still to be read.

    ``files``: (file, folder id, folder name). ``refused``: what OneDrive does not let us see, as
    (id, name, reason).
    """

    files: list[tuple[DriveItem, str, str]] = field(default_factory=list)
    waiting: list[dict[str, str]] = field(default_factory=list)
    refused: list[tuple[str, str, str]] = field(default_factory=list)


def read_plan(
    session: Session, clients: Clients, plan_id: int, max_original_bytes: int, seconds: float
) -> None:
    """Read on in OneDrive until everything is read or the time is up.

    Each step is saved at once. No transaction is open while OneDrive is asked.

    :param session: holds no uncommitted change.
    :raise NotFoundError: no such plan.
    :raise InvalidInputError: the plan would hold too many files.
    :raise ConflictError: another OneDrive is connected than that of the plan.
    :raise ConnectionLostError, ServiceError: see :func:`fetch_step`.
    """
    deadline = time.monotonic() + seconds
    plan = get_plan(session, plan_id)
    check_account(session, plan)
    drive = accounts.open_active_drive(session, clients)
    entry = get_next_entry(plan)
    while entry is not None:
        end_read(session)
        entry = save_step(session, plan_id, entry, fetch_step(drive, entry), max_original_bytes)
        if time.monotonic() >= deadline:
            return


def get_next_entry(plan: ImportPlan) -> dict[str, str] | None:
    """Return what is to be read next, or None."""
    waiting = json.loads(plan.waiting)
    return waiting[0] if waiting else None


# --- Asking OneDrive ------------------------------------------------------------------------------


def fetch_step(drive: Drive, entry: Mapping[str, str]) -> Step:
    """Read one page of a folder, or some files by their ids, from OneDrive.

    Items that are gone or outside the root folder are left out, and so is the Personal Vault. An
    item that OneDrive refuses for good does not stop the rest.

    :raise ConnectionLostError: OneDrive must be connected again.
    :raise ServiceBusyError: try again later; the entry is still to be read then.
    :raise ServiceRefusedError: the sign-in does not work; nothing can be read.
    """
    if "items" in entry:
        return _fetch_items(drive, entry["items"].split(" "))
    step = Step()
    name = entry.get("name", "")
    try:
        name = name or get_folder_title(drive.get_item(entry["folder"]))
        page = drive.list_children(entry["folder"], entry["page"])
    except NotFoundError:
        return step
    except ServiceRefusedError as error:
        _check_is_about_item(error)
        if error.reason != "vault":
            step.refused.append((entry["folder"], name or "A folder", str(error)))
        return step
    # OneDrive lists 10 before 2. Files are sorted when groups are proposed.
    for item in sorted(page.items, key=lambda item: make_sort_key(item.name)):
        if item.is_folder:
            step.waiting.append({"folder": item.id, "page": "", "name": item.name})
        else:
            step.files.append((item, entry["folder"], name))
    if page.next_page:
        step.waiting.insert(0, {"folder": entry["folder"], "page": page.next_page, "name": name})
    return step


def _check_is_about_item(error: ServiceRefusedError) -> None:
    """:raise ServiceRefusedError: the error is about the sign-in, not about one file or folder."""
    if error.service != "OneDrive":
        raise error


def _fetch_items(drive: Drive, ids: Sequence[str]) -> Step:
    refusals: dict[str, str] = {}

    def find(item_id: str) -> DriveItem | None:
        try:
            return drive.get_item(item_id)
        except NotFoundError:
            return None
        except ServiceRefusedError as error:
            _check_is_about_item(error)
            refusals[item_id] = str(error)
            return None

    with ThreadPoolExecutor(_LOOKUP_THREADS, "look-up") as threads:
        items = [item for item in threads.map(find, ids) if item is not None]
        parents = dict.fromkeys(item.parent_id for item in items if item.parent_id)
        # By the id that was asked for: the answer may spell it in another way.
        names = {
            parent_id: get_folder_title(parent)
            for parent_id, parent in zip(parents, threads.map(find, parents), strict=True)
            if parent is not None
        }
    step = Step(refused=[(one, "A selected file", refusals[one]) for one in ids if one in refusals])
    for item in items:
        if item.is_folder:
            step.waiting.append({"folder": item.id, "page": "", "name": item.name})
        else:
            step.files.append((item, item.parent_id, names.get(item.parent_id, "")))
    return step


# --- Saving ---------------------------------------------------------------------------------------


@own_transaction
def save_step(
    session: Session, plan_id: int, entry: Mapping[str, str], step: Step, max_original_bytes: int
) -> dict[str, str] | None:
    """Save a step at once, see :func:`add_step`."""
    return add_step(session, plan_id, entry, step, max_original_bytes)


def add_step(
    session: Session, plan_id: int, entry: Mapping[str, str], step: Step, max_original_bytes: int
) -> dict[str, str] | None:
    """Add the files of a step; after the last step judge them all and propose groups.

    Does nothing if another request has saved this step in the meantime. The caller commits.

    :return: what is to be read next, or None.
    :raise NotFoundError: the plan was discarded in the meantime.
    :raise InvalidInputError: the plan would hold too many files.
    """
    plan = get_plan(session, plan_id)
    lock_plan(session, plan)
    if plan.state != "reading":
        return None
    waiting = json.loads(plan.waiting)
    if waiting and waiting[0] == entry:
        known = {fold_id(one.get("folder", "")) for one in waiting}
        fresh = [one for one in step.waiting if one["page"] or fold_id(one["folder"]) not in known]
        waiting = fresh + waiting[1:]
        _add_files(session, plan, step, max_original_bytes, is_selected="items" in entry)
        plan.waiting = json.dumps(waiting)
        if not waiting:
            link_files_of_plan(session, plan)
            judge_plan(session, plan)
            plan.state = "ready"
            propose_first(session, plan)
    return waiting[0] if waiting else None


def _add_files(
    session: Session, plan: ImportPlan, step: Step, max_original_bytes: int, is_selected: bool
) -> None:
    own = ImportPlanFile.plan_id == plan.id
    count = session.scalar(select(func.count()).where(own)) or 0
    rows: dict[str, dict[str, Any]] = {}
    for row in _make_rows(step, max_original_bytes, is_selected):
        rows.setdefault(fold_id(row["drive_item_id"]), row)
    for ids in make_batches(list_all_spellings(row["drive_item_id"] for row in rows.values())):
        known = select(ImportPlanFile.drive_item_id).where(
            own, ImportPlanFile.drive_item_id.in_(ids)
        )
        for item_id in session.scalars(known):
            rows.pop(fold_id(item_id), None)
    for position, row in enumerate(rows.values(), start=count + 1):
        row |= {"plan_id": plan.id, "position": position}
    if count + len(rows) > MAX_FILES:
        raise InvalidInputError(
            Message(
                "More than %(limit)s files; select fewer folders at once.", limit=f"{MAX_FILES:,}"
            )
        )
    if rows:
        refused = {"verdict": "unsupported", "is_chosen": False}
        insert_rows(
            session,
            ImportPlanFile,
            list(rows.values()),
            lambda reason: refused | {"reason": reason},
        )


def _make_rows(step: Step, max_original_bytes: int, is_selected: bool) -> list[dict[str, Any]]:
    judged = [(*file, *judge_item(file[0], max_original_bytes, is_selected)) for file in step.files]
    for item_id, name, reason in step.refused:
        judged.append(
            (DriveItem(item_id, name, False, 0, "", ""), item_id, name, "refused", reason)
        )
    return [
        {
            "drive_item_id": item.id,
            "file_name": item.name[:400],
            "folder_id": folder_id[:255],
            "folder_name": folder_name[:400],
            "size_bytes": item.size_bytes,
            "quick_xor_hash": item.quick_xor_hash[:40],
            "taken_at": find_capture_time(item),
            "verdict": verdict,
            "reason": reason[:500],
            "is_chosen": not VERDICTS[verdict].is_excluded,
            "has_place": has_place(item),
            "duration_ms": find_video_length(item) if may_be_video(item) else None,
        }
        for item, folder_id, folder_name, verdict, reason in judged
    ]


def has_place(item: DriveItem) -> bool:
    """Tell whether OneDrive lists where a picture was taken; only personal drives do."""
    place = item.raw.get("location") or {}
    return place.get("latitude") is not None and place.get("longitude") is not None
