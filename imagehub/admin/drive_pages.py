"""The drive browser: folders and files of OneDrive, looked at and changed by the admin.

Each address answers a page, or JSON where the caller asks for that (``Accept``); both say the same.
The forms work without a script: an address that needs an answer first (a name, a target, "yes")
asks for it with a page of its own.
"""

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from flask import Response, current_app, jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from itsdangerous import BadData, URLSafeTimedSerializer
from pydantic import BaseModel, Field, ValidationError

from imagehub.admin import blueprint
from imagehub.admin.thumbnails import PLACEHOLDER, ThumbnailCache
from imagehub.admin.words import describe_count, describe_size, is_view, say, show_name
from imagehub.clients import Drive, DriveItem, Quota
from imagehub.database import db
from imagehub.domain import connection, drive, drive_browser, drive_watch
from imagehub.domain.drive_browser import Crumb, Entry, Mark, OpenFolder
from imagehub.domain.importing import may_be_picture
from imagehub.domain.name_order import make_name_key
from imagehub.errors import (
    ConnectionLostError,
    ImageHubError,
    InvalidInputError,
    NotFoundError,
    RootFolderGoneError,
    ServiceError,
    WriteAccessError,
)
from imagehub.web import get_error_status, is_api_call, make_error_answer, note_action
from imagehub.wiring import get_clients, get_given_settings, get_settings

_VIEW_COOKIE = "drive-view"
_THUMBNAIL_KINDS = ("image/", "video/", "application/pdf")
_THUMBNAIL_SIZES = ("small", "medium", "large")
_YEAR_SECONDS = 365 * 86_400
_UNDO_SECONDS = 86_400
_MOST_IN_COOKIE = 10
_SITE = re.compile(r"https://[\w.-]+/(?:personal|sites|teams)/[^/?#]+")
# Where a group is edited, as soon as the hub has such a page; the first that exists is taken.
_GROUP_PAGES = ("admin.show_library_group", "admin.show_group", "admin.edit_group")


# --- Looking --------------------------------------------------------------------------------------


@blueprint.get("/admin/drive")
@blueprint.get("/admin/drive/<item_id>")
def show_drive(item_id: str = "") -> ResponseReturnValue:
    """A folder of the drive; the root folder without an id."""
    order = _choose("sort", drive_browser.ORDERS, "name")
    show = _choose("show", drive_browser.SHOWS, "all")
    words = request.args.get("q", "").strip()[:200]
    is_arranged = order != "name" or show != "all" or bool(words)
    try:
        account_id, opened = open_drive()
        folder = drive_browser.open_folder(opened, item_id, request.args.get("page", ""))
        if is_arranged:
            entries, following = _arrange(account_id, opened, folder.folder.id, order, show, words)
        else:
            entries = drive_browser.mark_items(db.session(), account_id, folder.items)
            following = {"page": folder.next_page} if folder.next_page else {}
            if not folder.next_page and not request.args.get("page"):
                # A folder that is here as a whole comes in the order that people expect.
                entries.sort(key=drive_browser.make_entry_key)
    except (ConnectionLostError, ServiceError) as error:
        if is_api_call():
            raise
        return _show_trouble(error)
    data = _describe_folder(folder, entries)
    if is_api_call():
        response = jsonify(data)
        # The page has the same address: a browser that goes back must not be shown this.
        response.headers["Cache-Control"] = "no-store"
        response.vary.add("Accept")
        return response
    return render_template(
        "admin/drive.html",
        data=data,
        folder=folder.folder,
        is_root=folder.is_root,
        entries=entries,
        describe=describe_entry,
        orders=drive_browser.ORDERS,
        shows=drive_browser.SHOWS,
        order=order,
        show=show,
        words=words,
        is_arranged=is_arranged,
        view=get_view(),
        may_write=_may_write(),
        next_url=(
            url_for(".show_drive", item_id=folder.folder.id, **_keep_arrangement(), **following)
            if following
            else ""
        ),
        is_first_page=not (request.args.get("page") or request.args.get("from")),
    )


@blueprint.get("/admin/drive/<item_id>/items")
def list_drive_items(item_id: str) -> ResponseReturnValue:
    """One more page of a folder, in OneDrive's order, as JSON."""
    account_id, opened = open_drive()
    page = opened.list_children(item_id, request.args.get("next_page", ""), page_size=1000)
    entries = drive_browser.mark_items(db.session(), account_id, page.items)
    return jsonify(
        {"items": [describe_entry(entry) for entry in entries], "next_page": page.next_page}
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
        drive.get_root(opened)
        raise NotFoundError("folder", path)
    return redirect(url_for(".show_drive", item_id=item.id))


@blueprint.get("/admin/drive/folders")
def list_drive_folders() -> ResponseReturnValue:
    """The folders in a folder, and the way to it: for choosing one."""
    _, opened = open_drive()
    return jsonify(_describe_choice(opened, request.args.get("folder", "")))


@blueprint.get("/admin/drive/thumbnail/<item_id>")
def show_drive_thumbnail(item_id: str) -> ResponseReturnValue:
    """A small picture of a file: fetched from OneDrive once for each state of the file.

    Empty where OneDrive has none. ``v`` stands for the state (see :func:`make_version`): with it a
    browser keeps the picture. Where there is none, or none can be had, an ``<img>`` gets the sign
    of a file, with the error's status if there is one.
    """
    try:
        return _fetch_thumbnail(item_id)
    except (NotFoundError, ConnectionLostError, ServiceError) as error:
        if not _wants_picture():
            raise
        db.session.rollback()
        return _show_placeholder(get_error_status(error), "no-store")


def _fetch_thumbnail(item_id: str) -> ResponseReturnValue:
    size = request.args.get("size", "medium")
    if size not in _THUMBNAIL_SIZES:
        raise NotFoundError("thumbnail", size)
    version = request.args.get("v", "")[:64]
    settings = get_settings()
    cache = ThumbnailCache(settings.data_dir / "thumbnails")
    account_id, opened = open_drive()
    # Another root folder is another boundary: what was seen inside the old one is not shown.
    key = f"{account_id}\n{settings.root_folder}\n{item_id}\n{version}\n{size}"
    found = cache.find(key) if version else None
    if found is None:
        found = opened.fetch_thumbnail(item_id, size)
        if found is None or not cache.takes(found[1]):
            # OneDrive makes them some seconds after an upload, and of some files never.
            keeping = "private, max-age=30"
            if _wants_picture():
                return _show_placeholder(200, keeping)
            return "", 204, {"Cache-Control": keeping, "Vary": "Accept"}
        if version:
            cache.keep(key, *found)
    response = Response(found[0], mimetype=found[1])
    response.headers["Cache-Control"] = (
        f"private, max-age={_YEAR_SECONDS}, immutable" if version else "private, no-cache"
    )
    return response


def _wants_picture() -> bool:
    """Whether an ``<img>`` asks: it names kinds of pictures first, and a script or a person not.

    Source: Fetch, 4 (Fetching): the Accept of a request whose destination is "image".
    """
    return request.headers.get("Accept", "").startswith("image/")


def _show_placeholder(status: int, keeping: str) -> Response:
    # A browser shows a picture whatever its status is, and without it a sign of breakage.
    response = Response(PLACEHOLDER, status, mimetype="image/svg+xml")
    response.headers["Cache-Control"] = keeping
    response.vary.add("Accept")
    return response


# --- Changing -------------------------------------------------------------------------------------


@blueprint.post("/admin/drive/new-folder")
def create_drive_folder() -> ResponseReturnValue:
    """Make a folder; a taken name gets a number."""
    account_id, opened = open_drive(for_change=True)
    parent_id = request.form.get("folder", "")
    try:
        made = drive.create_folder(opened, request.form.get("name", "").strip(), parent_id)
    except ImageHubError as error:
        return _answer_fault(error, parent_id)
    _note("create", [made], f"Made the folder {_name([made])} in OneDrive.")
    return _answer_done(account_id, [made], parent_id, f"The folder {_name([made])} was made.")


@blueprint.post("/admin/drive/rename")
def rename_drive_item() -> ResponseReturnValue:
    """Give an item another name; asks for it where none was sent."""
    account_id, opened = open_drive(for_change=True)
    item_id, folder_id = request.form.get("item", ""), request.form.get("folder", "")
    name = request.form.get("name")
    if name is None:
        (item,) = drive_browser.get_items(opened, request.form.getlist("item")[:1])
        return render_template("admin/drive_rename.html", item=item, folder=folder_id, fault="")
    try:
        old_name = opened.get_item(item_id).name
        item = drive.rename_item(opened, item_id, name.strip())
    except ImageHubError as error:
        if is_api_call() or isinstance(error, NotFoundError | ConnectionLostError):
            raise
        # OneDrive is not asked once more: it may be what does not answer.
        known = request.form.get("was") or name
        page = render_template(
            "admin/drive_rename.html",
            item=DriveItem(item_id, known, False, 0, "", ""),
            name=name,
            folder=folder_id,
            fault=str(error),
        )
        return page, get_error_status(error)
    _note("change", [item], f"Renamed “{show_name(old_name)}” to {_name([item])} in OneDrive.")
    _look_again(account_id, [item])
    return _answer_done(
        account_id,
        [item],
        folder_id,
        f"“{show_name(old_name)}” is called {_name([item])} now.",
        undo="admin.rename_drive_item",
        fields={"item": item.id, "name": old_name, "folder": folder_id},
        facts={"old_name": old_name},
    )


@blueprint.post("/admin/drive/move")
def move_drive_items() -> ResponseReturnValue:
    """Move items into another folder; asks for that where none was sent."""
    account_id, opened = open_drive(for_change=True)
    folder_id, target = request.form.get("folder", ""), request.form.get("target", "")
    ids = request.form.getlist("item")
    if not target:
        return render_template(
            "admin/drive_move.html",
            items=drive_browser.get_items(opened, ids),
            folder=folder_id,
            choice=_describe_choice(opened, request.form.get("look", "") or folder_id),
        )
    done, failed = _do_each(ids, lambda item_id: opened.move_item(item_id, target))
    if done:
        place = _describe_place(opened, target)
        _note("change", done, f"Moved {_name(done)} to {place} in OneDrive.")
        _look_again(account_id, done)
    words = f"{describe_count(len(done), 'item was', 'items were')} moved."
    # Back to where they came from is only one step where that is one folder.
    undo = "admin.move_drive_items" if folder_id and len(done) == 1 else ""
    fields: dict[str, Any] = (
        {"item": done[0].id, "target": folder_id, "folder": target} if undo else {}
    )
    return _answer_done(account_id, done, folder_id, words, failed, undo=undo, fields=fields)


class PlanFields(BaseModel):
    """``items`` were chosen in ``folder``."""

    folder: Annotated[str, Field(max_length=255)] = ""
    items: Annotated[list[Annotated[str, Field(max_length=400)]], Field(min_length=1)]


@blueprint.post("/admin/drive/delete/plan")
def plan_drive_deletion() -> ResponseReturnValue:
    """What deleting would mean, as JSON; for any number of items in a folder."""
    try:
        fields = PlanFields.model_validate(request.get_json(silent=True))
    except ValidationError as error:
        raise InvalidInputError(
            "Nothing was chosen.", {"items": error.errors()[0]["msg"]}
        ) from error
    account_id, opened = open_drive(for_change=True)
    plan = drive_browser.plan_deletion(
        db.session(), account_id, opened, fields.items, fields.folder
    )
    return jsonify({"sentences": describe_deletion(plan), "groups": _describe_groups(plan)[:50]})


@blueprint.post("/admin/drive/delete")
def delete_drive_items() -> ResponseReturnValue:
    """Put items into OneDrive's recycle bin, once somebody is sure; says first what that means."""
    account_id, opened = open_drive(for_change=True)
    ids, folder_id = request.form.getlist("item"), request.form.get("folder", "")
    if request.form.get("sure") != "yes":
        plan = drive_browser.plan_deletion(db.session(), account_id, opened, ids, folder_id)
        return render_template(
            "admin/drive_delete.html",
            items=plan.items,
            folder=folder_id,
            sentences=describe_deletion(plan),
            groups=_describe_groups(plan),
        )

    def delete(item_id: str) -> DriveItem:
        item = opened.get_item(item_id)
        drive.delete_item(opened, item_id)
        return item

    done, failed = _do_each(ids, delete)
    if done:
        _note("delete", done, f"Put {_name(done)} into OneDrive’s recycle bin.")
        _look_again(account_id, done, with_all_below=True)
    recycle_bin = _find_recycle_bin(opened, done)
    mark = _sign_deletion(account_id, done) if done and recycle_bin.can_restore else ""
    stay = f", for {recycle_bin.days} days" if recycle_bin.days else ""
    items = describe_count(len(done), "item is", "items are")
    words = f"{items} in OneDrive’s recycle bin now{stay}."
    # Without a script the mark travels in a cookie, which has no room for many.
    undo = "admin.restore_drive_items" if mark and len(done) <= _MOST_IN_COOKIE else ""
    return _answer_done(
        account_id,
        done,
        folder_id,
        words,
        failed,
        undo=undo,
        fields={"deletion": mark, "folder": folder_id} if undo else {},
        link=(recycle_bin.url, "Open it") if recycle_bin.url else None,
        facts={"deletion": mark, "bin": {"url": recycle_bin.url, "days": recycle_bin.days}},
    )


@blueprint.post("/admin/drive/restore")
def restore_drive_items() -> ResponseReturnValue:
    """Bring back what was deleted here; ``deletion`` is the mark that it answered with."""
    account_id, opened = open_drive(for_change=True)
    folder_id = request.form.get("folder", "")
    places = _read_deletion(account_id, request.form.get("deletion", ""))
    done, failed = _do_each(
        list(places), lambda item_id: opened.restore_item(item_id, places[item_id])
    )
    if done:
        _note("restore", done, f"Brought {_name(done)} back from OneDrive’s recycle bin.")
        _look_again(account_id, done, with_all_below=True)
    words = f"{describe_count(len(done), 'item is', 'items are')} back."
    return _answer_done(account_id, done, folder_id, words, failed)


# --- Words and values -----------------------------------------------------------------------------


def open_drive(for_change: bool = False) -> tuple[int, Drive]:
    """The active account's number and its drive, with the database let go: OneDrive may be slow.

    :raise ConnectionLostError: OneDrive was never connected.
    :raise WriteAccessError: a change is meant, and the hub may only read so far.
    """
    account = connection.get_active_account(db.session())
    account_id = account.id
    if for_change and not connection.may_write(account):
        raise WriteAccessError
    opened = get_clients().open_drive(account_id)
    db.session.rollback()
    return account_id, opened


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
        "thumb": _make_thumbnail_url(item),
        "web": web_url if isinstance(web_url, str) and web_url.startswith("https://") else "",
        "state": entry.state,
        "marks": [_describe_mark(mark) for mark in entry.marks],
    }


def make_version(item: DriveItem) -> str:
    """A short word for the state of a file's bytes."""
    return hashlib.sha256((item.ctag or item.etag).encode()).hexdigest()[:16]


def _may_write() -> bool:
    account = connection.find_active_account(db.session())
    return account is not None and connection.may_write(account)


def find_group_url(number: int, is_shown: bool) -> str:
    """Where a group is edited, or shown to the public; "" where it is neither."""
    pages = (*_GROUP_PAGES, "gallery.show_group") if is_shown else _GROUP_PAGES
    return find_url(pages, number)


def find_url(endpoints: Sequence[str], number: int) -> str:
    """The address of the first of these pages that the hub has; "" where it has none."""
    for endpoint in endpoints:
        if is_view(endpoint):
            rule = min(current_app.url_map.iter_rules(endpoint), key=lambda r: len(r.arguments))
            name = next(iter(rule.arguments), "")
            values: dict[str, Any] = {name: number} if name else {}
            return url_for(endpoint, **values)
    return ""


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


@dataclass(frozen=True)
class RecycleBin:
    """``url``: where a person sees it, "" where that cannot be told. ``days``: for how long."""

    url: str
    days: int
    can_restore: bool


def find_recycle_bin(kind: str, items: Sequence[DriveItem]) -> RecycleBin:
    """The recycle bin of the drive of this kind that these items lay in.

    Source: Microsoft's support pages "Restore deleted files or folders in OneDrive": personal
    accounts keep for 30 days, work accounts for 93 unless an administrator says otherwise; the
    address of a site's bin is SharePoint's own page.
    """
    if kind == "personal":
        return RecycleBin("https://onedrive.live.com/?v=recyclebin", 30, can_restore=True)
    web_url = str(items[0].raw.get("webUrl", "")) if items else ""
    site = _SITE.match(web_url)
    return RecycleBin(f"{site[0]}/_layouts/15/RecycleBin.aspx" if site else "", 93, False)


def _find_recycle_bin(opened: Drive, items: Sequence[DriveItem]) -> RecycleBin:
    """The same for this drive; what is deleted is deleted, even if OneDrive is lost right after."""
    try:
        return find_recycle_bin(opened.get_drive().kind, items)
    except (ConnectionLostError, ServiceError):
        return RecycleBin("", 0, can_restore=False)


def _describe_place(opened: Drive, folder_id: str) -> str:
    """A folder that something was put into, for the log: ``“Works”``, or where OneDrive does not
    say any more, ``a folder``."""
    try:
        return f"“{show_name(opened.get_item(folder_id).name)}”"
    except ImageHubError:
        return "a folder"


def _sign_deletion(account_id: int, items: Sequence[DriveItem]) -> str:
    """A mark by which these items, and no others, may be brought back to where they lay."""
    places = [[item.id, item.parent_id] for item in items]
    return str(_make_signer().dumps([account_id, places]))


def _read_deletion(account_id: int, mark: str) -> dict[str, str]:
    """Item id → the folder it lay in.

    :raise NotFoundError: not our mark, or one of another account, or too old.
    """
    try:
        owner_id, places = _make_signer().loads(mark, max_age=_UNDO_SECONDS)
    except BadData as error:
        raise NotFoundError("deletion", mark[:40]) from error
    if owner_id != account_id:
        raise NotFoundError("deletion", mark[:40])
    return {str(item_id): str(parent_id) for item_id, parent_id in places}


def _make_signer() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(get_settings().secret_key, salt="deleted-drive-items")


def _describe_groups(plan: drive_browser.Deletion) -> list[dict[str, Any]]:
    return [
        {
            "number": group.number,
            "title": group.title or f"Group {group.number}",
            "images": group.image_count,
            "shown": group.is_shown,
            "url": find_group_url(group.number, group.is_shown),
        }
        for group in plan.groups
    ]


def describe_deletion(plan: drive_browser.Deletion) -> list[str]:
    """What will happen, in sentences."""
    files = describe_count(plan.file_count, "file")
    folders = describe_count(plan.folder_count, "folder")
    if not plan.is_complete:
        what = f"More than {describe_count(drive_browser.MAX_COUNTED, 'item')}"
    elif plan.folder_count:
        what = f"{folders} with {files}" if plan.file_count else f"{folders} without files"
    else:
        what = files
    size = f" ({describe_size(plan.size_bytes)})" if plan.size_bytes else ""
    sentences = [f"{what}{size} will go into OneDrive’s recycle bin."]
    if plan.image_count:
        count = describe_count(plan.image_count, "image")
        groups = describe_count(len(plan.groups), "group")
        shown = plan.shown_image_count
        if shown == plan.image_count:
            public = "published"
        elif shown:
            public = f"{shown:,} of them published"
        else:
            public = "none of them published"
        least = "" if plan.knows_images else "At least "
        comes = "comes" if plan.image_count == 1 else "come"
        sentences.append(
            f"{least}{count} of the hub {comes} from there: in {groups}, {public}. The gallery "
            "keeps showing them, but their full size can no longer be opened."
        )
    elif plan.knows_images:
        sentences.append("No image of the hub comes from there.")
    return sentences


def get_view() -> str:
    """``list`` or ``grid``, as chosen now or before."""
    chosen = request.args.get("view") or request.cookies.get(_VIEW_COOKIE, "")
    return chosen if chosen in ("list", "grid") else "list"


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
    entries = drive_browser.list_arranged(
        db.session(), account_id, opened, folder_id, order, show, words
    )
    end = start + drive_browser.PAGE_SIZE
    return entries[start:end], {"from": end} if end < len(entries) else {}


def _describe_folder(folder: OpenFolder, entries: Sequence[Entry]) -> dict[str, Any]:
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


def _describe_choice(opened: Drive, folder_id: str) -> dict[str, Any]:
    """A folder to put something into: itself, its way up, the folders in it."""
    root = drive.get_root(opened)
    folder = opened.get_item(folder_id) if folder_id else root
    names = [show_name(crumb.name) for crumb in drive_browser.make_crumbs(opened, root, folder)]
    names[0] = "OneDrive" if names[0] == "root" else names[0]
    return {
        "id": folder.id,
        "names": names,
        "parent": "" if folder.id == root.id else folder.parent_id,
        "folders": [
            {"id": item.id, "name": show_name(item.name), "count": item.child_count}
            for item in drive_browser.list_subfolders(opened, folder.id)
        ],
    }


def _describe_mark(mark: Mark) -> dict[str, Any]:
    return {
        "group": mark.group,
        "title": mark.title or f"Group {mark.group}",
        "number": mark.number,
        "is_shown": mark.is_shown,
        "is_changed": mark.is_changed,
        "url": find_group_url(mark.group, mark.is_shown),
    }


def _make_thumbnail_url(item: DriveItem) -> str:
    if item.is_folder or item.is_package or not item.size_bytes:
        return ""
    if not item.mime_type.lower().startswith(_THUMBNAIL_KINDS):
        return ""
    return url_for(".show_drive_thumbnail", item_id=item.id, v=make_version(item))


# --- Answers --------------------------------------------------------------------------------------


def _do_each(
    ids: Sequence[str], act: Callable[[str], DriveItem]
) -> tuple[list[DriveItem], list[tuple[str, str]]]:
    """Do something to each item; what fails does not hold up the others.

    :raise InvalidInputError: nothing was chosen, or too much.
    :raise ConnectionLostError: nothing could be done. Where it comes after something was done, that
        is told, and the rest has failed.
    """
    if not 0 < len(ids) <= drive_browser.MAX_CHOSEN:
        raise InvalidInputError(
            "Nothing was chosen." if not ids else "That is too much at once.",
            {"item": "is missing" if not ids else "too many"},
        )
    done: list[DriveItem] = []
    failed: list[tuple[str, str]] = []
    lost: ConnectionLostError | None = None
    for item_id in dict.fromkeys(ids):
        if lost is not None:
            failed.append((item_id, str(lost)))
            continue
        try:
            done.append(act(item_id))
        except ConnectionLostError as error:
            if not done:
                raise
            lost = error
            failed.append((item_id, str(error)))
        except ImageHubError as error:
            failed.append((item_id, str(error)))
    return done, failed


def _note(verb: str, items: Sequence[DriveItem], words: str) -> None:
    """Write into the log what was done in OneDrive."""
    note_action(verb, "drive", items[0].id, words)
    db.session.commit()


def _look_again(account_id: int, items: Sequence[DriveItem], with_all_below: bool = False) -> None:
    """Have the images that come from these items follow soon, and not at the next regular look."""
    drive_watch.note_changes(db.session(), account_id, [item.id for item in items], with_all_below)


def _name(items: Sequence[DriveItem]) -> str:
    rest = len(items) - 1
    return f"“{show_name(items[0].name)}”" + (
        f" and {describe_count(rest, 'more item')}" if rest else ""
    )


def _answer_done(
    account_id: int,
    done: Sequence[DriveItem],
    folder_id: str,
    words: str,
    failed: Sequence[tuple[str, str]] = (),
    *,
    undo: str = "",
    fields: dict[str, Any] | None = None,
    link: tuple[str, str] | None = None,
    facts: dict[str, Any] | None = None,
) -> ResponseReturnValue:
    if is_api_call():
        entries = drive_browser.mark_items(db.session(), account_id, done)
        return jsonify(
            {
                "done": [describe_entry(entry) for entry in entries],
                "failed": [{"id": item_id, "reason": reason} for item_id, reason in failed],
                **(facts or {}),
            }
        )
    if done:
        say(words, undo=undo, link=link, **(fields or {}))
    for reason in dict.fromkeys(reason for _, reason in failed):
        count = sum(other == reason for _, other in failed)
        say(f"{describe_count(count, 'item')} stayed: {reason}", is_fault=True)
    return redirect(url_for(".show_drive", item_id=folder_id or None))


def _answer_fault(error: ImageHubError, folder_id: str) -> ResponseReturnValue:
    """A form that failed goes back to its folder with the reason; JSON gets the error itself."""
    if is_api_call() or isinstance(error, NotFoundError | ConnectionLostError):
        raise error
    say(str(error), is_fault=True)
    return redirect(url_for(".show_drive", item_id=folder_id or None))


@blueprint.errorhandler(WriteAccessError)
def _lead_to_access(error: WriteAccessError) -> ResponseReturnValue:
    """Back to the folder, where a note says how the right to change things is given."""
    if is_api_call():
        return make_error_answer(get_error_status(error), str(error))
    return redirect(url_for(".show_drive", item_id=request.form.get("folder") or None))


@blueprint.errorhandler(RootFolderGoneError)
def _lead_to_root_folder(error: RootFolderGoneError) -> ResponseReturnValue:
    """Say what has to be done, wherever the root folder was missed."""
    if is_api_call():
        return make_error_answer(get_error_status(error), str(error))
    return _show_trouble(error)


def _show_trouble(error: ImageHubError) -> ResponseReturnValue:
    page = render_template(
        "admin/drive_trouble.html",
        message=str(error),
        is_lost=isinstance(error, ConnectionLostError),
        is_root_gone=isinstance(error, RootFolderGoneError),
        is_root_given="root_folder" in get_given_settings().given,
        # The address of a form's answer is none to go to.
        again_url=request.full_path if request.method == "GET" else url_for(".show_drive"),
    )
    return page, get_error_status(error)
