"""No log contains the part of an address after the question mark."""

import logging
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pymysql
import pytest

from imagehub.logs import DropQueries, drop_queries
from tests.support import get_free_port

SECRET = "hunter2-and-more"
StartProgram = Callable[..., "subprocess.Popen[str]"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('"GET /login/?username=a&password=b HTTP/1.1" 200 -', '"GET /login/ HTTP/1.1" 200 -'),
        ("GET /?a=b HTTP/1.1", "GET / HTTP/1.1"),
        ("GET /x HTTP/1.1", "GET /x HTTP/1.1"),
        ("Invalid request: /login/?password=b c d", "Invalid request: /login/"),
        ("/a?b HTTP/1&password=x HTTP/1.1", "/a HTTP/1.1"),
        (
            "Invalid request from ip=::1: Invalid HTTP Version: 'b'",
            "Invalid request from ip=::1: Invalid HTTP Version",
        ),
        ("first?secret\nsecond", "first\nsecond"),
    ],
)
def test_what_follows_a_question_mark_is_cut(text: str, expected: str) -> None:
    assert drop_queries(text) == expected


def test_the_filter_cuts_what_comes_in_as_arguments() -> None:
    record = logging.LogRecord(
        "werkzeug", 20, "", 0, '"%s" %s', ("GET /login/?password=x HTTP/1.1", 200), None
    )
    assert DropQueries().filter(record)
    assert record.getMessage() == '"GET /login/ HTTP/1.1" 200'


APP = """
def app(environ, start_response):
    start_response("302 FOUND", [("Location", "/?%s"), ("Content-Length", "0")])
    return [b""]
"""


def test_gunicorns_access_log_is_without_queries_and_headers(
    start_program: StartProgram, tmp_path: Path
) -> None:
    port = get_free_port()
    (tmp_path / "tiny.py").write_text(APP % SECRET)
    log = tmp_path / "log"
    every_atom = (
        '%(h)s %(r)s %(m)s %(U)s %(q)s %(f)s %(a)s "%({referer}i)s" "%({authorization}i)s" '
        '"%({location}o)s" "%({query_string}e)s" "%({raw_uri}e)s" "%({http_referer}e)s" '
        '"%({http_authorization}e)s"'
    )
    with log.open("w") as file:
        server = start_program(
            [
                sys.executable, "-m", "gunicorn", "tiny:app", "--chdir", str(tmp_path),
                "--bind", f"127.0.0.1:{port}", "--access-logfile", "-", "--log-level", "debug",
                "--logger-class", "imagehub.logs.GunicornLogger",
                "--access-logformat", every_atom,
            ],
            stdout=file, stderr=file,
        )  # fmt: skip
    _ask_raw(port, f"GET /login/?username=ada&password={SECRET} HTTP/1.1")
    _ask_raw(port, f"GET /login/?password={SECRET} unencoded {SECRET} HTTP/1.1")
    server.terminate()
    server.wait(60)
    text = log.read_text()
    assert "GET /login/ HTTP/1.1" in text, "the request was logged"
    assert "Invalid" in text, "the broken request was logged"
    assert SECRET not in text
    assert "ada" not in text


def _ask_raw(port: int, request_line: str) -> None:
    for _ in range(600):
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
                connection.sendall(
                    f"{request_line}\r\nHost: x\r\nReferer: http://x/?{SECRET}\r\n"
                    f"Authorization: Bearer {SECRET}\r\nConnection: close\r\n\r\n".encode()
                )
                while connection.recv(4096):
                    pass
            return
        except ConnectionRefusedError:
            time.sleep(0.1)
    pytest.fail("the server did not answer")


def test_flasks_own_server_logs_no_queries(start_program: StartProgram, tmp_path: Path) -> None:
    port = get_free_port()
    (tmp_path / "tiny.py").write_text(
        "import flask\nfrom imagehub.logs import init_logs\n"
        "init_logs()\napp = flask.Flask(__name__)\n"
    )
    log = tmp_path / "log"
    with log.open("w") as file:
        server = start_program(
            [sys.executable, "-m", "flask", "--app", "tiny", "run", "--port", str(port)],
            stdout=file, stderr=file, cwd=tmp_path,
        )  # fmt: skip
    _ask_raw(port, f"GET /login/?username=ada&password={SECRET} HTTP/1.1")
    _ask_raw(port, f"GET /login/?password={SECRET} unencoded {SECRET} HTTP/1.1")
    server.terminate()
    server.wait(60)
    text = log.read_text()
    assert "GET /login/ HTTP/1.1" in text
    assert SECRET not in text


def test_a_connection_that_breaks_on_its_way_back_is_one_line(
    caplog: pytest.LogCaptureFixture,
) -> None:
    logger = logging.getLogger("sqlalchemy.pool.impl.QueuePool")
    for error in (pymysql.err.OperationalError(2013, "Lost connection"), ValueError("other")):
        try:
            raise error
        except (pymysql.err.OperationalError, ValueError):
            logger.exception("Exception during reset or similar")
    lost, other = caplog.records
    assert lost.getMessage().startswith("A connection to the database was lost: (2013,")
    assert (lost.exc_info, lost.levelname) == (None, "WARNING")
    assert other.exc_info is not None and other.getMessage() == "Exception during reset or similar"
