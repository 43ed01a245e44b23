"""Requests per second for pages that are rendered each time and for kept ones, by 64 connections
on gunicorn with MariaDB, with 120 groups: all at the same revision, and while an import commits.

Both hubs run at the same time and are asked in turn, round after round, so that a noisy machine is
noisy for both. ``/health`` is what a request costs without a page.
"""

import socket
import statistics
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

from sqlalchemy import Engine, NullPool, create_engine, update
from sqlalchemy.orm import Session

from benchmarks.catalogue import SHOTS_PER_GROUP
from benchmarks.page_load import make_hub, run_all
from imagehub.models import Group
from tests.fixtures.database import run_mariadb
from tests.support import get_free_port

GROUPS = 120
CONNECTIONS = 64
ROUNDS = 3
SECONDS = 3.0
PATHS = {"/image/page": "/image/page?page={}", "/": "/?page={}", "/health": "/health"}
PAGES = GROUPS // 12
# How often the rows of visible groups change during an import.
COMMIT_SECONDS = 0.5


def main() -> None:
    with tempfile.TemporaryDirectory() as name, run_mariadb() as server:
        hubs = {
            megabytes: make_hub(
                server, Path(name) / str(megabytes), GROUPS * SHOTS_PER_GROUP, megabytes
            )
            for megabytes in (0, 32)
        }
        ports = {megabytes: get_free_port() for megabytes in hubs}
        with run_all(hubs, ports):
            print(f"  {'':<28}{'rendered':>18}{'kept':>18}{'ratio':>8}")
            print(f"  {'':<28}{'a second':>10}{'p99':>8}{'a second':>10}{'p99':>8}")
            for label, path in PATHS.items():
                compare(label, path, ports)
            engine = create_engine(hubs[32].sqlalchemy_url, poolclass=NullPool)
            is_over = threading.Event()
            importing = threading.Thread(target=change_groups, args=(engine, is_over))
            importing.start()
            try:
                compare("/ during an import", PATHS["/"], ports)
            finally:
                is_over.set()
                importing.join()


def change_groups(engine: Engine, is_over: threading.Event) -> None:
    """Change a visible group now and then."""
    with Session(engine) as session:
        while not is_over.wait(COMMIT_SECONDS):
            session.execute(update(Group).where(Group.id == 1).values(version=Group.version + 1))
            session.commit()


def compare(label: str, path: str, ports: dict[int, int]) -> None:
    """Print the median rate and 99th percentile of both hubs."""
    rates: dict[int, list[float]] = {key: [] for key in ports}
    slow: dict[int, list[float]] = {key: [] for key in ports}
    for turn in range(ROUNDS + 1):
        for key, port in ports.items():
            times, seconds = press(port, path)
            if turn:  # The first round fills caches.
                rates[key].append(len(times) / seconds)
                slow[key].append(statistics.quantiles(times, n=100)[98] * 1000)
    rate = {key: statistics.median(found) for key, found in rates.items()}
    late = {key: statistics.median(found) for key, found in slow.items()}
    print(
        f"  {label:<28}{rate[0]:>10.0f}{late[0]:>6.0f}ms{rate[32]:>10.0f}{late[32]:>6.0f}ms"
        f"{rate[32] / rate[0]:>8.1f}",
        flush=True,
    )


def press(port: int, path: str) -> tuple[list[float], float]:
    """Return the seconds of each request, and of all, with all connections at once."""
    times: list[list[float]] = [[] for _ in range(CONNECTIONS)]
    stop_at = time.monotonic() + SECONDS

    def work(index: int) -> None:
        turn = index
        while time.monotonic() < stop_at:
            # The server may close connections; a client opens another one.
            with (
                suppress(ConnectionError),
                socket.create_connection(("127.0.0.1", port), timeout=60) as connection,
            ):
                while time.monotonic() < stop_at:
                    turn += 1
                    began = time.perf_counter()
                    ask(connection, path.format(turn % PAGES + 1))
                    times[index].append(time.perf_counter() - began)

    began = time.monotonic()
    threads = [threading.Thread(target=work, args=(index,)) for index in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [one for some in times for one in some], time.monotonic() - began


def ask(connection: socket.socket, path: str) -> None:
    """Send a request and read its response; a cheap client leaves the cores to the server."""
    connection.sendall(
        f"GET {path} HTTP/1.1\r\nHost: hub\r\nAccept-Encoding: gzip\r\n\r\n".encode()
    )
    data = b""
    while b"\r\n\r\n" not in data:
        part = connection.recv(65_536)
        if not part:
            raise ConnectionAbortedError
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise SystemExit(head.decode())
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    missing = length - len(body)
    while missing > 0:
        missing -= len(connection.recv(65_536))


if __name__ == "__main__":
    main()
