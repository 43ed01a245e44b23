"""The tree of a drive's folders, as far as the feed of changes has named them.

It is needed because the feed does not name the items in a folder that is moved or deleted. The feed
covers the whole drive, so the tree also holds folders outside the root folder. All ids in it are
folded. Nothing here makes requests, and the caller commits.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, delete, false, select
from sqlalchemy.orm import Session

from imagehub.clients import DriveItem
from imagehub.clients.drive_ids import fold_id, list_spellings
from imagehub.database import count_rows, make_batches
from imagehub.models import DriveFolder, Image

_MAX_DEPTH = 200


@dataclass(frozen=True)
class Renaming:
    """A folder, by its folded id, that has another name than in the tree."""

    folder_id: str
    old_name: str
    new_name: str


@dataclass(frozen=True)
class FolderNews:
    """Changes of folders that affect images.

    ``displaced``: folded ids of folders that are new, deleted, restored or moved, so the images in
    them may be in another place now. ``moved``: those of them that were in the tree before, whose
    files the feed does not mention.
    """

    displaced: Sequence[str]
    renamed: Sequence[Renaming]
    moved: Sequence[str]


def is_from(account_id: int, folder_ids: Iterable[str]) -> ColumnElement[bool]:
    """Make the condition that an image comes from one of these folders."""
    spelt = [spelling for one in folder_ids for spelling in list_spellings(one)]
    return (Image.drive_account_id == account_id) & Image.folder_id.in_(spelt)


def iter_below(
    session: Session, account_id: int, folder_ids: Iterable[str]
) -> Iterable[Sequence[str]]:
    """List these folders and all below them in the tree, at most a hundred at a time."""
    seen: set[str] = set()
    frontier = sorted(set(folder_ids))
    while frontier:
        seen.update(frontier)
        following: set[str] = set()
        of_account = select(DriveFolder.item_id).where(DriveFolder.drive_account_id == account_id)
        for ids in make_batches(frontier, 100):
            yield ids
            following.update(session.scalars(of_account.where(DriveFolder.parent_id.in_(ids))))
        frontier = sorted(following - seen)


def find_folder_names(
    session: Session, account_id: int, folder_ids: Iterable[str]
) -> Mapping[str, str]:
    """Find the names of folders in the tree, by their folded ids."""
    folders = _find_folders(session, account_id, {fold_id(one) for one in folder_ids})
    return {folder_id: folder.name for folder_id, folder in folders.items()}


def _find_folders(
    session: Session, account_id: int, folder_ids: Iterable[str]
) -> dict[str, DriveFolder]:
    of_account = select(DriveFolder).where(DriveFolder.drive_account_id == account_id)
    return {
        folder.item_id: folder
        for ids in make_batches(sorted(folder_ids))
        for folder in session.scalars(of_account.where(DriveFolder.item_id.in_(ids)))
    }


def find_same_place(session: Session, account_id: int, folder_id: str) -> str:
    """Find the folder that now has the path of a folder.

    That is another one if the folder, or one above it, was deleted and created again.

    :return: an id; the folder itself if it exists or is unknown, "" if nothing has its path.
    """
    gone: list[DriveFolder] = []
    place = folder_id
    while len(gone) < _MAX_DEPTH:
        folder = session.get(DriveFolder, (account_id, fold_id(place)))
        if folder is None or not folder.is_deleted:
            break
        gone.append(folder)
        place = folder.parent_id
    for folder in reversed(gone):
        namesake = select(DriveFolder.item_id).where(
            DriveFolder.drive_account_id == account_id,
            DriveFolder.parent_id == fold_id(place),
            DriveFolder.name == folder.name,
            DriveFolder.is_deleted == false(),
        )
        place = session.scalar(namesake.limit(1)) or ""
        if not place:
            return ""
    if gone:
        # The tree's ids are folded; requests need the drive's part as OneDrive wrote it.
        spelt, sign, _ = folder_id.partition("!")
        place = spelt + sign + place.partition("!")[2] if sign else place
    return place


def note_folders(
    session: Session, account_id: int, items: Sequence[DriveItem], run_number: int
) -> FolderNews:
    """Add the folders of a page of the feed to the tree, no folder twice.

    :param run_number: number of the last complete list of the drive; see
        :func:`delete_old_folders`.
    """
    known = _find_folders(session, account_id, (fold_id(item.id) for item in items))
    displaced: list[str] = []
    renamed: list[Renaming] = []
    moved: list[str] = []
    for item in items:
        item_id, name = fold_id(item.id), item.name[:400]
        parent_id = fold_id(item.parent_id) if item.parent_id else ""
        folder = known.get(item_id)
        if folder is None:
            if not item.is_deleted:
                place = {"parent_id": parent_id, "name": name, "run_number": run_number}
                session.add(DriveFolder(drive_account_id=account_id, item_id=item_id, **place))
            displaced.append(item_id)
            continue
        folder.run_number = run_number
        has_moved = not item.is_deleted and parent_id != folder.parent_id
        if has_moved or item.is_deleted != folder.is_deleted:
            displaced.append(item_id)
            moved.append(item_id)
        folder.is_deleted = item.is_deleted
        if not item.is_deleted:
            folder.parent_id = parent_id
            if name and folder.name and name != folder.name:
                renamed.append(Renaming(item_id, folder.name, name))
            folder.name = name or folder.name
    session.flush()
    return FolderNews(displaced, renamed, moved)


def delete_old_folders(session: Session, account_id: int, run_number: int, max_count: int) -> int:
    """Delete some of the folders that the complete list with this number did not name.

    :return: how many were found.
    """
    is_old = (DriveFolder.drive_account_id == account_id) & (DriveFolder.run_number != run_number)
    ids = session.scalars(select(DriveFolder.item_id).where(is_old).limit(max_count)).all()
    count_rows(session, delete(DriveFolder).where(is_old, DriveFolder.item_id.in_(ids)))
    return len(ids)


class FolderPlaces:
    """Tells which folders are inside the root folder. For one transaction: it caches.

    :param root_id: folded id of the root folder.
    """

    def __init__(self, session: Session, account_id: int, root_id: str) -> None:
        self._session = session
        self._account_id = account_id
        self._root_id = root_id
        self._known: dict[str, bool] = {}

    def lies_inside(self, folder_id: str) -> bool:
        """Tell whether a folder is the root folder or below it.

        :param folder_id: folded; "" if it is not known.
        """
        walked: list[str] = []
        answer = False
        while folder_id and len(walked) < _MAX_DEPTH:
            if folder_id == self._root_id or folder_id in self._known:
                answer = self._known.get(folder_id, True)
                break
            walked.append(folder_id)
            above = self._session.get(DriveFolder, (self._account_id, folder_id))
            folder_id = "" if above is None or above.is_deleted else above.parent_id
        self._known.update(dict.fromkeys(walked, answer))
        return answer
