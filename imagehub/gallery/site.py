"""Theme and language of a visitor, the logo, the web app manifest, and pages without a network."""

from flask import Response, current_app, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from imagehub.gallery import blueprint
from imagehub.translator import LANGUAGES
from imagehub.web import i18n
from imagehub.web.access import get_local_target
from imagehub.web.assets import asset_url
from imagehub.web.cookies import set_cookie
from imagehub.web.forms import Form, read_query
from imagehub.web.look import read_logo
from imagehub.web.palette import LIGHT_GROUND
from imagehub.web.templating import THEME_COOKIE

_PREFERENCES = {THEME_COOKIE: ("auto", "light", "dark"), i18n.COOKIE: tuple(LANGUAGES)}
_YEAR_SECONDS = 365 * 24 * 3600


class Preferences(Form):
    """What to remember, and the page to go back to. Other values of a preference are ignored."""

    theme: str = ""
    language: str = ""
    next: str = ""


@blueprint.get("/preferences")
def set_preferences() -> ResponseReturnValue:
    """Remember a theme or a language in this browser and go back to the page.

    A GET request, so that a link works without a script; it changes only cookies of this browser.
    """
    fields = read_query(Preferences)
    target = get_local_target(fields.next, home=url_for("gallery.show_front"))
    if fields.language:
        # The address of a page in one language would win over the choice.
        target = i18n.set_url_language(target, "")
    response = redirect(target, 303)
    for name, values in _PREFERENCES.items():
        value = getattr(fields, name)
        if value in values:
            set_cookie(response, name, value, _YEAR_SECONDS, is_for_scripts=True)
    response.headers["Cache-Control"] = "no-store"
    return response


@blueprint.get("/logos/<db_id:number>/<digest>.webp")
def show_logo(number: int, digest: str) -> ResponseReturnValue:
    """Send a logo, a few kilobytes. The address names the content, so caches keep it for ever."""
    data = read_logo(number, digest)
    response = _answer(data, "image/webp", f"public, max-age={_YEAR_SECONDS}, immutable")
    response.set_etag(digest)
    return response.make_conditional(request)


@blueprint.get("/manifest.webmanifest")
def show_manifest() -> ResponseReturnValue:
    """Source: https://www.w3.org/TR/appmanifest/."""
    settings = i18n.get_site()
    ground, home = settings.ground or LIGHT_GROUND, url_for("gallery.show_front")
    icons = [
        {
            "src": asset_url(f"img/{name}.png"),
            "sizes": f"{size}x{size}",
            "type": "image/png",
            "purpose": purpose,
        }
        for name, size, purpose in (
            ("icon-192", 192, "any"),
            ("icon-512", 512, "any"),
            ("icon-maskable", 512, "maskable"),
        )
    ]
    manifest = {
        "id": home,
        "name": settings.title,
        "short_name": settings.title[:24],
        "description": settings.tagline,
        "lang": i18n.get_language(),
        "start_url": home,
        "scope": home,
        "display": "standalone",
        "background_color": ground,
        "theme_color": ground,
        "icons": icons,
    }
    text = current_app.json.dumps(manifest)
    return _answer(text, "application/manifest+json", "private, max-age=3600")


@blueprint.get("/service-worker.js")
def show_service_worker() -> ResponseReturnValue:
    """Return the service worker; at the root of the site, so that it controls all pages.

    It is a template that contains the version of the static files, so that browsers notice a new
    version.
    """
    urls = {"offline_url": url_for("gallery.show_offline"), "assets_url": asset_url("")}
    script = render_template("gallery/service-worker.js", **urls)
    return _answer(script, "text/javascript", "no-cache")


@blueprint.get("/offline")
def show_offline() -> ResponseReturnValue:
    """Show the page that the service worker displays without a network."""
    return _answer(render_template("gallery/offline.html"), "text/html", "no-cache")


def _answer(content: str | bytes, mimetype: str, cache_control: str) -> Response:
    return Response(content, mimetype=mimetype, headers={"Cache-Control": cache_control})
