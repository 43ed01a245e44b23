"""Presigned GET addresses with Signature Version 4, computed here because a page needs dozens.

All addresses of a time window differ only in the key; everything else is computed once.

Source: Amazon S3 API reference, "Authenticating Requests: Using Query Parameters (AWS Signature
Version 4)".
"""

import hashlib
import hmac
from datetime import UTC, datetime
from functools import lru_cache, reduce
from urllib.parse import quote, urlsplit

_ALGORITHM = "AWS4-HMAC-SHA256"
# X-Amz-Expires is at most 604,800 seconds (7 days), and an address is valid for two windows.
_LONGEST_WINDOW_SECONDS = 604_800 // 2
# Cached addresses, about 600 bytes each.
KEPT_URL_COUNT = 4096


class WindowSigner:
    """Signs addresses of one bucket that stay the same for a window of time.

    Windows start at multiples of their length since 1970 (UTC), so all processes agree on them.

    :param base_url: the part before the key, with the slash: ``https://host/bucket/``.
    :param window_seconds: 1 to 302,400; an address is valid for two windows from the start of its
        own.
    :param signed_path: the path of ``base_url`` that the server receives, if a proxy removes the
        beginning of it.
    :raise ValueError: the window is outside these limits.
    """

    def __init__(
        self,
        base_url: str,
        access_key_id: str,
        secret_access_key: str,
        region: str,
        window_seconds: int,
        signed_path: str = "",
    ) -> None:
        if not 1 <= window_seconds <= _LONGEST_WINDOW_SECONDS:
            raise ValueError(
                f"The presign window must be 1 to {_LONGEST_WINDOW_SECONDS} seconds: an address is "
                "valid for two windows, and S3 allows 7 days."
            )
        self.base_url = base_url
        self.access_key_id = access_key_id
        self.secret_access_key = secret_access_key
        self.region = region
        self.window_seconds = window_seconds
        self.signed_path = signed_path or urlsplit(base_url).path
        self._window = _Window(self, 0)

    def sign(self, key: str, seconds: float) -> str:
        """Return the address of an object at a time in seconds since 1970."""
        start = int(seconds // self.window_seconds) * self.window_seconds
        # Read once: another thread may replace it with the next window.
        window = self._window
        if window.start != start:
            window = self._window = _Window(self, start)
        return window.sign(key)


class _Window:
    """The common parts of all addresses of one window."""

    def __init__(self, signer: WindowSigner, start: int) -> None:
        self.start = start
        self.sign = lru_cache(KEPT_URL_COUNT)(self._sign)
        moment = datetime.fromtimestamp(max(start, 0), UTC)
        timestamp = f"{moment:%Y%m%dT%H%M%SZ}"
        scope = f"{moment:%Y%m%d}/{signer.region}/s3/aws4_request"
        seconds = signer.window_seconds
        cache_control = quote(f"public, max-age={seconds}, immutable", safe="")
        credential = quote(f"{signer.access_key_id}/{scope}", safe="-_.~")
        parameters = (
            f"X-Amz-Algorithm={_ALGORITHM}&X-Amz-Credential={credential}&X-Amz-Date={timestamp}"
            f"&X-Amz-Expires={2 * seconds}&X-Amz-SignedHeaders=host"
        )
        # Signed in the order of the names, capital letters first.
        self._canonical_rest = (
            f"\n{parameters}&response-cache-control={cache_control}\n"
            f"host:{_make_host_header(signer.base_url)}\n\nhost\nUNSIGNED-PAYLOAD"
        )
        self._query = f"?response-cache-control={cache_control}&{parameters}&X-Amz-Signature="
        self._base_url, self._signed_path = signer.base_url, signer.signed_path
        self._string_to_sign_start = f"{_ALGORITHM}\n{timestamp}\n{scope}\n"
        self._signing_key = reduce(
            lambda derived, part: hmac.digest(derived, part.encode(), "sha256"),
            scope.split("/"),
            b"AWS4" + signer.secret_access_key.encode(),
        )

    def _sign(self, key: str) -> str:
        path = quote(key, safe="/~")
        request = f"GET\n{self._signed_path}{path}{self._canonical_rest}"
        text = self._string_to_sign_start + hashlib.sha256(request.encode()).hexdigest()
        signature = hmac.digest(self._signing_key, text.encode(), "sha256").hex()
        return f"{self._base_url}{path}{self._query}{signature}"


def _make_host_header(url: str) -> str:
    """Return the Host header that a browser sends, which omits the default port."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if ":" in host:
        host = f"[{host}]"
    is_default = parts.port in (None, {"http": 80, "https": 443}.get(parts.scheme))
    return host if is_default else f"{host}:{parts.port}"
