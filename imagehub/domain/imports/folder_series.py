"""Make a series from a folder of OneDrive; its subfolders become parts of the series."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from imagehub.clients import Drive, DriveItem
from imagehub.clients.drive_ids import fold_id, list_spellings
from imagehub.database import make_batches
from imagehub.domain.file_names import get_folder_title
from imagehub.domain.library.groups import lock_groups
from imagehub.domain.library.series_edit import create_series
from imagehub.domain.library.series_members import add_members, lock_series
from imagehub.domain.onedrive.browser import list_subfolders
from imagehub.domain.sync.folder_tree import is_from
from imagehub.errors import InvalidInputError
from imagehub.messages import Message
from imagehub.models import Group, Image, Series

# The most folders that one request looks into; each is a request to OneDrive.
MAX_FOLDERS = 500
_TITLE_CHARS = 300


@dataclass(frozen=True)
class FolderTree:
    """A folder, and each folder directly in it: its title, and all folders from it down by id."""

    title: str
    folder_id: str
    parts: Sequence[tuple[str, Sequence[str]]]


@dataclass(frozen=True)
class FolderSeries:
    """The series made from a folder, whether it is new, and how many groups were added."""

    series: Series
    is_new: bool
    added_count: int


def fetch_folder_tree(drive: Drive, folder: DriveItem) -> FolderTree:
    """Fetch the folders below a folder. No transaction may be open.

    :raise InvalidInputError: it is not a folder, or has more than ``MAX_FOLDERS`` below it.
    """
    if not folder.is_folder:
        raise InvalidInputError("This is not a folder.", {"item": "is not a folder"})
    parts = []
    count = 0
    for child in list_subfolders(drive, folder.id):
        below, waiting = [], [child.id]
        while waiting:
            count += 1
            if count > MAX_FOLDERS:
                raise InvalidInputError(
                    Message(
                        "This folder contains more than %(count)s folders. "
                        "Choose one of them instead.",
                        count=f"{MAX_FOLDERS:,}",
                    ),
                    {"folder": "has too many folders"},
                )
            below.append(waiting.pop(0))
            waiting += [one.id for one in list_subfolders(drive, below[-1])]
        parts.append((child.name, below))
    return FolderTree(get_folder_title(folder) or folder.name, folder.id, parts)


def make_folder_series(session: Session, account_id: int, tree: FolderTree) -> FolderSeries:
    """Make a draft series of a folder's imported works. The caller commits.

    A subfolder with several works becomes a part. One with a single work usually holds its shots,
    so the work goes into the series itself. A series or part that was made from the folder before
    is completed, whatever the names of both are now, so running this twice adds nothing. So is one
    with the folder's name that was made by hand, or by a version that did not note the folder.

    :raise InvalidInputError: none of the folder's pictures is imported.
    """
    members = _list_groups(session, account_id, [tree.folder_id])
    parts = []
    for title, folder_ids in tree.parts:
        groups = _list_groups(session, account_id, folder_ids)
        if len(groups) > 1:
            parts.append((title, folder_ids[0], groups))
        else:
            members += groups
    if not members and not parts:
        raise InvalidInputError(
            "No image in this folder has been imported yet. Import the folder first.",
            {"folder": "is not imported"},
        )
    everything = {*members, *(number for *_, groups in parts for number in groups)}
    for ids in make_batches(sorted(everything)):
        lock_groups(session, ids)
    series, is_new = _use_series(session, tree.title, tree.folder_id, None)
    added = add_members(session, series.id, members)
    for title, folder_id, groups in parts:
        part, _is_new = _use_series(session, title, folder_id, series.id)
        added += add_members(session, part.id, groups)
    return FolderSeries(series, is_new, added)


def _use_series(
    session: Session, title: str, folder_id: str, parent_id: int | None
) -> tuple[Series, bool]:
    title = title[:_TITLE_CHARS]
    is_from_it = Series.folder_id.in_(list_spellings(folder_id))
    is_named_so = (Series.folder_id == "") & (Series.title == title)
    beside = select(Series.id, Series.folder_id, Series.title).where(
        Series.parent_id == parent_id, Series.state != "trash", or_(is_from_it, is_named_so)
    )
    rows = session.execute(beside.order_by(Series.folder_id == "", Series.id))
    # MySQL takes titles for equal that differ only in case or accents.
    number = next((row.id for row in rows if row.folder_id or row.title == title), None)
    if number is not None:
        series = lock_series(session, number)
    else:
        series = create_series(session, title, parent_id=parent_id)
    series.folder_id = folder_id
    session.flush()
    return series, number is None


def _list_groups(session: Session, account_id: int, folder_ids: Sequence[str]) -> list[int]:
    """List the groups with images from these folders, in the order of the gallery."""
    found: dict[int, int] = {}
    for some in make_batches([fold_id(one) for one in folder_ids], 100):
        rows = session.execute(
            select(Group.id, Group.sort_key)
            .join(Image, Image.group_id == Group.id)
            .where(is_from(account_id, some), Group.state != "trash")
            .distinct()
        )
        found.update((row.id, row.sort_key) for row in rows)
    return sorted(found, key=lambda one: (-found[one], -one))
