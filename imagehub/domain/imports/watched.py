"""Import the new files of watched folders, as the board of an import plan would propose.

The feed of changes tells in which folders something is new (``sync.watched_folders``). These are
listed, and a file that no row knows is *waiting* until it is settled: its size has not changed for
half a minute, and no other has arrived in its watched folder since then, so that shots of one work
come into one group. Then it is *known* for good, whatever becomes of its image.

No transaction is open while OneDrive is asked.
"""

import json
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, or_, select, update
from sqlalchemy.orm import Session

from imagehub.clients import Clients, Drive, DriveItem
from imagehub.clients.drive_ids import fold_id, list_all_spellings, list_spellings
from imagehub.database import count_rows, get_database_time, make_batches, own_transaction
from imagehub.domain.file_names import get_folder_title
from imagehub.domain.imports.plans import discard_plan, start_import
from imagehub.domain.imports.reading import Step, add_step
from imagehub.domain.leases import acquire_lease, make_owner, release_lease
from imagehub.domain.people import audit
from imagehub.domain.sync.folder_tree import FolderPlaces
from imagehub.domain.sync.watched_folders import (
    FOLDER,
    GONE,
    KNOWN,
    TREE,
    WAITING,
    find_known,
    forget_items,
    list_watches,
    may_list,
)
from imagehub.errors import ImageHubError, NotFoundError, ServiceBusyError
from imagehub.models import (
    DriveAccount,
    Group,
    Image,
    ImportItem,
    ImportJob,
    ImportPlan,
    ImportPlanFile,
    Series,
    WatchedFolder,
    WatchedItem,
)

log = logging.getLogger(__name__)

SETTLED_AFTER = timedelta(seconds=30)
# Files are not held back longer than this because others keep arriving.
_LONGEST_WAIT = timedelta(minutes=10)
_MOST_AT_ONCE = 1000
_LEASE_SECONDS = 600.0
# New drafts are shown on the first page for this long.
_NEWS_KEPT = timedelta(days=30)
# After a failure OneDrive is not asked again for this long.
_QUIET_SECONDS = 120.0


def list_due_accounts(session: Session) -> Sequence[int]:
    """List connected accounts with folders to be listed, or with files that may be settled.

    Nothing is imported from previous accounts.
    """
    settled = get_database_time(session) - SETTLED_AFTER
    is_due = or_(
        WatchedItem.state.in_((FOLDER, TREE)),
        (WatchedItem.state == WAITING) & (WatchedItem.seen_at <= settled),
    )
    rows = select(WatchedItem.drive_account_id).where(is_due).distinct()
    connected = select(DriveAccount.id).where(
        DriveAccount.state == "connected", DriveAccount.is_active
    )
    return session.scalars(connected.where(DriveAccount.id.in_(rows))).all()


def take_new_files(
    session: Session,
    clients: Clients,
    account_id: int,
    max_original_bytes: int,
    keep_on: Callable[[], bool] = lambda: True,
) -> Sequence[int]:
    """List the folders that are due, and import the files that are settled.

    :param session: holds no uncommitted change.
    :param keep_on: called between two requests; False leaves the rest for later.
    :return: ids of the new imports.
    """
    owner, lease = make_owner(), f"watched-folders:{account_id}"
    if not acquire_lease(session, lease, owner, _LEASE_SECONDS):
        return []
    try:
        with Session(session.get_bind(), expire_on_commit=False) as own:
            watches = list_watches(own, account_id)
            is_known = may_list(own, account_id)
        drive = clients.open_drive(account_id)
        if is_known:
            _list_folders(session, drive, account_id, watches, keep_on)
        jobs = _take_settled(session, drive, account_id, max_original_bytes, keep_on)
    except ImageHubError as error:
        log.warning("Watched folders of account %d: %s", account_id, error)
        acquire_lease(session, lease, owner, _QUIET_SECONDS)
        return []
    except BaseException:
        release_lease(session, lease, owner)
        raise
    release_lease(session, lease, owner)
    return jobs


# --- Listing --------------------------------------------------------------------------------------


def _list_folders(
    session: Session,
    drive: Drive,
    account_id: int,
    watches: Sequence[WatchedFolder],
    keep_on: Callable[[], bool],
) -> None:
    with Session(session.get_bind()) as own:
        rows = own.execute(
            select(WatchedItem.item_id, WatchedItem.state)
            .where(
                WatchedItem.drive_account_id == account_id, WatchedItem.state.in_((FOLDER, TREE))
            )
            .order_by(WatchedItem.found_at)
        ).all()
        places = {row.item_id: _find_watch(own, account_id, watches, row.item_id) for row in rows}
    for row in rows:
        watched = places[row.item_id]
        if not keep_on():
            return
        problem = ""
        files: list[DriveItem] = []
        if watched is not None:
            try:
                files = _list_files(drive, row.item_id, row.state == TREE, keep_on)
            except NotFoundError:
                problem = GONE
        watch_id = watched.id if watched is not None else None
        if keep_on():
            save_listing(session, account_id, row.item_id, watch_id, files, problem)


def _find_watch(
    session: Session, account_id: int, watches: Sequence[WatchedFolder], folder_id: str
) -> WatchedFolder | None:
    """Find the innermost watched folder that a folder is in, by the tree of the last check."""
    places = {one.id: FolderPlaces(session, account_id, fold_id(one.item_id)) for one in watches}
    around = [one for one in watches if places[one.id].lies_inside(fold_id(folder_id))]

    def count_around(watched: WatchedFolder) -> int:
        return sum(places[one.id].lies_inside(fold_id(watched.item_id)) for one in around)

    return max(around, key=count_around, default=None)


def _list_files(
    drive: Drive, folder_id: str, with_all_below: bool, keep_on: Callable[[], bool]
) -> list[DriveItem]:
    files: list[DriveItem] = []
    waiting = [folder_id]
    while waiting and keep_on():
        for item in drive.iter_children(waiting.pop(0)):
            if not item.is_folder:
                files.append(item)
            elif with_all_below and not item.is_package:
                waiting.append(item.id)
    return files


@own_transaction
def save_listing(
    session: Session,
    account_id: int,
    folder_id: str,
    watch_id: int | None,
    files: Sequence[DriveItem],
    problem: str,
) -> None:
    """Save the files of a folder that were not known.

    :param watch_id: the watched folder that it is in; None if it is in none.
    :param problem: why it could not be listed.
    """
    watched = session.get(WatchedFolder, watch_id) if watch_id is not None else None
    forget_items(session, account_id, [folder_id])
    if watched is None:
        return
    is_first = fold_id(watched.item_id) == fold_id(folder_id) and not watched.is_ready
    now = get_database_time(session)
    known = find_known(session, account_id, (item.id for item in files))
    known |= _find_in_hub(session, account_id, [item.id for item in files])
    for item in files:
        # An empty file is still to be written, and will be mentioned again.
        if fold_id(item.id) in known or not item.size_bytes:
            continue
        known.add(fold_id(item.id))
        was_there = is_first and not _is_newer(item, watched.created_at)
        session.add(
            WatchedItem(
                drive_account_id=account_id,
                item_id=item.id,
                state=KNOWN if was_there else WAITING,
                size_bytes=item.size_bytes,
                etag=item.etag[:255],
                found_at=now,
                seen_at=now,
            )
        )
    if is_first and not problem:
        watched.is_ready = True
    if fold_id(watched.item_id) == fold_id(folder_id):
        watched.problem = problem


def _is_newer(item: DriveItem, moment: datetime) -> bool:
    """Tell whether OneDrive got a file after a moment."""
    try:
        return datetime.fromisoformat(item.created_time) > moment
    except (ValueError, TypeError):
        return False


def _find_in_hub(session: Session, account_id: int, item_ids: Sequence[str]) -> set[str]:
    """Return the folded ids of files that have an image, also in the trash, or were imported.

    An import that failed or was dismissed counts too.
    """
    found: set[str] = set()
    for ids in make_batches(list_all_spellings(item_ids)):
        images = select(Image.drive_item_id).where(
            Image.drive_account_id == account_id, Image.drive_item_id.in_(ids)
        )
        items = (
            select(ImportItem.drive_item_id)
            .join(ImportJob, ImportJob.id == ImportItem.job_id)
            .where(ImportJob.drive_account_id == account_id, ImportItem.drive_item_id.in_(ids))
        )
        found.update(map(fold_id, session.scalars(images)))
        found.update(map(fold_id, session.scalars(items)))
    return found


# --- Importing ------------------------------------------------------------------------------------


def _take_settled(
    session: Session,
    drive: Drive,
    account_id: int,
    max_original_bytes: int,
    keep_on: Callable[[], bool],
) -> list[int]:
    rows = _list_settled(session, account_id)
    if not rows or not keep_on():
        return []
    answers = dict(zip(rows, drive.find_items(list(rows)), strict=True))
    busy = [one.error for one in answers.values() if isinstance(one.error, ServiceBusyError)]
    if busy:
        raise busy[0]
    items = {item_id: one.item for item_id, one in answers.items() if one.error is None}
    settled = keep_settled(session, account_id, items)
    if not settled:
        return []
    parents = list(dict.fromkeys(item.parent_id for item in settled))
    found = zip(parents, drive.find_items(parents), strict=True)
    names = {parent: get_folder_title(one.item) if one.item else "" for parent, one in found}
    files = [(item, item.parent_id, names[item.parent_id]) for item in settled]
    return list(import_files(session, account_id, files, max_original_bytes))


def _list_settled(session: Session, account_id: int) -> dict[str, None]:
    """List the ids of files that waited long enough, in the order in which they were found."""
    with Session(session.get_bind()) as own:
        waiting = (WatchedItem.drive_account_id == account_id, WatchedItem.state == WAITING)
        last, first = own.execute(
            select(func.max(WatchedItem.seen_at), func.min(WatchedItem.found_at)).where(*waiting)
        ).one()
        now = get_database_time(own)
        if last is None or (last > now - SETTLED_AFTER and first > now - _LONGEST_WAIT):
            return {}
        is_old = WatchedItem.seen_at <= now - SETTLED_AFTER
        rows = select(WatchedItem.item_id).where(*waiting, is_old)
        rows = rows.order_by(WatchedItem.found_at, WatchedItem.item_id).limit(_MOST_AT_ONCE)
        return dict.fromkeys(own.scalars(rows))


@own_transaction
def keep_settled(
    session: Session, account_id: int, items: dict[str, DriveItem | None]
) -> list[DriveItem]:
    """Compare files with how they were when they were last seen; return the settled ones.

    :param items: id of a waiting file → the file as it is now; None if it is gone.
    """
    settled: list[DriveItem] = []
    now = get_database_time(session)
    for item_id, item in items.items():
        row = session.get(WatchedItem, (account_id, item_id))
        if row is None or row.state != WAITING:
            continue
        if item is None or item.is_folder:
            session.delete(row)
        elif (row.size_bytes, row.etag) != (item.size_bytes, item.etag[:255]):
            row.size_bytes, row.etag, row.seen_at = item.size_bytes, item.etag[:255], now
        else:
            settled.append(item)
    return settled


@own_transaction
def import_files(
    session: Session,
    account_id: int,
    files: Sequence[tuple[DriveItem, str, str]],
    max_original_bytes: int,
) -> list[int]:
    """Import settled files, one import for each watched folder, and remember them as known.

    :param files: (file, folder id, folder name).
    :return: ids of the imports; a folder whose files cannot be imported has none.
    """
    watches = list_watches(session, account_id)
    around = {
        folder_id: _find_watch(session, account_id, watches, folder_id)
        for folder_id in {folder_id for _, folder_id, _ in files}
    }
    done = _find_in_hub(session, account_id, [item.id for item, *_ in files])
    _set_known(session, account_id, (item.id for item, *_ in files), None)
    lists: dict[int, list[tuple[DriveItem, str, str]]] = defaultdict(list)
    for file in files:
        watched = around[file[1]]
        if watched is None:
            # It was moved away. If it comes back, it is new again.
            forget_items(session, account_id, list_spellings(file[0].id))
        elif fold_id(file[0].id) not in done:
            lists[watched.id].append(file)
    by_id = {one.id: one for one in watches}
    jobs = []
    for watch_id, some in lists.items():
        job = _import_folder(session, by_id[watch_id], some, max_original_bytes)
        if job is not None:
            _set_known(session, account_id, (item.id for item, *_ in some), job.id)
            jobs.append(job.id)
    return jobs


def _set_known(
    session: Session, account_id: int, item_ids: Iterable[str], job_id: int | None
) -> None:
    now = get_database_time(session)
    for ids in make_batches(list_all_spellings(item_ids)):
        these = update(WatchedItem).where(
            WatchedItem.drive_account_id == account_id, WatchedItem.item_id.in_(ids)
        )
        count_rows(session, these.values(state=KNOWN, seen_at=now, job_id=job_id))


def _import_folder(
    session: Session,
    watched: WatchedFolder,
    files: list[tuple[DriveItem, str, str]],
    max_original_bytes: int,
) -> ImportJob | None:
    entry = {"folder": watched.item_id, "page": ""}
    plan = ImportPlan(
        user_id=watched.user_id,
        drive_account_id=watched.drive_account_id,
        waiting=json.dumps([entry]),
        way=watched.way,
        created_at=get_database_time(session),
    )
    session.add(plan)
    session.flush()
    add_step(session, plan.id, entry, Step(files=files), max_original_bytes)
    chosen = select(func.count()).where(
        ImportPlanFile.plan_id == plan.id, ImportPlanFile.is_chosen.is_(True)
    )
    count = session.scalar(chosen) or 0
    if not count:
        discard_plan(session, plan)
        return None
    # A series that was deleted since is no reason to leave files out.
    series = session.get(Series, watched.series_id) if watched.series_id else None
    plan.series_id = series.id if series and series.state != "trash" else None
    job = start_import(session, plan, watched.user_id, watched.is_published)
    facts: dict[str, Any] = {"name": watched.path, "count": count}
    audit.record(session, None, "import_watched", job.id, **facts)
    log.info("Importing %d new files of watched folder %d", count, watched.id)
    return job


# --- For the first page ---------------------------------------------------------------------------


def count_new_drafts(session: Session, at_most: int) -> int:
    """Count the drafts that came from watched folders in the last month, up to a limit."""
    since = get_database_time(session) - _NEWS_KEPT
    jobs = select(WatchedItem.job_id).where(
        WatchedItem.state == KNOWN, WatchedItem.seen_at > since, WatchedItem.job_id.is_not(None)
    )
    drafts = (
        select(Group.id)
        .join(ImportItem, ImportItem.group_id == Group.id)
        .where(ImportItem.job_id.in_(jobs), Group.state == "draft", Group.image_count > 0)
        .distinct()
        .limit(at_most)
        .subquery()
    )
    return session.scalar(select(func.count()).select_from(drafts)) or 0
