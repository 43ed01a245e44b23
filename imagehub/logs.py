"""Keep secrets of addresses out of the logs.

The part of an address after ``?`` may contain a password (``GET /login/?username&password``), a
code of Microsoft or a presigned signature, and so may the Referer. The access log is written
without both, and everything else that a server logs about a request is cut at the question mark.
"""

import logging
import re
from typing import Any

from gunicorn.glogging import Logger

_QUERY = re.compile(r"\?(?:[^\r\n]*(?= HTTP/\d)|[^\r\n]*)")
# gunicorn repeats what it cannot parse: a part of the request line, or a header.
_INVALID = re.compile(r"(Invalid request from ip=\S+ [A-Za-z ]*).*", re.DOTALL)
# Headers that are not logged even if gunicorn's access log format names them.
_SECRET_HEADERS = (
    "referer", "authorization", "cookie", "set-cookie", "location", "proxy-authorization",
)  # fmt: skip
_SECRET_VARIABLES = (
    "raw_uri", "query_string", "http_referer", "http_authorization", "http_cookie",
    "http_proxy_authorization", "request_uri",
)  # fmt: skip


def drop_queries(text: str) -> str:
    """Remove each ``?…`` up to the last HTTP version of the line or its end."""
    return _QUERY.sub("", _INVALID.sub(r"\1", text))


class DropQueries(logging.Filter):
    """Removes queries from messages, for the loggers of servers, which log request lines."""

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        clean = drop_queries(message)
        if clean != message:
            record.msg, record.args = clean, None
        return True


class GunicornLogger(Logger):  # type: ignore[misc]  # gunicorn has no types
    """The logger for ``gunicorn --logger-class imagehub.logs.GunicornLogger``."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        # "Invalid request" warnings repeat the request line.
        _add_filter(self.error_log)

    def atoms(self, resp: Any, req: Any, environ: Any, request_time: Any) -> dict[str, Any]:
        atoms: dict[str, Any] = super().atoms(resp, req, environ, request_time)
        atoms["r"] = drop_queries(str(atoms["r"]))
        atoms["q"] = ""
        atoms["f"] = "-"
        hidden = {f"{{{name}}}{kind}" for name in _SECRET_HEADERS for kind in "io"}
        hidden |= {f"{{{name}}}e" for name in _SECRET_VARIABLES}
        return atoms | dict.fromkeys(hidden & atoms.keys(), "-")


def init_logs() -> None:
    """Keep queries out of the log of Flask's development server."""
    _add_filter(logging.getLogger("werkzeug"))


def _add_filter(logger: logging.Logger) -> None:
    if not any(isinstance(item, DropQueries) for item in logger.filters):
        logger.addFilter(DropQueries())
