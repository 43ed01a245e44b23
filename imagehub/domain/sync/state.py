"""The state of an original: compare a drive item with an image.

Nothing here uses OneDrive or the database. The functions return new values by the names of an
image's columns, and none if nothing changes.
"""

from collections.abc import Mapping
from typing import Any

from imagehub.clients import DriveItem, ItemAnswer
from imagehub.clients.drive_ids import fold_id, is_same_id
from imagehub.models import Image

# States of an original. ``outside``: it is in OneDrive, but not inside the root folder.
# ``absent``: it came from the first version, and no file in OneDrive is known for it.
OK, CHANGED, MISSING, OUTSIDE, ABSENT = "ok", "changed", "missing", "outside", "absent"
# States in which the original cannot be opened.
AWAY = (MISSING, OUTSIDE, ABSENT)

# The open question of a check about an image. A larger number is asked first.
SEEK = -1  # which file has taken the place of an original that is away
NO_DOUBT = 0
PLACE = 1  # whether its folder is still inside the root folder
ASK = 2  # whether the original exists, and where
FOLLOW = 3  # the same, and the name of its new folder


def judge_mention(image: Image, item: DriveItem, is_full: bool) -> dict[str, Any]:
    """Find what changes for an image whose file the feed mentions.

    :param is_full: the feed lists the whole drive, not only changes.
    """
    if item.is_deleted:
        return {"drive_state": MISSING, "drive_doubt": SEEK}
    values: dict[str, Any] = {}
    if item.parent_id and image.folder_id != item.parent_id:
        values["folder_id"] = item.parent_id
    verdict = compare(image, item)
    doubt = image.drive_doubt
    if item.parent_id and not is_same_id(image.folder_id, item.parent_id):
        doubt = FOLLOW
    elif image.drive_state in AWAY or verdict is None or _has_new_name(image, item):
        # It is back, or renamed in an unknown place, or the feed says too little: the complete
        # item has to be requested.
        doubt = max(doubt, ASK)
    elif doubt != FOLLOW:
        values |= _write_verdict(image, item, verdict)
        if is_full:
            doubt = PLACE
    if doubt != image.drive_doubt:
        values["drive_doubt"] = doubt
    return values


def judge_answer(image: Image, answer: ItemAnswer, names: Mapping[str, str]) -> dict[str, Any]:
    """Find what changes for an image after OneDrive was asked about its file.

    :param answer: not an error, which says nothing about the file.
    :param names: names of the files' new folders, by the folders' folded ids.
    """
    values: dict[str, Any] = {"drive_doubt": NO_DOUBT}
    if answer.item is None:
        values["drive_state"] = OUTSIDE if answer.is_outside else MISSING
        values["drive_doubt"] = SEEK
    else:
        values |= _follow_place(image, answer.item, names)
        values |= _write_verdict(image, answer.item, not has_changed(image, answer.item))
        if image.offered_item_id:
            values["offered_item_id"] = ""
    return values


def has_changed(known: Any, item: DriveItem) -> bool:
    """Tell whether OneDrive's listing shows another content than the imported one.

    :param known: as in :func:`compare`.
    """
    return compare(known, item) is False


def compare(known: Any, item: DriveItem) -> bool | None:
    """Tell whether a file has the imported content; None if its listing can't tell.

    Listings are compared with listings: of a Live Photo OneDrive lists the hash and size of the
    whole container and sends the picture alone. Names, places and times do not count. Hashes decide
    where both are known. A cTag belongs to the content; a business drive leaves it out of its feed.
    An eTag changes with anything at all, so it only proves that nothing changed.

    :param known: an image, or a row with its ``drive_hash``, ``drive_size_bytes``, ``etag`` and
        ``ctag``: OneDrive's listing of the file that the image was made from.
    """
    if known.drive_hash and item.quick_xor_hash:
        return bool(known.drive_hash == item.quick_xor_hash)
    if known.ctag and item.ctag:
        return bool(known.ctag == item.ctag)
    if known.etag and known.etag == item.etag:
        return True
    if known.drive_size_bytes and item.size_bytes and known.drive_size_bytes != item.size_bytes:
        return False
    return None


def has_moved(image: Image, item: DriveItem) -> bool:
    """Tell whether a file is in another folder than the one whose name the image has."""
    return image.drive_doubt == FOLLOW or not is_same_id(image.folder_id, item.parent_id)


def _has_new_name(image: Image, item: DriveItem) -> bool:
    return bool(item.name) and image.name != item.name[:400]


def _write_verdict(image: Image, item: DriveItem, is_same: bool) -> dict[str, Any]:
    """Give the state, and the current listing if the content is the same."""
    if not is_same:
        listed: dict[str, Any] = {"drive_state": CHANGED}
    else:
        listed = {
            "drive_state": OK,
            "drive_hash": item.quick_xor_hash[:40],
            "drive_size_bytes": item.size_bytes,
            "etag": item.etag[:255],
            "ctag": item.ctag[:255],
        }
    return {
        name: value for name, value in listed.items() if value and getattr(image, name) != value
    }


def _follow_place(image: Image, item: DriveItem, names: Mapping[str, str]) -> dict[str, Any]:
    """Give the new name and folder of a file inside the root folder."""
    values: dict[str, Any] = {}
    if _has_new_name(image, item):
        values["name"] = item.name[:400]
    if item.parent_id and image.folder_id != item.parent_id:
        values["folder_id"] = item.parent_id
    if item.parent_id and has_moved(image, item):
        name = names.get(fold_id(item.parent_id), "")
        if name and name != image.folder_name:
            values["folder_name"] = name
    return values
