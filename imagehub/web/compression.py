"""Compress responses that hold no secret."""

import gzip
from functools import lru_cache
from typing import Any

from flask import Response, g, request

from imagehub.web.access import is_signed_in

# The headers of compression make smaller answers larger.
SMALLEST_TO_COMPRESS_BYTES = 500
COMPRESSIBLE = frozenset(
    {
        "application/atom+xml",
        "application/json",
        "application/manifest+json",
        "application/xml",
        "image/svg+xml",
        "text/css",
        "text/html",
        "text/javascript",
        "text/plain",
    }
)


def compress(response: Response, view: Any) -> None:
    """Compress public JSON, static files, and pages that are not private.

    Answers that contain a secret stay uncompressed: an attacker who can put text into a request
    could guess the secret by the compressed size (BREACH). Pages with a form contain a CSRF token,
    and answers to a signed-in admin contain private data.
    """
    if (
        response.mimetype not in COMPRESSIBLE
        or response.status_code != 200
        or "Content-Encoding" in response.headers
    ):
        return
    is_file = request.endpoint in ("static", "web.send_asset")
    if is_file:
        response.direct_passthrough = False
    elif getattr(view, "is_api", False):
        if response.cache_control.no_store:
            return
    elif "csrf_token" in g or is_signed_in():
        return
    if response.is_streamed and not is_file:
        return
    response.vary.add("Accept-Encoding")
    if request.method == "HEAD" or not request.accept_encodings["gzip"]:
        return
    data = response.get_data()
    if len(data) < SMALLEST_TO_COMPRESS_BYTES:
        return
    # Files are compressed once, so as small as possible; other answers quickly.
    packed = _pack_file(data) if is_file else gzip.compress(data, 5, mtime=0)
    response.set_data(packed)
    response.headers["Content-Encoding"] = "gzip"
    response.headers.pop("Accept-Ranges", None)
    tag, _ = response.get_etag()
    if tag is not None:  # The same content in other bytes.
        response.set_etag(tag, weak=True)


@lru_cache(maxsize=64)
def _pack_file(data: bytes) -> bytes:
    return gzip.compress(data, 9, mtime=0)
