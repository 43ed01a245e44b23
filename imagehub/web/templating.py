"""Provide values for every template, and render pages without the database."""

from typing import Any

from flask import current_app

from imagehub.web.access import is_signed_in
from imagehub.web.assets import asset_url
from imagehub.web.cookies import read_cookie
from imagehub.web.headers import make_absolute, make_style
from imagehub.web.i18n import get_asked_language, get_language, get_site, list_languages
from imagehub.web.look import get_look, list_logos
from imagehub.web.palette import make_css
from imagehub.web.public_path import find_preview, get_here, leave_preview

THEME_COOKIE = "theme"


def make_page_values() -> dict[str, Any]:
    """Make the values for every template, without using the database."""
    settings = get_site()
    return {
        "settings": settings,
        "look": get_look(),
        "list_logos": list_logos,
        "style": make_style,
        "asset_url": asset_url,
        "is_signed_in": is_signed_in(),
        "make_absolute": make_absolute,
        "here": get_here,
        "is_preview": find_preview() is not None,
        "leave_preview": leave_preview,
        "palette_css": make_css(settings.accent, settings.ground),
        "language": get_language(),
        "languages": list_languages(),
        "asked_language": get_asked_language(),
        # Feed readers send no cookie, and rarely the languages of the person.
        "feed_language": get_language() if settings.is_multilingual else None,
        "theme": pick_theme(read_cookie(THEME_COOKIE)),
    }


def pick_theme(chosen: str) -> str:
    """Return the visitor's choice: ``light``, ``dark``, or ``auto`` without one."""
    return chosen if chosen in ("light", "dark") else "auto"


def render_without_database(template: str, **values: Any) -> str:
    """Render a page that needs only the settings, even when the database is down.

    ``render_template`` would load the signed-in person from the database.
    """
    page = current_app.jinja_env.get_template(template)
    return page.render(**make_page_values(), **values)
