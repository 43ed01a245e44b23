"""One check of a drive: what became of originals that were changed, moved, deleted or put back.

A *check* reads what changed in a drive since the last one (everything, the first time and when the
service has forgotten), and writes each image's ``drive_state``. It goes in steps, each of which can
be interrupted and taken up again by any worker, because how far it came stands in ``drive_watch``:

``mark``    before everything is read: all images are in doubt until they are seen.
``read``    page by page. What the feed says of a file counts: its content is compared with what was
            listed when the renditions were made. Folders go into the tree (``folder_tree``).
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
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import exists, select, update
from sqlalchemy.orm import Session

from imagehub.clients import ChangePage, Clients, Drive
from imagehub.clients.drive_ids import fold_drive_id, fold_id, is_same_id
from imagehub.database import count_rows, get_database_time, run_in_own_transaction
from imagehub.domain.leases import acquire_lease, make_owner, release_lease
from imagehub.domain.sync.apply import apply_answers, apply_changes, settle_places
from imagehub.domain.sync.folder_tree import delete_old_folders, list_old_folders
from imagehub.domain.sync.schedule import doubt_images, ensure_watch, get_lease_name
from imagehub.domain.sync.state import ASK, AWAY, PLACE
from imagehub.errors import (
    ConflictError,
    ConnectionLostError,
    ImageHubError,
    NotFoundError,
    ServiceBusyError,
    ServiceRefusedError,
)
from imagehub.models import DriveAccount, DriveWatch, Image, Lease

log = logging.getLogger(__name__)

# Longer than the slowest call may take together with its waiting; renewed with every write.
LEASE_SECONDS = 180.0
# After a failure the next try waits 1, 2, 4 … minutes, and no longer than this.
LONGEST_DELAY = timedelta(minutes=30)

_MARK_BATCH = 1000
_PLACE_BATCH = 500
_ASK_BATCH = 20
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
    if not acquire_lease(session, get_lease_name(account_id), owner, LEASE_SECONDS):
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
        release_lease(session, get_lease_name(account_id), owner)
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
        ensure_watch(self._session, self._account_id)
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
                .where(Lease.name == get_lease_name(self._account_id), Lease.owner == self._owner)
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
        apply_changes(
            own, self._account_id, self._root_id, page.items, watch.run_number, watch.is_full
        )

    def _forget_old_folders(self, run_number: int) -> None:
        """Folders that a list of everything did not name any more."""
        account_id = self._account_id
        while True:
            ids = run_in_own_transaction(
                self._session,
                lambda own: list_old_folders(own, account_id, run_number, _MARK_BATCH),
            )
            if not ids:
                return
            self._write(
                lambda own, ids=ids: delete_old_folders(own, account_id, run_number, ids)  # type: ignore[misc]
            )

    # --- Places -----------------------------------------------------------------------------------

    def _find_places(self) -> None:
        for ids in self._iter_images(_PLACE_BATCH, Image.drive_doubt == PLACE):
            self._write(
                lambda own, ids=ids: settle_places(own, self._account_id, self._root_id, ids)  # type: ignore[misc]
            )

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
            self._write(
                lambda own, pairs=pairs: apply_answers(own, self._account_id, pairs)  # type: ignore[misc]
            )
            for image, answer in pairs:
                if isinstance(answer.error, ServiceBusyError):
                    raise answer.error
                if answer.error is not None:
                    # About this one item; it stays in doubt, and in the state that it has.
                    log.warning("Image %d cannot be looked at: %s", image.id, answer.error)
