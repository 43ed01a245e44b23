"""The control address, ``/_emulator/``, for tests and for trying things out.

=======================================  =========================================================
``GET /_emulator/``                      this overview, the kinds of faults, and the account
``GET /_emulator/faults``                the active faults, with their counts
``POST /_emulator/faults``               add one: ``{"kind": "status", "status": 429, "times": 1}``
``DELETE /_emulator/faults``             remove all; ``…/faults/7`` removes one
``GET /_emulator/log``                   received requests; ``?method= &path= &since=`` filter them
``DELETE /_emulator/log``                clear it
``POST /_emulator/revoke``               revoke grants: ``{"code": 50173, "access_tokens": true}``
``POST /_emulator/expire-access-tokens`` expire all access tokens now
``POST /_emulator/lifecycle``            send ``{"event": "missed"}`` for each subscription
``POST /_emulator/reset``                delete everything but the folder's files: new ids, nobody
                                        signed in, no faults, empty log and recycle bin
=======================================  =========================================================

Every POST must be sent as ``application/json``; pages of other origins need a preflight for that.
"""

import json
import re
import shutil
from typing import Any

from .faults import KINDS, BadFaultError, Faults, RequestLog
from .faults import __doc__ as faults_description
from .identity import IdentityPlatform
from .items import Account
from .server import Request, Response, answer_json
from .state import State
from .subscriptions import Subscriptions
from .tree import Tree

PREFIX = "/_emulator"


class _BadCall(Exception):
    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class Control:
    """Answer all requests below ``/_emulator``."""

    def __init__(
        self,
        tree: Tree,
        state: State,
        account: Account,
        identity: IdentityPlatform,
        faults: Faults,
        log: RequestLog,
        subscriptions: Subscriptions,
    ) -> None:
        self.tree = tree
        self.state = state
        self.account = account
        self.identity = identity
        self.faults = faults
        self.log = log
        self.subscriptions = subscriptions

    def answer(self, request: Request) -> Response:
        parts = request.path.removeprefix(PREFIX).strip("/").split("/")
        try:
            return answer_json(self._answer(request, parts))
        except _BadCall as error:
            return answer_json({"error": str(error)}, error.status)
        except (BadFaultError, ValueError, TypeError, re.error) as error:
            return answer_json({"error": str(error)}, 400)

    def _answer(self, request: Request, parts: list[str]) -> Any:
        call = (request.method, parts[0])
        if call == ("GET", ""):
            return self._describe(request)
        if call == ("GET", "faults"):
            return {"faults": self.faults.describe()}
        if call == ("POST", "faults"):
            options = self._read(request)
            return self.faults.add(str(options.pop("kind", "")), options).describe()
        if call == ("DELETE", "faults"):
            self.faults.remove(int(parts[1]) if len(parts) > 1 else None)
            return {}
        if call == ("GET", "log"):
            query = request.query
            return {
                "requests": self.log.list(
                    query.get("method", ""), query.get("path", ""), int(query.get("since", "0"))
                )
            }
        if call == ("DELETE", "log"):
            self.log.clear()
            return {}
        if call == ("POST", "revoke"):
            options = self._read(request)
            count = self.identity.revoke(
                int(options.get("code", 50173)), bool(options.get("access_tokens"))
            )
            return {"grants": count}
        if call == ("POST", "expire-access-tokens"):
            self._read(request)
            self.identity.expire_access_tokens()
            return {}
        if call == ("POST", "lifecycle"):
            event = str(self._read(request).get("event", ""))
            return {"statuses": self.subscriptions.send_lifecycle(event)}
        if call == ("POST", "reset"):
            self._read(request)
            self._reset()
            return {}
        raise _BadCall("There is nothing here.", 404)

    def _read(self, request: Request) -> dict[str, Any]:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise _BadCall("Send it as application/json.", 415)
        document = json.loads(request.read_body() or b"{}")
        if not isinstance(document, dict):
            raise _BadCall("Send a JSON object.")
        return document

    def _describe(self, request: Request) -> dict[str, Any]:
        base = request.base_url
        return {
            "what": "ImageHub’s OneDrive emulator",
            "kind": self.account.kind,
            "account": {"name": self.account.name, "username": self.account.username},
            "root": str(self.tree.root),
            "login_base_url": base,
            "graph_base_url": f"{base}/v1.0",
            "control": __doc__,
            "faults": KINDS,
            "options": faults_description,
        }

    def _reset(self) -> None:
        with self.state.lock:
            self.tree.forget()
            for folder in (
                self.state.uploads,
                self.state.recycle_bin,
                self.state.thumbnails,
            ):
                for path in folder.iterdir():
                    if path.is_dir():
                        shutil.rmtree(path)
                    else:
                        path.unlink(missing_ok=True)
            self.identity.forget()
            self.faults.load()
            self.log.clear()
