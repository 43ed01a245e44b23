"""The worker process: import items, renew their leases, recover abandoned ones.

A worker has several threads that process items when the queue wakes them, a pool of processes that
make the renditions, and five threads of its own:

- *heartbeat* renews the leases of the items in progress;
- *sweep* requeues items of dead workers, wakes jobs that have work but no wake-up call, finishes
  jobs, deletes what has expired, and processes items itself while the queue is down;
- *watch* checks OneDrive periodically for originals that were changed, moved or deleted;
- *look* looks for private data in originals that were imported before the hub did so;
- *upkeep* uses sign-ins at Microsoft that were idle, so that they do not expire, and tells people
  what needs attention.
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
from os import pipe, write
from types import FrameType

from huey.consumer import Consumer
from sqlalchemy import Engine, create_engine
from sqlalchemy.orm import Session

from imagehub import metrics, traces
from imagehub.clients import Clients
from imagehub.config import Settings
from imagehub.database import OUTAGES, describe_outage, make_engine_options
from imagehub.domain.imports import claims, looks, process, watched
from imagehub.domain.imports.scratch import Scratch, clean_scratch
from imagehub.domain.leases import make_owner
from imagehub.domain.library import trash
from imagehub.domain.objects import bookkeeping
from imagehub.domain.onedrive import keep_alive, status
from imagehub.domain.site import attention, notices, reconcile
from imagehub.domain.site import settings as site_settings
from imagehub.domain.sync import check as drive_check
from imagehub.domain.sync import notifications, schedule
from imagehub.errors import ImageHubError
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
from imagehub.runtime.garbage import collect_at_rest
from imagehub.runtime.worker_metrics import serve_metrics
from imagehub.wiring import build_channels, build_clients

log = logging.getLogger(__name__)
# Of huey's threads that read the queue.
_HUEY_LOGS = [logging.getLogger(f"huey.consumer.{name}") for name in ("Worker", "Scheduler")]
_BRIEF_OUTAGES = BriefOutages()

# After a pause that OneDrive asked for, visitors and admins go first for this long.
HEAD_START_SECONDS = 2.0


@dataclass(frozen=True)
class Timing:
    """Intervals of a worker, in seconds.

    A lease must outlive several heartbeats. Items of a dead worker are resumed after at most
    ``lease_seconds + sweep_seconds``, which is under a minute.
    """

    lease_seconds: float = claims.LEASE_SECONDS
    heartbeat_seconds: float = 10.0
    sweep_seconds: float = 10.0
    look_seconds: float = 60.0
    upkeep_seconds: float = 60.0
    # Time for threads to finish their items when the worker stops, before items are requeued.
    grace_seconds: float = 5.0


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
        self._channels = build_channels(settings)
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
        self._threads = [
            threading.Thread(target=self._beat, name="heartbeat", daemon=True),
            threading.Thread(target=self._sweep_on, name="sweep", daemon=True),
            threading.Thread(target=self._watch_on, name="watch", daemon=True),
            threading.Thread(target=self._look_on, name="look", daemon=True),
            threading.Thread(target=self._maintain_on, name="upkeep", daemon=True),
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
        with self._keep_going("requeue items"), Session(self._engine) as session:
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
                    session, self._clients, self._scratch, claim, self._settings.max_original_bytes
                )
                seconds = time.monotonic() - began
        log.info("Item %d of job %d: %s in %.2f s", claim.item.id, job_id, state, seconds)
        return True

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
        with self._keep_going("renew leases"), Session(self._engine) as session:
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
            with self._keep_going("sweep"):
                self._sweep()
            with self._keep_going("delete expired rows"), Session(self._engine) as session:
                reconcile.drop_expired_daily(session)
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
                with self._keep_going("process an item"):
                    if self._process_next_item(job_id):
                        waiting.append(job_id)

        with ThreadPoolExecutor(self._thread_count, thread_name_prefix="item") as pool:
            for _ in range(self._thread_count):
                pool.submit(run)

    # --- OneDrive ---------------------------------------------------------------------------------

    def _watch_on(self) -> None:
        """Check drives that are due; in its own thread, since a check may take long."""
        base_url = notifications.find_base_url(self._settings)
        while not self._stopping.is_set():
            with self._keep_going("keep subscriptions"), Session(self._engine) as session:
                notifications.keep_subscriptions(
                    session, self._clients, base_url, lambda: not self._stopping.is_set()
                )
            with self._keep_going("check OneDrive"), Session(self._engine) as session:
                self._watch(session)
            with self._keep_going("import new files"), Session(self._engine) as session:
                self._take_new_files(session)
            self._stopping.wait(self._timing.sweep_seconds)

    def _watch(self, session: Session) -> None:
        due = schedule.list_due_accounts(session, self._settings.drive_check_minutes)
        session.rollback()
        for account_id in due:
            if self._stopping.is_set():
                return
            report = drive_check.check_drive(
                session, self._clients, account_id, lambda: not self._stopping.is_set()
            )
            if report is not None and report.is_done:
                session.rollback()
                # The used space may have changed too; failing to read it does not matter.
                with contextlib.suppress(ImageHubError):
                    status.refresh_drive_facts(session, self._clients, account_id)
                log.info(
                    "Checked OneDrive account %d: %d changed items", account_id, report.item_count
                )

    def _take_new_files(self, session: Session) -> None:
        due = watched.list_due_accounts(session)
        session.rollback()
        for account_id in due:
            watched.take_new_files(
                session,
                self._clients,
                account_id,
                self._settings.max_original_bytes,
                lambda: not self._stopping.is_set(),
            )

    def _look_on(self) -> None:
        """Look into originals; those that OneDrive does not show now, again after a while."""
        while not self._stopping.is_set():
            count = 0
            with self._keep_going("look into originals"), Session(self._engine) as session:
                count = looks.look_at_originals(
                    session,
                    self._clients,
                    self.name,
                    lambda: not self._stopping.is_set(),
                    self._settings.max_original_bytes,
                )
            if count:
                log.info("Looked for private data in %d originals", count)
            self._stopping.wait(self._timing.look_seconds)

    # --- Upkeep -----------------------------------------------------------------------------------

    def _maintain_on(self) -> None:
        while not self._stopping.is_set():
            with self._keep_going("use idle sign-ins"), Session(self._engine) as session:
                count = keep_alive.use_idle_grants(session, self._clients)
                if count:
                    log.info("Renewed %d idle sign-ins at Microsoft", count)
            with self._keep_going("send messages"), Session(self._engine) as session:
                self._tell(session)
            self._stopping.wait(self._timing.upkeep_seconds)

    def _tell(self, session: Session) -> None:
        """Tell people what needs attention, if a way to them is configured."""
        if not self._channels:
            notices.forget_recipients(session)
            return
        settings = site_settings.get_site(session, self._settings)
        facts = attention.collect_facts(session, self._clients, settings)
        session.rollback()
        found = attention.list_attention(facts)
        count = notices.tell(session, settings, self._channels, found)
        if count:
            log.info("Sent %d messages about what needs attention", count)

    @contextlib.contextmanager
    def _keep_going(self, what: str) -> Iterator[None]:
        """Log any error instead of ending the thread, for example while the database is down."""
        try:
            yield
        except OUTAGES as error:
            log.warning("Could not %s: %s", what, describe_outage(error))
        except Exception:
            log.exception("Could not %s", what)


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
    # One connection for each thread, including heartbeat, sweep, watch, look and upkeep.
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
