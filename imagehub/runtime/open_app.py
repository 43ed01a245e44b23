"""Open the application for a command."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.orm import Session

from imagehub.config import Settings, load_settings
from imagehub.database import db
from imagehub.runtime.private_files import close_data_dir
from imagehub.runtime.serve import migrate_database


@contextmanager
def open_app(settings: Settings | None = None, *, migrated: bool = False) -> Iterator[Session]:
    """Build the application and open its context; ``migrated`` upgrades the database first."""
    from imagehub import create_app

    settings = settings or load_settings()
    close_data_dir(settings.data_dir)
    app = create_app(settings)
    if migrated:
        migrate_database(app)
    with app.app_context():
        yield db.session()
