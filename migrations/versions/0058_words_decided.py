"""words decided.

Why: what a person has accepted or discarded for a work is not proposed again when another of its
shots says it.

Rules: one schema change per file, as MySQL commits each at once; upgrade and downgrade keep rows;
works on SQLite (batch mode) and MySQL/MariaDB.
"""

import sqlalchemy as sa
from alembic import op

revision = "0058"
down_revision = "0057"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "image_group",
        sa.Column("words_decided", sa.String(100), nullable=False, server_default=""),
    )


def downgrade() -> None:
    op.drop_column("image_group", "words_decided")
