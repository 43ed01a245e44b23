"""How the site looks and what it offers, as far as the environment leaves that open."""

from collections.abc import Mapping

from flask import redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from imagehub import i18n
from imagehub.admin import blueprint
from imagehub.admin.words import say
from imagehub.config import PREFIX
from imagehub.database import db
from imagehub.domain import hub_settings
from imagehub.errors import InvalidInputError
from imagehub.palette import LIGHT_GROUND
from imagehub.web import note_action
from imagehub.wiring import get_given_settings, get_settings, refresh_settings

_FLAGS = ("downloads", "zip_downloads", "feeds")


@blueprint.get("/admin/settings")
def show_settings() -> ResponseReturnValue:
    """The form with what is in force."""
    settings = get_settings()
    return _render({name: getattr(settings, name) for name in hub_settings.SITE_FIELDS}, {})


@blueprint.post("/admin/settings")
def save_settings() -> ResponseReturnValue:
    """Keep what was sent; the site follows at once here, and within seconds elsewhere."""
    texts = {
        name: request.form.get(name, "") for name in hub_settings.SITE_FIELDS if name not in _FLAGS
    }
    texts |= {name: "on" if request.form.get(name) else "off" for name in _FLAGS}
    if not request.form.get("has_ground"):
        texts["ground"] = ""
    try:
        changed = hub_settings.save_site(db.session(), get_given_settings(), texts)
    except InvalidInputError as error:
        db.session.rollback()
        values = {name: texts[name] == "on" if name in _FLAGS else texts[name] for name in texts}
        return _render(values, error.fields), 422
    if changed:
        names = ", ".join(name.replace("_", " ") for name in changed)
        note_action("change", "setting", "site", f"Changed the site's settings: {names}.")
    db.session.commit()
    refresh_settings(older_than_seconds=0)
    say("Saved. The site shows it now." if changed else "Nothing was changed.")
    return redirect(url_for("admin.show_settings"))


def _render(values: Mapping[str, object], faults: Mapping[str, str]) -> str:
    return render_template(
        "admin/settings.html",
        values=values,
        faults=faults,
        given=get_given_settings().given,
        prefix=PREFIX,
        usual_ground=LIGHT_GROUND,
        languages_offered=i18n.LANGUAGES,
    )
