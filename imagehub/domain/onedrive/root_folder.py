"""Look through the whole drive to select the root folder."""

from collections.abc import Sequence
from dataclasses import dataclass

from imagehub.clients import Drive, DriveItem
from imagehub.errors import NotFoundError

_MAX_DEPTH = 30
# A page of a folder may hold nothing but files; up to this many more are read to find a folder.
_MAX_READ_ON = 10


@dataclass(frozen=True)
class Crumb:
    """A folder on the way down. ``id`` is "" for the drive's topmost folder."""

    id: str
    name: str


@dataclass(frozen=True)
class FolderChoice:
    """A folder with its way down, and the folders on one page of it."""

    crumbs: Sequence[Crumb]
    folders: Sequence[DriveItem]
    next_page: str


def list_choice(whole: Drive, folder_id: str, page: str = "") -> FolderChoice:
    """List the folders in a folder.

    :param whole: the drive without a boundary.
    :param folder_id: the drive's topmost folder when empty.
    :raise NotFoundError: there is no such folder.
    """
    here = find_folder(whole, folder_id) if folder_id else whole.get_root()
    listed = whole.list_children(here.id, page)
    for _ in range(_MAX_READ_ON):
        if not listed.next_page or any(item.is_folder for item in listed.items):
            break
        listed = whole.list_children(here.id, listed.next_page)
    return FolderChoice(
        crumbs=_list_crumbs(whole, here) if folder_id else [Crumb("", "OneDrive")],
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
    return "/" + "/".join(crumb.name for crumb in _list_crumbs(whole, folder)[1:])


def _list_crumbs(whole: Drive, folder: DriveItem) -> list[Crumb]:
    """The way from the drive's topmost folder down to this one."""
    top = whole.get_root()
    crumbs: list[Crumb] = []
    here = folder
    for _ in range(_MAX_DEPTH):
        if here.id == top.id or not here.parent_id:
            break
        crumbs.append(Crumb(here.id, here.name))
        if here.parent_id == top.id:
            break
        here = whole.get_item(here.parent_id)
    return [Crumb("", "OneDrive"), *reversed(crumbs)]
