"""The admin pages (HTML) and the admin calls of the JSON API (``api_*``)."""

import pkgutil
from collections.abc import Callable
from importlib import import_module

from flask import Blueprint, Flask
from flask.typing import ResponseReturnValue

from imagehub.errors import ImageHubError
from imagehub.web.errors import View, on_refusal

blueprint = Blueprint("admin", __name__)


def act(
    rule: str, answer: Callable[..., ResponseReturnValue], *kinds: type[ImageHubError]
) -> Callable[[View], View]:
    """Make a function the view of a POST whose errors ``answer`` answers; see ``on_refusal``."""
    return lambda view: blueprint.post(rule)(on_refusal(answer, *kinds)(view))


def init_app(app: Flask) -> None:
    # The modules add their views to the blueprint.
    for module in pkgutil.iter_modules(__path__, f"{__name__}."):
        import_module(module.name)
    app.register_blueprint(blueprint)
