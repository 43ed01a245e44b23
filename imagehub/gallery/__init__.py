"""The public gallery.

``pages`` answers with HTML and ``api`` with JSON; both call the same domain functions.
``downloads`` redirects to renditions and originals. ``search`` has the search page and the tags,
``found`` the sitemap, feed and embeds, ``shared`` the share links, and ``site`` the preferences,
manifest and service worker. ``texts`` makes HTML of the texts of works.
"""

from flask import Blueprint, Flask

blueprint = Blueprint("gallery", __name__)


def init_app(app: Flask) -> None:
    from imagehub.gallery import api, downloads, found, pages, search, shared, site, texts  # noqa: F401 - these add their views to the blueprint

    app.register_blueprint(blueprint)
