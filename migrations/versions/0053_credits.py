"""credits.

Why: a work can be by another artist, or under other terms, than the settings of the hub say; ""
is as the hub.

Rules: one schema change per file, as MySQL commits each at once: one statement adds the three
columns. Upgrade and downgrade keep rows; works on SQLite and MySQL/MariaDB.
"""

import sqlalchemy as sa
from alembic import op

revision = "0053"
down_revision = "0052"
branch_labels = None
depends_on = None

COLUMNS = ("creator", "copyright_notice", "license_url")


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for name in COLUMNS:
            column = sa.Column(name, sa.String(300), nullable=False, server_default="")
            op.add_column("image_group", column)
        return
    added = ", ".join(f"ADD COLUMN {name} VARCHAR(300) NOT NULL DEFAULT ''" for name in COLUMNS)
    op.execute(f"ALTER TABLE image_group {added}")


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for name in COLUMNS:
            op.drop_column("image_group", name)
        return
    op.execute("ALTER TABLE image_group " + ", ".join(f"DROP COLUMN {name}" for name in COLUMNS))
