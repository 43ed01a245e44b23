"""Process one claimed import item: fetch, render, store, record."""

import errno
import logging
import random
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.exc import DataError, IntegrityError
from sqlalchemy.orm import Session

from imagehub import metrics
from imagehub.clients import Clients, Download, DriveItem
from imagehub.database import (
    OUTAGES,
    count_rows,
    describe_outage,
    end_read,
    explain_data_error,
    get_database_time,
    own_transaction,
)
from imagehub.domain.file_names import check_is_picture, guess_role
from imagehub.domain.imports.claims import Claim, LeaseLostError, finish_job
from imagehub.domain.imports.jobs import IN_GROUP_REASON, MISMATCH_REASON, OPEN_STATES
from imagehub.domain.imports.originals import (
    LINKED_REASON,
    accepts_mismatch,
    change_original,
    link_item,
)
from imagehub.domain.imports.previews import WAITING_REASON, PreviewLateError
from imagehub.domain.imports.saving import (
    insert_renditions,
    list_files,
    put_file,
    set_picture_facts,
    set_video_facts,
)
from imagehub.domain.imports.scratch import Scratch
from imagehub.domain.imports.stills import keeps_still
from imagehub.domain.imports.videos import fetch_original, render
from imagehub.domain.library import tiles
from imagehub.domain.library.finish import PLAIN, FindFinish, Finish, write_credits
from imagehub.domain.library.found_words import Hub, pick_language, read_hub, save_words
from imagehub.domain.library.groups import lock_group, refresh_group
from imagehub.domain.library.private_data import make_listing, save_found
from imagehub.domain.objects.bookkeeping import KeyGoneError, delete_unused, pin_keys, use_keys
from imagehub.domain.onedrive.accounts import DISCONNECTED, NOT_CONNECTED
from imagehub.domain.sync.schedule import note_import
from imagehub.errors import (
    SIGN_IN,
    ConflictError,
    ConnectionLostError,
    ContentMismatchError,
    ImageHubError,
    NotFoundError,
    ServiceBusyError,
    ServiceRefusedError,
)
from imagehub.imaging.private_data import Packet, PrivateData
from imagehub.imaging.video import VideoFacts
from imagehub.imaging.words import FoundWords, read_words
from imagehub.messages import Message, mark
from imagehub.models import DriveAccount, Group, Image, ImportItem, ImportJob, Rendition

if TYPE_CHECKING:
    # Only rendering processes load Pillow.
    from imagehub.imaging.render import RenderedPicture


log = logging.getLogger(__name__)

# Temporary failures are retried after 2, 4, 8 … 300 seconds, so that an outage of a quarter of an
# hour fails no item. While OneDrive throttles, items wait up to ``MAX_WAIT``.
MAX_ATTEMPTS = 12
MAX_UNEXPECTED_ATTEMPTS = 3
# OneDrive lists some files late after a change; this takes about a minute.
MAX_MISMATCHES = 6
LONGEST_DELAY_SECONDS = 300.0
MAX_WAIT = timedelta(days=3)
# While Microsoft gives no access until a person has done something.
ACCESS_DELAY_SECONDS = 120.0
MAX_ACCESS_WAIT = timedelta(days=30)

DISK_FULL_REASON = mark("The disk of the server is full.")
DATABASE_REASON = mark("The database could not be reached for a while.")
# Refusals that end without a change of the file or of ImageHub: an answer that cannot be read often
# comes from something in between, and space and clocks are set right by a person.
_PASSING_REFUSALS = frozenset({"bad_answer", "clock_skew", "quota_full"})


class _NothingToDoError(Exception):
    """The group has this file already, or the image to be rendered again is gone."""

    def __init__(self, reason: str, image_id: int | None = None) -> None:
        super().__init__(reason)
        self.image_id = image_id


def process_item(
    session: Session,
    clients: Clients,
    scratch: Scratch,
    claim: Claim,
    max_bytes: int,
    find_finish: FindFinish = lambda _session, _clients: PLAIN,
) -> str:
    """Import the original of a claimed item, and save the outcome.

    :param session: holds no uncommitted change.
    :param max_bytes: larger originals fail.
    :param find_finish: finds what is added to the renditions.
    :return: the new state of the item: ``done``, ``skipped``, ``failed``, ``queued`` (to be
        retried later), or ``lost`` (another worker has it now).
    :raise OUTAGES: the database does not answer; the item may still be claimed.
    """
    try:
        state = _try_import(session, clients, scratch, claim, max_bytes, find_finish)
    except LeaseLostError:
        log.info("Item %d was claimed by another worker", claim.item.id)
        state = "lost"
    metrics.count_import_item(state)
    is_open = (ImportItem.job_id == claim.item.job_id, ImportItem.state.in_(OPEN_STATES))
    if session.scalar(select(ImportItem.id).where(*is_open).limit(1)) is None:
        end_read(session)
        finish_job(session, claim.item.job_id)
    end_read(session)
    return state


def _try_import(
    session: Session,
    clients: Clients,
    scratch: Scratch,
    claim: Claim,
    max_bytes: int,
    find_finish: FindFinish,
) -> str:
    """:raise LeaseLostError: another worker has the item now."""
    try:
        return _import(session, clients, scratch, claim, max_bytes, find_finish)
    except LeaseLostError:
        raise
    except _NothingToDoError as nothing:
        values: dict[str, Any] = {} if nothing.image_id is None else {"image_id": nothing.image_id}
        return _end(session, claim, "skipped", str(nothing), **values)
    except ContentMismatchError:
        return _retry_later(session, claim, MISMATCH_REASON, MAX_MISMATCHES)
    except (ServiceBusyError, ConflictError) as error:
        return _retry_later(session, claim, str(error))
    except KeyGoneError:
        return _retry_later(session, claim, "")
    except (ConnectionLostError, ServiceRefusedError) as error:
        if isinstance(error, ServiceRefusedError) and error.reason in _PASSING_REFUSALS:
            return _retry_later(session, claim, str(error))
        if not _ends_with_sign_in(error):
            log.info("Item %d failed: %s", claim.item.id, error)
            return _end(session, claim, "failed", str(error)[:500])
        return _wait_for_access(session, claim, str(error))
    except PreviewLateError as late:
        return _retry_later(session, claim, WAITING_REASON, late.max_attempts, late.reason)
    except ImageHubError as error:
        log.info("Item %d failed: %s", claim.item.id, error)
        return _end(session, claim, "failed", _explain(error))
    except DataError as error:
        log.error("Item %d cannot be stored: %s", claim.item.id, error.orig)
        return _end(session, claim, "failed", explain_data_error(error)[:500])
    except OUTAGES as error:
        session.rollback()
        log.warning("Item %d is retried later: %s", claim.item.id, describe_outage(error))
        return _retry_later(session, claim, DATABASE_REASON)
    except Exception as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            log.error("The disk is full: item %d is retried later", claim.item.id)
            return _retry_later(session, claim, DISK_FULL_REASON)
        number = secrets.token_hex(4)
        log.exception("Unexpected error while importing item %d (%s)", claim.item.id, number)
        reason = Message(
            "An unexpected error occurred (reference number %(number)s).", number=number
        )
        return _retry_later(session, claim, reason, MAX_UNEXPECTED_ATTEMPTS)


def _ends_with_sign_in(error: ConnectionLostError | ServiceRefusedError) -> bool:
    """Tell whether Microsoft gives access again once a person has signed in or corrected a cause.

    That an admin disconnected the account is no such case.
    """
    if isinstance(error, ServiceRefusedError):
        return error.service == SIGN_IN
    return error.code not in (DISCONNECTED, NOT_CONNECTED)


def _explain(error: ImageHubError) -> str:
    if isinstance(error, NotFoundError) and error.kind == "drive item":
        return mark("This file is no longer in OneDrive, or not inside the root folder.")
    if isinstance(error, NotFoundError) and error.kind == "group":
        return mark("The group was deleted in the meantime.")
    return str(error)[:500]


def _import(
    session: Session,
    clients: Clients,
    scratch: Scratch,
    claim: Claim,
    max_bytes: int,
    find_finish: FindFinish,
) -> str:
    if claim.item.group_id is None and claim.item.image_id is None:
        raise NotFoundError("group", "")
    assert clients.renderer is not None
    read_at = get_database_time(session)
    hub = read_hub(session)
    finish = find_finish(session, clients)
    finish_key, xmp = _plan_finish(session, claim, finish)
    stays_still = keeps_still(session, claim)
    end_read(session)
    drive = clients.open_drive(claim.account_id)
    with scratch.open_file() as (file, path):
        with metrics.measure_phase("download"):
            item = drive.get_item(claim.item.drive_item_id)
            check_is_picture(item)
            is_accepted = accepts_mismatch(session, claim, item)
            original = fetch_original(drive, item, file, max_bytes, is_accepted, stays_still)
            item, download = original.item, original.download
        if claim.item.image_id is None and (linked_id := link_item(session, claim, item, download)):
            raise _NothingToDoError(LINKED_REASON, linked_id)
        with metrics.measure_phase("render"):
            picture, preview_reason = render(
                clients.renderer, drive, original, path, scratch.open_file, read_at, finish.mark
            )
            picture = write_credits(picture, xmp)
        packets: list[Packet] = []
        private_data = original.look(packets)
        words = read_words(packets, pick_language(hub))
    files = list_files(picture.renditions)
    pinned_until, stored = pin_keys(session, files)
    with metrics.measure_phase("store"):
        for key, file_ in files.items():
            if key not in stored:
                put_file(clients.store, key, file_)
    processed = _ProcessedOriginal(
        item,
        download,
        picture,
        original.video,
        private_data,
        words,
        hub,
        pinned_until,
        read_at,
        preview_reason,
        finish_key,
    )
    try:
        with metrics.measure_phase("save"):
            old_keys = _save_image(session, claim, processed)
    except IntegrityError:
        twin_id = _find_twin(session, claim)
        if twin_id is None:
            raise
        raise _NothingToDoError(IN_GROUP_REASON, twin_id) from None
    if old_keys:
        delete_unused(session, clients, old_keys)
    return "done"


def _plan_finish(session: Session, claim: Claim, finish: Finish) -> tuple[str, bytes]:
    """Return what the image keeps as its finish, and the packet with its credits."""
    group_id = claim.item.group_id
    if claim.item.image_id is not None:
        group_id = session.scalar(select(Image.group_id).where(Image.id == claim.item.image_id))
    group = session.get(Group, group_id) if group_id is not None else None
    return (finish.make_key(group), finish.make_xmp(group)) if group is not None else ("", b"")


@dataclass(frozen=True)
class _ProcessedOriginal:
    """An original and its renditions, to be saved.

    ``hub``: what applies to all works. ``read_at``: just before OneDrive was asked.
    ``preview_reason``, ``finish``: as in :class:`Image`.
    """

    item: DriveItem
    download: Download
    picture: "RenderedPicture"
    video: VideoFacts | None
    private_data: PrivateData
    words: FoundWords
    hub: Hub
    pinned_until: datetime
    read_at: datetime
    preview_reason: str
    finish: str


@own_transaction
def _save_image(own: Session, claim: Claim, processed: _ProcessedOriginal) -> list[str]:
    """Save the image with its renditions and end the item.

    Rows are locked in the order item, group, objects, as everywhere.

    :return: object keys that the image no longer uses.
    """
    now = get_database_time(own)
    _end_item(own, claim, now, state="done", size_bytes=processed.download.size_bytes, reason="")
    # Its group may have been joined with another one since the item was claimed.
    item = own.get_one(ImportItem, claim.item.id)
    group_id = item.group_id
    if item.image_id is not None:
        # The image may have moved to another group since the job was created.
        group_id = own.scalar(select(Image.group_id).where(Image.id == item.image_id))
        if group_id is None:
            raise _NothingToDoError(mark("The image was deleted in the meantime."))
    if group_id is None or not lock_group(own, group_id):
        raise NotFoundError("group", group_id)
    renditions = processed.picture.renditions
    sizes = {key: len(file.data) for key, file in list_files(renditions).items()}
    use_keys(own, sizes, processed.pinned_until)
    old_keys: set[str] = set()
    if item.image_id is None:
        image = Image(
            group_id=group_id,
            number=item.number,
            position=item.position,
            drive_account_id=claim.account_id,
            drive_item_id=item.drive_item_id,
            folder_id=processed.item.parent_id or item.folder_id,
            folder_name=item.folder_name,
            role=guess_role(processed.item.name or item.file_name),
            created_at=now,
        )
        own.add(image)
    else:
        image = own.get_one(Image, item.image_id)
        old = Rendition.image_id == image.id
        old_keys.update(own.scalars(select(Rendition.object_key).where(old)))
        old_keys.update(own.scalars(select(Rendition.marked_key).where(old)))
        own.execute(delete(Rendition).where(old))
        change_original(image, claim, processed.item)
    _set_facts(image, claim, processed)
    image.finish = processed.finish
    # Of a new image a worker makes sure in any case that it has the finish of today.
    image.is_unfinished = item.image_id is not None
    note_import(own, image, processed.read_at)
    own.flush()
    listing = make_listing(processed.item, processed.download)
    save_found(own, image, listing, processed.private_data)
    save_words(own, processed.hub, image, processed.words)
    insert_renditions(own, image.id, renditions)
    tiles.note_original(own, image)
    item.image_id = image.id
    refresh_group(own, group_id)
    return sorted(old_keys - sizes.keys() - {""})


def _set_facts(image: Image, claim: Claim, processed: _ProcessedOriginal) -> None:
    item = processed.item
    image.name = (item.name or claim.item.file_name)[:400]
    image.drive_state = "ok"
    image.offered_item_id = ""
    image.drive_hash = processed.download.listed_hash[:40]
    image.drive_size_bytes = processed.download.listed_size_bytes
    image.preview_reason = processed.preview_reason[:500]
    image.size_bytes = processed.download.size_bytes
    image.sha256 = processed.download.sha256
    image.quick_xor_hash = processed.download.quick_xor_hash[:40]
    image.etag = item.etag[:255]
    image.ctag = item.ctag[:255]
    set_picture_facts(image, processed.picture)
    set_video_facts(image, processed.video)


def _find_twin(session: Session, claim: Claim) -> int | None:
    """Find the image of this file that is in the group already."""
    found = session.scalar(
        select(Image.id)
        .join(ImportItem, ImportItem.group_id == Image.group_id)
        .where(
            ImportItem.id == claim.item.id,
            Image.drive_account_id == claim.account_id,
            Image.drive_item_id == claim.item.drive_item_id,
        )
    )
    end_read(session)
    return found


def _end_item(own: Session, claim: Claim, now: datetime, **values: Any) -> None:
    """Change an item and end its lease.

    :raise LeaseLostError: another worker has the item now.
    """
    found = count_rows(
        own,
        update(ImportItem)
        .where(
            ImportItem.id == claim.item.id,
            ImportItem.state == "running",
            ImportItem.lease_owner == claim.item.lease_owner,
        )
        .values(
            lease_owner="",
            lease_until=None,
            finished_at=None if values["state"] == "queued" else now,
            **values,
        ),
    )
    if not found:
        raise LeaseLostError
    job = ImportJob.id == claim.item.job_id
    own.execute(update(ImportJob).where(job).values(last_activity_at=now))


@own_transaction
def _end(own: Session, /, claim: Claim, state: str, reason: str, **values: Any) -> str:
    _end_item(own, claim, get_database_time(own), state=state, reason=reason, **values)
    return state


@own_transaction
def _wait_for_access(own: Session, claim: Claim, reason: str) -> str:
    """Let all items of a job wait for access to OneDrive; return the new state of this one.

    Attempts are not counted. A sign-in ends the wait (:func:`.jobs.resume_waiting`), and so does an
    attempt that succeeds.
    """
    now = get_database_time(own)
    job_id, asked_at = own.execute(
        select(ImportItem.job_id, func.coalesce(ImportItem.asked_at, ImportJob.created_at))
        .join(ImportJob, ImportJob.id == ImportItem.job_id)
        .where(ImportItem.id == claim.item.id)
    ).one()
    until = now + timedelta(seconds=ACCESS_DELAY_SECONDS)
    state = "failed" if now - asked_at > MAX_ACCESS_WAIT else "queued"
    waits = {"available_at": until, "reason": reason[:500], "waits_for_access": state == "queued"}
    _end_item(own, claim, now, state=state, **waits)
    is_due = (ImportItem.state == "queued", ImportItem.available_at < until)
    # Otherwise each of them would ask Microsoft again.
    own.execute(
        update(ImportItem)
        .where(ImportItem.job_id == job_id, *is_due)
        .values(waits | {"waits_for_access": True})
        .execution_options(synchronize_session=False)
    )
    return state


@own_transaction
def _retry_later(
    own: Session,
    claim: Claim,
    reason: str,
    max_attempts: int = MAX_ATTEMPTS,
    last_reason: str = "",
) -> str:
    """Queue an item for later, or let it fail after too many attempts; return its new state.

    :param last_reason: why it fails then, if that is not ``reason``.
    """
    now = get_database_time(own)
    attempts, asked_at, paused_until = own.execute(
        select(
            ImportItem.attempt_count,
            func.coalesce(ImportItem.asked_at, ImportJob.created_at),
            DriveAccount.paused_until,
        )
        .join(ImportJob, ImportJob.id == ImportItem.job_id)
        .join(DriveAccount, DriveAccount.id == ImportJob.drive_account_id)
        .where(ImportItem.id == claim.item.id)
    ).one()
    delay = min(LONGEST_DELAY_SECONDS, 2.0 ** (attempts + 1))
    delay *= random.uniform(0.5, 1.0)  # noqa: S311 - not for security
    if paused_until is not None and paused_until > now:
        # OneDrive throttles the whole account, so this attempt is not counted.
        delay += (paused_until - now).total_seconds()
    else:
        attempts += 1
    state = "failed" if attempts >= max_attempts or now - asked_at > MAX_WAIT else "queued"
    _end_item(
        own,
        claim,
        now,
        state=state,
        reason=((state == "failed" and last_reason) or reason)[:500],
        attempt_count=attempts,
        available_at=now + timedelta(seconds=delay),
    )
    return state
