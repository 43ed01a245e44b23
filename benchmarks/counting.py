"""What counting a view costs: a kept page and one that is rendered, with numbers on and off.

Two hubs on the same SQLite file are asked in turn, in one process and without a network, so that
the ratio is that of processor time. The visitors are many: each has an address of its own.
"""

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from flask import Flask
from sqlalchemy import delete, insert
from werkzeug.test import EnvironBuilder, run_wsgi_app

from benchmarks.catalogue import fill_catalogue
from imagehub import create_app
from imagehub.config import load_settings
from imagehub.database import db
from imagehub.models import GalleryRevision
from tests.fixtures.database import create_tables

IMAGES = 400
GROUPS = 100
REQUESTS = 500
ROUNDS = 5
PERSON = {
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Accept-Language": "en",
    "Sec-Fetch-Dest": "document",
}


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        kept = {state: make_hub(Path(name), state, "32") for state in ("off", "on")}
        with kept["off"].app_context():
            create_tables(db.engine)
            fill_catalogue(db.engine, IMAGES)
            with db.engine.begin() as connection:
                # Without a mark of what visitors see, no page is kept.
                connection.execute(delete(GalleryRevision))
                connection.execute(insert(GalleryRevision).values(id=1, mark=1))
        compare("a work from kept pages", kept, REQUESTS)
        rendered = {state: make_hub(Path(name), state, "0") for state in ("off", "on")}
        compare("a work that is rendered", rendered, REQUESTS // 15)
        numbers = kept["on"].extensions["imagehub.numbers"]
        ask(kept["on"], 0, REQUESTS)
        began = time.process_time()
        numbers.flush()
        print(f"  saving {REQUESTS} views of {GROUPS} works: {time.process_time() - began:.3f} s")
        for app in (kept["on"], rendered["on"]):
            app.extensions["imagehub.numbers"].close()


def make_hub(folder: Path, numbers: str, cache_mb: str) -> Flask:
    environment = {
        "IMAGEHUB_DATA_DIR": str(folder),
        "IMAGEHUB_NUMBERS": numbers,
        "IMAGEHUB_PAGE_CACHE_MB": cache_mb,
    }
    return create_app(load_settings(environment, None))


def compare(label: str, apps: dict[str, Flask], count: int) -> None:
    """Print the median processor time of a request, without and with counting."""
    times: dict[str, list[float]] = {state: [] for state in apps}
    for turn in range(ROUNDS + 1):
        for state, app in apps.items():
            seconds = ask(app, turn, count)
            if turn:  # The first round fills caches.
                times[state].append(seconds / count * 1e6)
    off, on = (statistics.median(times[state]) for state in ("off", "on"))
    print(f"  {label:<28}{off:>8.0f} µs{on:>8.0f} µs{on / off:>8.3f}", flush=True)


def ask(app: Flask, turn: int, count: int) -> float:
    """Ask for works, a different visitor each time; return the processor time."""
    environs = [make_environ(turn, index) for index in range(count)]
    began = time.process_time()
    for environ in environs:
        _body, status, _headers = run_wsgi_app(app.wsgi_app, environ, buffered=True)
        assert status.startswith("200"), status
    return time.process_time() - began


def make_environ(turn: int, index: int) -> dict[str, Any]:
    number = index % GROUPS + 1
    builder = EnvironBuilder(f"/groups/{number}/w{number}", headers=list(PERSON.items()))
    environ = builder.get_environ()
    environ["REMOTE_ADDR"] = f"10.{turn}.{index // 250}.{index % 250}"
    return environ


if __name__ == "__main__":
    main()
