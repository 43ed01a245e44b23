"""Asking for checks of a drive, when one is due, and how it stands with originals.

A *check* (``domain.sync.check``) finds out what became of originals in OneDrive. Somebody asks for
one, or time passes, or the hub itself has changed something there: that, and how far a check came,
stands in ``drive_watch``, a row for each account.

The functions that say so commit on their own.
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, exists, func, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from imagehub.clients import Vault
from imagehub.clients.drive_ids import fold_id, list_spellings
from imagehub.database import count_rows, get_database_time, make_batches, run_in_own_transaction
from imagehub.domain.sync.folder_tree import is_from, iter_below
from imagehub.domain.sync.state import ASK, CHANGED, MISSING, NO_DOUBT, OUTSIDE
from imagehub.errors import ConnectionLostError
from imagehub.models import DriveAccount, DriveWatch, Image, Lease

# Several changes that an admin makes one after the other are looked at together.
_CHANGES_GATHER = timedelta(seconds=3)


@dataclass(frozen=True)
class WatchInfo:
    """What people are told. ``checked_at``: the last check that came to its end. ``is_asked``: one
    was asked for and has not come to its end. ``is_running``: a worker is at it just now.
    ``failure_count``: tries since then that failed."""

    checked_at: datetime | None = None
    is_asked: bool = False
    is_running: bool = False
    problem: str = ""
    failure_count: int = 0


@dataclass(frozen=True)
class StateCounts:
    """Images that are not as they were, those in the trash included."""

    changed: int = 0
    missing: int = 0
    outside: int = 0


# --- Asking for a check, and when one is due ------------------------------------------------------


def ask_for_check(session: Session, account_id: int, not_before: timedelta = timedelta(0)) -> None:
    """Have a worker check this account's drive now. Commits on its own.

    :param not_before: how long every process takes to learn of what the check is about.
    """
    ensure_watch(session, account_id)

    def ask(own: Session) -> None:
        now = get_database_time(own)
        own.execute(
            update(DriveWatch)
            .where(DriveWatch.drive_account_id == account_id)
            .values(asked_at=now, next_at=now + not_before if not_before else None)
        )

    run_in_own_transaction(session, ask)


def list_watched_accounts(session: Session) -> list[int]:
    """Connected accounts that images came from."""
    return list(
        session.scalars(
            select(DriveAccount.id)
            .where(
                DriveAccount.state == "connected",
                exists().where(Image.drive_account_id == DriveAccount.id),
            )
            .order_by(DriveAccount.id)
        )
    )


def doubt_images(session: Session, image_ids: Iterable[int]) -> int:
    """Have the next check ask for these images one by one. The caller commits."""
    return sum(
        count_rows(
            session,
            update(Image)
            .where(Image.id.in_(ids), Image.drive_doubt < ASK)
            .values(drive_doubt=ASK, updated_at=Image.updated_at),
        )
        for ids in make_batches(image_ids)
    )


def note_changes(
    session: Session, account_id: int, item_ids: Iterable[str], with_all_below: bool = False
) -> None:
    """The hub itself has changed these items in OneDrive: have a worker look soon at what that
    means for images, if it means anything. Commits on its own.

    The images are asked for by their ids, since the feed may be late. A look that is asked for
    already is left as it is, and so is the wait after one that failed.

    :param session: holds no uncommitted change.
    :param with_all_below: what is in folders has gone or come with them, as when they are deleted
        or brought back; a folder that moves or gets another name keeps it inside.
    """
    changed = {spelling for one in item_ids for spelling in list_spellings(one)}
    folders = {fold_id(one) for one in changed}

    def note(own: Session) -> bool:
        doubtful: set[int] = set()
        for ids in make_batches(sorted(changed)):
            query = select(Image.id).where(
                Image.drive_account_id == account_id, Image.drive_item_id.in_(ids)
            )
            doubtful |= set(own.scalars(query))
        if not with_all_below:
            # Their folder may have another name.
            is_about_some = own.scalar(select(exists().where(is_from(account_id, folders))))
        else:
            is_about_some = False
            for some in iter_below(own, account_id, folders):
                doubtful |= set(own.scalars(select(Image.id).where(is_from(account_id, some))))
        doubt_images(own, sorted(doubtful))
        return bool(doubtful) or bool(is_about_some)

    if not run_in_own_transaction(session, note):
        return
    ensure_watch(session, account_id)

    def ask(own: Session) -> None:
        now = get_database_time(own)
        this = DriveWatch.drive_account_id == account_id
        own.execute(
            update(DriveWatch)
            .where(
                this,
                DriveWatch.asked_at.is_(None),
                or_(DriveWatch.next_at.is_(None), DriveWatch.next_at <= now),
            )
            .values(next_at=now + _CHANGES_GATHER)
        )
        own.execute(update(DriveWatch).where(this).values(asked_at=now))

    run_in_own_transaction(session, ask)


def list_due_accounts(session: Session, interval_minutes: int) -> list[int]:
    """Connected accounts whose drives are to be checked now, the longest unchecked first.

    :param interval_minutes: 0 checks only what somebody asked for.
    """
    now = get_database_time(session)
    is_due: ColumnElement[bool] = DriveWatch.asked_at.is_not(None)
    if interval_minutes:
        is_due = or_(
            is_due,
            DriveWatch.checked_at.is_(None),
            DriveWatch.checked_at <= now - timedelta(minutes=interval_minutes),
        )
    return list(
        session.scalars(
            select(DriveAccount.id)
            .join(DriveWatch, DriveWatch.drive_account_id == DriveAccount.id, isouter=True)
            .where(
                DriveAccount.state == "connected",
                is_due,
                or_(DriveWatch.next_at.is_(None), DriveWatch.next_at <= now),
                exists().where(Image.drive_account_id == DriveAccount.id),
            )
            .order_by(DriveWatch.checked_at, DriveAccount.id)
        )
    )


def describe_watch(session: Session, account_id: int) -> WatchInfo:
    """How it stands with one account's drive."""
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


def count_states(session: Session) -> StateCounts:
    """By an index, which holds few rows of these."""
    counts = {
        state: session.scalar(
            select(func.count()).select_from(Image).where(Image.drive_state == state)
        )
        or 0
        for state in (CHANGED, MISSING, OUTSIDE)
    }
    return StateCounts(counts[CHANGED], counts[MISSING], counts[OUTSIDE])


def reseal_links(session: Session, vault: Vault) -> None:
    """Encrypt all links anew with the first of the keys. The caller commits.

    One that cannot be read is left alone; without its key the next check reads everything.
    """
    for watch in session.scalars(select(DriveWatch).where(DriveWatch.link != b"")):
        with suppress(ValueError):
            watch.link = vault.seal(vault.open(watch.link))


def note_import(session: Session, image: Image, since: datetime) -> None:
    """An image has come in whose original was looked at at ``since``. The caller commits.

    What changed between that moment and now may have been read already, when no image was there yet
    to write it to; then the next check asks. The watch's row orders this after, or before, a page.
    """
    advanced_at = session.scalar(
        select(DriveWatch.advanced_at)
        .where(DriveWatch.drive_account_id == image.drive_account_id)
        .with_for_update(read=True)
    )
    was_overtaken = advanced_at is not None and advanced_at >= since
    image.drive_doubt = ASK if was_overtaken else NO_DOUBT


# --- What an admin does about it ------------------------------------------------------------------


def list_images(
    session: Session,
    states: Sequence[str],
    group_ids: Sequence[int],
    numbers: Sequence[int] | None = None,
) -> list[int]:
    """Ids of the images in these groups that are in one of these states.

    :param numbers: only shots of these numbers.
    """
    found: list[int] = []
    for ids in make_batches(group_ids):
        query = select(Image.id).where(Image.group_id.in_(ids), Image.drive_state.in_(states))
        if numbers is not None:
            query = query.where(Image.number.in_(numbers))
        found += session.scalars(query.order_by(Image.id))
    return found


def check_again(session: Session, image_ids: Sequence[int]) -> None:
    """Have these images asked for by the next check, and that check made now.

    Commits on its own; the session must hold no uncommitted change.
    """

    def doubt(own: Session) -> set[int]:
        doubt_images(own, image_ids)
        accounts: set[int] = set()
        for ids in make_batches(image_ids):
            query = select(Image.drive_account_id).where(Image.id.in_(ids)).distinct()
            accounts |= set(own.scalars(query))
        return accounts

    for account_id in sorted(run_in_own_transaction(session, doubt)):
        ask_for_check(session, account_id)


# --- The row and the lease ------------------------------------------------------------------------


def get_lease_name(account_id: int) -> str:
    """The lease of whoever checks this account's drive just now."""
    return f"drive-watch:{account_id}"


def ensure_watch(session: Session, account_id: int) -> None:
    """Make sure that the account has its row. Commits on its own.

    :raise ConnectionLostError: there is no such account.
    """

    def ensure(own: Session) -> None:
        if own.get(DriveWatch, account_id) is None:
            own.add(DriveWatch(drive_account_id=account_id, is_full=True))

    try:
        run_in_own_transaction(session, ensure)
    except IntegrityError:
        if session.get(DriveAccount, account_id) is None:
            session.rollback()
            raise ConnectionLostError("OneDrive is not connected.") from None
        session.rollback()
