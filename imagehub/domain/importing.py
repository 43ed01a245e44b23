"""Asking for an import, and looking on: jobs and their items as rows.

A job is what a person chose at once, an item one file of it. ``domain.import_work`` does the work.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import case, func, insert, select, update
from sqlalchemy.orm import Session

from imagehub.clients import DriveItem
from imagehub.clients.drive_ids import fold_id, list_all_spellings
from imagehub.domain.gallery import MAX_ID, SORT_STEP, make_first_sort_key
from imagehub.domain.leases import get_database_time
from imagehub.domain.search_index import add_to_search
from imagehub.domain.storage import count_rows, make_batches
from imagehub.errors import InvalidInputError, NotFoundError, PictureError
from imagehub.models import Group, Image, ImportItem, ImportJob

MAX_FILES = 200_000
OPEN_STATES = ("queued", "running")
LEFT_OUT = "left_out"
IN_GROUP_REASON = "This file is in the group already."


# --- Asking for an import -------------------------------------------------------------------------


@dataclass(frozen=True)
class Selection:
    """Files of one folder, for one group.

    :param group: a group's number; None makes a new group of these files.
    :param files: (file id, file name) in the order that the group shall have.
    """

    folder_id: str
    folder_name: str
    group: int | None
    files: Sequence[tuple[str, str]]


def create_import(
    session: Session, account_id: int, user_id: int | None, selections: Sequence[Selection]
) -> ImportJob:
    """Write down a job: its groups are made, and numbers and places reserved in list order.

    A file that is chosen twice for a group, or is in it already, becomes a ``skipped`` item. The
    caller commits, and then calls ``queue.enqueue_job``.

    :raise InvalidInputError: nothing chosen, too much chosen, or an id that cannot be one.
    :raise NotFoundError: a group of that number does not exist.
    """
    _check(selections)
    now = get_database_time(session)
    job = ImportJob(
        user_id=user_id, drive_account_id=account_id, created_at=now, last_activity_at=now
    )
    session.add(job)
    session.flush()
    chosen = [selection for selection in selections if selection.files]
    new_ids = iter(_make_groups(session, [s for s in chosen if s.group is None], now))
    # Groups that were there come first, by their numbers, then new ones as they were asked for.
    pairs = [(s.group, s) for s in chosen if s.group is not None]
    pairs.sort(key=lambda pair: pair[0])
    pairs += [(next(new_ids), s) for s in chosen if s.group is None]
    places = _lock_places(session, sorted({group_id for group_id, _ in pairs}))
    known = _find_known(session, account_id, pairs)
    rows = [
        row
        for group_id, selection in pairs
        for row in _reserve(job.id, group_id, selection, places[group_id], known, now)
    ]
    _take_numbers(session, places)
    session.execute(insert(ImportItem), rows)
    job.item_count = len(rows)
    if all(row["state"] == "skipped" for row in rows):
        job.state, job.finished_at = "finished", now
    session.flush()
    return job


def _check(selections: Sequence[Selection]) -> None:
    count = sum(len(s.files) for s in selections)
    if not count:
        raise InvalidInputError("No file was chosen.", {"files": "is empty"})
    if count > MAX_FILES:
        raise InvalidInputError(
            f"{count} files are too many for one import; the limit is {MAX_FILES}.",
            {"files": "too many"},
        )
    for selection in selections:
        for file_id, _ in selection.files:
            if not file_id or len(file_id) > 255:
                raise InvalidInputError("This is not a file of OneDrive.", {"file_id": "unknown"})


@dataclass
class _Place:
    """Where the next file goes in a group: its number and position, and what is reserved so far."""

    first_number: int
    position: int
    taken: set[str] = field(default_factory=set)


def _reserve(
    job_id: int,
    group_id: int,
    selection: Selection,
    place: _Place,
    known: Mapping[tuple[int, str], int],
    now: datetime,
) -> Iterator[dict[str, Any]]:
    for file_id, file_name in selection.files:
        key = fold_id(file_id)
        image_id = known.get((group_id, key))
        is_new = image_id is None and key not in place.taken
        yield {
            "job_id": job_id,
            "group_id": group_id,
            "drive_item_id": file_id,
            "file_name": file_name[:400],
            "folder_id": selection.folder_id[:255],
            "folder_name": selection.folder_name[:400],
            "number": place.first_number + len(place.taken) if is_new else 0,
            "position": place.position + len(place.taken) if is_new else 0,
            "state": "queued" if is_new else "skipped",
            "reason": "" if is_new else IN_GROUP_REASON,
            "image_id": image_id,
            "available_at": now,
            "asked_at": now,
            "finished_at": None if is_new else now,
        }
        if is_new:
            place.taken.add(key)


def _make_groups(session: Session, selections: Sequence[Selection], now: datetime) -> list[int]:
    """A new group for each; the last of them comes first in the gallery."""
    if not selections:
        return []
    # The highest place is looked up once, since that walks an index of all groups.
    first = make_first_sort_key(session)
    groups = [
        Group(
            title=selection.folder_name[:300],
            folder_name=selection.folder_name[:400],
            sort_key=first + at * SORT_STEP,
            created_at=now,
        )
        for at, selection in enumerate(selections)
    ]
    session.add_all(groups)
    session.flush()
    ids = [group.id for group in groups]
    for some in make_batches(ids):
        add_to_search(session, some)
    return ids


def _lock_places(session: Session, group_ids: Sequence[int]) -> dict[int, _Place]:
    """Hold the rows of groups until the transaction ends, and find the next place in each.

    Groups are always locked in the order of their numbers, so that two requests cannot wait for
    each other.

    :param group_ids: ascending.
    :raise NotFoundError: one of them is not there, or in the trash.
    """
    places: dict[int, _Place] = {}
    for ids in make_batches(group_ids):
        if ids[0] < 1 or ids[-1] > MAX_ID:
            raise NotFoundError("group", ids[0] if ids[0] < 1 else ids[-1])
        session.execute(
            update(Group)
            .where(Group.id.in_(ids))
            # A change that changes nothing, see lock_group.
            .values(next_image_number=Group.next_image_number, updated_at=Group.updated_at)
            .execution_options(synchronize_session=False)
        )
        numbers: dict[int, int] = {
            row.id: row.next_image_number
            for row in session.execute(
                select(Group.id, Group.next_image_number).where(
                    Group.id.in_(ids), Group.state != "trash"
                )
            )
        }
        for group_id in ids:
            if group_id not in numbers:
                raise NotFoundError("group", group_id)
        last = _find_last_positions(session, ids)
        places |= {
            group_id: _Place(number, last.get(group_id, 0) + 1)
            for group_id, number in numbers.items()
        }
    return places


def _find_last_positions(session: Session, group_ids: Sequence[int]) -> dict[int, int]:
    """The last place in each group that an image has or an open item has reserved."""
    last: dict[int, int] = {}
    for statement in (
        select(Image.group_id, func.max(Image.position))
        .where(Image.group_id.in_(group_ids))
        .group_by(Image.group_id),
        select(ImportItem.group_id, func.max(ImportItem.position))
        .where(ImportItem.group_id.in_(group_ids), ImportItem.state.in_(OPEN_STATES))
        .group_by(ImportItem.group_id),
    ):
        for group_id, position in session.execute(statement):
            if group_id is not None:
                last[group_id] = max(last.get(group_id, 0), position)
    return last


def _find_known(
    session: Session, account_id: int, pairs: Sequence[tuple[int, Selection]]
) -> dict[tuple[int, str], int]:
    """Of the chosen files those that are in their group: (group, folded item id) → image id."""
    files = ((group_id, file_id) for group_id, s in pairs for file_id, _ in s.files)
    known: dict[tuple[int, str], int] = {}
    for batch in make_batches(files):
        for group_id, file_id, image_id in session.execute(
            select(Image.group_id, Image.drive_item_id, Image.id).where(
                Image.group_id.in_({group_id for group_id, _ in batch}),
                Image.drive_account_id == account_id,
                Image.drive_item_id.in_(list_all_spellings(file_id for _, file_id in batch)),
            )
        ):
            known[group_id, fold_id(file_id)] = image_id
    return known


def _take_numbers(session: Session, places: Mapping[int, _Place]) -> None:
    """Write down the numbers that were reserved."""
    for ids in make_batches(group_id for group_id, place in places.items() if place.taken):
        counts = {group_id: len(places[group_id].taken) for group_id in ids}
        session.execute(
            update(Group)
            .where(Group.id.in_(ids))
            .values(next_image_number=Group.next_image_number + case(counts, value=Group.id))
            .execution_options(synchronize_session=False)
        )


def lock_group(session: Session, group_id: int) -> bool:
    """Hold a group's row until the transaction ends; whether there is one.

    A change that changes nothing does this on both databases: SQLite has no FOR UPDATE, and there a
    transaction should write before it reads.
    """
    return bool(
        count_rows(
            session,
            update(Group)
            .where(Group.id == group_id)
            .values(next_image_number=Group.next_image_number, updated_at=Group.updated_at),
        )
    )


def retry_items(
    session: Session, job_id: int, state: str = "failed", item_id: int | None = None
) -> int:
    """Queue a job's failed items again; the caller commits, then calls ``queue.enqueue_job``.

    :param state: items in this state; see ``left_out.retry_left_out`` for those that were let be.
    :param item_id: this one alone.
    :return: how many there were.
    :raise NotFoundError: no such job.
    """
    get_job(session, job_id)
    now = get_database_time(session)
    chosen = update(ImportItem).where(ImportItem.job_id == job_id, ImportItem.state == state)
    if item_id is not None:
        chosen = chosen.where(ImportItem.id == item_id)
    count = count_rows(
        session,
        chosen.values(
            state="queued",
            reason="",
            attempt_count=0,
            suspicion=0,
            available_at=now,
            asked_at=now,
            finished_at=None,
        ),
    )
    if count:
        session.execute(
            update(ImportJob)
            .where(ImportJob.id == job_id)
            .values(state="running", finished_at=None, last_activity_at=now)
            .execution_options(synchronize_session="fetch")
        )
    return count


def add_remakes(
    own: Session, image_ids: Sequence[int], jobs: dict[int, int], user_id: int | None = None
) -> int:
    """Items that make the renditions of images again from what lies in OneDrive now.

    The images keep their ids, numbers, places and words. One that is in work already is left out.

    :param jobs: drive account id → job id, one an account; completed here.
    :return: how many were added.
    """
    now = get_database_time(own)
    in_work = own.scalars(
        select(ImportItem.image_id).where(
            ImportItem.image_id.in_(image_ids), ImportItem.state.in_(OPEN_STATES)
        )
    )
    wanted = sorted(set(image_ids) - set(in_work))
    images = own.scalars(select(Image).where(Image.id.in_(wanted)).order_by(Image.id)).all()
    rows: list[dict[str, Any]] = []
    for image in images:
        job_id = jobs.get(image.drive_account_id)
        if job_id is None:
            job = ImportJob(
                user_id=user_id,
                drive_account_id=image.drive_account_id,
                created_at=now,
                last_activity_at=now,
            )
            own.add(job)
            own.flush()
            job_id = jobs[image.drive_account_id] = job.id
        rows.append(
            {
                "job_id": job_id,
                "group_id": image.group_id,
                "image_id": image.id,
                "drive_item_id": image.drive_item_id,
                "file_name": image.name,
                "folder_id": image.folder_id,
                "folder_name": image.folder_name,
                "number": image.number,
                "position": image.position,
                "available_at": now,
                "asked_at": now,
            }
        )
    if rows:
        own.execute(insert(ImportItem), rows)
    for job_id in sorted({row["job_id"] for row in rows}):
        # A worker may have finished the job already, with the items it had until now.
        added = sum(1 for row in rows if row["job_id"] == job_id)
        own.execute(
            update(ImportJob)
            .where(ImportJob.id == job_id)
            .values(item_count=ImportJob.item_count + added, state="running", finished_at=None)
            .execution_options(synchronize_session=False)
        )
    return len(rows)


# --- Looking on -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class FailedItem:
    """A file that did not come in. ``reason`` is one plain sentence; ``id`` is the item's."""

    file_id: str
    file_name: str
    reason: str
    id: int = 0


@dataclass(frozen=True)
class JobReport:
    """How far an import is.

    ``state`` is ``running`` or ``finished``; the counts are of items. ``waiting_reason`` says what
    the queued items wait for, where a service made them wait. ``failed`` lists at most 1,000, and
    so does ``left_out``: failed items that a person lets be.
    """

    id: int
    state: str
    item_count: int
    queued_count: int
    running_count: int
    done_count: int
    skipped_count: int
    failed_count: int
    waiting_reason: str = ""
    failed: Sequence[FailedItem] = field(default=())
    created_at: datetime | None = None
    left_out_count: int = 0
    left_out: Sequence[FailedItem] = field(default=())

    @property
    def is_finished(self) -> bool:
        return self.state == "finished"

    @property
    def finished_count(self) -> int:
        """Items that have come to an end, whichever."""
        return self.done_count + self.skipped_count + self.failed_count + self.left_out_count

    @property
    def progress(self) -> float:
        """From 0 to 1: the part of the items that has come to an end."""
        return self.finished_count / self.item_count if self.item_count else 1.0


def describe_job(session: Session, job_id: int) -> JobReport:
    """:raise NotFoundError: no such job."""
    job = get_job(session, job_id)
    counts = {
        state: count
        for state, count in session.execute(
            select(ImportItem.state, func.count())
            .where(ImportItem.job_id == job_id)
            .group_by(ImportItem.state)
        )
    }
    waiting = session.scalars(
        select(ImportItem.reason)
        .where(ImportItem.job_id == job_id, ImportItem.state == "queued", ImportItem.reason != "")
        .limit(1)
    ).first()
    return JobReport(
        id=job.id,
        state=job.state,
        item_count=job.item_count,
        queued_count=counts.get("queued", 0),
        running_count=counts.get("running", 0),
        done_count=counts.get("done", 0),
        skipped_count=counts.get("skipped", 0),
        failed_count=counts.get("failed", 0),
        waiting_reason=waiting or "",
        failed=_list_failed(session, job_id, "failed"),
        created_at=job.created_at,
        left_out_count=counts.get(LEFT_OUT, 0),
        left_out=_list_failed(session, job_id, LEFT_OUT) if LEFT_OUT in counts else (),
    )


def _list_failed(session: Session, job_id: int, state: str) -> tuple[FailedItem, ...]:
    rows = session.execute(
        select(ImportItem.drive_item_id, ImportItem.file_name, ImportItem.reason, ImportItem.id)
        .where(ImportItem.job_id == job_id, ImportItem.state == state)
        .order_by(ImportItem.id)
        .limit(1000)
    )
    return tuple(FailedItem(*row) for row in rows)


def wait_for_job(
    open_session: Callable[[], AbstractContextManager[Session]], job_id: int, seconds: float
) -> JobReport:
    """Wait until a job has finished, but not longer than ``seconds``.

    :param open_session: called for every look, so that no transaction stays open between.
    :raise NotFoundError: no such job.
    """
    deadline = time.monotonic() + seconds
    pause = 0.05
    while True:
        with open_session() as session:
            state = session.scalar(select(ImportJob.state).where(ImportJob.id == job_id))
            left = deadline - time.monotonic()
            if state != "running" or left <= 0:
                return describe_job(session, job_id)
        time.sleep(min(pause, left))
        pause = min(pause * 1.5, 0.5)


def get_job(session: Session, job_id: int) -> ImportJob:
    """:raise NotFoundError: no such job."""
    job = session.get(ImportJob, job_id) if 0 < job_id <= MAX_ID else None
    if job is None:
        raise NotFoundError("import", job_id)
    return job


# --- What may be imported -------------------------------------------------------------------------

# What Graph says a file is, where that cannot become a picture: known before the download.
_NO_PICTURES = {
    "video/": "This is a video, not a picture.",
    "audio/": "This is a sound file, not a picture.",
    "text/": "This is a text file, not a picture.",
    "font/": "This is a font, not a picture.",
    "image/svg": "SVG drawings cannot be imported; please save it as PNG first.",
    "application/pdf": "This is a PDF document, not a picture.",
    "application/zip": "This is an archive, not a picture.",
    "application/json": "This is a data file, not a picture.",
    "application/msword": "This is a document, not a picture.",
    "application/vnd.": "This is a document, not a picture.",
    "image/vnd.adobe.photoshop": "Photoshop documents cannot be imported; please save it as TIFF.",
}
_SETTINGS = "This holds settings of a picture, not a picture."
_ARCHIVE = "This is an archive, not a picture."
_DRAWING = "Drawings of this kind cannot be imported; please save it as PNG or TIFF first."
_PHOTOSHOP = "Photoshop documents cannot be imported; please save it as TIFF."
_DOCUMENT = "This is a document, not a picture."
_OTHER_KIND = "Pictures of this kind cannot be imported; please save it as TIFF or PNG first."
_PROGRAM = "This is a file of a program, not a picture."
# What cameras call their raw photos; OneDrive says of most that they are pictures, or nothing.
_RAW = "Raw photos cannot be imported; please save it as TIFF or JPEG."
_OTHER_ENDINGS = {
    ending: sentence
    for endings, sentence in (
        (
            "3fr arw cr2 cr3 crw dcr dng erf fff iiq kdc mef mrw nef nrw orf pef raf rw2 rwl sr2",
            _RAW,
        ),
        ("srf srw x3f", _RAW),
        ("aae cop cos dop lrcat lrtemplate pp3 xmp", _SETTINGS),
        ("7z bz2 gz rar tar tgz xz zip", _ARCHIVE),
        ("ai cdr dwg dxf eps ps svg svgz", _DRAWING),
        ("psb psd", _PHOTOSHOP),
        ("doc docx idml indb indd odt pdf pub qxp rtf", _DOCUMENT),
        ("afdesign afphoto clip exr ico j2k jp2 jxl kra procreate xcf", _OTHER_KIND),
        ("db dll ds_store exe ini lnk log url", _PROGRAM),
    )
    for ending in endings.split()
}
# What the kinds of ``picture_kinds`` are usually called.
_PICTURE_ENDINGS = frozenset(
    (
        "avif", "bmp", "dib", "gif", "heic", "heif", "hif", "jfif", "jpe", "jpeg", "jpg", "png",
        "tif", "tiff", "webp",
    )
)  # fmt: skip
_PICTURE_MIMES = tuple(
    f"image/{kind}" for kind in ("avif", "bmp", "gif", "hei", "jpeg", "jpg", "png", "tiff", "webp")
)


def check_is_picture(item: DriveItem) -> None:
    """:raise PictureError: a folder, a notebook, or a file that is certainly no picture."""
    if item.is_folder:
        raise PictureError("This is a folder, not a picture.")
    if item.is_package:
        raise PictureError("This is a notebook, not a picture.")
    if not item.size_bytes:
        raise PictureError("This file is empty.")
    for beginning, sentence in _NO_PICTURES.items():
        if item.mime_type.lower().startswith(beginning):
            raise PictureError(sentence)
    if why := _OTHER_ENDINGS.get(_get_ending(item)):
        raise PictureError(why)


def is_called_picture(item: DriveItem) -> bool:
    """Whether its name or OneDrive says that it is a picture of a kind that can be imported."""
    is_known = item.mime_type.lower().startswith(_PICTURE_MIMES)
    return is_known or _get_ending(item) in _PICTURE_ENDINGS


def _get_ending(item: DriveItem) -> str:
    _, dot, ending = item.name.rpartition(".")
    return ending.lower() if dot else ""


def may_be_picture(item: DriveItem) -> bool:
    """Whether it is worth trying: certainty comes with the bytes."""
    try:
        check_is_picture(item)
    except PictureError:
        return False
    return True
