"""Tell load balancers and monitoring whether the hub runs, and whether its services answer.

``/health`` and ``/healthz`` say that the web server runs and use no other service. ``/readyz`` asks
the database, the object storage and the queue. Anyone may ask, so the answer is kept for a second,
each service is asked by one thread at most, and the reasons name no address and no account.
"""

import logging
import threading
import time
from collections.abc import Callable

from flask import Flask, current_app, jsonify
from flask.typing import ResponseReturnValue
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from imagehub.database import db
from imagehub.errors import ServiceBusyError, ServiceRefusedError
from imagehub.queue import ask_queue
from imagehub.wiring import get_clients, get_settings

log = logging.getLogger(__name__)

OK = "ok"
# How long a request waits for the services, all together, and how long an answer is kept.
WAIT_SECONDS = 2.0
KEPT_SECONDS = 1.0
# There is no such object: "not found" is an answer too, and needs no bucket yet.
_KEY = "checks/ready"


class Check:
    """Asks one service in a thread of its own, never twice at the same time.

    :param ask: returns if the service answers; any exception means that it does not.
    """

    def __init__(self, name: str, ask: Callable[[], object]) -> None:
        self.name = name
        self._ask = ask
        self._is_over = threading.Event()
        self._is_over.set()
        self._result = ""

    def begin(self) -> None:
        """Ask, unless the service still owes an answer."""
        if self._is_over.is_set():
            self._is_over.clear()
            threading.Thread(target=self._run, name=f"check-{self.name}", daemon=True).start()

    def wait(self, deadline: float) -> str:
        """Return "ok" or what is wrong; ``deadline`` is a time of the monotonic clock."""
        if self._is_over.wait(max(0.0, deadline - time.monotonic())):
            return self._result
        return "does not answer in time"

    def _run(self) -> None:
        try:
            self._ask()
            self._result = OK
        except Exception as error:
            # Each service has its own exception classes.
            self._result = describe_failure(error)
            log.warning("The %s is not ready: %s", self.name, type(error).__name__)
        finally:
            self._is_over.set()


def describe_failure(error: Exception) -> str:
    """Say why a service cannot be used, without addresses, accounts and secrets."""
    if isinstance(error, ServiceRefusedError):
        return f"refuses access ({error.reason})"
    name = type(error).__name__
    # The exceptions of Redis have names like these and no common class with others.
    is_lost = name.endswith(("ConnectionError", "TimeoutError"))
    if is_lost or isinstance(error, ServiceBusyError | SQLAlchemyError | OSError):
        return "cannot be reached"
    return f"fails ({name})"


class Readiness:
    """The state of all services, at most a second old."""

    def __init__(self, checks: tuple[Check, ...], wait_seconds: float = WAIT_SECONDS) -> None:
        self._checks = checks
        self._wait_seconds = wait_seconds
        self._turn = threading.Lock()
        self._results: dict[str, str] = {}
        self._asked_at = -KEPT_SECONDS

    def ask(self) -> dict[str, str]:
        """Return name → "ok" or what is wrong.

        While one request asks the services, others get the answer before, if there is one.
        """
        if not self._turn.acquire(blocking=not self._results):
            return self._results
        try:
            if time.monotonic() - self._asked_at >= KEPT_SECONDS:
                deadline = time.monotonic() + self._wait_seconds
                for check in self._checks:
                    check.begin()
                self._results = {check.name: check.wait(deadline) for check in self._checks}
                self._asked_at = time.monotonic()
            return self._results
        finally:
            self._turn.release()


def make_readiness(app: Flask) -> Readiness:
    settings, clients = get_settings(app), get_clients(app)

    def ask_database() -> None:
        with app.app_context(), db.engine.connect() as connection:
            connection.execute(text("SELECT 1"))

    def ask_store() -> None:
        clients.store.find_object(_KEY)

    return Readiness(
        (
            Check("database", ask_database),
            Check("s3", ask_store),
            Check("queue", lambda: ask_queue(settings)),
        )
    )


def init_app(app: Flask) -> None:
    app.extensions["imagehub.readiness"] = make_readiness(app)
    app.add_url_rule("/health", endpoint="web.show_health", view_func=show_health)
    app.add_url_rule("/healthz", endpoint="web.show_alive", view_func=show_health)
    app.add_url_rule("/readyz", endpoint="web.show_ready", view_func=show_ready)


def show_health() -> ResponseReturnValue:
    """Tell load balancers that the web server runs, without using other services."""
    return jsonify({"status": OK})


def ask_readiness() -> dict[str, str]:
    """Return the state of the current application's services, see :meth:`Readiness.ask`."""
    readiness: Readiness = current_app.extensions["imagehub.readiness"]
    return readiness.ask()


def show_ready() -> ResponseReturnValue:
    """Tell whether the services of the hub answer: 200 if all do, else 503."""
    checks = ask_readiness()
    is_ready = all(result == OK for result in checks.values())
    response = jsonify({"status": OK if is_ready else "failed", "checks": checks})
    response.status_code = 200 if is_ready else 503
    response.headers["Cache-Control"] = "no-store"
    return response
