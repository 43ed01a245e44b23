"""Find the files that took the place of originals that are away, and link images to them.

A file with the content of the original replaces it without a question: by the hash that OneDrive
lists, or where it lists none, by the size if name and folder are the same too. A file with other
content, but with name and folder of a missing original, is offered to a person.

:func:`list_wanted` reads the database, :func:`fetch_finds` asks OneDrive, :func:`apply_finds`
writes. The caller commits.
"""

import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from sqlalchemy import exists, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from imagehub.clients import Drive, DriveItem
from imagehub.clients.drive_ids import fold_id, is_same_id, list_spellings
from imagehub.database import count_rows, make_batches
from imagehub.domain.file_names import may_be_picture
from imagehub.domain.library.groups import lock_group
from imagehub.domain.library.search_index import refresh_search
from imagehub.domain.people import audit
from imagehub.domain.sync.copies import list_copies
from imagehub.domain.sync.folder_tree import FolderPlaces, find_folder_names, find_same_place
from imagehub.domain.sync.state import AWAY, MISSING, NO_DOUBT, OK, SEEK
from imagehub.errors import NotFoundError, ServiceBusyError, ServiceRefusedError
from imagehub.models import Image, ImportItem

log = logging.getLogger(__name__)

_ASK_BATCH = 20
# More names than this are looked up in the list of their folder.
_MAX_NAMES = 10


@dataclass(frozen=True)
class Wanted:
    """An image whose original is away, and where to look for another file.

    ``copies``: ids of files that had its content when they were last mentioned. ``folder_id``: the
    folder to look into for its name; "" for none.
    """

    image: Image
    copies: Sequence[str] = ()
    folder_id: str = ""


@dataclass(frozen=True)
class Find:
    """What was found for an image: files with its content, the best first, or one to offer."""

    image: Image
    same: Sequence[DriveItem] = ()
    offered: DriveItem | None = None


# --- Looking --------------------------------------------------------------------------------------


def list_wanted(
    session: Session, account_id: int, root_id: str, image_ids: Sequence[int]
) -> list[Wanted]:
    """List what to look for.

    :param root_id: folded id of the root folder.
    """
    images = session.scalars(select(Image).where(Image.id.in_(image_ids)).order_by(Image.id)).all()
    copies = list_copies(session, account_id, {i.drive_hash for i in images if i.drive_hash})
    places = FolderPlaces(session, account_id, root_id)
    wanted = []
    for image in images:
        folder_id = ""
        if image.drive_state == MISSING and image.folder_id:
            folder_id = find_same_place(session, account_id, image.folder_id)
            if not places.lies_inside(fold_id(folder_id)):
                folder_id = ""
        wanted.append(Wanted(image, copies.get(image.drive_hash, ()), folder_id))
    return wanted


def fetch_finds(
    drive: Drive, wanted: Sequence[Wanted], renew: Callable[[], None] = lambda: None
) -> list[Find]:
    """Ask OneDrive for the files.

    :param renew: called between two requests.
    :raise ServiceBusyError: try again later.
    """
    copies = _fetch_copies(drive, {one for each in wanted for one in each.copies}, renew)
    names: dict[str, set[str]] = defaultdict(set)
    for one in wanted:
        if one.folder_id:
            names[one.folder_id].add(one.image.name)
    places = {}
    for folder_id, of_folder in names.items():
        renew()
        places[folder_id] = _fetch_children(drive, folder_id, of_folder)
    finds = []
    for one in wanted:
        image = one.image
        at_place = places.get(one.folder_id, {}).get(image.name.casefold())
        if at_place is not None and is_same_id(at_place.id, image.drive_item_id):
            at_place = None
        same = [copies[item_id] for item_id in one.copies if item_id in copies]
        same = [item for item in same if has_content(image, item)]
        same.sort(key=partial(_rank, image))
        if at_place is not None and has_content(image, at_place, is_in_place=True):
            finds.append(Find(image, [at_place, *same]))
        else:
            offered = at_place if at_place is not None and may_be_picture(at_place) else None
            finds.append(Find(image, same, offered))
    return finds


def has_content(image: Image, item: DriveItem, is_in_place: bool = False) -> bool:
    """Tell whether a file has the content of an original.

    :param is_in_place: it has the name and folder of the original; then an equal size is enough
        where OneDrive lists no hash.
    """
    hashes = {image.drive_hash, image.quick_xor_hash} - {""}
    if item.quick_xor_hash and hashes:
        return item.quick_xor_hash in hashes
    return is_in_place and item.size_bytes > 0 and item.size_bytes == image.drive_size_bytes


def _rank(image: Image, item: DriveItem) -> tuple[bool, bool, str]:
    is_elsewhere = not is_same_id(image.folder_id, item.parent_id)
    return is_elsewhere, item.name.casefold() != image.name.casefold(), item.created_time


def _fetch_copies(
    drive: Drive, item_ids: Collection[str], renew: Callable[[], None]
) -> dict[str, DriveItem]:
    found: dict[str, DriveItem] = {}
    for ids in make_batches(sorted(item_ids), _ASK_BATCH):
        renew()
        for item_id, answer in zip(ids, drive.find_items(ids), strict=True):
            if isinstance(answer.error, ServiceBusyError):
                raise answer.error
            if answer.item is not None and not answer.item.is_folder:
                found[item_id] = answer.item
    return found


def _fetch_children(
    drive: Drive, folder_id: str, names: Collection[str]
) -> Mapping[str, DriveItem]:
    """Fetch the files of these names in a folder; a folder that is gone has none."""
    try:
        if len(names) > _MAX_NAMES:
            items: list[DriveItem | None] = list(drive.iter_children(folder_id))
        else:
            items = [drive.find_child(folder_id, name) for name in sorted(names)]
    except NotFoundError:
        return {}
    except ServiceRefusedError as error:
        log.warning("A folder with missing originals cannot be read: %s", error)
        return {}
    return {item.name.casefold(): item for item in items if item is not None and not item.is_folder}


# --- Linking --------------------------------------------------------------------------------------


def apply_finds(session: Session, account_id: int, finds: Sequence[Find]) -> int:
    """Link images to files with their content, and note the files to offer.

    :return: how many images were linked.
    """
    parents = {item.parent_id for find in finds for item in find.same if item.parent_id}
    folder_names = find_folder_names(session, account_id, parents)
    linked = []
    for find in finds:
        if any(
            link_original(session, find.image, item, folder_names.get(fold_id(item.parent_id), ""))
            for item in find.same
        ):
            linked.append(find.image)
            continue
        offered = find.offered
        if offered is not None and _is_in_group(session, find.image, offered.id):
            offered = None
        this = update(Image).where(
            Image.id == find.image.id,
            Image.drive_item_id == find.image.drive_item_id,
            Image.drive_state.in_(AWAY),
        )
        offer = {"offered_item_id": offered.id if offered is not None else ""}
        count_rows(session, this.values(**offer, updated_at=Image.updated_at))
        no_doubt = this.where(Image.drive_doubt == SEEK)
        count_rows(session, no_doubt.values(drive_doubt=NO_DOUBT, updated_at=Image.updated_at))
    note_links(session, linked)
    return len(linked)


def link_original(
    session: Session,
    image: Image,
    item: DriveItem,
    folder_name: str = "",
    account_id: int | None = None,
) -> bool:
    """Make a file with the same content the original of an image that has none in OneDrive.

    :param image: as it was read; it may be changed since, or detached.
    :param folder_name: name of the file's folder, "" if unknown.
    :param account_id: of the file, if it is not the image's.
    :return: False if the image was changed meanwhile, or its group already has this file.
    """
    lock_group(session, image.group_id)
    if _is_in_group(session, image, item.id, account_id):
        return False
    values = {
        "drive_account_id": account_id or image.drive_account_id,
        "drive_item_id": item.id,
        "drive_state": OK,
        "drive_doubt": NO_DOUBT,
        "drive_hash": item.quick_xor_hash[:40] or image.drive_hash,
        "drive_size_bytes": item.size_bytes,
        "etag": item.etag[:255],
        "ctag": item.ctag[:255],
        "name": item.name[:400] or image.name,
        "folder_id": item.parent_id or image.folder_id,
        "folder_name": folder_name or image.folder_name,
        "offered_item_id": "",
    }
    this = update(Image).where(
        Image.id == image.id,
        Image.drive_item_id == image.drive_item_id,
        Image.drive_state.in_(AWAY),
    )
    linked = 0
    # An import may add the same file to the group at this moment.
    with suppress(IntegrityError), session.begin_nested():
        linked = count_rows(session, this.values(updated_at=Image.updated_at, **values))
    if not linked:
        return False
    log.info("Image %d is linked to another file with its content", image.id)
    # Renditions that are being made again, or could not be, are made from the new file.
    remade = update(ImportItem).where(
        ImportItem.group_id == image.group_id,
        ImportItem.image_id == image.id,
        ImportItem.drive_item_id == image.drive_item_id,
    )
    count_rows(session, remade.values(drive_item_id=item.id))
    if values["name"] != image.name:
        refresh_search(session, [image.group_id])
    return True


def note_links(session: Session, images: Sequence[Image]) -> None:
    """Add the images that were linked to the activity log."""
    by_group: dict[int, list[str]] = defaultdict(list)
    for image in images:
        by_group[image.group_id].append(image.name)
    if len(by_group) == 1:
        [(group_id, names)] = by_group.items()
        audit.record(session, None, "relink_originals", group_id, names=names)
    elif by_group:
        audit.record(session, None, "relink_originals", names=[image.name for image in images])


def _is_in_group(
    session: Session, image: Image, item_id: str, account_id: int | None = None
) -> bool:
    """Tell whether a file is the original of another image of the same group.

    :param account_id: of the file, if it is not the image's.
    """
    twin = exists().where(
        Image.group_id == image.group_id,
        Image.id != image.id,
        Image.drive_account_id == (account_id or image.drive_account_id),
        Image.drive_item_id.in_(list_spellings(item_id)),
    )
    return bool(session.scalar(select(twin)))
