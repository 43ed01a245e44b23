"""Injected faults, and the log of requests.

A fault has a kind and options. These options are common to all kinds:

``skip``
    do not act on this many matching calls first (0);
``times``
    then act on this many calls (default: on all until the fault is removed);
``method``, ``path``
    regular expressions that the request's method and its path with query must match
    (``re.search``, case-insensitive);
``item``
    a regular expression for the item's path in the drive, ``/Folder/front.jpg``.

    ``KINDS`` and ``GET /_emulator/`` list the kinds with their own options.
"""

import json
import re
import threading
from collections import deque
from dataclasses import dataclass
from time import monotonic, time
from typing import Any

from .state import State

KINDS: dict[str, str] = {
    "status": "answer an error: status (503), code, message, retry_after (sent as it is, may be "
    "fractional; null or absent: no header), headers",
    "delay": "wait seconds (1) before answering",
    "drop": "read the request, do nothing, close the connection without an answer",
    "lost_answer": "do what is asked, then close the connection without an answer",
    "gone": "every call is dropped at once, as if the service were not there",
    "garbage": "answer 200 with body (a page of HTML) and content_type (application/json)",
    "token_lifetime": "new access tokens live seconds (60); refresh_in adds that field",
    "aadsts": "the token endpoint answers this error: code (50173), and suberror, error, "
    "http_status; with claims (a JSON object) until a sign-in has satisfied them",
    "claims_challenge": "Graph answers 401 insufficient_claims to a client that understands it "
    "(cp1) until its token satisfies claims (a JSON object)",
    "client_secret_expired": "the token endpoint answers invalid_client, AADSTS7000222",
    "other_login_host": "the sign-in page leads on to itself at host (localhost), as Microsoft's "
    "does for personal accounts and for those of an organisation with a sign-in of its own",
    "authorize_error": "the sign-in page redirects with error (server_error) and description",
    "download_url_expired": "addresses of bytes die after seconds (0) from when they were given",
    "truncated_download": "the connection ends after bytes (half of the file)",
    "corrupted_download": "one byte is wrong, at position at (the middle)",
    "slow_download": "bytes_per_second (65536)",
    "lost_fragment": "the body is read, forgotten, and the connection closed without an answer",
    "fragment_416": "a fragment is answered with 416, though it is the expected one",
    "upload_session_gone": "fragments and status calls get 404, the session is forgotten",
    "upload_session_unauthorized": "401 expiredToken before the session's time is over",
    "upload_session_lifetime": "new upload sessions live seconds (60)",
    "commit_conflict": "the last fragment gets 409 nameAlreadyExists; the session stays",
    "delta_duplicate": "the first item of each page comes twice, first in an older state",
    "delta_deleted_without_name": "deleted items come without their name (personal, too)",
    "delta_empty_page": "an empty page with a nextLink comes before the page asked for",
    "delta_folder_alone": "of a deleted folder only itself is told, nothing of what was in it",
    "delta_forgets": "items that are there are left out (choose them with item)",
    "delta_gone": "410 with Location; code (resyncChangesApplyDifferences)",
    "children_empty_page": "a listing starts with an empty page that has a nextLink",
    "drive_id_casing": "the drive's id changes its casing from call to call (personal)",
    "delayed_facets": "image, photo and location are missing for seconds (5) after a change",
    "rewritten_size": "size and hashes listed are those of a container of extra_bytes (1500000) "
    "more than what is downloaded; with keeps_hash the hashes are right",
    "hashes_missing": "files are listed without hashes",
    "quota_full": "no byte is free: 507",
    "special_characters_forbidden": "new names with # or % are refused, as in an organisation that "
    "has switched them off",
    "locked": "changes of the item get 423",
    "malware": "the item has the malware facet and cannot be downloaded",
    "vault": "the root shows a Personal Vault that cannot be opened (personal)",
    "thumbnails_missing": "items have no thumbnails",
    "delayed_thumbnails": "items have no thumbnails for seconds (5) after a change",
    "notifications_lost": "change notifications are not sent",
}
_NUMBERS = (
    "status",
    "http_status",
    "seconds",
    "refresh_in",
    "bytes",
    "bytes_per_second",
    "at",
    "extra_bytes",
)
_LOG_LENGTH = 50_000


class BadFaultError(ValueError):
    """Unknown kind, or invalid option."""


@dataclass
class Fault:
    id: int
    kind: str
    options: dict[str, Any]
    seen: int
    fired: int

    def __post_init__(self) -> None:
        self.skip = int(self.options.get("skip") or 0)
        times = self.options.get("times")
        self.times = None if times is None else int(times)
        for name in _NUMBERS:
            float(self.options.get(name) or 0)
        self._patterns = {
            name: re.compile(str(self.options[name]), re.IGNORECASE)
            for name in ("method", "path", "item")
            if self.options.get(name) is not None
        }

    def matches(self, facts: dict[str, str | None]) -> bool:
        return all(
            pattern.search(facts.get(name) or "") for name, pattern in self._patterns.items()
        )

    def describe(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "kind": self.kind,
            **self.options,
            "seen": self.seen,
            "fired": self.fired,
        }


class Faults:
    """All active faults; they and their counts survive a restart."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._lock = threading.Lock()
        self._here = threading.local()
        self._by_kind: dict[str, list[Fault]] = {}
        self.load()

    def load(self) -> None:
        with self._state.lock:
            rows = self._state.db.execute(
                "SELECT id, kind, options, seen, fired FROM fault ORDER BY id"
            ).fetchall()
        by_kind: dict[str, list[Fault]] = {}
        for number, kind, options, seen, fired in rows:
            by_kind.setdefault(kind, []).append(
                Fault(number, kind, json.loads(options), seen, fired)
            )
        with self._lock:
            self._by_kind = by_kind

    def add(self, kind: str, options: dict[str, Any]) -> Fault:
        """Add a fault.

        :raise BadFaultError: unknown kind, or invalid option.
        """
        if kind not in KINDS:
            raise BadFaultError(f"There is no fault called {kind!r}.")
        try:
            Fault(0, kind, options, 0, 0)
        except (ValueError, TypeError, re.error) as error:
            raise BadFaultError(f"An option cannot be read: {error}") from error
        with self._state.transaction() as db:
            cursor = db.execute(
                "INSERT INTO fault (kind, options, seen, fired) VALUES (?, ?, 0, 0)",
                (kind, json.dumps(options)),
            )
            number = int(cursor.lastrowid or 0)
        self.load()
        return Fault(number, kind, options, 0, 0)

    def remove(self, number: int | None) -> None:
        """Remove one fault, or all of them if ``number`` is None."""
        with self._state.transaction() as db:
            if number is None:
                db.execute("DELETE FROM fault")
            else:
                db.execute("DELETE FROM fault WHERE id = ?", (number,))
        self.load()

    def describe(self) -> list[dict[str, Any]]:
        with self._lock:
            faults = [fault for faults in self._by_kind.values() for fault in faults]
        return [fault.describe() for fault in sorted(faults, key=lambda fault: fault.id)]

    def enter(self, method: str, path: str) -> None:
        """Remember this thread's current request for the options method and path."""
        self._here.method, self._here.path = method, path

    def fire(self, kind: str, item: str | None = None) -> dict[str, Any] | None:
        """Count the call; return the options of the fault that acts on it, or None."""
        if kind not in self._by_kind:
            return None
        facts = {
            "method": getattr(self._here, "method", ""),
            "path": getattr(self._here, "path", ""),
            "item": item,
        }
        with self._lock:
            acting, counted = self._count(kind, facts)
        # Saved without our lock held: other threads call fire() while holding the state's lock.
        for fault in counted:
            self._save(fault)
        # Never empty, so that callers may test its truth value.
        return None if acting is None else {"kind": kind, **acting.options}

    def _count(self, kind: str, facts: dict[str, str | None]) -> tuple[Fault | None, list[Fault]]:
        counted: list[Fault] = []
        for fault in self._by_kind.get(kind, ()):
            if not fault.matches(facts):
                continue
            if fault.times is not None and fault.fired >= fault.times:
                continue
            fault.seen += 1
            counted.append(fault)
            if fault.seen > fault.skip:
                fault.fired += 1
                return fault, counted
        return None, counted

    def _save(self, fault: Fault) -> None:
        if fault.skip == 0 and fault.times is None:
            return  # its counts decide nothing
        with self._state.transaction() as db:
            db.execute(
                "UPDATE fault SET seen = ?, fired = ? WHERE id = ?",
                (fault.seen, fault.fired, fault.id),
            )


class RequestLog:
    """The last requests, in memory; never contains a token, code or signature."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: deque[dict[str, Any]] = deque(maxlen=_LOG_LENGTH)
        self._number = 0
        self._cleared_at = 0.0

    def add(self, entry: dict[str, Any], began_at: float) -> None:
        """Keep a request, unless it began before the log was cleared (both by ``monotonic``)."""
        with self._lock:
            if began_at < self._cleared_at:
                return
            self._number += 1
            self._entries.append({"number": self._number, "at": time(), **entry})

    def list(self, method: str = "", path: str = "", since: int = 0) -> list[dict[str, Any]]:
        """Return matching requests; ``method`` and ``path`` are regular expressions."""
        with self._lock:
            entries = list(self._entries)
        method_is = re.compile(method, re.IGNORECASE)
        path_is = re.compile(path, re.IGNORECASE)
        return [
            entry
            for entry in entries
            if entry["number"] > since
            and method_is.search(entry["method"])
            and path_is.search(entry["path"])
        ]

    def clear(self) -> None:
        with self._lock:
            self._entries.clear()
            self._cleared_at = monotonic()


_SECRET_PARAMETERS = re.compile(
    r"(?i)\b(tempauth|code|client_secret|code_verifier|refresh_token|access_token|"
    r"validationToken|state|nonce)=[^&]*"
)


def hide_secrets(query_string: str) -> str:
    return _SECRET_PARAMETERS.sub(r"\1=…", query_string)
