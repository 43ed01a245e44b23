"""Find the file that an upload became, where OneDrive's last answer was lost."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from imagehub.clients import ConflictBehavior, Drive, DriveItem
from imagehub.database import now_utc
from imagehub.domain.onedrive.folders import get_root

# OneDrive's clock and ours may differ.
_CLOCK_SLACK = timedelta(minutes=2)
_OLDEST = timedelta(days=30)
_RECOUNTED = (".heic", ".heif")


@dataclass(frozen=True)
class Upload:
    """A file that a browser uploads into a folder.

    ``folder_id``: the root folder when empty. ``other_names``: files in the folder that belong to
    other uploads. ``quick_xor_hash``: of the file, in base64; "" if it is not known yet.
    """

    folder_id: str
    name: str
    size_bytes: int
    on_conflict: ConflictBehavior = "fail"
    other_names: Sequence[str] = ()
    quick_xor_hash: str = ""


def find_uploaded(drive: Drive, upload: Upload, begun_at: datetime) -> DriveItem | None:
    """Find the file that an upload became; None if it became none.

    The file is recognised by its name (or the name with a number, if that was requested), its size,
    a creation or change after the upload began, and by its hash where both sides know one.
    """
    earliest = max(begun_at, now_utc() - _OLDEST) - _CLOCK_SLACK
    others = {name.casefold() for name in upload.other_names}
    parent_id = upload.folder_id or get_root(drive).id
    candidates: Iterable[DriveItem]
    if upload.on_conflict == "rename":
        # The number in its name is not known, so the whole folder is searched.
        candidates = drive.iter_children(parent_id)
    else:
        only = drive.find_child(parent_id, upload.name)
        candidates = [only] if only is not None else []
    for item in candidates:
        if item.is_folder or not _is_since(item, earliest):
            continue
        has_name = item.name.casefold() == upload.name.casefold()
        if upload.on_conflict == "rename":
            # The name may have become free before the last byte arrived.
            has_name = has_name or _is_numbered(item.name, upload.name)
            has_name = has_name and item.name.casefold() not in others
        if has_name and _may_be(item, upload):
            return item
    return None


def _may_be(item: DriveItem, upload: Upload) -> bool:
    """Tell whether an item may hold the bytes of an upload."""
    if item.size_bytes != upload.size_bytes:
        # OneDrive lists another size and hash for these than it was sent. If the name was free when
        # the upload began, the name is proof enough.
        return upload.on_conflict == "fail" and item.name.casefold().endswith(_RECOUNTED)
    if item.quick_xor_hash:
        return upload.quick_xor_hash in ("", item.quick_xor_hash)
    # Nothing tells two equally large versions of one file apart.
    return upload.on_conflict != "replace" or not upload.size_bytes


def _is_numbered(found: str, name: str) -> bool:
    """Tell whether OneDrive made ``found`` from ``name`` by adding a number before the ending."""
    stem, dot, ending = name.casefold().rpartition(".")
    if not dot:
        stem, ending = name.casefold(), ""
    found = found.casefold()
    if not found.startswith(f"{stem} ") or not found.endswith(f"{dot}{ending}"):
        return False
    return found[len(stem) + 1 : len(found) - len(dot + ending)].isdecimal()


def _is_since(item: DriveItem, earliest: datetime) -> bool:
    for time in (item.created_time, item.modified_time):
        try:
            moment = datetime.fromisoformat(time)
        except ValueError:
            continue
        if moment.tzinfo is not None and moment >= earliest:
            return True
    return False
