"""Deleting in OneDrive: what it would mean, the way into the recycle bin, and the way back."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from flask import jsonify, render_template, request, url_for
from flask.typing import ResponseReturnValue
from itsdangerous import BadData, URLSafeTimedSerializer
from pydantic import BaseModel, Field, ValidationError

from imagehub.admin import blueprint
from imagehub.admin.drive_access import open_drive
from imagehub.admin.drive_acts import answer_done, do_each, look_again, note_act
from imagehub.admin.drive_words import name_items
from imagehub.admin.words import describe_count, describe_size
from imagehub.clients import Drive, DriveItem
from imagehub.database import db
from imagehub.domain.library.groups import name_group
from imagehub.domain.onedrive import browser
from imagehub.domain.onedrive import folders as onedrive_folders
from imagehub.errors import ConnectionLostError, InvalidInputError, NotFoundError, ServiceError
from imagehub.wiring import get_settings

_UNDO_SECONDS = 86_400
_MOST_IN_COOKIE = 10
_SITE = re.compile(r"https://[\w.-]+/(?:personal|sites|teams)/[^/?#]+")


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
    plan = browser.plan_deletion(db.session(), account_id, opened, fields.items, fields.folder)
    return jsonify({"sentences": _describe_deletion(plan), "groups": _describe_groups(plan)[:50]})


@blueprint.post("/admin/drive/delete")
def delete_drive_items() -> ResponseReturnValue:
    """Put items into OneDrive's recycle bin, once somebody is sure; says first what that means."""
    account_id, opened = open_drive(for_change=True)
    ids, folder_id = request.form.getlist("item"), request.form.get("folder", "")
    if request.form.get("sure") != "yes":
        plan = browser.plan_deletion(db.session(), account_id, opened, ids, folder_id)
        return render_template(
            "admin/drive_delete.html",
            items=plan.items,
            folder=folder_id,
            sentences=_describe_deletion(plan),
            groups=_describe_groups(plan),
        )

    def delete(item_id: str) -> DriveItem:
        item = opened.get_item(item_id)
        onedrive_folders.delete_item(opened, item_id)
        return item

    done, failed = do_each(ids, delete)
    if done:
        note_act("delete", done, f"Put {name_items(done)} into OneDrive’s recycle bin.")
        look_again(account_id, done, with_all_below=True)
    recycle_bin = _find_recycle_bin(opened, done)
    mark = _sign_deletion(account_id, done) if done and recycle_bin.can_restore else ""
    stay = f", for {recycle_bin.days} days" if recycle_bin.days else ""
    items = describe_count(len(done), "item is", "items are")
    words = f"{items} in OneDrive’s recycle bin now{stay}."
    # Without a script the mark travels in a cookie, which has no room for many.
    undo = "admin.restore_drive_items" if mark and len(done) <= _MOST_IN_COOKIE else ""
    return answer_done(
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
    done, failed = do_each(
        list(places), lambda item_id: opened.restore_item(item_id, places[item_id])
    )
    if done:
        note_act("restore", done, f"Brought {name_items(done)} back from OneDrive’s recycle bin.")
        look_again(account_id, done, with_all_below=True)
    words = f"{describe_count(len(done), 'item is', 'items are')} back."
    return answer_done(account_id, done, folder_id, words, failed)


# --- What it means --------------------------------------------------------------------------------


def _describe_deletion(plan: browser.Deletion) -> list[str]:
    """What will happen, in sentences."""
    files = describe_count(plan.file_count, "file")
    folders = describe_count(plan.folder_count, "folder")
    if not plan.is_complete:
        least = min(plan.file_count + plan.folder_count, browser.MAX_COUNTED)
        what = f"More than {describe_count(least, 'item')}"
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
        or_more = "" if plan.knows_images else "At least "
        comes = "comes" if plan.image_count == 1 else "come"
        sentences.append(
            f"{or_more}{count} of the hub {comes} from there: in {groups}, {public}. The gallery "
            "keeps showing them, but their full size can no longer be opened."
        )
    elif plan.knows_images:
        sentences.append("No image of the hub comes from there.")
    return sentences


def _describe_groups(plan: browser.Deletion) -> list[dict[str, Any]]:
    return [
        {
            "number": group.number,
            "title": name_group(group.number, group.title),
            "images": group.image_count,
            "shown": group.is_shown,
            "url": url_for(".show_library_group", number=group.number),
        }
        for group in plan.groups
    ]


# --- The recycle bin ------------------------------------------------------------------------------


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
