"""What surrounds the pages: theme and language of a visitor, installing, being offline."""

from flask import (
    Response,
    current_app,
    redirect,
    render_template,
    request,
    url_for,
)
from flask.typing import ResponseReturnValue

from imagehub.gallery import blueprint
from imagehub.web import i18n
from imagehub.web.access import get_local_target
from imagehub.web.assets import asset_url
from imagehub.web.palette import LIGHT_GROUND
from imagehub.wiring import get_settings

_PREFERENCES = {"theme": ("auto", "light", "dark"), i18n.COOKIE: tuple(i18n.LANGUAGES)}
_YEAR_SECONDS = 365 * 24 * 3600


@blueprint.get("/preferences")
def set_preferences() -> ResponseReturnValue:
    """Remember a theme or a language in this browser and go back to the page.

    By GET, so that it works as a link without a script: what it changes is how this browser sees
    the site, and nothing else.
    """
    target = request.args.get("next", "")
    response = redirect(get_local_target(target, home=url_for("gallery.show_front")), 303)
    for name, values in _PREFERENCES.items():
        value = request.args.get(name)
        if value in values:
            response.set_cookie(
                name,
                value,
                max_age=_YEAR_SECONDS,
                samesite="Lax",
                secure=get_settings().public_url.startswith("https://"),
            )
    response.headers["Cache-Control"] = "no-store"
    return response


@blueprint.get("/manifest.webmanifest")
def show_manifest() -> ResponseReturnValue:
    """Source: https://www.w3.org/TR/appmanifest/."""
    settings = get_settings()
    ground = settings.ground or LIGHT_GROUND
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
        "id": "/",
        "name": settings.title,
        "short_name": settings.title[:24],
        "description": settings.tagline,
        "lang": i18n.get_language(),
        "start_url": url_for("gallery.show_front"),
        "scope": url_for("gallery.show_front"),
        "display": "standalone",
        "background_color": ground,
        "theme_color": ground,
        "icons": icons,
    }
    response = Response(current_app.json.dumps(manifest), mimetype="application/manifest+json")
    response.headers["Cache-Control"] = "private, max-age=3600"
    return response


@blueprint.get("/service-worker.js")
def show_service_worker() -> ResponseReturnValue:
    """The service worker, from the root of the site, which is as far as it may reach.

    It is a template: its text names this version of the static files, so that browsers notice a
    new version and fetch those.
    """
    files = [
        asset_url(name)
        for name in ("css/site.css", "js/site.js", "js/pictures.js", "vendor/fraunces-latin.woff2")
    ]
    script = render_template(
        "gallery/service-worker.js",
        offline_url=url_for("gallery.show_offline"),
        assets_url=asset_url(""),
        files=files,
    )
    response = Response(script, mimetype="text/javascript")
    response.headers["Cache-Control"] = "no-cache"
    return response


@blueprint.get("/offline")
def show_offline() -> ResponseReturnValue:
    """What the service worker shows while there is no network."""
    response = Response(render_template("gallery/offline.html"), mimetype="text/html")
    response.headers["Cache-Control"] = "no-cache"
    return response
