"""HTTP helpers of the clients: sessions, Retry-After, backoff."""

import logging
import random
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.cookiejar import DefaultCookiePolicy
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase

# urllib3 logs whole addresses at DEBUG, and whoever has a download or upload address of OneDrive
# can use it.
logging.getLogger("urllib3.connectionpool").setLevel(logging.INFO)

DEFAULT_RETRY_SECONDS = 30.0


class BearerAuth(AuthBase):
    """Send an access token; as an auth object, so that a ``.netrc`` file does not replace it."""

    def __init__(self, token: str) -> None:
        self._token = token.strip()

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class NoAuth(AuthBase):
    """Send no credentials, not even those of a ``.netrc`` file."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers.pop("Authorization", None)
        return request


def make_session(user_agent: str = "") -> requests.Session:
    """Return a session for many threads that never retries by itself."""
    session = requests.Session()
    adapter = HTTPAdapter(pool_connections=16, pool_maxsize=16, max_retries=0)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    # Several accounts share a session; cookies of one must not be sent with another.
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    if user_agent:
        session.headers["User-Agent"] = user_agent
    return session


def parse_http_date(value: str | None) -> datetime | None:
    """Parse the date of a header (RFC 9110 section 5.6.7); aware, None if it cannot be read."""
    try:
        moment = parsedate_to_datetime(value or "")
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def parse_retry_after(value: str | None, now: datetime | None = None) -> float | None:
    """Return the seconds of a Retry-After header, None if it is missing or cannot be read.

    Reads both forms of RFC 9110 section 10.2.3, seconds and HTTP-date, and also fractions of a
    second: Graph's own sample sends ``2.128``.
    """
    try:
        seconds = float(value or "")
    except ValueError:
        moment = parse_http_date(value)
        if moment is None:
            return None
        seconds = (moment - (now or datetime.now(UTC))).total_seconds()
    if not seconds < float("inf"):  # also refuses "nan"
        return None
    return max(0.0, seconds)


def read_retry_after(headers: Mapping[str, str]) -> float:
    """Return the seconds of an answer's Retry-After header, or half a minute.

    :param headers: case-insensitive, or with names in lower case.
    """
    seconds = parse_retry_after(headers.get("retry-after"))
    return DEFAULT_RETRY_SECONDS if seconds is None else seconds


def make_backoff(attempt: int, base_seconds: float, cap_seconds: float = 60.0) -> float:
    """Return the seconds to wait after attempt 0, 1, …: exponential with full jitter."""
    return random.uniform(0.0, min(cap_seconds, base_seconds * 2.0**attempt))  # noqa: S311 - spread


def get_origin(url: str) -> tuple[str, str, int]:
    """Return (scheme, host, port) of an address, in lower case and with the port.

    :raise ValueError: not an absolute http or https address.
    """
    parts = urlsplit(url)
    scheme = parts.scheme.lower()
    if scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("not an absolute http address")
    return scheme, parts.hostname.lower(), parts.port or (443 if scheme == "https" else 80)
