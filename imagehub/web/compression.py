"""Compress responses that hold no secret."""

import gzip
from functools import lru_cache
from typing import Any

from flask import (
    Response,
    g,
    request,
)

from imagehub.web.access import is_signed_in

# Smaller answers grow by the headers that compression needs.
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
    """gzip for answers that hold no secret: public JSON, static files, pages for strangers.

    An answer with a secret in it stays as it is: its compressed size would tell somebody who can
    put text into the request which guesses of the secret were right (BREACH). A page with a form
    holds its CSRF token, an answer to a signed-in admin whatever the admin may see.
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
    # A file is packed once as small as can be; an answer made for this request quickly.
    packed = _pack_file(data) if is_file else gzip.compress(data, 5, mtime=0)
    response.set_data(packed)
    response.headers["Content-Encoding"] = "gzip"
    response.headers.pop("Accept-Ranges", None)
    tag, _ = response.get_etag()
    if tag is not None:  # The bytes differ from the plain ones; what they say does not.
        response.set_etag(tag, weak=True)


@lru_cache(maxsize=64)
def _pack_file(data: bytes) -> bytes:
    return gzip.compress(data, 9, mtime=0)
