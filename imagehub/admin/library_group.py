"""The page of one group: its fields and its shots."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

from flask import jsonify, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from pydantic import AfterValidator, Field, StrictInt, create_model

from imagehub.admin import act, blueprint
from imagehub.admin.drive import show_name
from imagehub.admin.found_words import list_found
from imagehub.admin.library_list import name_group
from imagehub.admin.library_tiles import list_group_tiles
from imagehub.admin.videos import describe_video
from imagehub.admin.words import list_currencies, say
from imagehub.database import db
from imagehub.domain.imports.stills import list_stills
from imagehub.domain.library import edit, groups, listing, order, prices
from imagehub.domain.library import images as library_images
from imagehub.domain.library.choices import list_choices
from imagehub.domain.library.credits import get_credits
from imagehub.domain.library.edit import Edit, EditConflictError, ShotField
from imagehub.domain.library.gallery import Tile
from imagehub.domain.library.series import list_series_of_group
from imagehub.errors import ImageHubError, InvalidInputError, NotFoundError
from imagehub.models import Group, Image
from imagehub.web import commit_action
from imagehub.web.errors import get_error_status
from imagehub.web.forms import Form, Id, read_form, read_json
from imagehub.web.i18n import translate
from imagehub.wiring import get_clients, get_settings

_REFUSALS = (EditConflictError, InvalidInputError)
_LABELS: Mapping[str, Mapping[str, str]] = {
    "availability": edit.AVAILABILITIES,
    "state": edit.STATES,
    "role": edit.ROLES,
    "playback": edit.PLAYBACKS,
    "currency": prices.CURRENCY_NAMES,
    "price_shown": prices.SHOWN,
}


def normalize_lines(text: str) -> str:
    """Replace the line breaks that browsers send by those that are stored."""
    return text.replace("\r\n", "\n")


_Lines = Annotated[str, AfterValidator(normalize_lines)]


@dataclass
class RefusedForm:
    """A form of the page that was not saved, to be shown again with its values.

    :param typed: field → value.
    :param was: field → the value that its author has seen, to notice changes of other people.
    :param faults: field → the sentence beside it.
    :param lost: alt texts of shots that are no longer in the group.
    :param selected: numbers of the selected shots.
    """

    typed: dict[str, str] = field(default_factory=dict)
    was: dict[str, str] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)
    selected: Sequence[int] = ()
    is_conflict: bool = False

    def add_error(self, error: ImageHubError, suffix: str = "") -> None:
        """Add the faults of an error; ``suffix`` follows the names of its fields in the form."""
        if isinstance(error, EditConflictError):
            self.is_conflict = True
            for name, current in error.current.items():
                if name in _LABELS:
                    value = translate(_LABELS[name][current])
                else:
                    value = _("“%(name)s”", name=current)
                self.faults[name + suffix] = _(
                    "Someone else has saved %(value)s. Save again to keep your version.",
                    value=value,
                )
                # Its author sees the current value now.
                self.was[name + suffix] = current
        elif isinstance(error, InvalidInputError):
            for name in error.fields:
                self.faults[name + suffix] = translate(error.sentence)

    def add_shot_error(self, changed: ShotField, error: ImageHubError) -> None:
        """Add the faults of a shot's field."""
        if isinstance(error, NotFoundError):
            if changed.name == "alt":
                self.lost.append(changed.value)
        else:
            self.add_error(error, f"-{changed.number}")


@blueprint.get("/admin/library/<db_id:number>")
def show_library_group(number: int) -> ResponseReturnValue:
    """Show a group's fields and shots in forms."""
    return show_group(groups.get_group(db.session(), number))


def show_group(group: Group, refused: RefusedForm | None = None) -> ResponseReturnValue:
    """Show a group's page; ``refused`` is a form of it that was not saved."""
    session = db.session()
    form = refused or RefusedForm()
    fields = edit.read_fields(session, group)
    images = library_images.list_images(session, group.id)
    videos = {image.number: describe_video(image) for image in images if image.is_video}
    page = render_template(
        "admin/library_group.html",
        group=group,
        # What was typed, or else what is saved.
        shown={**fields, **form.typed},
        was={**fields, **form.was},
        form=form,
        is_refused=refused is not None,
        beside=[order.find_living_beside(session, group, step) for step in (-1, 1)],
        images=images,
        videos=videos,
        stills=list_stills(session, [group.id]),
        field_names=edit.FIELD_NAMES,
        roles=edit.ROLES,
        playbacks=edit.PLAYBACKS,
        availabilities=edit.AVAILABILITIES,
        currencies=list_currencies(),
        price_viewers=prices.SHOWN,
        states=edit.STATES,
        choices=[one for one in list_choices(session, 20) if one[0] != group.id],
        tiles=list_group_tiles(group),
        found=list_found(group),
        # What stands in empty fields.
        credits=get_credits(get_settings()),
        series=list_series_of_group(session, group.id),
        thumbnail=make_thumbnail_url,
    )
    if refused is None:
        return page
    return page, 409 if form.is_conflict or form.lost else 422


def make_thumbnail_url(shown: Image | Tile | None) -> str:
    """Return the signed address of a small rendition of an image or a cover; "" without one."""
    image = shown.cover if isinstance(shown, Tile) else shown
    if image is None:
        return ""
    try:
        rendition = library_images.pick_rendition(image, listing.THUMBNAIL_PX)
    except NotFoundError:
        return ""
    return get_clients().store.make_presigned_url(rendition.object_key)


# --- Saving the whole form ------------------------------------------------------------------------

# Each field as it was typed, and as its author saw it: `title`, `was-title`.
_FIELDS: dict[str, Any] = {
    prefix + name: (_Lines | None, None) for name in edit.GROUP_FIELDS for prefix in ("", "was-")
}
_GroupFields = create_model("_GroupFields", __base__=Form, version=(Id("group"), ...), **_FIELDS)


def _read_changes() -> Edit:
    """Read the fields of the form that are not as its author saw them."""
    sent = read_form(_GroupFields).model_dump(exclude_none=True)
    base = {name: sent.get(f"was-{name}", "") for name in edit.GROUP_FIELDS}
    changes = {
        name: sent[name] for name in edit.GROUP_FIELDS if sent.get(name, base[name]) != base[name]
    }
    return Edit(sent["version"], changes, base)


def _show_refused(error: ImageHubError, number: int) -> ResponseReturnValue:
    changed = _read_changes()
    typed = dict(changed.changes)
    refused = RefusedForm(typed, {name: changed.base[name] for name in typed})
    refused.add_error(error)
    return show_group(groups.get_group(db.session(), number), refused)


@act("/admin/library/<db_id:number>", _show_refused, *_REFUSALS)
def save_library_group(number: int) -> ResponseReturnValue:
    """Save the whole form of a group."""
    changed = _read_changes()
    _commit_edit(edit.save_group(db.session(), number, changed), changed)
    say(_("Saved."))
    return redirect(url_for(".show_library_group", number=number), 303)


# --- Saving single fields -------------------------------------------------------------------------


class _EditBody(Form):
    version: StrictInt
    changes: dict[str, str] = Field({})
    base: dict[str, str] = Field({})

    def make_edit(self) -> Edit:
        return Edit(self.version, self.changes, self.base)


def _answer_refusal(error: ImageHubError, **_view_args: Any) -> ResponseReturnValue:
    answer: dict[str, Any] = {"detail": translate(error.sentence)}
    if isinstance(error, EditConflictError):
        answer |= {"version": error.version, "current": error.current, "yours": error.yours}
    elif isinstance(error, InvalidInputError):
        answer["fields"] = error.fields
    return jsonify(answer), get_error_status(error)


@act("/admin/library/<db_id:number>/save", _answer_refusal, *_REFUSALS)
def save_library_fields(number: int) -> ResponseReturnValue:
    """Save single fields of a group: JSON ``version``, ``changes``, ``base``.

    Answers the new version, the fields as they are saved, and whether visitors see the group; 409
    with ``version``, ``current`` and ``yours`` if someone else changed the same field; 422 with a
    sentence as ``detail``, and the ``fields`` that it is about.
    """
    changed = read_json(_EditBody).make_edit()
    group = edit.save_group(db.session(), number, changed)
    fields = edit.read_fields(db.session(), group)
    answer = {"version": group.version, "fields": fields, "is_shown": group.is_shown}
    _commit_edit(group, changed)
    return jsonify(answer)


@act("/admin/library/<db_id:number>/shots/<db_id:shot>/save", _answer_refusal, *_REFUSALS)
def save_library_shot(number: int, shot: int) -> ResponseReturnValue:
    """Save alt text, role or playback of a shot; as :func:`save_library_fields`."""
    changed = read_json(_EditBody).make_edit()
    group, image = edit.save_image(db.session(), number, shot, changed)
    answer = {"version": group.version, "fields": edit.read_shot(image)}
    if changed.changes:
        commit_action(
            "edit_shot",
            number,
            name=name_group(group),
            # One line for all shots of the group; each is counted once.
            names=[f"{shot} {show_name(image.name)}"],
            fields=[edit.FIELD_NAMES[name] for name in changed.changes],
            is_edit=True,
            shot=show_name(image.name),
        )
    return jsonify(answer)


def _commit_edit(group: Group, changed: Edit) -> None:
    if changed.changes:
        fields = [edit.FIELD_NAMES[name] for name in changed.changes]
        commit_action("edit_group", group.id, name=name_group(group), fields=fields, is_edit=True)
