"""One way to call Microsoft Graph: waiting, trying again, and what its errors mean.

:class:`GraphCaller` knows HTTP and nothing of folders; :mod:`imagehub.clients.graph` and
:mod:`imagehub.clients.graph_boundary` know the drive and nothing of HTTP.

Sources: Microsoft Graph "Error responses and resource types", "Throttling guidance", "Best
practices"; the set of statuses worth another try is that of the rclone project.
"""

import json
import logging
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from importlib import metadata
from typing import Any
from urllib.parse import urlsplit

import requests

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
    ImageHubError,
    NotFoundError,
    ServiceBusyError,
    ServiceError,
    ServiceRefusedError,
)

logger = logging.getLogger(__name__)

SERVICE = "OneDrive"
PASSING_STATUSES = frozenset({429, 500, 502, 503, 504, 509})
_THROTTLED_STATUSES = frozenset({429, 503})
# After these the server may have done what it was asked before it failed to say so.
_UNSURE_STATUSES = frozenset({500, 502, 504})
MAX_ATTEMPTS = 8
# Source: Microsoft Graph, "Combine multiple HTTP requests using JSON batching".
MOST_IN_BATCH = 20


# What came of one of several documents.
Answer = dict[str, Any] | NotFoundError | ServiceError


class LostAnswerError(ServiceBusyError):
    """The request went out and no answer came back: it may have been carried out, or not."""


class GoneError(ServiceRefusedError):
    """What the address leads to is too old to be continued.

    :param location: where the service says to start anew; "" where it does not.
    """

    def __init__(self, operation: str, location: str) -> None:
        super().__init__(SERVICE, operation, "gone")
        self.location = location


def make_user_agent() -> str:
    """Decorated as Microsoft asks, so that the service can tell well-behaved programs apart.

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
    :param get_token: gives an access token; called with True it fetches a new one, because the
        service did not accept the last. Errors of its own pass through.
    :param get_pause: seconds for which no call of this account may go out.
    :param set_pause: asks for such a pause. Share both between processes to share the pause.
    :param max_wait_seconds: how long one call may wait in all, for pauses and between attempts.
    :param timeouts: seconds to connect, and seconds of silence while reading.
    :param backoff_seconds: upper end of the first wait where the service names none.
    :param session: a requests session to use instead of an own one.
    :param look_again: called at a 403: ``get_token`` shall believe nothing that it found before,
        because the owner may have allowed more just now.
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
        """GET and read a JSON object; see :meth:`send`."""
        response = self.send("GET", path, operation, key, params=params, headers=headers)
        return read_json(response, operation)

    def get_many(self, paths: Mapping[str, str], operation: str) -> dict[str, Answer]:
        """GET several documents with few calls: twenty go out at once, and each has an answer of
        its own. A part that is throttled waits as long as it is told and goes out again; any other
        part that fails, and all where the service takes no batch, is asked for alone.

        :param paths: what each is about, as in "not found" → its path below the base URL.
        :return: for each its JSON object, or why there is none. Where that is ServiceBusyError,
            nothing was asked for any more.
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
        """Add to ``found`` what came of at most twenty.

        :raise ServiceBusyError: no answer to those that are not in ``found``.
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
        """The parts of a batch's answer in the order of ``paths``, empty where there is none."""
        if len(paths) == 1:
            return [{}]
        asked = [
            {"id": str(number), "method": "GET", "url": path} for number, path in enumerate(paths)
        ]
        try:
            response = self.send("POST", "/$batch", operation, body={"requests": asked})
            parts = read_json(response, operation).get("responses")
        except (NotFoundError, ConflictError, ServiceRefusedError) as error:
            # By the documents, throttled parts may fail the whole batch with 424.
            logger.warning("A batch was refused, its parts go one by one: %s", error)
            parts = None
        # They come in any order.
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
            return _refuse(operation, "conflict", str(error))

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
        """Send one request until it is answered, refused, or has waited for too long.

        :param path: below the base URL, percent-encoded; or an address from Graph's own answers,
            which must lie on the same server because the token goes there.
        :param operation: verb phrase for errors and the log.
        :param key: what a "not found" is about.
        :param may_repeat: doing it twice does no harm. Where it is False, an attempt whose outcome
            is unknown ends in :class:`LostAnswerError`.
        :return: a response with a status below 400; redirects are not followed.
        :raise NotFoundError: 404.
        :raise ConflictError: 412, and 409 other than a taken name.
        :raise ConnectionLostError: Graph refuses a fresh token too.
        :raise GoneError: 410.
        :raise ServiceBusyError: throttled, down or not reached for longer than this call may wait.
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
                        "OneDrive does not accept this hub's access any more. It must be "
                        "connected again.",
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
            # Graph's best practices ask for a new connection after a 503.
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
            logger.warning(
                "Cannot %s: %s; client-request-id=%s", operation, type(error).__name__, request_id
            )
            raise
        finally:
            if session is not self._session:
                session.close()
        # The query stays out of the log: it may hold a page's token.
        logger.log(
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
        """A session like ours that has no open connections."""
        session = make_session()
        session.hooks, session.verify = self._session.hooks, self._session.verify
        session.proxies, session.cert = self._session.proxies, self._session.cert
        return session

    def check_address(self, path: str, operation: str) -> str:
        """The whole address of a path, or an address from Graph's answers as it is.

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
            "OneDrive's answer points to another server, and ImageHub does not follow it there.",
        )

    def sit_out_pause(self, budget: "WaitBudget", operation: str) -> None:
        """Wait while the account is paused, whoever asked for the pause.

        Everybody waits a little longer than told, each for another time, or all would come back
        in the same instant.
        """
        while (left := self._get_pause()) > 0:
            error = ServiceBusyError(SERVICE, operation, retry_after_seconds=left)
            budget.spend(left + make_backoff(0, min(1.0, 0.1 * left)), error)

    def make_delay(self, attempt: int, response: requests.Response | None = None) -> float:
        """Seconds to wait before the next attempt: what the service named, else a backoff.

        An answer that says "too many requests" also pauses all other calls of the account.
        """
        if response is None:  # one of status 400 and up counts as false
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
    """How long one call may still wait."""

    def __init__(self, seconds: float) -> None:
        self._left = seconds

    def spend(self, seconds: float, error: ServiceBusyError) -> None:
        """Wait, or raise ``error`` at once where that would be longer than allowed."""
        if seconds > self._left:
            logger.warning("Cannot %s now: %.1f s are too long to wait", error.operation, seconds)
            raise error
        self._left -= seconds
        time.sleep(seconds)


# --- Reading answers ------------------------------------------------------------------------------


def read_json(response: requests.Response, operation: str) -> dict[str, Any]:
    """:raise ServiceRefusedError: ``bad_answer``, the answer is no JSON object."""
    try:
        document = json.loads(response.content)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise make_bad_answer_error(operation)
    return document


def _find_retry_after(part: Mapping[str, Any]) -> str | None:
    """The header of one part of a batch's answer, however its name is written."""
    headers = part.get("headers")
    for name, value in headers.items() if isinstance(headers, dict) else ():
        if name.lower() == "retry-after":
            return str(value)
    return None


def make_bad_answer_error(operation: str) -> ServiceRefusedError:
    return ServiceRefusedError(
        SERVICE, operation, "bad_answer", "OneDrive gave an answer that cannot be read."
    )


def read_error_codes(response: requests.Response) -> tuple[str, ...]:
    """Graph's error codes in lower case, the general one first, then those nested inside it."""
    try:
        document = json.loads(response.content)
    except ValueError:
        return ()
    return tuple(_iter_codes(document.get("error") if isinstance(document, dict) else None))


def _iter_codes(error: object) -> Iterator[str]:
    for _ in range(10):
        if not isinstance(error, dict):
            return
        if isinstance(error.get("code"), str):
            yield error["code"].lower()[:80]
        # The documentation and the service differ in how they write this name.
        error = error.get("innerError", error.get("innererror"))


# Graph's code → our reason and sentence. The most specific code of an answer decides.
_REASONS = {
    "namealreadyexists": ("name_taken", "There is already something of that name."),
    "quotalimitreached": ("quota_full", "This OneDrive is full."),
    "insufficientquota": ("quota_full", "This OneDrive is full."),
    "malwaredetected": ("malware", "OneDrive holds this file for infected and does not give it."),
    "virusinfected": ("malware", "OneDrive holds this file for infected and does not give it."),
    "pathistoolong": ("path_too_long", "The name together with its folders is too long."),
    "invalidpath": ("forbidden_name", "OneDrive does not accept this name."),
    "notsupported": ("not_supported", "OneDrive cannot do this with such an item."),
    "resourcelocked": ("locked", "Somebody has this item open or locked. Try again later."),
    "upload_in_progress": ("locked", "An upload of that name is under way already."),
}


def make_error(
    status: int, codes: tuple[str, ...], text: str, operation: str, key: object
) -> ImageHubError:
    """The error of ours for an answer of Graph's that will not pass by waiting."""
    if status == 404 or (status == 400 and "itemnotfound" in codes):
        return NotFoundError("drive item", key)
    # Documents say resourceModified, the service has been seen to say notAllowed.
    if status == 412:
        return ConflictError("The item was changed in OneDrive in the meantime.")
    # Documents say 423 Locked, the service has been seen to say accessDenied with it.
    if status == 423:
        return _refuse(operation, *_REASONS["resourcelocked"])
    for code in reversed(codes):
        if code in _REASONS:
            return _refuse(operation, *_REASONS[code])
    # The only thing by which the Personal Vault can be told.
    if status == 400 and "objecthandle is invalid" in text.lower():
        return _refuse(
            operation,
            "vault",
            "The Personal Vault can be opened by its owner only, not by other programs.",
        )
    if status == 409:
        return ConflictError("OneDrive is busy with another change of this item.")
    if status == 403:
        return _refuse(operation, "forbidden", "OneDrive does not permit this.")
    if status == 507:
        return _refuse(operation, *_REASONS["quotalimitreached"])
    if status in (405, 501):
        return _refuse(operation, *_REASONS["notsupported"])
    return _refuse(operation, "bad_request", f"OneDrive refused to {operation}.")


def _refuse(operation: str, reason: str, message: str) -> ServiceRefusedError:
    return ServiceRefusedError(SERVICE, operation, reason, message)


def make_busy_error(operation: str, response: requests.Response) -> ServiceBusyError:
    """Try again: when the service said so, else in half a minute."""
    named = parse_retry_after(response.headers.get("Retry-After"))
    return ServiceBusyError(
        SERVICE, operation, retry_after_seconds=30.0 if named is None else named
    )


def make_unreachable_error(operation: str) -> ServiceBusyError:
    return ServiceBusyError(
        SERVICE, operation, "OneDrive cannot be reached just now. Please try again later."
    )


def _was_never_sent(error: requests.RequestException) -> bool:
    """Whether the connection failed before a request could have gone out."""
    if isinstance(error, requests.ConnectTimeout):
        return True
    reason = error.args[0] if error.args else None
    return type(getattr(reason, "reason", None)).__name__ in (
        "NewConnectionError",
        "NameResolutionError",
        "ConnectTimeoutError",
    )
