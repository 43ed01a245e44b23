"""legacy row.

Why: pictures and accounts of the first version are brought over once, however often the command
runs.

Rules: one schema change per file, as MySQL commits each at once; upgrade and downgrade keep rows;
constraints are named; works on SQLite (batch mode) and MySQL/MariaDB.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from imagehub.database import UTCDateTime

revision = "0038"
down_revision = "0037"
branch_labels = None
depends_on = None

_KEY = sa.String(100).with_variant(mysql.VARCHAR(100, collation="utf8mb4_bin"), "mysql", "mariadb")


def upgrade() -> None:
    op.create_table(
        "legacy_row",
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("row_key", _KEY, nullable=False),
        sa.Column("group_number", sa.BigInteger(), nullable=True),
        sa.Column("target_id", sa.BigInteger(), nullable=True),
        sa.Column("name", sa.String(400), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "row_key", name=op.f("pk_legacy_row")),
        sa.Index("ix_legacy_row_group_number", "group_number"),
    )


def downgrade() -> None:
    op.drop_table("legacy_row")
