"""What people do in OneDrive through the hub: look at folders, and change them.

Each function takes a :class:`~imagehub.clients.Drive` and lets its errors through; their sentences
can be shown to a person as the reason of a failure.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from imagehub.clients import ConflictBehavior, Drive, DriveItem, Quota, UploadSession
from imagehub.errors import NotFoundError, RootFolderGoneError, ServiceRefusedError

# Calls at the same time for one listing. OneDrive throttles accounts that ask for much at once.
_LISTING_THREADS = 6
_GIB = 1024**3


def list_folders_with_files(drive: Drive) -> dict[str, Any]:
    """The root folder's child folders and the files in each, all pages of both.

    :return: ``used_storage`` and ``total_storage`` in GiB with 2 decimals (0.0 where OneDrive does
        not tell), and for each folder id ``folder_name``, ``folder_size``, ``creation_time``,
        ``modification_time``, ``is_folder`` and ``files``: file id → ``file_name``, ``file_size``,
        ``creation_time``, ``modification_time``, ``is_folder``. Sizes in bytes, times as OneDrive
        gives them, all in OneDrive's order.
    :raise ConnectionLostError: OneDrive must be connected again.
    :raise ServiceBusyError: OneDrive is throttled, down or not reached.
    :raise ServiceRefusedError: above all ``bad_answer``: the answer cannot be read.
    """
    with ThreadPoolExecutor(_LISTING_THREADS, "list-folders") as threads:
        info = threads.submit(drive.get_drive)
        try:
            root = get_root(drive)
            folders = [item for item in drive.iter_children(root.id) if item.is_folder]
            listings = list(threads.map(lambda folder: _list_files(drive, folder), folders))
            used, total = _measure_storage(info.result().quota)
        except BaseException:
            # Of hundreds of listings those not yet begun would only fail in the same way.
            threads.shutdown(wait=False, cancel_futures=True)
            raise
    answer: dict[str, Any] = {"used_storage": used, "total_storage": total}
    for folder, files in zip(folders, listings, strict=True):
        if files is not None:
            answer[folder.id] = {
                "folder_name": folder.name,
                "folder_size": folder.size_bytes,
                "creation_time": folder.created_time,
                "modification_time": folder.modified_time,
                "is_folder": True,
                "files": {
                    file.id: {
                        "file_name": file.name,
                        "file_size": file.size_bytes,
                        "creation_time": file.created_time,
                        "modification_time": file.modified_time,
                        "is_folder": False,
                    }
                    for file in files
                },
            }
    return answer


def create_folder(drive: Drive, name: str, parent_id: str = "") -> DriveItem:
    """Make a folder; a taken name gets a number.

    :param parent_id: the root folder when empty.
    :return: the folder, with the name it really got.
    :raise InvalidInputError: a name that OneDrive would refuse; nothing was sent.
    :raise NotFoundError: the parent is not inside the root folder.
    """
    with _inside_root(parent_id):
        return drive.create_folder(parent_id or get_root(drive).id, name, "rename")


def rename_item(drive: Drive, item_id: str, name: str) -> DriveItem:
    """Give a file or folder another name.

    :raise InvalidInputError: a name that OneDrive would refuse; nothing was sent.
    :raise NotFoundError: the item is not inside the root folder.
    :raise NotAllowedError: it is the root folder itself.
    :raise ServiceRefusedError: ``name_taken`` …
    """
    with _inside_root(item_id):
        return drive.rename_item(item_id, name)


def delete_item(drive: Drive, item_id: str) -> None:
    """Put a file or folder into OneDrive's recycle bin.

    :raise NotFoundError: the item is not inside the root folder.
    :raise NotAllowedError: it is the root folder itself.
    """
    with _inside_root(item_id):
        drive.delete_item(item_id)


def create_upload_session(
    drive: Drive, folder_id: str, file_name: str, on_conflict: ConflictBehavior = "fail"
) -> UploadSession:
    """An address to which a browser sends the bytes of one new file.

    :param folder_id: the root folder when empty.
    :param on_conflict: what becomes of a taken name: refused, replaced, or given a number.
    :raise InvalidInputError: a name that OneDrive would refuse, or no folder; nothing was sent.
    :raise NotFoundError: the folder is not inside the root folder.
    :raise ServiceRefusedError: ``name_taken``, ``quota_full`` …
    """
    with _inside_root(folder_id):
        return drive.create_upload_session(folder_id or get_root(drive).id, file_name, on_conflict)


def get_root(drive: Drive) -> DriveItem:
    """The root folder.

    :raise RootFolderGoneError: there is no such folder in this drive (any more).
    :raise NotFoundError: there is no drive either.
    """
    try:
        return drive.get_root()
    except NotFoundError as error:
        drive.get_drive()
        raise RootFolderGoneError(error.key) from error


def _list_files(drive: Drive, folder: DriveItem) -> list[DriveItem] | None:
    """The files of a folder; None where it is gone by now, or cannot be opened by anybody."""
    files: list[DriveItem] | None = None
    with skip_unreadable():
        files = [
            item
            for item in drive.iter_children(folder.id)
            if not item.is_folder and not item.is_package
        ]
    return files


def _measure_storage(quota: Quota) -> tuple[float, float]:
    """Used and total in GiB; what a drive does not tell is worked out or 0."""
    total, used = quota.total_bytes, quota.used_bytes
    if used is None and total is not None and quota.remaining_bytes is not None:
        used = max(0, total - quota.remaining_bytes)
    return round((used or 0) / _GIB, 2), round((total or 0) / _GIB, 2)


@contextmanager
def skip_unreadable() -> Iterator[None]:
    """Leave out a folder that was deleted since it was listed, and the Personal Vault."""
    try:
        yield
    except NotFoundError:
        pass
    except ServiceRefusedError as error:
        if error.reason != "vault":
            raise


@contextmanager
def _inside_root(item_id: str) -> Iterator[None]:
    """Say where an item was looked for: what is elsewhere in the drive reads like what is not."""
    try:
        yield
    except NotFoundError as error:
        if error.kind != "drive item":
            raise
        outside = NotFoundError("drive item", item_id)
        outside.args = ("This item is not inside the root folder.",)
        raise outside from error
