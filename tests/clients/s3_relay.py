"""A relay in front of an S3 server that misbehaves like other servers, proxies and networks."""

import http.client
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Seen:
    """One received request; header names are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Answer:
    """A response instead of the server's; ``cut_after`` drops the connection there."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    cut_after: int | None = None


def refuse(code: str, status: int = 400, **headers: str) -> Answer:
    """Return an error in S3's format."""
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>No.</Message></Error>"
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, body.encode(), {"Content-Type": "application/xml", **named})


class Relay:
    """Forwards requests, including Host, unless ``decide`` answers or changes them."""

    def __init__(self, server_url: str) -> None:
        self.server = urlsplit(server_url).netloc
        self.seen: list[Seen] = []
        self.decide: Callable[[Seen], Answer | Seen | None] = lambda request: None
        self.url = ""

    def answer(self, request: Seen) -> Answer:
        self.seen.append(request)
        decision = self.decide(request)
        if isinstance(decision, Answer):
            return decision
        return self.forward(decision or request)

    def forward(self, request: Seen) -> Answer:
        """Forward a request to the server."""
        connection = http.client.HTTPConnection(self.server, timeout=20)
        try:
            connection.putrequest(
                request.method, request.path, skip_host=True, skip_accept_encoding=True
            )
            for name, value in request.headers.items():
                if name != "connection":
                    connection.putheader(name, value)
            connection.endheaders(request.body)
            answer = connection.getresponse()
            body = answer.read()
            headers = {
                name: value
                for name, value in answer.getheaders()
                if name.lower() not in ("content-length", "connection", "transfer-encoding")
            }
            if request.method == "HEAD":
                headers["Content-Length"] = answer.getheader("Content-Length", "0")
            return Answer(answer.status, body, headers)
        finally:
            connection.close()


@contextmanager
def run_relay(server_url: str) -> Iterator[Relay]:
    """Run a relay on a free port until the end of the block."""
    relay = Relay(server_url)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            answer = relay.answer(Seen(self.command, self.path, headers, body))
            self.send_response_only(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            if not any(name.lower() == "content-length" for name in answer.headers):
                self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body[: answer.cut_after])
            if answer.cut_after is not None:
                self.close_connection = True

        do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = handle_any

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        relay.url = f"http://127.0.0.1:{server.server_port}"
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield relay
        finally:
            server.shutdown()
            thread.join()
