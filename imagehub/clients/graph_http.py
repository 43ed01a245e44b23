"""Call Microsoft Graph: wait, retry, send batches.

:class:`GraphCaller` knows HTTP but no folders; :mod:`imagehub.clients.graph` and
:mod:`imagehub.clients.graph_boundary` know the drive but no HTTP.

Sources: Microsoft Graph "Error responses and resource types", "Throttling guidance", "Best
practices"; the statuses that are retried are those of the rclone project.
"""

import logging
import time
import uuid
from collections.abc import Callable, Mapping
from importlib import metadata
from typing import Any
from urllib.parse import urlsplit

import requests

from imagehub.clients.graph_errors import (
    PASSING_STATUSES,
    SERVICE,
    make_busy_error,
    make_error,
    make_unreachable_error,
    read_error_codes,
    read_json,
)
from imagehub.clients.http import (
    BearerAuth,
    Pause,
    get_origin,
    make_backoff,
    make_session,
    parse_retry_after,
)
from imagehub.errors import (
    ConflictError,
    ConnectionLostError,
    NotFoundError,
    ServiceBusyError,
    ServiceError,
    ServiceRefusedError,
)
from imagehub.messages import mark

log = logging.getLogger(__name__)

_THROTTLED_STATUSES = frozenset({429, 503})
# After these the server may have carried out the request before it failed.
_UNSURE_STATUSES = frozenset({500, 502, 504})
MAX_ATTEMPTS = 8
# Source: Microsoft Graph, "Combine multiple HTTP requests using JSON batching".
MOST_IN_BATCH = 20


# The result for one of several requested documents.
Answer = dict[str, Any] | NotFoundError | ServiceError


class LostAnswerError(ServiceBusyError):
    """The request was sent and no answer came: it may have been carried out or not."""


class GoneError(ServiceRefusedError):
    """The requested link is too old to be continued.

    :param location: where the service says to start again, or "".
    """

    def __init__(self, operation: str, location: str) -> None:
        super().__init__(SERVICE, operation, "gone")
        self.location = location


def make_user_agent() -> str:
    """Return the user agent in the format that Microsoft asks for.

    Source: "How to avoid getting throttled or blocked in SharePoint Online".
    """
    try:
        version = metadata.version("imagehub")
    except metadata.PackageNotFoundError:
        version = "0"
    return f"NONISV|ImageHub|ImageHub/{version}"


class GraphCaller:
    """Call Graph for one account.

    :param base_url: with version: ``https://graph.microsoft.com/v1.0``.
    :param get_token: returns an access token; called with True when the service did not accept
        the last one. Its errors are not caught.
    :param get_pause: returns the seconds for which no request of this account may be sent.
    :param set_pause: starts such a pause. Pass both to share the pause between processes.
    :param max_wait_seconds: longest total wait of one call, for pauses and between attempts.
    :param timeouts: seconds to connect, and seconds without data while reading.
    :param backoff_seconds: upper bound of the first wait if the service names none.
    :param session: a requests session to use instead of a new one.
    :param look_again: called at a 403, so that ``get_token`` drops what it has cached: the owner
        may just have allowed more.
    """

    def __init__(
        self,
        base_url: str,
        get_token: Callable[[bool], str],
        get_pause: Callable[[], float] | None = None,
        set_pause: Callable[[float], None] | None = None,
        max_wait_seconds: float = 30.0,
        timeouts: tuple[float, float] = (10.0, 60.0),
        user_agent: str = "",
        backoff_seconds: float = 1.0,
        session: requests.Session | None = None,
        look_again: Callable[[], None] | None = None,
    ) -> None:
        pause = Pause()
        self._base_url = base_url.rstrip("/")
        self.origin = get_origin(self._base_url)
        self._get_token = get_token
        self._get_pause = get_pause or pause.get
        self._set_pause = set_pause or pause.set
        self.max_wait_seconds = max_wait_seconds
        self.timeouts = timeouts
        self.user_agent = user_agent or make_user_agent()
        self._backoff_seconds = backoff_seconds
        self._session = session or make_session()
        self._look_again = look_again

    # --- Graph itself -----------------------------------------------------------------------------

    def get_json(
        self,
        path: str,
        operation: str,
        key: object = "",
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """GET a JSON object; see :meth:`send`."""
        response = self.send("GET", path, operation, key, params=params, headers=headers)
        return read_json(response, operation)

    def get_many(self, paths: Mapping[str, str], operation: str) -> dict[str, Answer]:
        """GET several JSON objects in batches of twenty.

        A throttled part is sent again after the wait that the service names. Any other part that
        fails, and all parts if the service refuses the batch, are requested separately.

        :param paths: key for "not found" errors → path below the base URL.
        :return: for each key the object, or the error. After a ServiceBusyError no more requests
            are sent, and the remaining keys get that error.
        :raise ConnectionLostError: as :meth:`send`.
        """
        found: dict[str, Answer] = {}
        keys = list(paths)
        for start in range(0, len(keys), MOST_IN_BATCH):
            some = {key: paths[key] for key in keys[start : start + MOST_IN_BATCH]}
            try:
                self._get_batch(some, operation, found)
            except ServiceBusyError as error:
                found.update({key: error for key in keys if key not in found})
                break
        return found

    def _get_batch(self, waiting: dict[str, str], operation: str, found: dict[str, Answer]) -> None:
        """Add the answers for at most twenty paths to ``found``.

        :raise ServiceBusyError: keys that are not in ``found`` got no answer.
        """
        budget = WaitBudget(self.max_wait_seconds)
        for attempt in range(MAX_ATTEMPTS):
            parts = self._send_batch(list(waiting.values()), operation)
            delays: list[float] = []
            throttled: dict[str, str] = {}
            alone: dict[str, str] = {}
            for (key, path), part in zip(waiting.items(), parts, strict=True):
                status, body = part.get("status"), part.get("body")
                if status in PASSING_STATUSES:
                    throttled[key] = path
                    delays.append(self._choose_delay(attempt, status, _find_retry_after(part)))
                elif status == 200 and isinstance(body, dict):
                    found[key] = body
                elif status == 404:
                    found[key] = NotFoundError("drive item", key)
                else:
                    alone[key] = path
            for key, path in alone.items():
                found[key] = self._get_alone(path, operation, key)
            if not throttled:
                return
            waiting = throttled
            delay = max(delays)
            budget.spend(delay, ServiceBusyError(SERVICE, operation, retry_after_seconds=delay))
        raise ServiceBusyError(SERVICE, operation)

    def _send_batch(self, paths: list[str], operation: str) -> list[Mapping[str, Any]]:
        """Return the parts of a batch's answer by ``paths``, empty if missing."""
        if len(paths) == 1:
            return [{}]
        asked = [
            {"id": str(number), "method": "GET", "url": path} for number, path in enumerate(paths)
        ]
        try:
            response = self.send("POST", "/$batch", operation, body={"requests": asked})
            parts = read_json(response, operation).get("responses")
        except (NotFoundError, ConflictError, ServiceRefusedError) as error:
            # By the documentation, throttled parts may fail the whole batch with 424.
            log.warning("A batch was refused; requesting its parts separately: %s", error)
            parts = None
        # They are in any order.
        by_id = {
            str(part.get("id")): part
            for part in (parts if isinstance(parts, list) else ())
            if isinstance(part, dict)
        }
        return [by_id.get(str(number), {}) for number in range(len(paths))]

    def _get_alone(self, path: str, operation: str, key: str) -> Answer:
        """:raise ServiceBusyError: as :meth:`send`."""
        try:
            return self.get_json(path, operation, key)
        except ServiceBusyError:
            raise
        except (NotFoundError, ServiceError) as error:
            return error
        except ConflictError as error:
            return ServiceRefusedError(SERVICE, operation, "conflict", error.sentence)

    def send(
        self,
        method: str,
        path: str,
        operation: str,
        key: object = "",
        *,
        body: Mapping[str, Any] | None = None,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        may_repeat: bool = True,
    ) -> requests.Response:
        """Send one request until it is answered, refused, or has waited too long.

        :param path: below the base URL, percent-encoded; or an address from an answer of Graph,
            which must be on the same server because the token is sent to it.
        :param operation: verb phrase for the log.
        :param key: the key for NotFoundError.
        :param may_repeat: repeating it does no harm. If False, an attempt with an unknown outcome
            raises :class:`LostAnswerError`.
        :return: a response with a status below 400; redirects are not followed.
        :raise NotFoundError: 404.
        :raise ConflictError: 412, and 409 other than a taken name.
        :raise ConnectionLostError: Graph refuses a new token too.
        :raise GoneError: 410.
        :raise ServiceBusyError: throttled, down or unreachable for longer than this call may wait.
        :raise ServiceRefusedError: everything else.
        """
        url = self.check_address(path, operation)
        budget = WaitBudget(self.max_wait_seconds)
        token, token_was_renewed, has_looked_again = "", False, False
        on_new_connection = False
        for attempt in range(MAX_ATTEMPTS):
            self.sit_out_pause(budget, operation)
            if not token_was_renewed:
                token = self._get_token(False)
            try:
                response = self._exchange(
                    method, url, token, operation, body, params, headers, on_new_connection
                )
            except requests.RequestException as error:
                if not may_repeat and not _was_never_sent(error):
                    raise LostAnswerError(SERVICE, operation) from error
                if attempt + 1 == MAX_ATTEMPTS:
                    raise make_unreachable_error(operation) from error
                budget.spend(self.make_delay(attempt), make_unreachable_error(operation))
                on_new_connection = True
                continue
            status = response.status_code
            if status < 400:
                return response
            if status == 401:
                if token_was_renewed:
                    raise ConnectionLostError(
                        "OneDrive no longer accepts ImageHub’s access and must be reconnected.",
                        code="unauthenticated",
                    )
                token, token_was_renewed = self._get_token(True), True
                continue
            if status == 403 and self._look_again is not None and not has_looked_again:
                has_looked_again = True
                self._look_again()
                found = self._get_token(False)
                if found != token:
                    token = found
                    continue
            codes = read_error_codes(response)
            if status == 410:
                raise GoneError(operation, response.headers.get("Location", ""))
            if status not in PASSING_STATUSES or "pathistoolong" in codes:
                raise make_error(status, codes, response.text, operation, key)
            if status in _UNSURE_STATUSES and not may_repeat:
                raise LostAnswerError(SERVICE, operation)
            # Graph's best practices recommend a new connection after a 503.
            on_new_connection = status == 503
            budget.spend(self.make_delay(attempt, response), make_busy_error(operation, response))
        raise ServiceBusyError(SERVICE, operation)

    def _exchange(
        self,
        method: str,
        url: str,
        token: str,
        operation: str,
        body: Mapping[str, Any] | None,
        params: Mapping[str, str] | None,
        headers: Mapping[str, str] | None,
        on_new_connection: bool,
    ) -> requests.Response:
        request_id = str(uuid.uuid4())
        session = self._make_new_session() if on_new_connection else self._session
        started = time.monotonic()
        try:
            response = session.request(
                method,
                url,
                json=body,
                params=params,
                headers={
                    "Accept": "application/json",
                    "User-Agent": self.user_agent,
                    "client-request-id": request_id,
                    **(headers or {}),
                },
                auth=BearerAuth(token),
                timeout=self.timeouts,
                allow_redirects=False,
            )
        except requests.RequestException as error:
            log.warning(
                "Cannot %s: %s; client-request-id=%s", operation, type(error).__name__, request_id
            )
            raise
        finally:
            if session is not self._session:
                session.close()
        # The query is not logged: it may contain a page's token.
        log.log(
            logging.DEBUG if response.status_code < 400 else logging.WARNING,
            "%s %s: %s in %d ms; client-request-id=%s request-id=%s date=%s diagnostic=%s codes=%s",
            method,
            urlsplit(url).path,
            response.status_code,
            (time.monotonic() - started) * 1000,
            request_id,
            response.headers.get("request-id", "-"),
            response.headers.get("Date", "-"),
            response.headers.get("x-ms-ags-diagnostic", "-"),
            "/".join(read_error_codes(response)) if response.status_code >= 400 else "-",
        )
        return response

    def _make_new_session(self) -> requests.Session:
        """Return a copy of the session that has no open connections."""
        session = make_session()
        session.hooks, session.verify = self._session.hooks, self._session.verify
        session.proxies, session.cert = self._session.proxies, self._session.cert
        return session

    def check_address(self, path: str, operation: str) -> str:
        """Return the full address of a path; an address of Graph stays the same.

        :raise ServiceRefusedError: ``bad_answer``, it points to another server.
        """
        if path.startswith("/"):
            return f"{self._base_url}{path}"
        try:
            if get_origin(path) == self.origin:
                return path
        except ValueError:
            pass
        raise ServiceRefusedError(
            SERVICE,
            operation,
            "bad_answer",
            mark("OneDrive’s response points to another server, which ImageHub does not call."),
        )

    def sit_out_pause(self, budget: "WaitBudget", operation: str) -> None:
        """Wait while the account is paused.

        A random time is added, so that not all waiting calls are sent at the same moment.
        """
        while (left := self._get_pause()) > 0:
            error = ServiceBusyError(SERVICE, operation, retry_after_seconds=left)
            budget.spend(left + make_backoff(0, min(1.0, 0.1 * left)), error)

    def make_delay(self, attempt: int, response: requests.Response | None = None) -> float:
        """Return the seconds before the next attempt: Retry-After, or a backoff.

        A throttled answer also pauses all other calls of the account.
        """
        if response is None:  # not "if not response": that is true from status 400 on
            return self._choose_delay(attempt)
        return self._choose_delay(
            attempt, response.status_code, response.headers.get("Retry-After")
        )

    def _choose_delay(self, attempt: int, status: int = 0, retry_after: str | None = None) -> float:
        named = parse_retry_after(retry_after)
        delay = make_backoff(attempt, self._backoff_seconds) if named is None else named
        if status in _THROTTLED_STATUSES:
            self._set_pause(delay)
        return delay


class WaitBudget:
    """The time that one call may still wait."""

    def __init__(self, seconds: float) -> None:
        self._left = seconds

    def spend(self, seconds: float, error: ServiceBusyError) -> None:
        """Wait, or raise ``error`` if that would take longer than allowed."""
        if seconds > self._left:
            log.warning("Cannot %s now: would have to wait %.1f s", error.operation, seconds)
            raise error
        self._left -= seconds
        time.sleep(seconds)


def _find_retry_after(part: Mapping[str, Any]) -> str | None:
    """Return the header of one part of a batch's answer, case-insensitively."""
    headers = part.get("headers")
    for name, value in headers.items() if isinstance(headers, dict) else ():
        if name.lower() == "retry-after":
            return str(value)
    return None


def _was_never_sent(error: requests.RequestException) -> bool:
    """Return whether the connection failed before the request was sent."""
    if isinstance(error, requests.ConnectTimeout):
        return True
    reason = error.args[0] if error.args else None
    return type(getattr(reason, "reason", None)).__name__ in (
        "NewConnectionError",
        "NameResolutionError",
        "ConnectTimeoutError",
    )
