"""gallery revision.

Why: web servers keep rendered pages until something that visitors see has changed; the row's mark
changes with it.

Rules: upgrade and downgrade keep rows; constraints are named; works on SQLite (batch mode) and
MySQL/MariaDB.
"""

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    table = op.create_table(
        "gallery_revision",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("mark", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_gallery_revision")),
    )
    op.bulk_insert(table, [{"id": 1, "mark": secrets.randbits(63)}])


def downgrade() -> None:
    op.drop_table("gallery_revision")
