"""List and change folders and files in OneDrive.

Each function takes a :class:`~imagehub.clients.Drive`. The sentences of its errors can be shown to
a person.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from imagehub.clients import ConflictBehavior, Drive, DriveItem, Quota, UploadSession
from imagehub.errors import NotFoundError, RootFolderGoneError, ServiceRefusedError
from imagehub.messages import mark

# Requests at the same time for one listing. OneDrive throttles accounts that send many at once.
_LISTING_THREADS = 6
_GIB = 1024**3


def list_folders_with_files(drive: Drive) -> dict[str, Any]:
    """List the folders in the root folder and the files in each of them.

    :return: ``used_storage`` and ``total_storage`` in GiB with 2 decimals (0.0 if unknown), and for
        each folder id ``folder_name``, ``folder_size``, ``creation_time``, ``modification_time``,
        ``is_folder`` and ``files``: file id → ``file_name``, ``file_size``, ``creation_time``,
        ``modification_time``, ``is_folder``. Sizes in bytes, times as OneDrive gives them, all in
        OneDrive's order.
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
            # The listings that have not begun would only fail in the same way.
            threads.shutdown(wait=False, cancel_futures=True)
            raise
    answer: dict[str, Any] = {"used_storage": used, "total_storage": total}
    for folder, files in zip(folders, listings, strict=True):
        if files is not None:
            described = {file.id: _describe(file, "file") for file in files}
            answer[folder.id] = {**_describe(folder, "folder"), "files": described}
    return answer


def _describe(item: DriveItem, kind: str) -> dict[str, Any]:
    return {
        f"{kind}_name": item.name,
        f"{kind}_size": item.size_bytes,
        "creation_time": item.created_time,
        "modification_time": item.modified_time,
        "is_folder": item.is_folder,
    }


def create_folder(drive: Drive, name: str, parent_id: str = "") -> DriveItem:
    """Create a folder; if the name is taken, a number is added.

    :param parent_id: the root folder when empty.
    :return: the folder with its final name.
    :raise ImageHubError: as of :meth:`~imagehub.clients.Drive.create_folder`.
    """
    with _inside_root(parent_id):
        return drive.create_folder(parent_id or get_root(drive).id, name, "rename")


def rename_item(drive: Drive, item_id: str, name: str) -> DriveItem:
    """Rename a file or folder; errors as of :meth:`~imagehub.clients.Drive.rename_item`."""
    with _inside_root(item_id):
        return drive.rename_item(item_id, name)


def delete_item(drive: Drive, item_id: str) -> None:
    """Delete a file or folder; errors as of :meth:`~imagehub.clients.Drive.delete_item`."""
    with _inside_root(item_id):
        drive.delete_item(item_id)


def create_upload_session(
    drive: Drive, folder_id: str, file_name: str, on_conflict: ConflictBehavior = "fail"
) -> UploadSession:
    """Open an upload session, to which a browser sends the bytes of one new file.

    :param folder_id: the root folder when empty.
    :param on_conflict: if the name is taken: fail, replace the file, or add a number.
    :raise ImageHubError: as of :meth:`~imagehub.clients.Drive.create_upload_session`.
    """
    with _inside_root(folder_id):
        return drive.create_upload_session(folder_id or get_root(drive).id, file_name, on_conflict)


def get_root(drive: Drive) -> DriveItem:
    """Get the root folder.

    :raise RootFolderGoneError: there is no such folder in this drive (any more).
    :raise NotFoundError: there is no drive either.
    """
    try:
        return drive.get_root()
    except NotFoundError as error:
        drive.get_drive()
        raise RootFolderGoneError(error.key) from error


def _list_files(drive: Drive, folder: DriveItem) -> list[DriveItem] | None:
    """List the files of a folder; None if it is gone by now, or the Personal Vault."""
    files: list[DriveItem] | None = None
    with skip_unreadable():
        files = [
            item
            for item in drive.iter_children(folder.id)
            if not item.is_folder and not item.is_package
        ]
    return files


def _measure_storage(quota: Quota) -> tuple[float, float]:
    """Give the used and total storage in GiB; unknown values are calculated, or 0."""
    return round((quota.used_bytes or 0) / _GIB, 2), round((quota.total_bytes or 0) / _GIB, 2)


@contextmanager
def skip_unreadable() -> Iterator[None]:
    """Skip a folder that was deleted since it was listed, and the Personal Vault."""
    try:
        yield
    except NotFoundError:
        pass
    except ServiceRefusedError as error:
        if error.reason != "vault":
            raise


@contextmanager
def _inside_root(item_id: str) -> Iterator[None]:
    """Give the same error for items outside the root folder and items that do not exist."""
    try:
        yield
    except NotFoundError as error:
        if error.kind != "drive item":
            raise
        outside = NotFoundError("drive item", item_id)
        outside.args = (mark("This item is not inside the root folder."),)
        raise outside from error
