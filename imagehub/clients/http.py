"""What the clients that speak HTTP share: sessions, time limits, Retry-After, backoff, pauses."""

import logging
import random
import threading
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.cookiejar import DefaultCookiePolicy
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase

# urllib3 writes whole addresses at DEBUG, and OneDrive's download and upload addresses carry a
# signature that lets anybody in.
logging.getLogger("urllib3.connectionpool").setLevel(logging.INFO)


class BearerAuth(AuthBase):
    """Send an access token. As an auth object it also keeps a ``.netrc`` file from replacing it."""

    def __init__(self, token: str) -> None:
        self._token = token.strip()

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class NoAuth(AuthBase):
    """Send no credentials at all, not even those of a ``.netrc`` file."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers.pop("Authorization", None)
        return request


class Pause:
    """When an account may be called again: in memory, shared by the threads of one process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._until = 0.0

    def get(self) -> float:
        """Seconds still to wait, 0 when there is nothing to wait for."""
        with self._lock:
            return max(0.0, self._until - time.monotonic())

    def set(self, seconds: float) -> None:
        """Pause for at least ``seconds`` from now; a longer pause that is running stays."""
        with self._lock:
            self._until = max(self._until, time.monotonic() + seconds)


def make_session(user_agent: str = "", pool_size: int = 16) -> requests.Session:
    """A session for many threads. It never retries by itself: only its user knows if it may."""
    session = requests.Session()
    adapter = HTTPAdapter(pool_connections=pool_size, pool_maxsize=pool_size, max_retries=0)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    # One session serves several accounts; a cookie of one must not travel with another.
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    if user_agent:
        session.headers["User-Agent"] = user_agent
    return session


def parse_retry_after(value: str | None, now: datetime | None = None) -> float | None:
    """Seconds named by a Retry-After header, or None where it is absent or cannot be read.

    Both forms of RFC 9110 section 10.2.3 are read, seconds and HTTP-date, and fractions of a
    second too, because Graph's own sample sends ``2.128``.
    """
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            moment = parsedate_to_datetime(value)
        except ValueError:
            return None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        seconds = (moment - (now or datetime.now(UTC))).total_seconds()
    if not seconds < float("inf"):  # also refuses "nan"
        return None
    return max(0.0, seconds)


def make_backoff(attempt: int, base_seconds: float, cap_seconds: float = 60.0) -> float:
    """Seconds to wait after failure number ``attempt`` (from 0): exponential, with full jitter."""
    return random.uniform(0.0, min(cap_seconds, base_seconds * 2.0**attempt))  # noqa: S311 - spread


def get_origin(url: str) -> tuple[str, str, int]:
    """(scheme, host, port) of an address, in lower case and with the port made explicit.

    :raise ValueError: no absolute http or https address.
    """
    parts = urlsplit(url)
    scheme = parts.scheme.lower()
    if scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("not an absolute http address")
    return scheme, parts.hostname.lower(), parts.port or (443 if scheme == "https" else 80)
