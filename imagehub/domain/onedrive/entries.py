"""Entries of the drive browser: items of a folder with the images that were made from them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal
from unicodedata import normalize

from sqlalchemy import Select, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from imagehub.clients import Drive, DriveItem
from imagehub.clients.drive_ids import fold_id, list_all_spellings
from imagehub.database import make_batches
from imagehub.domain.file_names import is_wanted_picture, make_sort_key
from imagehub.domain.sync.state import MISSING, has_changed
from imagehub.errors import InvalidInputError
from imagehub.messages import Message
from imagehub.models import Group, Image

# A folder that is sorted or filtered is read completely, up to this many items.
MAX_SORTED = 50_000

Order = Literal["name", "name-down", "newest", "oldest", "largest", "smallest"]
Show = Literal["all", "pictures", "outside", "inside", "changed"]


@dataclass(frozen=True)
class Mark:
    """One image that was made from a file. ``is_changed``: the file has changed since."""

    group: int
    title: str
    number: int
    is_shown: bool
    is_changed: bool


@dataclass(frozen=True)
class Entry:
    """An item and the images made from it; a folder has none.

    ``offers``: images whose missing original this file may replace.
    """

    item: DriveItem
    marks: Sequence[Mark] = ()
    offers: Sequence[Mark] = ()

    @property
    def state(self) -> Literal["", "inside", "changed"]:
        if any(mark.is_changed for mark in self.marks):
            return "changed"
        return "inside" if self.marks else ""


def mark_items(session: Session, account_id: int, items: Sequence[DriveItem]) -> list[Entry]:
    """Find the images made from these items: one query for several hundred items."""
    marks: dict[str, list[Mark]] = {}
    offers: dict[str, list[Mark]] = {}
    files = {fold_id(item.id): item for item in items if not item.is_folder}
    for ids in make_batches(list_all_spellings(item.id for item in files.values())):
        made = _select_marks(account_id, Image.drive_item_id, ids)
        offered = _select_marks(account_id, Image.offered_item_id, ids)
        offered = offered.where(Image.drive_state == MISSING)
        for row in session.execute(made.union_all(offered).order_by("group_id", "number")):
            item = files[fold_id(row.item_id)]
            is_made = fold_id(row.drive_item_id) == fold_id(row.item_id)
            mark = Mark(
                row.group_id,
                row.title,
                row.number,
                row.is_shown,
                is_changed=is_made and has_changed(row, item),
            )
            (marks if is_made else offers).setdefault(item.id, []).append(mark)
    return [
        Entry(item, tuple(marks.get(item.id, ())), tuple(offers.get(item.id, ()))) for item in items
    ]


def _select_marks(
    account_id: int, column: InstrumentedAttribute[str], item_ids: Sequence[str]
) -> Select[*tuple[Any, ...]]:
    """Select the images with one of these ids in a column."""
    return (
        select(
            column.label("item_id"),
            Image.drive_item_id.label("drive_item_id"),
            Image.number.label("number"),
            Image.drive_hash.label("drive_hash"),
            Image.drive_size_bytes.label("drive_size_bytes"),
            Image.etag.label("etag"),
            Image.ctag.label("ctag"),
            Group.id.label("group_id"),
            Group.title.label("title"),
            Group.is_shown.label("is_shown"),
        )
        .join(Group, Group.id == Image.group_id)
        .where(Image.drive_account_id == account_id, column.in_(item_ids), Group.state != "trash")
    )


def list_arranged(
    session: Session,
    account_id: int,
    drive: Drive,
    folder_id: str,
    order: Order = "name",
    show: Show = "all",
    words: str = "",
) -> list[Entry]:
    """List a whole folder, filtered and sorted; folders come first.

    :param words: part of the name, in any case.
    :raise InvalidInputError: more than ``MAX_SORTED`` items.
    """
    items = []
    needle = _fold_name(words).strip()
    for count, item in enumerate(drive.iter_children(folder_id)):
        if count >= MAX_SORTED:
            raise InvalidInputError(
                Message(
                    "This folder contains more than %(count)s items and can only be shown in "
                    "OneDrive’s order.",
                    count=f"{MAX_SORTED:,}",
                )
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


def make_entry_key(entry: Entry) -> tuple[bool, bytes]:
    """Make the key that sorts a folder: folders first, each kind by name."""
    return not entry.item.is_folder, make_sort_key(entry.item.name)


def _fold_name(name: str) -> str:
    """Prepare a name for searching: some systems write a letter and its accent separately."""
    return normalize("NFC", name).casefold()


def _is_shown(entry: Entry, show: Show) -> bool:
    if show == "all" or (entry.item.is_folder and show != "changed"):
        return True
    if show == "pictures":
        return is_wanted_picture(entry.item)
    if show == "outside":
        return not entry.marks and is_wanted_picture(entry.item)
    if show == "inside":
        return bool(entry.marks)
    return entry.state == "changed"
