"""Acts on the shots of a group.

Each form also sends the alt texts, roles and playbacks that were typed: they are saved before the
act, and stay saved if the act is refused.
"""

from collections.abc import Callable, Sequence
from functools import wraps

from flask import redirect, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from pydantic import Field

from imagehub.admin import blueprint, originals
from imagehub.admin.library_group import RefusedForm, normalize_lines, show_group
from imagehub.admin.library_list import answer, name_group
from imagehub.admin.videos import play_stills
from imagehub.admin.words import return_refused, say
from imagehub.database import db
from imagehub.domain.library import edit, groups, shots, trash
from imagehub.domain.library.choices import find_group
from imagehub.domain.library.edit import ShotField, ShotFieldsError
from imagehub.errors import ImageHubError, InvalidInputError
from imagehub.models import Group
from imagehub.web import commit_action
from imagehub.web.access import is_api_call
from imagehub.web.errors import on_refusal
from imagehub.web.forms import Form, Id, Ids, OptionalId, read_form, read_prefixed
from imagehub.web.i18n import ngettext, translate

Act = Callable[[int], ResponseReturnValue]


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
    """Save the alt texts and roles that were typed, all or none; commits."""
    session, changed = db.session(), _list_changed_fields()
    if not changed:
        return
    group = edit.save_shots(session, number, changed)
    count = len({one.number for one in changed})
    fields = [edit.FIELD_NAMES[name] for name in dict.fromkeys(one.name for one in changed)]
    commit_action("edit_shots", number, name=name_group(group), count=count, fields=fields)


def _act(path: str) -> Callable[[Act], Act]:
    """Make a function the view of an address; what was typed is saved before it is called."""

    def decorate(act: Act) -> Act:
        @blueprint.post(f"/admin/library/<db_id:number>/shots{path}")
        @on_refusal(_refuse)
        @wraps(act)
        def view(number: int) -> ResponseReturnValue:
            _save_fields(number)
            return act(number)

        return act

    return decorate


@_act("")
def save_library_shots(number: int) -> ResponseReturnValue:
    """Save alt texts and roles of shots."""
    return answer(_make_url(number))


# --- Cover and order ------------------------------------------------------------------------------


@_act("/set-cover")
def set_cover(number: int) -> ResponseReturnValue:
    """Set a shot as the cover of its group."""
    shot = read_form(_ShotField).this
    group = shots.set_cover(db.session(), number, shot)
    commit_action("set_cover", number, name=name_group(group))
    return redirect(_make_url(number, shot), 303)


@_act("/order")
def order_shots(number: int) -> ResponseReturnValue:
    """Move shots in front of another one, or to the end."""
    fields = read_form(_Selected)
    _note_order(shots.order_shots(db.session(), number, fields.shot, fields.before))
    return answer(_make_url(number))


@_act("/move-up")
def move_shot_up(number: int) -> ResponseReturnValue:
    """Move a shot one place up in its group."""
    return _step(number, -1)


@_act("/move-down")
def move_shot_down(number: int) -> ResponseReturnValue:
    """Move a shot one place down in its group."""
    return _step(number, 1)


def _step(number: int, step: int) -> ResponseReturnValue:
    shot = read_form(_ShotField).this
    if shots.step_shot(db.session(), number, shot, step):
        _note_order(groups.get_group(db.session(), number))
    return redirect(_make_url(number, shot), 303)


def _note_order(group: Group) -> None:
    commit_action("order_shots", group.id, name=name_group(group), is_repeated=True)


# --- Selected shots -------------------------------------------------------------------------------


@_act("/split")
def split_shots(number: int) -> ResponseReturnValue:
    """Move the selected shots to a new group."""
    selected = read_form(_Selected).shot
    group = shots.split_shots(db.session(), number, selected)
    commit_action("split_shots", group.id, name=name_group(group), count=len(selected))
    words = ngettext(
        "%(num)s shot is now a group of its own.",
        "%(num)s shots are now a group of their own.",
        len(selected),
    )
    say(words)
    return redirect(_make_url(group.id), 303)


@_act("/move")
def move_shots(number: int) -> ResponseReturnValue:
    """Move the selected shots to another group, which is named by number or title."""
    session, fields = db.session(), read_form(_Selected)
    target = find_group(session, fields.to)
    if target is None:
        raise InvalidInputError("First enter the group to move to.", {"to": "is empty"})
    group = shots.move_shots(session, number, fields.shot, target)
    count, name = len(fields.shot), name_group(group)
    commit_action("move_shots", group.id, name=name, count=count)
    words = ngettext(
        "%(num)s shot was moved to “%(name)s”.",
        "%(num)s shots were moved to “%(name)s”.",
        count,
        name=translate(name),
    )
    say(words)
    return redirect(_make_url(number), 303)


@_act("/delete")
def delete_shots(number: int) -> ResponseReturnValue:
    """Move the selected shots to the trash."""
    selected = read_form(_Selected).shot
    name = name_group(groups.get_group(db.session(), number))
    bag = trash.trash_images(db.session(), number, selected, current_user.id)
    commit_action("delete_shots", number, name=name, count=len(selected))
    words = ngettext(
        "%(num)s shot was moved to the trash.",
        "%(num)s shots were moved to the trash.",
        len(selected),
    )
    say(words, undo="admin.restore_from_trash", number=str(bag))
    # The whole group may be in the trash now.
    return redirect(url_for("admin.show_library") if bag == number else _make_url(number), 303)


# --- Originals ------------------------------------------------------------------------------------


@_act("/use-new-version")
def use_new_version(number: int) -> ResponseReturnValue:
    """Import the changed original of a shot again."""
    return _act_on_original(number, originals.use_new_versions)


@_act("/use-offered")
def use_offered(number: int) -> ResponseReturnValue:
    """Use the file in the place of a shot's missing original."""
    return _act_on_original(number, originals.use_offered)


@_act("/use-all-offered")
def use_all_offered(number: int) -> ResponseReturnValue:
    """Use the files in the places of all missing originals of a group."""
    originals.use_offered([number])
    return redirect(_make_url(number), 303)


@_act("/play-stills")
def play_group_stills(number: int) -> ResponseReturnValue:
    """Import the videos of a group again that are shown as stills."""
    play_stills([number])
    return redirect(_make_url(number), 303)


@_act("/check-again")
def check_shot_again(number: int) -> ResponseReturnValue:
    """Ask OneDrive again for the original of a shot."""
    return _act_on_original(number, originals.check_again)


def _act_on_original(
    number: int, act: Callable[[Sequence[int], Sequence[int]], None]
) -> ResponseReturnValue:
    shot = read_form(_ShotField).this
    act([number], [shot])
    return redirect(_make_url(number, shot), 303)
