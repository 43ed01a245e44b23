"""Fetch the thumbnails and previews that OneDrive draws of files.

Source: Microsoft Graph v1.0, "List thumbnails for a driveItem".
"""

import logging
from contextlib import suppress

from imagehub.clients.graph_answers import SERVICE, get_facet, get_text, make_bad_answer
from imagehub.clients.graph_boundary import make_address
from imagehub.clients.graph_bytes import ByteReader, ExpiredAddressError
from imagehub.clients.graph_http import GraphCaller
from imagehub.errors import InvalidInputError, NotFoundError, ServiceRefusedError

log = logging.getLogger(__name__)

_MAX_BYTES = 10_000_000
_SIZES = ("small", "medium", "large")
# A custom size fits into this box. A service that does not know it sends the usual sizes.
_PREVIEW_SIZES = ("c1920x1920", "large")


def fetch_thumbnail(
    caller: GraphCaller, reader: ByteReader, item_id: str, size: str
) -> tuple[bytes, str] | None:
    """Fetch a thumbnail, see :meth:`imagehub.clients.Drive.fetch_thumbnail`.

    :param item_id: of an item inside the root folder.
    """
    if size not in _SIZES:
        raise InvalidInputError("There is no such size.", {"size": "small, medium or large"})
    found = _fetch_first(caller, reader, item_id, "fetch a thumbnail", size)
    return (found[0], found[1] or "image/jpeg") if found else None


def fetch_preview(caller: GraphCaller, reader: ByteReader, item_id: str) -> bytes | None:
    """Fetch a preview, see :meth:`imagehub.clients.Drive.fetch_preview`.

    :param item_id: of an item inside the root folder.
    """
    try:
        found = _fetch_first(caller, reader, item_id, "fetch a preview", *_PREVIEW_SIZES)
    except ServiceRefusedError as error:
        # An error (406, 415 …) is another way to say that there is no preview.
        if error.service != SERVICE:
            raise
        log.info("OneDrive sends no preview: %s", error)
        return None
    return (found[0] or None) if found else None


def _fetch_first(
    caller: GraphCaller, reader: ByteReader, item_id: str, operation: str, *sizes: str
) -> tuple[bytes, str] | None:
    """Fetch the first of these sizes that there is: (bytes, content type)."""
    for _ in range(2):
        url = _find_url(caller, item_id, operation, *sizes)
        if not url:
            return None
        with suppress(ExpiredAddressError):
            return reader.read_small(url, _MAX_BYTES, operation)
    return None


def _find_url(caller: GraphCaller, item_id: str, operation: str, *sizes: str) -> str:
    """Return the address of the first of these sizes that there is, else ""."""
    address = make_address(item_id) + "/thumbnails"
    wanted = {"select": ",".join(sizes)}
    try:
        document = caller.get_json(address, operation, item_id, params=wanted)
    except NotFoundError:
        return ""
    sets = document.get("value")
    if not isinstance(sets, list):
        raise make_bad_answer(operation)
    urls = (get_text(get_facet(thumbnails, size), "url") for size in sizes for thumbnails in sets)
    return next(filter(None, urls), "")
