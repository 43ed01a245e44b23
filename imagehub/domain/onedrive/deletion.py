"""Delete items in OneDrive: what that would mean, and how to get them back."""

import re
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

from itsdangerous import BadData, URLSafeTimedSerializer
from sqlalchemy import select
from sqlalchemy.orm import InstrumentedAttribute, Session

from imagehub.clients import Drive, DriveItem
from imagehub.clients.drive_ids import fold_id, is_same_id, list_all_spellings
from imagehub.database import end_read, make_batches
from imagehub.domain.onedrive.browser import find_path, get_items
from imagehub.domain.onedrive.folders import get_root, skip_unreadable
from imagehub.domain.sync.folder_tree import iter_below
from imagehub.domain.vault import SigningKeys
from imagehub.errors import ConnectionLostError, NotFoundError, ServiceError
from imagehub.models import DriveWatch, Group, Image

# Counting stops after this many items, or this long; the question then says "more than". Finding
# the images may take as long again: a person is waiting.
MAX_COUNTED = 5_000
MAX_SECONDS = 8.0
# The most folders with images that OneDrive is asked about while no check has read the drive.
_MAX_ASKED_FOLDERS = 2_000
_THREADS = 6
_RESTORE_SECONDS = 86_400
_SITE = re.compile(r"https://[\w.-]+/(?:personal|sites|teams)/[^/?#]+")


@dataclass(frozen=True)
class AffectedGroup:
    """A group with images whose originals would be deleted."""

    number: int
    title: str
    image_count: int
    is_shown: bool


@dataclass(frozen=True)
class Deletion:
    """What would go into OneDrive's recycle bin.

    Counts include everything in the selected folders, at any depth; they are exact only if
    ``is_complete``. ``groups`` hold the affected images, whether or not everything was counted;
    these are all of them if ``knows_images``.
    """

    items: Sequence[DriveItem]
    file_count: int
    folder_count: int
    size_bytes: int
    is_complete: bool
    groups: Sequence[AffectedGroup] = ()
    knows_images: bool = True

    @property
    def image_count(self) -> int:
        return sum(group.image_count for group in self.groups)

    @property
    def shown_image_count(self) -> int:
        return sum(group.image_count for group in self.groups if group.is_shown)


def plan_deletion(
    session: Session, account_id: int, drive: Drive, item_ids: Iterable[str], folder_id: str = ""
) -> Deletion:
    """Count what would be deleted and find the images whose originals are among it.

    Counting has limits (``MAX_COUNTED``, ``MAX_SECONDS``). Images beyond them are found by their
    folders: the last check of the drive knows where those are, or OneDrive is asked.

    :param folder_id: see :func:`imagehub.domain.onedrive.browser.get_items`.
    :raise InvalidInputError, NotFoundError: see there.
    """
    items = get_items(drive, item_ids, folder_id)
    root_id = get_root(drive).id
    if any(is_same_id(item.id, root_id) for item in items):
        raise NotFoundError("drive item", root_id)
    walk = _walk_items(drive, items)
    images = _find_images(session, account_id, Image.drive_item_id, walk.file_ids)
    knows_images = True
    if not walk.is_complete:
        below, knows_images = _find_folders_below(session, account_id, drive, items, walk)
        images |= _find_images(session, account_id, Image.folder_id, below)
    return Deletion(
        items=items,
        file_count=len(walk.file_ids),
        folder_count=len(walk.folder_ids),
        # A folder's size is that of everything in it, at any depth.
        size_bytes=sum(item.size_bytes for item in items),
        is_complete=walk.is_complete,
        groups=_count_in_groups(session, images),
        knows_images=knows_images,
    )


@dataclass(frozen=True)
class _Walk:
    """Files and folders found in the selected items; not all of them unless ``is_complete``."""

    file_ids: Sequence[str]
    folder_ids: frozenset[str]
    is_complete: bool


def _walk_items(drive: Drive, items: Sequence[DriveItem]) -> _Walk:
    file_ids = [item.id for item in items if not item.is_folder]
    waiting = [item.id for item in items if item.is_folder]
    folder_ids = set(waiting)
    seen_count = 0
    deadline = time.monotonic() + MAX_SECONDS

    def list_some(folder_id: str) -> list[DriveItem]:
        found: list[DriveItem] = []
        with skip_unreadable():
            found = list(islice(drive.iter_children(folder_id), MAX_COUNTED + 1))
        return found

    with ThreadPoolExecutor(_THREADS, "walk-items") as threads:
        while waiting and seen_count <= MAX_COUNTED and time.monotonic() < deadline:
            some, waiting = waiting[:_THREADS], waiting[_THREADS:]
            for found in threads.map(list_some, some):
                seen_count += len(found)
                file_ids += [item.id for item in found if not item.is_folder]
                below = {item.id for item in found if item.is_folder} - folder_ids
                folder_ids |= below
                waiting += below
    is_complete = not waiting and seen_count <= MAX_COUNTED
    return _Walk(file_ids, frozenset(folder_ids), is_complete)


def _find_images(
    session: Session, account_id: int, column: InstrumentedAttribute[str], values: Iterable[str]
) -> dict[int, int]:
    """Images outside the trash whose ``column`` has one of these values: id → their group's id."""
    found: dict[int, int] = {}
    for some in make_batches(list_all_spellings(values)):
        rows = session.execute(
            select(Image.id, Image.group_id)
            .join(Group, Group.id == Image.group_id)
            .where(Image.drive_account_id == account_id, column.in_(some), Group.state != "trash")
        )
        found.update({row.id: row.group_id for row in rows})
    return found


def _count_in_groups(session: Session, images: Mapping[int, int]) -> list[AffectedGroup]:
    """The groups of these images, in the order of their numbers."""
    counts = Counter(images.values())
    groups: list[AffectedGroup] = []
    for ids in make_batches(sorted(counts)):
        rows = session.execute(
            select(Group.id, Group.title, Group.is_shown)
            .where(Group.id.in_(ids))
            .order_by(Group.id)
        )
        groups += [AffectedGroup(row.id, row.title, counts[row.id], row.is_shown) for row in rows]
    return groups


def _find_folders_below(
    session: Session, account_id: int, drive: Drive, items: Sequence[DriveItem], walk: _Walk
) -> tuple[set[str], bool]:
    """Find the folders with images that lie in the selected ones, as images name them.

    :return: their ids, and whether these are all.
    """
    rows = session.scalars(
        select(Image.folder_id)
        .where(Image.drive_account_id == account_id, Image.folder_id != "")
        .distinct()
    )
    folder_ids = list(rows)
    watch = session.get(DriveWatch, account_id)
    inside = {fold_id(folder_id) for folder_id in walk.folder_ids}
    if watch is not None and watch.checked_at is not None:
        inside.update(*iter_below(session, account_id, inside))
        return {one for one in folder_ids if fold_id(one) in inside}, True
    end_read(session)
    below = {one for one in folder_ids if fold_id(one) in inside}
    open_ids = [one for one in folder_ids if one not in below]
    selected = [path for item in items if item.is_folder and (path := find_path(item)) is not None]

    def lies_below(folder_id: str) -> bool:
        try:
            path = find_path(drive.get_item(folder_id))
        except NotFoundError:
            return False
        return path is not None and any(path[: len(above)] == above for above in selected)

    asked_count = 0
    deadline = time.monotonic() + MAX_SECONDS
    with ThreadPoolExecutor(_THREADS, "find-folders") as threads:
        while asked_count < min(len(open_ids), _MAX_ASKED_FOLDERS) and time.monotonic() < deadline:
            some = open_ids[asked_count : asked_count + 4 * _THREADS]
            answers = threads.map(lies_below, some)
            below.update(one for one, is_below in zip(some, answers, strict=True) if is_below)
            asked_count += len(some)
    return below, asked_count == len(open_ids)


# --- The recycle bin ------------------------------------------------------------------------------


@dataclass(frozen=True)
class RecycleBin:
    """``url``: its page, "" if unknown. ``days``: how long it keeps items, 0 if unknown."""

    url: str
    days: int
    can_restore: bool


def find_recycle_bin(drive: Drive, items: Sequence[DriveItem]) -> RecycleBin:
    """Find the recycle bin that these items were moved to.

    The items are deleted already, so a lost connection only means that nothing is known of it.
    """
    try:
        return describe_recycle_bin(drive.get_drive().kind, items)
    except (ConnectionLostError, ServiceError):
        return RecycleBin("", 0, can_restore=False)


def describe_recycle_bin(kind: str, items: Sequence[DriveItem]) -> RecycleBin:
    """Describe the recycle bin of a drive of this kind that these items lay in.

    Source: Microsoft's support pages "Restore deleted files or folders in OneDrive": personal
    accounts keep items for 30 days, work accounts for 93 unless an administrator changes that; the
    address of a site's bin is SharePoint's own page.
    """
    if kind == "personal":
        return RecycleBin("https://onedrive.live.com/?v=recyclebin", 30, can_restore=True)
    web_url = str(items[0].raw.get("webUrl", "")) if items else ""
    site = _SITE.match(web_url)
    return RecycleBin(f"{site[0]}/_layouts/15/RecycleBin.aspx" if site else "", 93, False)


def sign_deletion(keys: SigningKeys, account_id: int, items: Sequence[DriveItem]) -> str:
    """Make a mark that allows these items, and no others, to be restored to their folders."""
    places = [[item.id, item.parent_id] for item in items]
    return str(_make_signer(keys).dumps([account_id, places]))


def read_deletion(keys: SigningKeys, account_id: int, mark: str) -> dict[str, str]:
    """Read a mark: item id → id of the folder that the item lay in.

    :raise NotFoundError: not our mark, or of another account, or older than a day.
    """
    try:
        owner_id, places = _make_signer(keys).loads(mark, max_age=_RESTORE_SECONDS)
    except BadData as error:
        raise NotFoundError("deletion", mark[:40]) from error
    if owner_id != account_id:
        raise NotFoundError("deletion", mark[:40])
    return {str(item_id): str(parent_id) for item_id, parent_id in places}


def _make_signer(keys: SigningKeys) -> URLSafeTimedSerializer:
    # It signs with the last key.
    return URLSafeTimedSerializer([*keys.others, keys.current], salt="deleted-drive-items")
