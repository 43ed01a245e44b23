"""A gunicorn worker in which slow clients occupy no thread.

gunicorn's threads read a request and send its response themselves, so a client that sends half a
request, or does not read the response, occupies one for as long as it likes. Here the main loop
receives each request completely before a thread gets it, and sends what the client does not take at
once after the thread is done. Head, body and response have total deadlines, and the number of open
connections is limited, in all and for each address: the one that waits longest makes room.

Extends ``gunicorn.workers.gthread`` of gunicorn 27. Source: RFC 9112 (HTTP/1.1).
"""

import errno
import ipaddress
import selectors
import socket
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from contextlib import suppress
from functools import lru_cache, partial
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

from imagehub.config import load_settings
from imagehub.runtime.web_connection import MAX_HEAD_BYTES, RECEIVE_BYTES, Connection, Phase

# Bodies that are held in memory, all connections of a process together.
_MAX_BODIES_BYTES = 64 * 1024 * 1024
# After the response, what the client still sends is read and dropped for this long, because closing
# with unread data resets the connection and can destroy the response (RFC 9112, section 9.6).
_LINGER_SECONDS = 2.0
_SWEEP_SECONDS = 0.5
_NO_MORE_FILES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
# Returned by a thread that parsed a head whose body has not arrived yet.
_BODY_MISSING = object()
# Which connection makes room for another: by phase in this order, the oldest first.
_EVICTION_ORDER = (Phase.CLOSING, Phase.IDLE, Phase.HEAD, Phase.BODY, Phase.SENDING)


def get_address_key(client: Any) -> str:
    """Return what connections are counted by: an IPv4 address, or the /64 network of an IPv6 one.

    A subscriber has a whole such network. "" for a Unix socket.
    """
    return _find_network(client[0]) if isinstance(client, tuple) else ""


@lru_cache(maxsize=4096)
def _find_network(text: str) -> str:
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)


class BufferingWorker(ThreadWorker):  # type: ignore[misc]
    """The worker class of the hub's web server, without TLS and HTTP/2, which proxies speak."""

    # Total time for a head from its first byte (or the connection), for a body, for the part of a
    # response that the client did not take at once, and until a client takes any of a long one.
    head_seconds = 10.0
    body_seconds = 60.0
    send_seconds = 120.0
    stall_seconds = 60.0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Open connections by address, in the order of their opening.
        self.connections: dict[str, dict[Connection, None]] = {}
        self.bodies_bytes = 0
        self.next_sweep = 0.0
        settings = load_settings()
        # Behind a proxy all connections come from its address.
        self.per_address = 0 if settings.proxy_count else settings.connections_per_address

    # --- Opening and closing ----------------------------------------------------------------------

    def accept(self, listener: socket.socket) -> None:
        try:
            raw, client = listener.accept()
        except OSError as error:
            if error.errno in _NO_MORE_FILES:
                self.log.warning("No more connections can be opened (%s)", error.strerror)
                self.evict(self.iter_connections())
            elif error.errno not in (errno.EAGAIN, errno.ECONNABORTED, errno.EWOULDBLOCK):
                raise
            return
        raw.setblocking(False)
        key = get_address_key(client)
        others = self.connections.get(key, {})
        is_full = self.nr_conns >= self.worker_connections - 1
        if key and 0 < self.per_address <= len(others) and not self.evict(others):
            raw.close()
            return
        if is_full and not self.evict(self.iter_connections()):
            raw.close()
            return
        connection = Connection(self.cfg, raw, client, listener.getsockname(), key)
        connection.sock.seconds = self.stall_seconds
        self.connections.setdefault(key, {})[connection] = None
        self.nr_conns += 1
        self.enter(connection, Phase.IDLE, self.head_seconds)
        # The request is often there already.
        self.receive(connection)

    def iter_connections(self) -> Iterator[Connection]:
        for others in self.connections.values():
            yield from others

    def evict(self, connections: Iterable[Connection]) -> bool:
        """Close the one of these that waits longest; return False if none of them waits."""
        waiting = [one for one in connections if one.phase in _EVICTION_ORDER]
        if not waiting:
            return False
        ranks = {phase: rank for rank, phase in enumerate(_EVICTION_ORDER)}
        # Heads and bodies are alike here: who has kept us waiting longer goes.
        ranks[Phase.BODY] = ranks[Phase.HEAD]
        self.drop(min(waiting, key=lambda one: (ranks[one.phase], one.since)))
        return True

    def drop(self, connection: Connection) -> None:
        """Close a connection at once."""
        self.watch(connection, 0)
        self.release_body(connection)
        connection.phase = Phase.CLOSED
        with suppress(OSError):
            connection.raw.close()
        others = self.connections.get(connection.key, {})
        if connection in others:
            del others[connection]
            self.nr_conns -= 1
            if not others:
                del self.connections[connection.key]

    def close_gently(self, connection: Connection) -> None:
        """Close a connection after what the client still sends."""
        try:
            connection.raw.shutdown(socket.SHUT_WR)
        except OSError:
            self.drop(connection)
            return
        self.enter(connection, Phase.CLOSING, _LINGER_SECONDS)
        self.watch(connection, selectors.EVENT_READ)

    def refuse(self, connection: Connection, status: str) -> None:
        """Answer without a thread, as far as that is possible at once, and close."""
        answer = f"HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        with suppress(OSError):
            connection.raw.send(answer.encode("ascii"))
        self.release_body(connection)
        self.close_gently(connection)

    def hold_body(self, connection: Connection, count: int) -> None:
        """Count bytes of a body that are held in memory until the response is made."""
        connection.held_bytes += count
        self.bodies_bytes += count

    def release_body(self, connection: Connection) -> None:
        self.hold_body(connection, -connection.held_bytes)

    # --- The main loop ----------------------------------------------------------------------------

    def enter(self, connection: Connection, phase: Phase, seconds: float) -> None:
        connection.phase = phase
        connection.since = time.monotonic()
        connection.deadline = connection.since + seconds

    def watch(self, connection: Connection, events: int) -> None:
        """Have the loop call :meth:`on_event` for these events; 0: for none."""
        if events == connection.watched:
            return
        if not connection.watched:
            self.poller.register(connection.raw, events, partial(self.on_event, connection))
        elif events:
            self.poller.modify(connection.raw, events, partial(self.on_event, connection))
        else:
            self.poller.unregister(connection.raw)
        connection.watched = events

    def on_event(self, connection: Connection, _raw: socket.socket) -> None:
        # An earlier event of the same turn of the loop may have closed it.
        if connection.phase is Phase.WORKING:
            # More than the request. It stays where it is until the response is made.
            self.watch(connection, 0)
        elif connection.phase is Phase.SENDING:
            self.send(connection)
        elif connection.watched:
            self.receive(connection)

    def receive(self, connection: Connection) -> None:
        """Receive what there is, and give a complete request to a thread."""
        try:
            data = connection.raw.recv(RECEIVE_BYTES)
        except BlockingIOError:
            self.watch(connection, selectors.EVENT_READ)
            return
        except OSError:
            data = b""
        if not data:
            self.drop(connection)
        elif connection.phase is Phase.BODY:
            self.hold_body(connection, len(data))
            if connection.take_body(data):
                self.submit(connection)
                return
            self.watch(connection, selectors.EVENT_READ)
            if self.bodies_bytes > _MAX_BODIES_BYTES:
                bodies = [one for one in self.iter_connections() if one.phase is Phase.BODY]
                self.refuse(min(bodies, key=lambda one: one.since), "503 Service Unavailable")
        elif connection.phase is not Phase.CLOSING:
            self.receive_head(connection, data)

    def receive_head(self, connection: Connection, data: bytes) -> None:
        if connection.phase is Phase.IDLE:
            self.enter(connection, Phase.HEAD, self.head_seconds)
        if connection.take_head(data):
            self.submit(connection)
        elif len(connection.head) > MAX_HEAD_BYTES:
            self.refuse(connection, "431 Request Header Fields Too Large")
        else:
            self.watch(connection, selectors.EVENT_READ)

    def submit(self, connection: Connection) -> None:
        # The loop goes on watching it: most clients send nothing before they have the response, and
        # each change of what is watched is a system call, after which the loop waits for the GIL.
        connection.phase = Phase.WORKING
        connection.sock.is_beginning = True
        self.enqueue_req(connection)

    def send(self, connection: Connection) -> None:
        """Send more of a response; afterwards go on with the connection or close it."""
        try:
            connection.sock.flush()
        except OSError:
            self.drop(connection)
            return
        if connection.sock.unsent:
            self.watch(connection, selectors.EVENT_WRITE)
        else:
            self.finish_response(connection)

    def finish_response(self, connection: Connection) -> None:
        if not connection.is_kept:
            self.close_gently(connection)
            return
        self.enter(connection, Phase.IDLE, self.cfg.keepalive)
        if pipelined := connection.parser.unreader.take_buffered():
            self.receive_head(connection, pipelined)
        else:
            self.watch(connection, selectors.EVENT_READ)

    def murder_keepalived(self, force: bool = False) -> None:
        """Close the connections whose deadline is over, or all; gunicorn calls this often."""
        now = time.monotonic()
        if now < self.next_sweep and not force:
            return
        self.next_sweep = now + _SWEEP_SECONDS
        for connection in list(self.iter_connections()):
            if connection.phase is Phase.WORKING or (now < connection.deadline and not force):
                continue
            if connection.phase in (Phase.HEAD, Phase.BODY) and self.alive:
                self.refuse(connection, "408 Request Timeout")
            else:
                self.drop(connection)

    def murder_pending(self) -> None:
        """Do nothing: :meth:`murder_keepalived` looks after all connections."""

    def _cap_keepalive(self, deadline: float) -> None:
        """Give requests that have not arrived yet a short time; the worker stops."""
        for connection in self.iter_connections():
            if connection.phase in (Phase.IDLE, Phase.HEAD, Phase.BODY):
                connection.deadline = min(connection.deadline, deadline)

    # --- In the threads ---------------------------------------------------------------------------

    def handle_request(self, req: Any, conn: Connection) -> object:
        if conn.is_resumed:
            conn.is_resumed = False
            if not conn.has_whole_body():
                req.force_close()
        elif conn.expect_body(req):
            if req._expected_100_continue:
                req._expected_100_continue = False
                conn.sock.send(b"HTTP/1.1 100 Continue\r\n\r\n")
            conn.parser.waiting = req
            conn.is_resumed = True
            return _BODY_MISSING
        return super().handle_request(req, conn)

    def _keepalive_after(self, conn: Connection, keepalive: object) -> object:
        if keepalive is _BODY_MISSING:
            return keepalive
        return super()._keepalive_after(conn, keepalive)

    # --- Back in the main loop --------------------------------------------------------------------

    def finish_request(self, conn: Connection, fs: "Future[object]") -> None:
        """Go on with a connection that its thread has left."""
        try:
            result = fs.result() if not fs.cancelled() else False
        except Exception:
            result = False
        if result is _BODY_MISSING:
            self.hold_body(conn, conn.body_bytes)
            self.enter(conn, Phase.BODY, self.body_seconds)
            self.receive(conn)
            return
        self.release_body(conn)
        conn.is_kept = bool(result)
        self.enter(conn, Phase.SENDING, self.send_seconds)
        self.send(conn)
