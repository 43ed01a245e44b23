"""Read the answers of Microsoft Graph: drives, items, and errors with sentences for people.

Sources: Microsoft Graph v1.0, "Working with files", "Error responses and resource types".
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import requests

from imagehub.clients import DriveInfo, DriveItem, Quota
from imagehub.clients.http import DEFAULT_RETRY_SECONDS
from imagehub.errors import (
    ConflictError,
    ImageHubError,
    NotFoundError,
    ServiceBusyError,
    ServiceRefusedError,
)
from imagehub.messages import mark

PASSING_STATUSES = frozenset({429, 500, 502, 503, 504, 509})
SERVICE = "OneDrive"
_MAX_ID_CHARS = 400
_QUOTA_FULL = mark("This OneDrive is full.")
_NOT_SUPPORTED = mark("OneDrive does not support this for this item.")
_LOCKED = mark("This item is open or locked in another program. Try again later.")
MALWARE = mark("OneDrive considers this file infected and blocks its download.")
_UNREADABLE = mark("OneDrive sent a response that could not be read.")
_UNREACHABLE = mark("OneDrive cannot be reached at the moment. Please try again later.")
_SPECIAL_CHARACTERS = mark(
    "OneDrive does not accept this name. The organisation may have forbidden # and % in names: "
    "use another name, or ask its administrator to allow them."
)

# Graph's code → our reason and sentence. The most specific code of an answer decides.
_REASONS = {
    "namealreadyexists": ("name_taken", mark("This name is already taken.")),
    "quotalimitreached": ("quota_full", _QUOTA_FULL),
    "insufficientquota": ("quota_full", _QUOTA_FULL),
    "malwaredetected": ("malware", MALWARE),
    "virusinfected": ("malware", MALWARE),
    "pathistoolong": ("path_too_long", mark("The name and its folders together are too long.")),
    "invalidpath": ("forbidden_name", mark("OneDrive does not accept this name.")),
    "notsupported": ("not_supported", _NOT_SUPPORTED),
    "resourcelocked": ("locked", _LOCKED),
    # Source: Microsoft Graph, "Set up notifications for changes in resource data".
    "validationerror": (
        "no_answer",
        mark("Microsoft got no valid response from ImageHub’s public address."),
    ),
    "upload_in_progress": ("locked", mark("A file with this name is already being uploaded.")),
}


# --- Drives and items -----------------------------------------------------------------------------


def read_drive(document: Mapping[str, Any], operation: str) -> DriveInfo:
    if not isinstance(document.get("id"), str):
        raise make_bad_answer(operation)
    quota = get_facet(document, "quota")
    total, used = _find_number(quota, "total"), _find_number(quota, "used")
    remaining = _find_number(quota, "remaining")
    if used is None and total is not None and remaining is not None:
        used = max(0, total - remaining)  # "used" is missing in the documentation's sample
    return DriveInfo(
        id=document["id"],
        kind=get_text(document, "driveType") or "business",
        quota=Quota(total, used, get_text(quota, "state") or "normal"),
    )


def read_item(document: object, operation: str) -> DriveItem:
    """:raise ServiceRefusedError: ``bad_answer``, not the shape of an item."""
    if not isinstance(document, dict) or not isinstance(document.get("id"), str):
        raise make_bad_answer(operation)
    times = get_facet(document, "fileSystemInfo")
    file, image = get_facet(document, "file"), get_facet(document, "image")
    is_remote = "remoteItem" in document
    is_folder = "folder" in document and not is_remote
    created, modified = "createdDateTime", "lastModifiedDateTime"
    return DriveItem(
        id=document["id"],
        name=get_text(document, "name"),
        is_folder=is_folder,
        size_bytes=_find_number(document, "size") or 0,
        created_time=get_text(document, created) or get_text(times, created),
        modified_time=get_text(document, modified) or get_text(times, modified),
        parent_id=get_parent_id(document),
        mime_type=get_text(file, "mimeType"),
        etag=get_text(document, "eTag"),
        ctag=get_text(document, "cTag"),
        quick_xor_hash=get_text(get_facet(file, "hashes"), "quickXorHash"),
        child_count=_find_number(get_facet(document, "folder"), "childCount") or 0,
        width_px=_find_number(image, "width") or 0,
        height_px=_find_number(image, "height") or 0,
        # Notebooks, shortcuts into another drive, and everything else that is neither file nor
        # folder are shown but cannot be opened or downloaded.
        is_package="package" in document or is_remote or not (is_folder or "file" in document),
        is_deleted="deleted" in document,
        raw=_drop_secrets(document),
    )


def _drop_secrets(document: Mapping[str, Any]) -> dict[str, Any]:
    """Remove download addresses: whoever has one can download the file."""
    return {
        name: _drop_secrets(value) if isinstance(value, dict) else value
        for name, value in document.items()
        if not name.lower().endswith("downloadurl")
    }


def read_items(document: Mapping[str, Any], operation: str) -> list[DriveItem]:
    """Read the items of a page, without the Personal Vault."""
    entries = document.get("value")
    if not isinstance(entries, list):
        raise make_bad_answer(operation)
    return [
        read_item(entry, operation)
        for entry in entries
        if get_text(get_facet(entry, "specialFolder"), "name").lower() != "vault"
    ]


def get_parent_id(item: Mapping[str, Any]) -> str:
    return get_text(get_facet(item, "parentReference"), "id")


def get_facet(document: object, name: str) -> dict[str, Any]:
    value = document.get(name) if isinstance(document, dict) else None
    return value if isinstance(value, dict) else {}


def get_text(document: Mapping[str, Any], name: str) -> str:
    value = document.get(name)
    return value if isinstance(value, str) else ""


def _find_number(document: Mapping[str, Any], name: str) -> int | None:
    value = document.get(name)
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def find_time(value: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value if isinstance(value, str) else "")
    except ValueError:
        return None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def quote_id(item_id: str) -> str:
    """Quote an id as one segment of an address.

    :raise NotFoundError: it cannot be an id; dots would lead to the parent.
    """
    if not 0 < len(item_id) <= _MAX_ID_CHARS or item_id in (".", "..") or not item_id.isprintable():
        raise NotFoundError("drive item", item_id[:_MAX_ID_CHARS])
    return quote(item_id, safe="!")


# --- Answers and errors ---------------------------------------------------------------------------


def read_json(response: requests.Response, operation: str) -> dict[str, Any]:
    """Read the JSON object of an answer.

    :raise ServiceRefusedError: ``bad_answer``, the answer is not a JSON object.
    """
    document = _find_object(response)
    if document is None:
        raise make_bad_answer(operation)
    return document


def _find_object(response: requests.Response) -> dict[str, Any] | None:
    with suppress(ValueError):
        document = json.loads(response.content)
        if isinstance(document, dict):
            return document
    return None


def read_error_codes(response: requests.Response) -> list[str]:
    """Return Graph's error codes in lower case, the most general first."""
    codes: list[str] = []
    error = (_find_object(response) or {}).get("error")
    while isinstance(error, dict) and len(codes) < 10:
        codes.append(get_text(error, "code").lower()[:80])
        # Documentation and service differ in the spelling of this name.
        error = error.get("innerError", error.get("innererror"))
    return [code for code in codes if code]


def make_error(
    status: int, codes: list[str], text: str, operation: str, key: object
) -> ImageHubError:
    """Return the error for an answer that will not change by waiting."""
    if status == 404 or (status == 400 and "itemnotfound" in codes):
        return NotFoundError("drive item", key)
    # The documentation says resourceModified, the service sometimes notAllowed.
    if status == 412:
        return ConflictError("The item was changed in OneDrive in the meantime.")
    # The documentation says 423 Locked, the service sometimes adds accessDenied.
    if status == 423:
        return make_refusal(operation, "locked", _LOCKED)
    for code in reversed(codes):
        if code in _REASONS:
            return make_refusal(operation, *_REASONS[code])
    # Nothing else identifies the Personal Vault.
    if status == 400 and "objecthandle is invalid" in text.lower():
        return make_refusal(operation, "vault", mark("Only its owner can open the Personal Vault."))
    if status == 409:
        return ConflictError("OneDrive is busy with another change to this item.")
    if status == 403:
        return make_refusal(operation, "forbidden", mark("OneDrive does not permit this."))
    if status == 507:
        return make_refusal(operation, "quota_full", _QUOTA_FULL)
    if status in (405, 501):
        return make_refusal(operation, "not_supported", _NOT_SUPPORTED)
    return make_refusal(operation, "bad_request")


def make_refusal(operation: str, reason: str, sentence: str = "") -> ServiceRefusedError:
    return ServiceRefusedError(SERVICE, operation, reason, sentence)


@contextmanager
def explain_refused_name(name: str) -> Iterator[None]:
    """Say of a refused name with # or % that the organisation may forbid these characters.

    Source: "Restrictions and limitations in OneDrive and SharePoint": allowed unless switched off.
    """
    try:
        yield
    except ServiceRefusedError as error:
        if error.reason != "forbidden_name" or {"#", "%"}.isdisjoint(name):
            raise
        raise make_refusal(error.operation, error.reason, _SPECIAL_CHARACTERS) from error


def make_bad_answer(operation: str, sentence: str = _UNREADABLE) -> ServiceRefusedError:
    """Return the error for an answer that is not what the documentation describes."""
    return make_refusal(operation, "bad_answer", sentence)


def make_busy(
    operation: str, sentence: str = "", retry_after_seconds: float = DEFAULT_RETRY_SECONDS
) -> ServiceBusyError:
    return ServiceBusyError(SERVICE, operation, sentence, retry_after_seconds)


def make_unreachable(operation: str) -> ServiceBusyError:
    return make_busy(operation, _UNREACHABLE)
