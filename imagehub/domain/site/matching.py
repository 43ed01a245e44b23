"""Find the originals of another drive by their content in the one that is connected.

For a hub that was made from a manifest and has another OneDrive, to which the files were copied.
"""

from collections.abc import Iterator, Sequence

from sqlalchemy import exists, or_, select, update
from sqlalchemy.orm import Session

from imagehub.clients import Drive, DriveItem
from imagehub.database import count_rows, make_batches
from imagehub.domain.onedrive.accounts import CONNECTED
from imagehub.domain.sync.replacements import link_original, note_links
from imagehub.domain.sync.state import MISSING
from imagehub.models import DriveAccount, Image

_BATCH = 200


def iter_files(drive: Drive) -> Iterator[list[tuple[DriveItem, str]]]:
    """Yield all files below the root folder that have a hash, with the names of their folders.

    :return: some hundred files at a time.
    """
    return make_batches(_iter_files(drive), _BATCH)


def _iter_files(drive: Drive) -> Iterator[tuple[DriveItem, str]]:
    folders = [drive.get_root()]
    while folders:
        folder = folders.pop()
        for item in drive.iter_children(folder.id):
            if item.is_folder:
                folders.append(item)
            elif item.quick_xor_hash:
                yield item, folder.name


def link_files(session: Session, account_id: int, files: Sequence[tuple[DriveItem, str]]) -> int:
    """Link images of accounts that are not connected to files with the same content.

    :param account_id: of the files.
    :return: how many images were linked; the caller commits.
    """
    by_hash = {item.quick_xor_hash: (item, name) for item, name in reversed(files)}
    hashes = list(by_hash)
    is_lost = exists().where(
        DriveAccount.id == Image.drive_account_id, DriveAccount.state != CONNECTED
    )
    images = session.scalars(
        select(Image)
        .where(or_(Image.drive_hash.in_(hashes), Image.quick_xor_hash.in_(hashes)))
        .where(is_lost, Image.drive_account_id != account_id)
        .order_by(Image.id)
    ).all()
    linked = []
    for image in images:
        found = by_hash.get(image.drive_hash) or by_hash[image.quick_xor_hash]
        state = image.drive_state
        this = update(Image).where(Image.id == image.id)
        # Only images without an original are linked to another file.
        count_rows(session, this.values(drive_state=MISSING, updated_at=Image.updated_at))
        if link_original(session, image, found[0], found[1], account_id):
            linked.append(image)
        else:
            count_rows(session, this.values(drive_state=state, updated_at=Image.updated_at))
    note_links(session, linked)
    return len(linked)
