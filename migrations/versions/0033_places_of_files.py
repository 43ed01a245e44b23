"""places of files.

Why: the pages of the gallery must know whether an original goes out without its private data, and
an import plan says how many of its files carry a place.

Rules: upgrade and downgrade keep rows; constraints are named; works on SQLite (batch mode) and
MySQL/MariaDB. Adding a column can be repeated by hand where MySQL stopped half-way.
"""

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "image",
        sa.Column("private_state", sa.String(length=12), nullable=False, server_default=""),
    )
    op.create_index("ix_image_private_state", "image", ["private_state", "id"])
    op.add_column(
        "import_plan_file",
        sa.Column("has_place", sa.Boolean(), nullable=False, server_default=sa.false()),
    )


def downgrade() -> None:
    op.drop_column("import_plan_file", "has_place")
    op.drop_index("ix_image_private_state", table_name="image")
    op.drop_column("image", "private_state")
