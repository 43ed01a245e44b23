"""Check a drive: find originals that were changed, moved, deleted or restored.

A *check* reads what changed in a drive since the last one (everything, the first time and when
OneDrive has forgotten its changes), and writes each image's ``drive_state``. It runs in steps. Any
worker can resume it, because its progress is stored in ``drive_watch``:

``mark``    before everything is read: all images are in doubt until they are seen.
``read``    page by page: the content of each file is compared with what was listed when it was
            imported, and folders are added to the tree (``folder_tree``).
``places``  images whose place may have changed are looked up in that tree.
``ask``     OneDrive is asked about every image that is still in doubt. An original is marked
            missing only after OneDrive confirms it. Then the files are looked for that took the
            place of originals that are away (``replacements``).

The feed covers the whole drive, also outside the root folder. Of an original outside, only that
fact and the id of its folder are stored, to notice when it comes back; its new name is stored only
once it is known to be inside.

No transaction is open while OneDrive is asked.

Source: Microsoft Graph v1.0, "driveItem: delta" and "Scan guidance": the feed gives the latest
state of each item, in no particular order and without saying what changed; the last mention counts.
"""

import logging
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from imagehub.clients import ChangePage, Clients, Drive
from imagehub.clients.drive_ids import fold_drive_id, fold_id, is_same_id
from imagehub.database import get_database_time
from imagehub.domain.leases import acquire_lease, make_owner, release_lease
from imagehub.domain.sync.apply import apply_answers, apply_changes, settle_places
from imagehub.domain.sync.folder_tree import delete_old_folders
from imagehub.domain.sync.progress import LEASE_SECONDS, CheckProgress, LeaseLostError
from imagehub.domain.sync.replacements import apply_finds, fetch_finds, list_wanted
from imagehub.domain.sync.schedule import (
    doubt_images,
    get_lease_name,
    is_watched,
    set_doubt,
)
from imagehub.domain.sync.state import ASK, AWAY, PLACE, SEEK
from imagehub.errors import (
    ConflictError,
    ConnectionLostError,
    ImageHubError,
    NotFoundError,
    ServiceBusyError,
    ServiceRefusedError,
)
from imagehub.messages import mark
from imagehub.models import DriveAccount, DriveWatch, Image

log = logging.getLogger(__name__)

_MARK_BATCH = 1000
_PLACE_BATCH = 500
_ASK_BATCH = 20
_SEEK_BATCH = 100
_MAX_RESTARTS = 2
_UNEXPECTED = mark("An unexpected error occurred during the check.")


class _InterruptedError(Exception):
    """The worker has to stop; the check can be resumed."""


@dataclass(frozen=True)
class CheckReport:
    """The result of a check. ``problem``: a sentence if it failed, else ""."""

    is_done: bool = False
    problem: str = ""
    item_count: int = 0
    was_full: bool = False


def check_drive(
    session: Session, clients: Clients, account_id: int, keep_on: Callable[[], bool] = lambda: True
) -> CheckReport | None:
    """Check one account's drive, or resume a check; commits each step.

    :param session: holds no uncommitted change.
    :param keep_on: called between two steps; False leaves the rest for later.
    :return: None if another worker is checking it.
    """
    owner = make_owner()
    if not acquire_lease(session, get_lease_name(account_id), owner, LEASE_SECONDS):
        return None
    check = _Check(session, clients, account_id, owner, keep_on)
    try:
        return check.run()
    except LeaseLostError:
        log.warning("Another worker has taken over the check of account %d", account_id)
        return None
    finally:
        release_lease(session, get_lease_name(account_id), owner)


class _Check:
    """One worker's check of one account."""

    def __init__(
        self,
        session: Session,
        clients: Clients,
        account_id: int,
        owner: str,
        keep_on: Callable[[], bool],
    ) -> None:
        self._clients = clients
        self._account_id = account_id
        self._progress = CheckProgress(session, clients.vault, account_id, owner)
        self._keep_on = keep_on
        self._root_id = ""
        self._item_count = 0
        self._was_full = False

    def run(self) -> CheckReport:
        """Run the steps that are left, and note a failure.

        :raise LeaseLostError: another worker has taken over.
        """
        is_done, problem = False, ""
        try:
            self._run_steps()
            is_done = True
        except _InterruptedError:
            pass
        except ImageHubError as error:
            problem = error.sentence
            if isinstance(error, NotFoundError):
                problem = mark("The root folder was not found in OneDrive, so nothing was checked.")
            log.warning("The check of account %d failed: %s", self._account_id, error)
            self._progress.note_failure(problem, error)
        except LeaseLostError:
            raise
        except Exception:
            # Noted like any failure, so that it is not repeated every few seconds.
            with suppress(LeaseLostError):
                self._progress.note_failure(_UNEXPECTED)
            raise
        return CheckReport(is_done, problem, self._item_count, self._was_full)

    def _run_steps(self) -> None:
        begun_at = self._progress.begin()
        if not self._progress.read(select(is_watched(self._account_id)))[0]:
            self._progress.finish(begun_at)
            return
        self._require_connection()
        drive = self._clients.open_drive(self._account_id)
        self._prepare(drive)
        restarts = 0
        while (step := self._find_step()) != "ask":
            if step == "mark":
                restarts += 1
                if restarts > _MAX_RESTARTS:
                    fault = mark("OneDrive kept restarting its list of changes.")
                    raise ServiceRefusedError("OneDrive", "read what changed", "bad_answer", fault)
                self._mark_all(ASK)
                self._progress.save(step="read")
            elif step == "read":
                self._read_pages(drive)
            else:
                self._find_places()
                self._progress.save(step="ask")
        self._ask_about_doubtful(drive)
        self._seek_replacements(drive)
        self._progress.finish(begun_at)

    # --- Beginning --------------------------------------------------------------------------------

    def _require_connection(self) -> None:
        """:raise ConnectionLostError: a person has to sign in again."""
        this = select(DriveAccount).where(DriveAccount.id == self._account_id)
        account = next(iter(self._progress.read(this)), None)
        if account is None or account.state != "connected":
            reason = account.state_reason if account is not None else ""
            raise ConnectionLostError(reason or "OneDrive must be reconnected.")

    def _prepare(self, drive: Drive) -> None:
        """Make sure that drive and root folder are those of the last check.

        :raise NotFoundError: the root folder is missing; everything in it would seem missing.
        :raise ConflictError: the account has another drive now.
        """
        info, root = drive.get_drive(), drive.get_root()
        self._root_id = fold_id(root.id)
        watch = self._progress.get_watch()
        if watch.drive_id and fold_drive_id(watch.drive_id) != fold_drive_id(info.id):
            raise ConflictError(
                "This account’s OneDrive is not the one that was checked last time."
            )
        if watch.root_id and not is_same_id(watch.root_id, root.id):
            # Images may be inside now that were outside, and the other way round.
            self._mark_all(PLACE)
        if (watch.drive_id, watch.root_id) != (info.id, root.id):
            self._progress.save(drive_id=info.id, root_id=root.id)

    def _find_step(self) -> str:
        """Find the next step; begin a run if there is none."""
        self._pause()
        watch = self._progress.get_watch()
        self._was_full = watch.is_full
        link = self._progress.open_link(watch)
        is_lost = bool(watch.link) and not link
        if watch.step and not is_lost:
            return watch.step
        if link:
            self._progress.save(step="read", is_full=False)
            return "read"
        self._progress.start_over("")
        return "mark"

    def _mark_all(self, doubt: int) -> None:
        """Put all images in doubt; OneDrive will be asked about missing ones."""
        for ids in self._iter_images(_MARK_BATCH, Image.drive_doubt < doubt):
            conditions = (Image.id.in_(ids), Image.drive_doubt < doubt)
            self._progress.write(set_doubt, doubt, *conditions)
        for ids in self._iter_images(_MARK_BATCH, Image.drive_state.in_(AWAY)):
            self._progress.write(doubt_images, ids)

    def _iter_images(self, size: int, condition: Any) -> Iterable[list[int]]:
        """List ids of this account's images in batches."""
        these = (Image.drive_account_id == self._account_id) & condition
        query = select(Image.id).where(these).order_by(Image.id).limit(size)
        ids = [0]
        while True:
            self._pause()
            ids = self._progress.read(query.where(Image.id > ids[-1]))
            if not ids:
                return
            yield ids

    def _pause(self) -> None:
        if not self._keep_on():
            raise _InterruptedError

    # --- Reading ----------------------------------------------------------------------------------

    def _read_pages(self, drive: Drive) -> None:
        while True:
            self._pause()
            watch = self._progress.get_watch()
            page = _fetch_page(drive, self._progress.open_link(watch))
            if page.starts_anew:
                log.info("OneDrive has forgotten the changes of account %d", self._account_id)
                self._progress.start_over(page.link)
                return
            self._progress.write(self._apply, watch, page)
            self._item_count += len(page.items)
            if page.is_last:
                if watch.is_full:
                    self._delete_old_folders(watch.run_number)
                return

    def _apply(self, own: Session, watch: DriveWatch, page: ChangePage) -> None:
        """Write what a page says, and that it was read."""
        # This row first: an import that adds an image meanwhile waits for it (see ``note_import``).
        step, link = "places" if page.is_last else "read", self._progress.seal_link(page.link)
        self._progress.update(own, link=link, advanced_at=get_database_time(own), step=step)
        run_number, is_full = watch.run_number, watch.is_full
        apply_changes(own, self._account_id, self._root_id, page.items, run_number, is_full)

    def _delete_old_folders(self, run_number: int) -> None:
        while self._progress.write(delete_old_folders, self._account_id, run_number, _MARK_BATCH):
            pass

    # --- Places and answers -----------------------------------------------------------------------

    def _find_places(self) -> None:
        for ids in self._iter_images(_PLACE_BATCH, Image.drive_doubt == PLACE):
            self._progress.write(settle_places, self._account_id, self._root_id, ids)

    def _ask_about_doubtful(self, drive: Drive) -> None:
        for ids in self._iter_images(_ASK_BATCH, Image.drive_doubt >= ASK):
            images = self._progress.read(select(Image).where(Image.id.in_(ids)))
            self._progress.renew()
            item_ids = list(dict.fromkeys(image.drive_item_id for image in images))
            answers = dict(zip(item_ids, drive.find_items(item_ids), strict=True))
            pairs = [(image, answers[image.drive_item_id]) for image in images]
            self._progress.write(apply_answers, self._account_id, pairs)
            for image, answer in pairs:
                if isinstance(answer.error, ServiceBusyError):
                    raise answer.error
                if answer.error is not None:
                    # It concerns this item only, which stays in doubt and keeps its state.
                    log.warning("Image %d cannot be checked: %s", image.id, answer.error)

    def _seek_replacements(self, drive: Drive) -> None:
        for ids in self._iter_images(_SEEK_BATCH, Image.drive_doubt == SEEK):
            wanted = self._progress.write(list_wanted, self._account_id, self._root_id, ids)
            finds = fetch_finds(drive, wanted, self._progress.renew)
            self._progress.write(apply_finds, self._account_id, finds)


def _fetch_page(drive: Drive, link: str) -> ChangePage:
    try:
        return drive.fetch_changes(link)
    except ServiceRefusedError as error:
        if not link or error.reason != "bad_answer":
            raise
        # A link that does not work any more, such as one of another server, never will.
        return ChangePage((), "", is_last=False, starts_anew=True)
