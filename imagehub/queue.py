"""The queue: wake-up calls that say "job 7 has work", and nothing else.

The rows of a job say what is to be done (``domain.imports.jobs``); a message holds a job's id
alone, may be lost, and may come twice. It lies in SQLite in the data folder, or in Redis when
``IMAGEHUB_QUEUE_URL`` names one. Losing the whole queue costs at most a sweep's pause.
"""

import functools
import logging
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from huey import Huey, RedisHuey, SqliteHuey
from huey.serializer import SignedSerializer
from sqlalchemy.orm import Session

from imagehub.config import Settings, make_data_dir
from imagehub.domain.imports.registry import count_workers

log = logging.getLogger(__name__)

NAME = "imagehub"
TASK = "work_on_job"
# How long a request may be held up by a Redis server that does not answer.
REDIS_TIMEOUT_SECONDS = 5.0


class HubApp(Protocol):
    """An application of ``create_app``, as far as the queue must know it."""

    extensions: dict[str, Any]


def make_huey(settings: Settings) -> Huey:
    """The queue that the settings name; connects when first used.

    Messages are signed with the hub's secret: huey reads them with pickle, so a stranger who can
    write to Redis could otherwise run code in the worker.
    """
    options: dict[str, Any] = {
        "name": NAME,
        # Nobody reads results: the rows tell how it went.
        "results": False,
        "serializer": SignedSerializer(secret=settings.secret_key, salt=NAME),
    }
    if settings.queue_url:
        return RedisHuey(
            **options, connection_pool=_make_redis_pool(settings.queue_url), read_timeout=1
        )
    make_data_dir(settings.data_dir)
    # Written without waiting for the disk: a message lost to a power cut is made anew by a sweep.
    return SqliteHuey(
        **options, filename=str(settings.data_dir / "queue.db"), fsync=False, timeout=10
    )


def _make_redis_pool(url: str) -> Any:
    # Redis is optional; hubs on SQLite should not pay for loading its client.
    from redis import BlockingConnectionPool

    return BlockingConnectionPool.from_url(
        url,
        max_connections=32,
        timeout=REDIS_TIMEOUT_SECONDS,
        socket_connect_timeout=REDIS_TIMEOUT_SECONDS,
        socket_timeout=REDIS_TIMEOUT_SECONDS,
        health_check_interval=30,
    )


class JobQueue:
    """Wake-up calls for jobs.

    :param work: what a worker does with one call: given the job's id. A process that only sends
        needs none.
    """

    def __init__(self, settings: Settings, work: Callable[[int], None] | None = None) -> None:
        do_work = work or _do_nothing

        def work_on_job(job_id: int) -> None:
            # Huey names a task after the module of its function, so that must be one and the same
            # for those who send and those who work.
            do_work(job_id)

        self.huey = make_huey(settings)
        self._call = self.huey.task(name=TASK)(work_on_job)

    def wake(self, job_id: int, count: int = 1) -> None:
        """Send ``count`` calls for a job; any error of the queue's server comes through."""
        for _ in range(count):
            self._call(job_id)

    def count_calls(self) -> Counter[int]:
        """Calls that lie in the queue: job id → how many."""
        return Counter(
            int(task.args[0]) for task in self.huey.pending() if task.name == TASK and task.args
        )


def _do_nothing(_job_id: int) -> None:
    raise RuntimeError("this process only sends wake-up calls")


def count_hands(settings: Settings) -> int:
    """Items that one worker has in hand at the same time: twice the pictures it renders at once,
    so that others are fetched and stored meanwhile."""
    return 2 * count_renderers(settings)


def count_renderers(settings: Settings) -> int:
    """Pictures that one worker renders at the same time: the setting, or one a usable core."""
    return settings.worker_processes or len(os.sched_getaffinity(0))


def enqueue_job(app: HubApp | Settings, job_id: int, item_count: int | None = None) -> None:
    """Wake workers up for a job whose rows are committed.

    Never fails: where the queue cannot be reached, the next sweep of any worker finds the job.

    :param app: the application, or its settings.
    :param item_count: how many items are to be done, where known.
    """
    settings = _get_settings(app)
    hands = count_hands(settings)
    count = hands if item_count is None else min(hands, item_count)
    try:
        _get_sender(settings, os.getpid()).wake(job_id, count)
    except Exception:
        # Each queue's server has errors of its own, and none of them stops the import.
        log.exception("No wake-up call could be sent for job %d; a sweep will find it", job_id)


@functools.lru_cache(maxsize=4)
def _get_sender(settings: Settings, _process_id: int) -> JobQueue:
    """One a process: connections do not survive a fork."""
    return JobQueue(settings)


def _get_settings(app: HubApp | Settings) -> Settings:
    if isinstance(app, Settings):
        return app
    settings: Settings = app.extensions["imagehub"].settings
    return settings


@dataclass(frozen=True)
class QueueReport:
    """How the queue is. ``advice`` says what to do where it is not well."""

    is_ok: bool
    sentence: str
    advice: str = ""


def check_queue(app: HubApp | Settings, session: Session) -> QueueReport:
    """Whether the queue answers and somebody works on it."""
    settings = _get_settings(app)
    place = "Redis" if settings.queue_url else "SQLite"
    try:
        count = _get_sender(settings, os.getpid()).count_calls().total()
    except Exception as error:
        # Each queue's server has errors of its own.
        log.warning("The queue does not answer: %s", type(error).__name__)
        return QueueReport(
            False,
            f"The queue on {place} does not answer; imports go on, but slower.",
            "Check IMAGEHUB_QUEUE_URL and that Redis runs."
            if settings.queue_url
            else "Check that the data folder can be written and has room.",
        )
    worker_count = count_workers(session)
    if not worker_count:
        return QueueReport(
            False,
            f"The queue on {place} answers, but no worker runs: nothing is imported.",
            "Start one with `imagehub worker`, or run the whole hub with `imagehub serve`.",
        )
    workers = "1 worker runs" if worker_count == 1 else f"{worker_count} workers run"
    return QueueReport(True, f"The queue on {place} answers; {workers}, {count} calls wait.")
