"""The look of the gallery: its page, its preview, and the return to the former one."""

from typing import Annotated, Any, Literal

from flask import redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from pydantic import BeforeValidator, Field, create_model

from imagehub.admin import act, blueprint
from imagehub.admin.settings_pages import LABELS
from imagehub.admin.words import return_refused, say
from imagehub.config import PREFIX
from imagehub.database import db
from imagehub.domain.library import listing
from imagehub.domain.site import look
from imagehub.domain.site.look import LOOK_FIELDS
from imagehub.domain.site.settings import LOGO_FIELDS, SettingConflictError
from imagehub.errors import ImageHubError
from imagehub.messages import mark
from imagehub.models import LogoPicture
from imagehub.web import commit_action
from imagehub.web.forms import Form, FormText, find_number, read_form, read_query
from imagehub.web.headers import allow_own_frames
from imagehub.web.look import make_logo_url
from imagehub.wiring import get_clients, get_given_settings, get_settings, refresh_settings

# Value → (name, what it means).
LAYOUTS = {
    "wall": (
        mark("Wall"),
        mark("Pictures side by side from edge to edge. Titles appear under the pointer."),
    ),
    "rows": (
        mark("Rows with labels"),
        mark("Each work large, with title, year, medium and dimensions beside it."),
    ),
    "one": (
        mark("One work on each screen"),
        mark("Each work fills the window. The arrow keys lead from one to the next."),
    ),
}
# Value → (name, what it is used for).
TYPEFACES = {
    "fraunces": ("Fraunces", mark("Titles with character; the rest in the sans of the device")),
    "eb-garamond": (
        "EB Garamond",
        mark("Titles as in classic books; the rest in the sans of the device"),
    ),
    "source-sans-3": ("Source Sans", mark("One friendly sans for everything")),
    "hanken-grotesk": ("Hanken Grotesk", mark("One plain grotesque for everything")),
}
WIDTHS = {"desktop": mark("Desktop"), "phone": mark("Phone")}


class LookChoices(Form):
    """What is chosen on the page and not saved yet; None stands for what is saved."""

    layout: FormText | None = None
    typefaces: FormText | None = None
    featured_work: FormText | None = None
    logo: FormText | None = None
    logo_dark: FormText | None = None

    @property
    def texts(self) -> dict[str, str]:
        return {name: text for name in LOOK_FIELDS if (text := getattr(self, name)) is not None}


# The look as the form showed it, by which changes of others are noticed.
_SHOWN: dict[str, Any] = {
    name: (FormText | None, Field(None, alias=f"was_{name}")) for name in LOOK_FIELDS
}
_ShownLook = create_model("_ShownLook", __base__=Form, **_SHOWN)


class _Width(Form):
    width: Annotated[
        Literal["desktop", "phone"],
        BeforeValidator(lambda text: text if text in WIDTHS else "desktop"),
    ] = "desktop"


def list_changes(choices: LookChoices) -> dict[str, str]:
    """Return what is chosen and differs from what is saved, as an address carries it."""
    saved = look.describe_look(get_settings())
    chosen = look.describe_look(look.choose_look(get_settings(), choices.texts))
    return {name: text for name, text in chosen.items() if text != saved[name]}


@blueprint.get("/admin/look")
def show_look() -> ResponseReturnValue:
    """Show what can be chosen, and what is chosen already."""
    refresh_settings(older_than_seconds=0)
    choices = read_query(LookChoices)
    values = look.describe_look(look.choose_look(get_settings(), choices.texts))
    return render_template(
        "admin/look.html",
        values=values,
        was=look.describe_look(get_settings()),
        is_changed=bool(list_changes(choices)),
        given=get_given_settings().given,
        prefix=PREFIX,
        layouts=LAYOUTS,
        typefaces=TYPEFACES,
        featured=_find_featured(values["featured_work"]),
        sign=get_clients().store.make_presigned_url,
        make_logo_url=make_logo_url,
        logos={name: db.session().get(LogoPicture, int(values[name])) for name in LOGO_FIELDS},
        has_former=look.find_former_look(db.session()) is not None,
    )


def _find_featured(text: str) -> listing.Row | None:
    """Return the work with this number, with its picture; None if there is none."""
    number = find_number(text)
    rows = listing.load_rows(db.session(), [number], {}) if number else []
    return rows[0] if rows else None


def _refuse(error: ImageHubError) -> ResponseReturnValue:
    choices = list_changes(read_form(LookChoices))
    if isinstance(error, SettingConflictError):
        refresh_settings(older_than_seconds=0)
    return return_refused(error, url_for(".show_look", **choices))  # type: ignore[arg-type]


@act("/admin/look", _refuse, ImageHubError)
def save_look() -> ResponseReturnValue:
    """Save the look; visitors see it from now on."""
    base = read_form(_ShownLook).model_dump(exclude_none=True)
    texts = read_form(LookChoices).texts
    _say_saved(look.save_look(db.session(), get_given_settings(), texts, base))
    return redirect(url_for(".show_look"), 303)


@act("/admin/look/undo", _refuse, ImageHubError)
def restore_look() -> ResponseReturnValue:
    """Save the former look again."""
    _say_saved(look.restore_look(db.session(), get_given_settings()))
    return redirect(url_for(".show_look"), 303)


def _say_saved(changed: list[str]) -> None:
    if not changed:
        say(_("Nothing was changed."))
        return
    commit_action("change_settings", "site", fields=[LABELS[name] for name in changed])
    refresh_settings(older_than_seconds=0)
    front = (url_for("gallery.show_front"), _("View gallery"))
    say(_("Visitors see the new look."), undo=".restore_look", link=front)


# --- The featured work ----------------------------------------------------------------------------


class _PickerQuery(LookChoices):
    """``q``: words of the works; ``after``, ``before``: the page of the list."""

    q: FormText = ""
    after: FormText = ""
    before: FormText = ""


@blueprint.post("/admin/look/work")
def leave_for_work() -> ResponseReturnValue:
    """Redirect to the works to choose from, keeping what is chosen on the page."""
    changes: dict[str, Any] = list_changes(read_form(LookChoices))
    return redirect(url_for(".choose_featured", **changes), 303)


@blueprint.get("/admin/look/work")
def choose_featured() -> ResponseReturnValue:
    """Show the works of the library with their pictures, to choose one; nothing is saved."""
    query = read_query(_PickerQuery)
    page = listing.list_groups(db.session(), "all", query.q, query.after, query.before)
    choices = list_changes(query)
    return render_template(
        "admin/look_work.html",
        query=query,
        page=page,
        choices=choices,
        others={name: text for name, text in choices.items() if name != "featured_work"},
        sign=get_clients().store.make_presigned_url,
    )


# --- Preview --------------------------------------------------------------------------------------


@blueprint.post("/admin/look/preview")
def preview_look() -> ResponseReturnValue:
    """Redirect to the preview of what is chosen; nothing is saved."""
    changes: dict[str, Any] = list_changes(read_form(LookChoices))
    return redirect(url_for(".show_look_preview", **changes), 303)


@blueprint.get("/admin/look/preview")
def show_look_preview() -> ResponseReturnValue:
    """Show the front page as it would be, as wide as on a desktop or on a phone."""
    choices: dict[str, Any] = list_changes(read_query(LookChoices))
    allow_own_frames()
    return render_template(
        "admin/look_preview.html",
        choices=choices,
        was=look.describe_look(get_settings()),
        width=read_query(_Width).width,
        widths=WIDTHS,
    )
