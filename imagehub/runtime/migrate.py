"""Bring the database up to date."""

import logging
from pathlib import Path

from flask import Flask
from flask_migrate import upgrade

from imagehub.config import Settings
from imagehub.database import db
from imagehub.domain.library.search_index import fill_search


def make_app(settings: Settings | None = None, *, migrated: bool = False) -> Flask:
    """The application for a command; ``migrated`` brings the database up to date first."""
    from imagehub import create_app

    app = create_app(settings)
    if migrated:
        migrate_database(app)
    return app


def migrate_database(app: Flask) -> None:
    """Upgrade to the newest migration; the folder of an SQLite file is made."""
    url = app.config["SQLALCHEMY_DATABASE_URI"]
    if url.startswith("sqlite:///"):
        Path(url.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    with app.app_context():
        logging.getLogger("alembic").setLevel(logging.WARNING)
        upgrade()
        # Groups from before there was a search index are put into it.
        after = 0
        while after := fill_search(db.session(), after):
            db.session.commit()
        db.session.rollback()
