"""The public gallery.

``pages`` answers with HTML and ``api`` with JSON; both call the same domain functions. ``front``
has the front page; ``walls`` and ``layouts`` arrange its works.
``filters`` are those above a wall, and ``filter_calls`` the same as JSON.
``downloads`` redirects to renditions and originals. ``enquiries`` has the forms that visitors write
to the hub's people with. ``search`` has the search page and the tags, ``found`` the sitemap and
feeds, ``embeds`` what other sites show in a frame, ``iiif`` the manifests for other viewers,
``shared`` the share links, ``shortlists`` the lists that their visitors send, and ``site`` the
preferences, manifest and service worker. ``texts`` makes HTML of texts, and ``text_pages`` has the
pages of text and the menus. ``true_size`` shows a work in a room, which ``rooms`` arranges.
"""

from flask import Blueprint, Flask

blueprint = Blueprint("gallery", __name__)


def init_app(app: Flask) -> None:
    from imagehub.gallery import (  # noqa: F401 - these add their views to the blueprint
        api,
        downloads,
        embeds,
        enquiries,
        filter_calls,
        found,
        front,
        iiif,
        pages,
        search,
        shared,
        shortlists,
        site,
        text_pages,
        texts,
        true_size,
    )

    app.register_blueprint(blueprint)
