"""The settings page: the look of the site and what it offers, unless the environment sets it."""

import json
from collections.abc import Mapping
from typing import Any

from flask import redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from pydantic import Field, create_model

from imagehub.admin import act, blueprint
from imagehub.admin.settings_draft import read_draft, write_draft
from imagehub.admin.watermark import MARK_FIELDS, describe_watermark
from imagehub.admin.words import list_currencies, say
from imagehub.config import PREFIX
from imagehub.config_values import SITE_TEXTS, SiteTexts
from imagehub.database import db
from imagehub.domain.site import settings
from imagehub.domain.site.attention import TOPICS
from imagehub.domain.site.look import LOOK_FIELDS
from imagehub.domain.site.settings import SettingConflictError
from imagehub.errors import ImageHubError, InvalidInputError
from imagehub.messages import Message, mark
from imagehub.translator import LANGUAGES
from imagehub.web import commit_action
from imagehub.web.errors import get_error_status
from imagehub.web.forms import Checkbox, Form, FormText, FormTexts, read_form, read_query
from imagehub.web.i18n import translate
from imagehub.web.palette import LIGHT_GROUND
from imagehub.wiring import build_channels, get_given_settings, get_settings, refresh_settings

_FLAGS = ("zip_downloads", "feeds", "enquiries", "numbers", "tiles", "image_credits")
LABELS = {
    "title": mark("Title"),
    "tagline": mark("Tagline"),
    "accent": mark("Accent colour"),
    "ground": mark("Background colour"),
    "layout": mark("Layout of the front page"),
    "typefaces": mark("Typefaces"),
    "featured_work": mark("Featured work"),
    "logo": mark("Logo"),
    "logo_dark": mark("Logo for the dark theme"),
    "language": mark("Language"),
    "text_languages": mark("Languages of the texts"),
    "site_texts": mark("Title and tagline in other languages"),
    "downloads": mark("Downloads of full-size images"),
    "zip_downloads": mark("Downloads as ZIP files"),
    "feeds": mark("Feed"),
    "embed_sites": mark("Embeds"),
    "numbers": mark("Numbers"),
    "tiles": mark("Deep zoom"),
    "enquiries": mark("Enquiries"),
    "enquiry_months": mark("Time that enquiries are kept"),
    "currency": mark("Currency"),
    "creator": mark("Artist"),
    "credit_line": mark("Credit line"),
    "copyright_notice": mark("Copyright notice"),
    "license_url": mark("Address of the licence"),
    "license_page_url": mark("Page where one acquires a licence"),
    "image_credits": mark("Credits in images"),
    "watermark": mark("Watermark"),
    "watermark_text": mark("Text of the watermark"),
    "watermark_place": mark("Place of the watermark"),
    "watermark_strength": mark("Strength of the watermark"),
    "watermark_from_px": mark("Sizes with a watermark"),
    "notify_about": mark("What messages are about"),
}
# What is shown in place of a stored value that says nothing to people.
_VALUE_NAMES: Mapping[str, Mapping[str, str]] = {
    "tagline": {"": mark("no tagline")},
    "ground": {"": mark("the default background")},
    "embed_sites": {"": mark("no websites"), "*": mark("every website")},
    "downloads": {
        "without-place": mark("“Without location and personal data”"),
        "as-is": mark("“As they are”"),
        "none": mark("“No downloads”"),
    },
    "language": {"auto": mark("“Same as browser”")}
    | {code: Message("“%(name)s”", name=name) for code, name in LANGUAGES.items()},
    "text_languages": {"": mark("no languages")},
}


class SettingFields(Form):
    """The settings as texts; a field that cannot be changed here is not sent."""

    title: FormText | None = None
    tagline: FormText | None = None
    accent: FormText | None = None
    ground: FormText | None = None
    has_ground: Checkbox = False
    language: FormText | None = None
    text_languages: FormTexts = Field(default_factory=list)
    downloads: FormText | None = None
    zip_downloads: Checkbox = False
    feeds: Checkbox = False
    embed_sites: FormText | None = None
    numbers: Checkbox = False
    tiles: Checkbox = False
    enquiries: Checkbox = False
    enquiry_months: FormText | None = None
    currency: FormText | None = None
    creator: FormText | None = None
    credit_line: FormText | None = None
    copyright_notice: FormText | None = None
    license_url: FormText | None = None
    license_page_url: FormText | None = None
    image_credits: Checkbox = False
    watermark: FormText | None = None
    watermark_text: FormText | None = None
    watermark_place: FormText | None = None
    watermark_strength: FormText | None = None
    watermark_from_px: FormText | None = None
    notify_about: FormTexts = Field(default_factory=list)

    def list_texts(self) -> dict[str, str]:
        """List the settings that may be changed here, as they would stand in the environment."""
        texts = {}
        for name in settings.SITE_FIELDS:
            value = getattr(self, name, None)
            if name in get_given_settings().given or value is None:
                continue
            if isinstance(value, list):
                # The form has an empty value besides the chosen ones.
                if value:
                    nothing = "none" if name == "notify_about" else ""
                    texts[name] = ",".join(dict.fromkeys(filter(None, value))) or nothing
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


# Title and tagline in each language: ``title_de``.
_SITE_TEXTS: dict[str, Any] = {
    f"{name}_{code}": (FormText | None, None) for name in SITE_TEXTS for code in LANGUAGES
}
_SiteTexts = create_model("_SiteTexts", __base__=Form, **_SITE_TEXTS)


def _read_site_texts() -> str | None:
    """Read the texts of the site in other languages as one setting; None if none was sent.

    Texts without a field in the form stay, such as those in a language that is off.
    """
    sent = read_form(_SiteTexts).model_dump(exclude_none=True)
    if not sent:
        return None
    stored = {f"{name}_{code}": text for code, name, text in get_settings().site_texts.rows}
    rows = []
    for field, text in {**stored, **sent}.items():
        name, _separator, code = field.partition("_")
        if line := " ".join(text.split()):
            rows.append((code, name, line))
    return str(SiteTexts(tuple(rows)))


def _load_texts(text: str) -> dict[str, dict[str, str]]:
    """Return the texts in a stored value of ``site_texts``: language → name → text."""
    texts: dict[str, dict[str, str]] = json.loads(text or "{}")
    return texts


def _read_texts() -> tuple[dict[str, str], dict[str, str]]:
    """Read the form: the settings as they were typed, and as they were shown."""
    given = set(get_given_settings().given)
    base = read_form(_ShownFields).model_dump(exclude=given, exclude_none=True)
    texts, site_texts = read_form(SettingFields).list_texts(), _read_site_texts()
    if site_texts is not None and "site_texts" not in given:
        texts["site_texts"] = site_texts
    return texts, base


@blueprint.get("/admin/settings")
def show_settings() -> ResponseReturnValue:
    """Show the form with the settings in force, and over them what is not saved yet."""
    draft = read_draft(read_query(_Draft).draft)
    given = get_given_settings().given
    return _render({n: t for n, t in draft.touched.items() if n not in given}, draft.base)


class _Draft(Form):
    draft: FormText = ""


def _read_touched() -> tuple[dict[str, str], dict[str, str]]:
    """Read the form: the settings that were changed in it, and all as they were shown."""
    texts, base = _read_texts()
    return {name: text for name, text in texts.items() if text != base.get(name)}, base


def _show_again(error: ImageHubError) -> ResponseReturnValue:
    return _render(*_read_touched(), error), get_error_status(error)


@act("/admin/settings", _show_again, InvalidInputError, SettingConflictError)
def save_settings() -> ResponseReturnValue:
    """Save what was changed; other processes follow within seconds."""
    texts, base = _read_texts()
    changed = settings.save_site(db.session(), get_given_settings(), texts, base)
    if changed:
        commit_action("change_settings", "site", fields=[LABELS[name] for name in changed])
    refresh_settings(older_than_seconds=0)
    say(_("Settings saved.") if changed else _("Nothing was changed."))
    return redirect(url_for("admin.show_settings"))


@blueprint.post("/admin/settings/watermark")
def show_watermark() -> ResponseReturnValue:
    """Show the watermark as it stands in the form on a work; nothing is saved."""
    return _render(*_read_touched())


def _keep_form(error: ImageHubError) -> ResponseReturnValue:
    say(str(error), is_fault=True)
    return _render(*_read_touched()), get_error_status(error)


@act("/admin/settings/watermark/leave", _keep_form, InvalidInputError)
def leave_for_mark_file() -> ResponseReturnValue:
    """Redirect to the files to choose from, keeping what was changed in the form."""
    draft = write_draft(*_read_touched())
    return redirect(url_for("admin.choose_mark_file", draft=draft or None), 303)


@blueprint.post("/admin/settings/downloads")
def choose_downloads() -> ResponseReturnValue:
    """Save the choice that Home asks for in hubs from before there was one."""
    choice = read_form(SettingFields).downloads or ""
    settings.choose_downloads(db.session(), get_given_settings(), choice)
    commit_action("change_settings", "site", fields=[LABELS["downloads"]])
    refresh_settings(older_than_seconds=0)
    say(_("Settings saved."))
    return redirect(url_for("admin.show_home"))


@blueprint.post("/admin/settings/enquiries")
def choose_enquiries() -> ResponseReturnValue:
    """Turn enquiries on or leave them off, as Home asks."""
    is_on = read_form(SettingFields).enquiries
    settings.choose_enquiries(db.session(), get_given_settings(), is_on=is_on)
    commit_action("change_settings", "site", fields=[LABELS["enquiries"]])
    refresh_settings(older_than_seconds=0)
    say(_("Visitors can write to you now.") if is_on else _("Enquiries stay off."))
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
    # They have a page of their own.
    was = {name: text for name, text in was.items() if name not in LOOK_FIELDS}
    if isinstance(error, SettingConflictError):
        for name, text in error.current.items():
            words = text
            if name == "site_texts":
                words = ", ".join(
                    one for texts in _load_texts(text).values() for one in texts.values()
                )
            value = translate(
                _VALUE_NAMES.get(name, {}).get(text, Message("“%(name)s”", name=words))
            )
            faults[name] = Message(
                "Someone else saved %(value)s while you were editing. Save again to keep your "
                "version.",
                value=value,
            )
            # The form now shows what others saved.
            was[name] = text
    shown = {**current, **touched}
    is_changed = any(text != current[name] for name, text in touched.items())
    return render_template(
        "admin/settings.html",
        site_texts=_load_texts(shown["site_texts"]),
        other_languages=[
            code for code in shown["text_languages"].split(",")[1:] if code in LANGUAGES
        ],
        values=shown,
        was=was,
        faults=faults,
        is_changed=is_changed,
        is_conflict=isinstance(error, SettingConflictError),
        given=get_given_settings().given,
        prefix=PREFIX,
        usual_ground=LIGHT_GROUND,
        languages_offered=LANGUAGES,
        topics=TOPICS,
        currencies=list_currencies(),
        tiles_above_px=get_given_settings().tiles_above_px,
        channels=build_channels(get_given_settings()),
        mark_look={name: shown[name] for name in MARK_FIELDS},
        **describe_watermark(),
    )
