"""How Alembic reaches the database: through the running application, so settings live in one place.

SQLite changes tables by copying them (batch mode), with foreign keys off for that moment: a copied
table must not take its children's rows with it.
"""

import logging
import re
from typing import Any

from alembic import context
from flask import current_app
from sqlalchemy import inspect, update

from imagehub.models import GalleryRevision
from imagehub.models.revision import IS_MIGRATING

log = logging.getLogger("alembic.env")
migrate = current_app.extensions["migrate"]
metadata = migrate.db.metadata


def render_item(kind: str, item: Any, autogen_context: Any) -> str | bool:
    """Write our own column types by their short names."""
    if kind == "type" and type(item).__module__ == "imagehub.database":
        autogen_context.imports.add("from imagehub.database import UTCDateTime")
        return f"{type(item).__name__}()"
    return False


def name_revision(_context: Any, _revision: Any, directives: list[Any]) -> None:
    """Number new files: 0001, 0002 …; write none when nothing changed."""
    script = directives[0]
    if getattr(_context.config.cmd_opts, "autogenerate", False) and script.upgrade_ops.is_empty():
        directives[:] = []
        log.info("The models equal the newest migration; nothing to write.")
        return
    heads = [re.match(r"\d+", head) for head in _context.script.get_heads()]
    script.rev_id = f"{max((int(m[0]) for m in heads if m), default=0) + 1:04d}"


def run_online() -> None:
    options = {
        **migrate.configure_args,
        "render_item": render_item,
        "process_revision_directives": name_revision,
        # The full-text index is made by SQL of each database, and so are its shadow tables.
        "include_name": lambda name, kind, _parents: (
            not (kind == "table" and str(name).startswith("search_index"))
        ),
    }
    engine = migrate.db.engine
    with engine.connect().execution_options(**{IS_MIGRATING: True}) as connection:
        is_sqlite = connection.dialect.name == "sqlite"
        if is_sqlite:
            connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
            connection.commit()
        context.configure(connection=connection, target_metadata=metadata, **options)
        with context.begin_transaction():
            context.run_migrations()
        if is_sqlite:
            connection.commit()
            connection.exec_driver_sql("PRAGMA foreign_keys=ON")
    if inspect(engine).has_table(GalleryRevision.__tablename__):
        with engine.begin() as connection:
            # Running web servers render their pages anew.
            connection.execute(update(GalleryRevision).values(mark=GalleryRevision.mark))


if context.is_offline_mode():
    raise SystemExit("Migrations need a database to look at; the offline mode is not supported.")
run_online()
