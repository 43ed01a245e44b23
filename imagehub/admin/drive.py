"""What the pages of the drive browser share: open the drive, describe items, answer failures."""

import hashlib
from collections.abc import Sequence
from typing import Any

from flask import redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from imagehub.admin import blueprint
from imagehub.admin.connection_pages import is_root_given
from imagehub.admin.words import describe_size
from imagehub.clients import Drive, DriveItem, Quota
from imagehub.database import db, end_read
from imagehub.domain.file_names import (
    find_drawn,
    is_wanted_picture,
    make_name_key,
    may_be_picture,
    replace_turns,
)
from imagehub.domain.library.groups import name_group
from imagehub.domain.onedrive import accounts, browser, entries, folders
from imagehub.errors import (
    SIGN_IN,
    ConnectionLostError,
    ImageHubError,
    RootFolderGoneError,
    ServiceRefusedError,
    WriteAccessError,
)
from imagehub.web.access import is_api_call
from imagehub.web.errors import get_error_status, make_error_answer
from imagehub.web.forms import Form, FormText, read_form
from imagehub.web.i18n import translate
from imagehub.web.public_path import get_here
from imagehub.wiring import get_clients

# Media types for which OneDrive makes thumbnails.
_SHOWN_KINDS = ("image/", "video/")


class FolderFields(Form):
    """``folder``: id of the folder whose page holds the form; "" for the root folder."""

    folder: FormText = ""


def open_drive(for_change: bool = False) -> tuple[int, Drive]:
    """Give the active account's id and its drive; end the transaction, since OneDrive may be slow.

    :raise ConnectionLostError: OneDrive was never connected.
    :raise WriteAccessError: ``for_change``, and ImageHub may only read.
    """
    account = accounts.get_active_account(db.session())
    account_id = account.id
    if for_change and not accounts.may_write(account):
        raise WriteAccessError
    opened = get_clients().open_drive(account_id)
    end_read(db.session())
    return account_id, opened


# --- Failures -------------------------------------------------------------------------------------


@blueprint.errorhandler(WriteAccessError)
@blueprint.errorhandler(RootFolderGoneError)
def _answer_closed_drive(error: WriteAccessError | RootFolderGoneError) -> ResponseReturnValue:
    if is_api_call():
        return make_error_answer(get_error_status(error), error.sentence)
    if isinstance(error, RootFolderGoneError):
        return show_trouble(error)
    # The folder's page has a button that allows changes.
    return redirect(url_for(".show_drive", item_id=read_form(FolderFields).folder or None))


def show_trouble(error: ImageHubError, **_view: str) -> ResponseReturnValue:
    """Show a page in place of the folder: why it cannot be shown, and what to do.

    :raise ImageHubError: the error, if a script asked.
    """
    if is_api_call():
        raise error
    page = render_template(
        "admin/drive_trouble.html",
        message=translate(error.sentence),
        is_lost=isinstance(error, ConnectionLostError),
        is_refused=isinstance(error, ServiceRefusedError) and error.service == SIGN_IN,
        is_root_gone=isinstance(error, RootFolderGoneError),
        is_root_given=is_root_given(),
        # The address of a form cannot be opened as a page.
        again_url=get_here() if request.method == "GET" else url_for(".show_drive"),
    )
    return page, get_error_status(error)


# --- Descriptions ---------------------------------------------------------------------------------


@blueprint.app_template_filter("shown")
def show_name(name: str) -> str:
    """Return a file name without characters that make it look like another one."""
    return replace_turns(name)


def describe_items(account_id: int, items: Sequence[DriveItem]) -> list[dict[str, Any]]:
    """Describe items, as :func:`describe_entry`."""
    marked = entries.mark_items(db.session(), account_id, items)
    return [describe_entry(entry) for entry in marked]


def describe_entry(entry: entries.Entry) -> dict[str, Any]:
    """Describe an item and the images made from it. Sizes in bytes, times as OneDrive's."""
    item = entry.item
    web_url = item.raw.get("webUrl", "")
    return {
        "id": item.id,
        "name": show_name(item.name),
        "name_key": make_name_key(item.name),
        "is_folder": item.is_folder,
        "is_package": item.is_package,
        "is_picture": is_wanted_picture(item),
        "size": item.size_bytes,
        "modified": item.modified_time,
        "count": item.child_count,
        "url": url_for(".show_drive", item_id=item.id) if item.is_folder else "",
        "thumb": _make_thumbnail_url(item),
        "web": web_url if isinstance(web_url, str) and web_url.startswith("https://") else "",
        "state": entry.state,
        "marks": [_describe_mark(mark) for mark in entry.marks],
        "offers": [_describe_mark(mark) for mark in entry.offers],
    }


def _make_thumbnail_url(item: DriveItem) -> str:
    """Make the address of a file's thumbnail; "" if OneDrive makes none."""
    if item.is_folder or item.is_package or not item.size_bytes:
        return ""
    if not item.mime_type.lower().startswith(_SHOWN_KINDS) and not find_drawn(item):
        return ""
    # The address changes with the content.
    version = hashlib.sha256((item.ctag or item.etag).encode()).hexdigest()[:16]
    return url_for(".show_drive_thumbnail", item_id=item.id, v=version)


def _describe_mark(mark: entries.Mark) -> dict[str, Any]:
    return {
        "group": mark.group,
        "title": name_group(mark.group, mark.title),
        "number": mark.number,
        "is_shown": mark.is_shown,
        "is_changed": mark.is_changed,
        "url": url_for(".show_library_group", number=mark.group),
    }


def describe_folder(folder: browser.OpenFolder, shown: Sequence[entries.Entry]) -> dict[str, Any]:
    """Describe a folder with some of its entries."""
    return {
        "id": folder.folder.id,
        "name": show_name(folder.folder.name),
        "is_root": folder.is_root,
        "count": folder.folder.child_count,
        "crumbs": [_describe_crumb(crumb) for crumb in folder.crumbs],
        "quota": _describe_quota(folder.info.quota),
        "items": [describe_entry(entry) for entry in shown],
        "next_page": folder.next_page,
    }


def _describe_crumb(crumb: browser.Crumb) -> dict[str, str]:
    if crumb.path:
        return {"name": show_name(crumb.name), "url": url_for(".show_drive_path", path=crumb.path)}
    return {"name": _name_root(crumb.name), "url": url_for(".show_drive")}


def _name_root(name: str) -> str:
    return "OneDrive" if name == "root" else show_name(name)


def describe_choices(folder_id: str, page: str) -> dict[str, Any]:
    """Open a folder and describe its folders and pictures, for ``admin/choose_file.html``."""
    account_id, opened = open_drive()
    return describe_files(account_id, browser.open_folder(opened, folder_id, page), page)


def describe_files(account_id: int, folder: browser.OpenFolder, page: str) -> dict[str, Any]:
    """Describe the folders and pictures of a folder, for ``admin/choose_file.html``."""
    found = [item for item in folder.items if item.is_folder or may_be_picture(item)]
    shown = entries.mark_items(db.session(), account_id, found)
    if not (folder.next_page or page):
        shown.sort(key=entries.make_entry_key)
    return {
        "data": describe_folder(folder, shown),
        "parents": list_parents(folder),
        "next_page": folder.next_page,
    }


def list_parents(folder: browser.OpenFolder) -> list[tuple[str, str]]:
    """List (id, name) of the folder above the open one; none for the root folder."""
    if folder.is_root or not folder.folder.parent_id:
        return []
    name = folder.crumbs[-2].name if len(folder.crumbs) > 1 else ""
    return [(folder.folder.parent_id, _name_root(name))]


def describe_choice(opened: Drive, folder_id: str) -> dict[str, Any]:
    """Describe a folder to move something into: the way to it, and the folders in it."""
    root = folders.get_root(opened)
    folder = opened.get_item(folder_id) if folder_id else root
    first, *others = [crumb.name for crumb in browser.make_crumbs(opened, root, folder)]
    return {
        "id": folder.id,
        "names": [_name_root(first), *map(show_name, others)],
        "parent": "" if folder.id == root.id else folder.parent_id,
        "folders": [
            {"id": item.id, "name": show_name(item.name), "count": item.child_count}
            for item in browser.list_subfolders(opened, folder.id)
        ],
    }


def _describe_quota(quota: Quota) -> dict[str, Any]:
    """Describe the storage space as a bar with words; ``total`` is 0 if it is unknown."""
    total, used = quota.total_bytes or 0, quota.used_bytes
    if not total or used is None:
        return {"total": 0, "used": 0, "words": "", "state": quota.state}
    words = _(
        "%(used)s of %(total)s used, %(left)s available",
        used=describe_size(used),
        total=describe_size(total),
        left=describe_size(max(0, total - used)),
    )
    return {"total": total, "used": min(used, total), "words": words, "state": quota.state}
