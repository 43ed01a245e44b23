"""The hub's worker class against gunicorn's own, and both with 200 clients that send half requests.

Both serve the same SQLite database of 240 images, in turn, round after round, so that a noisy
machine is noisy for both.
"""

import http.client
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.catalogue import fill_catalogue
from benchmarks.page_load import wait_for
from imagehub import create_app
from imagehub.config import Settings, load_settings
from imagehub.database import db
from imagehub.runtime.serve import make_gunicorn_command, migrate_database
from tests.support import get_free_port

WORKERS = {"gunicorn's": "gthread", "the hub's": ""}
PATHS = ("/health", "/image/page?page=3", "/?page=3")
CONNECTIONS = 64
ROUNDS = 5
ROUND_SECONDS = 4.0
SLOW = 200
WAIT_SECONDS = 20.0


def main() -> None:
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        settings = make_hub(Path(name))
        servers = {}
        for label, worker_class in WORKERS.items():
            servers[label] = stack.enter_context(run_hub(settings, worker_class))
        print(f"  {CONNECTIONS} connections      {'':<14}" + "".join(f"{x:>16}" for x in WORKERS))
        for path in PATHS:
            rates: dict[str, list[float]] = {label: [] for label in WORKERS}
            waits: dict[str, list[float]] = {label: [] for label in WORKERS}
            costs = dict.fromkeys(WORKERS, 0.0)
            for _ in range(ROUNDS):
                for label, (port, pid) in servers.items():
                    before = count_cpu_seconds(pid)
                    times = press(port, path)
                    costs[label] += count_cpu_seconds(pid) - before
                    rates[label].append(len(times) / ROUND_SECONDS)
                    waits[label] += times
            print_row(path, "answers/s", [statistics.median(rates[label]) for label in WORKERS])
            print_row("", "CPU ms each", [costs[x] / len(waits[x]) * 1000 for x in WORKERS])
            for share in (50, 99):
                cuts = [statistics.quantiles(waits[x], n=100)[share - 1] * 1000 for x in WORKERS]
                print_row("", f"p{share}, ms", cuts)
        with_slow = [time_beside_slow(port) * 1000 for port, _ in servers.values()]
        print_row(f"/health beside {SLOW} slow", "ms", with_slow)
        print(f"  ({WAIT_SECONDS * 1000:.0f} ms: no answer in that time)")


def print_row(what: str, unit: str, numbers: list[float]) -> None:
    print(
        f"  {what:<24}{unit:<14}" + "".join(f"{number:>16,.1f}" for number in numbers), flush=True
    )


def make_hub(folder: Path) -> Settings:
    settings = load_settings({"IMAGEHUB_DATA_DIR": str(folder / "data")}, None)
    app = create_app(settings)
    migrate_database(app)
    with app.app_context():
        fill_catalogue(db.engine, 240)
        db.session.remove()
        db.engine.dispose()
    return settings


@contextmanager
def run_hub(settings: Settings, worker_class: str) -> Iterator[tuple[int, int]]:
    """Run a web server; return its port and process id. ``worker_class``: "" for the hub's own."""
    port = get_free_port()
    command = make_gunicorn_command(settings, "127.0.0.1", port)
    if worker_class:
        command = [re.sub(r"^(--worker-class)=.*", rf"\1={worker_class}", one) for one in command]
    server = subprocess.Popen(
        command,
        env={**os.environ, **settings.to_environment()},
        stdout=subprocess.DEVNULL,
        stderr=sys.stderr,
    )
    try:
        wait_for(port)
        yield port, server.pid
    finally:
        server.terminate()
        server.wait(30)


def count_cpu_seconds(pid: int) -> float:
    """Return the processor time of a program's child processes so far (Linux)."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    ticks = 0
    for child in children:
        fields = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def press(port: int, path: str) -> list[float]:
    """Ask over many connections at once; return the seconds of each answer."""
    times: list[float] = []
    stop_at = time.monotonic() + ROUND_SECONDS

    def work() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        while time.monotonic() < stop_at:
            began = time.perf_counter()
            connection.request("GET", path)
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 200
            times.append(time.perf_counter() - began)
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return times


def time_beside_slow(port: int) -> float:
    """Time ``/health`` while others have sent half a head or half a body."""
    beginnings = (
        b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ",
        b"POST /sign-in HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nname=",
    )
    with ExitStack() as stack:
        for number in range(SLOW):
            slow = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            slow.sendall(beginnings[number % 2])
        time.sleep(1)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT_SECONDS)
        began = time.perf_counter()
        try:
            connection.request("GET", "/health")
            connection.getresponse().read()
        except OSError:
            return WAIT_SECONDS
        finally:
            connection.close()
        return time.perf_counter() - began


if __name__ == "__main__":
    main()
