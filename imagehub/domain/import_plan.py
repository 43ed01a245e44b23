"""Thinking before an import: what was chosen, what stands against it, into which groups it goes.

A plan is rows from the first moment, so that a reload or a restart loses nothing. It is *read*
step by step (:func:`fetch_step` asks OneDrive and touches no database, :func:`note_step` writes
down what came); then its files lie on a *board* of proposed groups that a person arranges, and
:func:`start_import` turns the board into groups and an import job.
"""

import json
import re
import time
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.orm import Session

from imagehub.clients import Drive, DriveItem
from imagehub.domain.gallery import MAX_ID, SORT_STEP, make_first_sort_key
from imagehub.domain.importing import MAX_FILES, Selection, check_is_picture, create_import
from imagehub.domain.leases import get_database_time
from imagehub.domain.storage import count_rows, make_batches
from imagehub.errors import (
    ConflictError,
    InvalidInputError,
    NotFoundError,
    PictureError,
    ServiceRefusedError,
)
from imagehub.models import (
    Group,
    Image,
    ImportItem,
    ImportJob,
    ImportPlan,
    ImportPlanFile,
    ImportProposal,
)

# How files may be put into groups, with its name for people.
WAYS = {
    "folder": "One group for each folder",
    "stem": "Groups by file name: harbour-front and harbour-back belong together",
    "time": "Groups by capture time: pictures taken within ten minutes belong together",
    "each": "One group for each picture",
    "one": "All into one new group",
    "existing": "All into a group that is there",
}
# What may stand against a file: (name for people, whether it is left out at first, and whether it
# can be imported all the same).
VERDICTS: Mapping[str, tuple[str, bool, bool]] = {
    "": ("Ready", False, True),
    "known": ("In the hub already", True, True),
    "same": ("Same picture as another file", True, True),
    "name": ("Same name as another file", False, True),
    "unsupported": ("No picture", True, False),
    "too_large": ("Too large", True, False),
}
TIME_GAP = timedelta(minutes=10)
MAX_CHOSEN = 2000
MAX_TITLE_CHARS = 300

_ITEMS_PER_STEP = 20
_LOOKUP_THREADS = 4
# Words that tell a shot of a work, not the work.
_SHOT_WORDS = frozenset(
    (
        "front", "back", "detail", "details", "left", "right", "top", "bottom", "side", "verso",
        "recto", "signature", "signed", "view", "angle", "insitu", "situ", "installation", "frame",
        "framed", "unframed", "edge", "close", "closeup", "copy", "final", "edit", "edited", "web",
        "print", "hires", "lores", "hr", "lr", "full", "large", "small", "crop", "cropped",
    )
)  # fmt: skip
# Beginnings that cameras and scanners give to every file; the number is the name then.
_CAMERA_WORDS = frozenset(
    (
        "img", "image", "dsc", "dscn", "dscf", "dcim", "pict", "pic", "pxl", "p", "photo", "foto",
        "scan", "vlc", "mvi", "sam", "imag", "wp", "gopr", "dji", "screenshot", "untitled", "bild",
    )
)  # fmt: skip


# --- Choosing and reading -------------------------------------------------------------------------


@dataclass
class Step:
    """What one look into OneDrive gave: files with their folders, and what is still to be read."""

    files: list[tuple[DriveItem, str, str]] = field(default_factory=list)
    waiting: list[dict[str, str]] = field(default_factory=list)


def create_plan(
    session: Session,
    account_id: int,
    user_id: int | None,
    folder_ids: Sequence[str],
    item_ids: Sequence[str],
    target_group: int | None = None,
) -> ImportPlan:
    """Write down what was chosen; nothing is asked of OneDrive yet.

    :param folder_ids: folders, to be read with all folders in them.
    :param item_ids: files (a folder among them is read as one).
    :param target_group: the group that all shall be added to.
    :raise InvalidInputError: nothing chosen, too much by hand, or an id that cannot be one.
    :raise NotFoundError: there is no such group.
    """
    folders, items = list(dict.fromkeys(folder_ids)), list(dict.fromkeys(item_ids))
    if not folders and not items:
        raise InvalidInputError("Choose files or folders first.", {"item": "is empty"})
    if len(folders) + len(items) > MAX_CHOSEN:
        raise InvalidInputError(
            f"More than {MAX_CHOSEN:,} things at once; choose their folder instead."
        )
    if any(not one or len(one) > 255 for one in folders + items):
        raise InvalidInputError("This is not a file of OneDrive.", {"item": "unknown"})
    if target_group is not None:
        _get_living_group(session, target_group)
    waiting = [{"folder": one, "page": ""} for one in folders]
    waiting += [{"items": " ".join(batch)} for batch in make_batches(items, _ITEMS_PER_STEP)]
    plan = ImportPlan(
        user_id=user_id,
        drive_account_id=account_id,
        waiting=json.dumps(waiting),
        way="existing" if target_group is not None else "folder",
        created_at=get_database_time(session),
    )
    session.add(plan)
    session.flush()
    if target_group is not None:
        session.add(ImportProposal(plan_id=plan.id, position=1, group_id=target_group))
        session.flush()
    return plan


def get_plan(session: Session, plan_id: int) -> ImportPlan:
    """:raise NotFoundError: no such plan."""
    plan = session.get(ImportPlan, plan_id) if 0 < plan_id <= MAX_ID else None
    if plan is None:
        raise NotFoundError("import plan", plan_id)
    return plan


def list_open_plans(session: Session, limit: int = 20) -> Sequence[ImportPlan]:
    """Plans that were not started, newest first."""
    return session.scalars(
        select(ImportPlan)
        .where(ImportPlan.state.in_(("reading", "ready")))
        .order_by(ImportPlan.id.desc())
        .limit(limit)
    ).all()


def delete_plan(session: Session, plan: ImportPlan) -> None:
    """Forget a plan; nothing of OneDrive or of the hub changes."""
    session.execute(delete(ImportPlan).where(ImportPlan.id == plan.id))
    session.expunge(plan)


def read_waiting(plan: ImportPlan) -> dict[str, str] | None:
    """The next thing to be read, or None."""
    waiting = json.loads(plan.waiting)
    return waiting[0] if waiting else None


def fetch_step(drive: Drive, entry: Mapping[str, str]) -> Step:
    """Ask OneDrive for one page of a folder, or for some files by their ids. No database.

    What is gone by now, or lies outside the root folder, is left out; so is the Personal Vault.

    :raise ConnectionLostError: OneDrive must be connected again.
    :raise ServiceBusyError: try again later; the entry is still to be read then.
    """
    if "items" in entry:
        return _fetch_items(drive, entry["items"].split(" "))
    step = Step()
    try:
        name = entry.get("name") or drive.get_item(entry["folder"]).name
        page = drive.list_children(entry["folder"], entry["page"])
    except NotFoundError:
        return step
    except ServiceRefusedError as error:
        if error.reason == "vault":
            return step
        raise
    for item in page.items:
        if item.is_folder:
            step.waiting.append({"folder": item.id, "page": "", "name": item.name})
        else:
            step.files.append((item, entry["folder"], name))
    if page.next_page:
        step.waiting.insert(0, {"folder": entry["folder"], "page": page.next_page, "name": name})
    return step


def _fetch_items(drive: Drive, ids: Sequence[str]) -> Step:
    step = Step()

    def find(item_id: str) -> DriveItem | None:
        try:
            return drive.get_item(item_id)
        except NotFoundError:
            return None

    with ThreadPoolExecutor(_LOOKUP_THREADS, "look-up") as threads:
        items = [item for item in threads.map(find, ids) if item is not None]
        parents = dict.fromkeys(item.parent_id for item in items if item.parent_id)
        names = {
            parent.id: parent.name for parent in threads.map(find, parents) if parent is not None
        }
    for item in items:
        if item.is_folder:
            step.waiting.append({"folder": item.id, "page": "", "name": item.name})
        else:
            step.files.append((item, item.parent_id, names.get(item.parent_id, "")))
    return step


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
    _lock(session, plan)
    waiting = json.loads(plan.waiting)
    if plan.state != "reading" or not waiting or waiting[0] != dict(entry):
        return plan.state != "reading"
    known_folders = {one.get("folder") for one in waiting}
    fresh = [one for one in step.waiting if one["page"] or one["folder"] not in known_folders]
    waiting = fresh + waiting[1:]
    _add_files(session, plan, step.files, max_original_bytes)
    plan.waiting = json.dumps(waiting)
    if not waiting:
        _judge(session, plan)
        plan.state = "ready"
        propose(session, plan, plan.way, _find_target(session, plan))
    session.flush()
    return not waiting


def _add_files(
    session: Session,
    plan: ImportPlan,
    files: Sequence[tuple[DriveItem, str, str]],
    max_original_bytes: int,
) -> None:
    there = (
        session.scalar(
            select(func.count())
            .select_from(ImportPlanFile)
            .where(ImportPlanFile.plan_id == plan.id)
        )
        or 0
    )
    known: set[str] = set()
    for ids in make_batches(item.id for item, _, _ in files):
        known.update(
            session.scalars(
                select(ImportPlanFile.drive_item_id).where(
                    ImportPlanFile.plan_id == plan.id, ImportPlanFile.drive_item_id.in_(ids)
                )
            )
        )
    rows: list[dict[str, Any]] = []
    for item, folder_id, folder_name in files:
        if item.id in known:
            continue
        known.add(item.id)
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
            ImportPlanFile.folder_name,
            ImportPlanFile.quick_xor_hash,
        )
        .where(ImportPlanFile.plan_id == plan.id, ImportPlanFile.verdict == "")
        .order_by(ImportPlanFile.position, ImportPlanFile.id)
    ).all()
    by_item = _find_known(session, plan, Image.drive_item_id, [f.drive_item_id for f in files])
    hashes = [f.quick_xor_hash for f in files if f.quick_xor_hash]
    by_hash = _find_known(session, plan, Image.quick_xor_hash, hashes)
    names: dict[str, str] = {}
    seen: dict[str, str] = {}
    verdicts = []
    for file in files:
        verdict, reason = "", ""
        title = by_item.get(file.drive_item_id)
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
            found.setdefault(key, title.strip() or f"Untitled {group_id}")
    return found


# --- Proposals ------------------------------------------------------------------------------------


def propose(session: Session, plan: ImportPlan, way: str, target_group: int | None = None) -> None:
    """Lay the board out anew: proposals by one of :data:`WAYS`.

    :raise InvalidInputError: no such way, or ``existing`` without a group.
    :raise NotFoundError: there is no such group.
    """
    if way not in WAYS:
        raise InvalidInputError("There is no such way to make groups.", {"way": "unknown"})
    target = None
    if way == "existing":
        if target_group is None:
            raise InvalidInputError("Choose the group to add to.", {"group": "is empty"})
        target = _get_living_group(session, target_group)
    _lock(session, plan)
    session.execute(delete(ImportProposal).where(ImportProposal.plan_id == plan.id))
    files = session.execute(
        select(
            ImportPlanFile.id,
            ImportPlanFile.file_name,
            ImportPlanFile.folder_id,
            ImportPlanFile.folder_name,
            ImportPlanFile.taken_at,
        )
        .where(
            ImportPlanFile.plan_id == plan.id,
            ImportPlanFile.verdict.not_in(("unsupported", "too_large")),
        )
        # In the order in which they were read; their positions are those of the board before.
        .order_by(ImportPlanFile.id)
    ).all()
    bundles = _WAYS[way](files)
    if target is not None:
        bundles = [(target.title, [file for _, some in bundles for file in some])]
    for position, (title, _) in enumerate(bundles, start=1):
        session.add(
            ImportProposal(
                plan_id=plan.id,
                position=position,
                title=title[:MAX_TITLE_CHARS],
                group_id=target.id if target is not None else None,
            )
        )
    session.flush()
    proposal_ids = session.scalars(
        select(ImportProposal.id)
        .where(ImportProposal.plan_id == plan.id)
        .order_by(ImportProposal.position, ImportProposal.id)
    ).all()
    places = [
        {"id": file.id, "proposal_id": proposal_id, "position": position}
        for proposal_id, (_, some) in zip(proposal_ids, bundles, strict=True)
        for position, file in enumerate(some, start=1)
    ]
    if places:
        session.execute(update(ImportPlanFile), places)
    plan.way = way
    plan.version += 1
    session.flush()


Bundles = list[tuple[str, list[Any]]]


def _bundle_by_folder(files: Sequence[Any]) -> Bundles:
    return _bundle(files, lambda file: file.folder_id, lambda file: file.folder_name)


def _bundle_by_stem(files: Sequence[Any]) -> Bundles:
    return _bundle(
        files,
        lambda file: (file.folder_id, split_stem(file.file_name).casefold()),
        lambda file: _begin_large(split_stem(file.file_name)),
    )


def _bundle_each(files: Sequence[Any]) -> Bundles:
    return [(make_title(file.file_name), [file]) for file in files]


def _bundle_all(files: Sequence[Any]) -> Bundles:
    names = {file.folder_name for file in files}
    return [(names.pop() if len(names) == 1 else "New group", list(files))] if files else []


def _bundle_by_time(files: Sequence[Any]) -> Bundles:
    """Files in the order of their time; a pause of more than ``TIME_GAP`` begins a group."""
    bundles: Bundles = []
    last: datetime | None = None
    untimed = [file for file in files if file.taken_at is None]
    for file in sorted((f for f in files if f.taken_at is not None), key=lambda f: f.taken_at):
        if last is None or file.taken_at - last > TIME_GAP:
            bundles.append((f"{file.taken_at:%-d %B %Y, %H:%M}", []))
        bundles[-1][1].append(file)
        last = file.taken_at
    return bundles + ([("Without a time", untimed)] if untimed else [])


def _bundle(
    files: Sequence[Any], get_key: Callable[[Any], Any], get_title: Callable[[Any], str]
) -> Bundles:
    bundles: dict[Any, list[Any]] = defaultdict(list)
    for file in files:
        bundles[get_key(file)].append(file)
    return [(get_title(some[0]), some) for some in bundles.values()]


_WAYS: Mapping[str, Callable[[Sequence[Any]], Bundles]] = {
    "folder": _bundle_by_folder,
    "stem": _bundle_by_stem,
    "time": _bundle_by_time,
    "each": _bundle_each,
    "one": _bundle_all,
    "existing": _bundle_all,
}


def split_stem(file_name: str) -> str:
    """The part of a file's name that names the work: ``Harbour-2_front (1).jpg`` → ``Harbour``.

    Numbers and words for a shot go from the end, as long as something is left that says more than
    a camera's own prefix does: ``IMG_4711`` stays whole.
    """
    base = _strip_ending(file_name)
    words = [word for word in re.split(r"[\s_\-.,()\[\]#]+", base) if word]
    kept = list(words)
    while len(kept) > 1 and _tells_a_shot(kept[-1]):
        kept.pop()
    if len(kept) == 1 and (kept[0].isdigit() or kept[0].casefold() in _CAMERA_WORDS):
        kept = words
    return " ".join(kept) or base


def make_title(file_name: str) -> str:
    """A file's name as a title: without its ending, with spaces for its hyphens."""
    words = re.sub(r"[\s_\-]+", " ", _strip_ending(file_name)).strip()
    return _begin_large(words or file_name)


def _begin_large(words: str) -> str:
    return words[:1].upper() + words[1:]


def _strip_ending(file_name: str) -> str:
    name = unicodedata.normalize("NFC", file_name)
    base, dot, ending = name.rpartition(".")
    return base if dot and base and len(ending) <= 5 else name


def _tells_a_shot(word: str) -> bool:
    bare = word.casefold()
    return (
        bare.isdigit() or bare in _SHOT_WORDS or bool(re.fullmatch(r"[a-z]|v?\d{1,3}[a-z]?", bare))
    )


# --- The board ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Bin:
    """A proposal with its files: at most ``FILES_SHOWN`` are loaded, ``file_count`` counts all that
    lie in it, ``chosen_count`` those to be imported."""

    proposal: ImportProposal
    files: Sequence[ImportPlanFile]
    file_count: int
    chosen_count: int


@dataclass(frozen=True)
class Summary:
    """A plan in numbers. ``verdict_counts``: verdict → files. ``seconds`` is what the import is
    expected to take by the rate measured last; None where nothing was ever measured."""

    file_count: int
    size_bytes: int
    chosen_count: int
    chosen_bytes: int
    group_count: int
    verdict_counts: Mapping[str, int]
    seconds: float | None


BINS_PER_PAGE = 60
FILES_SHOWN = 120


def describe_plan(session: Session, plan: ImportPlan) -> Summary:
    """What the plan comes to, before anything happens."""
    total = chosen = total_bytes = chosen_bytes = 0
    verdicts: Counter[str] = Counter()
    for verdict, is_chosen, count, size in session.execute(
        select(
            ImportPlanFile.verdict,
            ImportPlanFile.is_chosen,
            func.count(),
            func.coalesce(func.sum(ImportPlanFile.size_bytes), 0),
        )
        .where(ImportPlanFile.plan_id == plan.id)
        .group_by(ImportPlanFile.verdict, ImportPlanFile.is_chosen)
    ):
        total, total_bytes = total + count, total_bytes + int(size)
        verdicts[verdict] += count
        if is_chosen:
            chosen, chosen_bytes = chosen + count, chosen_bytes + int(size)
    groups = session.scalar(
        select(func.count(ImportPlanFile.proposal_id.distinct())).where(
            ImportPlanFile.plan_id == plan.id, ImportPlanFile.is_chosen.is_(True)
        )
    )
    return Summary(
        file_count=total,
        size_bytes=total_bytes,
        chosen_count=chosen,
        chosen_bytes=chosen_bytes,
        group_count=groups or 0,
        verdict_counts=dict(verdicts),
        seconds=_expect_seconds(session, chosen),
    )


def measure_rate(session: Session, job_count: int = 5) -> float | None:
    """Seconds that one picture took in the latest imports that did some; None before the first."""
    jobs = session.execute(
        select(
            func.count(ImportItem.id),
            func.min(ImportJob.created_at),
            func.max(ImportItem.finished_at),
        )
        .select_from(ImportJob)
        .join(ImportItem, ImportItem.job_id == ImportJob.id)
        .where(
            ImportJob.id.in_(
                session.scalars(
                    select(ImportJob.id)
                    .where(ImportJob.state == "finished")
                    .order_by(ImportJob.id.desc())
                    .limit(job_count)
                ).all()
            ),
            ImportItem.state == "done",
            # Items that had to be tried again measure the weather, not the hub.
            ImportItem.attempt_count == 0,
        )
        .group_by(ImportJob.id)
    ).all()
    count = sum(row[0] for row in jobs)
    seconds = sum((row[2] - row[1]).total_seconds() for row in jobs if row[2] and row[2] > row[1])
    return seconds / count if count and seconds else None


def _expect_seconds(session: Session, count: int) -> float | None:
    rate = measure_rate(session)
    return None if rate is None else rate * count


def list_bins(
    session: Session, plan: ImportPlan, after: int = 0, limit: int = BINS_PER_PAGE
) -> Sequence[Bin]:
    """A page of the board's proposals, in order.

    :param after: the position of the proposal that the page before ended with.
    """
    proposals = session.scalars(
        select(ImportProposal)
        .where(ImportProposal.plan_id == plan.id, ImportProposal.position > after)
        .order_by(ImportProposal.position, ImportProposal.id)
        .limit(limit)
    ).all()
    if not proposals:
        return ()
    ids = [proposal.id for proposal in proposals]
    counts = {
        row[0]: (row[1], int(row[2] or 0))
        for row in session.execute(
            select(
                ImportPlanFile.proposal_id,
                func.count(),
                func.sum(ImportPlanFile.is_chosen),
            )
            .where(ImportPlanFile.plan_id == plan.id, ImportPlanFile.proposal_id.in_(ids))
            .group_by(ImportPlanFile.proposal_id)
        )
    }
    ranked = (
        select(
            ImportPlanFile.id,
            func.row_number()
            .over(
                partition_by=ImportPlanFile.proposal_id,
                order_by=(ImportPlanFile.position, ImportPlanFile.id),
            )
            .label("place"),
        )
        .where(ImportPlanFile.plan_id == plan.id, ImportPlanFile.proposal_id.in_(ids))
        .subquery()
    )
    files: dict[int | None, list[ImportPlanFile]] = defaultdict(list)
    for file in session.scalars(
        select(ImportPlanFile)
        .join(ranked, ranked.c.id == ImportPlanFile.id)
        .where(ranked.c.place <= FILES_SHOWN)
        .order_by(ImportPlanFile.position, ImportPlanFile.id)
    ):
        files[file.proposal_id].append(file)
    return [Bin(one, files[one.id], *counts.get(one.id, (0, 0))) for one in proposals]


def list_unusable(session: Session, plan: ImportPlan, limit: int = 200) -> Sequence[ImportPlanFile]:
    """Files that cannot be imported, with their reasons."""
    return session.scalars(
        select(ImportPlanFile)
        .where(
            ImportPlanFile.plan_id == plan.id,
            ImportPlanFile.verdict.in_(("unsupported", "too_large")),
        )
        .order_by(ImportPlanFile.verdict, ImportPlanFile.id)
        .limit(limit)
    ).all()


def rename_proposal(session: Session, plan: ImportPlan, proposal_id: int, title: str) -> None:
    """:raise NotFoundError: no such proposal on this board."""
    _lock(session, plan)
    proposal = _get_proposal(session, plan, proposal_id)
    if proposal.group_id is None:
        proposal.title = " ".join(title.split())[:MAX_TITLE_CHARS]
        plan.version += 1


def move_files(
    session: Session,
    plan: ImportPlan,
    file_ids: Sequence[int],
    to: int | None,
    before: int | None = None,
) -> int:
    """Move files into another proposal, or split them off into a new one.

    Proposals that are empty afterwards go.

    :param to: a proposal's id; None makes a new one, right after that of the first file.
    :param before: the file that they shall stand in front of; None puts them at the end.
    :return: the proposal's id.
    :raise NotFoundError: a file or the proposal is not on this board.
    """
    _lock(session, plan)
    files = _get_files(session, plan, file_ids)
    if to is None:
        first = files[0]
        source = session.get(ImportProposal, first.proposal_id) if first.proposal_id else None
        title = _begin_large(split_stem(first.file_name))
        target = _insert_proposal(session, plan, source.position if source else 0, title)
    else:
        target = _get_proposal(session, plan, to)
    moved = {file.id for file in files}
    others = [
        file
        for file in session.scalars(
            select(ImportPlanFile)
            .where(ImportPlanFile.plan_id == plan.id, ImportPlanFile.proposal_id == target.id)
            .order_by(ImportPlanFile.position, ImportPlanFile.id)
        )
        if file.id not in moved
    ]
    at = next((n for n, file in enumerate(others) if file.id == before), len(others))
    for position, file in enumerate(others[:at] + files + others[at:], start=1):
        file.proposal_id, file.position = target.id, position
    session.flush()
    _drop_empty(session, plan)
    plan.version += 1
    return target.id


def join_proposals(session: Session, plan: ImportPlan, proposal_ids: Sequence[int]) -> int:
    """Put the files of all these proposals into the first of them.

    :raise InvalidInputError: fewer than two.
    :raise NotFoundError: one is not on this board.
    """
    _lock(session, plan)
    proposals = sorted(
        (_get_proposal(session, plan, one) for one in dict.fromkeys(proposal_ids)),
        key=lambda one: (one.position, one.id),
    )
    if len(proposals) < 2:
        raise InvalidInputError("Choose at least two groups to join.", {"proposal": "too few"})
    first = proposals[0]
    files = session.scalars(
        select(ImportPlanFile)
        .join(ImportProposal, ImportProposal.id == ImportPlanFile.proposal_id)
        .where(ImportProposal.id.in_([one.id for one in proposals]))
        .order_by(ImportProposal.position, ImportPlanFile.position, ImportPlanFile.id)
    ).all()
    for position, file in enumerate(files, start=1):
        file.proposal_id, file.position = first.id, position
    session.flush()
    _drop_empty(session, plan)
    plan.version += 1
    return first.id


def join_with_previous(session: Session, plan: ImportPlan, proposal_id: int) -> int:
    """Put a proposal's files into the one before it.

    :raise InvalidInputError: it is the first.
    """
    proposal = _get_proposal(session, plan, proposal_id)
    previous = session.scalars(
        select(ImportProposal.id)
        .where(ImportProposal.plan_id == plan.id, ImportProposal.position < proposal.position)
        .order_by(ImportProposal.position.desc(), ImportProposal.id.desc())
        .limit(1)
    ).first()
    if previous is None:
        raise InvalidInputError("There is no group before this one.")
    return join_proposals(session, plan, [previous, proposal_id])


def split_proposal(session: Session, plan: ImportPlan, proposal_id: int) -> None:
    """Make a proposal of each of its files.

    :raise NotFoundError: no such proposal on this board.
    """
    _lock(session, plan)
    proposal = _get_proposal(session, plan, proposal_id)
    files = session.scalars(
        select(ImportPlanFile)
        .where(ImportPlanFile.plan_id == plan.id, ImportPlanFile.proposal_id == proposal.id)
        .order_by(ImportPlanFile.position, ImportPlanFile.id)
    ).all()
    _shift(session, plan, proposal.position, len(files))
    for place, file in enumerate(files):
        if place:
            fresh = ImportProposal(
                plan_id=plan.id,
                position=proposal.position + place,
                title=make_title(file.file_name)[:MAX_TITLE_CHARS],
            )
            session.add(fresh)
            session.flush()
            file.proposal_id, file.position = fresh.id, 1
    session.flush()
    plan.version += 1


def choose_files(
    session: Session, plan: ImportPlan, file_ids: Sequence[int], is_chosen: bool
) -> None:
    """Take files into the import, or leave them out. What cannot be imported stays out.

    :raise NotFoundError: a file is not on this board.
    """
    _lock(session, plan)
    for file in _get_files(session, plan, file_ids):
        file.is_chosen = is_chosen and VERDICTS[file.verdict][2]
    plan.version += 1


def choose_verdict(session: Session, plan: ImportPlan, verdict: str, is_chosen: bool) -> None:
    """Take in or leave out all files that the same thing stands against.

    :raise InvalidInputError: no such verdict, or one that nothing helps against.
    """
    if verdict not in VERDICTS or not VERDICTS[verdict][2]:
        raise InvalidInputError("These files cannot be imported.", {"verdict": "unknown"})
    _lock(session, plan)
    session.execute(
        update(ImportPlanFile)
        .where(ImportPlanFile.plan_id == plan.id, ImportPlanFile.verdict == verdict)
        .values(is_chosen=is_chosen)
        .execution_options(synchronize_session="fetch")
    )
    plan.version += 1


def _lock(session: Session, plan: ImportPlan) -> None:
    """Two who change the same board do so one after the other; each sees what the other did.

    A change comes first: SQLite then waits for other writers here and not half-way.
    """
    found = count_rows(
        session,
        update(ImportPlan).where(ImportPlan.id == plan.id).values(version=ImportPlan.version),
    )
    if not found:
        raise NotFoundError("import plan", plan.id)
    session.refresh(plan)


def check_open(plan: ImportPlan) -> None:
    """:raise ConflictError: the import has begun, or the plan is still being read."""
    if plan.state == "started":
        raise ConflictError("This import has begun already.")
    if plan.state != "ready":
        raise ConflictError("OneDrive is still being read for this plan.")


def _get_proposal(session: Session, plan: ImportPlan, proposal_id: int) -> ImportProposal:
    proposal = session.get(ImportProposal, proposal_id) if 0 < proposal_id <= MAX_ID else None
    if proposal is None or proposal.plan_id != plan.id:
        raise NotFoundError("proposed group", proposal_id)
    return proposal


def _get_files(session: Session, plan: ImportPlan, file_ids: Sequence[int]) -> list[ImportPlanFile]:
    """In the order that they have on the board."""
    wanted = set(file_ids)
    if not wanted:
        raise InvalidInputError("Choose pictures first.", {"file": "is empty"})
    found: list[ImportPlanFile] = []
    for ids in make_batches(sorted(wanted)):
        found += session.scalars(
            select(ImportPlanFile).where(
                ImportPlanFile.plan_id == plan.id, ImportPlanFile.id.in_(ids)
            )
        )
    if len(found) != len(wanted):
        raise NotFoundError("file in this plan", "")
    places = dict(
        session.execute(
            select(ImportProposal.id, ImportProposal.position).where(
                ImportProposal.plan_id == plan.id
            )
        ).all()
    )
    found.sort(key=lambda f: (places.get(f.proposal_id or 0, 0), f.position, f.id))
    return found


def _insert_proposal(session: Session, plan: ImportPlan, after: int, title: str) -> ImportProposal:
    _shift(session, plan, after, 1)
    fresh = ImportProposal(plan_id=plan.id, position=after + 1, title=title[:MAX_TITLE_CHARS])
    session.add(fresh)
    session.flush()
    return fresh


def _shift(session: Session, plan: ImportPlan, after: int, by: int) -> None:
    """Make room for proposals behind a position."""
    session.flush()
    session.execute(
        update(ImportProposal)
        .where(ImportProposal.plan_id == plan.id, ImportProposal.position > after)
        .values(position=ImportProposal.position + by)
        .execution_options(synchronize_session="fetch")
    )


def _drop_empty(session: Session, plan: ImportPlan) -> None:
    is_used = (
        select(ImportPlanFile.id)
        .where(ImportPlanFile.plan_id == plan.id, ImportPlanFile.proposal_id == ImportProposal.id)
        .exists()
    )
    session.execute(
        delete(ImportProposal)
        .where(ImportProposal.plan_id == plan.id, ~is_used)
        .execution_options(synchronize_session="fetch")
    )


def _find_target(session: Session, plan: ImportPlan) -> int | None:
    return session.scalars(
        select(ImportProposal.group_id).where(
            ImportProposal.plan_id == plan.id, ImportProposal.group_id.is_not(None)
        )
    ).first()


def _get_living_group(session: Session, group_id: int) -> Group:
    group = session.get(Group, group_id) if 0 < group_id <= MAX_ID else None
    if group is None or group.state == "trash":
        raise NotFoundError("group", group_id)
    return group


# --- Starting -------------------------------------------------------------------------------------


def start_import(
    session: Session, plan: ImportPlan, user_id: int | None, is_published: bool
) -> ImportJob:
    """Make the groups of the board and an import of its chosen files.

    The board's first group comes first in the gallery. The caller commits, and then calls
    ``queue.enqueue_job``.

    :raise ConflictError: it was started already, or is still being read.
    :raise InvalidInputError: no file is chosen.
    :raise NotFoundError: a group to add to is gone.
    """
    _lock(session, plan)
    check_open(plan)
    rows = session.execute(
        select(ImportPlanFile, ImportProposal)
        .join(ImportProposal, ImportProposal.id == ImportPlanFile.proposal_id)
        .where(ImportPlanFile.plan_id == plan.id, ImportPlanFile.is_chosen.is_(True))
        .order_by(
            ImportProposal.position, ImportProposal.id, ImportPlanFile.position, ImportPlanFile.id
        )
    ).all()
    if not rows:
        raise InvalidInputError("No picture is chosen for this import.", {"file": "is empty"})
    bins: dict[int, list[ImportPlanFile]] = defaultdict(list)
    proposals: dict[int, ImportProposal] = {}
    for file, proposal in rows:
        bins[proposal.id].append(file)
        proposals[proposal.id] = proposal
    groups = _make_groups(session, proposals, bins, "published" if is_published else "draft")
    selections = [
        selection
        for proposal_id, files in bins.items()
        for selection in _make_selections(groups[proposal_id], files)
    ]
    job = create_import(session, plan.drive_account_id, user_id, selections)
    plan.state, plan.job_id, plan.is_published = "started", job.id, is_published
    session.flush()
    return job


def _make_groups(
    session: Session,
    proposals: Mapping[int, ImportProposal],
    bins: Mapping[int, Sequence[ImportPlanFile]],
    state: str,
) -> dict[int, int]:
    """Proposal → number of its group, made where it is a new one."""
    numbers: dict[int, int] = {}
    made: dict[int, Group] = {}
    new = [one for one in proposals.values() if one.group_id is None]
    sort_key = make_first_sort_key(session) + SORT_STEP * (len(new) - 1)
    now = get_database_time(session)
    for proposal in proposals.values():
        if proposal.group_id is not None:
            numbers[proposal.id] = _get_living_group(session, proposal.group_id).id
            continue
        made[proposal.id] = Group(
            state=state,
            title=proposal.title,
            folder_name=bins[proposal.id][0].folder_name,
            sort_key=sort_key,
            created_at=now,
        )
        session.add(made[proposal.id])
        sort_key -= SORT_STEP
    session.flush()
    return numbers | {proposal_id: group.id for proposal_id, group in made.items()}


def _make_selections(group: int, files: Sequence[ImportPlanFile]) -> Iterator[Selection]:
    """Runs of files of the same folder, so that the order of the board stays."""
    run: list[tuple[str, str]] = []
    for at, file in enumerate(files):
        run.append((file.drive_item_id, file.file_name))
        following = files[at + 1] if at + 1 < len(files) else None
        if following is None or following.folder_id != file.folder_id:
            yield Selection(file.folder_id, file.folder_name, group, tuple(run))
            run = []


# --- Imports that are done ------------------------------------------------------------------------


@dataclass(frozen=True)
class PastImport:
    """One import in the list of all: its items counted by how they ended."""

    job: ImportJob
    counts: Mapping[str, int]


def list_imports(session: Session, before: int | None = None, limit: int = 20) -> list[PastImport]:
    """Imports from new to old.

    :param before: the number of the import that the page before ended with.
    """
    statement = select(ImportJob).order_by(ImportJob.id.desc()).limit(limit)
    if before is not None:
        statement = statement.where(ImportJob.id < before)
    jobs = session.scalars(statement).all()
    counts: dict[int, Counter[str]] = defaultdict(Counter)
    for job_id, state, count in session.execute(
        select(ImportItem.job_id, ImportItem.state, func.count())
        .where(ImportItem.job_id.in_([job.id for job in jobs]))
        .group_by(ImportItem.job_id, ImportItem.state)
    ):
        counts[job_id][state] = count
    return [PastImport(job, counts[job.id]) for job in jobs]


def list_job_groups(session: Session, job_id: int, limit: int = 200) -> Sequence[Group]:
    """The groups that an import adds to, in the order of their numbers."""
    ids = session.scalars(
        select(ImportItem.group_id)
        .where(ImportItem.job_id == job_id, ImportItem.group_id.is_not(None))
        .distinct()
        .limit(limit)
    ).all()
    return session.scalars(select(Group).where(Group.id.in_(ids)).order_by(Group.id)).all()


def expect_end(session: Session, job_id: int) -> float | None:
    """Seconds until an import is done at its own pace so far; None while that is not known."""
    row = session.execute(
        select(func.count(), func.min(ImportJob.created_at), func.max(ImportItem.finished_at))
        .select_from(ImportItem)
        .join(ImportJob, ImportJob.id == ImportItem.job_id)
        .where(ImportItem.job_id == job_id, ImportItem.state == "done")
    ).one()
    left = session.scalar(
        select(func.count()).where(
            ImportItem.job_id == job_id, ImportItem.state.in_(("queued", "running"))
        )
    )
    if not left:
        return 0.0
    if row[0] >= 3 and row[2] is not None:
        return float(left * max(0.0, (row[2] - row[1]).total_seconds()) / row[0])
    return _expect_seconds(session, left)


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
