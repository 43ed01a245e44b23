"""private data of originals.

Why: what an original says about places, people and devices is removed while it is sent to a
visitor. What was found, and where, is kept here; images that were imported before are looked at by
the worker.

Rules: one schema change per file, as MySQL commits each at once; upgrade and downgrade keep rows;
constraints are named; works on SQLite (batch mode) and MySQL/MariaDB.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from imagehub.database import UTCDateTime

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None


def upgrade() -> None:
    big_id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "private_data",
        sa.Column("image_id", big_id, autoincrement=False, nullable=False),
        sa.Column("drive_hash", sa.String(length=40), nullable=False),
        sa.Column("drive_size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("ctag", sa.String(length=255), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("kinds", sa.String(length=40), nullable=False),
        sa.Column("is_removable", sa.Boolean(), nullable=False),
        sa.Column(
            "blanks",
            sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb"),
            nullable=False,
        ),
        sa.Column("looked_at", UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["image_id"],
            ["image.id"],
            name=op.f("fk_private_data_image_id_image"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("image_id", name=op.f("pk_private_data")),
    )


def downgrade() -> None:
    op.drop_table("private_data")
