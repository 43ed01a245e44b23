"""The drive browser: pages with the folders and files of OneDrive.

Each address answers with a page, or with JSON of the same content if the request accepts it.
"""

from collections.abc import Collection
from typing import Annotated, Any, cast

from flask import jsonify, make_response, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from pydantic import AfterValidator, BeforeValidator, Field

from imagehub.admin import blueprint, drive
from imagehub.admin.watched_pages import WATCH_WAYS, describe_watch
from imagehub.clients import Drive
from imagehub.database import db
from imagehub.domain.library.series import list_series_choices
from imagehub.domain.onedrive import accounts, browser, entries, folders
from imagehub.domain.onedrive.browser import OpenFolder
from imagehub.domain.onedrive.entries import Entry, Order, Show
from imagehub.errors import ConnectionLostError, NotFoundError, ServiceError
from imagehub.messages import mark
from imagehub.web.access import is_api_call
from imagehub.web.cookies import read_cookie, set_cookie
from imagehub.web.errors import on_refusal
from imagehub.web.forms import Form, FormText, PageStart, read_query

_VIEW_COOKIE = "drive-view"
_VIEWS = ("list", "grid")
_YEAR_SECONDS = 365 * 86_400
_ORDERS: dict[Order, str] = {
    "name": mark("Name, A to Z"),
    "name-down": mark("Name, Z to A"),
    "newest": mark("Newest first"),
    "oldest": mark("Oldest first"),
    "largest": mark("Largest first"),
    "smallest": mark("Smallest first"),
}
_SHOWS: dict[Show, str] = {
    "all": mark("Everything"),
    "pictures": mark("Image files"),
    "outside": mark("Not imported"),
    "inside": mark("Imported"),
    "changed": mark("Changed since import"),
}


def _choice(choices: Collection[str], default: str) -> Any:
    """Annotate a field that is the default unless it is one of the choices."""
    return Annotated[str, BeforeValidator(lambda value: value if value in choices else default)]


class FolderQuery(Form):
    """``page``: OneDrive's mark of a page; ``start``: where a sorted or filtered page begins."""

    sort: _choice(_ORDERS, "name") = "name"  # type: ignore[valid-type]
    show: _choice(_SHOWS, "all") = "all"  # type: ignore[valid-type]
    q: Annotated[FormText, AfterValidator(lambda words: words.strip()[:200])] = ""
    view: _choice(_VIEWS, "") = ""  # type: ignore[valid-type]
    page: FormText = ""
    start: PageStart = Field(default=0, alias="from")

    @property
    def is_arranged(self) -> bool:
        return self.sort != "name" or self.show != "all" or bool(self.q)

    def keep(self) -> dict[str, Any]:
        """Give the values that links to other pages of the folder repeat."""
        return self.model_dump(exclude={"page", "start"}, exclude_defaults=True)

    def keep_place(self) -> dict[str, Any]:
        """Give the values of :meth:`keep` and the place in the folder."""
        return self.model_dump(by_alias=True, exclude_defaults=True)


class PartQuery(Form):
    """``folder``: the folder to look into, "" for the topmost. ``next_page``: OneDrive's mark."""

    folder: FormText = ""
    next_page: FormText = ""


@blueprint.get("/admin/drive")
@blueprint.get("/admin/drive/<item_id>")
@on_refusal(drive.show_trouble, ConnectionLostError, ServiceError)
def show_drive(item_id: str = "") -> ResponseReturnValue:
    """Show a folder of the drive; the root folder without an id."""
    query = read_query(FolderQuery)
    account_id, opened = drive.open_drive()
    folder = browser.open_folder(opened, item_id, query.page)
    shown, following = _list_page(account_id, opened, folder, query)
    data = drive.describe_folder(folder, shown)
    data["watch"] = describe_watch(account_id, folder.folder.id)
    if is_api_call():
        response = jsonify(data)
        # The page has the same address: going back in the browser must not show this.
        response.headers["Cache-Control"] = "no-store"
        response.vary.add("Accept")
        return response
    folder_id = folder.folder.id
    account = accounts.find_active_account(db.session())
    next_url = url_for(".show_drive", item_id=folder_id, **query.keep(), **following)
    page = render_template(
        "admin/drive.html",
        data=data,
        entries=shown,
        describe=drive.describe_entry,
        orders=_ORDERS,
        shows=_SHOWS,
        order=query.sort,
        show=query.show,
        words=query.q,
        is_arranged=query.is_arranged,
        view=query.view or _read_view_cookie(),
        view_urls={
            view: url_for(".show_drive", item_id=folder_id, **query.keep_place() | {"view": view})
            for view in _VIEWS
        },
        may_write=account is not None and accounts.may_write(account),
        watch_ways=WATCH_WAYS,
        series_choices=list_series_choices(db.session()),
        # Each account and person resumes their own uploads in this browser.
        owner=f"{account_id}/{current_user.id}",
        next_url=next_url if following else "",
        is_first_page=not (query.page or query.start),
    )
    response = make_response(page)
    if query.view:
        # A script keeps the selected view in the same cookie.
        set_cookie(response, _VIEW_COOKIE, query.view, _YEAR_SECONDS, is_for_scripts=True)
    return response


@blueprint.get("/admin/drive/<item_id>/items")
def list_drive_items(item_id: str) -> ResponseReturnValue:
    """Give one more page of a folder, in OneDrive's order, as JSON."""
    account_id, opened = drive.open_drive()
    page = opened.list_children(item_id, read_query(PartQuery).next_page, page_size=1000)
    items = drive.describe_items(account_id, page.items)
    return jsonify({"items": items, "next_page": page.next_page})


@blueprint.get("/admin/drive/path/<path:path>")
def show_drive_path(path: str) -> ResponseReturnValue:
    """Go to the folder at a path below the root folder."""
    _account_id, opened = drive.open_drive()
    try:
        item = opened.find_item_by_path(path)
    except NotFoundError:
        item = None
    if item is None or not item.is_folder:
        # If the root folder itself is gone, the answer is that.
        folders.get_root(opened)
        raise NotFoundError("folder", path)
    return redirect(url_for(".show_drive", item_id=item.id))


@blueprint.get("/admin/drive/folders")
def list_drive_folders() -> ResponseReturnValue:
    """Give the folders in a folder, and the way to it, to select one."""
    _account_id, opened = drive.open_drive()
    return jsonify(drive.describe_choice(opened, read_query(PartQuery).folder))


def _list_page(
    account_id: int, opened: Drive, folder: OpenFolder, query: FolderQuery
) -> tuple[list[Entry], dict[str, Any]]:
    """Give one page of entries, and the values of the next page's address."""
    if query.is_arranged:
        order, show = cast(Order, query.sort), cast(Show, query.show)
        found = entries.list_arranged(
            db.session(), account_id, opened, folder.folder.id, order, show, query.q
        )
        end = query.start + browser.PAGE_SIZE
        return found[query.start : end], {"from": end} if end < len(found) else {}
    shown = entries.mark_items(db.session(), account_id, folder.items)
    if folder.next_page:
        return shown, {"page": folder.next_page}
    if not query.page:
        # A folder on a single page is sorted by name.
        shown.sort(key=entries.make_entry_key)
    return shown, {}


def _read_view_cookie() -> str:
    view = read_cookie(_VIEW_COOKIE)
    return view if view in _VIEWS else "list"
