"""Delete items in OneDrive: what it means, the way to the recycle bin, and the way back."""

from typing import Annotated, Any

from flask import jsonify, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from pydantic import BaseModel, Field

from imagehub.admin import blueprint
from imagehub.admin.drive import FolderFields, open_drive
from imagehub.admin.drive_acts import ItemsFields, answer_done, commit_items
from imagehub.admin.words import describe_size
from imagehub.database import db
from imagehub.domain.library.groups import name_group
from imagehub.domain.onedrive import browser, changes, deletion
from imagehub.errors import InvalidInputError
from imagehub.web.forms import Checkbox, FormText, read_form, read_json
from imagehub.web.i18n import ngettext
from imagehub.wiring import get_settings

_MAX_IN_COOKIE = 10


class PlanFields(BaseModel):
    """``items`` were selected in ``folder``."""

    folder: Annotated[str, Field(max_length=255)] = ""
    items: Annotated[
        list[Annotated[str, Field(max_length=400)]],
        Field(min_length=1, max_length=browser.MAX_LISTED),
    ]


class DeleteFields(ItemsFields):
    """``sure``: the person has confirmed."""

    sure: Checkbox = False


class RestoreFields(FolderFields):
    """``deletion``: the mark that the deletion answered with."""

    deletion: FormText = ""


@blueprint.post("/admin/drive/delete/plan")
def plan_drive_deletion() -> ResponseReturnValue:
    """Describe as JSON what deleting would mean, for any number of items in a folder."""
    account_id, opened = open_drive(for_change=True)
    fields = read_json(PlanFields)
    plan = deletion.plan_deletion(db.session(), account_id, opened, fields.items, fields.folder)
    return jsonify({"sentences": _describe_deletion(plan), "groups": _describe_groups(plan)[:50]})


@blueprint.post("/admin/drive/ask-delete")
def ask_drive_deletion() -> ResponseReturnValue:
    """Show what deleting would mean, and ask for a confirmation."""
    account_id, opened = open_drive(for_change=True)
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
    account_id, opened = open_drive(for_change=True)
    fields = read_form(DeleteFields)
    if not fields.sure:
        raise InvalidInputError(
            "Nothing was deleted because the deletion was not confirmed.", {"sure": "missing"}
        )
    outcome = changes.delete_items(db.session(), account_id, opened, fields.item)
    done = outcome.done
    commit_items("delete_items", done)
    place = deletion.find_recycle_bin(opened, done)
    mark = ""
    if done and place.can_restore:
        mark = deletion.sign_deletion(get_settings().secret_key, account_id, done)
    # Without a script the mark is stored in a cookie, which has no room for many.
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
    return answer_done(
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
    account_id, opened = open_drive(for_change=True)
    fields = read_form(RestoreFields)
    places = deletion.read_deletion(get_settings().secret_key, account_id, fields.deletion)
    outcome = changes.restore_items(db.session(), account_id, opened, places)
    done = outcome.done
    commit_items("restore_items", done)
    words = ngettext("%(num)s item was restored.", "%(num)s items were restored.", len(done))
    return answer_done(account_id, outcome, fields.folder, words)


# --- What it means --------------------------------------------------------------------------------


def _describe_deletion(plan: deletion.Deletion) -> list[str]:
    """Describe in sentences what would happen."""
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
    if plan.knows_images:
        first = ngettext(
            "%(num)s image was imported from there, in %(groups)s.",
            "%(num)s images were imported from there, in %(groups)s.",
            count,
            groups=groups,
        )
    else:
        first = ngettext(
            "At least %(num)s image was imported from there, in %(groups)s.",
            "At least %(num)s images were imported from there, in %(groups)s.",
            count,
            groups=groups,
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
    return " ".join([first, public, _("Full-size images can no longer be opened.")])


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
