"""Change items in OneDrive and have the images made from them follow.

Each function also asks for a check of the changed items, which it commits on its own: the session
must hold no uncommitted change.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from imagehub.clients import Drive, DriveItem
from imagehub.domain.onedrive import folders
from imagehub.domain.onedrive.browser import MAX_SELECTED
from imagehub.domain.sync.schedule import note_changes
from imagehub.errors import ConnectionLostError, ImageHubError, InvalidInputError


@dataclass(frozen=True)
class Outcome:
    """The result for each selected item; ``failed`` holds (item id, reason)."""

    done: Sequence[DriveItem] = ()
    failed: Sequence[tuple[str, str]] = ()


def rename_item(
    session: Session, account_id: int, drive: Drive, item_id: str, name: str
) -> tuple[DriveItem, str]:
    """Rename a file or folder; return it, and its old name.

    :raise ImageHubError: see :func:`imagehub.domain.onedrive.folders.rename_item`.
    """
    old_name = drive.get_item(item_id).name
    item = folders.rename_item(drive, item_id, name.strip())
    note_changes(session, account_id, [item.id])
    return item, old_name


def move_items(
    session: Session, account_id: int, drive: Drive, item_ids: Sequence[str], target_id: str
) -> Outcome:
    """Move items into a folder; errors as of :func:`_do_each`."""
    return _do_each(
        session, account_id, item_ids, lambda item_id: drive.move_item(item_id, target_id)
    )


def delete_items(
    session: Session, account_id: int, drive: Drive, item_ids: Sequence[str]
) -> Outcome:
    """Move items to OneDrive's recycle bin; errors as of :func:`_do_each`.

    :return: ``done`` holds the items as they were.
    """

    def delete(item_id: str) -> DriveItem:
        item = drive.get_item(item_id)
        folders.delete_item(drive, item_id)
        return item

    return _do_each(session, account_id, item_ids, delete, with_all_below=True)


def restore_items(
    session: Session, account_id: int, drive: Drive, places: Mapping[str, str]
) -> Outcome:
    """Restore items from OneDrive's recycle bin; errors as of :func:`_do_each`.

    :param places: item id → id of the folder to restore it to.
    """
    return _do_each(
        session,
        account_id,
        list(places),
        lambda item_id: drive.restore_item(item_id, places[item_id]),
        with_all_below=True,
    )


def _do_each(
    session: Session,
    account_id: int,
    ids: Sequence[str],
    act: Callable[[str], DriveItem],
    with_all_below: bool = False,
) -> Outcome:
    """Change each item and ask for a check; a failure does not stop the others.

    :param with_all_below: as in :func:`note_changes`.
    :raise InvalidInputError: nothing is selected, or more than ``MAX_SELECTED``.
    :raise ConnectionLostError: the connection was lost before the first item was done. If it is
        lost later, the remaining items are returned as failed.
    """
    if not ids:
        raise InvalidInputError("Nothing is selected.", {"item": "is missing"})
    if len(ids) > MAX_SELECTED:
        raise InvalidInputError("Too many items are selected.", {"item": "too many"})
    done: list[DriveItem] = []
    failed: list[tuple[str, str]] = []
    lost: ConnectionLostError | None = None
    for item_id in dict.fromkeys(ids):
        try:
            if lost is not None:
                raise lost
            done.append(act(item_id))
        except ImageHubError as error:
            if isinstance(error, ConnectionLostError):
                if not done:
                    raise
                lost = error
            failed.append((item_id, str(error)))
    if done:
        note_changes(session, account_id, [item.id for item in done], with_all_below)
    return Outcome(done, failed)
