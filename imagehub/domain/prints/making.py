"""Make print files: download originals, render them for print, lay out, store.

The rows of ``print_file`` say what there is to do. A file whose maker has died is due again after
a while and made from the start. Its parts are stored below a new prefix that is pinned first, so
that a crash leaves only objects that ``reconcile`` deletes. One picture is in memory at a time, the
others are files in the scratch folder; the PDF is stored in parts while it is written.
"""

import json
import logging
import secrets
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import and_, select, update
from sqlalchemy.orm import Session

from imagehub.clients import Clients
from imagehub.config import Settings
from imagehub.database import count_rows, end_read, get_database_time, own_transaction
from imagehub.domain.imports.scratch import Scratch
from imagehub.domain.objects import bookkeeping
from imagehub.domain.prints.content import PrintContent, PrintWork, Source, load_content
from imagehub.domain.prints.files import (
    FAILED,
    KEPT,
    MAKING,
    READY,
    WAITING,
    make_prefix,
    name_part,
)
from imagehub.domain.prints.letters import list_unprintable
from imagehub.domain.sync.state import AWAY
from imagehub.errors import (
    ConnectionLostError,
    ImageHubError,
    NotFoundError,
    PictureError,
    ServiceBusyError,
    ServiceRefusedError,
)
from imagehub.messages import Message, mark
from imagehub.models import PrintFile
from imagehub.printing.assemble import PlacedPicture, make_stand_in, write_pdf
from imagehub.printing.pictures import DPI, PictureMaker, PrintPicture, count_pixels, measure_dpi
from imagehub.printing.typeset import typeset

log = logging.getLogger(__name__)

PART_BYTES = 8_000_000
# A maker renews its claim much more often than it would expire.
_CLAIM_SECONDS = 300.0
_NOTE_SECONDS = 1.0
_MAX_ATTEMPTS = 3
# Pixels are missed on paper from here on.
LEAST_DPI = 150

# Why the picture of a work is made from a smaller copy; the others go on.
_WITHOUT_ORIGINAL = (PictureError, NotFoundError, ConnectionLostError, ServiceRefusedError)
_NO_ORIGINAL = mark("The original is not in OneDrive.")
_CHANGED = mark("The original was changed in OneDrive. Import the new version first.")
_DIED = mark("The worker ended unexpectedly several times while making this file.")
_NO_FONT = mark(
    "No font of the worker has these characters, so empty boxes stand for them: %(characters)s"
)
_PREVIEW = mark("Originals of this kind cannot be printed.")
_VIDEO = mark("The picture of a video is its still.")


@dataclass(frozen=True)
class PrintJob:
    """What a worker needs to make print files. ``keep_on``: asked between pictures."""

    settings: Settings
    scratch: Scratch
    keep_on: Callable[[], bool]


class _StoppedError(Exception):
    """The worker stops, or the file was cancelled, deleted, or taken by another worker."""


def work_on_prints(session: Session, clients: Clients, job: PrintJob) -> int:
    """Make all print files that are due; return how many were made. Commits on its own.

    :param session: holds no uncommitted change.
    """
    count = 0
    while job.keep_on() and (claimed := _claim_next(session)) is not None:
        count += _try_to_make(session, clients, job, *claimed)
    return count


def _try_to_make(session: Session, clients: Clients, job: PrintJob, number: int, owner: str) -> int:
    making = _Making(session, clients, job, number, owner)
    try:
        with closing(making):
            making.run()
        return 1
    except (_StoppedError, bookkeeping.KeyGoneError):
        _end(session, number, owner, state=WAITING, due_at=_get_time(session))
    except (ServiceBusyError, ConnectionLostError) as error:
        _postpone(session, number, owner, error.sentence)
    except ImageHubError as error:
        log.warning("Print file %d failed: %s", number, error)
        _end(session, number, owner, state=FAILED, reason=error.sentence[:500])
    except Exception:
        reference = secrets.token_hex(4)
        log.exception("Unexpected error with print file %d (%s)", number, reference)
        reason = Message(
            "An unexpected error occurred (reference number %(number)s).", number=reference
        )
        _end(session, number, owner, state=FAILED, reason=reason[:500])
    return 0


class _Making:
    """The making of one file. ``close`` deletes what was stored and is not used."""

    def __init__(
        self, session: Session, clients: Clients, job: PrintJob, number: int, owner: str
    ) -> None:
        self._session = session
        self._clients = clients
        self._job = job
        self._number, self._owner = number, owner
        self._key = make_prefix(number)
        self._is_pinned = self._is_used = False
        self._problems: list[tuple[int, str, str]] = []
        self._noted_at = 0.0
        self._count = 0
        self._maker = PictureMaker(
            job.settings.max_pixels * 1_000_000, job.settings.max_original_bytes
        )

    def run(self) -> None:
        row = self._session.get(PrintFile, self._number)
        if row is None:
            raise _StoppedError
        kind = row.kind
        content = load_content(self._session, self._job.settings, row)
        self._session.expunge_all()
        end_read(self._session)
        for one in list_unprintable(content):
            sentence = Message(_NO_FONT, characters=one.characters)
            self._problems.append((one.group_id, one.title, str(sentence)[:300]))
        with tempfile.TemporaryDirectory(dir=self._job.scratch.folder) as name:
            folder = Path(name)
            pictures = self._make_pictures(content, folder)
            self._note(len(content.works), is_sure=True)
            data = {**content.data, "works": [work.data for work in content.works]}
            pages = typeset(kind, data, folder)
            self._note(len(content.works), is_sure=True)
            until, _ = bookkeeping.pin_keys(self._session, [self._key])
            self._is_pinned = True
            parts = _Parts(self._clients, self._key, lambda: self._note(len(content.works)))
            page_count = write_pdf(pages, pictures, parts.write)
            parts.finish()
        _use(
            self._session,
            self._number,
            self._owner,
            until,
            {
                "object_key": self._key,
                "part_count": parts.count,
                "size_bytes": parts.size_bytes,
                "page_count": page_count,
                "problems": json.dumps(self._problems, ensure_ascii=False),
            },
        )
        self._is_used = True

    def close(self) -> None:
        self._maker.close()
        if self._is_pinned and not self._is_used:
            bookkeeping.abandon(self._session, self._clients, self._key)

    # --- Pictures ---

    def _make_pictures(self, content: PrintContent, folder: Path) -> dict[int, PlacedPicture]:
        """Make the picture of each work, as a file, and its stand-in for the layout."""
        placed: dict[int, PlacedPicture] = {}
        for count, work in enumerate(content.works):
            self._note(count)
            if work.source is None:
                continue
            picture = self._make_picture(work, work.source, folder / f"{count}.jpg")
            if picture is None:
                continue
            number = len(placed) + 1
            placed[number] = PlacedPicture(folder / f"{count}.jpg", picture)
            (folder / f"{number}.png").write_bytes(make_stand_in(number))
            work.data["picture"] = {
                "file": f"{number}.png",
                "width": work.width_mm,
                "height": work.height_mm,
            }
        return placed

    def _make_picture(self, work: PrintWork, source: Source, target: Path) -> PrintPicture | None:
        """Make the picture of a work, from a rendition if that is enough or has to be.

        Returns None if there is none; the reason is noted.
        """
        longest_mm = max(work.width_mm, work.height_mm)
        longest_px = count_pixels(longest_mm)
        picture: PrintPicture | None = None
        if longest_px > source.rendition_px:
            try:
                picture = self._use_original(source, longest_px, target)
            except _WITHOUT_ORIGINAL as error:
                sentence = _NO_ORIGINAL if isinstance(error, NotFoundError) else error.sentence
                self._problem(
                    work,
                    Message("Printed from a smaller copy. %(reason)s", reason=sentence),
                )
        if picture is None:
            try:
                picture = self._use_rendition(source, longest_px, target)
            except (PictureError, NotFoundError):
                self._problem(work, mark("Its picture could not be used."))
                return None
        dpi = measure_dpi(max(picture.width_px, picture.height_px), longest_mm)
        if dpi < LEAST_DPI:
            self._problem(
                work,
                Message(
                    "At its printed size, this picture has only %(dpi)s pixels per inch "
                    "instead of %(wanted)s.",
                    dpi=dpi,
                    wanted=DPI,
                ),
            )
        return picture

    def _use_original(self, source: Source, longest_px: int, target: Path) -> PrintPicture:
        if source.is_preview:
            raise PictureError(_VIDEO if source.is_video else _PREVIEW)
        if source.account_id is None or source.drive_state in AWAY:
            raise NotFoundError("drive item", source.item_id)
        drive = self._clients.open_drive(source.account_id)
        with self._job.scratch.open_file(lambda: self._note(self._count)) as (file, path):
            item = drive.get_item(source.item_id)
            # That it is the file of the import is checked below, so it need not be as listed.
            download = drive.download(item, file, self._job.settings.max_original_bytes, True)
            file.flush()
            if download.sha256 != source.sha256:
                raise PictureError(_CHANGED)
            picture, data = self._maker.make(path, longest_px)
        target.write_bytes(data)
        return picture

    def _use_rendition(self, source: Source, longest_px: int, target: Path) -> PrintPicture:
        with self._job.scratch.open_file() as (file, path):
            file.write(self._clients.store.get_object(source.rendition_key))
            file.flush()
            picture, data = self._maker.make(path, longest_px)
        target.write_bytes(data)
        return picture

    def _problem(self, work: PrintWork, sentence: str) -> None:
        self._problems.append((work.group_id, work.title, str(sentence)[:300]))

    # --- Progress ---

    def _note(self, count: int, *, is_sure: bool = False) -> None:
        """Note the progress now and then, which renews the claim.

        :raise _StoppedError: the claim was lost, or the worker stops.
        """
        self._count = count
        if not self._job.keep_on():
            raise _StoppedError
        if is_sure or time.monotonic() - self._noted_at >= _NOTE_SECONDS:
            self._noted_at = time.monotonic()
            _note_progress(self._session, self._number, self._owner, count)


class _Parts:
    """Stores what is written in parts of the same size."""

    def __init__(self, clients: Clients, key: str, note: Callable[[], None]) -> None:
        self.count = self.size_bytes = 0
        self._clients, self._key, self._note = clients, key, note
        self._buffer = bytearray()

    def write(self, data: bytes) -> None:
        self._buffer += data
        while len(self._buffer) >= PART_BYTES:
            self._store(bytes(self._buffer[:PART_BYTES]))
            del self._buffer[:PART_BYTES]

    def finish(self) -> None:
        if self._buffer:
            self._store(bytes(self._buffer))
            self._buffer.clear()

    def _store(self, data: bytes) -> None:
        name = name_part(self._key, self.count)
        self._clients.store.put_object(name, data, "application/octet-stream")
        self.count += 1
        self.size_bytes += len(data)
        self._note()


# --- The rows -------------------------------------------------------------------------------------


def _claim_next(session: Session) -> tuple[int, str] | None:
    """Claim a file that is due; None if there is none."""
    now = get_database_time(session)
    due = and_(PrintFile.state.in_((WAITING, MAKING)), PrintFile.due_at <= now)
    query = select(PrintFile.id).where(due).order_by(PrintFile.due_at, PrintFile.id).limit(10)
    numbers = session.scalars(query).all()
    end_read(session)
    for number in numbers:
        owner = secrets.token_hex(16)
        if _claim(session, number, owner):
            return number, owner
    return None


@own_transaction
def _claim(session: Session, number: int, owner: str) -> bool:
    """Claim a file; False if it is not due, or its makers have died too often."""
    now = get_database_time(session)
    due = update(PrintFile).where(PrintFile.id == number, PrintFile.due_at <= now)
    died = due.where(PrintFile.state == MAKING)
    hopeless = died.where(PrintFile.attempt_count >= _MAX_ATTEMPTS - 1)
    if count_rows(session, hopeless.values(state=FAILED, owner="", reason=_DIED)):
        return False
    until = now + timedelta(seconds=_CLAIM_SECONDS)
    values: dict[str, Any] = {"state": MAKING, "owner": owner, "due_at": until, "done_count": 0}
    again = died.values(attempt_count=PrintFile.attempt_count + 1, **values)
    first = due.where(PrintFile.state == WAITING).values(values)
    return bool(count_rows(session, again) or count_rows(session, first))


@own_transaction
def _note_progress(session: Session, number: int, owner: str, count: int) -> None:
    until = get_database_time(session) + timedelta(seconds=_CLAIM_SECONDS)
    this = update(PrintFile).where(PrintFile.id == number, PrintFile.owner == owner)
    if not count_rows(session, this.values(done_count=count, due_at=until)):
        raise _StoppedError


@own_transaction
def _use(session: Session, number: int, owner: str, until: Any, values: dict[str, Any]) -> None:
    now = get_database_time(session)
    this = update(PrintFile).where(PrintFile.id == number, PrintFile.owner == owner)
    done = {"state": READY, "owner": "", "reason": "", "expires_at": now + KEPT}
    if not count_rows(session, this.values(done_count=PrintFile.work_count, **done, **values)):
        raise _StoppedError
    bookkeeping.use_keys(session, {values["object_key"]: values["size_bytes"]}, until)


@own_transaction
def _end(session: Session, /, number: int, owner: str, **values: Any) -> None:
    this = update(PrintFile).where(PrintFile.id == number, PrintFile.owner == owner)
    count_rows(session, this.values(owner="", **values))


@own_transaction
def _postpone(session: Session, number: int, owner: str, reason: str) -> None:
    """Try again later, a few times."""
    row = session.get(PrintFile, number)
    if row is None or row.owner != owner:
        return
    row.owner, row.attempt_count = "", row.attempt_count + 1
    row.state = WAITING if row.attempt_count < _MAX_ATTEMPTS else FAILED
    row.reason = str(reason)[:500]
    seconds = 30.0 * 2**row.attempt_count
    row.due_at = get_database_time(session) + timedelta(seconds=seconds)


def _get_time(session: Session) -> Any:
    now = get_database_time(session)
    end_read(session)
    return now
