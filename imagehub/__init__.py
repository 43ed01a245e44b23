"""ImageHub: publish one artist's pictures from OneDrive."""

import gc

# A fifth of the time of the imports below would go into searching what they make for garbage.
_COLLECTS = gc.isenabled()
gc.disable()

from flask import Flask

from imagehub import admin, auth, gallery, web, wiring
from imagehub.clients import Clients
from imagehub.config import Settings, load_settings
from imagehub.database import REPLICA, db, make_engine_options, make_replica_options
from imagehub.queries import watch_queries
from imagehub.web import i18n, openapi
from imagehub.web.public_path import check_public_path

if _COLLECTS:
    # They stay until the end, so they need not be searched.
    gc.freeze()
    gc.enable()


def create_app(settings: Settings | None = None, clients: Clients | None = None) -> Flask:
    """Build the application.

    :param settings: read from the environment if None.
    :param clients: object storage, OneDrive, sign-in; built from the settings if None.
    :raise SettingsError: the settings are invalid; the message lists all faults.
    """
    settings = settings or load_settings()
    app = Flask(__name__)
    app.config.update(web.make_flask_config(settings))
    app.config["SQLALCHEMY_DATABASE_URI"] = settings.sqlalchemy_url
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = make_engine_options(settings.sqlalchemy_url)
    if url := settings.read_database_url:
        app.config["SQLALCHEMY_BINDS"] = {REPLICA: make_replica_options(url)}

    db.init_app(app)
    wiring.init_app(app, settings, clients)
    with app.app_context():
        for engine in db.engines.values():
            watch_queries(engine, settings.slow_query_ms, bool(settings.traces_url))
    web.init_app(app)
    i18n.init_app(app)
    openapi.init_app(app)
    auth.init_app(app)
    gallery.init_app(app)
    admin.init_app(app)
    check_public_path(app)
    return app
