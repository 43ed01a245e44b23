"""Slow clients of the web server occupy no thread, and whatever they do has an end."""

import re
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import pytest
import requests

from imagehub.config import load_settings
from imagehub.runtime.serve import make_gunicorn_command
from imagehub.runtime.web_connection import ChunkScanner
from imagehub.runtime.web_worker import get_address_key
from tests.fixtures.programs import Command, choose_ports, make_environment, wait_until
from tests.support import get_free_port

HEAD = b"POST /echo HTTP/1.1\r\nHost: x\r\n"
HALF_HEAD = b"GET /health HTTP/1.1\r\nHost: x\r\nX-Slow: "
HALF_BODY = HEAD + b"Content-Type: text/plain\r\nContent-Length: 1000\r\n\r\nabc"
# Longer than what the system takes at once for a client that reads nothing.
LARGE_BYTES = 30_000_000

# Answers with what it received; or with a large body, in one piece or in many.
APP = f"""
import imagehub.runtime.web_worker as own

class QuickWorker(own.BufferingWorker):
    head_seconds, body_seconds, send_seconds, stall_seconds = SECONDS

def app(environ, start_response):
    path = environ["PATH_INFO"]
    length = int(environ.get("CONTENT_LENGTH") or 0)
    if length > 4 * 1024 * 1024:
        start_response("413 Too Large", [("Content-Length", "0")])
        return [b""]
    body = environ["wsgi.input"].read(*([1 << 23] if path == "/echo" else [0]))
    if path == "/large":
        start_response("200 OK", [("Content-Length", "{LARGE_BYTES}")])
        return [b"x" * {LARGE_BYTES}]
    if path == "/many":
        start_response("200 OK", [])
        return (b"x" * 100_000 for _ in range({LARGE_BYTES // 100_000}))
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""
LONG = (60, 60, 60, 60)
# Connections from one address.
LIMIT = 24


class Server:
    """A gunicorn with one process and two threads, on the small application or the hub."""

    def __init__(self, port: int, process: "subprocess.Popen[str]", log: Path) -> None:
        self.port = port
        self.process = process
        self.log = log

    def connect(self, *pieces: bytes, source: str = "127.0.0.1") -> socket.socket:
        connection = socket.create_connection(
            ("127.0.0.1", self.port), timeout=60, source_address=(source, 0)
        )
        for piece in pieces:
            connection.sendall(piece)
        return connection

    def ask(self, *pieces: bytes) -> bytes:
        """Send the pieces of a request that ends the connection; return all that comes back."""
        with self.connect(*pieces) as connection:
            return read_all(connection)


def read_all(connection: socket.socket) -> bytes:
    """Read until the server closes the connection."""
    received = bytearray()
    try:
        while data := connection.recv(65536):
            received += data
    except ConnectionResetError:
        pass
    return bytes(received)


def is_open(connection: socket.socket) -> bool:
    """Tell whether the server has neither closed the connection nor sent anything."""
    connection.setblocking(False)
    try:
        connection.recv(1)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        connection.settimeout(60)
    return False


StartGunicorn = Callable[..., AbstractContextManager[Server]]


@contextmanager
def run_server(
    folder: Path, seconds: tuple[float, ...] = LONG, **variables: str
) -> Iterator[Server]:
    port = get_free_port()
    (folder / "tiny.py").write_text(APP.replace("SECONDS", repr(seconds)))
    variables = {"IMAGEHUB_WEB_WORKERS": "1", "IMAGEHUB_WEB_THREADS": "2"} | variables
    settings = load_settings({"IMAGEHUB_DATA_DIR": str(folder / "data"), **variables}, None)
    command = make_gunicorn_command(settings, "127.0.0.1", port)
    command = [word.replace("imagehub:create_app()", "tiny:app") for word in command]
    command = [re.sub(r"(--worker-class)=.*", r"\1=tiny.QuickWorker", word) for word in command]
    log = folder / "log"
    environment = make_environment(**settings.to_environment())
    environment["PYTHONPATH"] += f":{folder}"
    with log.open("w") as output:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=output, stderr=output, text=True
        )
    server = Server(port, process, log)

    def answers() -> bool:
        assert process.poll() is None, log.read_text()
        try:
            return server.ask(b"GET / HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.")
        except OSError:
            return False

    try:
        wait_until(answers, 240)
        yield server
    finally:
        process.terminate()
        process.wait(60)
    assert "Traceback" not in log.read_text(), log.read_text()


@pytest.fixture(scope="module")
def start_gunicorn() -> StartGunicorn:
    """Return ``run_server``; its name gives tests their mark."""
    return run_server


@pytest.fixture(scope="module")
def server(
    start_gunicorn: StartGunicorn, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    with start_gunicorn(
        tmp_path_factory.mktemp("server"), IMAGEHUB_CONNECTIONS_PER_ADDRESS=str(LIMIT)
    ) as running:
        yield running


# --- Slow clients ---------------------------------------------------------------------------------


def test_the_hub_answers_while_two_hundred_clients_send_half_a_request(
    start_command: Callable[..., Command], tmp_path: Path
) -> None:
    port = get_free_port()
    hub = start_command(
        tmp_path, "web", "--port", str(port), IMAGEHUB_CONNECTIONS_PER_ADDRESS="0", **choose_ports()
    )
    address = ("127.0.0.1", port)
    form = b"POST /sign-in HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nname="

    def answers() -> bool:
        try:
            return requests.get(f"http://127.0.0.1:{port}/health", timeout=30).status_code == 200
        except requests.ConnectionError:
            return False

    try:
        wait_until(answers, 240)
        with ExitStack() as stack:
            slow = []
            for _ in range(100):
                for beginning in (HALF_HEAD, form):
                    one = stack.enter_context(socket.create_connection(address, timeout=60))
                    one.sendall(beginning)
                    slow.append(one)
            # Each process has eight threads; every request below is on a connection of its own.
            for _ in range(10):
                assert answers()
            bodies = [one for one in slow[1::2] if is_open(one)]
            assert len(bodies) == 100, "they would occupy all threads"
    finally:
        hub.end()


@pytest.mark.parametrize("path", [b"/large", b"/echo"])
def test_a_client_that_does_not_read_its_response_occupies_no_thread(
    server: Server, path: bytes
) -> None:
    """The first response is larger than what is buffered, so its thread does wait."""
    size = 300_000 if path == b"/echo" else 0
    request = b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (path, size)
    count = 1 if path == b"/large" else 20
    with ExitStack() as stack:
        for _ in range(count):
            one = stack.enter_context(socket.socket())
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            one.connect(("127.0.0.1", server.port))
            one.sendall(request + b"x" * size)
        assert server.ask(b"GET / HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.0 200")


def test_a_response_that_a_client_takes_slowly_arrives_whole(server: Server) -> None:
    for path in (b"/large", b"/many"):
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            client.settimeout(60)
            client.connect(("127.0.0.1", server.port))
            client.sendall(b"GET %s HTTP/1.0\r\n\r\n" % path)
            body = read_all(client).partition(b"\r\n\r\n")[2]
        assert len(body) == LARGE_BYTES


@pytest.fixture(scope="module")
def quick(
    start_gunicorn: StartGunicorn, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    with start_gunicorn(tmp_path_factory.mktemp("quick"), (1, 1, 1, 1)) as running:
        yield running


@pytest.mark.parametrize("beginning", [HALF_HEAD, HALF_BODY])
def test_sending_a_byte_now_and_then_does_not_move_the_deadline(
    quick: Server, beginning: bytes
) -> None:
    with quick.connect(beginning) as client:
        client.settimeout(0.1)
        received = b""
        for _ in range(600):
            try:
                client.sendall(b"a")
                received = client.recv(4096)
                break
            except TimeoutError:
                continue
        assert received.startswith(b"HTTP/1.1 408 ")
        assert b"Connection: close" in received
        client.settimeout(60)
        assert read_all(client) == b""


def test_a_connection_on_which_nothing_is_sent_is_closed_without_a_word(quick: Server) -> None:
    with quick.connect() as client:
        assert read_all(client) == b""


def test_a_response_that_nobody_takes_is_given_up(quick: Server) -> None:
    for path in (b"/large", b"/many"):
        with quick.connect(b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % path) as client:
            assert client.recv(1, socket.MSG_PEEK), "the response has begun"
            # The server's end is gone: the rest of the response never comes.
            wait_until(lambda client=client: not has_peer(client, quick))
            assert len(read_all(client)) < LARGE_BYTES


def has_peer(client: socket.socket, server: Server) -> bool:
    """Tell whether the server still has the other end of the connection (/proc/net/tcp, Linux)."""
    mine = f"{client.getsockname()[1]:04X}"
    theirs = f"{server.port:04X}"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    ends = [row for row in rows if row[1].endswith(":" + theirs) and row[2].endswith(":" + mine)]
    return any(row[9] != "0" for row in ends)


# --- The number of connections --------------------------------------------------------------------


def test_for_one_connection_too_many_the_one_that_waits_longest_is_closed(server: Server) -> None:
    with ExitStack() as stack:

        def connect(beginning: bytes = b"", source: str = "127.0.0.9") -> socket.socket:
            return stack.enter_context(server.connect(beginning, source=source))

        slow = [connect(beginning) for beginning in (HALF_HEAD, HALF_BODY) * (LIMIT // 2)]
        other = connect(HALF_HEAD, "127.0.0.10")
        # A connection that has had its answer goes before those that wait for one.
        idle = connect(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert idle.recv(4096).startswith(b"HTTP/1.1 200")
        assert read_all(slow[0]) == b"", "the oldest was closed for the one over the limit"
        assert read_all(connect(b"GET / HTTP/1.0\r\n\r\n")).startswith(b"HTTP/1.0 200")
        assert read_all(idle) == b""
        assert all(map(is_open, [*slow[1:], other]))


def test_all_connections_together_are_limited_too(server: Server) -> None:
    with ExitStack() as stack:
        slow = [
            stack.enter_context(server.connect(HALF_BODY, source=f"127.0.1.{number % 30 + 1}"))
            for number in range(600)
        ]
        assert server.ask(b"GET / HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.0 200")
        assert sum(map(is_open, slow)) == 510, "with the one that asked, 511"


def test_behind_a_proxy_its_address_is_not_limited_and_the_server_stops_though_clients_are_slow(
    start_gunicorn: StartGunicorn, tmp_path: Path
) -> None:
    variables = {"IMAGEHUB_CONNECTIONS_PER_ADDRESS": "2", "IMAGEHUB_PROXY_COUNT": "1"}
    with start_gunicorn(tmp_path, **variables) as running, ExitStack() as stack:
        slow = [
            stack.enter_context(running.connect(beginning))
            for beginning in (HALF_HEAD, HALF_BODY) * 10
        ]
        assert running.ask(b"GET / HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.0 200")
        assert all(map(is_open, slow))
        running.process.terminate()
        assert running.process.wait(60) == 0


@pytest.mark.parametrize(
    ("client", "key"),
    [
        (("192.0.2.7", 5), "192.0.2.7"),
        (("::ffff:192.0.2.7", 5, 0, 0), "192.0.2.7"),
        (("2001:db8:1:2:3:4:5:6", 5, 0, 0), "2001:db8:1:2::/64"),
        (("fe80::1%eth0", 5, 0, 2), "fe80::/64"),
        ("", ""),
    ],
)
def test_addresses_of_one_subscriber_count_together(client: object, key: str) -> None:
    assert get_address_key(client) == key


# --- Requests of every form -----------------------------------------------------------------------


def parse(answer: bytes) -> tuple[bytes, bytes]:
    head, _, body = answer.partition(b"\r\n\r\n")
    return head.split(b"\r\n")[0], body


CLOSE = b"Connection: close\r\n"


def test_a_request_arrives_whole_however_it_is_cut(server: Server) -> None:
    body = b"".join(b"%d," % number for number in range(2000))
    request = HEAD + CLOSE + b"Content-Length: %d\r\n\r\n" % len(body) + body
    for at in (1, len(HEAD) - 1, request.index(b"\r\n\r\n") + 2, request.index(body), -1):
        assert parse(server.ask(request[:at], request[at:])) == (b"HTTP/1.1 200 OK", body)
    with server.connect() as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(0, 200):
            client.sendall(request[at : at + 1])
        client.sendall(request[200:])
        assert parse(read_all(client)) == (b"HTTP/1.1 200 OK", body)


def test_a_body_up_to_the_limit_arrives(server: Server) -> None:
    body = b"x" * (4 * 1024 * 1024)
    request = HEAD + CLOSE + b"Content-Length: %d\r\n\r\n" % len(body)
    status, echoed = parse(server.ask(request, body))
    assert status == b"HTTP/1.1 200 OK"
    assert echoed == body


def test_a_body_over_the_limit_is_refused_before_it_is_sent(server: Server) -> None:
    request = HEAD + b"Content-Length: 4194305\r\nExpect: 100-continue\r\n\r\n"
    assert parse(server.ask(request)) == (b"HTTP/1.1 413 Too Large", b"")


def test_chunked_bodies_arrive(server: Server) -> None:
    request = HEAD + CLOSE + b"Transfer-Encoding: chunked\r\n\r\n"
    chunks = b"5;a=b\r\nhello\r\n" + b"3e8\r\n" + b"y" * 1000 + b"\r\n"
    for end in (b"0\r\n\r\n", b"000\r\nX-Trailer: a\r\n\r\n"):
        for at in (0, 3, 9, 18, 25, 500, len(chunks + end) - 1):
            pieces = (chunks + end)[:at], (chunks + end)[at:]
            answer = server.ask(request + pieces[0], pieces[1])
            assert parse(answer) == (b"HTTP/1.1 200 OK", b"hello" + b"y" * 1000)


def test_malformed_chunks_are_refused_at_once(server: Server) -> None:
    request = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
    for body in (b"xyz\r\n", b"5\r\nhelloworld\r\n0\r\n\r\n", b"5" + b";" * 9000):
        assert parse(server.ask(request + body))[0].startswith((b"HTTP/1.1 400", b"HTTP/1.1 500"))


def test_a_client_that_waits_to_be_asked_for_its_body_is_asked_once(server: Server) -> None:
    with server.connect(
        HEAD + CLOSE + b"Content-Length: 5\r\nExpect: 100-continue\r\n\r\n"
    ) as client:
        interim = client.recv(4096)
        assert interim == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(b"hello")
        assert parse(read_all(client)) == (b"HTTP/1.1 200 OK", b"hello")


def test_a_connection_takes_one_request_after_the_other_and_several_at_once(
    server: Server,
) -> None:
    one = HEAD + b"Content-Length: 3\r\n\r\n"
    with server.connect(one + b"abc") as client:
        assert client.recv(4096).endswith(b"\r\n\r\nabc")
        client.sendall(one + b"def" + one + b"gh")
        client.sendall(b"i" + HEAD + CLOSE + b"Content-Length: 0\r\n\r\n")
        answers = read_all(client)
    assert answers.count(b"HTTP/1.1 200 OK") == 3
    assert re.findall(rb"\r\n\r\n([a-z]{3})", answers) == [b"def", b"ghi"]


def test_a_head_that_never_ends_is_refused(server: Server) -> None:
    endless = b"GET / HTTP/1.1\r\n" + b"X: %s\r\n" % (b"y" * 70_000)
    assert server.ask(endless).startswith(b"HTTP/1.1 431 ")


def test_what_is_no_request_is_refused(server: Server) -> None:
    assert server.ask(b"nonsense\r\n\r\n").startswith(b"HTTP/1.1 400 ")
    both = HEAD + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    assert server.ask(both).startswith(b"HTTP/1.1 400 ")


# --- The end of chunked bodies --------------------------------------------------------------------


@pytest.mark.parametrize("step", [1, 2, 7, 1000])
def test_the_end_of_chunks_is_found_wherever_they_are_cut(step: int) -> None:
    body = b'4;name="a"\r\nWiki\r\nA\r\n0\r\n\r\n01234\r\n0\r\nExpires: 1\r\n\r\n'
    scanner = ChunkScanner()
    for at in range(0, len(body), step):
        assert not scanner.is_complete, at
        scanner.feed(body[at : at + step])
    assert scanner.is_complete
