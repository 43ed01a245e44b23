"""Import whole folders of the drive: each folder with pictures becomes a group."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.orm import Session

from imagehub.clients import Clients, Drive, DriveItem
from imagehub.clients.drive_ids import fold_id
from imagehub.database import end_read
from imagehub.domain.file_names import (
    find_drawn,
    get_folder_title,
    is_wanted_picture,
    make_companion_key,
    make_group_title,
    make_shot_key,
    make_sort_key,
)
from imagehub.domain.imports.jobs import Selection, create_import
from imagehub.domain.onedrive import accounts
from imagehub.errors import NotFoundError
from imagehub.models import Group, ImportItem, ImportJob


def create_folder_import(
    session: Session, clients: Clients, path: str, one_group: bool = False, again: bool = False
) -> tuple[ImportJob, int] | None:
    """Create a job that imports a folder and its subfolders; None if nothing in it is new.

    Of a folder that was imported before, only new files are imported. They are added to the group
    of that folder's other files, or to a new group if there is no such group any more.

    :param session: holds no uncommitted change.
    :param path: below the root folder, "/"-separated; "" is the root folder itself.
    :param one_group: put all pictures into one group.
    :param again: import files again that were imported before; every folder makes a new group.
    :return: the job and the number of its groups.
    :raise NotFoundError: no such folder.
    :raise ConnectionLostError: OneDrive is not connected.
    """
    account_id = accounts.get_active_account(session).id
    drive = clients.open_drive(account_id)
    top = drive.find_item_by_path(path.strip("/"))
    if top is None or not top.is_folder:
        raise NotFoundError("folder", path)
    known = {} if again else _find_known_folders(session, account_id)
    end_read(session)

    selections = []
    for folder, items in _iter_folders(drive, top):
        before = known.get(fold_id(folder.id), _Known())
        files = [(item.id, item.name) for item in items if fold_id(item.id) not in before.files]
        if files:
            group = None
            if len(before.groups) == 1 and not one_group:
                group = _find_group(session, *before.groups)
            title = make_group_title(get_folder_title(folder), files[0][1])
            selections.append(Selection(folder.id, title, group, files))
    if not selections:
        return None
    if one_group:
        files = [file for selection in selections for file in selection.files]
        selections = [Selection(top.id, get_folder_title(top), None, files)]
    return create_import(session, account_id, None, selections), len(selections)


@dataclass(frozen=True)
class _Known:
    """What earlier imports took from one folder: folded file ids, and the groups they went to."""

    files: set[str] = field(default_factory=set)
    groups: set[int] = field(default_factory=set)


def _find_known_folders(session: Session, account_id: int) -> dict[str, _Known]:
    """Map the folded id of each folder to what was imported from it, failed or not."""
    found: dict[str, _Known] = defaultdict(_Known)
    rows = session.execute(
        select(ImportItem.folder_id, ImportItem.drive_item_id, ImportItem.group_id)
        .join(ImportJob)
        .where(ImportJob.drive_account_id == account_id)
    )
    for folder_id, file_id, group_id in rows:
        known = found[fold_id(folder_id)]
        known.files.add(fold_id(file_id))
        if group_id is not None:
            known.groups.add(group_id)
    return found


def _find_group(session: Session, group_id: int) -> int | None:
    """Return the id of the group if files can be added: not empty, deleted or in the trash."""
    found = session.scalar(
        select(Group.id).where(Group.id == group_id, Group.state != "trash", Group.image_count > 0)
    )
    end_read(session)
    return found


def _iter_folders(drive: Drive, top: DriveItem) -> Iterator[tuple[DriveItem, list[DriveItem]]]:
    """Yield each folder from ``top`` down, by name, with its pictures in the order of shots."""
    waiting = [top]
    while waiting:
        folder = waiting.pop(0)
        children = sorted(drive.iter_children(folder.id), key=lambda item: make_sort_key(item.name))
        files = [item for item in children if not item.is_folder and is_wanted_picture(item)]
        names = {make_companion_key(item.name) for item in files if not find_drawn(item)}
        # Beside a picture of the same name, a raw photo or working file is not another shot.
        files = [
            item
            for item in files
            if not find_drawn(item) or make_companion_key(item.name) not in names
        ]
        yield folder, sorted(files, key=lambda item: make_shot_key(item.name))
        waiting.extend(item for item in children if item.is_folder and not item.is_package)
