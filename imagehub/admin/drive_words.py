"""Describe items, folders and the storage space of the drive for pages and scripts."""

from collections.abc import Sequence
from typing import Any

from flask import url_for
from flask_babel import gettext as _

from imagehub.admin.thumbnails import make_thumbnail_url
from imagehub.admin.words import describe_size, show_name
from imagehub.clients import Drive, Quota
from imagehub.domain.filetypes import may_be_picture
from imagehub.domain.library.groups import name_group
from imagehub.domain.name_order import make_name_key
from imagehub.domain.onedrive import browser, folders
from imagehub.domain.onedrive.browser import Crumb, OpenFolder
from imagehub.domain.onedrive.entries import Entry, Mark
from imagehub.errors import ImageHubError


def describe_entry(entry: Entry) -> dict[str, Any]:
    """Describe an item. Sizes in bytes, times as OneDrive gives them."""
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
    """Describe a folder with some of its entries."""
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
    """Describe a folder to move something into: the way to it, and the folders in it."""
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
    """Describe the storage space as a bar with words; ``total`` is 0 if it is unknown."""
    total, used = quota.total_bytes or 0, quota.used_bytes
    if not total or used is None:
        return {"total": 0, "used": 0, "words": "", "state": quota.state}
    left = max(0, total - used)
    words = _(
        "%(used)s of %(total)s used, %(left)s available",
        used=describe_size(used),
        total=describe_size(total),
        left=describe_size(left),
    )
    return {"total": total, "used": min(used, total), "words": words, "state": quota.state}


def find_folder_name(opened: Drive, folder_id: str) -> str:
    """Find a folder's name for the log; … if OneDrive does not give it any more."""
    try:
        folder = opened.get_item(folder_id)
    except ImageHubError:
        return "…"
    return "OneDrive" if "root" in folder.raw else show_name(folder.name)
