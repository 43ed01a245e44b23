"""Look through the whole drive to select the root folder."""

from collections.abc import Sequence
from dataclasses import dataclass

from imagehub.clients import Drive, DriveItem
from imagehub.domain.onedrive.browser import list_way
from imagehub.errors import NotFoundError

# A page of a folder may hold nothing but files; up to this many more are read to find a folder.
_MAX_READ_ON = 10


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
