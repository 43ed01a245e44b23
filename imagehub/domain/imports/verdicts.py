"""Judge the files of a plan: which can be imported, which are imported already or twice there."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from imagehub.clients import DriveItem
from imagehub.clients.drive_ids import fold_id, list_all_spellings
from imagehub.database import make_batches
from imagehub.domain.file_names import (
    check_is_picture,
    find_drawn,
    is_called_picture,
    make_companion_key,
)
from imagehub.domain.imports.grouping import make_file_order
from imagehub.domain.imports.videos import describe_video, find_video_length
from imagehub.domain.library.groups import name_group
from imagehub.errors import PictureError
from imagehub.imaging.kinds import MAX_PIXELS
from imagehub.messages import Message, mark
from imagehub.models import Group, Image, ImportPlan, ImportPlanFile


@dataclass(frozen=True)
class Verdict:
    """What is known about a file before its import.

    ``is_excluded``: the plan leaves the file out at first. ``is_importable``: a person may include
    it all the same.
    """

    label: str
    is_excluded: bool
    is_importable: bool


VERDICTS: Mapping[str, Verdict] = {
    "": Verdict(mark("Ready"), False, True),
    "known": Verdict(mark("Already imported"), True, True),
    "linked": Verdict(mark("Linked again"), True, True),
    "same": Verdict(mark("Duplicate"), True, True),
    "name": Verdict(mark("Same name"), False, True),
    "preview": Verdict(mark("Preview by OneDrive"), False, True),
    "video": Verdict(mark("Video"), False, True),
    "companion": Verdict(mark("Companion file"), True, True),
    "doubtful": Verdict(mark("Unknown file type"), True, True),
    "unsupported": Verdict(mark("Not supported"), True, False),
    "too_large": Verdict(mark("Too large"), True, False),
    "refused": Verdict(mark("Not available in OneDrive"), True, False),
}
IMPORTABLE = tuple(key for key, verdict in VERDICTS.items() if verdict.is_importable)
# Verdicts from the file's type alone; the file may still turn out to be in the hub.
FRESH = ("", "preview", "video", "companion")
UNUSABLE = tuple(key for key, verdict in VERDICTS.items() if not verdict.is_importable)


def judge_item(
    item: DriveItem, max_original_bytes: int, is_selected: bool = False
) -> tuple[str, str]:
    """Judge a file by what OneDrive says about it.

    :param is_selected: a person selected this file, not only its folder.
    :return: the verdict and the reason for it; "" and "" if nothing is wrong.
    """
    try:
        check_is_picture(item)
    except PictureError as error:
        return "unsupported", str(error)
    if item.size_bytes > max_original_bytes:
        limit = max_original_bytes // 1_000_000
        return "too_large", Message(
            "This file is larger than the limit of %(limit)s MB.", limit=limit
        )
    if drawn := find_drawn(item):
        if drawn.is_video and (drawn.is_picture or is_selected):
            return "video", describe_video(find_video_length(item))
        if drawn.is_video:
            return "companion", mark(
                "Browsers cannot play most videos of this type. Include it to try importing it."
            )
        if drawn.is_picture or is_selected:
            return "preview", mark("ImageHub shows the preview that OneDrive draws of this file.")
        return "companion", mark("Documents are imported only if you include them.")
    # OneDrive knows the size in pixels of some pictures only, and not which way up they are.
    pixels = item.width_px * item.height_px
    if pixels > MAX_PIXELS:
        return "preview", Message(
            "This image has %(size)s megapixels; the limit is %(limit)s. ImageHub shows the "
            "preview that OneDrive draws of it.",
            size=pixels // 1_000_000,
            limit=MAX_PIXELS // 1_000_000,
        )
    if not is_called_picture(item):
        return "doubtful", mark("This file may not be an image. Include it to try importing it.")
    return "", ""


def judge_plan(session: Session, plan: ImportPlan) -> None:
    """Find the files that are imported already, and duplicates inside the plan."""
    files = session.execute(
        select(
            ImportPlanFile.id,
            ImportPlanFile.drive_item_id,
            ImportPlanFile.file_name,
            ImportPlanFile.folder_id,
            ImportPlanFile.folder_name,
            ImportPlanFile.quick_xor_hash,
            ImportPlanFile.verdict,
        )
        .where(
            ImportPlanFile.plan_id == plan.id,
            ImportPlanFile.verdict.in_(FRESH),
        )
        .order_by(ImportPlanFile.position, ImportPlanFile.id)
    ).all()
    spellings = list_all_spellings(file.drive_item_id for file in files)
    by_item = {
        fold_id(one): title
        for one, title in _find_imported(session, plan, Image.drive_item_id, spellings).items()
    }
    hashes = [file.quick_xor_hash for file in files if file.quick_xor_hash]
    by_hash = _find_imported(session, plan, Image.quick_xor_hash, hashes)
    folders_by_name: dict[str, str] = {}
    names_by_hash: dict[str, str] = {}
    pictures = {_make_companion_key(file): file.file_name for file in files if not file.verdict}
    rows = []
    make_key = make_file_order()
    # Of several duplicates the first stays.
    for file in sorted(files, key=lambda file: make_key(file.folder_id, file.file_name)):
        verdict, reason = "", ""
        name_key = file.file_name.casefold()
        if (title := by_item.get(fold_id(file.drive_item_id))) is not None:
            verdict, reason = "known", Message("Already imported in “%(title)s”.", title=title)
        elif (title := by_hash.get(file.quick_xor_hash)) is not None:
            verdict = "same"
            reason = Message("The same image is already in “%(title)s”.", title=title)
        elif file.quick_xor_hash and file.quick_xor_hash in names_by_hash:
            first = names_by_hash[file.quick_xor_hash]
            verdict, reason = "same", Message("The same image as %(name)s.", name=first)
        elif file.verdict:
            twin = pictures.get(_make_companion_key(file))
            if file.verdict in ("preview", "video") and twin:
                verdict = "companion"
                reason = Message("%(name)s probably shows the same image.", name=twin)
        elif name_key in folders_by_name:
            verdict, reason = "name", mark("Another folder contains a file with the same name.")
            if folder := folders_by_name[name_key]:
                reason = Message("%(folder)s contains a file with the same name.", folder=folder)
        names_by_hash.setdefault(file.quick_xor_hash, file.file_name)
        folders_by_name.setdefault(name_key, file.folder_name)
        if verdict:
            is_chosen = not VERDICTS[verdict].is_excluded
            facts = {"verdict": verdict, "reason": reason[:500], "is_chosen": is_chosen}
            rows.append({"id": file.id, **facts})
    if rows:
        session.execute(update(ImportPlanFile), rows)


def _make_companion_key(file: Any) -> tuple[str, str]:
    return file.folder_id, make_companion_key(file.file_name)


def _find_imported(
    session: Session, plan: ImportPlan, column: Any, keys: Iterable[str]
) -> dict[str, str]:
    """Map those of the ids or hashes that images have to the title of one of their groups."""
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
