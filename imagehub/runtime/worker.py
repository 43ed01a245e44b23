"""The worker: takes items of imports in hand, keeps hold of them, and sets right what others left.

A worker is one process with a few threads (its *hands*, woken by the queue), a pool of small
processes that make the renditions, one thread that renews the leases of what is in hand, and one
that sweeps: returns items of dead workers, wakes up jobs that have work and no call, finishes jobs,
and once a day deletes what has run out.
One more thread looks through OneDrive now and then for what became of the originals.
When the queue itself fails, the sweeping thread does the work.
"""

import contextlib
import logging
import select
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from os import pipe, read, write
from types import FrameType

from huey.consumer import Consumer
from sqlalchemy import Engine, create_engine
from sqlalchemy.orm import Session

from imagehub.clients import Clients, Renderer
from imagehub.config import Settings
from imagehub.database import make_engine_options
from imagehub.domain.imports import claims, process, registry
from imagehub.domain.imports.scratch import Scratch, clean_scratch
from imagehub.domain.library import trash
from imagehub.domain.objects import bookkeeping
from imagehub.domain.onedrive import status
from imagehub.domain.site import reconcile
from imagehub.domain.sync import check as drive_check
from imagehub.domain.sync import schedule
from imagehub.errors import ImageHubError
from imagehub.imaging.pool import RenderPool
from imagehub.imaging.render import RenderOptions
from imagehub.queue import JobQueue, count_hands, count_renderers
from imagehub.wiring import build_clients

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Timing:
    """How a worker keeps time, in seconds.

    A lease must outlive several heartbeats; work of a dead worker is taken up again after at most
    ``lease_seconds + sweep_seconds``, which is under a minute.
    """

    lease_seconds: float = claims.LEASE_SECONDS
    heartbeat_seconds: float = 10.0
    sweep_seconds: float = 10.0
    # How long a worker that is asked to stop lets its hands finish before it puts items back.
    grace_seconds: float = 5.0


class _QuietConsumer(Consumer):  # type: ignore[misc]
    """Huey's consumer without its signal handlers: this module has its own."""

    def _set_signal_handlers(self) -> None:
        pass


class Worker:
    """A worker in this process: ``start``, then ``stop``.

    :param engine: the database; the worker opens and closes its own sessions.
    :param clients: their ``renderer`` is replaced by the worker's pool where it is None.
    """

    def __init__(
        self, settings: Settings, engine: Engine, clients: Clients, timing: Timing | None = None
    ) -> None:
        self.name = registry.make_owner()
        self._settings = settings
        self._engine = engine
        self._timing = timing or Timing()
        self._hand_count = count_hands(settings)
        self._own_renderer: Renderer | None = None
        if clients.renderer is None:
            self._own_renderer = make_renderer(settings)
            clients = replace(clients, renderer=self._own_renderer)
        self._clients = clients
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._in_hand: set[int] = set()
        left_over = clean_scratch(settings.data_dir)
        if left_over:
            log.info("Removed %d files that a killed worker left", left_over)
        self._scratch = Scratch(settings.data_dir)
        self._queue = JobQueue(settings, self._work)
        # An empty embedded queue is looked at every 50 to 250 ms: quick to start, cheap to idle.
        # Redis tells by itself, and the pause comes only after a failure: there it may grow.
        # Huey's scheduler has nothing to do here, since delays are kept in the rows.
        self._consumer = _QuietConsumer(
            self._queue.huey,
            workers=self._hand_count,
            periodic=False,
            initial_delay=0.05,
            max_delay=10.0 if self._queue.huey.storage.blocking else 0.25,
            scheduler_interval=60,
        )
        self._threads = [
            threading.Thread(target=self._beat, name="heartbeat", daemon=True),
            threading.Thread(target=self._sweep_on, name="sweep", daemon=True),
            threading.Thread(target=self._watch_on, name="watch", daemon=True),
        ]

    def start(self) -> None:
        """Begin to work, in threads; it is known by then that there is one more worker."""
        self._renew()
        self._consumer.start()
        for thread in self._threads:
            thread.start()
        log.info("Worker %s has %d hands", self.name, self._hand_count)

    def check(self) -> None:
        """Replace huey's threads where one has died."""
        self._consumer.check_worker_health()

    def stop(self) -> None:
        """Let the hands finish for a moment, put back what is still in them, and end."""
        self._stopping.set()
        self._consumer.stop()
        deadline = time.monotonic() + self._timing.grace_seconds
        while self.count_in_hand() and time.monotonic() < deadline:
            time.sleep(0.05)
        with self._keep_going("put back items"), self._open_session() as session:
            if self.count_in_hand():
                count = claims.release_claims(session, self.name)
                log.info("Put back %d items that were in hand", count)
            registry.forget_worker(session, self.name)
        if self._own_renderer is not None:
            self._own_renderer.close()
        for thread in self._threads:
            thread.join(timeout=2)
        self._scratch.close()

    def count_in_hand(self) -> int:
        """Items that this worker has in hand now."""
        with self._lock:
            return len(self._in_hand)

    @contextlib.contextmanager
    def _open_session(self) -> Iterator[Session]:
        with Session(self._engine) as session:
            yield session

    # --- Hands ------------------------------------------------------------------------------------

    def _work(self, job_id: int) -> None:
        """Answer one wake-up call: do one item, and call again for the next.

        One item a call keeps jobs fair: each waits for one picture of every other.
        """
        if self._do_one_item(job_id) and not self._stopping.is_set():
            self._queue.wake(job_id)

    def _do_one_item(self, job_id: int) -> bool:
        """Whether there was one to do."""
        if self._stopping.is_set():
            return False
        with self._open_session() as session:
            claim = claims.claim_item(session, job_id, self.name, self._timing.lease_seconds)
            if claim is None:
                return False
            with self._hold(claim.item_id):
                began = time.monotonic()
                state = process.process_item(
                    session,
                    self._clients,
                    self._scratch,
                    claim,
                    self._settings.max_original_bytes,
                )
        log.info(
            "Item %d of job %d: %s in %.2f s",
            claim.item_id,
            job_id,
            state,
            time.monotonic() - began,
        )
        return True

    @contextlib.contextmanager
    def _hold(self, item_id: int) -> Iterator[None]:
        """Have the item's lease renewed for as long as a hand works on it, and no longer."""
        with self._lock:
            self._in_hand.add(item_id)
        try:
            yield
        finally:
            with self._lock:
                self._in_hand.discard(item_id)

    # --- Heartbeat --------------------------------------------------------------------------------

    def _beat(self) -> None:
        while not self._stopping.wait(self._timing.heartbeat_seconds):
            self._renew()

    def _renew(self) -> None:
        with self._keep_going("renew leases"), self._open_session() as session:
            with self._lock:
                items = sorted(self._in_hand)
            if items:
                claims.renew_claims(session, self.name, items, self._timing.lease_seconds)
            registry.note_worker(session, self.name, 3 * self._timing.heartbeat_seconds)

    # --- Sweep ------------------------------------------------------------------------------------

    def _sweep_on(self) -> None:
        while not self._stopping.is_set():
            with self._keep_going("sweep"):
                self._sweep()
            with self._keep_going("delete what has run out"), self._open_session() as session:
                reconcile.drop_expired_daily(session)
            self._stopping.wait(self._timing.sweep_seconds)

    def _sweep(self) -> None:
        with self._open_session() as session:
            found = claims.sweep(session, self._timing.lease_seconds)
            if found.returned_count or found.failed_count:
                log.warning(
                    "Took up %d items of workers that are gone; %d more failed for good",
                    found.returned_count,
                    found.failed_count,
                )
            trash.purge_expired(session, self._clients)
            bookkeeping.finish_deletions(session, self._clients)
        if not found.due:
            return
        try:
            self._wake_up_idle_hands(dict(found.due))
        except Exception:
            # Each queue's server has errors of its own.
            log.exception("The queue does not work; doing its work without it")
            self._do_without_queue(list(found.due))

    def _wake_up_idle_hands(self, due: dict[int, int]) -> None:
        """Call for due items that no call in the queue is for, as far as hands are free here."""
        calls = self._queue.count_calls()
        free = self._hand_count - self.count_in_hand() - calls.total()
        for job_id, count in due.items():
            missing = min(count - calls[job_id], free)
            if missing > 0:
                self._queue.wake(job_id, missing)
                free -= missing

    def _do_without_queue(self, job_ids: list[int]) -> None:
        """Do what is due with as many threads as hands, job by job in turn, for a while.

        Then the sweep goes round again, so that neither a queue that is back nor the items of a
        dead worker wait for the end of a long import.
        """
        deadline = time.monotonic() + 3 * self._timing.sweep_seconds

        def run() -> None:
            waiting = list(job_ids)
            while waiting and time.monotonic() < deadline and not self._stopping.is_set():
                job_id = waiting.pop(0)
                with self._keep_going("do an item"):
                    if self._do_one_item(job_id):
                        waiting.append(job_id)

        with ThreadPoolExecutor(self._hand_count, thread_name_prefix="hand") as pool:
            for _ in range(self._hand_count):
                pool.submit(run)

    # --- The drive --------------------------------------------------------------------------------

    def _watch_on(self) -> None:
        """Look for drives that are to be checked; a long check must not keep the sweep waiting."""
        while not self._stopping.is_set():
            with self._keep_going("look through OneDrive"), self._open_session() as session:
                self._watch(session)
            self._stopping.wait(self._timing.sweep_seconds)

    def _watch(self, session: Session) -> None:
        interval = self._settings.drive_check_minutes
        due = schedule.list_due_accounts(session, interval)
        session.rollback()
        for account_id in due:
            if self._stopping.is_set():
                return
            report = drive_check.check_drive(
                session, self._clients, account_id, lambda: not self._stopping.is_set()
            )
            if report is not None and report.is_done:
                session.rollback()
                # What fills a drive changes it, too; where it is told is no reason to fail.
                with contextlib.suppress(ImageHubError):
                    status.refresh_drive_facts(session, self._clients, account_id)
                log.info(
                    "Looked through OneDrive account %d: %d items were told",
                    account_id,
                    report.item_count,
                )

    @contextlib.contextmanager
    def _keep_going(self, what: str) -> Iterator[None]:
        """A database that is away for a while ends no thread: it is logged."""
        try:
            yield
        except Exception:
            log.exception("Could not %s", what)


def make_renderer(settings: Settings) -> RenderPool:
    """The pool of rendering processes that the settings ask for."""
    return RenderPool(
        processes=count_renderers(settings),
        timeout_seconds=settings.render_timeout_seconds,
        options=RenderOptions(
            avif=settings.avif,
            keep_gps=settings.keep_gps,
            max_pixels=settings.max_pixels * 1_000_000,
            max_file_bytes=settings.max_original_bytes,
        ),
    )


def run_worker(
    settings: Settings, timing: Timing | None = None, on_ready: Callable[[], None] | None = None
) -> int:
    """Work until SIGTERM or Ctrl-C; what is in hand then is finished, or put back at once.

    Call it in the main thread of a process of its own.

    :param on_ready: called when the worker has begun.
    :return: the program's exit status.
    """
    # Each hand needs one connection, and so do the heartbeat, the sweep and the watch.
    options = make_engine_options(settings.sqlalchemy_url) | {
        "pool_size": count_hands(settings) + 6
    }
    engine = create_engine(settings.sqlalchemy_url, **options)
    # A handler may run between any two steps of this thread, so it does nothing but write a byte.
    ear, mouth = pipe()

    def stop(_number: int, _frame: FrameType | None) -> None:
        write(mouth, b"x")

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    # Two lines for every wake-up call would hide what this module has to say.
    logging.getLogger("huey").setLevel(logging.WARNING)
    worker = Worker(settings, engine, build_clients(engine, settings), timing)
    worker.start()
    if on_ready is not None:
        on_ready()
    while not select.select([ear], [], [], 10.0)[0]:
        worker.check()
    read(ear, 1)
    worker.stop()
    engine.dispose()
    return 0
