"""Write log lines as text or JSON, and keep secrets of addresses out of them.

The part of an address after ``?`` may contain a password (``GET /login/?username&password``), a
code of Microsoft or a presigned signature, and so may the Referer. The access log is written
without both, and everything else that a server logs about a request is cut at the question mark.
"""

import json
import logging
import os
import re
from contextvars import ContextVar
from datetime import UTC, datetime
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


# --- Facts and JSON -------------------------------------------------------------------------------

_facts: ContextVar[dict[str, str]] = ContextVar("facts")


def set_facts(**facts: str) -> None:
    """Set what the next lines of this thread are about, such as ``request_id``, in place of before.

    JSON lines contain the facts that are not empty.
    """
    _facts.set({name: value for name, value in facts.items() if value})


def get_fact(name: str) -> str:
    """Return a fact of this thread, or ""."""
    return _facts.get({}).get(name, "")


class JsonFormatter(logging.Formatter):
    """Writes each record as one line: time (UTC), level, logger, message, program, facts.

    :param program: ``web``, ``worker`` or ``serve``.
    """

    def __init__(self, program: str) -> None:
        super().__init__()
        self._program = program

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "program": self._program,
            "pid": os.getpid(),
            **_facts.get({}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def use_format(log_format: str, program: str, *loggers: logging.Logger) -> None:
    """Have the root logger, and these, write JSON if ``log_format`` is ``json``."""
    if log_format != "json":
        return
    root = logging.getLogger()
    if not root.handlers:
        root.addHandler(logging.StreamHandler())
    logging.captureWarnings(True)
    formatter = JsonFormatter(program)
    for logger in (root, *loggers):
        for handler in logger.handlers:
            handler.setFormatter(formatter)


# --- Set-up ---------------------------------------------------------------------------------------


def init_logs() -> None:
    """Keep queries out of the log of Flask's development server."""
    _add_filter(logging.getLogger("werkzeug"))


def _add_filter(logger: logging.Logger) -> None:
    if not any(isinstance(item, DropQueries) for item in logger.filters):
        logger.addFilter(DropQueries())
