"""Create import jobs, retry their failed items, and wake workers for them.

A job is one request to import files, or to make the renditions of images again; an item is one
file of it. ``imports.process`` does the work.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import case, func, insert, select, true, update
from sqlalchemy.orm import Session

from imagehub import traces
from imagehub.clients.drive_ids import fold_id, list_all_spellings
from imagehub.database import (
    MAX_ID,
    count_rows,
    get_database_time,
    insert_rows,
    make_batches,
)
from imagehub.domain.library.groups import lock_groups
from imagehub.domain.library.order import SORT_STEP, make_first_sort_key
from imagehub.domain.library.search_index import add_to_search
from imagehub.errors import InvalidInputError, NotFoundError
from imagehub.logs import get_fact
from imagehub.messages import Message, mark
from imagehub.models import Group, Image, ImportItem, ImportJob

MAX_FILES = 200_000
OPEN_STATES = ("queued", "running")
# The state of failed items that a person dismissed.
DISMISSED = "left_out"
# Such items can be imported anyway.
MISMATCH_REASON = mark(
    "OneDrive sends a different file from the one it lists. You can import it anyway if it opens "
    "correctly in OneDrive."
)
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
    job = _add_job(session, account_id, user_id, now)
    chosen = [selection for selection in selections if selection.files]
    new = [selection for selection in chosen if selection.group is None]
    groups = [
        Group(title=s.folder_name[:300], folder_name=s.folder_name[:400], created_at=now)
        for s in new
    ]
    add_groups(session, groups)
    # Existing groups come first, by their ids, then new ones in list order.
    pairs = [(s.group, s) for s in chosen if s.group is not None]
    pairs.sort(key=lambda pair: pair[0])
    pairs += zip((group.id for group in groups), new, strict=True)
    places = _lock_places(session, sorted({group_id for group_id, _ in pairs}))
    known = _find_known(session, account_id, pairs)
    rows = [
        row
        for group_id, selection in pairs
        for row in _reserve(job.id, group_id, selection, places[group_id], known, now)
    ]
    _take_numbers(session, places)
    failed = {"state": "failed", "finished_at": now}
    inserted = insert_rows(session, ImportItem, rows, lambda reason: failed | {"reason": reason})
    job.item_count = len(inserted)
    queued_count = sum(row["state"] == "queued" for row in inserted)
    if queued_count:
        wake_after_commit(session, job.id, queued_count)
    else:
        job.state, job.finished_at = "finished", now
    session.flush()
    return job


def _add_job(session: Session, account_id: int, user_id: int | None, now: datetime) -> ImportJob:
    job = ImportJob(
        user_id=user_id,
        drive_account_id=account_id,
        origin=f"{get_fact('request_id')} {traces.get_context()}".rstrip(),
        created_at=now,
        last_activity_at=now,
    )
    session.add(job)
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
    if any(not file_id or len(file_id) > 255 for s in selections for file_id, _ in s.files):
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


def add_groups(session: Session, groups: Sequence[Group], is_first_on_top: bool = False) -> None:
    """Add new groups to the top of the gallery, by default the last of them first."""
    if not groups:
        return
    # Read once: it walks an index of all groups.
    key = make_first_sort_key(session)
    for at, group in enumerate(reversed(groups) if is_first_on_top else groups):
        group.sort_key = key + at * SORT_STEP
    session.add_all(groups)
    session.flush()
    for batch in make_batches(groups):
        add_to_search(session, [group.id for group in batch])


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
        query = select(Group.id, Group.next_image_number).where(
            Group.id.in_(ids), Group.state != "trash"
        )
        numbers = dict(session.execute(query).all())
        for group_id in ids:
            if group_id not in numbers:
                raise NotFoundError("group", group_id)
        last = _find_last_positions(session, ids)
        places |= {
            group_id: _Place(number, last[group_id] + 1) for group_id, number in numbers.items()
        }
    return places


def _find_last_positions(session: Session, group_ids: Sequence[int]) -> Counter[int]:
    """Find the last position in each group that an image has or an open item reserved."""
    last: Counter[int] = Counter()
    for one, condition in ((Image, true()), (ImportItem, ImportItem.state.in_(OPEN_STATES))):
        group_id: Any = one.group_id
        query = select(group_id, func.max(one.position)).where(group_id.in_(group_ids), condition)
        # The larger of both.
        last |= Counter(dict(session.execute(query.group_by(group_id)).all()))
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
    session: Session,
    job_id: int,
    state: str = "failed",
    item_id: int | None = None,
    accepts_mismatch: bool = False,
) -> int:
    """Queue the failed items of a job again; workers are woken after the commit.

    :param state: items in this state; use ``dismissals.retry_dismissed`` for dismissed ones.
    :param item_id: only this one.
    :param accepts_mismatch: only those that are not as OneDrive lists them, to import them anyway.
    :return: the number of items.
    :raise NotFoundError: no such job.
    """
    get_job(session, job_id)
    now = get_database_time(session)
    chosen = update(ImportItem).where(ImportItem.job_id == job_id, ImportItem.state == state)
    if item_id is not None:
        chosen = chosen.where(ImportItem.id == item_id)
    if accepts_mismatch:
        chosen = chosen.where(ImportItem.reason == MISMATCH_REASON)
        chosen = chosen.values(accepts_mismatch=True)
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


# --- Images whose originals changed ---------------------------------------------------------------


def take_new_versions(
    session: Session, image_ids: Iterable[int], user_id: int | None = None
) -> int:
    """Use the new versions of changed originals. Workers are woken after the commit.

    Images keep their ids, numbers, positions and texts. Old renditions are deleted when the new
    ones exist.

    :return: the number of images, without those that are being imported already.
    """
    jobs: dict[int, int] = {}
    return sum(add_remakes(session, ids, jobs, user_id) for ids in make_batches(image_ids))


@dataclass(frozen=True)
class NewOriginal:
    """A file that replaces the original of an image."""

    account_id: int
    item_id: str
    file_name: str
    folder_id: str
    folder_name: str


def add_remakes(
    session: Session,
    image_ids: Sequence[int],
    jobs: dict[int, int],
    user_id: int | None = None,
    files: Mapping[int, NewOriginal] | None = None,
) -> int:
    """Add import items that make the renditions of images again.

    Images that are being imported already, or have no original in OneDrive, are left out. Workers
    are woken after the commit.

    :param jobs: drive account id → job id to add to; new jobs are added to it.
    :param files: image id → the file to make them from; by default from the originals.
    :return: the number of items.
    """
    now = get_database_time(session)
    open_ids = session.scalars(
        select(ImportItem.image_id).where(
            ImportItem.image_id.in_(image_ids), ImportItem.state.in_(OPEN_STATES)
        )
    )
    wanted = sorted(set(image_ids) - set(open_ids))
    rows: list[dict[str, Any]] = []
    for image in session.scalars(select(Image).where(Image.id.in_(wanted)).order_by(Image.id)):
        file = (files or {}).get(image.id)
        if file is None and image.drive_account_id is not None:
            file = NewOriginal(
                image.drive_account_id,
                image.drive_item_id,
                image.name,
                image.folder_id,
                image.folder_name,
            )
        if file is None:
            continue
        account_id = file.account_id
        if account_id not in jobs:
            jobs[account_id] = _add_job(session, account_id, user_id, now).id
        rows.append(
            {
                "job_id": jobs[account_id],
                "group_id": image.group_id,
                "image_id": image.id,
                "drive_item_id": file.item_id,
                "file_name": file.file_name[:400],
                "folder_id": file.folder_id[:255],
                "folder_name": file.folder_name[:400],
                "number": image.number,
                "position": image.position,
                "available_at": now,
                "asked_at": now,
            }
        )
    if rows:
        session.execute(insert(ImportItem), rows)
    for job_id, count in sorted(Counter(row["job_id"] for row in rows).items()):
        # A worker may have finished the job already with its earlier items.
        session.execute(
            update(ImportJob)
            .where(ImportJob.id == job_id)
            .values(item_count=ImportJob.item_count + count, state="running", finished_at=None)
            .execution_options(synchronize_session=False)
        )
        wake_after_commit(session, job_id, count)
    return len(rows)


def resume_waiting(session: Session, account_id: int) -> int:
    """Let items that wait for access to an account be tried at once, as it was just connected.

    Those that wait for something else, such as a preview, go on waiting. Workers are woken after
    the commit.

    :return: the number of items.
    """
    now = get_database_time(session)
    is_waiting = (
        ImportItem.state == "queued",
        ImportItem.available_at > now,
        ImportItem.waits_for_access.is_(True),
    )
    jobs = session.execute(
        select(ImportItem.job_id, func.count())
        .join(ImportJob, ImportJob.id == ImportItem.job_id)
        .where(ImportJob.drive_account_id == account_id, ImportJob.state == "running", *is_waiting)
        .group_by(ImportItem.job_id)
        .order_by(ImportItem.job_id)
    ).all()
    for job_id, count in jobs:
        session.execute(
            update(ImportItem)
            .where(ImportItem.job_id == job_id, *is_waiting)
            .values(available_at=now, reason="", waits_for_access=False)
            .execution_options(synchronize_session=False)
        )
        wake_after_commit(session, job_id, count)
    return sum(count for _, count in jobs)


# --- Waking workers -------------------------------------------------------------------------------


def wake_after_commit(session: Session, job_id: int, item_count: int) -> None:
    """Wake workers for newly queued items when the session's transaction is committed."""
    session.info.setdefault(_TO_WAKE, Counter())[job_id] += item_count


def take_jobs_to_wake(session: Session) -> Mapping[int, int]:
    """Return and forget the jobs of :func:`wake_after_commit`: job id → item count."""
    noted: Counter[int] = session.info.pop(_TO_WAKE, Counter())
    return noted
