"""Look around in OneDrive: open a folder, select items, select the root folder."""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import unquote

from imagehub.clients import Drive, DriveInfo, DriveItem
from imagehub.clients.drive_ids import fold_id
from imagehub.domain.file_names import make_sort_key
from imagehub.domain.onedrive.folders import get_root
from imagehub.errors import InvalidInputError, NotFoundError
from imagehub.messages import Message

PAGE_SIZE = 100
# The most items that one act may change.
MAX_SELECTED = 1_000
# The most items that one question before deleting may be about.
MAX_LISTED = 50_000
# More selected items than this are read from the list of their folder instead of one by one.
_MAX_ASKED = 20
# Deeper than any path of 400 characters; a guard against a drive that answers in circles.
_MAX_DEPTH = 200
_THREADS = 6
# A page of a folder may hold nothing but files; up to this many more are read to find a folder.
_MAX_READ_ON = 10


@dataclass(frozen=True)
class Crumb:
    """One folder on the way down; ``path`` is below the root folder, "" for that itself."""

    name: str
    path: str


@dataclass(frozen=True)
class OpenFolder:
    """A folder as one page shows it. ``crumbs`` begin at the root folder and end at this one."""

    folder: DriveItem
    root_id: str
    crumbs: Sequence[Crumb]
    info: DriveInfo
    items: Sequence[DriveItem]
    next_page: str

    @property
    def is_root(self) -> bool:
        return self.folder.id == self.root_id


def open_folder(drive: Drive, folder_id: str = "", next_page: str = "") -> OpenFolder:
    """Fetch a folder, its way up and one page of its items, in OneDrive's order.

    All requests run at the same time, so a page takes about as long as the slowest of them.

    :param folder_id: the root folder when empty.
    :raise NotFoundError: not inside the root folder.
    :raise InvalidInputError: not a folder.
    """
    with ThreadPoolExecutor(4, "open-folder") as threads:
        info = threads.submit(drive.get_drive)
        root_call = threads.submit(get_root, drive)
        folder_call = threads.submit(drive.get_item, folder_id) if folder_id else root_call
        page_call = threads.submit(
            lambda: drive.list_children(folder_id or root_call.result().id, next_page, PAGE_SIZE)
        )
        root, folder = root_call.result(), folder_call.result()
        if not folder.is_folder:
            raise InvalidInputError("This is not a folder.", {"item": "is not a folder"})
        page = page_call.result()
        return OpenFolder(
            folder=folder,
            root_id=root.id,
            crumbs=make_crumbs(drive, root, folder),
            info=info.result(),
            items=page.items,
            next_page=page.next_page,
        )


def make_crumbs(drive: Drive, root: DriveItem, folder: DriveItem) -> list[Crumb]:
    """Make the way from the root folder down to ``folder``.

    OneDrive gives an item's path with the item, so this makes no request; where OneDrive leaves the
    path out (it may), the folders above are requested one by one.
    """
    root_path, path = find_path(root), find_path(folder)
    if folder.id == root.id:
        names = []
    elif root_path is not None and path is not None and path[: len(root_path)] == root_path:
        names = path[len(root_path) :]
    else:
        names = [above.name for above in list_way(drive, root, folder)]
    crumbs = [Crumb(root.name, "")]
    crumbs += [Crumb(name, "/".join(names[: i + 1])) for i, name in enumerate(names)]
    return crumbs


def list_way(drive: Drive, top: DriveItem, folder: DriveItem) -> list[DriveItem]:
    """List the folders from below ``top`` down to ``folder``, requested one by one."""
    way: list[DriveItem] = []
    while folder.id != top.id and folder.parent_id and len(way) < _MAX_DEPTH:
        way.insert(0, folder)
        folder = top if folder.parent_id == top.id else drive.get_item(folder.parent_id)
    return way


def find_path(item: DriveItem) -> list[str] | None:
    """Names from the drive's topmost folder down to the item; None where OneDrive left it out."""
    if "root" in item.raw:
        return []
    reference = item.raw.get("parentReference")
    path = reference.get("path") if isinstance(reference, dict) else None
    if not isinstance(path, str) or ":" not in path:
        return None
    above = path.partition(":")[2]
    return [unquote(name) for name in above.split("/") if name] + [item.name]


def list_subfolders(drive: Drive, folder_id: str) -> list[DriveItem]:
    """List the folders directly inside a folder, by name."""
    folders = [item for item in drive.iter_children(folder_id) if item.is_folder]
    return sorted(folders, key=lambda item: make_sort_key(item.name))


def get_items(drive: Drive, item_ids: Iterable[str], folder_id: str = "") -> list[DriveItem]:
    """Fetch the selected items, in order and each once.

    :param folder_id: the folder they were selected in. Where they are many, that is listed: one
        request for a thousand items in it instead of one for each item.
    :raise InvalidInputError: none, or more than ``MAX_LISTED``.
    :raise NotFoundError: one is not inside the root folder.
    """
    ids = list(dict.fromkeys(item_ids))
    if not ids:
        raise InvalidInputError("Nothing is selected.", {"item": "is missing"})
    if len(ids) > MAX_LISTED:
        raise InvalidInputError(
            Message("Select at most %(count)s items at once.", count=f"{MAX_LISTED:,}"),
            {"item": "too many"},
        )
    listed: dict[str, DriveItem] = {}
    if folder_id and len(ids) > _MAX_ASKED:
        wanted = {fold_id(item_id): item_id for item_id in ids}
        for item in drive.iter_children(folder_id):
            if (item_id := wanted.get(fold_id(item.id))) is not None:
                listed[item_id] = item
    missing = [item_id for item_id in ids if item_id not in listed]
    if len(missing) > MAX_SELECTED:
        raise NotFoundError("drive item", missing[0])
    with ThreadPoolExecutor(_THREADS, "get-items") as threads:
        listed.update(zip(missing, threads.map(drive.get_item, missing), strict=True))
    return [listed[item_id] for item_id in ids]


# --- Selecting the root folder --------------------------------------------------------------------


@dataclass(frozen=True)
class FolderChoice:
    """A folder with the way down to it, and the folders on one page of it."""

    way: Sequence[DriveItem]
    folders: Sequence[DriveItem]
    next_page: str


def list_choice(whole: Drive, folder_id: str, page: str = "") -> FolderChoice:
    """List the folders in a folder.

    :param whole: the drive without a boundary.
    :param folder_id: the drive's topmost folder when empty.
    :raise NotFoundError: there is no such folder.
    """
    top = whole.get_root()
    here = find_folder(whole, folder_id) if folder_id else top
    listed = whole.list_children(here.id, page)
    for _ in range(_MAX_READ_ON):
        if not listed.next_page or any(item.is_folder for item in listed.items):
            break
        listed = whole.list_children(here.id, listed.next_page)
    return FolderChoice(
        way=list_way(whole, top, here),
        folders=[item for item in listed.items if item.is_folder],
        next_page=listed.next_page,
    )


def find_folder(whole: Drive, folder_id: str) -> DriveItem:
    """Find a folder.

    :raise NotFoundError: there is no such folder.
    """
    folder = whole.get_item(folder_id)
    if not folder.is_folder:
        raise NotFoundError("folder", folder_id)
    return folder


def make_path(whole: Drive, folder: DriveItem) -> str:
    """Make a folder's path for people: ``/Pictures/Works``."""
    return "/" + "/".join(item.name for item in list_way(whole, whole.get_root(), folder))
