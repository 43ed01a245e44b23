"""Change items in OneDrive: create folders, rename and move items.

Each address answers with a page, or with JSON if the request accepts it. Where a form needs an
answer first (a name, a folder), a page of its own asks for it, so that it works without a script.
"""

from collections.abc import Sequence
from typing import Any

from flask import jsonify, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from pydantic import Field

from imagehub.admin import blueprint
from imagehub.admin.drive import (
    FolderFields,
    describe_choice,
    describe_items,
    open_drive,
    show_name,
)
from imagehub.admin.words import say
from imagehub.clients import Drive, DriveItem
from imagehub.database import db
from imagehub.domain.onedrive import browser, changes, folders
from imagehub.domain.onedrive.changes import Outcome
from imagehub.errors import ConnectionLostError, ImageHubError, NotFoundError
from imagehub.web import commit_action
from imagehub.web.access import is_api_call
from imagehub.web.errors import get_error_status, on_refusal
from imagehub.web.forms import FormText, FormTexts, read_form
from imagehub.web.i18n import ngettext, translate


class RenameFields(FolderFields):
    """``item``: "" for a new folder. ``was``: the item's name when the form was made."""

    item: FormText = ""
    name: FormText = ""
    was: FormText = ""


class ItemsFields(FolderFields):
    """The selected items by their ids."""

    item: FormTexts = Field(default_factory=list)


class MoveFields(ItemsFields):
    """``look``: the folder to show; "" for the items' own. ``target``: where to move the items."""

    look: FormText = ""
    target: FormText = ""


def _answer_fault(error: ImageHubError) -> ResponseReturnValue:
    """Go back to the folder with the reason; a script gets the error itself."""
    if is_api_call() or isinstance(error, NotFoundError | ConnectionLostError):
        raise error
    say(error.sentence, is_fault=True)
    return redirect(url_for(".show_drive", item_id=read_form(FolderFields).folder or None))


@blueprint.post("/admin/drive/new-folder")
@on_refusal(_answer_fault)
def create_drive_folder() -> ResponseReturnValue:
    """Create a folder; if the name is taken, a number is added."""
    account_id, opened = open_drive(for_change=True)
    fields = read_form(RenameFields)
    created = folders.create_folder(opened, fields.name.strip(), fields.folder)
    name = show_name(created.name)
    commit_action("create_folder", created.id, name=name)
    words = _("The folder “%(name)s” was created.", name=name)
    return answer_done(account_id, Outcome([created]), fields.folder, words)


@blueprint.post("/admin/drive/ask-rename")
def ask_drive_name() -> ResponseReturnValue:
    """Ask for the new name of the first selected item."""
    _account_id, opened = open_drive(for_change=True)
    fields = read_form(ItemsFields)
    (item,) = browser.get_items(opened, fields.item[:1])
    return render_template("admin/drive_rename.html", item=item, folder=fields.folder, fault="")


def _ask_name_again(error: ImageHubError) -> ResponseReturnValue:
    if is_api_call() or isinstance(error, NotFoundError | ConnectionLostError):
        raise error
    fields = read_form(RenameFields)
    page = render_template(
        "admin/drive_rename.html",
        # OneDrive is not asked again: it may be what does not answer.
        item=DriveItem(fields.item, fields.was or fields.name, False, 0, "", ""),
        name=fields.name,
        folder=fields.folder,
        fault=translate(error.sentence),
    )
    return page, get_error_status(error)


@blueprint.post("/admin/drive/rename")
@on_refusal(_ask_name_again)
def rename_drive_item() -> ResponseReturnValue:
    """Rename an item."""
    account_id, opened = open_drive(for_change=True)
    fields = read_form(RenameFields)
    item, old_name = changes.rename_item(db.session(), account_id, opened, fields.item, fields.name)
    before, after = show_name(old_name), show_name(item.name)
    commit_action("rename_item", item.id, name=after, before=before)
    return answer_done(
        account_id,
        Outcome([item]),
        fields.folder,
        _("“%(before)s” was renamed to “%(after)s”.", before=before, after=after),
        undo="admin.rename_drive_item",
        fields={"item": item.id, "name": old_name, "folder": fields.folder},
        facts={"old_name": old_name},
    )


@blueprint.post("/admin/drive/ask-move")
def ask_drive_target() -> ResponseReturnValue:
    """Ask for the folder to move the selected items to."""
    _account_id, opened = open_drive(for_change=True)
    fields = read_form(MoveFields)
    return render_template(
        "admin/drive_move.html",
        items=browser.get_items(opened, fields.item),
        folder=fields.folder,
        choice=describe_choice(opened, fields.look or fields.folder),
    )


@blueprint.post("/admin/drive/move")
def move_drive_items() -> ResponseReturnValue:
    """Move items into another folder."""
    account_id, opened = open_drive(for_change=True)
    fields = read_form(MoveFields)
    outcome = changes.move_items(db.session(), account_id, opened, fields.item, fields.target)
    done = outcome.done
    if done:
        commit_items("move_items", done, folder=_find_folder_name(opened, fields.target))
    undo, undo_fields = "", {}
    # Undo is a single request, so it is offered for a single item.
    if fields.folder and len(done) == 1:
        undo = "admin.move_drive_items"
        undo_fields = {"item": done[0].id, "target": fields.folder, "folder": fields.target}
    words = ngettext("%(num)s item was moved.", "%(num)s items were moved.", len(done))
    return answer_done(account_id, outcome, fields.folder, words, undo=undo, fields=undo_fields)


def _find_folder_name(opened: Drive, folder_id: str) -> str:
    """Find a folder's name for the log; … if OneDrive does not give it any more."""
    try:
        folder = opened.get_item(folder_id)
    except ImageHubError:
        return "…"
    return "OneDrive" if "root" in folder.raw else show_name(folder.name)


# --- What all changes share -----------------------------------------------------------------------


def commit_items(action: str, done: Sequence[DriveItem], **values: Any) -> None:
    """Commit an action on items, if there are any; see ``commit_action``."""
    if done:
        commit_action(action, done[0].id, names=[show_name(item.name) for item in done], **values)


def answer_done(
    account_id: int,
    outcome: Outcome,
    folder_id: str,
    words: str,
    *,
    undo: str = "",
    fields: dict[str, Any] | None = None,
    link: tuple[str, str] | None = None,
    facts: dict[str, Any] | None = None,
) -> ResponseReturnValue:
    """Answer with what was done, and why the rest was not.

    :param undo: the endpoint that undoes the act by a form with these ``fields``; "" for none.
    :param link: address and text of a link to another site.
    :param facts: further values of the JSON.
    """
    if is_api_call():
        failed = [
            {"id": item_id, "reason": translate(reason)} for item_id, reason in outcome.failed
        ]
        done = describe_items(account_id, outcome.done)
        return jsonify({"done": done, "failed": failed, **(facts or {})})
    if outcome.done:
        say(words, undo=undo, link=link, **(fields or {}))
    reasons = [reason for _item_id, reason in outcome.failed]
    for reason in dict.fromkeys(reasons):
        fault = ngettext(
            "%(num)s item was not changed: %(reason)s",
            "%(num)s items were not changed: %(reason)s",
            reasons.count(reason),
            reason=translate(reason),
        )
        say(fault, is_fault=True)
    return redirect(url_for(".show_drive", item_id=folder_id or None))
