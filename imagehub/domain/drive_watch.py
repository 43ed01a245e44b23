"""Noticing what becomes of originals in OneDrive: changed, moved out, deleted, back again.

A *check* reads what changed in a drive since the last one (everything, the first time and when the
service has forgotten), and writes each image's ``drive_state``. It goes in steps, each of which can
be interrupted and taken up again by any worker, because how far it came stands in ``drive_watch``:

``mark``    before everything is read: all images are in doubt until they are seen.
``read``    page by page. What the feed says of a file counts: its content is compared with what was
            listed when the renditions were made. Folders are kept as a tree, since a folder that is
            moved or deleted need not name what is in it.
``places``  images whose place may have changed are looked up in that tree.
``ask``     whatever is still in doubt is asked for by its id. Nothing is called missing because it
            was not heard of.

The feed tells of the whole drive, also of what lies outside the root folder. Of an original out
there nothing is kept but that, and the id of its folder, to know when it is back: its new name is
taken only once it is sure to lie inside.

No transaction is open while OneDrive is asked. The functions that say so commit on their own.

Source: Microsoft Graph v1.0, "driveItem: delta" and "Scan guidance": the feed tells the latest
state of each item, in no particular order, the last mention counts, and what changed is not told.
"""

import logging
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, delete, exists, func, or_, select, true, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from imagehub.clients import ChangePage, Clients, Drive, DriveItem, ItemAnswer, Vault
from imagehub.clients.drive_ids import fold_drive_id, fold_id, is_same_id, list_spellings
from imagehub.database import run_in_own_transaction
from imagehub.domain.importing import add_remakes, lock_group
from imagehub.domain.leases import (
    acquire_lease,
    get_database_time,
    make_owner,
    release_lease,
)
from imagehub.domain.search_index import refresh_search
from imagehub.domain.storage import count_rows, make_batches
from imagehub.errors import (
    ConflictError,
    ConnectionLostError,
    ImageHubError,
    NotFoundError,
    ServiceBusyError,
    ServiceRefusedError,
)
from imagehub.models import DriveAccount, DriveFolder, DriveWatch, Image, Lease

log = logging.getLogger("imagehub.drive_watch")

# ``outside``: it is in OneDrive, but not inside the root folder.
OK, CHANGED, MISSING, OUTSIDE = "ok", "changed", "missing", "outside"
# Full images that cannot be opened.
AWAY = (MISSING, OUTSIDE)

# What is to be found out about an image.
NO_DOUBT = 0
PLACE = 1  # whether its folder still lies inside the root folder
ASK = 2  # whether it is there at all, and where
FOLLOW = 3  # the same, and the name of the folder that it has come into

# Longer than the slowest call may take together with its waiting; renewed with every write.
LEASE_SECONDS = 180.0
# After a failure the next try waits 1, 2, 4 … minutes, and no longer than this.
LONGEST_DELAY = timedelta(minutes=30)
# Several changes that an admin makes one after the other are looked at together.
_CHANGES_GATHER = timedelta(seconds=3)

_MARK_BATCH = 1000
_PLACE_BATCH = 500
_ASK_BATCH = 20
_MAX_DEPTH = 200
_MAX_RESTARTS = 2


class _LeaseLostError(Exception):
    """Another worker has taken the check up."""


class _InterruptedError(Exception):
    """The worker is to stop; the check goes on where it was."""


@dataclass(frozen=True)
class CheckReport:
    """What came of a check. ``problem`` is a sentence where it failed; ``is_done``: to the end."""

    is_done: bool = False
    problem: str = ""
    item_count: int = 0
    was_full: bool = False


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
    _ensure_watch(session, account_id)

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
            is_about_some = own.scalar(select(exists().where(_lies_in(account_id, folders))))
        else:
            is_about_some = False
            for some in _iter_below(own, account_id, folders):
                doubtful |= set(own.scalars(select(Image.id).where(_lies_in(account_id, some))))
        doubt_images(own, sorted(doubtful))
        return bool(doubtful) or bool(is_about_some)

    if not run_in_own_transaction(session, note):
        return
    _ensure_watch(session, account_id)

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


def _lies_in(account_id: int, folder_ids: Iterable[str]) -> ColumnElement[bool]:
    """That an image comes from one of these folders, whose ids are folded."""
    spelt = [spelling for one in folder_ids for spelling in list_spellings(one)]
    return (Image.drive_account_id == account_id) & Image.folder_id.in_(spelt)


def _iter_below(
    own: Session, account_id: int, folder_ids: Iterable[str]
) -> Iterable[Sequence[str]]:
    """These folders and all that the tree has below them, at most a hundred at a time."""
    seen: set[str] = set()
    frontier = sorted(set(folder_ids))
    while frontier:
        seen.update(frontier)
        following: set[str] = set()
        for ids in make_batches(frontier, 100):
            yield ids
            following |= set(
                own.scalars(
                    select(DriveFolder.item_id).where(
                        DriveFolder.drive_account_id == account_id, DriveFolder.parent_id.in_(ids)
                    )
                )
            )
        frontier = sorted(following - seen)


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
    held = session.scalar(select(Lease.held_until).where(Lease.name == _name(account_id)))
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


def take_new_versions(
    session: Session, image_ids: Iterable[int], user_id: int | None = None
) -> tuple[int, list[int]]:
    """Have the renditions of changed images made again from what lies in OneDrive now.

    Ids, numbers, places and words stay; what the old renditions took is freed when the new ones are
    there. The caller commits, and then calls ``queue.enqueue_job`` for each job.

    :return: how many images that are, without those in work already; and the jobs.
    """
    jobs: dict[int, int] = {}
    count = sum(add_remakes(session, ids, jobs, user_id) for ids in make_batches(image_ids))
    return count, sorted(jobs.values())


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


# --- One check ------------------------------------------------------------------------------------


def check_drive(
    session: Session,
    clients: Clients,
    account_id: int,
    keep_on: Callable[[], bool] = lambda: True,
) -> CheckReport | None:
    """Check one account's drive, or go on with a check that was interrupted. Commits on its own.

    :param session: holds no uncommitted change.
    :param keep_on: asked between two steps; False leaves the rest for later.
    :return: None where another worker is at it.
    """
    owner = make_owner()
    if not acquire_lease(session, _name(account_id), owner, LEASE_SECONDS):
        return None
    check = _Check(session, clients, account_id, owner, keep_on)
    try:
        check.run()
    except _InterruptedError:
        return CheckReport(False, "", check.item_count, check.was_full)
    except _LeaseLostError:
        log.warning("The check of account %d was taken up by another worker", account_id)
        return None
    except ImageHubError as error:
        log.warning("The check of account %d failed: %s", account_id, error)
        problem = _explain(error)
        check.note_failure(problem, error)
        return CheckReport(False, problem, check.item_count, check.was_full)
    except Exception:
        # Whatever it is, it must not be tried again every few seconds.
        check.note_failure("Something went wrong here while OneDrive was looked through.")
        raise
    finally:
        session.rollback()
        release_lease(session, _name(account_id), owner)
    return CheckReport(True, "", check.item_count, check.was_full)


def _explain(error: ImageHubError) -> str:
    if isinstance(error, NotFoundError):
        return "The root folder cannot be found in OneDrive, so nothing was looked through."
    return str(error)


class _Check:
    """One worker's hold on one account's check."""

    def __init__(
        self,
        session: Session,
        clients: Clients,
        account_id: int,
        owner: str,
        keep_on: Callable[[], bool],
    ) -> None:
        assert clients.vault is not None
        self._session = session
        self._clients = clients
        self._vault = clients.vault
        self._account_id = account_id
        self._owner = owner
        self._keep_on = keep_on
        self._root_id = ""
        self._renewed_at = time.monotonic()
        self.item_count = 0
        self.was_full = False

    def run(self) -> None:
        """All steps that are left; see the module."""
        _ensure_watch(self._session, self._account_id)
        started_at = self._write(lambda own: self._note_try(own))
        if not self._has_images():
            self._finish(started_at)
            return
        self._check_is_connected()
        drive = self._clients.open_drive(self._account_id)
        self._prepare(drive)
        restarts = 0
        while (step := self._begin_or_go_on()) != "ask":
            if step == "mark":
                restarts += 1
                if restarts > _MAX_RESTARTS:
                    raise ServiceRefusedError(
                        "OneDrive", "read what changed", "bad_answer",
                        "OneDrive began to tell everything anew again and again.",
                    )  # fmt: skip
                self._mark_all(ASK)
                self._set_step("read")
            elif step == "read":
                self._read_pages(drive)
            else:
                self._find_places()
                self._set_step("ask")
        self._ask_for_doubtful(drive)
        self._finish(started_at)

    # --- The row ----------------------------------------------------------------------------------

    def _write(self, work: Callable[[Session], Any]) -> Any:
        """Do ``work`` in a transaction of its own in which the lease is surely ours."""

        def do(own: Session) -> Any:
            until = get_database_time(own) + timedelta(seconds=LEASE_SECONDS)
            if not count_rows(
                own,
                update(Lease)
                .where(Lease.name == _name(self._account_id), Lease.owner == self._owner)
                .values(held_until=until),
            ):
                raise _LeaseLostError
            return work(own)

        self._renewed_at = time.monotonic()
        return run_in_own_transaction(self._session, do)

    def _renew(self) -> None:
        """Hold on to the lease between two writes that are far apart."""
        if time.monotonic() - self._renewed_at > LEASE_SECONDS / 6:
            self._write(lambda own: None)

    def _update(self, own: Session, **values: Any) -> None:
        own.execute(
            update(DriveWatch)
            .where(DriveWatch.drive_account_id == self._account_id)
            .values(**values)
            .execution_options(synchronize_session=False)
        )

    def _get_watch(self) -> DriveWatch:
        return run_in_own_transaction(
            self._session, lambda own: own.get_one(DriveWatch, self._account_id)
        )

    def _set_step(self, step: str) -> None:
        self._write(lambda own: self._update(own, step=step))

    def _note_try(self, own: Session) -> datetime:
        now = get_database_time(own)
        self._update(own, tried_at=now)
        return now

    def _finish(self, started_at: datetime) -> None:
        def finish(own: Session) -> None:
            now = get_database_time(own)
            self._update(
                own,
                step="",
                is_full=False,
                checked_at=now,
                next_at=None,
                failure_count=0,
                problem="",
            )
            # What was asked for meanwhile may be about something that was read before.
            own.execute(
                update(DriveWatch)
                .where(
                    DriveWatch.drive_account_id == self._account_id,
                    DriveWatch.asked_at <= started_at,
                )
                .values(asked_at=None)
                .execution_options(synchronize_session=False)
            )

        self._write(finish)

    def note_failure(self, problem: str, error: ImageHubError | None = None) -> None:
        """Remember why it failed, and when to try again. What was asked for stays asked for."""

        def note(own: Session) -> None:
            watch = own.get_one(DriveWatch, self._account_id)
            delay = min(LONGEST_DELAY, timedelta(minutes=2 ** min(watch.failure_count, 10)))
            if isinstance(error, ServiceBusyError):
                delay = max(delay, timedelta(seconds=error.retry_after_seconds))
            elif isinstance(error, ConnectionLostError):
                # Nobody tries while it is lost, and then it should not take half an hour.
                delay = timedelta(minutes=1)
            watch.failure_count += 1
            watch.problem = problem[:500]
            watch.next_at = get_database_time(own) + delay

        try:
            self._write(note)
        except _LeaseLostError:
            log.warning("The check of account %d was taken up meanwhile", self._account_id)

    def _check_is_connected(self) -> None:
        """:raise ConnectionLostError: a person has to sign in again."""
        account = run_in_own_transaction(
            self._session, lambda own: own.get(DriveAccount, self._account_id)
        )
        if account is None or account.state != "connected":
            reason = account.state_reason if account is not None else ""
            raise ConnectionLostError(reason or "OneDrive must be connected again.")

    def _has_images(self) -> bool:
        return bool(
            run_in_own_transaction(
                self._session,
                lambda own: own.scalar(
                    select(exists().where(Image.drive_account_id == self._account_id))
                ),
            )
        )

    # --- Beginning --------------------------------------------------------------------------------

    def _prepare(self, drive: Drive) -> None:
        """Make sure that this is the drive that was watched, and that its root folder is there.

        :raise NotFoundError: the root folder is not, and then everything in it would seem missing.
        :raise ConflictError: the account has another drive now.
        """
        info, root = drive.get_drive(), drive.get_root()
        self._root_id = fold_id(root.id)
        watch = self._get_watch()
        if watch.drive_id and fold_drive_id(watch.drive_id) != fold_drive_id(info.id):
            raise ConflictError(
                "This account has another OneDrive now than the one that was looked through before."
            )
        if watch.root_id and not is_same_id(watch.root_id, root.id):
            # What was inside may be outside now, and the other way round.
            self._mark_all(PLACE)
        if (watch.drive_id, watch.root_id) != (info.id, root.id):
            self._write(lambda own: self._update(own, drive_id=info.id, root_id=root.id))

    def _begin_or_go_on(self) -> str:
        """The step to be done next."""
        self._pause()
        watch = self._get_watch()
        self.was_full = watch.is_full
        link = self._open_link(watch)
        is_lost = bool(watch.link) and not link
        if watch.step and not is_lost:
            return watch.step
        if link:
            self._write(lambda own: self._update(own, step="read", is_full=False))
            return "read"
        self._write(lambda own: self._start_anew(own, ""))
        return "mark"

    def _start_anew(self, own: Session, link: str) -> None:
        self._update(
            own,
            link=self._vault.seal(link) if link else b"",
            is_full=True,
            run_number=DriveWatch.run_number + 1,
            step="mark",
        )

    def _open_link(self, watch: DriveWatch) -> str:
        """Where to read on; "" from the start."""
        if not watch.link:
            return ""
        try:
            return self._vault.open(watch.link)
        except ValueError:
            # Sealed with a key that is no longer among ours.
            return ""

    def _mark_all(self, doubt: int) -> None:
        """Put every image of the account in doubt; those that are away are asked for anyway."""
        for ids in self._iter_images(_MARK_BATCH, Image.drive_doubt < doubt):
            self._write(
                lambda own, ids=ids: count_rows(  # type: ignore[misc]
                    own,
                    update(Image)
                    .where(Image.id.in_(ids), Image.drive_doubt < doubt)
                    .values(drive_doubt=doubt, updated_at=Image.updated_at),
                )
            )
        for ids in self._iter_images(_MARK_BATCH, Image.drive_state.in_(AWAY)):
            self._write(lambda own, ids=ids: doubt_images(own, ids))  # type: ignore[misc]

    def _iter_images(self, size: int, condition: Any) -> Iterable[list[int]]:
        """Ids of this account's images, batch by batch."""
        last = 0
        while True:
            self._pause()
            query = (
                select(Image.id)
                .where(Image.drive_account_id == self._account_id, condition, Image.id > last)
                .order_by(Image.id)
                .limit(size)
            )
            ids = run_in_own_transaction(
                self._session,
                lambda own, q=query: list(own.scalars(q)),  # type: ignore[misc]
            )
            if not ids:
                return
            last = ids[-1]
            yield ids

    def _pause(self) -> None:
        if not self._keep_on():
            raise _InterruptedError

    # --- Reading ----------------------------------------------------------------------------------

    def _read_pages(self, drive: Drive) -> None:
        while True:
            self._pause()
            watch = self._get_watch()
            page = self._fetch_page(drive, self._open_link(watch))
            if page.starts_anew:
                log.info("OneDrive has forgotten what changed in account %d", self._account_id)
                self._write(lambda own, link=page.link: self._start_anew(own, link))  # type: ignore[misc]
                return
            self._write(lambda own, page=page, watch=watch: self._apply(own, watch, page))  # type: ignore[misc]
            self.item_count += len(page.items)
            if page.is_last:
                if watch.is_full:
                    self._forget_old_folders(watch.run_number)
                return

    def _fetch_page(self, drive: Drive, link: str) -> ChangePage:
        try:
            return drive.fetch_changes(link)
        except ServiceRefusedError as error:
            if not link or error.reason != "bad_answer":
                raise
            # A link that leads nowhere any more, as of another server, would do so for ever.
            return ChangePage((), "", is_last=False, starts_anew=True)

    def _apply(self, own: Session, watch: DriveWatch, page: ChangePage) -> None:
        """Write what a page tells, and that it was read."""
        # This row first: whoever brings an image in meanwhile waits for it (see ``note_import``).
        self._update(
            own,
            link=self._vault.seal(page.link),
            advanced_at=get_database_time(own),
            step="places" if page.is_last else "read",
        )
        folders = [item for item in page.items if item.is_folder]
        files = [item for item in page.items if not item.is_folder]
        self._apply_folders(own, watch, folders)
        self._apply_files(own, watch, files)

    def _apply_folders(self, own: Session, watch: DriveWatch, items: Sequence[DriveItem]) -> None:
        known: dict[str, DriveFolder] = {}
        for ids in make_batches(fold_id(item.id) for item in items):
            rows = own.scalars(
                select(DriveFolder).where(
                    DriveFolder.drive_account_id == self._account_id, DriveFolder.item_id.in_(ids)
                )
            )
            known.update({row.item_id: row for row in rows})
        displaced: list[str] = []
        renamed: list[tuple[DriveItem, DriveFolder]] = []
        for item in items:
            item_id, parent_id = fold_id(item.id), fold_id(item.parent_id)
            parent_id = parent_id if item.parent_id else ""
            folder = known.get(item_id)
            if folder is None:
                if not item.is_deleted:
                    own.add(
                        DriveFolder(
                            drive_account_id=self._account_id,
                            item_id=item_id,
                            parent_id=parent_id,
                            name=item.name[:400],
                            run_number=watch.run_number,
                        )
                    )
                displaced.append(item_id)
                continue
            folder.run_number = watch.run_number
            if item.is_deleted != folder.is_deleted or (
                not item.is_deleted and parent_id != folder.parent_id
            ):
                displaced.append(item_id)
            folder.is_deleted = item.is_deleted
            if not item.is_deleted:
                folder.parent_id = parent_id
                renamed.append((item, folder))
        own.flush()
        inside: dict[str, bool] = {}
        for item, folder in renamed:
            self._follow_folder_name(own, item, folder, inside)
        # Where everything is read, every image is in doubt anyway.
        if not watch.is_full:
            self._doubt_below(own, displaced)

    def _follow_folder_name(
        self, own: Session, item: DriveItem, folder: DriveFolder, inside: dict[str, bool]
    ) -> None:
        name = item.name[:400]
        is_new = bool(name and folder.name) and name != folder.name
        if is_new and self._lies_inside(own, folder.item_id, inside):
            own.execute(
                update(Image)
                .where(
                    _lies_in(self._account_id, [folder.item_id]),
                    Image.folder_name == folder.name,
                )
                .values(folder_name=name, updated_at=Image.updated_at)
                .execution_options(synchronize_session=False)
            )
        folder.name = name or folder.name

    def _doubt_below(self, own: Session, folder_ids: Sequence[str]) -> None:
        """Have the places of all images in these folders, and in those below them, looked up."""
        for some in _iter_below(own, self._account_id, folder_ids):
            for doubt, condition in ((ASK, Image.drive_state.in_(AWAY)), (PLACE, true())):
                count_rows(
                    own,
                    update(Image)
                    .where(_lies_in(self._account_id, some), Image.drive_doubt < doubt, condition)
                    .values(drive_doubt=doubt, updated_at=Image.updated_at),
                )

    def _apply_files(self, own: Session, watch: DriveWatch, items: Sequence[DriveItem]) -> None:
        images = self._find_images(own, items)
        seen: list[int] = []
        for item in items:
            for image in images.get(fold_id(item.id), ()):
                if item.is_deleted:
                    values: dict[str, Any] = {"drive_state": MISSING, "drive_doubt": NO_DOUBT}
                else:
                    values = self._judge_event(image, item, watch.is_full)
                if not values:
                    continue
                if values == {"drive_doubt": PLACE}:
                    seen.append(image.id)
                else:
                    self._change_image(own, image, values)
        for ids in make_batches(seen):
            count_rows(
                own,
                update(Image)
                .where(Image.id.in_(ids))
                .values(drive_doubt=PLACE, updated_at=Image.updated_at),
            )

    def _judge_event(self, image: Image, item: DriveItem, is_full: bool) -> dict[str, Any]:
        """What of an image is to be written, now that the feed has mentioned its file."""
        values: dict[str, Any] = {}
        if item.parent_id and image.folder_id != item.parent_id:
            values["folder_id"] = item.parent_id
        verdict = compare(image, item)
        doubt = image.drive_doubt
        if item.parent_id and not is_same_id(image.folder_id, item.parent_id):
            doubt = FOLLOW
        elif image.drive_state in AWAY or verdict is None or _has_new_name(image, item):
            # Back again, renamed wherever it lies, or not enough was told: the drive is asked for
            # the whole item.
            doubt = max(doubt, ASK)
        elif doubt != FOLLOW:
            values |= _write_verdict(image, item, verdict)
            if is_full:
                doubt = PLACE
        if doubt != image.drive_doubt:
            values["drive_doubt"] = doubt
        return values

    def _find_images(self, own: Session, items: Sequence[DriveItem]) -> Mapping[str, list[Image]]:
        """Images of these files by the files' folded ids; a file may be in several groups."""
        found: dict[str, list[Image]] = defaultdict(list)
        spelt = (spelling for item in items for spelling in list_spellings(item.id))
        for ids in make_batches(spelt):
            for image in own.scalars(
                select(Image)
                .where(Image.drive_account_id == self._account_id, Image.drive_item_id.in_(ids))
                .order_by(Image.id)
            ):
                found[fold_id(image.drive_item_id)].append(image)
        return found

    def _find_folder_names(self, own: Session, folder_ids: Iterable[str]) -> Mapping[str, str]:
        """Names of folders by their folded ids."""
        names: dict[str, str] = {}
        for ids in make_batches(sorted({fold_id(one) for one in folder_ids})):
            for row in own.execute(
                select(DriveFolder.item_id, DriveFolder.name).where(
                    DriveFolder.drive_account_id == self._account_id, DriveFolder.item_id.in_(ids)
                )
            ):
                names[row.item_id] = row.name
        return names

    def _change_image(self, own: Session, image: Image, values: Mapping[str, Any]) -> None:
        """Write to an image, unless an import has made it anew in the meantime."""
        has_new_name = "name" in values
        if has_new_name:
            lock_group(own, image.group_id)
        found = count_rows(
            own,
            update(Image)
            .where(
                Image.id == image.id,
                Image.drive_hash == image.drive_hash,
                Image.etag == image.etag,
                Image.ctag == image.ctag,
            )
            .values(updated_at=Image.updated_at, **values),
        )
        if found and has_new_name:
            refresh_search(own, image.group_id)

    def _forget_old_folders(self, run_number: int) -> None:
        """Folders that a list of everything did not name any more."""
        while True:
            ids = run_in_own_transaction(
                self._session,
                lambda own: list(
                    own.scalars(
                        select(DriveFolder.item_id)
                        .where(
                            DriveFolder.drive_account_id == self._account_id,
                            DriveFolder.run_number != run_number,
                        )
                        .limit(_MARK_BATCH)
                    )
                ),
            )
            if not ids:
                return
            self._write(
                lambda own, ids=ids: count_rows(  # type: ignore[misc]
                    own,
                    delete(DriveFolder).where(
                        DriveFolder.drive_account_id == self._account_id,
                        DriveFolder.item_id.in_(ids),
                        DriveFolder.run_number != run_number,
                    ),
                )
            )

    # --- Places -----------------------------------------------------------------------------------

    def _find_places(self) -> None:
        for ids in self._iter_images(_PLACE_BATCH, Image.drive_doubt == PLACE):
            self._write(lambda own, ids=ids: self._settle_places(own, ids))  # type: ignore[misc]

    def _settle_places(self, own: Session, ids: Sequence[int]) -> None:
        inside: dict[str, bool] = {}
        settled: dict[int, list[int]] = defaultdict(list)
        for row in own.execute(select(Image.id, Image.folder_id).where(Image.id.in_(ids))):
            folder_id = fold_id(row.folder_id) if row.folder_id else ""
            is_inside = self._lies_inside(own, folder_id, inside)
            settled[NO_DOUBT if is_inside else ASK].append(row.id)
        for doubt, some in settled.items():
            count_rows(
                own,
                update(Image)
                .where(Image.id.in_(some), Image.drive_doubt == PLACE)
                .values(drive_doubt=doubt, updated_at=Image.updated_at),
            )

    def _lies_inside(self, own: Session, folder_id: str, inside: dict[str, bool]) -> bool:
        """Whether the way up from a folder meets the root folder; ``inside`` is what is known."""
        walked: list[str] = []
        answer = False
        while folder_id and len(walked) < _MAX_DEPTH:
            if folder_id == self._root_id or folder_id in inside:
                answer = inside.get(folder_id, True)
                break
            walked.append(folder_id)
            above = own.get(DriveFolder, (self._account_id, folder_id))
            folder_id = "" if above is None or above.is_deleted else above.parent_id
        inside.update(dict.fromkeys(walked, answer))
        return answer

    # --- Asking -----------------------------------------------------------------------------------

    def _ask_for_doubtful(self, drive: Drive) -> None:
        for ids in self._iter_images(_ASK_BATCH, Image.drive_doubt >= ASK):
            images = run_in_own_transaction(
                self._session,
                lambda own, ids=ids: list(own.scalars(select(Image).where(Image.id.in_(ids)))),  # type: ignore[misc]
            )
            self._renew()
            item_ids = list(dict.fromkeys(image.drive_item_id for image in images))
            answers = dict(zip(item_ids, drive.find_items(item_ids), strict=True))
            pairs = [(image, answers[image.drive_item_id]) for image in images]
            self._write(lambda own, pairs=pairs: self._write_answers(own, pairs))  # type: ignore[misc]
            for image, answer in pairs:
                if isinstance(answer.error, ServiceBusyError):
                    raise answer.error
                if answer.error is not None:
                    # About this one item; it stays in doubt, and in the state that it has.
                    log.warning("Image %d cannot be looked at: %s", image.id, answer.error)

    def _write_answers(self, own: Session, pairs: Sequence[tuple[Image, ItemAnswer]]) -> None:
        names = self._find_folder_names(
            own,
            (
                answer.item.parent_id
                for image, answer in pairs
                if answer.item is not None and _has_moved(image, answer.item)
            ),
        )
        for image, answer in pairs:
            if answer.error is not None:
                continue
            values: dict[str, Any] = {"drive_doubt": NO_DOUBT}
            if answer.item is None:
                values["drive_state"] = OUTSIDE if answer.is_outside else MISSING
            else:
                # Nothing says that it changed where nothing tells either way.
                verdict = compare(image, answer.item) is not False
                values |= _follow_place(image, answer.item, names)
                values |= _write_verdict(image, answer.item, verdict)
            self._change_image(own, image, values)


# --- Judging --------------------------------------------------------------------------------------


def compare(image: Image, item: DriveItem) -> bool | None:
    """Whether a file still has the content that the renditions were made from; None: cannot tell.

    Names, places and times do not count. Hashes decide where both are known. A cTag belongs to the
    content; a business drive leaves it out of its feed. An eTag changes with anything at all, so
    only that it is the same means something.
    """
    if image.drive_hash and item.quick_xor_hash:
        return image.drive_hash == item.quick_xor_hash
    if image.ctag and item.ctag:
        return image.ctag == item.ctag
    if image.etag and image.etag == item.etag:
        return True
    if image.drive_size_bytes and item.size_bytes and image.drive_size_bytes != item.size_bytes:
        return False
    return None


def _write_verdict(image: Image, item: DriveItem, is_same: bool) -> dict[str, Any]:
    """The state, and what is listed of the same content now."""
    values: dict[str, Any] = {}
    state = OK if is_same else CHANGED
    if image.drive_state != state:
        values["drive_state"] = state
    if is_same:
        listed = {
            "drive_hash": item.quick_xor_hash[:40],
            "drive_size_bytes": item.size_bytes,
            "etag": item.etag[:255],
            "ctag": item.ctag[:255],
        }
        values |= {
            name: value for name, value in listed.items() if value and getattr(image, name) != value
        }
    return values


def _has_new_name(image: Image, item: DriveItem) -> bool:
    return bool(item.name) and image.name != item.name[:400]


def _has_moved(image: Image, item: DriveItem) -> bool:
    return image.drive_doubt == FOLLOW or not is_same_id(image.folder_id, item.parent_id)


def _follow_place(image: Image, item: DriveItem, names: Mapping[str, str]) -> dict[str, Any]:
    """The name and folder of a file inside the root folder that was renamed or moved.

    :param names: of folders, by their folded ids.
    """
    values: dict[str, Any] = {}
    if _has_new_name(image, item):
        values["name"] = item.name[:400]
    if item.parent_id and image.folder_id != item.parent_id:
        values["folder_id"] = item.parent_id
    if item.parent_id and _has_moved(image, item):
        name = names.get(fold_id(item.parent_id), "")
        if name and name != image.folder_name:
            values["folder_name"] = name
    return values


def _name(account_id: int) -> str:
    return f"drive-watch:{account_id}"


def _ensure_watch(session: Session, account_id: int) -> None:
    """Make sure that the account has its row. Commits on its own."""

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
