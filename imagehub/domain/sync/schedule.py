"""Request checks of a drive, tell when one is due, and describe the state of originals.

A *check* (``domain.sync.check``) finds out what happened to originals in OneDrive. A check is due
when a person requests it, after an interval, when OneDrive notified the hub of a change, or after
ImageHub itself changed something in OneDrive. Requests and progress are stored in ``drive_watch``,
one row for each account.
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, exists, func, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from imagehub.clients.drive_ids import fold_id, list_spellings
from imagehub.database import count_rows, get_database_time, make_batches, own_transaction
from imagehub.domain.sync.folder_tree import is_from, iter_below
from imagehub.domain.sync.state import ASK, NO_DOUBT
from imagehub.errors import ConnectionLostError
from imagehub.models import DriveAccount, DriveSubscription, DriveWatch, Image, Lease, WatchedFolder

# Notifications lead to one check in this time at most.
_NOTIFIED_INTERVAL = timedelta(seconds=5)
# Changes that an admin makes one after the other are checked together.
_CHANGES_GATHER = timedelta(seconds=3)


@dataclass(frozen=True)
class WatchInfo:
    """The state of an account's checks.

    ``checked_at``: the end of the last complete check. ``is_asked``: a check is requested and not
    complete. ``is_running``: a worker is checking now. ``problem``, ``failure_count``: why checks
    have failed since then, and how many.
    """

    checked_at: datetime | None = None
    is_asked: bool = False
    is_running: bool = False
    problem: str = ""
    failure_count: int = 0


# --- Requesting a check ---------------------------------------------------------------------------


def ask_for_check(session: Session, account_id: int, not_before: timedelta = timedelta(0)) -> None:
    """Request a check of this account's drive. The caller commits.

    :param not_before: how long other processes take to learn of the change to check.
    :raise ConnectionLostError: there is no such account.
    """
    ensure_watch(session, account_id)
    now = get_database_time(session)
    session.execute(
        update(DriveWatch)
        .where(DriveWatch.drive_account_id == account_id)
        .values(asked_at=now, next_at=now + not_before if not_before else None)
    )


def list_watched_accounts(session: Session) -> list[int]:
    """List connected accounts with images or watched folders."""
    return list(session.scalars(_select_watched().order_by(DriveAccount.id)))


def _select_watched() -> Select[int]:
    return select(DriveAccount.id).where(
        DriveAccount.state == "connected", is_watched(DriveAccount.id)
    )


def is_watched(account_id: Any) -> ColumnElement[bool]:
    """Make the condition that an account has images or watched folders.

    :param account_id: an id or a column.
    """
    has_images = exists().where(Image.drive_account_id == account_id)
    return or_(has_images, exists().where(WatchedFolder.drive_account_id == account_id))


def doubt_images(session: Session, image_ids: Iterable[int]) -> None:
    """Have the next check ask OneDrive about these images. The caller commits."""
    for ids in make_batches(image_ids):
        set_doubt(session, ASK, Image.id.in_(ids), Image.drive_doubt < ASK)


def set_doubt(session: Session, doubt: int, *conditions: ColumnElement[bool]) -> None:
    """Set what the next check has to find out about images. The caller commits.

    :param doubt: ``PLACE``, ``ASK`` … of ``domain.sync.state``.
    """
    doubted = update(Image).where(*conditions)
    count_rows(session, doubted.values(drive_doubt=doubt, updated_at=Image.updated_at))


@own_transaction
def note_changes(
    session: Session, account_id: int, item_ids: Iterable[str], with_all_below: bool = False
) -> None:
    """Request a check after ImageHub changed items in OneDrive, if images use them.

    OneDrive is asked about the images by id, since its list of changes may be late. A check that is
    requested already stays as it is, and so does the wait after one that failed.

    :param with_all_below: the items in folders are affected too, as when they are deleted or
        restored; a folder that is moved or renamed keeps them.
    """
    changed = {spelling for one in item_ids for spelling in list_spellings(one)}
    folders = {fold_id(one) for one in changed}
    doubtful: set[int] = set()
    of_account = select(Image.id).where(Image.drive_account_id == account_id)
    for ids in make_batches(sorted(changed)):
        doubtful.update(session.scalars(of_account.where(Image.drive_item_id.in_(ids))))
    has_folder = False
    if with_all_below:
        for some in iter_below(session, account_id, folders):
            doubtful.update(session.scalars(select(Image.id).where(is_from(account_id, some))))
    else:
        # Their folder may have another name now.
        has_folder = bool(session.scalar(select(exists().where(is_from(account_id, folders)))))
    if not doubtful and not has_folder:
        return
    # The row before the images, in the order in which a check locks them.
    ensure_watch(session, account_id)
    now = get_database_time(session)
    this = update(DriveWatch).where(DriveWatch.drive_account_id == account_id)
    may_start = or_(DriveWatch.next_at.is_(None), DriveWatch.next_at <= now)
    is_new = this.where(DriveWatch.asked_at.is_(None), may_start)
    session.execute(is_new.values(next_at=now + _CHANGES_GATHER))
    session.execute(this.values(asked_at=now))
    doubt_images(session, sorted(doubtful))


# --- When a check is due --------------------------------------------------------------------------


def list_due_accounts(session: Session, interval_minutes: int) -> list[int]:
    """List connected accounts with a due check, the longest unchecked first.

    :param interval_minutes: 0 for requested checks only.
    """
    now = get_database_time(session)
    notified_at, tried_at = DriveSubscription.notified_at, DriveWatch.tried_at
    is_due = or_(
        DriveWatch.asked_at.is_not(None),
        notified_at.is_not(None) & tried_at.is_(None),
        (notified_at > tried_at) & (tried_at <= now - _NOTIFIED_INTERVAL),
    )
    if interval_minutes:
        is_due = or_(
            is_due,
            DriveWatch.checked_at.is_(None),
            DriveWatch.checked_at <= now - timedelta(minutes=interval_minutes),
        )
    return list(
        session.scalars(
            _select_watched()
            .outerjoin(DriveWatch, DriveWatch.drive_account_id == DriveAccount.id)
            .outerjoin(DriveSubscription, DriveSubscription.drive_account_id == DriveAccount.id)
            .where(is_due, or_(DriveWatch.next_at.is_(None), DriveWatch.next_at <= now))
            .order_by(DriveWatch.checked_at, DriveAccount.id)
        )
    )


def describe_watch(session: Session, account_id: int) -> WatchInfo:
    """Describe the state of one account's checks."""
    watch = session.get(DriveWatch, account_id, populate_existing=True)
    if watch is None:
        return WatchInfo()
    held = session.scalar(select(Lease.held_until).where(Lease.name == get_lease_name(account_id)))
    return WatchInfo(
        checked_at=watch.checked_at,
        is_asked=watch.asked_at is not None,
        is_running=held is not None and held > get_database_time(session),
        problem=watch.problem,
        failure_count=watch.failure_count,
    )


def count_originals(session: Session, state: str) -> int:
    """Count the originals in a state, with the trash, by an index that holds few such rows."""
    images = select(func.count()).select_from(Image)
    return session.scalar(images.where(Image.drive_state == state)) or 0


def note_import(session: Session, image: Image, since: datetime) -> None:
    """Note that an image was imported from its original as it was at ``since``.

    A check may have read a later change already, while there was no image to write it to. In that
    case the next check asks OneDrive about the image. The lock on the watch's row puts this before
    or after each page of a check. The caller commits.
    """
    advanced_at = session.scalar(
        select(DriveWatch.advanced_at)
        .where(DriveWatch.drive_account_id == image.drive_account_id)
        .with_for_update(read=True)
    )
    was_overtaken = advanced_at is not None and advanced_at >= since
    image.drive_doubt = ASK if was_overtaken else NO_DOUBT


# --- Originals that need attention ----------------------------------------------------------------


def list_images(
    session: Session,
    states: Sequence[str],
    group_ids: Sequence[int],
    numbers: Sequence[int] | None = None,
) -> list[int]:
    """List ids of these groups' images whose originals are in one of these states.

    :param numbers: only shots with these numbers.
    """
    found: list[int] = []
    for ids in make_batches(group_ids):
        query = select(Image.id).where(Image.group_id.in_(ids), Image.drive_state.in_(states))
        if numbers is not None:
            query = query.where(Image.number.in_(numbers))
        found += session.scalars(query.order_by(Image.id))
    return found


def check_again(session: Session, image_ids: Sequence[int]) -> None:
    """Request a check that asks OneDrive about these images. The caller commits."""
    accounts: set[int] = set()
    for ids in make_batches(image_ids):
        found = session.scalars(select(Image.drive_account_id).where(Image.id.in_(ids)))
        accounts.update(account_id for account_id in found if account_id is not None)
    for account_id in sorted(accounts):
        ask_for_check(session, account_id)
    doubt_images(session, image_ids)


# --- The row and the lease ------------------------------------------------------------------------


def get_lease_name(account_id: int) -> str:
    """Name the lease of the worker that checks this account's drive."""
    return f"drive-watch:{account_id}"


def ensure_watch(session: Session, account_id: int) -> None:
    """Create the account's row if it is missing. The caller commits.

    :raise ConnectionLostError: there is no such account.
    """
    if session.get(DriveWatch, account_id) is not None:
        return
    if session.get(DriveAccount, account_id) is None:
        raise ConnectionLostError("OneDrive is not connected.")
    # Another worker may create it at the same time.
    with suppress(IntegrityError), session.begin_nested():
        session.add(DriveWatch(drive_account_id=account_id, is_full=True))
