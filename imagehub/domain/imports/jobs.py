"""Create import jobs and their items, and retry failed ones.

A job is one request to import files, an item one file of it. ``domain.imports.process`` does the
work.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import case, func, insert, select, update
from sqlalchemy.orm import Session

from imagehub.clients.drive_ids import fold_id, list_all_spellings
from imagehub.database import MAX_ID, count_rows, get_database_time, make_batches
from imagehub.domain.library.order import SORT_STEP, make_first_sort_key
from imagehub.domain.library.search_index import add_to_search
from imagehub.errors import InvalidInputError, NotFoundError
from imagehub.models import Group, Image, ImportItem, ImportJob

MAX_FILES = 200_000
OPEN_STATES = ("queued", "running")
_TO_WAKE = "imagehub.jobs_to_wake"
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


def get_job(session: Session, job_id: int) -> ImportJob:
    """:raise NotFoundError: no such job."""
    job = session.get(ImportJob, job_id) if 0 < job_id <= MAX_ID else None
    if job is None:
        raise NotFoundError("import", job_id)
    return job


# --- Waking workers -------------------------------------------------------------------------------


def wake_after_commit(session: Session, job_id: int, item_count: int | None = None) -> None:
    """Have workers woken for this job once the session's transaction is committed.

    :param item_count: how many items are waiting, where known.
    """
    session.info.setdefault(_TO_WAKE, {})[job_id] = item_count


def take_jobs_to_wake(session: Session) -> dict[int, int | None]:
    """Job id → item count of what :func:`wake_after_commit` noted; forgotten with this call."""
    noted: dict[int, int | None] = session.info.pop(_TO_WAKE, {})
    return noted
