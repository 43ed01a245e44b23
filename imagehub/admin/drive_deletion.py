"""Deleting in OneDrive: what it would mean, the way into the recycle bin, and the way back."""

from typing import Annotated, Any

from flask import jsonify, render_template, request, url_for
from flask.typing import ResponseReturnValue
from pydantic import BaseModel, Field, ValidationError

from imagehub.admin import blueprint
from imagehub.admin.drive_access import open_drive
from imagehub.admin.drive_acts import answer_done, note_act
from imagehub.admin.drive_words import name_items
from imagehub.admin.words import describe_count, describe_size
from imagehub.database import db
from imagehub.domain.library.groups import name_group
from imagehub.domain.onedrive import changes, deletion, recycle_bin
from imagehub.errors import InvalidInputError
from imagehub.wiring import get_settings

_MOST_IN_COOKIE = 10


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
    plan = deletion.plan_deletion(db.session(), account_id, opened, fields.items, fields.folder)
    return jsonify({"sentences": _describe_deletion(plan), "groups": _describe_groups(plan)[:50]})


@blueprint.post("/admin/drive/delete")
def delete_drive_items() -> ResponseReturnValue:
    """Put items into OneDrive's recycle bin, once somebody is sure; says first what that means."""
    account_id, opened = open_drive(for_change=True)
    ids, folder_id = request.form.getlist("item"), request.form.get("folder", "")
    if request.form.get("sure") != "yes":
        plan = deletion.plan_deletion(db.session(), account_id, opened, ids, folder_id)
        return render_template(
            "admin/drive_delete.html",
            items=plan.items,
            folder=folder_id,
            sentences=_describe_deletion(plan),
            groups=_describe_groups(plan),
        )

    outcome = changes.delete_items(db.session(), account_id, opened, ids)
    done = outcome.done
    if done:
        note_act("delete", done, f"Put {name_items(done)} into OneDrive’s recycle bin.")
    bin_ = recycle_bin.find_recycle_bin(opened, done)
    mark = ""
    if done and bin_.can_restore:
        mark = recycle_bin.sign_deletion(get_settings().secret_key, account_id, done)
    stay = f", for {bin_.days} days" if bin_.days else ""
    items = describe_count(len(done), "item is", "items are")
    words = f"{items} in OneDrive’s recycle bin now{stay}."
    # Without a script the mark travels in a cookie, which has no room for many.
    undo = "admin.restore_drive_items" if mark and len(done) <= _MOST_IN_COOKIE else ""
    return answer_done(
        account_id,
        done,
        folder_id,
        words,
        outcome.failed,
        undo=undo,
        fields={"deletion": mark, "folder": folder_id} if undo else {},
        link=(bin_.url, "Open it") if bin_.url else None,
        facts={"deletion": mark, "bin": {"url": bin_.url, "days": bin_.days}},
    )


@blueprint.post("/admin/drive/restore")
def restore_drive_items() -> ResponseReturnValue:
    """Bring back what was deleted here; ``deletion`` is the mark that it answered with."""
    account_id, opened = open_drive(for_change=True)
    folder_id = request.form.get("folder", "")
    mark = request.form.get("deletion", "")
    places = recycle_bin.read_deletion(get_settings().secret_key, account_id, mark)
    outcome = changes.restore_items(db.session(), account_id, opened, places)
    done = outcome.done
    if done:
        note_act("restore", done, f"Brought {name_items(done)} back from OneDrive’s recycle bin.")
    words = f"{describe_count(len(done), 'item is', 'items are')} back."
    return answer_done(account_id, done, folder_id, words, outcome.failed)


# --- What it means --------------------------------------------------------------------------------


def _describe_deletion(plan: deletion.Deletion) -> list[str]:
    """What will happen, in sentences."""
    files = describe_count(plan.file_count, "file")
    folders = describe_count(plan.folder_count, "folder")
    if not plan.is_complete:
        least = min(plan.file_count + plan.folder_count, deletion.MAX_COUNTED)
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
