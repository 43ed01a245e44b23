"""The drive part of Microsoft Graph v1.0: items, children, changes, thumbnails, batches."""

import re
from collections.abc import Callable
from time import monotonic
from typing import Any
from urllib.parse import quote

from .batch import answer_batch
from .calls import METADATA, Call, make_token, read_token
from .claims import are_met, has_capability, make_challenge, write_claims
from .content import ContentHosts, allow_any_origin, answer_preflight, malware_found
from .faults import Faults
from .feed import DeltaFeed
from .identity import IdentityPlatform, Session
from .index import FileTimes, Item
from .items import (
    VAULT_NAME,
    Account,
    ItemWriter,
    make_ctag,
    make_etag,
    make_trace_id,
    select_fields,
)
from .names import decode_colons, decode_segment
from .pictures import PICTURE_ENDINGS
from .refusals import bad_token, denied, write_refusal
from .server import Refusal, Request, Response, answer_json, answer_redirect
from .subscriptions import Subscriptions
from .thumbnails import Thumbnails
from .tree import Tree, name_taken
from .uploads import CONFLICT_KEY, Uploads, read_behavior, read_times
from .watch import ORDER_COLUMNS, get_place

_CLAIMS_PERSONAL = "CompactToken validation failed with reason code: 80049228."
_CLAIMS_BUSINESS = "Lifetime validation failed, the token is expired."
_PERSON_SCOPES = frozenset({"user.read", "user.readwrite", "user.readbasic.all"})
_SPECIAL_PATHS = {
    "documents": ["Documents"],
    "photos": ["Pictures"],
    "music": ["Music"],
    "cameraroll": ["Pictures", "Camera Roll"],
    "approot": ["Apps", "ImageHub"],
}
_PERSONAL_SPECIALS = ("music", "cameraroll")
_DRIVE = re.compile(r"(?:/me|/users/[^/]+)?/drive(?:s/([^/]+))?(?=/|$)", re.I)
_CONVERTIBLE = PICTURE_ENDINGS - {".avif"}


class Graph:
    """Answer all requests below ``/v1.0``.

    :param page_seconds: a page of a listing ends early after this time.
    """

    def __init__(
        self,
        tree: Tree,
        account: Account,
        identity: IdentityPlatform,
        writer: ItemWriter,
        content: ContentHosts,
        uploads: Uploads,
        subscriptions: Subscriptions,
        faults: Faults,
        page_seconds: float,
    ) -> None:
        self.tree = tree
        self.account = account
        self.kind = account.kind
        self.identity = identity
        self.writer = writer
        self.content = content
        self.feed = DeltaFeed(tree, writer, faults, page_seconds)
        self.thumbnails = Thumbnails(tree, writer, content, faults)
        self.uploads = uploads
        self.subscriptions = subscriptions
        self.faults = faults
        self.page_seconds = page_seconds

    # --- Entry point -------------------------------------------------------------------------

    def answer(self, request: Request) -> Response:
        """Answer any call; refusals become Graph's error JSON."""
        if request.method == "OPTIONS":
            response = answer_preflight(
                request,
                (
                    "Authorization",
                    "Content-Type",
                    "Accept",
                    "Prefer",
                    "If-Match",
                    "If-None-Match",
                    "client-request-id",
                    "SdkVersion",
                    "Content-Range",
                ),
            )
            return response
        path = request.path.removeprefix("/v1.0")
        try:
            response = self._answer(request, path)
        except Refusal as refusal:
            response = write_refusal(refusal, request)
        response.headers.setdefault("request-id", make_trace_id())
        sent = request.headers.get("client-request-id")
        response.headers["client-request-id"] = sent or response.headers["request-id"]
        response.headers["x-ms-ags-diagnostic"] = '{"ServerInfo":{"DataCenter":"Emulator"}}'
        response.headers.setdefault("Cache-Control", "private")
        response.headers["OData-Version"] = "4.0"
        return allow_any_origin(response)

    def _answer(self, request: Request, path: str) -> Response:
        session = self._authenticate(request)
        call = Call(request, session, request.base_url)
        if path == "/$batch":
            return answer_batch(call, self.faults, self.answer)
        if path == "/subscriptions" or path.startswith("/subscriptions/"):
            return self._answer_subscription(call, path)
        if path in ("/me", "/me/"):
            return self._answer_me(call)
        if path in ("/me/drives", "/drives"):
            self._require_read(call)
            return answer_json(
                {"@odata.context": f"{METADATA}drives", "value": [self.writer.write_drive()]}
            )
        match = _DRIVE.match(path)
        if match is None:
            raise Refusal(400, "BadRequest", "Resource not found for the segment.")
        if match[1] is not None and not self._is_own_drive(decode_segment(match[1])):
            raise Refusal(404, "itemNotFound", "The resource could not be found.")
        return self._answer_drive(call, decode_colons(path[match.end() :]))

    def _authenticate(self, request: Request) -> Session:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if not token.strip() or scheme.lower() != "bearer":
            raise bad_token("Access token is empty.")
        session = self.identity.find_session(token.strip())
        if session is None:
            personal = self.kind == "personal"
            raise bad_token(_CLAIMS_PERSONAL if personal else _CLAIMS_BUSINESS)
        if has_capability(session.claims) and (fault := self.faults.fire("claims_challenge")):
            claims = write_claims(fault.get("claims"))
            if not are_met(claims, session.claims):
                raise make_challenge(claims)
        return session

    def _is_own_drive(self, drive_id: str) -> bool:
        if self.kind == "personal":
            return drive_id.upper().zfill(16) == self.tree.drive_id.upper()
        return drive_id == self.tree.drive_id

    def _require_read(self, call: Call) -> None:
        if not call.may_read() and not call.has_only_app_folder():
            raise denied()

    def _require_write(self, call: Call) -> None:
        if not call.may_write() and not call.has_only_app_folder():
            raise denied()

    def _answer_me(self, call: Call) -> Response:
        if call.request.method != "GET":
            raise Refusal(405, "Request_BadRequest", "Specified HTTP method is not allowed.")
        if not call.session.scopes & _PERSON_SCOPES:
            raise Refusal(
                403,
                "Authorization_RequestDenied",
                "Insufficient privileges to complete the operation.",
            )
        given, _, family = self.account.name.rpartition(" ")
        document: dict[str, Any] = {
            "@odata.context": f"{METADATA}users/$entity",
            "businessPhones": [],
            "displayName": self.account.name,
            "givenName": given,
            "jobTitle": None,
            "mail": self.account.username,
            "mobilePhone": None,
            "officeLocation": None,
            "preferredLanguage": None,
            "surname": family,
            "userPrincipalName": self.account.username,
            "id": self.tree.drive_id.lower() if self.kind == "personal" else self.account.user_id,
        }
        return answer_json(self._select(call, document))

    # --- Addresses of items --------------------------------------------------------------------

    def _answer_drive(self, call: Call, rest: str) -> Response:
        if rest in ("", "/"):
            self._require_read(call)
            if call.request.method != "GET":
                raise Refusal(405, "notSupported", "The method is not supported here.")
            document = {"@odata.context": f"{METADATA}drives/$entity", **self.writer.write_drive()}
            return answer_json(self._select(call, document))
        self._require_read(call)
        match = re.match(r"/(root|items/[^/:]+|special/[^/:]+)(?=[/:]|$)", rest)
        if match is None:
            raise Refusal(400, "invalidRequest", "Resource not found for the segment.")
        names, action = self._split_path(rest[match.end() :])
        start = match[1]
        return self._answer_item(call, start, names, action)

    def _split_path(self, rest: str) -> tuple[list[str], str]:
        """Split ``:/a/b:/children`` into names and action; ``/children`` has no names."""
        if not rest.startswith(":"):
            return [], rest.strip("/")
        text, _, action = rest[1:].partition(":")
        if text and not text.startswith("/"):
            raise Refusal(400, "invalidRequest", "The path must start with a slash.", "invalidPath")
        names = [decode_segment(segment) for segment in text.split("/")[1:] if segment]
        if any(name in (".", "..") or "/" in name or "\\" in name for name in names):
            raise Refusal(400, "invalidRequest", "The path is not valid.", "invalidPath")
        return names, action.strip("/")

    def _find_start(self, call: Call, start: str) -> Item:
        word, _, name = start.partition("/")
        if word == "special":
            return self._find_special(call, decode_segment(name).lower())
        item_id = self.tree.root_id if word == "root" else decode_segment(name)
        if item_id == "root":
            item_id = self.tree.root_id
        item = self.tree.get(item_id)
        if call.has_only_app_folder() and not self._is_in_app_folder(item):
            raise denied()
        return item

    def _find_special(self, call: Call, name: str) -> Item:
        names = _SPECIAL_PATHS.get(name)
        if names is None or (name in _PERSONAL_SPECIALS and self.kind != "personal"):
            raise Refusal(400, "invalidRequest", "There is no such special folder.")
        if call.has_only_app_folder() and name != "approot":
            raise denied()
        item = self.tree.get(self.tree.root_id)
        for part in names:
            found = self.tree.find_by_names(item.id, [part])
            if found is None:
                if not call.may_write() and not call.has_only_app_folder():
                    raise denied()
                found, _new = self.tree.create_folder(item, part, "replace")
            item = found
        return item

    def _is_in_app_folder(self, item: Item) -> bool:
        folder = self.tree.find_by_names(self.tree.root_id, _SPECIAL_PATHS["approot"])
        return folder is not None and self.tree.is_inside(item, folder.id)

    def _answer_item(self, call: Call, start: str, names: list[str], action: str) -> Response:
        method = call.request.method
        action = re.sub(r"^microsoft\.graph\.", "", action)
        if self._is_vault(start, names):
            return self._answer_vault(call, action)
        if start.startswith("items/") and action == "restore" and method == "POST" and not names:
            return self._restore(call, decode_segment(start.partition("/")[2]))
        first = self._find_start(call, start)
        item = self.tree.find_by_names(first.id, names) if names else first
        if (
            names
            and item is None
            and (
                (method == "PUT" and action in ("content", ""))
                or (method == "POST" and action == "createUploadSession")
            )
        ):
            # The only case in which an address may name an item that does not exist yet.
            parent = self.tree.find_by_names(first.id, names[:-1])
            if parent is None:
                self._require_write(call)
                parent = first
                for name in names[:-1]:
                    parent, _new = self.tree.create_folder(parent, name, "replace")
            return self._put_new(call, parent, names[-1], action)
        if item is None:
            raise Refusal(404, "itemNotFound", "The resource could not be found.")
        return self._dispatch(call, item, action, by_path=bool(names))

    def _dispatch(self, call: Call, item: Item, action: str, by_path: bool) -> Response:
        method = call.request.method
        if method == "PUT" and action == "" and by_path:
            return self._put_metadata(call, item)
        simple: dict[tuple[str, str], Callable[[Call, Item], Response]] = {
            ("GET", ""): self._get_item,
            ("HEAD", ""): self._get_item,
            ("PATCH", ""): self._patch_item,
            ("DELETE", ""): self._delete_item,
            ("GET", "children"): self._list_children,
            ("POST", "children"): self._create_child,
            ("GET", "content"): self._get_content,
            ("HEAD", "content"): self._get_content,
            ("PUT", "content"): self._replace_content,
            ("POST", "createUploadSession"): self._create_session,
            ("POST", "permanentDelete"): self._delete_for_good,
        }
        handler = simple.get((method, action))
        if handler is not None:
            return handler(call, item)
        if method == "GET" and re.match(r"delta(\(.*\))?$", action):
            return self.feed.answer(call, item, action)
        if method == "GET" and action.split("/")[0] == "thumbnails":
            return self.thumbnails.answer(call, item, action.split("/")[1:])
        if action in {key[1] for key in simple} | {"thumbnails", "delta"}:
            raise Refusal(405, "notSupported", "The method is not supported here.")
        raise Refusal(400, "invalidRequest", "Resource not found for the segment.")

    # --- One item ----------------------------------------------------------------------------

    def _write(self, call: Call, item: Item) -> dict[str, Any]:
        return {
            "@odata.context": f"{METADATA}drives('{quote(self.tree.drive_id)}')/items/$entity",
            **self.writer.write_item(item, call.base_url),
        }

    def _select(self, call: Call, document: dict[str, Any]) -> dict[str, Any]:
        wanted = call.get_option("select")
        if wanted is None:
            return document
        chosen = select_fields(document, wanted.split(","))
        context = {name: value for name, value in document.items() if name == "@odata.context"}
        return {**context, **chosen}

    def _get_item(self, call: Call, item: Item) -> Response:
        matches = call.request.headers.get("if-none-match")
        if matches in (make_etag(item), make_ctag(item)):
            return Response(304)
        document = self._select(call, self._write(call, item))
        for expanded in call.read_expand():
            if expanded == "thumbnails":
                document["thumbnails"] = self.thumbnails.write_sets(call, item)
            elif expanded == "children":
                document["children"] = [
                    self.writer.write_item(child, call.base_url)
                    for child in self.tree.list_children(item, "name", False, None, 200)[0]
                ]
        return answer_json(document, headers={"ETag": make_etag(item)})

    def _check_match(self, call: Call, item: Item) -> None:
        wanted = call.request.headers.get("if-match")
        if wanted and wanted != "*" and wanted not in (make_etag(item), make_ctag(item)):
            code = "resourceModified" if self.kind == "personal" else "notAllowed"
            raise Refusal(412, code, "ETag does not match current item's value.")

    def _check_locked(self, item: Item) -> None:
        if self.faults.fire("locked", item=self.tree.get_place(item)):
            raise Refusal(423, "accessDenied", "The resource is locked.")

    def _patch_item(self, call: Call, item: Item) -> Response:
        self._require_write(call)
        body = call.request.read_json()
        self._check_match(call, item)
        self._check_locked(item)
        times = read_times(body.get("fileSystemInfo"))
        description = body.get("description")
        if description is not None and not isinstance(description, str):
            raise Refusal(400, "invalidRequest", "description must be a string.")
        if "name" in body or "parentReference" in body:
            parent = self._find_new_parent(call, item, body.get("parentReference"))
            behavior = read_behavior(body.get(CONFLICT_KEY), "fail")
            if item.is_folder or behavior == "replace":
                # The service reportedly ignores it for folders; this call cannot replace.
                behavior = "fail"
            item = self.tree.move(item, parent, body.get("name", item.name), behavior)
        if times != FileTimes() or description is not None:
            item = self.tree.set_facts(item, times, description)
        return answer_json(self._write(call, item))

    def _find_new_parent(self, call: Call, item: Item, reference: Any) -> Item:
        if reference is None:
            if item.id == self.tree.root_id:
                raise Refusal(400, "invalidRequest", "The root folder cannot be renamed.")
            return self.tree.get(item.parent_id)
        if not isinstance(reference, dict):
            raise Refusal(400, "invalidRequest", "parentReference must be an object.")
        drive_id = reference.get("driveId")
        if drive_id is not None and not self._is_own_drive(str(drive_id)):
            raise Refusal(400, "invalidRequest", "Items cannot be moved to another drive.")
        if isinstance(reference.get("path"), str) and "id" not in reference:
            text = re.sub(r"^/drive(s/[^/]+)?/root:?", "", reference["path"])
            names = [decode_segment(part) for part in text.split("/") if part]
            found = self.tree.find_by_names(self.tree.root_id, names)
            if found is None:
                raise Refusal(404, "itemNotFound", "The new parent could not be found.")
            return found
        if reference.get("id") is None:
            return self.tree.get(item.parent_id)
        if reference["id"] == "root":
            raise Refusal(400, "invalidRequest", "The parent must be given by its real id.")
        parent = self.tree.get(str(reference["id"]))
        if call.has_only_app_folder() and not self._is_in_app_folder(parent):
            raise denied()
        return parent

    def _delete_item(self, call: Call, item: Item) -> Response:
        self._require_write(call)
        self._check_match(call, item)
        self._check_locked(item)
        self.tree.delete(item)
        return Response(204)

    def _delete_for_good(self, call: Call, item: Item) -> Response:
        self._require_write(call)
        if self.kind != "business":
            raise Refusal(400, "notSupported", "The operation is not supported for this account.")
        self._check_locked(item)
        self.tree.delete(item, for_good=True)
        return Response(204)

    def _restore(self, call: Call, item_id: str) -> Response:
        self._require_write(call)
        if self.kind != "personal":
            raise Refusal(400, "notSupported", "The operation is not supported for this account.")
        body = call.request.read_json()
        reference = body.get("parentReference")
        parent = None
        if isinstance(reference, dict) and "id" in reference:
            parent = self.tree.get(str(reference["id"]))
        return answer_json(self._write(call, self.tree.restore(item_id, parent, body.get("name"))))

    # --- Bytes -------------------------------------------------------------------------------

    def _get_content(self, call: Call, item: Item) -> Response:
        if item.is_folder:
            raise Refusal(400, "invalidRequest", "You cannot get content for a folder.")
        if self.faults.fire("malware", item=self.tree.get_place(item)):
            raise malware_found()
        if call.request.headers.get("if-none-match") in (make_etag(item), make_ctag(item)):
            return Response(304)
        format = call.get_option("format") or ""
        if format:
            return self._convert(call, item, format.lower())
        return answer_redirect(self.content.make_download_url(call.base_url, item))

    def _convert(self, call: Call, item: Item, format: str) -> Response:
        ending = "." + item.name.rpartition(".")[2].lower()
        if format != "jpg" or ending not in _CONVERTIBLE:
            raise Refusal(
                406, "notSupported", "The file cannot be converted to the requested format."
            )
        sizes = [call.get_option(name) or "100000" for name in ("width", "height")]
        if not all(re.fullmatch(r"[1-9]\d{0,5}", size) for size in sizes):
            raise Refusal(400, "invalidRequest", "Width and height must be numbers.")
        key = "x".join(sizes)
        return answer_redirect(self.content.make_download_url(call.base_url, item, key))

    def _put_new(self, call: Call, parent: Item, name: str, action: str) -> Response:
        self._require_write(call)
        if action == "createUploadSession":
            document = self.uploads.create(call.request, parent, name, None)
            return answer_json(document)
        if action == "":
            return self._commit_by_metadata(call, parent, name)
        behavior = self._read_query_behavior(call)
        item, is_new = self.uploads.put_simply(call.request, parent, name, behavior)
        return answer_json(self._write(call, item), 201 if is_new else 200)

    def _read_query_behavior(self, call: Call) -> str:
        return read_behavior(call.request.query.get(CONFLICT_KEY), "replace")

    def _replace_content(self, call: Call, item: Item) -> Response:
        self._require_write(call)
        self._check_match(call, item)
        self._check_locked(item)
        if item.is_folder:
            raise name_taken()
        parent = self.tree.get(item.parent_id)
        behavior = self._read_query_behavior(call)
        item, is_new = self.uploads.put_simply(call.request, parent, item.name, behavior)
        return answer_json(self._write(call, item), 201 if is_new else 200)

    def _create_session(self, call: Call, item: Item) -> Response:
        self._require_write(call)
        if item.is_folder:
            raise name_taken()
        self._check_locked(item)
        parent = self.tree.get(item.parent_id)
        by_id = "/items/" in call.request.path and ":/" not in call.request.path
        document = self.uploads.create(call.request, parent, item.name, item if by_id else None)
        return answer_json(document)

    def _put_metadata(self, call: Call, item: Item) -> Response:
        """Answer ``PUT`` of metadata on an existing path: it finishes an upload session."""
        self._require_write(call)
        self._check_locked(item)
        return self._commit_by_metadata(call, self.tree.get(item.parent_id), item.name)

    def _commit_by_metadata(self, call: Call, parent: Item, name: str) -> Response:
        body = call.request.read_json()
        source_url = body.get("@microsoft.graph.sourceUrl")
        if not isinstance(source_url, str):
            raise Refusal(400, "invalidRequest", "The request names no source.")
        behavior = read_behavior(body.get(CONFLICT_KEY), "fail")
        wanted = body.get("name") or name
        return self.uploads.commit_to(call.request, source_url, parent, str(wanted), behavior)

    # --- Folders -----------------------------------------------------------------------------

    def _create_child(self, call: Call, item: Item) -> Response:
        self._require_write(call)
        body = call.request.read_json()
        if not isinstance(body.get("folder"), dict):
            raise Refusal(400, "invalidRequest", "Only folders can be made by this call.")
        if not item.is_folder:
            raise Refusal(400, "invalidRequest", "The parent is not a folder.")
        if self.faults.fire("quota_full"):
            raise Refusal(507, "quotaLimitReached", "The quota of the drive has been reached.")
        self._check_locked(item)
        behavior = read_behavior(body.get(CONFLICT_KEY), "fail")
        times = read_times(body.get("fileSystemInfo"))
        folder, is_new = self.tree.create_folder(item, body.get("name"), behavior, times)
        return answer_json(self._write(call, folder), 201 if is_new else 200)

    def _read_order(self, call: Call) -> tuple[str, bool]:
        text = (call.get_option("orderby") or "name").strip()
        name, _, direction = text.partition(" ")
        direction = direction.strip().lower() or "asc"
        allowed = ORDER_COLUMNS if self.kind == "personal" else ("name", "url")
        if name not in allowed or direction not in ("asc", "desc"):
            raise Refusal(400, "invalidRequest", f"Sorting by '{text}' is not supported.")
        return ("name" if name == "url" else name), direction == "desc"

    def _list_children(self, call: Call, folder: Item) -> Response:
        if not folder.is_folder:
            if self.kind == "business":
                raise Refusal(400, "invalidRequest", "The item is not a folder.")
            return answer_json({"@odata.context": f"{METADATA}items", "value": []})
        for name in ("skip", "filter", "search"):
            if call.get_option(name) is not None:
                raise Refusal(400, "invalidRequest", f"${name} is not supported on this resource.")
        top = call.read_top()
        order, descending = self._read_order(call)
        place = read_token(call.get_option("skiptoken"))
        expand = call.read_expand()
        document: dict[str, Any] = {
            "@odata.context": f"{METADATA}drives('{quote(self.tree.drive_id)}')"
            f"/items('{quote(folder.id)}')/children"
        }
        if self.kind == "personal":
            document["@odata.count"] = self.tree.count_children(folder.id)
        if place is None and self.faults.fire("children_empty_page"):
            document["value"] = []
            document["@odata.nextLink"] = call.make_next("$skiptoken", make_token([]))
            return answer_json(document)
        after = place or None
        if after is not None and not _is_place(after):
            raise Refusal(400, "invalidRequest", "The $skiptoken is not valid.")
        items, next_place = self.tree.list_children(folder, order, descending, after, top)
        names_above = [*self.tree.list_names_above(folder), folder.name]
        if folder.id == self.tree.root_id:
            names_above = []
        wanted = call.get_option("select")
        wanted_names = None if wanted is None else wanted.split(",")
        rows: list[dict[str, Any]] = []
        # Hashing new files makes a page slow. A page may always hold fewer items than requested,
        # so it ends before the client times out.
        end = monotonic() + self.page_seconds
        for item in items:
            if rows and monotonic() > end:
                next_place = get_place(items[len(rows) - 1], order)
                break
            row = select_fields(
                self.writer.write_item(item, call.base_url, names_above), wanted_names
            )
            if "thumbnails" in expand and self.kind == "personal":
                row["thumbnails"] = self.thumbnails.write_sets(call, item)
            rows.append(row)
        if after is None and folder.id == self.tree.root_id and self._shows_vault(call):
            rows.append(self.writer.write_vault(call.base_url))
        document["value"] = rows
        if next_place is not None:
            document["@odata.nextLink"] = call.make_next("$skiptoken", make_token(next_place))
        return answer_json(document)

    # --- Personal Vault ------------------------------------------------------------------------

    def _shows_vault(self, call: Call) -> bool:
        hidden = "addtoonedrive" in call.request.headers.get("prefer", "").lower()
        return self.kind == "personal" and not hidden and self.faults.fire("vault") is not None

    def _is_vault(self, start: str, names: list[str]) -> bool:
        if self.kind != "personal":
            return False
        if start.startswith("items/") and decode_segment(start[6:]) == self.writer.vault_id:
            return True
        is_named = start == "root" and bool(names) and names[0] == VAULT_NAME
        return is_named and self.faults.fire("vault") is not None

    def _answer_vault(self, call: Call, action: str) -> Response:
        if action == "" and call.request.method == "GET":
            return answer_json(self.writer.write_vault(call.base_url))
        raise Refusal(400, "invalidRequest", "ObjectHandle is Invalid")

    # --- Changes -----------------------------------------------------------------------------

    # --- Thumbnails --------------------------------------------------------------------------

    # --- Subscriptions and batches -------------------------------------------------------------

    def _answer_subscription(self, call: Call, path: str) -> Response:
        self._require_write(call)
        if self.kind == "business" and "files.readwrite.all" not in call.session.scopes:
            raise denied()
        return self.subscriptions.answer(
            call.request, path.removeprefix("/subscriptions").strip("/"), call.session.client_id
        )


def _is_place(value: list[Any]) -> bool:
    return len(value) == 2 and isinstance(value[0], str | int) and isinstance(value[1], str)
