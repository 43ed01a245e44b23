"""gallery: pages.py answers with HTML, api.py with JSON; both call the same domain functions.
media.py and downloads.py lead to where the bytes lie; search.py finds works, found.py lets others
find them; shared.py shows what a link shares; site.py is what surrounds the pages."""

from flask import Blueprint, Flask

blueprint = Blueprint("gallery", __name__)


def init_app(app: Flask) -> None:
    from imagehub.gallery import (  # noqa: F401 - they add their views to the blueprint
        api,
        downloads,
        found,
        media,
        pages,
        search,
        shared,
        site,
    )

    app.register_blueprint(blueprint)
