"""The worker process: import items, renew their leases, recover abandoned ones.

A worker has several threads that process items when the queue wakes them, a pool of processes that
make the renditions, the threads of :mod:`imagehub.runtime.chores`, and two of its own:

- *heartbeat* renews the leases of the items in progress;
- *sweep* requeues items of dead workers, wakes jobs that have work but no wake-up call, finishes
  jobs, empties the trash of what has expired, and processes items itself while the queue is down.
"""

import contextlib
import logging
import select
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from os import pipe, write
from types import FrameType

from huey.consumer import Consumer
from sqlalchemy import Engine, create_engine
from sqlalchemy.orm import Session

from imagehub import metrics, traces
from imagehub.clients import Clients
from imagehub.config import Settings
from imagehub.database import OUTAGES, describe_outage, make_engine_options
from imagehub.domain.imports import claims, process
from imagehub.domain.imports.scratch import Scratch, clean_scratch
from imagehub.domain.leases import make_owner
from imagehub.domain.library import trash
from imagehub.domain.library.finish import Finish, find_finish
from imagehub.domain.library.series_trash import purge_expired_series
from imagehub.domain.objects import bookkeeping
from imagehub.domain.site import settings as site_settings
from imagehub.imaging.pool import RenderPool
from imagehub.imaging.render import RenderOptions
from imagehub.logs import set_facts
from imagehub.queries import watch_queries
from imagehub.queue import (
    BriefOutages,
    JobQueue,
    count_renderers,
    count_worker_threads,
    is_queue_outage,
)
from imagehub.runtime.chores import Chores, keep_going
from imagehub.runtime.garbage import collect_at_rest
from imagehub.runtime.timing import Timing
from imagehub.runtime.worker_metrics import serve_metrics
from imagehub.wiring import build_clients

log = logging.getLogger(__name__)
# Of huey's threads that read the queue.
_HUEY_LOGS = [logging.getLogger(f"huey.consumer.{name}") for name in ("Worker", "Scheduler")]
_BRIEF_OUTAGES = BriefOutages()

# After a pause that OneDrive asked for, visitors and admins go first for this long.
HEAD_START_SECONDS = 2.0


class _QuietConsumer(Consumer):  # type: ignore[misc]
    """Huey's consumer without its signal handlers; :func:`run_worker` installs its own."""

    def _set_signal_handlers(self) -> None:
        pass


class Worker:
    """A worker in this process: call ``start``, then ``stop``.

    :param engine: the database; the worker opens and closes its own sessions.
    :param clients: a ``renderer`` that is None is replaced by a pool that the worker owns.
    """

    def __init__(
        self, settings: Settings, engine: Engine, clients: Clients, timing: Timing | None = None
    ) -> None:
        self.name = make_owner()
        self._settings = settings
        self._engine = engine
        self._timing = timing or Timing()
        self._thread_count = count_worker_threads(settings)
        self._own_renderer = None if clients.renderer else make_renderer(settings)
        self._clients = replace(clients, renderer=clients.renderer or self._own_renderer)
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._active_items: set[int] = set()
        # Claimed items whose outcome could not be saved.
        self._unsaved_items: set[int] = set()
        self._is_sweep_ok = True
        removed_count = clean_scratch(settings.data_dir)
        if removed_count:
            log.info("Removed %d files left by a killed worker", removed_count)
        self._scratch = Scratch(settings.data_dir)
        self._queue = JobQueue(settings, self._work)
        for huey_log in _HUEY_LOGS:
            huey_log.addFilter(_BRIEF_OUTAGES)
        # The embedded queue is polled every 50 to 250 ms: short latency, little idle cost. Redis
        # blocks until there is a call, so this delay follows only a failure and may grow.
        # Huey's scheduler is not used: delays are kept in the rows.
        self._consumer = _QuietConsumer(
            self._queue.huey,
            workers=self._thread_count,
            periodic=False,
            initial_delay=0.05,
            max_delay=10.0 if self._queue.huey.storage.blocking else 0.25,
            scheduler_interval=60,
        )
        chores = Chores(
            settings, engine, self._clients, self._scratch, self._timing, self.name, self._stopping
        )
        self._threads = [
            threading.Thread(target=self._beat, name="heartbeat", daemon=True),
            threading.Thread(target=self._sweep_on, name="sweep", daemon=True),
            *chores.make_threads(),
        ]

    def start(self) -> None:
        """Register the worker and start its threads."""
        self._renew()
        self._consumer.start()
        for thread in self._threads:
            thread.start()
        log.info("Worker %s started with %d threads", self.name, self._thread_count)

    def check(self) -> None:
        """Restart threads of the consumer that have died."""
        self._consumer.check_worker_health()

    def stop(self) -> None:
        """Wait briefly for items in progress, requeue those that remain, and stop."""
        self._stopping.set()
        self._consumer.stop()
        deadline = time.monotonic() + self._timing.grace_seconds
        while self.count_active_items() and time.monotonic() < deadline:
            time.sleep(0.05)
        with keep_going("requeue items"), Session(self._engine) as session:
            if self.count_active_items():
                count = claims.release_claims(session, self.name)
                log.info("Requeued %d items that were in progress", count)
            claims.forget_worker(session, self.name)
        if self._own_renderer is not None:
            self._own_renderer.close()
        for thread in self._threads:
            thread.join(timeout=2)
        self._scratch.close()

    def count_active_items(self) -> int:
        """Count the items that this worker is processing."""
        with self._lock:
            return len(self._active_items)

    # --- Items ------------------------------------------------------------------------------------

    def _work(self, job_id: int) -> None:
        """Handle one wake-up call: process one item, then send a call for the next.

        One item per call is fair to several jobs: each advances in turn.
        """
        if self._process_next_item(job_id) and not self._stopping.is_set():
            try:
                self._queue.wake(job_id)
            except Exception as error:
                # Each queue server has its own exception classes.
                words = "No wake-up call was sent for job %d; a sweep finds its work: %s"
                log.warning(words, job_id, error, exc_info=not is_queue_outage(error))

    def _process_next_item(self, job_id: int) -> bool:
        """Process an item of the job; returns False if there was none to claim, or no database."""
        if self._stopping.is_set():
            return False
        try:
            return self._claim_and_process(job_id)
        except OUTAGES as error:
            log.warning("Could not process an item of job %d: %s", job_id, describe_outage(error))
            return False
        finally:
            set_facts()

    def _claim_and_process(self, job_id: int) -> bool:
        with Session(self._engine) as session:
            claim = claims.claim_item(session, job_id, self.name, self._timing.lease_seconds)
            if claim is None:
                return False
            request_id, _, trace = claim.origin.partition(" ")
            set_facts(request_id=request_id, job=str(job_id), item=str(claim.item.id))
            numbers = {"imagehub_job": job_id, "imagehub_item": claim.item.id}
            with self._hold(claim.item.id), traces.span("import", "consumer", trace, **numbers):
                began = time.monotonic()
                state = process.process_item(
                    session,
                    self._clients,
                    self._scratch,
                    claim,
                    self._settings.max_original_bytes,
                    self._find_finish,
                )
                seconds = time.monotonic() - began
        log.info("Item %d of job %d: %s in %.2f s", claim.item.id, job_id, state, seconds)
        return True

    def _find_finish(self, session: Session, clients: Clients) -> Finish:
        settings = site_settings.get_site(session, self._settings)
        return find_finish(session, clients, settings)

    @contextlib.contextmanager
    def _hold(self, item_id: int) -> Iterator[None]:
        """Keep the item's lease renewed while it is processed."""
        with self._lock:
            self._active_items.add(item_id)
            self._unsaved_items.discard(item_id)
        try:
            yield
        except OUTAGES:
            with self._lock:
                self._unsaved_items.add(item_id)
            raise
        finally:
            with self._lock:
                self._active_items.discard(item_id)

    # --- Heartbeat --------------------------------------------------------------------------------

    def _beat(self) -> None:
        while not self._stopping.wait(self._timing.heartbeat_seconds):
            self._renew()

    def _renew(self) -> None:
        with keep_going("renew leases"), Session(self._engine) as session:
            with self._lock:
                items, unsaved = sorted(self._active_items), sorted(self._unsaved_items)
            if unsaved:
                # Otherwise their leases would have to expire, as if this worker had died.
                claims.release_claims(session, self.name, unsaved)
                with self._lock:
                    self._unsaved_items.difference_update(unsaved)
            if items:
                claims.renew_claims(session, self.name, items, self._timing.lease_seconds)
            claims.note_worker(session, self.name, 3 * self._timing.heartbeat_seconds)

    # --- Sweep ------------------------------------------------------------------------------------

    def _sweep_on(self) -> None:
        while not self._stopping.is_set():
            with keep_going("sweep"):
                self._sweep()
            self._stopping.wait(self._timing.sweep_seconds)

    def _sweep(self) -> None:
        with Session(self._engine) as session:
            # After an outage of the database, running workers renew their leases first.
            recovers, self._is_sweep_ok = self._is_sweep_ok, False
            found = claims.sweep(session, self._timing.lease_seconds, recovers)
            self._is_sweep_ok = True
            if found.returned_count or found.failed_count:
                words = "Requeued %d items of dead workers; %d more failed permanently"
                log.warning(words, found.returned_count, found.failed_count)
            trash.purge_expired(session)
            purge_expired_series(session)
            bookkeeping.finish_deletions(session, self._clients)
        if not found.due:
            return
        try:
            self._wake_idle_threads(dict(found.due))
        except Exception as error:
            # Each queue server has its own exception classes.
            words = "The queue does not answer; processing items without it: %s"
            log.warning(words, error, exc_info=not is_queue_outage(error))
            self._process_without_queue(list(found.due))

    def _wake_idle_threads(self, due: dict[int, int]) -> None:
        """Send calls for due items that have none, at most as many as threads are idle here."""
        calls = self._queue.count_calls()
        free = self._thread_count - self.count_active_items() - calls.total()
        for job_id, count in due.items():
            missing = min(count - calls[job_id], free)
            if missing > 0:
                self._queue.wake(job_id, missing)
                free -= missing

    def _process_without_queue(self, job_ids: list[int]) -> None:
        """Process due items in threads, one of each job in turn, for three sweep intervals.

        Then the next sweep runs, so that a queue that works again and items of dead workers do not
        wait for the end of a long import.
        """
        deadline = time.monotonic() + 3 * self._timing.sweep_seconds

        def run() -> None:
            waiting = list(job_ids)
            while waiting and time.monotonic() < deadline and not self._stopping.is_set():
                job_id = waiting.pop(0)
                with keep_going("process an item"):
                    if self._process_next_item(job_id):
                        waiting.append(job_id)

        with ThreadPoolExecutor(self._thread_count, thread_name_prefix="item") as pool:
            for _ in range(self._thread_count):
                pool.submit(run)


def make_renderer(settings: Settings) -> RenderPool:
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
    """Run a worker until SIGTERM or Ctrl-C; items in progress are then finished or requeued.

    Call it in the main thread of a separate process.

    :param on_ready: called when the worker has started.
    :return: the exit status of the process.
    """
    # One connection for each thread, including heartbeat, sweep, watch, look, tiles and upkeep.
    size = {"pool_size": count_worker_threads(settings) + 8}
    options = make_engine_options(settings.sqlalchemy_url) | size
    engine = create_engine(settings.sqlalchemy_url, **options)
    watch_queries(engine, settings.slow_query_ms, bool(settings.traces_url))
    traces.start(settings.traces_url, "worker", settings.traces_percent)
    if settings.has_metrics:
        metrics.start(settings.data_dir, "worker")
    # A signal handler may interrupt this thread anywhere, so it only writes a byte.
    read_fd, write_fd = pipe()

    def stop(_number: int, _frame: FrameType | None) -> None:
        write(write_fd, b"x")

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    # Huey logs two lines for every wake-up call.
    logging.getLogger("huey").setLevel(logging.WARNING)
    clients = build_clients(engine, settings, HEAD_START_SECONDS)
    worker = Worker(settings, engine, clients, timing)
    collect_at_rest()
    with serve_metrics(settings):
        worker.start()
        if on_ready is not None:
            on_ready()
        while not select.select([read_fd], [], [], 10.0)[0]:
            worker.check()
        worker.stop()
    metrics.stop()
    traces.stop()
    engine.dispose()
    return 0
