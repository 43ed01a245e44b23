"""Turn the error answers of Microsoft Graph into errors with sentences for people.

Source: Microsoft Graph, "Error responses and resource types".
"""

import json
from collections.abc import Iterator
from typing import Any

import requests

from imagehub.clients.http import read_retry_after
from imagehub.errors import (
    ConflictError,
    ImageHubError,
    NotFoundError,
    ServiceBusyError,
    ServiceRefusedError,
)
from imagehub.messages import mark

SERVICE = "OneDrive"
PASSING_STATUSES = frozenset({429, 500, 502, 503, 504, 509})
MALWARE = mark("OneDrive considers this file infected and blocks its download.")
_NAME_TAKEN = mark("This name is already taken.")
_QUOTA_FULL = mark("This OneDrive is full.")
_NOT_SUPPORTED = mark("OneDrive does not support this for this item.")
_LOCKED = mark("This item is open or locked in another program. Try again later.")

# Graph's code → our reason and sentence. The most specific code of an answer decides.
_REASONS = {
    "namealreadyexists": ("name_taken", _NAME_TAKEN),
    "quotalimitreached": ("quota_full", _QUOTA_FULL),
    "insufficientquota": ("quota_full", _QUOTA_FULL),
    "malwaredetected": ("malware", MALWARE),
    "virusinfected": ("malware", MALWARE),
    "pathistoolong": ("path_too_long", mark("The name and its folders together are too long.")),
    "invalidpath": ("forbidden_name", mark("OneDrive does not accept this name.")),
    "notsupported": ("not_supported", _NOT_SUPPORTED),
    "resourcelocked": ("locked", _LOCKED),
    "upload_in_progress": ("locked", mark("A file with this name is already being uploaded.")),
}


def read_json(response: requests.Response, operation: str) -> dict[str, Any]:
    """Read the JSON object of an answer.

    :raise ServiceRefusedError: ``bad_answer``, the answer is not a JSON object.
    """
    try:
        document = json.loads(response.content)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise make_bad_answer_error(operation)
    return document


def read_error_codes(response: requests.Response) -> tuple[str, ...]:
    """Return Graph's error codes in lower case, the most general first."""
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
        # Documentation and service differ in the spelling of this name.
        error = error.get("innerError", error.get("innererror"))


def make_error(
    status: int, codes: tuple[str, ...], text: str, operation: str, key: object
) -> ImageHubError:
    """Return the error for an answer that will not change by waiting."""

    def refuse(reason: str, sentence: str = "") -> ServiceRefusedError:
        return ServiceRefusedError(SERVICE, operation, reason, sentence)

    if status == 404 or (status == 400 and "itemnotfound" in codes):
        return NotFoundError("drive item", key)
    # The documentation says resourceModified, the service sometimes notAllowed.
    if status == 412:
        return ConflictError("The item was changed in OneDrive in the meantime.")
    # The documentation says 423 Locked, the service sometimes adds accessDenied.
    if status == 423:
        return refuse("locked", _LOCKED)
    for code in reversed(codes):
        if code in _REASONS:
            return refuse(*_REASONS[code])
    # Nothing else identifies the Personal Vault.
    if status == 400 and "objecthandle is invalid" in text.lower():
        return refuse("vault", mark("Only its owner can open the Personal Vault."))
    if status == 409:
        return ConflictError("OneDrive is busy with another change to this item.")
    if status == 403:
        return refuse("forbidden", mark("OneDrive does not permit this."))
    if status == 507:
        return refuse("quota_full", _QUOTA_FULL)
    if status in (405, 501):
        return refuse("not_supported", _NOT_SUPPORTED)
    return refuse("bad_request")


def make_bad_answer_error(operation: str) -> ServiceRefusedError:
    """Return the error for an answer that is not what the documentation describes."""
    return ServiceRefusedError(
        SERVICE, operation, "bad_answer", mark("OneDrive sent a response that could not be read.")
    )


def make_busy_error(operation: str, response: requests.Response) -> ServiceBusyError:
    """Return the error for a throttled or failed request, with the wait to keep."""
    return ServiceBusyError(
        SERVICE, operation, retry_after_seconds=read_retry_after(response.headers)
    )


def make_unreachable_error(operation: str) -> ServiceBusyError:
    return ServiceBusyError(
        SERVICE,
        operation,
        mark("OneDrive cannot be reached at the moment. Please try again later."),
    )
