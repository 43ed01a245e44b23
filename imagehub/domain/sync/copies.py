"""Remember files that may take the place of originals, as the feed of changes mentions them.

A file that is deleted and created again, as many editors save, is another item to OneDrive, and the
two may be mentioned in any order. So files with the content of an original are remembered before it
is gone, and an image whose original is gone is put in doubt when such a file appears, or one with
the original's name and folder. Nothing here makes requests, and the caller commits.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import ColumnElement, delete, select
from sqlalchemy.orm import Session

from imagehub.clients import DriveItem
from imagehub.clients.drive_ids import fold_id, list_all_spellings
from imagehub.database import count_rows, make_batches
from imagehub.domain.sync.folder_tree import is_from
from imagehub.domain.sync.schedule import set_doubt
from imagehub.domain.sync.state import AWAY, MISSING, NO_DOUBT, SEEK
from imagehub.models import DriveCopy, Image


def note_files(session: Session, account_id: int, items: Sequence[DriveItem]) -> None:
    """Note the files of a page of the feed, no file twice."""
    if not items:
        return
    _forget_copies(session, account_id, [item.id for item in items])
    known = [item for item in items if not item.is_deleted]
    hashes = _add_copies(session, account_id, [item for item in known if item.quick_xor_hash])
    for some in make_batches(hashes):
        _seek(session, account_id, Image.drive_state.in_(AWAY), Image.drive_hash.in_(some))
    _seek_in_places(session, account_id, known)
    for ids in make_batches(list_all_spellings(item.id for item in items)):
        _seek(session, account_id, Image.drive_state == MISSING, Image.offered_item_id.in_(ids))


def list_copies(
    session: Session, account_id: int, hashes: Collection[str]
) -> Mapping[str, Sequence[str]]:
    """List the ids of files with these hashes."""
    found: dict[str, list[str]] = defaultdict(list)
    for some in make_batches(sorted(hashes)):
        copies = select(DriveCopy.quick_xor_hash, DriveCopy.item_id).where(
            DriveCopy.drive_account_id == account_id, DriveCopy.quick_xor_hash.in_(some)
        )
        for one_hash, item_id in session.execute(copies.order_by(DriveCopy.item_id)):
            found[one_hash].append(item_id)
    return found


def _forget_copies(session: Session, account_id: int, item_ids: Sequence[str]) -> None:
    of_account = delete(DriveCopy).where(DriveCopy.drive_account_id == account_id)
    for ids in make_batches(list_all_spellings(item_ids)):
        count_rows(session, of_account.where(DriveCopy.item_id.in_(ids)))


def _add_copies(session: Session, account_id: int, items: Sequence[DriveItem]) -> Sequence[str]:
    """Add files that have the content of another original; return their hashes."""
    originals: dict[str, set[str]] = defaultdict(set)
    of_account = select(Image.drive_hash, Image.drive_item_id).where(
        Image.drive_account_id == account_id
    )
    for some in make_batches({item.quick_xor_hash for item in items}):
        for one_hash, item_id in session.execute(of_account.where(Image.drive_hash.in_(some))):
            originals[one_hash].add(fold_id(item_id))
    copies = [item for item in items if originals[item.quick_xor_hash] - {fold_id(item.id)}]
    session.add_all(
        DriveCopy(
            drive_account_id=account_id, item_id=item.id, quick_xor_hash=item.quick_xor_hash[:40]
        )
        for item in copies
    )
    session.flush()
    return sorted({item.quick_xor_hash for item in copies})


def _seek_in_places(session: Session, account_id: int, items: Sequence[DriveItem]) -> None:
    """Put missing originals in doubt whose name and folder one of the files has."""
    names: dict[str, set[str]] = defaultdict(set)
    for item in items:
        if item.parent_id:
            names[fold_id(item.parent_id)].add(item.name.casefold())
    ids: list[int] = []
    for folders in make_batches(names, 100):
        images = select(Image.id, Image.folder_id, Image.name).where(
            is_from(account_id, folders), Image.drive_state == MISSING
        )
        ids += [
            row.id
            for row in session.execute(images)
            if row.name.casefold() in names[fold_id(row.folder_id)]
        ]
    for some in make_batches(ids):
        _seek(session, account_id, Image.id.in_(some))


def _seek(session: Session, account_id: int, *conditions: ColumnElement[bool]) -> None:
    of_account = Image.drive_account_id == account_id
    set_doubt(session, SEEK, of_account, Image.drive_doubt == NO_DOUBT, *conditions)
