"""Change items in OneDrive: create folders, rename, move, delete and restore items.

Each address answers with a page, or with JSON if the request accepts it. Where a form needs an
answer first (a name, a folder), a page of its own asks for it, so that it works without a script.
"""

from collections.abc import Sequence
from typing import Annotated, Any

from flask import jsonify, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from pydantic import BaseModel, Field

from imagehub.admin import act, blueprint, drive
from imagehub.admin.words import describe_size, say
from imagehub.clients import Drive, DriveItem
from imagehub.database import db
from imagehub.domain.library.groups import name_group
from imagehub.domain.onedrive import browser, changes, deletion, folders
from imagehub.domain.onedrive.changes import Outcome
from imagehub.errors import ConnectionLostError, ImageHubError, InvalidInputError, NotFoundError
from imagehub.messages import mark_plural
from imagehub.web import commit_action
from imagehub.web.access import is_api_call
from imagehub.web.errors import get_error_status
from imagehub.web.forms import Checkbox, FormText, FormTexts, read_form, read_json
from imagehub.web.i18n import ngettext, translate
from imagehub.wiring import get_signing_keys

# An undo without a script is stored in a cookie, which has no room for many.
_MAX_IN_COOKIE = 10


class RenameFields(drive.FolderFields):
    """``item``: "" for a new folder. ``was``: the item's name when the form was made."""

    item: FormText = ""
    name: FormText = ""
    was: FormText = ""


class ItemsFields(drive.FolderFields):
    """The selected items by their ids."""

    item: FormTexts = Field(default_factory=list)


class MoveFields(ItemsFields):
    """``look``: the folder to show; "" for the items' own. ``target``: where to move the items."""

    look: FormText = ""
    target: FormText = ""


class PlanFields(BaseModel):
    """``items`` were selected in ``folder``."""

    folder: Annotated[str, Field(max_length=255)] = ""
    items: Annotated[
        list[Annotated[str, Field(max_length=400)]],
        Field(min_length=1, max_length=browser.MAX_LISTED),
    ]


class DeleteFields(ItemsFields):
    """``sure``: the person has confirmed. ``deletion``: the mark of a deletion to undo."""

    sure: Checkbox = False
    deletion: FormText = ""


def _answer_fault(error: ImageHubError) -> ResponseReturnValue:
    """Go back to the folder with the reason; a script gets the error itself."""
    if is_api_call() or isinstance(error, NotFoundError | ConnectionLostError):
        raise error
    say(error.sentence, is_fault=True)
    return redirect(url_for(".show_drive", item_id=read_form(drive.FolderFields).folder or None))


@act("/admin/drive/new-folder", _answer_fault)
def create_drive_folder() -> ResponseReturnValue:
    """Create a folder; if the name is taken, a number is added."""
    account_id, opened = drive.open_drive(for_change=True)
    fields = read_form(RenameFields)
    created = folders.create_folder(opened, fields.name.strip(), fields.folder)
    name = drive.show_name(created.name)
    commit_action("create_folder", created.id, name=name)
    words = _("The folder “%(name)s” was created.", name=name)
    return _answer_done(account_id, Outcome([created]), fields.folder, words)


@blueprint.post("/admin/drive/ask-rename")
def ask_drive_name() -> ResponseReturnValue:
    """Ask for the new name of the first selected item."""
    _account_id, opened = drive.open_drive(for_change=True)
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


@act("/admin/drive/rename", _ask_name_again)
def rename_drive_item() -> ResponseReturnValue:
    """Rename an item."""
    account_id, opened = drive.open_drive(for_change=True)
    fields = read_form(RenameFields)
    item, old_name = changes.rename_item(db.session(), account_id, opened, fields.item, fields.name)
    before, after = drive.show_name(old_name), drive.show_name(item.name)
    commit_action("rename_item", item.id, name=after, before=before)
    return _answer_done(
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
    _account_id, opened = drive.open_drive(for_change=True)
    fields = read_form(MoveFields)
    return render_template(
        "admin/drive_move.html",
        items=browser.get_items(opened, fields.item),
        folder=fields.folder,
        choice=drive.describe_choice(opened, fields.look or fields.folder),
    )


@blueprint.post("/admin/drive/move")
def move_drive_items() -> ResponseReturnValue:
    """Move items into another folder."""
    account_id, opened = drive.open_drive(for_change=True)
    fields = read_form(MoveFields)
    outcome = changes.move_items(db.session(), account_id, opened, fields.item, fields.target)
    done = outcome.done
    if done:
        _commit_items("move_items", done, folder=_find_folder_name(opened, fields.target))
    undo, undo_fields = "", {}
    # Undo is a single request, so it is offered for a single item.
    if fields.folder and len(done) == 1:
        undo = "admin.move_drive_items"
        undo_fields = {"item": done[0].id, "target": fields.folder, "folder": fields.target}
    words = ngettext("%(num)s item was moved.", "%(num)s items were moved.", len(done))
    return _answer_done(account_id, outcome, fields.folder, words, undo=undo, fields=undo_fields)


def _find_folder_name(opened: Drive, folder_id: str) -> str:
    """Find a folder's name for the log; … if OneDrive does not give it any more."""
    try:
        folder = opened.get_item(folder_id)
    except ImageHubError:
        return "…"
    return "OneDrive" if "root" in folder.raw else drive.show_name(folder.name)


# --- Deleting -------------------------------------------------------------------------------------


@blueprint.post("/admin/drive/delete/plan")
def plan_drive_deletion() -> ResponseReturnValue:
    """Describe as JSON what deleting would mean, for any number of items in a folder."""
    account_id, opened = drive.open_drive(for_change=True)
    fields = read_json(PlanFields)
    plan = deletion.plan_deletion(db.session(), account_id, opened, fields.items, fields.folder)
    return jsonify({"sentences": _describe_deletion(plan), "groups": _describe_groups(plan)[:50]})


@blueprint.post("/admin/drive/ask-delete")
def ask_drive_deletion() -> ResponseReturnValue:
    """Show what deleting would mean, and ask for a confirmation."""
    account_id, opened = drive.open_drive(for_change=True)
    fields = read_form(ItemsFields)
    plan = deletion.plan_deletion(db.session(), account_id, opened, fields.item, fields.folder)
    return render_template(
        "admin/drive_delete.html",
        items=plan.items,
        folder=fields.folder,
        sentences=_describe_deletion(plan),
        groups=_describe_groups(plan),
    )


@blueprint.post("/admin/drive/delete")
def delete_drive_items() -> ResponseReturnValue:
    """Move items to OneDrive's recycle bin."""
    account_id, opened = drive.open_drive(for_change=True)
    fields = read_form(DeleteFields)
    if not fields.sure:
        raise InvalidInputError(
            "Nothing was deleted because the deletion was not confirmed.", {"sure": "missing"}
        )
    outcome = changes.delete_items(db.session(), account_id, opened, fields.item)
    done = outcome.done
    _commit_items("delete_items", done)
    place = deletion.find_recycle_bin(opened, done)
    mark = ""
    if done and place.can_restore:
        mark = deletion.sign_deletion(get_signing_keys(), account_id, done)
    undo = "admin.restore_drive_items" if mark and len(done) <= _MAX_IN_COOKIE else ""
    words = ngettext(
        "%(num)s item is now in the OneDrive recycle bin.",
        "%(num)s items are now in the OneDrive recycle bin.",
        len(done),
    )
    if place.days:
        kept = ngettext(
            "OneDrive keeps it for %(days)s days.",
            "OneDrive keeps them for %(days)s days.",
            len(done),
            days=place.days,
        )
        words += " " + kept
    return _answer_done(
        account_id,
        outcome,
        fields.folder,
        words,
        undo=undo,
        fields={"deletion": mark, "folder": fields.folder} if undo else {},
        link=(place.url, _("Open recycle bin")) if place.url else None,
        facts={"deletion": mark, "bin": {"url": place.url, "days": place.days}},
    )


@blueprint.post("/admin/drive/restore")
def restore_drive_items() -> ResponseReturnValue:
    """Restore items that were deleted here."""
    account_id, opened = drive.open_drive(for_change=True)
    fields = read_form(DeleteFields)
    places = deletion.read_deletion(get_signing_keys(), account_id, fields.deletion)
    outcome = changes.restore_items(db.session(), account_id, opened, places)
    done = outcome.done
    _commit_items("restore_items", done)
    words = ngettext("%(num)s item was restored.", "%(num)s items were restored.", len(done))
    return _answer_done(account_id, outcome, fields.folder, words)


def _describe_deletion(plan: deletion.Deletion) -> list[str]:
    what = _count_items(plan)
    if plan.size_bytes:
        what = f"{what} ({describe_size(plan.size_bytes)})"
    sentences = [_("To be moved to the OneDrive recycle bin: %(what)s.", what=what)]
    if plan.image_count:
        sentences.append(_describe_images(plan))
    elif plan.knows_images:
        sentences.append(_("No image was imported from there."))
    return sentences


def _count_items(plan: deletion.Deletion) -> str:
    files = ngettext("%(num)s file", "%(num)s files", plan.file_count)
    folders = ngettext("%(num)s folder", "%(num)s folders", plan.folder_count)
    if not plan.is_complete:
        least = min(plan.file_count + plan.folder_count, deletion.MAX_COUNTED)
        return ngettext("more than %(num)s item", "more than %(num)s items", least)
    if not plan.folder_count:
        return files
    if not plan.file_count:
        return str(_("%(folders)s without files", folders=folders))
    return str(_("%(folders)s with %(files)s", folders=folders, files=files))


def _describe_images(plan: deletion.Deletion) -> str:
    count, shown = plan.image_count, plan.shown_image_count
    groups = ngettext("%(num)s group", "%(num)s groups", len(plan.groups))
    forms = mark_plural(
        "%(num)s image was imported from there, in %(groups)s.",
        "%(num)s images were imported from there, in %(groups)s.",
    )
    if not plan.knows_images:
        forms = mark_plural(
            "At least %(num)s image was imported from there, in %(groups)s.",
            "At least %(num)s images were imported from there, in %(groups)s.",
        )
    if not shown:
        public = _("None of this is published.")
    elif shown == count:
        public = _("All of this is published and stays online.")
    else:
        public = ngettext(
            "%(num)s of them is published and stays online.",
            "%(num)s of them are published and stay online.",
            shown,
        )
    imported = ngettext(*forms, count, groups=groups)
    return " ".join([imported, public, _("Full-size images can no longer be opened.")])


def _describe_groups(plan: deletion.Deletion) -> list[dict[str, Any]]:
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


# --- What all changes share -----------------------------------------------------------------------


def _commit_items(action: str, done: Sequence[DriveItem], **values: Any) -> None:
    """Commit an action on items, if there are any; see ``commit_action``."""
    if done:
        commit_action(
            action, done[0].id, names=[drive.show_name(item.name) for item in done], **values
        )


def _answer_done(
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
        done = drive.describe_items(account_id, outcome.done)
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
