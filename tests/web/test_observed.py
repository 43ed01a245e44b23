"""The numbers of requests, and the log lines of slow requests and queries."""

import json
import logging
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from imagehub.domain.imports.jobs import Selection, create_import
from imagehub.logs import JsonFormatter, set_facts, use_format
from imagehub.models import DriveAccount, ImportJob
from imagehub.queries import watch_queries
from tests.fixtures.site import Site, make_site

GIVEN = "abc-DEF_123.456"


@pytest.fixture(autouse=True)
def _without_facts() -> Iterator[None]:
    set_facts()
    yield
    set_facts()


def get_id(site: Site, given: str, path: str = "/healthz") -> str:
    answer = site.get(path, headers={"X-Request-ID": given} if given else {})
    return answer.headers["X-Request-Id"]


def test_each_response_has_a_number_of_its_own(site: Site) -> None:
    site.add_group()
    # The second and third are from the cache of pages.
    numbers = {get_id(site, "", "/groups/1") for _ in range(3)}
    assert len(numbers) == 3
    assert all(re.fullmatch("[0-9a-f]{16}", number) for number in numbers)


def test_a_number_is_taken_from_a_trusted_proxy_only(
    site: Site, tmp_path: Path, site_folder: Path
) -> None:
    assert get_id(site, GIVEN) != GIVEN
    shutil.copytree(site_folder, tmp_path / "behind")
    behind = make_site(tmp_path / "behind", proxy_count="1")
    behind.add_group()
    assert get_id(behind, GIVEN) == GIVEN
    assert [get_id(behind, f"{GIVEN}-{n}", "/groups/1") for n in "12"] == [
        f"{GIVEN}-1", f"{GIVEN}-2",
    ]  # fmt: skip
    for bad in ("short", "x" * 65, "with space in it", 'quote"and-more', "-leading-hyphen", ""):
        assert re.fullmatch("[0-9a-f]{16}", get_id(behind, bad)), bad


def test_an_import_remembers_the_request_that_created_it(site: Site) -> None:
    with site.session() as session:
        account = DriveAccount(home_account_id="a", token_cache=b"")
        session.add(account)
        session.flush()
        set_facts(request_id=GIVEN)
        files = Selection("folder-1", "Folder", None, [("file-1", "a.jpg")])
        create_import(session, account.id, None, [files])
        assert session.query(ImportJob).one().origin == GIVEN


# --- JSON -----------------------------------------------------------------------------------------


def test_lines_are_json_with_the_facts_of_their_thread() -> None:
    try:
        raise ValueError("not good")
    except ValueError as error:
        failure = (ValueError, error, error.__traceback__)
    record = logging.LogRecord("imagehub.x", 40, "", 0, "%s of\n%s", ("one", "two"), failure)
    set_facts(request_id=GIVEN, job="")
    line = JsonFormatter("worker").format(record)
    assert "\n" not in line
    found = json.loads(line)
    assert found["exception"].endswith("ValueError: not good")
    facts = {"level": "error", "logger": "imagehub.x", "message": "one of\ntwo"}
    assert facts | {"program": "worker", "request_id": GIVEN} == {
        name: found[name] for name in (*facts, "program", "request_id")
    }
    assert "job" not in found
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", found["time"])


def test_the_format_is_changed_on_request_only() -> None:
    logger, handler = logging.getLogger("test-of-formats"), logging.StreamHandler()
    logger.addHandler(handler)
    use_format("text", "web", logger)
    assert handler.formatter is None


# --- What is slow ---------------------------------------------------------------------------------


def test_slow_requests_are_logged_by_endpoint(
    tmp_path: Path, site_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copytree(site_folder, tmp_path / "site")
    site = make_site(tmp_path / "site", slow_request_ms="1")
    site.app.view_functions["web.show_alive"] = _take_a_while
    site.get("/healthz?secret=1")
    lines = [record.getMessage() for record in caplog.records if "Slow" in record.msg]
    assert len(lines) == 1
    assert re.fullmatch(r"Slow request: GET web\.show_alive, status 200, \d+ ms", lines[0])


def _take_a_while() -> str:
    """Work for more than a millisecond, whatever the machine."""
    until = time.monotonic() + 0.002
    while time.monotonic() < until:
        pass
    return ""


def test_nothing_is_called_slow_by_default(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    site.get("/sign-in")
    assert not [record for record in caplog.records if "Slow" in record.msg]


def test_slow_queries_are_logged_without_their_values(caplog: pytest.LogCaptureFixture) -> None:
    engine = create_engine("sqlite://")
    watch_queries(engine, 1)
    query = """
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
        SELECT count(*), :word FROM n"""
    with engine.connect() as connection:
        connection.execute(text(query), {"word": "a-secret-value"}).all()
    engine.dispose()
    # The cursor of SQLite computes rows when they are fetched, the first one at once.
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 1
    assert re.match(r"Slow query: \d+ ms: WITH RECURSIVE n\(i\) AS \(SELECT 1 UNION", lines[0])
    assert "a-secret-value" not in lines[0]
