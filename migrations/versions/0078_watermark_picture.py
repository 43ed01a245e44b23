"""watermark picture.

Why: the picture of a watermark is fetched from OneDrive once and kept in object storage; its row
keeps the object from being deleted as unused.

Rules: one schema change per file, as MySQL commits each at once; upgrade and downgrade keep rows;
constraints are named; works on SQLite (batch mode) and MySQL/MariaDB.
"""

import sqlalchemy as sa
from alembic import op

revision = "0078"
down_revision = "0077"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "watermark_picture",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("object_key", sa.String(120), nullable=False),
        sa.Column("name", sa.String(400), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_watermark_picture")),
    )


def downgrade() -> None:
    op.drop_table("watermark_picture")
