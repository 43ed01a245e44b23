"""The words and values in which pages and scripts hear of the drive: items, folders, the quota."""

from collections.abc import Sequence
from typing import Any

from flask import url_for

from imagehub.admin.thumbnails import make_thumbnail_url
from imagehub.admin.words import describe_count, describe_size, show_name
from imagehub.clients import Drive, DriveItem, Quota
from imagehub.domain.filetypes import may_be_picture
from imagehub.domain.library.groups import name_group
from imagehub.domain.name_order import make_name_key
from imagehub.domain.onedrive import browser, folders
from imagehub.domain.onedrive.browser import Crumb, OpenFolder
from imagehub.domain.onedrive.entries import Entry, Mark
from imagehub.errors import ImageHubError


def describe_entry(entry: Entry) -> dict[str, Any]:
    """An item as pages and scripts use it. Sizes in bytes, times as OneDrive tells them."""
    item = entry.item
    web_url = item.raw.get("webUrl", "")
    return {
        "id": item.id,
        "name": show_name(item.name),
        "name_key": make_name_key(item.name),
        "is_folder": item.is_folder,
        "is_package": item.is_package,
        "is_picture": may_be_picture(item),
        "size": item.size_bytes,
        "modified": item.modified_time,
        "count": item.child_count,
        "url": url_for(".show_drive", item_id=item.id) if item.is_folder else "",
        "thumb": make_thumbnail_url(item),
        "web": web_url if isinstance(web_url, str) and web_url.startswith("https://") else "",
        "state": entry.state,
        "marks": [_describe_mark(mark) for mark in entry.marks],
    }


def _describe_mark(mark: Mark) -> dict[str, Any]:
    return {
        "group": mark.group,
        "title": name_group(mark.group, mark.title),
        "number": mark.number,
        "is_shown": mark.is_shown,
        "is_changed": mark.is_changed,
        "url": url_for(".show_library_group", number=mark.group),
    }


def describe_folder(folder: OpenFolder, entries: Sequence[Entry]) -> dict[str, Any]:
    """A folder with some of its entries, as pages and scripts use it."""
    return {
        "id": folder.folder.id,
        "name": show_name(folder.folder.name),
        "is_root": folder.is_root,
        "count": folder.folder.child_count,
        "crumbs": _describe_crumbs(folder.crumbs),
        "quota": describe_quota(folder.info.quota),
        "items": [describe_entry(entry) for entry in entries],
        "next_page": folder.next_page,
    }


def _describe_crumbs(crumbs: Sequence[Crumb]) -> list[dict[str, str]]:
    return [
        {
            "name": (
                "OneDrive" if not crumb.path and crumb.name == "root" else show_name(crumb.name)
            ),
            "url": url_for(".show_drive_path", path=crumb.path)
            if crumb.path
            else url_for(".show_drive"),
        }
        for crumb in crumbs
    ]


def describe_choice(opened: Drive, folder_id: str) -> dict[str, Any]:
    """A folder to put something into: itself, its way up, the folders in it."""
    root = folders.get_root(opened)
    folder = opened.get_item(folder_id) if folder_id else root
    names = [show_name(crumb.name) for crumb in browser.make_crumbs(opened, root, folder)]
    names[0] = "OneDrive" if names[0] == "root" else names[0]
    return {
        "id": folder.id,
        "names": names,
        "parent": "" if folder.id == root.id else folder.parent_id,
        "folders": [
            {"id": item.id, "name": show_name(item.name), "count": item.child_count}
            for item in browser.list_subfolders(opened, folder.id)
        ],
    }


def describe_quota(quota: Quota) -> dict[str, Any]:
    """The quota as a bar with words; ``total`` is 0 where OneDrive does not tell."""
    total, used = quota.total_bytes or 0, quota.used_bytes
    if used is None and total and quota.remaining_bytes is not None:
        used = max(0, total - quota.remaining_bytes)
    if not total or used is None:
        return {"total": 0, "used": 0, "words": "", "state": quota.state}
    left = max(0, total - used)
    words = f"{describe_size(used)} of {describe_size(total)} used, {describe_size(left)} left"
    return {"total": total, "used": min(used, total), "words": words, "state": quota.state}


def describe_place(opened: Drive, folder_id: str) -> str:
    """A folder that something was put into, for the log: ``“Works”``, or where OneDrive does not
    say any more, ``a folder``."""
    try:
        return f"“{show_name(opened.get_item(folder_id).name)}”"
    except ImageHubError:
        return "a folder"


def name_items(items: Sequence[DriveItem]) -> str:
    """Items by the name of the first: ``“front.jpg” and 2 more items``."""
    rest = len(items) - 1
    return f"“{show_name(items[0].name)}”" + (
        f" and {describe_count(rest, 'more item')}" if rest else ""
    )
