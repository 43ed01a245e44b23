"""Log and trace the statements of the database, without their values."""

import logging
import time
from typing import Any

from sqlalchemy import Engine, event

from imagehub import traces

log = logging.getLogger(__name__)

_MAX_CHARACTERS = 2000
_BEGAN, _SPAN = "imagehub_began", "imagehub_span"


def watch_queries(engine: Engine, slow_ms: int, is_traced: bool = False) -> None:
    """Log each statement that takes at least ``slow_ms`` (0: none), and trace all on request.

    Values are parameters and not part of a statement's text.
    """
    if not slow_ms and not is_traced:
        return

    # The arguments: connection, cursor, statement, values, context, whether for many rows.
    def begin(*arguments: Any) -> None:
        statement, run = arguments[2], arguments[4]
        setattr(run, _SPAN, traces.begin_query(statement))
        setattr(run, _BEGAN, time.monotonic())

    def end(*arguments: Any) -> None:
        statement, run = arguments[2], arguments[4]
        traces.end_query(getattr(run, _SPAN))
        ms = (time.monotonic() - getattr(run, _BEGAN)) * 1000
        if 0 < slow_ms <= ms:
            log.warning("Slow query: %d ms: %s", ms, " ".join(statement.split())[:_MAX_CHARACTERS])

    def fail(failure: Any) -> None:
        traces.end_query(getattr(failure.execution_context, _SPAN, None), has_failed=True)

    event.listen(engine, "before_cursor_execute", begin)
    event.listen(engine, "after_cursor_execute", end)
    event.listen(engine, "handle_error", fail)
