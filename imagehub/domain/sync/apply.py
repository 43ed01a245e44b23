"""Apply OneDrive's state of files and folders to the images made from them.

There are two sources: pages of the feed of changes, and answers about single files. The tree of
folders tells which images are still inside the root folder. Nothing here makes requests. The caller
commits, together with the note that a page was read.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from imagehub.clients import DriveItem, ItemAnswer
from imagehub.clients.drive_ids import fold_id, list_spellings
from imagehub.database import count_rows, make_batches
from imagehub.domain.library.groups import lock_group
from imagehub.domain.library.search_index import refresh_search
from imagehub.domain.sync.copies import note_files
from imagehub.domain.sync.folder_tree import (
    FolderPlaces,
    Renaming,
    find_folder_names,
    is_from,
    iter_below,
    note_folders,
)
from imagehub.domain.sync.schedule import set_doubt
from imagehub.domain.sync.state import (
    ASK,
    AWAY,
    NO_DOUBT,
    PLACE,
    has_moved,
    judge_answer,
    judge_mention,
)
from imagehub.domain.sync.watched_folders import note_mentions
from imagehub.models import Image


def apply_changes(
    session: Session,
    account_id: int,
    root_id: str,
    items: Sequence[DriveItem],
    run_number: int,
    is_full: bool,
) -> None:
    """Apply a page of the feed.

    :param root_id: folded id of the root folder.
    :param items: no item twice.
    :param run_number: number of the last complete list of the drive.
    :param is_full: the page belongs to that list, so every image is in doubt anyway.
    """
    news = note_folders(session, account_id, [item for item in items if item.is_folder], run_number)
    places = FolderPlaces(session, account_id, root_id)
    for renaming in news.renamed:
        if places.lies_inside(renaming.folder_id):
            _follow_folder_name(session, account_id, renaming)
    if not is_full:
        _doubt_below(session, account_id, news.displaced)
    files = [item for item in items if not item.is_folder]
    images = _find_images(session, account_id, files)
    seen: list[int] = []
    for item in files:
        for image in images.get(fold_id(item.id), ()):
            values = judge_mention(image, item, is_full)
            if values == {"drive_doubt": PLACE}:
                seen.append(image.id)
            elif values:
                _change_image(session, image, values)
    for ids in make_batches(seen):
        set_doubt(session, PLACE, Image.id.in_(ids))
    note_files(session, account_id, files)
    note_mentions(session, account_id, items, () if is_full else news.moved)


def settle_places(
    session: Session, account_id: int, root_id: str, image_ids: Sequence[int]
) -> None:
    """Look up images in the tree; OneDrive will be asked about those outside.

    :param root_id: folded id of the root folder.
    """
    places = FolderPlaces(session, account_id, root_id)
    settled: dict[int, list[int]] = defaultdict(list)
    for row in session.execute(select(Image.id, Image.folder_id).where(Image.id.in_(image_ids))):
        folder_id = fold_id(row.folder_id) if row.folder_id else ""
        settled[NO_DOUBT if places.lies_inside(folder_id) else ASK].append(row.id)
    for doubt, some in settled.items():
        set_doubt(session, doubt, Image.id.in_(some), Image.drive_doubt == PLACE)


def apply_answers(
    session: Session, account_id: int, pairs: Sequence[tuple[Image, ItemAnswer]]
) -> None:
    """Apply answers about the files of images; errors change nothing."""
    new_folders = (
        answer.item.parent_id
        for image, answer in pairs
        if answer.item is not None and has_moved(image, answer.item)
    )
    names = find_folder_names(session, account_id, new_folders)
    for image, answer in pairs:
        if answer.error is None:
            _change_image(session, image, judge_answer(image, answer, names))


def _follow_folder_name(session: Session, account_id: int, renaming: Renaming) -> None:
    count_rows(
        session,
        update(Image)
        .where(is_from(account_id, [renaming.folder_id]), Image.folder_name == renaming.old_name)
        .values(folder_name=renaming.new_name, updated_at=Image.updated_at),
    )


def _doubt_below(session: Session, account_id: int, folder_ids: Sequence[str]) -> None:
    """Put the places of all images in these folders and below in doubt."""
    for some in iter_below(session, account_id, folder_ids):
        is_below = is_from(account_id, some)
        set_doubt(session, ASK, is_below, Image.drive_doubt < ASK, Image.drive_state.in_(AWAY))
        set_doubt(session, PLACE, is_below, Image.drive_doubt < PLACE)


def _find_images(
    session: Session, account_id: int, items: Sequence[DriveItem]
) -> Mapping[str, list[Image]]:
    """Find the images of these files, by the folded ids of the files."""
    found: dict[str, list[Image]] = defaultdict(list)
    spelt = (spelling for item in items for spelling in list_spellings(item.id))
    for ids in make_batches(spelt):
        for image in session.scalars(
            select(Image)
            .where(Image.drive_account_id == account_id, Image.drive_item_id.in_(ids))
            .order_by(Image.id)
        ):
            found[fold_id(image.drive_item_id)].append(image)
    return found


def _change_image(session: Session, image: Image, values: Mapping[str, Any]) -> None:
    """Change an image, unless it was imported again in the meantime."""
    has_new_name = "name" in values
    if has_new_name:
        lock_group(session, image.group_id)
    found = count_rows(
        session,
        update(Image)
        .where(
            Image.id == image.id,
            Image.drive_hash == image.drive_hash,
            Image.etag == image.etag,
            Image.ctag == image.ctag,
        )
        .values(updated_at=Image.updated_at, **values),
    )
    if found and has_new_name:
        refresh_search(session, [image.group_id])
