"""Acts on the shots of a group.

Each form also sends the alt texts and roles that were typed: they are saved before the act, and
stay saved if the act is refused.
"""

from collections.abc import Callable, Sequence

from flask import redirect, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from pydantic import Field

from imagehub.admin import blueprint, originals
from imagehub.admin.library_group import RefusedForm, normalize_lines, show_group
from imagehub.admin.library_list import answer
from imagehub.admin.words import return_refused, say
from imagehub.database import db
from imagehub.domain.library import edit, groups, listing, shots, trash
from imagehub.domain.library.edit import ShotField, ShotFieldsError
from imagehub.errors import ImageHubError, InvalidInputError
from imagehub.models import Group
from imagehub.web import note_action
from imagehub.web.access import is_api_call
from imagehub.web.errors import on_refusal
from imagehub.web.forms import Form, Id, Ids, OptionalId, read_form, read_prefixed
from imagehub.web.i18n import ngettext, translate


class _Selected(Form):
    """The selected shots; the shot to move them ``before``, or the group to move them ``to``."""

    shot: Ids("shot") = Field([])  # type: ignore[valid-type]
    before: OptionalId("shot") = None  # type: ignore[valid-type]
    to: str = ""


class _ShotField(Form):
    """The shot that the pressed button belongs to."""

    this: Id("shot")  # type: ignore[valid-type]


def _refuse(error: ImageHubError, number: int) -> ResponseReturnValue:
    if isinstance(error, ShotFieldsError) and not is_api_call():
        fields = _list_changed_fields()
        refused = RefusedForm(
            {f"{one.name}-{one.number}": one.value for one in fields},
            {f"{one.name}-{one.number}": one.base for one in fields},
            selected=read_form(_Selected).shot,
        )
        for changed, reason in error.errors:
            refused.add_shot_error(changed, reason)
        return show_group(groups.get_group(db.session(), number), refused)
    return return_refused(error, _make_url(number))


def _make_url(number: int, shot: int | None = None) -> str:
    """Return the address of a group's page, or of one shot in it."""
    anchor = f"shot-{shot}" if shot is not None else None
    return url_for("admin.show_library_group", number=number, _anchor=anchor)


# --- Alt texts and roles --------------------------------------------------------------------------


def _list_changed_fields() -> list[ShotField]:
    """List the fields of shots that are not as their author saw them: ``alt-3``, ``was-alt-3``."""
    changed = []
    for name in edit.IMAGE_FIELDS:
        was = read_prefixed(f"was-{name}-")
        for shot, text in read_prefixed(f"{name}-").items():
            value, base = normalize_lines(text), normalize_lines(was.get(shot, ""))
            if value != base:
                changed.append(ShotField(shot, name, value, base))
    return changed


def _save_fields(number: int) -> None:
    """Save the alt texts and roles that were typed; commits.

    :raise ShotFieldsError: some of them cannot be saved, so none is.
    """
    session, changed = db.session(), _list_changed_fields()
    if not changed:
        return
    group = edit.save_shots(session, number, changed)
    names = dict.fromkeys(one.name for one in changed)
    note_action(
        "edit_shots",
        number,
        name=_name(group),
        count=len({one.number for one in changed}),
        fields=[edit.FIELD_NAMES[name] for name in names],
    )
    session.commit()


@blueprint.post("/admin/library/<db_id:number>/shots")
@on_refusal(_refuse)
def save_library_shots(number: int) -> ResponseReturnValue:
    """Save alt texts and roles of shots."""
    _save_fields(number)
    return answer(_make_url(number))


# --- Cover and order ------------------------------------------------------------------------------


@blueprint.post("/admin/library/<db_id:number>/shots/set-cover")
@on_refusal(_refuse)
def set_cover(number: int) -> ResponseReturnValue:
    """Set a shot as the cover of its group."""
    _save_fields(number)
    shot = read_form(_ShotField).this
    group = shots.set_cover(db.session(), number, shot)
    note_action("set_cover", number, name=_name(group))
    db.session.commit()
    return redirect(_make_url(number, shot), 303)


@blueprint.post("/admin/library/<db_id:number>/shots/order")
@on_refusal(_refuse)
def order_shots(number: int) -> ResponseReturnValue:
    """Move shots in front of another one, or to the end."""
    _save_fields(number)
    fields = read_form(_Selected)
    _note_order(shots.order_shots(db.session(), number, fields.shot, fields.before))
    return answer(_make_url(number))


@blueprint.post("/admin/library/<db_id:number>/shots/move-up")
@on_refusal(_refuse)
def move_shot_up(number: int) -> ResponseReturnValue:
    """Move a shot one place up in its group."""
    return _step(number, -1)


@blueprint.post("/admin/library/<db_id:number>/shots/move-down")
@on_refusal(_refuse)
def move_shot_down(number: int) -> ResponseReturnValue:
    """Move a shot one place down in its group."""
    return _step(number, 1)


def _step(number: int, step: int) -> ResponseReturnValue:
    _save_fields(number)
    shot = read_form(_ShotField).this
    if shots.step_shot(db.session(), number, shot, step):
        _note_order(groups.get_group(db.session(), number))
    return redirect(_make_url(number, shot), 303)


def _note_order(group: Group) -> None:
    note_action("order_shots", group.id, name=_name(group), is_repeated=True)
    db.session.commit()


# --- Selected shots -------------------------------------------------------------------------------


@blueprint.post("/admin/library/<db_id:number>/shots/split")
@on_refusal(_refuse)
def split_shots(number: int) -> ResponseReturnValue:
    """Move the selected shots to a new group."""
    _save_fields(number)
    selected = read_form(_Selected).shot
    group = shots.split_shots(db.session(), number, selected)
    note_action("split_shots", group.id, name=_name(group), count=len(selected))
    db.session.commit()
    say(
        ngettext(
            "%(num)s shot is now a group of its own.",
            "%(num)s shots are now a group of their own.",
            len(selected),
        )
    )
    return redirect(_make_url(group.id), 303)


@blueprint.post("/admin/library/<db_id:number>/shots/move")
@on_refusal(_refuse)
def move_shots(number: int) -> ResponseReturnValue:
    """Move the selected shots to another group, which is named by number or title."""
    _save_fields(number)
    session, fields = db.session(), read_form(_Selected)
    target = listing.find_group(session, fields.to)
    if target is None:
        raise InvalidInputError("First enter the group to move to.", {"to": "is empty"})
    group = shots.move_shots(session, number, fields.shot, target)
    count, name = len(fields.shot), _name(group)
    note_action("move_shots", group.id, name=name, count=count)
    session.commit()
    say(
        ngettext(
            "%(num)s shot was moved to “%(name)s”.",
            "%(num)s shots were moved to “%(name)s”.",
            count,
            name=translate(name),
        )
    )
    return redirect(_make_url(number), 303)


@blueprint.post("/admin/library/<db_id:number>/shots/delete")
@on_refusal(_refuse)
def delete_shots(number: int) -> ResponseReturnValue:
    """Move the selected shots to the trash."""
    _save_fields(number)
    selected = read_form(_Selected).shot
    name = _name(groups.get_group(db.session(), number))
    bag = trash.trash_images(db.session(), number, selected, current_user.id)
    note_action("delete_shots", number, name=name, count=len(selected))
    db.session.commit()
    say(
        ngettext(
            "%(num)s shot was moved to the trash.",
            "%(num)s shots were moved to the trash.",
            len(selected),
        ),
        undo="admin.restore_from_trash",
        number=str(bag),
    )
    is_whole_group = bag == number
    return redirect(url_for("admin.show_library") if is_whole_group else _make_url(number), 303)


# --- Originals ------------------------------------------------------------------------------------


@blueprint.post("/admin/library/<db_id:number>/shots/use-new-version")
@on_refusal(_refuse)
def use_new_version(number: int) -> ResponseReturnValue:
    """Import the changed original of a shot again."""
    return _act_on_original(number, originals.use_new_versions)


@blueprint.post("/admin/library/<db_id:number>/shots/check-again")
@on_refusal(_refuse)
def check_shot_again(number: int) -> ResponseReturnValue:
    """Ask OneDrive again for the original of a shot."""
    return _act_on_original(number, originals.check_again)


def _act_on_original(
    number: int, act: Callable[[Sequence[int], Sequence[int]], None]
) -> ResponseReturnValue:
    _save_fields(number)
    shot = read_form(_ShotField).this
    act([number], [shot])
    return redirect(_make_url(number, shot), 303)


def _name(group: Group) -> str:
    return groups.name_group(group.id, group.title)
