"""Give the renditions of all images the finish that the settings ask for, without OneDrive.

The stored renditions without a watermark are the source. Imports finish their images themselves.
When the settings change, all images are visited in the order of their ids; how far this is, is kept
in the database. Images whose work was changed are found by a flag. So this can end at any time, and
any worker can go on.
"""

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from imagehub.clients import Clients
from imagehub.database import count_rows, end_read, own_transaction
from imagehub.domain.imports.scratch import Scratch
from imagehub.domain.leases import acquire_lease, release_lease
from imagehub.domain.library.finish import Finish
from imagehub.domain.objects.bookkeeping import (
    KeyGoneError,
    delete_unused,
    pin_keys,
    use_keys,
)
from imagehub.errors import NotFoundError, PictureError, ServiceBusyError, ServiceError
from imagehub.imaging.marks import make_rendition_key, set_xmp
from imagehub.models import Group, HubSetting, Image, Rendition

log = logging.getLogger(__name__)

_STATE = "finish"
_LEASE = "finishes-renditions"
_LEASE_SECONDS = 120.0
_BATCH = 20
_WEBP = "image/webp"


@dataclass(frozen=True)
class Progress:
    """How far a visit of all images is.

    ``digest``: of the finish that they get. All up to ``after_id`` were visited; ``last_id`` was
    the newest when the visit began. ``failed_count``: images that could not be changed.
    """

    digest: str = ""
    after_id: int = 0
    last_id: int = 0
    failed_count: int = 0

    @property
    def is_done(self) -> bool:
        return self.after_id >= self.last_id


def find_progress(session: Session) -> Progress:
    """Return how far the last visit is; without one, that of a hub without a finish."""
    text = session.scalar(select(HubSetting.value).where(HubSetting.name == _STATE))
    return Progress(**json.loads(text)) if text else Progress()


def finish_renditions(
    session: Session,
    clients: Clients,
    scratch: Scratch,
    finish: Finish,
    owner: str,
    keep_on: Callable[[], bool],
) -> int:
    """Finish all images that need it; safe to run twice.

    :param session: holds no uncommitted change.
    :param owner: of the lease by which only one worker does this.
    :param keep_on: asked before each image.
    :return: how many were changed.
    """
    progress = find_progress(session)
    is_idle = progress.digest == finish.digest and not _has_next(session, progress)
    flagged = _list_flagged(session)
    end_read(session)
    if is_idle and not flagged:
        return 0
    if not acquire_lease(session, _LEASE, owner, _LEASE_SECONDS):
        return 0
    count = 0
    try:
        while keep_on() and (flagged := _list_flagged(session)):
            for image_id in flagged:
                if not keep_on() or not acquire_lease(session, _LEASE, owner, _LEASE_SECONDS):
                    return count
                count += _finish_image(session, clients, scratch, finish, image_id) or 0
        progress = _begin(session, finish.digest)
        while keep_on() and (ids := _list_next(session, progress)):
            failed_count = progress.failed_count
            for image_id in ids:
                if not keep_on() or not acquire_lease(session, _LEASE, owner, _LEASE_SECONDS):
                    return count
                changed = _finish_image(session, clients, scratch, finish, image_id)
                failed_count += changed is None
                count += changed or 0
            last_id = max(progress.last_id, ids[-1])
            progress = Progress(progress.digest, ids[-1], last_id, failed_count)
            _note(session, progress)
        if keep_on() and not progress.is_done:
            _note(session, replace(progress, after_id=progress.last_id))
    except ServiceBusyError as error:
        log.info("Finishing renditions is postponed: %s", error)
    finally:
        end_read(session)
        release_lease(session, _LEASE, owner)
    return count


def _list_flagged(session: Session) -> Sequence[int]:
    flagged = select(Image.id).where(Image.is_unfinished.is_(True))
    return session.scalars(flagged.order_by(Image.id).limit(_BATCH)).all()


def _has_next(session: Session, progress: Progress) -> bool:
    return not progress.is_done or bool(progress.digest and _list_next(session, progress))


def _list_next(session: Session, progress: Progress) -> Sequence[int]:
    """List the next images to visit; in a hub with a finish also those that came in since."""
    ids = select(Image.id).where(Image.id > progress.after_id)
    if not progress.digest:
        ids = ids.where(Image.id <= progress.last_id)
    found = session.scalars(ids.order_by(Image.id).limit(_BATCH)).all()
    end_read(session)
    return found


@own_transaction
def _begin(own: Session, digest: str) -> Progress:
    """Go on with the visit for a finish, or begin one."""
    progress = find_progress(own)
    if progress.digest == digest:
        return progress
    progress = Progress(digest, last_id=own.scalar(select(func.max(Image.id))) or 0)
    _keep(own, progress)
    return progress


@own_transaction
def _note(own: Session, progress: Progress) -> None:
    # The settings may have changed in the meantime.
    if find_progress(own).digest == progress.digest:
        _keep(own, progress)


def _keep(own: Session, progress: Progress) -> None:
    own.merge(HubSetting(name=_STATE, value=json.dumps(asdict(progress))))


# --- One image ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Finished:
    """A rendition with its new bytes. ``marked``: b"" without a watermark."""

    row_id: int
    old_key: str
    mime: str
    data: bytes
    marked: bytes

    @property
    def key(self) -> str:
        return make_rendition_key(self.data, self.mime)

    @property
    def marked_key(self) -> str:
        return make_rendition_key(self.marked, self.mime) if self.marked else ""


def _finish_image(
    session: Session, clients: Clients, scratch: Scratch, finish: Finish, image_id: int
) -> int | None:
    """Finish the renditions of an image; returns 1 if they were changed, 0 if not.

    :return: None if it cannot be done, such as when a rendition is lost; its next import does it.
    :raise ServiceBusyError: the object storage does not answer.
    """
    image = session.get(Image, image_id)
    group = session.get(Group, image.group_id) if image is not None else None
    if image is None or group is None:
        end_read(session)
        return 0
    wanted, xmp = finish.make_key(group), finish.make_xmp(group)
    is_right = image.finish == wanted
    rows = session.scalars(select(Rendition).where(Rendition.image_id == image_id)).all()
    session.expunge_all()
    end_read(session)
    if is_right:
        _unflag(session, image_id)
        return 0
    try:
        finished = _make(clients, scratch, finish, xmp, rows)
        mimes = {one.key: one.mime for one in finished}
        mimes |= {one.marked_key: one.mime for one in finished if one.marked}
        files = {one.key: one.data for one in finished}
        files |= {one.marked_key: one.marked for one in finished if one.marked}
        pinned_until, stored = pin_keys(session, files)
        for key, data in files.items():
            if key not in stored:
                clients.store.put_object(key, data, mimes[key])
        old_keys = _use(session, image_id, finish, wanted, finished, pinned_until)
    except ServiceBusyError:
        raise
    except KeyGoneError:
        return 0
    except (NotFoundError, PictureError, ServiceError, ValueError) as error:
        log.warning("The renditions of image %d cannot be finished: %s", image_id, error)
        _unflag(session, image_id)
        return None
    if old_keys:
        delete_unused(session, clients, old_keys)
    return 1


def _make(
    clients: Clients, scratch: Scratch, finish: Finish, xmp: bytes, rows: Sequence[Rendition]
) -> list[_Finished]:
    assert clients.renderer is not None
    made: dict[tuple[str, bool], tuple[bytes, bytes]] = {}
    finished = []
    for row in rows:
        mark = finish.mark if finish.mark and row.size_px >= finish.mark.from_px else None
        known = (row.object_key, mark is not None)
        # Small images have the same file in several sizes.
        if known not in made:
            data = clients.store.get_object(row.object_key)
            marked = b""
            if mark is not None:
                with scratch.open_file() as (file, path):
                    file.write(data)
                    file.flush()
                    marked = clients.renderer.mark(path, mark, row.size_px)
            if row.mime_type == _WEBP:
                data = set_xmp(data, row.width_px, row.height_px, xmp)
                marked = marked and set_xmp(marked, row.width_px, row.height_px, xmp)
            made[known] = data, marked
        finished.append(_Finished(row.id, row.object_key, row.mime_type, *made[known]))
    return finished


@own_transaction
def _use(
    own: Session,
    image_id: int,
    finish: Finish,
    wanted: str,
    finished: Sequence[_Finished],
    pinned_until: datetime,
) -> list[str]:
    """Show the finished renditions; returns keys that are no longer used.

    If an import has made the renditions anew in the meantime, nothing is changed. If the credits of
    the work were changed, the image stays flagged, and is finished once more.

    :param wanted: what its finish was to be when the renditions were read.
    """
    # Locked by an update that changes nothing, since SQLite has no FOR UPDATE.
    this = update(Image).where(Image.id == image_id)
    count_rows(own, this.values(is_unfinished=Image.is_unfinished, updated_at=Image.updated_at))
    image = own.get(Image, image_id)
    rows = {
        row.id: row for row in own.scalars(select(Rendition).where(Rendition.image_id == image_id))
    }
    is_same = {one.row_id: one.old_key for one in finished} == {
        row.id: row.object_key for row in rows.values()
    }
    fresh = {one.key: len(one.data) for one in finished}
    fresh |= {one.marked_key: len(one.marked) for one in finished if one.marked}
    if image is None or not is_same:
        return sorted(fresh)
    use_keys(own, fresh, pinned_until)
    old_keys: set[str] = set()
    for one in finished:
        row = rows[one.row_id]
        old_keys |= {row.object_key, row.marked_key} - {""}
        row.object_key, row.size_bytes = one.key, len(one.data)
        row.marked_key, row.marked_bytes = one.marked_key, len(one.marked)
    group = own.get_one(Group, image.group_id)
    image.finish, image.is_unfinished = wanted, finish.make_key(group) != wanted
    return sorted(old_keys - fresh.keys())


@own_transaction
def _unflag(own: Session, image_id: int) -> None:
    this = update(Image).where(Image.id == image_id, Image.is_unfinished.is_(True))
    count_rows(own, this.values(is_unfinished=False))
