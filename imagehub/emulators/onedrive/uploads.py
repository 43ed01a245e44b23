"""Upload sessions: fragments are sent in order to a signed address, then become a file.

The bytes of a session are in one file; only complete fragments count. ``received`` in the database
is the number of valid bytes, so an incomplete fragment is simply overwritten.
"""

import json
import re
import secrets
import shutil
from contextlib import suppress
from pathlib import Path
from time import time
from typing import Any
from urllib.parse import quote

from .content import HOST_PATHS, allow_any_origin, answer_preflight
from .faults import Faults
from .index import FileTimes, Item
from .items import ItemWriter, format_time, make_etag, parse_time
from .names import make_name_key
from .server import ConnectionDropped, Refusal, Request, Response, answer_json
from .state import State
from .tree import Tree

FRAGMENT_STEP_BYTES = 327_680
FRAGMENT_LIMIT_BYTES = 60 << 20
_SESSION_SECONDS = {"personal": 86_400.0, "business": 900.0}
_FILE_LIMIT_BYTES = 250 * 10**9
_CONTENT_RANGE = re.compile(r"bytes (\d{1,15})-(\d{1,15})/(\d{1,15}|\*)$")
_BEHAVIORS = ("fail", "replace", "rename")
CONFLICT_KEY = "@microsoft.graph.conflictBehavior"


def read_behavior(value: object, default: str) -> str:
    """Return the conflict behavior.

    :raise Refusal: 400, it is not fail, replace or rename.
    """
    if value is None:
        return default
    if isinstance(value, str) and value.lower() in _BEHAVIORS:
        return value.lower()
    raise Refusal(400, "invalidRequest", "conflictBehavior must be fail, replace or rename.")


def read_times(document: Any) -> FileTimes:
    """Return the client's ``fileSystemInfo``.

    :raise Refusal: 400, it contains an invalid time.
    """
    if document is None:
        return FileTimes()
    if not isinstance(document, dict):
        raise Refusal(400, "invalidRequest", "fileSystemInfo must be an object.")
    moments: list[int | None] = []
    for name in ("createdDateTime", "lastModifiedDateTime"):
        moment = parse_time(document.get(name))
        if moment is None and document.get(name) is not None:
            raise Refusal(400, "invalidRequest", f"{name} is no time.")
        moments.append(None if moment is None or moment < 0 else moment)
    return FileTimes(*moments)


class Uploads:
    """Upload sessions, except for the Graph call that creates one."""

    def __init__(self, tree: Tree, state: State, faults: Faults, writer: ItemWriter) -> None:
        self.tree = tree
        self.state = state
        self.faults = faults
        self.writer = writer
        self.kind = tree.kind
        self._prefix = f"{HOST_PATHS[self.kind]}/_api/v2.0/drives/"
        self._path = re.compile(re.escape(self._prefix) + r"[^/]+/items/[^/]+/uploadSession$")
        self._tidy()

    def _tidy(self) -> None:
        """Delete sessions without a file, and files without a session, after a crash."""
        with self.state.transaction() as db:
            known = {row[0] for row in db.execute("SELECT id FROM upload")}
            there = {path.name for path in self.state.uploads.iterdir()}
            for session_id in known ^ there:
                self._forget(session_id)

    def is_address(self, path: str) -> bool:
        return self._path.match(path) is not None

    # --- Creating ----------------------------------------------------------------------------

    def create(
        self, request: Request, parent: Item, name: str, item: Item | None
    ) -> dict[str, Any]:
        """Create a session.

        :param item: the file to replace, if the call names one by id.
        :raise Refusal: 400, 409, 412 or 507.
        """
        body = request.read_json()
        wishes = body.get("item") or {}
        if not isinstance(wishes, dict):
            raise Refusal(400, "invalidRequest", "item must be an object.")
        if self.kind == "business" and "fileSize" in wishes:
            raise Refusal(400, "invalidRequest", "The property 'fileSize' does not exist.")
        if "@odata.type" in wishes and self.kind == "business":
            raise Refusal(400, "invalidRequest", "The annotation '@odata.type' is not expected.")
        behavior = read_behavior(wishes.get(CONFLICT_KEY), "replace" if item else "fail")
        times = read_times(wishes.get("fileSystemInfo"))
        if "name" in wishes and item is None:
            name = str(wishes["name"])
        existing = item or self.tree.find_child(parent.id, name)
        wanted = request.headers.get("if-match")
        if wanted and wanted != "*" and (existing is None or wanted != make_etag(existing)):
            raise Refusal(412, "resourceModified", "ETag does not match current item's value.")
        name = self.tree.check_upload(parent, name, behavior)
        size = wishes.get("fileSize", 0)
        if not isinstance(size, int) or size < 0:
            raise Refusal(400, "invalidRequest", "fileSize must be a number of bytes.")
        self._check_quota(size)
        options = {
            "behavior": behavior,
            "created_us": times.created_us,
            "modified_us": times.modified_us,
            "description": str(wishes.get("description") or ""),
            "defer": bool(body.get("deferCommit")),
        }
        session_id = secrets.token_hex(16)
        now = time()
        expires = now + self._get_lifetime()
        with self.state.transaction() as db:
            self._forget_expired()
            live = db.execute(
                "SELECT 1 FROM upload WHERE parent_id = ? AND name_key = ?",
                (parent.id, make_name_key(name)),
            ).fetchone()
            if live:
                raise Refusal(
                    409, "nameAlreadyExists", "An upload session already exists for this name."
                )
            (self.state.uploads / session_id).touch()
            db.execute(
                "INSERT INTO upload VALUES (?, ?, ?, ?, ?, ?, NULL, 0, ?, ?)",
                (
                    session_id,
                    parent.id,
                    name,
                    make_name_key(name),
                    item.id if item else "",
                    json.dumps(options),
                    now,
                    expires,
                ),
            )
        drive, folder = quote(self.tree.drive_id), quote(parent.id)
        url = (
            f"{request.base_url}{self._prefix}{drive}/items/{folder}/uploadSession"
            f"?guid='{session_id[:8]}'&tempauth={session_id}"
        )
        return {
            "@odata.context": "https://graph.microsoft.com/v1.0/$metadata#microsoft.graph."
            "uploadSession",
            "uploadUrl": url,
            "expirationDateTime": format_time(int(expires * 1e6), self.kind),
            "nextExpectedRanges": ["0-"],
        }

    def _get_lifetime(self) -> float:
        fault = self.faults.fire("upload_session_lifetime")
        return float(fault.get("seconds", 60)) if fault else _SESSION_SECONDS[self.kind]

    def _check_quota(self, size_bytes: int) -> None:
        if size_bytes > self.writer.get_free_bytes() or self.faults.fire("quota_full"):
            raise quota_reached()

    def _forget_expired(self) -> None:
        with self.state.transaction() as db:
            rows = db.execute("SELECT id FROM upload WHERE expires < ?", (time(),)).fetchall()
            for (session_id,) in rows:
                self._forget(session_id)

    def _forget(self, session_id: str) -> None:
        with self.state.transaction() as db:
            db.execute("DELETE FROM upload WHERE id = ?", (session_id,))
        (self.state.uploads / session_id).unlink(missing_ok=True)

    # --- The address -------------------------------------------------------------------------

    def answer(self, request: Request) -> Response:
        """Answer any request to a session's address."""
        if request.method == "OPTIONS":
            return answer_preflight(request, ("Content-Range", "Content-Type"))
        try:
            return allow_any_origin(self._answer(request))
        except Refusal as refusal:
            refusal.headers |= {"Access-Control-Allow-Origin": "*"}
            raise

    def _answer(self, request: Request) -> Response:
        if "authorization" in request.headers:
            raise Refusal(401, "unauthenticated", "This address takes no Authorization header.")
        session_id = request.query.get("tempauth", "")
        if self.faults.fire("upload_session_gone"):
            self._forget(self._get(session_id)["id"])
        if self.faults.fire("upload_session_unauthorized"):
            raise Refusal(401, "unauthenticated", "The session's time is over.", "expiredToken")
        self._forget_expired()
        if request.method == "PUT":
            return self._take_fragment(request, session_id)
        session = self._get(session_id)
        if request.method == "GET":
            return answer_json(self._describe(session))
        if request.method == "DELETE":
            self._forget(session_id)
            return Response(204)
        if request.method == "POST":
            if request.read_body():
                raise Refusal(400, "invalidRequest", "The request must have no body.")
            if session["total"] is None or session["received"] < session["total"]:
                raise Refusal(
                    400, "invalidRequest", "Bytes are missing.", "uploadSessionIncomplete"
                )
            return self._commit(request, session)
        raise Refusal(405, "notSupported", "The method is not supported here.")

    def _get(self, session_id: str) -> dict[str, Any]:
        with self.state.lock:
            row = self.state.db.execute(
                "SELECT id, parent_id, name, item_id, options, total, received, expires "
                "FROM upload WHERE id = ?",
                (session_id,),
            ).fetchone()
        if row is None or not (self.state.uploads / session_id).exists():
            raise Refusal(
                404, "itemNotFound", "The upload session was not found.", "uploadSessionNotFound"
            )
        names = ("id", "parent_id", "name", "item_id", "options", "total", "received", "expires")
        session = dict(zip(names, row, strict=True))
        session["options"] = json.loads(session["options"])
        return session

    def _describe(self, session: dict[str, Any]) -> dict[str, Any]:
        received, total = session["received"], session["total"]
        # The size is known from the first fragment on. Source: OneDrive/onedrive-api-docs#1273.
        ranges = [f"{received}-{'' if total is None else total - 1}"]
        return {
            "expirationDateTime": format_time(int(session["expires"] * 1e6), self.kind),
            "nextExpectedRanges": ranges if total is None or received < total else [],
        }

    def _take_fragment(self, request: Request, session_id: str) -> Response:
        session = self._get(session_id)
        first, last, total = self._read_range(request)
        size = last - first + 1
        received = session["received"]
        if session["total"] not in (None, total):
            raise Refusal(400, "invalidRequest", "The total size must not change.")
        if first != received or self.faults.fire("fragment_416"):
            # Also the answer for a complete file that awaits its commit.
            inner = "fragmentOverlap" if first <= received else "fragmentOutOfOrder"
            raise Refusal(416, "invalidRange", "Optimistic concurrency failure.", inner)
        if last + 1 < total and size % FRAGMENT_STEP_BYTES:
            raise Refusal(
                400,
                "invalidRequest",
                f"A fragment must be a multiple of {FRAGMENT_STEP_BYTES} bytes.",
                "fragmentLengthMismatch",
            )
        self._check_quota(total)
        if self.faults.fire("lost_fragment"):
            request.drain()
            raise ConnectionDropped
        # Write the fragment to a separate file and append it when complete: an abandoned request
        # that finishes late must not write into later fragments.
        part = self.state.uploads / f"{session_id}.{secrets.token_hex(8)}"
        try:
            with part.open("wb") as stream:
                request.copy_body_to(stream)
            with self.state.transaction() as db:
                session["expires"] = max(session["expires"], time() + self._get_lifetime())
                moved = db.execute(
                    "UPDATE upload SET received = ?, total = ?, expires = ? "
                    "WHERE id = ? AND received = ?",
                    (last + 1, total, session["expires"], session_id, received),
                ).rowcount
                if not moved:
                    raise Refusal(
                        416, "invalidRange", "Optimistic concurrency failure.", "fragmentOverlap"
                    )
                self._append(part, self.state.uploads / session_id, first)
        finally:
            with suppress(OSError):
                part.unlink(missing_ok=True)
        session |= {"received": last + 1, "total": total}
        if last + 1 < total or session["options"]["defer"]:
            return answer_json(self._describe(session), 202)
        return self._commit(request, session)

    def _append(self, part: Path, target: Path, first: int) -> None:
        """Write a fragment to its position, over leftovers of a killed process."""
        if first == 0:
            part.replace(target)
            return
        with part.open("rb") as source, target.open("r+b") as stream:
            stream.seek(first)
            shutil.copyfileobj(source, stream, 1 << 20)
            stream.truncate()

    def _read_range(self, request: Request) -> tuple[int, int, int]:
        match = _CONTENT_RANGE.match(request.headers.get("content-range", ""))
        if match is None or match[3] == "*":
            raise Refusal(400, "invalidRequest", "The Content-Range header is missing or invalid.")
        first, last, total = int(match[1]), int(match[2]), int(match[3])
        if last < first or last >= total:
            raise Refusal(400, "invalidRequest", "The Content-Range header is invalid.")
        if request.body_left != last - first + 1:
            raise Refusal(
                400,
                "invalidRequest",
                "Content-Length and Content-Range differ.",
                "fragmentLengthMismatch",
            )
        if request.body_left >= FRAGMENT_LIMIT_BYTES:
            raise Refusal(413, "invalidRequest", "A fragment must be smaller than 60 MiB.")
        if total > _FILE_LIMIT_BYTES:
            raise Refusal(413, "invalidRequest", "The file is too large.")
        return first, last, total

    def _commit(
        self, request: Request, session: dict[str, Any], name: str = "", behavior: str = ""
    ) -> Response:
        """Move the finished file into place; a conflict leaves the session unchanged."""
        if self.faults.fire("commit_conflict"):
            raise Refusal(
                409,
                "nameAlreadyExists",
                "An item with the same name already exists under the parent.",
            )
        options = session["options"]
        source = self.state.uploads / session["id"]
        with self.tree.changing():
            parent = self.tree.get(session["parent_id"])
            target_name = name or session["name"]
            if session["item_id"] and not name:
                kept = self.tree.find(session["item_id"])
                if kept is not None and not kept.deleted:
                    parent, target_name = self.tree.get(kept.parent_id), kept.name
            item, is_new = self.tree.put_file(
                parent,
                target_name,
                source,
                behavior or options["behavior"],
                FileTimes(options["created_us"], options["modified_us"]),
                options["description"],
            )
            self._forget(session["id"])
        return answer_json(self.writer.write_item(item, request.base_url), 201 if is_new else 200)

    def commit_to(
        self, request: Request, source_url: str, parent: Item, name: str, behavior: str
    ) -> Response:
        """Finish a session by a ``PUT`` of metadata that names its address.

        :raise Refusal: 404, no such session; 400, bytes are missing; 409, a conflict.
        """
        match = re.search(r"[?&]tempauth=([0-9a-f]{32})\b", source_url)
        self._forget_expired()
        session = self._get(match[1] if match else "")
        if session["total"] is None or session["received"] < session["total"]:
            raise Refusal(400, "invalidRequest", "Bytes are missing.", "uploadSessionIncomplete")
        if session["parent_id"] != parent.id:
            raise Refusal(400, "invalidRequest", "The session belongs to another folder.")
        return self._commit(request, session, name, behavior)

    # --- Simple uploads ----------------------------------------------------------------------

    def put_simply(
        self, request: Request, parent: Item, name: str, behavior: str
    ) -> tuple[Item, bool]:
        """Store the body as a whole file.

        :return: the item, and whether it is new.
        """
        self.tree.check_upload(parent, name, behavior)
        if request.body_left > 250 << 20:
            raise Refusal(413, "invalidRequest", "Use an upload session for so large a file.")
        self._check_quota(request.body_left)
        part: Path = self.state.uploads / f"{secrets.token_hex(16)}.part"
        try:
            with part.open("wb") as stream:
                request.copy_body_to(stream)
            return self.tree.put_file(parent, name, part, behavior)
        finally:
            with suppress(OSError):
                part.unlink(missing_ok=True)


def quota_reached() -> Refusal:
    return Refusal(507, "quotaLimitReached", "The quota of the drive has been reached.")
