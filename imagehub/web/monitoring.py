"""The address that Prometheus reads: closed unless a token or a network is allowed."""

import logging
from collections.abc import Iterator
from importlib import metadata

from flask import Flask, Response, abort, current_app, request
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import SQLAlchemyError

from imagehub import metrics
from imagehub.config import Settings
from imagehub.database import db
from imagehub.domain.site.monitoring import measure_hub
from imagehub.metrics import Reading
from imagehub.queue import ask_queue
from imagehub.web.health import OK, ask_readiness
from imagehub.wiring import get_clients, get_given_settings

log = logging.getLogger(__name__)


def init_app(app: Flask) -> None:
    app.add_url_rule("/metrics", endpoint="web.show_metrics", view_func=show_metrics)


def show_metrics() -> ResponseReturnValue:
    """Return the metrics in Prometheus' text format."""
    settings = get_given_settings()
    if not settings.has_metrics:
        abort(404)
    if not _may_read(settings):
        response = Response(metrics.REFUSAL, 401, mimetype="text/plain")
        response.headers["WWW-Authenticate"] = "Bearer"
    else:
        body = metrics.render(settings.data_dir, [*_measure(settings)])
        response = Response(body, content_type=metrics.CONTENT_TYPE)
    response.headers["Cache-Control"] = "no-store"
    return response


def _may_read(settings: Settings) -> bool:
    given = request.headers.get("Authorization", "")
    return metrics.is_token(given, settings.metrics_token) or _is_in_network(settings)


def _is_in_network(settings: Settings) -> bool:
    if not settings.proxy_count and {"X-Forwarded-For", "Forwarded"} & {*request.headers.keys()}:
        # The address is that of a proxy which the settings do not know, not the reader's.
        return False
    return metrics.is_inside(request.remote_addr or "", settings.metrics_networks)


def _measure(settings: Settings) -> Iterator[Reading]:
    try:
        version = metadata.version("imagehub")
    except metadata.PackageNotFoundError:
        version = "unknown"
    yield Reading("imagehub_build_info", 1, (version,))
    services = ask_readiness()
    for name, result in services.items():
        yield Reading("imagehub_service_up", result == OK, (name,))
    if services["queue"] == OK:
        try:
            yield Reading("imagehub_queue_calls", ask_queue(settings))
        except Exception as error:
            # Each queue server has its own exception classes.
            log.warning("The queue could not be measured: %s", type(error).__name__)
    if services["database"] == OK:
        try:
            yield from measure_hub(db.session(), get_clients(current_app))
        except SQLAlchemyError as error:
            db.session.rollback()
            log.warning("The hub could not be measured: %s", type(error).__name__)
