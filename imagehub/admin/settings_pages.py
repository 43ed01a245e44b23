"""The settings page: the look of the site and what it offers, unless the environment sets it."""

from collections.abc import Mapping
from typing import Any

from flask import redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from pydantic import Field, create_model

from imagehub.admin import act, blueprint
from imagehub.admin.words import say
from imagehub.config import PREFIX
from imagehub.database import db
from imagehub.domain.site import settings
from imagehub.domain.site.attention import TOPICS
from imagehub.domain.site.settings import SettingConflictError
from imagehub.errors import ImageHubError, InvalidInputError
from imagehub.messages import Message, mark
from imagehub.translator import LANGUAGES
from imagehub.web import commit_action
from imagehub.web.errors import get_error_status
from imagehub.web.forms import Checkbox, Form, FormText, FormTexts, read_form
from imagehub.web.i18n import translate
from imagehub.web.palette import LIGHT_GROUND
from imagehub.wiring import build_channels, get_given_settings, refresh_settings

_FLAGS = ("zip_downloads", "feeds")
_LABELS = {
    "title": mark("Title"),
    "tagline": mark("Tagline"),
    "accent": mark("Accent colour"),
    "ground": mark("Background colour"),
    "language": mark("Language"),
    "downloads": mark("Downloads of full-size images"),
    "zip_downloads": mark("Downloads as ZIP files"),
    "feeds": mark("Feed"),
    "notify_about": mark("What messages are about"),
}
# What is shown in place of a stored value that says nothing to people.
_VALUE_NAMES: Mapping[str, Mapping[str, str]] = {
    "tagline": {"": mark("no tagline")},
    "ground": {"": mark("the default background")},
    "downloads": {
        "without-place": mark("“Without location and personal data”"),
        "as-is": mark("“As they are”"),
        "none": mark("“No downloads”"),
    },
    "language": {"auto": mark("“Same as browser”")}
    | {code: Message("“%(name)s”", name=name) for code, name in LANGUAGES.items()},
}


class SettingFields(Form):
    """The settings as texts; a field that cannot be changed here is not sent."""

    title: FormText | None = None
    tagline: FormText | None = None
    accent: FormText | None = None
    ground: FormText | None = None
    has_ground: Checkbox = False
    language: FormText | None = None
    downloads: FormText | None = None
    zip_downloads: Checkbox = False
    feeds: Checkbox = False
    notify_about: FormTexts = Field(default_factory=list)

    def list_texts(self) -> dict[str, str]:
        """List the settings that may be changed here, as they would stand in the environment."""
        texts = {}
        for name in settings.SITE_FIELDS:
            value = getattr(self, name)
            if name in get_given_settings().given or value is None:
                continue
            if name == "notify_about":
                # The form has an empty value besides the checked ones.
                if value:
                    texts[name] = ",".join(filter(None, value)) or "none"
            else:
                texts[name] = ("on" if value else "off") if name in _FLAGS else value
        if "ground" in texts and not self.has_ground:
            texts["ground"] = ""
        return texts


# The settings as the form showed them, by which changes of others are noticed.
_SHOWN: dict[str, Any] = {
    name: (FormText | None, Field(None, alias=f"was_{name}")) for name in settings.SITE_FIELDS
}
_ShownFields = create_model("_ShownFields", __base__=Form, **_SHOWN)


def _read_texts() -> tuple[dict[str, str], dict[str, str]]:
    """Read the form: the settings as they were typed, and as they were shown."""
    given = set(get_given_settings().given)
    base = read_form(_ShownFields).model_dump(exclude=given, exclude_none=True)
    return read_form(SettingFields).list_texts(), base


@blueprint.get("/admin/settings")
def show_settings() -> ResponseReturnValue:
    """Show the form with the settings in force."""
    return _render()


def _show_again(error: ImageHubError) -> ResponseReturnValue:
    texts, base = _read_texts()
    touched = {name: text for name, text in texts.items() if text != base.get(name)}
    return _render(touched, base, error), get_error_status(error)


@act("/admin/settings", _show_again, InvalidInputError, SettingConflictError)
def save_settings() -> ResponseReturnValue:
    """Save what was changed; other processes follow within seconds."""
    texts, base = _read_texts()
    changed = settings.save_site(db.session(), get_given_settings(), texts, base)
    if changed:
        commit_action("change_settings", "site", fields=[_LABELS[name] for name in changed])
    refresh_settings(older_than_seconds=0)
    say(_("Settings saved.") if changed else _("Nothing was changed."))
    return redirect(url_for("admin.show_settings"))


@blueprint.post("/admin/settings/downloads")
def choose_downloads() -> ResponseReturnValue:
    """Save the choice that Home asks for in hubs from before there was one."""
    choice = read_form(SettingFields).downloads or ""
    settings.choose_downloads(db.session(), get_given_settings(), choice)
    commit_action("change_settings", "site", fields=[_LABELS["downloads"]])
    refresh_settings(older_than_seconds=0)
    say(_("Settings saved."))
    return redirect(url_for("admin.show_home"))


def _render(
    touched: Mapping[str, str] | None = None,
    base: Mapping[str, str] | None = None,
    error: ImageHubError | None = None,
) -> str:
    """Render the form: the settings in force, and over them what was changed and not saved."""
    touched, base = touched or {}, base or {}
    current = settings.describe_site(settings.get_site(db.session(), get_given_settings()))
    faults = dict(error.fields) if isinstance(error, InvalidInputError) else {}
    was = current | {name: text for name, text in base.items() if name in touched}
    if isinstance(error, SettingConflictError):
        for name, text in error.current.items():
            value = translate(
                _VALUE_NAMES.get(name, {}).get(text, Message("“%(name)s”", name=text))
            )
            faults[name] = Message(
                "Someone else saved %(value)s while you were editing. Save again to keep your "
                "version.",
                value=value,
            )
            # The form now shows what others saved.
            was[name] = text
    return render_template(
        "admin/settings.html",
        values={**current, **touched},
        was=was,
        faults=faults,
        is_conflict=isinstance(error, SettingConflictError),
        given=get_given_settings().given,
        prefix=PREFIX,
        usual_ground=LIGHT_GROUND,
        languages_offered=LANGUAGES,
        topics=TOPICS,
        channels=build_channels(get_given_settings()),
    )
