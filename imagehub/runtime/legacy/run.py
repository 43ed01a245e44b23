"""Bring everything over from the first version: accounts, the sign-in at Microsoft, pictures.

Pictures are decoded and rendered a few rows ahead. Storing each is a step of its own: its
renditions first, its rows second, together with a note that it was brought over. A run may be
stopped at any moment, also by SIGKILL; the next run skips what is noted.
"""

import fcntl
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Engine
from sqlalchemy.exc import OperationalError

from imagehub.clients import Clients
from imagehub.config import Settings
from imagehub.domain.imports.scratch import Scratch
from imagehub.errors import ImageHubError, ServiceError
from imagehub.runtime.legacy import accounts, saving
from imagehub.runtime.legacy.ahead import Ahead
from imagehub.runtime.legacy.pictures import PictureMover
from imagehub.runtime.legacy.report import Progress, Report, count_pictures
from imagehub.runtime.legacy.source import PEOPLE, TOKENS, OldDatabase, SourceError
from imagehub.runtime.legacy.taken import Taken
from imagehub.runtime.legacy.work import MigrationError, Options, Work


def migrate_legacy(
    engine: Engine,
    settings: Settings,
    clients: Clients,
    url: URL,
    options: Options,
    say: Callable[[str], None],
) -> Report:
    """Bring everything over; what is here already stays as it is.

    :param clients: with a renderer.
    :param say: prints a line.
    :raise MigrationError: it cannot begin, or another one is running.
    :raise SourceError: the old database cannot be read.
    """
    with ExitStack() as held:
        held.enter_context(_lock(settings.data_dir))
        stopping = held.enter_context(_note_signals())
        scratch = Scratch(settings.data_dir)
        held.callback(scratch.close)
        old = OldDatabase(url)
        held.callback(old.close)
        report, progress = Report(options.dry_run), Progress(say)
        work = Work(engine, settings, clients, old, scratch, options, progress, report, stopping)
        try:
            _bring_all(work, held)
        except KeyboardInterrupt:
            report.is_stopped = report.is_interrupted = True
        progress.clear()
        return report


def _bring_all(work: Work, held: ExitStack) -> None:
    for problem in work.old.check():
        work.fail("", problem)
    if not work.options.dry_run:
        # Before hours of work whose results could not be stored.
        work.clients.store.create_bucket()
    if work.old.has(PEOPLE):
        accounts.bring_people(work)
    if work.old.has(TOKENS):
        accounts.take_over_sign_in(work)
    drive = accounts.open_drive(work)
    if drive is not None:
        held.callback(drive.listing.close)
    taken = Taken(Path(work.scratch.folder) / "taken.db") if work.options.dry_run else None
    if taken is not None:
        held.callback(taken.close)
    ahead = held.enter_context(Ahead(work))
    mover = PictureMover(work, ahead, drive, taken)
    keys, counts = work.old.list_keys(), work.report.pictures
    try:
        for row in ahead.iter_rows(keys):
            counts["read"] += 1
            mover.bring(row)
            if work.stopping.is_set():
                # A library has taken the exception for a failure of its own.
                raise KeyboardInterrupt
            work.progress.show(count_pictures(counts, len(keys)))
    except (SourceError, ServiceError, OperationalError, OSError) as error:
        # What is done so far is reported too.
        reason = str(error) if isinstance(error, ImageHubError) else _explain(error)
        work.fail("", f"The migration could not go on: {reason}")
        work.report.is_stopped = True
    finally:
        if counts["made"] and not work.options.dry_run:
            with suppress(OperationalError):
                work.save(saving.note_pictures, counts["made"])


def _explain(error: Exception) -> str:
    if isinstance(error, OperationalError):
        return f"the hub’s database cannot be used ({type(error.orig).__name__})."
    return f"{getattr(error, 'strerror', None) or type(error).__name__}."


@contextmanager
def _lock(data_dir: Path) -> Iterator[None]:
    """Let one migration run at a time; the kernel frees the lock when the process ends.

    :raise MigrationError: another one is running.
    """
    descriptor = os.open(data_dir / "migrate-legacy.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise MigrationError("Another migrate-legacy is running.") from None
    try:
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _note_signals() -> Iterator[threading.Event]:
    """End the run at SIGTERM in the same way as at Ctrl-C; the event says that it was asked to."""
    stopping = threading.Event()

    def stop(_number: int, _frame: Any) -> None:
        stopping.set()
        raise KeyboardInterrupt

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopping
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
