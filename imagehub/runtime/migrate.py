"""Upgrade the database to the newest migration."""

import logging
from pathlib import Path

from flask import Flask
from flask_migrate import upgrade

from imagehub.config import Settings
from imagehub.database import db
from imagehub.domain.library.search_index import fill_search


def make_app(settings: Settings | None = None, *, migrated: bool = False) -> Flask:
    """Return the application for a command; ``migrated`` upgrades the database first."""
    from imagehub import create_app

    app = create_app(settings)
    if migrated:
        migrate_database(app)
    return app


def migrate_database(app: Flask) -> None:
    """Upgrade to the newest migration; create the folder of an SQLite file."""
    url = app.config["SQLALCHEMY_DATABASE_URI"]
    if url.startswith("sqlite:///"):
        Path(url.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    with app.app_context():
        logging.getLogger("alembic").setLevel(logging.WARNING)
        upgrade()
        # Index groups that were created before the search index existed.
        after = 0
        while after := fill_search(db.session(), after):
            db.session.commit()
        db.session.rollback()
