"""Check that an item is inside the root folder, the only part of the drive that is accessible.

:class:`DriveBoundary` walks up through the parent folders of an item. Each step costs a call, so
the results are cached in a :class:`DriveMemory` for a while. Every id of a request is checked here
before it is used.

Source for addresses and fields: Microsoft Graph v1.0, "Working with files".
"""

import threading
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from imagehub.clients import DriveInfo, DriveItem, ItemAnswer
from imagehub.clients.drive_ids import fold_drive_id, fold_id, is_same_id
from imagehub.clients.graph_errors import make_bad_answer_error
from imagehub.clients.graph_http import Answer, GraphCaller
from imagehub.clients.graph_items import (
    get_facet,
    get_parent_id,
    get_text,
    quote_id,
    read_drive,
    read_item,
)
from imagehub.errors import InvalidInputError, NotAllowedError, NotFoundError, ServiceError

_MAX_DEPTH = 200
# The fields that are requested of a parent folder.
_PARENT_FIELDS = "id,name,folder,root,parentReference"


class DriveMemory:
    """A cache of a drive's kind and id, its root folder, and which folders are inside it.

    Share one between all :class:`GraphDrive` objects of an account in a process. Entries expire
    after ``ttl_seconds``; until then a folder that is moved out of the root folder counts as
    inside.
    """

    def __init__(self, ttl_seconds: float = 60.0, max_folders: int = 10_000) -> None:
        self._lock = threading.Lock()
        self._ttl_seconds = ttl_seconds
        self._max_folders = max_folders
        self._inside: dict[str, float] = {}
        self._outside: dict[str, float] = {}
        self._values: dict[str, tuple[float, Any]] = {}

    def find(self, name: str) -> Any:
        """Return the value, or None if it is missing or has expired."""
        with self._lock:
            expires_at, value = self._values.get(name, (0.0, None))
        return value if expires_at > time.monotonic() else None

    def keep(self, name: str, value: object) -> None:
        with self._lock:
            self._values[name] = (time.monotonic() + self._ttl_seconds, value)

    def knows_folder(self, item_id: str) -> bool:
        """Return whether this folder was recently seen inside the root folder."""
        with self._lock:
            return self._inside.get(fold_id(item_id), 0.0) > time.monotonic()

    def keep_folders(self, item_ids: Sequence[str]) -> None:
        expires_at = time.monotonic() + self._ttl_seconds
        with self._lock:
            for item_id in item_ids:
                self._inside.pop(fold_id(item_id), None)
                self._inside[fold_id(item_id)] = expires_at
            while len(self._inside) > self._max_folders:
                del self._inside[next(iter(self._inside))]

    def knows_outside(self, item_id: str) -> bool:
        """Return whether this folder was recently seen outside the root folder.

        Only for reporting on items, not for refusing one: it may just have been moved back in.
        """
        with self._lock:
            return self._outside.get(fold_id(item_id), 0.0) > time.monotonic()

    def keep_outside(self, item_ids: Sequence[str]) -> None:
        expires_at = time.monotonic() + self._ttl_seconds
        with self._lock:
            if len(self._outside) + len(item_ids) > self._max_folders:
                self._outside.clear()
            self._outside.update((fold_id(item_id), expires_at) for item_id in item_ids)

    def forget_folders(self) -> None:
        """Forget all folders, after one was moved or deleted with everything in it."""
        with self._lock:
            self._inside.clear()
            self._outside.clear()


@dataclass(frozen=True)
class Root:
    """The root folder; ``is_drive_root`` if nothing of the drive is outside of it."""

    id: str
    is_drive_root: bool


class DriveBoundary:
    """Checks items of one drive against its root folder.

    :param drive_path: the path of the drive, like ``/me/drive``.
    :param root_folder: ``root``, an item id, or a path; a path contains a slash.
    """

    def __init__(
        self, caller: GraphCaller, drive_path: str, root_folder: str, memory: DriveMemory
    ) -> None:
        self._caller = caller
        self._drive_path = drive_path
        self._root_folder = root_folder
        self._memory = memory

    def make_address(self, item_id: str) -> str:
        return f"{self._drive_path}/items/{quote_id(item_id)}"

    # --- The drive and its root folder ------------------------------------------------------------

    def fetch_info(self) -> DriveInfo:
        """Fetch the drive with its quota.

        :raise NotFoundError: the account has no OneDrive.
        """
        operation = "read the drive"
        try:
            document = self._caller.get_json(self._drive_path, operation, self._drive_path)
        except NotFoundError as error:
            raise NotFoundError("OneDrive", self._drive_path) from error
        info = read_drive(document, operation)
        self._memory.keep("drive", info)
        return info

    def get_info(self) -> DriveInfo:
        """Return the drive, from the cache if possible."""
        info: DriveInfo | None = self._memory.find("drive")
        return info or self.fetch_info()

    def fetch_root(self) -> dict[str, Any]:
        """Fetch the root folder as Graph's JSON object.

        :raise NotFoundError: it does not exist, is not a folder, or is in another drive.
        """
        operation = "open the root folder"
        if self._root_folder in ("root", "/"):
            address = f"{self._drive_path}/root"
        elif "/" in self._root_folder:
            parts = [quote(part, safe="") for part in self._root_folder.split("/") if part]
            address = f"{self._drive_path}/root:/{'/'.join(parts)}:"
        else:
            address = self.make_address(self._root_folder)
        item = self._caller.get_json(address, operation, self._root_folder)
        self._check_drive(item, self._root_folder)
        if "folder" not in item:
            raise NotFoundError("root folder", self._root_folder)
        self._memory.keep("root", _make_root(item))
        return item

    def get_root(self) -> Root:
        """Return the root folder, from the cache if possible."""
        root: Root | None = self._memory.find("root")
        return root or _make_root(self.fetch_root())

    # --- Checks -----------------------------------------------------------------------------------

    def fetch_inside(self, item_id: str, operation: str) -> dict[str, Any]:
        """Fetch an item inside the root folder as Graph's JSON object.

        :raise NotFoundError: it does not exist, or is outside.
        """
        item = self._caller.get_json(self.make_address(item_id), operation, item_id)
        self.check_inside(item, item_id)
        return item

    def fetch_changeable(self, item_id: str, operation: str) -> dict[str, Any]:
        """Fetch an item inside the root folder that is not the root folder itself.

        :raise NotAllowedError: it is the root folder.
        """
        item = self.fetch_inside(item_id, operation)
        if is_same_id(str(item["id"]), self.get_root().id):
            raise NotAllowedError("The root folder itself cannot be renamed, moved or deleted.")
        return item

    def get_folder_id(self, folder_id: str, operation: str) -> str:
        """Check that a folder is inside the root folder; return its id in Graph's form.

        :raise NotFoundError: it does not exist, or is outside.
        :raise InvalidInputError: it is not a folder.
        """
        root = self.get_root()
        if is_same_id(folder_id, root.id):
            return root.id
        if self._memory.knows_folder(folder_id):
            return folder_id
        item = self.fetch_inside(folder_id, operation)
        if "folder" not in item:
            raise InvalidInputError("This is not a folder.", {"folder_id": "is not a folder"})
        return str(item["id"])

    def find_items(self, item_ids: Sequence[str]) -> list[ItemAnswer]:
        """Look up items, see :meth:`imagehub.clients.graph.GraphDrive.find_items`."""
        operation = "open an item"
        root = self.get_root()
        self.get_info()
        addresses: dict[str, str] = {}
        for item_id in item_ids:
            with suppress(NotFoundError):
                addresses[item_id] = self.make_address(item_id)
        found: dict[str, dict[str, Any]] = {}
        answers: dict[str, ItemAnswer] = {}
        for item_id, document in self._caller.get_many(addresses, operation).items():
            try:
                item = self._take_own(document, item_id)
            except NotFoundError:
                continue
            except ServiceError as error:
                answers[item_id] = ItemAnswer(error=error)
                continue
            if "deleted" not in item:
                found[item_id] = item
        places = self._find_places(get_parent_id(item) for item in found.values())
        for item_id, item in found.items():
            place = places[get_parent_id(item)]
            if place is True or is_same_id(str(item["id"]), root.id):
                answers[item_id] = ItemAnswer(read_item(item, operation))
            elif place is False:
                answers[item_id] = ItemAnswer(is_outside=True)
            else:
                answers[item_id] = ItemAnswer(error=place)
        return [answers.get(item_id, ItemAnswer()) for item_id in item_ids]

    def check_inside(self, item: Mapping[str, Any], key: object) -> None:
        """Walk up from an item until the root folder is reached.

        :raise NotFoundError: it is not reached, or the item is in another drive.
        """
        self._check_drive(item, key)
        root = self.get_root()
        item_id = str(item["id"])
        if is_same_id(item_id, root.id):
            return
        walked = [item_id] if "folder" in item else []
        if not root.is_drive_root:
            parent_id = get_parent_id(item)
            while not is_same_id(parent_id, root.id) and not self._memory.knows_folder(parent_id):
                if not parent_id or len(walked) > _MAX_DEPTH:
                    raise NotFoundError("drive item", key)
                walked.append(parent_id)
                parent = self._fetch_parent(parent_id, key)
                parent_id = get_parent_id(parent)
        self._memory.keep_folders(walked)

    def check_page(
        self, items: Collection[DriveItem], folder_id: str, is_from_outside: bool
    ) -> None:
        """Check that a page's items are in this folder, or in the root folder at least.

        The folders among them are cached as inside.

        :param is_from_outside: the page's address came from a caller, perhaps from a browser.
        :raise NotFoundError: one of them is outside.
        """
        for parent_id in {item.parent_id for item in items}:
            if is_same_id(parent_id, folder_id) or (not parent_id and not is_from_outside):
                continue
            self.get_folder_id(parent_id, "list a folder")
        self._memory.keep_folders([item.id for item in items if item.is_folder])

    def lies_within(self, folder_id: str, ancestor_id: str, operation: str) -> bool:
        """Return whether a folder inside the root folder is another folder or below it."""
        root = self.get_root()
        for _ in range(_MAX_DEPTH):
            if is_same_id(folder_id, ancestor_id):
                return True
            if not folder_id or is_same_id(folder_id, root.id):
                return False
            folder_id = get_parent_id(self._fetch_parent(folder_id, folder_id))
        raise make_bad_answer_error(operation)

    # --- Parent folders ---------------------------------------------------------------------------

    def _take_own(self, document: Answer, key: str) -> dict[str, Any]:
        """Return one of several answers, checked to be of this drive.

        :raise NotFoundError: it does not exist, or is in another drive.
        """
        if isinstance(document, NotFoundError | ServiceError):
            raise document
        self._check_drive(document, key)
        return document

    def _find_places(self, folder_ids: Iterable[str]) -> dict[str, bool | ServiceError]:
        """Return for each folder whether it is inside the root folder, or the error.

        Walks up from all folders together, one level with each call.
        """
        operation = "find the folder of an item"
        root = self.get_root()
        folders = list(dict.fromkeys(folder_ids))
        if root.is_drive_root:
            return dict.fromkeys(folders, True)
        # By folded ids: the known place of a folder, or else its parent.
        places: dict[str, bool | ServiceError] = {"": False, fold_id(root.id): True}
        above: dict[str, str] = {}
        frontier = folders
        for _ in range(_MAX_DEPTH):
            asked: dict[str, str] = {}
            for one in frontier:
                folded = fold_id(one)
                if folded in places or folded in above:
                    continue
                if self._memory.knows_folder(one):
                    places[folded] = True
                elif self._memory.knows_outside(one):
                    places[folded] = False
                else:
                    asked[one] = f"{self.make_address(one)}?$select={_PARENT_FIELDS}"
            if not asked:
                break
            frontier = []
            for one, document in self._caller.get_many(asked, operation).items():
                try:
                    parent_id = get_parent_id(self._take_own(document, one))
                except ServiceError as error:
                    places[fold_id(one)] = error
                except NotFoundError:
                    # Its content existed a moment ago: it is being moved.
                    places[fold_id(one)] = make_bad_answer_error(operation)
                else:
                    above[fold_id(one)] = parent_id
                    frontier.append(parent_id)
        return {one: self._follow_parents(fold_id(one), above, places) for one in folders}

    def _follow_parents(
        self, folder_id: str, above: Mapping[str, str], places: dict[str, bool | ServiceError]
    ) -> bool | ServiceError:
        """Return the place of a folder from its parents, and note it for those."""
        walked: list[str] = []
        here = folder_id
        while here not in places and here in above and len(walked) <= _MAX_DEPTH:
            walked.append(here)
            here = fold_id(above[here])
        # Folders that contain each other have no place.
        place = places[here] if here in places else make_bad_answer_error("open an item")
        places.update(dict.fromkeys(walked, place))
        if place is True:
            self._memory.keep_folders(walked)
        elif place is False:
            self._memory.keep_outside(walked)
        return place

    def _fetch_parent(self, item_id: str, key: object) -> dict[str, Any]:
        operation = "find the folder of an item"
        parent = self._caller.get_json(
            self.make_address(item_id), operation, key, params={"$select": _PARENT_FIELDS}
        )
        self._check_drive(parent, key)
        return parent

    def _check_drive(self, item: Mapping[str, Any], key: object) -> None:
        """:raise NotFoundError: the item is in another drive, or a shortcut into one."""
        if not isinstance(item.get("id"), str):
            raise make_bad_answer_error("open an item")
        own = fold_drive_id(self.get_info().id)
        drive_id = get_text(get_facet(item, "parentReference"), "driveId")
        # The root of the drive has no parent, so its drive id may be missing.
        is_known = drive_id or "root" in item
        if "remoteItem" in item or not is_known or (drive_id and fold_drive_id(drive_id) != own):
            raise NotFoundError("drive item", key)


def _make_root(item: Mapping[str, Any]) -> Root:
    return Root(str(item["id"]), is_drive_root="root" in item)
