"""The drive browser: folders and files of OneDrive, looked at by the admin.

Each address answers a page, or JSON where the caller asks for that (``Accept``); both say the same.
"""

from typing import Any

from flask import jsonify, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from imagehub.admin import blueprint
from imagehub.admin.drive_access import may_write, open_drive, show_trouble
from imagehub.admin.drive_words import describe_choice, describe_entry, describe_folder
from imagehub.clients import Drive
from imagehub.database import db
from imagehub.domain.onedrive import browser, entries, folders
from imagehub.domain.onedrive.entries import Entry
from imagehub.errors import ConnectionLostError, NotFoundError, ServiceError
from imagehub.web.access import is_api_call
from imagehub.wiring import get_settings

_VIEW_COOKIE = "drive-view"
_VIEWS = ("list", "grid")
_YEAR_SECONDS = 365 * 86_400
_ORDERS = {
    "name": "Name, A to Z",
    "name-down": "Name, Z to A",
    "newest": "Newest first",
    "oldest": "Oldest first",
    "largest": "Largest first",
    "smallest": "Smallest first",
}
_SHOWS = {
    "all": "Everything",
    "pictures": "Pictures",
    "outside": "Not in the hub",
    "inside": "In the hub",
    "changed": "Changed since",
}


@blueprint.get("/admin/drive")
@blueprint.get("/admin/drive/<item_id>")
def show_drive(item_id: str = "") -> ResponseReturnValue:
    """A folder of the drive; the root folder without an id."""
    order = _choose("sort", _ORDERS, "name")
    show = _choose("show", _SHOWS, "all")
    words = request.args.get("q", "").strip()[:200]
    is_arranged = order != "name" or show != "all" or bool(words)
    try:
        account_id, opened = open_drive()
        folder = browser.open_folder(opened, item_id, request.args.get("page", ""))
        if is_arranged:
            shown, following = _arrange(account_id, opened, folder.folder.id, order, show, words)
        else:
            shown = entries.mark_items(db.session(), account_id, folder.items)
            following = {"page": folder.next_page} if folder.next_page else {}
            if not folder.next_page and not request.args.get("page"):
                # A folder that is here as a whole comes in the order that people expect.
                shown.sort(key=entries.make_entry_key)
    except (ConnectionLostError, ServiceError) as error:
        if is_api_call():
            raise
        return show_trouble(error)
    data = describe_folder(folder, shown)
    if is_api_call():
        response = jsonify(data)
        # The page has the same address: a browser that goes back must not be shown this.
        response.headers["Cache-Control"] = "no-store"
        response.vary.add("Accept")
        return response
    page = render_template(
        "admin/drive.html",
        data=data,
        folder=folder.folder,
        is_root=folder.is_root,
        entries=shown,
        describe=describe_entry,
        orders=_ORDERS,
        shows=_SHOWS,
        order=order,
        show=show,
        words=words,
        is_arranged=is_arranged,
        view=_get_view(),
        view_urls={view: _make_view_url(folder.folder.id, view) for view in _VIEWS},
        may_write=may_write(),
        # Of this browser's uploads each account and person goes on with their own.
        owner=f"{account_id}/{current_user.id}",
        next_url=(
            url_for(".show_drive", item_id=folder.folder.id, **_keep_arrangement(), **following)
            if following
            else ""
        ),
        is_first_page=not (request.args.get("page") or request.args.get("from")),
    )
    response = make_response(page)
    if request.args.get("view") in _VIEWS:
        # It holds for the folders that are opened next, as where a script remembers it.
        response.set_cookie(
            _VIEW_COOKIE,
            request.args["view"],
            max_age=_YEAR_SECONDS,
            samesite="Lax",
            secure=get_settings().public_url.startswith("https://"),
        )
    return response


@blueprint.get("/admin/drive/<item_id>/items")
def list_drive_items(item_id: str) -> ResponseReturnValue:
    """One more page of a folder, in OneDrive's order, as JSON."""
    account_id, opened = open_drive()
    page = opened.list_children(item_id, request.args.get("next_page", ""), page_size=1000)
    shown = entries.mark_items(db.session(), account_id, page.items)
    return jsonify(
        {"items": [describe_entry(entry) for entry in shown], "next_page": page.next_page}
    )


@blueprint.get("/admin/drive/path/<path:path>")
def show_drive_path(path: str) -> ResponseReturnValue:
    """The folder at a path below the root folder."""
    _, opened = open_drive()
    try:
        item = opened.find_item_by_path(path)
    except NotFoundError:
        item = None
    if item is None or not item.is_folder:
        # Where the root folder itself is gone, that is what has to be told.
        folders.get_root(opened)
        raise NotFoundError("folder", path)
    return redirect(url_for(".show_drive", item_id=item.id))


@blueprint.get("/admin/drive/folders")
def list_drive_folders() -> ResponseReturnValue:
    """The folders in a folder, and the way to it: for choosing one."""
    _, opened = open_drive()
    return jsonify(describe_choice(opened, request.args.get("folder", "")))


def _get_view() -> str:
    """``list`` or ``grid``, as chosen now or before."""
    chosen = request.args.get("view") or request.cookies.get(_VIEW_COOKIE, "")
    return chosen if chosen in _VIEWS else "list"


def _make_view_url(folder_id: str, view: str) -> str:
    """The same part of the folder, arranged in the same way, in another view."""
    kept = {name: request.args[name] for name in ("page", "from") if name in request.args}
    return url_for(".show_drive", item_id=folder_id, **_keep_arrangement() | kept | {"view": view})


def _choose(name: str, choices: Any, default: str) -> Any:
    value = request.args.get(name, default)
    return value if value in choices else default


def _keep_arrangement() -> dict[str, Any]:
    return {
        name: request.args[name] for name in ("sort", "show", "q", "view") if name in request.args
    }


def _arrange(
    account_id: int, opened: Drive, folder_id: str, order: Any, show: Any, words: str
) -> tuple[list[Entry], dict[str, Any]]:
    """One page of the sorted and filtered folder, and what the next page's address holds."""
    start = max(0, request.args.get("from", 0, int))
    found = entries.list_arranged(db.session(), account_id, opened, folder_id, order, show, words)
    end = start + browser.PAGE_SIZE
    return found[start:end], {"from": end} if end < len(found) else {}
