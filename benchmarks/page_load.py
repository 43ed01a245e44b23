"""``/image/page`` and the front page on gunicorn with MariaDB: their cost and size at 100, 1,000,
10,000 and 1,000,000 images, and whether 64 connections at once lose a request. Each page is
rendered anew; ``page_rate`` measures kept pages.

The sizes are asked in turn, round after round, so that a noisy machine is noisy for all of them.
"""

import argparse
import gzip
import http.client
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import NullPool, create_engine

from benchmarks.catalogue import SHOTS_PER_GROUP, fill_catalogue
from imagehub import create_app
from imagehub.config import Settings, load_settings
from imagehub.database import db
from imagehub.runtime.serve import make_gunicorn_command, migrate_database
from tests.fixtures.database import MariaDB, run_mariadb
from tests.support import get_free_port

SIZES = (100, 1_000, 10_000, 1_000_000)
ROUNDS = 9
REQUESTS_A_ROUND = 120
# Requests, and a word that a correct answer contains.
KINDS = {"GET /image/page": ("/image/page?page=", b"got_images"), "GET /": ("/?page=", b"<main")}
# A buffer pool that is adequate for a million images.
BUFFER_POOL = "3G"
CONNECTIONS = 64
SECONDS = 30.0


def main(sizes: tuple[int, ...] = SIZES, seconds: float = SECONDS) -> None:
    with tempfile.TemporaryDirectory() as name, run_mariadb(BUFFER_POOL) as server:
        folder = Path(name)
        hubs = {}
        for size in sizes:
            print(f"  filling a catalogue of {size:,} images …", flush=True)
            hubs[size] = make_hub(server, folder / str(size), size)
        ports = {size: get_free_port() for size in sizes}
        rng = random.Random(1)
        with run_all(hubs, ports):
            for kind in KINDS:
                compare(kind, sizes, ports, rng)
            largest = sizes[-1]
            done, failed, duration = press(ports[largest], largest, seconds)
            print(
                f"\n  {CONNECTIONS} connections for {duration:.0f} s at {largest:,} images: "
                f"{done:,} answers, {done / duration:.0f} a second, {failed} failed"
            )


def compare(kind: str, sizes: tuple[int, ...], ports: dict[int, int], rng: random.Random) -> None:
    """Time one kind of request on all hubs in turn, and print the table."""
    times: dict[int, list[float]] = {size: [] for size in sizes}
    weights = {size: weigh(ports[size], kind) for size in sizes}
    for size in sizes:
        ask(ports[size], size, 30, rng, kind)
    for _ in range(ROUNDS):
        for size in sizes:
            times[size].append(ask(ports[size], size, REQUESTS_A_ROUND, rng, kind))
    base = statistics.median(times[1_000] if 1_000 in times else times[sizes[0]])
    print(f"\n  {kind}, pages chosen at random")
    print("  images      ms a request   against 1,000   bytes plain   gzipped")
    for size in sizes:
        middle = statistics.median(times[size])
        plain, packed = weights[size]
        print(
            f"  {size:>9,}   {middle * 1000:>10.2f}   {middle / base:>13.2f}"
            f"   {plain:>11,}   {packed:>7,}",
            flush=True,
        )


def make_hub(server: MariaDB, folder: Path, image_count: int, page_cache_mb: int = 0) -> Settings:
    """Create a hub on a database of that many images."""
    settings = load_settings(
        {
            "IMAGEHUB_DATA_DIR": str(folder),
            "IMAGEHUB_DATABASE_URL": server.create_database(),
            "IMAGEHUB_WEB_WORKERS": "2",
            "IMAGEHUB_WEB_THREADS": "8",
            "IMAGEHUB_PAGE_CACHE_MB": str(page_cache_mb),
        },
        None,
    )
    app = create_app(settings)
    migrate_database(app)
    with app.app_context():
        db.session.remove()
        db.engine.dispose()
    # The hub's own connections time out after a minute; a million rows may take longer.
    engine = create_engine(settings.sqlalchemy_url, poolclass=NullPool)
    fill_catalogue(engine, image_count)
    return settings


@contextmanager
def run_all(hubs: dict[int, Settings], ports: dict[int, int]) -> Iterator[None]:
    """Run one gunicorn for each hub, all at the same time."""
    servers = []
    try:
        for size, settings in hubs.items():
            command = make_gunicorn_command(settings, "127.0.0.1", ports[size])
            servers.append(
                subprocess.Popen(
                    command,
                    env={**os.environ, **settings.to_environment()},
                    stdout=subprocess.DEVNULL,
                    stderr=sys.stderr,
                )
            )
        for port in ports.values():
            wait_for(port)
        yield
    finally:
        for process in servers:
            process.terminate()
        for process in servers:
            process.wait(20)


def wait_for(port: int) -> None:
    for _ in range(600):
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/health")
            if connection.getresponse().status == 200:
                return
        except OSError:
            time.sleep(0.1)
    raise SystemExit(f"the web server on port {port} did not start")


def weigh(port: int, kind: str) -> tuple[int, int]:
    """Return the bytes of the first page, plain and compressed."""
    path = KINDS[kind][0] + "1"
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", path)
    plain = connection.getresponse().read()
    connection.request("GET", path, headers={"Accept-Encoding": "gzip"})
    answer = connection.getresponse()
    packed = answer.read()
    if answer.getheader("Content-Encoding") == "gzip":
        assert gzip.decompress(packed) == plain
    return len(plain), len(packed)


def count_pages(image_count: int) -> int:
    return max(1, image_count // SHOTS_PER_GROUP // 12)


def ask(port: int, image_count: int, requests: int, rng: random.Random, kind: str) -> float:
    """Measure the seconds of sequential requests over one connection."""
    path, word = KINDS[kind]
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    last = count_pages(image_count)
    began = time.perf_counter()
    for _ in range(requests):
        connection.request("GET", f"{path}{rng.randint(1, last)}")
        answer = connection.getresponse()
        body = answer.read()
        assert answer.status == 200 and word in body, (answer.status, body[:200])
    return (time.perf_counter() - began) / requests


def press(port: int, image_count: int, seconds: float) -> tuple[int, int, float]:
    """Count answers, failures and seconds of many concurrent connections."""
    last = count_pages(image_count)
    done = [0] * CONNECTIONS
    failed = [0] * CONNECTIONS
    stop_at = time.monotonic() + seconds

    def work(index: int) -> None:
        rng = random.Random(index)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        while time.monotonic() < stop_at:
            try:
                connection.request("GET", f"/image/page?page={rng.randint(1, last)}")
                answer = connection.getresponse()
                body = answer.read()
                if answer.status == 200 and b"got_images" in body:
                    done[index] += 1
                else:
                    failed[index] += 1
            except (OSError, http.client.HTTPException):
                failed[index] += 1
                connection.close()
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)

    began = time.monotonic()
    threads = [threading.Thread(target=work, args=(index,)) for index in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(done), sum(failed), time.monotonic() - began


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Compare libraries of several sizes.")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, metavar="IMAGES")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of 64 connections")
    options = parser.parse_args()
    main(tuple(options.sizes), options.seconds)
