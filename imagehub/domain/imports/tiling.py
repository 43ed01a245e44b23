"""Make the tiles of large originals, and delete those that nobody wants any more.

The rows of ``tile_set`` say what there is to do, so this can end at any time, and any worker can go
on: a row whose maker has died is due again after a while. Tiles are stored while further ones are
made, below a new prefix that is pinned first; a crash leaves objects that ``reconcile`` deletes.
"""

import json
import logging
import secrets
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import and_, bindparam, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from imagehub import metrics
from imagehub.clients import Clients
from imagehub.database import (
    UTCDateTime,
    count_rows,
    end_read,
    get_database_time,
    own_transaction,
)
from imagehub.domain.imports.scratch import Scratch
from imagehub.domain.library import tiles
from imagehub.domain.library.tiles import FAILED, MAKING, OFF, READY, WAITING, TilePolicy
from imagehub.domain.objects import bookkeeping
from imagehub.domain.onedrive.accounts import CONNECTED
from imagehub.domain.sync.state import AWAY
from imagehub.errors import (
    ConnectionLostError,
    ImageHubError,
    NotFoundError,
    PictureError,
    ServiceBusyError,
)
from imagehub.imaging.tiles import Tile, TiledPicture, TileMaker
from imagehub.messages import Message, mark
from imagehub.models import DriveAccount, Group, HubSetting, Image, TileSet

log = logging.getLogger(__name__)

_POLICY = "tiles_policy"
# A maker renews its claim much more often than it would expire.
_CLAIM_SECONDS = 120.0
_NOTE_SECONDS = 2.0
_PARALLEL = 6
# Tiles that are made but not stored yet, at most.
_WAITING_TILES = 24
_MAX_ATTEMPTS = 5
_MIME = "image/webp"
_BATCH = 50

_RENEW = text(
    "UPDATE tile_set SET percent = :percent, due_at = :until"
    " WHERE image_id = :id AND owner = :owner"
).bindparams(bindparam("until", type_=UTCDateTime()))

_NO_LIBVIPS = mark("This installation makes no tiles: it lacks pyvips.")
_NO_ORIGINAL = mark("The original is not in OneDrive.")
_PREVIEW = mark("Tiles cannot be made of this kind of file.")
_CHANGED = mark("The original was changed in OneDrive. Import the new version first.")


@dataclass(frozen=True)
class TileJob:
    """What a worker needs to make tiles.

    ``keep_on``: asked between tiles. ``maker``: None if this installation cannot make tiles; it
    still deletes them. ``max_bytes``: of an original.
    """

    policy: TilePolicy
    scratch: Scratch
    maker: TileMaker | None
    keep_on: Callable[[], bool]
    max_bytes: int


class _StoppedError(Exception):
    """The worker stops, or the claim was lost."""


@dataclass(frozen=True)
class _Claim:
    """A claimed image. ``owner`` differs with each claim."""

    image_id: int
    owner: str


def work_on_tiles(session: Session, clients: Clients, job: TileJob) -> int:
    """Decide about all images that are due, and make their tiles. Commits on its own.

    :param session: holds no uncommitted change.
    :return: of how many images tiles were made.
    """
    try:
        follow_policy(session, job.policy)
    except IntegrityError:
        # Another worker of a new hub has just noted it.
        follow_policy(session, job.policy)
    after = count = 0
    while job.keep_on() and (due := _list_due(session, after)):
        for image_id in due:
            after = image_id
            if not job.keep_on():
                break
            count += _work_on(session, clients, job, image_id)
    return count


@own_transaction
def follow_policy(session: Session, policy: TilePolicy) -> bool:
    """Decide about all images again if the hub's setting has changed; tell whether it has."""
    value = json.dumps([policy.is_on, policy.above_px])
    known = session.scalar(select(HubSetting.value).where(HubSetting.name == _POLICY))
    if known == value:
        return False
    session.merge(HubSetting(name=_POLICY, value=value))
    # What is being made is stopped by the change of its owner.
    values = {"state": WAITING, "attempt_count": 0, "owner": ""}
    values["due_at"] = get_database_time(session)
    count_rows(session, update(TileSet).where(TileSet.state != WAITING).values(values))
    return True


def _is_due(session: Session) -> Any:
    return and_(TileSet.state.in_((WAITING, MAKING)), TileSet.due_at <= get_database_time(session))


def _list_due(session: Session, after_id: int) -> list[int]:
    query = select(TileSet.image_id).where(_is_due(session), TileSet.image_id > after_id)
    ids = list(session.scalars(query.order_by(TileSet.image_id).limit(_BATCH)))
    end_read(session)
    return ids


def _work_on(session: Session, clients: Clients, job: TileJob, image_id: int) -> bool:
    """Decide about an image; tell whether tiles were made."""
    found = session.execute(
        select(Image, Group, TileSet, DriveAccount.state)
        .join(Group, Group.id == Image.group_id)
        .join(TileSet, TileSet.image_id == Image.id)
        .outerjoin(DriveAccount, DriveAccount.id == Image.drive_account_id)
        .where(Image.id == image_id)
    ).one_or_none()
    if found is None:
        return False
    image, group, row, account_state = found
    session.expunge_all()
    end_read(session)
    wanted = job.policy.wants(group, image)
    is_current = bool(row.object_key) and row.sha256 == image.sha256 and row.tile_count > 0
    claim = _claim(session, image_id)
    if claim is None:
        return False
    if not wanted or is_current:
        _settle(session, clients, claim, READY if wanted else OFF)
        return False
    with metrics.measure_tiles() as attempt:
        is_connected = account_state == CONNECTED
        attempt.outcome = _try_to_make(
            session, clients, job, claim, image, row.attempt_count, is_connected
        )
    return attempt.outcome == "made"


def _try_to_make(
    session: Session,
    clients: Clients,
    job: TileJob,
    claim: _Claim,
    image: Image,
    attempts: int,
    is_connected: bool,
) -> str:
    """Make the tiles of an image, or note why not; returns one of ``metrics.TILE_OUTCOMES``.

    :param attempts: those that failed unexpectedly.
    :param is_connected: tells whether OneDrive can be asked for the original.
    """
    if job.maker is None:
        return _postpone(session, claim, 4, counts=False, reason=_NO_LIBVIPS)
    if image.preview_reason:
        return _fail(session, clients, claim, _PREVIEW)
    if image.drive_account_id is None or image.drive_state in AWAY:
        return _fail(session, clients, claim, _NO_ORIGINAL)
    if not is_connected:
        return _postpone(session, claim, attempts, counts=False)
    try:
        with closing(_Making(session, clients, job, job.maker, claim, image)) as making:
            making.run()
        log.info("Made %d tiles of image %d", making.tile_count, image.id)
        return "made"
    except (_StoppedError, bookkeeping.KeyGoneError):
        return _release(session, claim)
    except (PictureError, NotFoundError) as error:
        sentence = _NO_ORIGINAL if isinstance(error, NotFoundError) else error.sentence
        return _fail(session, clients, claim, sentence)
    except (ServiceBusyError, ConnectionLostError) as error:
        log.info("The tiles of image %d are postponed: %s", image.id, error)
        return _postpone(session, claim, attempts, counts=False)
    except ImageHubError as error:
        return _fail(session, clients, claim, error.sentence)
    except Exception:
        number = secrets.token_hex(4)
        log.exception("Unexpected error with the tiles of image %d (%s)", image.id, number)
        if attempts + 1 < _MAX_ATTEMPTS:
            return _postpone(session, claim, attempts, counts=True)
        reason = Message(
            "An unexpected error occurred (reference number %(number)s).", number=number
        )
        return _fail(session, clients, claim, reason)


# --- Making ---------------------------------------------------------------------------------------


class _Making:
    """The making of one image's tiles. ``close`` deletes what was stored and is not used."""

    def __init__(
        self,
        session: Session,
        clients: Clients,
        job: TileJob,
        maker: TileMaker,
        claim: _Claim,
        image: Image,
    ) -> None:
        self.tile_count = 0
        self._session = session
        self._clients = clients
        self._job = job
        self._maker = maker
        self._claim = claim
        self._image = image
        self._key = tiles.make_prefix(image.id)
        self._is_pinned = False
        self._is_used = False
        self._size_bytes = 0
        self._noted_at = 0.0

    def run(self) -> None:
        """Download the original, make its tiles and store them, and use them."""
        image = self._image
        assert image.drive_account_id is not None
        drive = self._clients.open_drive(image.drive_account_id)
        with self._job.scratch.open_file(lambda: self._note_progress(0)) as (file, path):
            item = drive.get_item(image.drive_item_id)
            # That it is the file of the import is checked below, so it need not be as listed.
            download = drive.download(item, file, self._job.max_bytes, True)
            file.flush()
            if download.sha256 != image.sha256:
                raise PictureError(_CHANGED)
            pinned_until, _ = bookkeeping.pin_keys(self._session, [self._key])
            self._is_pinned = True
            picture = self._store_tiles(path)
        done = _Done(self._key, picture, self.tile_count, self._size_bytes, pinned_until)
        old_key = _use(self._session, self._claim, image.sha256, done)
        self._is_used = True
        if old_key:
            bookkeeping.delete_unused(self._session, self._clients, [old_key])

    def _store_tiles(self, path: str | Path) -> TiledPicture:
        """Store each tile while the next ones are made."""
        picture: TiledPicture | None = None
        waiting: set[Future[None]] = set()
        with (
            ThreadPoolExecutor(_PARALLEL, thread_name_prefix="tile") as pool,
            closing(self._maker.iter_tiles(path)) as made,
        ):
            for one in made:
                if isinstance(one, TiledPicture):
                    picture = one
                    continue
                assert picture is not None
                waiting.add(pool.submit(self._store, one))
                self.tile_count += 1
                self._size_bytes += len(one.data)
                if len(waiting) >= _WAITING_TILES:
                    done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                    for future in done:
                        future.result()
                self._note_progress(100 * self.tile_count // max(1, picture.tile_count))
            for future in waiting:
                future.result()
        assert picture is not None
        return picture

    def _store(self, tile: Tile) -> None:
        self._clients.store.put_object(f"{self._key}{tile.name}.webp", tile.data, _MIME)

    def _note_progress(self, percent: int) -> None:
        """Note the progress now and then, which renews the claim."""
        if not self._job.keep_on():
            raise _StoppedError
        if time.monotonic() - self._noted_at >= _NOTE_SECONDS:
            self._noted_at = time.monotonic()
            _note_progress(self._session, self._claim, min(99, percent))

    def close(self) -> None:
        if self._is_pinned and not self._is_used:
            bookkeeping.abandon(self._session, self._clients, self._key)


@dataclass(frozen=True)
class _Done:
    """Tiles that are stored."""

    key: str
    picture: TiledPicture
    tile_count: int
    size_bytes: int
    pinned_until: datetime


@own_transaction
def _use(own: Session, claim: _Claim, sha256: str, done: _Done) -> str:
    """Show new tiles; returns the prefix of the old ones.

    :param sha256: of the original that they were made from.
    :raise _StoppedError: the claim was lost, or the original was replaced meanwhile.
    """
    image = own.get(Image, claim.image_id, with_for_update=True)
    row = _get_claimed(own, claim)
    if image is None or image.sha256 != sha256:
        raise _StoppedError
    bookkeeping.use_keys(own, {done.key: done.size_bytes}, done.pinned_until)
    old_key, row.object_key, row.sha256 = row.object_key, done.key, sha256
    row.width_px, row.height_px = done.picture.width_px, done.picture.height_px
    row.tile_count, row.size_bytes = done.tile_count, done.size_bytes
    row.state, row.reason, row.percent, row.attempt_count = READY, "", 100, 0
    row.owner = ""
    return old_key


# --- The rows -------------------------------------------------------------------------------------


@own_transaction
def _claim(session: Session, image_id: int) -> _Claim | None:
    """Claim an image that is due; None if another worker was faster."""
    claim = _Claim(image_id, secrets.token_hex(16))
    until = get_database_time(session) + timedelta(seconds=_CLAIM_SECONDS)
    this = update(TileSet).where(TileSet.image_id == image_id, _is_due(session))
    values = {"state": MAKING, "owner": claim.owner, "due_at": until, "percent": 0}
    return claim if count_rows(session, this.values(values)) else None


def _get_claimed(session: Session, claim: _Claim) -> TileSet:
    row = session.get(TileSet, claim.image_id, with_for_update=True, populate_existing=True)
    if row is None or row.owner != claim.owner:
        raise _StoppedError
    return row


@own_transaction
def _note_progress(session: Session, claim: _Claim, percent: int) -> None:
    """Renew a claim.

    As a text, which is not noted as a change of what visitors see: pages would not be kept.

    :raise _StoppedError: it was lost.
    """
    until = get_database_time(session) + timedelta(seconds=_CLAIM_SECONDS)
    values = {"percent": percent, "until": until, "id": claim.image_id, "owner": claim.owner}
    if not count_rows(session, _RENEW.bindparams(**values)):
        raise _StoppedError


@own_transaction
def _end(session: Session, /, claim: _Claim, **values: Any) -> None:
    this = update(TileSet).where(TileSet.image_id == claim.image_id, TileSet.owner == claim.owner)
    count_rows(session, this.values(owner="", **values))


def _settle(session: Session, clients: Clients, claim: _Claim, state: str) -> None:
    old_key = "" if state == READY else _take_key(session, claim)
    _end(session, claim, state=state, reason="", percent=0, attempt_count=0)
    if old_key:
        bookkeeping.delete_unused(session, clients, [old_key])


def _fail(session: Session, clients: Clients, claim: _Claim, reason: str) -> str:
    """Note why an image has no tiles; those of an earlier version are deleted."""
    old_key = _take_key(session, claim)
    _end(session, claim, state=FAILED, reason=reason[:500], percent=0)
    if old_key:
        bookkeeping.delete_unused(session, clients, [old_key])
    return "failed"


@own_transaction
def _take_key(session: Session, claim: _Claim) -> str:
    """Use the tiles of an image no longer; returns their prefix."""
    row = session.get(TileSet, claim.image_id, with_for_update=True, populate_existing=True)
    if row is None or row.owner != claim.owner:
        return ""
    old_key, row.object_key, row.tile_count, row.size_bytes = row.object_key, "", 0, 0
    return old_key


def _postpone(
    session: Session, claim: _Claim, attempts: int, *, counts: bool, reason: str = ""
) -> str:
    attempts += counts
    seconds = 60.0 * 2 ** min(attempts, 5)
    due_at = _get_time(session) + timedelta(seconds=seconds)
    values = {"due_at": due_at, "attempt_count": attempts, "percent": 0, "reason": reason}
    _end(session, claim, state=WAITING, **values)
    return "postponed"


def _release(session: Session, claim: _Claim) -> str:
    _end(session, claim, state=WAITING, due_at=_get_time(session), percent=0)
    return "stopped"


def _get_time(session: Session) -> Any:
    now = get_database_time(session)
    end_read(session)
    return now
