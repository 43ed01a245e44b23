"""The test run itself: its lanes, its quarantine, and the script that decides whether it passed."""

import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import urlsplit

import pytest

from tests.fixtures.browser import Chromium
from tests.fixtures.programs import list_descendants, read_command_line
from tests.fixtures.served_site import serve
from tests.support import ROOT, require

MARK = '@pytest.mark.quarantine(date="2026-11-28", reason="fails once a week")'


@pytest.fixture
def inner(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A folder for tests that run in a pytest of their own, with our plugins."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    return pytester


def run(inner: pytest.Pytester, source: str, *options: str) -> pytest.RunResult:
    inner.makepyfile(f"import pytest\n{source}")
    plugins = ("tests.fixtures.quarantine", "tests.fixtures.lanes")
    return inner.runpytest_subprocess(
        "-ra", "--xfail-tb", "--strict-markers", *(f"-p{name}" for name in plugins), *options
    )


# --- Quarantine -----------------------------------------------------------------------------------


def test_a_test_in_quarantine_runs_and_its_failure_is_printed_but_not_counted(
    inner: pytest.Pytester,
) -> None:
    result = run(inner, f"{MARK}\ndef test_it():\n    assert 1 == 2\ndef test_other(): pass")
    assert result.ret == 0
    result.assert_outcomes(passed=1, xfailed=1)
    result.stdout.fnmatch_lines(["E*assert 1 == 2", "XFAIL*in quarantine since 2026-11-28: fails*"])


@pytest.mark.parametrize(
    "arguments",
    [
        "",
        'date="2026-11-28"',
        'reason="fails"',
        'date="2026-11-28", reason=" "',
        'date="soon", reason="fails"',
    ],
)
def test_quarantine_needs_a_date_and_a_reason(inner: pytest.Pytester, arguments: str) -> None:
    result = run(inner, f"@pytest.mark.quarantine({arguments})\ndef test_it(): pass")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*test_it: quarantine needs date=*"])


@pytest.mark.parametrize(("count", "status"), [(5, 0), (6, pytest.ExitCode.USAGE_ERROR)])
def test_at_most_five_tests_are_in_quarantine(
    inner: pytest.Pytester, count: int, status: int
) -> None:
    numbers = '@pytest.mark.parametrize("n", range(3))'  # counted as one test
    tests = (f"{MARK}\n{numbers}\ndef test_{n}(n): assert False" for n in range(count))
    assert run(inner, "\n".join(tests)).ret == status


# --- Servers that workers share ---------------------------------------------------------------

SHARED = r"""
import os
import re
import time
from contextlib import contextmanager
from pathlib import Path

from tests.fixtures.sharing import share

LOG = Path("log")


def note(word):
    with LOG.open("a") as log:
        log.write(f"{word} ")


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    @contextmanager
    def run():
        note("started")
        yield f"by {os.getpid()}"
        note("stopped")

    with share("server", tmp_path_factory, run) as description:
        yield description


@pytest.mark.parametrize("number", range(6))
def test_use(server, number):
    assert "stopped" not in LOG.read_text()
    note(f"used-{server}-in-{os.getpid()}")
    for _ in range(600):
        if len(set(re.findall(r"in-(\d+)", LOG.read_text()))) == WORKERS:
            return
        time.sleep(0.1)
    assert False, "not all workers used it at once"
"""


@pytest.mark.parametrize("workers", [0, 3])
def test_workers_share_a_server_until_the_last_has_ended(
    inner: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    result = run(inner, f"WORKERS = {workers or 1}\n{SHARED}", "-pxdist.plugin", f"-n{workers}")
    result.assert_outcomes(passed=6)
    log = (inner.path / "log").read_text()
    assert re.fullmatch(r"started (used-by (\d+)-in-\d+ ){6}stopped ", log)
    assert len(set(re.findall(r"by (\d+)", log))) == 1
    assert len(set(re.findall(r"in-(\d+)", log))) == max(workers, 1)


# --- Lanes ----------------------------------------------------------------------------------------

LANES = """
@pytest.fixture(scope="session")
def mariadb(): pass
@pytest.fixture
def mariadb_url(mariadb): pass
@pytest.fixture
def sqlite_url(): pass
@pytest.fixture(params=["sqlite_url", "mariadb_url"])
def database_url(request): return request.getfixturevalue(request.param)
@pytest.fixture(scope="session")
def chromium(): pass
@pytest.fixture
def page(chromium): pass

def test_nothing(): pass
def test_either(database_url): pass
def test_page(page): pass
"""


def test_the_fast_lane_leaves_out_browsers_and_servers(inner: pytest.Pytester) -> None:
    fast = "not browser and not server"
    run(inner, LANES).assert_outcomes(passed=4)
    run(inner, LANES, "-m", fast).assert_outcomes(passed=2, deselected=2)
    run(inner, LANES, "-m", "server").assert_outcomes(passed=1, deselected=3)
    run(inner, LANES, "-m", "browser").assert_outcomes(passed=1, deselected=3)
    assert f'-m "{fast}"' in (ROOT / "Makefile").read_text()


def test_a_server_that_no_mark_announces_fails_the_test(inner: pytest.Pytester) -> None:
    source = f"{LANES}\ndef test_hidden(request): request.getfixturevalue('mariadb')"
    result = run(inner, source, "-k", "hidden")
    result.assert_outcomes(failed=1, deselected=4)
    result.stdout.fnmatch_lines(["*the test uses mariadb but has no mark server*"])


# --- The CI script --------------------------------------------------------------------------------


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout without tests, whose ``make check`` passes and in which all is installed."""
    for name in ("Makefile", "pyproject.toml", ".ci/run"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "tests").mkdir()
    installed = ("-o .venv/.test", "-o .venv/.assets")  # Make takes these as up to date.
    write_program(tmp_path / ".venv/bin/python", f'exec "{sys.executable}" "$@"')
    write_program(
        tmp_path / "programs/make",
        f'[ "$1" = check ] || exec "{require("make")}" {" ".join(installed)} "$@"',
    )
    for name in ("mariadbd", "redis-server", "chromium", "chromium-headless-shell"):
        write_program(tmp_path / "programs" / name, "exit 1")
    return tmp_path


def write_program(path: Path, line: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)


@pytest.mark.parametrize(
    ("source", "is_passed", "words"),
    [
        ("def test_it(): pass", True, "1 passed"),
        ("def test_it(): assert False", False, "1 failed"),
        (
            "import os, signal, time\n"
            "def test_it():\n"
            "    os.kill(os.getppid(), signal.SIGINT)  # the process that hands out the tests\n"
            "    time.sleep(2)",
            False,
            "KeyboardInterrupt",
        ),
        ("import os\ndef test_it(): os._exit(0)", False, "crashed"),
        ("", False, "no tests ran"),
    ],
    ids=["passed", "failed", "interrupted", "crashed", "empty"],
)
def test_ci_passes_only_if_pytest_ends_well(
    checkout: Path, source: str, is_passed: bool, words: str
) -> None:
    (checkout / "tests" / "test_it.py").write_text(source)
    outer = ("PYTEST_", "IMAGEHUB_", "MAKE", "MFLAGS", "ARGS")
    environ = {k: v for k, v in os.environ.items() if not k.startswith(outer)}
    environ |= {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_PLUGINS": "xdist.plugin"}
    environ["PATH"] = f"{checkout / 'programs'}:{environ['PATH']}"
    result = subprocess.run(
        [checkout / ".ci" / "run"],
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
        # A program that a shell starts in the background ignores Ctrl-C, and so would this one.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert words in result.stdout
    assert (result.returncode == 0) == is_passed, result.stdout


def test_a_chromium_that_never_closes_a_page_is_killed_and_started_again(
    chromium: Chromium,
) -> None:
    context = chromium.new_context()
    context.new_page()
    pids = [p for p in list_descendants(os.getpid()) if "/chromium" in read_command_line(p)]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    with pytest.raises(AssertionError, match="did not close a page"):
        chromium.close_context(context, within_seconds=1)
    again = chromium.new_context()
    again.new_page().set_content("<h1>Here again</h1>")
    chromium.close_context(again)


def test_a_served_answer_is_closed_if_the_browser_resets_the_connection() -> None:
    gone, closed = threading.Event(), threading.Event()

    class Answer:
        def __iter__(self) -> Iterator[bytes]:
            yield b"half"
            gone.wait(20)

        def close(self) -> None:
            closed.set()

    def app(_environ: object, start_response: Any) -> Answer:
        start_response("200 OK", [("Content-Length", "4")])
        return Answer()

    with serve(cast(Any, SimpleNamespace(app=app)), cast(Any, None)) as served:
        with socket.create_connection(("127.0.0.1", urlsplit(served.url).port or 0)) as browser:
            browser.sendall(b"GET / HTTP/1.1\r\nHost: hub\r\n\r\n")
            while not browser.recv(4096).endswith(b"half"):
                pass
            # It is reset when it is closed, and not ended.
            browser.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        gone.set()
        assert closed.wait(20)
