"""gallery: pages.py answers with HTML, api.py with JSON; both call the same domain functions.
media.py redirects to where the bytes lie; site.py is what surrounds the pages."""

from flask import Blueprint, Flask

blueprint = Blueprint("gallery", __name__)


def init_app(app: Flask) -> None:
    from imagehub.gallery import api, media, pages, site  # noqa: F401 - they add their views to the blueprint

    app.register_blueprint(blueprint)
