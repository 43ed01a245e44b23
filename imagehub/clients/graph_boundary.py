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
from typing import Any
from urllib.parse import quote

from imagehub.clients import DriveInfo, DriveItem, ItemAnswer
from imagehub.clients.drive_ids import fold_drive_id, fold_id, is_same_id
from imagehub.clients.graph_answers import (
    get_facet,
    get_parent_id,
    get_text,
    make_bad_answer,
    quote_id,
    read_drive,
    read_item,
)
from imagehub.clients.graph_http import Answer, GraphCaller
from imagehub.errors import InvalidInputError, NotAllowedError, NotFoundError, ServiceError

_MAX_DEPTH = 200
# The fields that are requested of a parent folder.
_PARENT_FIELDS = "id,name,folder,root,parentReference"


DRIVE = "/me/drive"


def make_address(item_id: str) -> str:
    return f"{DRIVE}/items/{quote_id(item_id)}"


def make_path_address(folder: str, path: str) -> str:
    """Return the address of a path below the address of a folder.

    Without the colon at its end, names like "drive" are misread.
    """
    parts = [quote(part, safe="") for part in path.split("/") if part]
    return f"{folder}:/{'/'.join(parts)}:"


class DriveMemory:
    """A cache of a drive's kind and id, its root folder, and which folders are inside it.

    Entries expire after ``ttl_seconds``; until then a folder that is moved out of the root folder
    counts as inside.
    """

    def __init__(self, ttl_seconds: float = 60.0, max_folders: int = 20_000) -> None:
        self._lock = threading.Lock()
        self._ttl_seconds = ttl_seconds
        self._max_folders = max_folders
        # Folded id → whether it is inside, and until when that counts.
        self._places: dict[str, tuple[float, bool]] = {}
        self._values: dict[str, tuple[float, Any]] = {}

    def find(self, name: str) -> Any:
        """Return the value, or None if it is missing or has expired."""
        with self._lock:
            expires_at, value = self._values.get(name, (0.0, None))
        return value if expires_at > time.monotonic() else None

    def keep(self, name: str, value: object) -> None:
        with self._lock:
            self._values[name] = (time.monotonic() + self._ttl_seconds, value)

    def find_place(self, folder_id: str) -> bool | None:
        """Return whether a folder was recently seen inside the root folder, None if unknown.

        A False is only for reporting on items, not for refusing one: it may just have been moved
        back in.
        """
        with self._lock:
            expires_at, is_inside = self._places.get(fold_id(folder_id), (0.0, None))
        return is_inside if expires_at > time.monotonic() else None

    def keep_places(self, folder_ids: Iterable[str], is_inside: bool = True) -> None:
        expires_at = time.monotonic() + self._ttl_seconds
        with self._lock:
            for folder_id in folder_ids:
                self._places.pop(fold_id(folder_id), None)
                self._places[fold_id(folder_id)] = (expires_at, is_inside)
            while len(self._places) > self._max_folders:
                del self._places[next(iter(self._places))]

    def forget_folders(self) -> None:
        """Forget all folders, after one was moved or deleted with everything in it."""
        with self._lock:
            self._places.clear()


class DriveBoundary:
    """Checks items of one drive against its root folder.

    :param root_folder: ``root``, an item id, or a path; a path contains a slash.
    """

    def __init__(self, caller: GraphCaller, root_folder: str, memory: DriveMemory) -> None:
        self._caller = caller
        self._root_folder = root_folder
        self._memory = memory

    # --- The drive and its root folder ------------------------------------------------------------

    def fetch_info(self) -> DriveInfo:
        """Fetch the drive with its quota.

        :raise NotFoundError: the account has no OneDrive.
        """
        operation = "read the drive"
        try:
            document = self._caller.get_json(DRIVE, operation)
        except NotFoundError as error:
            raise NotFoundError("OneDrive", DRIVE) from error
        info = read_drive(document, operation)
        self._memory.keep("drive", info)
        return info

    def get_info(self) -> DriveInfo:
        """Return the drive, from the cache if possible."""
        info: DriveInfo | None = self._memory.find("drive")
        return info or self.fetch_info()

    def fetch_root(self) -> DriveItem:
        """Fetch the root folder.

        :raise NotFoundError: it does not exist, is not a folder, or is in another drive.
        """
        operation = "open the root folder"
        if self._root_folder in ("root", "/"):
            address = f"{DRIVE}/root"
        elif "/" in self._root_folder:
            address = make_path_address(f"{DRIVE}/root", self._root_folder)
        else:
            address = make_address(self._root_folder)
        item = self._caller.get_json(address, operation, self._root_folder)
        self._check_drive(item, self._root_folder)
        if "folder" not in item:
            raise NotFoundError("root folder", self._root_folder)
        root = read_item(item, operation)
        self._memory.keep("root", root)
        return root

    def get_root(self) -> DriveItem:
        """Return the root folder, from the cache if possible."""
        root: DriveItem | None = self._memory.find("root")
        return root or self.fetch_root()

    # --- Checks -----------------------------------------------------------------------------------

    def fetch_inside(self, item_id: str, operation: str) -> dict[str, Any]:
        """Fetch an item inside the root folder as Graph's JSON object.

        :raise NotFoundError: it does not exist, or is outside.
        """
        item = self._caller.get_json(make_address(item_id), operation, item_id)
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
        if self._memory.find_place(folder_id):
            return folder_id
        item = self.fetch_inside(folder_id, operation)
        if "folder" not in item:
            raise InvalidInputError("This is not a folder.", {"folder_id": "is not a folder"})
        return str(item["id"])

    def find_items(self, item_ids: Sequence[str]) -> list[ItemAnswer]:
        """Look up items, twenty with each call.

        One more call is needed for each level of parent folders that are not in the memory.
        """
        operation = "open an item"
        root = self.get_root()
        self.get_info()
        addresses: dict[str, str] = {}
        for item_id in item_ids:
            with suppress(NotFoundError):
                addresses[item_id] = make_address(item_id)
        found: dict[str, dict[str, Any]] = {}
        answers: dict[str, ItemAnswer] = {}
        for item_id, document in self._caller.get_many(addresses, operation).items():
            with suppress(NotFoundError):
                try:
                    item = self._take_own(document, item_id)
                    if "deleted" not in item:
                        found[item_id] = item
                except ServiceError as error:
                    answers[item_id] = ItemAnswer(error=error)
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
        if "root" not in root.raw:
            parent_id = get_parent_id(item)
            while not is_same_id(parent_id, root.id) and not self._memory.find_place(parent_id):
                if not parent_id or len(walked) > _MAX_DEPTH:
                    raise NotFoundError("drive item", key)
                walked.append(parent_id)
                parent_id = self._fetch_parent_id(parent_id, key)
        self._memory.keep_places(walked)

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
        self._memory.keep_places(item.id for item in items if item.is_folder)

    def lies_within(self, folder_id: str, ancestor_id: str, operation: str) -> bool:
        """Return whether a folder inside the root folder is another folder or below it."""
        root = self.get_root()
        for _ in range(_MAX_DEPTH):
            if is_same_id(folder_id, ancestor_id):
                return True
            if not folder_id or is_same_id(folder_id, root.id):
                return False
            folder_id = self._fetch_parent_id(folder_id, folder_id)
        raise make_bad_answer(operation)

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
        if "root" in root.raw:
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
                known = self._memory.find_place(one)
                if known is None:
                    asked[one] = f"{make_address(one)}?$select={_PARENT_FIELDS}"
                else:
                    places[folded] = known
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
                    places[fold_id(one)] = make_bad_answer(operation)
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
        place = places[here] if here in places else make_bad_answer("open an item")
        places.update(dict.fromkeys(walked, place))
        if isinstance(place, bool):
            self._memory.keep_places(walked, place)
        return place

    def _fetch_parent_id(self, item_id: str, key: object) -> str:
        address, fields = make_address(item_id), {"$select": _PARENT_FIELDS}
        item = self._caller.get_json(address, "find the folder of an item", key, params=fields)
        self._check_drive(item, key)
        return get_parent_id(item)

    def _check_drive(self, item: Mapping[str, Any], key: object) -> None:
        """:raise NotFoundError: the item is in another drive, or a shortcut into one."""
        if not isinstance(item.get("id"), str):
            raise make_bad_answer("open an item")
        own = fold_drive_id(self.get_info().id)
        drive_id = get_text(get_facet(item, "parentReference"), "driveId")
        # The root of the drive has no parent, so its drive id may be missing.
        is_known = drive_id or "root" in item
        if "remoteItem" in item or not is_known or (drive_id and fold_drive_id(drive_id) != own):
            raise NotFoundError("drive item", key)
