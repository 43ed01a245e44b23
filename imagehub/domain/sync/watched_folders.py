"""Watch folders of OneDrive for new files, and note where the feed of changes mentions some.

A check only notes which folders have to be listed: the feed may name a file before the folder that
it is in, and does not name the files of a folder that was moved. ``imports.watched`` lists these
folders afterwards, and imports what is new.
"""

from collections.abc import Iterable, Sequence

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from imagehub.clients import DriveItem
from imagehub.clients.drive_ids import fold_id, list_all_spellings, list_spellings
from imagehub.database import MAX_ID, get_database_time, make_batches
from imagehub.domain.sync.schedule import ask_for_check
from imagehub.errors import ConflictError, NotFoundError
from imagehub.messages import mark
from imagehub.models import DriveWatch, WatchedFolder, WatchedItem

FOLDER, TREE, WAITING, KNOWN = "folder", "tree", "waiting", "known"
GONE = mark("This folder is no longer in OneDrive, or not inside the root folder.")


def watch_folder(
    session: Session,
    account_id: int,
    user_id: int | None,
    folder: DriveItem,
    path: str,
    way: str,
    is_published: bool,
    series_id: int | None = None,
) -> WatchedFolder:
    """Watch a folder and all below it; the files in it now are not imported. The caller commits.

    :param folder: of the drive, inside the root folder.
    :param way: how files are grouped, one of ``imports.grouping.WAYS``.
    :param series_id: an existing series that new groups join.
    :raise ConflictError: it is watched already.
    """
    if find_watch(session, account_id, folder.id) is not None:
        raise ConflictError("This folder is already watched.")
    watched = WatchedFolder(
        drive_account_id=account_id,
        item_id=folder.id,
        path=path[:1000],
        way=way,
        is_published=is_published,
        series_id=series_id,
        user_id=user_id,
        created_at=get_database_time(session),
    )
    session.add(watched)
    note_places(session, account_id, [folder.id], TREE)
    # It also learns the tree of folders, which tells what is below this one.
    ask_for_check(session, account_id)
    session.flush()
    return watched


def find_watch(session: Session, account_id: int, folder_id: str) -> WatchedFolder | None:
    """Find the watch on this very folder."""
    of_account = select(WatchedFolder).where(WatchedFolder.drive_account_id == account_id)
    spelt = WatchedFolder.item_id.in_(list_spellings(folder_id))
    return session.scalars(of_account.where(spelt)).first()


def set_watch_series(session: Session, watch_id: int, series_id: int | None) -> WatchedFolder:
    """Set the series that new groups of a watched folder join. The caller commits.

    :raise NotFoundError: there is no such watch any more.
    """
    watched = _get_watch(session, watch_id)
    watched.series_id = series_id
    session.flush()
    return watched


def _get_watch(session: Session, watch_id: int) -> WatchedFolder:
    watched = session.get(WatchedFolder, watch_id) if 0 < watch_id <= MAX_ID else None
    if watched is None:
        raise NotFoundError("watched folder", watch_id)
    return watched


def unwatch_folder(session: Session, watch_id: int) -> WatchedFolder:
    """Stop watching a folder; what was imported stays. The caller commits.

    Files that are not imported yet are forgotten, unless another watched folder has them too.

    :raise NotFoundError: there is no such watch any more.
    """
    watched = _get_watch(session, watch_id)
    session.delete(watched)
    session.flush()
    return watched


def list_watches(session: Session, account_id: int) -> Sequence[WatchedFolder]:
    """List the watched folders of an account by path."""
    of_account = select(WatchedFolder).where(WatchedFolder.drive_account_id == account_id)
    return session.scalars(of_account.order_by(WatchedFolder.path, WatchedFolder.id)).all()


# --- From the feed of changes ---------------------------------------------------------------------


def note_mentions(
    session: Session, account_id: int, items: Sequence[DriveItem], moved: Iterable[str]
) -> None:
    """Note what to list because of a page of the feed. The caller commits.

    :param items: files and folders, no item twice.
    :param moved: folded ids of folders that were moved or restored.
    """
    watches = {fold_id(one.item_id): one for one in list_watches(session, account_id)}
    if not watches:
        return
    for item in items:
        if item.is_deleted and (watched := watches.get(fold_id(item.id))):
            watched.problem = GONE
    files = [item for item in items if not item.is_folder and not item.is_deleted]
    known = find_known(session, account_id, (item.id for item in files))
    parents = {
        fold_id(item.parent_id): item.parent_id
        for item in files
        if item.parent_id and fold_id(item.id) not in known
    }
    note_places(session, account_id, parents.values(), FOLDER)
    moved = set(moved)
    trees = [
        item.id
        for item in items
        if item.is_folder and not item.is_deleted and fold_id(item.id) in moved
    ]
    note_places(session, account_id, trees, TREE)


def note_places(session: Session, account_id: int, folder_ids: Iterable[str], state: str) -> None:
    """Note folders that have to be listed. The caller commits."""
    now = get_database_time(session)
    for folder_id in folder_ids:
        row = session.get(WatchedItem, (account_id, folder_id))
        if row is None:
            place = {"drive_account_id": account_id, "item_id": folder_id}
            session.add(WatchedItem(**place, state=state, found_at=now, seen_at=now))
        elif state == TREE:
            row.state = TREE
    session.flush()


def find_known(session: Session, account_id: int, item_ids: Iterable[str]) -> set[str]:
    """Return the folded ids of those files that are known or waiting."""
    found: set[str] = set()
    for ids in make_batches(list_all_spellings(item_ids)):
        rows = select(WatchedItem.item_id).where(
            WatchedItem.drive_account_id == account_id,
            WatchedItem.item_id.in_(ids),
            WatchedItem.state.in_((WAITING, KNOWN)),
        )
        found.update(map(fold_id, session.scalars(rows)))
    return found


def may_list(session: Session, account_id: int) -> bool:
    """Tell whether the tree of folders is complete: no check has begun and not ended."""
    watch = session.get(DriveWatch, account_id, populate_existing=True)
    return watch is not None and watch.checked_at is not None and not watch.step


def forget_items(session: Session, account_id: int, item_ids: Iterable[str]) -> None:
    """Delete the rows of these items. The caller commits."""
    for ids in make_batches(item_ids):
        session.execute(
            delete(WatchedItem).where(
                WatchedItem.drive_account_id == account_id, WatchedItem.item_id.in_(ids)
            )
        )
