"""Change notifications: subscriptions to the drive, and the messages sent for them.

A subscription stores the number of the last change it reported, so nothing is lost while the
emulator or the receiver is down.
"""

import json
import secrets
import threading
from contextlib import suppress
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from ipaddress import ip_address
from time import monotonic, time
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from .faults import Faults
from .items import Account, make_trace_id, parse_time
from .server import Refusal, Request, Response, answer_json
from .state import State
from .tree import Tree

_LONGEST_MINUTES = 42_300
_SHORTEST_MINUTES = 45
_HANDSHAKE_SECONDS = 10.0
_GATHER_SECONDS = 0.3
_LOOK_SECONDS = 2.0
_FIRST_RETRY_SECONDS = 2.0
_LAST_RETRY_SECONDS = 300.0
LIFECYCLE_EVENTS = ("reauthorizationRequired", "subscriptionRemoved", "missed")
# The field of a stored subscription that must be reauthorized.
_UNAUTHORIZED = "_unauthorized"


def _post(url: str, body: bytes, content_type: str) -> tuple[int, str, bytes]:
    """Send a POST request.

    :return: status, content type and body.
    :raise OSError, HTTPException: no answer in time.
    """
    parts = urlsplit(url)
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=_HANDSHAKE_SECONDS)
    try:
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        headers = {"Content-Type": content_type, "User-Agent": "OneDrive-Emulator"}
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.getheader("Content-Type", ""), answer.read(65_536)
    finally:
        connection.close()


class Subscriptions:
    """The subscriptions, and the thread that sends their notifications."""

    def __init__(self, tree: Tree, state: State, account: Account, faults: Faults) -> None:
        self.tree = tree
        self.state = state
        self.account = account
        self.faults = faults
        self._stopped = threading.Event()
        self._waits: dict[str, tuple[float, float]] = {}
        self._thread = threading.Thread(target=self._run, name="notifications", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self.tree.changed.set()
        if self._thread.is_alive():
            self._thread.join(_LOOK_SECONDS)

    # --- Calls -------------------------------------------------------------------------------

    def answer(self, request: Request, path: str, client_id: str) -> Response:
        subscription_id, _, action = path.partition("/")
        method = request.method
        if not subscription_id:
            if method == "POST":
                return answer_json(self._create(request, client_id), 201)
            if method == "GET":
                return answer_json({"value": [_show(one) for one in self._list()]})
        elif method == "GET" and not action:
            return answer_json(_show(self._get(subscription_id)))
        elif method == "PATCH" and not action:
            return answer_json(self._renew(request, subscription_id))
        elif method == "DELETE" and not action:
            self._get(subscription_id)
            self._forget(subscription_id)
            return Response(204)
        elif method == "POST" and action == "reauthorize":
            self._save(self._get(subscription_id) | {_UNAUTHORIZED: False})
            self.tree.changed.set()
            return Response(204)
        raise Refusal(405, "notSupported", "The method is not supported here.")

    def _create(self, request: Request, client_id: str) -> dict[str, Any]:
        body = request.read_json()
        if str(body.get("changeType", "")).lower() != "updated":
            raise _invalid("changeType must be 'updated' for a drive.")
        folder_id, resource = self._find_folder(body.get("resource"))
        url = self._check_url(body.get("notificationUrl"))
        lifecycle_url = body.get("lifecycleNotificationUrl")
        if lifecycle_url is not None:
            lifecycle_url = self._check_url(lifecycle_url)
        client_state = body.get("clientState")
        if client_state is not None and not (
            isinstance(client_state, str) and len(client_state) <= 128
        ):
            raise _invalid("clientState must be a string of at most 128 characters.")
        expires = self._check_expiry(body.get("expirationDateTime"))
        self._forget_expired()
        for other in self._list():
            if (other["notificationUrl"], other["resource"]) == (url, resource):
                raise Refusal(
                    409,
                    "ExtensionError",
                    f"Subscription {other['id']} already exists for the requested combination.",
                )
        for target in filter(None, (url, lifecycle_url)):
            self._validate_receiver(target)
        document = {
            "id": make_trace_id(),
            "resource": resource,
            "applicationId": client_id,
            "changeType": "updated",
            "clientState": client_state,
            "notificationUrl": url,
            "lifecycleNotificationUrl": lifecycle_url,
            "expirationDateTime": expires,
            "creatorId": self.account.user_id,
        }
        with self.state.transaction() as db:
            db.execute(
                "INSERT INTO subscription VALUES (?, ?, ?, ?)",
                (document["id"], json.dumps(document), folder_id, self.tree.seq),
            )
        self.tree.changed.set()
        context = "https://graph.microsoft.com/v1.0/$metadata#subscriptions/$entity"
        return {"@odata.context": context, **document}

    def _find_folder(self, resource: Any) -> tuple[str, str]:
        if not isinstance(resource, str):
            raise _invalid("resource is missing.")
        text = resource.strip("/")
        for start in ("me/drive/root", f"drives/{self.tree.drive_id}/root"):
            if text.lower() == start.lower():
                return self.tree.root_id, resource
            if text.lower().startswith(start.lower() + ":/"):
                names = [name for name in text[len(start) + 2 :].rstrip(":").split("/") if name]
                found = self.tree.find_by_names(self.tree.root_id, names)
                if found is None:
                    raise Refusal(404, "itemNotFound", "The resource could not be found.")
                if self.account.kind == "business":
                    raise _invalid("Only the root of a drive can be subscribed to.")
                if not found.is_folder:
                    raise _invalid("Only folders can be subscribed to.")
                return found.id, resource
        raise _invalid("The resource cannot be subscribed to.")

    def _check_url(self, value: Any) -> str:
        """Check that the address is ``https``, or ``http`` on this machine."""
        parts = urlsplit(value) if isinstance(value, str) else urlsplit("")
        is_local = parts.hostname == "localhost"
        with suppress(ValueError):
            is_local = is_local or ip_address(parts.hostname or "").is_loopback
        if parts.scheme == "https" or (parts.scheme == "http" and is_local):
            return str(value)
        raise _invalid("notificationUrl must be an https address.")

    def _check_expiry(self, value: Any) -> str:
        moment = parse_time(value)
        if moment is None:
            raise _invalid("expirationDateTime is missing or no time.")
        minutes = (moment / 1e6 - time()) / 60
        if minutes <= 0:
            raise _invalid("expirationDateTime lies in the past.")
        if minutes > _LONGEST_MINUTES:
            raise _invalid(f"Subscriptions to a drive last {_LONGEST_MINUTES} minutes at most.")
        # The service extends an expiry that is too soon.
        seconds = max(moment / 1e6, time() + _SHORTEST_MINUTES * 60)
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"

    def _validate_receiver(self, url: str) -> None:
        """Validate the receiver as the service does.

        :raise Refusal: 400, it did not return the token as plain text.
        """
        token = f"Validation: Testing client application reachability {secrets.token_hex(8)} <&>"
        joint = "&" if urlsplit(url).query else "?"
        problem = ""
        try:
            target = f"{url}{joint}{urlencode({'validationToken': token}, quote_via=quote)}"
            status, content_type, body = _post(target, b"", "text/plain; charset=utf-8")
            if status != 200:
                problem = f"the answer had status {status}"
            elif not content_type.lower().startswith("text/plain"):
                problem = "the answer was not text/plain"
            elif body.decode("utf-8", "replace").strip() != token:
                problem = "the answer was not the decoded token"
        except (OSError, HTTPException) as error:
            problem = f"no answer ({type(error).__name__})"
        if problem:
            raise Refusal(
                400, "ValidationError", f"Subscription validation request failed: {problem}."
            )

    def _list(self) -> list[dict[str, Any]]:
        with self.state.lock:
            rows = self.state.db.execute("SELECT document FROM subscription").fetchall()
        return [json.loads(row[0]) for row in rows]

    def _get(self, subscription_id: str) -> dict[str, Any]:
        self._forget_expired()
        for document in self._list():
            if document["id"] == subscription_id:
                return document
        raise Refusal(404, "ResourceNotFound", "The object was not found.")

    def _renew(self, request: Request, subscription_id: str) -> dict[str, Any]:
        document = self._get(subscription_id)
        document["expirationDateTime"] = self._check_expiry(
            request.read_json().get("expirationDateTime")
        )
        # Renewing a subscription also reauthorizes it.
        self._save(document | {_UNAUTHORIZED: False})
        self.tree.changed.set()
        return _show(document)

    def _save(self, document: dict[str, Any]) -> None:
        with self.state.transaction() as db:
            db.execute(
                "UPDATE subscription SET document = ? WHERE id = ?",
                (json.dumps(document), document["id"]),
            )

    def _forget(self, subscription_id: str) -> None:
        with self.state.transaction() as db:
            db.execute("DELETE FROM subscription WHERE id = ?", (subscription_id,))
        self._waits.pop(subscription_id, None)

    def _forget_expired(self) -> None:
        for document in self._list():
            moment = parse_time(document["expirationDateTime"]) or 0
            if moment / 1e6 < time():
                self._forget(document["id"])

    # --- Notifying ---------------------------------------------------------------------------

    def _run(self) -> None:
        """Wait for changes and send them; scan the folder while there are subscriptions."""
        pause = _LOOK_SECONDS
        while not self._stopped.is_set():
            listening = bool(self._list())
            self.tree.changed.wait(pause if listening else None)
            self.tree.changed.clear()
            if self._stopped.wait(_GATHER_SECONDS if listening else 0):
                return
            if self._list():
                began = monotonic()
                self.tree.refresh_tree()
                # Large folders are scanned less often: at most one twentieth of the time.
                pause = max(_LOOK_SECONDS, 20 * (monotonic() - began))
                self._forget_expired()
                self._notify_all()

    def _notify_all(self) -> None:
        with self.state.lock:
            rows = self.state.db.execute(
                "SELECT id, document, folder_id, seq FROM subscription"
            ).fetchall()
        by_url: dict[str, list[tuple[str, int, dict[str, Any]]]] = {}
        for subscription_id, text, folder_id, told in rows:
            wait_until = self._waits.get(subscription_id, (0.0, 0.0))[0]
            folder = self.tree.find(folder_id)
            # A folder's own number increases with every change below it.
            now = folder.seq if folder is not None else self.tree.seq
            if now <= told or monotonic() < wait_until:
                continue
            document = json.loads(text)
            if document.get(_UNAUTHORIZED):
                continue
            by_url.setdefault(document["notificationUrl"], []).append(
                (subscription_id, now, document)
            )
        for url, changes in by_url.items():
            self._notify(url, changes)

    def _notify(self, url: str, changes: list[tuple[str, int, dict[str, Any]]]) -> None:
        value = [
            {
                "subscriptionId": subscription_id,
                "subscriptionExpirationDateTime": document["expirationDateTime"],
                "clientState": document["clientState"],
                "changeType": "updated",
                "resource": document["resource"],
                "tenantId": self.account.tenant_id,
                "resourceData": None,
            }
            for subscription_id, _now, document in changes
        ]
        accepted = True
        if not self.faults.fire("notifications_lost"):
            try:
                body = json.dumps({"value": value}).encode()
                accepted = 200 <= _post(url, body, "application/json")[0] < 300
            except (OSError, HTTPException):
                accepted = False
        for subscription_id, now, _document in changes:
            if accepted:
                self._waits.pop(subscription_id, None)
                with self.state.transaction() as db:
                    db.execute(
                        "UPDATE subscription SET seq = ? WHERE id = ?", (now, subscription_id)
                    )
            else:
                last = self._waits.get(subscription_id, (0.0, _FIRST_RETRY_SECONDS / 2))[1]
                pause = min(last * 2, _LAST_RETRY_SECONDS)
                self._waits[subscription_id] = (monotonic() + pause, pause)

    def send_lifecycle(self, event: str) -> list[int]:
        """Send a lifecycle notification for every subscription that has an address for them.

        :param event: one of ``LIFECYCLE_EVENTS``. After ``reauthorizationRequired`` a subscription
            reports no changes until it is renewed or reauthorized; ``subscriptionRemoved`` deletes
            it, and after ``missed`` what has changed until now is never reported.
        :return: the statuses of the answers.
        """
        if event not in LIFECYCLE_EVENTS:
            raise ValueError(f"There is no lifecycle event called {event!r}.")
        statuses = []
        for document in self._list():
            if not document["lifecycleNotificationUrl"]:
                continue
            if event == "reauthorizationRequired":
                self._save(document | {_UNAUTHORIZED: True})
            elif event == "subscriptionRemoved":
                self._forget(document["id"])
            else:
                with self.state.transaction() as db:
                    db.execute(
                        "UPDATE subscription SET seq = ? WHERE id = ?",
                        (self.tree.seq, document["id"]),
                    )
            note = {
                "subscriptionId": document["id"],
                "subscriptionExpirationDateTime": document["expirationDateTime"],
                "tenantId": self.account.tenant_id,
                "clientState": document["clientState"],
                "lifecycleEvent": event,
            }
            body = json.dumps({"value": [note]}).encode()
            statuses.append(
                _post(document["lifecycleNotificationUrl"], body, "application/json")[0]
            )
        return statuses


def _show(document: dict[str, Any]) -> dict[str, Any]:
    """Return the fields that the service shows."""
    return {name: value for name, value in document.items() if name != _UNAUTHORIZED}


def _invalid(message: str) -> Refusal:
    return Refusal(400, "InvalidRequest", message)
