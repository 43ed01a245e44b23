"""A connection of the web server: the request as it arrives, the response as it is taken."""

import errno
import select
import socket
from enum import Enum
from typing import Any

from gunicorn.http.body import ChunkedReader, LengthReader
from gunicorn.http.parser import RequestParser
from gunicorn.http.unreader import Unreader

from imagehub.web.limits import MAX_REQUEST_BYTES

MAX_HEAD_BYTES = 64 * 1024
RECEIVE_BYTES = 64 * 1024
# A thread waits for the client once this much of its response is unsent.
_MAX_UNSENT_BYTES = 512 * 1024
# Longest line of a chunk's size with extensions, and of a trailer field.
_MAX_LINE_BYTES = 8192


class Phase(Enum):
    """What a connection is doing. Its thread has it while it is WORKING, else the main loop."""

    IDLE = "waits for the first byte of a request"
    HEAD = "receives a head"
    BODY = "receives a body"
    WORKING = "is with a thread"
    SENDING = "sends the rest of a response"
    CLOSING = "drops what the client still sends"
    CLOSED = "is closed"


class Received(Unreader):  # type: ignore[misc]  # gunicorn has no types
    """The bytes that the main loop received, as gunicorn's parser reads them."""

    def chunk(self, size_hint: int | None = None) -> bytes:
        return b""

    def feed(self, data: bytes | bytearray) -> None:
        self.buf.seek(0, 2)
        self.buf.write(data)


class Parser(RequestParser):  # type: ignore[misc]
    """gunicorn's parser, on bytes received before; remembers a request without its body."""

    def __init__(self, cfg: Any, client: Any) -> None:
        super().__init__(cfg, (), client)
        self.unreader = Received()
        self.waiting: Any = None

    def __next__(self) -> Any:
        if self.waiting is not None:
            request, self.waiting = self.waiting, None
            return request
        return super().__next__()


class Outlet:
    """What gunicorn writes a response to instead of a socket.

    Sends without waiting and keeps the rest in ``unsent``. The head of the response is held back
    until its body comes, so that small responses are one packet.

    :param seconds: how long a thread waits for a client that takes nothing of a long response.
    """

    def __init__(self, sock: socket.socket, seconds: float) -> None:
        self.sock = sock
        self.seconds = seconds
        self.unsent = bytearray()
        self.is_beginning = True

    def sendall(self, data: bytes) -> None:
        """:raise BrokenPipeError: the client takes nothing of a long response."""
        self.unsent += data
        if self.is_beginning:
            self.is_beginning = False
            return
        self.flush()
        while len(self.unsent) > _MAX_UNSENT_BYTES:
            poll = select.poll()
            poll.register(self.sock, select.POLLOUT)
            if not poll.poll(self.seconds * 1000):
                raise BrokenPipeError(errno.EPIPE, "the client does not read the response")
            self.flush()

    def send(self, data: bytes) -> int:
        """Send an interim response at once."""
        self.unsent += data
        self.flush()
        return len(data)

    def flush(self) -> None:
        """Send what can be sent without waiting."""
        while self.unsent:
            try:
                sent = self.sock.send(self.unsent)
            except BlockingIOError:
                return
            del self.unsent[:sent]

    # gunicorn calls the following too. The socket never blocks, and the main loop closes it, after
    # it has sent what is unsent.

    def gettimeout(self) -> float:
        return 0.0

    def setblocking(self, _is_blocking: object) -> None:
        pass

    def settimeout(self, _seconds: float) -> None:
        pass

    def shutdown(self, _how: int) -> None:
        pass

    def recv(self, _size: int) -> bytes:
        return b""

    def close(self) -> None:
        pass


class Connection:
    """A connection with a client. Has the attributes that ``ThreadWorker.handle`` expects."""

    # For gunicorn: the main loop has received data, and there is nothing to set up in the thread.
    data_ready = initialized = True
    is_http2 = False

    def __init__(self, cfg: Any, raw: socket.socket, client: Any, server: Any, key: str) -> None:
        self.raw = raw
        self.client = client
        self.server = server
        # The address that it counts for, "" for none.
        self.key = key
        self.parser = Parser(cfg, client)
        self.sock = Outlet(raw, 60.0)
        self.phase = Phase.IDLE
        self.since = self.deadline = 0.0
        self.head = bytearray()
        self.scanned = 0
        # Of the body: bytes that came, bytes that count as held, and how to tell that it is there.
        self.body_bytes = 0
        self.held_bytes = 0
        self.missing_bytes = 0
        self.chunks: ChunkScanner | None = None
        self.is_resumed = False
        self.is_kept = False
        # Events that the loop watches its socket for.
        self.watched = 0

    def init(self) -> None:
        """Do nothing; gunicorn's own connections set up TLS here."""

    def take_head(self, data: bytes) -> bool:
        """Add received bytes; tell whether the head is complete."""
        self.head += data
        end = self.head.find(b"\r\n\r\n", max(0, self.scanned - 3))
        self.scanned = len(self.head)
        if end < 0:
            return False
        self.parser.unreader.feed(self.head)
        self.head = bytearray()
        self.scanned = 0
        return True

    def take_body(self, data: bytes) -> bool:
        """Add received bytes; tell whether the body is complete or too long."""
        self.parser.unreader.feed(data)
        self.body_bytes += len(data)
        self.missing_bytes -= len(data)
        if self.chunks is not None:
            self.chunks.feed(data)
        return self.has_whole_body() or self.is_too_long()

    def has_whole_body(self) -> bool:
        return self.missing_bytes <= 0 if self.chunks is None else self.chunks.is_complete

    def is_too_long(self) -> bool:
        return self.body_bytes > MAX_REQUEST_BYTES + RECEIVE_BYTES

    def expect_body(self, request: Any) -> bool:
        """Prepare to receive the body of a parsed request; return whether any of it is missing.

        A body that is too long is not waited for: the application refuses it by its length.
        """
        buffered = self.parser.unreader.buf.getvalue()
        reader = request.body.reader
        self.chunks, self.body_bytes, self.missing_bytes = None, len(buffered), 0
        if isinstance(reader, LengthReader):
            if reader.length > MAX_REQUEST_BYTES:
                request.force_close()
                request._expected_100_continue = False
                return False
            self.missing_bytes = reader.length - len(buffered)
        elif isinstance(reader, ChunkedReader):
            self.chunks = ChunkScanner()
            self.chunks.feed(buffered)
        return not self.has_whole_body()


class ChunkScanner:
    """Finds the end of a chunked body while it arrives. Source: RFC 9112, section 7.1.

    It validates nothing: a malformed body counts as complete, and the parser, which reads the same
    bytes afterwards, refuses it.
    """

    def __init__(self) -> None:
        self.is_complete = False
        self._line = bytearray()
        # Bytes of the current chunk that are still to come, with the CRLF at its end.
        self._left = 0
        self._is_trailer = False

    def feed(self, data: bytes) -> None:
        """Look at the bytes that follow those of the last call."""
        at = 0
        while at < len(data) and not self.is_complete:
            if self._left:
                step = min(self._left, len(data) - at)
                self._left -= step
                at += step
                continue
            end = data.find(b"\n", at)
            piece = data[at:] if end < 0 else data[at : end + 1]
            self._line += piece
            at += len(piece)
            if len(self._line) > _MAX_LINE_BYTES:
                self.is_complete = True
            elif end >= 0:
                self._end_line(bytes(self._line).rstrip(b"\r\n"))
                self._line = bytearray()

    def _end_line(self, line: bytes) -> None:
        if self._is_trailer:
            self.is_complete = not line
            return
        try:
            size = int(line.partition(b";")[0].strip(), 16)
        except ValueError:
            size = -1
        if size > 0:
            self._left = size + 2
        elif size == 0:
            self._is_trailer = True
        else:
            self.is_complete = True
