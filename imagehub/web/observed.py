"""Measure each request, give it a number, log it if it was slow, and count what it shows.

This is the outermost WSGI middleware, so that responses of the page cache count too.
"""

import logging
import re
import secrets
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from imagehub import metrics, traces
from imagehub.config import Settings
from imagehub.logs import set_facts
from imagehub.web.numbers import Numbers

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

log = logging.getLogger(__name__)

# Keys of the WSGI environment: the request's number, and the endpoint, once it is known.
REQUEST_ID, ENDPOINT = "imagehub.request_id", "imagehub.endpoint"
_SANE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{7,63}")


class Observed:
    """The middleware around everything else that answers requests."""

    def __init__(self, wsgi_app: "WSGIApplication", settings: Settings, numbers: Numbers) -> None:
        self._wsgi_app = wsgi_app
        self._numbers = numbers
        self._data_dir = settings.data_dir
        self._has_metrics = settings.has_metrics
        self._trusts_proxy = settings.proxy_count > 0
        self._slow_ms = settings.slow_request_ms

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        request_id = environ[REQUEST_ID] = self._find_id(environ)
        # Until the next request of this thread, as the body is made after the return.
        set_facts(request_id=request_id)
        if self._has_metrics:
            # Mostly done already; servers other than ours begin here.
            metrics.start(self._data_dir, "web")
        status = 500

        def note_status(line: str, *rest: Any) -> Any:
            nonlocal status
            status = int(line[:3])
            return start_response(line, *rest)

        metrics.begin_request()
        began = time.monotonic()
        parent = environ.get("HTTP_TRACEPARENT", "") if self._trusts_proxy else ""
        method = environ["REQUEST_METHOD"]
        try:
            with traces.span("request", "server", parent, imagehub_request=request_id) as span:
                try:
                    return self._wsgi_app(environ, note_status)
                finally:
                    span.rename(f"{method[:16]} {environ.get(ENDPOINT) or '-'}")
                    span.note(http_response_status__code=status)
                    if status >= 500:
                        span.fail()
        finally:
            seconds = time.monotonic() - began
            endpoint = environ.get(ENDPOINT) or ""
            metrics.end_request(endpoint, method, status, seconds)
            self._numbers.count(environ, status)
            if 0 < self._slow_ms <= seconds * 1000:
                # Not the address, which may contain the secret of a share link.
                name = endpoint or "an unknown address"
                words = "Slow request: %s %s, status %d, %d ms"
                log.warning(words, method[:16], name, status, seconds * 1000)

    def _find_id(self, environ: "WSGIEnvironment") -> str:
        """Return the number that the proxy has given, or a new one."""
        given = environ.get("HTTP_X_REQUEST_ID", "") if self._trusts_proxy else ""
        return given if _SANE_ID.fullmatch(given) else secrets.token_hex(8)
