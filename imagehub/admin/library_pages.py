"""The library with a browser: the list of groups, one group and its shots, the trash."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from flask import jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from imagehub.admin import blueprint, originals
from imagehub.admin.numbers import find_number, read_number, read_numbers
from imagehub.admin.words import describe_count, say, show_name
from imagehub.database import db
from imagehub.domain.library import edit as library_edit
from imagehub.domain.library import groups, joining, listing, order, shots, trash
from imagehub.domain.library import images as library_images
from imagehub.domain.library.edit import Edit, EditConflictError
from imagehub.domain.objects import bookkeeping
from imagehub.errors import ImageHubError, InvalidInputError, NotFoundError
from imagehub.models import Group, Image
from imagehub.web import note_action
from imagehub.web.access import is_api_call
from imagehub.web.errors import get_error_status
from imagehub.wiring import get_clients

_BULK_FIELDS = ("medium", "dimensions", "year", "edition", "availability")
_TAG_FIELDS = ("add_tags", "remove_tags")
FIELD_NAMES = {
    "title": "Title",
    "text": "Text",
    "tags": "Tags",
    "medium": "Medium",
    "dimensions": "Dimensions",
    "year": "Year",
    "edition": "Edition",
    "availability": "Availability",
    "state": "State",
    "alt": "Alt text",
    "role": "Role",
}


# --- The list -------------------------------------------------------------------------------------


@blueprint.get("/admin/library")
def show_library() -> ResponseReturnValue:
    """A page of the groups, filtered and searched."""
    return _show_list(request.args)


def _show_list(asked: Mapping[str, str], error: ImageHubError | None = None) -> ResponseReturnValue:
    """:param asked: ``filter``, ``q``, ``after``, ``before``.
    :param error: why the list's form was refused; what was typed and chosen stays in it.
    """
    session = db.session()
    filter_name = asked.get("filter") or "all"
    words = asked.get("q", "").strip()[:200]
    after, before = asked.get("after", ""), asked.get("before", "")
    page = listing.list_groups(session, filter_name, words, after, before)
    kept = {"filter": filter_name if filter_name != "all" else None, "q": words or None}
    shown = render_template(
        "admin/library.html",
        page=page,
        filter_name=filter_name,
        filters=listing.FILTERS,
        counts=listing.count_to_do(session),
        max_counted=listing.MAX_COUNTED,
        words=words,
        kept=kept,
        place={**kept, "after": after, "before": before},
        can_order=filter_name == "all" and not words,
        availabilities=library_edit.AVAILABILITIES,
        sign=get_clients().store.make_presigned_url,
        typed=request.form if error else {},
        chosen={find_number(one) for one in request.form.getlist("group")} if error else (),
        is_set=bool(error) and request.form.get("act") == "set",
        fault=str(error) if error else "",
        faults=error.fields if isinstance(error, InvalidInputError) else {},
    )
    return (shown, get_error_status(error)) if error else shown


@blueprint.post("/admin/library/bulk")
def change_library() -> ResponseReturnValue:
    """Do one thing to the chosen groups; ``act`` says which."""
    act, _, key = request.form.get("act", "").partition(":")
    acts: Mapping[str, Callable[[Sequence[int]], ResponseReturnValue | None]] = {
        **{name: partial(_edit_chosen, name) for name in _EDITS},
        "join": _join,
        "trash": _trash,
        "share": _share,
        "take": originals.take_new_versions,
        "recheck": originals.check_again,
    }
    if act in ("up", "down"):
        return _order(key, lambda number: order.step_group(db.session(), number, _STEPS[act]), True)
    if act not in acts:
        raise InvalidInputError("The library does not know how to do that.", {"act": "unknown"})
    try:
        if request.form.get("all"):
            return _change_all(act)
        chosen = read_numbers(request.form.getlist("group"))
        if not chosen:
            raise InvalidInputError("Choose groups first.", {"group": "is empty"})
        answer = acts[act](chosen)
    except ImageHubError as error:
        if is_api_call():
            return _refuse(error, _get_list_url())
        db.session.rollback()
        return _show_list(_get_list_place(), error)
    return answer if answer is not None else _answer(_get_list_url())


_STEPS = {"up": -1, "down": 1}


_EDITS = {"publish": "Publish", "draft": "Make drafts of", "set": "Change"}
# What one request changes of all that fit, so that none takes long.
_CHANGED_AT_ONCE = 200


@dataclass(frozen=True)
class BulkEdit:
    """What shall be changed of many groups."""

    changes: Mapping[str, str]
    add: Sequence[str] = ()
    remove: Sequence[str] = ()


def _read_bulk_edit(act: str) -> BulkEdit:
    """What the form asks for; what stands in its fields is for ``set`` alone."""
    if act != "set":
        return BulkEdit({"state": "published" if act == "publish" else "draft"})
    add = library_edit.split_tags(request.form.get("add_tags", ""))
    remove = library_edit.split_tags(request.form.get("remove_tags", ""))
    return BulkEdit(_read_bulk_fields(), add, remove)


def _edit_chosen(act: str, numbers: Sequence[int]) -> None:
    edit = _read_bulk_edit(act)
    count = _edit_many(numbers, edit)
    _say_edited(count, edit)


def _edit_many(numbers: Sequence[int], edit: BulkEdit) -> int:
    """Commits."""
    session = db.session()
    count = library_edit.bulk_edit(session, numbers, edit.changes, edit.add, edit.remove)
    if count:
        names = ", ".join(FIELD_NAMES[name].lower() for name in edit.changes) or "tags"
        words = f"Changed {names} of {describe_count(count, 'group')}."
        note_action("change", "group", numbers[0] if count == 1 else "", words)
    session.commit()
    return count


def _say_edited(count: int, edit: BulkEdit) -> None:
    state = edit.changes.get("state")
    done = {"published": "published", "draft": "now drafts"}.get(state or "", "changed")
    verb = "is" if count == 1 else "are"
    done = "now a draft" if (state, count) == ("draft", 1) else done
    if not count:
        say("Nothing had to be changed.")
    elif state:
        say(f"{describe_count(count, 'group')} {verb} {done}.")
    else:
        say(f"{describe_count(count, 'group')} changed.")


def _change_all(act: str) -> ResponseReturnValue:
    """Change all groups of the list, on all of its pages: asks first, then goes on step by step."""
    if act not in _EDITS:
        raise InvalidInputError("This goes for groups that are chosen one by one, not for all.")
    session = db.session()
    place = _get_list_place()
    filter_name, words = place["filter"] or "all", place["q"]
    edit = _read_bulk_edit(act)
    after = request.form.get("at", "")
    total = find_number(request.form.get("total", "")) or 0
    seen = find_number(request.form.get("seen", "")) or 0
    done = find_number(request.form.get("done", "")) or 0
    if not total:
        total = listing.count_groups(session, filter_name, words)
    else:
        numbers, after = listing.list_numbers(session, filter_name, words, after, _CHANGED_AT_ONCE)
        done += _edit_many(numbers, edit)
        seen += len(numbers)
        if not after:
            _say_edited(done, edit)
            return _answer(_get_list_url())
    return render_template(
        "admin/library_all.html",
        act=act,
        acts=_EDITS,
        edit=edit,
        field_names=FIELD_NAMES,
        filter_name=filter_name,
        filters=listing.FILTERS,
        words=words,
        place=place,
        back=_get_list_url(),
        kept={
            name: request.form.get(name, "") for name in (*_BULK_FIELDS, "add_tags", "remove_tags")
        },
        steps={"at": after, "total": total, "seen": seen, "done": done},
    )


def _read_bulk_fields() -> dict[str, str]:
    """Fields that were filled in; an empty one leaves all groups as they are."""
    fields = {name: request.form.get(name, "") for name in _BULK_FIELDS}
    fields = {name: value for name, value in fields.items() if value.strip()}
    has_tags = any(request.form.get(name, "").strip() for name in _TAG_FIELDS)
    if not fields and not has_tags:
        raise InvalidInputError("Fill in what shall be set for the chosen groups.")
    return fields


def _join(numbers: Sequence[int]) -> ResponseReturnValue:
    """Ask first, saying what becomes of what; then do it."""
    session = db.session()
    if request.form.get("sure") != "yes":
        if len(set(numbers)) < 2:
            raise InvalidInputError("Choose at least two groups to join.", {"group": "too few"})
        rows = listing.load_rows(session, list(dict.fromkeys(numbers)))
        return render_template(
            "admin/library_join.html",
            rows=rows,
            stays=rows[0],
            others=rows[1:],
            back=_get_list_url(),
            place=_get_list_place(),
        )
    group, gone = joining.join_groups(session, numbers, current_user.id)
    count = len(gone) + 1
    note_action("change", "group", group.id, f"Joined {count} groups into “{_name(group)}”.")
    session.commit()
    say(
        f"{count} groups are one now.",
        undo="admin.restore_from_trash",
        number=",".join(map(str, gone)),
    )
    return _answer(url_for(".show_library_group", number=group.id))


def _trash(numbers: Sequence[int]) -> None:
    session = db.session()
    done = trash.trash_groups(session, numbers, current_user.id)
    if not done:
        say("They are in the trash already.")
        return
    count = describe_count(len(done), "group")
    names = _name_groups(done)
    note_action(
        "delete", "group", done[0] if len(done) == 1 else "", f"Put {count} in the trash: {names}."
    )
    session.commit()
    numbers_text = ",".join(map(str, done))
    say(f"{count} in the trash.", undo="admin.restore_from_trash", number=numbers_text)


def _share(numbers: Sequence[int]) -> ResponseReturnValue:
    return redirect(url_for("admin.new_share", group=list(numbers)), 303)


@blueprint.post("/admin/library/order")
def order_library() -> ResponseReturnValue:
    """Put a group before or after another one in the gallery's order."""

    def place(number: int) -> None:
        before, after = request.form.get("before"), request.form.get("after")
        order.place_group(
            db.session(),
            number,
            read_number(before) if before else None,
            read_number(after) if after else None,
        )

    return _order(request.form.get("group", ""), place)


def _order(
    text: str, change: Callable[[int], None], is_followed: bool = False
) -> ResponseReturnValue:
    """:param is_followed: the list goes on where the group is now."""
    session = db.session()
    try:
        number = read_number(text)
        change(number)
        words = f"Moved “{_name(groups.get_group(session, number))}” in the gallery’s order."
        note_action("order", "group", number, words, is_repeated=True)
    except ImageHubError as error:
        return _refuse(error, _get_list_url())
    db.session.commit()
    place = _get_list_place()
    if is_followed:
        page = listing.list_groups(session, after=place["after"], before=place["before"])
        if all(row.id != number for row in page.rows):
            place = {"after": listing.find_key_above(session, number)}
            name = _name(groups.get_group(session, number))
            say(f"“{name}” went over the edge of the page. The list begins with it now.")
    return _answer(_get_list_url(f"group-{number}", place))


def _get_list_url(anchor: str | None = None, place: Mapping[str, str] | None = None) -> str:
    """The list as it was when the form was sent, or at another place."""
    kept: dict[str, Any] = {name: one for name, one in (place or _get_list_place()).items() if one}
    return url_for(".show_library", _anchor=anchor, **kept)


def _get_list_place() -> dict[str, str]:
    names = ("filter", "q", "after", "before")
    return {name: request.form.get(f"list-{name}", "") for name in names}


@blueprint.get("/admin/library/choices")
def list_library_choices() -> ResponseReturnValue:
    """Groups to choose one from, for the words ``q`` that were typed so far: the newest first."""
    words = request.args.get("q", "")[:200]
    found = listing.list_choices(db.session(), 20, words)
    return jsonify({"choices": [f"{number} · {title or 'Untitled'}" for number, title in found]})


# --- One group ------------------------------------------------------------------------------------


@blueprint.get("/admin/library/<biggest:number>")
def show_library_group(number: int) -> ResponseReturnValue:
    """A group's words, record and shots, all to be edited."""
    group = groups.get_group(db.session(), number)
    return _show_group(group)


@dataclass
class Refused:
    """A form of the group's page that was not saved: what was typed goes on standing in it.

    ``typed``: field → value. ``was``: field → what its author saw of it, so that nothing of
    others is overwritten unseen. ``faults``: field → the sentence beside it. ``lost``: words that
    were typed for shots that are not in the group any more. ``chosen``: shots.
    """

    typed: dict[str, str] = field(default_factory=dict)
    was: dict[str, str] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)
    chosen: Sequence[int] = ()
    is_conflict: bool = False

    def note(self, error: ImageHubError, prefix: Mapping[str, str]) -> None:
        """Write down why fields were refused.

        :param prefix: the domain's name of a field → its name in the form.
        """
        if isinstance(error, EditConflictError):
            self.is_conflict = True
            for name, current in error.current.items():
                labels = _LABELS.get(name)
                words = labels[current] if labels else f"“{current}”"
                self.faults[prefix[name]] = (
                    f"Somebody else saved: {words}. Save again to keep yours."
                )
                # Now its author sees what others saved.
                self.was[prefix[name]] = current
        elif isinstance(error, InvalidInputError):
            for name in error.fields:
                self.faults[prefix.get(name, name)] = str(error)


_LABELS: Mapping[str, Mapping[str, str]] = {
    "availability": library_edit.AVAILABILITIES,
    "state": library_edit.STATES,
    "role": library_edit.ROLES,
}


def _show_group(group: Group, refused: Refused | None = None) -> ResponseReturnValue:
    session = db.session()
    form = refused or Refused()
    images = library_images.list_images(session, group.id)
    fields = library_edit.read_fields(session, group)
    page = render_template(
        "admin/library_group.html",
        group=group,
        fields=fields,
        # What the person typed stays in the form; what is saved stands beside it.
        shown={**fields, **form.typed},
        was={**fields, **form.was},
        form=form,
        is_refused=refused is not None,
        images=images,
        field_names=FIELD_NAMES,
        roles=library_edit.ROLES,
        availabilities=library_edit.AVAILABILITIES,
        states=library_edit.STATES,
        choices=[one for one in listing.list_choices(session, 20) if one[0] != group.id],
        thumbnail=make_thumbnail_url,
    )
    if refused is None:
        return page
    return page, 409 if form.is_conflict or form.lost else 422


@blueprint.post("/admin/library/<biggest:number>")
def save_library_group(number: int) -> ResponseReturnValue:
    """Save the whole form of a group, without a script."""
    session = db.session()
    names = [name for name in library_edit.GROUP_FIELDS if name in request.form]
    typed = {name: _read_text(name) for name in names}
    base = {name: _read_text(f"was-{name}") for name in names}
    touched = {name: value for name, value in typed.items() if value != base[name]}
    edit = Edit(read_number(request.form.get("version", "")), touched, base)
    try:
        group = library_edit.save_group(session, number, edit)
    except (EditConflictError, InvalidInputError) as error:
        session.rollback()
        refused = Refused(touched, {name: base[name] for name in touched})
        refused.note(error, {name: name for name in library_edit.GROUP_FIELDS})
        return _show_group(groups.get_group(session, number), refused)
    _note_edit(group, touched)
    session.commit()
    say("Saved.")
    return redirect(url_for(".show_library_group", number=number), 303)


@blueprint.post("/admin/library/<biggest:number>/save")
def save_library_fields(number: int) -> ResponseReturnValue:
    """Save single fields of a group: JSON ``version``, ``changes``, ``base``.

    Answers the new version and the fields as they are saved; 409 with ``version``, ``current`` and
    ``yours`` where somebody else changed the same field; 422 with a sentence as ``detail``, and
    ``fields`` that it is about.
    """
    edit = _read_edit()
    session = db.session()
    try:
        group = library_edit.save_group(session, number, edit)
    except EditConflictError as error:
        return _answer_conflict(error)
    except InvalidInputError as error:
        return _answer_refused(error)
    _note_edit(group, edit.changes)
    answer = library_edit.describe_group(session, group)
    session.commit()
    return jsonify(answer)


@blueprint.post("/admin/library/<biggest:number>/shots/<biggest:shot>/save")
def save_library_shot(number: int, shot: int) -> ResponseReturnValue:
    """Save alt text or role of a shot; as :func:`save_library_fields`."""
    edit = _read_edit()
    session = db.session()
    try:
        group, image = library_edit.save_image(session, number, shot, edit)
    except EditConflictError as error:
        return _answer_conflict(error)
    except InvalidInputError as error:
        return _answer_refused(error)
    if edit.changes:
        names = ", ".join(FIELD_NAMES[name].lower() for name in edit.changes)
        words = f"Changed {names} of “{show_name(image.name)}” in “{_name(group)}”."
        note_action("change", "image", f"{number}/{shot}", words, is_repeated=True)
    answer = {"version": group.version, "fields": {"alt": image.alt, "role": image.role}}
    session.commit()
    return jsonify(answer)


def _read_edit() -> Edit:
    body = request.get_json(silent=True)
    faults = InvalidInputError("This is no edit.", {"changes": "unreadable"})
    if not isinstance(body, dict) or not isinstance(body.get("version"), int):
        raise faults
    parts = []
    for name in ("changes", "base"):
        part = body.get(name, {})
        if not isinstance(part, dict) or not all(isinstance(one, str) for one in part.values()):
            raise faults
        parts.append(part)
    return Edit(body["version"], parts[0], parts[1])


def _answer_conflict(error: EditConflictError) -> ResponseReturnValue:
    db.session.rollback()
    answer = {
        "detail": str(error),
        "version": error.version,
        "current": error.current,
        "yours": error.yours,
    }
    return jsonify(answer), 409


def _answer_refused(error: InvalidInputError) -> ResponseReturnValue:
    db.session.rollback()
    return jsonify({"detail": str(error), "fields": error.fields}), get_error_status(error)


def _note_edit(group: Group, changes: Mapping[str, str]) -> None:
    if changes:
        names = ", ".join(FIELD_NAMES[name].lower() for name in changes)
        note_action("change", "group", group.id, f"Changed {names} of “{_name(group)}”.")


# --- Shots ----------------------------------------------------------------------------------------


@blueprint.post("/admin/library/<biggest:number>/shots")
def change_library_shots(number: int) -> ResponseReturnValue:
    """Do one thing to shots of a group; words that were typed are kept too."""
    act, _, key = request.form.get("act", "").partition(":")
    url = url_for(".show_library_group", number=number)
    try:
        chosen = read_numbers(request.form.getlist("shot"), "shot")
        refused = _keep_shot_words(number, chosen)
        if refused is not None:
            db.session.rollback()
            return _show_group(groups.get_group(db.session(), number), refused)
        # They stay, whatever becomes of the rest.
        db.session.commit()
        url = _act_on_shots(number, act, key, chosen) or url
    except ImageHubError as error:
        return _refuse(error, url)
    db.session.commit()
    return _answer(url)


def _act_on_shots(number: int, act: str, key: str, chosen: Sequence[int]) -> str | None:
    """:return: where to go on, None for the group itself."""
    session = db.session()
    if act in _STEPS:
        before = groups.get_group(session, number).version
        group = shots.step_shot(session, number, read_number(key, "shot"), _STEPS[act])
        if group.version != before:
            _note_order(group)
        return _get_shot_url(number, key)
    elif act == "order":
        mark = request.form.get("before", "")
        place = read_number(mark, "shot") if mark else None
        _note_order(shots.order_shots(session, number, chosen, place))
    elif act == "cover":
        group = shots.set_cover(session, number, read_number(key, "shot"))
        words = f"Made another shot the cover of “{_name(group)}”."
        note_action("change", "group", number, words)
        return _get_shot_url(number, key)
    elif act == "split":
        fresh = shots.move_shots(session, number, chosen, None)
        note_action(
            "create", "group", fresh.id, f"Split {describe_count(len(chosen), 'shot')} off."
        )
        say(f"{describe_count(len(chosen), 'shot')} in a group of their own now.")
        return url_for(".show_library_group", number=fresh.id)
    elif act == "move":
        to = listing.find_group(session, request.form.get("to", ""))
        if to is None:
            raise InvalidInputError("Say first which group they shall go to.", {"to": "is empty"})
        target = shots.move_shots(session, number, chosen, to)
        words = f"{describe_count(len(chosen), 'shot')} moved to “{_name(target)}”."
        note_action("change", "group", target.id, words)
        say(words)
    elif act == "trash":
        bag = trash.trash_images(session, number, chosen, current_user.id)
        count = describe_count(len(chosen), "shot")
        note_action("delete", "image", number, f"Put {count} in the trash.")
        say(f"{count} in the trash.", undo="admin.restore_from_trash", number=str(bag))
        if bag == number:
            return url_for(".show_library")
    elif act in ("take", "recheck"):
        do = originals.take_new_versions if act == "take" else originals.check_again
        do([number], [read_number(key, "shot")])
        return _get_shot_url(number, key)
    elif act != "save":
        raise InvalidInputError("The group does not know how to do that.", {"act": "unknown"})
    return None


def _get_shot_url(number: int, shot: str) -> str:
    """The group's page at one of its shots: there the next thing is done too."""
    return url_for(".show_library_group", number=number, _anchor=f"shot-{shot}")


def _keep_shot_words(number: int, chosen: Sequence[int]) -> Refused | None:
    """Save alt texts and roles of the form that differ from what it showed.

    :return: all that was typed, where some of it cannot be saved; the caller then rolls back.
    """
    session = db.session()
    refused = Refused(chosen=chosen)
    is_refused = False
    for name in request.form:
        kind, _, shot = name.partition("-")
        shot_number = find_number(shot)
        if kind not in library_edit.IMAGE_FIELDS or shot_number is None:
            continue
        value, was = _read_text(name), _read_text(f"was-{name}")
        if value == was:
            continue
        refused.typed[name], refused.was[name] = value, was
        try:
            edit = Edit(0, {kind: value}, {kind: was})
            library_edit.save_image(session, number, shot_number, edit)
        except NotFoundError as error:
            if error.kind == "group":
                raise
            is_refused = True
            if kind == "alt":
                refused.lost.append(value)
        except (EditConflictError, InvalidInputError) as error:
            is_refused = True
            refused.note(error, {kind: name})
    if is_refused:
        return refused
    if refused.typed:
        kinds = dict.fromkeys(name.partition("-")[0] for name in refused.typed)
        count = len({name.partition("-")[2] for name in refused.typed})
        names = ", ".join(FIELD_NAMES[kind].lower() for kind in kinds)
        title = _name(groups.get_group(session, number))
        words = f"Changed {names} of {describe_count(count, 'shot')} in “{title}”."
        note_action("change", "image", number, words)
    return None


def _note_order(group: Group) -> None:
    words = f"Changed the order of the shots of “{_name(group)}”."
    note_action("order", "image", group.id, words, is_repeated=True)


# --- The trash ------------------------------------------------------------------------------------


@blueprint.get("/admin/library/trash")
def show_trash() -> ResponseReturnValue:
    """What was deleted, from new to old."""
    session = db.session()
    listed, following = trash.list_trash(session, request.args.get("before", ""))
    ids = [one.group.id for one in listed]
    rows = {row.id: row for row in listing.load_rows(session, ids)}
    return render_template(
        "admin/trash.html",
        listed=listed,
        rows=rows,
        following=following,
        sign=get_clients().store.make_presigned_url,
    )


@blueprint.post("/admin/library/trash/restore")
def restore_from_trash() -> ResponseReturnValue:
    """Take things back; ``number``: their numbers, with commas or as many fields."""
    session = db.session()
    back: list[Group] = []
    unused: list[str] = []
    for number in _read_trash_numbers():
        try:
            group, keys = trash.restore(session, number)
        except NotFoundError:
            continue
        back.append(group)
        unused += keys
    if not back:
        error = NotFoundError("thing in the trash", "")
        return _refuse(error, url_for(".show_trash"))
    count = describe_count(len(back), "group")
    note_action("create", "group", back[0].id, f"Took {count} back from the trash.")
    single = url_for(".show_library_group", number=back[0].id) if len(back) == 1 else ""
    session.commit()
    bookkeeping.leave_unused(session, unused)
    say("It is back." if len(back) == 1 else f"{count} are back.")
    return _answer(single or url_for(".show_library"))


@blueprint.post("/admin/library/trash/delete")
def delete_from_trash() -> ResponseReturnValue:
    """Delete things in the trash for good."""
    session = db.session()
    numbers = _read_trash_numbers()
    gone, keys = trash.purge(session, numbers)
    if gone:
        count = describe_count(len(gone), "thing")
        note_action("delete", "group", "", f"Deleted {count} in the trash for good.")
    session.commit()
    # The worker deletes them: object storage may be slow, and nobody should wait for it here.
    if bookkeeping.leave_unused(session, keys):
        say(
            "Gone for good. The worker clears the pictures away within a minute; "
            "the originals are still in OneDrive."
        )
    elif gone:
        say("Gone for good. The originals are still in OneDrive.")
    else:
        say("It was gone already.")
    return _answer(url_for(".show_trash"))


def _read_trash_numbers() -> list[int]:
    parts = [part for one in request.form.getlist("number") for part in one.split(",")]
    return read_numbers(parts, "thing in the trash")


# --- Inside ---------------------------------------------------------------------------------------


def make_thumbnail_url(image: Image | None) -> str:
    """The signed address of a small rendition; "" where there is none."""
    try:
        found = (
            library_images.pick_rendition(image, listing.THUMBNAIL_PX)
            if image is not None
            else None
        )
    except NotFoundError:
        return ""
    return get_clients().store.make_presigned_url(found.object_key) if found is not None else ""


def _name(group: Group) -> str:
    return groups.name_group(group.id, group.title)


def _name_groups(numbers: Sequence[int]) -> str:
    """The names of some groups, as far as a line of the log has room for them."""
    session = db.session()
    shown = [_name(session.get_one(Group, number)) for number in numbers[:5]]
    rest = len(numbers) - len(shown)
    return ", ".join(f"“{name[:60]}”" for name in shown) + (f" and {rest:,} more" if rest else "")


def _read_text(name: str) -> str:
    """A field of the form; browsers send line ends their own way."""
    return request.form.get(name, "").replace("\r\n", "\n")


def _answer(url: str) -> ResponseReturnValue:
    return jsonify({"url": url}) if is_api_call() else redirect(url, 303)


def _refuse(error: ImageHubError, url: str) -> ResponseReturnValue:
    """Tell why something was not done, on the page where it was asked."""
    db.session.rollback()
    if is_api_call():
        answer: dict[str, Any] = {"detail": str(error)}
        return jsonify(answer), get_error_status(error)
    say(str(error), is_fault=True)
    return redirect(url, 303)
