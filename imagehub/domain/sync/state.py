"""What became of an original: the states of an image, and judging a drive item against it.

Values in, values out: nothing here asks OneDrive or the database. What is to be written to an image
is told as new values by the names of its columns; an image that stays as it is gets none.
"""

from collections.abc import Mapping
from typing import Any, Protocol

from imagehub.clients import DriveItem, ItemAnswer
from imagehub.clients.drive_ids import fold_id, is_same_id
from imagehub.models import Image

# What an image's original is. ``outside``: it is in OneDrive, but not inside the root folder.
OK, CHANGED, MISSING, OUTSIDE = "ok", "changed", "missing", "outside"
# Full images that cannot be opened.
AWAY = (MISSING, OUTSIDE)

# What is to be found out about an image.
NO_DOUBT = 0
PLACE = 1  # whether its folder still lies inside the root folder
ASK = 2  # whether it is there at all, and where
FOLLOW = 3  # the same, and the name of the folder that it has come into


class ListedFile(Protocol):
    """What OneDrive listed of the file that an image was made from: an image, or a row of it."""

    @property
    def drive_hash(self) -> str: ...
    @property
    def drive_size_bytes(self) -> int: ...
    @property
    def etag(self) -> str: ...
    @property
    def ctag(self) -> str: ...


def judge_mention(image: Image, item: DriveItem, is_full: bool) -> dict[str, Any]:
    """What of an image is to be written, now that the feed has mentioned its file.

    :param is_full: the feed tells everything, and not only what has changed.
    """
    if item.is_deleted:
        return {"drive_state": MISSING, "drive_doubt": NO_DOUBT}
    values: dict[str, Any] = {}
    if item.parent_id and image.folder_id != item.parent_id:
        values["folder_id"] = item.parent_id
    verdict = compare(image, item)
    doubt = image.drive_doubt
    if item.parent_id and not is_same_id(image.folder_id, item.parent_id):
        doubt = FOLLOW
    elif image.drive_state in AWAY or verdict is None or _has_new_name(image, item):
        # Back again, renamed wherever it lies, or not enough was told: the drive is asked for the
        # whole item.
        doubt = max(doubt, ASK)
    elif doubt != FOLLOW:
        values |= _write_verdict(image, item, verdict)
        if is_full:
            doubt = PLACE
    if doubt != image.drive_doubt:
        values["drive_doubt"] = doubt
    return values


def judge_answer(image: Image, answer: ItemAnswer, names: Mapping[str, str]) -> dict[str, Any]:
    """What of an image is to be written, now that its file was asked for and there is an answer.

    :param answer: not an error, which would say nothing of the file.
    :param names: of folders that files have come into, by the folders' folded ids.
    """
    values: dict[str, Any] = {"drive_doubt": NO_DOUBT}
    if answer.item is None:
        values["drive_state"] = OUTSIDE if answer.is_outside else MISSING
    else:
        values |= _follow_place(image, answer.item, names)
        values |= _write_verdict(image, answer.item, not has_changed(image, answer.item))
    return values


def has_changed(known: ListedFile, item: DriveItem) -> bool:
    """Tell whether a file's content differs from the one that was imported.

    A file counts as changed only if OneDrive's listing shows it; see :func:`compare`.
    """
    return compare(known, item) is False


def compare(known: ListedFile, item: DriveItem) -> bool | None:
    """Tell whether a file has the content that was imported; None if its listing doesn't show it.

    Listings are compared with listings: of a Live Photo OneDrive lists the hash and size of the
    whole container and sends the picture alone. Names, places and times do not count. Hashes decide
    where both are known. A cTag belongs to the content; a business drive leaves it out of its feed.
    An eTag changes with anything at all, so it only proves that nothing changed.
    """
    if known.drive_hash and item.quick_xor_hash:
        return known.drive_hash == item.quick_xor_hash
    if known.ctag and item.ctag:
        return known.ctag == item.ctag
    if known.etag and known.etag == item.etag:
        return True
    if known.drive_size_bytes and item.size_bytes and known.drive_size_bytes != item.size_bytes:
        return False
    return None


def has_moved(image: Image, item: DriveItem) -> bool:
    """Whether a file is in another folder than the one that the image knows by its name."""
    return image.drive_doubt == FOLLOW or not is_same_id(image.folder_id, item.parent_id)


def _has_new_name(image: Image, item: DriveItem) -> bool:
    return bool(item.name) and image.name != item.name[:400]


def _write_verdict(image: Image, item: DriveItem, is_same: bool) -> dict[str, Any]:
    """The state, and what is listed of the same content now."""
    values: dict[str, Any] = {}
    state = OK if is_same else CHANGED
    if image.drive_state != state:
        values["drive_state"] = state
    if is_same:
        listed = {
            "drive_hash": item.quick_xor_hash[:40],
            "drive_size_bytes": item.size_bytes,
            "etag": item.etag[:255],
            "ctag": item.ctag[:255],
        }
        values |= {
            name: value for name, value in listed.items() if value and getattr(image, name) != value
        }
    return values


def _follow_place(image: Image, item: DriveItem, names: Mapping[str, str]) -> dict[str, Any]:
    """The name and folder of a file inside the root folder that was renamed or moved."""
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
