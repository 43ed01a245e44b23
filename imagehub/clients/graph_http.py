"""Call Microsoft Graph: wait, retry, send batches.

:class:`GraphCaller` knows HTTP but no folders; :mod:`imagehub.clients.graph` and
:mod:`imagehub.clients.graph_boundary` know the drive but no HTTP.

Sources: Microsoft Graph "Error responses and resource types", "Throttling guidance", "Best
practices"; the statuses that are retried are those of the rclone project.
"""

import logging
import time
import uuid
from collections.abc import Mapping
from contextlib import nullcontext, suppress
from functools import cache
from importlib import metadata
from typing import Any, Protocol
from urllib.parse import urlsplit

import requests

from imagehub import metrics
from imagehub.clients.graph_answers import (
    PASSING_STATUSES,
    SERVICE,
    get_facet,
    make_bad_answer,
    make_busy,
    make_error,
    make_refusal,
    make_unreachable,
    read_error_codes,
    read_json,
)
from imagehub.clients.http import (
    BearerAuth,
    get_origin,
    make_backoff,
    make_session,
    parse_retry_after,
    read_retry_after,
)
from imagehub.clients.refusals import read_challenge
from imagehub.errors import (
    STEP_REQUIRED,
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
MAX_WAIT_SECONDS = 8.0
# Source: Microsoft Graph, "Combine multiple HTTP requests using JSON batching".
_MOST_IN_BATCH = 20


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


class Access(Protocol):
    """The tokens and pauses of one account."""

    def get_token(self, refused_token: str = "", claims: str = "") -> str:
        """Return a token, another one than Graph refused; with a claims challenge, or ""."""

    def require_sign_in(self, refused_token: str, claims: str) -> None:
        """Note that only a sign-in can satisfy the claims: Graph refused a new token too."""

    def look_again(self) -> None:
        """Drop what :meth:`get_token` has cached: the owner may just have allowed more."""

    def get_pause(self) -> float:
        """Return the seconds for which no request of this account may be sent."""

    def set_pause(self, seconds: float) -> None: ...

    def note_success(self) -> None:
        """Note that Graph has just answered a request."""


@cache
def _make_user_agent() -> str:
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
    :param max_wait_seconds: longest total wait of one call, for pauses and between attempts. A
        person may be waiting, and a worker has other pictures to process.
    :param timeouts: seconds to connect, and seconds without data while reading.
    :param backoff_seconds: upper bound of the first wait if the service names none.
    """

    def __init__(
        self,
        base_url: str,
        access: Access,
        max_wait_seconds: float = MAX_WAIT_SECONDS,
        timeouts: tuple[float, float] = (10.0, 60.0),
        backoff_seconds: float = 1.0,
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._origin = get_origin(self._base_url)
        self._access = access
        self.max_wait_seconds = max_wait_seconds
        self.timeouts = timeouts
        self.user_agent = _make_user_agent()
        self._backoff_seconds = backoff_seconds
        self._session = make_session(self.user_agent)

    def get_json(
        self, path: str, operation: str, key: object = "", **options: Any
    ) -> dict[str, Any]:
        """GET a JSON object; options as of :meth:`send`."""
        return read_json(self.send("GET", path, operation, key, **options), operation)

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
        for start in range(0, len(keys), _MOST_IN_BATCH):
            some = {key: paths[key] for key in keys[start : start + _MOST_IN_BATCH]}
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
            parts = self._send_batch(waiting, operation)
            delays: list[float] = []
            throttled: dict[str, str] = {}
            alone: dict[str, str] = {}
            for key, path in waiting.items():
                part = parts.get(key, {})
                status, body = part.get("status"), part.get("body")
                if status in PASSING_STATUSES:
                    throttled[key] = path
                    delays.append(self.make_delay(attempt, status, _find_retry_after(part)))
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
            budget.spend(delay, make_busy(operation, retry_after_seconds=delay))
        raise make_busy(operation)

    def _send_batch(self, paths: Mapping[str, str], operation: str) -> dict[str, Mapping[str, Any]]:
        """Return the parts of a batch's answer by the keys of ``paths``; some may be missing."""
        if len(paths) == 1:
            return {}
        keys = {str(number): key for number, key in enumerate(paths)}
        asked = [{"id": number, "method": "GET", "url": paths[keys[number]]} for number in keys]
        try:
            response = self.send("POST", "/$batch", operation, body={"requests": asked})
            parts = read_json(response, operation).get("responses")
        except (NotFoundError, ConflictError, ServiceRefusedError) as error:
            # By the documentation, throttled parts may fail the whole batch with 424.
            log.warning("A batch was refused; requesting its parts separately: %s", error)
            parts = None
        # They are in any order.
        return {
            keys[str(part.get("id"))]: part
            for part in (parts if isinstance(parts, list) else ())
            if isinstance(part, dict) and str(part.get("id")) in keys
        }

    def _get_alone(self, path: str, operation: str, key: str) -> Answer:
        """:raise ServiceBusyError: as :meth:`send`."""
        try:
            return self.get_json(path, operation, key)
        except ServiceBusyError:
            raise
        except (NotFoundError, ServiceError) as error:
            return error
        except ConflictError as error:
            return make_refusal(operation, "conflict", error.sentence)

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
        request = {
            "method": method,
            "url": self.check_address(path, operation),
            "json": body,
            "params": params,
            "headers": {"Accept": "application/json", **(headers or {})},
        }
        budget = WaitBudget(self.max_wait_seconds)
        token, token_was_renewed, has_looked_again = "", False, False
        on_new_connection = False
        for attempt in range(MAX_ATTEMPTS):
            self.sit_out_pause(budget, operation)
            if not token_was_renewed:
                token = self._access.get_token()
            try:
                response = self._exchange(request, token, operation, on_new_connection)
            except requests.RequestException as error:
                if not may_repeat and not _was_never_sent(error):
                    raise LostAnswerError(SERVICE, operation) from error
                if attempt + 1 == MAX_ATTEMPTS:
                    raise make_unreachable(operation) from error
                self.wait(budget, operation, attempt)
                on_new_connection = True
                continue
            status = response.status_code
            if status < 400:
                self._access.note_success()
                return response
            if status == 401:
                claims = read_challenge(response.headers.get("WWW-Authenticate", ""))
                if token_was_renewed:
                    raise self._give_up(token, claims)
                token, token_was_renewed = self._access.get_token(token, claims), True
                continue
            if status == 403 and not has_looked_again:
                has_looked_again = True
                self._access.look_again()
                found = self._access.get_token()
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
            self.wait(budget, operation, attempt, response)
        raise make_busy(operation)

    def _give_up(self, token: str, claims: str) -> ConnectionLostError:
        if claims:
            self._access.require_sign_in(token, claims)
            return ConnectionLostError(STEP_REQUIRED, code="insufficient_claims", claims=claims)
        sentence = mark("OneDrive no longer accepts ImageHub’s access and must be reconnected.")
        return ConnectionLostError(sentence, code="unauthenticated")

    def _exchange(
        self, request: dict[str, Any], token: str, operation: str, on_new_connection: bool
    ) -> requests.Response:
        request_id = request["headers"]["client-request-id"] = str(uuid.uuid4())
        started = time.monotonic()
        kept = None if on_new_connection else nullcontext(self._session)
        try:
            with (
                metrics.measure_graph(operation) as call,
                kept or make_session(self.user_agent) as session,
            ):
                response = session.request(
                    **request, auth=BearerAuth(token), timeout=self.timeouts, allow_redirects=False
                )
                call.status = response.status_code
        except requests.RequestException as error:
            log.warning(
                "Cannot %s: %s; client-request-id=%s", operation, type(error).__name__, request_id
            )
            raise
        # The query is not logged: it may contain a page's token.
        log.log(
            logging.DEBUG if response.status_code < 400 else logging.WARNING,
            "%s %s: %s in %d ms; client-request-id=%s request-id=%s date=%s diagnostic=%s codes=%s",
            request["method"],
            urlsplit(request["url"]).path,
            response.status_code,
            (time.monotonic() - started) * 1000,
            request_id,
            response.headers.get("request-id", "-"),
            response.headers.get("Date", "-"),
            response.headers.get("x-ms-ags-diagnostic", "-"),
            "/".join(read_error_codes(response)) if response.status_code >= 400 else "-",
        )
        return response

    def check_address(self, path: str, operation: str) -> str:
        """Return the full address of a path; an address of Graph stays the same.

        :raise ServiceRefusedError: ``bad_answer``, it points to another server.
        """
        if path.startswith("/"):
            return f"{self._base_url}{path}"
        with suppress(ValueError):
            if get_origin(path) == self._origin:
                return path
        sentence = mark(
            "OneDrive’s response points to another server, which ImageHub does not call."
        )
        raise make_bad_answer(operation, sentence)

    def check_content_url(self, url: object, operation: str) -> str:
        """Return an address of content, which may be at any https server or at Graph's own host.

        :raise ServiceRefusedError: ``bad_answer``.
        """
        with suppress(ValueError):
            origin = get_origin(url if isinstance(url, str) else "")
            if origin[0] == "https" or origin[:2] == self._origin[:2]:
                return str(url)
        raise make_bad_answer(operation, mark("OneDrive sent an address that is not safe."))

    def sit_out_pause(self, budget: "WaitBudget", operation: str) -> None:
        """Wait while the account is paused.

        A random time is added, so that not all waiting calls are sent at the same moment.
        """
        while (left := self._access.get_pause()) > 0:
            error = make_busy(operation, retry_after_seconds=left)
            budget.spend(left + make_backoff(0, min(1.0, 0.1 * left)), error, "pause")

    def wait(
        self,
        budget: "WaitBudget",
        operation: str,
        attempt: int,
        response: requests.Response | None = None,
    ) -> ServiceBusyError:
        """Wait before the next attempt, after this answer or none.

        :return: the error, if there is no next attempt.
        """
        if response is None:  # not "if not response": that is true from status 400 on
            delay, error = self.make_delay(attempt), make_unreachable(operation)
        else:
            retry_after = response.headers.get("Retry-After")
            delay = self.make_delay(attempt, response.status_code, retry_after)
            error = make_busy(operation, retry_after_seconds=read_retry_after(response.headers))
        budget.spend(delay, error)
        return error

    def make_delay(self, attempt: int, status: int = 0, retry_after: str | None = None) -> float:
        """Return the seconds before the next attempt: Retry-After, or a backoff.

        A throttled answer also pauses all other calls of the account.
        """
        named = parse_retry_after(retry_after)
        delay = make_backoff(attempt, self._backoff_seconds) if named is None else named
        if status in _THROTTLED_STATUSES:
            self._access.set_pause(delay)
        return delay


class WaitBudget:
    """The time that one call may still wait."""

    def __init__(self, seconds: float) -> None:
        self._left = seconds

    def spend(self, seconds: float, error: ServiceBusyError, cause: str = "retry") -> None:
        """Wait, or raise ``error`` if that would take longer than allowed."""
        if seconds > self._left:
            log.warning("Cannot %s now: would have to wait %.1f s", error.operation, seconds)
            raise error
        self._left -= seconds
        metrics.count_graph_wait(cause, seconds)
        time.sleep(seconds)


def _find_retry_after(part: Mapping[str, Any]) -> str | None:
    """Return the header of one part of a batch's answer, case-insensitively."""
    headers = get_facet(part, "headers").items()
    return next((str(value) for name, value in headers if name.lower() == "retry-after"), None)


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
