"""Measure the rate of imports with 1, 2 and 4 worker processes on one queue in Redis, with MariaDB,
the OneDrive emulator over HTTP and an S3 server, and which part of the workers' time is waiting.

    python -m benchmarks.scale_out [--workers 1 2 4] [--photos 120] [--delay 0.15] [--rounds 2]

Each worker renders one picture at a time and works on two. The photos are small, 1200 × 800 pixels,
so that what surrounds the rendering shows; each call to OneDrive takes ``--delay`` seconds more, as
over the internet. The numbers of workers take turns. "On a core" is the processor time of the
workers and their renderers, "for a core" how long they were ready but other programs had the cores,
"waiting" the rest of the time of their two threads each: for OneDrive, S3, the database and the
next file. The last columns are the processor time of all programs together for each photo.
"""

import argparse
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from sqlalchemy import select

from benchmarks.import_rate import get_cpu_seconds, make_hub
from imagehub.domain.library import images
from imagehub.domain.objects import bookkeeping
from imagehub.models import Image
from imagehub.queue import count_worker_threads
from imagehub.runtime.timing import Timing
from tests.fixtures.database import run_mariadb
from tests.fixtures.importing import ImportHub, make_jpeg
from tests.fixtures.onedrive import OneDrive
from tests.fixtures.s3 import run_embedded_s3
from tests.support import get_free_port, require

SIZE_PX = (1200, 800)


@dataclass(frozen=True)
class Run:
    """What one import took; all in seconds, those of the workers in total."""

    elapsed: float
    on_core: float
    for_core: float
    threads: float
    all_cpu: float


def main() -> None:
    parser = argparse.ArgumentParser(description="Import with several workers.")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--photos", type=int, default=120)
    parser.add_argument("--delay", type=float, default=0.15)
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        onedrive = OneDrive(folder / "onedrive")
        stack.callback(onedrive.stop)
        _, s3_address = stack.enter_context(run_embedded_s3(folder / "objects"))
        server = stack.enter_context(run_mariadb())
        redis_url = stack.enter_context(run_redis(folder))
        changes = {"IMAGEHUB_QUEUE_URL": redis_url, "IMAGEHUB_WORKER_PROCESSES": "1"}
        hub = make_hub(folder, server.create_database(), onedrive, s3_address, **changes)
        stack.callback(hub.engine.dispose)
        stack.callback(hub.session.close)
        hub.put_files(
            "Photos", {f"{n:04}.jpg": make_jpeg(n, SIZE_PX) for n in range(options.photos)}
        )
        if options.delay:
            onedrive.set_fault("delay", seconds=options.delay, path="^/v1.0")
        runs: dict[int, list[Run]] = {count: [] for count in options.workers}
        for _ in range(options.rounds):
            for count, found in runs.items():
                found.append(run_import(hub, count))
        print_table(runs, options.photos)


@contextmanager
def run_redis(folder: Path) -> Iterator[str]:
    port = get_free_port()
    arguments = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    program = require("redis-server")
    process = subprocess.Popen([program, *arguments], stdout=subprocess.DEVNULL)
    try:
        with Redis(port=port) as client:
            while process.poll() is None:
                with suppress(RedisConnectionError):
                    client.ping()
                    break
                time.sleep(0.05)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.terminate()
        process.wait(20)


def run_import(hub: ImportHub, worker_count: int) -> Run:
    """Import the photos with so many running workers, then delete the images again."""
    programs = [hub.start_worker(Timing(), wait=False) for _ in range(worker_count)]
    try:
        for program in programs:
            program.wait_until_ready()
        selection = hub.select_folder("Photos")
        before = [read_times(program.pid) for program in programs]
        began, all_cpu = time.perf_counter(), get_cpu_seconds()
        job_id = hub.ask(selection)
        while not (report := hub.report(job_id)).is_finished:
            time.sleep(0.3)
        elapsed, all_cpu = time.perf_counter() - began, get_cpu_seconds() - all_cpu
        assert report.done_count == len(selection.files), report
        after = [read_times(program.pid) for program in programs]
    finally:
        for program in programs:
            program.stop()
    keys = images.delete_images(hub.session, hub.session.scalars(select(Image.id)).all())
    hub.session.commit()
    bookkeeping.delete_unused(hub.session, hub.clients, keys)
    on_core, for_core = (
        sum(last[at] - first[at] for first, last in zip(before, after, strict=True))
        for at in (0, 1)
    )
    threads = elapsed * worker_count * count_worker_threads(hub.settings)
    return Run(elapsed, on_core, for_core, threads, all_cpu)


def read_times(pid: int) -> tuple[float, float]:
    """Return the seconds on a core and ready for one, of a process and its children.

    Source: Linux kernel documentation, sched-stats, /proc/<pid>/schedstat.
    """
    waited, family = 0.0, {pid}
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
    while more := {one for one, parent in parents.items() if parent in family} - family:
        family |= more
    for one in family:
        for path in Path(f"/proc/{one}/task").glob("*/schedstat"):
            with suppress(OSError):
                waited += int(path.read_text().split()[1]) / 1e9
    return get_cpu_seconds(pid), waited


def print_table(runs: dict[int, list[Run]], photo_count: int) -> None:
    heads = ("photos/s", "ratio", "on a core", "for a core", "waiting", "CPU s/photo", "all")
    print("\n  workers" + "".join(f"{head:>13}" for head in heads))
    first = 0.0
    for count, found in runs.items():
        rate = photo_count / statistics.median(run.elapsed for run in found)
        first = first or rate
        on_core, for_core = (
            statistics.median(getattr(run, name) / run.threads for run in found)
            for name in ("on_core", "for_core")
        )
        cpu, all_cpu = (
            statistics.median(getattr(run, name) / photo_count for run in found)
            for name in ("on_core", "all_cpu")
        )
        print(
            f"  {count:>7}{rate:>13.2f}{rate / first:>13.2f}{on_core:>13.0%}{for_core:>13.0%}"
            f"{1 - on_core - for_core:>13.0%}{cpu:>13.3f}{all_cpu:>13.3f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
