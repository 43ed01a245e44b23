"""How the site looks and what it offers, as far as the environment leaves that open."""

from collections.abc import Mapping

from flask import redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from imagehub.admin import blueprint
from imagehub.admin.words import say
from imagehub.config import PREFIX
from imagehub.database import db
from imagehub.domain.site import settings
from imagehub.domain.site.settings import SettingConflictError
from imagehub.errors import InvalidInputError
from imagehub.messages import mark
from imagehub.web import i18n, note_action
from imagehub.web.errors import get_error_status
from imagehub.web.palette import LIGHT_GROUND
from imagehub.wiring import get_given_settings, refresh_settings

_FLAGS = ("downloads", "zip_downloads", "feeds")
_LABELS = {
    "title": mark("Title"),
    "tagline": mark("Tagline"),
    "accent": mark("Accent colour"),
    "ground": mark("Background colour"),
    "language": mark("Language"),
    "downloads": mark("Downloads of full-size images"),
    "zip_downloads": mark("Downloads as ZIP files"),
    "feeds": mark("Feed"),
}
# What is said instead of a text that is none for people.
_WORDS: Mapping[str, Mapping[str, str]] = {
    "tagline": {"": "no line of words"},
    "ground": {"": "the usual warm white"},
    "language": {"auto": "“As their browser asks”"}
    | {code: f"“{name}”" for code, name in i18n.LANGUAGES.items()},
}


@blueprint.get("/admin/settings")
def show_settings() -> ResponseReturnValue:
    """The form with what is in force."""
    return _render()


@blueprint.post("/admin/settings")
def save_settings() -> ResponseReturnValue:
    """Keep what somebody changed; the site follows at once here, and within seconds elsewhere."""
    session, given = db.session(), get_given_settings()
    names = [name for name in settings.SITE_FIELDS if name not in given.given]
    texts = {name: request.form[name] for name in names if name in request.form}
    texts |= {name: "on" if request.form.get(name) else "off" for name in _FLAGS if name in names}
    if "ground" in texts and not request.form.get("has_ground"):
        texts["ground"] = ""
    base = {name: request.form[f"was-{name}"] for name in names if f"was-{name}" in request.form}
    try:
        changed = settings.save_site(session, given, texts, base)
    except (InvalidInputError, SettingConflictError) as error:
        session.rollback()
        touched = {name: text for name, text in texts.items() if text != base.get(name)}
        return _render(touched, base, error), get_error_status(error)
    if changed:
        note_action("change_settings", "site", fields=[_LABELS[name] for name in changed])
    session.commit()
    refresh_settings(older_than_seconds=0)
    say("Saved. The site shows it now." if changed else "Nothing was changed.")
    return redirect(url_for("admin.show_settings"))


def _render(
    touched: Mapping[str, str] | None = None,
    base: Mapping[str, str] | None = None,
    error: InvalidInputError | SettingConflictError | None = None,
) -> str:
    """The form with what is in force, and over that what was touched and not saved."""
    touched, base = touched or {}, base or {}
    current = settings.describe_site(settings.get_site(db.session(), get_given_settings()))
    faults = dict(error.fields) if isinstance(error, InvalidInputError) else {}
    was = current | {name: text for name, text in base.items() if name in touched}
    if isinstance(error, SettingConflictError):
        for name, text in error.current.items():
            words = _WORDS.get(name, {}).get(text, f"“{text}”")
            faults[name] = f"Somebody else saved {words} meanwhile. Save again to keep yours."
            # Now its author sees what others saved.
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
        languages_offered=i18n.LANGUAGES,
    )
