"""What the admin changes in OneDrive: folders are made, items renamed and moved.

Each address answers a page, or JSON where the caller asks for that (``Accept``). The forms work
without a script: an address that needs an answer first (a name, a target) has a page for it.
"""

from collections.abc import Sequence
from typing import Any

from flask import jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from imagehub.admin import blueprint
from imagehub.admin.drive_access import open_drive
from imagehub.admin.drive_words import (
    describe_choice,
    describe_entry,
    describe_place,
    name_items,
)
from imagehub.admin.words import describe_count, say, show_name
from imagehub.clients import DriveItem
from imagehub.database import db
from imagehub.domain.onedrive import browser, changes, entries, folders
from imagehub.errors import (
    ConnectionLostError,
    ImageHubError,
    NotFoundError,
)
from imagehub.web import note_action
from imagehub.web.access import is_api_call
from imagehub.web.errors import get_error_status


@blueprint.post("/admin/drive/new-folder")
def create_drive_folder() -> ResponseReturnValue:
    """Make a folder; a taken name gets a number."""
    account_id, opened = open_drive(for_change=True)
    parent_id = request.form.get("folder", "")
    try:
        made = folders.create_folder(opened, request.form.get("name", "").strip(), parent_id)
    except ImageHubError as error:
        return _answer_fault(error, parent_id)
    note_act("create", [made], f"Made the folder {name_items([made])} in OneDrive.")
    return answer_done(account_id, [made], parent_id, f"The folder {name_items([made])} was made.")


@blueprint.post("/admin/drive/rename")
def rename_drive_item() -> ResponseReturnValue:
    """Give an item another name; asks for it where none was sent."""
    account_id, opened = open_drive(for_change=True)
    item_id, folder_id = request.form.get("item", ""), request.form.get("folder", "")
    name = request.form.get("name")
    if name is None:
        (item,) = browser.get_items(opened, request.form.getlist("item")[:1])
        return render_template("admin/drive_rename.html", item=item, folder=folder_id, fault="")
    try:
        renamed = changes.rename_item(db.session(), account_id, opened, item_id, name)
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
    item, old_name = renamed.item, renamed.old_name
    note_act(
        "change", [item], f"Renamed “{show_name(old_name)}” to {name_items([item])} in OneDrive."
    )
    return answer_done(
        account_id,
        [item],
        folder_id,
        f"“{show_name(old_name)}” is called {name_items([item])} now.",
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
            items=browser.get_items(opened, ids),
            folder=folder_id,
            choice=describe_choice(opened, request.form.get("look", "") or folder_id),
        )
    outcome = changes.move_items(db.session(), account_id, opened, ids, target)
    done = outcome.done
    if done:
        place = describe_place(opened, target)
        note_act("change", done, f"Moved {name_items(done)} to {place} in OneDrive.")
    words = f"{describe_count(len(done), 'item was', 'items were')} moved."
    # Back to where they came from is only one step where that is one folder.
    undo = "admin.move_drive_items" if folder_id and len(done) == 1 else ""
    fields: dict[str, Any] = (
        {"item": done[0].id, "target": folder_id, "folder": target} if undo else {}
    )
    return answer_done(account_id, done, folder_id, words, outcome.failed, undo=undo, fields=fields)


# --- What all changes share -----------------------------------------------------------------------


def note_act(verb: str, items: Sequence[DriveItem], words: str) -> None:
    """Write into the log what was done in OneDrive."""
    note_action(verb, "drive", items[0].id, words)
    db.session.commit()


def answer_done(
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
    """Say what was done, and why the rest was not.

    :param failed: (item id, reason) of what stayed as it was.
    :param undo: endpoint that takes the step back by a form of these ``fields``; "" for none.
    :param link: address and words of a page outside that the sentence leads to.
    :param facts: what a script hears besides.
    """
    if is_api_call():
        marked = entries.mark_items(db.session(), account_id, done)
        return jsonify(
            {
                "done": [describe_entry(entry) for entry in marked],
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
