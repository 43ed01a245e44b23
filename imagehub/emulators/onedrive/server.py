"""The emulator's HTTP server, with one thread per connection.

It uses the standard library's server rather than WSGI, because a WSGI application cannot drop a
connection in the middle of a body or close it without a response.
"""

import json
import os
import re
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from time import monotonic, sleep
from typing import Any, BinaryIO, cast
from urllib.parse import parse_qsl

_CHUNK_BYTES = 1 << 18
_DRAIN_LIMIT_BYTES = 64 << 20
_JSON_LIMIT_BYTES = 4 << 20
_IDLE_SECONDS = 120.0


class Refusal(Exception):
    """An error response of the service, in Graph's format.

    :param inner: the more specific code in ``innerError``, if there is one.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        inner: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.inner = inner
        self.headers = dict(headers or {})


class ConnectionDropped(Exception):
    """Close the connection without an answer."""


@dataclass
class Request:
    """One request; ``path`` is still percent-encoded, header names are lower case."""

    method: str
    path: str
    query_string: str
    headers: Mapping[str, str]
    base_url: str
    body_stream: BinaryIO
    body_left: int = 0
    notes: dict[str, Any] = field(default_factory=dict)
    _query: dict[str, str] | None = None

    @property
    def query(self) -> dict[str, str]:
        """Return the decoded query; for a repeated name, the last value."""
        if self._query is None:
            self._query = _parse(self.query_string)
        return self._query

    def read_body(self, limit_bytes: int = _JSON_LIMIT_BYTES) -> bytes:
        """Return the whole body.

        :raise Refusal: 413, the body is larger than the limit.
        """
        if self.body_left > limit_bytes:
            raise Refusal(413, "invalidRequest", "The request body is too large.")
        body = self.body_stream.read(self.body_left)
        if len(body) < self.body_left:
            raise ConnectionDropped
        self.body_left = 0
        return body

    def read_json(self) -> dict[str, Any]:
        """Parse the body.

        :raise Refusal: 400, the body is not a JSON object.
        """
        body = self.read_body()
        if not body:
            return {}
        try:
            document = json.loads(body)
        except (ValueError, RecursionError):
            raise Refusal(400, "invalidRequest", "The request body is not valid JSON.") from None
        if not isinstance(document, dict):
            raise Refusal(400, "invalidRequest", "The request body must be a JSON object.")
        return document

    def read_form(self) -> dict[str, str]:
        return _parse(self.read_body().decode("utf-8", "replace"))

    def copy_body_to(self, target: BinaryIO) -> int:
        """Write the whole body to a file.

        :return: the number of bytes.
        :raise ConnectionDropped: the sender disconnected before the end.
        """
        copied = 0
        while self.body_left:
            chunk = self.body_stream.read(min(_CHUNK_BYTES, self.body_left))
            if not chunk:
                raise ConnectionDropped
            target.write(chunk)
            copied += len(chunk)
            self.body_left -= len(chunk)
        return copied

    def drain(self) -> bool:
        """Discard the rest of the body so that the sender reads the response.

        :return: False if there is too much to read.
        """
        if self.body_left > _DRAIN_LIMIT_BYTES:
            return False
        try:
            self.copy_body_to(_Discard())
        except ConnectionDropped:
            return False
        return True


def _parse(text: str) -> dict[str, str]:
    """Parse a query or a form.

    :raise Refusal: 400, there are too many fields.
    """
    try:
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=200))
    except ValueError:
        raise Refusal(400, "invalidRequest", "There are too many fields.") from None


class _Discard(BytesIO):
    def write(self, data: Any) -> int:
        return len(data)


@dataclass(frozen=True)
class FileBody:
    """A response body read from part of a file.

    :param send_bytes: drop the connection after this many bytes, fewer than Content-Length.
    :param corrupt_at: position in the file of a byte to send changed.
    :param bytes_per_second: limit of the rate, to emulate a slow connection.
    """

    path: Path
    start: int
    length: int
    send_bytes: int | None = None
    corrupt_at: int | None = None
    bytes_per_second: int | None = None


@dataclass
class Response:
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | FileBody = b""


def answer_json(
    document: Any, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    body = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
    return Response(status, {"Content-Type": "application/json", **(headers or {})}, body)


def answer_redirect(location: str, status: int = 302) -> Response:
    return Response(status, {"Location": location})


def answer_html(html: str, status: int = 200) -> Response:
    headers = {"Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-store"}
    return Response(status, headers, html.encode())


_RANGE = re.compile(r"bytes=(\d*)-(\d*)$")


def answer_file(
    path: Path, request: Request, headers: Mapping[str, str], body: FileBody | None = None
) -> Response:
    """Answer with a file, or with the requested range (206 with Content-Range).

    Malformed and multiple ranges are ignored, as RFC 9110 (14.2) allows.

    :raise Refusal: 416, the range starts past the end.
    :raise OSError: the file does not exist any more.
    """
    size = path.stat().st_size
    full = {"Accept-Ranges": "bytes", **headers}
    start, stop, status = 0, size, 200
    match = _RANGE.match(request.headers.get("range", ""))
    if match and (match[1] or match[2]):
        if match[1]:
            start = int(match[1])
            stop = min(int(match[2]) + 1, size) if match[2] else size
        else:
            start = max(size - int(match[2]), 0)
        if start >= size or (not match[1] and int(match[2]) == 0):
            raise Refusal(
                416,
                "invalidRange",
                "The range is outside the file.",
                headers={"Content-Range": f"bytes */{size}"},
            )
        if start < stop:
            status = 206
            full["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
        else:
            start, stop = 0, size
    body = body or FileBody(path, 0, 0)
    part = FileBody(
        path, start, stop - start, body.send_bytes, body.corrupt_at, body.bytes_per_second
    )
    return Response(status, full, part)


class Server(ThreadingHTTPServer):
    """The HTTP server.

    :param answer: makes the response; may raise only :class:`ConnectionDropped`.
    :param finish: called after each request with the response, or None if there was none.
    """

    daemon_threads = True
    block_on_close = False
    request_queue_size = 256
    allow_reuse_address = True

    def __init__(
        self,
        address: tuple[str, int],
        answer: Callable[[Request], Response],
        finish: Callable[[Request, Response | None, float], None],
        public_url: str = "",
    ) -> None:
        self.answer = answer
        self.finish = finish
        self.public_url = public_url.rstrip("/")
        self._busy = 0
        self._busy_lock = threading.Lock()
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        # The base class looks up the host's full name here, which may wait for DNS.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]

    def enter(self) -> None:
        with self._busy_lock:
            self._busy += 1

    def leave(self) -> None:
        with self._busy_lock:
            self._busy -= 1

    def wait_until_idle(self, at_most_seconds: float) -> None:
        """Wait for running requests to finish before the program ends."""
        end = monotonic() + at_most_seconds
        while self._busy and monotonic() < end:
            sleep(0.02)

    def handle_error(self, request: Any, client_address: Any) -> None:
        # Clients that disconnect are not worth reporting.
        if not isinstance(sys.exc_info()[1], OSError | ConnectionDropped):
            traceback.print_exc()


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    timeout = _IDLE_SECONDS
    disable_nagle_algorithm = True
    rbufsize = 1 << 16

    def _handle(self) -> None:
        self.server.enter()
        try:
            self._answer()
        finally:
            self.server.leave()

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _handle

    def _answer(self) -> None:
        started = monotonic()
        path, _, query_string = self.path.partition("?")
        if path.startswith(("http://", "https://")):
            path = "/" + path.split("/", 3)[3] if path.count("/") > 2 else "/"
        headers = {name.lower(): value for name, value in self.headers.items()}
        host = headers.get("host") or f"{self.server.server_name}:{self.server.server_port}"
        request = Request(
            self.command,
            path,
            query_string,
            headers,
            self.server.public_url or f"http://{host}",
            cast(BinaryIO, self.rfile),
        )
        response: Response | None = None
        is_noted = False
        try:
            response = self._make_response(request)
            if not isinstance(response.body, FileBody):
                # Logged before it is sent, so that it is in the log when the client has the answer.
                is_noted = True
                self.server.finish(request, response, monotonic() - started)
            self._send(request, response)
        except ConnectionDropped:
            response = None
            self._hang_up()
        finally:
            if not is_noted:
                self.server.finish(request, response, monotonic() - started)

    def _make_response(self, request: Request) -> Response:
        length = request.headers.get("content-length", "0")
        if "transfer-encoding" in request.headers:
            self.close_connection = True
            return answer_json(
                {"error": {"code": "invalidRequest", "message": "Content-Length is required."}}, 411
            )
        if not length.isdecimal():
            self.close_connection = True
            return answer_json(
                {"error": {"code": "invalidRequest", "message": "Bad Content-Length."}}, 400
            )
        request.body_left = int(length)
        response = self.server.answer(request)
        if request.body_left and not request.drain():
            self.close_connection = True
        return response

    def _send(self, request: Request, response: Response) -> None:
        body = response.body
        length = body.length if isinstance(body, FileBody) else len(body)
        try:
            phrase = HTTPStatus(response.status).phrase
        except ValueError:
            phrase = "Bandwidth Limit Exceeded" if response.status == 509 else "Unknown"
        lines = [f"HTTP/1.1 {response.status} {phrase}", f"Date: {self.date_time_string()}"]
        # A value from the request may be echoed in a header and must not start a new one.
        lines += [
            f"{name}: {value}".replace("\r", "").replace("\n", "")
            for name, value in response.headers.items()
        ]
        if response.status not in (204, 304):
            lines.append(f"Content-Length: {length}")
        if self.close_connection:
            lines.append("Connection: close")
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")
        if request.method == "HEAD" or response.status in (204, 304):
            self.connection.sendall(head)
        elif isinstance(body, FileBody):
            with body.path.open("rb") as stream:
                self.connection.sendall(head)
                self._send_file(stream, body)
        else:
            self.connection.sendall(head + body)

    def _send_file(self, stream: BinaryIO, body: FileBody) -> None:
        count = body.length if body.send_bytes is None else min(body.length, body.send_bytes)
        if count and body.corrupt_at is None and body.bytes_per_second is None:
            count_sent = self.connection.sendfile(stream, body.start, count)
        else:
            count_sent = self._send_file_badly(stream, body, count)
        if count_sent < body.length:
            raise ConnectionDropped

    def _send_file_badly(self, stream: BinaryIO, body: FileBody, count: int) -> int:
        stream.seek(body.start)
        sent = 0
        step = _CHUNK_BYTES
        if body.bytes_per_second:
            step = max(1, min(step, body.bytes_per_second // 10))
        while sent < count:
            chunk = bytearray(stream.read(min(step, count - sent)))
            if not chunk:
                break
            if body.corrupt_at is not None:
                place = body.corrupt_at - body.start - sent
                if 0 <= place < len(chunk):
                    chunk[place] ^= 0xFF
            if body.bytes_per_second:
                sleep(len(chunk) / body.bytes_per_second)
            self.connection.sendall(chunk)
            sent += len(chunk)
        return sent

    def _hang_up(self) -> None:
        self.close_connection = True
        try:
            self.connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            return

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing: requests are in the log of the control address."""


def is_writable_folder(path: Path) -> bool:
    return path.is_dir() and os.access(path, os.R_OK | os.W_OK | os.X_OK)
