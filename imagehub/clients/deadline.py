"""End connections that take too long in total.

A timeout of a socket counts each wait alone, so a server that sends a byte now and then would hold
its caller for ever.
"""

import socket
import threading
from contextlib import suppress
from types import TracebackType

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection


class Deadline:
    """Shuts its connections down after some seconds, unless its block has ended before."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._is_over = threading.Event()
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True

    def __enter__(self) -> "Deadline":
        self._timer.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._timer.cancel()
        with self._lock:
            for one in self._sockets:
                one.close()
            self._sockets.clear()

    @property
    def is_over(self) -> bool:
        return self._is_over.is_set()

    def watch(self, connection: socket.socket) -> None:
        """Also end this connection, and what TLS makes of it later."""
        with self._lock:
            # TLS takes the socket over, but not its copy.
            self._sockets.append(connection.dup())
        if self.is_over:
            self._end()

    def _end(self) -> None:
        self._is_over.set()
        with self._lock:
            for one in self._sockets:
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)


class DeadlineAdapter(HTTPAdapter):
    """Sends requests over connections that a deadline ends."""

    def __init__(self, deadline: Deadline) -> None:
        super().__init__(max_retries=0)

        class Plain(HTTPConnection):
            def _new_conn(self) -> socket.socket:
                connection = super()._new_conn()
                deadline.watch(connection)
                return connection

        class Secure(HTTPSConnection):
            def _new_conn(self) -> socket.socket:
                connection = super()._new_conn()
                deadline.watch(connection)
                return connection

        class PlainPool(HTTPConnectionPool):
            ConnectionCls = Plain

        class SecurePool(HTTPSConnectionPool):
            ConnectionCls = Secure

        self.poolmanager.pool_classes_by_scheme = {"http": PlainPool, "https": SecurePool}
