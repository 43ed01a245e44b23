"""One drive through Microsoft Graph: the implementation of :class:`imagehub.clients.Drive`.

Source for addresses, fields and limits: Microsoft Graph v1.0, "Working with files" and the page of
each call. Behaviour that is not documented there is noted where it matters.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, BinaryIO
from urllib.parse import unquote, urlsplit

from imagehub.clients import (
    ChangePage,
    ConflictBehavior,
    Download,
    DriveInfo,
    DriveItem,
    ItemAnswer,
    ItemPage,
    UploadSession,
)
from imagehub.clients.drive_ids import check_name, fold_id, is_same_id
from imagehub.clients.graph_answers import (
    MALWARE,
    SERVICE,
    explain_refused_name,
    find_time,
    get_parent_id,
    get_text,
    make_bad_answer,
    make_busy,
    make_refusal,
    read_item,
    read_items,
    read_json,
)
from imagehub.clients.graph_boundary import (
    DRIVE,
    DriveBoundary,
    DriveMemory,
    make_address,
    make_path_address,
)
from imagehub.clients.graph_bytes import ByteReader, Source, add_listing, check_size
from imagehub.clients.graph_content import GraphContent
from imagehub.clients.graph_http import GoneError, GraphCaller, LostAnswerError
from imagehub.clients.graph_subscriptions import GraphSubscriptions
from imagehub.clients.graph_thumbnails import fetch_preview, fetch_thumbnail
from imagehub.clients.graph_upload import FragmentSender
from imagehub.clients.http import parse_http_date
from imagehub.errors import (
    ContentMismatchError,
    InvalidInputError,
    NotFoundError,
    ServiceRefusedError,
)
from imagehub.messages import mark

_MAX_PAGE_SIZE = 1000
_MAX_EMPTY_PAGES = 50
# Without this header the Personal Vault is listed as if it were a folder. There is no reliable
# property to recognise it by (github.com/OneDrive/onedrive-api-docs/issues/1905).
_LISTING_HEADERS = {"Prefer": "Include-Feature=AddToOneDrive"}
# Documented as options of delta, for both kinds of drive.
_CHANGE_FIELDS = (
    "id,name,size,eTag,cTag,file,folder,root,package,remoteItem,specialFolder,deleted,"
    "parentReference"
)
_CHANGES_PER_PAGE = 500


class GraphDrive:
    """The drive of one connected account; its methods are those of :class:`imagehub.clients.Drive`.

    :param root_folder: ``root``, an item id, or a path; a path contains a slash.
    """

    def __init__(
        self, caller: GraphCaller, root_folder: str = "root", memory: DriveMemory | None = None
    ) -> None:
        self._memory = memory or DriveMemory()
        self._caller = caller
        self.root_folder = root_folder.strip() or "root"
        self._boundary = DriveBoundary(caller, self.root_folder, self._memory)
        self._reader = ByteReader(caller)
        self._uploader = FragmentSender(caller)
        self.subscriptions = GraphSubscriptions(caller)

    # --- Reading ----------------------------------------------------------------------------------

    def get_drive(self) -> DriveInfo:
        return self._boundary.fetch_info()

    def get_root(self) -> DriveItem:
        return self._boundary.fetch_root()

    def get_item(self, item_id: str) -> DriveItem:
        operation = "open an item"
        return read_item(self._boundary.fetch_inside(item_id, operation), operation)

    def find_items(self, item_ids: Sequence[str]) -> list[ItemAnswer]:
        return self._boundary.find_items(item_ids)

    def find_item_by_path(self, path: str) -> DriveItem | None:
        operation = "open a path"
        parts = [part for part in path.split("/") if part]
        if not parts:
            return self.get_root()
        # Dots would lead out of the root folder, and no item can have such a name.
        if any(part.strip(". ") == "" for part in parts):
            return None
        return self._find_below(self._boundary.get_root().id, path, operation)

    def find_child(self, folder_id: str, name: str) -> DriveItem | None:
        operation = "look for a name"
        folder_id = self._boundary.get_folder_id(folder_id, operation)
        if name.strip(". ") == "" or "/" in name or "\\" in name:
            return None
        return self._find_below(folder_id, name, operation)

    def _find_below(self, folder_id: str, path: str, operation: str) -> DriveItem | None:
        address = make_path_address(make_address(folder_id), path)
        try:
            item = self._caller.get_json(address, operation, path)
            # A shortcut in the path leads into another drive.
            self._boundary.check_inside(item, path)
        except NotFoundError:
            return None
        except ServiceRefusedError as error:
            if error.reason in ("forbidden_name", "path_too_long", "bad_request"):
                return None
            raise
        return read_item(item, operation)

    def list_children(self, folder_id: str, next_page: str = "", page_size: int = 200) -> ItemPage:
        folder_id = self._boundary.get_folder_id(folder_id, "list a folder")
        for _ in range(_MAX_EMPTY_PAGES):
            page = self._fetch_page(folder_id, next_page, page_size)
            # Graph sometimes returns a page without items that has a next page.
            if page.items or not page.next_page:
                return page
            next_page = page.next_page
        raise make_bad_answer("list a folder")

    def iter_children(self, folder_id: str) -> Iterator[DriveItem]:
        folder_id = self._boundary.get_folder_id(folder_id, "list a folder")
        seen_items: set[str] = set()
        seen_pages: set[str] = set()
        next_page = ""
        while True:
            page = self._fetch_page(folder_id, next_page, _MAX_PAGE_SIZE)
            for item in page.items:
                if item.id not in seen_items:
                    seen_items.add(item.id)
                    yield item
            next_page = page.next_page
            if not next_page:
                return
            if next_page in seen_pages:
                raise make_bad_answer("list a folder")
            seen_pages.add(next_page)

    def fetch_changes(self, link: str = "") -> ChangePage:
        operation = "read what changed"
        fields = {"$select": _CHANGE_FIELDS, "$top": str(_CHANGES_PER_PAGE)}
        try:
            document = self._caller.get_json(
                link or f"{DRIVE}/root/delta",
                operation,
                "changes",
                params=None if link else fields,
                headers=_LISTING_HEADERS,
            )
        except GoneError as error:
            if not link:
                raise make_bad_answer(operation) from error
            start = self._caller.check_address(error.location, operation) if error.location else ""
            return ChangePage((), start, is_last=False, starts_anew=True)
        except ServiceRefusedError as error:
            # The service does not document how long its links are valid. One that it does not
            # accept leads to the list of all items.
            if not link or error.reason != "bad_request":
                raise
            return ChangePage((), "", is_last=False, starts_anew=True)
        following = get_text(document, "@odata.nextLink")
        after = get_text(document, "@odata.deltaLink")
        if not (following or after) or (link and following == link):
            raise make_bad_answer(operation)
        items: dict[str, DriveItem] = {}
        for item in read_items(document, operation):
            # An item may occur more than once; the last state counts.
            items.pop(fold_id(item.id), None)
            items[fold_id(item.id)] = item
        if any(item.is_folder or item.is_deleted for item in items.values()):
            self._memory.forget_folders()
        address = self._caller.check_address(following or after, operation)
        return ChangePage(tuple(items.values()), address, is_last=not following)

    # --- Editing ----------------------------------------------------------------------------------

    def create_folder(
        self, parent_id: str, name: str, on_conflict: ConflictBehavior = "rename"
    ) -> DriveItem:
        operation = "create a folder"
        parent_id = self._get_parent_id(parent_id, name, operation)
        if on_conflict == "replace":
            # This returns an existing folder, so it can be sent twice.
            return self._post_folder(parent_id, name, on_conflict, operation, may_repeat=True)
        # If an answer is lost, only the name tells whether the folder was created. So "rename"
        # first tries the name itself; repeating it could create two folders.
        try:
            return self._create_folder_once(parent_id, name, operation)
        except ServiceRefusedError as error:
            if error.reason != "name_taken" or on_conflict != "rename":
                raise
        return self._post_folder(parent_id, name, "rename", operation, may_repeat=False)

    def rename_item(self, item_id: str, name: str) -> DriveItem:
        operation = "rename an item"
        item = self._boundary.fetch_changeable(item_id, operation)
        self._check_name(name, get_parent_id(item))
        with explain_refused_name(name):
            return self._patch(item, {"name": name}, operation)

    def move_item(self, item_id: str, new_parent_id: str) -> DriveItem:
        operation = "move an item"
        item = self._boundary.fetch_changeable(item_id, operation)
        parent_id = self._boundary.get_folder_id(new_parent_id, operation)
        if "folder" in item and self._boundary.lies_within(parent_id, str(item["id"]), operation):
            raise InvalidInputError(
                "A folder cannot be moved into itself.", {"new_parent_id": "is inside the folder"}
            )
        moved = self._patch(item, {"parentReference": {"id": parent_id}}, operation)
        self._memory.forget_folders()
        return moved

    def delete_item(self, item_id: str) -> None:
        operation = "delete an item"
        item = self._boundary.fetch_changeable(item_id, operation)
        # It existed a moment ago: an earlier attempt or someone else has deleted it meanwhile.
        with suppress(NotFoundError):
            self._caller.send("DELETE", make_address(str(item["id"])), operation, item_id)
        self._memory.forget_folders()

    def restore_item(self, item_id: str, parent_id: str) -> DriveItem:
        # Expect refusals: by its documentation the service requires Files.ReadWrite.All and a
        # personal account (Microsoft Graph v1.0, "driveItem: restore").
        operation = "restore an item"
        place = {"parentReference": {"id": self._boundary.get_folder_id(parent_id, operation)}}
        address = make_address(item_id) + "/restore"
        try:
            response = self._caller.send("POST", address, operation, item_id, body=place)
        except NotFoundError:
            # An attempt whose answer was lost, or someone else, may have restored it.
            return self.get_item(item_id)
        self._memory.forget_folders()
        return read_item(read_json(response, operation), operation)

    def create_upload_session(
        self, parent_id: str, name: str, on_conflict: ConflictBehavior = "fail"
    ) -> UploadSession:
        operation = "start an upload"
        parent_id = self._get_parent_id(parent_id, name, operation)
        address = make_path_address(make_address(parent_id), name) + "/createUploadSession"
        # Without the size: some work accounts refuse a session that names it.
        body = {"item": {"@microsoft.graph.conflictBehavior": on_conflict, "name": name}}
        # Repeating it only leaves an unused session, which expires.
        with explain_refused_name(name):
            response = self._caller.send("POST", address, operation, parent_id, body=body)
        document = read_json(response, operation)
        return UploadSession(
            upload_url=self._caller.check_content_url(document.get("uploadUrl"), operation),
            expires_at=find_time(document.get("expirationDateTime")),
        )

    def upload_file(
        self,
        parent_id: str,
        name: str,
        file: BinaryIO,
        size_bytes: int,
        address: str = "",
        remember: Callable[[str], None] | None = None,
    ) -> DriveItem:
        keeps = remember is not None
        start = self._uploader.find_next(address) if address else None
        if start is not None:
            return self._uploader.send(address, file, size_bytes, keeps, start)
        opened = self.create_upload_session(parent_id, name, "rename")
        if remember is not None:
            remember(opened.upload_url)
        return self._uploader.send(opened.upload_url, file, size_bytes, keeps)

    def create_empty_file(
        self, parent_id: str, name: str, on_conflict: ConflictBehavior = "fail"
    ) -> DriveItem:
        operation = "create an empty file"
        parent_id = self._get_parent_id(parent_id, name, operation)
        address = make_path_address(make_address(parent_id), name) + "/content"
        params = {"@microsoft.graph.conflictBehavior": on_conflict}
        headers = {"Content-Type": "application/octet-stream"}
        # Repeated, "rename" would create two files, and "fail" would refuse its own file.
        may_repeat = on_conflict == "replace"
        with explain_refused_name(name):
            response = self._caller.send(
                "PUT", address, operation, parent_id,
                params=params, headers=headers, may_repeat=may_repeat,
            )  # fmt: skip
        return read_item(read_json(response, operation), operation)

    # --- Content ----------------------------------------------------------------------------------

    def download(
        self, item: DriveItem, target: BinaryIO, max_bytes: int, accepts_mismatch: bool = False
    ) -> Download:
        operation = "download a file"
        document = self._boundary.fetch_inside(item.id, operation)
        start = target.tell()
        for _ in range(2):
            listed = read_item(document, operation)
            source = self._make_source(document, operation)
            check_size(max(listed.size_bytes, item.size_bytes), max_bytes)
            target.seek(start)
            target.truncate()
            result = add_listing(self._reader.copy_source(source, target, max_bytes), listed)
            # The service rewrites some files after an upload and lists the new size late, so the
            # item is fetched again before the content is considered wrong.
            if not (accepts_mismatch or result.is_as_listed):
                document = self._boundary.fetch_inside(item.id, operation)
                result = add_listing(result, read_item(document, operation))
            if accepts_mismatch or result.is_as_listed:
                return result
        sentence = mark("OneDrive sent a different file from the one it lists.")
        raise ContentMismatchError(SERVICE, operation, sentence)

    def fetch_download_url(self, item_id: str) -> str:
        operation = "open a file"
        return self._make_source(self._boundary.fetch_inside(item_id, operation), operation).url

    def open_content(self, item_id: str) -> GraphContent:
        operation = "open a file"
        document = self._boundary.fetch_inside(item_id, operation)
        source = self._make_source(document, operation)
        return GraphContent(read_item(document, operation), self._reader, source)

    def iter_download(self, item_id: str, chunk_bytes: int = 262_144) -> Iterator[bytes]:
        operation = "download a file"
        source = self._make_source(self._boundary.fetch_inside(item_id, operation), operation)
        return self._reader.iter_source(source, self._reader.open_source(source), chunk_bytes)

    def fetch_thumbnail(self, item_id: str, size: str = "medium") -> tuple[bytes, str] | None:
        item = self._boundary.fetch_inside(item_id, "fetch a thumbnail")
        return fetch_thumbnail(self._caller, self._reader, str(item["id"]), size)

    def fetch_preview(self, item_id: str) -> bytes | None:
        item = self._boundary.fetch_inside(item_id, "fetch a preview")
        return fetch_preview(self._caller, self._reader, str(item["id"]))

    # --- Single calls -----------------------------------------------------------------------------

    def _get_parent_id(self, folder_id: str, name: str, operation: str) -> str:
        """Return the id of a folder, checked to take an item of this name."""
        parent_id = self._boundary.get_folder_id(folder_id, operation)
        self._check_name(name, parent_id)
        return parent_id

    def _check_name(self, name: str, parent_id: str) -> None:
        root = self._boundary.get_root()
        at_root = "root" in root.raw and is_same_id(parent_id, root.id)
        check_name(name, self._boundary.get_info().kind, at_root)

    def _fetch_page(self, folder_id: str, next_page: str, page_size: int) -> ItemPage:
        operation = "list a folder"
        if next_page and not unquote(urlsplit(next_page).path).endswith("/children"):
            raise InvalidInputError("There is no such page.", {"next_page": "is not valid"})
        document = self._caller.get_json(
            next_page or make_address(folder_id) + "/children",
            operation,
            folder_id,
            params=None if next_page else {"$top": str(min(max(page_size, 1), _MAX_PAGE_SIZE))},
            headers=_LISTING_HEADERS,
        )
        found = read_items(document, operation)
        items = {item.id: item for item in found if not item.is_deleted}.values()
        self._boundary.check_page(items, folder_id, is_from_outside=bool(next_page))
        return ItemPage(tuple(items), get_text(document, "@odata.nextLink"))

    def _create_folder_once(self, parent_id: str, name: str, operation: str) -> DriveItem:
        """Create a folder of exactly this name, even if an answer is lost."""
        started = time.monotonic()
        for _ in range(3):
            try:
                return self._post_folder(parent_id, name, "fail", operation, may_repeat=False)
            except LostAnswerError:
                made = self._find_new_folder(parent_id, name, started, operation)
                if made:
                    return made
        raise make_busy(operation)

    def _find_new_folder(
        self, parent_id: str, name: str, started: float, operation: str
    ) -> DriveItem | None:
        """Return the folder of this name if it is empty and not older than ``started``."""
        try:
            address = make_path_address(make_address(parent_id), name)
            response = self._caller.send("GET", address, operation, name)
        except NotFoundError:
            return None
        item = read_item(read_json(response, operation), operation)
        # Both times are the server's, so this machine's clock does not matter.
        now = parse_http_date(response.headers.get("Date"))
        created = find_time(item.created_time)
        if not item.is_folder or item.child_count or now is None or created is None:
            return None
        elapsed_seconds = time.monotonic() - started + 2.0  # the Date header has whole seconds
        return item if (now - created).total_seconds() <= elapsed_seconds else None

    def _post_folder(
        self,
        parent_id: str,
        name: str,
        on_conflict: ConflictBehavior,
        operation: str,
        may_repeat: bool,
    ) -> DriveItem:
        body = {"name": name, "folder": {}, "@microsoft.graph.conflictBehavior": on_conflict}
        address = make_address(parent_id) + "/children"
        with explain_refused_name(name):
            response = self._caller.send(
                "POST", address, operation, parent_id, body=body, may_repeat=may_repeat
            )
        item = read_item(read_json(response, operation), operation)
        self._memory.keep_places([item.id])
        return item

    def _patch(
        self, item: Mapping[str, Any], change: Mapping[str, Any], operation: str
    ) -> DriveItem:
        # Renaming or moving to the same place twice does no harm, so it can be repeated.
        address = make_address(str(item["id"]))
        response = self._caller.send("PATCH", address, operation, item["id"], body=change)
        changed = read_item(read_json(response, operation), operation)
        if changed.parent_id or changed.size_bytes or changed.is_folder:
            return changed
        # The documented answer has far fewer fields than an item.
        return self.get_item(changed.id)

    def _make_source(self, item: Mapping[str, Any], operation: str) -> Source:
        """Return where to read an item's content.

        :raise ServiceRefusedError: it has none, or OneDrive refuses to send it.
        """
        if "malware" in item:
            raise make_refusal(operation, "malware", MALWARE)
        if "file" not in item:
            sentence = mark("Only files can be downloaded.")
            raise make_refusal(operation, "not_supported", sentence)
        item_id = str(item["id"])
        url = get_text(item, "@microsoft.graph.downloadUrl")
        if not url:
            # Some answers lack the address; this one always redirects to it.
            address = make_address(item_id) + "/content"
            response = self._caller.send("GET", address, operation, item_id)
            url = response.headers.get("Location", "")
        url = self._caller.check_content_url(url, operation)
        return Source(operation, url, renew=lambda: self.fetch_download_url(item_id))
