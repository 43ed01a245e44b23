"""The gallery while the database is killed and restarted."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from imagehub.database import db
from tests.fixtures.database import MariaDB
from tests.fixtures.programs import wait_until
from tests.fixtures.site import Site, make_site

PAGES = (
    "/",
    "/groups/1",
    "/groups/1/1",
    "/groups/1/all.zip",
    "/search?q=front",
    "/tags",
    "/feed.atom",
    "/sitemap.xml",
    "/media/1/1/960",
    "/media/full/1/1",
)
CALLS = ("/search/suggest?q=front", "/image/page?page=1", "/image/group?group=1")


@pytest.fixture
def mortal(
    start_mariadb: Callable[..., AbstractContextManager[MariaDB]], tmp_path: Path
) -> Iterator[tuple[Site, MariaDB]]:
    """A site with one work on a MariaDB server of its own."""
    with start_mariadb() as server:
        # Tests' servers write to disk once a second; this one must keep what it has confirmed.
        with server.connect() as connection, connection.cursor() as cursor:
            cursor.execute("SET GLOBAL innodb_flush_log_at_trx_commit = 1")
        site = make_site(tmp_path / "site", database_url=server.create_database())
        assert site.add_group(["front.jpg", "back.jpg"]) == 1
        yield site, server
        with site.app.app_context():
            db.engine.dispose()


@contextmanager
def power_cut(server: MariaDB) -> Iterator[None]:
    """The server is killed before the block and started again at its end, until the test ends."""
    pid = int((server.socket.parent / "pid").read_text())
    command = Path(f"/proc/{pid}/cmdline").read_text().rstrip("\0").split("\0")
    os.kill(pid, signal.SIGKILL)
    while server.is_answering():
        time.sleep(0.05)
    yield
    with (server.socket.parent / "log").open("a") as log:
        again = subprocess.Popen(command, stdout=log, stderr=log)
    STARTED.append(again)
    wait_until(server.is_answering, 120)


STARTED: list[subprocess.Popen[bytes]] = []


@pytest.fixture(autouse=True)
def _end_what_was_started() -> Iterator[None]:
    yield
    while STARTED:
        process = STARTED.pop()
        process.kill()
        process.wait(20)


def test_with_the_database_gone_all_say_so_calmly_until_it_is_back(
    mortal: tuple[Site, MariaDB],
) -> None:
    site, server = mortal
    signed_in = site.signed_in_client()
    for path in ("/", "/search?q=front", "/search/suggest?q=front"):
        assert site.get(path).status_code == 200, path
    with power_cut(server):
        for client in (site.client(), signed_in):
            for path in PAGES:
                answer = client.get(path, headers={"Accept": "text/html"})
                assert answer.status_code == 503, path
                assert answer.mimetype == "text/html", path
                assert int(answer.headers["Retry-After"]) >= 1
                assert "try again" in answer.text
                assert "pymysql" not in answer.text.lower()
        for path in CALLS:
            answer = site.get(path, headers={"Accept": "application/json"})
            assert answer.status_code == 503, path
            assert list(answer.json) == ["detail"]
        assert site.get("/health").status_code == 200
        assert site.get("/robots.txt").status_code == 200
        assert site.get("/offline").status_code == 200
    for client in (site.client(), signed_in):
        assert client.get("/").status_code == 200
        assert "back.jpg" in client.get("/groups/1").text
        assert client.get("/search/suggest?q=front").json["count"] == 1
