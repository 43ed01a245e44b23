"""The page that changes the main language of the texts."""

from flask import redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from imagehub.admin import act, blueprint
from imagehub.admin.words import name_language, return_refused, say
from imagehub.database import db
from imagehub.domain.site import main_language
from imagehub.errors import ImageHubError
from imagehub.translator import LANGUAGES
from imagehub.web import commit_action
from imagehub.web.forms import Form, FormText, read_form
from imagehub.wiring import get_given_settings, get_settings, refresh_settings


class _Choice(Form):
    """``texts``: ``swap`` with the translations, or ``keep`` where they are."""

    language: FormText = ""
    texts: FormText = "swap"


@blueprint.get("/admin/settings/main-language")
def show_main_language() -> ResponseReturnValue:
    """Show which language becomes the main one, and what happens to the texts."""
    main, *others = get_settings().text_languages or ("",)
    return render_template(
        "admin/main_language.html",
        main=main,
        others=others,
        counts=main_language.count_translations(db.session()),
        is_given="text_languages" in get_given_settings().given,
    )


def _refuse(error: ImageHubError) -> ResponseReturnValue:
    return return_refused(error, url_for(".show_main_language"))


@act("/admin/settings/main-language", _refuse)
def change_main_language() -> ResponseReturnValue:
    """Make another language the main one; its texts and those of the former change places."""
    fields, session, given = read_form(_Choice), db.session(), get_given_settings()
    former = get_settings().main_language
    is_swap = fields.texts != "keep"
    change = main_language.swap_main_language if is_swap else main_language.rename_main_language
    change(session, given, fields.language)
    action = "swap_main_language" if is_swap else "change_main_language"
    commit_action(action, "site", name=LANGUAGES[fields.language])
    refresh_settings(older_than_seconds=0)
    say(
        _("%(language)s is the main language now.", language=name_language(fields.language)),
        undo=".change_main_language",
        language=former,
        texts=fields.texts,
    )
    return redirect(url_for(".show_main_language"), 303)
