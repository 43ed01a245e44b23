"""Subscriptions to a drive's change notifications through Microsoft Graph.

Source: Microsoft Graph v1.0, "subscription resource type", "Create subscription" and "Set up
notifications for changes in resource data". Of a drive only its root can be subscribed to with
every kind of account, and only to ``updated``; a notification does not say what changed.
"""

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

from imagehub.clients import Subscription
from imagehub.clients.graph_answers import (
    find_time,
    get_text,
    make_bad_answer,
    make_refusal,
    quote_id,
    read_json,
)
from imagehub.clients.graph_http import GraphCaller
from imagehub.errors import ConflictError, NotFoundError, ServiceRefusedError
from imagehub.messages import mark

_PATH = "/subscriptions"
_RESOURCE = "me/drive/root"
# The permissions are Files.ReadWrite, and Files.ReadWrite.All for drives of work accounts.
_TOO_LITTLE = mark(
    "OneDrive notifies only programs that may change files, and with work or school accounts only "
    "those that may change all files that the person can open."
)


class GraphSubscriptions:
    """Implements :class:`imagehub.clients.Subscriptions`."""

    def __init__(self, caller: GraphCaller) -> None:
        self._caller = caller

    def create(self, address: str, secret: str, expires_at: datetime) -> Subscription:
        operation = "subscribe to changes"
        body = {
            "changeType": "updated",
            "resource": _RESOURCE,
            "notificationUrl": address,
            "lifecycleNotificationUrl": address,
            "clientState": secret,
            "expirationDateTime": _write_time(expires_at),
        }
        try:
            try:
                answer = self._caller.send("POST", _PATH, operation, body=body)
            except ConflictError:
                # A request whose answer was lost, or whose address was forgotten, has created one.
                self._delete_own(address.rpartition("/")[0])
                answer = self._caller.send("POST", _PATH, operation, body=body)
        except ServiceRefusedError as error:
            if error.reason != "forbidden":
                raise
            raise make_refusal(operation, "forbidden", _TOO_LITTLE) from error
        return _read(read_json(answer, operation), operation)

    def renew(self, subscription_id: str, expires_at: datetime) -> Subscription:
        operation = "renew a subscription"
        body = {"expirationDateTime": _write_time(expires_at)}
        address = f"{_PATH}/{quote_id(subscription_id)}"
        answer = self._caller.send("PATCH", address, operation, subscription_id, body=body)
        return _read(read_json(answer, operation), operation)

    def delete(self, subscription_id: str) -> None:
        address = f"{_PATH}/{quote_id(subscription_id)}"
        with suppress(NotFoundError):
            self._caller.send("DELETE", address, "end a subscription", subscription_id)

    def _delete_own(self, place: str) -> None:
        """Delete the subscriptions with an address below ``place``, which is this hub."""
        document = self._caller.get_json(_PATH, "list subscriptions")
        found = document.get("value")
        for one in found if isinstance(found, list) else ():
            if isinstance(one, dict) and get_text(one, "notificationUrl").startswith(f"{place}/"):
                self.delete(get_text(one, "id"))


def _write_time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def _read(document: Mapping[str, Any], operation: str) -> Subscription:
    subscription_id = get_text(document, "id")
    expires_at = find_time(document.get("expirationDateTime"))
    if not subscription_id or expires_at is None:
        raise make_bad_answer(operation)
    return Subscription(subscription_id, expires_at)
