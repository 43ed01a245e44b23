"""The queue: wake-up calls that say "job 7 has work".

The rows of a job say what is to be done (``domain.imports.jobs``). A call contains only the job's
id; it may be lost or arrive twice. The queue is an SQLite file in the data folder, or Redis if
``IMAGEHUB_QUEUE_URL`` is set. Losing the whole queue delays work by at most one sweep of a worker.
"""

import functools
import logging
import os
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy.orm import Session

from imagehub.config import Settings
from imagehub.config_secrets import make_data_dir
from imagehub.domain.imports.claims import count_workers

if TYPE_CHECKING:
    from huey import Huey
    from huey.serializer import SignedSerializer

log = logging.getLogger(__name__)

NAME = "imagehub"
TASK = "work_on_job"
# The longest time that a request waits for a Redis server that does not answer.
REDIS_TIMEOUT_SECONDS = 5.0


class _Serializer:
    """Sign with the current secret key, and read what was signed with a former one."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def serialize(self, message: object) -> bytes:
        return bytes(self._list_signers()[0].serialize(message))

    def deserialize(self, signed: bytes) -> object:
        *most, last = self._list_signers()
        for signer in most:
            with suppress(ValueError):
                return signer.deserialize(signed)
        return last.deserialize(signed)

    def _list_signers(self) -> "list[SignedSerializer]":
        from huey.serializer import SignedSerializer

        keys = self._settings.read_keys("secret_key")
        return [SignedSerializer(secret=key, salt=NAME) for key in keys]


def make_huey(settings: Settings) -> "Huey":
    """Return the queue of the settings; it connects when first used.

    Messages are signed with the secret key: huey unpickles them, so whoever can write to Redis
    could otherwise run code in the worker.
    """
    # Imported here because huey loads the library of Redis, which takes a tenth of the time in
    # which a program of the hub starts.
    from huey import RedisHuey, SqliteHuey

    options: dict[str, Any] = {
        "name": NAME,
        # Results are in the rows of the job.
        "results": False,
        "serializer": _Serializer(settings),
    }
    if settings.queue_url:
        return RedisHuey(
            **options, connection_pool=_make_redis_pool(settings.queue_url), read_timeout=1
        )
    make_data_dir(settings.data_dir)
    path = str(settings.data_dir / "queue.db")
    # No fsync: a sweep replaces a message that is lost in a power cut.
    return SqliteHuey(**options, filename=path, fsync=False, timeout=10)


def _make_redis_pool(url: str) -> Any:
    # Imported here because Redis is optional.
    from redis import BlockingConnectionPool

    return BlockingConnectionPool.from_url(
        url,
        max_connections=32,
        timeout=REDIS_TIMEOUT_SECONDS,
        socket_connect_timeout=REDIS_TIMEOUT_SECONDS,
        socket_timeout=REDIS_TIMEOUT_SECONDS,
        health_check_interval=30,
    )


def open_redis(settings: Settings) -> Any:
    """Open the Redis server of the settings, as a context; it must be set.

    The server that wakes workers also compares what web processes count.
    """
    # Imported here because Redis is optional.
    from redis import Redis

    return Redis.from_url(
        settings.queue_url,
        socket_connect_timeout=REDIS_TIMEOUT_SECONDS,
        socket_timeout=REDIS_TIMEOUT_SECONDS,
    )


def is_queue_outage(error: BaseException | None) -> bool:
    """Tell whether the server or the file of the queue failed, not the program."""
    return type(error).__module__.partition(".")[0] in ("redis", "sqlite3")


class BriefOutages(logging.Filter):
    """Logs an outage of the queue in one line; all threads of a worker meet it repeatedly."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if is_queue_outage(error):
            record.msg, record.args = f"{record.getMessage()}: {error}", None
            record.exc_info = None
        return True


class JobQueue:
    """Wake-up calls for jobs.

    :param work: called with the job's id for each call; None in a process that only sends.
    """

    def __init__(self, settings: Settings, work: Callable[[int], None] | None = None) -> None:

        def work_on_job(job_id: int) -> None:
            # Huey names a task after the module of its function, so senders and workers must
            # register the same function.
            assert work is not None, "this process only sends wake-up calls"
            work(job_id)

        self.huey = make_huey(settings)
        self._call = self.huey.task(name=TASK)(work_on_job)

    def wake(self, job_id: int, count: int = 1) -> None:
        """Send ``count`` calls for a job; errors of the queue server are not caught."""
        for _ in range(count):
            self._call(job_id)

    def count_calls(self) -> Counter[int]:
        """Count the calls in the queue: job id → number."""
        return Counter(
            int(task.args[0]) for task in self.huey.pending() if task.name == TASK and task.args
        )


def count_worker_threads(settings: Settings) -> int:
    """Return how many items a worker processes at once: some are downloaded or stored meanwhile."""
    return 2 * count_renderers(settings)


def count_renderers(settings: Settings) -> int:
    """Return how many pictures a worker renders at once: the setting, or one for each core."""
    return settings.worker_processes or len(os.sched_getaffinity(0))


def enqueue_job(settings: Settings, job_id: int, item_count: int | None = None) -> None:
    """Wake workers for a job whose rows are committed.

    Never raises: if the queue cannot be reached, the next sweep of a worker finds the job.

    :param item_count: the number of items to process, if known.
    """
    most = count_worker_threads(settings)
    count = most if item_count is None else min(most, item_count)
    try:
        _get_sender(settings, os.getpid()).wake(job_id, count)
    except Exception as error:
        # Each queue server has its own exception classes.
        words = "Could not send wake-up calls for job %d; a sweep will find it: %s"
        log.warning(words, job_id, error, exc_info=not is_queue_outage(error))


@functools.lru_cache(maxsize=4)
def _get_sender(settings: Settings, _process_id: int) -> JobQueue:
    """Return the sender of this process; connections must not be shared after a fork."""
    return JobQueue(settings)


def ask_queue(settings: Settings) -> int:
    """Return the number of calls in the queue; errors of the queue server are not caught."""
    return int(_get_sender(settings, os.getpid()).huey.pending_count())


@dataclass(frozen=True)
class QueueReport:
    """The state of the queue. ``advice`` says what to do if it is not ok."""

    is_ok: bool
    sentence: str
    advice: str = ""


def check_queue(settings: Settings, session: Session) -> QueueReport:
    """Report whether the queue answers and a worker runs."""
    place = "Redis" if settings.queue_url else "SQLite"
    try:
        count = _get_sender(settings, os.getpid()).count_calls().total()
    except Exception as error:
        # Each queue server has its own exception classes.
        log.warning("The queue does not answer: %s", type(error).__name__)
        return QueueReport(
            False,
            f"The queue on {place} does not answer; imports continue, but slower.",
            "Check IMAGEHUB_QUEUE_URL and that Redis runs."
            if settings.queue_url
            else "Check that the data folder is writable and has free space.",
        )
    worker_count = count_workers(session)
    if not worker_count:
        return QueueReport(
            False,
            f"The queue on {place} answers, but no worker runs: nothing is imported.",
            "Start one with `imagehub worker`, or run the whole hub with `imagehub serve`.",
        )
    return QueueReport(
        True, f"The queue on {place} answers; workers: {worker_count}, waiting calls: {count}."
    )
