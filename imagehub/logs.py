"""Logs that hold no secrets of an address.

The part of an address after ``?`` may hold a password (``GET /login/?username&password``), a code
of Microsoft's or a presigned signature, and so may the Referer. Neither reaches a log: the web
server's access log is written without both, and whatever else a server logs about a request is cut
at the question mark.
"""

import logging
import re
from typing import Any

from gunicorn.glogging import Logger

_QUERY = re.compile(r"\?(?:[^\r\n]*(?= HTTP/\d)|[^\r\n]*)")
# What gunicorn could not read it repeats: a piece of the request line, or a header.
_INVALID = re.compile(r"(Invalid request from ip=\S+ [A-Za-z ]*).*", re.DOTALL)
# Headers that gunicorn's access log format can name and that must stay out even then.
_SECRET_HEADERS = (
    "referer",
    "authorization",
    "cookie",
    "set-cookie",
    "location",
    "proxy-authorization",
)
_SECRET_VARIABLES = (
    "raw_uri",
    "query_string",
    "http_referer",
    "http_authorization",
    "http_cookie",
    "http_proxy_authorization",
    "request_uri",
)


def drop_queries(text: str) -> str:
    """The text with each ``?…`` cut off, up to the line's last HTTP version or its end."""
    return _QUERY.sub("", _INVALID.sub(r"\1", text))


class DropQueries(logging.Filter):
    """Cuts queries out of a finished message. For loggers of servers, which write request lines."""

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        clean = drop_queries(message)
        if clean != message:
            record.msg, record.args = clean, None
        return True


class GunicornLogger(Logger):  # type: ignore[misc]  # gunicorn has no types
    """What ``gunicorn --logger-class imagehub.logs.GunicornLogger`` writes."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        # "Invalid request" warnings repeat the request line.
        _add_filter(self.error_log)

    def atoms(self, resp: Any, req: Any, environ: Any, request_time: Any) -> dict[str, Any]:
        atoms: dict[str, Any] = super().atoms(resp, req, environ, request_time)
        atoms["r"] = drop_queries(str(atoms["r"]))
        atoms["q"] = ""
        atoms["f"] = "-"
        for name in _SECRET_HEADERS:
            for kind in "io":
                if f"{{{name}}}{kind}" in atoms:
                    atoms[f"{{{name}}}{kind}"] = "-"
        for name in _SECRET_VARIABLES:
            if f"{{{name}}}e" in atoms:
                atoms[f"{{{name}}}e"] = "-"
        return atoms


def init_logs() -> None:
    """Keep queries out of what Flask's own development server writes."""
    _add_filter(logging.getLogger("werkzeug"))


def _add_filter(logger: logging.Logger) -> None:
    if not any(isinstance(item, DropQueries) for item in logger.filters):
        logger.addFilter(DropQueries())
