"""rendition marked key.

Why: with a watermark each rendition is kept twice, with it for visitors and without it for the
admin pages; "" if it has none. The index finds what an object is used by.

Rules: one schema change per file, as MySQL commits each at once: one statement adds the columns and
the index. Upgrade and downgrade keep rows; works on SQLite and MySQL/MariaDB.
"""

import sqlalchemy as sa
from alembic import op

revision = "0076"
down_revision = "0075"
branch_labels = None
depends_on = None

INDEX = "ix_rendition_marked_key"


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        key = sa.Column("marked_key", sa.String(120), nullable=False, server_default="")
        op.add_column("rendition", key)
        size = sa.Column("marked_bytes", sa.Integer(), nullable=False, server_default="0")
        op.add_column("rendition", size)
        op.create_index(INDEX, "rendition", ["marked_key"])
        return
    op.execute(
        "ALTER TABLE rendition ADD COLUMN marked_key VARCHAR(120) NOT NULL DEFAULT '',"
        f" ADD COLUMN marked_bytes INTEGER NOT NULL DEFAULT 0, ADD INDEX {INDEX} (marked_key)"
    )


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.drop_index(INDEX, "rendition")
        op.drop_column("rendition", "marked_key")
        op.drop_column("rendition", "marked_bytes")
        return
    op.execute(
        f"ALTER TABLE rendition DROP INDEX {INDEX}, DROP COLUMN marked_key, DROP COLUMN marked_bytes"
    )
