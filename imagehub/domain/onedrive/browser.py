"""Looking around in OneDrive: a folder with its way up, and what of it is in the hub."""

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import Literal
from unicodedata import normalize
from urllib.parse import unquote

from sqlalchemy import select
from sqlalchemy.orm import InstrumentedAttribute, Session

from imagehub.clients import Drive, DriveInfo, DriveItem
from imagehub.clients.drive_ids import fold_id, is_same_id, list_all_spellings
from imagehub.database import make_batches
from imagehub.domain.filetypes import may_be_picture
from imagehub.domain.name_order import make_sort_key
from imagehub.domain.onedrive.folders import get_root
from imagehub.errors import InvalidInputError, NotFoundError, ServiceRefusedError
from imagehub.models import DriveFolder, DriveWatch, Group, Image

PAGE_SIZE = 100
# Items that one question before deleting looks at; beyond that it says "more than".
MAX_COUNTED = 5_000
# So long it looks for them, and then again for images; a person waits for the question.
MAX_SECONDS = 8.0
# A folder that is sorted or filtered is read as a whole, but not beyond this.
MAX_SORTED = 50_000
MAX_CHOSEN = 1_000
# More chosen items than this are read from the list of their folder instead of one by one.
_MAX_ASKED = 20
# Folders with images that OneDrive is asked about where no check has told where they lie.
_MAX_ASKED_FOLDERS = 2_000
_THREADS = 6

Order = Literal["name", "name-down", "newest", "oldest", "largest", "smallest"]
Show = Literal["all", "pictures", "outside", "inside", "changed"]


@dataclass(frozen=True)
class Crumb:
    """One folder on the way down; ``path`` is below the root folder, "" for that itself."""

    name: str
    path: str


@dataclass(frozen=True)
class OpenFolder:
    """A folder as one page shows it. ``crumbs`` begin at the root folder and end at this one."""

    folder: DriveItem
    root_id: str
    crumbs: Sequence[Crumb]
    info: DriveInfo
    items: Sequence[DriveItem]
    next_page: str

    @property
    def is_root(self) -> bool:
        return self.folder.id == self.root_id


@dataclass(frozen=True)
class Mark:
    """One image of the hub that was made from a file. ``is_changed``: the file is newer."""

    group: int
    title: str
    number: int
    is_shown: bool
    is_changed: bool


@dataclass(frozen=True)
class Entry:
    """An item and the images made from it; none for folders."""

    item: DriveItem
    marks: Sequence[Mark] = ()

    @property
    def state(self) -> Literal["", "inside", "changed"]:
        if any(mark.is_changed for mark in self.marks):
            return "changed"
        return "inside" if self.marks else ""


# --- A folder -------------------------------------------------------------------------------------


def open_folder(
    drive: Drive, folder_id: str = "", next_page: str = "", page_size: int = PAGE_SIZE
) -> OpenFolder:
    """A folder, its way up and one page of what is in it, in OneDrive's order.

    What OneDrive must be asked is asked at the same time, so that a page costs one answer's wait.

    :param folder_id: the root folder when empty.
    :raise NotFoundError: not inside the root folder.
    :raise InvalidInputError: not a folder.
    """
    with ThreadPoolExecutor(4, "open-folder") as threads:
        info = threads.submit(drive.get_drive)
        root_call = threads.submit(get_root, drive)
        folder_call = threads.submit(drive.get_item, folder_id) if folder_id else root_call
        page_call = (
            threads.submit(drive.list_children, folder_id, next_page, page_size)
            if folder_id
            else None
        )
        root, folder = root_call.result(), folder_call.result()
        if not folder.is_folder:
            raise InvalidInputError("This is not a folder.", {"item": "is not a folder"})
        page = (
            page_call.result() if page_call else drive.list_children(root.id, next_page, page_size)
        )
        return OpenFolder(
            folder=folder,
            root_id=root.id,
            crumbs=make_crumbs(drive, root, folder),
            info=info.result(),
            items=page.items,
            next_page=page.next_page,
        )


def make_crumbs(drive: Drive, root: DriveItem, folder: DriveItem) -> list[Crumb]:
    """The way from the root folder down to ``folder``.

    OneDrive tells an item's path with the item, so this asks nothing; where it leaves the path out
    (it may), the folders above are asked for one by one.
    """
    if folder.id == root.id:
        names: list[str] = []
    else:
        root_path, path = find_path(root), find_path(folder)
        if root_path is not None and path is not None and path[: len(root_path)] == root_path:
            names = path[len(root_path) :]
        else:
            names = []
            above = folder
            while above.id != root.id and len(names) < 200:
                names.insert(0, above.name)
                above = drive.get_item(above.parent_id)
    crumbs = [Crumb(root.name, "")]
    crumbs += [Crumb(name, "/".join(names[: i + 1])) for i, name in enumerate(names)]
    return crumbs


def find_path(item: DriveItem) -> list[str] | None:
    """Names from the drive's topmost folder down to the item; None where OneDrive left it out."""
    if "root" in item.raw:
        return []
    reference = item.raw.get("parentReference")
    path = reference.get("path") if isinstance(reference, dict) else None
    if not isinstance(path, str) or ":" not in path:
        return None
    above = path.partition(":")[2]
    return [unquote(name) for name in above.split("/") if name] + [item.name]


def list_subfolders(drive: Drive, folder_id: str) -> list[DriveItem]:
    """The folders directly inside a folder, by name."""
    folders = [item for item in drive.iter_children(folder_id) if item.is_folder]
    return sorted(folders, key=lambda item: make_sort_key(item.name))


# --- What is in the hub ---------------------------------------------------------------------------


def mark_items(session: Session, account_id: int, items: Sequence[DriveItem]) -> list[Entry]:
    """Which of these items are in the hub, and where: one query for some hundred items."""
    by_id: dict[str, list[Mark]] = {}
    files = {fold_id(item.id): item for item in items if not item.is_folder}
    for ids in make_batches(list_all_spellings(item.id for item in files.values()), 500):
        rows = session.execute(
            select(
                Image.drive_item_id,
                Image.number,
                Image.drive_state,
                Image.quick_xor_hash,
                Image.ctag,
                Group.id,
                Group.title,
                Group.is_shown,
            )
            .join(Group, Group.id == Image.group_id)
            .where(
                Image.drive_account_id == account_id,
                Image.drive_item_id.in_(ids),
                Group.state != "trash",
            )
            .order_by(Group.id, Image.number)
        )
        for row in rows:
            item = files[fold_id(row.drive_item_id)]
            is_changed = has_changed(item, row.quick_xor_hash, row.ctag)
            by_id.setdefault(item.id, []).append(
                Mark(row.id, row.title, row.number, row.is_shown, is_changed)
            )
    return [Entry(item, tuple(by_id.get(item.id, ()))) for item in items]


def has_changed(item: DriveItem, quick_xor_hash: str, ctag: str) -> bool:
    """Whether a file's bytes are other ones than those that were imported.

    The hash decides where both are known. A cTag changes with the bytes, too, but on some drives
    also without a reason; where neither is known, nobody can tell, and nothing is claimed.
    """
    if item.quick_xor_hash and quick_xor_hash:
        return item.quick_xor_hash != quick_xor_hash
    return bool(item.ctag and ctag) and item.ctag != ctag


# --- Sorted and filtered --------------------------------------------------------------------------


def list_arranged(
    session: Session,
    account_id: int,
    drive: Drive,
    folder_id: str,
    order: Order = "name",
    show: Show = "all",
    words: str = "",
) -> list[Entry]:
    """A whole folder, filtered and sorted; folders come first.

    :param words: part of the name, in any case.
    :raise InvalidInputError: more than ``MAX_SORTED`` items.
    """
    items = []
    needle = _fold_name(words).strip()
    for count, item in enumerate(drive.iter_children(folder_id)):
        if count >= MAX_SORTED:
            raise InvalidInputError(
                f"This folder holds more than {MAX_SORTED:,} items; it can be looked at in "
                "OneDrive's order only."
            )
        if needle in _fold_name(item.name):
            items.append(item)
    entries = [e for e in mark_items(session, account_id, items) if _is_shown(e, show)]
    entries.sort(key=make_entry_key)
    if order == "name-down":
        entries.reverse()
    elif order in ("newest", "oldest"):
        entries.sort(key=lambda e: e.item.modified_time, reverse=order == "newest")
    elif order in ("largest", "smallest"):
        entries.sort(key=lambda e: e.item.size_bytes, reverse=order == "largest")
    entries.sort(key=lambda e: not e.item.is_folder)
    return entries


def _fold_name(name: str) -> str:
    """For looking into a name: some systems write a letter and its accent as two characters."""
    return normalize("NFC", name).casefold()


def make_entry_key(entry: Entry) -> tuple[bool, bytes]:
    """For sorting a folder: folders first, each kind by name."""
    return not entry.item.is_folder, make_sort_key(entry.item.name)


def _is_shown(entry: Entry, show: Show) -> bool:
    if show == "all" or (entry.item.is_folder and show != "changed"):
        return True
    if show == "pictures":
        return may_be_picture(entry.item)
    if show == "outside":
        return not entry.marks and may_be_picture(entry.item)
    if show == "inside":
        return bool(entry.marks)
    return entry.state == "changed"


# --- Moving and deleting --------------------------------------------------------------------------


@dataclass(frozen=True)
class Outcome:
    """What became of each of the chosen items; ``failed`` is (id, sentence)."""

    done: Sequence[DriveItem] = ()
    failed: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True)
class PublishedGroup:
    """A group whose images come from what is to be deleted."""

    number: int
    title: str
    image_count: int
    is_shown: bool


@dataclass(frozen=True)
class Deletion:
    """What would go into the recycle bin, before anybody agreed.

    Counts include what lies in chosen folders, at any depth. ``is_complete``: all was counted;
    else there is more. ``groups`` hold images that come from there, whether or not all was counted;
    ``knows_images``: those are all of them.
    """

    items: Sequence[DriveItem]
    file_count: int
    folder_count: int
    size_bytes: int
    is_complete: bool
    groups: Sequence[PublishedGroup] = field(default=())
    knows_images: bool = True

    @property
    def image_count(self) -> int:
        return sum(group.image_count for group in self.groups)

    @property
    def shown_image_count(self) -> int:
        return sum(group.image_count for group in self.groups if group.is_shown)


def get_items(drive: Drive, item_ids: Iterable[str], folder_id: str = "") -> list[DriveItem]:
    """The chosen items, in order and each once.

    :param folder_id: the folder they were chosen in. Where they are many, it is listed, which costs
        one call for each thousand items in it instead of one for each item.
    :raise InvalidInputError: none, or more than ``MAX_SORTED``.
    :raise NotFoundError: one is not inside the root folder.
    """
    ids = list(dict.fromkeys(item_ids))
    if not ids:
        raise InvalidInputError("Nothing was chosen.", {"item": "is missing"})
    if len(ids) > MAX_SORTED:
        raise InvalidInputError(
            f"Please choose at most {MAX_SORTED:,} items at once.", {"item": "too many"}
        )
    listed: dict[str, DriveItem] = {}
    if folder_id and len(ids) > _MAX_ASKED:
        wanted = {fold_id(item_id): item_id for item_id in ids}
        for item in drive.iter_children(folder_id):
            if (item_id := wanted.get(fold_id(item.id))) is not None:
                listed[item_id] = item
    missing = [item_id for item_id in ids if item_id not in listed]
    if len(missing) > MAX_CHOSEN:
        raise NotFoundError("drive item", missing[0])
    with ThreadPoolExecutor(_THREADS, "get-items") as threads:
        listed.update(zip(missing, threads.map(drive.get_item, missing), strict=True))
    return [listed[item_id] for item_id in ids]


@dataclass(frozen=True)
class _Walk:
    """What was found in the chosen items. ``folder_ids``: the chosen ones and those below; not all
    of them where the walk is not complete."""

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
        return list(islice(_iter_readable(drive, folder_id), MAX_COUNTED + 1))

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


def _iter_readable(drive: Drive, folder_id: str) -> Iterator[DriveItem]:
    """What is in a folder; nothing where it is gone by now, or cannot be opened by anybody."""
    try:
        yield from drive.iter_children(folder_id)
    except NotFoundError:
        pass
    except ServiceRefusedError as error:
        if error.reason != "vault":
            raise


def plan_deletion(
    session: Session, account_id: int, drive: Drive, item_ids: Iterable[str], folder_id: str = ""
) -> Deletion:
    """What would be deleted, and which images come from there.

    What lies in folders is counted up to ``MAX_COUNTED`` items and for ``MAX_SECONDS``. The images
    are found all the same: those whose files were not come upon lie in folders that the hub knows,
    and where these are, the last check of the drive has told, or OneDrive is asked.

    :param folder_id: see :func:`get_items`.
    :raise InvalidInputError, NotFoundError: see :func:`get_items`.
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
        # A folder's size is that of all in it, at any depth.
        size_bytes=sum(item.size_bytes for item in items),
        is_complete=walk.is_complete,
        groups=_count_in_groups(session, images),
        knows_images=knows_images,
    )


def _find_images(
    session: Session, account_id: int, column: InstrumentedAttribute[str], values: Iterable[str]
) -> dict[int, int]:
    """Images outside the trash whose ``column`` has one of these values: id → their group's id."""
    found: dict[int, int] = {}
    for some in make_batches(list_all_spellings(values), 500):
        rows = session.execute(
            select(Image.id, Image.group_id)
            .join(Group, Group.id == Image.group_id)
            .where(Image.drive_account_id == account_id, column.in_(some), Group.state != "trash")
        )
        found.update({row.id: row.group_id for row in rows})
    return found


def _count_in_groups(session: Session, images: Mapping[int, int]) -> list[PublishedGroup]:
    """The groups that hold these images, in the order of their numbers."""
    counts = Counter(images.values())
    groups: list[PublishedGroup] = []
    for ids in make_batches(sorted(counts), 500):
        rows = session.execute(
            select(Group.id, Group.title, Group.is_shown)
            .where(Group.id.in_(ids))
            .order_by(Group.id)
        )
        groups += [PublishedGroup(row.id, row.title, counts[row.id], row.is_shown) for row in rows]
    return groups


def _find_folders_below(
    session: Session, account_id: int, drive: Drive, items: Sequence[DriveItem], walk: _Walk
) -> tuple[set[str], bool]:
    """The folders with images of the hub that lie in the chosen ones, as images name them.

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
        inside |= _list_known_below(session, account_id, inside)
        return {one for one in folder_ids if fold_id(one) in inside}, True
    session.rollback()  # Nothing was written, and OneDrive may be slow.
    below = {one for one in folder_ids if fold_id(one) in inside}
    open_ids = [one for one in folder_ids if one not in below]
    chosen = [path for item in items if item.is_folder and (path := find_path(item)) is not None]

    def lies_below(folder_id: str) -> bool:
        try:
            path = find_path(drive.get_item(folder_id))
        except NotFoundError:
            return False
        return path is not None and any(path[: len(above)] == above for above in chosen)

    asked_count = 0
    deadline = time.monotonic() + MAX_SECONDS
    with ThreadPoolExecutor(_THREADS, "find-folders") as threads:
        while asked_count < min(len(open_ids), _MAX_ASKED_FOLDERS) and time.monotonic() < deadline:
            some = open_ids[asked_count : asked_count + 4 * _THREADS]
            answers = threads.map(lies_below, some)
            below.update(one for one, is_below in zip(some, answers, strict=True) if is_below)
            asked_count += len(some)
    return below, asked_count == len(open_ids)


def _list_known_below(session: Session, account_id: int, folder_ids: Set[str]) -> set[str]:
    """Ids, folded, of all folders below these that the last check of the drive told of."""
    found: set[str] = set()
    frontier = sorted(folder_ids)
    while frontier:
        below: set[str] = set()
        for ids in make_batches(frontier, 500):
            below.update(
                session.scalars(
                    select(DriveFolder.item_id).where(
                        DriveFolder.drive_account_id == account_id,
                        DriveFolder.parent_id.in_(ids),
                    )
                )
            )
        frontier = sorted(below - found - folder_ids)
        found |= below
    return found


ORDERS: Mapping[str, str] = {
    "name": "Name, A to Z",
    "name-down": "Name, Z to A",
    "newest": "Newest first",
    "oldest": "Oldest first",
    "largest": "Largest first",
    "smallest": "Smallest first",
}
SHOWS: Mapping[str, str] = {
    "all": "Everything",
    "pictures": "Pictures",
    "outside": "Not in the hub",
    "inside": "In the hub",
    "changed": "Changed since",
}
