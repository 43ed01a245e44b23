"""Count what the hub does, for Prometheus; nothing else here uses its library.

The functions can be called everywhere and do nothing until :func:`start`. Each process counts in
files of its own, in a folder of its program below ``<data folder>/metrics``; :func:`render` adds
them up. The folder is deleted when another program starts after this one has ended, so that
counters begin at zero again. Until then the counts of ended processes stay: a sum that shrinks
would look like a restart to Prometheus.

Labels have few values: names of endpoints instead of addresses, and operations of fixed lists.
What is measured as a block is a span of the traces too.
"""

import hmac
import ipaddress
import os
import secrets
import shutil
import socket
import struct
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imagehub import traces
from imagehub.errors import NotFoundError, ServiceBusyError, ServiceRefusedError
from imagehub.locked_folders import create_locked, iter_left_over, list_folders

if TYPE_CHECKING:
    from prometheus_client import Metric

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_QUICK = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_SLOW = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
_SLOWEST = (1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0)


@dataclass(frozen=True)
class Instrument:
    """A metric. ``kind``: ``counter``, ``histogram``, ``gauge``, or ``reading``, which is measured
    when it is asked for. Times are in seconds."""

    kind: str
    meaning: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = _QUICK


HTTP, RUNNING = "imagehub_http_request_seconds", "imagehub_http_requests_in_progress"
ITEMS, PHASES = "imagehub_import_items", "imagehub_import_phase_seconds"
TILES = "imagehub_tiles_seconds"
GRAPH, GRAPH_WAITS = "imagehub_graph_request_seconds", "imagehub_graph_wait_seconds"
S3 = "imagehub_s3_request_seconds"

INSTRUMENTS: dict[str, Instrument] = {
    HTTP: Instrument(
        "histogram",
        "Time until the web server had a response, by endpoint, method and class of the status",
        ("endpoint", "method", "status"),
    ),
    RUNNING: Instrument("gauge", "Requests that threads of the web server work on"),
    ITEMS: Instrument("counter", "Files of imports that a worker has processed", ("outcome",)),
    PHASES: Instrument("histogram", "Time of each phase of an import", ("phase",), _SLOW),
    TILES: Instrument(
        "histogram",
        "Time of making the tiles of an image, its download included",
        ("outcome",),
        _SLOWEST,
    ),
    GRAPH: Instrument(
        "histogram",
        "Time until OneDrive or Microsoft's sign-in responded; status none: no response",
        ("operation", "status"),
    ),
    GRAPH_WAITS: Instrument(
        "histogram",
        "Time that calls of OneDrive waited: account paused, or before they were repeated",
        ("cause",),
        _SLOW,
    ),
    S3: Instrument(
        "histogram", "Time of calls of the object storage", ("operation", "outcome")
    ),
    "imagehub_build_info": Instrument("reading", "Always 1", ("version",)),
    "imagehub_service_up": Instrument(
        "reading", "1 if the service answers, as in /readyz", ("service",)
    ),
    "imagehub_queue_items": Instrument(
        "reading", "Files of imports: due now, due later, being processed, or failed", ("state",)
    ),
    "imagehub_queue_oldest_due_seconds": Instrument(
        "reading", "Since when the file that has waited longest could have been processed"
    ),
    "imagehub_queue_calls": Instrument("reading", "Wake-up calls in the queue"),
    "imagehub_workers": Instrument("reading", "Running workers"),
    "imagehub_onedrive_connections": Instrument(
        "reading", "Accounts that images come from, by the state of their connection", ("state",)
    ),
    "imagehub_onedrive_connections_needing_attention": Instrument(
        "reading", "Accounts whose connection does not work until a person has done something"
    ),
    "imagehub_onedrive_token_age_seconds": Instrument(
        "reading",
        "Time since the sign-in of an account was last used; Microsoft drops it after 90 days",
        ("account",),
    ),
}  # fmt: skip

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
GRAPH_OPERATIONS = frozenset(
    {
        "create a folder", "create an empty file", "delete an item", "download a file",
        "fetch a preview", "fetch a thumbnail", "find the folder of an item", "list a folder",
        "list subscriptions", "look for a name", "move an item", "open a file", "open a path",
        "open an item", "open the root folder", "read the drive", "read what changed",
        "rename an item", "renew a subscription", "restore an item", "start an upload",
        "subscribe to changes", "upload a file",
        # Of Microsoft's sign-in.
        "finish a sign-in", "refresh a token", "start a sign-in", "take over a sign-in",
    }
)  # fmt: skip
S3_OPERATIONS = frozenset(
    {
        "create a bucket", "delete objects", "list objects", "look for an object",
        "read an object", "store an object",
    }
)  # fmt: skip
TILE_OUTCOMES = ("made", "failed", "postponed", "stopped")
PHASE_NAMES = ("download", "render", "store", "save")


class _Active:
    """The instruments of this process and of those that it forks."""

    def __init__(self, data_dir: Path, program: str) -> None:
        # Imported here because most hubs need no metrics.
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, values

        self.data_dir = data_dir
        name = f"{program}@{socket.gethostname()}@{secrets.token_hex(4)}"
        self.folder, self._lock = create_locked(data_dir / "metrics", name)
        # How the library is told to count in files.
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(self.folder)
        self._values = values.MultiProcessValue()  # type: ignore[no-untyped-call]
        values.ValueClass = self._values
        registry = CollectorRegistry()
        self.made: dict[str, Any] = {}
        for name, one in INSTRUMENTS.items():
            if one.kind == "counter":
                self.made[name] = Counter(name, one.meaning, one.labels, registry=registry)
            elif one.kind == "histogram":
                self.made[name] = Histogram(
                    name, one.meaning, one.labels, registry=registry, buckets=one.buckets
                )
            elif one.kind == "gauge":
                self.made[name] = Gauge(
                    name, one.meaning, one.labels, registry=registry, multiprocess_mode="livesum"
                )

    def close(self) -> None:
        self._values.close_all_files()
        shutil.rmtree(self.folder, ignore_errors=True)
        os.close(self._lock)


_active: _Active | None = None


def start(data_dir: Path, program: str) -> None:
    """Count from now on, in this process and in those that it forks.

    :param program: ``web`` or ``worker``.
    """
    global _active
    if _active is not None:
        if _active.data_dir == data_dir:
            return
        stop()
    for folder in iter_left_over(data_dir / "metrics"):
        shutil.rmtree(folder, ignore_errors=True)
    _active = _Active(data_dir, program)


def stop() -> None:
    """Stop counting and delete the counts; call it in the process that started it."""
    global _active
    # Other threads may still count.
    ended, _active = _active, None
    if ended is not None:
        ended.close()


def forget_process(process_id: int) -> None:
    """Drop what an ended process was doing; what it has done stays counted."""
    if _active is not None:
        from prometheus_client.multiprocess import mark_process_dead

        mark_process_dead(process_id, str(_active.folder))  # type: ignore[no-untyped-call]


# --- What is counted ------------------------------------------------------------------------------


def begin_request() -> None:
    if _active is not None:
        _active.made[RUNNING].inc()


def end_request(endpoint: str, method: str, status: int, seconds: float) -> None:
    """Count a response.

    :param endpoint: its name, or "" if no address matched.
    """
    if _active is not None:
        _active.made[RUNNING].dec()
        method = method if method in METHODS else "other"
        labels = (endpoint or "none", method, f"{status // 100}xx")
        _active.made[HTTP].labels(*labels).observe(seconds)


def count_import_item(outcome: str) -> None:
    """Count a file: ``done``, ``skipped``, ``failed``, ``queued`` (to be retried), ``lost``."""
    if _active is not None:
        _active.made[ITEMS].labels("retried" if outcome == "queued" else outcome).inc()


@contextmanager
def measure_phase(phase: str) -> Iterator[None]:
    """Measure a phase of an import, one of ``PHASE_NAMES``, if it succeeds."""
    began = time.monotonic()
    with traces.span(f"import: {phase}"):
        yield
    if _active is not None:
        _active.made[PHASES].labels(phase).observe(time.monotonic() - began)


@dataclass
class TileAttempt:
    """An attempt to make the tiles of an image; ``outcome`` is one of ``TILE_OUTCOMES``."""

    outcome: str = "failed"


@contextmanager
def measure_tiles() -> Iterator[TileAttempt]:
    """Measure an attempt; the block sets the outcome."""
    attempt, began = TileAttempt(), time.monotonic()
    try:
        with traces.span("make tiles"):
            yield attempt
    finally:
        if _active is not None:
            _active.made[TILES].labels(attempt.outcome).observe(time.monotonic() - began)


@dataclass
class Call:
    """A call of OneDrive; ``status`` stays 0 if there is no response."""

    status: int = 0


@contextmanager
def measure_graph(operation: str) -> Iterator[Call]:
    """Measure a call; the block sets the status."""
    call, began = Call(), time.monotonic()
    try:
        with traces.span(f"onedrive: {operation}", "client") as span:
            yield call
            span.note(http_response_status__code=call.status)
    finally:
        if _active is not None:
            name = operation if operation in GRAPH_OPERATIONS else "other"
            labels = (name, str(call.status) if call.status else "none")
            _active.made[GRAPH].labels(*labels).observe(time.monotonic() - began)


def count_graph_wait(cause: str, seconds: float) -> None:
    """Count a wait: ``pause`` or ``retry``."""
    if _active is not None:
        _active.made[GRAPH_WAITS].labels(cause).observe(seconds)


@contextmanager
def measure_s3(operation: str) -> Iterator[None]:
    """Measure a call of the object storage; the error that leaves the block is its outcome."""
    outcome, began = "error", time.monotonic()
    try:
        with traces.span(f"s3: {operation}", "client"):
            yield
        outcome = "ok"
    except NotFoundError:
        outcome = "missing"
        raise
    except ServiceBusyError:
        outcome = "busy"
        raise
    except ServiceRefusedError:
        outcome = "refused"
        raise
    finally:
        if _active is not None:
            name = operation if operation in S3_OPERATIONS else "other"
            _active.made[S3].labels(name, outcome).observe(time.monotonic() - began)


# --- Who may read it ------------------------------------------------------------------------------

REFUSAL = "A token is needed, or another network.\n"


def is_token(header: str, wanted: str) -> bool:
    """Tell whether an Authorization header has the wanted bearer token; never if that is ""."""
    kind, _, token = header.partition(" ")
    if not wanted or kind.lower() != "bearer":
        return False
    return hmac.compare_digest(token.strip().encode(), wanted.encode())


def is_inside(address: str, networks: Iterable[str]) -> bool:
    """Tell whether an address, IPv6 with an IPv4 one in it too, is inside of a network."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    return any(found in ipaddress.ip_network(one) for one in networks)


# --- What Prometheus reads ------------------------------------------------------------------------


@dataclass(frozen=True)
class Reading:
    """A value of a metric whose kind is ``reading``; ``labels`` are in the metric's order."""

    name: str
    value: float
    labels: tuple[str, ...] = ()


def render(data_dir: Path, readings: Iterable[Reading]) -> bytes:
    """Return the counts of all programs that use this data folder, and readings, as text.

    Counts have two more labels, ``program`` and ``host``, as each program begins at zero.
    """
    from prometheus_client import Metric, generate_latest

    found: dict[str, Metric] = {}
    for metric, program, host in _collect(data_dir):
        whole = found.setdefault(
            metric.name, Metric(metric.name, metric.documentation, metric.type)
        )
        for sample in metric.samples:
            labels = {**sample.labels, "program": program, "host": host}
            whole.samples.append(sample._replace(labels=labels))
    for reading in readings:
        one = INSTRUMENTS[reading.name]
        whole = found.setdefault(reading.name, Metric(reading.name, one.meaning, "gauge"))
        labels = dict(zip(one.labels, reading.labels, strict=True))
        whole.add_sample(reading.name, labels, reading.value)

    class Found:
        def collect(self) -> Iterator[Metric]:
            yield from found.values()

    return generate_latest(Found())


def _collect(data_dir: Path) -> Iterator[tuple["Metric", str, str]]:
    from prometheus_client.multiprocess import MultiProcessCollector

    files: dict[tuple[str, str], list[str]] = {}
    for folder in list_folders(data_dir / "metrics"):
        program, host, *_ = folder.name.split("@")
        files.setdefault((program, host), []).extend(map(str, folder.glob("*.db")))
    for (program, host), paths in files.items():
        # A program that has just ended or begun deletes or creates files meanwhile.
        with suppress(FileNotFoundError, struct.error):
            for metric in MultiProcessCollector.merge(paths):  # type: ignore[no-untyped-call]
                yield metric, program, host
