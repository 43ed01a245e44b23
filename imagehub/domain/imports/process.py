"""Process one claimed import item: fetch, render, store, record."""

import base64
import errno
import logging
import random
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, exists, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from imagehub.clients import Clients, Download, DriveItem, ObjectStore
from imagehub.database import count_rows, get_database_time, run_in_own_transaction
from imagehub.domain.filetypes import check_is_picture
from imagehub.domain.imports.claims import Claim, LeaseLostError, finish_job
from imagehub.domain.imports.grouping import guess_role
from imagehub.domain.imports.jobs import IN_GROUP_REASON, OPEN_STATES
from imagehub.domain.imports.scratch import Scratch
from imagehub.domain.library.groups import lock_group, refresh_group
from imagehub.domain.objects.bookkeeping import KeyGoneError, delete_unused, pin_keys, use_keys
from imagehub.domain.sync.schedule import note_import
from imagehub.errors import (
    ConflictError,
    ConnectionLostError,
    ImageHubError,
    InvalidInputError,
    NotAllowedError,
    NotFoundError,
    PictureError,
    ServiceBusyError,
    ServiceRefusedError,
)
from imagehub.models import DriveAccount, Image, ImportItem, ImportJob, Rendition

if TYPE_CHECKING:
    # Only the worker's processes need to load the picture library.
    from imagehub.imaging.render import EncodedPicture, RenderedPicture


log = logging.getLogger(__name__)

# Passing faults are tried again after 2, 4, 8 … 300 seconds: a quarter of an hour of outage costs
# nothing but time. Where OneDrive asked for quiet the item just waits, but not for ever.
MAX_ATTEMPTS = 12
MAX_SURPRISES = 3
LONGEST_DELAY_SECONDS = 300.0
MAX_WAIT = timedelta(days=3)

GENERAL_REASON = "Something went wrong here while this file was imported (reference {})."
DISK_FULL_REASON = "The disk of the server is full."


class _NothingToDoError(Exception):
    """The group has this file already, or the image to be mended is gone."""

    def __init__(self, reason: str, image_id: int | None = None) -> None:
        super().__init__(reason)
        self.image_id = image_id


# --- One item -------------------------------------------------------------------------------------


def process_item(
    session: Session, clients: Clients, scratch: Scratch, claim: Claim, max_bytes: int
) -> str:
    """Do what a claim asks for, to whichever end. Commits on its own.

    :param session: holds no uncommitted change.
    :param max_bytes: originals larger than this are refused.
    :return: the item's state now: ``done``, ``skipped``, ``failed``, ``queued`` (to be tried again
        later), or ``lost`` (it was no longer this worker's).
    """
    try:
        state = _import(session, clients, scratch, claim, max_bytes)
    except LeaseLostError:
        log.info("Item %d was lost to another worker", claim.item_id)
        return "lost"
    except _NothingToDoError as nothing:
        state = _end(session, claim, "skipped", str(nothing), nothing.image_id)
    except (ServiceBusyError, ConflictError) as error:
        state = _put_off(session, claim, str(error), MAX_ATTEMPTS)
    except KeyGoneError:
        state = _put_off(session, claim, "", MAX_ATTEMPTS)
    except (
        PictureError,
        NotFoundError,
        NotAllowedError,
        InvalidInputError,
        ServiceRefusedError,
        ConnectionLostError,
    ) as error:
        log.info("Item %d failed: %s", claim.item_id, error)
        state = _end(session, claim, "failed", reason=_explain(error))
    except Exception as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            log.error("The disk is full: item %d has to wait", claim.item_id)
            state = _put_off(session, claim, DISK_FULL_REASON, MAX_ATTEMPTS)
        else:
            number = secrets.token_hex(4)
            log.exception("Item %d met something unexpected (reference %s)", claim.item_id, number)
            state = _put_off(session, claim, GENERAL_REASON.format(number), MAX_SURPRISES)
    if not session.scalar(
        select(exists().where(ImportItem.job_id == claim.job_id, ImportItem.state.in_(OPEN_STATES)))
    ):
        session.rollback()
        finish_job(session, claim.job_id)
    session.rollback()
    return state


def _explain(error: ImageHubError) -> str:
    if isinstance(error, NotFoundError) and error.kind == "drive item":
        return "This file is no longer in OneDrive, or not inside the root folder."
    if isinstance(error, NotFoundError) and error.kind == "group":
        return "The group was deleted in the meantime."
    return str(error)[:500]


def _import(
    session: Session, clients: Clients, scratch: Scratch, claim: Claim, max_bytes: int
) -> str:
    if claim.group_id is None and claim.image_id is None:
        raise NotFoundError("group", "")
    assert clients.renderer is not None
    looked_at = get_database_time(session)
    session.rollback()
    drive = clients.open_drive(claim.account_id)
    item = drive.get_item(claim.drive_item_id)
    check_is_picture(item)
    with scratch.open_file() as (file, path):
        download = drive.download(item, file, max_bytes)
        file.flush()
        picture: RenderedPicture = clients.renderer.render(path)
    encoded = {rendition.object_key: rendition for rendition in picture.renditions}
    pinned_until, stored = pin_keys(session, encoded)
    for key, rendition in encoded.items():
        if key not in stored:
            _put_object(clients.store, key, rendition)
    made = _Made(item, download, picture, pinned_until, looked_at)
    try:
        old_keys = run_in_own_transaction(session, lambda own: _finish(own, claim, made))
    except IntegrityError:
        twin_id = _find_twin(session, claim)
        if twin_id is None:
            raise
        raise _NothingToDoError(IN_GROUP_REASON, twin_id) from None
    if old_keys:
        delete_unused(session, clients, old_keys)
    return "done"


def _put_object(store: ObjectStore, key: str, rendition: "EncodedPicture") -> None:
    try:
        store.put_object(key, rendition.data, rendition.mime)
    except ServiceRefusedError as error:
        if error.reason != "no_bucket":
            raise
        # A new hub, or somebody removed the bucket.
        store.create_bucket()
        store.put_object(key, rendition.data, rendition.mime)


@dataclass(frozen=True)
class _Made:
    """All that came of one original, ready to be written down."""

    item: DriveItem
    download: Download
    picture: "RenderedPicture"
    pinned_until: datetime
    looked_at: datetime


def _finish(own: Session, claim: Claim, made: _Made) -> list[str]:
    """The last transaction of an item. Locks go item, group, objects: the same order everywhere.

    :return: keys that the image used until now and uses no more.
    """
    now = get_database_time(own)
    _end_item(own, claim, now, state="done", size_bytes=made.download.size_bytes, reason="")
    # Its group may have been joined into another one since it was claimed.
    place = own.execute(
        select(ImportItem.group_id, ImportItem.number, ImportItem.position).where(
            ImportItem.id == claim.item_id
        )
    ).one()
    group_id = place.group_id
    if claim.image_id is not None:
        # The image may have come into another group since its repair was asked for.
        group_id = own.scalar(select(Image.group_id).where(Image.id == claim.image_id))
        if group_id is None:
            raise _NothingToDoError("The image was deleted in the meantime.")
    if group_id is None or not lock_group(own, group_id):
        raise NotFoundError("group", group_id)
    use_keys(
        own,
        {r.object_key: len(r.data) for r in made.picture.renditions},
        made.pinned_until,
    )
    old_keys: set[str] = set()
    if claim.image_id is None:
        image = Image(
            group_id=group_id,
            number=place.number,
            position=place.position,
            drive_account_id=claim.account_id,
            drive_item_id=claim.drive_item_id,
            folder_id=made.item.parent_id or claim.folder_id,
            folder_name=claim.folder_name,
            role=guess_role(made.item.name or claim.file_name),
            created_at=now,
        )
        own.add(image)
    else:
        image = own.get_one(Image, claim.image_id)
        old_keys.update(
            own.scalars(select(Rendition.object_key).where(Rendition.image_id == image.id))
        )
        own.execute(delete(Rendition).where(Rendition.image_id == image.id))
    _write_facts(image, claim, made)
    note_import(own, image, made.looked_at)
    own.flush()
    own.execute(
        insert(Rendition),
        [
            {
                "image_id": image.id,
                "size_px": r.label_px,
                "mime_type": r.mime,
                "width_px": r.width_px,
                "height_px": r.height_px,
                "size_bytes": len(r.data),
                "object_key": r.object_key,
            }
            for r in made.picture.renditions
        ],
    )
    own.execute(
        update(ImportItem)
        .where(ImportItem.id == claim.item_id)
        .values(image_id=image.id)
        .execution_options(synchronize_session=False)
    )
    refresh_group(own, group_id)
    return sorted(old_keys - {r.object_key for r in made.picture.renditions})


def _write_facts(image: Image, claim: Claim, made: _Made) -> None:
    item, picture, metadata = made.item, made.picture, made.picture.metadata
    image.name = (item.name or claim.file_name)[:400]
    image.drive_state = "ok"
    image.drive_hash = made.download.listed_hash[:40]
    image.drive_size_bytes = made.download.listed_size_bytes
    image.mime_type = picture.mime[:100]
    image.size_bytes = made.download.size_bytes
    image.sha256 = made.download.sha256
    image.quick_xor_hash = made.download.quick_xor_hash[:40]
    image.etag = item.etag[:255]
    image.ctag = item.ctag[:255]
    image.width_px = picture.width_px
    image.height_px = picture.height_px
    image.thumbhash = base64.b64encode(picture.thumbhash).decode()
    image.dominant_color = picture.dominant_color
    # The camera's own clock is kept as it stood, with or without a known zone.
    image.taken_at = metadata.taken_at.replace(tzinfo=None) if metadata.taken_at else None
    image.camera = metadata.camera[:200]
    image.lens = metadata.lens[:200]
    image.exposure_seconds = metadata.exposure_seconds
    image.f_number = metadata.f_number
    image.iso = metadata.iso
    image.focal_length_mm = metadata.focal_length_mm
    image.latitude, image.longitude = metadata.gps or (None, None)


def _find_twin(session: Session, claim: Claim) -> int | None:
    """The image that is in the group already for this file."""
    found = session.scalar(
        select(Image.id).where(
            Image.group_id
            == select(ImportItem.group_id).where(ImportItem.id == claim.item_id).scalar_subquery(),
            Image.drive_account_id == claim.account_id,
            Image.drive_item_id == claim.drive_item_id,
        )
    )
    session.rollback()
    return found


def _end_item(own: Session, claim: Claim, now: datetime, **values: Any) -> None:
    """Change an item that is still this worker's, and let go of it.

    :raise LeaseLostError: it no longer is.
    """
    found = count_rows(
        own,
        update(ImportItem)
        .where(
            ImportItem.id == claim.item_id,
            ImportItem.state == "running",
            ImportItem.lease_owner == claim.owner,
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
    own.execute(
        update(ImportJob)
        .where(ImportJob.id == claim.job_id)
        .values(last_activity_at=now)
        .execution_options(synchronize_session=False)
    )


def _end(
    session: Session, claim: Claim, state: str, reason: str = "", image_id: int | None = None
) -> str:
    values: dict[str, Any] = {"state": state, "reason": reason}
    if image_id is not None:
        values["image_id"] = image_id
    try:
        run_in_own_transaction(
            session, lambda own: _end_item(own, claim, get_database_time(own), **values)
        )
    except LeaseLostError:
        return "lost"
    return state


def _put_off(session: Session, claim: Claim, reason: str, max_attempts: int) -> str:
    """Queue an item for later; it fails where it has been tried often enough."""

    def put_off(own: Session) -> str:
        now = get_database_time(own)
        attempts, asked_at, paused_until = own.execute(
            select(
                ImportItem.attempt_count,
                func.coalesce(ImportItem.asked_at, ImportJob.created_at),
                DriveAccount.paused_until,
            )
            .join(ImportJob, ImportJob.id == ImportItem.job_id)
            .join(DriveAccount, DriveAccount.id == ImportJob.drive_account_id)
            .where(ImportItem.id == claim.item_id)
        ).one()
        delay = min(LONGEST_DELAY_SECONDS, 2.0 ** (attempts + 1))
        delay *= random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, hides nothing
        if paused_until is not None and paused_until > now:
            # OneDrive asked everybody for quiet: no fault of this file, so it is not counted.
            delay += (paused_until - now).total_seconds()
        else:
            attempts += 1
        is_over = attempts >= max_attempts or now - asked_at > MAX_WAIT
        _end_item(
            own,
            claim,
            now,
            state="failed" if is_over else "queued",
            reason=reason[:500],
            attempt_count=attempts,
            available_at=now + timedelta(seconds=delay),
        )
        return "failed" if is_over else "queued"

    try:
        return run_in_own_transaction(session, put_off)
    except LeaseLostError:
        return "lost"
