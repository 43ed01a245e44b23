"""Microsoft Graph v1.0, as far as a drive goes: items, children, changes, thumbnails, batches."""

import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from time import sleep
from typing import Any
from urllib.parse import quote, urlencode

from .content import ContentHosts, allow_any_origin, answer_preflight, malware_found
from .faults import Faults
from .identity import IdentityPlatform, Session
from .index import FileTimes, Item
from .items import (
    VAULT_NAME,
    Account,
    ItemWriter,
    make_ctag,
    make_etag,
    make_trace_id,
    parse_time,
    select_fields,
)
from .names import decode_segment
from .pictures import PICTURE_ENDINGS, find_thumbnail_spec, is_picture_name
from .server import ConnectionDropped, Refusal, Request, Response, answer_json, answer_redirect
from .subscriptions import Subscriptions
from .tree import Tree, name_taken
from .uploads import CONFLICT_KEY, Uploads, read_behavior, read_times
from .watch import ORDER_COLUMNS

_METADATA = "https://graph.microsoft.com/v1.0/$metadata#"
_DEFAULT_PAGE = 200
_MOST_PAGE = 1000
_BATCH_LIMIT = 20
_RESYNC = "resyncChangesApplyDifferences"
_CLAIMS_PERSONAL = "CompactToken validation failed with reason code: 80049228."
_CLAIMS_BUSINESS = "Lifetime validation failed, the token is expired."
_READ_SCOPES = frozenset(
    {
        "files.read",
        "files.read.all",
        "files.readwrite",
        "files.readwrite.all",
        "sites.read.all",
        "sites.readwrite.all",
    }
)
_WRITE_SCOPES = frozenset({"files.readwrite", "files.readwrite.all", "sites.readwrite.all"})
_APP_FOLDER_SCOPE = "files.readwrite.appfolder"
_PERSON_SCOPES = frozenset({"user.read", "user.readwrite", "user.readbasic.all"})
_SPECIAL_PATHS = {
    "documents": ["Documents"],
    "photos": ["Pictures"],
    "music": ["Music"],
    "cameraroll": ["Pictures", "Camera Roll"],
    "approot": ["Apps", "ImageHub"],
}
_PERSONAL_SPECIALS = ("music", "cameraroll")
_DRIVE = re.compile(r"(?:/me/drive|/drive|/drives/([^/]+)|/users/[^/]+/drive)(?=/|$)", re.I)
_CONVERTIBLE = PICTURE_ENDINGS - {".avif"}
_CODES = {
    400: "invalidRequest",
    401: "InvalidAuthenticationToken",
    403: "accessDenied",
    404: "itemNotFound",
    405: "notSupported",
    409: "nameAlreadyExists",
    410: "resyncRequired",
    412: "resourceModified",
    416: "invalidRange",
    423: "accessDenied",
    429: "activityLimitReached",
    500: "generalException",
    501: "notSupported",
    502: "badGateway",
    503: "serviceNotAvailable",
    504: "gatewayTimeout",
    507: "quotaLimitReached",
    509: "bandwidthLimitExceeded",
}


@dataclass
class _Call:
    """One call to Graph on its way: who asks, what for."""

    request: Request
    session: Session
    base_url: str

    def may_write(self) -> bool:
        return bool(self.session.scopes & _WRITE_SCOPES)

    def may_read(self) -> bool:
        return bool(self.session.scopes & _READ_SCOPES)

    def has_only_app_folder(self) -> bool:
        return _APP_FOLDER_SCOPE in self.session.scopes and not self.may_write()

    def get_option(self, name: str) -> str | None:
        """A query option, with or without its dollar, in any casing."""
        wanted = name.lower()
        for key, value in self.request.query.items():
            if key.lower().removeprefix("$") == wanted:
                return value
        return None


class Graph:
    """Answers everything below ``/v1.0``."""

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
    ) -> None:
        self.tree = tree
        self.account = account
        self.kind = account.kind
        self.identity = identity
        self.writer = writer
        self.content = content
        self.uploads = uploads
        self.subscriptions = subscriptions
        self.faults = faults

    # --- The way in --------------------------------------------------------------------------

    def answer(self, request: Request) -> Response:
        """Any call; refusals come back as Graph's error JSON."""
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
        call = _Call(request, session, request.base_url)
        if path == "/$batch":
            return self._answer_batch(call)
        if path == "/subscriptions" or path.startswith("/subscriptions/"):
            return self._answer_subscription(call, path)
        if path in ("/me", "/me/"):
            return self._answer_me(call)
        if path in ("/me/drives", "/drives"):
            self._require_read(call)
            return answer_json(
                {"@odata.context": f"{_METADATA}drives", "value": [self.writer.write_drive()]}
            )
        match = _DRIVE.match(path)
        if match is None:
            raise Refusal(400, "BadRequest", "Resource not found for the segment.")
        if match[1] is not None and not self._is_own_drive(decode_segment(match[1])):
            raise Refusal(404, "itemNotFound", "The resource could not be found.")
        return self._answer_drive(call, path[match.end() :])

    def _authenticate(self, request: Request) -> Session:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if not token.strip() or scheme.lower() != "bearer":
            raise _bad_token("Access token is empty.")
        session = self.identity.find_session(token.strip())
        if session is None:
            personal = self.kind == "personal"
            raise _bad_token(_CLAIMS_PERSONAL if personal else _CLAIMS_BUSINESS)
        return session

    def _is_own_drive(self, drive_id: str) -> bool:
        if self.kind == "personal":
            return drive_id.upper().zfill(16) == self.tree.drive_id.upper()
        return drive_id == self.tree.drive_id

    def _require_read(self, call: _Call) -> None:
        if not call.may_read() and not call.has_only_app_folder():
            raise _denied()

    def _require_write(self, call: _Call) -> None:
        if not call.may_write() and not call.has_only_app_folder():
            raise _denied()

    def _answer_me(self, call: _Call) -> Response:
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
            "@odata.context": f"{_METADATA}users/$entity",
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

    def _answer_drive(self, call: _Call, rest: str) -> Response:
        if rest in ("", "/"):
            self._require_read(call)
            if call.request.method != "GET":
                raise Refusal(405, "notSupported", "The method is not supported here.")
            document = {"@odata.context": f"{_METADATA}drives/$entity", **self.writer.write_drive()}
            return answer_json(self._select(call, document))
        self._require_read(call)
        match = re.match(r"/(root|items/[^/:]+|special/[^/:]+)(?=[/:]|$)", rest)
        if match is None:
            raise Refusal(400, "invalidRequest", "Resource not found for the segment.")
        names, action = self._split_path(rest[match.end() :])
        start = match[1]
        return self._answer_item(call, start, names, action)

    def _split_path(self, rest: str) -> tuple[list[str], str]:
        """``:/a/b:/children`` → names and action; ``/children`` → no names."""
        if not rest.startswith(":"):
            return [], rest.strip("/")
        text, _, action = rest[1:].partition(":")
        if text and not text.startswith("/"):
            raise Refusal(400, "invalidRequest", "The path must start with a slash.", "invalidPath")
        names = [decode_segment(segment) for segment in text.split("/")[1:] if segment]
        if any(name in (".", "..") or "/" in name or "\\" in name for name in names):
            raise Refusal(400, "invalidRequest", "The path is not valid.", "invalidPath")
        return names, action.strip("/")

    def _find_start(self, call: _Call, start: str) -> Item:
        word, _, name = start.partition("/")
        if word == "special":
            return self._find_special(call, decode_segment(name).lower())
        item_id = self.tree.root_id if word == "root" else decode_segment(name)
        if item_id == "root":
            item_id = self.tree.root_id
        item = self.tree.get(item_id)
        if call.has_only_app_folder() and not self._is_in_app_folder(item):
            raise _denied()
        return item

    def _find_special(self, call: _Call, name: str) -> Item:
        names = _SPECIAL_PATHS.get(name)
        if names is None or (name in _PERSONAL_SPECIALS and self.kind != "personal"):
            raise Refusal(400, "invalidRequest", "There is no such special folder.")
        if call.has_only_app_folder() and name != "approot":
            raise _denied()
        item = self.tree.get(self.tree.root_id)
        for part in names:
            found = self.tree.find_by_names(item.id, [part])
            if found is None:
                if not call.may_write() and not call.has_only_app_folder():
                    raise _denied()
                found, _new = self.tree.create_folder(item, part, "replace")
            item = found
        return item

    def _is_in_app_folder(self, item: Item) -> bool:
        folder = self.tree.find_by_names(self.tree.root_id, _SPECIAL_PATHS["approot"])
        return folder is not None and self.tree.is_inside(item, folder.id)

    def _answer_item(self, call: _Call, start: str, names: list[str], action: str) -> Response:
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
            # The one case in which an address may name what does not exist yet.
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

    def _dispatch(self, call: _Call, item: Item, action: str, by_path: bool) -> Response:
        method = call.request.method
        if method == "PUT" and action == "" and by_path:
            return self._put_metadata(call, item)
        simple: dict[tuple[str, str], Callable[[_Call, Item], Response]] = {
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
            return self._list_delta(call, item, action)
        if method == "GET" and action.split("/")[0] == "thumbnails":
            return self._answer_thumbnails(call, item, action.split("/")[1:])
        if action in {key[1] for key in simple} | {"thumbnails", "delta"}:
            raise Refusal(405, "notSupported", "The method is not supported here.")
        raise Refusal(400, "invalidRequest", "Resource not found for the segment.")

    # --- One item ----------------------------------------------------------------------------

    def _write(self, call: _Call, item: Item) -> dict[str, Any]:
        return {
            "@odata.context": f"{_METADATA}drives('{quote(self.tree.drive_id)}')/items/$entity",
            **self.writer.write_item(item, call.base_url),
        }

    def _select(self, call: _Call, document: dict[str, Any]) -> dict[str, Any]:
        wanted = call.get_option("select")
        if wanted is None:
            return document
        chosen = select_fields(document, wanted.split(","))
        context = {name: value for name, value in document.items() if name == "@odata.context"}
        return {**context, **chosen}

    def _get_item(self, call: _Call, item: Item) -> Response:
        matches = call.request.headers.get("if-none-match")
        if matches in (make_etag(item), make_ctag(item)):
            return Response(304)
        document = self._select(call, self._write(call, item))
        for expanded in self._read_expand(call):
            if expanded == "thumbnails":
                document["thumbnails"] = self._write_thumbnails(call, item)
            elif expanded == "children":
                document["children"] = [
                    self.writer.write_item(child, call.base_url)
                    for child in self.tree.list_children(item, "name", False, None, 200)[0]
                ]
        return answer_json(document, headers={"ETag": make_etag(item)})

    def _read_expand(self, call: _Call) -> list[str]:
        text = call.get_option("expand")
        if not text:
            return []
        wanted = [re.sub(r"\(.*", "", part).strip().lower() for part in text.split(",")]
        if set(wanted) - {"thumbnails", "children", "permissions", "listitem"}:
            raise Refusal(400, "invalidRequest", "An expanded property does not exist.")
        return wanted

    def _check_match(self, call: _Call, item: Item) -> None:
        wanted = call.request.headers.get("if-match")
        if wanted and wanted != "*" and wanted not in (make_etag(item), make_ctag(item)):
            code = "resourceModified" if self.kind == "personal" else "notAllowed"
            raise Refusal(412, code, "ETag does not match current item's value.")

    def _check_locked(self, item: Item) -> None:
        if self.faults.fire("locked", item=self._get_place(item)):
            raise Refusal(423, "accessDenied", "The resource is locked.")

    def _get_place(self, item: Item) -> str:
        return "/" + "/".join([*self.tree.list_names_above(item), item.name])

    def _patch_item(self, call: _Call, item: Item) -> Response:
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
                # Reported as ignored for folders; replacing is not offered by this call.
                behavior = "fail"
            item = self.tree.move(item, parent, body.get("name", item.name), behavior)
        if times != FileTimes() or description is not None:
            item = self.tree.set_facts(item, times, description)
        return answer_json(self._write(call, item))

    def _find_new_parent(self, call: _Call, item: Item, reference: Any) -> Item:
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
            raise _denied()
        return parent

    def _delete_item(self, call: _Call, item: Item) -> Response:
        self._require_write(call)
        self._check_match(call, item)
        self._check_locked(item)
        self.tree.delete(item)
        return Response(204)

    def _delete_for_good(self, call: _Call, item: Item) -> Response:
        self._require_write(call)
        if self.kind != "business":
            raise Refusal(400, "notSupported", "The operation is not supported for this account.")
        self._check_locked(item)
        self.tree.delete(item, for_good=True)
        return Response(204)

    def _restore(self, call: _Call, item_id: str) -> Response:
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

    def _get_content(self, call: _Call, item: Item) -> Response:
        if item.is_folder:
            raise Refusal(400, "invalidRequest", "You cannot get content for a folder.")
        if self.faults.fire("malware", item=self._get_place(item)):
            raise malware_found()
        if call.request.headers.get("if-none-match") in (make_etag(item), make_ctag(item)):
            return Response(304)
        format = call.get_option("format") or ""
        if format:
            return self._convert(call, item, format.lower())
        return answer_redirect(self.content.make_download_url(call.base_url, item))

    def _convert(self, call: _Call, item: Item, format: str) -> Response:
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

    def _put_new(self, call: _Call, parent: Item, name: str, action: str) -> Response:
        self._require_write(call)
        if action == "createUploadSession":
            document = self.uploads.create(call.request, parent, name, None)
            return answer_json(document)
        if action == "":
            return self._commit_by_metadata(call, parent, name)
        behavior = self._read_query_behavior(call)
        item, is_new = self.uploads.put_simply(call.request, parent, name, behavior)
        return answer_json(self._write(call, item), 201 if is_new else 200)

    def _read_query_behavior(self, call: _Call) -> str:
        return read_behavior(call.request.query.get(CONFLICT_KEY), "replace")

    def _replace_content(self, call: _Call, item: Item) -> Response:
        self._require_write(call)
        self._check_match(call, item)
        self._check_locked(item)
        if item.is_folder:
            raise name_taken()
        parent = self.tree.get(item.parent_id)
        behavior = self._read_query_behavior(call)
        item, is_new = self.uploads.put_simply(call.request, parent, item.name, behavior)
        return answer_json(self._write(call, item), 201 if is_new else 200)

    def _create_session(self, call: _Call, item: Item) -> Response:
        self._require_write(call)
        if item.is_folder:
            raise name_taken()
        self._check_locked(item)
        parent = self.tree.get(item.parent_id)
        by_id = "/items/" in call.request.path and ":/" not in call.request.path
        document = self.uploads.create(call.request, parent, item.name, item if by_id else None)
        return answer_json(document)

    def _put_metadata(self, call: _Call, item: Item) -> Response:
        """``PUT`` of metadata on an existing path: only to finish an upload session."""
        self._require_write(call)
        self._check_locked(item)
        return self._commit_by_metadata(call, self.tree.get(item.parent_id), item.name)

    def _commit_by_metadata(self, call: _Call, parent: Item, name: str) -> Response:
        body = call.request.read_json()
        source_url = body.get("@microsoft.graph.sourceUrl")
        if not isinstance(source_url, str):
            raise Refusal(400, "invalidRequest", "The request names no source.")
        behavior = read_behavior(body.get(CONFLICT_KEY), "fail")
        wanted = body.get("name") or name
        return self.uploads.commit_to(call.request, source_url, parent, str(wanted), behavior)

    # --- Folders -----------------------------------------------------------------------------

    def _create_child(self, call: _Call, item: Item) -> Response:
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

    def _read_top(self, call: _Call, default: int) -> int:
        text = call.get_option("top")
        if text is None:
            return default
        if not re.fullmatch(r"\d{1,9}", text) or int(text) == 0:
            raise Refusal(400, "invalidRequest", "$top must be a positive number.")
        return min(int(text), _MOST_PAGE)

    def _read_order(self, call: _Call) -> tuple[str, bool]:
        text = (call.get_option("orderby") or "name").strip()
        name, _, direction = text.partition(" ")
        direction = direction.strip().lower() or "asc"
        allowed = ORDER_COLUMNS if self.kind == "personal" else ("name", "url")
        if name not in allowed or direction not in ("asc", "desc"):
            raise Refusal(400, "invalidRequest", f"Sorting by '{text}' is not supported.")
        return ("name" if name == "url" else name), direction == "desc"

    def _list_children(self, call: _Call, folder: Item) -> Response:
        if not folder.is_folder:
            if self.kind == "business":
                raise Refusal(400, "invalidRequest", "The item is not a folder.")
            return answer_json({"@odata.context": f"{_METADATA}items", "value": []})
        for name in ("skip", "filter", "search"):
            if call.get_option(name) is not None:
                raise Refusal(400, "invalidRequest", f"${name} is not supported on this resource.")
        top = self._read_top(call, _DEFAULT_PAGE)
        order, descending = self._read_order(call)
        place = _read_token(call.get_option("skiptoken"))
        expand = self._read_expand(call)
        document: dict[str, Any] = {
            "@odata.context": f"{_METADATA}drives('{quote(self.tree.drive_id)}')"
            f"/items('{quote(folder.id)}')/children"
        }
        if self.kind == "personal":
            document["@odata.count"] = self.tree.count_children(folder.id)
        if place is None and self.faults.fire("children_empty_page"):
            document["value"] = []
            document["@odata.nextLink"] = self._make_next(call, "$skiptoken", _make_token([]))
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
        for item in items:
            row = select_fields(
                self.writer.write_item(item, call.base_url, names_above), wanted_names
            )
            if "thumbnails" in expand and self.kind == "personal":
                row["thumbnails"] = self._write_thumbnails(call, item)
            rows.append(row)
        if after is None and folder.id == self.tree.root_id and self._shows_vault(call):
            rows.append(self.writer.write_vault(call.base_url))
        document["value"] = rows
        if next_place is not None:
            document["@odata.nextLink"] = self._make_next(
                call, "$skiptoken", _make_token(next_place)
            )
        return answer_json(document)

    def _make_next(self, call: _Call, name: str, value: str, path: str = "") -> str:
        kept = {
            key: text
            for key, text in call.request.query.items()
            if key.lower().removeprefix("$") not in ("skiptoken", "token")
        }
        query = urlencode({**kept, name: value}, safe="$")
        return f"{call.base_url}{path or call.request.path}?{query}"

    # --- Personal Vault ------------------------------------------------------------------------

    def _shows_vault(self, call: _Call) -> bool:
        hidden = "addtoonedrive" in call.request.headers.get("prefer", "").lower()
        return self.kind == "personal" and not hidden and self.faults.fire("vault") is not None

    def _is_vault(self, start: str, names: list[str]) -> bool:
        if self.kind != "personal":
            return False
        if start.startswith("items/") and decode_segment(start[6:]) == self.writer.vault_id:
            return True
        is_named = start == "root" and bool(names) and names[0] == VAULT_NAME
        return is_named and self.faults.fire("vault") is not None

    def _answer_vault(self, call: _Call, action: str) -> Response:
        if action == "" and call.request.method == "GET":
            return answer_json(self.writer.write_vault(call.base_url))
        raise Refusal(400, "invalidRequest", "ObjectHandle is Invalid")

    # --- Changes -----------------------------------------------------------------------------

    def _list_delta(self, call: _Call, folder: Item, action: str) -> Response:
        """The feed: latest states, ordered by when they changed, between two numbers.

        A token is ``[epoch, after, up to, place]``; a deltaLink has no "up to" yet.
        """
        if not folder.is_folder:
            raise Refusal(400, "invalidRequest", "The item is not a folder.")
        if self.kind == "business":
            if folder.id != self.tree.root_id:
                raise Refusal(400, "invalidRequest", "Delta is only supported on the root.")
            if call.get_option("expand"):
                raise Refusal(400, "badArgument", "Expand is not supported for delta.")
        path = call.request.path
        if "(" in action:
            path = path[: path.rindex("(")]
        text = call.get_option("token")
        inside = re.search(r"token='([^']*)'", decode_segment(action))
        if inside:
            text = inside[1]
        if text and (fault := self.faults.fire("delta_gone")):
            raise self._make_gone(call, path, str(fault.get("code", _RESYNC)))
        after, up_to, place, marker = self._read_delta_token(call, text, path)
        if up_to == 0:
            self.tree.refresh_tree()
            up_to = self.tree.seq
        document: dict[str, Any] = {
            "@odata.context": f"{_METADATA}Collection(driveItem)",
            "value": [],
        }
        if text == "latest":
            document["@odata.deltaLink"] = self._make_delta_link(call, path, up_to, 0, 0)
            return answer_json(document)
        if marker != "seen" and self.faults.fire("delta_empty_page"):
            token = self._make_delta_token(after, up_to, place, "seen")
            document["@odata.nextLink"] = self._make_next(call, "token", token, path)
            return answer_json(document)
        items, next_place = self.tree.list_changes(
            max(after, place), up_to, self._read_top(call, _DEFAULT_PAGE), with_deleted=after > 0
        )
        wanted = call.get_option("select")
        names = None if wanted is None else wanted.split(",")
        rows = [
            self._write_change(call, item, names)
            for item in items
            if folder.id == self.tree.root_id or self.tree.is_inside(item, folder.id)
        ]
        if rows and self.faults.fire("delta_duplicate"):
            older = {**rows[0], "name": f"{rows[0].get('name', 'item')} (old)"}
            rows.insert(0, older)
        document["value"] = rows
        if next_place is not None:
            token = self._make_delta_token(after, up_to, next_place, "")
            document["@odata.nextLink"] = self._make_next(call, "token", token, path)
        else:
            document["@odata.deltaLink"] = self._make_delta_link(call, path, up_to, 0, 0)
        return answer_json(document)

    def _write_change(self, call: _Call, item: Item, names: list[str] | None) -> dict[str, Any]:
        if item.deleted:
            return self.writer.write_deleted(item)
        document = self.writer.write_item(item, call.base_url, in_delta=True)
        if "deltaexcludeparent" in call.request.headers:
            document.pop("parentReference", None)
        return select_fields(document, names)

    def _make_delta_token(self, after: int, up_to: int, place: int, marker: str) -> str:
        return _make_token([self.tree.epoch, after, up_to, place, marker])

    def _make_delta_link(self, call: _Call, path: str, after: int, up_to: int, place: int) -> str:
        return self._make_next(call, "token", self._make_delta_token(after, up_to, place, ""), path)

    def _read_delta_token(
        self, call: _Call, text: str | None, path: str
    ) -> tuple[int, int, int, str]:
        if not text or text == "latest":
            return 0, 0, 0, ""
        moment = parse_time(text) if re.match(r"\d{4}-\d\d-\d\dT", text) else None
        if moment is not None:
            if self.kind != "business":
                raise Refusal(400, "invalidRequest", "A time is not supported as a token.")
            self.tree.refresh_tree()
            return max(self.tree.find_seq_at(moment), 1), 0, 0, ""
        token = _read_token(text)
        if (
            token is None
            or len(token) != 5
            or not isinstance(token[4], str)
            or not all(type(number) is int for number in token[1:4])
        ):
            raise Refusal(400, "invalidRequest", "The token is not valid.")
        if token[0] != self.tree.epoch:
            raise self._make_gone(call, path)
        return token[1], token[2], token[3], token[4]

    def _make_gone(self, call: _Call, path: str, code: str = _RESYNC) -> Refusal:
        kept = {
            key: text
            for key, text in call.request.query.items()
            if key.lower().removeprefix("$") != "token"
        }
        location = f"{call.base_url}{path}" + (f"?{urlencode(kept, safe='$')}" if kept else "")
        return Refusal(410, code, "Resync required.", headers={"Location": location})

    # --- Thumbnails --------------------------------------------------------------------------

    def _find_picture_size(self, item: Item) -> tuple[int, int, bool] | None:
        """Upright width and height of a readable picture, and whether Exif turns it."""
        if item.is_folder or not is_picture_name(item.name):
            return None
        if self.faults.fire("thumbnails_missing", item=self._get_place(item)):
            return None
        facets = self.writer.read_content(item, self.tree.get_path(item))[2]
        if "image" not in facets:
            return None
        width, height = facets["image"]["width"], facets["image"]["height"]
        turned = facets.get("photo", {}).get("orientation", 1) >= 5
        return (height, width, True) if turned else (width, height, False)

    def _write_thumbnail(
        self, call: _Call, item: Item, name: str, size: tuple[int, int, bool]
    ) -> dict[str, Any] | None:
        own_way = (call.get_option("originalorientation") or "").lower() == "true"
        spec = find_thumbnail_spec(name, upright=not (own_way and self.kind == "personal"))
        if spec is None:
            return None
        width, height, turned = size
        if not spec.upright and turned:
            width, height = height, width
        made = spec.fit(width, height)
        url = self.content.make_thumbnail_url(call.base_url, item, spec.key)
        return {"height": made[1], "url": url, "width": made[0]}

    def _write_thumbnails(self, call: _Call, item: Item) -> list[dict[str, Any]]:
        size = self._find_picture_size(item)
        if size is None:
            return []
        names = ["large", "medium", "small"]
        wanted = call.get_option("select")
        if wanted is not None and call.request.path.rstrip("/").endswith("/thumbnails"):
            names = [name.strip() for name in wanted.split(",")]
        one: dict[str, Any] = {"id": "0"}
        for name in names:
            thumbnail = self._write_thumbnail(call, item, name, size)
            if thumbnail is not None:
                one[name] = thumbnail
        return [one]

    def _answer_thumbnails(self, call: _Call, item: Item, parts: list[str]) -> Response:
        context = f"{_METADATA}thumbnails"
        sets = self._write_thumbnails(call, item)
        if not parts or parts == [""]:
            return answer_json({"@odata.context": context, "value": sets})
        size = self._find_picture_size(item) if sets else None
        if parts[0] != "0" or size is None:
            raise Refusal(404, "itemNotFound", "The thumbnail set does not exist.")
        if len(parts) == 1:
            return answer_json({"@odata.context": context, **sets[0]})
        thumbnail = self._write_thumbnail(call, item, parts[1], size)
        if thumbnail is None or len(parts) > 3 or (len(parts) == 3 and parts[2] != "content"):
            raise Refusal(404, "itemNotFound", "The thumbnail does not exist.")
        if len(parts) == 3:
            return answer_redirect(thumbnail["url"])
        return answer_json({"@odata.context": context, **thumbnail})

    # --- Subscriptions and batches -------------------------------------------------------------

    def _answer_subscription(self, call: _Call, path: str) -> Response:
        self._require_write(call)
        if self.kind == "business" and "files.readwrite.all" not in call.session.scopes:
            raise _denied()
        return self.subscriptions.answer(
            call.request, path.removeprefix("/subscriptions").strip("/"), call.session.client_id
        )

    def _answer_batch(self, call: _Call) -> Response:
        if call.request.method != "POST":
            raise Refusal(405, "BadRequest", "A batch must be posted.")
        requests = call.request.read_json().get("requests")
        if not isinstance(requests, list) or not all(isinstance(one, dict) for one in requests):
            raise Refusal(400, "BadRequest", "The batch has no requests.")
        if len(requests) > _BATCH_LIMIT:
            raise Refusal(400, "BadRequest", f"A batch may hold {_BATCH_LIMIT} requests.")
        ids = [str(one.get("id", "")) for one in requests]
        if len(set(ids)) < len(ids) or "" in ids:
            raise Refusal(400, "BadRequest", "The ids of the requests must be there and differ.")
        statuses: dict[str, int] = {}
        responses: list[dict[str, Any]] = []
        for one in requests:
            needed = one.get("dependsOn") or []
            if not isinstance(needed, list) or any(str(other) not in ids for other in needed):
                raise Refusal(400, "BadRequest", "A request depends on one that is not there.")
            if any(not 200 <= statuses.get(str(other), 0) < 400 for other in needed):
                failed = Refusal(424, "FailedDependency", "A request that this needs has failed.")
                response = write_refusal(failed, call.request)
            else:
                response = self._answer_part(call, one)
            statuses[str(one["id"])] = response.status
            responses.append(_write_part(str(one["id"]), response))
        return answer_json({"responses": responses})

    def _answer_part(self, call: _Call, one: dict[str, Any]) -> Response:
        method, url = str(one.get("method", "GET")).upper(), str(one.get("url", ""))
        if not url.startswith("/"):
            url = f"/{url}"
        url_path, _, query = url.partition("?")
        headers = {"authorization": call.request.headers.get("authorization", "")}
        sent = one.get("headers")
        if isinstance(sent, dict):
            headers |= {str(name).lower(): str(value) for name, value in sent.items()}
        body = one.get("body")
        data = b"" if body is None else json.dumps(body).encode()
        part = Request(
            method,
            f"/v1.0{url_path}",
            query,
            headers,
            call.request.base_url,
            BytesIO(data),
            len(data),
        )
        if url_path == "/$batch":
            refused = Refusal(400, "BadRequest", "A batch cannot hold a batch.")
            return write_refusal(refused, part)
        self.faults.enter(method, f"/v1.0{url}")
        faulty = answer_common_faults(self.faults, part)
        return faulty if faulty is not None else self.answer(part)


def _make_token(value: list[Any]) -> str:
    return urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def _read_token(text: str | None) -> list[Any] | None:
    """The list in an opaque token; None where there is no token.

    :raise Refusal: 400, it is none of ours.
    """
    if not text:
        return None
    try:
        value = json.loads(urlsafe_b64decode(text + "=="))
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, list):
        raise Refusal(400, "invalidRequest", "The token is not valid.")
    return value


def _is_place(value: list[Any]) -> bool:
    return len(value) == 2 and isinstance(value[0], str | int) and isinstance(value[1], str)


def _denied() -> Refusal:
    return Refusal(403, "accessDenied", "Access denied. The caller lacks the permission.")


def _bad_token(message: str) -> Refusal:
    return Refusal(
        401,
        "InvalidAuthenticationToken",
        message,
        headers={
            "WWW-Authenticate": 'Bearer realm="", authorization_uri='
            '"https://login.microsoftonline.com/common/oauth2/authorize", '
            'client_id="00000003-0000-0000-c000-000000000000"'
        },
    )


def write_refusal(refusal: Refusal, request: Request) -> Response:
    """Graph's error JSON, with the request's trace."""
    trace = make_trace_id()
    inner: dict[str, Any] = {"code": refusal.inner} if refusal.inner else {}
    inner |= {
        "date": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S}",
        "request-id": trace,
        "client-request-id": request.headers.get("client-request-id") or trace,
    }
    document = {"error": {"code": refusal.code, "message": refusal.message, "innerError": inner}}
    return answer_json(document, refusal.status, {"request-id": trace, **refusal.headers})


def answer_common_faults(faults: Faults, request: Request) -> Response | None:
    """The faults that can meet any call, or None if this one goes its way.

    :raise ConnectionDropped: the answer is none.
    """
    if faults.fire("gone"):
        raise ConnectionDropped
    if fault := faults.fire("delay"):
        sleep(float(fault.get("seconds", 1)))
    if faults.fire("drop"):
        request.drain()
        raise ConnectionDropped
    if fault := faults.fire("garbage"):
        body = str(fault.get("body", "<html><body>Something went wrong</body></html>"))
        headers = {"Content-Type": str(fault.get("content_type", "application/json"))}
        return Response(200, headers, body.encode())
    if fault := faults.fire("status"):
        status = int(fault.get("status", 503))
        headers = {str(name): str(value) for name, value in (fault.get("headers") or {}).items()}
        if fault.get("retry_after") is not None:
            headers["Retry-After"] = str(fault["retry_after"])
        if "/oauth2/" in request.path:
            return answer_json(
                {
                    "error": str(fault.get("code", "temporarily_unavailable")),
                    "error_description": str(fault.get("message", "AADSTS90033: Try again.")),
                },
                status,
                headers,
            )
        refusal = Refusal(
            status,
            str(fault.get("code", _CODES.get(status, "generalException"))),
            str(fault.get("message", "The service cannot answer just now.")),
            "throttledRequest" if status == 429 else "",
            headers,
        )
        return write_refusal(refusal, request)
    return None


def _write_part(part_id: str, response: Response) -> dict[str, Any]:
    assert isinstance(response.body, bytes)
    document: dict[str, Any] = {
        "id": part_id,
        "status": response.status,
        "headers": dict(response.headers),
    }
    if response.body:
        is_json = response.headers.get("Content-Type", "").startswith("application/json")
        try:
            document["body"] = json.loads(response.body) if is_json else response.body.decode()
        except ValueError:
            document["body"] = response.body.decode("utf-8", "replace")
    return document
