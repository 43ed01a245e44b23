"""Acts on the selected groups of the library, or on all groups of a list."""

from collections.abc import Sequence

from flask import redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user
from pydantic import Field

from imagehub.admin import act, originals
from imagehub.admin.found_words import get_hub
from imagehub.admin.library_list import PostedPlace, answer, name_group, show_list
from imagehub.admin.videos import play_stills
from imagehub.admin.words import link_gallery, say
from imagehub.database import db
from imagehub.domain.library import bulk, edit, found_words, listing, prices, trash
from imagehub.domain.library.bulk import BulkEdit, Progress
from imagehub.errors import ImageHubError, InvalidInputError
from imagehub.models import Group
from imagehub.web import commit_action
from imagehub.web.access import is_api_call
from imagehub.web.forms import Checkbox, Form, FormTexts, Ids, read_form
from imagehub.web.i18n import ngettext


class _Selected(Form):
    """The selected groups; ``all`` means all groups of the list, on all of its pages.

    ``sure``: the person has confirmed to join them.
    """

    group: Ids("group") = Field([])  # type: ignore[valid-type]
    all: Checkbox = False
    sure: Checkbox = False


class _EditFields(Form):
    """What the form sets for many groups."""

    medium: str = ""
    dimensions: str = ""
    year: str = ""
    edition: str = ""
    availability: str = ""
    price: str = ""
    currency: str = ""
    price_shown: str = ""
    creator: str = ""
    copyright_notice: str = ""
    license_url: str = ""
    add_tags: str = ""
    remove_tags: str = ""

    def make_edit(self) -> BulkEdit:
        return bulk.make_edit(self.model_dump(), self.add_tags, self.remove_tags)


class _Typed(_EditFields):
    """The values of the form that are shown again after a refusal."""

    group: FormTexts = Field([])
    all: str = ""


def _refuse(error: ImageHubError) -> ResponseReturnValue:
    if is_api_call():
        raise error
    typed = read_form(_Typed)
    is_edit = request.endpoint == "admin.edit_groups"
    fields = typed.model_dump(exclude={"group"})
    return show_list(read_form(PostedPlace), error, fields, typed.group, is_edit=is_edit)


def _read_selected() -> list[int]:
    """Raise InvalidInputError if no group is selected, or all together."""
    selected = read_form(_Selected)
    if selected.all:
        raise InvalidInputError("This is only possible for groups that you select one by one.")
    if not selected.group:
        raise InvalidInputError("Select groups first.", {"group": "is empty"})
    return list(selected.group)


def _return_to_list() -> ResponseReturnValue:
    return answer(read_form(PostedPlace).make_url())


# --- Editing --------------------------------------------------------------------------------------


@act("/admin/library/publish", _refuse)
def publish_groups() -> ResponseReturnValue:
    """Publish groups."""
    return _edit(BulkEdit({"state": "published"}))


@act("/admin/library/unpublish", _refuse)
def unpublish_groups() -> ResponseReturnValue:
    """Make groups drafts."""
    return _edit(BulkEdit({"state": "draft"}))


@act("/admin/library/edit", _refuse)
def edit_groups() -> ResponseReturnValue:
    """Set the fields that are filled in, and add and remove tags."""
    return _edit(read_form(_EditFields).make_edit())


def _edit(change: BulkEdit) -> ResponseReturnValue:
    if read_form(_Selected).all:
        return _edit_all(change)
    numbers = _read_selected()
    count = bulk.edit_groups(db.session(), numbers, change)
    _commit_edit(numbers, count, change)
    _say_edited(count, change, numbers)
    return _return_to_list()


class _Steps(Form):
    """The progress of an edit of a whole list, as its page sends it on."""

    at: str = ""
    total: int = 0
    seen: int = 0
    done: int = 0


def _edit_all(change: BulkEdit) -> ResponseReturnValue:
    """Ask whether all groups of a list shall be edited; then edit them, some with each request."""
    session, place, steps = db.session(), read_form(PostedPlace), read_form(_Steps)
    if steps.total:
        progress = Progress(steps.at, steps.total, steps.seen, steps.done)
        numbers, progress = bulk.edit_next(
            session, place.filter_name, place.words, change, progress
        )
        _commit_edit(numbers, progress.changed - steps.done, change)
        if progress.is_done:
            _say_edited(progress.changed, change, [])
            return _return_to_list()
    else:
        progress = Progress("", listing.count_groups(session, place.filter_name, place.words))
    return render_template(
        "admin/library_all.html",
        act=request.endpoint,
        edit=change,
        field_names=edit.FIELD_NAMES,
        choices={"availability": edit.AVAILABILITIES, "price_shown": prices.SHOWN},
        filter_name=place.filter_name,
        filters=listing.FILTERS,
        words=place.words,
        place=place.kept,
        back=place.make_url(),
        kept=read_form(_EditFields).model_dump(),
        progress=progress,
    )


def _commit_edit(numbers: Sequence[int], count: int, change: BulkEdit) -> None:
    """Commit an edit, unless it changed nothing."""
    if count:
        fields = [edit.FIELD_NAMES[name] for name in change.changes or ["tags"]]
        key = numbers[0] if len(numbers) == 1 else ""
        commit_action("edit_groups", key, count=count, fields=fields)


def _say_edited(count: int, change: BulkEdit, numbers: Sequence[int]) -> None:
    """Say what was done to groups; ``numbers`` is empty if they are all groups of a list."""
    state = change.changes.get("state")
    if not count:
        say(_("No groups needed changing."))
    elif state == "published":
        words = ngettext("%(num)s group is published.", "%(num)s groups are published.", count)
        say(words, link=link_gallery(db.session(), numbers, is_all=not numbers))
    elif state == "draft":
        say(ngettext("%(num)s group is now a draft.", "%(num)s groups are now drafts.", count))
    else:
        say(ngettext("%(num)s group was changed.", "%(num)s groups were changed.", count))


# --- Other acts -----------------------------------------------------------------------------------


@act("/admin/library/join", _refuse)
def join_groups() -> ResponseReturnValue:
    """Ask whether groups shall be joined and say what will happen; then join them."""
    session, numbers = db.session(), _read_selected()
    if not read_form(_Selected).sure:
        place = read_form(PostedPlace)
        return render_template(
            "admin/library_join.html",
            preview=bulk.preview_join(session, numbers),
            back=place.make_url(),
            place=place.kept,
        )
    group, gone = bulk.join_groups(session, numbers, current_user.id)
    count, numbers_gone = len(gone) + 1, ",".join(map(str, gone))
    commit_action("join_groups", group.id, name=name_group(group), count=count)
    words = ngettext("%(num)s group was joined.", "%(num)s groups were joined.", count)
    say(words, undo="admin.restore_from_trash", number=numbers_gone)
    return answer(url_for("admin.show_library_group", number=group.id))


@act("/admin/library/delete", _refuse)
def delete_groups() -> ResponseReturnValue:
    """Move groups to the trash."""
    session = db.session()
    done = trash.trash_groups(session, _read_selected(), current_user.id)
    if done:
        names = [name_group(session.get_one(Group, number)) for number in done[:5]]
        key = done[0] if len(done) == 1 else ""
        commit_action("delete_groups", key, names=names, count=len(done))
        numbers_gone = ",".join(map(str, done))
        words = ngettext(
            "%(num)s group was moved to the trash.",
            "%(num)s groups were moved to the trash.",
            len(done),
        )
        say(words, undo="admin.restore_from_trash", number=numbers_gone)
    else:
        say(_("These groups are already in the trash."))
    return _return_to_list()


@act("/admin/library/share", _refuse)
def share_groups() -> ResponseReturnValue:
    """Open the form of a new share link with the selected groups."""
    return redirect(url_for("admin.new_share", group=_read_selected()), 303)


@act("/admin/library/print", _refuse)
def print_groups() -> ResponseReturnValue:
    """Open the form of a new print file of the selected groups."""
    return redirect(url_for("admin.new_print", group=_read_selected()), 303)


@act("/admin/library/use-new-versions", _refuse)
def use_new_versions() -> ResponseReturnValue:
    """Import the changed originals of groups again."""
    originals.use_new_versions(_read_selected())
    return _return_to_list()


@act("/admin/library/check-again", _refuse)
def check_again() -> ResponseReturnValue:
    """Ask OneDrive again for originals of groups that are missing or outside the root folder."""
    originals.check_again(_read_selected())
    return _return_to_list()


@act("/admin/library/play-stills", _refuse)
def play_selected_stills() -> ResponseReturnValue:
    """Import the videos of groups again that are shown as stills."""
    play_stills(_read_selected())
    return _return_to_list()


@act("/admin/library/words/accept", _refuse)
def accept_all_words() -> ResponseReturnValue:
    """Save all that the files of groups propose."""
    return _decide_words(is_accepted=True)


@act("/admin/library/words/discard", _refuse)
def discard_all_words() -> ResponseReturnValue:
    """Propose nothing more of what was found in the files of groups."""
    return _decide_words(is_accepted=False)


def _decide_words(*, is_accepted: bool) -> ResponseReturnValue:
    numbers = _read_selected()
    count = found_words.decide_many(db.session(), get_hub(), numbers, is_accepted=is_accepted)
    if count:
        action = "accept_many_words" if is_accepted else "discard_many_words"
        commit_action(action, numbers[0] if len(numbers) == 1 else "", count=count)
    if not count:
        say(_("No groups needed changing."))
    elif is_accepted:
        say(ngettext("%(num)s group was changed.", "%(num)s groups were changed.", count))
    else:
        say(_("Discarded."))
    return _return_to_list()
