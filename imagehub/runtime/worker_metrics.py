"""Serve the metrics of a worker that shares its data folder with no web server.

On Kubernetes each pod has a data folder of its own, so nobody else can read what a worker counts.
The server speaks plain http inside of the cluster: in production it therefore takes no token, only
networks.
"""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from imagehub import metrics
from imagehub.config import Settings

log = logging.getLogger(__name__)

_REQUEST_SECONDS = 10


@contextmanager
def serve_metrics(settings: Settings) -> Iterator[int]:
    """Answer ``/metrics`` during the block, at the port of the settings; yield it, or 0 if none.

    :raise OSError: the port is in use.
    """
    if not settings.has_metrics or not settings.worker_metrics_port:
        yield 0
        return
    server = _make_server(settings)
    thread = threading.Thread(target=server.serve_forever, args=(0.2,), name="metrics", daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join(2)


def _make_server(settings: Settings) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        timeout = _REQUEST_SECONDS
        server_version = "ImageHub"
        sys_version = ""

        def do_GET(self) -> None:
            if self.path != "/metrics":
                self._answer(404, b"There is nothing at this address.\n")
            elif not self._may_read():
                self._answer(401, metrics.REFUSAL.encode())
            else:
                body = metrics.render(settings.data_dir, ())
                self._answer(200, body, metrics.CONTENT_TYPE)

        def _may_read(self) -> bool:
            token = "" if settings.is_production else settings.metrics_token
            is_direct = not {"X-Forwarded-For", "Forwarded"} & {*self.headers.keys()}
            return metrics.is_token(self.headers.get("Authorization", ""), token) or (
                is_direct and metrics.is_inside(self.client_address[0], settings.metrics_networks)
            )

        def _answer(self, status: int, body: bytes, content_type: str = "text/plain") -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Write no line for each request."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

    return Server(("", settings.worker_metrics_port), Handler)
