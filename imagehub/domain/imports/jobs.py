"""Create import jobs, retry their failed items, and wake workers for them.

A job is one request to import files; an item is one file of it. ``imports.process`` does the work.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import case, func, insert, select, update
from sqlalchemy.orm import Session

from imagehub.clients.drive_ids import fold_id, list_all_spellings
from imagehub.database import MAX_ID, count_rows, get_database_time, make_batches
from imagehub.domain.library.groups import lock_groups
from imagehub.domain.library.order import SORT_STEP, make_first_sort_key
from imagehub.domain.library.search_index import add_to_search
from imagehub.errors import InvalidInputError, NotFoundError
from imagehub.messages import Message, mark
from imagehub.models import Group, Image, ImportItem, ImportJob

MAX_FILES = 200_000
OPEN_STATES = ("queued", "running")
# The state of failed items that a person dismissed.
DISMISSED = "left_out"
IN_GROUP_REASON = mark("This file is already in the group.")

_TO_WAKE = "imagehub.jobs_to_wake"

# --- Creating -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Selection:
    """Files of one folder, for one group.

    :param group: a group's id; None makes a new group of these files.
    :param files: (file id, file name) in the order of the group.
    """

    folder_id: str
    folder_name: str
    group: int | None
    files: Sequence[tuple[str, str]]


def create_import(
    session: Session, account_id: int, user_id: int | None, selections: Sequence[Selection]
) -> ImportJob:
    """Create a job: make its groups, and reserve image numbers and positions in list order.

    A file that is selected twice for a group, or is in it already, becomes a ``skipped`` item.
    Workers are woken after the commit.

    :raise InvalidInputError: nothing or too much is selected, or an id cannot be one.
    :raise NotFoundError: a group does not exist.
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
    # Existing groups come first, by their ids, then new ones in list order.
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
    queued_count = sum(1 for row in rows if row["state"] == "queued")
    if queued_count:
        wake_after_commit(session, job.id, queued_count)
    else:
        job.state, job.finished_at = "finished", now
    session.flush()
    return job


def _check(selections: Sequence[Selection]) -> None:
    count = sum(len(s.files) for s in selections)
    if not count:
        raise InvalidInputError("No file is selected.", {"files": "is empty"})
    if count > MAX_FILES:
        raise InvalidInputError(
            Message(
                "%(num)s files are too many for one import; the limit is %(limit)s.",
                num=count,
                limit=MAX_FILES,
            ),
            {"files": "too many"},
        )
    for selection in selections:
        for file_id, _ in selection.files:
            if not file_id or len(file_id) > 255:
                raise InvalidInputError("This is not a file in OneDrive.", {"file_id": "unknown"})


@dataclass
class _Place:
    """The next free number and position in a group, and the folded file ids reserved so far."""

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
    """Make a group for each selection; the last of them comes first in the gallery."""
    if not selections:
        return []
    # Read once: it walks an index of all groups.
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
    """Lock groups until the transaction ends, and find the next place in each.

    Groups are always locked in the order of their ids, so that two requests cannot deadlock.

    :param group_ids: ascending.
    :raise NotFoundError: one of them does not exist, or is in the trash.
    """
    places: dict[int, _Place] = {}
    for ids in make_batches(group_ids):
        if ids[0] < 1 or ids[-1] > MAX_ID:
            raise NotFoundError("group", ids[0] if ids[0] < 1 else ids[-1])
        lock_groups(session, ids)
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
    """Find the last position in each group that an image has or an open item reserved."""
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
    """Map those files that are in their group already: (group id, folded file id) → image id."""
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
    """Save the image numbers that were reserved."""
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
    """Queue the failed items of a job again; workers are woken after the commit.

    :param state: items in this state; use ``dismissals.retry_dismissed`` for dismissed ones.
    :param item_id: only this one.
    :return: the number of items.
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
        wake_after_commit(session, job_id, count)
    return count


def get_job(session: Session, job_id: int) -> ImportJob:
    """:raise NotFoundError: no such job."""
    job = session.get(ImportJob, job_id) if 0 < job_id <= MAX_ID else None
    if job is None:
        raise NotFoundError("import", job_id)
    return job


# --- Waking workers -------------------------------------------------------------------------------


def wake_after_commit(session: Session, job_id: int, item_count: int) -> None:
    """Wake workers for newly queued items when the session's transaction is committed."""
    session.info.setdefault(_TO_WAKE, Counter())[job_id] += item_count


def take_jobs_to_wake(session: Session) -> Mapping[int, int]:
    """Return and forget the jobs of :func:`wake_after_commit`: job id → item count."""
    noted: Counter[int] = session.info.pop(_TO_WAKE, Counter())
    return noted
